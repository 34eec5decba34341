//! What the objects of the built-in model answer, and to whom.

mod support;

use dlms::apdu::{ActionResult, DataAccessResult, Selection};
use dlms::axdr::{Data, Value};
use dlms::time::{ClockStatus, DateTime};
use support::{Client, NOW, elements, number, octets, start, stopped};

const IMPORT: &str = "1.0.1.8.0.255";

/// Class, version, logical name, and access modes of attributes and methods, as the object list has them.
struct Listed {
    class: u16,
    version: i64,
    instance: String,
    attributes: Vec<(i8, i64)>,
    methods: Vec<(i8, i64)>,
}

fn object_list(client: &Client) -> Vec<Listed> {
    let list = client.read(15, "0.0.40.0.0.255", 2).unwrap();
    let modes = |rights: &Value| {
        let mode = |right: &Value| (i8::try_from(number(&elements(right)[0])).unwrap(), number(&elements(right)[1]));
        elements(rights).iter().map(mode).collect()
    };
    elements(&list)
        .iter()
        .map(|element| {
            let [class, version, instance, rights] = elements(element) else { panic!("{element:?}") };
            Listed {
                class: u16::try_from(number(class)).unwrap(),
                version: number(version),
                instance: dlms::obis::ObisCode::from_slice(octets(instance)).unwrap().to_string(),
                attributes: modes(&elements(rights)[0]),
                methods: modes(&elements(rights)[1]),
            }
        })
        .collect()
}

#[test]
fn lesson_42_every_attribute_in_the_object_list_is_as_readable_as_the_list_says() {
    let fleet = start(stopped(7, NOW));
    for client in Client::all(&fleet) {
        let mut readable = 0;
        for object in object_list(&client) {
            for (attribute, mode) in object.attributes {
                let result = client.read(object.class, &object.instance, attribute);
                let place = format!("client {}: {} attribute {attribute}", client.access.client, object.instance);
                match mode {
                    1 | 3 | 4 | 6 => {
                        let value = result.unwrap_or_else(|error| panic!("{place}: {error}"));
                        assert_ne!(value, Value::Null, "{place}");
                        readable += 1;
                    }
                    _ => assert_eq!(result, Err(DataAccessResult::ReadWriteDenied), "{place}"),
                }
            }
        }
        assert!(readable > 20, "client {}: {readable}", client.access.client);
    }
}

#[test]
fn the_object_list_is_cut_to_what_a_client_may_know() {
    let fleet = start(stopped(7, NOW));
    let counts = Client::all(&fleet).map(|client| object_list(&client).len());
    assert!(counts[0] < 12 && counts[1] > 120 && counts[2] >= counts[1], "{counts:?}");
    let public: Vec<_> = object_list(&Client::public(&fleet)).into_iter().map(|object| object.instance).collect();
    assert!(public.contains(&"0.0.43.1.0.255".to_owned()));
    assert!(!public.contains(&IMPORT.to_owned()));
}

#[test]
fn lesson_17_the_list_names_the_version_whose_access_modes_it_uses() {
    let fleet = start(stopped(7, NOW));
    let list = object_list(&Client::management(&fleet));
    let find = |instance: &str| list.iter().find(|object| object.instance == instance).unwrap();
    let association = find("0.0.40.0.0.255");
    assert_eq!((association.class, association.version), (15, 1));
    assert_eq!(find("1.0.99.1.0.255").version, 1);
    let switch = find("0.0.96.3.10.255");
    // Authenticated read and write, and authenticated access, in the modes of versions 1 and 2.
    assert_eq!(switch.attributes, [(1, 1), (2, 1), (3, 1), (4, 6)]);
    assert_eq!(switch.methods, [(1, 2), (2, 2)]);
}

