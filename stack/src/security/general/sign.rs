//! general-signing in place.

use core::ops::Range;

use super::{SignedContent, TransactionId, VerifiedTransaction};
use crate::apdu::GeneralHeader;
use crate::axdr::{Reader, Writer};
use crate::id::SystemTitle;
use crate::security::{Curves, PrivateKey, PublicKey, SecurityError, Signature};

/// Tag of general-signing.
pub(super) const GENERAL_SIGNING: u8 = 0xDF;

/// Room for a header of general-signing or general-ciphering before the content.
pub(super) const HEADER_MAX: usize = 320;

/// A verified signed APDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Where the content is.
    pub content: Range<usize>,
    /// Pairs the response with it.
    pub transaction_id: TransactionId,
    /// The same, proven by the signature, to be given to a memory: a signature alone can be replayed.
    pub verified: VerifiedTransaction,
}

/// Signs the APDU `content` of `buffer` in place and returns where the signed APDU is. Header and length go in
/// front, the signature behind.
///
/// # Errors
/// [`SecurityError::BufferTooSmall`]; what the engine refuses.
pub fn sign<E: Curves>(
    key: &PrivateKey,
    covers: SignedContent,
    header: &GeneralHeader<'_>,
    buffer: &mut [u8],
    content: Range<usize>,
) -> Result<Range<usize>, SecurityError> {
    let full = |_| SecurityError::BufferTooSmall;
    let mut scratch = [0; HEADER_MAX];
    let mut front = Writer::new(&mut scratch);
    front.u8(GENERAL_SIGNING).map_err(full)?;
    let fields = write_fields(&mut front, header)?;
    let length = front.len()..;
    front.length(content.len()).map_err(full)?;
    let front = front.into_written();

    let start = content.start.checked_sub(front.len()).ok_or(SecurityError::BufferTooSmall)?;
    let signature_length = key.curve().double_width();
    let mut back_length = [0; 2];
    let mut writer = Writer::new(&mut back_length);
    writer.length(signature_length).map_err(full)?;
    let back_length = writer.into_written();
    let end = content.end.checked_add(back_length.len()).and_then(|end| end.checked_add(signature_length));
    let whole =
        buffer.get_mut(start..end.ok_or(SecurityError::BufferTooSmall)?).ok_or(SecurityError::BufferTooSmall)?;
    let (room, rest) = whole.split_at_mut_checked(front.len()).ok_or(SecurityError::BufferTooSmall)?;
    let (text, back) = rest.split_at_mut_checked(content.len()).ok_or(SecurityError::BufferTooSmall)?;

    let signature = signature_over::<E>(key, covers, front.get(fields), front.get(length), text)?;
    room.copy_from_slice(front);
    back.iter_mut().zip(back_length.iter().chain(signature.as_bytes())).for_each(|(to, from)| *to = *from);
    Ok(start..start.saturating_add(whole.len()))
}

fn signature_over<E: Curves>(
    key: &PrivateKey,
    covers: SignedContent,
    fields: Option<&[u8]>,
    length: Option<&[u8]>,
    content: &[u8],
) -> Result<Signature, SecurityError> {
    let (fields, length) = (fields.unwrap_or_default(), length.unwrap_or_default());
    Ok(match covers {
        SignedContent::Value => E::sign(key, &[fields, content]),
        SignedContent::LengthAndValue => E::sign(key, &[fields, length, content]),
    }?)
}

/// Verifies a complete signed APDU: made for `own`, by `peer`, whose public key is `key`.
///
/// # Errors
/// [`SecurityError::Malformed`], [`SecurityError::NotCiphered`] for another APDU, [`SecurityError::NotRecipient`],
/// [`SecurityError::Signature`], [`SecurityError::UnknownPeer`], [`SecurityError::TransactionId`] for a
/// transaction-id that is too long to be remembered.
pub fn verify<E: Curves>(
    own: SystemTitle,
    peer: SystemTitle,
    key: &PublicKey,
    covers: SignedContent,
    apdu: &[u8],
) -> Result<Signed, SecurityError> {
    let mut reader = Reader::new(apdu);
    let tag = reader.u8()?;
    if tag != GENERAL_SIGNING {
        return Err(SecurityError::NotCiphered { tag });
    }
    let (header, fields) = read_fields(&mut reader)?;
    let before = reader.offset();
    let length = reader.length("signed content")?;
    let start = reader.offset();
    let text = reader.bytes(length)?;
    let end = reader.offset();
    let signature = reader.octet_string("signature")?;
    reader.finish()?;

    let transaction_id = TransactionId::from_slice(header.transaction_id)?;
    if header.recipient != own.as_bytes() {
        return Err(SecurityError::NotRecipient);
    }
    let signature = Signature::from_slice(key.curve(), signature)?;
    let fields = apdu.get(fields).unwrap_or_default();
    match covers {
        SignedContent::Value => E::verify(key, &[fields, text], &signature)?,
        SignedContent::LengthAndValue => {
            E::verify(key, &[fields, apdu.get(before..end).unwrap_or_default()], &signature)?;
        }
    }
    // Compared last: a title that is not the peer's takes as long to refuse as a wrong signature.
    if header.originator != peer.as_bytes() {
        return Err(SecurityError::UnknownPeer);
    }
    Ok(Signed { content: start..end, transaction_id, verified: VerifiedTransaction::new(transaction_id) })
}

/// Writes the five fields and returns where they are.
pub(super) fn write_fields(out: &mut Writer<'_>, header: &GeneralHeader<'_>) -> Result<Range<usize>, SecurityError> {
    let start = out.len();
    let fields =
        [header.transaction_id, header.originator, header.recipient, header.date_time, header.other_information];
    for field in fields {
        out.octet_string(field).map_err(|_| SecurityError::BufferTooSmall)?;
    }
    Ok(start..out.len())
}

/// Reads the five fields and where they are: they are authenticated as they stand.
pub(super) fn read_fields<'a>(reader: &mut Reader<'a>) -> Result<(GeneralHeader<'a>, Range<usize>), SecurityError> {
    let start = reader.offset();
    let header = GeneralHeader {
        transaction_id: reader.octet_string("transaction-id")?,
        originator: reader.octet_string("originator system title")?,
        recipient: reader.octet_string("recipient system title")?,
        date_time: reader.octet_string("date-time")?,
        other_information: reader.octet_string("other-information")?,
    };
    Ok((header, start..reader.offset()))
}
