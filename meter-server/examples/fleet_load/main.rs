//! Starts a fleet in a process of its own, reads every meter once, and tells what that took.
//!
//! ```text
//! cargo run --release -p dlms-meter-server --example fleet_load -- [METERS] [OPEN]
//! ```
//!
//! METERS (100000 unless given) have an address each from 127.1.0.1 on. Each is read over UDP, then over TCP: an association with
//! a password, the energy register, release. Then OPEN (15000) associations are held open at once. A bare echo server under
//! the same client, with answers of the same sizes, is what the rates are compared to. Memory and processor time are those
//! that the system counts for the server's process (Linux).

mod client;
mod process;

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use client::Exchange;
use dlms_meter_server::simulator::{Addressing, Fleet, FleetConfig, Limits};
use process::Usage;

type Failure = Box<dyn std::error::Error>;

/// Address of the first meter.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, usual: u32| arguments.get(place).map_or(Ok(usual), |text| text.parse());
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve(number(1, 1)?)),
        Some("echo") => runtime.block_on(client::echo(&client::sizes(&arguments[1..])?)),
        _ => runtime.block_on(measure(number(0, 100_000)?, number(1, 15_000)?)),
    }
}

/// The server's process: a fleet until standard input ends.
async fn serve(meters: u32) -> Result<(), Failure> {
    let any = Some(SocketAddr::new(IpAddr::V4(FIRST), 0));
    let limits = Limits { udp_clients_shared: 4_096, ..Limits::default() };
    let addressing = Addressing::Addresses;
    let fleet =
        Fleet::start(FleetConfig { meters, addressing, tcp: any, udp: any, limits, ..FleetConfig::default() }).await?;
    let ports = fleet.devices().first().ok_or("no meter")?.ports();
    let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
    println!("{} {}", port(ports.tcp), port(ports.udp));
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    eprintln!("{:?}", fleet.counts());
    fleet.shutdown().await;
    Ok(())
}

/// A server of either kind, and where it listens.
struct Server {
    process: Child,
    tcp: u16,
    udp: u16,
}

impl Server {
    fn start(arguments: &[String]) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let (tcp, udp) = line.trim().split_once(' ').ok_or("the server does not say where it listens")?;
        Ok(Self { tcp: tcp.parse()?, udp: udp.parse()?, process })
    }

    fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(self.process.id())
    }

    fn stop(mut self) -> Result<(), Failure> {
        self.process.stdin.take().ok_or("no input")?.write_all(b"\n")?;
        self.process.wait()?;
        Ok(())
    }
}

async fn measure(meters: u32, open: u32) -> Result<(), Failure> {
    let begun = Instant::now();
    let server = Server::start(&["serve".to_owned(), meters.to_string()])?;
    println!("{meters} meters: ready after {} ms", begun.elapsed().as_millis());
    // What the start left to be done is done.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let rested = server.usage()?;
    println!("at rest, nobody has spoken to them: {}", rested.per(meters));

    let exchange = Exchange::new()?;
    let addresses: Vec<_> = (0..meters).map(|number| Ipv4Addr::from(u32::from(FIRST) + number)).collect();
    let read =
        Read::all("read once over UDP", client::udp(&addresses, server.udp, &exchange).await?, &server, &rested)?;
    let sizes = client::udp_sizes(addresses[0], server.udp, &exchange).await?;
    let tcp =
        Read::all("read once over TCP", client::tcp(&addresses, server.tcp, &exchange).await?, &server, &read.usage)?;
    println!("read both times, and nobody is there any more: {}", server.usage()?.per(meters));

    let held = client::hold(&addresses[..addresses.len().min(open as usize)], server.tcp, &exchange).await?;
    let with_open = server.usage()?;
    let more = with_open.memory.saturating_sub(tcp.usage.memory) / held.len().max(1) as u64;
    println!("{} associations open at once: {more} octets each beside the meter's", held.len());
    drop(held);
    server.stop()?;

    let mut arguments = vec!["echo".to_owned()];
    arguments.extend(sizes.iter().map(ToString::to_string));
    let echo = Server::start(&arguments)?;
    let none = echo.usage()?;
    let echo_udp =
        Read::all("echo over UDP", client::udp(&addresses, echo.udp, &exchange.unchecked()).await?, &echo, &none)?;
    let echo_tcp = Read::all(
        "echo over TCP",
        client::tcp(&addresses, echo.tcp, &exchange.unchecked()).await?,
        &echo,
        &echo_udp.usage,
    )?;
    echo.stop()?;
    println!(
        "rate to that of the echo: {:.2} over UDP, {:.2} over TCP",
        read.rate / echo_udp.rate,
        tcp.rate / echo_tcp.rate
    );
    Ok(())
}

/// A pass over all meters.
struct Read {
    rate: f64,
    usage: Usage,
}

impl Read {
    fn all(what: &str, pass: client::Pass, server: &Server, before: &Usage) -> Result<Self, Failure> {
        let usage = server.usage()?;
        let (meters, seconds) = (f64::from(pass.meters), pass.took.as_secs_f64());
        let cpu = (usage.cpu - before.cpu).as_secs_f64();
        println!(
            "{what}: {:.0} a second, {:.0} µs of the server's processor time each ({} repeated)",
            meters / seconds,
            cpu * 1e6 / meters,
            pass.repeated
        );
        Ok(Self { rate: meters / seconds, usage })
    }
}
