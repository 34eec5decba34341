//! Push setups of a simulated meter: from the trigger to the notification, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dlms::apdu::{ActionResult, Apdu, DataAccessResult, DataNotification, LongInvokeIdAndPriority};
use dlms::axdr::{Data, Writer};
use dlms::cosem::common::Window;
use dlms::cosem::push_setup::{Delay, MessageType, OperationMethod, SendDestinationAndMethod, TransportService};
use dlms::cosem::{Array, FromData};
use dlms::id::{AttributeId, ClientSap};
use dlms::obis::ObisCode;
use dlms::security::general::{Cipher, Layers};
use dlms::security::{Envelope, Protection};
use dlms::time::DateTime;
use tracing::{debug, info};

use super::Meter;
use super::events::{LogKind, code};
use super::kept::KeptSlot;
use super::outgoing::{Carrier, Notification};
use super::push_body::write_body;
use super::push_protection::Wrapping;
use crate::moment::Moment;
use crate::object::Context;
use crate::objects::{Kept, PushState, kept_value};
use crate::push::{Outcome, PushProcess, Repetition};
use crate::schedule::is_within;
use crate::simulator::consumption::Noise;

/// Octets of a notification in clear.
const APDU_MAX: usize = 32_768;

/// A push setup of a model.
#[derive(Clone, Debug)]
pub(crate) struct ModelPush {
    pub(crate) instance: ObisCode,
    pub(crate) version: u8,
    pub(crate) attributes: KeptSlot,
    /// Whether the meter pushes when it starts.
    pub(crate) at_start: bool,
    /// The client that is pushed to, where the version has no attribute for it.
    pub(crate) client: ClientSap,
    /// How pushes are protected, where the version has no attribute for it.
    pub(crate) protection: Protection,
    /// Longest APDU that the client takes, in octets, 0 for no limit.
    pub(crate) max_pdu: u16,
    /// Whether the body is an array, as Aidon meters have it, instead of a structure.
    pub(crate) array: bool,
    /// Whether the notification says when it was made.
    pub(crate) time: bool,
}

impl ModelPush {
    fn attribute<'a, T: FromData<'a>>(&'a self, meter: &'a Meter, number: i8) -> Option<T> {
        kept_value(self.attributes.kept(meter, AttributeId(number)))
    }

    fn repetition(&self, meter: &Meter) -> Repetition {
        let delay = if self.version < 2 {
            let seconds = self.attribute(meter, 7).unwrap_or(0);
            Delay { min: seconds, exponent: 100, max: seconds }
        } else {
            self.attribute(meter, 7).unwrap_or(Delay { min: 0, exponent: 100, max: 0 })
        };
        Repetition { retries: self.attribute(meter, 6).unwrap_or(0), delay }
    }

    fn client(&self, meter: &Meter) -> ClientSap {
        let written = self.attribute::<i8>(meter, 9).filter(|_| self.version > 0);
        written.map_or(self.client, |sap| ClientSap(u16::from(sap.cast_unsigned())))
    }

    /// Number of the security setup with whose keys a push is protected: that of the client that it is for.
    fn setup(&self, meter: &Meter) -> u8 {
        let association = meter.model.association(self.client(meter));
        let own = association.and_then(|association| association.security_setup);
        own.or(meter.model.setups.first().map(|setup| setup.number)).unwrap_or(0)
    }

    /// How a push is protected: as its parameters say, and at least as the security setup of its client demands of
    /// responses. `None` for a protection that is not possible here.
    fn wrapping(&self, meter: &Meter) -> Option<Wrapping> {
        let mut wrapping = if self.version == 0 {
            let cipher = Some(Cipher::Envelope(Envelope::GeneralGlobal)).filter(|_| !self.protection.is_none());
            let layers = Layers { cipher, protection: self.protection, ..Layers::default() };
            Wrapping { layers, recipient: None }
        } else {
            Wrapping::parse(&self.attribute(meter, 10)?)?
        };
        let association = meter.model.association(self.client(meter));
        let policy = association.and_then(|association| meter.policy(association.security_setup?));
        wrapping.layers = wrapping.layers.strengthened(policy.map_or(Protection::NONE, |policy| policy.response));
        if wrapping.layers.needs_transaction() {
            // Its client is whom the setup heard last, unless the parameters name somebody.
            let heard = || association.and_then(|association| association.client_title);
            let last = || meter.setup(self.setup(meter)).and_then(|setup| setup.client_title);
            wrapping.recipient = wrapping.recipient.or_else(heard).or_else(last);
            wrapping.recipient?;
        }
        Some(wrapping)
    }

