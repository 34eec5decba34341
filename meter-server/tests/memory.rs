//! How much memory a meter takes: what a fleet of a hundred thousand needs is this, a hundred thousand times.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use dlms::association::server::{AuditEvent, Device, FailedAttempts, Source};
use dlms::axdr::Data;
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms_meter_server::simulator::{Addressing, Fleet, FleetConfig, KeySource, MasterSeed};
use support::{Client, NOW, stopped};

/// Octets that a meter may take at rest, beyond its history, which is not stored.
const AT_REST: isize = 4_096;
const METERS: u32 = 1_000;

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
    let (started, visited) = (started / METERS as isize, visited / METERS as isize);
    println!("a meter takes {started} octets before and {visited} after somebody spoke to it");
    assert_eq!(fleet.counts().meters_made, u64::from(METERS));
    assert!(started <= AT_REST / 4, "{started} octets");
    assert!(visited <= AT_REST, "{visited} octets");
}
