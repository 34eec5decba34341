//! Blocking drivers over TCP and UDP for both implementations, a meter built on the other one, and our simulated meter.
// Each test program uses a part of it.
#![allow(dead_code)]

pub(crate) mod case;
pub(crate) mod exercise;
pub(crate) mod meter;
pub(crate) mod ours;
pub(crate) mod python;
pub(crate) mod reader;
pub(crate) mod simulated;
pub(crate) mod table;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use dlms_cosem_rs::codec::Encode;
use dlms_cosem_rs::transport::hdlc::{
    Address, Connection, Event, Found, Framer, LLC_REQUEST, LLC_RESPONSE, Parameters, Reassembler, Role,
};
use dlms_cosem_rs::transport::wrapper::{StreamReassembler, Wpdu};

/// Keys of the standard's examples, and titles for both sides.
pub(crate) const ENCRYPTION_KEY: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F";
pub(crate) const AUTHENTICATION_KEY: [u8; 16] = *b"\xD0\xD1\xD2\xD3\xD4\xD5\xD6\xD7\xD8\xD9\xDA\xDB\xDC\xDD\xDE\xDF";
pub(crate) const CLIENT_TITLE: [u8; 8] = *b"CLI\x00\x00\x00\x00\x01";
pub(crate) const METER_TITLE: [u8; 8] = *b"MMM\x00\x00\xBC\x61\x4E";
pub(crate) const PASSWORD: &[u8] = b"12345678";

/// Framing of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Wrapper,
    /// The wrapper in datagrams.
    Udp,
    Hdlc,
}

impl Framing {
    pub(crate) const ALL: [Self; 3] = [Self::Wrapper, Self::Udp, Self::Hdlc];

    /// As the table of the peers names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wrapper => "wrapper, TCP",
            Self::Udp => "wrapper, UDP",
            Self::Hdlc => "HDLC",
        }
    }

    /// As a plan for a peer in Python says it.
    pub(crate) const fn in_plan(self) -> &'static str {
        match self {
            Self::Wrapper => "wrapper",
            Self::Udp => "udp",
            Self::Hdlc => "hdlc",
        }
    }
}

/// How a client proves who it is, and what it reads as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Public client, nothing.
    Public,
    /// Reading client, password.
    Password,
    /// Management client, HLS-GMAC, authenticated and encrypted, service-specific or general.
    Ciphered { general: bool },
}

impl Access {
    /// The client of the model in the manner of IDIS that has this access.
    pub(crate) const fn client(self) -> u16 {
        match self {
            Self::Public => 16,
            Self::Password => 17,
            Self::Ciphered { .. } => 1,
        }
    }
}

/// Fresh octets for challenges.
pub(crate) fn random(octets: &mut [u8]) {
    let mut source = std::fs::File::open("/dev/urandom").expect("a random source");
    source.read_exact(octets).expect("random octets");
}

/// Octets of the longest datagram.
pub(crate) const DATAGRAM: usize = 0x1_0000;
/// Longer than any exchange on loopback takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A socket of one's own that talks to nobody else.
pub(crate) fn datagrams_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    Ok(socket)
}

/// dlms-cosem-rs on one end of a connection: APDUs in both directions.
pub(crate) enum OtherLink {
    Udp { socket: UdpSocket, local: u16, peer: u16 },
    Wrapper { stream: TcpStream, buffered: Vec<u8>, local: u16, peer: u16 },
    Hdlc { stream: TcpStream, buffered: Vec<u8>, connection: Box<Connection>, role: Role },
}

impl OtherLink {
    /// Sends an APDU.
    pub(crate) fn send(&mut self, apdu: &[u8]) -> io::Result<()> {
        match self {
            Self::Wrapper { stream, local, peer, .. } => {
                let mut framed = Vec::new();
                Wpdu::new(*local, *peer, apdu).map_err(other)?.encode(&mut framed).map_err(other)?;
                stream.write_all(&framed)
            }
            Self::Udp { socket, local, peer } => {
                let mut framed = Vec::new();
                Wpdu::new(*local, *peer, apdu).map_err(other)?.encode(&mut framed).map_err(other)?;
                socket.send(&framed).map(drop)
            }
            Self::Hdlc { stream, connection, role, .. } => {
                let llc = if *role == Role::Client { LLC_REQUEST } else { LLC_RESPONSE };
                let lsdu = [&llc[..], apdu].concat();
                let mut segmenter = connection.segmenter(&lsdu).map_err(other)?;
                let mut frame = [0; 2100];
                while let Some(length) = connection.next_frame(&mut segmenter, &mut frame).map_err(other)? {
                    stream.write_all(&frame[..length])?;
                }
                Ok(())
            }
        }
    }

