//! Connections of one device, counted by the way they came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::simulator::fleet::handle::Site;

/// The ways to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Way {
    Tcp,
    HdlcTcp,
    Udp,
    Serial,
    Dialled,
}

/// Connections by way.
#[derive(Debug, Default)]
pub(crate) struct Uses([Use; 5]);

#[derive(Debug, Default)]
struct Use {
    /// Open now.
    open: AtomicU32,
    /// Opened so far: the number of the next one, so that each has faults of its own.
    opened: AtomicU32,
}

impl Uses {
    const fn way(&self, way: Way) -> &Use {
        let Self([tcp, hdlc_tcp, udp, serial, dialled]) = self;
        match way {
            Way::Tcp => tcp,
            Way::HdlcTcp => hdlc_tcp,
            Way::Udp => udp,
            Way::Serial => serial,
            Way::Dialled => dialled,
        }
    }

    /// The number of a new connection.
    pub(super) fn next(&self, way: Way) -> u64 {
        self.way(way).opened.fetch_add(1, Ordering::Relaxed).into()
    }
}

/// One of the connections that a port of a device takes.
#[derive(Debug)]
pub(super) struct Place {
    site: Arc<Site>,
    way: Way,
}

impl Place {
    /// A place, unless `limit` are taken.
    pub(super) fn take(site: &Arc<Site>, way: Way, limit: usize) -> Option<Self> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let more = |open: u32| open.checked_add(1).filter(|open| *open <= limit);
        site.uses.way(way).open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self { site: Arc::clone(site), way })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.site.uses.way(self.way).open.fetch_sub(1, Ordering::Relaxed);
    }
}
