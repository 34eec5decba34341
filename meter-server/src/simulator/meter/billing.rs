//! Billing periods of a simulated meter: the months of the calendar, and what clients and schedules ended early.

use std::collections::VecDeque;

use super::Meter;
use crate::moment::Moment;

/// Ends of billing periods that are kept beside those of the months. When there are more, the oldest is forgotten: its
/// row is gone from the billing profile as if the buffer had been full.
const RESETS_MAX: usize = 64;

/// Billing periods that were ended within a month.
#[derive(Debug, Default)]
pub(crate) struct Billing {
    pub(super) resets: VecDeque<Moment>,
    /// Those that are forgotten.
    pub(super) forgotten: u32,
}

impl Meter {
    /// Ends the billing period at this moment: a row of the billing profile, and maxima begin anew. Nothing happens where
    /// one has ended just then, as at the start of a month.
    pub(crate) fn end_billing_period(&mut self, at: Moment) {
        // Rows tell time in seconds, so that there is one in each.
        let at = Moment::from_seconds(at.as_seconds());
        if self.billing_start(at) == at {
            return;
        }
        if self.billing.resets.len() >= RESETS_MAX {
            self.billing.resets.pop_front();
            self.billing.forgotten = self.billing.forgotten.saturating_add(1);
        }
        self.billing.resets.push_back(at);
    }

    /// The start of the billing period that a moment belongs to.
    pub(crate) fn billing_start(&self, at: Moment) -> Moment {
        let ended = self.billing.resets.iter().rev().find(|reset| **reset <= at);
        let month = self.start_of_month(at);
        ended.map_or(month, |reset| month.max(*reset))
    }

    /// How many billing periods were ended within months until a moment.
    pub(crate) fn billing_resets(&self, at: Moment) -> u64 {
        let until = self.billing.resets.partition_point(|reset| *reset <= at);
        u64::from(self.billing.forgotten) + until as u64
    }

    /// Which period ended within a month has this number among all, if one has that is still known. `ordinal` gives the
    /// number that the month of a moment has without them.
    pub(super) fn billing_reset(&self, number: u64, ordinal: impl Fn(Moment) -> u64) -> Result<Moment, u64> {
        let mut before = u64::from(self.billing.forgotten);
        for reset in &self.billing.resets {
            let own = ordinal(*reset) + before + 1;
            if own == number {
                return Ok(*reset);
            }
            if own > number {
                break;
            }
            before += 1;
        }
        Err(number.saturating_sub(before))
    }
}
