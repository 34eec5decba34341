//! Shipment files of simulated fleets, imported and read with what they say; groups of what was imported.

use std::sync::Arc;

use dlms_meter_server::simulator::{
    Addressing, BuiltInModel, Fleet, FleetConfig, Group, KeySource, MasterSeed, SiteConfig, TransportKey,
};
use dlms_proto::v1::{
    self, CreateGroupRequest, ImportCounts, ImportErrorReason, ImportMetersRequest, ImportMetersResponse,
    ImportOptions, ListMetersRequest, Target, group, import_meters_request::Part, job_spec, jobs_client::JobsClient,
    target,
};
use futures_util::stream;
use tonic::{Code, Status};
use zeroize::Zeroizing;

use crate::support::{PATIENCE, Running, fields, plain, quick};

const TRANSPORT: [u8; 16] = [0x24; 16];

fn group(name: &str, meters: u32, site: Option<SiteConfig>) -> Group {
    let model = Arc::new(BuiltInModel::find("idis-three-phase").unwrap().model().unwrap());
    let group = FleetConfig { model, meters, ..FleetConfig::default() }.group();
    let keys = KeySource::Derived(Arc::new(MasterSeed::new([0x5A; 32])));
    Group { name: name.to_owned(), keys, site, ..group }
}

/// Households with a port each, and a cellar whose meters are behind one gateway.
async fn fleet() -> Fleet {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let behind = SiteConfig { addressing: Addressing::Gateway { baud: 115_200 }, tcp: any, ..SiteConfig::default() };
    let groups = vec![group("households", 3, None), group("cellar", 2, Some(behind))];
    Fleet::start_groups(FleetConfig { tcp: any, ..FleetConfig::default() }, groups).await.unwrap()
}

fn shipment(fleet: &Fleet, transport: bool) -> Vec<u8> {
    let key = TransportKey::new(Zeroizing::new(TRANSPORT.to_vec()));
    let mut file = Vec::new();
    fleet.write_wrapped_shipment(&mut file, key.as_ref().filter(|_| transport)).unwrap();
    file
}

/// Imports a file in chunks that cut its lines anywhere; all messages that come back.
async fn import(running: &Running, options: ImportOptions, file: &[u8]) -> Result<Vec<ImportMetersResponse>, Status> {
    let chunks = file.chunks(777).map(|chunk| Part::Chunk(chunk.to_vec()));
    send(running, [Part::Options(options)].into_iter().chain(chunks).collect()).await
}

