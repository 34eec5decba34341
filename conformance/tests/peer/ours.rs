//! Our client, driven over a blocking TCP connection, or datagrams.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant as Clock};

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::{AttributeRequest, GetDataResult, MethodDescriptor};
use dlms::association::Secret;
use dlms::association::client::{AccessItem, AccessOptions, Config, Connection, Event, Response, Security};
use dlms::axdr::Data;
use dlms::hdlc;
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::link::Link;
use dlms::security::{InvocationCounter, KeySet, Protection, Random, RustCrypto, Suite};
use dlms::wrapper::client::Wrapper;
use dlms_conformance::tree::{Place, data::data};
use dlms_conformance::values::plain;
use serde_json::Value;

use super::{
    AUTHENTICATION_KEY, Access, CLIENT_TITLE, DATAGRAM, ENCRYPTION_KEY, METER_TITLE, PASSWORD, PATIENCE, datagrams_to,
    random,
};

/// How long a read waits before time-outs are looked at.
const MOMENT: Option<Duration> = Some(Duration::from_millis(20));

pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, octets: &mut [u8]) {
        random(octets);
    }
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Open,
    Value(Value),
    Values(Vec<Value>),
    /// Results and data of ACCESS.
    Access(Vec<(String, Value)>),
    /// The code of a result without data.
    Result(u8),
    Released,
    Failed(String),
}

pub(crate) enum Socket {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Socket {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(octets),
            Self::Udp(socket) => socket.recv(octets),
        }
    }

    /// Frames, or one APDU with its header.
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(octets),
            Self::Udp(socket) => socket.send(octets).map(drop),
        }
    }
}

pub(crate) struct Ours<L: Link> {
    connection: Connection<L, RustCrypto, SystemRandom, Vec<u8>>,
    socket: Socket,
    started: Clock,
    unread: Vec<u8>,
    blocks: Vec<u8>,
    /// Blocks of the last answer.
    pub(crate) block_count: usize,
}

pub(crate) fn wrapper(client: u16) -> Wrapper<Vec<u8>> {
    Wrapper::new(ClientSap(client), ServerSap(1), vec![0; 0x1_0008], vec![0; 0x1_0008], 10_000)
}

pub(crate) fn hdlc(client: u16, parameters: hdlc::Parameters) -> hdlc::client::Session<Vec<u8>> {
    let own = hdlc::Address::client(client).expect("a client address");
    let server = hdlc::Address::new(1, 0, hdlc::Width::One).expect("a server address");
    let config = hdlc::client::Config { parameters, ..hdlc::client::Config::new(own, server) };
    hdlc::client::Session::new(config, vec![0; 2048], vec![0; 0x1_0000], vec![0; 0x1_0000])
}

impl<L: Link> Ours<L> {
    pub(crate) fn connect(address: SocketAddr, link: L, access: Access, client: u16, max_pdu: u16) -> Self {
        let stream = TcpStream::connect(address).expect("the meter listens");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(MOMENT).expect("an option");
        Self::over(Socket::Tcp(stream), link, access, client, max_pdu)
    }

    /// The same in datagrams.
    pub(crate) fn connect_udp(address: SocketAddr, link: L, access: Access, client: u16, max_pdu: u16) -> Self {
        let socket = datagrams_to(address).expect("a socket");
        socket.set_read_timeout(MOMENT).expect("an option");
        Self::over(Socket::Udp(socket), link, access, client, max_pdu)
    }