    /// What carries pushes, and where to. `None` when this meter cannot push there.
    fn destination(&self, meter: &Meter) -> Option<(Carrier, String)> {
        let found: SendDestinationAndMethod<'_> = self.attribute(meter, 3)?;
        let carrier = match found.service {
            TransportService::Tcp => Carrier::Tcp,
            TransportService::Udp => Carrier::Udp,
            TransportService::Hdlc => Carrier::Hdlc,
            _ => return None,
        };
        // The manufacturers' own messages are taken for A-XDR: nobody could say what else they are.
        if found.message == MessageType::Xml {
            return None;
        }
        // What is no `host:port` is an address on the line that the device has.
        let written = std::str::from_utf8(found.destination).unwrap_or_default().trim();
        if carrier == Carrier::Hdlc && meter.pushes.local_line && !written.contains(':') {
            return Some((Carrier::Line, String::new()));
        }
        let destination = if written.is_empty() { meter.pushes.default_destination.as_deref()? } else { written };
        let (host, port) = destination.rsplit_once(':')?;
        (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| (carrier, destination.to_owned()))
    }

    fn is_confirmed(&self, meter: &Meter) -> bool {
        self.version >= 2 && self.attribute(meter, 11) == Some(OperationMethod::Confirmed)
    }
}

/// What a meter keeps of its pushes.
#[derive(Debug)]
pub(crate) struct Pushes {
    noise: Noise,
    /// Where pushes go whose setup names no destination.
    default_destination: Option<Arc<str>>,
    /// Whether the device has a serial line on which pushes can go out.
    local_line: bool,
    /// Processes that are not idle, by number of the push setup in the model.
    processes: BTreeMap<usize, Process>,
    /// Moments of the last confirmations.
    confirmed: BTreeMap<ObisCode, Moment>,
    /// Notifications made so far: the long invoke-id, and what makes each random delay another.
    made: u32,
    /// Notifications sent so far, repetitions included.
    tickets: u32,
}

#[derive(Debug, Default)]
struct Process {
    process: PushProcess,
    /// The plain APDU on its way, kept for its repetitions.
    apdu: Vec<u8>,
    ticket: u32,
    /// Its arrival is known by a confirmation.
    awaits_confirmation: bool,
}

impl Pushes {
    pub(crate) const fn new(noise: Noise) -> Self {
        Self {
            noise,
            default_destination: None,
            local_line: false,
            processes: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            made: 0,
            tickets: 0,
        }
    }
}

impl Meter {
    /// When the first push is to be sent.
    pub(super) fn push_due(&self) -> Option<Moment> {
        self.pushes.processes.values().filter_map(|process| process.process.due()).min()
    }

    /// The meter is installed at this moment: pushes whose setup names no destination go to `destination`, and those are
    /// started that tell of the meter when it starts.
    pub(in crate::simulator) fn commission(&mut self, destination: Option<Arc<str>>, at: Moment) {
        self.pushes.default_destination = destination;
        self.times_changed();
        let model = Arc::clone(&self.model);
        for (index, _) in model.pushes.iter().enumerate().filter(|(_, setup)| setup.at_start) {
            let _ = self.trigger_push(index, at);
        }
    }

    /// Whether pushes go somewhere whose setup names no destination.
    pub(super) const fn pushes_by_default(&self) -> bool {
        self.pushes.default_destination.is_some() || self.pushes.local_line
    }

    /// The device has a serial line on which pushes can go out.
    pub(in crate::simulator) const fn has_local_line(&mut self) {
        self.pushes.local_line = true;
        self.times_changed();
    }

