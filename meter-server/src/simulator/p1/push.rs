//! Consumer ports that push lists of values: Norwegian meters in HDLC frames, an Austrian one ciphered over M-Bus, and Swiss
//! ones what their push setups list.
//!
//! Lists, their order, types, scalers and frames are those of captured pushes of each make.

use std::ops::Range;

use dlms::apdu::{BlockControl, GeneralBlockTransfer};
use dlms::axdr::{BufferFull, Writer};
use dlms::hdlc::{self, Address, Control, Kind, Repr, Sequence, Width};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};

use super::P1Dialect;
use crate::moment::Moment;
use crate::simulator::consumption::Quantity;
use crate::simulator::meter::Meter;
use crate::simulator::meter::values::Instantaneous;

/// Octets of a list.
const LIST_MAX: usize = 4_096;
/// Octets of a block, and of an information field, as captured.
const BLOCK_OCTETS: usize = 122;
const SEGMENT_OCTETS: usize = 154;
/// Octets of an entry of a push object list.
const ENTRY_OCTETS: usize = 18;
/// Octets of a notification in front of its body: tag, long invoke-id and time.
const PUSHED_HEADER: usize = 18;
/// What stands in front of an APDU in a frame.
const LLC: [u8; 3] = [0xE6, 0xE7, 0x00];

type Written = Result<(), BufferFull>;

/// Which list a meter sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Import alone.
    Power,
    /// Identification, power, currents and voltages.
    Values,
    /// The same with clock and energies.
    Hour,
}

impl List {
    /// The list that is due at a moment; `None` for none.
    pub(super) fn at(dialect: P1Dialect, at: Moment) -> Option<Self> {
        let millis = at.as_millis();
        // Kamstrup meters tell the hour after five seconds, the others after ten.
        let (of_hour, short) = match dialect {
            P1Dialect::Kamstrup => (5_000, None),
            P1Dialect::Aidon | P1Dialect::Kaifa => (10_000, Some(Self::Power)),
            _ => return Some(Self::Values),
        };
        if millis.rem_euclid(3_600_000) == of_hour {
            Some(Self::Hour)
        } else if millis.rem_euclid(10_000) == 0 {
            Some(Self::Values)
        } else {
            short
        }
    }
}

/// The notification of a list, plain.
pub(super) fn notification(dialect: P1Dialect, list: List, meter: &Meter, at: Moment) -> Result<Vec<u8>, BufferFull> {
    let mut buffer = vec![0; LIST_MAX];
    let mut page = Page { meter, at, out: Writer::new(&mut buffer) };
    match dialect {
        P1Dialect::Aidon => page.aidon(list)?,
        P1Dialect::Kaifa => page.kaifa(list)?,
        P1Dialect::Kamstrup => page.kamstrup(list)?,
        P1Dialect::LandisGyr | P1Dialect::Iskraemeco => page.pushed(dialect)?,
        _ => page.austria()?,
    }
    let length = page.out.len();
    buffer.truncate(length);
    Ok(buffer)
}

/// An APDU in the frames of the dialect.
pub(super) fn framed(dialect: P1Dialect, apdu: &[u8]) -> Result<Vec<u8>, BufferFull> {
    let information = || [&LLC, apdu].concat();
    match dialect {
        P1Dialect::Aidon => {
            frame((Address::client(0x20), Address::new(4, 0x41, Width::Two)), Kind::Ui, false, &information())
        }
        // Information frames of a link that nobody has opened.
        P1Dialect::Kaifa => {
            let kind = Kind::I { send: Sequence::ZERO, receive: Sequence::ZERO };
            frame((Address::client(0), Address::new(1, 0, Width::Two)), kind, false, &information())
        }
        P1Dialect::Kamstrup => {
            frame((Address::client(0x15), Address::new(0x10, 0, Width::One)), Kind::Ui, false, &information())
        }
        P1Dialect::LandisGyr => blocks(apdu),
        P1Dialect::Iskraemeco => {
            let addresses = (Address::client(0x67), Address::new(1, 0x11, Width::Two));
            let information = information();
            let mut segments = information.chunks(SEGMENT_OCTETS).peekable();
            let mut octets = Vec::new();
            while let Some(segment) = segments.next() {
                octets.extend(frame(addresses, Kind::Ui, segments.peek().is_some(), segment)?);
            }
            Ok(octets)
        }
        _ => Ok(mbus(apdu)),
    }
}

