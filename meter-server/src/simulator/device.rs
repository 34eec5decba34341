//! A physical device: one or more simulated meters behind one port.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, DataAccessResult, MemberDescriptor, MethodDescriptor, Selection};
use dlms::association::server::{
    Access, AssociationConfig, AuditEvent, Cursor, Device, FailedAttempts, Member, Progress, SecurityConfig, Source,
};
use dlms::axdr::{Data, Writer};
use dlms::id::{ClassId, ClientSap, ServerSap, ShortName, SystemTitle};
use dlms::security::general::{GeneralKeys, VerifiedTransaction};
use dlms::security::{Protection, SecurityError, SecurityPolicy};
use tokio::sync::mpsc;
use tracing::{debug, error, info};

use super::defect::DefectKind;
use super::driver::{Turn, Wake};
use super::fleet::FleetError;
use super::meter::Meter;
use super::meter::events::{LogKind, code};
use super::net::counts::LineCounts;
use super::population::Population;
use super::timeline::Timeline;
use crate::device::{LogicalDevice, response_protection};
use crate::moment::Moment;
use crate::objects::{SwitchEvent, SwitchState};
use crate::table::ObjectTable;

/// Pushes that wait for the serial line; more fail, and are tried again.
const LINE_PUSHES_MAX: usize = 4;

/// The logical devices of one physical device, in the order of their SAPs, which count from 1.
#[derive(Debug)]
pub struct PhysicalDevice {
    population: Arc<Population>,
    /// Number of the first meter in the fleet.
    first: u32,
    /// Meters are made when somebody first speaks to them.
    meters: Box<[OnceCell<Box<Meter>>]>,
    neighbours: OnceCell<Arc<[(ServerSap, String)]>>,
    counts: Arc<LineCounts>,
    /// Who is told when a meter has something to do earlier than was known.
    wake: Option<Wake>,
    /// Where pushes go out on the serial line, if there is one.
    line: Option<mpsc::Sender<Vec<u8>>>,
}

impl PhysicalDevice {
    /// The device with these meters.
    pub(crate) fn new(
        population: Arc<Population>,
        numbers: Range<u32>,
        counts: Arc<LineCounts>,
        wake: Option<Wake>,
    ) -> Self {
        let meters = numbers.clone().map(|_| OnceCell::new()).collect();
        Self { population, first: numbers.start, meters, neighbours: OnceCell::new(), counts, wake, line: None }
    }

    /// How many meters it has.
    pub(crate) fn len(&self) -> usize {
        self.meters.len()
    }

    /// Whether somebody has spoken to a meter.
    pub(crate) fn is_made(&self, index: usize) -> bool {
        self.meters.get(index).is_some_and(|cell| cell.get().is_some())
    }

    /// When a meter that nobody has spoken to has something to do first: it need not be kept for that.
    pub(crate) fn first_due(&self, index: usize) -> Option<Moment> {
        let alone = Arc::default();
        let mut meter = self.population.meter(self.number(index), sap(index), &alone).ok()?;
        if self.line.is_some() {
            meter.has_local_line();
        }
        meter.next_due()
    }

    /// Lets a meter do what is due by now, for the driver of the fleet. `None` when there is no such meter.
    pub(crate) fn run_due(&mut self, index: usize) -> Option<Turn> {
        let now = self.population.now();
        let meter = self.made_mut(index)?;
        meter.advance(now);
        meter.remember();
        meter.rest_alone();
        let outgoing = meter.take_outgoing();
        let (before, next) = meter.looked_at();
        Some(Turn { before, next, outgoing })
    }

    /// A notification of a meter has arrived or not, as far as its carrier can tell.
    pub(crate) fn push_finished(&mut self, index: usize, ticket: u32, arrived: bool) {
        let now = self.timeline().now();
        let Some(meter) = self.made_mut(index) else { return };
        meter.advance(now);
        meter.push_finished(ticket, arrived, now);
        meter.remember();
        self.call_driver(index);
    }

