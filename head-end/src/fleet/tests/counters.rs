//! Invocation counters and keys against a real meter's memory.

use dlms::id::SystemTitle;

use super::support::{BLOCK, IMPORT, Setup, ciphering, counter, get, management, ports, registers};
use crate::{
    fleet::FleetOptions,
    meter::{Ciphering, MeterConfig, MeterId, MeterKeys, Secret},
    operation::{Operation, Outcome, RequestErrorKind},
};

async fn reads(setup: &Setup, meter: &MeterId) {
    let Outcome::Registers(results) = setup.execute(meter, registers(&[IMPORT])).await.unwrap() else {
        panic!("another outcome")
    };
    assert!(results[0].is_ok(), "{results:?}");
}

#[tokio::test]
async fn lesson_01_blocks_are_reserved_ahead_and_used_up_before_the_next() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    for _ in 0..3 {
        reads(&setup, &meter).await;
        setup.execute(&meter, Operation::DiscoverObjects).await.unwrap();
    }
    let reservations = setup.registered.reservations.lock().unwrap();
    assert!(reservations.len() <= 3, "{reservations:?}");
    assert!(reservations.windows(2).all(|pair| pair[0].end == pair[1].next), "{reservations:?}");
}

#[tokio::test]
async fn lesson_01_a_session_that_outlives_its_block_goes_on_with_the_next() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    for _ in 0..BLOCK + 10 {
        let Outcome::Attributes(values) = setup.execute(&meter, get(3, IMPORT, 2)).await.unwrap() else {
            panic!("another outcome")
        };
        assert!(values[0].is_ok(), "{values:?}");
    }
    assert_eq!(setup.registered.reservations.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn lesson_01_counters_that_are_left_serve_the_next_session() {
    let options = FleetOptions::default();
    let setup = Setup::with(ports(), options).await;
    let meter = setup.registered.add(MeterConfig {
        timeouts: crate::meter::Timeouts {
            idle: std::time::Duration::from_millis(20),
            ..management("x", "127.0.0.1:1", None).timeouts
        },
        ..management("meter-0", &setup.tcp(0), None)
    });
    for _ in 0..4 {
        reads(&setup, &meter).await;
        tokio::time::sleep(std::time::Duration::from_millis(80)).await;
    }
    assert_eq!(setup.registered.reservations.lock().unwrap().len(), 1, "one block for four sessions");
}

/// A fleet that has lost its memory of the counter: the store was restored from an old backup.
async fn after_restore(options: FleetOptions) -> (Setup, MeterId) {
    let setup = Setup::with(ports(), options.clone()).await;
    let meter = setup.managed(0);
    for _ in 0..20 {
        reads(&setup, &meter).await;
    }
    let used = setup.registered.next_counter(counter("meter-0"));
    assert_eq!(used, 1 + BLOCK);
    // Not the first counter of all: that one has the meter asked at once.
    setup.registered.set_counter(counter("meter-0"), 2);
    setup.registered.reservations.lock().unwrap().clear();
    let registered = std::sync::Arc::clone(&setup.registered);
    let network = crate::fleet::Network::default();
    let (fleet, _) = crate::fleet::Fleet::start(registered, network, options).unwrap();
    (Setup { fleet, ..setup }, meter)
}

#[tokio::test]
async fn lesson_01_a_counter_that_fell_behind_is_moved_up_once_after_the_refusal() {
    let (setup, meter) = after_restore(FleetOptions::default()).await;
    reads(&setup, &meter).await;
    let reservations = setup.registered.reservations.lock().unwrap();
    // The stale block, and one from above what the meter has seen.
    assert_eq!(reservations.len(), 2, "{reservations:?}");
    assert!(reservations[1].next > 20, "{reservations:?}");
}

#[tokio::test]
async fn lesson_01_a_counter_that_was_never_used_is_asked_for_first() {
    let (setup, meter) = after_restore(FleetOptions::default()).await;
    setup.registered.set_counter(counter("meter-0"), 1);
    reads(&setup, &meter).await;
    assert!(setup.registered.reservations.lock().unwrap()[1].next > 20);
}

#[tokio::test]
async fn lesson_01_an_implausible_jump_is_refused_and_the_store_unchanged() {
    let (setup, meter) = after_restore(FleetOptions { counter_jump_max: 5, ..FleetOptions::default() }).await;
    let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::SecurityFailed);
    assert!(error.to_string().contains("more than 5 above"), "{error}");
    assert_eq!(setup.registered.next_counter(counter("meter-0")), 2 + BLOCK);
}

#[tokio::test]
async fn another_client_that_used_our_counters_up_costs_one_resynchronisation() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    reads(&setup, &meter).await;
    // The same key and title elsewhere, further on: our open association is behind now.
    let other = MeterConfig {
        ciphering: Some(Ciphering { counter: counter("elsewhere"), ..ciphering("elsewhere") }),
        ..management("elsewhere", &setup.tcp(0), None)
    };
    setup.registered.set_counter(counter("elsewhere"), 5_000);
    let other = setup.registered.add(other);
    reads(&setup, &other).await;
    reads(&setup, &meter).await;
    assert!(setup.registered.next_counter(counter("meter-0")) > 5_000);
    assert!(setup.execute(&meter, get(3, IMPORT, 2)).await.is_ok());
}

#[tokio::test]
async fn wrong_keys_are_a_security_failure_and_not_a_matter_of_counters() {
    let setup = Setup::new(1).await;
    let wrong = MeterKeys { encryption: Secret::new(vec![0xEE; 16]), authentication: Secret::new(vec![0xAA; 16]) };
    let ciphering = Ciphering { keys: wrong, ..ciphering("wrong") };
    let config = management("wrong", &setup.tcp(0), Some(setup.title(0)));
    let meter = setup.registered.add(MeterConfig { ciphering: Some(ciphering), ..config });
    let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::SecurityFailed, "{error:?}");
    assert!(!error.is_retryable());
    assert_eq!(setup.registered.reservations.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn lesson_01_another_meter_at_the_address_is_found_out_by_its_title() {
    let setup = Setup::new(1).await;
    let meter = setup.registered.add(management("meter-0", &setup.tcp(0), Some(SystemTitle(*b"SIM\0\0\0\0\0"))));
    let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::SecurityFailed);
    assert!(error.to_string().contains("system title"), "{error}");
}

#[tokio::test]
async fn keys_of_the_wrong_length_are_refused_before_anything_is_sent() {
    let setup = Setup::new(1).await;
    let keys = MeterKeys { encryption: Secret::new(vec![1; 15]), authentication: Secret::new(vec![2; 16]) };
    let ciphering = Ciphering { keys, ..ciphering("short") };
    let config = management("short", &setup.tcp(0), None);
    let meter = setup.registered.add(MeterConfig { ciphering: Some(ciphering), ..config });
    let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (RequestErrorKind::SecurityFailed, false));
}
