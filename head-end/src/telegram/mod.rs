//! Telegrams of customer ports (P1 and its relatives): from lines and callers to readings and events.
//!
//! ```text
//!   serial, TCP ─▶ Framer ─▶ check sum, or key and tag ─▶ meter ─▶ one of each interval ─▶ readings, events
//!   API ───────────────────┘
//! ```
//!
//! A telegram in clear proves nothing: it is believed where the line that it came on belongs to the operator, or comes
//! from the address that its meter states. A ciphered one is believed by its tag. Every second brings a telegram, and
//! the store keeps one of each interval of the meter's own clock: the first that came. As it carries its own time, the
//! same telegram again changes nothing, whenever it comes and however often.

mod counts;
mod options;
mod port;
mod reading;
mod refused;
mod time;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use dlms::{
    p1::{CrcRule, Decipherer, TELEGRAM_OCTETS_MAX, Telegram, TelegramError},
    security::{ProtectedHeader, ReceiveFloor, RustCrypto, SecurityError},
};
use jiff::{Timestamp, tz::TimeZone};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    counts::Counts,
    options::{CheckSum, Frame, Place, Port, TelegramOptions},
    refused::Refused,
};
use self::{
    port::{OpenPort, Surroundings},
    reading::{Cells, Device, Failure},
    time::Moment,
};
use crate::{
    events::OwnEvent,
    head_end::HeadEnd,
    meter::{LifecycleStatus, MeterId, MeterRecord, Tenant, TimeBasis},
    operation::{CaptureRow, MeterAccess},
    push::{Alerts, Unclaimed, write_notes},
    store::{
        CaptureBatch, CaptureFilter, CaptureQuery, DeviceIdentity, EventCategory, EventOrigin, NewEvent, Source, Store,
        StoreError,
    },
};

/// Tag of general-glo-ciphering, which a ciphered telegram begins with.
const CIPHERED: u8 = 0xDB;
/// Meters whose last interval is remembered; of others the store is asked.
const REMEMBERED: usize = 100_000;
/// Captures of an interval that are looked through for one of a telegram.
const LOOKED_AT: usize = 64;

/// Takes telegrams. Clones share it.
#[derive(Debug)]
pub struct Telegrams<S, A>(Arc<Inner<S, A>>);

impl<S, A> Clone for Telegrams<S, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<S, A> {
    head_end: HeadEnd<S, A>,
    interval_s: i64,
    time_zone: TimeZone,
    counts: Counts,
    unclaimed: Unclaimed,
    alerts: Alerts,
    seen: Mutex<HashMap<MeterId, Seen>>,
    addresses: Vec<SocketAddr>,
}

/// What was seen of a meter last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The interval that is held.
    interval: Option<i64>,
    /// The frame counter of its last ciphered telegram.
    counter: Option<u32>,
}

/// Why a port cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for telegrams on {address}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// Where a telegram comes from, and what is believed of it there.
#[derive(Clone, Debug)]
pub struct Sender {
    /// For people.
    pub source: String,
    /// Whether what comes in clear is believed: on lines of the operator and from callers always (`None`), from
    /// whoever connects where this address is the one that the meter states.
    pub from: Option<IpAddr>,
    /// What is demanded of check sums.
    pub check_sum: CheckSum,
    /// The meter that it must be of, and is where it names none.
    pub meter: Option<MeterId>,
    /// Whose meters there are for the sender; `None` for all.
    pub tenant: Option<Tenant>,
    /// Whether it comes as it is made, so that frame counters only rise. A caller may bring older ones.
    pub live: bool,
}

impl Sender {
    /// A caller who may speak for meters of `tenant`, or of all.
    #[must_use]
    pub fn caller(tenant: Option<Tenant>) -> Self {
        let (check_sum, source) = (CheckSum::Required, "a caller".to_owned());
        Self { source, from: None, check_sum, meter: None, tenant, live: false }
    }
}

/// What became of a telegram that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whose it is.
    pub meter: MeterId,
    /// When it was made.
    pub time: Timestamp,
    /// Where that time comes from.
    pub time_basis: TimeBasis,
    /// Whether it was kept; else its interval is held already.
    pub stored: bool,
    /// Meters behind it that readings were kept of.
    pub sub_meters: Vec<MeterId>,
}

