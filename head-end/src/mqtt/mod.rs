//! Readings and events published to an MQTT broker, as they are stored.
//!
//! ```text
//!   store: changes, events ──▶ Publisher ──QoS 1──▶ broker
//!             ▲                    │
//!             └── cursor ◀── acknowledged
//! ```
//!
//! The publisher follows the same order of changes as `Data.SubscribeReadings` and `Events.SubscribeEvents`. Its place
//! in it is a cursor in the store, which moves only behind what the broker has acknowledged: nothing is skipped, whatever
//! is restarted or unreachable, and what was published and not acknowledged is published again. Topics and payloads are
//! those of `docs/mqtt.md`.

mod available;
mod discovery;
mod message;
mod options;
mod publisher;
mod session;

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::options::{Broker, BrokerError, BrokerOptions, Prefix};
use crate::{head_end::HeadEnd, operation::MeterAccess, store::Store};

/// Publishes what `head_end` stores, on `tasks` until `stop`.
pub fn start<S: Store, A: MeterAccess>(
    head_end: HeadEnd<S, A>,
    options: BrokerOptions,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    tasks.spawn(publisher::run(head_end, Arc::new(options), stop.clone()));
}