fn frame(
    (destination, source): (Option<Address>, Option<Address>),
    kind: Kind,
    segmented: bool,
    information: &[u8],
) -> Result<Vec<u8>, BufferFull> {
    let (destination, source) = destination.zip(source).ok_or(BufferFull)?;
    let control = match kind {
        // Only the last segment of several has the poll bit.
        Kind::Ui if segmented => Control::from_byte(0x03),
        Kind::Ui => Control::from_byte(0x13),
        _ => Control::with_poll_final(kind),
    };
    let frame = Repr { destination, source, control, segmented, information };
    let mut buffer = vec![0; hdlc::FRAME_MAX];
    let mut out = Writer::new(&mut buffer);
    frame.emit(&mut out)?;
    Ok(out.written().to_vec())
}

/// Blocks of general block transfer, each in a frame of its own and only the first behind an LLC header. No entry of the push
/// object list is cut in two.
fn blocks(apdu: &[u8]) -> Result<Vec<u8>, BufferFull> {
    let addresses = (Address::new(0x67, 0x7F, Width::Two), Address::client(1));
    let list = object_list(apdu);
    let (mut octets, mut number, mut start) = (Vec::new(), 1, 0);
    while start < apdu.len() {
        let mut end = (start + BLOCK_OCTETS).min(apdu.len());
        if list.contains(&end) {
            end -= (end - list.start) % ENTRY_OCTETS;
        }
        let data = apdu.get(start..end).ok_or(BufferFull)?;
        let control = BlockControl::new(end == apdu.len(), true, 0);
        let mut buffer = [0; LLC.len() + BLOCK_OCTETS + 16];
        let mut out = Writer::new(&mut buffer);
        if start == 0 {
            out.bytes(&LLC)?;
        }
        GeneralBlockTransfer { control, number, acknowledged: 0, data }.encode(&mut out)?;
        octets.extend(frame(addresses, Kind::Ui, false, out.written())?);
        (number, start) = (number + 1, end);
    }
    Ok(octets)
}

/// Where the entries of the push object list are in a notification that begins with it.
fn object_list(apdu: &[u8]) -> Range<usize> {
    match apdu.get(PUSHED_HEADER..) {
        Some([0x02, _, 0x01, count @ ..0x80, ..]) => {
            let start = PUSHED_HEADER + 4;
            start..start + usize::from(*count) * ENTRY_OCTETS
        }
        _ => 0..0,
    }
}

/// Long frames of the wired M-Bus: at most 250 octets behind the length, of them 245 of the APDU. The control information
/// counts segments, the last of which has bit 4.
fn mbus(apdu: &[u8]) -> Vec<u8> {
    let segments: Vec<_> = apdu.chunks(245).collect();
    let mut octets = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        let last = if number + 1 == segments.len() { 0x10 } else { 0 };
        let information = last | u8::try_from(number & 0x0F).unwrap_or(0);
        let content = [&[0x53, 0xFF, information, 0x01, 0x67], *segment].concat();
        let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
        let sum = content.iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
        octets.extend([0x68, length, length, 0x68]);
        octets.extend(content);
        octets.extend([sum, 0x16]);
    }
    octets
}

struct Page<'a, 'b> {
    meter: &'a Meter,
    at: Moment,
    out: Writer<'b>,
}

/// Value groups C of currents and of voltages.
const CURRENTS: [u8; 3] = [31, 51, 71];
const VOLTAGES: [u8; 3] = [32, 52, 72];
/// Units of power and energy of value group C.
const fn unit(c: u8, energy: bool) -> u8 {
    match (c, energy) {
        (1 | 2, false) => 27,
        (_, false) => 29,
        (1 | 2, true) => 30,
        (_, true) => 32,
    }
}

impl Page<'_, '_> {
    fn phases(&self, groups: [u8; 3]) -> impl Iterator<Item = u8> + use<> {
        groups.into_iter().take(if self.meter.is_single_phase() { 1 } else { 3 })
    }

    fn measured(&self, c: u8) -> f64 {
        Instantaneous::from_group_c(c).map_or(0.0, |quantity| quantity.read(self.meter, self.at))
    }

