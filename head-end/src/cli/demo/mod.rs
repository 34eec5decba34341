//! `head-end demo`: a fleet of simulated meters, and a head-end that reads it.
//!
//! The fleet runs in a process of its own, started from the same executable: head-end and meters meet only through
//! sockets. What is read goes through the same API as everything else.

mod collect;
mod fleet;
mod report;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::{Exit, Failure, Format, output, serve};
use crate::config::Options;
use crate::node::{Node, NodeError};
use collect::{Collected, collect};
pub(super) use fleet::DemoFleet;
use fleet::SimulatedFleet;

/// Meters that are spoken to at the same time.
const CONCURRENCY: usize = 64;

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Simulated meters.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    meters: u32,
    /// Folder for the store; a temporary one that is removed at the end when left out.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where gRPC is served; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// End after the collection instead of serving on.
    #[arg(long)]
    once: bool,
    /// Table for people, or one JSON object as the last line.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Seed of the meters' values.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Demo {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        demonstrate(self).await.map_err(|error| Failure::start(error.as_ref()))
    }
}

async fn demonstrate(args: Demo) -> anyhow::Result<Exit> {
    let people = args.format == Format::Table;
    let fleet = SimulatedFleet::start(args.meters, args.seed).await?;
    let (data_dir, temporary) = match &args.data_dir {
        Some(dir) => (dir.clone(), false),
        None => (std::env::temp_dir().join(format!("head-end-demo-{}", uuid::Uuid::now_v7())), true),
    };
    std::fs::create_dir_all(&data_dir).with_context(|| format!("cannot create {}", data_dir.display()))?;
    let _cleanup = Cleanup(temporary.then(|| data_dir.clone()));
    // Whoever asks for a single collection has no use for a well-known port.
    let listen = if args.once { SocketAddr::new(args.listen.ip(), 0) } else { args.listen };
    let (address, server, stop) = start_head_end(&data_dir, listen).await?;
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    if people {
        output::print(format!("{} simulated meters, every fifth by HDLC; gRPC at {address}", args.meters));
    }

    let started = Instant::now();
    let collected = collect_all(&fleet, &channel, people).await;
    let seconds = started.elapsed().as_secs_f64();
    let complete = report::show(&collected, seconds, args.format);

    if !args.once {
        report::what_next(address, &data_dir);
        serve::stop_signal().await;
        if people {
            output::print("stopping");
        }
    }
    drop(channel);
    let _ = stop.send(());
    server.await??;
    fleet.stop().await;
    Ok(Exit::of(complete))
}

/// Runs a head-end beside the demonstration: its address, its end, and what makes it end.
async fn start_head_end(
    data_dir: &Path,
    listen: SocketAddr,
) -> anyhow::Result<(SocketAddr, JoinHandle<Result<(), NodeError>>, oneshot::Sender<()>)> {
    let options = Options { listen: Some(listen), data_dir: Some(data_dir.to_path_buf()), ..Options::default() };
    let node = Node::open(options.resolve(), None).await?;
    let listener = node.listen().await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(node.serve(listener, async {
        let _ = stopped.await;
    }));
    Ok((address, server, stop))
}

/// Registers and reads every meter, many at a time.
async fn collect_all(fleet: &SimulatedFleet, channel: &Channel, people: bool) -> Vec<Collected> {
    let bar = ProgressBar::new(fleet.meters().len() as u64);
    bar.set_draw_target(if people { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
    if let Ok(style) = ProgressStyle::with_template("reading {bar:40} {pos}/{len} meters, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let readings = fleet.meters().iter().enumerate().map(|(number, meter)| {
        let by_hdlc = number % 5 == 4;
        collect(channel.clone(), meter, by_hdlc)
    });
    let mut collected: Vec<_> =
        futures_util::stream::iter(readings).buffer_unordered(CONCURRENCY).inspect(|_| bar.inc(1)).collect().await;
    bar.finish_and_clear();
    collected.sort_by(|one, other| one.meter.cmp(&other.meter));
    collected
}

/// Removes the temporary store, however the demonstration ends.
struct Cleanup(Option<PathBuf>);

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}
