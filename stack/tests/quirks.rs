//! One test for each deviation that a client can meet: tolerated it is counted, and strict it is refused by its name.

mod pair;

use std::collections::BTreeSet;

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::AttributeRequest;
use dlms::association::Secret;
use dlms::association::client::{Config, ConnectionError, Event, RequestError};
use dlms::deviation::Deviation;
use dlms::hdlc::{self, Address, Width};
use dlms::id::ServerSap;
use dlms::link::{Link, LinkEvent};
use dlms::quirk::Quirks;
use hex_literal::hex;
use pair::*;

/// An AARE with these fields behind the diagnostic, and this InitiateResponse.
fn aare(fields: &[u8], initiate: &[u8]) -> Vec<u8> {
    let information = [&[0xBE, initiate.len() as u8 + 2, 0x04, initiate.len() as u8][..], initiate].concat();
    let body = [&hex!("A109060760857405080101 A203020100 A305A103020100")[..], fields, &information].concat();
    [&[0x61, body.len() as u8][..], &body].concat()
}

/// Accepted, GET, SET and ACTION, 512 octets.
const INITIATE: [u8; 14] = hex!("0800065F1F04000000190200 0007");

/// What is changed of an answer, in which association, and after which request.
struct Case {
    deviation: Deviation,
    config: fn() -> Config,
    /// Only the first answer, the AARE, is changed; else those after it.
    opening: bool,
    tamper: fn(&mut Vec<u8>),
}

fn public() -> Config {
    Config::public(ServerSap::MANAGEMENT)
}

fn hls() -> Config {
    Config { mechanism: Mechanism::Hls2, secret: Secret::new(&[7; 16]).unwrap(), ..public() }
}

fn hls_in_clear() -> Config {
    Config { client: hls_client(3), mechanism: Mechanism::Md5, secret: Secret::new(SECRET).unwrap(), ..public() }
}

fn known_title() -> Config {
    let mut config = management();
    config.security.as_mut().unwrap().peer_title = Some(SERVER_TITLE);
    config
}

fn general() -> Config {
    let mut config = management();
    config.security.as_mut().unwrap().general = true;
    config
}

