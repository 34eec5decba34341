//! Meters that fail at each step of a conversation.

use std::time::Duration;

use dlms::{
    axdr::Value,
    id::{ClassId, MethodId},
    obis::ObisCode,
};
use tokio::time::Instant;

use super::support::{IMPORT, LOAD_PROFILE, Setup, management, registers};
use crate::{
    fleet::open::FAREWELL,
    meter::{HdlcConfig, MeterConfig, Timeouts},
    operation::{
        InvokeMethod, MeterAccess, Operation, Outcome, ProfileSelection, ReadProfile, RequestError, RequestErrorKind,
    },
};

const KINDS: [&str; 6] = ["close", "reset", "silence", "garbage", "truncate", "delay=3000"];

/// The error of the operation, or that of its first item.
pub(super) fn error_of(result: Result<Outcome, RequestError>) -> Option<RequestError> {
    match result {
        Err(error) => Some(error),
        Ok(Outcome::Registers(items)) => items.into_iter().find_map(Result::err),
        Ok(_) => None,
    }
}

/// Meter `index` with little patience.
fn impatient(setup: &Setup, index: usize, over_hdlc: bool) -> crate::meter::MeterId {
    let id = format!("meter-{index}");
    let ports = setup.device(index).ports();
    let mut config = management(&id, &setup.tcp(index), Some(setup.title(index)));
    config.timeouts = Timeouts { response: Duration::from_millis(800), ..config.timeouts };
    if over_hdlc {
        let address = ports.hdlc_tcp.unwrap().to_string().parse().unwrap();
        config =
            MeterConfig { link: crate::meter::LinkConfig::HdlcTcp { address, hdlc: HdlcConfig::default() }, ..config };
    }
    setup.registered.add(config)
}

