//! Firmware images.

use std::{fmt, future::Future, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use uuid::{NoContext, Uuid};

use super::StoreError;

/// Octets of each chunk of an image but its last one: what of an image is in memory at a time.
pub const IMAGE_CHUNK: usize = 64 * 1024;

/// How long an upload may take.
const UPLOAD_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The first upload, in the order of their ids, that may still be finished.
pub(super) fn oldest_upload() -> Uuid {
    let then = Timestamp::now().saturating_sub(UPLOAD_KEPT).unwrap_or(Timestamp::UNIX_EPOCH);
    let seconds = u64::try_from(then.as_second()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, 0))
}

/// Firmware images, in chunks of [`IMAGE_CHUNK`] octets.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait FirmwareStore: Send + Sync + 'static {
    /// Keeps a chunk of an upload, which is a UUID of version 7. With number 0, uploads that were begun more than a day
    /// ago and never finished are forgotten.
    ///
    /// # Errors
    /// The store's own.
    fn add_image_chunk(
        &self,
        upload: Uuid,
        number: u32,
        octets: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes an image of an upload; false where there is one with this id: it stays as it is, and the upload is
    /// forgotten.
    ///
    /// # Errors
    /// The store's own.
    fn finish_image(&self, upload: Uuid, image: ImageRow) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Forgets an upload that was not finished.
    ///
    /// # Errors
    /// The store's own.
    fn drop_upload(&self, upload: Uuid) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// An image.
    ///
    /// # Errors
    /// The store's own.
    fn image(&self, id: ImageId) -> impl Future<Output = Result<Option<ImageRow>, StoreError>> + Send;

    /// Images in the order of their ids, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn images(
        &self,
        after: Option<ImageId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ImageRow>, StoreError>> + Send;

    /// A chunk of an image; `None` where there is no such image or chunk.
    ///
    /// # Errors
    /// The store's own.
    fn image_chunk(&self, id: ImageId, number: u32)
    -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// Removes an image; whether it was there.
    ///
    /// # Errors
    /// The store's own.
    fn delete_image(&self, id: ImageId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Names an image by what it is: the first half of the SHA-256 of its octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(pub [u8; 16]);

impl ImageId {
    /// The image with this SHA-256.
    #[must_use]
    pub fn of(digest: &[u8; 32]) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
        Self(id)
    }

    /// `images/{image}`.
    #[must_use]
    pub fn resource_name(self) -> String {
        format!("images/{self}")
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ImageId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id)?;
        Ok(Self(id))
    }
}

/// An image as stored, without its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRow {
    /// Its name.
    pub id: ImageId,
    /// SHA-256 of its octets.
    pub digest: [u8; 32],
    /// Octets.
    pub size: u32,
    /// image_identifier of the transfer (class 18), by which meters know it.
    pub identification: Vec<u8>,
    /// What the active firmware identifier of a meter says that runs it; empty where nobody said.
    pub version: String,
    /// The maker's signature as it was handed in, for whoever asks; meters verify what is in the image.
    pub signature: Vec<u8>,
    /// For people.
    pub description: String,
    /// Who uploaded it.
    pub creator: String,
    /// When.
    pub created: Timestamp,
}
