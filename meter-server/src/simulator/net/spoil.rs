//! What a fault makes of an answer.

use std::borrow::Cow;

use dlms::apdu::{DataNotification, LongInvokeIdAndPriority};
use dlms::axdr::{Data, Writer};
use dlms::hdlc::{Control, Frame, Kind, LLC_RESPONSE, Repr};
use dlms::wrapper::{self, Header};

use crate::simulator::fault::{FaultKind, FaultPlan};

/// Octets of a notification that nobody asked for, framed.
const PUSH_OCTETS: usize = 64;

/// What is sent in place of an answer.
#[derive(Debug)]
pub(super) struct Spoilt<'a> {
    /// Ahead of it.
    pub(super) ahead: Option<Vec<u8>>,
    /// The answer, or what is left of it.
    pub(super) octets: Cow<'a, [u8]>,
    /// Sent twice.
    pub(super) twice: bool,
}

/// An answer with the fault that is due. Faults of the connection or of the time are the caller's.
pub(super) fn spoil<'a>(octets: &'a [u8], fault: Option<FaultKind>, plan: &FaultPlan) -> Spoilt<'a> {
    let whole = Cow::Borrowed(octets);
    let octets = match fault {
        Some(FaultKind::Garbage) => plan.garbage(octets.len()).into(),
        Some(FaultKind::Truncate) => octets.get(..octets.len() / 2).unwrap_or_default().into(),
        Some(FaultKind::Lose) => {
            let mut left = octets.to_vec();
            if !left.is_empty() {
                left.remove(plan.below(octets.len()));
            }
            left.into()
        }
        Some(FaultKind::Flip) => {
            let mut flipped = octets.to_vec();
            let bit = plan.below(octets.len().saturating_mul(8));
            if let Some(octet) = flipped.get_mut(bit / 8) {
                *octet ^= 1 << (bit % 8);
            }
            flipped.into()
        }
        _ => whole,
    };
    let ahead = if fault == Some(FaultKind::Push) { unasked(&octets) } else { None };
    Spoilt { ahead, octets, twice: fault == Some(FaultKind::Duplicate) }
}

/// A notification that nobody asked for, between the addresses of an answer and framed like it: an empty structure, in
/// clear. Over HDLC it is a UI frame, which has no part in the numbering of frames.
fn unasked(answer: &[u8]) -> Option<Vec<u8>> {
    let mut apdu = [0; PUSH_OCTETS];
    let mut out = Writer::new(&mut apdu);
    let nothing = Data::from_slice(&[0x02, 0x00]).ok()?;
    let notification = DataNotification { invoke: LongInvokeIdAndPriority::new(1, 0), time: None, body: nothing };
    notification.encode(&mut out).ok()?;
    let mut framed = [0; PUSH_OCTETS];
    let mut line = Writer::new(&mut framed);
    if let Ok((header, _)) = wrapper::decode_datagram(answer) {
        let header = Header { source: header.source, destination: header.destination, length: 0 };
        wrapper::encode_datagram(header, out.written(), &mut line).ok()?;
    } else {
        let [0x7E, frame @ .., 0x7E] = answer else { return None };
        let frame = Frame::new_checked(frame).ok()?;
        let information = [&LLC_RESPONSE, out.written()].concat();
        let control = Control { kind: Kind::Ui, poll_final: false };
        let (destination, source) = (frame.destination(), frame.source());
        Repr { destination, source, control, segmented: false, information: &information }.emit(&mut line).ok()?;
    }
    Some(line.written().to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::simulator::consumption::Noise;

    const ANSWER: [u8; 12] = [0, 1, 0, 1, 0, 16, 0, 4, 0xC4, 1, 0xC1, 0];

    fn spoilt(kind: FaultKind) -> Spoilt<'static> {
        spoil(&ANSWER, Some(kind), &FaultPlan::new(Arc::new([]), Noise::new(3), 0))
    }

    #[test]
    fn faults_change_what_they_say() {
        assert_eq!(*spoil(&ANSWER, None, &FaultPlan::new(Arc::new([]), Noise::new(3), 0)).octets, ANSWER[..]);
        assert_eq!(*spoilt(FaultKind::Truncate).octets, ANSWER[..6]);
        let lost = spoilt(FaultKind::Lose).octets;
        assert_eq!(lost.len(), 11);
        let flipped = spoilt(FaultKind::Flip).octets;
        let bits: u32 = flipped.iter().zip(&ANSWER).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!((flipped.len(), bits), (12, 1));
        let doubled = spoilt(FaultKind::Duplicate);
        assert!(doubled.twice && *doubled.octets == ANSWER[..]);
        assert_eq!(spoilt(FaultKind::Garbage).octets.len(), 12);
        assert_eq!(spoil(&[], Some(FaultKind::Lose), &FaultPlan::new(Arc::new([]), Noise::new(3), 0)).octets.len(), 0);
    }

    #[test]
    fn a_notification_comes_between_the_addresses_of_the_answer() {
        let ahead = spoilt(FaultKind::Push).ahead.unwrap();
        assert_eq!(ahead, [0, 1, 0, 1, 0, 16, 0, 8, 0x0F, 0, 0, 0, 1, 0, 2, 0]);
        // A published UA of server 1 to client 16.
        let ua = [0x7E, 0xA0, 0x07, 0x21, 0x03, 0x73, 0xF6, 0xA7, 0x7E];
        let frame = unasked(&ua);
        assert!(frame.is_none(), "its check sequence is wrong");
        assert_eq!(unasked(b"garbage"), None);
    }
}
