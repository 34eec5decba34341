//! The client's side, and what carries APDUs between the two.

use std::collections::VecDeque;

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::*;
use dlms::association::Secret;
use dlms::association::client::{self, Config, Event, Security};
use dlms::association::server::Association;
use dlms::axdr::{Data, Value};
use dlms::id::{ClientSap, ServerSap};
use dlms::security::{InvocationCounter, KeySet, Protection, RustCrypto, Suite};
use dlms::wrapper::client::Wrapper;

use super::{CIPHERED_SHA256, CLIENT_TITLE, Counting, GAK, GUEK, Meter, READER, SECRET};

pub fn management() -> Config {
    Config {
        client: ClientSap::MANAGEMENT,
        mechanism: Mechanism::Gmac,
        security: Some(Security {
            suite: Suite::Suite0,
            keys: KeySet::new(Suite::Suite0, &GUEK, &GAK).unwrap(),
            dedicated_key: None,
            system_title: CLIENT_TITLE,
            peer_title: None,
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            general: false,
            receive_floor: 0,
        }),
        ..Config::public(ServerSap::MANAGEMENT)
    }
}

/// A client of [`hls_client`], or [`CIPHERED_SHA256`].
pub fn hls(client: ClientSap, mechanism: Mechanism) -> Config {
    let keyed = client == CIPHERED_SHA256 || mechanism == Mechanism::Gmac;
    Config {
        client,
        mechanism,
        secret: Secret::new(SECRET).unwrap(),
        security: management().security.filter(|_| keyed),
        ciphered_context: client == CIPHERED_SHA256,
        system_title: Some(CLIENT_TITLE),
        ..Config::public(ServerSap::MANAGEMENT)
    }
}

pub fn reader(password: &[u8]) -> Config {
    Config {
        client: READER,
        mechanism: Mechanism::Lls,
        secret: Secret::new(password).unwrap(),
        ..Config::public(ServerSap::MANAGEMENT)
    }
}

pub type Client = client::Connection<Wrapper<Vec<u8>>, RustCrypto, Counting, Vec<u8>>;

pub struct Pair {
    pub client: Client,
    pub server: Association<RustCrypto, Vec<u8>>,
    pub meter: Meter,
    pub random: Counting,
    pub now: Instant,
    /// Every APDU that crossed, in order, as sent.
    pub seen: Vec<Vec<u8>>,
    /// Changes an APDU of the server on its way.
    pub tamper: Option<fn(&mut Vec<u8>)>,
    /// The server is not there.
    pub silent: bool,
    /// What becomes of the next APDUs in either direction.
    pub fates: VecDeque<Fate>,
    /// APDUs on their way to the server and to the client.
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    /// Octets that the server has for one response.
    pub out: usize,
    /// Blocks of answers to GET that were shown.
    pub blocks_shown: usize,
}

/// What becomes of an APDU on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives,
    Lost,
    Twice,
    /// The one behind it overtakes it.
    Late,
}

/// What happened, owned.
#[derive(Debug, PartialEq)]
pub enum Happened {
    Associated,
    Value(Value),
    Refused(DataAccessResult),
    Values(Vec<Result<Value, DataAccessResult>>),
    Set(DataAccessResult),
    SetList(Vec<DataAccessResult>),
    Action(ActionResult, Option<Value>),
    ActionList(Vec<(ActionResult, Option<Value>)>),
    Access(Vec<(AccessResult, Value)>),
    Failed(client::RequestError),
    Read(Vec<Result<Value, DataAccessResult>>),
    Write(Vec<Result<(), DataAccessResult>>),
    Notification,
    Released,
    Closed(client::ConnectionError),
}

impl Pair {
    pub fn new(config: Config, meter: Meter) -> Self {
        let (client, server) = (config.client, config.server);
        let link = Wrapper::new(client, server, vec![0; 70_000], vec![0; 70_000], 1_000);
        let counter = InvocationCounter::new(1, 100_000);
        Self {
            client: client::Connection::new(link, config, Counting(0), counter, vec![0; 4_096], vec![0; 70_000]),
            server: Association::new(client, server, vec![0; 70_000]),
            meter,
            random: Counting(1 << 40),
            now: Instant::from_millis(0),
            seen: Vec::new(),
            tamper: None,
            silent: false,
            fates: VecDeque::new(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            out: 66_000,
            blocks_shown: 0,
        }
    }

    pub fn associated(config: Config, meter: Meter) -> Self {
        let mut pair = Self::new(config, meter);
        pair.client.associate(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Associated]);
        pair
    }

