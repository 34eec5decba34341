//! Opens the ports of meters that are reached in the same way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use super::FleetError;
use super::handle::{DeviceHandle, LineAddress, Ports, Site};
use crate::simulator::config::{Addressing, SiteConfig};
use crate::simulator::device::sap;
use crate::simulator::driver::{Wake, WakeList};
use crate::simulator::net::find::Find;
use crate::simulator::net::gateway::{NETWORK, SharedLine, physical_address};
use crate::simulator::net::{self, Port, Shared};
use crate::simulator::population::Population;

/// How many sockets and serial ports will be open.
pub(super) fn sockets(numbers: &Range<u32>, site: &SiteConfig) -> usize {
    let protocols = [site.tcp, site.hdlc_tcp, site.udp].iter().flatten().count();
    let each = match site.addressing {
        Addressing::Ports => numbers.len(),
        Addressing::Addresses
        | Addressing::LogicalDevices
        | Addressing::Gateway { .. }
        | Addressing::Concentrator { .. } => 1,
    };
    protocols.saturating_mul(each).saturating_add(site.serial.len())
}

/// Opens the ports of the meters with these numbers. The first of their devices has number `first`.
pub(super) async fn section(
    shared: &Arc<Shared>,
    population: &Arc<Population>,
    wake: &Arc<WakeList>,
    first: usize,
    (numbers, config): (Range<u32>, &SiteConfig),
) -> Result<Vec<DeviceHandle>, FleetError> {
    let made = |(device, numbers)| {
        let wake = Wake { list: Arc::clone(wake), device: u32::try_from(first + device).unwrap_or(u32::MAX) };
        let site = Site::new(population, numbers, &shared.counts, wake);
        // What is kept must be usable; otherwise meters can wait until somebody speaks to them.
        if population.keeps_state() {
            site.device().make()?;
        }
        Ok(Arc::new(site))
    };
    let sites: Vec<Arc<Site>> = match config.addressing {
        Addressing::LogicalDevices => vec![made((0, numbers.clone()))?],
        _ => {
            let alone = numbers.clone().map(|number| number..number.saturating_add(1));
            alone.enumerate().map(made).collect::<Result<_, FleetError>>()?
        }
    };
    let mut devices = match config.addressing {
        Addressing::Addresses => by_address(shared, &sites, config).await?,
        Addressing::Ports | Addressing::LogicalDevices => by_port(shared, &sites, config).await?,
        Addressing::Gateway { .. } | Addressing::Concentrator { .. } => {
            let wake = Wake { list: Arc::clone(wake), device: u32::try_from(first).unwrap_or(u32::MAX) };
            let front = Arc::new(Site::new(population, numbers, &shared.counts, wake));
            by_line(shared, front, &sites, config).await?
        }
    };
    for (device, serial) in devices.iter_mut().zip(&config.serial) {
        net::serial::open(&Port::new(shared, &device.site), serial)?;
        device.ports_mut().serial = Some(serial.path.clone());
    }
    if let Some(dial) = &config.dial {
        if let Some(first) = dial.from {
            let last = u32::try_from(sites.len()).unwrap_or(u32::MAX).saturating_sub(1);
            counted_ip(SocketAddr::new(first, 0), last)?;
        }
        net::dial::start(shared, sites, dial.clone());
    }
    Ok(devices)
}

/// Sockets for each device.
async fn by_port(
    shared: &Arc<Shared>,
    sites: &[Arc<Site>],
    config: &SiteConfig,
) -> Result<Vec<DeviceHandle>, FleetError> {
    let mut devices = Vec::with_capacity(sites.len());
    for (number, site) in (0_u32..).zip(sites) {
        let find = || Find::One(Arc::clone(site));
        let mut ports = Ports::default();
        if let Some(first) = config.tcp {
            let address = counted_port(first, number)?;
            ports.tcp = Some(net::tcp::listen_wrapper(shared, address, find()).await?);
        }
        if let Some(first) = config.hdlc_tcp {
            let address = counted_port(first, number)?;
            ports.hdlc_tcp = Some(net::tcp::listen_hdlc(shared, address, find()).await?);
        }
        if let Some(first) = config.udp {
            let address = counted_port(first, number)?;
            ports.udp = Some(net::udp::listen(shared, address, find()).await?);
        }
        devices.push(DeviceHandle::new(Arc::clone(site), ports));
    }
    Ok(devices)
}

/// One socket for each protocol, in front of a line that all share.
async fn by_line(
    shared: &Arc<Shared>,
    front: Arc<Site>,
    sites: &[Arc<Site>],
    config: &SiteConfig,
) -> Result<Vec<DeviceHandle>, FleetError> {
    let Some(line) = SharedLine::new(config.addressing, front, sites.to_vec()).map(Arc::new) else {
        return Ok(Vec::new());
    };
    let mut bound = Ports::default();
    if let Some(address) = config.tcp {
        bound.tcp = Some(net::tcp::listen_wrapper(shared, address, Find::Line(Arc::clone(&line))).await?);
    }
    if let Some(address) = config.hdlc_tcp {
        bound.hdlc_tcp = Some(net::tcp::listen_hdlc(shared, address, Find::Line(Arc::clone(&line))).await?);
    }
    let behind = |index: usize| match config.addressing {
        Addressing::Gateway { .. } => LineAddress::Gateway { network: NETWORK, device: physical_address(index) },
        _ => LineAddress::Concentrator(sap(index)),
    };
    let device = |(index, site): (usize, &Arc<Site>)| {
        DeviceHandle::new(Arc::clone(site), Ports { behind: Some(behind(index)), ..bound.clone() })
    };
    Ok(sites.iter().enumerate().map(device).collect())
}

