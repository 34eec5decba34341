//! Two generations of keys, of which a simulated meter has one.

use std::sync::Arc;

use super::support::{IMPORT, Setup, counter, management, registers};
use crate::{
    meter::{CounterId, KeyRotation, MeterConfig, MeterKeys, Secret},
    operation::RequestErrorKind,
};

/// The same meter with keys that it has not got.
fn wrong(config: &MeterConfig, counter: CounterId) -> MeterConfig {
    let mut config = config.clone();
    if let Some(ciphering) = &mut config.ciphering {
        let key = |octet| Secret::new(vec![octet; 16]);
        ciphering.keys = MeterKeys { encryption: key(0x77), authentication: key(0x78) };
        ciphering.counter = counter;
    }
    config
}

fn between(first: MeterConfig, other: MeterConfig, other_is_new: bool) -> MeterConfig {
    let rotation = KeyRotation { id: "rotation".into(), other: Arc::new(other), other_is_new };
    MeterConfig { rotation: Some(rotation), ..first }
}

#[tokio::test]
async fn the_keys_of_the_other_generation_are_tried_once_and_new_ones_proved() {
    let setup = Setup::new(1).await;
    let right = management("m", &setup.tcp(0), Some(setup.title(0)));
    let others = wrong(&right, counter("others"));
    let cases = [
        // The meter has taken the new keys, and we did not hear of it.
        (between(others.clone(), right.clone(), true), true),
        // It said so, and has them.
        (between(right.clone(), others.clone(), false), true),
        // It has not got them.
        (between(right.clone(), others.clone(), true), false),
        // It said that it has, and has not.
        (between(others.clone(), right.clone(), false), false),
    ];
    for (n, (config, proved)) in cases.into_iter().enumerate() {
        let config = MeterConfig { id: format!("case-{n}").parse().unwrap(), ..config };
        let meter = setup.registered.add(config);
        setup.execute(&meter, registers(&[IMPORT])).await.unwrap_or_else(|error| panic!("case {n}: {error}"));
        let found = std::mem::take(&mut *setup.registered.proved.lock().unwrap());
        assert_eq!(!found.is_empty(), proved, "case {n}: {found:?}");
    }
}

#[tokio::test]
async fn a_meter_that_refuses_both_generations_is_not_asked_by_both_again_and_again() {
    let setup = Setup::new(1).await;
    let right = management("m", &setup.tcp(0), Some(setup.title(0)));
    let (first, other) = (counter("first"), counter("other"));
    let meter = setup.registered.add(between(wrong(&right, first), wrong(&right, other), true));
    let mut used = Vec::new();
    for _ in 0..3 {
        let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::SecurityFailed, "{error}");
        used.push(setup.registered.next_counter(other));
    }
    assert!(used[0] > 1, "tried");
    assert_eq!(used[0], used[2], "and not again");
    assert!(setup.registered.proved.lock().unwrap().is_empty());
}
