//! What simulated meters remember across restarts: two files for each record.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::journal::{Forgetful, Slots};

/// Where a record of a meter is kept.
#[derive(Debug)]
pub(crate) enum State {
    /// Nowhere: each start is the first one.
    Forgotten(Forgetful),
    /// In the files `NAME.0` and `NAME.1`.
    Files([PathBuf; 2]),
}

impl State {
    /// The record `record` of the meter with this serial number in `folder`, if there is a folder.
    pub(crate) fn new(folder: Option<&Path>, serial: &str, record: &str) -> Self {
        match folder {
            None => Self::Forgotten(Forgetful),
            Some(folder) => Self::Files([0, 1].map(|slot| folder.join(format!("{serial}.{record}.{slot}")))),
        }
    }
}

impl Slots for State {
    fn read(&mut self, slot: usize, out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Forgotten(nothing) => nothing.read(slot, out),
            Self::Files(paths) => match fs::File::open(&paths[slot]) {
                // One octet more than fits would be a file of somebody else's.
                Ok(file) => {
                    let mut octets = Vec::new();
                    file.take(out.len() as u64 + 1).read_to_end(&mut octets).ok()?;
                    out.get_mut(..octets.len())?.copy_from_slice(&octets);
                    Some(octets.len())
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Some(0),
                Err(_) => None,
            },
        }
    }

    fn write(&mut self, slot: usize, octets: &[u8]) -> bool {
        match self {
            Self::Forgotten(nothing) => nothing.write(slot, octets),
            Self::Files(paths) => {
                let written = fs::File::create(&paths[slot]).and_then(|mut file| {
                    file.write_all(octets)?;
                    file.sync_data()
                });
                if let Err(error) = &written {
                    tracing::error!(path = %paths[slot].display(), %error, "state cannot be kept");
                }
                written.is_ok()
            }
        }
    }
}
