//! Memory of associations that are open and of which nothing is asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dlms_head_end::fleet::{Fleet, FleetOptions, Network};
use futures_util::{StreamExt, stream};

use crate::{
    directory::{Directory, Via, name},
    gets::{Exchange, Get},
    meters::Meters,
    process::resident,
};

/// Associations that are opened at the same time.
const AT_ONCE: usize = 256;
/// Until memory that is given back has been.
const REST: Duration = Duration::from_secs(5);

/// What was held.
pub(crate) struct Held {
    /// Associations opened in a second.
    pub(crate) rate: f64,
    /// Octets of resident memory of this process, each.
    pub(crate) octets: u64,
    /// The same while they were asked, the most seen.
    pub(crate) asked: u64,
}

/// Opens an association with each of the first `count` meters, holds them all, and asks each once more at the end, over
/// the same association.
pub(crate) async fn held(meters: &Meters, count: usize, via: Via) -> Result<Held, String> {
    let mut addresses = match via {
        Via::Tcp => meters.tcp(),
        Via::Udp => meters.udp(),
    };
    addresses.truncate(count);
    let count = addresses.len();
    let directory = Arc::new(Directory::new(addresses, via));
    let (fleet, _notifications) =
        Fleet::start(directory, Network::default(), FleetOptions::default()).map_err(|error| error.to_string())?;
    let before = resident()?;
    let begun = Instant::now();
    ask(&fleet, count).await?;
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    tokio::time::sleep(REST).await;
    let octets = resident()?.saturating_sub(before) / count as u64;
    let opened = fleet.counts().associations();
    ask(&fleet, count).await?;
    let asked = resident()?.saturating_sub(before) / count as u64;
    if fleet.counts().associations() != opened || fleet.live_meters() != count {
        return Err(format!("{} associations were opened for {count} meters", fleet.counts().associations()));
    }
    fleet.shutdown(tokio::time::Instant::now() + Duration::from_secs(60)).await;
    Ok(Held { rate, octets, asked })
}

async fn ask(fleet: &Fleet, count: usize) -> Result<(), String> {
    let asked = (0..count).map(|number| {
        let mut get = Get { fleet: fleet.clone(), meter: name(number) };
        async move { get.exchange().await }
    });
    let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some(answered) = asked.next().await {
        answered?;
    }
    Ok(())
}
