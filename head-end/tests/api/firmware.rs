//! Firmware campaigns on simulated meters, over sockets.

use std::time::Duration;

use dlms::id::ServerSap;
use dlms_meter_server::{
    objects::ImageState,
    simulator::{DefectKind, Fleet, FleetConfig, make_image},
};
use dlms_proto::v1::{
    self, ActivateFirmwareRequest, Campaign, CampaignState, CreateCampaignRequest, FirmwareActivation, FirmwareStep,
    GetCampaignRequest, GetFirmwareVersionsRequest, ImageHeader, Instruction, MeterSelector, Target, Task,
    UploadImageRequest, WavePolicy, firmware_client::FirmwareClient, jobs_client::JobsClient,
    meter_registry_client::MeterRegistryClient, target, task_outcome::Kind, upload_image_request::Part,
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    cli,
    support::{PATIENCE, Running, fields, info, managed, simulated, tcp},
};

/// Where the simulated meters show the version of what was activated.
const IDENTIFIER: &str = "1-1:0.2.0";
const OLD: &str = "SIM-A-3.0.7";
const NEW: &str = "SIM-A-3.1.0";
/// Octets of a block of the simulated meters.
const BLOCK: usize = 200;

fn image(payload: usize) -> Vec<u8> {
    make_image("SIM3PH", NEW, &vec![0xA5; payload], None).unwrap()
}

async fn upload(channel: &Channel, header: ImageHeader, octets: &[u8]) -> Result<v1::FirmwareImage, Status> {
    let part = |part| UploadImageRequest { part: Some(part) };
    let mut parts = vec![part(Part::Header(header))];
    parts.extend(octets.chunks(50_000).map(|octets| part(Part::Octets(octets.to_vec()))));
    let answer = FirmwareClient::new(channel.clone()).upload_image(futures_util::stream::iter(parts)).await?;
    Ok(answer.into_inner())
}

