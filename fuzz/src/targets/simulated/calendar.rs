//! Activity calendars, special days, register activation and clock as clients write them, while time goes on: energies of the
//! rates add up and never fall.

use arbitrary::{Arbitrary, Unstructured};
use dlms::axdr::{Data, Value};
use dlms::obis::ObisCode;

use super::{Manager, Simulation};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// The passive calendar, as a client would write it: right in form, whatever it means.
    Calendar {
        seasons: Vec<Season>,
        weeks: Vec<(u8, [u8; 7])>,
        days: Vec<(u8, Vec<Action>)>,
    },
    /// Special days, likewise.
    SpecialDays(Vec<(u16, Date, u8)>),
    /// When the passive calendar takes over.
    TakeOver {
        date: Date,
        time: Time,
    },
    /// A client writes, or invokes, an object that has to do with tariffs.
    Write {
        object: u8,
        attribute: i8,
        value: &'a [u8],
    },
    Invoke {
        object: u8,
        method: i8,
        parameter: &'a [u8],
    },
    Pass {
        minutes: u16,
    },
}

#[derive(Arbitrary, Debug)]
struct Season {
    name: u8,
    date: Date,
    time: Time,
    week: u8,
}

#[derive(Arbitrary, Debug)]
struct Action {
    time: Time,
    script: u8,
}

/// Year, month, day and day of the week, with wildcards now and then.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Date([u8; 4]);

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Time([u8; 2]);

impl Date {
    fn octets(self) -> [u8; 5] {
        let [year, month, day, weekday] = self.0;
        let [high, low] = if year.is_multiple_of(3) { [0xFF; 2] } else { (2025 + u16::from(year % 4)).to_be_bytes() };
        let of = |octet: u8, count: u8| if octet > 0xF0 { octet } else { octet % count + 1 };
        [high, low, of(month, 12), of(day, 31), if weekday < 0x80 { 0xFF } else { of(weekday, 7) }]
    }
}

impl Time {
    fn octets(self) -> [u8; 4] {
        let [hour, minute] = self.0;
        [if hour > 0xF8 { 0xFF } else { hour % 24 }, minute % 60, 0, 0]
    }
}

/// Calendar, special days, tariff scripts, register activation, clock, end of billing.
const OBJECTS: [(u16, [u8; 6]); 7] = [
    CALENDAR,
    SPECIAL_DAYS,
    (9, [0, 0, 10, 0, 100, 255]),
    (6, [0, 0, 14, 0, 1, 255]),
    (6, [0, 0, 14, 0, 2, 255]),
    (8, [0, 0, 1, 0, 0, 255]),
    (9, [0, 0, 10, 0, 1, 255]),
];
const CALENDAR: (u16, [u8; 6]) = (20, [0, 0, 13, 0, 0, 255]);
const SPECIAL_DAYS: (u16, [u8; 6]) = (11, [0, 0, 11, 0, 0, 255]);

fn octets(octets: &[u8]) -> Value {
    Value::OctetString(octets.to_vec())
}

fn name(number: u8) -> Value {
    octets(&[b'A' + number % 8])
}

fn script(number: u8) -> [Value; 2] {
    [octets(&[0, 0, 10, 0, 100, 255]), Value::LongUnsigned((number % 10).into())]
}

fn date_time(date: Date, time: Time) -> Value {
    octets(&[&date.octets()[..], &time.octets(), &[0x80, 0, 0xFF]].concat())
}

fn write(manager: &Manager, (class, instance): (u16, [u8; 6]), attribute: i8, value: &Value) {
    let value = value.to_vec();
    let value = Data::from_slice(&value).expect("a value");
    let _ = manager.write(class, ObisCode(instance), attribute, value);
}

/// The whole register of import and those of its rates: none has fallen, and the rates add up.
fn check(manager: &Manager, before: &mut [i64; 5]) {
    let register = |rate: u8| manager.number(3, ObisCode::new(1, 0, 1, 8, rate, 255), 2);
    let now: [i64; 5] = std::array::from_fn(|rate| register(rate as u8));
    assert!(now.iter().zip(*before).all(|(now, before)| *now >= before), "{before:?} to {now:?}");
    assert!(now[1..].iter().sum::<i64>() <= now[0], "{now:?}");
    *before = now;
}

pub(in crate::targets) fn run(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let mut simulation = Simulation::new(&["idis-three-phase"]);
    let manager = simulation.manager(0);
    let mut registers = [0; 5];
    for _ in 0..32 {
        check(&manager, &mut registers);
        if input.is_empty() {
            break;
        }
        let Ok(step) = input.arbitrary() else { break };
        match step {
            Step::Calendar { seasons, weeks, days } => {
                let season = |season: &Season| {
                    let start = date_time(season.date, season.time);
                    Value::Structure(vec![name(season.name), start, name(season.week)])
                };
                let week = |(number, days): &(u8, [u8; 7])| {
                    let days = days.iter().map(|day| Value::Unsigned(day % 8));
                    Value::Structure([name(*number)].into_iter().chain(days).collect())
                };
                let action = |action: &Action| {
                    let [table, selector] = script(action.script);
                    Value::Structure(vec![octets(&action.time.octets()), table, selector])
                };
                let day = |(number, actions): &(u8, Vec<Action>)| {
                    let actions = Value::Array(actions.iter().map(action).collect());
                    Value::Structure(vec![Value::Unsigned(number % 8), actions])
                };
                write(&manager, CALENDAR, 6, &octets(b"NEXT"));
                write(&manager, CALENDAR, 9, &Value::Array(days.iter().map(day).collect()));
                write(&manager, CALENDAR, 8, &Value::Array(weeks.iter().map(week).collect()));
                write(&manager, CALENDAR, 7, &Value::Array(seasons.iter().map(season).collect()));
            }
            Step::SpecialDays(entries) => {
                let entry = |(index, date, day): &(u16, Date, u8)| {
                    let day = Value::Unsigned(day % 8);
                    Value::Structure(vec![Value::LongUnsigned(*index), octets(&date.octets()), day])
                };
                write(&manager, SPECIAL_DAYS, 2, &Value::Array(entries.iter().map(entry).collect()));
            }
            Step::TakeOver { date, time } => write(&manager, CALENDAR, 10, &date_time(date, time)),
            Step::Write { object, attribute, value } => {
                let (class, instance) = OBJECTS[usize::from(object) % OBJECTS.len()];
                if let Ok(value) = Data::from_slice(value) {
                    let _ = manager.write(class, ObisCode(instance), attribute, value);
                }
            }
            Step::Invoke { object, method, parameter } => {
                let (class, instance) = OBJECTS[usize::from(object) % OBJECTS.len()];
                let parameter = Data::from_slice(parameter).unwrap_or(Data::Integer(0));
                let _ = manager.invoke(class, ObisCode(instance), method, parameter);
            }
            Step::Pass { minutes } => simulation.pass(minutes),
        }
    }
    simulation.pass(36 * 60);
    check(&manager, &mut registers);
    manager.read_all(&[6, 8, 9, 11, 20]);
    drop(manager);
    simulation.end();
}
