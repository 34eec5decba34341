//! Readings in their files.

use jiff::ToSpan;

use super::*;
use crate::store::{SlotState, tests::coverage::runs};

#[tokio::test]
async fn each_month_has_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let times = ["2026-10-31T23:45:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"];
    let sent = times.map(|time| row(at(time), 1)).to_vec();
    assert_eq!(append(&store, batch("m1", sent)).await.new, 3);
    for month in ["10", "11", "12"] {
        assert!(folder.path().join(format!("readings/readings-2026-{month}.sqlite3")).exists(), "{month}");
    }
    assert_eq!(query(&store, all("m1")).await.len(), 3);
    let from = CaptureQuery { from: at(times[1]), to: at(times[2]), ..all("m1") };
    let found = query(&store, from).await;
    assert_eq!(found.iter().map(|capture| capture.time).collect::<Vec<_>>(), [at(times[1])]);
}

#[tokio::test]
async fn a_capture_before_midnight_of_a_month_is_the_first_of_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut early = rows(1);
    early[0].time -= 5.seconds();
    store.append(batch("m1", early)).await.unwrap();
    assert!(folder.path().join("readings/readings-2026-10.sqlite3").exists());
    assert_eq!(runs(&store, "m1").await[0], (SlotState::Held, 1));
}

#[tokio::test]
async fn files_of_an_older_schema_are_brought_up_to_date_by_whoever_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, batch("m1", rows(1))).await;
    store.close().await;
    drop(store);
    let old = rusqlite::Connection::open(folder.path().join("readings/readings-2026-11.sqlite3")).unwrap();
    let first =
        "DROP TABLE changes; DROP TABLE coverage; ALTER TABLE captures DROP COLUMN flags; PRAGMA user_version = 1;";
    old.execute_batch(first).unwrap();
    drop(old);
    let store = open(folder.path());
    assert_eq!(query(&store, all("m1")).await.len(), 1);
}
