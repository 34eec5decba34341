//! A meter that lives in flash memory: what it is, what it keeps, and the line it answers on.

mod image;
mod line;
mod objects;
mod settings;

use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, Conformance, DataAccessResult, MethodDescriptor, Selection};
use dlms::association::server::{Access, AssociationConfig, Cursor, Device, Offer, Progress, SecurityConfig};
use dlms::axdr::{Data, Writer};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms_meter_server::counters::Counters;
use dlms_meter_server::flash::nor_flash::MultiwriteNorFlash;
use dlms_meter_server::flash::{FlashSlots, RowRing};
use dlms_meter_server::objects::{NewKeys, SecurityDescription, SecurityState};
use dlms_meter_server::{LogicalDevice, Moment};

use super::common::{self, READING, SYSTEM_TITLE, energy};
use image::{Bank, Receiver};
use objects::{ROW_OCTETS, row};
use settings::{Keys, Settings};

pub use super::common::PDU_OCTETS;
pub use image::IMAGE_OCTETS;
pub use line::{Line, Memory, ROOM, line};

const SERVICES: Conformance = common::SERVICES.union(Conformance::SET);
/// Seconds between two rows.
const PERIOD_SECONDS: i64 = common::PERIOD_SECONDS as i64;

/// Where in flash memory a meter keeps what.
pub struct Places<F> {
    /// Keys, password, clock: two blocks.
    pub settings: F,
    /// Invocation counters: two blocks.
    pub counters: F,
    /// Rows of the load profile.
    pub rows: F,
    /// How far the transfer of an image is: two blocks.
    pub transfer: F,
    /// The image.
    pub image: F,
}

/// What was kept cannot be read, or does not fit: such a meter stays off its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// All that changes in this meter. Whatever a client changes is in flash memory before the client is told that it is
/// done; when power fails before, it is as it was, or as it was to be.
pub struct Meter<F: MultiwriteNorFlash> {
    /// Seconds since 1970, UTC, as the board's clock counts them. What the meter shows is set by clients.
    now: i64,
    settings: Settings<F>,
    /// Keys that are kept, and will be in force when the response is made that still has the old ones.
    replaced: Option<Keys>,
    /// Changes whenever a key does.
    generation: u32,
    counters: Counters<FlashSlots<F>>,
    rows: RowRing<F, ROW_OCTETS>,
    /// The quarter-hour of the newest row.
    captured: Option<i64>,
    image: Receiver<F>,
}

impl<F: MultiwriteNorFlash + 'static> Meter<F> {
    /// The meter that these places hold: as it leaves the factory when they are erased.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn open(places: Places<F>) -> Result<Self, Lost> {
        let settings = Settings::open(FlashSlots::new(places.settings).ok_or(Lost)?)?;
        let slots = FlashSlots::new(places.counters).ok_or(Lost)?;
        let counters = Counters::open(slots, settings.keys.number, 0).map_err(|_| Lost)?;
        let rows = RowRing::open(places.rows).ok_or(Lost)?;
        let newest = rows.first().checked_add(rows.len()).and_then(|next| next.checked_sub(1));
        let captured =
            newest.and_then(|newest| rows.get(newest)).map(|octets| row(&octets).0.div_euclid(PERIOD_SECONDS));
        let mut image = Bank::receiver(places.image, FlashSlots::new(places.transfer).ok_or(Lost)?).ok_or(Lost)?;
        image.set_enabled(settings.shown.images);
        Ok(Self { now: 0, settings, replaced: None, generation: 0, counters, rows, captured, image })
    }

    /// Says what the time is, in seconds since 1970, UTC, to be called once a second or oftener. At every quarter-hour that
    /// the meter's clock shows, a row of the load profile is written; one that was set back waits until it is past the
    /// newest row, so that rows stay in order.
    pub fn tick(&mut self, seconds: i64) {
        self.now = seconds;
        self.image.poll();
        let shown = self.shown_seconds(seconds);
        let quarter = shown.div_euclid(PERIOD_SECONDS);
        let Some(captured) = self.captured else {
            self.captured = Some(quarter);
            return;
        };
        if quarter <= captured {
            return;
        }
        let begin = quarter.saturating_mul(PERIOD_SECONDS);
        let since = shown.saturating_sub(begin);
        let mut octets = [0; ROW_OCTETS];
        let (time, value) = octets.split_at_mut(8);
        time.copy_from_slice(&begin.to_be_bytes());
        value.copy_from_slice(&energy(Moment::from_seconds(seconds.saturating_sub(since))).to_be_bytes());
        // A row that the memory does not take is tried again at the next tick.
        if self.rows.append(&octets) {
            self.captured = Some(quarter);
        }
    }

    fn device(&mut self) -> LogicalDevice<'_, Self> {
        LogicalDevice { table: Self::TABLE, at: Moment::from_seconds(self.now), state: self }
    }

    /// Does what a client asks for, and keeps what that has changed; else it is taken back.
    fn change<T, E>(
        &mut self,
        failed: E,
        asked: impl FnOnce(&mut LogicalDevice<'_, Self>) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = self.settings.shown.clone();
        let done = asked(&mut self.device())?;
        self.settings.shown.images = self.image.is_enabled();
        // Keys keep themselves.
        if self.settings.shown == before || self.settings.keep(None) {
            return Ok(done);
        }
        self.image.set_enabled(before.images);
        self.settings.shown = before;
        Err(failed)
    }
}