    /// The device has a serial line: what is to go out on it unasked comes from the receiver.
    pub(crate) fn attach_line(&mut self) -> mpsc::Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(LINE_PUSHES_MAX);
        self.line = Some(sender);
        self.meters.iter_mut().filter_map(OnceCell::get_mut).for_each(|meter| meter.has_local_line());
        receiver
    }

    /// Where pushes go out on the serial line, if there is one.
    pub(crate) const fn line(&self) -> Option<&mpsc::Sender<Vec<u8>>> {
        self.line.as_ref()
    }

    /// The keys with which a meter protects what it pushes.
    pub(crate) fn push_keys(&self, server: ServerSap, setup: u8, protection: Protection) -> Option<SecurityConfig<'_>> {
        let meter = self.meter(server)?;
        let keys = meter.security();
        meter.policy(setup)?;
        let (encryption, authentication) = meter.keys_in_use();
        Some(SecurityConfig {
            setup,
            suite: keys.suite(),
            policy: SecurityPolicy::both(protection),
            ..SecurityConfig::new(encryption, authentication, meter.identity().system_title)
        })
    }

    /// Does something to a meter at this moment, everything having happened that happens by itself.
    pub(crate) fn act<T>(&mut self, server: ServerSap, act: impl FnOnce(&mut Meter, Moment) -> T) -> Option<T> {
        let at = self.population.now();
        let index = self.index(server)?;
        let meter = self.made_mut(index)?;
        meter.advance(at);
        let done = act(meter, at);
        meter.remember();
        self.call_driver(index);
        Some(done)
    }

    /// Somebody works the switch of a meter by hand; whether that changed anything.
    pub fn operate_switch(&mut self, server: ServerSap, event: SwitchEvent) -> bool {
        let changed = self.act(server, |meter, at| {
            let before = meter.switch();
            meter.operate(event, at).is_ok() && meter.switch() != before
        });
        changed.unwrap_or(false)
    }

    /// Calls the driver of the fleet if a meter has something to do that the driver does not know of.
    fn call_driver(&mut self, index: usize) {
        let meter = self.meters.get_mut(index).and_then(OnceCell::get_mut);
        let (Some(wake), Some(meter)) = (&self.wake, meter) else { return };
        if meter.wants_driver() {
            wake.meter(index);
        }
    }

    /// Something breaks at a meter; `None` when there is no such meter. A device starts anew by
    /// [`DeviceHandle::reboot`](super::DeviceHandle::reboot), which also cuts its connections.
    pub fn suffer(&mut self, server: ServerSap, kind: DefectKind) -> Option<()> {
        self.act(server, |meter, at| meter.suffer(kind, at))
    }

    /// Mends a meter's defects that stay; `None` when there is no such meter.
    pub fn mend(&mut self, server: ServerSap) -> Option<()> {
        self.act(server, Meter::mend)
    }

    /// Makes all meters.
    pub(crate) fn make(&self) -> Result<(), FleetError> {
        (0..self.meters.len()).try_for_each(|index| self.made(index).map(drop))
    }

    /// The simulated time.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        self.population.timeline()
    }

    /// The meter with this SAP, if there is one and its state can be used.
    #[must_use]
    pub fn meter(&self, server: ServerSap) -> Option<&Meter> {
        let index = self.index(server)?;
        self.made(index).inspect_err(|error| error!(%error, "a meter is out of order")).ok()
    }

    /// Whether a meter could not keep what has changed last: nobody must believe that it did.
    fn forgets(&self, server: ServerSap) -> bool {
        self.meter(server).is_some_and(Meter::forgets)
    }

    fn meter_mut(&mut self, server: ServerSap) -> Option<&mut Meter> {
        self.made_mut(self.index(server)?)
    }

    fn made_mut(&mut self, index: usize) -> Option<&mut Meter> {
        if index >= self.meters.len() {
            return None;
        }
        if let Err(error) = self.made(index) {
            error!(%error, "a meter is out of order");
        }
        self.meters.get_mut(index)?.get_mut().map(AsMut::as_mut)
    }

    fn index(&self, server: ServerSap) -> Option<usize> {
        usize::from(server.0).checked_sub(1).filter(|index| *index < self.meters.len())
    }

    /// The meter at a place that exists, made if it is not there yet.
    fn made(&self, index: usize) -> Result<&Meter, FleetError> {
        let cell = &self.meters[index];
        if let Some(meter) = cell.get() {
            return Ok(meter);
        }
        let mut meter = self.population.meter(self.number(index), sap(index), self.neighbours())?;
        if self.line.is_some() {
            meter.has_local_line();
        }
        self.counts.meters_made.add(1);
        Ok(cell.get_or_init(|| Box::new(meter)))
    }

    fn number(&self, index: usize) -> u32 {
        self.first.saturating_add(u32::try_from(index).unwrap_or(u32::MAX))
    }

    fn neighbours(&self) -> &Arc<[(ServerSap, String)]> {
        self.neighbours.get_or_init(|| {
            let named = |index| {
                let identity = self.population.identity(self.number(index), sap(index))?;
                Some((identity.server, identity.logical_device_name))
            };
            (0..self.meters.len()).filter_map(named).collect()
        })
    }

    /// The logical device with this SAP at this moment, everything having happened that happens by itself.
    fn logical<T>(&mut self, server: ServerSap, ask: impl FnOnce(LogicalDevice<'_, Meter>) -> T) -> Option<T> {
        self.act(server, |meter, at| {
            let model = Arc::clone(meter.model());
            ask(LogicalDevice { table: &*model, state: meter, at })
        })
    }
}

