//! The fleet of a demonstration, in a process of its own.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use dlms_meter_server::simulator::{Fleet, FleetConfig};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::cli::{Exit, Failure, output};

/// How long the fleet may take to open its ports.
const START: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(in crate::cli) struct DemoFleet {
    #[arg(long)]
    meters: u32,
    #[arg(long)]
    seed: u64,
}

/// One simulated meter, as its process announces it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct SimulatedMeter {
    /// Its logical device name.
    pub(super) name: String,
    /// System title, hexadecimal.
    pub(super) system_title: String,
    pub(super) tcp: SocketAddr,
    pub(super) hdlc_tcp: SocketAddr,
}

impl DemoFleet {
    pub(in crate::cli) async fn run(self) -> Result<Exit, Failure> {
        serve_fleet(self).await.map(|()| Exit::Success).map_err(|error| Failure::start(error.as_ref()))
    }
}

/// Runs the fleet until standard input ends, which it does with the demonstration, however that ends.
async fn serve_fleet(args: DemoFleet) -> anyhow::Result<()> {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = FleetConfig {
        meters: args.meters,
        seed: args.seed,
        tcp: Some(any_port),
        hdlc_tcp: Some(any_port),
        ..FleetConfig::default()
    };
    let fleet = Fleet::start(config).await?;
    for device in fleet.devices() {
        let (Some(tcp), Some(hdlc_tcp)) = (device.ports().tcp, device.ports().hdlc_tcp) else {
            bail!("a meter has no port");
        };
        for meter in device.meters() {
            let meter = SimulatedMeter {
                name: meter.logical_device_name.clone(),
                system_title: meter.system_title.to_string(),
                tcp,
                hdlc_tcp,
            };
            output::print(serde_json::to_string(&meter)?);
        }
    }
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await?;
    fleet.shutdown().await;
    Ok(())
}

/// A running fleet; it ends when this is dropped.
pub(super) struct SimulatedFleet {
    process: Child,
    meters: Vec<SimulatedMeter>,
}

impl SimulatedFleet {
    /// Starts the process and waits until all its ports are open.
    pub(super) async fn start(meters: u32, seed: u64) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the own executable")?;
        let mut process = Command::new(program)
            .args(["demo-fleet", "--meters", &meters.to_string(), "--seed", &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the fleet")?;
        let stdout = process.stdout.take().context("the fleet has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut announced = Vec::new();
        let listen = async {
            while announced.len() < meters as usize {
                let Some(line) = lines.next_line().await? else { bail!("the fleet has ended") };
                announced.push(serde_json::from_str(&line)?);
            }
            Ok(())
        };
        tokio::time::timeout(START, listen).await.context("the fleet does not open its ports")??;
        Ok(Self { process, meters: announced })
    }

    pub(super) fn meters(&self) -> &[SimulatedMeter] {
        &self.meters
    }

    /// Ends the fleet in good order.
    pub(super) async fn stop(mut self) {
        drop(self.process.stdin.take());
        let _ = tokio::time::timeout(Duration::from_secs(5), self.process.wait()).await;
    }
}
