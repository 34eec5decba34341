//! Mailboxes, deadlines, callers that go away, routes, changes and the end.

use std::{sync::Arc, time::Duration};

use dlms::obis::ObisCode;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;

use super::support::{IMPORT, PATIENCE, Registered, Setup, config, get, management, ports, registers};
use crate::{
    fleet::{Connector, Fleet, FleetError, FleetOptions, Network, Transport, TransportError},
    meter::{LinkConfig, MeterConfig, Timeouts},
    operation::{MeterAccess, Outcome, RequestErrorKind},
};

/// A way that is never found.
struct Nowhere;

impl Connector for Nowhere {
    fn connect<'a>(&'a self, _: &'a LinkConfig, deadline: Instant) -> BoxFuture<'a, Result<Transport, TransportError>> {
        Box::pin(async move {
            tokio::time::sleep_until(deadline).await;
            Err(TransportError::TimedOut { peer: "nowhere".into(), after: Duration::ZERO })
        })
    }
}

/// A way that has a defect.
struct Defective;

impl Connector for Defective {
    fn connect<'a>(&'a self, _: &'a LinkConfig, _: Instant) -> BoxFuture<'a, Result<Transport, TransportError>> {
        panic!("a defect of the connector")
    }
}

fn fleet(connector: impl Connector, options: FleetOptions) -> (Fleet, Arc<Registered>) {
    let registered = Arc::new(Registered::default());
    let (fleet, _) = Fleet::start(Arc::clone(&registered), connector, options).unwrap();
    (fleet, registered)
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_an_answer_and_not_a_wait() {
    let (fleet, registered) = fleet(Nowhere, FleetOptions { mailbox: 2, ..FleetOptions::default() });
    let meter = registered.add(config("a", "127.0.0.1:1"));
    let started = Instant::now();
    let deadline = started + Duration::from_secs(60);
    let execute = || fleet.execute(&meter, registers(&[IMPORT]), deadline.into());
    let work = async {
        let busy = async {
            // The first is being carried out, two wait, the fourth finds no room.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let (_, _, full) = tokio::join!(execute(), execute(), async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                (execute().await, Instant::now())
            });
            full
        };
        tokio::join!(execute(), busy).1
    };
    let (refused, at) = work.await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::Busy);
    assert!(error.to_string().contains("of 2 places"), "{error}");
    assert!(at - started < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_too_long_expires_unsent() {
    let (fleet, registered) = fleet(Nowhere, FleetOptions::default());
    let meter = registered.add(config("a", "127.0.0.1:1"));
    let now = Instant::now();
    let first = fleet.execute(&meter, registers(&[IMPORT]), (now + Duration::from_secs(60)).into());
    let second = async {
        let result = fleet.execute(&meter, get(1, IMPORT, 2), (now + Duration::from_secs(1)).into()).await;
        (result, Instant::now())
    };
    let (first, (second, at)) = tokio::join!(first, second);
    assert_eq!(first.unwrap_err().kind(), RequestErrorKind::Unreachable);
    let error = second.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (RequestErrorKind::Expired, false));
    assert!(at - now < Duration::from_millis(1_100), "{:?}", at - now);
}

#[tokio::test]
async fn callers_that_went_away_are_skipped() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    for _ in 0..20 {
        assert!(setup.execute(&meter, registers(&[IMPORT])).now_or_never().is_none());
    }
    setup.execute(&meter, registers(&[IMPORT])).await.unwrap();
    // The meter has seen one association and one read of value and scaler, each APDU with a counter of its own.
    let public = setup.registered.add(config("public", &setup.tcp(0)));
    let counter = get(1, ObisCode([0, 0, 43, 1, 0, 255]), 2);
    let Outcome::Attributes(seen) = setup.execute(&public, counter).await.unwrap() else { panic!("another outcome") };
    let seen = seen[0].as_ref().unwrap().value.as_data().unwrap().as_u32().unwrap();
    assert!((1..12).contains(&seen), "{seen}");
}