/// The SAP of the meter at a place.
pub(crate) fn sap(index: usize) -> ServerSap {
    ServerSap(u16::try_from(index.saturating_add(1)).unwrap_or(u16::MAX))
}

impl Device for PhysicalDevice {
    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>> {
        let meter = self.meter(server)?;
        let association = meter.model().association(client)?;
        let secret = match association.mechanism {
            Mechanism::Lowest | Mechanism::Gmac => &[],
            _ => meter.secret(client).unwrap_or_else(|| meter.security().password()),
        };
        let keys = meter.security();
        let (encryption, authentication) = meter.keys_in_use();
        let security = match association.security_setup {
            None => None,
            Some(setup) => Some(SecurityConfig {
                setup,
                suite: keys.suite(),
                policy: meter.policy(setup)?,
                broadcast_key: keys.broadcast(),
                ..SecurityConfig::new(encryption, authentication, meter.identity().system_title)
            }),
        };
        Some(AssociationConfig {
            referencing: association.referencing,
            mechanism: association.mechanism,
            secret,
            security,
            system_title: Some(meter.identity().system_title),
            ..AssociationConfig::public(association.conformance, association.max_pdu)
        })
    }

    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        self.logical(access.server, |device| {
            // A log is kept at hand while its rows are read, one after the other.
            if let (ClassId(7), [_, _, 99, 98, e, _]) = (attribute.class, attribute.instance.0)
                && let Some(kind) = LogKind::from_group_e(e)
            {
                device.state.open_log(kind, device.at);
            }
            device.read(access, attribute, selection, cursor, out)
        })
        .unwrap_or(Err(DataAccessResult::ObjectUnavailable))
    }

    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        let result = self
            .logical(access.server, |mut device| device.write(access, attribute, selection, value))
            .unwrap_or(Err(DataAccessResult::ObjectUnavailable));
        let result = if self.forgets(access.server) { Err(DataAccessResult::OtherReason) } else { result };
        debug!(client = access.client.0, server = access.server.0, object = %attribute.instance, attribute = attribute.attribute.0, ?result, "attribute written");
        result
    }

    fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        let result = self
            .logical(access.server, |mut device| device.invoke(access, method, parameter, out))
            .unwrap_or(Err(ActionResult::ObjectUnavailable));
        let result = if self.forgets(access.server) { Err(ActionResult::OtherReason) } else { result };
        debug!(client = access.client.0, server = access.server.0, object = %method.instance, method = method.method.0, ?result, "method invoked");
        result
    }

    fn short_name(&self, access: &Access, name: ShortName) -> Option<MemberDescriptor> {
        self.meter(access.server)?.model().named(name)
    }

    fn take_counter(&mut self, server: ServerSap, setup: u8) -> Option<u32> {
        self.meter_mut(server)?.take_counter(setup)
    }

    fn floor(&self, server: ServerSap, setup: u8, peer: SystemTitle) -> u32 {
        // Without such a setup nothing is acceptable.
        self.meter(server).and_then(|meter| meter.counters(setup)).map_or(u32::MAX, |counters| counters.floor(peer))
    }

    fn accept_counter(&mut self, server: ServerSap, setup: u8, peer: SystemTitle, counter: u32) {
        if let Some(meter) = self.meter_mut(server) {
            meter.accept_counter(setup, peer, counter);
        }
    }

    fn broadcast_floor(&self, server: ServerSap, setup: u8, peer: SystemTitle) -> u32 {
        let meter = self.meter(server).filter(|meter| meter.counters(setup).is_some());
        meter.map_or(u32::MAX, |meter| meter.security().broadcast_floor(peer))
    }

    fn accept_broadcast_counter(&mut self, server: ServerSap, setup: u8, peer: SystemTitle, counter: u32) {
        if let Some(meter) = self.meter_mut(server).filter(|meter| meter.counters(setup).is_some()) {
            meter.security_mut().accept_broadcast(peer, counter);
        }
    }

    fn key_generation(&self, server: ServerSap, _: u8) -> u32 {
        self.meter(server).map_or(0, |meter| meter.security().generation())
    }

    fn answered(&mut self, server: ServerSap) {
        if self.meter_mut(server).is_some_and(|meter| meter.security_mut().answered()) {
            self.act(server, |meter, at| meter.record(LogKind::Standard, at, code::KEYS_CHANGED));
        }
    }

    fn failed_attempts(&self, client: ClientSap, server: ServerSap, source: Source) -> FailedAttempts {
        self.meter(server).map_or(FailedAttempts::NONE, |meter| meter.security().failed_attempts(client, source))
    }

    fn set_failed_attempts(&mut self, client: ClientSap, server: ServerSap, source: Source, attempts: FailedAttempts) {
        if let Some(meter) = self.meter_mut(server) {
            meter.security_mut().set_failed_attempts(client, source, attempts);
        }
    }

    fn general_keys(&self, client: ClientSap, server: ServerSap, peer: Option<SystemTitle>) -> GeneralKeys<'_> {
        let Some(meter) = self.meter(server) else { return GeneralKeys::default() };
        // Whose certificate it must be, where the model says so.
        let named = meter.model().association(client).and_then(|association| association.client_title);
        let peer = peer.filter(|peer| named.is_none_or(|named| named == *peer));
        meter.general_keys(peer, self.population.now())
    }

    fn accept_transaction(
        &mut self,
        server: ServerSap,
        setup: u8,
        peer: SystemTitle,
        transaction: VerifiedTransaction,
    ) -> bool {
        self.meter_mut(server).is_some_and(|meter| meter.accept_transaction(setup, peer, transaction))
    }

    fn take_transaction(&mut self, server: ServerSap, setup: u8) -> Option<u64> {
        self.meter_mut(server)?.take_transaction(setup)
    }

    fn response_protection(&self, access: &Access, member: Member) -> Protection {
        self.meter(access.server)
            .map_or(Protection::NONE, |meter| response_protection(&**meter.model(), access, member))
    }

    fn audit(&mut self, event: AuditEvent) {
        match event {
            AuditEvent::Associated { client, server } => {
                debug!(client = client.0, server = server.0, "associated");
                if let Some(meter) = self.meter_mut(server) {
                    meter.associated(client, true);
                }
            }
            AuditEvent::Released { client, server } => {
                debug!(client = client.0, server = server.0, "released");
                if let Some(meter) = self.meter_mut(server) {
                    meter.associated(client, false);
                }
            }
            AuditEvent::AuthenticationFailed { client, server } => {
                info!(client = client.0, server = server.0, "authentication failed");
                self.act(server, |meter, at| meter.record(LogKind::Fraud, at, code::AUTHENTICATION_FAILURE));
            }
            AuditEvent::LockedOut { client, server, failures } => {
                info!(client = client.0, server = server.0, failures, "client locked out");
            }
            AuditEvent::SecurityFailed { client, server, error } => {
                info!(client = client.0, server = server.0, %error, "protected apdu refused");
                let code = match error {
                    SecurityError::Counter { .. } | SecurityError::TransactionId => code::REPLAY,
                    _ => code::DECRYPTION_FAILURE,
                };
                self.act(server, |meter, at| meter.record(LogKind::Fraud, at, code));
            }
            AuditEvent::ReadRefused { client, server, attribute, result } => {
                debug!(client = client.0, server = server.0, ?attribute, ?result, "reading refused");
            }
            AuditEvent::WriteRefused { client, server, attribute, result } => {
                debug!(client = client.0, server = server.0, ?attribute, ?result, "writing refused");
            }
            AuditEvent::ActionRefused { client, server, method, result } => {
                debug!(client = client.0, server = server.0, ?method, ?result, "method refused");
            }
            _ => {}
        }
    }
}
