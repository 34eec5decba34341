//! Notifications both ways: in and outside an association, in every envelope, confirmed, repeated, refused.

#[cfg(feature = "public-key")]
#[path = "notifications/general.rs"]
mod general;
mod pair;

use dlms::Instant;
use dlms::apdu::*;
use dlms::association::client::{self, Config, Event, Response};
use dlms::association::push::{PushError, Receiver, Sender};
use dlms::association::server::{self, Confirmation, NotifyError, PushProtection, PushTo};
use dlms::association::{Secret, server::ServerLink};
use dlms::axdr::Data;
use dlms::hdlc;
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::link::Link;
use dlms::security::{Context, Envelope, InvocationCounter, KeySet, Protection, RustCrypto, SecurityError, Suite};
use dlms::time::DateTime;
use dlms::wrapper;
use hex_literal::hex;
use pair::*;

/// What a client saw.
#[derive(Debug, PartialEq)]
enum Seen {
    Associated,
    Value(u32),
    Block(usize, bool),
    Notification(Vec<u8>, Protection),
    Foreign(Vec<u8>),
    Other(String),
}

type WrapperServer = wrapper::server::Wrapper<Vec<u8>>;

/// A client and a whole line of a meter.
struct Line<L, S> {
    client: client::Connection<L, RustCrypto, Counting, Vec<u8>>,
    server: server::Connection<S, RustCrypto, Vec<u8>, 2, server::Outbox<Vec<u8>>>,
    meter: Meter,
    random: Counting,
    now: Instant,
    /// Octets of the meter that are still on their way.
    unread: Vec<u8>,
    /// The client is not there.
    deaf: bool,
    /// Every frame or wrapped APDU of the meter, as it was handed to the line.
    sent: Vec<Vec<u8>>,
}

fn over_wrapper(config: Config, meter: Meter) -> Line<wrapper::client::Wrapper<Vec<u8>>, WrapperServer> {
    let link = wrapper::client::Wrapper::new(config.client, config.server, vec![0; 4_096], vec![0; 4_096], 1_000);
    line(link, wrapper::server::Wrapper::new(vec![0; 4_096], vec![0; 4_096], 1_000), config, meter)
}

fn line<L: Link, S: ServerLink>(link: L, served: S, config: Config, meter: Meter) -> Line<L, S> {
    let counter = InvocationCounter::new(1, 100_000);
    Line {
        client: client::Connection::new(link, config, Counting(0), counter, vec![0; 4_096], vec![0; 4_096]),
        server: server::Connection::new(served, || vec![0; 4_096], vec![0; 4_096]).with_outbox(vec![0; 600]),
        meter,
        random: Counting(1 << 40),
        now: Instant::from_millis(0),
        unread: Vec::new(),
        deaf: false,
        sent: Vec::new(),
    }
}

impl<L: Link, S: ServerLink> Line<L, S> {
    fn associated(mut self) -> Self {
        self.client.associate(self.now).unwrap();
        assert_eq!(self.drive(), [Seen::Associated]);
        self.sent.clear();
        self
    }

    /// Carries octets to and fro until nothing more happens at this moment.
    fn drive(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for _ in 0..500 {
            let mut idle = true;
            while let Some(event) = self.client.poll_event() {
                idle = false;
                seen.push(own(event));
            }
            let mut octets = [0; 4_096];
            while let Some(length) = self.client.poll_transmit(&mut octets) {
                idle = false;
                let mut rest = &octets[..length];
                while !rest.is_empty() {
                    let taken = self.server.handle_input(rest, self.now, &mut self.meter, &mut self.random).unwrap();
                    rest = &rest[taken..];
                    self.carry();
                }
            }
            if self.server.poll_timeout().is_some_and(|due| due <= self.now) {
                idle = false;
                self.server.handle_timeout(self.now, &mut self.meter, &mut self.random).unwrap();
            }
            self.carry();
            if !self.unread.is_empty() {
                let taken = self.client.handle_input(&self.unread, self.now);
                idle &= taken == 0;
                self.unread.drain(..taken);
            }
            if idle {
                return seen;
            }
        }
        panic!("never idle: {seen:?}");
    }

