//! Days that follow another day profile than the week says.

use dlms::cosem::special_days_table::SpecialDay;
use dlms::time::Date;

use super::date_rule::matches_date;

/// Special days that a table holds.
pub const SPECIAL_DAYS_MAX: usize = 32;

/// A special days table (class 11).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpecialDays {
    pub(crate) entries: heapless::Vec<SpecialDay, SPECIAL_DAYS_MAX>,
}

impl SpecialDays {
    /// No special days.
    pub const NONE: Self = Self { entries: heapless::Vec::new() };

    /// The entries, by their index.
    #[must_use]
    pub fn entries(&self) -> &[SpecialDay] {
        &self.entries
    }

    /// Adds a day, or replaces the one of the same index; false when there is no room for it.
    #[must_use]
    pub fn insert(&mut self, day: SpecialDay) -> bool {
        let place = self.entries.partition_point(|entry| entry.index < day.index);
        match self.entries.get_mut(place) {
            Some(entry) if entry.index == day.index => {
                *entry = day;
                true
            }
            _ => self.entries.insert(place, day).is_ok(),
        }
    }

    /// Removes the day with this index; false when there is none.
    #[must_use]
    pub fn delete(&mut self, index: u16) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.index != index);
        self.entries.len() != before
    }

    /// The day profile of a date that is special. Of several entries the one with the lowest index counts.
    #[must_use]
    pub fn day_id(&self, date: Date) -> Option<u8> {
        self.entries.iter().find(|entry| matches_date(entry.date, date)).map(|entry| entry.day_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn special(index: u16, octets: [u8; 5], day_id: u8) -> SpecialDay {
        SpecialDay { index, date: Date::from_bytes(&octets), day_id }
    }

    #[test]
    fn the_lowest_index_counts_and_the_table_is_bounded() {
        let mut table = SpecialDays::NONE;
        assert!(table.insert(special(7, [0xFF, 0xFF, 12, 25, 0xFF], 3)));
        assert!(table.insert(special(2, [0x07, 0xEA, 12, 25, 5], 4)));
        let christmas = |year| Date::new(year, 12, 25).unwrap();
        assert_eq!(table.day_id(christmas(2026)), Some(4));
        assert_eq!(table.day_id(christmas(2027)), Some(3));
        assert_eq!(table.day_id(Date::new(2026, 12, 24).unwrap()), None);
        assert!(table.insert(special(2, [0xFF, 0xFF, 1, 1, 0xFF], 5)));
        assert_eq!(table.entries().len(), 2);
        assert!(table.delete(2) && !table.delete(2));
        for index in 100.. {
            if !table.insert(special(index, [0xFF; 5], 1)) {
                assert_eq!(table.entries().len(), SPECIAL_DAYS_MAX);
                break;
            }
        }
        assert!(table.insert(special(100, [0xFF; 5], 9)), "an entry that is there can be replaced in a full table");
    }
}
