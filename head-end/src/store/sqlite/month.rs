//! The files of readings, named after months, and a few of them held open.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{SqliteOptions, file};
use crate::store::{StoreError, month::Month};

/// Files of readings that one thread holds open: this month, the last one, and two for queries far back.
const OPEN: usize = 4;

/// The month that a file is named after.
fn from_file_name(name: &str) -> Option<Month> {
    let (year, month) = name.strip_prefix("readings-")?.strip_suffix(".sqlite3")?.rsplit_once('-')?;
    Month::new(year.parse().ok()?, month.parse().ok()?)
}

/// Whether a file of this name has the readings of a month.
pub(super) fn is_file_name(name: &str) -> bool {
    from_file_name(name).is_some_and(|month| format!("{month}.sqlite3") == name)
}

/// The file of `month` in `directory`.
pub(super) fn path(month: Month, directory: &Path) -> PathBuf {
    directory.join(format!("{month}.sqlite3"))
}

/// Months that have a file, in order.
pub(super) fn stored(directory: &Path) -> Result<Vec<Month>, StoreError> {
    let mut months = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(file::io("list", directory))? {
        let entry = entry.map_err(file::io("list", directory))?;
        months.extend(entry.file_name().to_str().and_then(from_file_name));
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
    file::open_writer(&path(month, directory), &file::MONTH, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_readings_are_months() {
        let month = from_file_name("readings-2026-11.sqlite3");
        assert_eq!(month, Month::new(2026, 11));
        for other in
            ["readings-2026-13.sqlite3", "readings-2026-11.sqlite3-wal", "control.sqlite3", "readings-x-1.sqlite3"]
        {
            assert_eq!(from_file_name(other), None, "{other}");
        }
    }
}