    /// Carries octets to and fro, and time on, until nothing more happens.
    pub fn drive(&mut self) -> Vec<Happened> {
        let mut happened = Vec::new();
        let mut blocks = Vec::new();
        for _ in 0..1_000_000 {
            while let Some(event) = self.client.poll_event() {
                let block = matches!(event, Event::Response(client::Response::GetBlock { .. }));
                self.blocks_shown += usize::from(block);
                if let Some(event) = own(event, &mut blocks) {
                    happened.push(event);
                }
            }
            let mut line = vec![0; 70_000];
            if let Some(length) = self.client.poll_transmit(&mut line) {
                self.depart(line[8..length].to_vec(), true);
            } else if let Some(mut apdu) = self.to_server.pop_front() {
                self.arrive(&mut apdu);
            } else if let Some(apdu) = self.to_client.pop_front() {
                let (client, server) = (self.server.client().0, self.server.server().0);
                let mut answer = vec![0, 1];
                answer.extend([server, client, apdu.len() as u16].map(u16::to_be_bytes).concat());
                answer.extend(apdu);
                assert_eq!(self.client.handle_input(&answer, self.now), answer.len());
            } else if let Some(due) = self.client.poll_timeout() {
                self.now = due;
                self.client.handle_timeout(due);
            } else {
                return happened;
            }
        }
        panic!("no end: {happened:?}, {:02X?}", &self.seen[self.seen.len().saturating_sub(6)..]);
    }

    /// Hands an APDU of the server to the client.
    pub fn receive(&mut self, apdu: &[u8]) {
        let (client, server) = (self.server.client(), self.server.server());
        let mut wpdu = vec![0, 1];
        wpdu.extend(server.0.to_be_bytes());
        wpdu.extend(client.0.to_be_bytes());
        wpdu.extend((apdu.len() as u16).to_be_bytes());
        wpdu.extend(apdu);
        assert_eq!(self.client.handle_input(&wpdu, self.now), wpdu.len());
    }

    /// What the server answers to an APDU; nothing when it is silent.
    pub fn answer(&mut self, apdu: &[u8]) -> Vec<u8> {
        let (mut apdu, mut out) = (apdu.to_vec(), vec![0; 66_000]);
        match self.server.handle(&mut apdu, self.now, &mut self.meter, &mut self.random, &mut out) {
            Some(place) => out[place].to_vec(),
            None => Vec::new(),
        }
    }

    /// Something that the server sends of its own accord.
    pub fn push(&mut self, apdu: &[u8]) {
        self.to_client.push_back(apdu.to_vec());
    }

    /// Replaces the server by one with less storage; the client associates anew.
    pub fn shrink_storage(&mut self, octets: usize) {
        self.client.release(self.now).unwrap();
        assert_eq!(self.drive(), [Happened::Released]);
        self.server = Association::new(self.server.client(), self.server.server(), vec![0; octets]);
        self.client.associate(self.now).unwrap();
        assert_eq!(self.drive(), [Happened::Associated]);
    }

    /// Sends an APDU on its way.
    fn depart(&mut self, apdu: Vec<u8>, to_server: bool) {
        let fate = self.fates.pop_front().unwrap_or(Fate::Arrives);
        let way = if to_server { &mut self.to_server } else { &mut self.to_client };
        match fate {
            Fate::Lost => {}
            Fate::Twice => way.extend([apdu.clone(), apdu]),
            Fate::Late if !way.is_empty() => {
                let overtaking = way.pop_back().unwrap();
                way.extend([apdu, overtaking]);
            }
            Fate::Arrives | Fate::Late => way.push_back(apdu),
        }
    }

