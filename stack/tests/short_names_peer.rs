//! Short names against an implementation by others, `dlms-cosem-rs`: its client with our server, our client with its.

mod pair;

use dlms::apdu::{
    Conformance, DataAccessResult, JoinedRead, ReadResult, VariableAccess, WriteResult as OurWriteResult,
};
use dlms::association::client::{Config, Event, Response as OurResponse};
use dlms::axdr::{Data as OurData, Value};
use dlms::id::{ServerSap, ShortName};
use dlms_cosem_rs::acse::{AuthMechanism, Referencing};
use dlms_cosem_rs::axdr::Data;
use dlms_cosem_rs::client::{AssociationStep, ClientConfig, ClientSession, Response};
use dlms_cosem_rs::codec::{Encode, Writer};
use dlms_cosem_rs::cosem::{self, AttributeAccess, MethodAccess, ShortNameTarget};
use dlms_cosem_rs::obis::Obis;
use dlms_cosem_rs::security::{
    KeyRing, RandomSource, RustCryptoProvider, Secret, SecurityPolicy, SecuritySuite, SystemTitle,
};
use dlms_cosem_rs::server::{ObjectStore, Server, ServerConfig, StoreResult};
use dlms_cosem_rs::xdlms::{self, ActionResult, SelectiveAccess, WriteResult};
use pair::*;

struct Zeros;

impl RandomSource for Zeros {
    fn fill(&self, out: &mut [u8]) -> dlms_cosem_rs::codec::Result<()> {
        out.fill(0x5A);
        Ok(())
    }
}

fn keys() -> RustCryptoProvider<Zeros> {
    RustCryptoProvider::with_rng(KeyRing::new(GUEK, GAK), Zeros)
}

fn conformance() -> xdlms::Conformance {
    use xdlms::Conformance as Theirs;
    Theirs::READ
        | Theirs::WRITE
        | Theirs::UNCONFIRMED_WRITE
        | Theirs::PARAMETERIZED_ACCESS
        | Theirs::MULTIPLE_REFERENCES
        | Theirs::BLOCK_TRANSFER_WITH_GET_OR_READ
        | Theirs::BLOCK_TRANSFER_WITH_SET_OR_WRITE
}

/// Its client: associates with our server and is handed its answers.
struct Theirs {
    session: Box<ClientSession<RustCryptoProvider<Zeros>, 2048>>,
    pair: Pair,
}

impl Theirs {
    fn open(ciphered: bool, meter: Meter) -> Self {
        let client = if ciphered { SHORT_NAME_CIPHERED_LLS } else { SHORT_NAME_PUBLIC };
        let config = ClientConfig {
            client_sap: u8::try_from(client.0).unwrap(),
            system_title: ciphered.then_some(SystemTitle::new(CLIENT_TITLE.0)),
            mechanism: if ciphered { AuthMechanism::Low } else { AuthMechanism::None },
            password: ciphered.then(|| Secret::new(PASSWORD).unwrap()),
            security: match ciphered {
                true => SecurityPolicy::authenticated_encrypted(SecuritySuite::Suite0),
                false => SecurityPolicy::NONE,
            },
            max_pdu_size: 256,
            conformance: conformance(),
            referencing: Referencing::ShortName,
            ..Default::default()
        };
        let unused = Config { client, ..Config::public(ServerSap::MANAGEMENT) };
        let mut theirs = Self { session: Box::new(ClientSession::new(config, keys())), pair: Pair::new(unused, meter) };
        let mut request = [0; 2048];
        let length = theirs.session.associate_request(&mut request).unwrap();
        let answer = theirs.pair.answer(&request[..length]);
        assert_eq!(theirs.session.handle_associate_response(&answer).unwrap(), AssociationStep::Established);
        theirs
    }

