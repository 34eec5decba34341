//! Readings into the files of their months.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{
    SqliteOptions, changes, file, insert,
    month::{self, OpenMonths},
};
use crate::store::{
    Appended, StoreCounts, StoreError,
    month::Month,
    pieces::Piece,
    writer::{Limits, Readings, Sink},
};

/// Starts the writer into the files in `directory`.
pub(super) fn start(
    directory: &Path,
    options: SqliteOptions,
    counts: Arc<StoreCounts>,
) -> Result<Readings, StoreError> {
    let newest = newest_change(directory, options)?;
    let files = Files { directory: directory.to_owned(), options, open: OpenMonths::default(), newest, counts };
    let limits = Limits { captures: options.waiting_captures, patience: options.append_patience, retry: options.retry };
    Readings::start(files, newest, limits).map_err(file::io("start the writer of", directory))
}

struct Files {
    directory: PathBuf,
    options: SqliteOptions,
    open: OpenMonths,
    newest: u64,
    counts: Arc<StoreCounts>,
}

impl Sink for Files {
    fn write(&mut self, month: Month, pieces: &[&Piece]) -> Result<(Vec<Appended>, u64), StoreError> {
        let began = Instant::now();
        let captures = pieces.iter().map(|piece| piece.rows.len()).sum();
        let opened = self.open.get(month, || month::open_writer(&self.directory, month, self.options));
        let written = opened.and_then(|db| insert::write(db, &month.to_string(), self.newest + 1, pieces));
        self.counts.readings.committed(captures, began.elapsed(), written.is_ok());
        let (counts, next) = written?;
        // Numbers of a failed commit are given out again: nobody has seen them.
        self.newest = next - 1;
        Ok((counts, self.newest))
    }

    fn reset(&mut self, month: Month) {
        self.open.close(month);
    }
}

/// The newest change in any file. Opening them brings files of earlier versions to the present schema, which readers
/// cannot do.
fn newest_change(directory: &Path, options: SqliteOptions) -> Result<u64, StoreError> {
    let mut newest = 0;
    for month in month::stored(directory)? {
        let db = month::open_writer(directory, month, options)?;
        newest = changes::newest(&db, &month.to_string())?.max(newest);
    }
    Ok(newest)
}
