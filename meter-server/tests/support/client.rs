//! A blocking client over a socket: the stack's own client machine, driven by the test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dlms::acse::Mechanism;
use dlms::apdu::{
    AttributeRequest, DataAccessResult, GetDataResult, JoinedRead, MethodDescriptor, MethodResult, ReadResult,
    Selection, VariableAccess, WriteResult,
};
use dlms::association::Secret;
use dlms::association::client::{CLIENT_CONFORMANCE, Config, Connection, ConnectionError, Event, Response, Security};
use dlms::axdr::{Data, Value};
use dlms::gateway::{Behind, Route};
use dlms::hdlc::{self, Address, FRAME_MAX, Parameters};
use dlms::id::{ClassId, ClientSap, MethodId, ServerSap, SystemTitle};
use dlms::link::Link;
use dlms::security::{InvocationCounter, KeySet, Protection, Random, RustCrypto, Suite};
use dlms::wrapper::client::Wrapper;
use dlms_meter_server::simulator::Keys;

use super::attribute_of;

/// How long a test waits for anything, in seconds.
static PATIENCE_S: AtomicU64 = AtomicU64::new(10);

fn patience() -> Duration {
    Duration::from_secs(PATIENCE_S.load(Ordering::Relaxed))
}

/// Everything waits for so long from now on.
pub(crate) fn wait_for(seconds: u64) {
    PATIENCE_S.store(seconds, Ordering::Relaxed);
}

pub(crate) struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).unwrap();
    }
}

/// Why something did not work.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The association or the link was refused or lost.
    Closed(ConnectionError),
    /// The request failed.
    Failed(dlms::association::client::RequestError),
    /// The other side closed the socket, or did not say anything.
    Io(io::Error),
}

pub(crate) fn public() -> Config {
    Config::public(ServerSap(1))
}

pub(crate) fn reader(password: &[u8]) -> Config {
    Config { client: ClientSap(17), mechanism: Mechanism::Lls, secret: Secret::new(password).unwrap(), ..public() }
}

/// The management client with the demonstration keys.
pub(crate) fn management() -> Config {
    with_keys(&Keys::DEMONSTRATION_ENCRYPTION, b"TSTCLNT1")
}

pub(crate) fn with_keys(encryption: &[u8], title: &[u8; 8]) -> Config {
    let keys = KeySet::new(Suite::Suite0, encryption, &Keys::DEMONSTRATION_AUTHENTICATION).unwrap();
    Config {
        client: ClientSap(1),
        mechanism: Mechanism::Gmac,
        security: Some(Security {
            suite: Suite::Suite0,
            keys,
            dedicated_key: None,
            system_title: SystemTitle(*title),
            peer_title: None,
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            general: false,
            receive_floor: 0,
        }),
        conformance: CLIENT_CONFORMANCE,
        ..public()
    }
}

/// A client on a line.
pub(crate) struct Dialogue<L: Link, T> {
    pub(crate) connection: Connection<L, RustCrypto, OsRandom, Vec<u8>>,
    pub(crate) io: T,
    start: Instant,
}

/// A management client over TCP.
pub(crate) type Management = Dialogue<Wrapper<Vec<u8>>, TcpStream>;

/// Octets in and out, a datagram being octets too.
pub(crate) trait Octets {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    fn transmit(&mut self, octets: &[u8]) -> io::Result<()>;
}

impl Octets for TcpStream {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn transmit(&mut self, octets: &[u8]) -> io::Result<()> {
        self.write_all(octets)
    }
}

impl Octets for UdpSocket {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer)
    }

    fn transmit(&mut self, octets: &[u8]) -> io::Result<()> {
        self.send(octets).map(drop)
    }
}