impl<S: Store, A: MeterAccess> Telegrams<S, A> {
    /// Takes telegrams of the ports of `options` on `tasks` until `stop`, and those that it is given. At most
    /// `unclaimed` unknown devices are remembered.
    ///
    /// # Errors
    /// [`ListenError`]; then no port is open. A serial port, or a serial server, that is not there is tried again.
    pub async fn start(
        head_end: HeadEnd<S, A>,
        options: TelegramOptions,
        unclaimed: usize,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, ListenError> {
        let surroundings = Surroundings::new(&options, tasks.clone(), stop.clone());
        let mut ports = Vec::new();
        for port in options.ports {
            ports.push(OpenPort::open(port).await?);
        }
        let telegrams = Self(Arc::new(Inner {
            head_end,
            interval_s: i64::try_from(options.interval.as_secs()).unwrap_or(900).max(1),
            time_zone: options.time_zone,
            counts: Counts::default(),
            unclaimed: Unclaimed::default(),
            alerts: Alerts::default(),
            seen: Mutex::default(),
            addresses: ports.iter().filter_map(OpenPort::address).collect(),
        }));
        for port in ports {
            tasks.spawn(port.run(telegrams.clone(), Arc::clone(&surroundings)));
        }
        let (noting, stop) = (telegrams.clone(), stop.clone());
        tasks.spawn(async move {
            let Inner { head_end, unclaimed: heard, alerts, .. } = &*noting.0;
            write_notes(&**head_end.registry().store(), head_end.events(), heard, alerts, unclaimed, &stop).await;
        });
        Ok(telegrams)
    }

    /// What became of telegrams so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Where it is listened, in the order of the options.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.addresses
    }

    /// Takes one telegram, plain or ciphered; a ciphered one is deciphered in place.
    ///
    /// # Errors
    /// [`Refused`]; nothing is kept then. After [`Refused::Store`] the same telegram can be given again.
    pub async fn take(&self, octets: &mut [u8], sender: &Sender) -> Result<Taken, Refused> {
        let taken = self.verified(octets, sender).await;
        self.0.counts.ended(&taken);
        match &taken {
            Ok(taken) => tracing::debug!(source = sender.source, meter = %taken.meter, taken.stored, "telegram taken"),
            Err(refused) => self.refused(refused, sender),
        }
        taken
    }

    fn refused(&self, refused: &Refused, sender: &Sender) {
        tracing::debug!(source = sender.source, reason = refused.reason(), error = %refused, "telegram refused");
        let identity = match refused {
            Refused::UnknownEquipment(equipment) => DeviceIdentity::Equipment(*equipment),
            Refused::UnknownTitle(title) => DeviceIdentity::Title(*title),
            Refused::Security { meter, .. } => {
                let event =
                    || OwnEvent::PushNotVerified.event(Some(meter), format!("from {}: {refused}", sender.source));
                return self.0.alerts.tell(refused.reason(), meter.to_string(), event);
            }
            _ => return,
        };
        // What is there for the caller of a tenant is no measure for all.
        if sender.tenant.is_none() {
            self.heard(identity, &sender.source);
        }
    }

    fn heard(&self, identity: DeviceIdentity, source: &str) {
        if !self.0.unclaimed.heard(identity, source) {
            self.0.counts.unclaimed_dropped();
        }
    }

    async fn verified(&self, octets: &mut [u8], sender: &Sender) -> Result<Taken, Refused> {
        if octets.len() > TELEGRAM_OCTETS_MAX {
            return Err(Refused::TooLong { limit: TELEGRAM_OCTETS_MAX });
        }
        if octets.first() == Some(&CIPHERED) {
            return self.ciphered(octets, sender).await;
        }
        let telegram = Telegram::parse(octets, sender.check_sum.rule()).map_err(Refused::Telegram)?;
        let record = self.named(&telegram, sender).await?;
        let stated = record.settings.push.plaintext_from.map(|address| address.to_canonical());
        let believed = sender.from.is_none_or(|from| stated == Some(from.to_canonical()));
        if record.customer_port_key_set || !believed {
            return Err(Refused::Plaintext(record.id));
        }
        self.keep(&telegram, &record, sender).await
    }

    async fn ciphered(&self, octets: &mut [u8], sender: &Sender) -> Result<Taken, Refused> {
        let header = ProtectedHeader::parse(octets).map_err(|_| Refused::Telegram(TelegramError::NoStart))?;
        let title = header.title.ok_or(Refused::NoIdentifier)?;
        let mut senders = self.0.head_end.registry().telegram_senders(title).await?;
        senders.retain(|of| sees(sender, &of.record));
        let mut refused = Refused::UnknownTitle(title);
        // Mostly there is one. A meter may be registered once for each of its clients.
        for of in senders {
            let meter = &of.record.id;
            let floor = if sender.live { self.seen(meter).counter.unwrap_or(0) } else { 0 };
            let mut copy = octets.to_vec();
            let opened = Decipherer::<RustCrypto>::new(&of.keys, ReceiveFloor::new(floor));
            let opened = opened.map_err(dlms::p1::CipheredError::from);
            match opened.and_then(|mut opener| opener.open(&mut copy).map(|telegram| (telegram, opener.floor()))) {
                Ok((telegram, _)) => {
                    check_meter(&of.record, reading::identifier(&telegram), sender)?;
                    if sender.live {
                        self.note(meter, |seen| seen.counter = Some(header.counter));
                    }
                    return self.keep(&telegram, &of.record, sender).await;
                }
                Err(dlms::p1::CipheredError::Security(SecurityError::Counter { .. })) => {
                    refused = Refused::Replay(meter.clone());
                }
                Err(dlms::p1::CipheredError::Security(error)) => {
                    refused = Refused::Security { meter: meter.clone(), error };
                }
                Err(dlms::p1::CipheredError::Telegram(error)) => refused = Refused::Telegram(error),
                Err(_) => refused = Refused::Telegram(TelegramError::NoStart),
            }
        }
        Err(refused)
    }

