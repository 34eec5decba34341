//! What a channel has captured, and when: of its past as much as clients have made different.

use crate::moment::Moment;

/// Spells that are told apart; beyond it the oldest are told as one, or forgotten.
const SPELLS_MAX: usize = 16;

/// A time in which a channel captures alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spell {
    pub(super) from: Moment,
    /// Index of the device.
    pub(super) device: Option<usize>,
    /// The capture that stands when the spell begins.
    pub(super) captured: Moment,
    /// Seconds between captures; 0 when there are no further ones.
    pub(super) period_s: u32,
}

impl Spell {
    /// The last capture before or at a moment.
    pub(super) fn captured_at(&self, at: Moment) -> Moment {
        match i64::from(self.period_s) {
            0 => self.captured,
            period => Moment::from_seconds(at.as_seconds().div_euclid(period) * period).max(self.captured),
        }
    }

    /// Captures at the ends of periods after `from`, `to` at the latest.
    pub(super) fn captures(&self, from: Moment, to: Moment) -> i64 {
        match i64::from(self.period_s) {
            0 => 0,
            period => to.as_seconds().div_euclid(period) - from.as_seconds().div_euclid(period),
        }
    }
}

/// The spells of a channel, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spells(pub(super) Vec<Spell>);

impl Spells {
    /// The spell in which a moment lies.
    pub(super) fn at(&self, at: Moment) -> Option<&Spell> {
        self.0.iter().rev().find(|spell| spell.from <= at)
    }

    pub(super) fn push(&mut self, next: Spell) {
        let goes_on = |last: &Spell| {
            (last.device, last.period_s, last.captured_at(next.from)) == (next.device, next.period_s, next.captured)
        };
        if self.0.last().is_some_and(goes_on) {
            return;
        }
        self.0.push(next);
        if self.0.len() > SPELLS_MAX {
            let alike = matches!(&self.0[..], [first, second, ..]
                if (first.device, first.period_s) == (second.device, second.period_s));
            self.0.remove(usize::from(alike));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u32 = 3_600;

    fn spell(from: i64, device: Option<usize>, period_s: u32) -> Spell {
        let from = Moment::from_seconds(from);
        Spell { from, device, captured: from, period_s }
    }

    #[test]
    fn captures_are_at_the_ends_of_periods_from_the_beginning_of_a_spell_on() {
        let spell = spell(5_000, Some(0), HOUR);
        let at = |seconds| spell.captured_at(Moment::from_seconds(seconds)).as_seconds();
        assert_eq!([at(5_000), at(7_199), at(7_200), at(10_000)], [5_000, 5_000, 7_200, 7_200]);
        assert_eq!(spell.captures(Moment::from_seconds(5_000), Moment::from_seconds(14_400)), 3);
        assert_eq!(Spell { period_s: 0, ..spell }.captured_at(Moment::from_seconds(99_999)).as_seconds(), 5_000);
    }

    #[test]
    fn the_past_is_bounded_and_what_goes_on_is_no_new_spell() {
        let mut spells = Spells(vec![spell(0, Some(0), HOUR)]);
        spells.push(Spell { from: Moment::from_seconds(8_000), captured: Moment::from_seconds(7_200), ..spells.0[0] });
        assert_eq!(spells.0.len(), 1);
        for number in 1..100 {
            spells.push(spell(10_000 * number, (number % 2 == 0).then_some(0), HOUR));
        }
        assert_eq!(spells.0.len(), SPELLS_MAX);
        assert_eq!(spells.at(Moment::from_seconds(990_001)), Some(&spell(990_000, None, HOUR)));
        assert_eq!(spells.at(Moment::from_seconds(1)), None, "forgotten");
    }
}