    fn read(&mut self, items: &[xdlms::VariableAccess<'_>]) -> Vec<u8> {
        let mut request = [0; 2048];
        let length = self.session.read_request(items, &mut request).unwrap();
        self.pair.answer(&request[..length])
    }
}

#[test]
fn its_client_reads_writes_and_invokes_at_our_server() {
    for ciphered in [false, true] {
        let meter = Meter { rows: 60, row_octets: 20, text: b"abc".to_vec(), max_pdu: 1024, ..Meter::default() };
        let mut theirs = Theirs::open(ciphered, meter);
        let name = xdlms::VariableAccess::VariableName;
        let answer = theirs.read(&[name(0x2C08), name(0x7000), name(0x0108)]);
        assert_eq!(answer[0], if ciphered { 0x2C } else { 0x0C });
        let mut plain = [0; 2048];
        let Response::ReadResults(results) = theirs.session.handle_response(&answer, &mut plain).unwrap() else {
            panic!("results")
        };
        let results: Vec<_> = results.iter().map(Result::unwrap).collect();
        assert!(matches!(results[0], xdlms::ReadResult::Data(Data::DoubleLongUnsigned(913))));
        assert!(matches!(results[1], xdlms::ReadResult::Error(xdlms::DataAccessResult::ObjectUndefined)));
        assert!(matches!(results[2], xdlms::ReadResult::Data(Data::OctetString(b"abc"))));

        let echo = xdlms::VariableAccess::Parameterized { name: 0x3020, selector: 1, parameter: Data::Unsigned(9) };
        let answer = theirs.read(&[echo]);
        let Response::ReadResults(results) = theirs.session.handle_response(&answer, &mut plain).unwrap() else {
            panic!("results")
        };
        let result = results.iter().next().unwrap().unwrap();
        assert!(matches!(result, xdlms::ReadResult::Data(Data::Unsigned(9))), "{result:?}");

        let mut request = [0; 2048];
        let values = [Data::OctetString(b"written"), Data::Unsigned(1)];
        let length = theirs.session.write_request(&[name(0x0108), name(0x2C08)], &values, &mut request).unwrap();
        let answer = theirs.pair.answer(&request[..length]);
        let Response::WriteResults(results) = theirs.session.handle_response(&answer, &mut plain).unwrap() else {
            panic!("results")
        };
        let results: Vec<_> = results.iter().map(Result::unwrap).collect();
        assert!(matches!(results[0], WriteResult::Success), "{results:?}");
        assert!(matches!(results[1], WriteResult::Error(xdlms::DataAccessResult::ReadWriteDenied)), "{results:?}");
        assert_eq!(theirs.pair.meter.text, b"written");
        let length = theirs
            .session
            .unconfirmed_write_request(&[name(0x0108)], &[Data::OctetString(b"quiet")], &mut request)
            .unwrap();
        assert_eq!(theirs.pair.answer(&request[..length]), []);
        assert_eq!(theirs.pair.meter.text, b"quiet");
    }
}

#[test]
fn its_client_joins_the_blocks_of_our_server() {
    for ciphered in [false, true] {
        let mut theirs = Theirs::open(ciphered, Meter { rows: 60, row_octets: 20, ..Meter::default() });
        let mut answer = theirs.read(&[xdlms::VariableAccess::VariableName(0x1008)]);
        let (mut joined, mut blocks) = (Vec::new(), 0);
        loop {
            assert!(answer.len() <= 256);
            let mut plain = [0; 2048];
            let Response::ReadResults(results) = theirs.session.handle_response(&answer, &mut plain).unwrap() else {
                panic!("results")
            };
            let block = results.iter().next().unwrap().unwrap();
            let xdlms::ReadResult::Block { last_block, block_number, raw_data } = block else { panic!("{block:?}") };
            joined.extend_from_slice(raw_data);
            blocks += 1;
            assert_eq!(block_number, blocks);
            if last_block {
                break;
            }
            let mut request = [0; 256];
            let length = theirs.session.read_next_block_request(block_number, &mut request).unwrap();
            answer = theirs.pair.answer(&request[..length]);
        }
        // It takes the joined blocks of one variable for the value alone.
        let mut reader = dlms_cosem_rs::codec::Reader::new(&joined);
        let value = <Data<'_> as dlms_cosem_rs::codec::Decode<'_>>::decode(&mut reader).unwrap();
        let Data::Array(rows) = value else { panic!("{value:?}") };
        assert_eq!((rows.iter().count(), reader.remaining()), (60, 0));
        assert!(blocks > 6, "{blocks}");
    }
}

const ENERGY: Obis = Obis::new(1, 0, 1, 8, 0, 255);
const TEXT_OBJECT: Obis = Obis::new(0, 0, 96, 1, 3, 255);

/// Its store: a register, a long text, and a method that echoes.
struct Store {
    text: Vec<u8>,
}

impl ObjectStore for Store {
    fn get_attribute(
        &self,
        class_id: u16,
        logical_name: Obis,
        attribute_id: i8,
        _: Option<SelectiveAccess<'_>>,
        w: &mut dyn Writer,
    ) -> StoreResult<()> {
        let bad = |_| xdlms::DataAccessResult::OtherReason;
        match (class_id, logical_name, attribute_id) {
            (3, ENERGY, 2) => Data::DoubleLongUnsigned(913).encode(w).map_err(bad),
            (1, TEXT_OBJECT, 2) => Data::OctetString(&self.text).encode(w).map_err(bad),
            _ => Err(xdlms::DataAccessResult::ObjectUndefined),
        }
    }