    /// Starts a push process. A meter without a destination pushes nothing.
    fn trigger_push(&mut self, index: usize, at: Moment) -> Result<(), ActionResult> {
        let model = Arc::clone(&self.model);
        let setup = model.pushes.get(index).ok_or(ActionResult::ObjectUndefined)?;
        setup.destination(self).ok_or(ActionResult::OtherReason)?;
        setup.wrapping(self).ok_or(ActionResult::OtherReason)?;
        let delay_ms = self.start_delay(setup, index);
        self.pushes.processes.entry(index).or_default().process.trigger(at, delay_ms);
        Ok(())
    }

    /// The random delay of the next push, in milliseconds: another one each time, the same from the same seed.
    fn start_delay(&self, setup: &ModelPush, index: usize) -> i64 {
        let interval_s: u16 = setup.attribute(self, 5).unwrap_or(0);
        let draw = self.pushes.noise.stream(index as u64).unit(i64::from(self.pushes.made));
        (draw * f64::from(interval_s) * 1000.0) as i64
    }

    /// Sends what is due.
    pub(super) fn run_pushes(&mut self, due: Moment) {
        let is_due = |process: &Process| process.process.due().is_some_and(|at| at <= due);
        let ready: Vec<usize> =
            self.pushes.processes.iter().filter(|(_, process)| is_due(process)).map(|(index, _)| *index).collect();
        let model = Arc::clone(&self.model);
        for index in ready {
            let Some(setup) = model.pushes.get(index) else { continue };
            match self.window_opens(setup, due) {
                Opens::Now => self.send_push(setup, index, due),
                Opens::At(later) => {
                    if let Some(process) = self.pushes.processes.get_mut(&index) {
                        process.process.postpone(later);
                    }
                }
                Opens::Never => {
                    debug!(serial = self.identity.serial, setup = %setup.instance, "push without a window to come");
                    self.pushes.processes.remove(&index);
                }
            }
        }
    }

    fn window_opens(&self, setup: &ModelPush, at: Moment) -> Opens {
        let windows: Option<Array<'_, Window>> = setup.attribute(self, 4);
        let Some(windows) = windows.filter(|windows| !windows.is_empty()) else { return Opens::Now };
        let local = self.local_clock(at);
        let mut opens = Opens::Never;
        for window in windows.iter().flatten() {
            let parts = |time: DateTime| (time.date(), time.time());
            let (start, end) = (parts(window.start), parts(window.end));
            if is_within(start, end, local) {
                return Opens::Now;
            }
            let next = self.first_after(at, |local| crate::schedule::next_after(start.0, start.1, local));
            opens = match (next, opens) {
                (Some(next), Opens::At(earlier)) => Opens::At(next.min(earlier)),
                (Some(next), _) => Opens::At(next),
                (None, opens) => opens,
            };
        }
        opens
    }

    /// Makes the notification, unless it is a repetition, and queues it.
    fn send_push(&mut self, setup: &ModelPush, index: usize, at: Moment) {
        let known = self.pushes.processes.get_mut(&index).map(|process| std::mem::take(&mut process.apdu));
        let made = match known.filter(|apdu| !apdu.is_empty()) {
            Some(apdu) => Some(apdu),
            None => self.make_notification(setup, at),
        };
        let target = setup.destination(self).zip(setup.wrapping(self));
        let (Some(apdu), Some(((carrier, destination), wrapping))) = (made, target) else {
            info!(serial = self.identity.serial, setup = %setup.instance, "push impossible");
            self.pushes.processes.remove(&index);
            return;
        };
        self.pushes.tickets = self.pushes.tickets.wrapping_add(1);
        let ticket = self.pushes.tickets;
        let notification = Notification {
            carrier,
            destination,
            client: setup.client(self),
            server: self.identity.server,
            apdu: apdu.clone(),
            layers: wrapping.layers,
            recipient: wrapping.recipient,
            max_pdu: setup.max_pdu,
            setup: setup.setup(self),
            ticket,
        };
        // Nobody confirms on a line that is the meter's to speak on.
        let awaits_confirmation = carrier != Carrier::Line && setup.is_confirmed(self);
        let queued = self.send(notification);
        if let Some(process) = self.pushes.processes.get_mut(&index) {
            process.process.sending();
            *process = Process { process: process.process, apdu, ticket, awaits_confirmation };
        }
        if !queued {
            self.push_finished(ticket, false, at);
        }
    }