    /// The meter that a telegram in clear names, or its port.
    async fn named(&self, telegram: &Telegram<'_>, sender: &Sender) -> Result<MeterRecord, Refused> {
        let registry = self.0.head_end.registry();
        let printed = reading::identifier(telegram);
        if let Some(meter) = &sender.meter {
            let record = registry.get(meter).await?;
            let in_service = record.settings.lifecycle.status != LifecycleStatus::Decommissioned;
            if !in_service || !sees(sender, &record) {
                return Err(StoreError::NotFound(meter.resource_name()).into());
            }
            check_meter(&record, printed, sender)?;
            return Ok(record);
        }
        let equipment = printed.ok_or(Refused::NoIdentifier)?;
        let mut found = registry.telegram_meters(equipment).await?;
        found.retain(|record| sees(sender, record));
        match (found.pop(), found.is_empty()) {
            (Some(record), true) => Ok(record),
            (Some(_), false) => Err(Refused::Ambiguous(equipment)),
            (None, _) => Err(Refused::UnknownEquipment(equipment)),
        }
    }

    /// Keeps what a telegram says, unless its interval is held.
    async fn keep(&self, telegram: &Telegram<'_>, record: &MeterRecord, sender: &Sender) -> Result<Taken, Refused> {
        let stated = record.settings.customer_port.as_ref().and_then(|port| port.zone().flatten());
        let zone = stated.unwrap_or_else(|| self.0.time_zone.clone());
        let received = Timestamp::now();
        let made = telegram.time().and_then(|printed| time::moment(printed, &zone));
        let (time, time_basis) =
            made.map_or((received, TimeBasis::Received), |made| (made.time, TimeBasis::ConfiguredOffset));
        let meter = record.id.clone();
        let mut taken = Taken { meter, time, time_basis, stored: false, sub_meters: Vec::new() };
        let interval = time.as_second().div_euclid(self.0.interval_s);
        if self.holds(&taken.meter, interval).await? {
            return Ok(taken);
        }
        let (mut elsewhere, mut of_others) = (Vec::new(), Vec::new());
        for device in reading::devices(telegram) {
            if let Some(sub_meter) = self.sub_meter(&device, record, sender).await? {
                elsewhere.push(device.channel);
                of_others.push((sub_meter, device));
            }
        }
        for (sub_meter, device) in of_others {
            if self.keep_device(&sub_meter, &device, &zone, received).await? {
                taken.sub_meters.push(sub_meter);
            }
        }
        let events: Vec<_> =
            reading::failures(telegram, &zone).iter().map(|failure| event(failure, &taken.meter, received)).collect();
        self.0.head_end.events().record(&**self.0.head_end.registry().store(), events).await?;
        let peaks = reading::peaks(telegram, &zone);
        if !peaks.is_empty() {
            let columns = reading::peak_columns().to_vec();
            self.append(&taken.meter, Some(reading::PEAKS), columns, peaks, received).await?;
        }
        // Last: with it the interval is held.
        let Cells { columns, values } = reading::of_meter(telegram, &elsewhere, &zone);
        if !columns.is_empty() {
            let clock = made.map(|Moment { clock, .. }| clock);
            let row = CaptureRow { time, time_basis, clock, status: None, values };
            self.append(&taken.meter, None, columns, vec![row], received).await?;
            self.note(&taken.meter, |seen| seen.interval = Some(interval));
            taken.stored = true;
        }
        Ok(taken)
    }

    /// Whether a telegram of this interval was kept.
    async fn holds(&self, meter: &MeterId, interval: i64) -> Result<bool, StoreError> {
        if self.seen(meter).interval == Some(interval) {
            return Ok(true);
        }
        let at = |interval: i64| Timestamp::from_second(interval.saturating_mul(self.0.interval_s));
        let (Ok(from), Ok(to)) = (at(interval), at(interval.saturating_add(1))) else { return Ok(false) };
        let filter = CaptureFilter::Registers;
        let query = CaptureQuery {
            meter: meter.clone(),
            filter,
            from,
            to,
            all_revisions: false,
            after: None,
            limit: LOOKED_AT,
        };
        let page = self.0.head_end.registry().store().query(query).await?;
        Ok(page.captures.iter().any(|capture| capture.source == Source::Telegram))
    }

