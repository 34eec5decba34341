//! What a caller sends first.

use std::{io, time::Duration};

use dlms::{
    apdu::Apdu,
    axdr::{Data, Value},
    id::SystemTitle,
    security::{ProtectedHeader, general},
    wrapper::Header,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout_at},
};

use crate::meter::MeterId;

/// Longest line of text that a modem sends first.
const LINE: usize = 64;
/// Octets of one APDU that is sent first.
const APDU: usize = 2_048;

/// Who a caller says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The tag of a notification has proved it.
    Meter(MeterId),
    /// A system title.
    Title(SystemTitle),
    /// A logical device name.
    Name(String),
    /// It was asked, and said nothing.
    Nothing,
}

/// What came first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// Who it says that it is; `None` where it has to be asked.
    pub(super) claim: Option<Claim>,
    /// The notification that came.
    pub(super) apdu: Option<Vec<u8>>,
    /// Octets behind it.
    pub(super) rest: Vec<u8>,
}

/// Reads what a caller sends first, at the latest by `deadline`; nothing, if it is silent for `first`.
pub(super) async fn begin(
    stream: &mut (impl AsyncRead + Unpin),
    first: Duration,
    deadline: Instant,
) -> io::Result<Begun> {
    let mut octets = Vec::new();
    let mut room = [0; 512];
    loop {
        let wait = if octets.is_empty() { deadline.min(Instant::now() + first) } else { deadline };
        let count = match timeout_at(wait, stream.read(&mut room)).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count?,
            Err(_) if octets.is_empty() => return Ok(Begun { claim: None, apdu: None, rest: octets }),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        octets.extend_from_slice(room.get(..count).unwrap_or_default());
        if let Some(begun) = understood(&octets)? {
            return Ok(begun);
        }
    }
}

/// What the octets so far are; `None` while they are too few.
fn understood(octets: &[u8]) -> io::Result<Option<Begun>> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    if octets.first() != Some(&0) {
        let end = octets.iter().position(|octet| matches!(octet, b'\n' | b'\r'));
        let Some(end) = end else {
            let short = octets.len() <= LINE && octets.iter().all(|octet| matches!(octet, b' '..=b'~'));
            return if short { Ok(None) } else { Err(malformed()) };
        };
        let (line, behind) = octets.split_at_checked(end).ok_or_else(malformed)?;
        let name = std::str::from_utf8(line).map_err(|_| malformed())?.trim();
        if line.len() > LINE || name.is_empty() || !name.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err(malformed());
        }
        let rest = behind.iter().copied().skip_while(|octet| matches!(octet, b'\n' | b'\r')).collect();
        return Ok(Some(Begun { claim: Some(Claim::Name(name.to_owned())), apdu: None, rest }));
    }
    let Some(header) = octets.get(..Header::LENGTH) else { return Ok(None) };
    let &[0, 1, _, _, _, _, high, low] = header else { return Err(malformed()) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length == 0 || length > APDU {
        return Err(malformed());
    }
    let Some(apdu) = octets.get(Header::LENGTH..Header::LENGTH + length) else { return Ok(None) };
    let rest = octets.get(Header::LENGTH + length..).unwrap_or_default().to_vec();
    Ok(Some(Begun { claim: of_apdu(apdu), apdu: Some(apdu.to_vec()), rest }))
}

/// Who an APDU says that it is from: the system title of a ciphered one, or the first octet-string of a heartbeat that
/// has the form of a title or a name.
fn of_apdu(apdu: &[u8]) -> Option<Claim> {
    if general::is_protected(apdu) {
        let title = match general::outer_header(apdu) {
            Ok(header) => SystemTitle::from_slice(header.originator),
            Err(_) => ProtectedHeader::parse(apdu).ok()?.title,
        };
        return title.map(Claim::Title);
    }
    match Apdu::decode(apdu) {
        Ok(Apdu::DataNotification(sent)) => of_body(&sent.body),
        Ok(Apdu::EventNotification(sent)) => of_body(&sent.value),
        _ => None,
    }
}

fn of_body(body: &Data<'_>) -> Option<Claim> {
    let named = |data: &Data<'_>| match Value::from(*data) {
        Value::OctetString(octets) | Value::VisibleString(octets) => {
            // A title has three letters and five octets of anything; a name has letters alone.
            let readable = octets.iter().all(|octet| matches!(octet, b'!'..=b'~'));
            let titled = octets.len() == 8 && octets.iter().take(3).all(u8::is_ascii_uppercase) && !readable;
            match (titled, readable && (4..=16).contains(&octets.len())) {
                (true, _) => SystemTitle::from_slice(&octets).map(Claim::Title),
                (_, true) => String::from_utf8(octets).ok().map(Claim::Name),
                _ => None,
            }
        }
        _ => None,
    };
    named(body).or_else(|| body.as_sequence()?.iter().take(8).find_map(|element| named(&element)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn first(octets: &[u8]) -> io::Result<Begun> {
        let until = Instant::now() + Duration::from_secs(5);
        // What is cut anywhere is the same.
        let mut whole = None;
        for cut in 1..=octets.len() {
            let (front, back) = octets.split_at(cut);
            let mut stream = front.chain(back);
            let begun = begin(&mut stream, Duration::from_secs(1), until).await;
            let shown = format!("{:?}", begun.as_ref().map(|begun| (&begun.claim, &begun.apdu)));
            assert_eq!(*whole.get_or_insert(shown.clone()), shown, "cut at {cut}");
            if cut == octets.len() {
                return begun;
            }
        }
        unreachable!()
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_a_title_and_a_heartbeat_are_claims() {
        assert_eq!(first(b"ISK1030775211859\r\n").await.unwrap().claim, Some(Claim::Name("ISK1030775211859".into())));
        let apdu = hex::decode("0F0000000100020209084B414D4500BC614E1200FF").unwrap();
        let wrapped = [&[0, 1, 0, 1, 0, 1, 0, apdu.len() as u8][..], &apdu].concat();
        let begun = first(&wrapped).await.unwrap();
        assert_eq!(begun.claim, Some(Claim::Title(SystemTitle(*b"KAME\0\xBCaN"))));
        assert_eq!(begun.apdu.as_deref(), Some(&apdu[..]));
        let protected = hex::decode("DB084B414D4500BC614E15300000000100112233445566778899AABBCCDDEEFF").unwrap();
        let wrapped = [&[0, 1, 0, 1, 0, 1, 0, protected.len() as u8][..], &protected].concat();
        assert_eq!(first(&wrapped).await.unwrap().claim, Some(Claim::Title(SystemTitle(*b"KAME\0\xBCaN"))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_neither_is_refused_and_silence_is_asked() {
        for wrong in
            [&[0_u8, 2, 0, 1, 0, 1, 0, 1, 9][..], &[0, 1, 0, 1, 0, 1, 0xFF, 0xFF], &[0x7E, 0xA0], &[b'x'; 65], b"\n"]
        {
            assert!(first(wrong).await.is_err(), "{wrong:?}");
        }
        let (_peer, mut silent) = tokio::io::duplex(8);
        let begun = begin(&mut silent, Duration::from_secs(1), Instant::now() + Duration::from_secs(9)).await.unwrap();
        assert_eq!(begun, Begun { claim: None, apdu: None, rest: Vec::new() });
    }
}
