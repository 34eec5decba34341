//! The live meters. The map is locked inside the methods only: no guard ever leaves this file.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use tokio::sync::Mutex;

use super::{actor::Control, mailbox::Sender};
use crate::meter::MeterId;

/// How a live meter is reached.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    pub(super) jobs: Sender,
    pub(super) control: Arc<Control>,
    /// Held by the actor that may talk to the meter; handed on from one to the next.
    pub(super) voice: Arc<Mutex<()>>,
}

/// The live meters.
#[derive(Debug, Default)]
pub(super) struct Registry(DashMap<MeterId, Mailbox>);

impl Registry {
    /// The mailbox of a live meter.
    pub(super) fn get(&self, meter: &MeterId) -> Option<Mailbox> {
        self.0.get(meter).map(|mailbox| mailbox.clone())
    }

    /// The mailbox of a meter whose actor takes jobs; where there is none, `start` makes one, under the map's lock, so
    /// that two callers never start two actors.
    pub(super) fn get_or_start(&self, meter: &MeterId, start: impl FnOnce(Arc<Mutex<()>>) -> Mailbox) -> Mailbox {
        if let Some(mailbox) = self.get(meter).filter(|mailbox| !mailbox.jobs.is_closed()) {
            return mailbox;
        }
        match self.0.entry(meter.clone()) {
            Entry::Occupied(mut place) => {
                if place.get().jobs.is_closed() {
                    let voice = Arc::clone(&place.get().voice);
                    place.insert(start(voice));
                }
                place.get().clone()
            }
            Entry::Vacant(place) => place.insert(start(Arc::default())).clone(),
        }
    }

    /// Forgets a meter whose actor ended, unless another one has taken its place.
    pub(super) fn remove(&self, meter: &MeterId, control: &Arc<Control>) {
        self.0.remove_if(meter, |_, mailbox| Arc::ptr_eq(&mailbox.control, control));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many jobs wait in all mailboxes, and in the fullest one.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let depths = self.0.iter().map(|mailbox| mailbox.jobs.len());
        depths.fold((0, 0), |(sum, most), depth| (sum + depth, most.max(depth)))
    }
}
