//! The server's stations, the client's side scripted.

use dlms::Instant;
use dlms::hdlc::server::{Config, Delivery, Event, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters, Width};
use dlms::id::{ClientSap, ServerSap};
use dlms::link::LinkError;
use hex_literal::hex;

use crate::script::{frame, sap, short};

const SNRM: [u8; 9] = hex!("7EA0070321930F017E");
const UA: [u8; 32] = hex!("7EA01E210373C37A818012050180060180070400000001080400000001533B7E");
const DM: [u8; 9] = hex!("7EA00721031F6BE97E");
const GET_FRAME: [u8; 27] = hex!("7EA0190321326FD8E6E600C001C100080000010000FF0200601A7E");
const NOTHING: Vec<Vec<u8>> = Vec::new();

type Ours = fn(ClientSap, Address) -> bool;

/// A line with logical devices 1 and 2, physical device 17, and what the test plays: the clients.
struct Line {
    station: Station<Vec<u8>, Vec<Session<Vec<u8>>>, Ours>,
    now: Instant,
}

impl Line {
    fn new(sessions: usize, config: Config) -> Self {
        let session = || Session::new(config, vec![0; 512], vec![0; 512]);
        let ours: Ours = |_, server| matches!(server.upper(), 1 | 2) && matches!(server.lower(), None | Some(17));
        let sessions = (0..sessions).map(|_| session()).collect();
        Self { station: Station::new(vec![0; FRAME_MAX], 100, sessions, ours), now: Instant::from_millis(0) }
    }

    fn opened() -> Self {
        let mut line = Self::new(1, Config::default());
        assert_eq!(line.exchange(&SNRM), [UA]);
        assert_eq!(line.station.poll_event(), Some((0, Event::Opened)));
        line
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut out = [0; FRAME_MAX];
        std::iter::from_fn(|| self.station.poll_transmit(&mut out).map(|length| out[..length].to_vec())).collect()
    }

    /// Hands in octets and returns what is sent at once.
    fn exchange(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        assert_eq!(self.station.handle_input(octets, self.now), octets.len());
        self.sent()
    }

    /// The same with a frame of the public client to the management logical device, answered by controls.
    fn controls(&mut self, control: u8, segmented: bool, information: &[u8]) -> Vec<u8> {
        let sent = self.exchange(&frame(sap(1), sap(16), control, segmented, information));
        sent.iter().map(|frame| short(frame).0).collect()
    }

