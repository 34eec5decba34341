//! Jobs that take meters into service and out of it.

use dlms_proto::v1::{self, CommissionSpec, DecommissionSpec, LifecycleOutcome, lifecycle_step};

use super::{
    configuration,
    spec::{Parsed, plan_of, registers_of},
};
use crate::{
    api::{keys, meter, parse, parse::to_timestamp, reading::answer, result},
    jobs::{
        LifecycleReport, LifecycleStep, Plan, StepKind, StepResult,
        procedures::{Commission, Decommission},
    },
    operation::Guard,
};

/// Takes a wrong part of a specification for a wrong field of it.
fn inside<T>(field: &str, parsed: Parsed<T>) -> Parsed<T> {
    parsed.map_err(|problem| format!("{field}.{problem}"))
}

pub(super) fn commission(of: &CommissionSpec) -> Parsed<Plan> {
    let rotate = of.rotate_keys.as_ref().map(|of| inside("rotate_keys", keys::rotation(of))).transpose()?;
    let clock = of.clock.as_ref().map(|of| inside("clock", configuration::clock_of(of))).transpose()?;
    let push = of.push.as_ref().map(|of| inside("push", configuration::push_of(of))).transpose()?;
    let template = of.template.as_ref().map(|of| configuration::template_of(Some(of))).transpose()?;
    // What may take supply away is guarded as DisconnectSupply is, also as a part.
    let interrupts = [&push, &template]
        .into_iter()
        .flatten()
        .any(|part| part.assignments.iter().any(|set| set.guard() == Some(Guard::Supply)));
    let procedure = Commission {
        trust_unidentified: of.trust_unidentified,
        without_public_client: of.without_public_client,
        rotate,
        clock,
        push,
        template,
        registers: registers_of(&of.registers)?,
    };
    Ok(plan_of("commission", true, interrupts, procedure))
}

pub(super) fn decommission(of: &DecommissionSpec) -> Parsed<Plan> {
    let profile = match of.profile.as_str() {
        "" => None,
        profile => Some(inside("profile", parse::obis(profile))?),
    };
    let procedure = Decommission { registers: registers_of(&of.registers)?, profile, destroy_keys: of.destroy_keys };
    Ok(plan_of("decommission", true, false, procedure))
}

pub(super) fn outcome(of: &LifecycleReport) -> LifecycleOutcome {
    LifecycleOutcome {
        steps: of.steps.iter().map(step).collect(),
        status: meter::lifecycle(of.status).into(),
        registers: of.registers.iter().map(|(obis, item)| answer::register(*obis, item)).collect(),
    }
}

fn step(of: &LifecycleStep) -> v1::LifecycleStep {
    use lifecycle_step::{Kind, Result};
    let kind = match of.kind {
        StepKind::Identify => Kind::Identify,
        StepKind::Associate => Kind::Associate,
        StepKind::RotateKeys => Kind::RotateKeys,
        StepKind::DiscoverObjects => Kind::DiscoverObjects,
        StepKind::SetClock => Kind::SetClock,
        StepKind::ConfigurePush => Kind::ConfigurePush,
        StepKind::ApplyTemplate => Kind::ApplyTemplate,
        StepKind::ReadRegisters => Kind::ReadRegisters,
        StepKind::ReadProfile => Kind::ReadProfile,
        StepKind::ChangeStatus => Kind::ChangeStatus,
        StepKind::DestroyKeys => Kind::DestroyKeys,
    };
    let ended = match of.result {
        StepResult::Done => Result::Done,
        StepResult::DoneBefore => Result::DoneBefore,
        StepResult::Skipped => Result::Skipped,
        StepResult::Failed => Result::Failed,
    };
    v1::LifecycleStep {
        kind: kind.into(),
        result: ended.into(),
        detail: of.detail.clone(),
        failure: of.failure.as_ref().map(result::failure),
        time: Some(to_timestamp(of.at)),
    }
}
