//! Many meters at once.

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};

use super::{
    faults::error_of,
    support::{IMPORT, Setup, registers},
};
use crate::{
    meter::HdlcConfig,
    operation::{MeterAccess, RequestErrorKind},
};

/// Every fourth meter is silent, closes, or talks nonsense.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_meters_are_read_at_once_and_the_sick_do_not_disturb_the_well() {
    const METERS: usize = 200;
    let setup = Setup::new(METERS as u32).await;
    let sick = |index: usize| match index % 16 {
        3 => Some("silence:1"),
        7 => Some("close@2:1"),
        11 => Some("truncate@3:1"),
        15 => Some("reset@1:1"),
        _ => None,
    };
    let mut reads = JoinSet::new();
    for index in 0..METERS {
        // Every third one over HDLC.
        let meter = match index % 3 {
            2 => setup.managed_over_hdlc(index, HdlcConfig::default(), Duration::from_secs(2)),
            _ => setup.managed(index),
        };
        if let Some(fault) = sick(index) {
            setup.device(index).set_faults(vec![fault.parse().unwrap()]);
        }
        let fleet = setup.fleet.clone();
        reads.spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(15);
            (index, fleet.execute(&meter, registers(&[IMPORT]), deadline.into()).await, Instant::now() > deadline)
        });
    }
    while let Some(read) = reads.join_next().await {
        let (index, result, late) = read.unwrap();
        assert!(!late, "meter {index} kept its caller waiting");
        match (error_of(result), sick(index)) {
            (None, None) => {}
            (Some(error), Some(_)) => {
                use RequestErrorKind::{Protocol, SecurityFailed, Unreachable};
                assert!(matches!(error.kind(), Protocol | SecurityFailed | Unreachable), "{index}: {error:?}");
            }
            (error, sick) => panic!("{index} {sick:?}: {error:?}"),
        }
    }
    assert_eq!(setup.fleet.live_meters(), METERS);
    assert_eq!(setup.fleet.shutdown(Instant::now() + Duration::from_secs(10)).await, 0);
    assert_eq!(setup.fleet.live_meters(), 0);
}
