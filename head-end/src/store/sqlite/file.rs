//! Opening one database file: pragmas and migrations.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{SqliteOptions, failure::Context};
use crate::store::StoreError;

/// What a sort of file holds: how it is recognised, and the numbered steps to its newest schema.
pub(super) struct Schema {
    /// `application_id` of the file.
    pub(super) application: i64,
    /// The steps; a file with `user_version` n has had the first n of them.
    pub(super) migrations: &'static [&'static str],
}

/// The control database: "DHEC".
pub(super) const CONTROL: Schema = Schema {
    application: 0x4448_4543,
    migrations: &[
        include_str!("../sql/control/001-initial.sql"),
        include_str!("../sql/control/002-push.sql"),
        include_str!("../sql/control/003-collection.sql"),
        include_str!("../sql/control/004-jobs.sql"),
        include_str!("../sql/control/005-events.sql"),
        include_str!("../sql/control/006-audit.sql"),
        include_str!("../sql/control/007-firmware.sql"),
        include_str!("../sql/control/008-groups-keys.sql"),
        include_str!("../sql/control/009-cursors.sql"),
        include_str!("../sql/control/010-templates.sql"),
        include_str!("../sql/control/011-customer-port.sql"),
        include_str!("../sql/control/012-upkeep.sql"),
        include_str!("../sql/control/013-device-names.sql"),
    ],
};

/// Readings of a month: "DHER".
pub(super) const MONTH: Schema = Schema {
    application: 0x4448_4552,
    migrations: &[
        include_str!("../sql/month/001-initial.sql"),
        include_str!("../sql/month/002-coverage.sql"),
        include_str!("../sql/month/003-changes.sql"),
    ],
};

/// The store's error for an action on a path.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path: PathBuf = path.to_owned();
    move |source| StoreError::Io { action, path, source: Arc::new(source) }
}

/// The name of a file in errors.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Opens `path` for writing, makes it if it is not there, and brings it to the newest schema.
pub(super) fn open_writer(path: &Path, schema: &Schema, options: SqliteOptions) -> Result<Connection, StoreError> {
    let file = name(path);
    let mut db = Connection::open(path).context(&file, "opening")?;
    db.busy_timeout(options.busy_timeout).context(&file, "setting up")?;
    let pages = options.max_pages.map_or_else(String::new, |pages| format!("PRAGMA max_page_count={pages};"));
    db.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; {pages}"
    ))
    .context(&file, "setting up")?;
    migrate(&mut db, &file, schema)?;
    Ok(db)
}

/// Opens `path` for reading; a file of an older schema is brought to the newest first.
pub(super) fn open_reader(path: &Path, schema: &Schema, options: SqliteOptions) -> Result<Connection, StoreError> {
    let db = read_only(path, options)?;
    let (_, version) = versions(&db, &name(path))?;
    if usize::try_from(version).is_ok_and(|version| version >= schema.migrations.len()) {
        return Ok(db);
    }
    drop(db);
    open_writer(path, schema, options)?;
    read_only(path, options)
}

pub(super) fn read_only(path: &Path, options: SqliteOptions) -> Result<Connection, StoreError> {
    let file = name(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).context(&file, "opening")?;
    db.busy_timeout(options.busy_timeout).context(&file, "setting up")?;
    Ok(db)
}

fn migrate(db: &mut Connection, file: &str, schema: &Schema) -> Result<(), StoreError> {
    let (application, version) = versions(db, file)?;
    let known = i64::try_from(schema.migrations.len()).unwrap_or(i64::MAX);
    if application == schema.application && version == known {
        return Ok(());
    }
    // Looked at again under the write lock: another process may be migrating.
    let transaction =
        db.transaction_with_behavior(TransactionBehavior::Immediate).context(file, "beginning a migration")?;
    let (application, version) = versions(&transaction, file)?;
    let fresh = application == 0 && version == 0;
    if application != schema.application && !fresh {
        return Err(StoreError::Corrupt {
            file: file.to_owned(),
            reason: format!("its application_id is {application:#X}, not {:#X}", schema.application),
        });
    }
    if version > known {
        return Err(StoreError::NewerSchema { file: file.to_owned(), found: version, known });
    }
    for step in schema.migrations.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step).context(file, "migrating")?;
    }
    transaction.pragma_update(None, "application_id", schema.application).context(file, "migrating")?;
    transaction.pragma_update(None, "user_version", known).context(file, "migrating")?;
    transaction.commit().context(file, "migrating")
}

pub(super) fn versions(db: &Connection, file: &str) -> Result<(i64, i64), StoreError> {
    let read =
        |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).context(file, "reading the schema");
    Ok((read("application_id")?, read("user_version")?))
}
