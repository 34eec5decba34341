//! What meters remember across restarts and losses of power, asked directly.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dlms::axdr::{Data, Value, Writer};
use dlms::cosem::ToData;
use dlms::cosem::special_days_table::SpecialDay;
use dlms::time::{Date, DateTime};
use dlms_meter_server::simulator::{Fleet, FleetConfig, MODELS, make_image};
use support::{Client, encoded, moment, number, octets, start};

const CALENDAR: &str = "0.0.13.0.0.255";
const SPECIAL_DAYS: &str = "0.0.11.0.0.255";
const LIMITER: &str = "0.0.17.0.0.255";
const SWITCH: &str = "0.0.96.3.10.255";
const IMAGE: &str = "0.0.44.0.0.255";
const START: &str = "2026-03-16T10:07:00+01:00";
const LATER: &str = "2026-03-18T18:00:00+01:00";

fn fleet(model: &str, folder: &Path, time: &str) -> (Fleet, Client) {
    let model = MODELS.iter().find(|built_in| built_in.name == model).unwrap().model().unwrap();
    let state = Some(folder.to_path_buf());
    let config =
        FleetConfig { model: Arc::new(model), state, start: Some(moment(time)), speed: 0.0, ..FleetConfig::default() };
    let fleet = start(config);
    let client = Client::management(&fleet);
    (fleet, client)
}

fn write(
    client: &Client,
    class: u16,
    instance: &str,
    attribute: i8,
    value: impl Fn(&mut Writer<'_>) -> Result<(), dlms::axdr::BufferFull>,
) {
    let octets = encoded(value);
    client.write(class, instance, attribute, Data::from_slice(&octets).unwrap()).unwrap();
}

fn program(client: &Client, name: &[u8], script: u16) {
    write(client, 20, CALENDAR, 6, |out| out.octets(name));
    write(client, 20, CALENDAR, 9, |out| {
        out.array(1)?;
        out.structure(2)?;
        out.unsigned(1)?;
        out.array(1)?;
        out.structure(3)?;
        out.octets(&[0, 0, 0, 0])?;
        out.octets(&[0, 0, 10, 0, 100, 255])?;
        out.long_unsigned(script)
    });
    write(client, 20, CALENDAR, 8, |out| {
        out.array(1)?;
        out.structure(8)?;
        out.octets(b"WEEK")?;
        (0..7).try_for_each(|_| out.unsigned(1))
    });
    write(client, 20, CALENDAR, 7, |out| {
        out.array(1)?;
        out.structure(3)?;
        out.octets(b"ALL")?;
        out.octets(&DateTime::UNSPECIFIED.to_bytes())?;
        out.octets(b"WEEK")
    });
}

/// Everything that the steps change.
fn observed(client: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    for (class, instance, attribute) in [
        (20, CALENDAR, 2),
        (20, CALENDAR, 6),
        (20, CALENDAR, 9),
        (11, SPECIAL_DAYS, 2),
        (71, LIMITER, 4),
        (70, SWITCH, 3),
        (70, SWITCH, 4),
        (1, "1.0.0.1.0.255", 2),
        (7, "0.0.99.98.2.255", 2),
        (1, "0.0.96.1.4.255", 2),
        (18, IMAGE, 3),
        (18, IMAGE, 4),
        (18, IMAGE, 6),
        (5, "1.0.15.4.0.255", 8),
        (3, "1.0.15.8.1.255", 2),
        (3, "1.0.15.8.4.255", 2),
    ] {
        all.push(client.read(class, instance, attribute).unwrap_or_else(|error| panic!("{instance}: {error:?}")));
    }
    all
}

fn image() -> Vec<u8> {
    make_image("SIM3PH", "2.0", &[7; 500], None).unwrap()
}

fn block(client: &Client, number: u32) {
    let (image, size) = (image(), support::number(&client.read(18, IMAGE, 2).unwrap()) as usize);
    let from = number as usize * size;
    let part = &image[from..image.len().min(from + size)];
    let parameter = encoded(|out| {
        out.structure(2)?;
        out.double_long_unsigned(number)?;
        out.octets(part)
    });
    client.invoke(18, IMAGE, 2, Data::from_slice(&parameter).unwrap()).unwrap();
}

type Step = fn(&Client);

const STEPS: [Step; 12] = [
    |client| program(client, b"NEW", 4),
    |client| client.invoke(20, CALENDAR, 1, Data::Integer(0)).unwrap(),
    |client| {
        let day = SpecialDay { index: 1, date: Date::new(2026, 12, 24).unwrap(), day_id: 1 };
        write(client, 11, SPECIAL_DAYS, 2, |out| {
            out.array(1)?;
            day.to_data(out)
        });
    },
    |client| client.write(71, LIMITER, 4, Data::DoubleLongUnsigned(5_000)).unwrap(),
    |client| client.write(70, SWITCH, 4, Data::Enum(5)).unwrap(),
    |client| client.invoke(70, SWITCH, 1, Data::Integer(0)).unwrap(),
    |client| client.invoke(9, "0.0.10.0.1.255", 1, Data::LongUnsigned(1)).unwrap(),
    |client| client.write(1, "0.0.96.1.4.255", 2, Data::OctetString(b"Cellar")).unwrap(),
    |client| {
        let parameter = encoded(|out| {
            out.structure(2)?;
            out.octets(b"2.0")?;
            out.double_long_unsigned(image().len() as u32)
        });
        client.write(18, IMAGE, 5, Data::Boolean(true)).unwrap();
        client.invoke(18, IMAGE, 1, Data::from_slice(&parameter).unwrap()).unwrap();
    },
    |client| block(client, 0),
    |client| block(client, 2),
    |client| client.write(5, "1.0.15.4.0.255", 8, Data::DoubleLongUnsigned(1_800)).unwrap(),
];

type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// A meter that begins with these files.
fn restarted(files: &Files) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    for (name, octets) in files {
        fs::write(folder.path().join(name), octets).unwrap();
    }
    observed(&fleet("idis-three-phase", folder.path(), START).1)
}

