//! What the codes of event logs and the bits of alarm registers mean, by kind of meter: data.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use dlms::id::SystemTitle;
use serde::Deserialize;

use crate::{
    config::{ConfigError, toml_file},
    store::EventCategory,
};

/// Label of a meter that names its table.
pub const TABLE_LABEL: &str = "event-table";

/// What a code or a bit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is about.
    pub category: EventCategory,
    /// Whether somebody should look at it.
    pub alarm: bool,
    /// EndDeviceEventType of IEC 61968-9; empty where the table has none.
    pub iec_code: &'a str,
}

/// Tables of events, each for a kind of meter: those of a file before those that are built in.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTables(Arc<[EventTable]>);

/// Events of one kind of meter.
///
/// ```toml
/// [[table]]
/// name = "acme"
/// manufacturer = "ACM"               # optional, as in the system title
/// event = [
///     { code = 1, name = "power down", category = "power" },
///     { code = 44, name = "cover opened", category = "tamper", alarm = true, iec-code = "1.2.3.4" },
/// ]
/// alarm = [{ register = 1, bit = 0, name = "clock invalid", category = "clock", code = 6 }]
/// ```
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTable {
    name: String,
    #[serde(default)]
    manufacturer: Option<String>,
    #[serde(default, deserialize_with = "by_code")]
    event: BTreeMap<u32, Row>,
    #[serde(default, deserialize_with = "by_bit")]
    alarm: BTreeMap<(u8, u8), Row>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    #[serde(default)]
    code: Option<u32>,
    #[serde(default)]
    register: Option<u8>,
    #[serde(default)]
    bit: Option<u8>,
    name: String,
    category: EventCategory,
    #[serde(default)]
    alarm: bool,
    #[serde(default)]
    iec_code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    table: Vec<EventTable>,
}

fn by_code<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<u32, Row>, D::Error> {
    use serde::de::Error;
    let rows = Vec::<Row>::deserialize(from)?;
    let mut events = BTreeMap::new();
    for row in rows {
        let code = row.code.ok_or_else(|| D::Error::custom(format!("the event {:?} has no code", row.name)))?;
        if events.insert(code, row).is_some() {
            return Err(D::Error::custom(format!("the code {code} is there twice")));
        }
    }
    Ok(events)
}

fn by_bit<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<(u8, u8), Row>, D::Error> {
    use serde::de::Error;
    let rows = Vec::<Row>::deserialize(from)?;
    let mut alarms = BTreeMap::new();
    for row in rows {
        let place = row.register.filter(|register| (1..=10).contains(register)).zip(row.bit.filter(|bit| *bit < 32));
        let Some((register, bit)) = place else {
            let name = &row.name;
            return Err(D::Error::custom(format!(
                "the alarm {name:?} needs a register from 1 to 10 and a bit from 0 to 31"
            )));
        };
        if alarms.insert((register, bit), row).is_some() {
            return Err(D::Error::custom(format!("bit {bit} of register {register} is there twice")));
        }
    }
    Ok(alarms)
}

impl Row {
    fn meaning(&self, alarm: bool) -> Meaning<'_> {
        let Self { name, category, iec_code, .. } = self;
        Meaning { name, category: *category, alarm, iec_code }
    }
}

impl EventTable {
    /// The name of the table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a code of an event log means.
    #[must_use]
    pub fn event(&self, code: u32) -> Option<Meaning<'_>> {
        self.event.get(&code).map(|row| row.meaning(row.alarm))
    }

    /// What bit `bit` of alarm register `register`, counted from 1, means; every one of them is an alarm.
    #[must_use]
    pub fn alarm(&self, register: u8, bit: u8) -> Option<Meaning<'_>> {
        self.alarm.get(&(register, bit)).map(|row| row.meaning(true))
    }
}

impl EventTables {
    /// Those that are built in: IDIS first, DSMR.
    #[must_use]
    pub fn built_in() -> Self {
        // A test reads them.
        Self::from_toml("").unwrap_or_else(|_| Self(Arc::new([])))
    }

    /// Those of a file, before those that are built in.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, line and column.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        toml_file(path, Self::from_toml)
    }

    /// Those in a text, before those that are built in.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        let own: File = toml::from_str(text)?;
        let built_in: File = toml::from_str(include_str!("tables.toml"))?;
        Ok(Self(own.table.into_iter().chain(built_in.table).collect()))
    }

    /// The table of a meter: the one that its label names, or that of its manufacturer, or the first built-in one.
    #[must_use]
    pub fn find(&self, label: Option<&str>, title: Option<SystemTitle>) -> Option<&EventTable> {
        let named = label.and_then(|label| self.0.iter().find(|table| table.name == label));
        let is_maker = |table: &&EventTable| {
            let maker = table.manufacturer.as_ref();
            title.is_some_and(|title| maker.is_some_and(|maker| title.as_bytes().starts_with(maker.as_bytes())))
        };
        let made = || self.0.iter().find(is_maker);
        named.or_else(made).or_else(|| self.0.iter().find(|table| table.manufacturer.is_none() && table.name == "idis"))
    }
}

impl Default for EventTables {
    fn default() -> Self {
        Self::built_in()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_that_are_built_in_say_what_idis_and_dsmr_say() {
        let tables = EventTables::from_toml("").unwrap();
        let idis = tables.find(None, None).unwrap();
        assert_eq!(idis.event(44).unwrap().name, "meter cover removed");
        assert_eq!(idis.event(132).unwrap().name, "M-Bus channel 4: replace battery");
        assert_eq!(idis.alarm(1, 13).unwrap().category, EventCategory::Tamper);
        assert_eq!(idis.alarm(2, 31).unwrap().name, "disconnection or reconnection failed");
        assert_eq!(idis.alarm(2, 23), None);
        let dsmr = tables.find(Some("dsmr"), None).unwrap();
        assert_eq!((dsmr.event(48).unwrap().name, dsmr.event(99)), ("module cover opened", None));
        assert_eq!(dsmr.alarm(3, 0).unwrap().name, "last gasp");
    }

    #[test]
    fn own_tables_come_first_and_are_found_by_label_and_manufacturer() {
        let text = "[[table]]\nname = \"acme\"\nmanufacturer = \"ACM\"\n\
                    event = [{ code = 1, name = \"x\", category = \"tamper\", iec-code = \"1.2.3.4\" }]";
        let tables = EventTables::from_toml(text).unwrap();
        let title = SystemTitle(*b"ACM\0\0\0\0\x01");
        assert_eq!(tables.find(None, Some(title)).unwrap().event(1).unwrap().iec_code, "1.2.3.4");
        assert_eq!(tables.find(Some("acme"), None).unwrap().name(), "acme");
        assert_eq!(tables.find(Some("dsmr"), Some(title)).unwrap().name(), "dsmr");
        assert_eq!(tables.find(Some("nonsense"), None).unwrap().name(), "idis");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, reason) in [
            ("[[table]]\nname = \"x\"\nevent = [{ name = \"y\", category = \"power\" }]", "\"y\" has no code"),
            (
                "[[table]]\nname = \"x\"\nevent = [{ code = 1, name = \"y\", category = \"wind\" }]",
                "unknown variant `wind`",
            ),
            (
                "[[table]]\nname = \"x\"\nalarm = [{ bit = 32, register = 1, name = \"y\", category = \"power\" }]",
                "bit from 0",
            ),
        ] {
            let error = EventTables::from_toml(text).unwrap_err().to_string();
            assert!(error.contains("line 3") && error.contains(reason), "{error}");
        }
    }
}
