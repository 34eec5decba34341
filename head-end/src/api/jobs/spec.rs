//! Specifications of jobs as plans.

use std::sync::Arc;

use dlms::obis::ObisCode;
use dlms_proto::v1::{
    self, GetAttributesRequest, InvokeMethodRequest, JobSpec, ReadProfileRequest, ReadRegistersRequest,
    SetAttributesRequest, bundle_item, job_spec::Kind, read_profile_request, read_profile_spec,
};
use tonic::Status;

use crate::{
    api::{
        jobs::{configuration, firmware, lifecycle},
        keys, parse,
        reading::ask,
    },
    jobs::{
        Plan, Procedure,
        procedures::{EmergencyLoadLimit, LoadLimit, Perform, RecoverKeys, ResetDemand, Supply, SupplyAction},
    },
    operation::{Guard, Operation, RegisterRef, SetAttribute},
};

/// Items of a bundle, and registers of a disconnection, at most.
const ITEMS: usize = 64;
const SUPPLY: ObisCode = ObisCode([0, 0, 96, 3, 10, 255]);
const LIMITER: ObisCode = ObisCode([0, 0, 17, 0, 0, 255]);
const END_OF_BILLING: ObisCode = ObisCode([0, 0, 10, 0, 1, 255]);
const BILLING: ObisCode = ObisCode([0, 0, 98, 1, 0, 255]);

/// Stands where the requests that are parsed want a meter; a job has its own.
const ANY_METER: &str = "meters/any";

pub(in crate::api) type Parsed<T> = Result<T, String>;

/// What a specification asks for.
pub(super) fn plan(spec: &JobSpec) -> Parsed<Plan> {
    let kind = spec.kind.as_ref().ok_or("has no field set")?;
    // What may take supply away is guarded as DisconnectSupply is, by whichever name it is asked for.
    let reads = |kind, operation: Operation| {
        let interrupts = operation.has_guard(Guard::Supply);
        plan_of(kind, operation.is_mutating(), interrupts, Perform(operation))
    };
    let supply = |kind, action, object: &str, registers: &[v1::RegisterSelector]| {
        let procedure = Supply { object: object_or(object, SUPPLY)?, action, registers: registers_of(registers)? };
        let (mutating, interrupts) = (action != SupplyAction::Look, action == SupplyAction::Disconnect);
        Ok(plan_of(kind, mutating, interrupts, procedure))
    };
    match kind {
        Kind::ReadRegisters(of) => Ok(reads("read_registers", read_registers(of)?)),
        Kind::ReadProfile(of) => Ok(reads("read_profile", read_profile(of)?)),
        Kind::GetAttributes(of) => Ok(reads("get_attributes", get_attributes(of)?)),
        Kind::SetAttributes(of) => Ok(reads("set_attributes", set_attributes(of)?)),
        Kind::InvokeMethod(of) => Ok(reads("invoke_method", invoke_method(of)?)),
        Kind::Bundle(of) => Ok(reads("bundle", bundle(of)?)),
        Kind::Ping(_) => Ok(reads("ping", Operation::Ping)),
        Kind::DisconnectSupply(of) => supply("disconnect_supply", SupplyAction::Disconnect, &of.object, &of.registers),
        Kind::ReconnectSupply(of) => supply("reconnect_supply", SupplyAction::Reconnect, &of.object, &of.registers),
        Kind::ArmForReconnection(of) => supply("arm_for_reconnection", SupplyAction::Arm, &of.object, &[]),
        Kind::GetSupplyStatus(of) => supply("get_supply_status", SupplyAction::Look, &of.object, &[]),
        Kind::SwitchAuxiliaryLoad(of) => {
            let relay = u8::try_from(of.relay).ok().filter(|relay| (1..=64).contains(relay));
            let relay = relay.ok_or("relay: is from 1 to 64")?;
            let action = if of.on { SupplyAction::Reconnect } else { SupplyAction::Disconnect };
            let object = ObisCode([0, relay, 96, 3, 10, 255]);
            let procedure = Supply { object, action, registers: Vec::new() };
            Ok(plan_of("switch_auxiliary_load", true, false, procedure))
        }
        Kind::SetLoadLimit(of) => {
            let procedure = LoadLimit {
                object: object_or(&of.object, LIMITER)?,
                threshold: of.threshold,
                over_s: seconds("min_over_duration", of.min_over_duration.as_ref())?,
                under_s: seconds("min_under_duration", of.min_under_duration.as_ref())?,
            };
            Ok(plan_of("set_load_limit", true, of.threshold <= 0, procedure))
        }
        Kind::SetEmergencyLoadLimit(of) => {
            let begin = of.begin_time.as_ref().ok_or("begin_time: is required")?;
            let procedure = EmergencyLoadLimit {
                object: object_or(&of.object, LIMITER)?,
                threshold: of.threshold,
                group: u16::try_from(of.emergency).map_err(|_| "emergency: is from 0 to 65535")?,
                from: parse::timestamp(begin).map_err(|error| format!("begin_time: {error}"))?,
                duration_s: seconds("duration", of.duration.as_ref())?.ok_or("duration: is required")?,
            };
            Ok(plan_of("set_emergency_load_limit", true, of.threshold <= 0, procedure))
        }
        Kind::ResetDemand(of) => {
            let procedure = ResetDemand {
                script_table: object_or(&of.script_table, END_OF_BILLING)?,
                script: u16::try_from(of.script.max(1)).map_err(|_| "script: is from 1 to 65535")?,
                profile: object_or(&of.profile, BILLING)?,
            };
            Ok(plan_of("reset_demand", true, false, procedure))
        }
        Kind::SynchronizeClock(of) => configuration::clock(of),
        Kind::SetActivityCalendar(of) => configuration::calendar(of),
        Kind::SetSpecialDays(of) => configuration::special_days(of),
        Kind::ConfigureLoadProfile(of) => configuration::load_profile(of),
        Kind::ConfigurePush(of) => configuration::push(of),
        Kind::ApplyTemplate(of) => configuration::apply(of),
        Kind::VerifyConfiguration(of) => configuration::verify(of),
        Kind::RotateKeys(of) => Ok(plan_of("rotate_keys", true, false, keys::rotation(of)?)),
        // Nothing but associations is sent.
        Kind::RecoverKeys(_) => Ok(plan_of("recover_keys", false, false, RecoverKeys)),
        Kind::SetSecurityPolicy(of) => Ok(plan_of("set_security_policy", true, false, keys::policy(of)?)),
        Kind::Commission(of) => lifecycle::commission(of),
        Kind::Decommission(of) => lifecycle::decommission(of),
        Kind::UpdateFirmware(of) => firmware::update(of),
        Kind::ActivateFirmware(of) => firmware::activate(of),
        Kind::GetFirmwareVersions(of) => firmware::versions(of),
    }
}