#[test]
fn lesson_01_a_restart_after_any_loss_of_power_goes_on_from_before_or_after_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let (_fleet, client) = fleet("idis-three-phase", folder.path(), START);
    let mut before = (observed(&client), files(folder.path()));
    for (number, step) in STEPS.iter().enumerate() {
        step(&client);
        let after = (observed(&client), files(folder.path()));
        assert_ne!(before.0, after.0, "step {number} changes nothing");
        assert_eq!(restarted(&after.1), after.0, "after step {number}");
        // Power fails while the last record is written: any part of it may be there, over what was there before.
        let changed = after.1.iter().filter(|(name, octets)| before.1.get(*name) != Some(octets));
        for (name, octets) in changed.filter(|(name, _)| name.contains(".memory.")) {
            for cut in [0, 1, octets.len() / 2, octets.len() - 1] {
                let mut spoiled = after.1.clone();
                spoiled.insert(name.clone(), octets[..cut].to_vec());
                let found = restarted(&spoiled);
                // A step of several requests may stand between two of them.
                let single = !matches!(number, 0 | 8);
                assert!(!single || found == before.0, "step {number} cut off after {cut} octets of {name}");
            }
        }
        before = after;
    }
}

#[test]
fn tariffs_and_registers_go_on_while_nobody_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let rates = |client: &Client| [1, 2, 3, 4].map(|rate| client.number(3, &format!("1.0.15.8.{rate}.255"), 2));
    let (fleet_before, client) = fleet("idis-three-phase", folder.path(), START);
    program(&client, b"NEW", 4);
    let at: DateTime = "2026-03-17T00:00:00+01:00".parse().unwrap();
    write(&client, 20, CALENDAR, 10, |out| out.date_time(&at));
    let whole = {
        fleet_before.jump(moment(LATER));
        rates(&client)
    };
    drop((fleet_before, client));
    // The other one was away when the calendar took over.
    let (_fleet, client) = fleet("idis-three-phase", folder.path(), LATER);
    assert_eq!(octets(&client.read(20, CALENDAR, 2).unwrap()), b"NEW");
    assert_eq!(rates(&client), whole);
}

