//! How much memory a meter takes: what a fleet of a hundred thousand needs is this, a hundred thousand times.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use dlms::association::server::{AuditEvent, Device, FailedAttempts, Source};
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms_meter_server::simulator::{Addressing, Fleet, FleetConfig, KeySource, MasterSeed};
use support::{Client, NOW, encoded, stopped};

/// Octets that a meter may take at rest, beyond its history, which is not stored.
const AT_REST: isize = 4_096;
const METERS: u32 = 1_000;
/// Of them, those whose M-Bus is read.
const SAMPLE: usize = 20;

/// Octets allocated now.
static HELD: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> isize {
    HELD.load(Ordering::Relaxed)
}

/// Reads energies, the load profile's status and all event logs as a management client, fails to log in once, and
/// leaves.
fn visit(fleet: &Fleet, device: usize) {
    let client = Client { device: fleet.devices()[device].clone(), ..Client::management(fleet) };
    let (sap, server) = (ClientSap(1), ServerSap(1));
    client.device.with(|device| {
        device.set_failed_attempts(
            ClientSap(17),
            server,
            Source(1),
            FailedAttempts { count: 1, ..FailedAttempts::NONE },
        );
        device.audit(AuditEvent::AuthenticationFailed { client: ClientSap(17), server });
        device.audit(AuditEvent::Associated { client: sap, server });
        device.accept_counter(server, 0, SystemTitle(*b"TSTCLNT1"), 7);
        assert!(device.take_counter(server, 0).is_some());
    });
    assert!(client.number(3, "1.0.1.8.0.255", 2) > 0);
    for log in ["0.0.99.98.0.255", "0.0.99.98.1.255", "0.0.99.98.2.255"] {
        client.rows(log, None);
    }
    client.write(1, "0.0.96.1.4.255", 2, Data::OctetString(b"Cellar")).unwrap();
    client.device.with(|device| device.audit(AuditEvent::Released { client: sap, server }));
}

/// Changes the calendar to one of three seasons with other days on weekends, and again, with twenty special days, and
/// leaves.
fn program(fleet: &Fleet, device: usize) {
    let client = Client { device: fleet.devices()[device].clone(), ..Client::management(fleet) };
    let (sap, server) = (ClientSap(1), ServerSap(1));
    client.device.with(|device| device.audit(AuditEvent::Associated { client: sap, server }));
    let write = |class, instance, attribute, value: &dyn Fn(&mut Writer<'_>) -> Result<(), BufferFull>| {
        let octets = encoded(value);
        client.write(class, instance, attribute, Data::from_slice(&octets).unwrap()).unwrap();
    };
    const CALENDAR: &str = "0.0.13.0.0.255";
    for turn in 0..2_u8 {
        write(20, CALENDAR, 6, &|out| out.octets(&[b'C', turn]));
        write(20, CALENDAR, 7, &|out| {
            out.array(3)?;
            (0..3_u8).try_for_each(|season| {
                out.structure(3)?;
                out.octets(&[b'S', season])?;
                out.octets(&[0xFF, 0xFF, 1 + 4 * season, 1, 0xFF, 0, 0, 0, 0, 0x80, 0, 0])?;
                out.octets(&[b'W', season])
            })
        });
        write(20, CALENDAR, 8, &|out| {
            out.array(3)?;
            (0..3_u8).try_for_each(|week| {
                out.structure(8)?;
                out.octets(&[b'W', week])?;
                (0..7).try_for_each(|day| out.unsigned(if day < 5 { week } else { 3 }))
            })
        });
        write(20, CALENDAR, 9, &|out| {
            out.array(4)?;
            (0..4_u8).try_for_each(|day| {
                out.structure(2)?;
                out.unsigned(day)?;
                out.array(6)?;
                (0..6_u8).try_for_each(|period| {
                    out.structure(3)?;
                    out.octets(&[period * 4, 15 * turn, 0, 0])?;
                    out.octets(&[0, 0, 10, 0, 100, 255])?;
                    out.long_unsigned(u16::from((period + day) % 4) + 1)
                })
            })
        });
        client.invoke(20, CALENDAR, 1, Data::Integer(0)).unwrap();
        write(11, "0.0.11.0.0.255", 2, &|out| {
            out.array(20)?;
            (0..20_u8).try_for_each(|day| {
                out.structure(3)?;
                out.long_unsigned(day.into())?;
                out.octets(&[0xFF, 0xFF, 1 + day % 12, 1 + day, 0xFF])?;
                out.unsigned(turn)
            })
        });
    }
    assert!(client.number(3, "1.0.15.8.4.255", 2) > 0);
    client.device.with(|device| device.audit(AuditEvent::Released { client: sap, server }));
}

#[test]
fn a_meter_at_rest_takes_little_memory_before_and_after_somebody_spoke_to_it() {
    let address = |port: u16| Some(format!("127.77.0.1:{port}").parse().unwrap());
    let config = FleetConfig {
        meters: METERS,
        addressing: Addressing::Addresses,
        tcp: address(0),
        udp: address(0),
        ..stopped(7, NOW)
    };
    let group = dlms_meter_server::simulator::Group {
        keys: KeySource::Derived(std::sync::Arc::new(MasterSeed::new([7; 32]))),
        ..config.group()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let empty = held();
    let fleet = runtime.block_on(Fleet::start_groups(config, vec![group])).unwrap();
    // The driver looks at everyone once.
    runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_millis(1)).await });
    let started = held() - empty;
    (0..METERS as usize).for_each(|device| visit(&fleet, device));
    let visited = held() - empty;
    // What the devices behind some of them take when they were read too. The first pays for what all share.
    let mut before = 0;
    for device in 0..=SAMPLE {
        if device == 1 {
            before = held();
        }
        let client = Client { device: fleet.devices()[device].clone(), ..Client::management(&fleet) };
        let audit = |event| client.device.with(|device| device.audit(event));
        audit(AuditEvent::Associated { client: ClientSap(1), server: ServerSap(1) });
        assert!(client.number(4, "0.1.24.2.1.255", 2) > 0);
        audit(AuditEvent::Released { client: ClientSap(1), server: ServerSap(1) });
    }
    let neighbours = (held() - before) / SAMPLE as isize;
    let (started, visited) = (started / METERS as isize, visited / METERS as isize);
    println!("a meter takes {started} octets before and {visited} after somebody spoke to it");
    assert_eq!(fleet.counts().meters_made, u64::from(METERS));
    assert!(started <= AT_REST / 4, "{started} octets");
    assert!(visited + neighbours <= AT_REST, "{visited} octets and {neighbours} for what is behind");
    const PROGRAMMED: usize = 20;
    // The first pays for what all share.
    program(&fleet, 0);
    let before = held();
    (1..=PROGRAMMED).for_each(|device| program(&fleet, device));
    let programmed = visited + (held() - before) / PROGRAMMED as isize;
    println!("and {programmed} after a client changed its calendar");
    assert!(programmed <= AT_REST, "{programmed} octets");
}
