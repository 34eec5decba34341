//! What a meter tells of its voltages in registers, in logs and in profiles agrees.

mod support;

use dlms::apdu::Selection;
use dlms::axdr::{Data, Value};
use dlms_meter_server::simulator::{DEFAULT_MODEL, FleetConfig, Model};
use support::{Client, NOW, number, start, stopped};

#[test]
fn registers_of_voltage_quality_agree_with_the_log() {
    let fleet = start(FleetConfig { meters: 3, ..stopped(7, NOW) });
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

#[test]
fn a_meter_whose_values_come_from_samples_shows_what_flows() {
    // The same meter twice: values of the simulation, and the same values by way of samples and the metering engine.
    let instantaneous = "value = \"instantaneous\"";
    assert!(DEFAULT_MODEL.contains(instantaneous));
    let mut text = DEFAULT_MODEL.replace(instantaneous, "value = \"measured\"");
    text.push_str(
        "\n[[object]]\nobis = \"1.0.{31,32,51,52,71,72}.7.124\"\nclass = 3\nvalue = \"measured\"\n\
         type = \"long-unsigned\"\nscaler = -2\naccess = \"measurement\"\n",
    );
    let model = std::sync::Arc::new(Model::from_toml(&text).unwrap());
    let fleet = start(FleetConfig { model, ..stopped(7, NOW) });
    let (plain, measured) = (Client::management(&start(stopped(7, NOW))), Client::management(&fleet));
    let codes =
        ["1.7.0", "2.7.0", "16.7.0", "21.7.0", "61.7.0", "9.7.0", "10.7.0", "31.7.0", "52.7.0", "72.7.0", "14.7.0"];
    for code in codes {
        let instance = format!("1.0.{code}.255");
        let (expected, shown) = (plain.number(3, &instance, 2), measured.number(3, &instance, 2));
        let near = (expected - shown).abs() as f64 <= 2.0 + 0.005 * expected.abs() as f64;
        assert!(near, "{code}: {shown} for {expected}");
    }
    assert!(plain.number(3, "1.0.14.7.0.255", 2) > 4_900);
    for (c, thd) in [(32, 244), (52, 244), (31, 1_015), (71, 1_015)] {
        let shown = measured.number(3, &format!("1.0.{c}.7.124.255"), 2);
        assert!((shown - thd).abs() <= 10, "{c}: {shown}");
    }
}
