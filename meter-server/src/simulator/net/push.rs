//! Sends what meters push: a connection of its own for each notification.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlms::apdu::{
    ActionResult, Apdu, AttributeDescriptor, DataAccessResult, LongInvokeIdAndPriority, MethodDescriptor, Selection,
};
use dlms::association::server::{
    Access, AssociationConfig, AuditEvent, Confirmation, Connection, Cursor, Device, Outbox, Progress, PushProtection,
    PushTo, SecurityConfig, ServerLink,
};
use dlms::axdr::{Data, Writer};
use dlms::hdlc::server::{Config, Session, Station};
use dlms::hdlc::{Address, Control, FRAME_MAX, Kind, LLC_RESPONSE, Parameters, Repr};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::security::general::{GeneralKeys, VerifiedTransaction};
use dlms::security::{Envelope, RustCrypto};
use dlms::wrapper;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::line::deadline;
use super::{CIPHERING_OCTETS, OsRandom, Shared, ticks};
use crate::simulator::device::PhysicalDevice;
use crate::simulator::driver::{Deliver, Devices, MeterPlace};
use crate::simulator::meter::{Carrier, Notification};

/// Notifications on their way at a time, each with a descriptor; the others wait.
const SENDING_MAX: usize = 256;
/// How long a receiver may take to accept a connection or octets.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a confirmation is waited for.
const CONFIRMATION_MS: u32 = 10_000;
/// How long a receiver is given to close the connection when it has everything.
const CLOSING: Duration = Duration::from_secs(2);
/// Blocks of a notification at most: their numbers have 16 bits.
const BLOCKS_MAX: u32 = 65_535;
/// Octets of a confirmation at most.
const CONFIRMATION_OCTETS: usize = 64 + CIPHERING_OCTETS;
/// Octets around an APDU, frame after frame.
const FRAMING_OCTETS: usize = 64;

