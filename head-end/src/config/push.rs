//! Options of the listeners for pushes.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use serde::Deserialize;

use super::{Options, Span};
use crate::{dial_in::DialInOptions, push::PushOptions};

/// Addresses with ports, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Addresses(Vec<SocketAddr>);

/// Why a text is no list of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address with a port such as 0.0.0.0:4059 or [::]:4059")]
pub struct AddressesError(String);

impl FromStr for Addresses {
    type Err = AddressesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = |text: &str| text.trim().parse().map_err(|_| AddressesError(text.to_owned()));
        text.split(',').filter(|text| !text.trim().is_empty()).map(address).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Addresses {
    type Error = AddressesError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The listeners for meters that connect, with defaults where nothing is set.
pub(super) fn dial_in(options: &Options) -> DialInOptions {
    let defaults = DialInOptions::default();
    let per_source = options.dial_in_connections_per_source;
    DialInOptions {
        listen: options.dial_in.clone().unwrap_or_default().0,
        connections: options.dial_in_connections.map_or(defaults.connections, Into::into),
        connections_per_source: per_source.map_or(defaults.connections_per_source, Into::into),
        first: options.dial_in_first.map_or(defaults.first, Span::duration),
        ..defaults
    }
}

/// The listeners, with defaults where nothing is set.
pub(super) fn resolve(options: &Options) -> PushOptions {
    let defaults = PushOptions::default();
    let addresses = |given: &Option<Addresses>| given.clone().unwrap_or_default().0;
    let span = |given: Option<Span>, default: Duration| given.map_or(default, Span::duration);
    PushOptions {
        tcp: addresses(&options.push_tcp),
        udp: addresses(&options.push_udp),
        hdlc_tcp: addresses(&options.push_hdlc),
        connections: options.push_connections.map_or(defaults.connections, Into::into),
        connections_per_source: options.push_connections_per_source.map_or(defaults.connections_per_source, Into::into),
        rate_per_minute: options.push_rate.unwrap_or(defaults.rate_per_minute),
        apdu_octets: options.push_octets.map_or(defaults.apdu_octets, Into::into),
        idle: span(options.push_idle, defaults.idle),
        read: defaults.read,
        unclaimed: options.unclaimed.map_or(defaults.unclaimed, Into::into),
        keep: span(options.push_keep, defaults.keep),
    }
}