    fn set_attribute(
        &mut self,
        _: u16,
        logical_name: Obis,
        _: i8,
        _: Option<SelectiveAccess<'_>>,
        value: Data<'_>,
    ) -> StoreResult<()> {
        match (logical_name, value) {
            (TEXT_OBJECT, Data::OctetString(text)) => {
                self.text = text.to_vec();
                Ok(())
            }
            _ => Err(xdlms::DataAccessResult::TypeUnmatched),
        }
    }

    fn invoke_method(
        &mut self,
        _: u16,
        _: Obis,
        _: i8,
        parameter: Option<Data<'_>>,
        w: &mut dyn Writer,
    ) -> Result<bool, ActionResult> {
        match parameter {
            Some(parameter) => parameter.encode(w).map(|()| true).map_err(|_| ActionResult::OtherReason),
            None => Ok(false),
        }
    }

    fn attribute_access(&self, _: u16, logical_name: Obis, _: i8) -> AttributeAccess {
        let read = AttributeAccess::READ;
        if logical_name == TEXT_OBJECT { read | AttributeAccess::WRITE } else { read }
    }

    fn method_access(&self, _: u16, _: Obis, _: i8) -> MethodAccess {
        MethodAccess::ACCESS
    }

    fn resolve_short_name(&self, name: u16) -> Option<ShortNameTarget> {
        let objects = [
            cosem::ShortName::new(0x2C00, 3, ENERGY, 3).with_methods(0x28, 1),
            cosem::ShortName::new(0x0100, 1, TEXT_OBJECT, 2),
        ];
        cosem::sn::resolve(&objects, name)
    }
}

/// Our client, driven against its server.
struct Ours {
    pair: Pair,
    server: Box<Server<Store, RustCryptoProvider<Zeros>, 8192>>,
    blocks: usize,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Associated,
    Read(Vec<Result<Value, DataAccessResult>>),
    Written(Vec<OurWriteResult>),
    Other(String),
}

impl Ours {
    fn open(ciphered: bool, text: usize) -> Self {
        let base = if ciphered {
            Config { ..lls_ciphered() }
        } else {
            Config::public(ServerSap::MANAGEMENT).with_short_names()
        };
        let config = ServerConfig {
            system_title: ciphered.then_some(SystemTitle::new(SERVER_TITLE.0)),
            mechanism: if ciphered { AuthMechanism::Low } else { AuthMechanism::None },
            password: ciphered.then(|| Secret::new(PASSWORD).unwrap()),
            security: match ciphered {
                true => SecurityPolicy::authenticated_encrypted(SecuritySuite::Suite0),
                false => SecurityPolicy::NONE,
            },
            referencing: Referencing::ShortName,
            max_pdu_size: 512,
            conformance: conformance(),
            ..Default::default()
        };
        let pair = Pair::new(Config { max_pdu: 256, ..base }, Meter::default());
        let mut ours =
            Self { pair, server: Box::new(Server::new(config, Store { text: vec![b't'; text] }, keys())), blocks: 0 };
        ours.pair.client.associate(ours.pair.now).unwrap();
        assert_eq!(ours.drive(), [Answer::Associated]);
        ours
    }