    fn carry(&mut self) {
        let mut octets = [0; 4_096];
        while let Some(length) = self.server.poll_transmit(&mut octets) {
            self.sent.push(octets[..length].to_vec());
            if !self.deaf {
                self.unread.extend_from_slice(&octets[..length]);
            }
        }
    }

    fn notify(&mut self, notification: &Apdu<'_>, to: PushTo) -> Result<(), NotifyError> {
        self.server.notify(notification, to, self.now, &mut self.meter)
    }

    /// The next deadline of the meter.
    fn wait(&mut self) {
        self.now = self.server.poll_timeout().expect("the meter waits for something");
        self.server.handle_timeout(self.now, &mut self.meter, &mut self.random).unwrap();
    }

    fn audited(&self, event: &str) -> usize {
        self.meter.audit.iter().filter(|line| line.contains(event)).count()
    }
}

fn own(event: Event<'_>) -> Seen {
    match event {
        Event::Associated(_) => Seen::Associated,
        Event::Response(Response::Get(GetDataResult::Data(Data::DoubleLongUnsigned(value)))) => Seen::Value(value),
        Event::Response(Response::GetBlock { raw, last }) => Seen::Block(raw.len(), last),
        Event::Notification { apdu, protection } => Seen::Notification(encoded(&apdu), protection),
        Event::Foreign(octets) => Seen::Foreign(octets.to_vec()),
        other => Seen::Other(format!("{other:?}")),
    }
}

fn encoded(apdu: &Apdu<'_>) -> Vec<u8> {
    let mut buffer = [0; 1_000];
    let mut out = dlms::axdr::Writer::new(&mut buffer);
    apdu.encode(&mut out).unwrap();
    out.written().to_vec()
}

fn data(invoke: u32) -> Apdu<'static> {
    let body = Data::DoubleLongUnsigned(42);
    Apdu::DataNotification(DataNotification { invoke: LongInvokeIdAndPriority(invoke), time: None, body })
}

fn event() -> Apdu<'static> {
    let attribute = AttributeDescriptor { attribute: dlms::id::AttributeId(2), ..TEXT };
    Apdu::EventNotification(EventNotification { time: None, attribute, value: Data::DoubleLongUnsigned(1) })
}