/// Each kind of fault at each step: a typed error before the deadline, and the next attempt on the healed line works.
async fn sweep(over_hdlc: bool, steps: std::ops::RangeInclusive<u32>) {
    let setup = Setup::new(KINDS.len() as u32 + 1).await;
    let well = setup.managed(KINDS.len());
    let one = |index: usize, kind: &'static str| {
        let (setup, steps) = (&setup, steps.clone());
        async move {
            let meter = impatient(setup, index, over_hdlc);
            for step in steps {
                setup.device(index).set_faults(vec![format!("{kind}@{step}:1").parse().unwrap()]);
                setup.fleet.invalidate(&meter);
                let deadline = Instant::now() + Duration::from_secs(10);
                let result = setup.fleet.execute(&meter, registers(&[IMPORT]), deadline.into()).await;
                assert!(Instant::now() < deadline, "{kind}@{step} was noticed by the deadline only");
                let error = error_of(result);
                // A frame that is garbage or late is asked for again over HDLC.
                let bound = !over_hdlc || ["close", "reset", "silence", "truncate"].contains(&kind);
                assert!(error.is_some() || !bound, "{kind}@{step} went unnoticed");
                if let Some(error) = error {
                    use RequestErrorKind::{Protocol, SecurityFailed, Unreachable};
                    let fits = matches!(error.kind(), Protocol | SecurityFailed | Unreachable);
                    assert!(fits, "{kind}@{step}: {error:?}");
                    assert!(error.meter().is_some() || error.object().is_some(), "{kind}@{step}: {error:?}");
                }
                setup.device(index).set_faults(Vec::new());
                let healed = setup.execute(&meter, registers(&[IMPORT])).await;
                assert_eq!(error_of(healed), None, "after {kind}@{step}");
            }
        }
    };
    let sick = futures_util::future::join_all(KINDS.iter().enumerate().map(|(index, kind)| one(index, kind)));
    let undisturbed = async {
        for _ in 0..20 {
            assert_eq!(error_of(setup.execute(&well, registers(&[IMPORT])).await), None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(sick, undisturbed);
}

#[tokio::test]
async fn lesson_20_every_fault_at_every_step_over_tcp_ends_in_a_typed_error() {
    sweep(false, 1..=4).await;
}

#[tokio::test]
async fn lesson_20_every_fault_at_every_step_over_hdlc_ends_in_a_typed_error() {
    sweep(true, 1..=5).await;
}

#[tokio::test]
async fn lesson_40_an_action_whose_answer_is_lost_has_an_unknown_outcome_and_is_not_sent_again() {
    let setup = Setup::new(1).await;
    let meter = impatient(&setup, 0, false);
    let relay = ObisCode([0, 0, 96, 3, 10, 255]);
    let method =
        InvokeMethod { class: ClassId(70), obis: relay, method: MethodId(1), parameter: Some(Value::Integer(0)) };
    for kind in ["silence", "close", "reset", "garbage", "truncate"] {
        // AARE and HLS reply come; the answer to the action does not.
        setup.fleet.invalidate(&meter);
        setup.device(0).set_faults(vec![format!("{kind}@3:1").parse().unwrap()]);
        let error = setup.execute(&meter, Operation::InvokeMethod(method.clone())).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (RequestErrorKind::UnknownOutcome, true), "{kind}: {error:?}");
        assert!(!error.is_retryable());
    }
}

/// The caller of a silent station is told by its deadline what became of its request, not after a farewell that nobody
/// answers: by then it has gone, and does not know whether the relay was switched.
#[tokio::test]
async fn lesson_40_a_station_that_falls_silent_does_not_keep_the_answer_beyond_the_deadline() {
    let setup = Setup::new(4).await;
    let relay = ObisCode([0, 0, 96, 3, 10, 255]);
    let method =
        InvokeMethod { class: ClassId(70), obis: relay, method: MethodId(1), parameter: Some(Value::Integer(0)) };
    let one = |index: usize| {
        let (setup, method) = (&setup, method.clone());
        async move {
            let meter = setup.managed_over_hdlc(index, HdlcConfig::default(), Duration::from_secs(10));
            let step = index + 1;
            setup.device(index).set_faults(vec![format!("silence@{step}:1").parse().unwrap()]);
            let deadline = Instant::now() + Duration::from_secs(3);
            let result = setup.fleet.execute(&meter, Operation::InvokeMethod(method), deadline.into()).await;
            let late = Instant::now().saturating_duration_since(deadline);
            assert!(late < FAREWELL, "silence@{step}: {late:?} late");
            result.unwrap_err()
        }
    };
    let errors = futures_util::future::join_all((0..4).map(one)).await;
    let kinds: Vec<_> = errors.iter().map(|error| (error.kind(), error.sent())).collect();
    // UA, AARE and the reply of HLS come before the answer to the action.
    let opening = (RequestErrorKind::Expired, false);
    assert_eq!(kinds, [opening, opening, opening, (RequestErrorKind::UnknownOutcome, true)], "{errors:?}");
}

#[tokio::test]
async fn lesson_40_an_action_that_could_not_be_sent_was_not_sent() {
    let setup = Setup::new(1).await;
    let meter = impatient(&setup, 0, false);
    let relay = ObisCode([0, 0, 96, 3, 10, 255]);
    let method = InvokeMethod { class: ClassId(70), obis: relay, method: MethodId(1), parameter: None };
    setup.device(0).set_faults(vec!["close@1:1".parse().unwrap()]);
    let error = setup.execute(&meter, Operation::InvokeMethod(method)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::Unreachable, "{error:?}");
}

#[tokio::test]
async fn a_profile_that_breaks_off_in_the_middle_keeps_its_rows_and_the_next_read_is_whole() {
    let setup = Setup::new(1).await;
    let meter = impatient(&setup, 0, false);
    let read = Operation::ReadProfile(ReadProfile {
        profile: LOAD_PROFILE,
        selection: ProfileSelection::Entries { from: 1, to: 400 },
    });
    setup.device(0).set_faults(vec!["close@9:1".parse().unwrap()]);
    let Outcome::Profile(part) = setup.execute(&meter, read.clone()).await.unwrap() else { panic!("another outcome") };
    let error = part.interrupted.unwrap();
    assert_eq!((error.kind(), error.sent()), (RequestErrorKind::Unreachable, true), "{error:?}");
    assert!((1..400).contains(&part.rows.len()), "{}", part.rows.len());
    setup.device(0).set_faults(Vec::new());
    let Outcome::Profile(reading) = setup.execute(&meter, read).await.unwrap() else { panic!("another outcome") };
    assert_eq!((reading.rows.len(), reading.interrupted), (400, None));
    assert_eq!(reading.rows[..part.rows.len()], part.rows);
}
