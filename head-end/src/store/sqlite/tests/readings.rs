use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    time::DateTime,
};
use jiff::{Timestamp, ToSpan};

use super::*;
use crate::{
    meter::TimeBasis,
    operation::{CaptureColumn, CaptureRow},
    store::{Appended, CaptureFilter, CaptureFlags, Source, StoredCapture},
};

pub(super) const PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);

fn columns(scaler: Option<i8>) -> Arc<[CaptureColumn]> {
    let column = |class, obis, scaler_unit| CaptureColumn {
        class: ClassId(class),
        obis,
        attribute: AttributeId(2),
        data_index: 0,
        scaler_unit,
    };
    let energy = scaler.map(|scaler| dlms::unit::ScalerUnit { scaler, unit: dlms::unit::Unit(30) });
    Arc::new([column(8, ObisCode::new(0, 0, 1, 0, 0, 255), None), column(3, ObisCode::new(1, 0, 1, 8, 0, 255), energy)])
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn row(time: Timestamp, energy: u32) -> CaptureRow {
    let clock = DateTime::from_unix_seconds(time.as_second(), -60, dlms::time::ClockStatus(0));
    CaptureRow {
        time,
        time_basis: TimeBasis::MeterDeviation,
        clock: Some(clock),
        status: Some(u64::MAX),
        values: vec![Value::OctetString(clock.to_bytes().to_vec()), Value::DoubleLongUnsigned(energy)],
    }
}

pub(super) fn batch(meter: &str, rows: Vec<CaptureRow>) -> CaptureBatch {
    CaptureBatch {
        meter: id(meter),
        profile: Some(PROFILE),
        columns: columns(Some(0)),
        period_s: 900,
        rows,
        flags: Vec::new(),
        source: Source::Polled,
        received: at("2026-11-21T00:00:00Z"),
    }
}

/// `count` quarter-hours, the first at the beginning of November 2026.
pub(super) fn rows(count: i64) -> Vec<CaptureRow> {
    let start = at("2026-11-01T00:00:00Z");
    (0..count).map(|n| row(start + (n * 15).minutes(), u32::try_from(n).unwrap())).collect()
}

pub(super) fn all(meter: &str) -> CaptureQuery {
    CaptureQuery {
        meter: id(meter),
        filter: CaptureFilter::All,
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        all_revisions: false,
        after: None,
        limit: 10_000,
    }
}

async fn append(store: &SqliteStore, batch: CaptureBatch) -> Appended {
    match store.append(batch).await.unwrap() {
        AppendOutcome::Stored(counts) => counts,
        AppendOutcome::Kept(error) => panic!("kept: {error}"),
    }
}

async fn query(store: &SqliteStore, query: CaptureQuery) -> Vec<StoredCapture> {
    store.query(query).await.unwrap().captures
}

#[tokio::test]
async fn captures_come_back_after_a_restart_as_they_were_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let sent = rows(3);
    assert_eq!(append(&store, batch("m1", sent.clone())).await, Appended { new: 3, revised: 0, unchanged: 0 });
    drop(store);
    let store = open(folder.path());
    let captures = query(&store, all("m1")).await;
    assert_eq!(captures.len(), 3);
    for (capture, row) in captures.iter().zip(&sent) {
        assert_eq!((capture.time, capture.time_basis, capture.clock), (row.time, row.time_basis, row.clock));
        assert_eq!((capture.status, &capture.values), (row.status, &row.values));
        assert_eq!((capture.profile, capture.source, capture.revision), (Some(PROFILE), Source::Polled, 1));
        assert_eq!(capture.columns, columns(Some(0)));
        assert_eq!(capture.received, at("2026-11-21T00:00:00Z"));
    }
    assert_eq!(query(&store, all("m2")).await, []);
}

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
async fn the_same_capture_twice_is_one_and_another_value_is_a_revision() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let time = at("2026-11-01T00:00:00Z");
    append(&store, batch("m1", vec![row(time, 1)])).await;
    assert_eq!(append(&store, batch("m1", vec![row(time, 1)])).await.unchanged, 1);
    assert_eq!(append(&store, batch("m1", vec![row(time, 2)])).await.revised, 1);
    let latest = query(&store, all("m1")).await;
    assert_eq!(latest.len(), 1);
    assert_eq!((latest[0].revision, &latest[0].values[1]), (2, &Value::DoubleLongUnsigned(2)));
    let both = query(&store, CaptureQuery { all_revisions: true, ..all("m1") }).await;
    assert_eq!(both.iter().map(|capture| capture.revision).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_scaler_learnt_later_explains_what_was_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let unknown = CaptureBatch { columns: columns(None), ..batch("m1", rows(1)) };
    append(&store, unknown).await;
    assert_eq!(append(&store, batch("m1", rows(1))).await.unchanged, 1);
    assert_eq!(query(&store, all("m1")).await[0].columns, columns(Some(0)));
}