fn report() -> Apdu<'static> {
    const NAMES: &[VariableAccess<'static>] = &[VariableAccess::Name(0x2C08)];
    const VALUES: &[Data<'static>] = &[Data::DoubleLongUnsigned(42)];
    Apdu::InformationReport(InformationReport { time: None, variables: List::from(NAMES), values: List::from(VALUES) })
}

fn to(config: &Config, protection: PushProtection) -> PushTo {
    PushTo { client: config.client, server: config.server, protection, max_pdu: 0, confirmation: None }
}

fn confirmed(to: PushTo) -> PushTo {
    PushTo { confirmation: Some(Confirmation { timeout_ms: 5_000, attempts: 3 }), ..to }
}

fn receiver(key: &[u8; 16]) -> Receiver<[Sender<RustCrypto>; 1]> {
    let keys = KeySet::new(Suite::Suite0, key, &GAK).unwrap();
    let context = Context::new(CLIENT_TITLE, &keys).unwrap();
    Receiver::new([Sender::new(SERVER_TITLE, context, Protection::AUTHENTICATED_ENCRYPTED, 0)])
}

const CONFIRMED_7: u32 = 0x4000_0007;

/// The examples of the standard's encodings, on the line and at the client.
#[test]
fn what_is_sent_in_clear_is_octet_for_octet_what_is_expected() {
    let config = reader(PASSWORD);
    let clear = to(&config, PushProtection::Clear);
    let mut line = over_wrapper(config, Meter::default()).associated();
    let expected = [
        (data(0x1DB), hex!("0F000001DB 00 060000002A").to_vec()),
        (event(), hex!("C2 00 00010000600103FF02 0600000001").to_vec()),
        (report(), hex!("18 00 01 022C08 01 060000002A").to_vec()),
    ];
    for (notification, octets) in &expected {
        line.notify(notification, clear).unwrap();
        assert_eq!(line.drive(), [Seen::Notification(octets.clone(), Protection::NONE)]);
        assert_eq!(line.sent.pop().unwrap()[8..], octets[..]);
    }
    // Not in an association: pushed over the same line all the same.
    let nobody = PushTo { client: ClientSap(99), ..clear };
    line.notify(&data(1), nobody).unwrap();
    assert_eq!(line.drive(), []);
    assert_eq!(line.sent.pop().unwrap()[..8], hex!("0001 0001 0063 000B"));
}

#[test]
fn lesson_10_a_push_between_request_and_answer_and_between_blocks_breaks_nothing() {
    let config = Config { max_pdu: 128, ..reader(PASSWORD) };
    let clear = to(&config, PushProtection::Clear);
    let mut line = over_wrapper(config, Meter { rows: 20, row_octets: 20, ..Meter::default() }).associated();
    line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
    line.notify(&data(1), clear).unwrap();
    let pushed = Seen::Notification(encoded(&data(1)), Protection::NONE);
    assert_eq!(line.drive(), [pushed, Seen::Value(913)]);

    line.client.get(AttributeRequest::whole(PROFILE), line.now).unwrap();
    let (mut octets, mut pushes, mut last) = (0, 0, false);
    for round in 0..200 {
        if round % 3 == 0 && pushes < 3 {
            let _ = line.notify(&event(), clear);
        }
        for seen in line.drive() {
            match seen {
                Seen::Block(length, end) => (octets, last) = (octets + length, end),
                Seen::Notification(..) => pushes += 1,
                other => panic!("{other:?}"),
            }
        }
        if last && pushes == 3 {
            break;
        }
    }
    assert_eq!((octets, pushes), (2 + 20 * (2 + 5 + 2 + 20), 3));
}

#[test]
fn every_envelope_of_an_association_carries_notifications() {
    for (general, dedicated) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut config = management();
        if let Some(security) = &mut config.security {
            security.dedicated_key = dedicated.then(|| Secret::new(&[0x55; 16]).unwrap());
        }
        let push = to(&config, PushProtection::Association { general });
        let mut line = over_wrapper(config, Meter::default()).associated();
        for notification in [data(5), event(), report()] {
            line.notify(&notification, push).unwrap();
            let expected = Seen::Notification(encoded(&notification), Protection::AUTHENTICATED_ENCRYPTED);
            assert_eq!(line.drive(), [expected]);
        }
        let tags: Vec<u8> = line.sent.iter().map(|wpdu| wpdu[8]).collect();
        let expected = match (general, dedicated) {
            // DataNotification has no ciphered form of its own.
            (false, false) => [0xDB, 0xCA, 0x38],
            (false, true) => [0xDC, 0xD2, 0x58],
            (true, false) => [0xDB; 3],
            (true, true) => [0xDC; 3],
        };
        assert_eq!(tags, expected);
        // Requests go on as before.
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        assert_eq!(line.drive(), [Seen::Value(913)]);
    }
}

