//! Firmware images.

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    PostgresStore,
    failure::corrupt,
    pool::{execute, get, limit as count, row, rows, text, unsigned},
};
use crate::store::{FirmwareStore, ImageId, ImageRow, StoreError, firmware::oldest_upload};

impl FirmwareStore for PostgresStore {
    async fn add_image_chunk(&self, upload: Uuid, number: u32, octets: Vec<u8>) -> Result<(), StoreError> {
        let action = "keeping a part of an image";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { add_chunk(db, upload, number, &octets).await }))
            .await
    }

    async fn finish_image(&self, upload: Uuid, image: ImageRow) -> Result<bool, StoreError> {
        let action = "keeping an image";
        self.0.connections.write(action, move |db| Box::pin(async move { finish(db, upload, &image).await })).await
    }

    async fn drop_upload(&self, upload: Uuid) -> Result<(), StoreError> {
        let action = "forgetting an upload";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { drop_chunks(db, upload.as_bytes()).await }))
            .await
    }

    async fn image(&self, id: ImageId) -> Result<Option<ImageRow>, StoreError> {
        let action = "reading an image";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = format!("SELECT {COLUMNS} FROM firmware_images WHERE id = $1");
                    row(db, action, &sql, &[&&id.0[..]]).await?.as_ref().map(image).transpose()
                })
            })
            .await
    }

    async fn images(&self, after: Option<ImageId>, limit: usize) -> Result<Vec<ImageRow>, StoreError> {
        let action = "listing images";
        self.0.connections.read(action, move |db| Box::pin(list(db, after, limit))).await
    }

    async fn image_chunk(&self, id: ImageId, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let action = "reading a part of an image";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT octets FROM firmware_images JOIN firmware_chunks USING (upload)
                               WHERE id = $1 AND number = $2";
                    let row = row(db, action, sql, &[&&id.0[..], &i64::from(number)]).await?;
                    row.map(|row| get(&row, 0)).transpose()
                })
            })
            .await
    }

    async fn delete_image(&self, id: ImageId) -> Result<bool, StoreError> {
        let action = "removing an image";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "DELETE FROM firmware_images WHERE id = $1 RETURNING upload";
                    let Some(row) = row(db, action, sql, &[&&id.0[..]]).await? else { return Ok(false) };
                    drop_chunks(db, get(&row, 0)?).await?;
                    Ok(true)
                })
            })
            .await
    }
}

const COLUMNS: &str = "id, digest, size, identification, version, signature, description, creator, created_ms";

async fn add_chunk(db: &Transaction<'_>, upload: Uuid, number: u32, octets: &[u8]) -> Result<(), StoreError> {
    if number == 0 {
        let sql = "DELETE FROM firmware_chunks WHERE upload < $1
                   AND NOT EXISTS (SELECT 1 FROM firmware_images WHERE firmware_images.upload = firmware_chunks.upload)";
        execute(db, "forgetting unfinished uploads", sql, &[&&oldest_upload().as_bytes()[..]]).await?;
    }
    let sql = "INSERT INTO firmware_chunks (upload, number, octets) VALUES ($1, $2, $3)";
    execute(db, "keeping a part of an image", sql, &[&&upload.as_bytes()[..], &i64::from(number), &octets])
        .await
        .map(drop)
}

async fn finish(db: &Transaction<'_>, upload: Uuid, image: &ImageRow) -> Result<bool, StoreError> {
    let sql = "INSERT INTO firmware_images (id, upload, digest, size, identification, version, signature, description,
                                            creator, created_ms)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING";
    let inserted = execute(
        db,
        "keeping an image",
        sql,
        &[
            &&image.id.0[..],
            &&upload.as_bytes()[..],
            &&image.digest[..],
            &i64::from(image.size),
            &image.identification,
            &text(&image.version),
            &image.signature,
            &text(&image.description),
            &text(&image.creator),
            &image.created.as_millisecond(),
        ],
    )
    .await?;
    if inserted == 0 {
        drop_chunks(db, upload.as_bytes()).await?;
    }
    Ok(inserted > 0)
}

async fn drop_chunks(db: &Transaction<'_>, upload: &[u8]) -> Result<(), StoreError> {
    execute(db, "forgetting an upload", "DELETE FROM firmware_chunks WHERE upload = $1", &[&upload]).await.map(drop)
}

async fn list(db: &impl GenericClient, after: Option<ImageId>, limit: usize) -> Result<Vec<ImageRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM firmware_images WHERE id > $1 ORDER BY id LIMIT $2");
    // No id comes before the empty one.
    let after = after.map(|after| after.0.to_vec()).unwrap_or_default();
    rows(db, "listing images", &sql, &[&after, &count(limit)]).await?.iter().map(image).collect()
}

fn image(row: &Row) -> Result<ImageRow, StoreError> {
    let wrong = |what: &str| corrupt(format!("an image with an impossible {what}"));
    Ok(ImageRow {
        id: ImageId(get::<&[u8]>(row, 0)?.try_into().map_err(|_| wrong("name"))?),
        digest: get::<&[u8]>(row, 1)?.try_into().map_err(|_| wrong("digest"))?,
        size: unsigned(row, 2)?,
        identification: get(row, 3)?,
        version: get(row, 4)?,
        signature: get(row, 5)?,
        description: get(row, 6)?,
        creator: get(row, 7)?,
        created: Timestamp::from_millisecond(get(row, 8)?).map_err(|_| wrong("time"))?,
    })
}
