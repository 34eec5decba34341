//! The crate `dlms-cosem-rs` as a client that writes and invokes: several at once, in blocks, and several at once in
//! blocks, with and without ciphering, against our server's side of an association.

#[path = "../../stack/tests/pair/mod.rs"]
mod pair;
mod peer;

use dlms::Instant;
use dlms::association::server::Association;
use dlms::id::{ClientSap, ServerSap};
use dlms::security::RustCrypto;
use dlms_cosem_rs::acse::AuthMechanism;
use dlms_cosem_rs::axdr::Data;
use dlms_cosem_rs::client::{AssociationStep, BlockCollector, BlockSender, ClientConfig, ClientSession, Response};
use dlms_cosem_rs::codec::{Encode, SliceWriter, Writer};
use dlms_cosem_rs::obis::Obis;
use dlms_cosem_rs::security::{KeyRing, RustCryptoProvider, Secret, SecurityPolicy, SecuritySuite, SystemTitle};
use dlms_cosem_rs::xdlms::{AttributeDescriptor, AttributeDescriptorWithSelection, MethodDescriptor};

use pair::{CLIENT_TITLE, Counting, GAK, GUEK, Meter, PASSWORD, READER};
use peer::meter::SystemRandom;

type Session = ClientSession<RustCryptoProvider<SystemRandom>, 4096>;

const TEXT: AttributeDescriptor = AttributeDescriptor::new(1, Obis::new(0, 0, 96, 1, 3, 255), 2);
const DENIED: AttributeDescriptor = AttributeDescriptor::new(1, Obis::new(0, 0, 96, 1, 4, 255), 2);
const ECHO: MethodDescriptor = MethodDescriptor::new(9, Obis::new(0, 0, 10, 0, 0, 255), 1);
const UNKNOWN: MethodDescriptor = MethodDescriptor::new(9, Obis::new(0, 0, 10, 0, 1, 255), 1);

/// Their client and our server, without a link.
struct Both {
    session: Box<Session>,
    server: Association<RustCrypto, Vec<u8>>,
    meter: Meter,
    random: Counting,
    /// APDUs of the client so far.
    sent: usize,
    max_pdu: usize,
}

impl Both {
    fn open(ciphered: bool, max_pdu: u16) -> Self {
        let client = if ciphered { ClientSap::MANAGEMENT } else { READER };
        let config = ClientConfig {
            client_sap: u8::try_from(client.0).expect("a client"),
            system_title: ciphered.then_some(SystemTitle::new(*CLIENT_TITLE.as_bytes())),
            mechanism: if ciphered { AuthMechanism::HighGmac } else { AuthMechanism::Low },
            password: (!ciphered).then(|| Secret::new(PASSWORD).expect("a secret")),
            security: match ciphered {
                true => SecurityPolicy::authenticated_encrypted(SecuritySuite::Suite0),
                false => SecurityPolicy::NONE,
            },
            max_pdu_size: max_pdu,
            ..ClientConfig::default()
        };
        let keys = if ciphered { KeyRing::new(GUEK, GAK) } else { KeyRing::default() };
        let provider = RustCryptoProvider::with_rng(keys, SystemRandom);
        let mut both = Self {
            session: Box::new(ClientSession::new(config, provider)),
            server: Association::new(client, ServerSap::MANAGEMENT, vec![0; 16_384]),
            meter: Meter { max_pdu, ..Meter::default() },
            random: Counting(1 << 40),
            sent: 0,
            max_pdu: 4_096,
        };
        let mut request = vec![0; 4_096];
        let length = both.session.associate_request(&mut request).expect("a request");
        let answer = both.exchange(&request[..length]);
        let mut step = both.session.handle_associate_response(&answer).expect("an answer");
        if step == AssociationStep::HlsReplyRequired {
            let length = both.session.hls_reply_request(&mut request).expect("a request");
            let answer = both.exchange(&request[..length]);
            step = both.session.handle_hls_reply_response(&answer).expect("an answer");
        }
        assert_eq!(step, AssociationStep::Established);
        both.max_pdu = usize::from(max_pdu);
        both
    }

    fn exchange(&mut self, request: &[u8]) -> Vec<u8> {
        self.sent += 1;
        let (mut apdu, mut out) = (request.to_vec(), vec![0; 4_096]);
        let now = Instant::from_millis(1_000);
        let place = self.server.handle(&mut apdu, now, &mut self.meter, &mut self.random, &mut out);
        let answer = out[place.expect("an answer")].to_vec();
        assert!(answer.len() <= self.max_pdu, "{} octets", answer.len());
        answer
    }

    /// One request; what the client makes of the answer, as it shows it.
    fn ask(&mut self, encode: impl FnOnce(&mut Session, &mut [u8]) -> dlms_cosem_rs::codec::Result<usize>) -> String {
        let mut request = vec![0; 8_192];
        let length = encode(&mut self.session, &mut request).expect("a request");
        let answer = self.exchange(&request[..length]);
        let mut plain = vec![0; 8_192];
        shown(&self.session.handle_response(&answer, &mut plain).expect("an answer"))
    }

