//! The same operations over every link, and hosts that are not there.

use std::time::Duration;

use super::support::{IMPORT, PATIENCE, Setup, config, management, registers};
use crate::{
    fleet::{Connector, Network, TransportError},
    meter::{AddressWidth, HdlcConfig, LinkConfig, MeterConfig, ModeE},
    operation::{Operation, Outcome, RequestErrorKind},
};
use tokio::{net::TcpListener, time::Instant};

async fn reads(setup: &Setup, meter: &crate::meter::MeterId) {
    let Outcome::Registers(results) = setup.execute(meter, registers(&[IMPORT])).await.unwrap() else {
        panic!("another outcome")
    };
    assert!(results[0].is_ok(), "{results:?}");
}

#[tokio::test]
async fn hdlc_over_tcp_with_every_address_width_and_window() {
    let setup = Setup::new(3).await;
    let width = |width, lower| HdlcConfig { width, lower, ..HdlcConfig::default() };
    let one = setup.managed_over_hdlc(0, width(AddressWidth::One, None), PATIENCE);
    let two = setup.managed_over_hdlc(1, HdlcConfig { window: 3, ..width(AddressWidth::Two, Some(16)) }, PATIENCE);
    let four = setup.managed_over_hdlc(
        2,
        HdlcConfig { information_field: 512, ..width(AddressWidth::Four, Some(16)) },
        PATIENCE,
    );
    for meter in [&one, &two, &four] {
        reads(&setup, meter).await;
        // Blocks and segments together.
        setup.execute(meter, Operation::DiscoverObjects).await.unwrap();
    }
}

#[tokio::test]
async fn datagrams_carry_associations_too() {
    let setup = Setup::new(1).await;
    let address = setup.device(0).ports().udp.unwrap().to_string().parse().unwrap();
    let config = management("udp", "127.0.0.1:1", Some(setup.title(0)));
    let meter = setup.registered.add(MeterConfig { link: LinkConfig::UdpWrapper { address }, ..config });
    reads(&setup, &meter).await;
    setup.execute(&meter, Operation::DiscoverObjects).await.unwrap();
}

#[tokio::test]
async fn host_names_and_ipv6_are_addresses() {
    let listener = TcpListener::bind("[::1]:0").await;
    let setup = Setup::new(1).await;
    let port = setup.device(0).ports().tcp.unwrap().port();
    let named = setup.registered.add(management("named", &format!("localhost:{port}"), None));
    reads(&setup, &named).await;
    // Not every machine has IPv6.
    if let Ok(listener) = listener {
        let link = LinkConfig::TcpWrapper { address: listener.local_addr().unwrap().to_string().parse().unwrap() };
        Network::default().connect(&link, Instant::now() + PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_not_there_is_unreachable_with_the_reason() {
    let setup = Setup::new(1).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = setup.registered.add(config("refused", &free.to_string()));
    let unnamed = setup.registered.add(config("unnamed", "no-such-host.invalid:4059"));
    for (meter, reason) in [(refused, "refused"), (unnamed, "resolved")] {
        let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Unreachable);
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!((error.meter(), error.sent(), error.is_retryable()), (Some(&meter), false, true));
    }
}

#[tokio::test]
async fn a_port_that_does_not_exist_is_named() {
    let device = "/nonexistent/ttyUSB0";
    let link = LinkConfig::HdlcSerial { device: device.into(), baud: 9_600, hdlc: HdlcConfig::default(), mode_e: None };
    let error = Network::default().connect(&link, Instant::now() + Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(&error, TransportError::Port { device: named, .. } if named == device), "{error:?}");
}

#[tokio::test]
async fn an_address_that_does_not_fit_is_the_callers_error() {
    let setup = Setup::new(1).await;
    let hdlc = HdlcConfig { lower: Some(300), width: AddressWidth::Two, ..HdlcConfig::default() };
    let meter = setup.managed_over_hdlc(0, hdlc, PATIENCE);
    let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (RequestErrorKind::InvalidRequest, false));
}

#[tokio::test]
async fn hdlc_over_a_serial_line() {
    use std::os::fd::AsRawFd;

    let setup = Setup::new(1).await;
    // Our end of a pseudo terminal is the line to the meter's HDLC port.
    let (mut line, other) = tokio_serial::SerialStream::pair().unwrap();
    // Kept open by a handle without the lock that a serial port has; its path works without a mounted /dev/pts too.
    let path = |descriptor: &dyn AsRawFd| format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let handle = std::fs::File::options().read(true).write(true).open(path(&other)).unwrap();
    drop(other);
    let device = path(&handle).into();
    let mut meter = tokio::net::TcpStream::connect(setup.device(0).ports().hdlc_tcp.unwrap()).await.unwrap();
    let carrier = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut line, &mut meter).await });
    let link = LinkConfig::HdlcSerial { device, baud: 115_200, hdlc: HdlcConfig::default(), mode_e: None };
    let config = management("serial", "127.0.0.1:1", Some(setup.title(0)));
    let id = setup.registered.add(MeterConfig { link, ..config });
    reads(&setup, &id).await;
    assert_eq!(setup.fleet.shutdown(Instant::now() + PATIENCE).await, 0);
    carrier.abort();
}

/// The same with the sign-on first, at a meter that insists on it; its port is the other end of a second pseudo terminal.
#[tokio::test]
async fn hdlc_after_a_sign_on_at_a_serial_line() {
    use dlms_meter_server::simulator::{Fleet, FleetConfig, SerialConfig};
    use std::os::fd::AsRawFd;

    let path = |descriptor: &dyn AsRawFd| format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let end = || {
        let (line, other) = tokio_serial::SerialStream::pair().unwrap();
        let handle = std::fs::File::options().read(true).write(true).open(path(&other)).unwrap();
        (line, handle)
    };
    let ((mut ours, our_handle), (mut theirs, their_handle)) = (end(), end());
    let carrier = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut ours, &mut theirs).await });
    let serial = vec![SerialConfig { path: path(&their_handle).into(), baud: 9_600, mode_e: true }];
    let meters = Fleet::start(FleetConfig { serial, ..FleetConfig::default() }).await.unwrap();
    let setup = Setup::new(1).await;
    let link = |address: &str| LinkConfig::HdlcSerial {
        device: path(&our_handle).into(),
        baud: 19_200,
        hdlc: HdlcConfig::default(),
        mode_e: Some(ModeE { device_address: address.into() }),
    };
    let title = meters.devices()[0].meters()[0].system_title;
    let config = management("optical", "127.0.0.1:1", Some(title));
    let id = setup.registered.add(MeterConfig { link: link(""), ..config });
    reads(&setup, &id).await;
    assert_eq!(setup.fleet.shutdown(Instant::now() + PATIENCE).await, 0);
    // Another device's address is not answered.
    let refused = Network::default().connect(&link("99"), Instant::now() + Duration::from_secs(20)).await.unwrap_err();
    assert!(refused.to_string().contains("no identification after 3 attempt(s)"), "{refused}");
    carrier.abort();
}