    /// The next APDU; `None` when the peer has closed.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Wrapper { stream, buffered, local, peer } => loop {
                let found = StreamReassembler::new(0xFFFF).next_pdu(buffered).map_err(other)?;
                if let Some((wpdu, used)) = found {
                    (*local, *peer) = (wpdu.header.destination, wpdu.header.source);
                    let apdu = wpdu.apdu.to_vec();
                    buffered.drain(..used);
                    return Ok(Some(apdu));
                }
                if !fill(stream, buffered)? {
                    return Ok(None);
                }
            },
            Self::Udp { socket, local, peer } => {
                let mut datagram = vec![0; DATAGRAM];
                let (length, from) = socket.recv_from(&mut datagram)?;
                // A server answers whom it heard.
                socket.connect(from)?;
                let found = StreamReassembler::new(0xFFFF).next_pdu(&datagram[..length]).map_err(other)?;
                let (wpdu, used) = found.ok_or_else(|| other("half an APDU in a datagram"))?;
                if used != length {
                    return Err(other("octets behind the APDU of a datagram"));
                }
                (*local, *peer) = (wpdu.header.destination, wpdu.header.source);
                Ok(Some(wpdu.apdu.to_vec()))
            }
            Self::Hdlc { stream, buffered, connection, .. } => {
                let mut storage = vec![0; 0x1_0000];
                let mut into = Reassembler::new(&mut storage);
                loop {
                    let (event, used) = match Framer::new().next_frame(buffered).map_err(other)? {
                        Found::Frame { frame, consumed } => {
                            (Some(connection.handle(&frame, &mut into).map_err(other)?), consumed)
                        }
                        Found::Incomplete { discard } => (None, discard),
                    };
                    buffered.drain(..used);
                    let mut frame = [0; 128];
                    match event {
                        Some(Event::AcknowledgeRequired) => {
                            let length = connection.acknowledge(&mut frame).map_err(other)?;
                            stream.write_all(&frame[..length])?;
                        }
                        Some(Event::PollRequired) => {
                            let length = connection.poll(&mut frame).map_err(other)?;
                            stream.write_all(&frame[..length])?;
                        }
                        Some(Event::Lsdu) => return Ok(into.lsdu().get(3..).map(<[u8]>::to_vec)),
                        Some(Event::Disconnected) => return Ok(None),
                        Some(Event::Idle | Event::Connected) => {}
                        None => {
                            if !fill(stream, buffered)? {
                                return Ok(None);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Datagrams, for either end; a server's socket is connected by the first one that comes.
    pub(crate) fn datagrams(socket: UdpSocket, local: u16, peer: u16) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::Udp { socket, local, peer })
    }

    /// The server's end of an accepted connection.
    pub(crate) fn serve(stream: TcpStream, framing: Framing, client: u16) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(match framing {
            Framing::Wrapper | Framing::Udp => Self::Wrapper { stream, buffered: Vec::new(), local: 1, peer: client },
            Framing::Hdlc => {
                let connection = Connection::new(
                    Role::Server,
                    Address::Single(1),
                    Address::client(u8::try_from(client).map_err(other)?),
                    Parameters::default(),
                );
                Self::Hdlc { stream, buffered: Vec::new(), connection: Box::new(connection), role: Role::Server }
            }
        })
    }

    /// The client's end of a new connection; an HDLC link is opened.
    pub(crate) fn connect(
        stream: TcpStream,
        framing: Framing,
        client: u16,
        parameters: Parameters,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        if framing != Framing::Hdlc {
            return Ok(Self::Wrapper { stream, buffered: Vec::new(), local: client, peer: 1 });
        }
        let local = Address::client(u8::try_from(client).map_err(other)?);
        let mut connection = Connection::new(Role::Client, local, Address::Single(1), parameters);
        let mut frame = [0; 128];
        let length = connection.connect(&mut frame).map_err(other)?;
        let (mut stream, mut buffered) = (stream, Vec::new());
        stream.write_all(&frame[..length])?;
        let mut storage = [0; 128];
        let mut into = Reassembler::new(&mut storage);
        while !connection.is_connected() {
            if !fill(&mut stream, &mut buffered)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Found::Frame { frame, consumed } = Framer::new().next_frame(&buffered).map_err(other)? {
                connection.handle(&frame, &mut into).map_err(other)?;
                buffered.drain(..consumed);
            }
        }
        Ok(Self::Hdlc { stream, buffered, connection: Box::new(connection), role: Role::Client })
    }
}

fn fill(stream: &mut TcpStream, buffered: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 4096];
    let count = stream.read(&mut chunk)?;
    buffered.extend_from_slice(&chunk[..count]);
    Ok(count > 0)
}

pub(crate) fn other(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}
