//! How far whoever passes readings and events on has come.

use rusqlite::{OptionalExtension, params};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::store::{CursorStore, StoreError};

impl CursorStore for SqliteStore {
    async fn cursor(&self, name: &'static str) -> Result<Option<u64>, StoreError> {
        let read = self.0.readers.control(move |db| {
            db.prepare_cached("SELECT position FROM cursors WHERE name = ?1")
                .and_then(|mut query| query.query_row([name], |row| row.get::<_, i64>(0)).optional())
                .context(FILE, "reading a cursor")
        });
        Ok(read.await?.map(i64::cast_unsigned))
    }

    async fn keep_cursor(&self, name: &'static str, position: u64) -> Result<(), StoreError> {
        let write = self.0.control.write(move |db| {
            db.prepare_cached(
                "INSERT INTO cursors (name, position) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET position = excluded.position",
            )
            .and_then(|mut insert| insert.execute(params![name, position.cast_signed()]))
            .map(drop)
            .context(FILE, "keeping a cursor")
        });
        write.await
    }
}
