//! Finding meters on a line: what each candidate is answered.

use dlms::Instant;
use dlms::hdlc::scanner::{Candidate, Config, Event, Plan, Reply, Scanner};
use dlms::hdlc::server::{self, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters, Width};
use dlms::id::ClientSap;

use crate::script::{frame, sap, short};

type Meter = Station<Vec<u8>, Vec<Session<Vec<u8>>>, fn(ClientSap, Address) -> bool>;

fn meter(parameters: Parameters, ours: fn(ClientSap, Address) -> bool) -> Meter {
    let config = server::Config { parameters, ..server::Config::default() };
    Station::new(vec![0; FRAME_MAX], 100, vec![Session::new(config, vec![0; 64], vec![0; 64])], ours)
}

/// Runs a scan over a line; `answer` is what the line brings back for each frame.
fn scan(
    config: Config,
    candidates: Vec<Candidate>,
    mut answer: impl FnMut(&[u8]) -> Vec<u8>,
) -> (Vec<(Candidate, Reply)>, Instant) {
    let mut now = Instant::from_millis(0);
    let mut scanner = Scanner::new(config, [0; 64], candidates.into_iter(), now);
    let mut found = Vec::new();
    for _ in 0..10_000 {
        let mut out = [0; 64];
        while let Some(length) = scanner.poll_transmit(&mut out) {
            now = now.after_ms(10);
            for octets in answer(&out[..length]).chunks(5) {
                scanner.handle_input(octets, now);
            }
        }
        while let Some(event) = scanner.poll_event() {
            match event {
                Event::Answer(candidate, reply) => found.push((candidate, reply)),
                Event::Done => {
                    assert_eq!((scanner.poll_timeout(), scanner.current()), (None, None));
                    return (found, now);
                }
                other => panic!("{other:?}"),
            }
        }
        if let Some(next) = scanner.poll_timeout() {
            now = now.max(next);
            scanner.handle_timeout(now);
        }
    }
    panic!("the scan has no end");
}

/// Three meters on a line; one takes the public client only, one wants four octets.
#[test]
fn lesson_07_meters_of_a_multi_drop_line_are_found() {
    let large = Parameters::symmetric(512, 7);
    let mut meters = [
        meter(Parameters::DEFAULT, |_, server| server.upper() == 1 && server.lower() == Some(17)),
        meter(large, |client, server| client.0 == 16 && server.upper() == 1 && server.lower() == Some(30)),
        meter(Parameters::DEFAULT, |_, server| server.width() == Width::Four && server.lower() == Some(2_836)),
    ];
    let mut line = |octets: &[u8]| {
        let mut sent = Vec::new();
        for meter in &mut meters {
            meter.handle_input(octets, Instant::from_millis(0));
            while meter.poll_event().is_some() {}
            let mut out = [0; FRAME_MAX];
            while let Some(length) = meter.poll_transmit(&mut out) {
                sent.extend_from_slice(&out[..length]);
            }
        }
        sent
    };
    let plan = Plan { serial: Some(98_761_836), ..Plan::COMMON };
    let config = Config { parameters: large, ..Config::default() };
    let candidates: Vec<_> = plan.candidates().collect();
    let (found, now) = scan(config, candidates.clone(), &mut line);
    assert_eq!(found.len(), candidates.len(), "each candidate is done with");
    let accepted: Vec<_> = found
        .iter()
        .filter_map(|(candidate, reply)| match reply {
            Reply::Accepted { source, parameters } => {
                assert_eq!(*source, candidate.server);
                Some((candidate.client.upper(), candidate.server, parameters.unwrap().window_receive))
            }
            Reply::Silence => None,
            other => panic!("{candidate:?}: {other:?}"),
        })
        .collect();
    let at = |lower, width| Address::new(1, lower, width).unwrap();
    let (two, four) = (Width::Two, Width::Four);
    assert_eq!(
        accepted,
        [
            (16, at(17, two), 1),
            (1, at(17, two), 1),
            (16, at(30, two), 7),
            (16, at(2_836, four), 1),
            (1, at(2_836, four), 1),
            (16, at(17, four), 1),
            (1, at(17, four), 1),
            (16, at(30, four), 7),
        ]
    );
    let silent = (candidates.len() - accepted.len()) as u64;
    assert!(now.as_millis() < silent * 1_070 + 3_000, "{now}");
    // Nothing was left behind: each meter can be opened at once.
    let free = meters.iter().all(|meter| meter.sessions().iter().all(Session::is_free));
    assert!(free, "a link was not taken down");
}

#[test]
fn refusals_noise_and_answers_from_other_addresses_are_told_apart() {
    let candidate = |server| Candidate { client: sap(16), server };
    let one = |answer: fn(&[u8]) -> Vec<u8>| {
        let (found, _) = scan(Config::default(), vec![candidate(sap(1))], answer);
        assert_eq!(found.len(), 1);
        found[0].1
    };
    let source = sap(1);
    assert_eq!(one(|_| frame(sap(16), sap(1), 0x1F, false, &[])), Reply::Refused { source });
    assert_eq!(one(|_| frame(sap(16), sap(1), 0x97, false, &[0x93, 0, 0x80])), Reply::Rejected { source });
    assert_eq!(one(|_| vec![0x55; 7]), Reply::Noise { octets: 7 });
    assert_eq!(one(|octets| octets.to_vec()), Reply::Noise { octets: 9 }, "the own echo is no answer");
    assert_eq!(one(|_| frame(sap(17), sap(1), 0x73, false, &[])), Reply::Noise { octets: 9 }, "for another client");
    assert_eq!(one(|_| Vec::new()), Reply::Silence);
    let wide = Address::new(1, 2_836, Width::Four).unwrap();
    let found = one(|octets| match short(octets).0 {
        0x93 => frame(sap(16), Address::new(1, 2_836, Width::Four).unwrap(), 0x73, false, &[0x82]),
        _ => Vec::new(),
    });
    assert_eq!(found, Reply::Accepted { source: wide, parameters: None }, "unreadable parameters, no confirmation");
}

#[test]
fn a_silent_candidate_is_asked_as_often_as_said() {
    let mut asked = 0;
    let config = Config { retries: 2, timeout_ms: 500, pause_ms: 20, ..Config::default() };
    let candidates = vec![Candidate { client: sap(16), server: sap(1) }; 2];
    let (found, now) = scan(config, candidates, |octets| {
        assert_eq!(octets, frame(sap(1), sap(16), 0x93, false, &[]));
        asked += 1;
        Vec::new()
    });
    assert_eq!((asked, found.len()), (6, 2));
    assert!((3_040..3_200).contains(&now.as_millis()), "{now}");
    assert_eq!(scan(Config::default(), Vec::new(), |_| Vec::new()).0, []);
}
