//! A head-end that is killed in the middle of a collection, and goes on where it was.
//!
//! Head-end and meters are processes of their own and meet through TCP, each meter with a port of its own.

#[cfg(feature = "postgres")]
use std::panic::AssertUnwindSafe;
use std::{path::Path, process::Stdio, time::Duration};

use dlms_proto::v1::{
    self, GetCoverageRequest, GetPlanRunRequest, Meter, Plan, PlanRun, QueryReadingsRequest, RunNowRequest,
    collection_client::CollectionClient, data_client::DataClient, meter_registry_client::MeterRegistryClient,
};
#[cfg(feature = "postgres")]
use futures_util::FutureExt;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use tonic::transport::Channel;

/// Meters whose head-end keeps files, and whose head-end keeps a database.
const METERS: usize = 1_000;
#[cfg(feature = "postgres")]
const METERS_ON_DATABASE: usize = 300;

const LOAD_PROFILE: &str = "1.0.99.1.0.255";

/// Longer than all of it takes on a busy machine; a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(240);

/// Starts the built program; it is killed when it is dropped.
fn start(arguments: &[&str], store: Option<&str>) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_head-end"));
    command.envs(store.map(|url| ("HEADEND_STORE", url)));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn serve(data: &Path, store: Option<&str>) -> (Child, Channel) {
    let data = data.to_str().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--idle-timeout", "1s", "--log", "error"];
    let (child, mut lines) = start(&arguments, store);
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap().to_owned();
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    (child, channel)
}

fn meter(number: usize, address: &str) -> Meter {
    use dlms_meter_server::simulator::Keys;
    let kind = v1::link::Kind::TcpWrapper(v1::IpLink { address: address.to_owned() });
    Meter {
        name: format!("meters/m{number}"),
        link: Some(v1::Link { kind: Some(kind) }),
        client_sap: 1,
        authentication: Some(v1::Authentication {
            mechanism: v1::authentication::Mechanism::HlsGmac.into(),
            ..Default::default()
        }),
        security: Some(v1::Security {
            encryption_key: Keys::DEMONSTRATION_ENCRYPTION.to_vec(),
            authentication_key: Keys::DEMONSTRATION_AUTHENTICATION.to_vec(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn watch(channel: &Channel, run: &str, until: impl Fn(&PlanRun) -> bool) -> PlanRun {
    let request = GetPlanRunRequest { name: run.to_owned() };
    let mut watched = CollectionClient::new(channel.clone()).watch_plan_run(request).await.unwrap().into_inner();
    loop {
        let run = watched.message().await.unwrap().expect("it comes so far");
        if until(&run) {
            return run;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_end_killed_while_it_collects_completes_the_day_after_its_restart() {
    tokio::time::timeout(PATIENCE, killed_and_complete(METERS, None)).await.expect("it ends in time");
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn a_head_end_on_postgresql_killed_while_it_collects_completes_the_day_after_its_restart() {
    let server = std::env::var("DLMS_TEST_POSTGRES")
        .unwrap_or_else(|_| "postgres://postgres:postgres@127.0.0.1:5432/postgres".to_owned());
    if server == "off" {
        eprintln!("skipped: DLMS_TEST_POSTGRES=off");
        return;
    }
    let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls)
        .await
        .expect("a PostgreSQL server for the tests: name one in DLMS_TEST_POSTGRES, or switch them off by `off`");
    tokio::spawn(connection);
    let schema = format!("test_{}", uuid::Uuid::now_v7().simple());
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let url = format!("{server}{}options=-csearch_path%3D{schema}", if server.contains('?') { '&' } else { '?' });
    // Whatever comes of it, the schema goes.
    let work = tokio::time::timeout(PATIENCE, killed_and_complete(METERS_ON_DATABASE, Some(&url)));
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    ended.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked)).expect("it ends in time");
}

async fn killed_and_complete(meters: usize, store: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let (_fleet, mut lines) = start(&["demo-fleet", "--meters", &meters.to_string(), "--seed", "7"], None);
    let mut addresses = Vec::new();
    while addresses.len() < meters {
        let line = lines.next_line().await.unwrap().unwrap();
        let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
        addresses.push(announced["tcp"].as_str().unwrap().to_owned());
    }

    let (mut head_end, channel) = serve(folder.path(), store).await;
    let register = addresses.iter().enumerate().map(|(number, address)| {
        let mut client = MeterRegistryClient::new(channel.clone());
        let meter = Some(meter(number, address));
        async move { client.create_meter(v1::CreateMeterRequest { meter, ..Default::default() }).await.unwrap() }
    });
    stream::iter(register).buffer_unordered(128).for_each(async |_| {}).await;
    let plan = Plan {
        name: "plans/load".into(),
        profiles: vec![LOAD_PROFILE.into()],
        target: Some(v1::plan::Target::Selector(Default::default())),
        cadence: Some(v1::plan::Cadence::Daily(v1::Daily {})),
        ..Default::default()
    };
    let mut collection = CollectionClient::new(channel.clone());
    collection.create_plan(v1::CreatePlanRequest { plan: Some(plan), ..Default::default() }).await.unwrap();
    let asked = RunNowRequest { plan: "plans/load".into(), ..Default::default() };
    let run = collection.run_now(asked).await.unwrap().into_inner();
    assert_eq!(run.meters, meters as u64);

    let before = watch(&channel, &run.name, |run| run.succeeded >= 50).await;
    // SIGKILL: nothing is parked, flushed or released.
    head_end.kill().await.unwrap();
    assert!(!before.done, "it was killed in the middle: {before:?}");

    let (_head_end, channel) = serve(folder.path(), store).await;
    let after = watch(&channel, &run.name, |run| run.done).await;
    assert_eq!((after.succeeded, after.failed), (meters as u64, 0));

    let midnight = Timestamp::now().to_zoned(TimeZone::UTC).start_of_day().unwrap();
    let (from, to) = (&midnight - 1.day() + 15.minutes(), &midnight + 15.minutes());
    let time = |of: &jiff::Zoned| Some(prost_types::Timestamp { seconds: of.timestamp().as_second(), nanos: 0 });
    let (from, to) = (time(&from), time(&to));
    let check = (0..meters).map(|number| {
        let channel = channel.clone();
        async move {
            let meter = format!("meters/m{number}");
            let request = GetCoverageRequest {
                meter: meter.clone(),
                profiles: vec![LOAD_PROFILE.into()],
                from,
                to,
                ..Default::default()
            };
            let coverage = CollectionClient::new(channel.clone()).get_coverage(request).await.unwrap().into_inner();
            let of = &coverage.profiles[0];
            assert_eq!((of.expected, of.held, of.gaps.len()), (96, 96, 0), "{meter}: {of:?}");
            // The rows themselves, of some of the meters: each moment once.
            if number % 20 != 0 {
                return;
            }
            let request = QueryReadingsRequest {
                meter: meter.clone(),
                profile: LOAD_PROFILE.into(),
                from,
                to,
                all_revisions: true,
                ..Default::default()
            };
            let pages = DataClient::new(channel).query_readings(request).await.unwrap().into_inner();
            let pages: Vec<_> = pages.try_collect().await.unwrap();
            let captures: Vec<_> = pages.into_iter().flat_map(|page| page.captures).collect();
            assert_eq!(captures.len(), 96, "{meter}");
            assert!(captures.iter().all(|capture| capture.revision == 1), "{meter}");
        }
    });
    stream::iter(check).buffer_unordered(32).for_each(async |()| {}).await;
}
