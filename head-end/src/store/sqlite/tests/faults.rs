use rusqlite::Connection;

use super::*;

#[tokio::test]
async fn a_second_head_end_on_the_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = SqliteStore::open(folder.path(), options());
    assert!(matches!(second, Err(StoreError::InUse { directory }) if directory == folder.path()));
    drop(first);
    open(folder.path());
}

#[tokio::test]
async fn a_control_database_locked_by_another_process_is_a_typed_error_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let other = Connection::open(folder.path().join("control.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.reserve_counters(CounterId([1; 16])).await;
    assert!(matches!(refused, Err(StoreError::Locked { ref file }) if file == "control.sqlite3"), "{refused:?}");
    assert!(store.meter(&id("m1")).await.unwrap().is_none(), "readers are not disturbed");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.reserve_counters(CounterId([1; 16])).await.unwrap().next, 1);
}

#[tokio::test]
async fn readings_wait_for_a_locked_file_and_are_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(batch("m1", rows(1))).await.unwrap();
    let other = Connection::open(folder.path().join("readings/readings-2026-11.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let kept = store.append(batch("m1", rows(20))).await.unwrap();
    assert!(matches!(kept, AppendOutcome::Kept(StoreError::Locked { .. })), "{kept:?}");
    let elsewhere = batch("m1", rows(20).into_iter().map(shift_back).collect());
    let stored = store.append(elsewhere).await.unwrap();
    assert!(matches!(stored, AppendOutcome::Stored(counts) if counts.new == 20), "other months go on: {stored:?}");
    other.execute_batch("COMMIT").unwrap();
    store.close().await;
    drop(store);
    assert_eq!(open(folder.path()).query(all("m1")).await.unwrap().captures.len(), 40);
}

fn shift_back(mut row: crate::operation::CaptureRow) -> crate::operation::CaptureRow {
    row.time -= jiff::SignedDuration::from_hours(24 * 60);
    row
}

#[tokio::test]
async fn a_full_disk_is_a_typed_error_and_takes_nothing_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let small = SqliteOptions { max_pages: Some(120), ..options() };
    let store = SqliteStore::open(folder.path(), small).unwrap();
    let mut kept = 0;
    let mut stored = 0;
    for n in 0..200 {
        match store.append(batch(&format!("m{n}"), rows(100))).await.unwrap() {
            AppendOutcome::Stored(counts) => stored += counts.new,
            AppendOutcome::Kept(error) => {
                assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
                kept += 100;
                break;
            }
        }
    }
    assert!(stored > 0 && kept > 0, "{stored} stored, {kept} kept");
    assert_eq!(store.query(all("m0")).await.unwrap().captures.len(), 100, "what was stored is read");
    let mut created = 0;
    let error = loop {
        let mut new = meter(&format!("m{created}"), 1);
        new.record.settings.display_name = "x".repeat(200);
        match store.create_meter(new, None).await {
            Ok(_) => created += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert_eq!(store.list_meters(None, MeterFilter::default(), 10_000).await.unwrap().len(), created);
    drop(store);
    let store = open(folder.path());
    store.create_meter(meter("last", 1), None).await.unwrap();
}

#[tokio::test]
async fn kept_readings_are_written_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let readings = folder.path().join("readings");
    let store = open(folder.path());
    // A folder where the month's file should be: it cannot be opened until it is gone.
    let path = readings.join("readings-2026-11.sqlite3");
    std::fs::create_dir(&path).unwrap();
    let kept = store.append(batch("m1", rows(3))).await.unwrap();
    assert!(matches!(kept, AppendOutcome::Kept(_)), "{kept:?}");
    std::fs::remove_dir(&path).unwrap();
    let counts = store.append(batch("m1", rows(3))).await.unwrap();
    assert!(matches!(counts, AppendOutcome::Stored(counts) if counts.unchanged == 3), "{counts:?}");
}

#[tokio::test]
async fn memory_for_waiting_readings_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions { waiting_captures: 10, ..options() }).unwrap();
    store.append(batch("m1", rows(1))).await.unwrap();
    let other = Connection::open(folder.path().join("readings/readings-2026-11.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(store.append(batch("m1", rows(8))).await, Ok(AppendOutcome::Kept(_))));
    assert!(matches!(store.append(batch("m1", rows(3))).await, Err(StoreError::Overloaded { .. })));
    assert!(matches!(store.append(batch("m1", rows(2))).await, Ok(AppendOutcome::Kept(_))));
    other.execute_batch("COMMIT").unwrap();
}

#[test]
fn files_of_others_and_of_the_future_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sqlite3");
    std::fs::write(&path, b"this is no database, however long it may go on being none at all").unwrap();
    let refused = SqliteStore::open(folder.path(), options());
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    std::fs::remove_file(&path).unwrap();
    let alter = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    alter("PRAGMA application_id = 7");
    assert!(matches!(SqliteStore::open(folder.path(), options()), Err(StoreError::Corrupt { .. })));
    std::fs::remove_file(&path).unwrap();
    drop(open(folder.path()));
    alter("PRAGMA user_version = 99");
    let newer = SqliteStore::open(folder.path(), options());
    assert!(matches!(newer, Err(StoreError::NewerSchema { found: 99, known: 1.., .. })), "{newer:?}");
}