    /// The body of what a push setup pushes.
    fn write_push(&self, setup: &ModelPush, at: Moment, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        let access = self.own_access();
        let cx = Context { access: &access, at, table: &*self.model };
        let list = Data::from_slice(setup.attributes.kept(self, AttributeId(2)));
        write_body(self, &cx, &list.map_err(|_| DataAccessResult::TypeUnmatched)?, setup.array, out)
    }

    /// The same of the push setup with an instance, for the customer port.
    pub(in crate::simulator) fn write_pushed(
        &self,
        instance: ObisCode,
        at: Moment,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        let setup = self.model.pushes.iter().find(|setup| setup.instance == instance);
        self.write_push(setup.ok_or(DataAccessResult::ObjectUndefined)?, at, out)
    }

    /// The notification in clear.
    fn make_notification(&mut self, setup: &ModelPush, at: Moment) -> Option<Vec<u8>> {
        let mut body = vec![0; APDU_MAX];
        let mut out = Writer::new(&mut body);
        self.write_push(setup, at, &mut out).ok()?;
        self.pushes.made = self.pushes.made.wrapping_add(1);
        let flags = if setup.is_confirmed(self) { LongInvokeIdAndPriority::CONFIRMED } else { 0 };
        let notification = Apdu::DataNotification(DataNotification {
            invoke: LongInvokeIdAndPriority::new(self.pushes.made, flags),
            time: setup.time.then(|| self.stamp(at)),
            body: Data::from_slice(out.written()).ok()?,
        });
        let mut apdu = vec![0; APDU_MAX];
        let mut out = Writer::new(&mut apdu);
        notification.encode(&mut out).ok()?;
        let length = out.len();
        apdu.truncate(length);
        apdu.shrink_to_fit();
        Some(apdu)
    }

    /// A notification has arrived or not, as far as its carrier can tell.
    pub(in crate::simulator) fn push_finished(&mut self, ticket: u32, arrived: bool, at: Moment) {
        let found = self.pushes.processes.iter().find(|(_, process)| process.ticket == ticket).map(|(index, _)| *index);
        let model = Arc::clone(&self.model);
        let Some((index, setup)) = found.and_then(|index| Some((index, model.pushes.get(index)?))) else { return };
        let (repetition, delay_ms) = (setup.repetition(self), self.start_delay(setup, index));
        let Some(process) = self.pushes.processes.get_mut(&index) else { return };
        let confirmed = arrived && process.awaits_confirmation;
        let outcome = process.process.finished(arrived, at, repetition, delay_ms);
        if outcome != Outcome::Again {
            process.apdu = Vec::new();
        }
        if process.process.is_idle() {
            self.pushes.processes.remove(&index);
        }
        if confirmed {
            self.pushes.confirmed.insert(setup.instance, at);
        }
        debug!(serial = self.identity.serial, setup = %setup.instance, ?outcome, "push finished");
        if outcome == Outcome::GivenUp {
            self.record(LogKind::Communication, at, code::NO_CONNECTION);
        }
    }
}

/// When a communication window opens.
enum Opens {
    Now,
    At(Moment),
    Never,
}

impl PushState for Meter {
    fn push(&mut self, instance: ObisCode, cx: &Context<'_, Self>) -> Result<(), ActionResult> {
        let index = self.model.pushes.iter().position(|setup| setup.instance == instance);
        self.trigger_push(index.ok_or(ActionResult::ObjectUndefined)?, cx.at)
    }

    fn reset_push(&mut self, instance: ObisCode) -> Result<(), ActionResult> {
        let index = self.model.pushes.iter().position(|setup| setup.instance == instance);
        if let Some(index) = index
            && let Some(process) = self.pushes.processes.get_mut(&index)
        {
            process.process.reset();
            if process.process.is_idle() {
                self.pushes.processes.remove(&index);
            }
        }
        Ok(())
    }

    fn last_confirmation(&self, instance: ObisCode) -> Option<DateTime> {
        self.pushes.confirmed.get(&instance).map(|at| self.stamp(*at))
    }
}
