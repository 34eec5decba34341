//! Copies of a store: taken while it is used, and put in place of one that is lost.
//!
//! A copy is older than what was done since. Readings that are missing are collected again; what must never happen
//! twice is an invocation counter, and an action at a meter. So a restored store counts on from far above what the copy
//! says, and the jobs that had not ended in it are cancelled.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    SqliteOptions, SqliteStore, control, counters,
    failure::Context,
    file::{self, CONTROL, MONTH, Schema},
    lock, month,
};
use crate::store::StoreError;

/// By how much a restored store moves every invocation counter up: more than a key uses in the life of a backup (2^16
/// sessions, each with a block of its own), and a 256th of all there are.
pub const RESTORE_JUMP: u32 = 1 << 24;

/// The file that says what a copy consists of.
const MANIFEST: &str = "backup.json";
/// Version of that file.
const FORMAT: u32 = 1;
/// Largest such file that is read: a line for each month of a thousand years.
const MANIFEST_OCTETS: u64 = 4 * 1024 * 1024;
/// Where a store is put together before it takes its place.
const STAGE: &str = "restore-unfinished";

/// What a copy consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    /// Version of this description.
    pub format: u32,
    /// When it was begun.
    pub created: Timestamp,
    /// The files.
    pub files: Vec<BackupFile>,
}

/// A file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    /// Its path in the copy, as in the store.
    pub name: String,
    /// Its octets.
    pub octets: u64,
    /// Digest of them (SHA-256), in hexadecimal digits.
    pub sha256: String,
}

/// What a restored store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What it was made of.
    pub manifest: BackupManifest,
    /// Invocation counters that were moved up.
    pub counters: usize,
    /// Jobs that had not ended, and were cancelled.
    pub jobs: usize,
}

/// Why there is no copy, or no store from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is something already.
    #[error("{} is there already; name a place where nothing is", .0.display())]
    Exists(PathBuf),
    /// There is no store to be copied.
    #[error("there is no store in {}", .0.display())]
    NoStore(PathBuf),
    /// The copy is not whole.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The store's own.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn damaged(path: &Path, reason: impl ToString) -> BackupError {
    BackupError::Damaged { path: path.to_owned(), reason: reason.to_string() }
}

impl SqliteStore {
    /// Copies the store in `directory` into the new directory `into`; a head-end may use it meanwhile. The master key is
    /// not copied: without it the copy opens for nobody, and it is to be kept elsewhere.
    ///
    /// # Errors
    /// [`BackupError`]; then `into` is not there.
    pub fn back_up(directory: &Path, into: &Path, options: SqliteOptions) -> Result<BackupManifest, BackupError> {
        let control = directory.join(control::FILE);
        if !control.is_file() {
            return Err(BackupError::NoStore(directory.to_owned()));
        }
        if into.exists() {
            return Err(BackupError::Exists(into.to_owned()));
        }
        let mut unfinished = into.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let stage = Stage::make(PathBuf::from(unfinished))?;
        let created = Timestamp::now();
        // Plans say in the control database up to where readings are held: those that are copied later may only be more.
        let mut files = vec![copy(&control, &CONTROL, &stage.0, control::FILE, options)?];
        let readings = directory.join("readings");
        make_private(&stage.0.join("readings"))?;
        for month in month::stored(&readings)? {
            let name = format!("readings/{month}.sqlite3");
            files.push(copy(&month::path(month, &readings), &MONTH, &stage.0, &name, options)?);
        }
        let manifest = BackupManifest { format: FORMAT, created, files };
        let path = stage.0.join(MANIFEST);
        let text = serde_json::to_string_pretty(&manifest).map_err(|error| damaged(&path, error))?;
        let mut file = File::create_new(&path).map_err(file::io("make", &path))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(file::io("write", &path))?;
        stage.finish(into)?;
        Ok(manifest)
    }

    /// Makes the store of `directory`, where none may be, from the copy in `backup`. Every invocation counter begins
    /// [`RESTORE_JUMP`] above what the copy says, so that none is used twice.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no store in `directory`.
    pub fn restore(backup: &Path, directory: &Path, options: SqliteOptions) -> Result<Restored, BackupError> {
        let manifest = manifest(backup)?;
        make_private(directory)?;
        let _lock = lock(directory)?;
        let (control, readings) = (directory.join(control::FILE), directory.join("readings"));
        for path in [&control, &readings] {
            let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
            if path.exists() && !empty {
                return Err(BackupError::Exists(path.clone()));
            }
        }
        let stage = directory.join(STAGE);
        if stage.exists() {
            // Left by an attempt that was interrupted; nothing else makes it.
            fs::remove_dir_all(&stage).map_err(file::io("remove", &stage))?;
        }
        let stage = Stage::make(stage)?;
        make_private(&stage.0.join("readings"))?;
        for file in &manifest.files {
            take(backup, file, &stage.0)?;
        }
        let (counters, jobs) = advance(&stage.0.join(control::FILE), options)?;
        if readings.exists() {
            fs::remove_dir(&readings).map_err(file::io("replace", &readings))?;
        }
        // The control database last: without it there is no store.
        let (from, to) = (stage.0.join("readings"), &readings);
        fs::rename(&from, to).map_err(file::io("move", &from))?;
        let from = stage.0.join(control::FILE);
        fs::rename(&from, &control).map_err(file::io("move", &from))?;
        synchronise(directory)?;
        Ok(Restored { manifest, counters, jobs })
    }
}

