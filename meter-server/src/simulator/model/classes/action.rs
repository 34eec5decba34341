//! Script tables (class 9), single action schedules (22) and push setups (40): their attributes are in
//! `[object.attributes]`, as those of any class, and they act.
//!
//! ```toml
//! [[object]]
//! obis = "0.0.10.0.108"
//! class = 9
//! access = "scripts"
//! [object.attributes]
//! # Script 1 invokes method 1 (push) of the push setup 0.0.25.9.0. Services: 1 writes an attribute, 2 invokes a method.
//! scripts = """array(structure(long-unsigned(1), array(structure(
//!   enum(2), long-unsigned(40), logical-name(0.0.25.9.0), integer(1), integer(0)))))"""
//!
//! [[object]]
//! obis = "0.1.15.0.4"
//! class = 22
//! access = "schedule"
//! [object.attributes]
//! executed_script = "structure(logical-name(0.0.10.0.108), long-unsigned(1))"
//! type = 1
//! # Each full hour. Octets of a time: hour, minute, second, hundredths; of a date: year (2), month, day, day of the week;
//! # FF (FFFF) stands for each, day FE for the last of the month. An empty array disables the schedule.
//! execution_time = "array(structure(octet-string(FF 00 00 00), octet-string(FFFF FF FF FF)))"
//!
//! [[object]]
//! obis = "0.0.25.9.0"
//! class = 40
//! version = 0
//! access = "push"
//! # What has no attribute: whether the meter pushes when it starts, and in version 0 the client and the protection
//! # ("none", "authenticated", "encrypted", "authenticated-encrypted"). `body = "array"` makes the body an array instead of a
//! # structure, `time = false` leaves the time of the notification out: both are found at customer ports. What is longer than
//! # `max-pdu = 512` goes out in blocks.
//! push-setup = { at-start = true, client = 1, protection = "authenticated-encrypted" }
//! [object.attributes]
//! # Class, logical name, attribute (0 for all), data index. The data index 0x1000 + n (4096 + n) of a profile's buffer
//! # is its last n rows.
//! push_object_list = "array(structure(long-unsigned(1), logical-name(0.0.42.0.0), integer(2), long-unsigned(0)))"
//! # Service 0 TCP, 1 UDP, 5 HDLC. Without a destination pushes go where `--push-to` says, or nowhere; those of HDLC go out
//! # on the serial line of a meter that has one, unless the destination is `host:port`.
//! send_destination_and_method = "structure(enum(0), octet-string(), enum(0))"
//! communication_window = "array()"
//! randomisation_start_interval = 30
//! number_of_retries = 3
//! repetition_delay = 60
//! ```

use dlms::cosem::Array;
use dlms::cosem::action::ActionItem;
use dlms::cosem::push_setup::SendDestinationAndMethod;
use dlms::cosem::script_table::{ActionSpecification, Script, ScriptService};
use dlms::id::ClientSap;
use dlms::obis::ObisCode;
use dlms::security::Protection;
use serde::Deserialize;

use super::constant::{self, AttributesFile};
use crate::objects::{PushSetup, ScriptTable, SingleActionSchedule, kept_value};
use crate::simulator::meter::kept::KeptSlot;
use crate::simulator::meter::push::ModelPush;
use crate::simulator::model::SharedObject;
use crate::simulator::model::objects::{Built, Problem, here};
use crate::simulator::model::schema::{ObjectFile, PolicyFile};

/// What of a push setup is no attribute.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct PushSetupFile {
    /// Whether the meter pushes when it starts.
    #[serde(default)]
    at_start: bool,
    /// The client that is pushed to, in version 0; 16 unless given.
    client: Option<u16>,
    /// How pushes are protected, in version 0; not at all unless given.
    protection: Option<PolicyFile>,
    /// Longest APDU that the client takes, in octets: longer ones go out in blocks (general block transfer) that nobody
    /// acknowledges. There is no attribute for it. Without it there is no limit.
    max_pdu: Option<u16>,
    /// Whether the body is a structure, or an array as Aidon meters have it.
    #[serde(default)]
    body: BodyFile,
    /// Whether the notification says when it was made; it does unless this is false.
    time: Option<bool>,
}