    /// The meter that a device behind `main` is registered as, of the same tenant. What is said of others stays with the
    /// meter that says it, and they are noted as unknown.
    async fn sub_meter(
        &self,
        device: &Device,
        main: &MeterRecord,
        sender: &Sender,
    ) -> Result<Option<MeterId>, Refused> {
        let mut found = self.0.head_end.registry().telegram_meters(device.equipment).await?;
        if found.is_empty() && sender.tenant.is_none() {
            let source = format!("{}, channel {}", main.id.resource_name(), device.channel);
            self.heard(DeviceIdentity::Equipment(device.equipment), &source);
        }
        found.retain(|record| record.settings.tenant == main.settings.tenant && record.id != main.id);
        Ok(found.pop().filter(|_| found.is_empty()).map(|record| record.id))
    }

    /// Keeps the reading of a device under its own name, dated by itself; whether there was one.
    async fn keep_device(
        &self,
        meter: &MeterId,
        device: &Device,
        zone: &TimeZone,
        received: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(reading) = &device.reading else { return Ok(false) };
        let (cells, Some(read)) = (reading::of_device(reading), time::moment(reading.time, zone)) else {
            return Ok(false);
        };
        if cells.is_empty() {
            return Ok(false);
        }
        let row = CaptureRow {
            time: read.time,
            time_basis: TimeBasis::ConfiguredOffset,
            clock: Some(read.clock),
            status: None,
            values: cells.values,
        };
        self.append(meter, None, cells.columns, vec![row], received).await?;
        Ok(true)
    }

    async fn append(
        &self,
        meter: &MeterId,
        profile: Option<dlms::obis::ObisCode>,
        columns: Vec<crate::operation::CaptureColumn>,
        rows: Vec<CaptureRow>,
        received: Timestamp,
    ) -> Result<(), StoreError> {
        let batch = CaptureBatch {
            meter: meter.clone(),
            profile,
            columns: columns.into(),
            period_s: 0,
            rows,
            flags: Vec::new(),
            source: Source::Telegram,
            received,
        };
        // What waits in memory is written as soon as it can be.
        self.0.head_end.keep(batch).await.map(drop)
    }

    fn seen(&self, meter: &MeterId) -> Seen {
        self.0.seen.lock().ok().and_then(|seen| seen.get(meter).copied()).unwrap_or_default()
    }

    fn note(&self, meter: &MeterId, change: impl FnOnce(&mut Seen)) {
        let Ok(mut seen) = self.0.seen.lock() else { return };
        // What is forgotten is asked of the store again.
        if seen.len() >= REMEMBERED && !seen.contains_key(meter) {
            seen.clear();
        }
        change(seen.entry(meter.clone()).or_default());
    }
}

/// Whether there is such a meter for the sender.
fn sees(sender: &Sender, record: &MeterRecord) -> bool {
    sender.tenant.is_none() || sender.tenant == record.settings.tenant
}

/// Refuses what is of another meter than the one that is asked for, or that its line belongs to.
fn check_meter(
    record: &MeterRecord,
    printed: Option<crate::meter::EquipmentId>,
    sender: &Sender,
) -> Result<(), Refused> {
    let stated = record.settings.customer_port.as_ref().and_then(|port| port.equipment_id);
    let fits = stated.is_none() || printed.is_none() || stated == printed;
    match &sender.meter {
        Some(meter) if *meter != record.id => Err(Refused::OtherMeter(meter.clone())),
        _ if fits => Ok(()),
        _ => Err(Refused::OtherMeter(record.id.clone())),
    }
}

/// A long power failure as an event, dated by its end.
fn event(failure: &Failure, meter: &MeterId, received: Timestamp) -> NewEvent {
    NewEvent {
        meter: Some(meter.clone()),
        time: failure.end.time,
        time_basis: TimeBasis::ConfiguredOffset,
        clock: Some(failure.end.clock),
        origin: EventOrigin::Pushed,
        source: Some(dlms::p1::PowerFailures::CODE),
        code: None,
        name: "long power failure ended".to_owned(),
        category: EventCategory::Power,
        iec_code: String::new(),
        alarm: false,
        detail: format!("duration_s={}", failure.duration_s),
        received,
    }
}

/// The rule of a check sum, for whoever parses telegrams of its own.
impl From<CheckSum> for CrcRule {
    fn from(of: CheckSum) -> Self {
        of.rule()
    }
}
