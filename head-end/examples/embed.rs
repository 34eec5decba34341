//! A head-end inside another program: no server, no gRPC. Registers a meter behind a wrapper on TCP, reads its energy
//! register as the public client, and shows what the store holds of it afterwards.
//!
//!     cargo run -p dlms-head-end --no-default-features --example embed -- DATA_DIRECTORY ADDRESS:PORT

use std::{error::Error, path::Path, time::Duration};

use dlms::{id::ClassId, obis::ObisCode};
use dlms_head_end::{
    config::Options,
    meter::{LinkConfig, MeterId, MeterSettings},
    node::Node,
    operation::{RegisterRef, Terms},
    registry::{Change, Secrets},
    store::{CaptureFilter, CaptureQuery},
};
use jiff::Timestamp;
use tokio::time::Instant;

/// What this program learned: the values of the register, and how many captures of it are stored.
pub(crate) struct Learned {
    pub(crate) values: Vec<String>,
    pub(crate) stored: usize,
}

/// Reads the energy register of the meter at `address`.
pub(crate) async fn read(data: &Path, address: &str) -> Result<Learned, Box<dyn Error + Send + Sync>> {
    let options = Options { data_dir: Some(data.to_owned()), ..Options::default() };
    // Plans, pushes and jobs run from here on; nothing listens but what the options ask for.
    let node = Node::open(options.resolve(), None).await?;
    let learned = ask(&node, address).await;
    // Releases the association and writes what waits, however it went.
    node.close().await;
    learned
}

async fn ask(node: &Node, address: &str) -> Result<Learned, Box<dyn Error + Send + Sync>> {
    let head_end = node.head_end();
    let meter = MeterId::try_new("cellar")?;
    let link = LinkConfig::TcpWrapper { address: address.parse()? };
    let settings = MeterSettings { link, ..MeterSettings::default() };
    head_end.registry().create(meter.clone(), Change { settings, secrets: Secrets::new() }, None).await?;

    let energy = RegisterRef { obis: ObisCode([1, 0, 1, 8, 0, 255]), class: Some(ClassId(3)) };
    let terms = Terms::by(Instant::now() + Duration::from_secs(30));
    let read = head_end.read_registers(&meter, vec![energy], terms).await?;
    let values = read.results.into_iter().map(|result| result.map(|reading| format!("{:?}", reading.value)));
    let values = values.collect::<Result<Vec<_>, _>>()?;

    let query = CaptureQuery {
        meter,
        filter: CaptureFilter::Registers,
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        all_revisions: false,
        after: None,
        limit: 10,
    };
    Ok(Learned { values, stored: head_end.query(query).await?.captures.len() })
}

#[allow(dead_code)] // a test uses the rest of the file
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("say: embed DATA_DIRECTORY ADDRESS:PORT".into());
    };
    let learned = read(Path::new(&data), &address).await?;
    println!("read {}; {} captures are stored", learned.values.join(", "), learned.stored);
    Ok(())
}