/// Sends the notifications of a fleet.
pub(in crate::simulator) struct Sender<A> {
    devices: A,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl<A> Sender<A> {
    /// Sends what `devices` push until the fleet is shut down.
    pub(in crate::simulator) fn new(devices: A, shared: Arc<Shared>) -> Self {
        Self { devices, places: Arc::new(Semaphore::new(SENDING_MAX)), shared }
    }
}

impl<A: Devices + Clone> Deliver for Sender<A> {
    fn deliver(&mut self, from: MeterPlace, notifications: VecDeque<Notification>) {
        for notification in notifications {
            let (devices, places, shared) = (self.devices.clone(), Arc::clone(&self.places), Arc::clone(&self.shared));
            self.shared.tasks.spawn(async move {
                let sent = async {
                    // Never closed, so that there is always a place some time.
                    let _place = places.acquire_owned().await;
                    let _descriptor = shared.descriptors.wait().await;
                    send(&devices, from, &notification).await
                };
                let sent = tokio::select! {
                    biased;
                    () = shared.cancel.cancelled() => return,
                    sent = sent => sent,
                };
                if let Err(error) = &sent {
                    debug!(destination = notification.destination, %error, "push failed");
                }
                devices.with(from.device, &mut |device| {
                    device.push_finished(from.meter as usize, notification.ticket, sent.is_ok());
                });
            });
        }
    }
}

/// Why a push did not arrive.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the receiver takes too long")]
    Patience(#[from] tokio::time::error::Elapsed),
    #[error("the notification cannot be sent: {0}")]
    Refused(String),
    #[error("not confirmed")]
    NotConfirmed,
}

async fn send(devices: &impl Devices, from: MeterPlace, notification: &Notification) -> Result<(), PushError> {
    match notification.carrier {
        Carrier::Tcp => {
            let stream = connect(&notification.destination).await?;
            send_stream(devices, from, notification, wrapper_line(notification), stream).await
        }
        Carrier::Hdlc => {
            let line = hdlc_line(notification)?;
            let stream = connect(&notification.destination).await?;
            send_stream(devices, from, notification, line, stream).await
        }
        Carrier::Line => {
            let mut line = Outgoing::new(devices, from, notification, wrapper_line(notification));
            line.start()?;
            let apdu = line.next().and_then(|octets| octets.get(wrapper::Header::LENGTH..)).unwrap_or_default();
            let mut frames = customer_frame(notification, apdu)?;
            // Nobody confirms on a line that is the meter's to speak on.
            let mut taken = false;
            devices.with(from.device, &mut |device| {
                let frames = std::mem::take(&mut frames);
                taken = device.line().is_some_and(|line| line.try_send(frames).is_ok());
            });
            if taken { Ok(()) } else { Err(PushError::Refused("the serial line is busy".to_owned())) }
        }
        Carrier::Udp => {
            let mut line = Outgoing::new(devices, from, notification, wrapper_line(notification));
            line.start()?;
            let address = tokio::net::lookup_host(&notification.destination).await?.next();
            let address = address.ok_or(io::Error::from(io::ErrorKind::AddrNotAvailable))?;
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            while line.has_more()? {
                // Each block is a datagram of its own.
                let mut datagram = Vec::new();
                while let Some(octets) = line.next() {
                    datagram.extend_from_slice(octets);
                }
                timeout(PATIENCE, socket.send(&datagram)).await??;
            }
            let mut incoming = vec![0; 2_048];
            while !line.is_finished()? {
                let due = line.due();
                tokio::select! {
                    received = socket.recv(&mut incoming) => line.receive(incoming.get(..received?).unwrap_or_default())?,
                    () = sleep(due) => line.timeout()?,
                }
            }
            Ok(())
        }
    }
}

async fn connect(destination: &str) -> Result<TcpStream, PushError> {
    let stream = timeout(PATIENCE, TcpStream::connect(destination)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn send_stream<L: ServerLink>(
    devices: &impl Devices,
    from: MeterPlace,
    notification: &Notification,
    line: PushLine<L>,
    mut stream: TcpStream,
) -> Result<(), PushError> {
    let mut line = Outgoing::new(devices, from, notification, line);
    line.start()?;
    let mut incoming = vec![0; 2_048];
    loop {
        while line.has_more()? {
            while let Some(octets) = line.next() {
                timeout(PATIENCE, stream.write_all(octets)).await??;
            }
        }
        if line.is_finished()? {
            break;
        }
        let due = line.due();
        tokio::select! {
            received = stream.read(&mut incoming) => match received? {
                0 => return Err(PushError::NotConfirmed),
                count => line.receive(incoming.get(..count).unwrap_or_default())?,
            },
            () = sleep(due) => line.timeout()?,
        }
    }
    stream.shutdown().await?;
    // What the receiver has not read yet would be lost if the connection were just dropped. One that resets it has not
    // got everything.
    let closed = async {
        while stream.read(&mut incoming).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match timeout(CLOSING, closed).await {
        Ok(closed) => Ok(closed?),
        Err(_) => Ok(()),
    }
}

type PushLine<L> = Connection<L, RustCrypto, Vec<u8>, 1, Outbox<Vec<u8>>>;

fn line<L: ServerLink>(notification: &Notification, link: L) -> PushLine<L> {
    let octets = notification.apdu.len() + CIPHERING_OCTETS;
    // What goes out in blocks is kept plain and protected.
    Connection::new(link, Vec::new, vec![0; octets]).with_outbox(vec![0; 2 * octets])
}

fn wrapper_line(notification: &Notification) -> PushLine<wrapper::server::Wrapper<Vec<u8>>> {
    let transmit = vec![0; notification.apdu.len() + CIPHERING_OCTETS + wrapper::Header::LENGTH];
    line(notification, wrapper::server::Wrapper::new(vec![0; CONFIRMATION_OCTETS], transmit, CONFIRMATION_MS))
}

type UiStation = Station<Vec<u8>, Vec<Session<Vec<u8>>>, fn(ClientSap, Address) -> bool>;

fn hdlc_line(notification: &Notification) -> Result<PushLine<UiStation>, PushError> {
    let config = Config { parameters: Parameters::DEFAULT, ..Config::default() };
    // The LLC header has three octets.
    let transmit = vec![0; notification.apdu.len() + CIPHERING_OCTETS + 3];
    let sessions = vec![Session::new(config, vec![0; CONFIRMATION_OCTETS], transmit)];
    let ours: fn(ClientSap, Address) -> bool = |_, _| false;
    let mut station = Station::new(vec![0; FRAME_MAX], 1_000, sessions, ours);
    let addresses = Address::client(notification.client.0).zip(Address::shortest(notification.server.0, None));
    let bound = addresses.and_then(|(client, server)| station.bind(client, server));
    bound.ok_or_else(|| PushError::Refused("no HDLC address".to_owned()))?;
    Ok(line(notification, station))
}

/// One frame with the whole notification, as customer ports send it.
fn customer_frame(notification: &Notification, apdu: &[u8]) -> Result<Vec<u8>, PushError> {
    let addresses = Address::client(notification.client.0).zip(Address::shortest(notification.server.0, None));
    let (destination, source) = addresses.ok_or_else(|| PushError::Refused("no HDLC address".to_owned()))?;
    let information = [&LLC_RESPONSE, apdu].concat();
    let control = Control::with_poll_final(Kind::Ui);
    let frame = Repr { destination, source, control, segmented: false, information: &information };
    let mut octets = vec![0; frame.encoded_len()];
    let written = frame.emit(&mut Writer::new(&mut octets));
    written.map_err(|_| PushError::Refused("too long for a frame".to_owned()))?;
    Ok(octets)
}

/// A notification on a line of its own.
struct Outgoing<'a, A, L: ServerLink> {
    devices: &'a A,
    from: MeterPlace,
    notification: &'a Notification,
    line: PushLine<L>,
    buffer: Vec<u8>,
    /// Octets have been made and not yet been asked for.
    ready: bool,
    /// Blocks sent.
    blocks: u32,
    outcome: Option<bool>,
}

impl<'a, A: Devices, L: ServerLink> Outgoing<'a, A, L> {
    fn new(devices: &'a A, from: MeterPlace, notification: &'a Notification, line: PushLine<L>) -> Self {
        let buffer = vec![0; notification.apdu.len() + CIPHERING_OCTETS + FRAMING_OCTETS];
        Self { devices, from, notification, line, buffer, ready: true, blocks: 0, outcome: None }
    }

    /// Does something to the line while the meter is held.
    fn with<T>(&mut self, act: impl FnOnce(&mut PushLine<L>, &mut Keyring<'_>) -> T) -> Option<T> {
        let (line, notification, outcome) = (&mut self.line, self.notification, &mut self.outcome);
        let (mut act, mut done) = (Some(act), None);
        self.devices.with(self.from.device, &mut |device| {
            if let Some(act) = act.take() {
                done = Some(act(line, &mut Keyring { device, notification, outcome }));
            }
        });
        done
    }

    /// Queues the notification, protected with the meter's keys as they are now.
    fn start(&mut self) -> Result<(), PushError> {
        let notification = self.notification;
        let refused = |error: &dyn std::fmt::Display| PushError::Refused(error.to_string());
        let apdu = Apdu::decode(&notification.apdu).map_err(|error| refused(&error))?;
        let confirmed = matches!(&apdu, Apdu::DataNotification(sent) if sent.invoke.is_confirmed());
        if !confirmed {
            self.outcome = Some(true);
        }
        let to = PushTo {
            client: notification.client,
            server: notification.server,
            protection: match (notification.layers, notification.recipient) {
                (layers, _) if layers.protection.is_none() => PushProtection::Clear,
                (layers, Some(recipient)) => PushProtection::Layers { layers, recipient },
                (_, None) => PushProtection::Keys(Envelope::GeneralGlobal),
            },
            // On a serial line a frame holds all of it.
            max_pdu: if notification.carrier == Carrier::Line { 0 } else { notification.max_pdu },
            confirmation: confirmed.then_some(Confirmation { timeout_ms: CONFIRMATION_MS, attempts: 1 }),
        };
        let queued = self.with(|line, keys| line.notify(&apdu, to, ticks(Instant::now()), keys));
        queued.ok_or_else(|| refused(&"the meter is gone"))?.map_err(|error| refused(&error))?;
        // A key that is drawn for the message needs random numbers, which are there only now.
        self.timeout()
    }

    /// Whether there are octets to be sent: those that were made last, or those of the next block.
    fn has_more(&mut self) -> Result<bool, PushError> {
        if self.ready {
            self.ready = false;
            return Ok(true);
        }
        let is_due = self.line.poll_timeout().is_some_and(|due| due <= ticks(Instant::now()));
        if self.blocks >= BLOCKS_MAX || !is_due {
            return Ok(false);
        }
        self.blocks += 1;
        self.timeout()?;
        Ok(true)
    }

    /// The next octets to be sent.
    fn next(&mut self) -> Option<&[u8]> {
        let length = self.line.poll_transmit(&mut self.buffer)?;
        self.buffer.get(..length)
    }

    /// Whether nothing is waited for any more.
    fn is_finished(&self) -> Result<bool, PushError> {
        match self.outcome {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(PushError::NotConfirmed),
        }
    }

    fn due(&self) -> Duration {
        let due = self.line.poll_timeout().map(deadline);
        due.map_or(PATIENCE, |due| due.saturating_duration_since(Instant::now()).min(PATIENCE))
    }

    fn receive(&mut self, mut octets: &[u8]) -> Result<(), PushError> {
        while !octets.is_empty() && self.outcome.is_none() {
            let taken = self.with(|line, keys| line.handle_input(octets, ticks(Instant::now()), keys, &mut OsRandom));
            match taken {
                Some(Ok(taken)) if taken > 0 => octets = octets.get(taken..).unwrap_or_default(),
                _ => return Err(PushError::NotConfirmed),
            }
            // Whoever is pushed to has nothing to ask on this line; what would answer it is not sent.
            while self.next().is_some() {}
        }
        Ok(())
    }

    fn timeout(&mut self) -> Result<(), PushError> {
        let lost = self.with(|line, keys| line.handle_timeout(ticks(Instant::now()), keys, &mut OsRandom));
        match lost {
            Some(Ok(())) => Ok(()),
            _ => Err(PushError::NotConfirmed),
        }
    }
}

/// What a line for pushes sees of a meter: keys and counters, no objects and no associations.
struct Keyring<'a> {
    device: &'a mut PhysicalDevice,
    notification: &'a Notification,
    outcome: &'a mut Option<bool>,
}

impl Device for Keyring<'_> {
    fn association(&self, _: ClientSap, _: ServerSap) -> Option<AssociationConfig<'_>> {
        None
    }

    fn read(
        &mut self,
        _: &Access,
        _: AttributeDescriptor,
        _: Option<Selection<'_>>,
        _: &mut Cursor,
        _: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        Err(DataAccessResult::ReadWriteDenied)
    }

    fn write(
        &mut self,
        _: &Access,
        _: AttributeDescriptor,
        _: Option<Selection<'_>>,
        _: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        Err(DataAccessResult::ReadWriteDenied)
    }

    fn invoke(
        &mut self,
        _: &Access,
        _: MethodDescriptor,
        _: Option<Data<'_>>,
        _: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        Err(ActionResult::ReadWriteDenied)
    }

    fn take_counter(&mut self, server: ServerSap, setup: u8) -> Option<u32> {
        self.device.take_counter(server, setup)
    }

    fn floor(&self, server: ServerSap, setup: u8, peer: SystemTitle) -> u32 {
        self.device.floor(server, setup, peer)
    }

    fn accept_counter(&mut self, server: ServerSap, setup: u8, peer: SystemTitle, counter: u32) {
        self.device.accept_counter(server, setup, peer, counter);
    }

    fn push_security(&self, _: ClientSap, server: ServerSap) -> Option<SecurityConfig<'_>> {
        let Notification { setup, layers, .. } = self.notification;
        self.device.push_keys(server, *setup, layers.protection)
    }

    fn general_keys(&self, client: ClientSap, server: ServerSap, peer: Option<SystemTitle>) -> GeneralKeys<'_> {
        self.device.general_keys(client, server, peer)
    }

    fn accept_transaction(
        &mut self,
        server: ServerSap,
        setup: u8,
        peer: SystemTitle,
        transaction: VerifiedTransaction,
    ) -> bool {
        self.device.accept_transaction(server, setup, peer, transaction)
    }

    fn take_transaction(&mut self, server: ServerSap, setup: u8) -> Option<u64> {
        self.device.take_transaction(server, setup)
    }

    fn audit(&mut self, event: AuditEvent) {
        match event {
            AuditEvent::NotificationConfirmed { .. } => *self.outcome = Some(true),
            AuditEvent::NotificationLost { invoke, .. } => {
                let _: Option<LongInvokeIdAndPriority> = invoke;
                *self.outcome = Some(false);
            }
            _ => {}
        }
    }
}
