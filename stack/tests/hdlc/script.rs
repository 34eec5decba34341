//! One side scripted frame by frame.

use dlms::Instant;
use dlms::axdr::Writer;
use dlms::hdlc::{Address, Control, FRAME_MAX, Frame, Repr, client};
use dlms::link::{Link, LinkEvent};

pub(crate) fn sap(sap: u16) -> Address {
    Address::client(sap).unwrap()
}

/// A frame with its flags.
pub(crate) fn frame(
    destination: Address,
    source: Address,
    control: u8,
    segmented: bool,
    information: &[u8],
) -> Vec<u8> {
    let mut out = [0; FRAME_MAX];
    let mut writer = Writer::new(&mut out);
    let repr = Repr { destination, source, control: Control::from_byte(control), segmented, information };
    repr.emit(&mut writer).unwrap();
    writer.written().to_vec()
}

/// Control, segmentation bit and information of a frame, to be compared at a glance.
pub(crate) fn short(octets: &[u8]) -> (u8, bool, Vec<u8>) {
    let frame = Frame::new_checked(&octets[1..octets.len() - 1]).unwrap();
    (frame.control().to_byte(), frame.is_segmented(), frame.information().to_vec())
}

/// A client's session, public client to management logical device, the server's side of which the test plays.
pub(crate) struct Client {
    pub(crate) session: client::Session<Vec<u8>>,
    pub(crate) now: Instant,
}

impl Client {
    pub(crate) fn new(change: impl FnOnce(&mut client::Config)) -> Self {
        let mut config = client::Config::new(sap(16), sap(1));
        config.response_timeout_ms = 1_000;
        config.poll_interval_ms = 100;
        config.answer_timeout_ms = 10_000;
        change(&mut config);
        let storage = || vec![0; 1_024];
        let session = client::Session::new(config, vec![0; FRAME_MAX], storage(), storage());
        Self { session, now: Instant::from_millis(0) }
    }

    /// With an open link and the profile's defaults.
    pub(crate) fn opened(change: impl FnOnce(&mut client::Config)) -> Self {
        let mut client = Self::new(change);
        client.session.open(client.now);
        assert_eq!(client.sent().len(), 1);
        client.receive(0x73, false, &[]);
        assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));
        client
    }

    /// All frames that wait to be sent.
    pub(crate) fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut out = [0; FRAME_MAX];
        std::iter::from_fn(|| self.session.poll_transmit(&mut out).map(|length| out[..length].to_vec())).collect()
    }

    /// Controls of all frames that wait to be sent.
    pub(crate) fn controls(&mut self) -> Vec<u8> {
        self.sent().iter().map(|frame| short(frame).0).collect()
    }

    pub(crate) fn input(&mut self, octets: &[u8]) {
        assert_eq!(self.session.handle_input(octets, self.now), octets.len());
    }

    /// A frame from the server.
    pub(crate) fn receive(&mut self, control: u8, segmented: bool, information: &[u8]) {
        let server = self.session.config().server;
        let own = self.session.config().client;
        self.input(&frame(own, server, control, segmented, information));
    }

    pub(crate) fn send(&mut self, apdu: &[u8]) {
        self.session.send(apdu, self.now).unwrap();
    }

    /// The APDU of the next event, released.
    pub(crate) fn apdu(&mut self) -> Option<Vec<u8>> {
        let event = self.session.poll_event()?;
        assert_eq!(event, LinkEvent::Apdu);
        let apdu = self.session.apdu().to_vec();
        self.session.release_apdu();
        Some(apdu)
    }

    /// Lets time pass to the next deadline.
    pub(crate) fn wait(&mut self) -> u64 {
        let next = self.session.poll_timeout().expect("something is waited for");
        let waited = next.since_ms(self.now);
        self.now = next;
        self.session.handle_timeout(self.now);
        waited
    }
}
