//! Slave meters on a line that they share, behind a gateway or a data concentrator.
//!
//! A gateway takes APDUs with the prefix of network and physical device address (Green Book, gateway protocol) and passes
//! them on; a data concentrator passes on what is sent to wrapper port, or upper HDLC address, n to the n-th meter. Behind
//! both each exchange has the line for itself: request and answer take the time that their octets need at its rate, and
//! others wait for their turn.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlms::apdu::{ExceptionResponse, Gateway, ServiceError, StateError, tag};
use dlms::association::server::{Association, ServerLink, ServerLinkEvent, Source};
use dlms::axdr::Writer;
use dlms::id::{ClientSap, ServerSap};
use dlms::security::{HEADROOM, RustCrypto, TAG_LENGTH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep, sleep_until};

use super::line::{LineEnd, READ_OCTETS, deadline, write};
use super::room::Room;
use super::uses::Way;
use super::{LONG_REQUEST_OCTETS, OsRandom, Port, ticks};
use crate::simulator::config::Addressing;
use crate::simulator::fault::{FaultKind, FaultPlan};
use crate::simulator::fleet::handle::Site;

/// The network behind a gateway.
pub(in crate::simulator) const NETWORK: u8 = 0;
/// How long a slave may take to answer, unless connections are closed earlier.
const ANSWER: Duration = Duration::from_secs(5);
/// Octets around an APDU on the line: flags, addresses, control, check sums and LLC of an HDLC frame.
const FRAMING_OCTETS: usize = 14;
/// Bits of an octet on the line: start, eight of data, stop.
const BITS: u64 = 10;
/// Associations of one connection; beyond it the one that was used least recently is given up.
const ASSOCIATIONS_MAX: usize = 16;
/// Octets of the prefix: tag, network, length and address.
pub(super) const PREFIX_OCTETS: usize = 5;
/// What a gateway says of a slave that is not there, or does not answer. Not verified against the standard: see the
/// stack's `Routing::Unreachable`.
const NOT_POSSIBLE: ExceptionResponse =
    ExceptionResponse { state: StateError::ServiceNotAllowed, service: ServiceError::OperationNotPossible };

/// A line with slaves, and what is in front of it.
#[derive(Debug)]
pub(in crate::simulator) struct SharedLine {
    /// What connections to it are counted by; nobody speaks to its own meters.
    pub(in crate::simulator) front: Arc<Site>,
    slaves: Vec<Arc<Site>>,
    /// Whether APDUs have the prefix.
    is_gateway: bool,
    baud: u32,
    /// Who may talk.
    turn: Semaphore,
}

/// The physical address of the slave with an index: two octets that count from 1.
pub(in crate::simulator) fn physical_address(index: usize) -> [u8; 2] {
    u16::try_from(index.saturating_add(1)).unwrap_or(u16::MAX).to_be_bytes()
}

/// An APDU on its way to a slave.
struct Asked {
    client: ClientSap,
    /// The logical device of the slave.
    server: ServerSap,
    slave: usize,
    apdu: Vec<u8>,
}

/// What was made of an APDU.
enum Destination {
    Slave(Asked),
    /// A device address that is nobody's, with a prefix.
    Unknown {
        network: u8,
        device: Vec<u8>,
    },
    /// For the gateway itself, which has no application.
    Itself,
    /// Nobody on the line feels addressed.
    Nobody,
}

impl SharedLine {
    /// The line that an addressing means; `None` where meters share none.
    pub(in crate::simulator) fn new(addressing: Addressing, front: Arc<Site>, slaves: Vec<Arc<Site>>) -> Option<Self> {
        let (is_gateway, baud) = match addressing {
            Addressing::Gateway { baud } => (true, baud),
            Addressing::Concentrator { baud } => (false, baud),
            _ => return None,
        };
        Some(Self { front, slaves, is_gateway, baud, turn: Semaphore::new(1) })
    }

    /// Numbers of the meters whose upper HDLC addresses are answered: of a gateway its own, which is 1.
    pub(super) fn addresses(&self) -> Range<u32> {
        let all = self.front.numbers.clone();
        if self.is_gateway { all.start..all.start.saturating_add(1) } else { all }
    }