    fn over(socket: Socket, link: L, access: Access, client: u16, max_pdu: u16) -> Self {
        let security = match access {
            Access::Ciphered { general } => Some(Security {
                suite: Suite::Suite0,
                keys: KeySet::new(Suite::Suite0, &ENCRYPTION_KEY, &AUTHENTICATION_KEY).expect("keys"),
                dedicated_key: None,
                system_title: SystemTitle(CLIENT_TITLE),
                peer_title: Some(SystemTitle(METER_TITLE)),
                protection: Protection::AUTHENTICATED_ENCRYPTED,
                general,
                receive_floor: 0,
            }),
            Access::Public | Access::Password => None,
        };
        let (mechanism, secret) = match access {
            Access::Public => (Mechanism::Lowest, Secret::NONE),
            Access::Password => (Mechanism::Lls, Secret::new(PASSWORD).expect("a secret")),
            Access::Ciphered { .. } => (Mechanism::Gmac, Secret::NONE),
        };
        let config = Config {
            client: ClientSap(client),
            mechanism,
            secret,
            security,
            max_pdu,
            response_timeout_ms: 5_000,
            ..Config::public(ServerSap(1))
        };
        let counter = InvocationCounter::new(1, 1_000);
        let connection = Connection::new(link, config, SystemRandom, counter, vec![0; 0x1_0000], vec![0; 0x1_0000]);
        Self { connection, socket, started: Clock::now(), unread: Vec::new(), blocks: Vec::new(), block_count: 0 }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.started.elapsed().as_millis()).expect("a short test"))
    }

    pub(crate) fn associate(&mut self) -> Answer {
        let now = self.now();
        self.connection.associate(now).expect("idle");
        self.run()
    }

    pub(crate) fn get(&mut self, request: AttributeRequest<'_>) -> Answer {
        let now = self.now();
        self.connection.get(request, now).expect("associated");
        self.run()
    }

    pub(crate) fn get_list(&mut self, requests: &[AttributeRequest<'_>]) -> Answer {
        let now = self.now();
        self.connection.get_list(requests, now).expect("associated");
        self.run()
    }

    pub(crate) fn set(&mut self, request: AttributeRequest<'_>, value: Data<'_>) -> Answer {
        let now = self.now();
        self.connection.set(request, value, now).expect("associated");
        self.run()
    }

    pub(crate) fn action(&mut self, method: MethodDescriptor, parameter: Option<Data<'_>>) -> Answer {
        let now = self.now();
        self.connection.action(method, parameter, now).expect("associated");
        self.run()
    }

    pub(crate) fn access(&mut self, items: &[AccessItem<'_>]) -> Answer {
        let now = self.now();
        self.connection.access(items, AccessOptions::default(), now).expect("associated");
        self.run()
    }

    pub(crate) fn release(&mut self) -> Answer {
        let now = self.now();
        self.connection.release(now).expect("associated");
        self.run()
    }

    /// Drives the connection to its next answer.
    fn run(&mut self) -> Answer {
        self.blocks.clear();
        self.block_count = 0;
        let deadline = Clock::now() + PATIENCE;
        while Clock::now() < deadline {
            if let Some(answer) = self.drain() {
                return answer;
            }
            let mut chunk = vec![0; DATAGRAM];
            if self.unread.is_empty() {
                match self.socket.read(&mut chunk) {
                    Ok(0) => {
                        let now = self.now();
                        self.connection.handle_close(now);
                    }
                    Ok(count) => self.unread.extend_from_slice(&chunk[..count]),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(error) => return Answer::Failed(error.to_string()),
                }
            }
            let now = self.now();
            let taken = self.connection.handle_input(&self.unread, now);
            self.unread.drain(..taken);
            self.connection.handle_timeout(now);
        }
        Answer::Failed("no answer in time".to_owned())
    }

    fn drain(&mut self) -> Option<Answer> {
        let mut answer = None;
        while let Some(event) = self.connection.poll_event() {
            let value = |value: &Data<'_>| plain(&data(value, Place::new(&[], 0)).to_json());
            answer = answer.or(match event {
                Event::Associated(_) => Some(Answer::Open),
                Event::Released => Some(Answer::Released),
                Event::Response(Response::Get(GetDataResult::Data(found))) => Some(Answer::Value(value(&found))),
                Event::Response(Response::Get(GetDataResult::Error(error))) | Event::Response(Response::Set(error)) => {
                    Some(Answer::Result(error.code()))
                }
                Event::Response(Response::GetList(results)) => Some(Answer::Values(
                    results
                        .iter()
                        .map(|result| match result {
                            GetDataResult::Data(found) => value(&found),
                            GetDataResult::Error(error) => Value::from(format!("refused {}", error.code())),
                        })
                        .collect(),
                )),
                Event::Response(Response::GetBlock { raw, last }) => {
                    self.blocks.extend_from_slice(raw);
                    self.block_count += 1;
                    last.then(|| match Data::from_slice(&self.blocks) {
                        Ok(found) => Answer::Value(value(&found)),
                        Err(error) => Answer::Failed(error.to_string()),
                    })
                }
                Event::Response(Response::Access(response)) => Some(Answer::Access(
                    response.items().map(|(result, found)| (format!("{result:?}"), value(&found))).collect(),
                )),
                Event::Response(Response::Action(result)) => Some(Answer::Result(result.result.code())),
                other => Some(Answer::Failed(format!("{other:?}"))),
            });
        }
        let mut frame = [0; 0x1_0010];
        while let Some(count) = self.connection.poll_transmit(&mut frame) {
            if let Err(error) = self.socket.write(&frame[..count]) {
                return Some(Answer::Failed(error.to_string()));
            }
        }
        answer
    }
}
