//! `meter-server fleet`.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use clap::{Args, ValueEnum};
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{
    Addressing, Defect, DialConfig, Fault, Fleet, FleetConfig, Group, KeySource, Keys, Limits, MODELS, MasterSeed,
    TransportKey, descriptor_limit, read_fleet_file,
};
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

use super::{model, signals};

/// First address of a fleet that is told nothing else.
const FIRST: &str = "127.1.0.1:4059";

#[derive(Debug, Args)]
pub(crate) struct FleetCommand {
    /// How many meters; as the fleet file says, or 1000, without it.
    #[arg(long, value_name = "N", help_heading = "Meters")]
    meters: Option<u32>,
    /// Fleet file (TOML) of several groups of meters; see docs/fleets.md.
    #[arg(long, value_name = "FILE", help_heading = "Meters", conflicts_with_all = ["model", "fault", "fault_share", "defect"])]
    file: Option<PathBuf>,
    /// Built-in model (see `meter-server models`) or model file.
    #[arg(long, value_name = "NAME|FILE", default_value = MODELS[0].name, help_heading = "Meters")]
    model: String,
    /// Seed of all values: the same seed gives the same meters, with the same readings at the same time.
    #[arg(long, value_name = "S", default_value_t = 1, help_heading = "Meters")]
    seed: u64,
    /// Simulated time at the start, such as 2026-03-01T00:00:00Z; the system's time without it.
    #[arg(long, value_name = "TIME", help_heading = "Meters")]
    start: Option<jiff::Timestamp>,
    /// How much faster than real time simulated time runs; 0 stops it.
    #[arg(long, value_name = "X", default_value_t = 1.0, help_heading = "Meters")]
    speed: f64,

    /// How meters are told apart.
    #[arg(long, value_enum, default_value_t = By::Addresses, help_heading = "Addresses")]
    by: By,
    /// Bits a second of the line behind a gateway or concentrator.
    #[arg(long, value_name = "RATE", default_value_t = Addressing::LINE_BAUD, help_heading = "Addresses")]
    line_baud: u32,
    /// TCP with the wrapper. Without any way to the meters it is 127.1.0.1:4059, and UDP there likewise.
    #[arg(long, value_name = "ADDR", help_heading = "Addresses")]
    tcp: Option<SocketAddr>,
    /// TCP with HDLC.
    #[arg(long, value_name = "ADDR", help_heading = "Addresses")]
    hdlc_tcp: Option<SocketAddr>,
    /// UDP with the wrapper.
    #[arg(long, value_name = "ADDR", help_heading = "Addresses")]
    udp: Option<SocketAddr>,
    /// The meters connect to a head-end that listens there, and it opens the associations.
    #[arg(long, value_name = "ADDR", help_heading = "Addresses")]
    dial: Option<SocketAddr>,
    /// Address from which the first meter connects; further meters count up.
    #[arg(long, value_name = "IP", requires = "dial", help_heading = "Addresses")]
    dial_from: Option<IpAddr>,
    /// Connections that are open to the head-end at a time.
    #[arg(long, value_name = "N", requires = "dial", help_heading = "Addresses")]
    dial_connections: Option<usize>,
    /// Each meter sends its logical device name and a line feed first, as modems do.
    #[arg(long, requires = "dial", help_heading = "Addresses")]
    dial_banner: bool,

    /// File with the seed of all keys, 64 hexadecimal digits. Without it (or METER_SERVER_MASTER_SEED) the seed is random and
    /// nobody knows it: only the shipment file tells the keys then.
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    master_seed: Option<PathBuf>,
    /// All meters have the demonstration keys and the password 12345678.
    #[arg(long, conflicts_with = "master_seed", help_heading = "Security")]
    shared_keys: bool,
    /// Writes what a head-end has to know of the meters, their keys among it; only the owner may read the file. See
    /// docs/shipment.md.
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    shipment: Option<PathBuf>,
    /// File with a key in hexadecimal digits, 16 or 32 octets, under which the shipment's keys are wrapped (RFC 3394).
    #[arg(long, requires = "shipment", value_name = "FILE", help_heading = "Security")]
    transport_key: Option<PathBuf>,
    /// Ends when the shipment is written.
    #[arg(long, requires = "shipment", help_heading = "Security")]
    shipment_only: bool,
    /// Folder in which the meters keep what security demands across restarts. Nothing is kept without it.
    #[arg(long, value_name = "FOLDER", help_heading = "Security")]
    state: Option<PathBuf>,

