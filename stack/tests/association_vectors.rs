//! The four passes of HLS-GMAC against published figures: keys, titles and challenges of the well-known worked
//! example, every octet that the client sends compared.

mod pair;

use dlms::Instant;
use dlms::apdu::{AttributeRequest, Conformance};
use dlms::association::client::{Config, Connection, Event};
use dlms::id::{ServerSap, SystemTitle};
use dlms::security::{InvocationCounter, Random, RustCrypto};
use dlms::wrapper::client::Wrapper;
use hex_literal::hex;
use pair::{CLIENT_TITLE, Meter, Pair, REGISTER, management};

const T0: Instant = Instant::from_millis(0);

/// A generator that yields the example's challenge.
struct Fixed(&'static [u8]);

impl Random for Fixed {
    fn fill(&mut self, octets: &mut [u8]) {
        octets.copy_from_slice(self.0);
    }
}

type Client = Connection<Wrapper<Vec<u8>>, RustCrypto, Fixed, Vec<u8>>;

fn sent(client: &mut Client) -> Vec<u8> {
    assert!(client.poll_event().is_none());
    let mut line = [0; 512];
    let length = client.poll_transmit(&mut line).expect("something to send");
    line[8..length].to_vec()
}

fn answer(client: &mut Client, apdu: &[u8]) {
    let mut wpdu = vec![0, 1, 0, 1, 0, 1];
    wpdu.extend((apdu.len() as u16).to_be_bytes());
    wpdu.extend(apdu);
    assert_eq!(client.handle_input(&wpdu, T0), wpdu.len());
}

#[test]
fn lesson_02_the_four_passes_of_hls_gmac() {
    let mut config = Config { challenge_length: 8, max_pdu: 0x04B0, ..management() };
    config.conformance = Conformance::from_bits(0x007E1F);
    assert_eq!(config.security.as_ref().unwrap().system_title, CLIENT_TITLE);
    let link = Wrapper::new(config.client, config.server, vec![0; 512], vec![0; 512], 1_000);
    let counter = InvocationCounter::new(1, 100);
    let mut client: Client = Connection::new(link, config, Fixed(b"K56iVagY"), counter, vec![0; 512], vec![0; 512]);
    client.associate(T0).unwrap();
    assert_eq!(
        sent(&mut client),
        hex!(
            "6055A109060760857405080103A60A04084D4D4D00000000018A0207808B0760857405080205AC0A80084B35366956616759"
            "BE230421211F30000000019945AB0E570975CCDF51E3C79C10080119B67B67D18FBDEAB79E"
        )
    );
    answer(
        &mut client,
        &hex!(
            "6161A109060760857405080103A203020100A305A10302010EA40A04084D4D4D0000BC614E88020780890760857405080205"
            "AA0A8008503677524A323146BE230421281F3001234567891214A0845E475738383A91BC197117581D85ADB648D979E2FB"
        ),
    );
    assert_eq!(
        sent(&mut client),
        hex!("CB313000000003603876AB2931261F682CAB4C405FAA04ED038F352A9E2056A40AFA3E365D1B94F2C7AD4E7BAF24AC03EA34E1")
    );
    answer(
        &mut client,
        &hex!("CF2A3001234569CF0A069DE69DE9E04B41E3881D4383941B6AACF66DC310E482AB01A79FC933A872DFFE7CDE"),
    );
    match client.poll_event() {
        Some(Event::Associated(negotiated)) => {
            assert_eq!(negotiated.server_title, SystemTitle::from_slice(&hex!("4D4D4D0000BC614E")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.receive_floor(), Some(0x0123_456A));
}

/// The server answers the example's AARQ and believes the example's reply to nobody's challenge but its own.
#[test]
fn the_server_opens_the_published_aarq() {
    let mut pair = Pair::new(management(), Meter::default());
    let mut aarq = hex!(
        "6055A109060760857405080103A60A04084D4D4D00000000018A0207808B0760857405080205AC0A80084B35366956616759"
        "BE230421211F30000000019945AB0E570975CCDF51E3C79C10080119B67B67D18FBDEAB79E"
    );
    let mut out = [0; 512];
    let place = pair.server.handle(&mut aarq, pair.now, &mut pair.meter, &mut pair.random, &mut out).unwrap();
    let aare = dlms::acse::Aare::decode(&out[place]).unwrap();
    assert!(aare.is_hls_pending());
    assert_eq!(aare.responding_ap_title, Some(&hex!("4D4D4D0000BC614E")[..]));
    assert_eq!(aare.user_information.unwrap()[..3], hex!("281F30"));
    assert_eq!(pair.meter.floors[&CLIENT_TITLE], 2);

    let mut reply =
        hex!("CB313000000003603876AB2931261F682CAB4C405FAA04ED038F352A9E2056A40AFA3E365D1B94F2C7AD4E7BAF24AC03EA34E1");
    let place = pair.server.handle(&mut reply, pair.now, &mut pair.meter, &mut pair.random, &mut out).unwrap();
    assert_eq!(out[place][0], 0xCF);
    assert!(!pair.server.is_open());
}

/// Associations without security, and with a password, as published: every octet of the server's answer.
#[test]
fn aarq_and_aare_in_clear() {
    let lowest = hex!("601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0");
    let password = hex!(
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0"
    );
    let accepted = hex!("6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F0400001E1D02000007");
    let accepted_password = hex!(
        "6136A109060760857405080101A203020100A305A10302010088020780890760857405080201BE10040E0800065F1F0400001E1D02000007"
    );
    let conformance = 0x001E1D & dlms::association::client::CLIENT_CONFORMANCE.bits();
    assert_eq!(conformance, 0x001E1D);
    let cases: [(&str, Config, &[u8], &[u8]); 2] = [
        ("lowest", Config::public(ServerSap::MANAGEMENT), &lowest, &accepted),
        ("password", pair::reader(pair::PASSWORD), &password, &accepted_password),
    ];
    for (name, config, aarq, aare) in cases {
        let mut pair = Pair::new(config, Meter::default());
        let mut aarq = aarq.to_vec();
        // 00 1E 1D of the example's 00 7E 1F: without the bits that the server does not offer.
        let offset = aarq.windows(3).position(|window| window == hex!("007E1F")).unwrap();
        aarq[offset..offset + 3].copy_from_slice(&hex!("001E1D"));
        let mut out = [0; 512];
        let place = pair.server.handle(&mut aarq, pair.now, &mut pair.meter, &mut pair.random, &mut out).unwrap();
        assert_eq!(hex::encode(&out[place]), hex::encode(aare), "{name}");
    }
}

/// The published rejection of a wrong password.
#[test]
fn a_wrong_password_is_answered_as_published() {
    let mut aarq = hex!(
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363739BE10040E01000000065F1F0400007E1F04B0"
    );
    let mut pair = Pair::new(pair::reader(pair::PASSWORD), Meter::default());
    let mut out = [0; 512];
    let place = pair.server.handle(&mut aarq, pair.now, &mut pair.meter, &mut pair.random, &mut out).unwrap();
    assert_eq!(hex::encode_upper(&out[place]), "611FA109060760857405080101A203020101A305A10302010DBE0604040E010600");
    assert!(!pair.server.is_open());
}

/// Published GET examples, asked of the server in an open association.
#[test]
fn published_requests_and_answers() {
    let mut pair = Pair::associated(Config::public(ServerSap::MANAGEMENT), Meter::default());
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    pair.drive();
    let asked: [(&[u8], &[u8]); 4] = [
        (&hex!("C001C1000301000108 00FF0200"), &hex!("C401C1000600000391")),
        (&hex!("C001C100080000010000FF0200"), &hex!("C401C10104")),
        (&hex!("C301C1000F0000280000FF01 00"), &hex!("C701C1 04 00")),
        (&hex!("C002C100000001"), &hex!("C402C1 01 00000001 01 10")),
    ];
    for (request, expected) in asked {
        let mut request = request.to_vec();
        let mut out = [0; 512];
        let place = pair.server.handle(&mut request, pair.now, &mut pair.meter, &mut pair.random, &mut out).unwrap();
        assert_eq!(hex::encode(&out[place]), hex::encode(expected));
    }
}