const CASES: &[Case] = &[
    // Kamstrup OMNIA.
    Case {
        deviation: Deviation::NonMinimalLength,
        config: public,
        opening: true,
        tamper: |apdu| {
            *apdu = aare(&[], &INITIATE);
            drop(apdu.splice(1..2, [0x82, 0x00, 0x29]));
        },
    },
    Case {
        deviation: Deviation::ShortOuterLength,
        config: public,
        opening: true,
        tamper: |apdu| {
            *apdu = aare(&[], &INITIATE);
            apdu[1] -= 4;
        },
    },
    Case {
        deviation: Deviation::UnknownField,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&hex!("9D0100"), &INITIATE),
    },
    Case {
        deviation: Deviation::UserInformationForm,
        config: public,
        opening: true,
        tamper: |apdu| {
            *apdu = aare(&[], &INITIATE);
            // The octet string's own tag and length are left away.
            let at = apdu.len() - INITIATE.len() - 4;
            drop(apdu.splice(at..at + 4, [0xBE, 0x0E]));
            apdu[1] -= 2;
        },
    },
    Case {
        deviation: Deviation::MechanismTopBit,
        config: || reader(PASSWORD),
        opening: true,
        tamper: |apdu| *apdu = aare(&hex!("88020780 890760857405080281"), &INITIATE),
    },
    Case {
        deviation: Deviation::ConformanceTag,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&[], &hex!("0800065F04000000190200 0007")),
    },
    Case {
        deviation: Deviation::PresenceOctet,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&[], &hex!("080200065F1F04000000190200 0007")),
    },
    Case {
        deviation: Deviation::ZeroPduSize,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&[], &hex!("0800065F1F04000000190000 0007")),
    },
    Case {
        deviation: Deviation::SmallPduSize,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&[], &hex!("0800065F1F04000000190040 0007")),
    },
    Case {
        deviation: Deviation::ExtraConformance,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&[], &hex!("0800065F1F0400FFFFFF0200 0007")),
    },
    Case {
        deviation: Deviation::VaaName,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&[], &hex!("0800065F1F04000000190200 0000")),
    },
    // Kamstrup.
    Case {
        deviation: Deviation::UnneededSystemTitle,
        config: public,
        opening: true,
        tamper: |apdu| *apdu = aare(&hex!("A40A04084B414D4501020304"), &INITIATE),
    },
    Case {
        deviation: Deviation::UnannouncedChallenge,
        config: hls,
        opening: true,
        tamper: |apdu| *apdu = aare(&hex!("88020780 890760857405080202 AA0A8008 0102030405060708"), &INITIATE),
    },
    Case {
        deviation: Deviation::MissingMechanism,
        config: hls,
        opening: true,
        tamper: |apdu| {
            *apdu = aare(&hex!("AA0A8008 0102030405060708"), &INITIATE);
            let diagnostic = apdu.windows(7).position(|part| part == hex!("A305A103020100")).unwrap();
            apdu[diagnostic + 6] = 14;
        },
    },
    Case {
        deviation: Deviation::MissingSystemTitle,
        config: known_title,
        opening: true,
        tamper: |apdu| {
            // The answer to pass 3 has none.
            if let Some(title) = apdu.windows(4).position(|part| part == hex!("A40A0408")) {
                apdu.drain(title..title + 12);
                apdu[1] -= 12;
            }
        },
    },
    Case {
        deviation: Deviation::MissingPresenceOctet,
        config: public,
        opening: false,
        tamper: |apdu| *apdu = vec![0xC7, 0x01, apdu[2], 0x00],
    },
    Case {
        deviation: Deviation::TrailingOctets,
        config: public,
        opening: false,
        tamper: |apdu| *apdu = hex!("D801020000").to_vec(),
    },
    Case {
        deviation: Deviation::MissingCounter,
        config: public,
        opening: false,
        tamper: |apdu| *apdu = hex!("D80206").to_vec(),
    },
    Case {
        deviation: Deviation::BlockNumberZero,
        config: public,
        opening: false,
        tamper: |apdu| *apdu = [&[0xC7, 0x02, apdu[2], 0x00][..], &hex!("00000000 02 0900")].concat(),
    },
    Case {
        deviation: Deviation::PlainError,
        config: management,
        opening: false,
        tamper: |apdu| *apdu = hex!("D80102").to_vec(),
    },
    Case {
        deviation: Deviation::MissingResultChoice,
        config: hls_in_clear,
        opening: true,
        tamper: |apdu| {
            if apdu[0] == 0xC7 {
                assert_eq!(apdu.remove(5), 0);
            }
        },
    },
    // Italian meters.
    Case {
        deviation: Deviation::EmptySystemTitle,
        config: general,
        opening: false,
        tamper: |apdu| {
            assert_eq!(apdu[..2], [0xDB, 0x08]);
            drop(apdu.splice(1..10, [0x00]));
        },
    },
];

/// Runs a case; how it ended, and the client.
fn run(case: &Case, quirks: Quirks) -> (Vec<Happened>, Pair) {
    let mut pair = Pair::new(Config { quirks, ..(case.config)() }, Meter::default());
    pair.tamper = case.opening.then_some(case.tamper);
    pair.client.associate(pair.now).unwrap();
    let happened = pair.drive();
    if case.opening {
        return (happened, pair);
    }
    assert_eq!(happened, [Happened::Associated], "{}", case.deviation);
    pair.tamper = Some(case.tamper);
    match case.deviation {
        Deviation::MissingPresenceOctet | Deviation::BlockNumberZero => {
            pair.client.action(ECHO, None, pair.now).unwrap();
        }
        _ => pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap(),
    }
    (pair.drive(), pair)
}

fn deviates(happened: &[Happened], deviation: Deviation) -> bool {
    let expected = RequestError::Deviates(deviation);
    happened.iter().any(|event| match event {
        Happened::Failed(error) | Happened::Closed(ConnectionError::Request(error)) => *error == expected,
        _ => false,
    })
}

