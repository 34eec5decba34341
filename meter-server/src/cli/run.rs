//! `meter-server run`.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use dlms::id::SystemTitle;
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{
    Addressing, Defect, DeviceHandle, Fault, Fleet, FleetConfig, HdlcConfig, Keys, Limits, LineAddress, MeterIdentity,
    Model, SerialConfig,
};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::signals;

/// Where a meter listens when nothing is said.
const DEFAULT_TCP: &str = "127.0.0.1:4059";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// TCP with the wrapper. Each further meter gets the next port; port 0 lets the system choose them all.
    #[arg(long, value_name = "ADDR", help_heading = "Ports")]
    tcp: Option<SocketAddr>,
    /// TCP with HDLC; ports count up as for --tcp.
    #[arg(long, value_name = "ADDR", help_heading = "Ports")]
    hdlc_tcp: Option<SocketAddr>,
    /// UDP with the wrapper; ports count up as for --tcp.
    #[arg(long, value_name = "ADDR", help_heading = "Ports")]
    udp: Option<SocketAddr>,
    /// Serial port with HDLC, as PATH or PATH:BAUD (9600 8N1 unless given); repeat it for further meters.
    #[arg(long, value_name = "PATH", help_heading = "Ports")]
    serial: Vec<String>,
    /// Links over serial ports begin with the sign-on of IEC 62056-21 at 300 baud, as at optical heads; the rate of the port
    /// is the highest that is offered then.
    #[arg(long, requires = "serial", help_heading = "Ports")]
    mode_e: bool,
    /// Octets of an HDLC information field that the meters agree to at most (32 to 2030).
    #[arg(long, value_name = "OCTETS", default_value_t = HdlcConfig::default().information, help_heading = "Ports")]
    hdlc_information: u16,
    /// HDLC frames that the meters send or take before an acknowledgement, at most (1 to 7).
    #[arg(long, value_name = "FRAMES", default_value_t = HdlcConfig::default().window, help_heading = "Ports")]
    hdlc_window: u8,
    /// HDLC physical device address; any is answered without it.
    #[arg(long, value_name = "ADDR", help_heading = "Ports")]
    hdlc_address: Option<u16>,
    /// Connections to one port at a time.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_per_port, help_heading = "Ports")]
    connections: usize,
    /// Seconds of silence after which a connection is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().idle.as_secs(), help_heading = "Ports")]
    idle: u64,

    #[command(flatten)]
    p1: super::p1::Options,

    /// How many meters.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Meters")]
    meters: u32,
    /// All meters are logical devices 1, 2, … behind one port, instead of having a port each.
    #[arg(long, conflicts_with = "line", help_heading = "Meters")]
    logical_devices: bool,
    /// All meters share a line behind a gateway at one TCP port: in front of every APDU stands its prefix, with network 0 and
    /// the meter's physical address, which counts from 0001.
    #[arg(long, group = "line", help_heading = "Meters")]
    gateway: bool,
    /// All meters share a line behind a data concentrator at one TCP port, with a wrapper port number, or upper HDLC address,
    /// each, from 1 on.
    #[arg(long, group = "line", help_heading = "Meters")]
    concentrator: bool,
    /// Bits a second of the line behind a gateway or concentrator, on which one exchange at a time takes the time of its
    /// octets; 9600 without it.
    #[arg(long, value_name = "RATE", requires = "line", help_heading = "Meters")]
    line_baud: Option<u32>,
    /// Name of a built-in model (see `meter-server models`), or a model file; idis-three-phase without it.
    #[arg(long, value_name = "MODEL", help_heading = "Meters")]
    model: Option<String>,
    /// Seed of all values: the same seed gives the same meters, with the same readings at the same time.
    #[arg(long, value_name = "S", default_value_t = 1, help_heading = "Meters")]
    seed: u64,
    /// Simulated time at the start, such as 2026-03-01T00:00:00Z; the system's time without it.
    #[arg(long, value_name = "TIME", help_heading = "Meters")]
    start: Option<jiff::Timestamp>,
    /// How much faster than real time simulated time runs; 0 stops it.
    #[arg(long, value_name = "X", default_value_t = 1.0, help_heading = "Meters")]
    speed: f64,

    /// Global unicast encryption key of all meters, 32 hexadecimal digits, 64 in suite 2. The demonstration key 00 01 … 0F without it.
    #[arg(long, value_name = "HEX", env = "METER_SERVER_GUEK", hide_env_values = true, help_heading = "Security")]
    guek: Option<String>,
    /// Authentication key of all meters, 32 hexadecimal digits. The demonstration key D0 D1 … DF without it.
    #[arg(long, value_name = "HEX", env = "METER_SERVER_GAK", hide_env_values = true, help_heading = "Security")]
    gak: Option<String>,
    /// Key encrypting key of all meters, 32 hexadecimal digits, under which new keys are transferred. The demonstration key
    /// E0 E1 … EF without it.
    #[arg(long, value_name = "HEX", env = "METER_SERVER_KEK", hide_env_values = true, help_heading = "Security")]
    kek: Option<String>,
    /// Global broadcast encryption key of all meters, 32 hexadecimal digits; no broadcasts without it.
    #[arg(long, value_name = "HEX", env = "METER_SERVER_GBEK", hide_env_values = true, help_heading = "Security")]
    gbek: Option<String>,
    /// Folder in which the meters keep counters, policies, transferred keys, key pairs, certificates, failed attempts and
    /// the numbers of tokens across restarts. Nothing is kept without it.
    #[arg(long, value_name = "FOLDER", help_heading = "Security")]
    state: Option<PathBuf>,
    /// System title of the first meter, 16 hexadecimal digits; further meters count up in its last five octets, all with
    /// the same keys. Manufacturer and serial number without it.
    #[arg(long, value_name = "HEX", help_heading = "Security")]
    system_title: Option<String>,
    /// Password of clients with low-level security, and HLS secret of those whose mechanism has one. 12345678 without it.
    #[arg(
        long,
        value_name = "TEXT",
        env = "METER_SERVER_LLS_PASSWORD",
        hide_env_values = true,
        help_heading = "Security"
    )]
    lls_password: Option<String>,

    /// Where meters push to whose push setup names no destination, as HOST:PORT. They push nothing without it.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Pushes")]
    push_to: Option<String>,

    /// What goes wrong, as `KIND[@STEP]:RATE`; may be repeated. KIND is close, reset, silence, delay=MILLISECONDS,
    /// garbage, truncate, half-close, lose, flip, duplicate, slow=OCTETS_PER_SECOND, push or reboot; STEP counts what the meter sends on a connection (each one without it); RATE is from 0 to 1.
    #[arg(long, value_name = "FAULT", help_heading = "Faults")]
    fault: Vec<Fault>,
    /// What is wrong with the meters themselves, as `KIND:SHARE`; may be repeated. KIND is repeat-counter, wrong-keys,
    /// refuse-keys, bad-image, failed-activation, reset-counter, clock=SECONDS, full-log, silent-mbus, mbus-alarm or reboot; SHARE is the part of the meters, from 0 to 1.
    #[arg(long, value_name = "DEFECT", help_heading = "Faults")]
    defect: Vec<Defect>,
    /// Loopback address of the control interface (HTTP): who the meters are, faults and defects on demand, metrics.
    #[arg(long, value_name = "ADDR", help_heading = "Faults")]
    control: Option<SocketAddr>,

    /// Address at which Prometheus finds metrics, under /metrics.
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    metrics: Option<SocketAddr>,
    /// How the listening addresses are printed, one line for each physical device.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
    /// What is logged to standard error, such as `info` or `dlms_meter_server=debug`.
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "METER_SERVER_LOG", help_heading = "Output")]
    log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object for each line.
    Json,
}

