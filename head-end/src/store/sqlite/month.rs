//! Months, which name the files of readings, and a few of those files held open.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rusqlite::Connection;

use super::{SqliteOptions, file};
use crate::store::StoreError;

/// Files of readings that one thread holds open: this month, the last one, and two for queries far back.
const OPEN: usize = 4;

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month of `time`.
    pub(super) fn of(time: Timestamp) -> Self {
        let date = TimeZone::UTC.to_datetime(time).date();
        Self { year: date.year(), month: date.month() }
    }

    /// The month before.
    pub(super) fn previous(self) -> Self {
        match self.month {
            1 => Self { year: self.year.saturating_sub(1), month: 12 },
            month => Self { month: month - 1, ..self },
        }
    }

    /// The month that a file is named after.
    fn from_file_name(name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix("readings-")?.strip_suffix(".sqlite3")?.rsplit_once('-')?;
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        Date::new(year, month, 1).ok().map(|_| Self { year, month })
    }

    /// The file in `directory`.
    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{self}.sqlite3"))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "readings-{:04}-{:02}", self.year, self.month)
    }
}

/// Months that have a file, in order.
pub(super) fn stored(directory: &Path) -> Result<Vec<Month>, StoreError> {
    let mut months = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(file::io("list", directory))? {
        let entry = entry.map_err(file::io("list", directory))?;
        months.extend(entry.file_name().to_str().and_then(Month::from_file_name));
    }
    months.sort_unstable();
    Ok(months)
}

/// Open files, the least recently used of which makes room.
#[derive(Debug, Default)]
pub(super) struct OpenMonths {
    open: BTreeMap<Month, (u64, Connection)>,
    uses: u64,
}

impl OpenMonths {
    /// The connection to the file of `month`, opened by `open` if it is not.
    pub(super) fn get(
        &mut self,
        month: Month,
        open: impl FnOnce() -> Result<Connection, StoreError>,
    ) -> Result<&mut Connection, StoreError> {
        if !self.open.contains_key(&month) {
            let db = open()?;
            if self.open.len() >= OPEN {
                let oldest = self.open.iter().min_by_key(|(_, (used, _))| *used).map(|(month, _)| *month);
                oldest.and_then(|month| self.open.remove(&month));
            }
            self.open.insert(month, (0, db));
        }
        self.uses = self.uses.wrapping_add(1);
        let (used, db) = self.open.get_mut(&month).ok_or(StoreError::Closed)?;
        *used = self.uses;
        Ok(db)
    }

    /// Closes the file of `month`, after an error that its connection may be part of.
    pub(super) fn close(&mut self, month: Month) {
        self.open.remove(&month);
    }
}

/// Opens the file of `month` for writing.
pub(super) fn open_writer(directory: &Path, month: Month, options: SqliteOptions) -> Result<Connection, StoreError> {
    file::open_writer(&month.path(directory), &file::MONTH, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_change_at_midnight_utc() {
        let month = |text: &str| Month::of(text.parse().unwrap()).to_string();
        assert_eq!(month("2026-10-31T23:59:59.999Z"), "readings-2026-10");
        assert_eq!(month("2026-11-01T00:00:00Z"), "readings-2026-11");
    }

    #[test]
    fn only_files_of_readings_are_months() {
        let month = Month::from_file_name("readings-2026-11.sqlite3");
        assert_eq!(month, Some(Month { year: 2026, month: 11 }));
        for other in
            ["readings-2026-13.sqlite3", "readings-2026-11.sqlite3-wal", "control.sqlite3", "readings-x-1.sqlite3"]
        {
            assert_eq!(Month::from_file_name(other), None, "{other}");
        }
    }
}