#[test]
fn lesson_12_every_deviation_is_counted_or_refused_by_its_name() {
    let mut seen = BTreeSet::new();
    for case in CASES {
        let deviation = case.deviation;
        seen.insert(deviation);
        let (happened, pair) = run(case, Quirks::LENIENT);
        assert!(pair.client.deviations().of(deviation) > 0, "{deviation}: {happened:?}");
        assert_eq!(pair.client.deviations().iter().count(), 1, "{deviation}: {:?}", pair.client.deviations());
        assert!(!deviates(&happened, deviation), "{deviation}: {happened:?}");
        let (happened, pair) = run(case, Quirks::STRICT);
        assert!(deviates(&happened, deviation), "{deviation}: {happened:?}");
        assert_eq!(pair.client.deviations().of(deviation), 1, "{deviation}: refused, and counted");
        // It alone may be refused, or it alone tolerated.
        assert!(deviates(&run(case, Quirks::LENIENT.without(deviation)).0, deviation), "{deviation}");
        assert!(!deviates(&run(case, Quirks::STRICT.with(deviation)).0, deviation), "{deviation}");
    }
    // The others: met by servers only, elsewhere in this file, or beside the tests of their layer.
    for other in [
        Deviation::ExplicitDefault,
        Deviation::ProtocolVersion,
        Deviation::DateTimeForm,
        Deviation::RefusedRelease,
        Deviation::LlcDirection,
        Deviation::MissingLlc,
        Deviation::AddressWidth,
        Deviation::RefusedParameters,
        Deviation::InformationPush,
        Deviation::LittleEndianWrapper,
        Deviation::WrapperPreamble,
        Deviation::DatagramTail,
        Deviation::MbusLengthOverrun,
        Deviation::UnconfirmedSignOn,
        Deviation::HlsObject,
    ] {
        assert!(seen.insert(other), "{other}");
    }
    assert_eq!(seen.len(), Deviation::COUNT, "a deviation without a test");
}

#[test]
fn what_keeps_the_rules_passes_strict() {
    for config in [public(), reader(PASSWORD), management(), general()] {
        let mut pair = Pair::associated(Config { quirks: Quirks::STRICT, ..config }, Meter::default());
        pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
        assert!(matches!(pair.drive()[..], [Happened::Value(_)]));
        pair.client.release(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Released]);
        assert_eq!(pair.client.deviations().iter().count(), 0);
    }
}

/// A meter that refuses a release has released all the same; one that must not be asked is not.
#[test]
fn lesson_12_a_refused_release() {
    let release = |quirks| {
        let mut pair = Pair::associated(Config { quirks, ..public() }, Meter::default());
        pair.tamper = Some(|apdu| *apdu = hex!("D80102").to_vec());
        pair.client.release(pair.now).unwrap();
        (pair.drive(), pair)
    };
    let (happened, pair) = release(Quirks::LENIENT);
    assert_eq!(happened, [Happened::Released]);
    assert_eq!(pair.client.deviations().of(Deviation::RefusedRelease), 1);
    assert!(deviates(&release(Quirks::STRICT).0, Deviation::RefusedRelease));
    let before = pair.seen.len();
    let (happened, pair) = release(Quirks { release: false, ..Quirks::LENIENT });
    assert_eq!(happened, [Happened::Released]);
    assert_eq!(pair.seen.len(), before - 2, "no RLRQ went out");
}

/// The date-time of a notification as Kaifa, Kamstrup and others write it.
#[test]
fn lesson_12_a_notification_with_a_tagged_date_time() {
    for time in [&hex!("090C 07E60101FF00000000800000")[..], &hex!("19 07E60101FF00000000800000")] {
        for (quirks, shown) in [(Quirks::LENIENT, true), (Quirks::STRICT, false)] {
            let mut pair = Pair::associated(Config { quirks, ..public() }, Meter::default());
            let apdu = [&hex!("0F 00000001")[..], time, &hex!("0600000001")].concat();
            let header = [0, 1, 0, 1, 0, 16, 0, apdu.len() as u8];
            pair.client.handle_input(&[&header[..], &apdu].concat(), pair.now);
            match pair.client.poll_event() {
                Some(Event::Notification { .. }) => assert!(shown),
                Some(Event::Refused(Deviation::DateTimeForm)) => assert!(!shown),
                other => panic!("{other:?}"),
            }
            assert_eq!(pair.client.deviations().of(Deviation::DateTimeForm), 1);
        }
    }
}