    /// What goes wrong, as for `meter-server run`; may be repeated.
    #[arg(long, value_name = "FAULT", help_heading = "Faults")]
    fault: Vec<Fault>,
    /// Part of the meters at which it does, from 0 to 1.
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "fault", help_heading = "Faults")]
    fault_share: f64,
    /// What is wrong with the meters themselves, as `KIND:SHARE`; may be repeated. See `meter-server run --help` for the kinds.
    #[arg(long, value_name = "DEFECT", help_heading = "Faults")]
    defect: Vec<Defect>,
    /// Loopback address of the control interface (HTTP): who the meters are, faults and defects on demand, metrics.
    #[arg(long, value_name = "ADDR", help_heading = "Faults")]
    control: Option<SocketAddr>,
    /// Address at which Prometheus finds metrics, under /metrics.
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    metrics: Option<SocketAddr>,

    /// Connections to one port of a meter at a time.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_per_port, help_heading = "Limits")]
    connections: usize,
    /// UDP clients that are kept apart at a shared socket.
    #[arg(long, value_name = "N", default_value_t = Limits::default().udp_clients_shared, help_heading = "Limits")]
    udp_clients: usize,
    /// Seconds of silence after which a connection is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().idle.as_secs(), help_heading = "Limits")]
    idle: u64,
    /// Descriptors to keep to; what the system allows the process without it.
    #[arg(long, value_name = "N", help_heading = "Limits")]
    descriptors: Option<usize>,

    /// What is logged to standard error, such as `info` or `dlms_meter_server=debug`.
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "METER_SERVER_LOG", help_heading = "Output")]
    log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// A port each, counting up.
    Ports,
    /// An IPv4 address each, counting up, behind one socket for each protocol.
    Addresses,
    /// A logical device number each behind one port, at most 16000: the upper HDLC address has 14 bits.
    LogicalDevices,
    /// One port of a gateway in front of a line that all share, with its prefix: network 0, addresses 0001, 0002, and so on.
    Gateway,
    /// One port of a data concentrator in front of a line that all share: a logical device number each.
    Concentrator,
}

impl FleetCommand {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let filter = EnvFilter::try_new(&self.log).with_context(|| format!("--log {}", self.log))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .init();
        let (config, groups) = self.plan()?;
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            let interrupted = signals::interrupted()?;
            let summary = summary(&groups);
            let fleet = Fleet::start_groups(config, groups).await?;
            if let Some(file) = &self.shipment {
                write_shipment(&fleet, file, self.transport_key.as_deref())?;
            }
            if !self.shipment_only {
                print(&fleet, &summary, begun.elapsed())?;
                interrupted.await;
            }
            fleet.shutdown().await;
            Ok(())
        })
    }

    /// What the options say.
    fn plan(&self) -> anyhow::Result<(FleetConfig, Vec<Group>)> {
        let keys = self.keys()?;
        let mut config = self.config()?;
        let groups = match &self.file {
            Some(file) => {
                let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
                let folder = file.parent().unwrap_or(Path::new(""));
                read_fleet_file(&text, &mut config, self.meters, &keys, |name| beside(folder, name))
                    .map_err(|error| anyhow!("{}: {error}", file.display()))?
            }
            None => {
                let model = Arc::new(model::named(&self.model)?);
                let keys = match keys {
                    // The demonstration keys of its own suite.
                    KeySource::Shared(_) => KeySource::Shared(Arc::new(Keys::demonstration_of(model.suite()))),
                    derived => derived,
                };
                let group = FleetConfig { model, meters: self.meters.unwrap_or(1_000), ..config.clone() }.group();
                vec![Group { keys, fault_share: self.fault_share, ..group }]
            }
        };
        // Where nobody says how to reach the meters, all ways of theirs are the usual ones.
        let silent = |group: &Group| group.site.is_none();
        if groups.iter().any(silent) && config.tcp.or(config.hdlc_tcp).or(config.udp).is_none() && config.dial.is_none()
        {
            let first: SocketAddr = FIRST.parse().context(FIRST)?;
            // A line behind a gateway is reached over TCP alone.
            let shared = matches!(config.addressing, Addressing::Gateway { .. } | Addressing::Concentrator { .. });
            (config.tcp, config.udp) = (Some(first), (!shared).then_some(first));
        }
        Ok((config, groups))
    }

    fn keys(&self) -> anyhow::Result<KeySource> {
        if self.shared_keys {
            return Ok(KeySource::Shared(Arc::new(Keys::demonstration())));
        }
        let seed = match (&self.master_seed, std::env::var("METER_SERVER_MASTER_SEED").ok().map(Zeroizing::new)) {
            (Some(file), _) => {
                let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
                MasterSeed::from_hex(&Zeroizing::new(text)).with_context(|| file.display().to_string())?
            }
            (None, Some(text)) => MasterSeed::from_hex(&text).context("METER_SERVER_MASTER_SEED")?,
            (None, None) => {
                let mut octets = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *octets).map_err(|error| anyhow!("no random seed of keys: {error}"))?;
                MasterSeed::new(*octets)
            }
        };
        Ok(KeySource::Derived(Arc::new(seed)))
    }

    fn config(&self) -> anyhow::Result<FleetConfig> {
        if let Some(folder) = &self.state {
            fs::create_dir_all(folder).with_context(|| format!("--state {}", folder.display()))?;
        }
        ensure!((0.0..=1.0).contains(&self.fault_share), "--fault-share is from 0 to 1");
        let dial = self.dial.map(|to| {
            let usual = DialConfig::new(to);
            DialConfig {
                from: self.dial_from,
                connections: self.dial_connections.unwrap_or(usual.connections),
                banner: self.dial_banner,
                ..usual
            }
        });
        Ok(FleetConfig {
            addressing: match self.by {
                By::Ports => Addressing::Ports,
                By::Addresses => Addressing::Addresses,
                By::LogicalDevices => Addressing::LogicalDevices,
                By::Gateway => Addressing::Gateway { baud: self.line_baud },
                By::Concentrator => Addressing::Concentrator { baud: self.line_baud },
            },
            tcp: self.tcp,
            hdlc_tcp: self.hdlc_tcp,
            udp: self.udp,
            dial,
            seed: self.seed,
            state: self.state.clone(),
            start: self.start.map(|start| Moment::from_millis(start.as_millisecond())),
            speed: self.speed,
            faults: self.fault.clone(),
            defects: self.defect.clone(),
            control: self.control,
            metrics: self.metrics,
            limits: Limits {
                connections_per_port: self.connections,
                udp_clients_shared: self.udp_clients,
                idle: Duration::from_secs(self.idle.max(1)),
                descriptors: self.descriptors.or_else(descriptor_limit),
                ..Limits::default()
            },
            ..FleetConfig::default()
        })
    }
}