async fn send(running: &Running, parts: Vec<Part>) -> Result<Vec<ImportMetersResponse>, Status> {
    let requests = stream::iter(parts.into_iter().map(|part| ImportMetersRequest { part: Some(part) }));
    let mut answers = running.registry().import_meters(requests).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = answers.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

fn counts(messages: &[ImportMetersResponse]) -> ImportCounts {
    let last = messages.last().unwrap();
    assert!(last.done && messages.iter().filter(|message| message.done).count() == 1);
    last.counts.unwrap()
}

async fn names(running: &Running) -> Vec<String> {
    let listed = running.registry().list_meters(ListMetersRequest::default()).await.unwrap().into_inner();
    listed.meters.into_iter().map(|meter| meter.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipment_with_wrapped_keys_is_imported_once_and_every_meter_of_it_read() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet().await;
    let running = Running::with(quick(folder.path())).await;
    let file = shipment(&fleet, true);
    let options = ImportOptions { transport_key: TRANSPORT.to_vec(), ..ImportOptions::default() };

    let dry = ImportOptions { dry_run: true, ..options.clone() };
    let found = counts(&import(&running, dry.clone(), &file).await.unwrap());
    assert_eq!((found.lines, found.created, found.refused), (5, 5, 0));
    assert_eq!(names(&running).await, [""; 0], "a dry run writes nothing");

    let found = counts(&import(&running, options.clone(), &file).await.unwrap());
    assert_eq!((found.lines, found.created), (5, 5));
    let again = counts(&import(&running, options.clone(), &file).await.unwrap());
    assert_eq!((again.created, again.unchanged, again.refused), (0, 5, 0), "the same file again");

    // Every meter answers with its own keys, those behind the gateway too.
    let meters = names(&running).await;
    let ids = meters.clone();
    let register = v1::RegisterSelector { obis: "1-0:1.8.0".to_owned(), class_id: 3 };
    for meter in ids {
        let request = v1::ReadRegistersRequest { meter: meter.clone(), registers: vec![register.clone()] };
        let read = running.reading().read_registers(request).await.unwrap().into_inner();
        assert_eq!(read.results[0].result(), v1::Result::Succeeded, "{meter}: {read:?}");
    }
    let octets = std::fs::read(folder.path().join("data/control.sqlite3")).unwrap();
    let plain = String::from_utf8(shipment(&fleet, false)).unwrap();
    let line: serde_json::Value = serde_json::from_str(plain.lines().nth(1).unwrap()).unwrap();
    let key = hex::decode(line["keys"]["guek"].as_str().unwrap()).unwrap();
    assert!(!octets.windows(16).any(|part| part == key), "a key in the store");

    // The keys of a registered meter are not replaced, whatever the options.
    let tampered = plain.replace(line["keys"]["guek"].as_str().unwrap(), &"0".repeat(32));
    let update = ImportOptions { update_existing: true, ..ImportOptions::default() };
    let messages = import(&running, update, tampered.as_bytes()).await.unwrap();
    let found = counts(&messages);
    assert_eq!((found.unchanged, found.refused), (4, 1), "{messages:?}");
    let error = &messages.iter().flat_map(|message| &message.errors).next().unwrap();
    assert_eq!((error.line, error.reason(), error.meter.as_str()), (2, ImportErrorReason::OtherKeys, &*meters[0]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_with_a_mistake_is_told_and_the_others_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet().await;
    let running = Running::with(quick(folder.path())).await;
    let file = String::from_utf8(shipment(&fleet, false)).unwrap();
    let mut lines: Vec<String> = file.lines().map(ToOwned::to_owned).collect();
    lines[1] = lines[1].replace("\"security_suite\":0", "\"security_suite\":9");
    lines[3] = "no record".to_owned();
    let messages = import(&running, ImportOptions::default(), lines.join("\n").as_bytes()).await.unwrap();
    let found = counts(&messages);
    assert_eq!((found.lines, found.created, found.refused), (5, 3, 2));
    let mut errors: Vec<_> = messages.iter().flat_map(|message| &message.errors).collect();
    errors.sort_by_key(|error| error.line);
    assert_eq!((errors[0].line, errors[0].field.as_str()), (2, "security.suite"));
    assert_eq!((errors[1].line, errors[1].reason()), (4, ImportErrorReason::Record));

    // Mended, the file is imported as a whole.
    let found = counts(&import(&running, ImportOptions::default(), file.as_bytes()).await.unwrap());
    assert_eq!((found.created, found.unchanged), (2, 3));

    // Another address is told, and taken over where that is asked for.
    let moved = file.replace("127.0.0.1", "127.0.0.2");
    let messages = import(&running, ImportOptions::default(), moved.as_bytes()).await.unwrap();
    assert_eq!(counts(&messages).refused, 5);
    assert_eq!(
        (messages[0].errors[0].field.as_str(), messages[0].errors[0].reason()),
        ("link", ImportErrorReason::Differs)
    );
    let update = ImportOptions { update_existing: true, ..ImportOptions::default() };
    assert_eq!(counts(&import(&running, update, moved.as_bytes()).await.unwrap()).updated, 5);

    for (file, field) in [(&b"serial;key\n"[..], "chunk"), (b"{}\n", "chunk")] {
        let refused = import(&running, ImportOptions::default(), file).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let late = send(&running, vec![Part::Chunk(Vec::new()), Part::Options(ImportOptions::default())]).await;
    assert_eq!(fields(&late.unwrap_err()), ["options"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_imported_by_the_thousand() {
    const METERS: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::with(quick(folder.path())).await;
    let mut parts: Vec<_> = (0..METERS).map(|n| Part::Record(plain(&format!("m{n:05}"), "127.0.0.1:1"))).collect();
    parts.push(Part::Record(plain("m00000", "127.0.0.1:1")));
    parts.push(Part::Record(v1::Meter::default()));
    let began = std::time::Instant::now();
    let messages = send(&running, parts).await.unwrap();
    println!("{METERS} meters in {:?}", began.elapsed());
    let found = counts(&messages);
    assert_eq!((found.lines, found.created, found.unchanged, found.refused), (METERS as u64 + 2, METERS as u64, 1, 1));
    assert!(messages.len() >= 2, "progress while it goes on");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_select_meters_for_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet().await;
    let running = Running::with(quick(folder.path())).await;
    import(&running, ImportOptions::default(), &shipment(&fleet, false)).await.unwrap();
    let mut registry = running.registry();
    let labels = [("group".to_owned(), "cellar".to_owned())].into();
    let cellar = v1::Group {
        name: "groups/cellar".into(),
        members: Some(group::Members::Selector(v1::MeterSelector { labels })),
        ..Default::default()
    };
    let create = CreateGroupRequest { group: Some(cellar.clone()) };
    let made = registry.create_group(create.clone()).await.unwrap().into_inner();
    assert_eq!((made.name.as_str(), made.members), ("groups/cellar", cellar.members));
    assert_eq!(registry.create_group(create).await.unwrap_err().code(), Code::AlreadyExists);
    let nobody = v1::Group { name: "nobody".into(), ..Default::default() };
    let refused = registry.create_group(CreateGroupRequest { group: Some(nobody) }).await.unwrap_err();
    assert_eq!(fields(&refused), ["group.name", "group.members"]);

    let mut jobs = JobsClient::new(running.channel.clone());
    let ping = v1::JobSpec { kind: Some(job_spec::Kind::Ping(v1::PingSpec {})) };
    let submit = |name: &str| v1::SubmitRequest {
        target: Some(Target { kind: Some(target::Kind::Group(name.to_owned())) }),
        spec: Some(ping.clone()),
        instruction: None,
    };
    assert_eq!(jobs.submit(submit("groups/attic")).await.unwrap_err().code(), Code::NotFound);
    let job = jobs.submit(submit("groups/cellar")).await.unwrap().into_inner();
    assert_eq!(job.counts.unwrap().total, 2);
    let watch = v1::WatchJobRequest { name: job.name, ..Default::default() };
    let mut progress = jobs.watch(watch).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = tokio::time::timeout(PATIENCE, progress.message()).await.unwrap().unwrap() {
        last = message.job;
    }
    assert_eq!(last.unwrap().counts.unwrap().succeeded, 2);

    registry.delete_group(v1::DeleteGroupRequest { name: "groups/cellar".into() }).await.unwrap();
    assert!(registry.list_groups(v1::ListGroupsRequest::default()).await.unwrap().into_inner().groups.is_empty());
    running.stop().await;
}