impl Run {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log).with_context(|| format!("--log {}", self.log))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .init();
        let format = self.format;
        let p1 = self.p1.clone();
        let config = self.config()?;
        let p1 = p1.config(&config.model)?;
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            let interrupted = signals::interrupted()?;
            let fleet = Fleet::start(config).await?;
            let ports = match &p1 {
                Some(config) => fleet.open_p1(config).await?,
                None => Vec::new(),
            };
            print(&fleet, &ports, format)?;
            interrupted.await;
            fleet.shutdown().await;
            Ok(())
        })
    }

    /// How meters are told apart.
    fn addressing(&self) -> Addressing {
        let baud = self.line_baud.unwrap_or(Addressing::LINE_BAUD);
        match (self.gateway, self.concentrator, self.logical_devices) {
            (true, ..) => Addressing::Gateway { baud },
            (_, true, _) => Addressing::Concentrator { baud },
            (_, _, true) => Addressing::LogicalDevices,
            _ => Addressing::Ports,
        }
    }

    /// What the options say.
    fn config(self) -> anyhow::Result<FleetConfig> {
        let addressing = self.addressing();
        let no_port = self.tcp.is_none() && self.hdlc_tcp.is_none() && self.udp.is_none() && self.serial.is_empty();
        let tcp = if no_port { Some(DEFAULT_TCP.parse().context(DEFAULT_TCP)?) } else { self.tcp };
        let model = match &self.model {
            Some(name) => super::model::named(name)?,
            None => Model::built_in(),
        };
        let key = |text: Option<String>, what: &str, default: &[u8]| match text {
            Some(text) => hex::decode(text.replace(' ', "")).with_context(|| format!("{what} is not hexadecimal")),
            None => Ok(default.to_vec()),
        };
        let length = model.suite().key_length();
        // The demonstration keys count up; where keys are longer they go on.
        let demonstration = |first: u8| (first..=u8::MAX).take(length).collect::<Vec<_>>();
        let encryption = key(self.guek, "--guek", &demonstration(Keys::DEMONSTRATION_ENCRYPTION[0]))?;
        let authentication = key(self.gak, "--gak", &demonstration(Keys::DEMONSTRATION_AUTHENTICATION[0]))?;
        ensure!(encryption.len() == length, "--guek has {} octets instead of {length}", encryption.len());
        ensure!(authentication.len() == length, "--gak has {} octets instead of {length}", authentication.len());
        let password = self.lls_password.as_deref().map_or(Keys::DEMONSTRATION_PASSWORD, str::as_bytes);
        let master = key(self.kek, "--kek", &demonstration(Keys::DEMONSTRATION_MASTER[0]))?;
        let keys = Keys::of_suite(model.suite(), &encryption, &authentication, password).context("--lls-password")?;
        let mut keys = keys.with_master(&master).context("--kek")?;
        if self.gbek.is_some() {
            keys = keys.with_broadcast(&key(self.gbek, "--gbek", &[])?).context("--gbek")?;
        }
        if let Some(folder) = &self.state {
            std::fs::create_dir_all(folder).with_context(|| format!("--state {}", folder.display()))?;
        }
        let system_title = match &self.system_title {
            None => None,
            Some(text) => {
                let octets = hex::decode(text.replace(' ', "")).context("--system-title is not hexadecimal")?;
                Some(SystemTitle::from_slice(&octets).context("--system-title has not 8 octets")?)
            }
        };
        Ok(FleetConfig {
            model: Arc::new(model),
            meters: self.meters,
            addressing,
            tcp,
            hdlc_tcp: self.hdlc_tcp,
            udp: self.udp,
            serial: {
                let ports = self.serial.iter().map(|text| serial("--serial", text, SerialConfig::DEFAULT_BAUD));
                let ports = ports.map(|port| port.map(|port| SerialConfig { mode_e: self.mode_e, ..port }));
                ports.collect::<anyhow::Result<_>>()?
            },
            dial: None,
            seed: self.seed,
            keys: Arc::new(keys),
            state: self.state,
            system_title,
            start: self.start.map(|start| Moment::from_millis(start.as_millisecond())),
            speed: self.speed,
            faults: self.fault,
            push_to: self.push_to,
            defects: self.defect,
            control: self.control,
            metrics: self.metrics,
            limits: Limits {
                connections_per_port: self.connections,
                idle: Duration::from_secs(self.idle.max(1)),
                ..Limits::default()
            },
            hdlc: HdlcConfig {
                information: self.hdlc_information,
                window: self.hdlc_window,
                physical_address: self.hdlc_address,
            },
        })
    }
}

