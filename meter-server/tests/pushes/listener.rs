//! Listeners for pushes, with nothing of the meter's code.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use dlms::apdu::Apdu;
use dlms::association::push::{Receiver, Sender};
use dlms::hdlc::Listener;
use dlms::id::SystemTitle;
use dlms::security::{Context, KeySet, Protection, RustCrypto, Suite};
use dlms_meter_server::simulator::Keys;

use crate::support::client::{Octets, Pty};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);
const METER: SystemTitle = SystemTitle([b'S', b'I', b'M', 0, 0, 0x98, 0x96, 0x81]);

/// A notification that has come.
pub(crate) struct Incoming {
    pub(crate) source: u16,
    pub(crate) destination: u16,
    apdu: Vec<u8>,
    opened: Vec<u8>,
    stream: Option<TcpStream>,
    confirmation: Vec<u8>,
}

fn receiver(required: Protection) -> Receiver<[Sender<RustCrypto>; 1]> {
    let keys =
        KeySet::new(Suite::Suite0, &Keys::DEMONSTRATION_ENCRYPTION, &Keys::DEMONSTRATION_AUTHENTICATION).unwrap();
    let context = Context::new(SystemTitle(*b"HES\0\0\0\0\x01"), &keys).unwrap();
    Receiver::new([Sender::new(METER, context, required, 0)])
}

impl Incoming {
    fn new(source: u16, destination: u16, apdu: Vec<u8>, stream: Option<TcpStream>) -> Self {
        Self { source, destination, apdu, opened: Vec::new(), stream, confirmation: Vec::new() }
    }

    /// One that has been put together.
    pub(crate) fn whole(apdu: Vec<u8>) -> Self {
        Self::new(1, 1, apdu, None)
    }

    /// The notification, verified.
    pub(crate) fn open(&mut self, required: Protection) -> Apdu<'_> {
        self.opened = self.apdu.clone();
        let mut receiver = receiver(required);
        let received = receiver.open(&mut self.opened, Some(METER)).unwrap();
        assert_eq!(received.protection, required);
        if received.to_confirm().is_some() {
            let mut out = [0; 128];
            let counter = 1;
            let place = receiver.confirm(&received, counter, &mut out).unwrap();
            self.confirmation = out[place].to_vec();
        }
        received.apdu
    }

    /// Confirms what was opened.
    pub(crate) fn confirm(mut self, _: Protection) {
        let stream = self.stream.as_mut().unwrap();
        let length = u16::try_from(self.confirmation.len()).unwrap();
        let mut octets = Vec::new();
        for word in [1, self.destination, self.source, length] {
            octets.extend(word.to_be_bytes());
        }
        octets.extend(&self.confirmation);
        stream.write_all(&octets).unwrap();
        // The meter closes when it is content.
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0);
    }
}

/// Takes the header off.
fn unwrapped(octets: &[u8], stream: Option<TcpStream>) -> Incoming {
    let word = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
    assert_eq!((word(0), usize::from(word(6))), (1, octets.len() - 8));
    Incoming::new(word(2), word(4), octets[8..].to_vec(), stream)
}

/// The wrapper on TCP.
pub(crate) struct TcpReceiver(TcpListener);

impl TcpReceiver {
    pub(crate) fn bind() -> Self {
        Self::bind_to("127.0.0.1:0")
    }

    pub(crate) fn bind_to(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    fn connection(&self, patience: Duration) -> Option<TcpStream> {
        let until = Instant::now() + patience;
        loop {
            match self.0.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return Some(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn accept(&self) -> Incoming {
        let mut stream = self.connection(PATIENCE).expect("a push");
        let mut octets = vec![0; 8];
        stream.read_exact(&mut octets).unwrap();
        let length = usize::from(u16::from_be_bytes([octets[6], octets[7]]));
        octets.resize(8 + length, 0);
        stream.read_exact(&mut octets[8..]).unwrap();
        unwrapped(&octets, Some(stream))
    }

    /// All APDUs of a connection that the meter ends.
    pub(crate) fn accept_all(&self) -> Vec<Vec<u8>> {
        let mut stream = self.connection(PATIENCE).expect("a push");
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).unwrap();
        let (mut rest, mut apdus) = (octets.as_slice(), Vec::new());
        while let [_, _, _, _, _, _, high, low, tail @ ..] = rest {
            let (apdu, more) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            apdus.push(apdu.to_vec());
            rest = more;
        }
        assert!(rest.is_empty());
        apdus
    }

    /// Nobody connects for a while.
    pub(crate) fn assert_silent(&self, pause: Duration) {
        assert!(self.connection(pause).is_none(), "a push too many");
    }
}

/// The wrapper in datagrams.
pub(crate) struct UdpReceiver(UdpSocket);

impl UdpReceiver {
    pub(crate) fn bind() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    pub(crate) fn receive(&self) -> Incoming {
        let mut octets = vec![0; 65_536];
        let length = self.0.recv(&mut octets).unwrap();
        unwrapped(&octets[..length], None)
    }
}

/// HDLC frames on a serial line.
pub(crate) struct PtyListener {
    pty: Pty,
    rest: Vec<u8>,
}

impl PtyListener {
    pub(crate) const fn new(pty: Pty) -> Self {
        Self { pty, rest: Vec::new() }
    }

    pub(crate) fn transmit(&mut self, octets: &[u8]) {
        self.pty.transmit(octets).unwrap();
    }

    /// The next frame, which has its length in front.
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        loop {
            let length = match self.rest[..] {
                [0x7E, high, low, ..] => usize::from(u16::from_be_bytes([high & 0x07, low])) + 2,
                _ => usize::MAX,
            };
            if self.rest.len() >= length {
                return self.rest.drain(..length).collect();
            }
            let mut octets = [0; 1_024];
            let count = self.pty.receive(&mut octets).unwrap();
            self.rest.extend(&octets[..count]);
        }
    }

    pub(crate) fn receive(&mut self) -> Incoming {
        let frame = self.frame();
        let mut listener = Listener::new(vec![0; 4_096], vec![0; 4_096], 1_000, false);
        assert_eq!(listener.handle_input(&frame, dlms::Instant::from_millis(1)), frame.len());
        let push = listener.poll_event().expect("a notification in one frame");
        Incoming::new(push.source.upper(), push.destination.upper(), listener.apdu().to_vec(), None)
    }
}

/// HDLC frames on TCP.
pub(crate) struct HdlcListener(TcpReceiver);

impl HdlcListener {
    pub(crate) fn bind() -> Self {
        Self(TcpReceiver::bind())
    }

    pub(crate) fn address(&self) -> String {
        self.0.address()
    }

    pub(crate) fn receive(&self) -> Incoming {
        let mut stream = self.0.connection(PATIENCE).expect("a push");
        let mut listener = Listener::new(vec![0; 4_096], vec![0; 4_096], 1_000, false);
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).unwrap();
        let mut rest = octets.as_slice();
        let now = dlms::Instant::from_millis(1);
        while !rest.is_empty() {
            let taken = listener.handle_input(rest, now);
            rest = &rest[taken..];
            if let Some(push) = listener.poll_event() {
                assert!(rest.is_empty(), "one notification");
                assert_eq!(listener.frame_errors(), 0);
                let apdu = listener.apdu().to_vec();
                return Incoming::new(push.source.upper(), push.destination.upper(), apdu, None);
            }
        }
        panic!("no notification in {octets:02X?}");
    }
}
