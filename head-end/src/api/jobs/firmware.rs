//! Jobs that concern firmware: their specifications, and what they give.

use std::{sync::Arc, time::Duration};

use dlms::obis::ObisCode;
use dlms_proto::v1::{self, ActivateFirmwareSpec, FirmwareActivation, GetFirmwareVersionsSpec, UpdateFirmwareSpec};
use jiff::SignedDuration;

use super::spec::{Parsed, object_or, plan_of, seconds};
use crate::{
    api::parse,
    jobs::{
        Canary, FirmwareReport, FirmwareStep, FirmwareVersion, Plan, WavePolicy,
        procedures::firmware::{Activation, ReadVersions, UpdateFirmware, VERSIONS},
    },
    store::ImageId,
};

const IMAGE_TRANSFER: ObisCode = ObisCode([0, 0, 44, 0, 0, 255]);
const ACTIVE_IDENTIFIER: ObisCode = ObisCode([1, 0, 0, 2, 0, 255]);
/// How long a meter may take to verify, and to activate.
const PATIENCE_S: u32 = 1_800;
/// Meters of the first wave by name, numbers of waves, and firmware identifiers, at most.
const CANARY: usize = 1_000;
const SIZES: usize = 100;
const OBJECTS: usize = 64;

pub(super) fn update(of: &UpdateFirmwareSpec) -> Parsed<Plan> {
    let activation = match FirmwareActivation::try_from(of.activation).map_err(|_| "activation: is none")? {
        FirmwareActivation::Unspecified | FirmwareActivation::OnRequest => Activation::OnRequest,
        FirmwareActivation::Immediate => Activation::Immediate,
        FirmwareActivation::At => {
            let when = of.activate_time.as_ref().ok_or("activate_time: is required")?;
            Activation::At(parse::timestamp(when).map_err(|error| format!("activate_time: {error}"))?)
        }
    };
    let procedure = UpdateFirmware {
        image: image(&of.image)?,
        object: object_or(&of.object, IMAGE_TRANSFER)?,
        identifier: object_or(&of.identifier, ACTIVE_IDENTIFIER)?,
        transfer: true,
        activation,
        verify_timeout: patience("verify_timeout", of.verify_timeout.as_ref())?,
        activate_timeout: patience("activate_timeout", of.activate_timeout.as_ref())?,
    };
    let waves = waves(&of.waves.clone().unwrap_or_default())?;
    Ok(Plan {
        kind: "update_firmware",
        mutating: true,
        interrupts: false,
        waves: Some(waves),
        procedure: Arc::new(procedure),
    })
}

pub(super) fn activate(of: &ActivateFirmwareSpec) -> Parsed<Plan> {
    let procedure = UpdateFirmware {
        image: image(&of.image)?,
        object: object_or(&of.object, IMAGE_TRANSFER)?,
        identifier: object_or(&of.identifier, ACTIVE_IDENTIFIER)?,
        transfer: false,
        activation: Activation::Immediate,
        verify_timeout: Duration::ZERO,
        activate_timeout: patience("activate_timeout", of.activate_timeout.as_ref())?,
    };
    Ok(plan_of("activate_firmware", true, false, procedure))
}

pub(super) fn versions(of: &GetFirmwareVersionsSpec) -> Parsed<Plan> {
    if of.objects.len() > OBJECTS {
        return Err(format!("objects: at most {OBJECTS}"));
    }
    let objects = match of.objects.is_empty() {
        true => VERSIONS.to_vec(),
        false => of.objects.iter().map(|object| parse::obis(object)).collect::<Parsed<_>>()?,
    };
    Ok(plan_of("get_firmware_versions", false, false, ReadVersions { objects }))
}

fn image(name: &str) -> Parsed<ImageId> {
    let id = name.strip_prefix("images/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| "image: is of the form images/{image}".to_owned())
}

fn patience(field: &str, of: Option<&prost_types::Duration>) -> Parsed<Duration> {
    let seconds = seconds(field, of)?.unwrap_or(PATIENCE_S);
    if seconds == 0 {
        return Err(format!("{field}: is at least a second"));
    }
    Ok(Duration::from_secs(seconds.into()))
}

fn waves(of: &v1::WavePolicy) -> Parsed<WavePolicy> {
    let canary = match (of.canary, of.canary_meters.as_slice()) {
        (0, []) => Canary::Count(5),
        (count, []) => Canary::Count(count.into()),
        (0, meters) if meters.len() <= CANARY => {
            let name = |name: &String| parse::meter_name(name).map_err(|error| format!("canary_meters: {error}"));
            Canary::Meters(meters.iter().map(name).collect::<Parsed<_>>()?)
        }
        (0, _) => return Err(format!("waves.canary_meters: at most {CANARY}")),
        _ => return Err("waves.canary: is not possible together with canary_meters".to_owned()),
    };
    let sizes: Vec<u64> = match of.sizes.as_slice() {
        [] => vec![50, 500, 5_000],
        sizes if sizes.len() <= SIZES && !sizes.contains(&0) => sizes.iter().map(|size| u64::from(*size)).collect(),
        _ => return Err(format!("waves.sizes: up to {SIZES} numbers from 1")),
    };
    let pause = seconds("waves.pause", of.pause.as_ref())?.unwrap_or(3_600);
    let failures_percent = match of.max_failures_percent {
        0 => 10,
        percent => u8::try_from(percent)
            .ok()
            .filter(|percent| *percent <= 100)
            .ok_or("waves.max_failures_percent: is from 1 to 100, or 0 for the default")?,
    };
    Ok(WavePolicy { canary, sizes, pause: SignedDuration::from_secs(pause.into()), failures_percent })
}

pub(super) fn outcome(report: &FirmwareReport) -> v1::FirmwareOutcome {
    let step = match report.step {
        FirmwareStep::UpToDate => v1::FirmwareStep::UpToDate,
        FirmwareStep::Verified => v1::FirmwareStep::Verified,
        FirmwareStep::Activated => v1::FirmwareStep::Activated,
    };
    v1::FirmwareOutcome {
        image: report.image.resource_name(),
        step: step.into(),
        version_before: report.before.clone().unwrap_or_default(),
        version_after: report.after.clone().unwrap_or_default(),
        blocks: report.blocks,
        blocks_sent: report.sent,
        resumed: report.resumed,
    }
}

pub(super) fn read(versions: &[FirmwareVersion]) -> v1::FirmwareVersions {
    let version =
        |of: &FirmwareVersion| v1::FirmwareVersion { object: of.object.to_string(), version: of.version.clone() };
    v1::FirmwareVersions { versions: versions.iter().map(version).collect() }
}
