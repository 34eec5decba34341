//! A day of quarter-hours of many meters into a store, from connect to release.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use dlms::obis::ObisCode;
use dlms_head_end::{
    config::Options,
    meter::{LinkConfig, Mechanism, MeterSettings, PolicyBits, Secret, SecuritySettings, TimeoutSettings},
    node::Node,
    plan::{PlanSettings, PlanTarget},
    registry::{Change, Secrets},
    vault::SecretRole,
};
use dlms_meter_server::simulator::Keys;
use futures_util::{StreamExt, stream};
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::{directory::name, meters::Meters, process::resident};

const LOAD_PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);
/// Quarter-hours of a day.
const DAY: u64 = 96;
/// Meters that are registered at the same time.
const AT_ONCE: usize = 256;
/// Of how many meters the store is asked for one's day.
const CHECKED: usize = 997;

/// What it took.
pub(crate) struct Day {
    /// Meters in a second.
    pub(crate) rate: f64,
    /// Resident octets of this process halfway, and at the end.
    pub(crate) memory: (u64, u64),
}

/// Collects yesterday from every meter: associates, reads 96 rows, stores them, releases.
pub(crate) async fn day(meters: &Meters, folder: &Path) -> Result<Day, String> {
    let options = Options { data_dir: Some(folder.to_owned()), ..Options::default() };
    let node = Node::open(options.resolve(), None).await.map_err(text)?;
    let collected = collect(&node, meters).await;
    node.close().await;
    collected
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}

async fn collect(node: &Node, meters: &Meters) -> Result<Day, String> {
    let addresses = meters.tcp();
    let registry = node.head_end().registry();
    let register = addresses.iter().enumerate().map(|(number, address)| async move {
        let link = LinkConfig::TcpWrapper { address: address.to_string().parse().map_err(|_| "no address")? };
        registry.create(name(number), change(link), None).await.map_err(text)
    });
    let mut registered = stream::iter(register).buffer_unordered(AT_ONCE);
    while let Some(made) = registered.next().await {
        made?;
    }
    let today = Timestamp::now().to_zoned(TimeZone::UTC).start_of_day().map_err(text)?;
    let yesterday = today.checked_sub(1.day()).map_err(text)?;
    let settings = PlanSettings {
        profiles: vec![LOAD_PROFILE],
        target: PlanTarget::Labels(BTreeMap::new()),
        ..PlanSettings::default()
    };
    let plan = "day".parse().map_err(|_| "no name")?;
    let begun = Instant::now();
    let plan = node.collection().create(plan, settings, None).await.map_err(text)?.id;
    let mut progress = node.collection().watch();
    let run = node.collection().run_now(&plan, None, Some(yesterday.timestamp()), None).await.map_err(text)?;
    let mut halfway = None;
    let run = loop {
        // The count of a hundred thousand rows is not asked for at each of them.
        tokio::time::sleep(Duration::from_millis(200)).await;
        progress.changed().await.map_err(text)?;
        let run = node.collection().run(&plan, run.id).await.map_err(text)?;
        if halfway.is_none() && 2 * run.succeeded >= run.meters {
            halfway = Some(resident()?);
        }
        if run.has_ended() {
            break run;
        }
    };
    let rate = addresses.len() as f64 / begun.elapsed().as_secs_f64();
    if (run.succeeded, run.failed) != (addresses.len() as u64, 0) {
        return Err(format!("{} of {} meters failed", run.failed, run.meters));
    }
    for number in (0..addresses.len()).step_by(CHECKED) {
        let span = yesterday.timestamp()..today.timestamp();
        let held = node.collection().coverage(&name(number), LOAD_PROFILE, span, &TimeZone::UTC).await.map_err(text)?;
        if held.held != DAY {
            return Err(format!("{} of {DAY} quarter-hours of meter {number} are held", held.held));
        }
    }
    Ok(Day { rate, memory: (halfway.unwrap_or_default(), resident()?) })
}

fn change(link: LinkConfig) -> Change {
    let key = |octets: &[u8]| Some(Secret::new(octets.to_vec()));
    let settings = MeterSettings {
        link,
        client_sap: 1,
        mechanism: Mechanism::HlsGmac,
        security: Some(SecuritySettings {
            suite: 0,
            policy: PolicyBits { authenticated: true, encrypted: true },
            envelope: Default::default(),
            dedicated_key: false,
            client_title: None,
        }),
        // Released as soon as it is read.
        timeouts: TimeoutSettings { idle_ms: Some(1), ..TimeoutSettings::default() },
        ..MeterSettings::default()
    };
    let secrets = Secrets::from([
        (SecretRole::EncryptionKey, key(&Keys::DEMONSTRATION_ENCRYPTION)),
        (SecretRole::AuthenticationKey, key(&Keys::DEMONSTRATION_AUTHENTICATION)),
    ]);
    Change { settings, secrets }
}