/// A model by its name, or a file beside the fleet file.
fn beside(folder: &Path, name: &str) -> Result<dlms_meter_server::simulator::Model, String> {
    let file = folder.join(name);
    let named = if file.is_file() { model::named(&file.to_string_lossy()) } else { model::named(name) };
    named.map_err(|error| format!("{error:#}"))
}

/// Name, model and number of each group.
fn summary(groups: &[Group]) -> Vec<String> {
    groups.iter().map(|group| format!("{} meters: {} ({})", group.meters, group.name, group.model.name())).collect()
}

fn transport_key(path: &Path) -> anyhow::Result<TransportKey> {
    let text =
        fs::read_to_string(path).map(Zeroizing::new).with_context(|| format!("cannot read {}", path.display()))?;
    let octets = hex::decode(text.trim()).ok().map(Zeroizing::new);
    octets.and_then(TransportKey::new).with_context(|| format!("{} holds no key of 16 or 32 octets", path.display()))
}

fn write_shipment(fleet: &Fleet, path: &Path, transport: Option<&Path>) -> anyhow::Result<()> {
    let transport = transport.map(transport_key).transpose()?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|file| {
        // One that was there before may be open to others.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        // Line by line: no buffer that nobody wipes.
        fleet.write_wrapped_shipment(&mut &file, transport.as_ref())?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn print(fleet: &Fleet, groups: &[String], took: Duration) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for group in groups {
        writeln!(out, "{group}")?;
    }
    if let ([first, ..], [.., last]) = (fleet.devices(), fleet.devices()) {
        let ways = [
            ("tcp", first.ports().tcp, last.ports().tcp),
            ("hdlc-tcp", first.ports().hdlc_tcp, last.ports().hdlc_tcp),
            ("udp", first.ports().udp, last.ports().udp),
        ];
        for (way, first, last) in ways {
            let (Some(first), Some(last)) = (first, last) else { continue };
            if first == last { writeln!(out, "{way} {first}")? } else { writeln!(out, "{way} {first} to {last}")? }
        }
        let (first, last) = (first.meters().first(), last.meters().last());
        if let (Some(first), Some(last)) = (first, last) {
            writeln!(out, "serial numbers {} to {}", first.serial, last.serial)?;
            writeln!(out, "system titles {} to {}", first.system_title, last.system_title)?;
        }
    }
    match fleet.descriptors() {
        (Some(limit), free) => writeln!(out, "descriptors: {limit}; connections that fit: {free}")?,
        (None, _) => writeln!(out, "descriptors: no limit known")?,
    }
    writeln!(out, "running after {} ms", took.as_millis())?;
    out.flush().context("cannot print")
}