    fn arrive(&mut self, apdu: &mut [u8]) {
        if self.silent {
            return;
        }
        self.seen.push(apdu.to_vec());
        let mut out = vec![0; self.out];
        let mut place = self.server.handle(apdu, self.now, &mut self.meter, &mut self.random, &mut out);
        while let Some(found) = place {
            let mut answer = out[found].to_vec();
            self.seen.push(answer.clone());
            if let Some(tamper) = self.tamper {
                tamper(&mut answer);
            }
            self.depart(answer, false);
            place = match self.server.has_block() {
                true => self.server.next_block(&mut self.meter, &mut out),
                false => None,
            };
        }
    }
}

/// What an event says, owned; blocks gather until the last one.
pub fn own(event: Event<'_>, blocks: &mut Vec<u8>) -> Option<Happened> {
    use client::Response;
    let value = |data: Data<'_>| Value::from(data);
    let read = |item: ReadResult<'_>| match item {
        ReadResult::Data(data) => Ok(value(data)),
        ReadResult::Error(error) => Err(error),
        other => panic!("{other:?} among results"),
    };
    let action = |item: MethodResult<'_>| (item.result, item.data.and_then(|data| data.into_result().ok()).map(value));
    Some(match event {
        Event::Associated(_) => Happened::Associated,
        Event::Response(Response::Get(result)) => match result.into_result() {
            Ok(data) => Happened::Value(value(data)),
            Err(error) => Happened::Refused(error),
        },
        Event::Response(Response::GetList(list)) => {
            Happened::Values(list.iter().map(|item| item.into_result().map(value)).collect())
        }
        Event::Response(Response::GetBlock { raw, last }) => {
            blocks.extend_from_slice(raw);
            if !last {
                return None;
            }
            let joined = std::mem::take(blocks);
            match Data::from_slice(&joined) {
                Ok(data) => Happened::Value(value(data)),
                Err(_) => {
                    let mut octets = vec![0xC4, 3, 0xC1];
                    octets.extend(&joined);
                    match GetResponse::decode(&octets).unwrap() {
                        GetResponse::WithList { results, .. } => {
                            Happened::Values(results.iter().map(|item| item.into_result().map(value)).collect())
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        Event::Response(Response::Set(result)) => Happened::Set(result),
        Event::Response(Response::SetList(list)) => Happened::SetList(list.iter().collect()),
        Event::Response(Response::Action(item)) => {
            let (result, data) = action(item);
            Happened::Action(result, data)
        }
        Event::Response(Response::ActionList(list)) => Happened::ActionList(list.iter().map(action).collect()),
        Event::Response(Response::Access(response)) => {
            Happened::Access(response.items().map(|(result, data)| (result, value(data))).collect())
        }
        Event::Response(Response::ActionBlock { raw, last }) => {
            blocks.extend_from_slice(raw);
            if !last {
                return None;
            }
            let joined = std::mem::take(blocks);
            let (result, data) = action(MethodResult::from_blocks(&joined).unwrap());
            Happened::Action(result, data)
        }
        Event::Response(Response::Read(list)) => Happened::Read(list.iter().map(read).collect()),
        Event::Response(Response::ReadBlock { raw, last }) => {
            blocks.extend_from_slice(raw);
            if !last {
                return None;
            }
            let joined = std::mem::take(blocks);
            let several = (2..5).find_map(|count| JoinedRead::from_blocks(&joined, count).ok());
            match several.unwrap_or_else(|| JoinedRead::from_blocks(&joined, 1).unwrap()) {
                JoinedRead::Data(data) => Happened::Read(vec![Ok(value(data))]),
                JoinedRead::Results(list) => Happened::Read(list.iter().map(read).collect()),
            }
        }
        Event::Response(Response::Write(list)) => Happened::Write(
            list.iter()
                .map(|result| match result {
                    WriteResult::Success => Ok(()),
                    WriteResult::Error(error) => Err(error),
                    WriteResult::BlockNumber(number) => panic!("block {number} among results"),
                })
                .collect(),
        ),
        Event::Failed(error) => Happened::Failed(error),
        Event::Notification { .. } | Event::Unreadable(_) | Event::Foreign(_) | Event::Refused(_) => {
            Happened::Notification
        }
        Event::Released => Happened::Released,
        Event::Closed(error) => Happened::Closed(error),
    })
}
