//! What is wrong with one meter.

use std::sync::LazyLock;

use dlms::security::Suite;

use super::Meter;
use super::events::{LogKind, code};
use super::supply::CLOCK_RESERVE_S;
use crate::moment::Moment;
use crate::simulator::defect::DefectKind;
use crate::simulator::keys::Keys;
use crate::simulator::timeline::wall_clock;

/// The defects that a meter has. Most have none, and then this takes one word.
#[derive(Debug, Default)]
pub(crate) struct Defects(Option<Box<Suffered>>);

#[derive(Debug, Default)]
struct Suffered {
    standing: Vec<DefectKind>,
    /// The counter of every answer.
    repeated: Option<u32>,
}

impl Defects {
    fn has(&self, kind: DefectKind) -> bool {
        self.0.as_ref().is_some_and(|suffered| suffered.standing.contains(&kind))
    }
}

impl Meter {
    /// Whether the meter has a defect that stays.
    pub(crate) fn has_defect(&self, kind: DefectKind) -> bool {
        self.defects.has(kind)
    }

    /// The defects that stay.
    pub(crate) fn defects(&self) -> &[DefectKind] {
        self.defects.0.as_ref().map_or(&[], |suffered| &suffered.standing)
    }

    /// Something breaks.
    pub(crate) fn suffer(&mut self, kind: DefectKind, at: Moment) {
        match kind {
            DefectKind::ResetCounter => {
                self.security.reset_counters();
            }
            DefectKind::Clock(seconds) => {
                // The clock goes wrong by itself: no event tells of it.
                let shown = self.clock.shown(at).plus_millis(i64::from(seconds).saturating_mul(1_000));
                self.clock.set(at, shown);
                self.times_changed();
            }
            DefectKind::FullLog => self.fill_logs(at),
            DefectKind::MbusAlarm => self.mbus_alarmed(at),
            DefectKind::Reboot => self.lose_power(0, at),
            DefectKind::PowerCut(seconds) => self.lose_power(seconds, at),
            _ => {
                let suffered = self.defects.0.get_or_insert_default();
                if !suffered.standing.contains(&kind) {
                    suffered.standing.push(kind);
                }
                if kind == DefectKind::SilentMbus {
                    self.mbus_disturbed(at);
                }
            }
        }
    }

    /// The power comes back after so many seconds.
    fn lose_power(&mut self, seconds: u32, at: Moment) {
        self.record(LogKind::Standard, at.plus_millis(-1000 * i64::from(seconds)), code::POWER_DOWN);
        self.record(LogKind::Standard, at, code::POWER_UP);
        self.cut_off(seconds, at);
        if seconds > CLOCK_RESERVE_S {
            self.clock.is_valid(false, at);
            self.record(LogKind::Standard, at, code::CLOCK_INVALID);
        }
    }

    /// Defects that stay are mended; what has happened once stays so.
    pub(crate) fn mend(&mut self, at: Moment) {
        let silent = self.has_defect(DefectKind::SilentMbus);
        self.defects.0 = None;
        if silent {
            self.mbus_disturbed(at);
        }
    }

    /// Enters as many events as each log holds: covers that open and close.
    fn fill_logs(&mut self, at: Moment) {
        for kind in LogKind::ALL {
            for number in 0..self.model.log_capacity(kind) {
                let opened = number.is_multiple_of(2);
                let code = if opened { code::TERMINAL_COVER_REMOVED } else { code::TERMINAL_COVER_CLOSED };
                self.record(kind, at, code);
            }
        }
    }

    /// The counter of the next protected APDU of a meter that counts wrongly.
    pub(super) fn repeated_counter(&mut self, take: impl FnOnce(&mut Self) -> Option<u32>) -> Option<u32> {
        if !self.has_defect(DefectKind::RepeatCounter) {
            return take(self);
        }
        if let Some(counter) = self.defects.0.as_ref().and_then(|suffered| suffered.repeated) {
            return Some(counter);
        }
        let counter = take(self);
        if let Some(suffered) = &mut self.defects.0 {
            suffered.repeated = counter;
        }
        counter
    }

    /// Encryption and authentication key with which the meter protects everything.
    pub(crate) fn keys_in_use(&self) -> (&[u8], &[u8]) {
        match self.wrong_keys() {
            None => (self.security.encryption(), self.security.authentication()),
            Some(wrong) => (wrong.encryption.as_bytes(), wrong.authentication.as_bytes()),
        }
    }

    /// Keys that nobody was told, if the meter's are wrong.
    fn wrong_keys(&self) -> Option<&'static Keys> {
        static KEYS: LazyLock<[Option<Keys>; 2]> = LazyLock::new(|| {
            let secret = wall_clock().as_millis().to_be_bytes();
            let octets: Vec<u8> = secret.iter().copied().cycle().take(32).collect();
            let of = |suite: Suite, length: usize| {
                let key = octets.get(..length)?;
                Keys::of_suite(suite, key, key, &secret).ok()
            };
            [of(Suite::Suite0, 16), of(Suite::Suite2, 32)]
        });
        if !self.has_defect(DefectKind::WrongKeys) {
            return None;
        }
        let [short, long] = &*KEYS;
        if self.security.suite().key_length() == 32 { long.as_ref() } else { short.as_ref() }
    }
}
