//! Runs a fleet of several models in a process of its own, fast, with clients that read, write and fail, and watches its
//! memory.
//!
//! ```text
//! cargo run --release -p dlms-meter-server --example soak -- --seconds 3600
//! ```
//!
//! `--meters`, `--speed` (simulated seconds in a real one), `--share` (part of one core that server and clients may take),
//! `--interval` (seconds between reports) and `--slope` (KiB a minute) say how much. A line for each interval tells the
//! resident memory of the server's process (Linux). The first third of the time is left to caches and logs to fill; over the
//! rest a straight line is laid through the memory, and when it rises by more than the slope, the program fails.

#[path = "../fleet_load/process.rs"]
mod process;
#[path = "../../tests/support/mod.rs"]
mod support;
mod visits;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use dlms_meter_server::simulator::{BuiltInModel, Fleet, FleetConfig, Group, MODELS};
use process::Usage;
use visits::Visitor;

type Failure = Box<dyn std::error::Error>;

/// Seconds until a meter that does not answer is a failure: the computer may have other work.
const PATIENCE_S: u64 = 120;

/// Models of the fleet, each with as many meters.
const KINDS: [&str; 4] = ["idis-three-phase", "prepayment", "smr5", "short-names"];

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    soak: Soak,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The server's process; the program starts it itself.
    Serve { meters: u32, speed: f64, push_to: String },
}

#[derive(Debug, Args)]
struct Soak {
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 200)]
    meters: u32,
    #[arg(long, default_value_t = 600.0)]
    speed: f64,
    #[arg(long, default_value_t = 0.2)]
    share: f64,
    #[arg(long, default_value_t = 10)]
    interval: u64,
    #[arg(long, default_value_t = 32.0)]
    slope: f64,
}

fn main() -> Result<ExitCode, Failure> {
    let options = Options::parse();
    match options.role {
        Some(Role::Serve { meters, speed, push_to }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(serve(meters, speed, push_to))?;
            Ok(ExitCode::SUCCESS)
        }
        None => soak(&options.soak),
    }
}

fn kind(name: &str) -> Result<&'static BuiltInModel, Failure> {
    Ok(MODELS.iter().find(|model| model.name == name).ok_or("no such model")?)
}

/// The server's process: a fleet until standard input ends.
async fn serve(meters: u32, speed: f64, push_to: String) -> Result<(), Failure> {
    let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let config =
        FleetConfig { tcp: any, hdlc_tcp: any, udp: any, speed, push_to: Some(push_to), ..FleetConfig::default() };
    let mut groups = Vec::new();
    for name in KINDS {
        let model = std::sync::Arc::new(kind(name)?.model()?);
        let keys = dlms_meter_server::simulator::Keys::demonstration_of(model.suite());
        let keys = dlms_meter_server::simulator::KeySource::Shared(keys.into());
        let meters = meters.div_ceil(u32::try_from(KINDS.len())?);
        groups.push(Group { name: name.to_owned(), meters, model, keys, ..config.group() });
    }
    let fleet = Fleet::start_groups(config, groups).await?;
    let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
    for device in fleet.devices() {
        let ports = device.ports();
        println!("{} {} {}", port(ports.tcp), port(ports.hdlc_tcp), port(ports.udp));
    }
    println!();
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    eprintln!("{:?}", fleet.counts());
    fleet.shutdown().await;
    Ok(())
}

/// Takes what the meters push, and lets go of it.
fn sink() -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut stream, mut room) = (stream, [0; 1_024]);
                let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
                while let Ok(1..) = stream.read(&mut room) {}
            });
        }
    });
    Ok(address)
}

/// The server's process, and where its meters are reached: TCP, HDLC over TCP, UDP.
struct Server {
    process: Child,
    meters: Vec<[SocketAddr; 3]>,
}

impl Server {
    fn start(options: &Soak) -> Result<Self, Failure> {
        let (meters, speed) = (options.meters.to_string(), options.speed.to_string());
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", &meters, &speed, &sink()?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut meters = Vec::new();
        for line in BufReader::new(process.stdout.take().ok_or("no output")?).lines() {
            let line = line?;
            let mut ports = line.split_whitespace().map(str::parse::<u16>);
            let Some(tcp) = ports.next().transpose()? else { break };
            let mut next = || ports.next().ok_or("a line with fewer ports");
            let ports = [tcp, next()??, next()??];
            meters.push(ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port))));
        }
        Ok(Self { process, meters })
    }
}

/// Octets a second by which a straight line through the points (seconds, octets) rises.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if spread > 0.0 { both / spread } else { 0.0 }
}

fn soak(options: &Soak) -> Result<ExitCode, Failure> {
    let mut server = Server::start(options)?;
    support::client::wait_for(PATIENCE_S);
    let mut visitor = Visitor::default();
    let begun = Instant::now();
    let whole = Duration::from_secs(options.seconds);
    let mut points = Vec::new();
    let mut report = Duration::ZERO;
    let kinds = server.meters.len() / KINDS.len();
    let own = std::process::id();
    while begun.elapsed() < whole {
        let used = Usage::of(server.process.id())?.cpu + Usage::of(own)?.cpu;
        if used < begun.elapsed().mul_f64(options.share) {
            let meter = visitor.next_meter(server.meters.len());
            visitor.visit(KINDS[(meter / kinds.max(1)).min(KINDS.len() - 1)], server.meters[meter])?;
        } else {
            sleep(Duration::from_millis(50));
        }
        if begun.elapsed() >= report {
            report = begun.elapsed() + Duration::from_secs(options.interval);
            let usage = Usage::of(server.process.id())?;
            let at = begun.elapsed().as_secs_f64();
            points.push((at, usage.memory as f64));
            println!(
                "{at:7.0} s: {:6} KiB resident, {:.1} s of processor time, {} visits, {} simulated days",
                usage.memory >> 10,
                usage.cpu.as_secs_f64(),
                visitor.visits(),
                (at * options.speed / 86_400.0) as u64,
            );
        }
    }
    server.process.stdin.take().ok_or("no input")?.write_all(b"\n")?;
    server.process.wait()?;
    let settled = points.split_off(points.len() / 3);
    let rises = slope(&settled) * 60.0 / 1_024.0;
    println!("after the first third: {rises:.2} KiB a minute; at most {} are allowed", options.slope);
    Ok(if rises > options.slope { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
