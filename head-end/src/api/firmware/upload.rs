//! An image as it comes in, a chunk of it in memory at a time.

use std::pin::Pin;

use dlms_proto::v1::{ImageHeader, UploadImageRequest, upload_image_request::Part};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use uuid::Uuid;

use super::failed;
use crate::{
    access::Caller,
    api::{parse::Violations, status},
    store::{FirmwareStore, IMAGE_CHUNK, ImageId, ImageRow, StoreError},
};

/// Octets of an image, at most.
const IMAGE: usize = 64 * 1024 * 1024;
/// Octets of an identification, which meters keep.
const IDENTIFICATION: usize = 64;
/// Octets of a signature.
const SIGNATURE: usize = 4_096;
/// Characters of a version and of a description.
const VERSION: usize = 64;
const DESCRIPTION: usize = 500;

type Parts<T> = Pin<Box<T>>;

/// Stores what comes; nothing of it stays where it does not come to its end.
pub(super) async fn store<S: FirmwareStore>(
    store: &S,
    caller: &Caller,
    mut parts: Parts<impl Stream<Item = Result<UploadImageRequest, Status>> + Send>,
    deadline: Instant,
) -> Result<ImageRow, Status> {
    let Some(Part::Header(header)) = next(&mut parts, deadline).await? else {
        return Err(wrong("header", "is required in the first message"));
    };
    check(&header)?;
    let upload = Uuid::now_v7();
    let received = receive(store, upload, &header, &mut parts, deadline).await;
    let stored = match received {
        Ok((digest, size)) => finish(store, upload, caller, header, digest, size).await,
        Err(status) => Err(status),
    };
    if stored.is_err()
        && let Err(error) = store.drop_upload(upload).await
    {
        tracing::warn!(%upload, %error, "an unfinished upload stays for a day");
    }
    stored
}

fn check(header: &ImageHeader) -> Result<(), Status> {
    let mut violations = Violations::default();
    if !(1..=IDENTIFICATION).contains(&header.identification.len()) {
        violations.add("header.identification", format!("has from 1 to {IDENTIFICATION} octets"));
    }
    if !matches!(header.sha256.len(), 0 | 32) {
        violations.add("header.sha256", "has 32 octets");
    }
    if header.signature.len() > SIGNATURE {
        violations.add("header.signature", format!("has at most {SIGNATURE} octets"));
    }
    for (field, text, most) in
        [("header.version", &header.version, VERSION), ("header.description", &header.description, DESCRIPTION)]
    {
        if text.chars().count() > most {
            violations.add(field, format!("at most {most} characters"));
        }
    }
    violations.finish(Some(()))
}

async fn receive<S: FirmwareStore>(
    store: &S,
    upload: Uuid,
    header: &ImageHeader,
    parts: &mut Parts<impl Stream<Item = Result<UploadImageRequest, Status>> + Send>,
    deadline: Instant,
) -> Result<([u8; 32], u32), Status> {
    let (mut hash, mut size, mut number) = (Sha256::new(), 0_usize, 0_u32);
    let mut chunk = Vec::with_capacity(IMAGE_CHUNK);
    while let Some(part) = next(parts, deadline).await? {
        let Part::Octets(octets) = part else { return Err(wrong("header", "comes once, in the first message")) };
        size += octets.len();
        if size > IMAGE {
            return Err(wrong("octets", &format!("are more than {IMAGE}")));
        }
        hash.update(&octets);
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let (taken, left) = rest.split_at(rest.len().min(IMAGE_CHUNK - chunk.len()));
            chunk.extend_from_slice(taken);
            rest = left;
            if chunk.len() == IMAGE_CHUNK {
                let full = std::mem::replace(&mut chunk, Vec::with_capacity(IMAGE_CHUNK));
                store.add_image_chunk(upload, number, full).await.map_err(failed)?;
                number += 1;
            }
        }
    }
    if !chunk.is_empty() {
        store.add_image_chunk(upload, number, chunk).await.map_err(failed)?;
    }
    let digest: [u8; 32] = hash.finalize().into();
    if size == 0 {
        return Err(wrong("octets", "are missing"));
    }
    if !header.sha256.is_empty() && header.sha256 != digest {
        return Err(wrong("header.sha256", &format!("is not that of the octets, which is {}", hex::encode(digest))));
    }
    let size = u32::try_from(size).map_err(|_| wrong("octets", "are too many"))?;
    Ok((digest, size))
}

async fn finish<S: FirmwareStore>(
    store: &S,
    upload: Uuid,
    caller: &Caller,
    header: ImageHeader,
    digest: [u8; 32],
    size: u32,
) -> Result<ImageRow, Status> {
    let now = Timestamp::now();
    let row = ImageRow {
        id: ImageId::of(&digest),
        digest,
        size,
        identification: header.identification,
        version: header.version,
        signature: header.signature,
        description: header.description,
        creator: caller.subject.to_string(),
        created: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
    };
    if store.finish_image(upload, row.clone()).await.map_err(failed)? {
        return Ok(row);
    }
    let there = store.image(row.id).await.map_err(failed)?;
    let same = |there: &ImageRow| {
        let about = |of: &ImageRow| {
            (of.identification.clone(), of.version.clone(), of.signature.clone(), of.description.clone())
        };
        about(there) == about(&row)
    };
    there.filter(same).ok_or_else(|| failed(StoreError::AlreadyExists(row.id.resource_name())))
}

/// The next part; who sends nothing until the deadline is not waited for.
async fn next(
    parts: &mut Parts<impl Stream<Item = Result<UploadImageRequest, Status>> + Send>,
    deadline: Instant,
) -> Result<Option<Part>, Status> {
    let next = timeout_at(deadline, parts.next()).await;
    match next.map_err(|_| status::upload_too_slow())?.transpose()? {
        None => Ok(None),
        Some(message) => message.part.map(Some).ok_or_else(|| wrong("part", "is required")),
    }
}

fn wrong(field: &str, problem: &str) -> Status {
    let mut violations = Violations::default();
    violations.add(field, problem);
    violations.finish::<()>(None).err().unwrap_or_else(|| Status::invalid_argument(problem.to_owned()))
}
