//! What a meter tells of its voltages in registers, in logs and in profiles agrees.

mod support;

use dlms::apdu::Selection;
use dlms::axdr::{Data, Value};
use support::{Client, NOW, number, start, stopped};

#[test]
fn registers_of_voltage_quality_agree_with_the_log() {
    let fleet = start(dlms_meter_server::simulator::FleetConfig { meters: 3, ..stopped(7, NOW) });
    let mut seen = 0;
    for device in 0..3 {
        let client = Client { device: fleet.devices()[device].clone(), ..Client::management(&fleet) };
        let codes: Vec<_> = client.rows("0.0.99.98.4.255", None).iter().map(|row| number(&row[1])).collect();
        for (phase, c) in [(0, 32), (1, 52), (2, 72)] {
            // Dips, swells and losses: the first code of each, and the group of the counter.
            for (first, d) in [(76, 32), (79, 36), (82, 40)] {
                let count = codes.iter().filter(|code| **code == first + phase).count() as i64;
                assert_eq!(client.number(1, &format!("1.0.{c}.{d}.0.255"), 2), count, "{c}.{d}");
                let duration = client.number(3, &format!("1.0.{c}.{}.0.255", d + 1), 2);
                let tenths = client.number(3, &format!("1.0.{c}.{}.0.255", d + 2), 2);
                assert_eq!(duration > 0, count > 0);
                let possible = match d {
                    _ if count == 0 => 0..=0,
                    32 => 920..=2_070,
                    36 => 2_530..=2_760,
                    _ => 0..=100,
                };
                assert!(possible.contains(&tenths), "{c}.{d}: {tenths}");
                seen += count;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_profile_of_voltages_has_the_means_of_ten_minutes() {
    let fleet = start(stopped(7, NOW));
    let client = Client::management(&fleet);
    // Entries 1 to 144: the oldest day that is held; all columns.
    let entries = [2, 4, 6, 0, 0, 0, 1, 6, 0, 0, 0, 144, 18, 0, 1, 18, 0, 0];
    let selection = Selection { selector: 2, parameters: Data::from_slice(&entries).unwrap() };
    let rows = client.rows("1.0.99.14.0.255", Some(selection));
    assert_eq!(rows.len(), 144);
    let mut different = std::collections::BTreeSet::new();
    for row in &rows {
        let [Value::OctetString(time), volts @ ..] = row.as_slice() else { panic!("{row:?}") };
        assert_eq!((time[6] % 10, time[7]), (0, 0));
        assert_eq!(volts.len(), 3);
        for volts in volts.iter().map(number) {
            assert!((900..2_800).contains(&volts), "{volts}");
            different.insert(volts);
        }
    }
    assert!(different.len() > 20, "{different:?}");
}