fn header() -> ImageHeader {
    ImageHeader { identification: b"A-3.1.0".to_vec(), version: NEW.to_owned(), ..Default::default() }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn within_an_hour() -> Option<Instruction> {
    let seconds = jiff::Timestamp::now().as_second() + 3_600;
    Some(Instruction { expires_at: Some(prost_types::Timestamp { seconds, nanos: 0 }), ..Instruction::default() })
}

fn everybody() -> Option<Target> {
    Some(Target { kind: Some(target::Kind::Selector(MeterSelector::default())) })
}

fn spec(image: &str, activation: FirmwareActivation, sizes: &[u32]) -> v1::UpdateFirmwareSpec {
    v1::UpdateFirmwareSpec {
        image: image.to_owned(),
        identifier: IDENTIFIER.to_owned(),
        activation: activation.into(),
        waves: Some(WavePolicy { canary: 1, sizes: sizes.to_vec(), pause: seconds(0), ..Default::default() }),
        ..Default::default()
    }
}

async fn create(channel: &Channel, spec: v1::UpdateFirmwareSpec) -> Result<Campaign, Status> {
    let request = CreateCampaignRequest { target: everybody(), spec: Some(spec), instruction: within_an_hour() };
    Ok(FirmwareClient::new(channel.clone()).create_campaign(request).await?.into_inner())
}

/// The campaign once it is as `until` wants it.
async fn await_campaign(channel: &Channel, name: &str, until: impl Fn(&Campaign) -> bool) -> Campaign {
    let wait = async {
        loop {
            let request = GetCampaignRequest { name: name.to_owned() };
            let campaign = FirmwareClient::new(channel.clone()).get_campaign(request).await.unwrap().into_inner();
            if until(&campaign) {
                return campaign;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 4, wait).await.expect("the campaign comes so far")
}

async fn tasks(channel: &Channel, campaign: &Campaign) -> Vec<Task> {
    let job = campaign.job.clone().unwrap().name;
    let request = v1::ListResultsRequest { job, ..Default::default() };
    JobsClient::new(channel.clone()).list_results(request).await.unwrap().into_inner().tasks
}

fn outcome(task: &Task) -> v1::FirmwareOutcome {
    match task.outcome.clone().and_then(|outcome| outcome.kind) {
        Some(Kind::Firmware(outcome)) => outcome,
        other => panic!("{other:?} of {task:?}"),
    }
}

async fn with_meters(folder: &std::path::Path, fleet: &Fleet) -> Running {
    let running = Running::start(folder).await;
    for number in 0..fleet.devices().len() {
        running.create(managed(&format!("m{number}"), &tcp(fleet, number))).await.unwrap();
    }
    running
}

/// Blocks that a simulated meter has.
fn blocks(fleet: &Fleet, number: usize) -> u32 {
    fleet.devices()[number].with(|device| {
        let meter = device.meter(ServerSap::MANAGEMENT).unwrap();
        meter.image().bitmap().iter().map(|octet| octet.count_ones()).sum()
    })
}

#[tokio::test]
async fn a_campaign_brings_firmware_to_all_meters_wave_by_wave() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(4).await;
    let running = with_meters(folder.path(), &fleet).await;
    let octets = image(100_000);
    let uploaded = upload(&running.channel, header(), &octets).await.unwrap();
    assert_eq!((uploaded.size as usize, uploaded.version.as_str()), (octets.len(), NEW));
    assert_eq!(upload(&running.channel, header(), &octets).await.unwrap(), uploaded, "the same again");

    let made = create(&running.channel, spec(&uploaded.name, FirmwareActivation::Immediate, &[2])).await.unwrap();
    assert_eq!(made.job.clone().unwrap().priority(), v1::Priority::Low);
    let mut firmware = FirmwareClient::new(running.channel.clone());
    let delete = v1::DeleteImageRequest { name: uploaded.name.clone() };
    let refused = firmware.delete_image(delete.clone()).await.unwrap_err();
    assert_eq!((refused.code(), info(&refused).reason.as_str()), (Code::FailedPrecondition, "IN_USE"));
    let done = await_campaign(&running.channel, &made.name, |of| of.state() == CampaignState::Finished).await;
    assert_eq!((done.wave, done.released, done.job.clone().unwrap().counts.unwrap().succeeded), (2, 4, 4));
    let ended = tasks(&running.channel, &done).await;
    for task in &ended {
        let outcome = outcome(task);
        let versions = (outcome.version_before.as_str(), outcome.version_after.as_str());
        assert_eq!((outcome.step(), versions), (FirmwareStep::Activated, (OLD, NEW)));
        let blocks = u32::try_from(octets.len().div_ceil(BLOCK)).unwrap();
        assert_eq!((outcome.blocks, outcome.blocks_sent, outcome.resumed), (blocks, blocks, false));
    }
    let ends: Vec<_> = ended.iter().map(|task| task.end_time.map(|time| (time.seconds, time.nanos)).unwrap()).collect();
    assert!(ends[0] < ends[1] && ends[0] < ends[2] && ends[1].max(ends[2]) < ends[3], "{ends:?}");

    let request = GetFirmwareVersionsRequest {
        target: Some(Target { kind: Some(target::Kind::Meter("meters/m0".to_owned())) }),
        ..Default::default()
    };
    let task = firmware.get_firmware_versions(request).await.unwrap().into_inner().task.unwrap();
    let Some(Kind::FirmwareVersions(read)) = task.outcome.clone().unwrap().kind else { panic!("{task:?}") };
    assert!(read.versions.iter().any(|one| one.object == "1.1.0.2.0.255" && one.version == NEW), "{read:?}");

    // Who runs it already is left alone.
    let again = create(&running.channel, spec(&uploaded.name, FirmwareActivation::Immediate, &[9])).await.unwrap();
    let again = await_campaign(&running.channel, &again.name, |of| of.state() == CampaignState::Finished).await;
    for task in tasks(&running.channel, &again).await {
        assert_eq!((outcome(&task).step(), outcome(&task).blocks_sent), (FirmwareStep::UpToDate, 0));
    }
    let listed = firmware.list_campaigns(v1::ListCampaignsRequest::default()).await.unwrap().into_inner().campaigns;
    assert_eq!(listed.iter().map(|of| &of.name).collect::<Vec<_>>(), [&again.name, &made.name]);
    firmware.delete_image(delete).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_verified_image_waits_until_it_is_activated_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(1).await;
    let running = with_meters(folder.path(), &fleet).await;
    let uploaded = upload(&running.channel, header(), &image(2_000)).await.unwrap();
    let mut firmware = FirmwareClient::new(running.channel.clone());
    let activate = |image: &str| ActivateFirmwareRequest {
        target: Some(Target { kind: Some(target::Kind::Meter("meters/m0".to_owned())) }),
        spec: Some(v1::ActivateFirmwareSpec {
            image: image.to_owned(),
            identifier: IDENTIFIER.to_owned(),
            ..Default::default()
        }),
        instruction: within_an_hour(),
    };
    let early = firmware.activate_firmware(activate(&uploaded.name)).await.unwrap().into_inner().task.unwrap();
    assert_eq!(early.result(), v1::Result::MeterRefused, "nothing is verified yet: {early:?}");

    let made = create(&running.channel, spec(&uploaded.name, FirmwareActivation::OnRequest, &[])).await.unwrap();
    let done = await_campaign(&running.channel, &made.name, |of| of.state() == CampaignState::Finished).await;
    let verified = outcome(&tasks(&running.channel, &done).await[0]);
    assert_eq!((verified.step(), verified.version_after.as_str()), (FirmwareStep::Verified, OLD));

    // The same image again: the meter has it, and nothing is sent.
    let again = create(&running.channel, spec(&uploaded.name, FirmwareActivation::OnRequest, &[])).await.unwrap();
    let again = await_campaign(&running.channel, &again.name, |of| of.state() == CampaignState::Finished).await;
    let again = outcome(&tasks(&running.channel, &again).await[0]);
    assert_eq!((again.step(), again.blocks_sent, again.resumed), (FirmwareStep::Verified, 0, true));

    let done = firmware.activate_firmware(activate(&uploaded.name)).await.unwrap().into_inner().task.unwrap();
    assert_eq!((outcome(&done).step(), outcome(&done).version_after.as_str()), (FirmwareStep::Activated, NEW));
    running.stop().await;
}

#[tokio::test]
async fn a_campaign_stops_when_the_canary_fails_and_goes_on_or_ends_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(3).await;
    let break_at =
        |number: usize, kind| fleet.devices()[number].with(|device| device.suffer(ServerSap::MANAGEMENT, kind));
    break_at(0, DefectKind::BadImage).unwrap();
    break_at(1, DefectKind::FailedActivation).unwrap();
    let running = with_meters(folder.path(), &fleet).await;
    let uploaded = upload(&running.channel, header(), &image(2_000)).await.unwrap();
    let made = create(&running.channel, spec(&uploaded.name, FirmwareActivation::Immediate, &[1])).await.unwrap();
    let stopped = await_campaign(&running.channel, &made.name, |of| of.state() == CampaignState::Stopped).await;
    assert_eq!(stopped.stop_reason, "1 of 1 meters failed, more than 10 %");
    let ended = tasks(&running.channel, &stopped).await;
    assert_eq!(ended[0].result(), v1::Result::MeterRefused);
    assert_eq!(ended[0].failure.clone().unwrap().message, "the meter could not verify the image");
    assert_eq!((ended[1].state(), blocks(&fleet, 1)), (v1::TaskState::Waiting, 0), "held");

    let mut firmware = FirmwareClient::new(running.channel.clone());
    let resume = v1::ResumeCampaignRequest { name: made.name.clone(), reason: "looked at".to_owned() };
    firmware.resume_campaign(resume).await.unwrap();
    let stopped = await_campaign(&running.channel, &made.name, |of| of.state() == CampaignState::Stopped).await;
    assert_eq!(stopped.stop_reason, "1 of 2 meters failed, more than 10 %");
    let ended = tasks(&running.channel, &stopped).await;
    assert_eq!(ended[1].failure.clone().unwrap().message, "the meter could not activate the image");

    let abort = v1::AbortCampaignRequest { name: made.name.clone(), ..Default::default() };
    firmware.abort_campaign(abort).await.unwrap();
    let aborted = await_campaign(&running.channel, &made.name, |of| of.state() == CampaignState::Aborted).await;
    let counts = aborted.job.unwrap().counts.unwrap();
    assert_eq!((counts.meter_refused, counts.cancelled, counts.total), (2, 1, 3));
    assert_eq!(blocks(&fleet, 2), 0, "the last meter was never asked");
    let pause = v1::PauseCampaignRequest { name: made.name, ..Default::default() };
    let over = firmware.pause_campaign(pause).await.unwrap_err();
    assert_eq!(info(&over).reason, "JOB_STATE");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_goes_on_behind_the_blocks_that_a_killed_head_end_had_sent() {
    let folder = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let faults = vec!["delay=5:1".parse().unwrap()];
    let fleet = Fleet::start(FleetConfig { tcp: Some(any), faults, ..FleetConfig::default() }).await.unwrap();
    let (mut child, address) = cli::serve(folder.path()).await;
    let connect =
        async |address: String| Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let channel = connect(address).await;
    let meter = managed("m0", &tcp(&fleet, 0));
    let request = v1::CreateMeterRequest { meter: Some(meter), ..Default::default() };
    MeterRegistryClient::new(channel.clone()).create_meter(request).await.unwrap();
    let octets = image(200_000);
    let total = u32::try_from(octets.len().div_ceil(BLOCK)).unwrap();
    let uploaded = upload(&channel, header(), &octets).await.unwrap();
    let made = create(&channel, spec(&uploaded.name, FirmwareActivation::Immediate, &[])).await.unwrap();
    let some = async {
        while blocks(&fleet, 0) < 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, some).await.expect("blocks arrive");
    // SIGKILL: nothing is parked or written down any more.
    child.kill().unwrap();
    child.wait().unwrap();
    let before = blocks(&fleet, 0);
    assert!((100..total).contains(&before), "it was killed in the middle: {before}");

    let (mut child, address) = cli::serve(folder.path()).await;
    let channel = connect(address).await;
    let done = await_campaign(&channel, &made.name, |of| of.state() == CampaignState::Finished).await;
    let outcome = outcome(&tasks(&channel, &done).await[0]);
    assert_eq!((outcome.step(), outcome.version_after.as_str()), (FirmwareStep::Activated, NEW));
    assert_eq!(outcome.blocks, total);
    assert!(outcome.blocks_sent <= total - before, "{before} were there: {outcome:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn while_a_long_transfer_goes_on_others_are_served_and_a_pause_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let faults = vec!["delay=10:1".parse().unwrap()];
    let fleet = Fleet::start(FleetConfig { tcp: Some(any), faults, ..FleetConfig::default() }).await.unwrap();
    let running = with_meters(folder.path(), &fleet).await;
    let uploaded = upload(&running.channel, header(), &image(200_000)).await.unwrap();
    let made = create(&running.channel, spec(&uploaded.name, FirmwareActivation::OnRequest, &[])).await.unwrap();
    let begun = async {
        while blocks(&fleet, 0) < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("blocks arrive");
    let selector = v1::RegisterSelector { obis: "1-0:1.8.0".to_owned(), class_id: 3 };
    let read = v1::ReadRegistersRequest { meter: "meters/m0".to_owned(), registers: vec![selector] };
    let read = running.reading().read_registers(read).await.unwrap().into_inner();
    assert_eq!(read.results[0].result(), v1::Result::Succeeded);
    let total = u32::try_from(uploaded.size as usize).unwrap().div_ceil(BLOCK as u32);
    assert!(blocks(&fleet, 0) < total, "the answer came between two blocks");

    let mut firmware = FirmwareClient::new(running.channel.clone());
    let pause = v1::PauseCampaignRequest { name: made.name.clone(), ..Default::default() };
    assert_eq!(firmware.pause_campaign(pause).await.unwrap().into_inner().state(), CampaignState::Paused);
    let abort = v1::AbortCampaignRequest { name: made.name.clone(), ..Default::default() };
    firmware.abort_campaign(abort).await.unwrap();
    let aborted = await_campaign(&running.channel, &made.name, |of| of.state() == CampaignState::Aborted).await;
    assert_eq!(aborted.job.unwrap().counts.unwrap().total, 1);
    running.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_or_a_campaign_is_told_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let channel = &running.channel;
    let wrong = ImageHeader { sha256: vec![7; 32], ..header() };
    assert_eq!(fields(&upload(channel, wrong, b"octets").await.unwrap_err()), ["header.sha256"]);
    assert_eq!(fields(&upload(channel, header(), b"").await.unwrap_err()), ["octets"]);
    let unnamed = ImageHeader { identification: Vec::new(), ..header() };
    assert_eq!(fields(&upload(channel, unnamed, b"octets").await.unwrap_err()), ["header.identification"]);
    let first = upload(channel, header(), b"octets").await.unwrap();
    let other = ImageHeader { version: "3.2".to_owned(), ..header() };
    assert_eq!(upload(channel, other, b"octets").await.unwrap_err().code(), Code::AlreadyExists);

    let missing = spec("images/000102030405060708090a0b0c0d0e0f", FirmwareActivation::Immediate, &[]);
    assert_eq!(create(channel, missing).await.unwrap_err().code(), Code::NotFound);
    let never = v1::UpdateFirmwareSpec {
        activate_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        ..spec(&first.name, FirmwareActivation::At, &[])
    };
    assert_eq!(fields(&create(channel, never).await.unwrap_err()), ["spec.activate_time"]);
    let waves = Some(WavePolicy { sizes: vec![0], ..Default::default() });
    let wrong = v1::UpdateFirmwareSpec { waves, ..spec(&first.name, FirmwareActivation::Immediate, &[]) };
    assert_eq!(fields(&create(channel, wrong).await.unwrap_err()), ["spec"]);
    running.stop().await;
}