impl Octets for std::fs::File {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn transmit(&mut self, octets: &[u8]) -> io::Result<()> {
        self.write_all(octets)
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A client with the wrapper over any octets.
pub(crate) fn wrapper<T: Octets>(io: T, config: Config, counter: u32) -> Dialogue<Wrapper<Vec<u8>>, T> {
    let link = Wrapper::new(config.client, config.server, vec![0; 70_000], vec![0; 8_192], 5_000);
    Dialogue::new(link, io, config, counter)
}

/// A client with the wrapper over TCP.
pub(crate) fn tcp(address: SocketAddr, config: Config, counter: u32) -> Dialogue<Wrapper<Vec<u8>>, TcpStream> {
    wrapper(connect(address), config, counter)
}

/// A client with the wrapper over UDP.
pub(crate) fn udp(address: SocketAddr, config: Config, counter: u32) -> Dialogue<Wrapper<Vec<u8>>, UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    wrapper(socket, config, counter)
}

/// A client with HDLC over any octets.
pub(crate) fn hdlc<T: Octets>(
    io: T,
    config: Config,
    counter: u32,
    parameters: Parameters,
) -> Dialogue<hdlc::client::Session<Vec<u8>>, T> {
    let client = Address::client(config.client.0).unwrap();
    let server = Address::shortest(config.server.0, None).unwrap();
    let station = hdlc::client::Config { parameters, ..hdlc::client::Config::new(client, server) };
    let link = hdlc::client::Session::new(station, vec![0; FRAME_MAX], vec![0; 70_000], vec![0; 8_192]);
    Dialogue::new(link, io, config, counter)
}

/// A client with the wrapper over TCP to a gateway, for a device behind it.
pub(crate) fn behind(
    address: SocketAddr,
    route: Route,
    config: Config,
    counter: u32,
) -> Dialogue<Behind<Wrapper<Vec<u8>>, Vec<u8>>, TcpStream> {
    let link = Wrapper::new(config.client, config.server, vec![0; 70_000], vec![0; 8_192], 5_000);
    Dialogue::new(Behind::new(link, route, vec![0; 8_192]), connect(address), config, counter)
}

/// The same with HDLC.
pub(crate) fn behind_hdlc(
    address: SocketAddr,
    route: Route,
    config: Config,
    counter: u32,
) -> Dialogue<Behind<hdlc::client::Session<Vec<u8>>, Vec<u8>>, TcpStream> {
    let client = Address::client(config.client.0).unwrap();
    let server = Address::shortest(config.server.0, None).unwrap();
    let station = hdlc::client::Config::new(client, server);
    let link = hdlc::client::Session::new(station, vec![0; FRAME_MAX], vec![0; 70_000], vec![0; 8_192]);
    Dialogue::new(Behind::new(link, route, vec![0; 8_192]), connect(address), config, counter)
}

impl<L: Link, T: Octets> Dialogue<L, T> {
    fn new(link: L, io: T, config: Config, counter: u32) -> Self {
        let counter = InvocationCounter::new(counter, u32::MAX);
        let connection = Connection::new(link, config, OsRandom, counter, vec![0; 8_192], vec![0; 8_192]);
        Self { connection, io, start: Instant::now() }
    }

    fn now(&self) -> dlms::Instant {
        dlms::Instant::from_millis(u64::try_from(self.start.elapsed().as_millis()).unwrap())
    }