/// A directory that is made for a while; what is in it is removed unless it is finished.
struct Stage(PathBuf);

impl Stage {
    fn make(path: PathBuf) -> Result<Self, BackupError> {
        if path.exists() {
            return Err(BackupError::Exists(path));
        }
        make_private(&path)?;
        Ok(Self(path))
    }

    fn finish(self, at: &Path) -> Result<(), StoreError> {
        synchronise(&self.0)?;
        fs::rename(&self.0, at).map_err(file::io("move", &self.0))?;
        synchronise(at.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(directory = %self.0.display(), %error, "an unfinished copy stays behind");
        }
    }
}

fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(file::io("make", path))
}

/// Makes names that were changed in a directory durable.
fn synchronise(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(file::io("synchronise", directory))
}

/// Copies one database as it is at one moment, its log included.
fn copy(
    from: &Path,
    schema: &Schema,
    stage: &Path,
    name: &str,
    options: SqliteOptions,
) -> Result<BackupFile, BackupError> {
    let to = stage.join(name);
    let text = to.to_str().ok_or_else(|| damaged(&to, "its path is not valid UTF-8"))?;
    let db = file::open_reader(from, schema, options)?;
    db.execute("VACUUM INTO ?1", [text]).context(&file::name(from), "copying")?;
    drop(db);
    let (octets, sha256) = digest(&to)?;
    File::open(&to).and_then(|file| file.sync_all()).map_err(file::io("synchronise", &to))?;
    Ok(BackupFile { name: name.to_owned(), octets, sha256 })
}

fn digest(path: &Path) -> Result<(u64, String), StoreError> {
    let mut file = File::open(path).map_err(file::io("open", path))?;
    let (mut hash, mut octets, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        let count = file.read(&mut buffer).map_err(file::io("read", path))?;
        if count == 0 {
            return Ok((octets, hex::encode(hash.finalize())));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        octets += count as u64;
    }
}

fn manifest(backup: &Path) -> Result<BackupManifest, BackupError> {
    let path = backup.join(MANIFEST);
    let length = fs::metadata(&path).map_err(file::io("find", &path))?.len();
    if length > MANIFEST_OCTETS {
        return Err(damaged(&path, "is longer than such a file can be"));
    }
    let text = fs::read_to_string(&path).map_err(file::io("read", &path))?;
    let manifest: BackupManifest = serde_json::from_str(&text).map_err(|error| damaged(&path, error))?;
    if manifest.format != FORMAT {
        return Err(damaged(&path, format!("has format {}, this version knows {FORMAT}", manifest.format)));
    }
    // Nothing of it may lead elsewhere.
    let is_known = |name: &str| match name.strip_prefix("readings/") {
        Some(month) => month::is_file_name(month),
        None => name == control::FILE,
    };
    if let Some(other) = manifest.files.iter().find(|file| !is_known(&file.name)) {
        return Err(damaged(&path, format!("{:?} is no file of a store", other.name)));
    }
    if !manifest.files.iter().any(|file| file.name == control::FILE) {
        return Err(damaged(&path, "the control database is missing"));
    }
    Ok(manifest)
}

/// Takes one file over, if it is what it was.
fn take(backup: &Path, file: &BackupFile, stage: &Path) -> Result<(), BackupError> {
    let (from, to) = (backup.join(&file.name), stage.join(&file.name));
    fs::copy(&from, &to).map_err(file::io("copy", &from))?;
    let (octets, sha256) = digest(&to)?;
    if (octets, &sha256) != (file.octets, &file.sha256) {
        return Err(damaged(&from, "is not what was copied: its digest differs"));
    }
    File::open(&to).and_then(|file| file.sync_all()).map_err(file::io("synchronise", &to))?;
    Ok(())
}

/// Moves the counters up and cancels what had not ended.
fn advance(path: &Path, options: SqliteOptions) -> Result<(usize, usize), StoreError> {
    let db = file::open_writer(path, &CONTROL, options)?;
    let moved = in_transaction(&db)?;
    // The log is part of the file afterwards, which alone is moved.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).context(control::FILE, "finishing")?;
    db.close().map_err(|(_, error)| error).context(control::FILE, "closing")?;
    Ok(moved)
}

fn in_transaction(db: &Connection) -> Result<(usize, usize), StoreError> {
    db.execute_batch("BEGIN IMMEDIATE").context(control::FILE, "beginning")?;
    counters::raise_floor(db, RESTORE_JUMP)?;
    let counters = db
        .execute("UPDATE counters SET next = min(next + ?1, ?2)", params![RESTORE_JUMP, u32::MAX])
        .context(control::FILE, "moving the counters up")?;
    // 0 expanding, 1 awaiting approval and 2 running become 3, cancelling: what may have been sent is resolved by reading.
    let jobs = db
        .execute("UPDATE jobs SET state = 3, updated_ms = ?1 WHERE state < 3", [Timestamp::now().as_millisecond()])
        .context(control::FILE, "cancelling jobs")?;
    db.execute_batch("COMMIT").context(control::FILE, "committing")?;
    Ok((counters, jobs))
}