    /// The time that an APDU takes on the line.
    fn time(&self, octets: usize) -> Duration {
        let bits = u64::try_from(octets + FRAMING_OCTETS).unwrap_or(u64::MAX).saturating_mul(BITS);
        Duration::from_secs_f64(bits as f64 / f64::from(self.baud.max(1)))
    }

    fn destination(&self, client: ClientSap, server: ServerSap, apdu: &[u8]) -> Destination {
        if !self.is_gateway {
            let slave = usize::from(server.0).checked_sub(1).filter(|slave| *slave < self.slaves.len());
            return slave.map_or(Destination::Nobody, |slave| {
                Destination::Slave(Asked { client, server: ServerSap::MANAGEMENT, slave, apdu: apdu.to_vec() })
            });
        }
        match Gateway::decode(apdu) {
            Ok(Gateway { response: false, network, device, apdu }) => {
                let number = <[u8; 2]>::try_from(device).ok().map(|octets| usize::from(u16::from_be_bytes(octets)));
                let slave = number.and_then(|number| number.checked_sub(1)).filter(|slave| *slave < self.slaves.len());
                match slave.filter(|_| network == NETWORK) {
                    Some(slave) => Destination::Slave(Asked { client, server, slave, apdu: apdu.to_vec() }),
                    None => Destination::Unknown { network, device: device.to_vec() },
                }
            }
            _ => Destination::Itself,
        }
    }
}

/// An APDU behind the prefix of a device.
fn prefixed(network: u8, device: &[u8], write: impl FnOnce(&mut Writer<'_>) -> bool) -> Option<Vec<u8>> {
    let mut octets = vec![0; usize::from(u16::MAX)];
    let mut out = Writer::new(&mut octets);
    Gateway { response: true, network, device, apdu: &[] }.encode(&mut out).ok()?;
    write(&mut out).then(|| out.written().to_vec())
}

/// A slave as one connection speaks to it.
struct Conversation {
    slave: usize,
    association: Association<RustCrypto, Room>,
    /// How often the slave had started anew.
    boots: u32,
    faults: FaultPlan,
    /// It has fallen silent for good.
    silent: bool,
}

/// One connection to a gateway or concentrator.
pub(super) struct Front<'a> {
    port: &'a Port,
    line: &'a SharedLine,
    source: Source,
    way: Way,
    /// The one that was used last at the end.
    conversations: VecDeque<Conversation>,
}

impl<'a> Front<'a> {
    pub(super) const fn new(port: &'a Port, line: &'a SharedLine, source: Source, way: Way) -> Self {
        Self { port, line, source, way, conversations: VecDeque::new() }
    }