    fn power(&mut self, c: u8) -> Written {
        let power = self.measured(c).round();
        self.out.double_long_unsigned(power as u32)
    }

    /// Energy in units of `step` watt-hours.
    fn energy(&mut self, c: u8, step: i64) -> Written {
        let energy = Quantity::from_group_c(c).map_or(0, |quantity| self.meter.energy_at(quantity, 0, self.at));
        self.out.double_long_unsigned(u32::try_from(energy / step).unwrap_or(u32::MAX))
    }

    fn clock(&self) -> DateTime {
        self.meter.stamp(self.at)
    }

    /// The clock as these meters have it: without deviation.
    fn local_clock(&self) -> DateTime {
        let clock = self.clock();
        DateTime::new(clock.date(), clock.time(), None, ClockStatus(0))
    }

    fn serial(&self) -> String {
        format!("{:0>16}", self.meter.identity().serial)
    }

    fn scaler_unit(&mut self, scaler: i8, unit: u8) -> Written {
        self.out.structure(2)?;
        self.out.integer(scaler)?;
        self.out.enumerated(unit)
    }

    /// Array of structures: logical name, value, and scaler with unit.
    fn aidon(&mut self, list: List) -> Written {
        self.out.bytes(&[0x0F, 0x40, 0, 0, 0, 0x00])?;
        let phases = self.phases(CURRENTS).count();
        if list == List::Power {
            self.out.array(1)?;
            return self.aidon_power(1);
        }
        self.out.array(7 + 2 * phases + if list == List::Hour { 5 } else { 0 })?;
        let texts = [([1, 1, 0, 2, 129], "AIDON_V0001".to_owned()), ([0, 0, 96, 1, 0], self.serial())];
        for (code, text) in texts.into_iter().chain([([0, 0, 96, 1, 7], "6534".to_owned())]) {
            self.out.structure(2)?;
            self.out.obis(full(code))?;
            self.out.visible_string(&text)?;
        }
        for c in 1..=4 {
            self.aidon_power(c)?;
        }
        for c in self.phases(CURRENTS) {
            self.aidon_entry(c)?;
            let current = (self.measured(c) * 10.0).round();
            self.out.long(current as i16)?;
            self.scaler_unit(-1, 33)?;
        }
        for c in self.phases(VOLTAGES) {
            self.aidon_entry(c)?;
            let voltage = (self.measured(c) * 10.0).round();
            self.out.long_unsigned(voltage as u16)?;
            self.scaler_unit(-1, 35)?;
        }
        if list == List::Hour {
            self.out.structure(2)?;
            self.out.obis(full([0, 0, 1, 0, 0]))?;
            self.out.octets(self.local_clock().as_bytes())?;
            for c in 1..=4 {
                self.out.structure(3)?;
                self.out.obis(full([1, 0, c, 8, 0]))?;
                self.energy(c, 10)?;
                self.scaler_unit(1, unit(c, true))?;
            }
        }
        Ok(())
    }

    fn aidon_entry(&mut self, c: u8) -> Written {
        self.out.structure(3)?;
        self.out.obis(full([1, 0, c, 7, 0]))
    }

    fn aidon_power(&mut self, c: u8) -> Written {
        self.aidon_entry(c)?;
        self.power(c)?;
        self.scaler_unit(0, unit(c, false))
    }

    /// Structure of values alone, which are told by their number. The time has the tag of an octet-string, too.
    fn kaifa(&mut self, list: List) -> Written {
        self.out.bytes(&[0x0F, 0x40, 0, 0, 0, 0x09, 0x0C])?;
        self.out.bytes(self.local_clock().as_bytes())?;
        let phases = self.phases(CURRENTS).count();
        if list == List::Power {
            self.out.structure(1)?;
            return self.power(1);
        }
        self.out.structure(7 + 2 * phases + if list == List::Hour { 5 } else { 0 })?;
        let serial = self.serial();
        for text in ["KFM_001", serial.as_str(), if phases == 1 { "MA105H2E" } else { "MA304H3E" }] {
            self.out.octets(text.as_bytes())?;
        }
        for c in 1..=4 {
            self.power(c)?;
        }
        for c in self.phases(CURRENTS) {
            let current = (self.measured(c) * 1000.0).round();
            self.out.double_long_unsigned(current as u32)?;
        }
        for c in self.phases(VOLTAGES) {
            let voltage = (self.measured(c) * 10.0).round();
            self.out.double_long_unsigned(voltage as u32)?;
        }
        if list == List::Hour {
            self.out.octets(self.local_clock().as_bytes())?;
            for c in 1..=4 {
                self.energy(c, 1)?;
            }
        }
        Ok(())
    }