#[tokio::test]
async fn a_panic_in_one_task_is_told_to_its_caller_and_to_nobody_else() {
    let (fleet, registered) = fleet(Defective, FleetOptions::default());
    let meter = registered.add(config("a", "127.0.0.1:1"));
    for _ in 0..2 {
        let error = fleet.execute(&meter, registers(&[IMPORT]), (Instant::now() + PATIENCE).into()).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Unreachable);
        assert!(error.to_string().contains("unexpectedly"), "{error}");
    }
    let unknown = "unknown".parse().unwrap();
    let error = fleet.execute(&unknown, registers(&[IMPORT]), (Instant::now() + PATIENCE).into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn meters_that_do_not_exist_leave_no_task_behind() {
    let (fleet, _) = fleet(Nowhere, FleetOptions::default());
    for number in 0..50 {
        let unknown = format!("unknown-{number}").parse().unwrap();
        let error =
            fleet.execute(&unknown, registers(&[IMPORT]), (Instant::now() + PATIENCE).into()).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::NotFound);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fleet.live_meters(), 0);
}

#[tokio::test]
async fn actors_without_work_end_and_come_back() {
    let options = FleetOptions { actor_idle: Duration::from_millis(30), ..FleetOptions::default() };
    let setup = Setup::with(ports(), options).await;
    let config = management("meter-0", &setup.tcp(0), None);
    let timeouts = Timeouts { idle: Duration::from_millis(30), ..config.timeouts };
    let meter = setup.registered.add(MeterConfig { timeouts, ..config });
    for _ in 0..2 {
        setup.execute(&meter, registers(&[IMPORT])).await.unwrap();
        assert_eq!(setup.fleet.live_meters(), 1);
        let ended = async {
            while setup.fleet.live_meters() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
    }
}

#[tokio::test]
async fn a_changed_configuration_takes_effect_with_the_next_request() {
    let setup = Setup::new(2).await;
    let meter = setup.managed(0);
    let serial = || get(1, ObisCode([0, 0, 42, 0, 0, 255]), 2);
    let before = format!("{:?}", setup.execute(&meter, serial()).await.unwrap());
    setup.registered.add(management("meter-0", &setup.tcp(1), Some(setup.title(1))));
    setup.fleet.invalidate(&meter);
    let after = format!("{:?}", setup.execute(&meter, serial()).await.unwrap());
    let name = |text: &str| text.split("OctetString").nth(1).unwrap().split(']').next().unwrap().to_owned();
    assert_ne!(name(&before), name(&after));
}

#[tokio::test]
async fn meters_of_one_route_take_turns() {
    let setup = Setup::with(
        dlms_meter_server::simulator::FleetConfig { meters: 4, ..ports() },
        FleetOptions { route_sessions: 1, ..FleetOptions::default() },
    )
    .await;
    let meters: Vec<_> = (0..4)
        .map(|index| {
            let id = format!("meter-{index}");
            let config = management(&id, &setup.tcp(index), None);
            setup.registered.add(MeterConfig { route: Some("pool".into()), ..config })
        })
        .collect();
    // Idle associations would keep the route for five seconds each; they are given up for those who wait.
    let started = Instant::now();
    let reads = meters.iter().map(|meter| setup.execute(meter, registers(&[IMPORT])));
    for result in futures_util::future::join_all(reads).await {
        result.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_shutdown_releases_associations_and_refuses_new_work() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    setup.execute(&meter, registers(&[IMPORT])).await.unwrap();
    assert_eq!(setup.fleet.shutdown(Instant::now() + PATIENCE).await, 0);
    let error = setup.execute(&meter, registers(&[IMPORT])).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_beyond_its_deadline() {
    let (fleet, registered) = fleet(Nowhere, FleetOptions::default());
    let slow = config("a", "127.0.0.1:1");
    let timeouts = Timeouts { connect: Duration::from_secs(600), ..slow.timeouts };
    let meter = registered.add(MeterConfig { timeouts, ..slow });
    let request = fleet.execute(&meter, registers(&[IMPORT]), (Instant::now() + Duration::from_secs(600)).into());
    let stop = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        fleet.shutdown(Instant::now() + Duration::from_secs(3)).await
    };
    let started = Instant::now();
    let (answer, left) = tokio::join!(request, stop);
    assert_eq!(answer.unwrap_err().kind(), RequestErrorKind::ShuttingDown);
    assert_eq!(left, 1);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn limits_of_zero_are_refused() {
    let options = FleetOptions { mailbox: 0, ..FleetOptions::default() };
    let refused = Fleet::start(Arc::new(Registered::default()), Network::default(), options);
    assert_eq!(refused.err(), Some(FleetError::Limit("mailbox")));
}
