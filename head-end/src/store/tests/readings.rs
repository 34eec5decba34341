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

pub(in crate::store) const PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);

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

pub(in crate::store) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(in crate::store) fn row(time: Timestamp, energy: u32) -> CaptureRow {
    let clock = DateTime::from_unix_seconds(time.as_second(), -60, dlms::time::ClockStatus(0));
    CaptureRow {
        time,
        time_basis: TimeBasis::MeterDeviation,
        clock: Some(clock),
        status: Some(u64::MAX),
        values: vec![Value::OctetString(clock.to_bytes().to_vec()), Value::DoubleLongUnsigned(energy)],
    }
}

pub(in crate::store) fn batch(meter: &str, rows: Vec<CaptureRow>) -> CaptureBatch {
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
pub(in crate::store) fn rows(count: i64) -> Vec<CaptureRow> {
    let start = at("2026-11-01T00:00:00Z");
    (0..count).map(|n| row(start + (n * 15).minutes(), u32::try_from(n).unwrap())).collect()
}

pub(in crate::store) fn all(meter: &str) -> CaptureQuery {
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

pub(in crate::store) async fn append(store: &impl Store, batch: CaptureBatch) -> Appended {
    match store.append(batch).await.unwrap() {
        AppendOutcome::Stored(counts) => counts,
        AppendOutcome::Kept(error) => panic!("kept: {error}"),
    }
}

pub(in crate::store) async fn query(store: &impl Store, query: CaptureQuery) -> Vec<StoredCapture> {
    store.query(query).await.unwrap().captures
}

async fn captures_come_back_after_a_restart_as_they_were_read(place: &impl Place) {
    let store = place.open().await;
    let sent = rows(3);
    assert_eq!(append(&store, batch("m1", sent.clone())).await, Appended { new: 3, revised: 0, unchanged: 0 });
    drop(store);
    let store = place.open().await;
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

async fn captures_of_several_months_are_read_together(place: &impl Place) {
    let store = place.open().await;
    let times = ["2026-10-31T23:45:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"];
    let sent = times.map(|time| row(at(time), 1)).to_vec();
    assert_eq!(append(&store, batch("m1", sent)).await.new, 3);
    assert_eq!(query(&store, all("m1")).await.len(), 3);
    let from = CaptureQuery { from: at(times[1]), to: at(times[2]), ..all("m1") };
    let found = query(&store, from).await;
    assert_eq!(found.iter().map(|capture| capture.time).collect::<Vec<_>>(), [at(times[1])]);
}

async fn the_same_capture_twice_is_one_and_another_value_is_a_revision(place: &impl Place) {
    let store = place.open().await;
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

async fn a_scaler_learnt_later_explains_what_was_read_before(place: &impl Place) {
    let store = place.open().await;
    let unknown = CaptureBatch { columns: columns(None), ..batch("m1", rows(1)) };
    append(&store, unknown).await;
    assert_eq!(append(&store, batch("m1", rows(1))).await.unchanged, 1);
    assert_eq!(query(&store, all("m1")).await[0].columns, columns(Some(0)));
}

async fn profiles_and_single_registers_are_told_apart(place: &impl Place) {
    let store = place.open().await;
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

async fn pages_join_without_gap_or_repetition_across_months(place: &impl Place) {
    let store = place.open().await;
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

async fn closing_writes_what_waits(place: &impl Place) {
    let store = place.open().await;
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
    let store = place.open().await;
    let mut found = 0;
    for n in 0..50 {
        found += query(&store, all(&format!("m{n}"))).await.len() as u64;
    }
    assert_eq!(found, stored);
}

async fn flags_come_back_and_another_value_is_a_duplicate(place: &impl Place) {
    let store = place.open().await;
    let flags = vec![CaptureFlags::STATUS, CaptureFlags::default()];
    append(&store, CaptureBatch { flags, ..batch("m1", rows(2)) }).await;
    append(&store, batch("m1", vec![row(at("2026-11-01T00:15:00Z"), 7)])).await;
    let found: Vec<_> = query(&store, all("m1")).await.into_iter().map(|capture| capture.flags).collect();
    assert_eq!(found, [CaptureFlags::STATUS, CaptureFlags::DUPLICATE]);
}

async fn the_latest_capture_is_found_in_the_month_before_too(place: &impl Place) {
    let store = place.open().await;
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

async fn captures_of_clocks_that_say_anything_are_kept(place: &impl Place) {
    let store = place.open().await;
    let times = [
        "0001-05-01T00:00:00Z",
        "1969-12-31T23:45:00Z",
        "1970-01-01T00:00:00Z",
        "2099-12-01T00:00:00Z",
        "9990-01-01T00:00:00Z",
    ];
    let sent = times.map(|time| row(at(time), 1)).to_vec();
    assert_eq!(append(&store, batch("m1", sent.clone())).await.new, 5);
    assert_eq!(append(&store, batch("m1", sent)).await.unchanged, 5);
    let found = query(&store, all("m1")).await;
    assert_eq!(found.iter().map(|capture| capture.time).collect::<Vec<_>>(), times.map(at));
    let latest = store.latest(&id("m1"), Some(PROFILE), at("1970-01-01T00:00:00Z")).await.unwrap();
    assert_eq!(latest.map(|capture| capture.time), Some(at(times[1])));
}

on_every_store! {
    captures_of_clocks_that_say_anything_are_kept
    captures_come_back_after_a_restart_as_they_were_read
    captures_of_several_months_are_read_together
    the_same_capture_twice_is_one_and_another_value_is_a_revision
    a_scaler_learnt_later_explains_what_was_read_before
    profiles_and_single_registers_are_told_apart
    pages_join_without_gap_or_repetition_across_months
    closing_writes_what_waits
    flags_come_back_and_another_value_is_a_duplicate
    the_latest_capture_is_found_in_the_month_before_too
}
