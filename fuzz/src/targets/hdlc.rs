//! Frames out of a stream, and the parameters of SNRM and UA.

use arbitrary::{Arbitrary, Unstructured};
use dlms::Instant;
use dlms::axdr::Writer;
use dlms::hdlc::{Address, Control, Deframer, FRAME_MAX, Frame, FrameError, Parameters, Repr, Width};

use super::{encoded, pieces};
use crate::bounded;

/// What stands in the stream: the fuzzer cannot guess check sequences, so whole frames are made for it.
#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Noise(&'a [u8]),
    Frame {
        upper: u16,
        lower: u16,
        width: u8,
        client: u8,
        control: u8,
        segmented: bool,
        information: &'a [u8],
    },
    /// The last frame again, its opening flag shared with the closing one.
    Again,
    /// One octet of the stream so far, changed.
    Spoil {
        at: u16,
        mask: u8,
    },
}

fn stream(input: &mut Unstructured<'_>) -> Vec<u8> {
    let (mut octets, mut last) = (Vec::new(), Vec::new());
    while let Ok(piece) = Piece::arbitrary(input)
        && !input.is_empty()
    {
        match piece {
            Piece::Noise(noise) => octets.extend(noise),
            Piece::Again => octets.extend(last.get(1..).unwrap_or_default()),
            Piece::Spoil { at, mask } => {
                let length = octets.len().max(1);
                if let Some(octet) = octets.get_mut(usize::from(at) % length) {
                    *octet ^= mask;
                }
            }
            Piece::Frame { upper, lower, width, client, control, segmented, information } => {
                let width = [Width::One, Width::Two, Width::Four][usize::from(width) % 3];
                let (Some(destination), Some(source)) =
                    (Address::new(upper, lower, width), Address::client(u16::from(client)))
                else {
                    continue;
                };
                let control = Control::from_byte(control);
                let repr = Repr { destination, source, control, segmented, information };
                let mut buffer = [0; FRAME_MAX + 2];
                let mut writer = Writer::new(&mut buffer);
                if repr.emit(&mut writer).is_err() {
                    continue;
                }
                let frame = writer.written();
                assert_eq!(frame.len(), repr.encoded_len());
                let parsed = Frame::new_checked(&frame[1..frame.len() - 1]).expect("an own frame");
                assert_eq!(parsed.repr(), repr);
                last = frame.to_vec();
                octets.extend(&last);
            }
        }
        if octets.len() > 1 << 14 {
            break;
        }
    }
    octets
}

/// Every frame, and why what looked like one is none.
fn frames<'a>(cut: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Vec<u8>, FrameError>> {
    let mut deframer = Deframer::new([0; FRAME_MAX], 1_000);
    let mut found = Vec::new();
    for mut rest in cut {
        loop {
            let (used, frame) = deframer.push(rest, Instant::from_millis(0));
            let Some(frame) = frame else {
                assert_eq!(used, rest.len(), "without a frame all octets are taken");
                break;
            };
            found.push(frame.map(|frame| {
                let octets = encoded(|writer| frame.repr().emit(writer));
                assert_eq!(octets.get(1..octets.len() - 1), Some(frame.octets()), "emitting is the inverse");
                octets
            }));
            rest = &rest[used..];
        }
    }
    found
}

pub(super) fn run(octets: &[u8]) {
    let (seed, rest) = octets.split_first().unwrap_or((&0, octets));
    if let Ok(parameters) = bounded(0, || Parameters::parse(rest)) {
        let own = encoded(|writer| parameters.emit(writer));
        assert_eq!(Parameters::parse(&own), Ok(parameters));
    }
    // Half of the inputs are octets of the line as they are.
    let stream = if seed % 2 == 0 { rest.to_vec() } else { stream(&mut Unstructured::new(rest)) };
    let whole = frames(std::iter::once(&stream[..]));
    assert!(whole.len() <= stream.len(), "work is bounded by the octets");
    assert_eq!(whole, frames(pieces(&stream, *seed)), "however the stream is cut");
}
