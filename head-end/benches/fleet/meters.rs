//! Simulated meters in a process of their own.

use std::{
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

use dlms_meter_server::simulator::{Addressing, Fleet, FleetConfig, Limits};

/// Address of the first meter; each has one of its own.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);

/// The process; ends when this is dropped.
pub(crate) struct Meters {
    process: Child,
    count: u32,
    tcp: u16,
    udp: u16,
}

impl Drop for Meters {
    fn drop(&mut self) {
        // It ends with its standard input too.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Meters {
    pub(crate) fn start(count: u32) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut process = Command::new(std::env::current_exe().map_err(text)?)
            .args(["meters", &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line).map_err(text)?;
        let ports = line.trim().split_once(' ').and_then(|(tcp, udp)| Some((tcp.parse().ok()?, udp.parse().ok()?)));
        let (tcp, udp) = ports.ok_or("the meters do not say where they listen")?;
        Ok(Self { process, count, tcp, udp })
    }

    fn addresses(&self, port: u16) -> Vec<SocketAddr> {
        let address = |number| SocketAddr::new(IpAddr::V4(Ipv4Addr::from(u32::from(FIRST) + number)), port);
        (0..self.count).map(address).collect()
    }

    pub(crate) fn tcp(&self) -> Vec<SocketAddr> {
        self.addresses(self.tcp)
    }

    pub(crate) fn udp(&self) -> Vec<SocketAddr> {
        self.addresses(self.udp)
    }
}

/// That process: meters until standard input ends.
pub(crate) async fn serve(meters: u32) -> Result<(), String> {
    let any = Some(SocketAddr::new(IpAddr::V4(FIRST), 0));
    let limits = Limits { udp_clients_shared: 2 * meters.max(2_048) as usize, ..Limits::default() };
    let addressing = Addressing::Addresses;
    let config = FleetConfig { meters, addressing, tcp: any, udp: any, limits, ..FleetConfig::default() };
    let fleet = Fleet::start(config).await.map_err(|error| error.to_string())?;
    let ports = fleet.devices().first().ok_or("no meter")?.ports();
    let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
    println!("{} {}", port(ports.tcp), port(ports.udp));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    ended.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    fleet.shutdown().await;
    Ok(())
}