#[test]
fn keys_of_their_own_pass_by_the_association_and_open_at_the_receiver() {
    for config in [reader(PASSWORD), management()] {
        let push = to(&config, PushProtection::Keys(Envelope::GeneralGlobal));
        let mut line = over_wrapper(config, Meter::default()).associated();
        // Also while an answer is waited for, which must not fail for it.
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        line.notify(&data(9), push).unwrap();
        let seen = line.drive();
        let [Seen::Foreign(octets), Seen::Value(913)] = &seen[..] else { panic!("{seen:?}") };
        let mut receiver = receiver(&PUSH_KEY);
        let mut apdu = octets.clone();
        let received = receiver.open(&mut apdu, None).unwrap();
        assert_eq!(encoded(&received.apdu), encoded(&data(9)));
        assert_eq!(received.sender, Some(SERVER_TITLE));
        assert_eq!(received.protection, Protection::AUTHENTICATED_ENCRYPTED);
        assert!(received.counter.is_some_and(|counter| counter <= line.meter.counter));
        // Once more: a replay.
        let mut apdu = octets.clone();
        let replayed = receiver.open(&mut apdu, None).unwrap_err();
        assert!(matches!(replayed, PushError::Security(SecurityError::Counter { .. })), "{replayed}");
    }
}

#[test]
fn a_receiver_believes_nobody_without_keys_and_moves_no_floor_for_a_forgery() {
    let config = reader(PASSWORD);
    let push = to(&config, PushProtection::Keys(Envelope::GeneralGlobal));
    let mut line = over_wrapper(config, Meter::default()).associated();
    line.notify(&data(9), push).unwrap();
    let seen = line.drive();
    let [Seen::Foreign(octets)] = &seen[..] else { panic!("{seen:?}") };
    for bit in 0..octets.len() * 8 {
        let mut apdu = octets.clone();
        apdu[bit / 8] ^= 1 << (bit % 8);
        let mut receiver = receiver(&PUSH_KEY);
        assert!(receiver.open(&mut apdu, Some(SERVER_TITLE)).is_err(), "bit {bit}");
        assert_eq!(receiver.senders_mut()[0].floor(), 0);
    }
    assert!(matches!(receiver(&GUEK).open(&mut octets.clone(), None), Err(PushError::Security(_))));
    let mut clear = encoded(&data(9));
    let refused = receiver(&PUSH_KEY).open(&mut clear, Some(SERVER_TITLE)).unwrap_err();
    assert!(matches!(refused, PushError::Security(SecurityError::PolicyNotMet { .. })));
    assert_eq!(receiver(&PUSH_KEY).open(&mut clear, None).unwrap_err(), PushError::UnknownSender);
    let other = SystemTitle(*b"OTHER\0\0\x01");
    assert_eq!(receiver(&PUSH_KEY).open(&mut clear, Some(other)).unwrap_err(), PushError::UnknownSender);
    // A request is no notification, whoever protected it.
    let keys = KeySet::new(Suite::Suite0, &PUSH_KEY, &GAK).unwrap();
    let meter = Context::<RustCrypto>::new(SERVER_TITLE, &keys).unwrap();
    let mut buffer = [0; 80];
    let plain = hex!("C001C100080000010000FF0200");
    buffer[20..33].copy_from_slice(&plain);
    let control = meter.control(Protection::AUTHENTICATED_ENCRYPTED);
    let place = meter.protect(Envelope::GeneralGlobal, control, 77, &mut buffer, 20..33).unwrap();
    let refused = receiver(&PUSH_KEY).open(&mut buffer[place], None).unwrap_err();
    assert_eq!(refused, PushError::NotANotification { found: "get-request-normal" });
}