impl<F: MultiwriteNorFlash + 'static> SecurityState for Meter<F> {
    type Crypto = dlms::security::SmallCrypto;

    fn security(&self, _: u8) -> Option<SecurityDescription> {
        let config = self.settings.keys.config();
        Some(SecurityDescription {
            policy: config.policy,
            suite: config.suite,
            client_title: None,
            server_title: SYSTEM_TITLE,
        })
    }

    /// The policy is the strongest already.
    fn activate(&mut self, _: u8, _: dlms::security::SecurityPolicy) -> Result<(), ActionResult> {
        Ok(())
    }

    fn master_key(&self, _: u8) -> Option<&dlms::security::KeyEncryptionKey> {
        Some(&self.settings.keys.master)
    }

    fn replace_keys(&mut self, _: u8, keys: NewKeys) -> Result<(), ActionResult> {
        if keys.broadcast.is_some() {
            return Err(ActionResult::ReadWriteDenied);
        }
        let new = self.settings.keys.with(&keys).ok_or(ActionResult::OtherReason)?;
        if !self.settings.keep(Some(&new)) {
            return Err(ActionResult::TemporaryFailure);
        }
        self.replaced = Some(new);
        Ok(())
    }
}

impl<F: MultiwriteNorFlash + 'static> Device for Meter<F> {
    const OFFER: Offer = Offer { services: SERVICES, ..Offer::MINIMAL };

    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>> {
        let public = AssociationConfig::public(SERVICES, PDU_OCTETS);
        match (client, server) {
            (ClientSap::PUBLIC, ServerSap::MANAGEMENT) => Some(public),
            (READING, ServerSap::MANAGEMENT) => {
                Some(AssociationConfig { mechanism: Mechanism::Lls, secret: self.settings.keys.password(), ..public })
            }
            (ClientSap::MANAGEMENT, ServerSap::MANAGEMENT) => {
                let security: Option<SecurityConfig<'_>> = Some(self.settings.keys.config());
                Some(AssociationConfig { mechanism: Mechanism::Gmac, security, ..public })
            }
            _ => None,
        }
    }

    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        self.device().read(access, attribute, selection, cursor, out)
    }

    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        self.change(DataAccessResult::TemporaryFailure, |device| device.write(access, attribute, selection, value))
    }

    fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        self.change(ActionResult::TemporaryFailure, |device| device.invoke(access, method, parameter, out))
    }

    fn take_counter(&mut self, _: ServerSap, _: u8) -> Option<u32> {
        self.counters.take()
    }

    fn floor(&self, _: ServerSap, _: u8, peer: SystemTitle) -> u32 {
        self.counters.floor(peer)
    }

    fn accept_counter(&mut self, _: ServerSap, _: u8, peer: SystemTitle, counter: u32) {
        self.counters.accept(peer, counter);
    }

    fn key_generation(&self, _: ServerSap, _: u8) -> u32 {
        self.generation
    }

    fn answered(&mut self, _: ServerSap) {
        let Some(new) = self.replaced.take() else { return };
        // Counters belong to the encryption key: under one that stays they go on.
        if new.number != self.settings.keys.number {
            self.counters.restart(new.number);
        }
        self.settings.keys = new;
        self.generation = self.generation.wrapping_add(1);
    }
}