/// Headers of the wrapper with their low octets first: counted by the connection above.
#[test]
fn lesson_12_deviations_of_the_link_are_counted_with_the_others() {
    use dlms::association::client::Connection;
    use dlms::security::{InvocationCounter, RustCrypto};
    use dlms::wrapper::client::Wrapper;
    let quirks = Quirks::LENIENT.with(Deviation::LittleEndianWrapper);
    let config = Config { quirks, ..public() };
    let link =
        Wrapper::new(config.client, config.server, vec![0; 512], vec![0; 512], 1_000).tolerating(quirks.tolerated);
    let counter = InvocationCounter::new(0, 0);
    let mut client: Connection<_, RustCrypto, _, _> =
        Connection::new(link, config, Counting(0), counter, vec![0; 512], vec![0; 512]);
    client.associate(Instant::from_millis(0)).unwrap();
    assert!(client.poll_event().is_none());
    assert!(client.poll_transmit(&mut [0; 512]).is_some());
    let apdu = aare(&[], &INITIATE);
    let swapped = [&[1, 0, 1, 0, 16, 0, apdu.len() as u8, 0][..], &apdu].concat();
    client.handle_input(&swapped, Instant::from_millis(0));
    assert!(matches!(client.poll_event(), Some(Event::Associated(_))));
    assert_eq!(client.deviations().of(Deviation::LittleEndianWrapper), 1);
}

/// What an HDLC station tells of the frames that it took.
#[test]
fn lesson_12_deviations_of_hdlc_are_told() {
    let (own, server) = (Address::client(16).unwrap(), Address::client(1).unwrap());
    let wide = Address::new(1, 17, Width::Four).unwrap();
    let frame = |source, control, information: &[u8]| {
        let mut out = [0; 128];
        let mut writer = dlms::axdr::Writer::new(&mut out);
        let control = hdlc::Control::from_byte(control);
        let repr = hdlc::Repr { destination: own, source, control, segmented: false, information };
        repr.emit(&mut writer).unwrap();
        writer.written().to_vec()
    };
    let now = Instant::from_millis(0);
    let opened = |push| {
        let mut config = hdlc::client::Config::new(own, server);
        (config.parameters, config.information_push) = (hdlc::Parameters::symmetric(512, 3), push);
        let storage = || vec![0; 512];
        hdlc::client::Session::new(config, storage(), storage(), storage())
    };
    let mut session = opened(false);
    session.open(now);
    session.poll_transmit(&mut [0; 128]);
    session.handle_input(&frame(server, 0x1F, &[]), now);
    assert_eq!(session.take_deviations().iter().collect::<Vec<_>>(), [Deviation::RefusedParameters]);
    session.poll_transmit(&mut [0; 128]);
    session.handle_input(&frame(server, 0x73, &[]), now);
    assert_eq!(session.poll_event(), Some(LinkEvent::Opened));
    for (number, (source, information, expected)) in (0_u8..).zip([
        (server, &hex!("E6E700 C4")[..], None),
        (server, &hex!("E6E600 C4"), Some(Deviation::LlcDirection)),
        (server, &hex!("C4"), Some(Deviation::MissingLlc)),
        (wide, &hex!("E6E700 C4"), Some(Deviation::AddressWidth)),
    ]) {
        session.send(&[0xC0], now).unwrap();
        session.poll_transmit(&mut [0; 128]);
        session.handle_input(&frame(source, ((number + 1) << 5) | 0x10 | (number << 1), information), now);
        assert_eq!(session.poll_event(), Some(LinkEvent::Apdu));
        session.release_apdu();
        assert_eq!(session.take_deviations().first(), expected);
    }
    let mut session = opened(true);
    session.handle_input(&frame(server, 0x10, &hex!("E6E700 0F 01")), now);
    assert_eq!(session.take_deviations().first(), Some(Deviation::InformationPush));
}