#[test]
fn a_confirmed_notification_is_confirmed_once_and_leaves_the_queue() {
    for (config, protection) in
        [(reader(PASSWORD), PushProtection::Clear), (management(), PushProtection::Association { general: false })]
    {
        let push = confirmed(to(&config, protection));
        let mut line = over_wrapper(config, Meter::default()).associated();
        line.notify(&data(CONFIRMED_7), push).unwrap();
        let seen = line.drive();
        let [Seen::Notification(octets, _)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(*octets, encoded(&data(CONFIRMED_7)));
        assert_eq!(line.audited("NotificationConfirmed"), 1);
        assert_eq!(line.server.poll_timeout(), None);
        assert_eq!(line.sent.len(), 1);
        // A request goes through as before.
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        assert_eq!(line.drive(), [Seen::Value(913)]);
    }
}

#[test]
fn a_confirmation_waits_for_the_answer_that_is_under_way() {
    let config = reader(PASSWORD);
    let push = confirmed(to(&config, PushProtection::Clear));
    let mut line = over_wrapper(config, Meter::default()).associated();
    line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
    line.notify(&data(CONFIRMED_7), push).unwrap();
    let seen = line.drive();
    assert!(matches!(seen[..], [Seen::Notification(..), Seen::Value(913)]), "{seen:?}");
    assert_eq!(line.audited("NotificationConfirmed"), 1);
}

#[test]
fn an_unconfirmed_attempt_is_repeated_with_the_same_id_and_a_fresh_counter() {
    let config = management();
    let push = confirmed(to(&config, PushProtection::Keys(Envelope::GeneralGlobal)));
    let mut line = over_wrapper(config, Meter::default()).associated();
    line.deaf = true;
    line.notify(&data(CONFIRMED_7), push).unwrap();
    assert_eq!(line.drive(), []);
    for _ in 0..3 {
        line.wait();
        assert_eq!(line.drive(), []);
    }
    assert_eq!(line.now, Instant::from_millis(15_000));
    assert_eq!(line.sent.len(), 3);
    let mut receiver = receiver(&PUSH_KEY);
    let mut counters = Vec::new();
    for wpdu in &line.sent {
        let mut apdu = wpdu[8..].to_vec();
        let received = receiver.open(&mut apdu, None).unwrap();
        assert_eq!(received.to_confirm(), Some(LongInvokeIdAndPriority(CONFIRMED_7)));
        counters.push(received.counter.unwrap());
    }
    assert!(counters.is_sorted_by(|a, b| a < b), "{counters:?}");
    assert_eq!((line.audited("NotificationLost"), line.audited("NotificationConfirmed")), (1, 0));
    assert_eq!(line.server.poll_timeout(), None);
}

#[test]
fn without_an_association_the_receiver_confirms_with_the_same_keys() {
    let config = reader(PASSWORD);
    let push = confirmed(to(&config, PushProtection::Keys(Envelope::GeneralGlobal)));
    let mut line = over_wrapper(config, Meter::default());
    line.notify(&data(CONFIRMED_7), push).unwrap();
    line.carry();
    let mut apdu = line.sent.pop().unwrap()[8..].to_vec();
    let mut receiver = receiver(&PUSH_KEY);
    let received = receiver.open(&mut apdu, None).unwrap();
    let answer = |line: &mut Line<_, WrapperServer>, apdu: &[u8]| {
        let mut wpdu = hex!("0001 0011 0001 00").to_vec();
        wpdu.push(u8::try_from(apdu.len()).unwrap());
        wpdu.extend_from_slice(apdu);
        line.server.handle_input(&wpdu, line.now, &mut line.meter, &mut line.random).unwrap();
        line.carry();
    };
    // In clear anybody could confirm what was ciphered, and another id is another notification.
    answer(&mut line, &hex!("10 40000007 00"));
    assert_eq!(line.audited("NotificationConfirmed"), 0);
    let mut buffer = [0; 64];
    let place = receiver.confirm(&received, 1, &mut buffer).unwrap();
    answer(&mut line, &buffer[place]);
    assert_eq!(line.audited("NotificationConfirmed"), 1);
    assert_eq!(line.server.poll_timeout(), None);
    // Nothing was answered to either.
    assert_eq!(line.sent, Vec::<Vec<u8>>::new());
}

/// Nobody makes a server verify what it does not wait for, nor more than some of what is no confirmation.
#[test]
fn what_could_be_a_confirmation_is_looked_at_only_while_one_is_waited_for() {
    let config = reader(PASSWORD);
    let push = confirmed(to(&config, PushProtection::Keys(Envelope::GeneralGlobal)));
    let mut line = over_wrapper(config, Meter::default());
    let answer = |line: &mut Line<_, WrapperServer>, apdu: &[u8]| {
        let mut wpdu = hex!("0001 0011 0001 00").to_vec();
        wpdu.push(u8::try_from(apdu.len()).unwrap());
        wpdu.extend_from_slice(apdu);
        line.server.handle_input(&wpdu, line.now, &mut line.meter, &mut line.random).unwrap();
        line.carry();
    };
    line.notify(&data(CONFIRMED_7), push).unwrap();
    line.carry();
    let mut apdu = line.sent.pop().unwrap()[8..].to_vec();
    let mut receiver = receiver(&PUSH_KEY);
    let received = receiver.open(&mut apdu, None).unwrap();
    let confirm = |receiver: &mut Receiver<_>, counter| {
        let mut buffer = [0; 64];
        let place = receiver.confirm(&received, counter, &mut buffer).unwrap();
        buffer[place].to_vec()
    };
    let mut forged = confirm(&mut receiver, 1);
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..server::REFUSALS_MAX {
        answer(&mut line, &forged);
    }
    let genuine = confirm(&mut receiver, 2);
    answer(&mut line, &genuine);
    assert_eq!((line.audited("NotificationConfirmed"), line.meter.floors.len()), (0, 0), "looked at");
    // Sent again it is waited for again.
    line.wait();
    line.carry();
    answer(&mut line, &genuine);
    assert_eq!(line.audited("NotificationConfirmed"), 1);
    let floors = line.meter.floors.clone();
    assert_eq!(floors.len(), 1);
    // Nothing waits any more: no counter is taken note of.
    let late = confirm(&mut receiver, 3);
    answer(&mut line, &late);
    assert_eq!(line.meter.floors, floors);
}

#[test]
fn the_floor_of_the_broadcast_key_outlives_the_receiver() {
    let context = |title| {
        let keys = KeySet::new(Suite::Suite0, &PUSH_KEY, &GAK).unwrap().with_broadcast(&GBEK).unwrap();
        let mut context = Context::<RustCrypto>::new(title, &keys).unwrap();
        context.set_broadcast_accepted(true);
        context
    };
    let sender = || Sender::new(SERVER_TITLE, context(CLIENT_TITLE), Protection::AUTHENTICATED_ENCRYPTED, 3);
    let (meter, plain) = (context(SERVER_TITLE), encoded(&data(1)));
    let mut buffer = vec![0; 100];
    buffer[30..30 + plain.len()].copy_from_slice(&plain);
    let control = meter.control(Protection::AUTHENTICATED_ENCRYPTED).with_broadcast_key();
    let place = meter.protect(Envelope::GeneralGlobal, control, 9, &mut buffer, 30..30 + plain.len()).unwrap();
    let octets = buffer[place].to_vec();
    let mut first = Receiver::new([sender()]);
    first.open(&mut octets.clone(), None).unwrap();
    let [kept] = first.senders_mut();
    assert_eq!((kept.floor(), kept.broadcast_floor()), (3, 10));
    let floor = kept.broadcast_floor();
    let mut second = Receiver::new([sender().with_broadcast_floor(floor)]);
    let error = second.open(&mut octets.clone(), None).unwrap_err();
    assert_eq!(error, PushError::Security(SecurityError::Counter { lowest: 10 }));
}

#[test]
fn the_queue_is_bounded_and_takes_only_notifications() {
    let config = reader(PASSWORD);
    let clear = to(&config, PushProtection::Clear);
    let mut line = over_wrapper(config, Meter::default());
    let request = Apdu::GetRequest(GetRequest::Next { invoke: InvokeIdAndPriority(0xC1), number: 1 });
    assert_eq!(line.notify(&request, clear), Err(NotifyError::NotANotification { found: "get-request-next" }));
    assert_eq!(line.notify(&data(CONFIRMED_7), clear), Err(NotifyError::Confirmation));
    assert_eq!(line.notify(&data(7), confirmed(clear)), Err(NotifyError::Confirmation));
    // The first goes out at once and stays until it is confirmed; the storage has 600 octets.
    let long = vec![0x55; 250];
    let body = Data::OctetString(&long);
    let invoke = LongInvokeIdAndPriority(CONFIRMED_7);
    let long = Apdu::DataNotification(DataNotification { invoke, time: Some(DateTime::UNSPECIFIED), body });
    assert_eq!(line.notify(&long, confirmed(clear)), Ok(()));
    assert_eq!(line.notify(&long, confirmed(clear)), Ok(()));
    assert_eq!(line.notify(&long, confirmed(clear)), Err(NotifyError::Full));
    // A connection that was given no storage says so.
    let served = wrapper::server::Wrapper::new(vec![0; 100], vec![0; 100], 1_000);
    let mut plain: server::Connection<_, RustCrypto, _, 1> =
        server::Connection::new(served, || vec![0; 100], vec![0; 100]);
    assert_eq!(plain.notify(&data(1), clear, line.now, &mut line.meter), Err(NotifyError::NoOutbox));
    // Without the keys of an association there is nothing to protect with: it is told, not sent in clear.
    line.sent.clear();
    let mut line = over_wrapper(reader(PASSWORD), Meter::default());
    line.notify(&data(1), to(&reader(PASSWORD), PushProtection::Association { general: false })).unwrap();
    line.carry();
    assert_eq!((line.sent.len(), line.audited("NotificationLost")), (0, 1));
}

#[test]
fn over_hdlc_notifications_travel_in_unnumbered_frames() {
    for full_duplex in [true, false] {
        let config = reader(PASSWORD);
        let own = hdlc::Address::client(config.client.0).unwrap();
        let served = hdlc::Address::new(1, 0, hdlc::Width::One).unwrap();
        let client = hdlc::client::Config::new(own, served);
        let link = hdlc::client::Session::new(client, vec![0; 2_048], vec![0; 4_096], vec![0; 4_096]);
        let session = hdlc::server::Config { full_duplex, ..hdlc::server::Config::default() };
        let sessions = vec![hdlc::server::Session::new(session, vec![0; 4_096], vec![0; 4_096])];
        let station =
            hdlc::server::Station::new(vec![0; 2_048], 1_000, sessions, |_: ClientSap, address: hdlc::Address| {
                ServerSap(address.upper()) == ServerSap(1)
            });
        let push = to(&config, PushProtection::Clear);
        let mut line = line(link, station, config, Meter::default()).associated();
        line.notify(&event(), push).unwrap();
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        let seen = line.drive();
        let pushed = Seen::Notification(encoded(&event()), Protection::NONE);
        assert!(seen.contains(&pushed) && seen.contains(&Seen::Value(913)), "{full_duplex}: {seen:?}");
        // Two in a row: the second waits until the link takes it.
        line.notify(&event(), push).unwrap();
        line.notify(&data(3), push).unwrap();
        let mut seen = line.drive();
        for _ in 0..3 {
            line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
            seen.extend(line.drive());
        }
        let pushes = seen.iter().filter(|seen| matches!(seen, Seen::Notification(..))).count();
        assert_eq!(pushes, 2, "{full_duplex}: {seen:?}");
    }
}

/// Long pushes leave in blocks, ciphered as a whole first; the client joins them.
#[test]
fn long_notifications_go_out_in_blocks_and_are_joined() {
    for (config, protection) in
        [(reader(PASSWORD), PushProtection::Clear), (management(), PushProtection::Association { general: false })]
    {
        let push = PushTo { max_pdu: 64, ..to(&config, protection) };
        let mut line = over_wrapper(config, Meter::default()).associated();
        let octets: Vec<u8> = (0..200).collect();
        let invoke = LongInvokeIdAndPriority(7);
        let long = DataNotification { invoke, time: None, body: Data::OctetString(&octets) };
        let long = Apdu::DataNotification(long);
        line.notify(&long, push).unwrap();
        // A short one behind it waits for the last block.
        line.notify(&event(), PushTo { max_pdu: 0, ..push }).unwrap();
        let seen = line.drive();
        let [Seen::Notification(first, found), Seen::Notification(second, _)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((first, second), (&encoded(&long), &encoded(&event())));
        assert_eq!(found.is_none(), protection == PushProtection::Clear);
        let blocks = line.sent.iter().filter(|wpdu| wpdu[8] == 0xE0).count();
        assert!(blocks > 3, "{blocks}");
        assert!(line.sent.iter().all(|wpdu| wpdu.len() <= 8 + 64));
        // Requests go on as before.
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        assert_eq!(line.drive(), [Seen::Value(913)]);
    }
}

/// On a line of frames a client that has set up no link is reached once its address is known.
#[test]
fn over_hdlc_a_client_without_a_link_is_notified_in_unnumbered_frames() {
    let (config, now) = (reader(PASSWORD), Instant::from_millis(0));
    let push = to(&config, PushProtection::Keys(Envelope::GeneralGlobal));
    let session = hdlc::server::Session::new(hdlc::server::Config::default(), vec![0; 512], vec![0; 512]);
    let station = hdlc::server::Station::new(vec![0; 512], 1_000, vec![session], |_: ClientSap, _: hdlc::Address| true);
    let served: server::Connection<_, RustCrypto, _, 1> =
        server::Connection::new(station, || vec![0; 512], vec![0; 512]);
    let (mut served, mut meter) = (served.with_outbox(vec![0; 256]), Meter::default());
    served.notify(&data(1), push, now, &mut meter).unwrap();
    assert!(meter.audit.iter().any(|line| line.contains("NotificationLost")), "nobody knows its address");
    let addresses = (hdlc::Address::client(config.client.0), hdlc::Address::new(1, 0, hdlc::Width::One));
    assert_eq!(served.link_mut().bind(addresses.0.unwrap(), addresses.1.unwrap()), Some(0));
    served.notify(&data(2), push, now, &mut meter).unwrap();
    let mut frame = [0; 512];
    let length = served.poll_transmit(&mut frame).unwrap();
    let mut listener = hdlc::Listener::new(vec![0; 512], vec![0; 512], 1_000, false);
    assert_eq!(listener.handle_input(&frame[..length], now), length);
    assert_eq!(listener.poll_event().map(|push| push.destination), addresses.0);
    let mut receiver = receiver(&PUSH_KEY);
    let received = receiver.open(listener.apdu(), None).unwrap();
    assert_eq!(encoded(&received.apdu), encoded(&data(2)));
}

/// What could be a confirmation is looked at before the association is: a request must survive that.
#[test]
fn the_first_request_to_a_pre_established_association_may_use_the_keys_of_pushes() {
    let mut config = Config {
        client: STANDING_CIPHERED,
        mechanism: dlms::acse::Mechanism::Lowest,
        pre_established: Some(client::PreEstablished { server_max_pdu: 500 }),
        response_timeout_ms: 1_000,
        ..management()
    };
    let security = config.security.as_mut().unwrap();
    (security.peer_title, security.general) = (Some(SERVER_TITLE), true);
    let push = confirmed(to(&config, PushProtection::Keys(Envelope::GeneralGlobal)));
    let mut line = over_wrapper(config, Meter { has_one_key: true, ..Meter::default() }).associated();
    // A confirmation is waited for.
    line.deaf = true;
    line.notify(&data(CONFIRMED_7), push).unwrap();
    line.carry();
    assert_eq!(line.sent.len(), 1);
    line.deaf = false;
    line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
    assert_eq!(line.drive(), [Seen::Value(913)]);
}