#[test]
fn access_is_denied_unless_it_is_granted() {
    let fleet = start(stopped(7, NOW));
    let [public, reader, management] = Client::all(&fleet);
    assert_eq!(public.read(3, IMPORT, 2), Err(DataAccessResult::ObjectUndefined));
    assert!(reader.read(3, IMPORT, 2).is_ok());
    assert_eq!(reader.write(1, "0.0.96.1.3.255", 2, Data::OctetString(b"x")), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(reader.invoke(70, "0.0.96.3.10.255", 1, Data::Integer(0)), Err(ActionResult::ReadWriteDenied));
    assert_eq!(public.invoke(70, "0.0.96.3.10.255", 1, Data::Integer(0)), Err(ActionResult::ObjectUndefined));
    // Not of the class, of no object, and of another class under the same name.
    assert_eq!(management.read(3, IMPORT, 4), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(management.read(3, IMPORT, 0), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(management.read(3, IMPORT, -1), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(management.read(3, "1.0.99.8.0.255", 2), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(management.read(1, IMPORT, 2), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(management.write(3, IMPORT, 1, Data::OctetString(&[0; 6])), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(management.invoke(3, IMPORT, 1, Data::Integer(0)), Err(ActionResult::ReadWriteDenied));
    // The reader's password is written, never read.
    assert_eq!(management.read(15, "0.0.40.0.2.255", 7), Err(DataAccessResult::ReadWriteDenied));
}

#[test]
fn what_demands_protection_is_refused_without_it() {
    let fleet = start(stopped(7, NOW));
    let mut management = Client::management(&fleet);
    management.access.request = dlms::security::Protection::NONE;
    let refused = management.write(1, "0.0.96.1.3.255", 2, Data::OctetString(b"x"));
    assert_eq!(refused, Err(DataAccessResult::ScopeOfAccessViolated));
    management.access.request = dlms::security::Protection::AUTHENTICATED;
    let refused = management.invoke(70, "0.0.96.3.10.255", 1, Data::Integer(0));
    assert_eq!(refused, Err(ActionResult::ScopeOfAccessViolated));
    assert_eq!(management.read(70, "0.0.96.3.10.255", 2), Ok(Value::Boolean(true)));
}

#[test]
fn selectors_that_an_attribute_does_not_offer_are_refused() {
    let fleet = start(stopped(7, NOW));
    let reader = Client::reader(&fleet);
    let selection = |selector| Some(Selection { selector, parameters: Data::Null });
    let refused = Err(DataAccessResult::TypeUnmatched);
    assert_eq!(reader.read_selected(3, IMPORT, 2, selection(1)), refused);
    assert_eq!(reader.read_selected(7, "1.0.99.1.0.255", 2, selection(9)), refused);
    assert_eq!(reader.read_selected(7, "1.0.99.1.0.255", 3, selection(1)), refused);
    assert_eq!(reader.read_selected(15, "0.0.40.0.0.255", 2, selection(2)), refused);
    assert!(reader.read_selected(15, "0.0.40.0.0.255", 2, selection(1)).is_ok());
}

#[test]
fn the_object_list_can_be_asked_for_by_class_and_by_object() {
    let fleet = start(stopped(7, NOW));
    let reader = Client::reader(&fleet);
    let ask = |selector, parameters: &[u8]| {
        let parameters = Data::from_slice(parameters).unwrap();
        let selection = Some(Selection { selector, parameters });
        elements(&reader.read_selected(15, "0.0.40.0.0.255", 2, selection).unwrap()).to_vec()
    };
    // Classes 8 and 70: clock, disconnect control, and one for each of the four M-Bus channels.
    assert_eq!(ask(2, &[1, 2, 0x12, 0, 8, 0x12, 0, 70]).len(), 6);
    let clock = [2, 2, 0x12, 0, 8, 9, 6, 0, 0, 1, 0, 0, 255];
    let full = ask(4, &clock);
    assert_eq!(full.len(), 1);
    assert_eq!(elements(&elements(&elements(&full[0])[3])[0]).len(), 9);
    let short = ask(3, &[&[1, 1], &clock[..]].concat());
    assert_eq!(elements(&elements(&elements(&short[0])[3])[0]).len(), 0);
    assert!(ask(4, &[2, 2, 0x12, 0, 3, 9, 6, 0, 0, 1, 0, 0, 255]).is_empty());
}

#[test]
fn the_current_association_tells_what_was_negotiated() {
    let fleet = start(stopped(7, NOW));
    let management = Client::management(&fleet);
    let read = |attribute| management.read(15, "0.0.40.0.0.255", attribute).unwrap();
    assert_eq!(read(3), Value::Structure(vec![Value::Integer(1), Value::LongUnsigned(1)]));
    assert_eq!(octets(&read(4)), [0x60, 0x85, 0x74, 5, 8, 1, 3]);
    assert_eq!(octets(&read(6)), [0x60, 0x85, 0x74, 5, 8, 2, 5]);
    assert_eq!(read(8), Value::Enum(2));
    assert_eq!(octets(&read(9)), [0, 0, 43, 0, 0, 255]);
    let context = read(5);
    let [_, receive, send, version, _, _] = elements(&context) else { panic!("{context:?}") };
    assert_eq!([receive, send, version].map(number), [1024, 500, 6]);
    // The reader's, seen from outside: not associated.
    assert_eq!(management.read(15, "0.0.40.0.2.255", 8), Ok(Value::Enum(0)));
    assert_eq!(octets(&Client::public(&fleet).read(15, "0.0.40.0.0.255", 4).unwrap()), [0x60, 0x85, 0x74, 5, 8, 1, 1]);
}

#[test]
fn the_clock_is_set_in_local_time_and_the_event_log_tells() {
    let fleet = start(stopped(7, NOW));
    let management = Client::management(&fleet);
    let clock = "0.0.1.0.0.255";
    let shown = || support::seconds(&management.read(8, clock, 2).unwrap());
    assert!((shown() - NOW).abs() <= 2, "the error at the start is small");
    // With the deviation given, and left to the meter: 2026-07-01 12:00 is 10:00 UTC in summer.
    let summer = DateTime::from_unix_seconds(1_782_900_000, -120, ClockStatus::DAYLIGHT_SAVING);
    management.write(8, clock, 2, Data::OctetString(&summer.to_bytes())).unwrap();
    assert_eq!(shown(), 1_782_900_000);
    assert_eq!(management.number(8, clock, 4), 0x80);
    management.write(8, clock, 2, Data::OctetString(&summer.with_deviation(None).to_bytes())).unwrap();
    assert_eq!(shown(), 1_782_900_000);
    management.invoke(8, clock, 6, Data::Long(-100)).unwrap();
    assert_eq!(shown(), 1_782_899_900);
    assert_eq!(management.invoke(8, clock, 6, Data::Long(901)), Err(ActionResult::OtherReason));
    management.invoke(8, clock, 1, Data::Integer(0)).unwrap();
    assert_eq!(shown(), 1_782_900_000);
    for wrong in [Data::OctetString(&[0; 5]), Data::Null] {
        assert_eq!(management.write(8, clock, 2, wrong), Err(DataAccessResult::TypeUnmatched));
    }
    assert_eq!(management.number(1, "0.0.96.11.0.255", 2), 5);
    let log = management.rows("0.0.99.98.0.255", None);
    assert_eq!(log.iter().rev().take(2).map(|row| number(&row[1])).collect::<Vec<_>>(), [5, 4]);
}

#[test]
fn disconnecting_stops_the_power_and_is_logged() {
    let fleet = start(stopped(7, NOW));
    let management = Client::management(&fleet);
    let switch = "0.0.96.3.10.255";
    let power = || management.number(3, "1.0.15.7.0.255", 2);
    assert!(power() > 0);
    management.invoke(70, switch, 1, Data::Integer(0)).unwrap();
    assert_eq!(management.read(70, switch, 2), Ok(Value::Boolean(false)));
    assert_eq!(management.number(70, switch, 3), 0);
    assert_eq!(power(), 0);
    assert_eq!(management.number(1, "0.0.96.11.2.255", 2), 62);
    // Control mode 4 reconnects at once, mode 3 only makes ready.
    management.write(70, switch, 4, Data::Enum(3)).unwrap();
    management.invoke(70, switch, 2, Data::Integer(0)).unwrap();
    assert_eq!(management.number(70, switch, 3), 2);
    management.invoke(70, switch, 1, Data::Integer(0)).unwrap();
    management.write(70, switch, 4, Data::Enum(4)).unwrap();
    management.invoke(70, switch, 2, Data::Integer(0)).unwrap();
    assert_eq!(management.number(70, switch, 3), 1);
    assert!(power() > 0);
    let codes: Vec<_> = management.rows("0.0.99.98.2.255", None).iter().map(|row| number(&row[1])).collect();
    assert_eq!(codes, [62, 59, 62, 63]);
    assert_eq!(management.write(70, switch, 4, Data::Enum(7)), Err(DataAccessResult::OtherReason));
    assert_eq!(management.write(70, switch, 4, Data::Unsigned(4)), Err(DataAccessResult::TypeUnmatched));
}

#[test]
fn written_values_stay_with_their_meter_and_keep_their_type() {
    let fleet = start(dlms_meter_server::simulator::FleetConfig { meters: 2, ..stopped(7, NOW) });
    let management = Client::management(&fleet);
    let location = "0.0.96.1.4.255";
    management.write(1, location, 2, Data::OctetString(b"Street 5")).unwrap();
    assert_eq!(octets(&management.read(1, location, 2).unwrap()), b"Street 5");
    assert_eq!(octets(&management.read(1, "0.0.96.1.3.255", 2).unwrap()), b"");
    let other = Client { device: fleet.devices()[1].clone(), access: management.access };
    assert_eq!(octets(&other.read(1, location, 2).unwrap()), b"");
    assert_eq!(management.write(1, location, 2, Data::Unsigned(1)), Err(DataAccessResult::TypeUnmatched));
    assert_eq!(management.write(1, location, 2, Data::OctetString(&[0; 300])), Err(DataAccessResult::TypeUnmatched));
    assert_eq!(octets(&management.read(1, location, 2).unwrap()), b"Street 5");
    assert_eq!(management.number(1, "0.0.96.11.0.255", 2), 47);
}

#[test]
fn a_security_policy_only_strengthens() {
    let fleet = start(stopped(7, NOW));
    let management = Client::management(&fleet);
    let setup = "0.0.43.0.0.255";
    assert_eq!(management.number(64, setup, 2), 3);
    assert_eq!(management.invoke(64, setup, 1, Data::Enum(1)), Err(ActionResult::ReadWriteDenied));
    assert_eq!(management.invoke(64, setup, 1, Data::Enum(9)), Err(ActionResult::OtherReason));
    assert_eq!(management.invoke(64, setup, 1, Data::Enum(3)), Ok(()));
    assert_eq!(octets(&management.read(64, setup, 5).unwrap()), fleet.devices()[0].meters()[0].system_title.0);
}

#[test]
fn instantaneous_values_have_their_usual_scalers_and_agree() {
    let fleet = start(stopped(7, NOW));
    let reader = Client::reader(&fleet);
    let scaler_unit = |instance: &str| {
        let value = reader.read(3, instance, 3).unwrap();
        (number(&elements(&value)[0]), number(&elements(&value)[1]))
    };
    assert_eq!(scaler_unit("1.0.32.7.0.255"), (-1, 35));
    assert_eq!(scaler_unit("1.0.31.7.0.255"), (-2, 33));
    assert_eq!(scaler_unit("1.0.14.7.0.255"), (-2, 44));
    assert_eq!(scaler_unit(IMPORT), (0, 30));
    assert_eq!(scaler_unit("1.0.5.8.1.255"), (0, 32));
    let volts = reader.number(3, "1.0.52.7.0.255", 2);
    assert!((2_200..2_400).contains(&volts), "{volts}");
    let hertz = reader.number(3, "1.0.14.7.0.255", 2);
    assert!((4_990..=5_010).contains(&hertz), "{hertz}");
    let phases: i64 =
        ["1.0.21.7.0.255", "1.0.41.7.0.255", "1.0.61.7.0.255"].map(|code| reader.number(3, code, 2)).iter().sum();
    assert_eq!(phases, reader.number(3, "1.0.1.7.0.255", 2));
    let rates: i64 = (1..=4).map(|rate| reader.number(3, &format!("1.0.1.8.{rate}.255"), 2)).sum();
    assert_eq!(rates, reader.number(3, IMPORT, 2));
}

#[test]
fn maximum_demand_is_of_this_month_and_has_its_time() {
    let fleet = start(stopped(7, NOW));
    let reader = Client::reader(&fleet);
    for code in ["1.0.1.6.0.255", "1.0.1.6.2.255", "1.0.9.6.0.255"] {
        assert!(reader.number(4, code, 2) > 0);
        let at = support::seconds(&reader.read(4, code, 5).unwrap());
        // 2026-03-01 00:00 at UTC+1.
        assert!((1_772_319_600..=NOW).contains(&at) && at % 900 == 0, "{code}: {at}");
    }
    assert!(reader.number(4, "1.0.1.6.0.255", 2) >= reader.number(4, "1.0.1.6.2.255", 2));
    let demand = "1.0.1.4.0.255";
    assert_eq!(reader.number(5, demand, 8), 900);
    assert_eq!(reader.number(5, demand, 9), 1);
    assert_eq!(support::seconds(&reader.read(5, demand, 6).unwrap()), NOW - NOW % 900);
    assert_eq!(reader.number(5, demand, 3), reader.number(4, "1.0.1.5.0.255", 2));
}

#[test]
fn logical_devices_answer_for_themselves() {
    let config = dlms_meter_server::simulator::FleetConfig {
        meters: 3,
        addressing: dlms_meter_server::simulator::Addressing::LogicalDevices,
        ..stopped(7, NOW)
    };
    let fleet = start(config);
    let names: Vec<_> = (1..=3)
        .map(|server| {
            let mut client = Client::public(&fleet);
            client.access.server = dlms::id::ServerSap(server);
            octets(&client.read(1, "0.0.42.0.0.255", 2).unwrap()).to_vec()
        })
        .collect();
    let list = Client::public(&fleet).read(17, "0.0.41.0.0.255", 2).unwrap();
    let listed: Vec<_> = elements(&list).iter().map(|entry| octets(&elements(entry)[1]).to_vec()).collect();
    assert_eq!(names, listed);
    assert_eq!(names[2], b"SIM3PH0010000003");
    let mut nobody = Client::public(&fleet);
    nobody.access.server = dlms::id::ServerSap(4);
    assert_eq!(nobody.read(1, "0.0.42.0.0.255", 2), Err(DataAccessResult::ObjectUnavailable));
}

#[test]
fn lesson_18_thousands_of_meters_live_in_one_process() {
    let fleet = start(dlms_meter_server::simulator::FleetConfig { meters: 5_000, ..stopped(7, NOW) });
    let mut readings: Vec<_> = fleet
        .devices()
        .iter()
        .map(|device| Client { device: device.clone(), access: Client::reader(&fleet).access }.number(3, IMPORT, 2))
        .collect();
    readings.sort_unstable();
    readings.dedup();
    assert!(readings.len() > 4_900, "each meter has a load of its own: {}", readings.len());
}