/// The attributes of a template.
pub(in crate::api) fn template(of: Option<&v1::ConfigurationTemplate>) -> Parsed<Vec<SetAttribute>> {
    configuration::template(of)
}

/// Whether a specification changes keys, or what its meters demand of those who talk to them.
pub(super) fn changes_keys(spec: &JobSpec) -> bool {
    let renews = match spec.kind.as_ref() {
        Some(Kind::RotateKeys(_) | Kind::RecoverKeys(_) | Kind::SetSecurityPolicy(_)) => true,
        Some(Kind::Commission(of)) => of.rotate_keys.is_some(),
        Some(Kind::Decommission(of)) => of.destroy_keys,
        _ => false,
    };
    renews || holds_keys(spec)
}

/// Whether a specification changes what is registered.
pub(super) const fn changes_registry(spec: &JobSpec) -> bool {
    matches!(spec.kind, Some(Kind::Commission(_) | Kind::Decommission(_)))
}

/// Whether a specification changes keys by itself, in values of its own. One that is wrong is refused where it is planned.
pub(super) fn holds_keys(spec: &JobSpec) -> bool {
    let operation = match spec.kind.as_ref() {
        Some(Kind::SetAttributes(of)) => set_attributes(of),
        Some(Kind::InvokeMethod(of)) => invoke_method(of),
        Some(Kind::Bundle(of)) => bundle(of),
        Some(Kind::Commission(of)) => match &of.template {
            Some(template) => configuration::template(Some(template)).map(Operation::SetAttributes),
            None => return false,
        },
        Some(Kind::ApplyTemplate(of)) => configuration::template(of.template.as_ref()).map(Operation::SetAttributes),
        _ => return false,
    };
    operation.is_ok_and(|operation| operation.has_guard(Guard::Keys))
}