    fn drive(&mut self) -> Vec<Answer> {
        let (mut answers, mut joined) = (Vec::new(), Vec::new());
        loop {
            while let Some(event) = self.pair.client.poll_event() {
                let value = |result: ReadResult<'_>| match result {
                    ReadResult::Data(data) => Ok(Value::from(data)),
                    ReadResult::Error(error) => Err(error),
                    other => panic!("{other:?}"),
                };
                answers.push(match event {
                    Event::Associated(_) => Answer::Associated,
                    Event::Response(OurResponse::Read(list)) => Answer::Read(list.iter().map(value).collect()),
                    Event::Response(OurResponse::Write(list)) => Answer::Written(list.iter().collect()),
                    Event::Response(OurResponse::ReadBlock { raw, last }) => {
                        joined.extend_from_slice(raw);
                        self.blocks += 1;
                        if !last {
                            continue;
                        }
                        match JoinedRead::from_blocks(&joined, 1).unwrap() {
                            JoinedRead::Data(data) => Answer::Read(vec![Ok(Value::from(data))]),
                            JoinedRead::Results(list) => Answer::Read(list.iter().map(value).collect()),
                        }
                    }
                    other => Answer::Other(format!("{other:?}")),
                });
            }
            let mut wpdu = [0; 2048];
            let Some(length) = self.pair.client.poll_transmit(&mut wpdu) else { return answers };
            let mut out = [0; 8192];
            let answer = self.server.handle(&wpdu[8..length], &mut out).unwrap();
            if answer > 0 {
                let mut framed = vec![0, 1, wpdu[4], wpdu[5], wpdu[2], wpdu[3]];
                framed.extend(u16::try_from(answer).unwrap().to_be_bytes());
                framed.extend_from_slice(&out[..answer]);
                assert_eq!(self.pair.client.handle_input(&framed, self.pair.now), framed.len());
            }
        }
    }
}

fn lls_ciphered() -> Config {
    Config {
        client: SHORT_NAME_CIPHERED_LLS,
        mechanism: dlms::acse::Mechanism::Lls,
        secret: dlms::association::Secret::new(PASSWORD).unwrap(),
        ..management().with_short_names()
    }
}

#[test]
fn our_client_reads_writes_and_invokes_at_its_server() {
    for ciphered in [false, true] {
        let mut ours = Ours::open(ciphered, 3);
        let named = |name| VariableAccess::named(ShortName(name));
        let now = ours.pair.now;
        ours.pair.client.read(&[named(0x2C08), named(0x7000), named(0x0108)], now).unwrap();
        let expected = vec![
            Ok(Value::DoubleLongUnsigned(913)),
            Err(DataAccessResult::ObjectUndefined),
            Ok(Value::OctetString(b"ttt".to_vec())),
        ];
        assert_eq!(ours.drive(), [Answer::Read(expected)]);
        let reset = VariableAccess::Parameterized {
            name: ShortName(0x2C28).into(),
            selector: 1,
            parameters: OurData::Unsigned(5),
        };
        ours.pair.client.read(&[reset], now).unwrap();
        assert_eq!(ours.drive(), [Answer::Read(vec![Ok(Value::Unsigned(5))])]);
        let values = [OurData::OctetString(b"ours"), OurData::Unsigned(1)];
        ours.pair.client.write(&[named(0x0108), named(0x2C08)], &values, now).unwrap();
        let expected = vec![OurWriteResult::Success, OurWriteResult::Error(DataAccessResult::ReadWriteDenied)];
        assert_eq!(ours.drive(), [Answer::Written(expected)]);
        ours.pair.client.write_unconfirmed(&[named(0x0108)], &[OurData::OctetString(b"quiet")], now).unwrap();
        assert_eq!(ours.drive(), []);
        ours.pair.client.read(&[named(0x0108)], now).unwrap();
        assert_eq!(ours.drive(), [Answer::Read(vec![Ok(Value::OctetString(b"quiet".to_vec()))])]);
        assert!(ours.pair.client.negotiated().unwrap().conformance.contains(Conformance::READ));
    }
}

#[test]
fn our_client_joins_the_blocks_of_its_server() {
    for ciphered in [false, true] {
        let mut ours = Ours::open(ciphered, 2000);
        let now = ours.pair.now;
        ours.pair.client.read(&[VariableAccess::named(ShortName(0x0108))], now).unwrap();
        assert_eq!(ours.drive(), [Answer::Read(vec![Ok(Value::OctetString(vec![b't'; 2000]))])]);
        assert!(ours.blocks > 7, "{}", ours.blocks);
    }
}
