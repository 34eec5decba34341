//! Settings that make no sense are refused before anything starts.

use std::sync::Arc;

use dlms::id::ServerSap;

use super::FleetError;
use crate::simulator::config::{Addressing, FleetConfig, Group, KeySource, SiteConfig};
use crate::simulator::population::Population;

/// Meters of one fleet: a system title has five octets to count in, and memory is the narrower limit.
const METERS_MAX: u32 = 1_000_000;
/// Logical devices of one physical device: an upper HDLC address of two octets has 14 bits.
const LOGICAL_DEVICES_MAX: u32 = 16_000;

fn setting(right: bool, what: &'static str, range: &'static str) -> Result<(), FleetError> {
    if right { Ok(()) } else { Err(FleetError::Setting { what, range }) }
}

/// What concerns the whole fleet.
pub(super) fn fleet(config: &FleetConfig) -> Result<(), FleetError> {
    let limits = &config.limits;
    setting((0.0..=1e6).contains(&config.speed), "the speed", "from 0 to a million")?;
    setting((32..=2030).contains(&config.hdlc.information), "the HDLC information field", "from 32 to 2030 octets")?;
    setting((1..=7).contains(&config.hdlc.window), "the HDLC window", "from 1 to 7")?;
    setting((128..=65_000).contains(&limits.response_octets), "the longest response", "from 128 to 65000 octets")?;
    setting(limits.connections_per_port > 0, "the number of connections per port", "at least 1")?;
    let loopback = config.control.is_none_or(|address| address.ip().is_loopback());
    setting(loopback, "the address of the control interface", "a loopback address: it asks nobody who he is")?;
    setting(limits.idle.as_secs() <= 31_536_000, "the time without an octet", "up to a year")?;
    let udp = limits.udp_clients_per_port.min(limits.udp_clients_shared);
    setting(udp > 0, "the number of UDP clients per port", "at least 1")
}

/// What concerns one group.
pub(super) fn group(group: &Group, master_key: bool) -> Result<(), FleetError> {
    if group.meters == 0 || group.meters > METERS_MAX {
        return Err(FleetError::Meters { count: group.meters, limit: METERS_MAX });
    }
    let suite = group.model.suite;
    if let KeySource::Shared(keys) = &group.keys {
        setting(
            keys.suite.key_length() == suite.key_length(),
            "the keys",
            "as long as those of the model's suite: 16 octets, or 32 in suite 2",
        )?;
    }
    // Private keys are kept under it.
    setting(suite.curve().is_none() || master_key, "the keys of suites 1 and 2", "given with a key encrypting key")?;
    setting((0.0..=1.0).contains(&group.fault_share), "the share of faulty meters", "from 0 to 1")
}

/// What concerns meters that are reached together.
pub(super) fn site(site: &SiteConfig, meters: u32) -> Result<(), FleetError> {
    let limit = match site.addressing {
        Addressing::LogicalDevices | Addressing::Gateway { .. } | Addressing::Concentrator { .. } => {
            LOGICAL_DEVICES_MAX
        }
        Addressing::Ports | Addressing::Addresses => METERS_MAX,
    };
    if let Addressing::Gateway { baud } | Addressing::Concentrator { baud } = site.addressing {
        setting((300..=10_000_000).contains(&baud), "the rate of a shared line", "from 300 to 10000000 bit/s")?;
        let tcp_alone = site.udp.is_none() && site.serial.is_empty() && site.dial.is_none();
        setting(tcp_alone, "the way to a gateway or concentrator", "TCP, with the wrapper or HDLC")?;
    }
    if meters > limit {
        return Err(FleetError::Meters { count: meters, limit });
    }
    let devices = if site.addressing == Addressing::LogicalDevices { 1 } else { meters as usize };
    if site.serial.len() > devices {
        return Err(FleetError::SerialPorts { ports: site.serial.len(), devices });
    }
    let Some(dial) = &site.dial else { return Ok(()) };
    setting(dial.connections > 0 && dial.attempts > 0, "the number of dialled connections", "at least 1")?;
    setting(dial.pause.0 <= dial.pause.1, "the shortest pause between connections", "no longer than the longest")
}

/// That no two meters have the same system title.
pub(super) fn titles(population: &Population) -> Result<(), FleetError> {
    let mut ranges: Vec<_> = population.groups(0..population.len()).map(|group| (group.titles(), group)).collect();
    ranges.sort_by_key(|(titles, _)| *titles);
    for pair in ranges.windows(2) {
        let [((_, last), first), ((next, _), second)] = pair else { continue };
        if last >= next {
            return Err(FleetError::Titles { first: first.name.clone(), second: second.name.clone() });
        }
    }
    Ok(())
}

/// That meters can be made: the first of each group, and not only when somebody speaks to it.
pub(super) fn samples(population: &Population) -> Result<(), FleetError> {
    population.groups(0..population.len()).try_for_each(|group| {
        let alone = Arc::default();
        population.meter(group.numbers.start, ServerSap::MANAGEMENT, &alone).map(drop)
    })
}