    /// The APDU that has arrived, and how.
    fn apdu(&mut self) -> Option<(Vec<u8>, Delivery)> {
        match self.station.poll_event()? {
            (_, Event::Apdu(delivery)) => Some((self.station.apdu().to_vec(), delivery)),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, apdu: &[u8]) -> Vec<Vec<u8>> {
        self.station.send(ClientSap(16), ServerSap(1), apdu).unwrap();
        self.station.release_apdu();
        self.sent()
    }
}

/// The published exchange, from the server's side.
#[test]
fn published_exchange() {
    let mut line = Line::opened();
    assert_eq!(line.controls(0x10, false, &hex!("E6E600 60")), [0_u8; 0], "the application has not answered yet");
    assert_eq!(line.apdu(), Some((vec![0x60], Delivery::Connected)));
    assert_eq!(line.answer(&[0x61]), [frame(sap(16), sap(1), 0x30, false, &hex!("E6E700 61"))]);

    assert_eq!(line.exchange(&GET_FRAME), NOTHING);
    assert_eq!(line.apdu(), Some((GET_FRAME[11..24].to_vec(), Delivery::Connected)));
    let answer: Vec<u8> = (0..200).collect();
    let first = [&hex!("E6E700")[..], &answer[..125]].concat();
    assert_eq!(line.answer(&answer), [frame(sap(16), sap(1), 0x52, true, &first)]);
    let second = frame(sap(16), sap(1), 0x54, false, &answer[125..]);
    assert_eq!(line.exchange(&hex!("7EA00703215111E47E")), [second]);

    assert_eq!(line.controls(0x74, false, &[0xC0]), [0_u8; 0]);
    assert_eq!(line.apdu(), Some((vec![0xC0], Delivery::Connected)));
    assert_eq!(line.answer(&[0xC4]), [frame(sap(16), sap(1), 0x76, false, &hex!("E6E700 C4"))]);
    assert_eq!(line.exchange(&hex!("7EA00703215303C77E")), [hex!("7EA00721037301407E")]);
    assert_eq!(line.station.poll_event(), Some((0, Event::Closed)));
    assert_eq!(line.station.poll_timeout(), None);
}

#[test]
fn without_a_link_everything_is_answered_by_dm_or_not_at_all() {
    let mut line = Line::new(1, Config::default());
    assert_eq!(line.exchange(&hex!("7EA00703215303C77E")), [DM], "DISC");
    assert_eq!(line.exchange(&GET_FRAME), [DM], "I");
    assert_eq!(line.controls(0x11, false, &[]), [0x1F], "RR");
    assert_eq!(line.controls(0x00, false, &[1]), [0_u8; 0], "I without P");
    assert_eq!(line.controls(0x73, false, &[]), [0_u8; 0], "an answer, or an echo");
    assert_eq!(line.station.poll_event(), None);
    // The same after a link.
    assert_eq!(line.exchange(&SNRM), [UA]);
    line.controls(0x53, false, &[]);
    assert_eq!(line.exchange(&GET_FRAME), [DM]);
    assert_eq!(line.exchange(&hex!("7EA00703215303C77E")), [DM]);
}

#[test]
fn what_is_for_others_or_damaged_is_not_answered() {
    let mut line = Line::new(1, Config::default());
    let physical = |lower| Address::new(1, lower, Width::Two).unwrap();
    for foreign in [sap(3), physical(18), physical(0)] {
        assert_eq!(line.exchange(&frame(foreign, sap(16), 0x93, false, &[])), NOTHING, "{foreign}");
    }
    let all = sap(0x7F);
    assert_eq!(line.exchange(&frame(all, sap(16), 0x93, false, &[])), NOTHING, "SNRM to all");
    assert_eq!(line.exchange(&frame(sap(1), all, 0x93, false, &[])), NOTHING, "all-station is no source");
    assert_eq!(line.station.foreign_frames(), 5);
    let mut damaged = SNRM;
    damaged[5] ^= 1;
    assert_eq!(line.exchange(&damaged), NOTHING);
    assert_eq!(line.station.frame_errors(), 1);
    assert_eq!(line.exchange(&SNRM), [UA]);
}

#[test]
fn the_answer_goes_out_in_the_width_of_the_request() {
    for width in Width::ALL {
        let server = Address::new(1, if width == Width::One { 0 } else { 17 }, width).unwrap();
        let mut line = Line::new(1, Config::default());
        let sent = line.exchange(&frame(server, sap(16), 0x93, false, &[]));
        assert_eq!(sent[0], frame(sap(16), server, 0x73, false, &short(&UA).2));
    }
}

#[test]
fn the_smaller_limits_are_agreed() {
    let parameters = Parameters::symmetric(512, 3);
    let mut line = Line::new(1, Config { parameters, ..Config::default() });
    let proposal = hex!("818013 0502 0400 060140 070400000007 080400000002");
    let sent = line.exchange(&frame(sap(1), sap(16), 0x93, false, &proposal));
    assert_eq!(short(&sent[0]).2, hex!("818013 050140 06020200 070400000002 080400000003"));
    line.station.poll_event();
    line.exchange(&frame(sap(1), sap(16), 0x10, false, &[0xC0]));
    assert!(line.apdu().is_some());
    let controls: Vec<u8> = line.answer(&[7; 190]).iter().map(|frame| short(frame).0).collect();
    assert_eq!(controls, [0x20, 0x32], "two of 64 octets back to back, F in the last");
    assert_eq!(line.controls(0x51, false, &[]), [0x24, 0x36]);
    assert_eq!(line.controls(0x91, false, &[]), [0x31], "all acknowledged: nothing more to say");
}

#[test]
fn unreadable_parameters_are_refused() {
    let mut line = Line::opened();
    assert_eq!(line.controls(0x93, false, &hex!("818003 080100")), [0x1F]);
    assert_eq!(line.station.poll_event(), Some((0, Event::Closed)));
    assert_eq!(line.exchange(&GET_FRAME), [DM]);
}

#[test]
fn lesson_09_set_up_on_an_open_link_starts_anew() {
    let mut line = Line::opened();
    line.controls(0x10, false, &[1]);
    assert!(line.apdu().is_some());
    line.answer(&[2]);
    line.controls(0x32, true, &[3]);
    assert_eq!(line.exchange(&SNRM), [UA]);
    assert_eq!(line.station.poll_event(), Some((0, Event::Closed)));
    assert_eq!(line.station.poll_event(), Some((0, Event::Opened)));
    assert_eq!(line.controls(0x10, false, &[4]), [0_u8; 0]);
    assert_eq!(line.apdu(), Some((vec![4], Delivery::Connected)), "nothing of the segment before");
    assert_eq!(short(&line.answer(&[5])[0]).0, 0x30);
}

#[test]
fn lesson_09_set_up_drops_a_request_that_waits() {
    let mut line = Line::opened();
    line.controls(0x10, false, &[1]);
    assert_eq!(line.exchange(&SNRM), [UA]);
    assert_eq!(line.station.poll_event(), Some((0, Event::Closed)), "nothing of the request");
    assert_eq!(line.station.poll_event(), Some((0, Event::Opened)));
    line.controls(0x10, false, &[2]);
    assert_eq!(line.apdu(), Some((vec![2], Delivery::Connected)));
    assert_eq!(line.exchange(&SNRM), [UA]);
    assert!(line.station.apdu().is_empty(), "nor of one that was being served");
    line.station.release_apdu();
    assert_eq!(line.sent(), NOTHING);
}

#[test]
fn a_poll_brings_the_answer_again_and_a_copy_is_served_once() {
    let mut line = Line::opened();
    line.controls(0x10, false, &[1]);
    assert!(line.apdu().is_some());
    let answer = line.answer(&[2]);
    assert_eq!(line.exchange(&frame(sap(1), sap(16), 0x11, false, &[])), answer, "RR, next expected 0");
    assert_eq!(line.controls(0x10, false, &[1]), [0x30], "the request again: the answer again");
    assert_eq!(line.station.poll_event(), None);
    assert_eq!(line.controls(0x31, false, &[]), [0x31], "acknowledged: RR");
    assert_eq!(line.controls(0x19, false, &[]), [0x31], "a late copy of a REJ");
}

#[test]
fn a_gap_is_shown_by_the_number_expected() {
    let mut line = Line::new(1, Config { parameters: Parameters::symmetric(128, 3), ..Config::default() });
    let proposal = hex!("81800C 070400000003 080400000003");
    line.exchange(&frame(sap(1), sap(16), 0x93, false, &proposal));
    line.station.poll_event();
    assert_eq!(line.controls(0x00, true, &[1]), [0_u8; 0]);
    assert_eq!(line.controls(0x14, false, &[3]), [0x31], "the second is missing");
    assert_eq!(line.controls(0x02, true, &[2]), [0_u8; 0]);
    assert_eq!(line.controls(0x14, false, &[3]), [0_u8; 0]);
    assert_eq!(line.apdu(), Some((vec![1, 2, 3], Delivery::Connected)));
}

#[test]
fn a_busy_client_is_sent_nothing() {
    let mut line = Line::opened();
    line.controls(0x10, false, &[1]);
    assert!(line.apdu().is_some());
    line.answer(&[2; 200]);
    assert_eq!(line.controls(0x35, false, &[]), [0x31]);
    assert_eq!(line.controls(0x31, false, &[]), [0x32]);
}

#[test]
fn an_application_may_take_its_time() {
    let mut line = Line::opened();
    line.controls(0x10, false, &[1]);
    assert!(line.apdu().is_some());
    assert_eq!(line.controls(0x11, false, &[]), [0x31], "acknowledged, nothing to say yet");
    assert_eq!(line.controls(0x10, false, &[1]), [0x31], "a copy");
    assert_eq!(line.controls(0x12, false, &[2]), [0x35], "another request: not ready");
    assert_eq!(line.controls(0x11, false, &[]), [0x35]);
    assert_eq!(line.station.poll_event(), None);
    assert_eq!(line.answer(&[3]), NOTHING, "the client has the right to send");
    assert_eq!(line.controls(0x11, false, &[]), [0x30]);
    assert_eq!(line.controls(0x31, false, &[]), [0x31], "ready again");
    assert_eq!(line.controls(0x32, false, &[2]), [0_u8; 0]);
    assert_eq!(line.apdu(), Some((vec![2], Delivery::Connected)));
}

#[test]
fn a_request_that_is_not_answered_is_acknowledged() {
    let mut line = Line::opened();
    assert_eq!(line.controls(0x10, false, &[1]), [0_u8; 0]);
    assert!(line.apdu().is_some());
    line.station.release_apdu();
    assert_eq!(line.sent(), [frame(sap(16), sap(1), 0x31, false, &[])]);
}

#[test]
fn frames_against_the_rules_are_rejected_until_the_link_is_set_up_anew() {
    for (control, information, reason) in
        [(0x10, vec![0; 129], 0x20), (0x30, vec![1], 0x10), (0x31, vec![], 0x10), (0xDF, vec![], 0x80)]
    {
        let mut line = Line::opened();
        let sent = line.exchange(&frame(sap(1), sap(16), control, false, &information));
        assert_eq!(sent, [frame(sap(16), sap(1), 0x97, false, &[control, 0, reason])], "{control:#04x}");
        assert_eq!(line.exchange(&GET_FRAME), sent, "again");
        assert_eq!(line.station.poll_event(), None);
        assert_eq!(line.station.send(ClientSap(16), ServerSap(1), &[1]), Err(LinkError::NotOpen));
        assert_eq!(line.exchange(&SNRM), [UA]);
        assert_eq!(line.station.poll_event(), Some((0, Event::Closed)));
        assert_eq!(line.station.poll_event(), Some((0, Event::Opened)));
        line.controls(0x10, false, &[1]);
        assert!(line.apdu().is_some());
    }
}

#[test]
fn an_apdu_over_the_storage_is_rejected() {
    let mut line = Line::opened();
    for n in 0..4_u8 {
        assert_eq!(line.controls(0x10 | (n << 1), true, &[7; 128]).len(), 1);
    }
    assert_eq!(line.controls(0x18, false, &[7]), [0x97]);
}

#[test]
fn an_application_may_reject() {
    let mut line = Line::opened();
    line.controls(0x10, false, &[1]);
    assert!(line.apdu().is_some());
    line.station.session(0).unwrap().reject();
    line.station.release_apdu();
    assert_eq!(line.sent(), [hex!("7EA0072103972BE17E")]);
}

#[test]
fn silence_drops_the_link_without_a_word() {
    let mut line = Line::opened();
    assert_eq!(line.station.poll_timeout(), Some(Instant::from_millis(120_000)));
    line.now = Instant::from_millis(100_000);
    line.controls(0x11, false, &[]);
    line.station.handle_timeout(Instant::from_millis(120_000));
    assert_eq!(line.station.poll_event(), None);
    line.station.handle_timeout(Instant::from_millis(220_000));
    assert_eq!(line.station.poll_event(), Some((0, Event::Closed)));
    assert_eq!(line.sent(), NOTHING);
    assert_eq!(line.exchange(&GET_FRAME), [DM]);
}

#[test]
fn connectionless_requests_are_delivered_and_never_answered() {
    let mut line = Line::new(1, Config::default());
    for (destination, delivery) in [(sap(1), Delivery::Connectionless), (sap(0x7F), Delivery::Broadcast)] {
        assert_eq!(line.exchange(&frame(destination, sap(16), 0x03, true, &hex!("E6E600 C1"))), NOTHING);
        assert_eq!(line.exchange(&frame(destination, sap(16), 0x13, false, &[2])), NOTHING);
        assert_eq!(line.apdu(), Some((vec![0xC1, 2], delivery)));
        line.station.release_apdu();
        assert_eq!(line.sent(), NOTHING);
    }
    assert_eq!(line.exchange(&SNRM), [UA]);
}

#[test]
fn a_connectionless_request_whose_end_was_lost_does_not_hold_the_session() {
    let mut line = Line::new(1, Config { inactivity_timeout_ms: 0, ..Config::default() });
    line.exchange(&frame(sap(2), sap(16), 0x03, true, &hex!("E6E600 C1")));
    assert_eq!(line.exchange(&SNRM), [DM], "the session is in use");
    line.now = line.station.poll_timeout().unwrap();
    assert_eq!(line.now.as_millis(), 10_000);
    line.station.handle_timeout(line.now);
    assert_eq!(line.exchange(&SNRM), [UA]);
    assert_eq!(line.station.poll_timeout(), None);
}

/// The published notification: on a line without a link at once, with a link when the client hands over the right.
#[test]
fn notifications_wait_for_the_right_to_send() {
    let apdu = hex!("0F00000001000600000001");
    let published = hex!("7EA017210313A6E0E6E7000F0000000100060000000152607E");
    let mut line = Line::new(1, Config::default());
    assert_eq!(line.station.session(0).unwrap().send_unnumbered(&apdu), Err(LinkError::NotOpen));
    let index = line.station.bind(sap(16), sap(1)).unwrap();
    line.station.session(index).unwrap().send_unnumbered(&apdu).unwrap();
    assert_eq!(line.sent(), [published]);

    let mut line = Line::opened();
    line.station.session(0).unwrap().send_unnumbered(&[9; 200]).unwrap();
    assert_eq!(line.sent(), NOTHING);
    assert_eq!(line.controls(0x10, false, &[1]), [0_u8; 0]);
    assert!(line.apdu().is_some());
    let sent: Vec<_> = line.answer(&[2]).iter().map(|frame| (short(frame).0, short(frame).1)).collect();
    assert_eq!(sent, [(0x03, true), (0x03, false), (0x30, false)]);

    let mut line = Line::new(1, Config { full_duplex: true, ..Config::default() });
    line.exchange(&SNRM);
    line.station.session(0).unwrap().send_unnumbered(&apdu).unwrap();
    assert_eq!(line.sent(), [published]);
}

/// Two clients and two logical devices of a physical device, interleaved; a third finds no session.
#[test]
fn lesson_09_several_links_on_one_line_have_their_own_sequence() {
    let mut line = Line::new(2, Config::default());
    let device = |upper| Address::new(upper, 17, Width::Two).unwrap();
    let pairs = [(sap(16), device(1)), (sap(1), device(2))];
    for (client, server) in pairs {
        line.exchange(&frame(server, client, 0x93, false, &[]));
    }
    let refused = line.exchange(&frame(device(2), sap(16), 0x93, false, &[]));
    assert_eq!(refused, [frame(sap(16), device(2), 0x1F, false, &[])]);
    assert_eq!(line.station.poll_event(), Some((0, Event::Opened)));
    assert_eq!(line.station.poll_event(), Some((1, Event::Opened)));
    for turn in 0..10_u8 {
        for (index, (client, server)) in pairs.into_iter().enumerate().skip(usize::from(turn > 3)) {
            let numbers = ((turn & 7) << 5) | 0x10 | ((turn & 7) << 1);
            assert_eq!(line.exchange(&frame(server, client, numbers, false, &[turn])), NOTHING);
            assert_eq!(line.station.poll_event(), Some((index, Event::Apdu(Delivery::Connected))));
            let (sap, logical_device) = (ClientSap(client.upper()), ServerSap(server.upper()));
            line.station.send(sap, logical_device, &[0xAA, turn]).unwrap();
            line.station.release_apdu();
            let control = ((turn + 1) << 5) | 0x10 | ((turn & 7) << 1);
            let answer = frame(client, server, control, false, &[0xE6, 0xE7, 0, 0xAA, turn]);
            assert_eq!(line.sent(), [answer]);
        }
    }
    line.exchange(&frame(device(1), sap(16), 0x53, false, &[]));
    assert_eq!(line.station.poll_event(), Some((0, Event::Closed)));
    let accepted = line.exchange(&frame(device(2), sap(16), 0x93, false, &[]));
    assert_eq!(short(&accepted[0]).0, 0x73, "the session of the link that was closed is free");
}

#[test]
fn input_stops_at_an_apdu_so_that_it_is_answered_before_what_follows() {
    let mut line = Line::opened();
    let request = frame(sap(1), sap(16), 0x10, false, &[1]);
    let glued = [request.clone(), frame(sap(1), sap(16), 0x11, false, &[])].concat();
    assert_eq!(line.station.handle_input(&glued, line.now), request.len());
    assert!(line.apdu().is_some());
    assert_eq!(short(&line.answer(&[2])[0]).0, 0x30);
    assert_eq!(short(&line.exchange(&glued[request.len()..])[0]).0, 0x30);
}