#[test]
fn what_judges_supply_and_clock_holds_after_a_restart_too() {
    const YEARS_LATER: &str = "2028-12-15T13:00:00+01:00";
    let folder = tempfile::tempdir().unwrap();
    let (before, client) = fleet("idis-three-phase", folder.path(), START);
    let told = |client: &Client| {
        let shown = |class, name, attribute| number(&client.read(class, name, attribute).unwrap());
        let logs = ["0.0.99.98.4.255", "0.0.99.98.0.255", "1.0.99.97.0.255"];
        let alarms = shown(1, "0.0.97.98.0.255", 2);
        let counts = ["1.0.32.32.0.255", "1.0.52.36.0.255", "0.0.96.7.21.255", "0.0.96.7.9.255"];
        let status = shown(8, "0.0.1.0.0.255", 4);
        (logs.map(|log| client.rows(log, None)), counts.map(|count| shown(1, count, 2)), status, alarms)
    };
    let another = told(&client);
    // Hardly anything is too low or too high any more, five minutes without power are a long time, and the clock has no
    // summer.
    for (name, value) in [("1.0.12.31.0.255", 60), ("1.0.12.39.0.255", 50), ("1.0.12.35.0.255", 900)] {
        client.write(3, name, 2, Data::LongUnsigned(value)).unwrap();
    }
    client.write(3, "0.0.96.7.20.255", 2, Data::LongUnsigned(300)).unwrap();
    client.write(8, "0.0.1.0.0.255", 8, Data::Boolean(false)).unwrap();
    for seconds in [200, 400, 8 * 86_400] {
        before.devices()[0].cut_power(seconds);
        before.jump(moment(LATER));
    }
    let now = told(&client);
    assert_eq!(now.2, 1, "a clock that was without power for a week");
    assert_ne!(now.1, another.1);
    let (again, restarted) = fleet("idis-three-phase", folder.path(), LATER);
    assert_eq!(told(&restarted), now);
    // What happens from now on is judged alike too.
    before.jump(moment(YEARS_LATER));
    again.jump(moment(YEARS_LATER));
    assert_eq!(told(&restarted), told(&client));
}

#[test]
fn an_account_is_as_it_was_and_pays_for_the_time_between() {
    const CREDIT: &str = "0.0.19.10.0.255";
    let folder = tempfile::tempdir().unwrap();
    let (fleet_before, client) = fleet("prepayment", folder.path(), START);
    client.invoke(112, CREDIT, 1, Data::DoubleLong(5_000)).unwrap();
    fleet_before.jump(moment("2026-03-16T18:07:00+01:00"));
    let left = client.number(112, CREDIT, 2);
    assert!(left < 6_000);
    drop((fleet_before, client));
    let (again, client) = fleet("prepayment", folder.path(), "2026-03-16T18:07:00+01:00");
    assert_eq!(client.number(112, CREDIT, 2), left);
    drop((again, client));
    let (_fleet, client) = fleet("prepayment", folder.path(), LATER);
    assert!(client.number(112, CREDIT, 2) < left);
}

#[test]
fn an_image_in_transfer_is_finished_after_a_restart_and_stays_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (_before, client) = fleet("idis-three-phase", folder.path(), START);
    STEPS[8](&client);
    block(&client, 0);
    let (_again, client) = fleet("idis-three-phase", folder.path(), START);
    assert_eq!(number(&client.read(18, IMAGE, 4).unwrap()), 1);
    let blocks = image().len().div_ceil(number(&client.read(18, IMAGE, 2).unwrap()) as usize) as u32;
    (1..blocks).for_each(|number| block(&client, number));
    client.invoke(18, IMAGE, 3, Data::Integer(0)).unwrap();
    let (_verified, client) = fleet("idis-three-phase", folder.path(), START);
    client.invoke(18, IMAGE, 4, Data::Integer(0)).unwrap();
    let (_after, client) = fleet("idis-three-phase", folder.path(), START);
    assert_eq!(octets(&client.read(1, "1.1.0.2.0.255", 2).unwrap()), b"2.0");
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_fleet, client) = fleet("idis-three-phase", folder.path(), START);
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(client.write(1, "0.0.96.1.4.255", 2, Data::OctetString(b"Cellar")).is_err());
}