pub(super) fn plan_of(kind: &'static str, mutating: bool, interrupts: bool, procedure: impl Procedure) -> Plan {
    Plan { kind, mutating, interrupts, waves: None, procedure: Arc::new(procedure) }
}

pub(super) fn object_or(text: &str, default: ObisCode) -> Parsed<ObisCode> {
    if text.is_empty() { Ok(default) } else { parse::obis(text) }
}

pub(super) fn seconds(field: &str, duration: Option<&prost_types::Duration>) -> Parsed<Option<u32>> {
    let Some(duration) = duration else { return Ok(None) };
    let seconds = u32::try_from(duration.seconds).ok().filter(|_| duration.nanos == 0);
    seconds.map(Some).ok_or_else(|| format!("{field}: is in whole seconds, from 0 to 4294967295"))
}

fn problem(status: Status) -> String {
    status.message().to_owned()
}

pub(super) fn registers_of(registers: &[v1::RegisterSelector]) -> Parsed<Vec<RegisterRef>> {
    if registers.is_empty() {
        return Ok(Vec::new());
    }
    if registers.len() > ITEMS {
        return Err(format!("registers: at most {ITEMS}"));
    }
    let request = ReadRegistersRequest { meter: ANY_METER.to_owned(), registers: registers.to_vec() };
    Ok(ask::registers(&request).map_err(problem)?.1)
}

fn read_registers(of: &v1::ReadRegistersSpec) -> Parsed<Operation> {
    let request = ReadRegistersRequest { meter: ANY_METER.to_owned(), registers: of.registers.clone() };
    Ok(Operation::ReadRegisters(ask::registers(&request).map_err(problem)?.1))
}

fn read_profile(of: &v1::ReadProfileSpec) -> Parsed<Operation> {
    let selection = of.selection.as_ref().map(|selection| match selection {
        read_profile_spec::Selection::Range(range) => read_profile_request::Selection::Range(*range),
        read_profile_spec::Selection::Entries(entries) => read_profile_request::Selection::Entries(*entries),
    });
    let request = ReadProfileRequest { meter: ANY_METER.to_owned(), profile: of.profile.clone(), selection };
    Ok(Operation::ReadProfile(ask::profile(&request).map_err(problem)?.1))
}

fn get_attributes(of: &v1::GetAttributesSpec) -> Parsed<Operation> {
    let request = GetAttributesRequest { meter: ANY_METER.to_owned(), attributes: of.attributes.clone() };
    Ok(Operation::GetAttributes(ask::attributes(&request).map_err(problem)?.1))
}

pub(super) fn set_attributes(of: &v1::SetAttributesSpec) -> Parsed<Operation> {
    let (meter, assignments) = (ANY_METER.to_owned(), of.assignments.clone());
    let request = SetAttributesRequest { meter, assignments, request_id: String::new() };
    Ok(Operation::SetAttributes(ask::assignments(&request).map_err(problem)?.1))
}

fn invoke_method(of: &v1::InvokeMethodSpec) -> Parsed<Operation> {
    let request = InvokeMethodRequest {
        meter: ANY_METER.to_owned(),
        class_id: of.class_id,
        obis: of.obis.clone(),
        method: of.method,
        parameter: of.parameter.clone(),
        request_id: String::new(),
    };
    Ok(Operation::InvokeMethod(ask::method(&request).map_err(problem)?.1))
}

pub(in crate::api) fn bundle(of: &v1::BundleSpec) -> Parsed<Operation> {
    if !(1..=ITEMS).contains(&of.items.len()) {
        return Err(format!("items: from 1 to {ITEMS}, not {}", of.items.len()));
    }
    let item = |(n, item): (usize, &v1::BundleItem)| {
        let kind = item.kind.as_ref().ok_or_else(|| format!("items[{n}]: has no field set"))?;
        let operation = match kind {
            bundle_item::Kind::ReadRegisters(of) => read_registers(of),
            bundle_item::Kind::ReadProfile(of) => read_profile(of),
            bundle_item::Kind::GetAttributes(of) => get_attributes(of),
            bundle_item::Kind::SetAttributes(of) => set_attributes(of),
            bundle_item::Kind::InvokeMethod(of) => invoke_method(of),
        };
        operation.map_err(|error| format!("items[{n}].{error}"))
    };
    let operations = of.items.iter().enumerate().map(item).collect::<Parsed<_>>()?;
    Ok(Operation::Bundle { operations, stop_on_error: of.stop_on_error })
}
