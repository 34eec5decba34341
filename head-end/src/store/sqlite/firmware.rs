//! Firmware images.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{SqliteStore, control::FILE, failure::Context};
use crate::store::{FirmwareStore, ImageId, ImageRow, StoreError, firmware};

impl FirmwareStore for SqliteStore {
    async fn add_image_chunk(&self, upload: Uuid, number: u32, octets: Vec<u8>) -> Result<(), StoreError> {
        self.0.control.write(move |db| add_chunk(db, upload, number, &octets)).await
    }

    async fn finish_image(&self, upload: Uuid, image: ImageRow) -> Result<bool, StoreError> {
        self.0.control.write(move |db| finish(db, upload, &image)).await
    }

    async fn drop_upload(&self, upload: Uuid) -> Result<(), StoreError> {
        self.0.control.write(move |db| drop_chunks(db, upload.as_bytes())).await
    }

    async fn image(&self, id: ImageId) -> Result<Option<ImageRow>, StoreError> {
        self.0.readers.control(move |db| get(db, id)).await
    }

    async fn images(&self, after: Option<ImageId>, limit: usize) -> Result<Vec<ImageRow>, StoreError> {
        self.0.readers.control(move |db| list(db, after, limit)).await
    }

    async fn image_chunk(&self, id: ImageId, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.readers.control(move |db| chunk(db, id, number)).await
    }

    async fn delete_image(&self, id: ImageId) -> Result<bool, StoreError> {
        self.0.control.write(move |db| delete(db, id)).await
    }
}

const COLUMNS: &str = "id, digest, size, identification, version, signature, description, creator, created_ms";

fn add_chunk(db: &Connection, upload: Uuid, number: u32, octets: &[u8]) -> Result<(), StoreError> {
    if number == 0 {
        db.prepare_cached(
            "DELETE FROM firmware_chunks WHERE upload < ?1 AND upload NOT IN (SELECT upload FROM firmware_images)",
        )
        .and_then(|mut delete| delete.execute([firmware::oldest_upload().as_bytes()]))
        .context(FILE, "forgetting unfinished uploads")?;
    }
    db.prepare_cached("INSERT INTO firmware_chunks (upload, number, octets) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![upload.as_bytes(), number, octets]))
        .map(drop)
        .context(FILE, "keeping a part of an image")
}

fn finish(db: &Connection, upload: Uuid, image: &ImageRow) -> Result<bool, StoreError> {
    let inserted = db
        .prepare_cached(
            "INSERT INTO firmware_images (id, upload, digest, size, identification, version, signature, description,
                                          creator, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                image.id.0,
                upload.as_bytes(),
                image.digest,
                image.size,
                image.identification,
                image.version,
                image.signature,
                image.description,
                image.creator,
                image.created.as_millisecond(),
            ])
        })
        .context(FILE, "keeping an image")?;
    if inserted == 0 {
        drop_chunks(db, upload.as_bytes())?;
    }
    Ok(inserted > 0)
}

fn drop_chunks(db: &Connection, upload: &[u8; 16]) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM firmware_chunks WHERE upload = ?1")
        .and_then(|mut delete| delete.execute([upload]))
        .map(drop)
        .context(FILE, "forgetting an upload")
}

fn get(db: &Connection, id: ImageId) -> Result<Option<ImageRow>, StoreError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM firmware_images WHERE id = ?1"))
        .and_then(|mut query| query.query_row([id.0], |row| Ok(image(row))).optional())
        .context(FILE, "reading an image")?
        .transpose()
}

fn list(db: &Connection, after: Option<ImageId>, limit: usize) -> Result<Vec<ImageRow>, StoreError> {
    let mut query = db
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM firmware_images WHERE (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2"
        ))
        .context(FILE, "listing images")?;
    let rows = query
        .query_map(params![after.map(|after| after.0), i64::try_from(limit).unwrap_or(i64::MAX)], |row| Ok(image(row)))
        .context(FILE, "listing images")?;
    rows.map(|row| row.context(FILE, "listing images")?).collect()
}

fn chunk(db: &Connection, id: ImageId, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
    db.prepare_cached(
        "SELECT octets FROM firmware_images JOIN firmware_chunks USING (upload) WHERE id = ?1 AND number = ?2",
    )
    .and_then(|mut query| query.query_row(params![id.0, number], |row| row.get(0)).optional())
    .context(FILE, "reading a part of an image")
}

fn delete(db: &Connection, id: ImageId) -> Result<bool, StoreError> {
    let upload: Option<[u8; 16]> = db
        .prepare_cached("DELETE FROM firmware_images WHERE id = ?1 RETURNING upload")
        .and_then(|mut delete| delete.query_row([id.0], |row| row.get(0)).optional())
        .context(FILE, "removing an image")?;
    upload.as_ref().map(|upload| drop_chunks(db, upload)).transpose().map(|dropped| dropped.is_some())
}

fn image(row: &Row<'_>) -> Result<ImageRow, StoreError> {
    let read = || -> rusqlite::Result<(ImageRow, i64)> {
        let image = ImageRow {
            id: ImageId(row.get(0)?),
            digest: row.get(1)?,
            size: row.get(2)?,
            identification: row.get(3)?,
            version: row.get(4)?,
            signature: row.get(5)?,
            description: row.get(6)?,
            creator: row.get(7)?,
            created: Timestamp::UNIX_EPOCH,
        };
        Ok((image, row.get(8)?))
    };
    let (image, created) = read().context(FILE, "reading an image")?;
    let created = Timestamp::from_millisecond(created).map_err(|_| StoreError::Corrupt {
        file: FILE.to_owned(),
        reason: "an image with an impossible time".to_owned(),
    })?;
    Ok(ImageRow { created, ..image })
}
