//! ReadProfile by range, by position and as a whole.

use dlms::{axdr::Value, id::AttributeId};
use dlms_meter_server::simulator::FleetConfig;
use jiff::{SignedDuration, Timestamp};

use super::support::{IMPORT, LOAD_PROFILE, Setup, config, model, ports};
use crate::{
    fleet::{FleetOptions, gaps},
    meter::TimeBasis,
    operation::{
        CaptureColumn, Operation, Outcome, ProfileLayout, ProfileReading, ProfileSelection, ReadProfile, RequestError,
        RequestErrorKind,
    },
};

async fn read(
    setup: &Setup,
    meter: &crate::meter::MeterId,
    selection: ProfileSelection,
) -> Result<ProfileReading, RequestError> {
    let request = ReadProfile { profile: LOAD_PROFILE, selection };
    match setup.execute(meter, Operation::ReadProfile(request)).await? {
        Outcome::Profile(reading) => Ok(reading),
        other => panic!("{other:?}"),
    }
}

/// A whole day in UTC, some days ago.
fn day() -> (Timestamp, Timestamp) {
    let now = Timestamp::now().as_second();
    let midnight = now - now.rem_euclid(86_400) - 3 * 86_400;
    (Timestamp::from_second(midnight).unwrap(), Timestamp::from_second(midnight + 86_400).unwrap())
}

fn assert_day(reading: &ProfileReading, from: Timestamp, to: Timestamp) {
    assert_eq!(reading.rows.len(), 96);
    assert_eq!(reading.rows[0].time, from);
    assert!(reading.rows.iter().all(|row| row.time < to && row.time_basis == TimeBasis::MeterDeviation));
    assert!(reading.rows.is_sorted_by(|a, b| a.time < b.time));
    assert_eq!(gaps(&reading.rows, reading.layout.capture_period_s), []);
    for row in &reading.rows {
        assert_eq!(row.values.len(), reading.layout.columns.len());
        assert!(row.clock.is_some() && row.status.is_some(), "{row:?}");
        assert!(row.values.iter().all(|value| !matches!(value, Value::Null)), "{row:?}");
    }
}

#[tokio::test]
async fn lesson_14_a_day_by_range_has_its_96_rows_whatever_the_bounds_include() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let (from, to) = day();
    let reading = read(&setup, &meter, ProfileSelection::Range { from, to }).await.unwrap();
    assert_day(&reading, from, to);
    let energy = reading.layout.columns.iter().position(|column| column.obis == IMPORT).unwrap();
    assert!(reading.layout.columns[energy].scaler_unit.is_some());
    let energies: Vec<_> = reading.rows.iter().map(|row| row.values[energy].as_data().unwrap().as_u64()).collect();
    assert!(energies.is_sorted(), "a meter does not count backwards");
}

#[tokio::test]
async fn entries_are_counted_from_one_with_both_ends() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let five = read(&setup, &meter, ProfileSelection::Entries { from: 3, to: 7 }).await.unwrap();
    assert_eq!(five.rows.len(), 5);
    let later = read(&setup, &meter, ProfileSelection::Entries { from: 5, to: 5 }).await.unwrap();
    assert_eq!(later.rows[..], five.rows[2..3]);
}

#[tokio::test]
async fn the_whole_buffer_arrives_in_blocks() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let reading = read(&setup, &meter, ProfileSelection::All).await.unwrap();
    assert!(reading.rows.len() > 8_000, "{}", reading.rows.len());
    assert_eq!(gaps(&reading.rows, 900), []);
}

#[tokio::test]
async fn lesson_14_without_range_access_the_rows_are_found_all_the_same() {
    // The management client's, at the end of its list.
    let config = FleetConfig { model: model(r#""selective-access", "action""#, r#""action""#), ..ports() };
    let setup = Setup::with(config, FleetOptions::default()).await;
    let meter = setup.managed(0);
    let (from, to) = day();
    let reading = read(&setup, &meter, ProfileSelection::Range { from, to }).await.unwrap();
    assert_day(&reading, from, to);
}

#[tokio::test]
async fn lesson_14_a_kept_layout_that_is_out_of_date_is_read_again() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let clock = CaptureColumn {
        class: dlms::id::ClassId(8),
        obis: dlms::obis::ObisCode::CLOCK,
        attribute: AttributeId(2),
        data_index: 0,
        scaler_unit: None,
    };
    let old = ProfileLayout {
        profile: LOAD_PROFILE,
        columns: vec![clock],
        capture_period_s: 3_600,
        entries_in_use: None,
        profile_entries: None,
    };
    setup.registered.keep_layout(&meter, old);
    let (from, to) = day();
    let reading = read(&setup, &meter, ProfileSelection::Range { from, to }).await.unwrap();
    assert_day(&reading, from, to);
    assert_eq!(setup.registered.layout(&meter, LOAD_PROFILE).unwrap().capture_period_s, 900);
}

#[tokio::test]
async fn an_empty_range_is_empty_and_a_profile_that_is_none_says_so() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let (from, _) = day();
    let to = from + SignedDuration::from_secs(60);
    let from = from + SignedDuration::from_secs(30);
    assert_eq!(read(&setup, &meter, ProfileSelection::Range { from, to }).await.unwrap().rows, []);

    let request = ReadProfile { profile: IMPORT, selection: ProfileSelection::All };
    let error = setup.execute(&meter, Operation::ReadProfile(request)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::MeterRefused);
    assert!(error.to_string().contains("1.0.1.8.0.255"), "{error}");
    let public = setup.registered.add(config("public", &setup.tcp(0)));
    let error = read(&setup, &public, ProfileSelection::All).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::MeterRefused);
}