    /// A request in blocks; what comes of the last one, and how many there were.
    fn transfer(&mut self, mut sender: BlockSender<'_>) -> (String, usize) {
        let before = self.sent;
        let (mut request, mut plain, mut storage) = (vec![0; 8_192], vec![0; 8_192], vec![0; 8_192]);
        let mut blocks = BlockCollector::new(&mut storage);
        let mut length = self.session.next_block_request(&mut sender, &mut request).expect("a block");
        loop {
            let answer = self.exchange(&request[..length]);
            match self.session.handle_response(&answer, &mut plain).expect("an answer") {
                Response::BlockAccepted { .. } => {
                    length = self.session.next_block_request(&mut sender, &mut request).expect("a block");
                }
                Response::Block { last, number, data } => {
                    blocks.push(number, data).expect("room");
                    if last {
                        return (format!("blocks {}", hex::encode(blocks.bytes())), self.sent - before);
                    }
                    length = self.session.action_next_block_request(number, &mut request).expect("a request");
                }
                response => return (shown(&response), self.sent - before),
            }
        }
    }
}

/// Results without the octets that they borrow.
fn shown(response: &Response<'_>) -> String {
    match response {
        Response::Ok => "ok".to_owned(),
        Response::ResultList(list) => {
            let results = list.iter().map(|result| format!("{:?}", result.expect("a result")));
            results.collect::<Vec<_>>().join(", ")
        }
        Response::ActionResults(list) => {
            let results = list.iter().map(|result| format!("{:?}", result.expect("a result").result));
            results.collect::<Vec<_>>().join(", ")
        }
        Response::ActionResult { result, value } => match value {
            Some(Data::OctetString(octets)) => format!("{result:?} {}", hex::encode(octets)),
            value => format!("{result:?} {value:?}"),
        },
        other => format!("{other:?}"),
    }
}

fn encoded(value: &Data<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 8_192];
    let mut writer = SliceWriter::new(&mut buffer);
    value.encode(&mut writer).expect("room");
    let length = writer.written();
    buffer.truncate(length);
    buffer
}

fn with_each(mut check: impl FnMut(&mut Both)) {
    for ciphered in [false, true] {
        for max_pdu in [128, 300] {
            check(&mut Both::open(ciphered, max_pdu));
        }
    }
}

#[test]
fn dlms_cosem_rs_writes_one_several_and_long_values() {
    let long: Vec<u8> = (0..1_500_u16).map(|octet| octet as u8).collect();
    with_each(|both| {
        assert_eq!(both.ask(|session, out| session.set_request(TEXT, None, Data::OctetString(b"one"), out)), "ok");
        assert_eq!(both.meter.text, b"one");
        let whole = |descriptor| AttributeDescriptorWithSelection { descriptor, access: None };
        let items = [whole(TEXT), whole(DENIED), whole(TEXT)];
        let values = [Data::OctetString(b"two"), Data::OctetString(b"no"), Data::Boolean(true)];
        let results = both.ask(|session, out| session.set_request_with_list(&items, &values, out));
        assert_eq!(results, "Success, ReadWriteDenied, TypeUnmatched");
        assert_eq!(both.meter.text, b"two");

        let value = encoded(&Data::OctetString(&long));
        let sender = both.session.set_transfer(TEXT, None, &value).expect("negotiated");
        let (result, blocks) = both.transfer(sender);
        assert_eq!(result, "ok");
        assert!(blocks > 4, "{blocks} blocks");
        assert_eq!(both.meter.text, long);

        let mut list = vec![0; 8_192];
        let values = [Data::OctetString(&long[1..]), Data::OctetString(&long)];
        let length = Session::encode_value_list(&values, &mut list).expect("room");
        let items = [whole(TEXT), whole(DENIED)];
        let mut scratch = [0; 128];
        let sender = both.session.set_transfer_with_list(&items, &list[..length], &mut scratch).expect("negotiated");
        let (results, blocks) = both.transfer(sender);
        assert_eq!(results, "Success, ReadWriteDenied");
        assert!(blocks > 9, "{blocks} blocks");
        assert_eq!(both.meter.text, &long[1..]);
    });
}

#[test]
fn dlms_cosem_rs_invokes_one_several_and_with_long_parameters() {
    let long: Vec<u8> = (0..1_500_u16).map(|octet| octet as u8).collect();
    with_each(|both| {
        let short = Data::OctetString(b"one");
        assert_eq!(both.ask(|session, out| session.action_request(ECHO, Some(short), out)), "Success 6f6e65");
        let parameters = [Some(short), None];
        let results = both.ask(|session, out| session.action_request_with_list(&[ECHO, UNKNOWN], &parameters, out));
        assert_eq!(results, "Success, ObjectUndefined");
        assert_eq!(both.meter.invoked, 2);

        // What comes back is as long, and in blocks too.
        let parameter = encoded(&Data::OctetString(&long));
        let sender = both.session.action_transfer(ECHO, &parameter).expect("negotiated");
        let (result, blocks) = both.transfer(sender);
        assert!(blocks > 9, "{blocks} blocks");
        // Sources disagree about what such blocks are a part of; ours are of the data.
        assert_eq!(result, format!("blocks {}", hex::encode(&parameter)));
        assert_eq!(both.meter.invoked, 3);
    });
}