    /// Structure of the list's name, then logical names and values by turns.
    fn kamstrup(&mut self, list: List) -> Written {
        self.out.bytes(&[0x0F, 0, 0, 0, 0, 0x0C])?;
        self.out.bytes(self.local_clock().as_bytes())?;
        let phases = self.phases(CURRENTS).count();
        self.out.structure(13 + 4 * phases + if list == List::Hour { 10 } else { 0 })?;
        self.out.visible_string("Kamstrup_V0001")?;
        self.out.obis(full([1, 1, 0, 0, 5]))?;
        self.out.visible_string(&self.serial())?;
        self.out.obis(full([1, 1, 96, 1, 1]))?;
        self.out.visible_string("6841131BN243101040")?;
        for c in 1..=4 {
            self.out.obis(full([1, 1, c, 7, 0]))?;
            self.power(c)?;
        }
        for c in self.phases(CURRENTS) {
            self.out.obis(full([1, 1, c, 7, 0]))?;
            let current = (self.measured(c) * 100.0).round();
            self.out.double_long_unsigned(current as u32)?;
        }
        for c in self.phases(VOLTAGES) {
            self.out.obis(full([1, 1, c, 7, 0]))?;
            self.out.long_unsigned(self.measured(c).round() as u16)?;
        }
        if list == List::Hour {
            self.out.obis(full([0, 1, 1, 0, 0]))?;
            self.out.octets(self.local_clock().as_bytes())?;
            for c in 1..=4 {
                self.out.obis(full([1, 1, c, 8, 0]))?;
                self.energy(c, 10)?;
            }
        }
        Ok(())
    }

    /// What stands in front of a body, with a number that counts: here seconds.
    fn numbered(&mut self, flags: u32, clock: &DateTime) -> Written {
        self.out.u8(0x0F)?;
        self.out.u32(u32::try_from(self.at.as_seconds() & 0x00FF_FFFF).unwrap_or(0) | flags)?;
        self.out.u8(0x0C)?;
        self.out.bytes(clock.as_bytes())
    }

    /// What a push setup lists.
    fn pushed(&mut self, dialect: P1Dialect) -> Written {
        let clock = if dialect == P1Dialect::LandisGyr { self.local_clock() } else { self.clock() };
        self.numbered(0, &clock)?;
        let setup = dialect.push_setup().ok_or(BufferFull)?;
        self.meter.write_pushed(setup, self.at, &mut self.out).map_err(|_| BufferFull)
    }

    /// Structure of the clock, logical names with values and scalers by turns, and the meter's number.
    fn austria(&mut self) -> Written {
        let clock = self.clock();
        self.numbered(0x8000_0000, &clock)?;
        self.out.structure(35)?;
        self.out.octets(clock.as_bytes())?;
        for c in [1, 2] {
            self.out.obis(full([1, 0, c, 8, 0]))?;
            self.energy(c, 1)?;
            self.scaler_unit(0, 30)?;
        }
        for c in [1, 2] {
            self.out.obis(full([1, 0, c, 7, 0]))?;
            self.power(c)?;
            self.scaler_unit(0, 27)?;
        }
        for (groups, scaler, unit) in [(VOLTAGES, -1, 35), (CURRENTS, -2, 33), ([13; 3], -3, 255)] {
            for c in groups.into_iter().take(if groups == [13; 3] { 1 } else { 3 }) {
                self.out.obis(full([1, 0, c, 7, 0]))?;
                let value = self.measured(c).abs() * 10_f64.powi(-i32::from(scaler));
                self.out.long_unsigned(value.round() as u16)?;
                self.scaler_unit(scaler, unit)?;
            }
        }
        self.out.octets(self.meter.identity().serial.as_bytes())
    }
}

const fn full([a, b, c, d, e]: [u8; 5]) -> ObisCode {
    ObisCode::new(a, b, c, d, e, 255)
}
