mod audit;
mod counters;
mod coverage;
mod events;
mod faults;
mod firmware;
mod meters;
mod readings;

use std::{path::Path, time::Duration};

use dlms::obis::ObisCode;

use super::*;
use crate::{
    meter::{CounterId, MeterId, MeterRecord, MeterSettings},
    operation::{CounterBlock, ObjectModel, ProfileLayout},
    store::{
        CounterStore, MeterFilter, MeterStore, ModelStore, NewMeter, RequestKey, RequestState, RequestStore, Written,
    },
};

/// Short waits, so that a test of failure takes no longer than it must.
fn options() -> SqliteOptions {
    SqliteOptions {
        busy_timeout: Duration::from_millis(50),
        append_patience: Duration::from_millis(100),
        retry: (Duration::from_millis(10), Duration::from_millis(40)),
        ..SqliteOptions::default()
    }
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, options()).unwrap()
}

fn id(text: &str) -> MeterId {
    MeterId::try_new(text).unwrap()
}

fn meter(name: &str, revision: u64) -> NewMeter {
    let moment = "2026-11-20T12:00:00Z".parse().unwrap();
    NewMeter {
        record: MeterRecord {
            id: id(name),
            revision,
            created: moment,
            updated: moment,
            settings: MeterSettings::default(),
            encryption_key_set: false,
            authentication_key_set: false,
            password_set: false,
        },
        secrets: Vec::new(),
    }
}

fn request(id: &str, digest: u8) -> RequestKey {
    RequestKey { method: "Test", id: id.to_owned(), digest: [digest; 32] }
}
