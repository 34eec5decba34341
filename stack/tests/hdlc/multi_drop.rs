//! Several meters and one client on a line that everybody hears.

use dlms::Instant;
use dlms::hdlc::server::{Addresses, Config, Delivery, Event, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters, Width, client};
use dlms::id::ClientSap;
use dlms::link::{Link, LinkEvent};

use crate::script::{frame, sap, short};

/// Logical devices 1 and 2 of one physical device.
struct Own {
    physical: u16,
    /// It has called: the client may not know its number yet.
    called: bool,
}

impl Addresses for Own {
    fn is_ours(&self, _: ClientSap, server: Address) -> bool {
        matches!(server.upper(), 1 | 2)
            && (server.lower() == Some(self.physical) || (self.called && server.is_calling()))
    }

    fn is_reached(&self, server: Address) -> bool {
        [1, 2].iter().any(|upper| {
            let lower = if server.width() == Width::One { 0 } else { self.physical };
            server.includes(&Address::new(*upper, lower, server.width()).unwrap())
        })
    }
}

type Meter = Station<Vec<u8>, Vec<Session<Vec<u8>>>, Own>;

/// A line on which every frame reaches every station, those of the meters too.
struct Bus {
    meters: Vec<Meter>,
    /// What each meter was asked, and how.
    served: Vec<Vec<(Vec<u8>, Delivery)>>,
    now: Instant,
}

impl Bus {
    fn new(physical: &[u16]) -> Self {
        let config = Config { parameters: Parameters::symmetric(64, 3), ..Config::default() };
        let meter = |physical: &u16| {
            let sessions = vec![Session::new(config, vec![0; 1_024], vec![0; 1_024])];
            Station::new(vec![0; FRAME_MAX], 100, sessions, Own { physical: *physical, called: false })
        };
        let served = vec![Vec::new(); physical.len()];
        Self { meters: physical.iter().map(meter).collect(), served, now: Instant::from_millis(0) }
    }

    /// What the meters send when they hear `octets`.
    fn hear(&mut self, octets: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut sent = Vec::new();
        for (index, meter) in self.meters.iter_mut().enumerate() {
            let mut rest = octets;
            while !rest.is_empty() {
                let used = meter.handle_input(rest, self.now);
                rest = &rest[used..];
                while let Some((session, event)) = meter.poll_event() {
                    let Event::Apdu(delivery) = event else { continue };
                    let request = meter.apdu().to_vec();
                    if delivery == Delivery::Connected {
                        let answer: Vec<u8> = request.iter().map(|octet| octet ^ index as u8).collect();
                        meter.session(session).unwrap().send(&answer).unwrap();
                    }
                    self.served[index].push((request, delivery));
                    meter.release_apdu();
                }
                let mut out = [0; FRAME_MAX];
                while let Some(length) = meter.poll_transmit(&mut out) {
                    sent.push((index, out[..length].to_vec()));
                }
            }
        }
        sent
    }
}

/// One whole conversation of a client with the meter at `server`, on a line with others.
fn converse(bus: &mut Bus, server: Address, requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut config = client::Config::new(sap(16), server);
    config.parameters = Parameters::symmetric(64, 3);
    let storage = || vec![0; 1_024];
    let mut session = client::Session::new(config, vec![0; FRAME_MAX], storage(), storage());
    let (mut answers, mut waiting) = (Vec::new(), requests.iter());
    session.open(bus.now);
    for _ in 0..1_000 {
        let mut out = [0; FRAME_MAX];
        while let Some(length) = session.poll_transmit(&mut out) {
            let mut heard: Vec<_> = bus.hear(&out[..length]).into_iter().collect();
            // What a meter sends is heard by the client and by all the other meters.
            while let Some((speaker, octets)) = (!heard.is_empty()).then(|| heard.remove(0)) {
                assert_eq!(session.handle_input(&octets, bus.now), octets.len());
                let answered = bus.hear(&octets);
                assert_eq!(answered, [], "meter {speaker} was answered by another");
            }
        }
        match session.poll_event() {
            Some(LinkEvent::Apdu) => {
                answers.push(session.apdu().to_vec());
                session.release_apdu();
            }
            Some(LinkEvent::Opened) => {}
            Some(LinkEvent::Closed) => return answers,
            Some(other) => panic!("{server}: {other:?}"),
            None => {}
        }
        if answers.len() == requests.len() - waiting.len() && session.is_open() {
            match waiting.next() {
                Some(request) => session.send(request, bus.now).unwrap(),
                None => session.close(bus.now),
            }
        }
    }
    panic!("{server}: the conversation has no end");
}

#[test]
fn meters_on_one_line_answer_to_their_own_lower_address() {
    for width in [Width::Two, Width::Four] {
        let numbers = [16, 17, 99];
        let mut bus = Bus::new(&numbers);
        for (index, physical) in numbers.into_iter().enumerate() {
            let requests: Vec<Vec<u8>> = [1, 61, 300].iter().map(|length| vec![index as u8 + 0x40; *length]).collect();
            let expected: Vec<Vec<u8>> =
                [1, 61, 300].iter().map(|length| vec![(0x40 + index as u8) ^ index as u8; *length]).collect();
            let answers = converse(&mut bus, Address::new(1, physical, width).unwrap(), &requests);
            assert_eq!(answers, expected, "{physical}");
            let served: Vec<_> = bus.served[index].iter().map(|(request, _)| request.clone()).collect();
            assert_eq!(served, requests, "{physical}");
        }
        assert!(bus.served.iter().all(|served| served.len() == 3), "nobody heard what was another's");
        assert!(bus.meters.iter().all(|meter| meter.foreign_frames() > 20));
    }
}

