//! How far whoever passes readings and events on has come.

use super::{
    PostgresStore,
    pool::{execute, get, row},
};
use crate::store::{CursorStore, StoreError};

impl CursorStore for PostgresStore {
    async fn cursor(&self, name: &'static str) -> Result<Option<u64>, StoreError> {
        let action = "reading a cursor";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let row = row(db, action, "SELECT position FROM cursors WHERE name = $1", &[&name]).await?;
                    row.map(|row| get::<i64>(&row, 0).map(i64::cast_unsigned)).transpose()
                })
            })
            .await
    }

    async fn keep_cursor(&self, name: &'static str, position: u64) -> Result<(), StoreError> {
        let action = "keeping a cursor";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "INSERT INTO cursors (name, position) VALUES ($1, $2)
                               ON CONFLICT (name) DO UPDATE SET position = excluded.position";
                    execute(db, action, sql, &[&name, &position.cast_signed()]).await.map(drop)
                })
            })
            .await
    }
}