#[tokio::test]
async fn profiles_and_single_registers_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, batch("m1", rows(2))).await;
    append(&store, CaptureBatch { profile: None, ..batch("m1", rows(1)) }).await;
    let profiles = async |filter| {
        let found = query(&store, CaptureQuery { filter, ..all("m1") }).await;
        found.iter().map(|capture| capture.profile).collect::<Vec<_>>()
    };
    assert_eq!(profiles(CaptureFilter::Registers).await, [None]);
    assert_eq!(profiles(CaptureFilter::Profile(PROFILE)).await, [Some(PROFILE); 2]);
    assert_eq!(profiles(CaptureFilter::All).await, [None, Some(PROFILE), Some(PROFILE)]);
}

#[tokio::test]
async fn pages_join_without_gap_or_repetition_across_months() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let sent = rows(31 * 96);
    append(&store, batch("m1", sent.clone())).await;
    append(&store, CaptureBatch { profile: None, ..batch("m1", rows(5)) }).await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.query(CaptureQuery { after, limit: 7, ..all("m1") }).await.unwrap();
        seen.extend(page.captures.iter().map(|capture| (capture.time, capture.profile)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = sent.iter().map(|row| (row.time, Some(PROFILE))).collect();
    expected.extend(sent.iter().take(5).map(|row| (row.time, None)));
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn closing_writes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let appends: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.append(batch(&format!("m{n}"), rows(10))).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut stored = 0;
    for append in appends {
        // An append that came after the close was refused and is not counted.
        if let Ok(AppendOutcome::Stored(counts)) = append.await.unwrap() {
            stored += counts.new;
        }
    }
    assert!(stored > 0);
    assert!(matches!(store.append(batch("m", rows(1))).await, Err(StoreError::Closed)));
    drop(store);
    let store = open(folder.path());
    let mut found = 0;
    for n in 0..50 {
        found += query(&store, all(&format!("m{n}"))).await.len() as u64;
    }
    assert_eq!(found, stored);
}

#[tokio::test]
async fn flags_come_back_and_another_value_is_a_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let flags = vec![CaptureFlags::STATUS, CaptureFlags::default()];
    append(&store, CaptureBatch { flags, ..batch("m1", rows(2)) }).await;
    append(&store, batch("m1", vec![row(at("2026-11-01T00:15:00Z"), 7)])).await;
    let found: Vec<_> = query(&store, all("m1")).await.into_iter().map(|capture| capture.flags).collect();
    assert_eq!(found, [CaptureFlags::STATUS, CaptureFlags::DUPLICATE]);
}

#[tokio::test]
async fn the_latest_capture_is_found_in_the_month_before_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let times = ["2026-10-31T23:45:00Z", "2026-11-01T00:00:00Z"];
    append(&store, batch("m1", times.map(|time| row(at(time), 1)).to_vec())).await;
    let id = id("m1");
    let latest = async |before| {
        let found = store.latest(&id, Some(PROFILE), at(before)).await.unwrap();
        found.map(|capture| capture.time.to_string())
    };
    assert_eq!(latest("2026-11-01T00:00:01Z").await.as_deref(), Some("2026-11-01T00:00:00Z"));
    assert_eq!(latest("2026-11-01T00:00:00Z").await.as_deref(), Some("2026-10-31T23:45:00Z"));
    assert_eq!(latest("2026-10-31T23:45:00Z").await, None);
    assert_eq!(store.latest(&id, None, at("2026-11-02T00:00:00Z")).await.unwrap(), None);
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