/// One socket for each protocol.
async fn by_address(
    shared: &Arc<Shared>,
    sites: &[Arc<Site>],
    config: &SiteConfig,
) -> Result<Vec<DeviceHandle>, FleetError> {
    let all: Arc<[Arc<Site>]> = sites.into();
    let last = u32::try_from(all.len()).unwrap_or(u32::MAX).saturating_sub(1);
    let find = |first: SocketAddr| {
        counted_ip(first, last)?;
        Ok::<_, FleetError>(Find::Addresses { first: first.ip(), sites: Arc::clone(&all) })
    };
    let everywhere = |first: SocketAddr| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), first.port());
    let mut bound = Ports::default();
    if let Some(first) = config.tcp {
        let port = net::tcp::listen_wrapper(shared, everywhere(first), find(first)?).await?.port();
        bound.tcp = Some(SocketAddr::new(first.ip(), port));
    }
    if let Some(first) = config.hdlc_tcp {
        let port = net::tcp::listen_hdlc(shared, everywhere(first), find(first)?).await?.port();
        bound.hdlc_tcp = Some(SocketAddr::new(first.ip(), port));
    }
    if let Some(first) = config.udp {
        let port = net::udp::listen(shared, everywhere(first), find(first)?).await?.port();
        bound.udp = Some(SocketAddr::new(first.ip(), port));
    }
    let at = |first: Option<SocketAddr>, number| first.map(|first| counted_ip(first, number)).transpose();
    (0_u32..)
        .zip(sites)
        .map(|(number, site)| {
            let ports = Ports {
                tcp: at(bound.tcp, number)?,
                hdlc_tcp: at(bound.hdlc_tcp, number)?,
                udp: at(bound.udp, number)?,
                serial: None,
                behind: None,
            };
            Ok(DeviceHandle::new(Arc::clone(site), ports))
        })
        .collect()
}

/// The address of device `number`: the port counts up, port 0 stays.
fn counted_port(first: SocketAddr, number: u32) -> Result<SocketAddr, FleetError> {
    if first.port() == 0 {
        return Ok(first);
    }
    let port = u32::from(first.port()).checked_add(number).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(FleetError::Ports { first: first.port(), meter: number })?;
    Ok(SocketAddr::new(first.ip(), port))
}

/// The address of device `number`: the IPv4 address counts up, within 127.0.0.0/8 where it begins there.
pub(crate) fn counted_ip(first: SocketAddr, number: u32) -> Result<SocketAddr, FleetError> {
    let refused = |reason| FleetError::Addresses { first, meter: number, reason };
    let IpAddr::V4(ip) = first.ip() else { return Err(refused("only IPv4 addresses are counted up")) };
    let counted = u32::from(ip).checked_add(number).map(Ipv4Addr::from);
    let counted = counted.ok_or(refused("over 255.255.255.255"))?;
    // The first and the last address of the network are broadcasts to Linux.
    if ip.is_loopback() && (!counted.is_loopback() || counted == Ipv4Addr::new(127, 255, 255, 255)) {
        return Err(refused("over 127.255.255.254"));
    }
    if ip.is_unspecified() || ip == Ipv4Addr::new(127, 0, 0, 0) {
        return Err(refused("it is no address of a host"));
    }
    Ok(SocketAddr::new(IpAddr::V4(counted), first.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_count_up() {
        let address: SocketAddr = "127.0.0.1:65534".parse().unwrap();
        assert_eq!(counted_port(address, 1).unwrap().port(), 65535);
        assert!(matches!(counted_port(address, 2), Err(FleetError::Ports { first: 65534, meter: 2 })));
        assert_eq!(counted_port("127.0.0.1:0".parse().unwrap(), 9).unwrap().port(), 0);
    }

    #[test]
    fn addresses_count_up_within_their_network() {
        let at = |first: &str, number| counted_ip(first.parse().unwrap(), number).map(|address| address.to_string());
        assert_eq!(at("127.1.0.255:4059", 1).unwrap(), "127.1.1.0:4059");
        assert_eq!(at("10.0.0.1:4059", 99_999).unwrap(), "10.1.134.160:4059");
        for (first, number) in [("127.255.255.0:1", 255), ("255.255.255.255:1", 1), ("[::1]:1", 0), ("0.0.0.0:1", 0)] {
            assert!(matches!(at(first, number), Err(FleetError::Addresses { .. })), "{first} {number}");
        }
        assert_eq!(at("127.255.255.0:1", 254).unwrap(), "127.255.255.254:1");
    }
}
