//! Which device an address belongs to.

use std::net::IpAddr;
use std::sync::Arc;

use super::gateway::SharedLine;
use crate::simulator::fleet::handle::Site;

/// The devices behind one socket.
#[derive(Clone, Debug)]
pub(in crate::simulator) enum Find {
    /// One, at any address.
    One(Arc<Site>),
    /// One for each address from the first on.
    Addresses { first: IpAddr, sites: Arc<[Arc<Site>]> },
    /// Several on one line, at any address.
    Line(Arc<SharedLine>),
}

impl Find {
    /// The device with this address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Arc<Site>> {
        match self {
            Self::One(site) => Some(site),
            Self::Line(line) => Some(&line.front),
            Self::Addresses { first: IpAddr::V4(first), sites } => {
                // A socket for both families shows IPv4 addresses within IPv6.
                let IpAddr::V4(address) = address.to_canonical() else { return None };
                let place = u32::from(address).checked_sub(u32::from(*first))?;
                sites.get(usize::try_from(place).ok()?)
            }
            Self::Addresses { .. } => None,
        }
    }

    /// The line behind the socket, if it is one.
    pub(super) const fn line(&self) -> Option<&Arc<SharedLine>> {
        match self {
            Self::Line(line) => Some(line),
            _ => None,
        }
    }

    /// Whether several devices share the socket.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::Addresses { .. })
    }
}