/// The public client's AARQ, with the conformance under a tag of one octet or two.
fn aarq(short_tag: bool) -> Vec<u8> {
    if short_tag {
        hex!("601CA109060760857405080101 BE0F 040D 0100000006 5F 0400001E1D FFFF").to_vec()
    } else {
        hex!("601DA109060760857405080101 BE10 040E 0100000006 5F1F 0400001E1D FFFF").to_vec()
    }
}

/// A meter tolerates, counts or refuses what its clients do, as its device says; told nothing, it looks at nothing.
#[test]
fn lesson_12_a_server_counts_or_refuses_the_deviations_of_its_clients() {
    // The presence octet of the parameter is 02.
    let request = hex!("C301C1 0009 00000A0000FF 01 02 09 01 41");
    for (quirks, tolerated, told) in [
        (None, true, false),
        (Some(Quirks::LENIENT), true, true),
        (Some(Quirks::STRICT), false, true),
        (Some(Quirks::STRICT.with(Deviation::ConformanceTag).with(Deviation::PresenceOctet)), true, true),
        (Some(Quirks::LENIENT.without(Deviation::ConformanceTag).without(Deviation::PresenceOctet)), false, true),
    ] {
        let mut pair = Pair::new(public(), Meter { quirks, ..Meter::default() });
        let answer = pair.answer(&aarq(true));
        assert_eq!((answer[0], pair.server.is_open()), (0x61, tolerated), "{quirks:?}");
        assert_eq!(pair.meter.deviations.of(Deviation::ConformanceTag), u32::from(told), "{quirks:?}");
        pair.answer(&aarq(false));
        assert!(pair.server.is_open());
        let answer = pair.answer(&request);
        assert_eq!(pair.meter.invoked, u32::from(tolerated), "{quirks:?}");
        assert_eq!(answer == hex!("D8 01 03"), !tolerated, "{quirks:?}: {answer:02X?}");
        assert_eq!(pair.meter.deviations.of(Deviation::PresenceOctet), u32::from(told), "{quirks:?}");
        assert_eq!(pair.meter.deviations.iter().count(), if told { 2 } else { 0 });
    }
    // What keeps the rules passes strict.
    for config in [public(), reader(PASSWORD), management(), general(), hls_in_clear()] {
        let mut pair = Pair::associated(config, Meter { quirks: Some(Quirks::STRICT), ..Meter::default() });
        pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
        assert!(matches!(pair.drive()[..], [Happened::Value(_)]));
        assert_eq!(pair.meter.deviations.iter().count(), 0);
    }
}

/// There are meters that have their associations under numbers of their own alone.
#[test]
fn lesson_12_the_hls_method_on_another_object() {
    let config = |object| Config { quirks: Quirks { hls_object: object, ..Quirks::LENIENT }, ..hls_in_clear() };
    let other = Some(dlms::obis::ObisCode([0, 0, 40, 0, 3, 255]));
    let mut pair = Pair::associated(config(other), Meter { quirks: Some(Quirks::LENIENT), ..Meter::default() });
    assert!(pair.seen.iter().any(|apdu| apdu.starts_with(&hex!("C301C1 000F 0000280003FF 01"))), "{:02X?}", pair.seen);
    assert_eq!(pair.meter.deviations.of(Deviation::HlsObject), 1);
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    assert!(matches!(pair.drive()[..], [Happened::Value(_)]));
    for (object, quirks) in
        [(other, Quirks::STRICT), (Some(dlms::obis::ObisCode([0, 0, 41, 0, 0, 255])), Quirks::LENIENT)]
    {
        let mut pair = Pair::new(config(object), Meter { quirks: Some(quirks), ..Meter::default() });
        pair.client.associate(pair.now).unwrap();
        assert!(matches!(pair.drive()[..], [Happened::Closed(_)]), "{object:?}");
    }
}