    /// Drives the connection until `take` makes something of an event.
    fn until<R>(&mut self, mut take: impl FnMut(&Event<'_>) -> Option<R>) -> Result<R, Trouble> {
        let mut incoming = vec![0; 65_536];
        let mut outgoing = vec![0; 65_536];
        let mut rest = 0..0;
        let give_up = Instant::now() + patience();
        loop {
            while let Some(event) = self.connection.poll_event() {
                if let Some(taken) = take(&event) {
                    return Ok(taken);
                }
                match event {
                    Event::Failed(error) => return Err(Trouble::Failed(error)),
                    Event::Closed(error) => return Err(Trouble::Closed(error)),
                    _ => {}
                }
            }
            while let Some(length) = self.connection.poll_transmit(&mut outgoing) {
                self.io.transmit(&outgoing[..length]).map_err(Trouble::Io)?;
            }
            if rest.is_empty() {
                match self.io.receive(&mut incoming) {
                    Ok(0) => return Err(Trouble::Io(io::ErrorKind::UnexpectedEof.into())),
                    Ok(length) => rest = 0..length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < give_up => {
                        self.connection.handle_timeout(self.now());
                    }
                    Err(error) => return Err(Trouble::Io(error)),
                }
            }
            let taken = self.connection.handle_input(&incoming[rest.clone()], self.now());
            rest.start += taken;
        }
    }

    /// With key pairs, for HLS 7, general-ciphering and general-signing.
    pub(crate) fn with_general(self, general: dlms::association::client::General) -> Self {
        Self { connection: self.connection.with_general(general), ..self }
    }

    pub(crate) fn associate(mut self) -> Result<Self, Trouble> {
        self.connection.associate(self.now()).unwrap();
        self.until(|event| matches!(event, Event::Associated(_)).then_some(()))?;
        Ok(self)
    }

    pub(crate) fn release(mut self) -> Result<(), Trouble> {
        self.connection.release(self.now()).unwrap();
        self.until(|event| matches!(event, Event::Released).then_some(()))
    }

    /// The same; the line goes on.
    pub(crate) fn release_line(mut self) -> Result<T, Trouble> {
        self.connection.release(self.now()).unwrap();
        self.until(|event| matches!(event, Event::Released).then_some(()))?;
        Ok(self.io)
    }

    /// An attribute and the number of blocks that it came in (0: in one piece).
    pub(crate) fn get_blocks(
        &mut self,
        class: u16,
        instance: &str,
        attribute: i8,
        selection: Option<Selection<'_>>,
    ) -> Result<(Result<Value, DataAccessResult>, usize), Trouble> {
        let request = AttributeRequest { attribute: attribute_of(class, instance, attribute), selection };
        self.connection.get(request, self.now()).unwrap();
        let mut collected = Vec::new();
        let mut blocks = 0;
        self.until(|event| match event {
            Event::Response(Response::Get(GetDataResult::Data(data))) => Some((Ok(Value::from(*data)), 0)),
            Event::Response(Response::Get(GetDataResult::Error(error))) => Some((Err(*error), 0)),
            Event::Response(Response::GetBlock { raw, last }) => {
                collected.extend_from_slice(raw);
                blocks += 1;
                last.then(|| (Ok(Value::from(Data::from_slice(&collected).unwrap())), blocks))
            }
            _ => None,
        })
    }

    /// A number.
    pub(crate) fn number(&mut self, class: u16, instance: &str, attribute: i8) -> i64 {
        super::number(&self.get(class, instance, attribute))
    }

    pub(crate) fn get(&mut self, class: u16, instance: &str, attribute: i8) -> Value {
        self.get_blocks(class, instance, attribute, None).unwrap().0.unwrap()
    }

    /// A value made by `write`, set.
    pub(crate) fn set_written(
        &mut self,
        class: u16,
        instance: &str,
        attribute: i8,
        write: impl FnOnce(&mut dlms::axdr::Writer<'_>) -> Result<(), dlms::axdr::BufferFull>,
    ) -> DataAccessResult {
        let octets = super::encoded(write);
        self.set(class, instance, attribute, Data::from_slice(&octets).unwrap()).unwrap()
    }

    pub(crate) fn set(
        &mut self,
        class: u16,
        instance: &str,
        attribute: i8,
        value: Data<'_>,
    ) -> Result<DataAccessResult, Trouble> {
        let request = AttributeRequest::whole(attribute_of(class, instance, attribute));
        self.connection.set(request, value, self.now()).unwrap();
        self.until(|event| match event {
            Event::Response(Response::Set(result)) => Some(*result),
            _ => None,
        })
    }

    /// Variables by short names, and the number of blocks that they came in (0: in one piece).
    pub(crate) fn read(
        &mut self,
        variables: &[VariableAccess<'_>],
    ) -> Result<(Vec<Result<Value, DataAccessResult>>, usize), Trouble> {
        let own = |result: ReadResult<'_>| match result {
            ReadResult::Data(data) => Ok(Value::from(data)),
            ReadResult::Error(error) => Err(error),
            other => panic!("{other:?} among results"),
        };
        self.connection.read(variables, self.now()).unwrap();
        let (mut collected, mut blocks) = (Vec::new(), 0);
        self.until(|event| match event {
            Event::Response(Response::Read(results)) => Some((results.iter().map(own).collect(), 0)),
            Event::Response(Response::ReadBlock { raw, last }) => {
                collected.extend_from_slice(raw);
                blocks += 1;
                last.then(|| match JoinedRead::from_blocks(&collected, variables.len()).unwrap() {
                    JoinedRead::Data(data) => (vec![Ok(Value::from(data))], blocks),
                    JoinedRead::Results(results) => (results.iter().map(own).collect(), blocks),
                })
            }
            _ => None,
        })
    }

    /// Writes one variable by its short name.
    pub(crate) fn write(&mut self, variable: VariableAccess<'_>, value: Data<'_>) -> Result<WriteResult, Trouble> {
        self.connection.write(&[variable], &[value], self.now()).unwrap();
        self.until(|event| match event {
            Event::Response(Response::Write(results)) => results.get(0),
            _ => None,
        })
    }

    /// Methods of objects in one request.
    pub(crate) fn action_list(&mut self, calls: &[(u16, &str, i8, Data<'_>)]) -> Vec<dlms::apdu::ActionResult> {
        let method = |&(class, instance, method, _): &(u16, &str, i8, Data<'_>)| MethodDescriptor {
            class: ClassId(class),
            instance: instance.parse().unwrap(),
            method: MethodId(method),
        };
        let methods: Vec<_> = calls.iter().map(method).collect();
        let parameters: Vec<_> = calls.iter().map(|(_, _, _, parameter)| *parameter).collect();
        self.connection.action_list(&methods, &parameters, self.now()).unwrap();
        let answer = self.until(|event| match event {
            Event::Response(Response::ActionList(list)) => Some(list.iter().map(|answer| answer.result).collect()),
            _ => None,
        });
        answer.unwrap()
    }

    pub(crate) fn action(&mut self, class: u16, instance: &str, method: i8) -> dlms::apdu::ActionResult {
        self.action_with(class, instance, method, Data::Integer(0))
    }

    /// A method that gives something back, if anything.
    pub(crate) fn action_reply(
        &mut self,
        class: u16,
        instance: &str,
        method: i8,
        parameter: Data<'_>,
    ) -> Result<Option<Value>, dlms::apdu::ActionResult> {
        let method =
            MethodDescriptor { class: ClassId(class), instance: instance.parse().unwrap(), method: MethodId(method) };
        self.connection.action(method, Some(parameter), self.now()).unwrap();
        fn own(answer: &MethodResult<'_>) -> Result<Option<Value>, dlms::apdu::ActionResult> {
            match (answer.result, &answer.data) {
                (dlms::apdu::ActionResult::Success, Some(GetDataResult::Data(data))) => Ok(Some(Value::from(*data))),
                (dlms::apdu::ActionResult::Success, None) => Ok(None),
                (dlms::apdu::ActionResult::Success, other) => panic!("{other:?}"),
                (refused, data) => {
                    assert!(data.is_none(), "{data:?} with {refused:?}");
                    Err(refused)
                }
            }
        }
        let mut collected = Vec::new();
        let answer = self.until(|event| match event {
            Event::Response(Response::Action(answer)) => Some(own(answer)),
            Event::Response(Response::ActionBlock { raw, last }) => {
                collected.extend_from_slice(raw);
                last.then(|| own(&MethodResult::from_blocks(&collected).unwrap()))
            }
            _ => None,
        });
        answer.unwrap()
    }

    pub(crate) fn action_with(
        &mut self,
        class: u16,
        instance: &str,
        method: i8,
        parameter: Data<'_>,
    ) -> dlms::apdu::ActionResult {
        let method =
            MethodDescriptor { class: ClassId(class), instance: instance.parse().unwrap(), method: MethodId(method) };
        self.connection.action(method, Some(parameter), self.now()).unwrap();
        let result = self.until(|event| match event {
            Event::Response(Response::Action(result)) => Some(result.result),
            _ => None,
        });
        result.unwrap()
    }
}

/// One end of a pseudo-terminal.
pub(crate) struct Pty {
    runtime: tokio::runtime::Runtime,
    stream: tokio_serial::SerialStream,
}

impl Pty {
    /// An open end, and the path of the other one.
    pub(crate) fn pair() -> (Self, std::path::PathBuf) {
        use tokio_serial::SerialPort;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stream, other) = runtime.block_on(async { tokio_serial::SerialStream::pair() }).unwrap();
        let path = other.name().unwrap();
        (Self { runtime, stream }, path.into())
    }
}

impl Octets for Pty {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use tokio::io::AsyncReadExt;
        let reading = async { tokio::time::timeout(patience(), AsyncReadExt::read(&mut self.stream, buffer)).await };
        self.runtime.block_on(reading).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    fn transmit(&mut self, octets: &[u8]) -> io::Result<()> {
        use tokio::io::AsyncWriteExt;
        self.runtime.block_on(AsyncWriteExt::write_all(&mut self.stream, octets))
    }
}

impl Pty {
    /// Octets that arrive within `patience`; 0 when none do.
    fn receive_within(&mut self, buffer: &mut [u8], patience: Duration) -> usize {
        use tokio::io::AsyncReadExt;
        let reading = async { tokio::time::timeout(patience, AsyncReadExt::read(&mut self.stream, buffer)).await };
        self.runtime.block_on(reading).map_or(0, |count| count.unwrap())
    }
}

/// Signs on for HDLC; what the meter says of itself, and the rate that was selected.
pub(crate) fn sign_on(pty: &mut Pty) -> (dlms::mode_e::Identification, u32) {
    use dlms::mode_e::client::{Config, Event, SignOn};
    let start = Instant::now();
    let now = || dlms::Instant::from_millis(start.elapsed().as_millis() as u64);
    let mut machine = SignOn::new(Config::new(), []);
    let mut identification = None;
    machine.start(now());
    let mut out = [0; 64];
    loop {
        while let Some(event) = machine.poll_event() {
            match event {
                Event::SetBaud(_) => {}
                Event::Identified(found) => identification = Some(found),
                Event::Opened { baud, confirmed: true } => return (identification.unwrap(), baud),
                other => panic!("{other:?}"),
            }
        }
        while let Some(transmit) = machine.poll_transmit(&mut out) {
            pty.transmit(&out[..transmit.len]).unwrap();
        }
        let patience = Duration::from_millis(machine.poll_timeout().unwrap().since_ms(now()));
        let mut room = [0; 64];
        let count = if patience.is_zero() { 0 } else { pty.receive_within(&mut room, patience) };
        machine.handle_input(&room[..count], now());
        machine.handle_timeout(now());
    }
}