/// A broadcast of the client's own making: heard by those it names, answered by none, acknowledged by none.
#[test]
fn a_broadcast_reaches_those_it_names_and_is_never_answered() {
    let broadcast = |upper, lower, apdu: &[u8]| {
        let mut bus = Bus::new(&[16, 17]);
        let storage = || vec![0; 1_024];
        let config = client::Config::new(sap(16), Address::new(1, 16, Width::Four).unwrap());
        let mut session = client::Session::new(config, vec![0; FRAME_MAX], storage(), storage());
        session.send_unnumbered(Address::new(upper, lower, Width::Four).unwrap(), apdu).unwrap();
        let mut out = [0; FRAME_MAX];
        let mut controls = Vec::new();
        while let Some(length) = session.poll_transmit(&mut out) {
            controls.push(short(&out[..length]).0);
            assert_eq!(bus.hear(&out[..length]), [], "a broadcast was answered");
        }
        assert_eq!((session.poll_event(), session.poll_timeout()), (None, None));
        (controls, bus.served)
    };
    let heard = |apdu: &[u8]| vec![(apdu.to_vec(), Delivery::Broadcast)];
    let apdu = [0xC1; 200];
    let (controls, served) = broadcast(0x3FFF, 0x3FFF, &apdu);
    assert_eq!(controls, [0x03, 0x13], "two segments");
    assert_eq!(served, [heard(&apdu), heard(&apdu)]);
    assert_eq!(broadcast(0x3FFF, 17, &[1]).1, [vec![], heard(&[1])]);
    assert_eq!(broadcast(2, 0x3FFF, &[2]).1, [heard(&[2]), heard(&[2])]);
    assert_eq!(broadcast(3, 0x3FFF, &[3]).1, [vec![], vec![]], "a logical device that none of them has");
    assert_eq!(broadcast(1, 16, &[4]).1, [vec![(vec![4], Delivery::Connectionless)], vec![]]);
}

#[test]
fn a_broadcast_waits_for_the_right_to_send_on_an_open_link() {
    let mut bus = Bus::new(&[16]);
    let server = Address::new(1, 16, Width::Two).unwrap();
    let storage = || vec![0; 1_024];
    let mut session =
        client::Session::new(client::Config::new(sap(16), server), vec![0; FRAME_MAX], storage(), storage());
    let mut out = [0; FRAME_MAX];
    session.open(bus.now);
    let length = session.poll_transmit(&mut out).unwrap();
    session.send_unnumbered(Address::new(0x7F, 0x7F, Width::Two).unwrap(), &[0xC1]).unwrap();
    assert_eq!(session.poll_transmit(&mut out[1_000..]), None, "the server is to speak");
    let answer = bus.hear(&out[..length]);
    session.handle_input(&answer[0].1, bus.now);
    let length = session.poll_transmit(&mut out).unwrap();
    assert_eq!(short(&out[..length]).0, 0x03, "without P: the right to send stays here");
    assert_eq!(bus.hear(&out[..length]), []);
    assert_eq!(bus.served[0], [(vec![0xC1], Delivery::Broadcast)]);
    session.send(&[0xC0], bus.now).unwrap();
    let length = session.poll_transmit(&mut out).unwrap();
    assert_eq!(short(&out[..length]).0, 0x10, "no number was used up");
}

#[test]
fn reserved_addresses() {
    let mut bus = Bus::new(&[16]);
    let server = |upper, lower| Address::new(upper, lower, Width::Two).unwrap();
    let snrm = |server, client| frame(server, client, 0x93, false, &[]);
    assert_eq!(bus.hear(&snrm(server(0, 16), sap(16))), [], "no-station");
    assert_eq!(bus.hear(&snrm(server(1, 16), sap(0))), [], "no-station has nothing to say");
    assert_eq!(bus.hear(&snrm(server(1, 16), sap(0x7F))), [], "all-station is no source");
    assert_eq!(bus.hear(&snrm(server(1, 0x7F), sap(16))), [], "a link with all stations");
    assert_eq!(bus.hear(&snrm(server(1, 0x7E), sap(16))), [], "calling, but it has not called");
    bus.meters = Bus::new(&[16]).meters;
    let sessions = vec![Session::new(Config::default(), vec![0; 64], vec![0; 64])];
    bus.meters[0] = Station::new(vec![0; 64], 100, sessions, Own { physical: 16, called: true });
    let answer = bus.hear(&snrm(server(1, 0x7E), sap(16)));
    assert_eq!(short(&answer[0].1).0, 0x73);
    for (width, calling) in [(Width::Two, 0x7E), (Width::Four, 0x3FFE)] {
        assert!(Address::new(1, calling, width).unwrap().is_calling());
        assert!(!Address::new(1, calling, Width::Four).unwrap().is_broadcast());
    }
    assert!(!Address::new(0x7E, 0, Width::One).unwrap().is_calling());
}