    /// Serves a connection until it ends.
    pub(super) async fn run<L: ServerLink, T: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        link: L,
        io: &mut T,
    ) -> LineEnd {
        self.port.shared.counts.opened.add(1);
        let end = tokio::select! {
            biased;
            () = self.port.shared.cancel.cancelled() => LineEnd::Shutdown,
            result = self.serve(link, io) => match result {
                Ok(never) => match never {},
                Err(end) => end,
            },
        };
        while let Some(conversation) = self.conversations.pop_front() {
            self.end(conversation);
        }
        self.port.shared.counts.closed.add(1);
        end
    }

    fn end(&self, mut conversation: Conversation) {
        conversation.association.reset(&mut *self.line.slaves[conversation.slave].device());
    }

    async fn serve<L: ServerLink, T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        mut link: L,
        io: &mut T,
    ) -> Result<std::convert::Infallible, LineEnd> {
        let limits = &self.port.shared.limits;
        let mut incoming = vec![0; READ_OCTETS];
        let mut last_input = Instant::now();
        loop {
            let idle = last_input + limits.idle;
            let wake = link.poll_timeout().map(deadline).map_or(idle, |due| due.min(idle));
            let count = tokio::select! {
                count = io.read(&mut incoming) => Some(count?),
                () = sleep_until(wake.into()) => None,
            };
            let now = Instant::now();
            match count {
                Some(0) => return Err(LineEnd::Closed),
                Some(count) => {
                    last_input = now;
                    self.port.shared.counts.received_octets.add(count as u64);
                    let mut rest = incoming.get(..count).unwrap_or_default();
                    loop {
                        let taken = link.handle_input(rest, ticks(Instant::now()));
                        rest = rest.get(taken..).unwrap_or_default();
                        let any = self.answer(&mut link, io).await?;
                        // Octets that are not taken although nothing waits belong to nothing.
                        if rest.is_empty() || (taken == 0 && !any) {
                            break;
                        }
                    }
                }
                None if now >= idle => return Err(LineEnd::Idle),
                None => {
                    link.handle_timeout(ticks(now));
                    self.answer(&mut link, io).await?;
                }
            }
        }
    }

    /// Passes on what has come, and sends what is answered; whether there was anything.
    async fn answer<L: ServerLink, T: AsyncWrite + Unpin>(
        &mut self,
        link: &mut L,
        io: &mut T,
    ) -> Result<bool, LineEnd> {
        let mut any = self.flush(link, io).await?;
        while let Some(event) = link.poll_event() {
            any = true;
            match event {
                ServerLinkEvent::Failed(error) => return Err(LineEnd::Lost(error)),
                ServerLinkEvent::Reset { client, server } => self.reset(client, server),
                ServerLinkEvent::Apdu { client, server } => {
                    let destination = self.line.destination(client, server, link.apdu());
                    link.release_apdu();
                    for answer in self.pass_on(destination).await {
                        // What does not fit the link is lost, as on any other.
                        if link.send(client, server, &answer, ticks(Instant::now())).is_ok() {
                            self.port.shared.counts.answers.add(1);
                        }
                        self.flush(link, io).await?;
                    }
                }
            }
            self.flush(link, io).await?;
        }
        Ok(any)
    }

    async fn flush<L: ServerLink, T: AsyncWrite + Unpin>(&self, link: &mut L, io: &mut T) -> Result<bool, LineEnd> {
        let limits = &self.port.shared.limits;
        let mut outgoing = vec![0; limits.response_octets + super::line::FRAMING_OCTETS];
        let mut any = false;
        while let Some(length) = link.poll_transmit(&mut outgoing) {
            any = true;
            write(io, outgoing.get(..length).unwrap_or_default(), limits.idle).await?;
            self.port.shared.counts.sent_octets.add(length as u64);
        }
        Ok(any)
    }

    /// A link was set up anew: what was associated over it is gone, of a gateway everything behind it.
    fn reset(&mut self, client: ClientSap, server: ServerSap) {
        let (line, slave) = (self.line, usize::from(server.0).checked_sub(1));
        let is_over = |known: &Conversation| {
            known.association.client() == client && (line.is_gateway || Some(known.slave) == slave)
        };
        let (over, kept) = std::mem::take(&mut self.conversations).into_iter().partition(is_over);
        self.conversations = kept;
        let over: VecDeque<Conversation> = over;
        over.into_iter().for_each(|conversation| self.end(conversation));
    }

    /// What comes back for one APDU.
    async fn pass_on(&mut self, destination: Destination) -> Vec<Vec<u8>> {
        match destination {
            Destination::Nobody => Vec::new(),
            Destination::Itself => {
                let mut octets = [0; 8];
                let mut out = Writer::new(&mut octets);
                let written = NOT_POSSIBLE.encode(&mut out).is_ok();
                if written { vec![out.written().to_vec()] } else { Vec::new() }
            }
            Destination::Unknown { network, device } => {
                prefixed(network, &device, |out| NOT_POSSIBLE.encode(out).is_ok()).into_iter().collect()
            }
            Destination::Slave(asked) => {
                let address = physical_address(asked.slave);
                let answered = self.exchange(asked).await;
                if !self.line.is_gateway {
                    return answered.unwrap_or_default();
                }
                match answered {
                    Some(answers) => answers
                        .iter()
                        .filter_map(|apdu| prefixed(NETWORK, &address, |out| out.bytes(apdu).is_ok()))
                        .collect(),
                    None => prefixed(NETWORK, &address, |out| NOT_POSSIBLE.encode(out).is_ok()).into_iter().collect(),
                }
            }
        }
    }

    /// The conversation with a slave, made if there is none.
    fn conversation(&mut self, asked: &Asked) -> Conversation {
        let wanted = |known: &Conversation| {
            let association = &known.association;
            (known.slave, association.client(), association.server()) == (asked.slave, asked.client, asked.server)
        };
        let site = &self.line.slaves[asked.slave];
        if let Some(mut known) =
            self.conversations.iter().position(wanted).and_then(|place| self.conversations.remove(place))
        {
            if known.boots != site.boots() {
                known.association.reset(&mut *site.device());
                known.boots = site.boots();
            }
            return known;
        }
        if self.conversations.len() >= ASSOCIATIONS_MAX
            && let Some(oldest) = self.conversations.pop_front()
        {
            self.end(oldest);
        }
        let octets = self.port.shared.limits.response_octets.max(LONG_REQUEST_OCTETS);
        let mut association = Association::new(asked.client, asked.server, Room::new(octets));
        association.set_source(self.source);
        let noise = site.population.fault_noise(site.numbers.start);
        let faults = FaultPlan::new(site.faults(), noise, site.uses.next(self.way));
        Conversation { slave: asked.slave, association, boots: site.boots(), faults, silent: false }
    }

    /// One exchange on the line: the answers to an APDU, `None` when there is none although there should be.
    async fn exchange(&mut self, asked: Asked) -> Option<Vec<Vec<u8>>> {
        let line = self.line;
        let turn = line.turn.acquire().await.ok()?;
        sleep(line.time(asked.apdu.len())).await;
        let mut conversation = self.conversation(&asked);
        let fault = conversation.faults.next();
        self.port.shared.counts.faults.add(fault.is_some().into());
        let site = &line.slaves[asked.slave];
        let spoilt = match fault {
            None | Some(FaultKind::Push | FaultKind::Duplicate) => false,
            Some(FaultKind::Delay(delay)) if delay < ANSWER => {
                sleep(delay).await;
                false
            }
            Some(FaultKind::Slow(_)) => false,
            Some(FaultKind::Silence | FaultKind::HalfClose) => {
                conversation.silent = true;
                true
            }
            Some(FaultKind::Reboot) => {
                site.reboot();
                true
            }
            // What is spoilt on the line fails its check sum.
            Some(_) => true,
        };
        let answers = if spoilt || conversation.silent { None } else { Some(self.ask(&mut conversation, asked.apdu)) };
        self.conversations.push_back(conversation);
        match &answers {
            Some(answers) => {
                for answer in answers {
                    sleep(line.time(answer.len())).await;
                }
            }
            None => sleep(ANSWER.min(self.port.shared.limits.idle)).await,
        }
        drop(turn);
        answers
    }

    /// What a slave makes of an APDU.
    fn ask(&self, conversation: &mut Conversation, mut apdu: Vec<u8>) -> Vec<Vec<u8>> {
        let mut out = vec![0; self.port.shared.limits.response_octets + HEADROOM + TAG_LENGTH];
        let device = &mut *self.line.slaves[conversation.slave].device();
        let association = &mut conversation.association;
        let mut answers = Vec::new();
        // A prefix within the prefix is for a gateway behind the gateway, of which there is none.
        if apdu.first() == Some(&tag::GATEWAY_REQUEST) {
            return answers;
        }
        let placed = association.handle(&mut apdu, ticks(Instant::now()), device, &mut OsRandom, &mut out);
        answers.extend(placed.and_then(|place| out.get(place)).map(<[u8]>::to_vec));
        while association.has_block() {
            let Some(place) = association.next_block(device, &mut out) else { break };
            answers.extend(out.get(place).map(<[u8]>::to_vec));
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shared;
    use super::super::counts::LineCounts;
    use super::super::descriptors::Descriptors;
    use super::*;
    use crate::moment::Moment;
    use crate::simulator::config::{FleetConfig, HdlcConfig, Limits};
    use crate::simulator::driver::{Wake, WakeList};
    use crate::simulator::population::Population;
    use crate::simulator::timeline::Timeline;

    /// Published: an AARQ of the public client.
    const AARQ: &str = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0";

    fn line(baud: u32) -> (Arc<Shared>, SharedLine) {
        let group = FleetConfig { meters: 2, ..FleetConfig::default() }.group();
        let population = Arc::new(Population::new(vec![group], Timeline::real(), Moment::default(), None));
        let counts = Arc::new(LineCounts::default());
        let wake = || Wake { list: Arc::new(WakeList::default()), device: 0 };
        let site = |numbers| Arc::new(Site::new(&population, numbers, &counts, wake()));
        let shared = Shared {
            limits: Limits::default(),
            hdlc: HdlcConfig::default(),
            cancel: tokio_util::sync::CancellationToken::new(),
            tasks: tokio_util::task::TaskTracker::new(),
            descriptors: Descriptors::new(None, 0).unwrap(),
            counts: Arc::clone(&counts),
        };
        let line = SharedLine::new(Addressing::Gateway { baud }, site(0..2), vec![site(0..1), site(1..2)]).unwrap();
        (Arc::new(shared), line)
    }

    fn asked(slave: usize) -> Asked {
        let (client, server) = (ClientSap(16), ServerSap(1));
        Asked { client, server, slave, apdu: hex::decode(AARQ).unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_exchange_at_a_time_has_the_line_for_as_long_as_its_octets_take() {
        let (shared, line) = line(2_400);
        let port = Port::new(&shared, &line.front);
        let front = || Front::new(&port, &line, Source(0), Way::Tcp);
        let (mut one, mut other) = (front(), front());
        let begun = tokio::time::Instant::now();
        let first = one.exchange(asked(0)).await.unwrap();
        let alone = begun.elapsed();
        assert_eq!(first[0][0], 0x61);
        // Both frames at 2400 bit/s, ten bits an octet.
        let octets = AARQ.len() / 2 + first[0].len() + 2 * FRAMING_OCTETS;
        let expected = Duration::from_secs_f64(octets as f64 * 10.0 / 2_400.0);
        assert!(alone >= expected && alone < expected + Duration::from_millis(10), "{alone:?} {expected:?}");
        let begun = tokio::time::Instant::now();
        let (a, b) = tokio::join!(one.exchange(asked(0)), other.exchange(asked(1)));
        assert!(a.is_some() && b.is_some());
        assert!(begun.elapsed() >= 2 * expected, "one behind the other: {:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slave_that_does_not_answer_holds_the_line_and_no_longer() {
        let (shared, line) = line(9_600);
        *line.slaves[1].told_faults() = Some(vec!["silence:1".parse().unwrap()].into());
        let port = Port::new(&shared, &line.front);
        let mut front = Front::new(&port, &line, Source(0), Way::Tcp);
        let begun = tokio::time::Instant::now();
        assert_eq!(front.exchange(asked(1)).await, None);
        assert!(begun.elapsed() >= ANSWER && begun.elapsed() < 2 * ANSWER);
        let said = front.pass_on(Destination::Slave(asked(1))).await;
        assert_eq!(said, [hex::decode("E700020002D80101").unwrap()], "the gateway says so");
        assert!(front.exchange(asked(0)).await.is_some());
        assert_eq!(front.conversations.len(), 2);
    }

    #[test]
    fn addresses_are_checked() {
        let (_, line) = line(9_600);
        let slave = |apdu: &str| match line.destination(ClientSap(16), ServerSap(1), &hex::decode(apdu).unwrap()) {
            Destination::Slave(asked) => Some(asked.slave),
            _ => None,
        };
        assert_eq!(slave("E600020001C001"), Some(0));
        assert_eq!(slave("E600020002C001"), Some(1));
        for refused in
            ["E600020003C001", "E600020000C001", "E601020001C001", "E6000101C001", "E60003000001C0", "C001", "E7000200"]
        {
            assert_eq!(slave(refused), None, "{refused}");
        }
    }
}