/// `PATH` or `PATH:BAUD`.
pub(super) fn serial(option: &str, text: &str, baud: u32) -> anyhow::Result<SerialConfig> {
    let (path, baud) = match text.rsplit_once(':') {
        Some((path, baud)) => match baud.parse() {
            Ok(baud) => (path, baud),
            Err(_) => bail!("{option} {text}: `{baud}` is not a number of bits per second"),
        },
        None => (text, baud),
    };
    Ok(SerialConfig { path: PathBuf::from(path), baud, mode_e: false })
}

/// One physical device in the output.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hdlc_tcp: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'a PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p1: Option<SocketAddr>,
    /// The prefix of its APDUs, where it is behind a gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayPrefix>,
    meters: Vec<LineMeter<'a>>,
}

/// How a meter behind a gateway is addressed, as shipment files have it.
#[derive(Serialize)]
struct GatewayPrefix {
    network: u8,
    device: String,
}

#[derive(Serialize)]
struct LineMeter<'a> {
    /// The wrapper port number, or upper HDLC address.
    server: u16,
    serial_number: &'a str,
    logical_device_name: &'a str,
    system_title: String,
}

impl<'a> Line<'a> {
    fn new(device: &'a DeviceHandle) -> Self {
        let ports = device.ports();
        let (gateway, of_line) = match ports.behind {
            Some(LineAddress::Gateway { network, device }) => {
                (Some(GatewayPrefix { network, device: hex::encode_upper(device) }), None)
            }
            Some(LineAddress::Concentrator(server)) => (None, Some(server)),
            None => (None, None),
        };
        let meter = |meter: &'a MeterIdentity| LineMeter {
            server: of_line.unwrap_or(meter.server).0,
            serial_number: &meter.serial,
            logical_device_name: &meter.logical_device_name,
            system_title: meter.system_title.to_string(),
        };
        Self {
            tcp: ports.tcp,
            hdlc_tcp: ports.hdlc_tcp,
            udp: ports.udp,
            serial: ports.serial.as_ref(),
            p1: None,
            gateway,
            meters: device.meters().iter().map(meter).collect(),
        }
    }

    /// `tcp=127.0.0.1:4059 meter=10000001 title=53494D…`.
    fn text(&self) -> String {
        let mut words = Vec::new();
        let ports = [("tcp", self.tcp), ("hdlc-tcp", self.hdlc_tcp), ("udp", self.udp), ("p1", self.p1)];
        words.extend(ports.iter().filter_map(|(name, port)| port.map(|port| format!("{name}={port}"))));
        words.extend(self.serial.map(|path| format!("serial={}", path.display())));
        words.extend(self.gateway.as_ref().map(|of| format!("gateway={}/{}", of.network, of.device)));
        if let [first, rest @ ..] = self.meters.as_slice() {
            words.push(format!("meter={} title={}", first.serial_number, first.system_title));
            if rest.is_empty() && first.server != 1 {
                words.push(format!("server={}", first.server));
            }
            if let Some(last) = rest.last() {
                words.push(format!(
                    "to meter={} title={} (logical devices 1 to {})",
                    last.serial_number, last.system_title, last.server
                ));
            }
        }
        words.join(" ")
    }
}

fn print(fleet: &Fleet, p1: &[SocketAddr], format: Format) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (number, device) in fleet.devices().iter().enumerate() {
        let line = Line { p1: p1.get(number).copied(), ..Line::new(device) };
        match format {
            Format::Text => writeln!(out, "{}", line.text())?,
            Format::Json => writeln!(out, "{}", serde_json::to_string(&line)?)?,
        }
    }
    out.flush().context("cannot print the addresses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_ports_have_a_speed() {
        let serial = |text| serial("--serial", text, 9_600);
        assert_eq!(serial("/dev/ttyUSB0").unwrap().baud, 9_600);
        let fast = SerialConfig { path: "/dev/ttyUSB0".into(), baud: 115_200, mode_e: false };
        assert_eq!(serial("/dev/ttyUSB0:115200").unwrap(), fast);
        assert!(serial("/dev/ttyUSB0:fast").is_err());
    }
}