/// Octets that a client takes at least: with fewer there is no room for what is around a block.
const MAX_PDU_MIN: u16 = 64;
/// The start of each month, as an execution time: a billing period ends there in any case.
const START_OF_MONTH: &[u8] = &[1, 1, 2, 2, 9, 4, 0, 0, 0, 0, 9, 5, 0xFF, 0xFF, 0xFF, 1, 0xFF];

/// Which schedules need not wake a meter: those that only push, by setups that name no destination, and those that end
/// the billing period where it ends by itself.
pub(in crate::simulator::model) fn idle_schedules(built: &Built) -> Vec<bool> {
    let nowhere = |instance: ObisCode| {
        let setup = built.pushes.iter().find(|setup| setup.instance == instance);
        let destination =
            setup.and_then(|setup| kept_value::<SendDestinationAndMethod<'_>>(setup.attributes.initial(3)));
        destination.is_some_and(|found| found.destination.is_empty())
    };
    let needless = |script: ActionItem, of_month: bool| {
        let (_, table) = built.scripts.iter().find(|(instance, _)| *instance == script.script_logical_name)?;
        let scripts: Array<'_, Script<'_>> = kept_value(table.initial(2))?;
        let script = scripts.iter().flatten().find(|found| found.script_identifier == script.script_selector)?;
        let nothing = |action: ActionSpecification<'_>| {
            action.service == ScriptService::InvokeMethod
                && match action.class_id.0 {
                    7 => of_month && action.index == 2,
                    40 => nowhere(action.logical_name),
                    _ => false,
                }
        };
        Some(script.actions.iter().all(|action| action.is_ok_and(nothing)))
    };
    let script = |schedule: &SingleActionSchedule<KeptSlot>| kept_value::<ActionItem>(schedule.attributes.initial(2));
    let is_idle = |schedule: &SingleActionSchedule<KeptSlot>| {
        needless(script(schedule)?, schedule.attributes.initial(4) == START_OF_MONTH)
    };
    built.schedules.iter().map(|schedule| is_idle(schedule).unwrap_or(false)).collect()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BodyFile {
    #[default]
    Structure,
    Array,
}

pub(in crate::simulator::model) fn build(
    source: &str,
    file: &ObjectFile,
    attributes: &AttributesFile,
    (instance, slot): (ObisCode, usize),
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    if file.accepts.is_some() {
        return Err(here(&format!("`accepts` has no meaning in class {}, whose methods act", file.class)));
    }
    // When a push was confirmed last is the meter's to know.
    let computed: &[i8] = if file.class == 40 { &[13] } else { &[] };
    let (class, attributes) = constant::read(source, file, attributes, computed, built)?;
    let initial = attributes.into_iter().map(|(id, octets)| (id.0, octets)).collect();
    let attributes = KeptSlot { slot, initial };
    Ok(match file.class {
        9 => {
            built.scripts.push((instance, attributes.clone()));
            Box::new(ScriptTable { instance, attributes })
        }
        22 => {
            let schedule = SingleActionSchedule { instance, attributes };
            built.schedules.push(schedule.clone());
            Box::new(schedule)
        }
        _ => {
            let version = class.version();
            let beside = file.push_setup.as_ref();
            if beside.and_then(|beside| beside.max_pdu).is_some_and(|octets| octets < MAX_PDU_MIN) {
                return Err(here("a client takes at least 64 octets"));
            }
            if version > 0 && beside.is_some_and(|beside| beside.client.is_some() || beside.protection.is_some()) {
                return Err(here("from version 1 on client and protection are attributes of the push setup"));
            }
            built.pushes.push(ModelPush {
                instance,
                version,
                attributes: attributes.clone(),
                at_start: beside.is_some_and(|beside| beside.at_start),
                max_pdu: beside.and_then(|beside| beside.max_pdu).unwrap_or(0),
                array: beside.is_some_and(|beside| beside.body == BodyFile::Array),
                time: beside.and_then(|beside| beside.time).unwrap_or(true),
                client: ClientSap(beside.and_then(|beside| beside.client).unwrap_or(ClientSap::PUBLIC.0)),
                protection: beside
                    .and_then(|beside| beside.protection)
                    .map_or(Protection::NONE, PolicyFile::protection),
            });
            Box::new(PushSetup { instance, version, attributes })
        }
    })
}
