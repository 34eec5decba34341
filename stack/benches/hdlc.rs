//! Decoding an HDLC frame of 140 octets against nothing but a check sequence over the same octets, and against the
//! crate `dlms-cosem-rs`.
//!
//! `cargo bench -p dlms --bench hdlc`. After Criterion's figures, a table of ratios from interleaved runs, which
//! stays steady on a busy machine.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use dlms::axdr::Writer;
use dlms::hdlc::{Address, Control, Deframer, FRAME_MAX, Fcs, Frame, Kind, Repr, Sequence};
use dlms_cosem_rs::transport::hdlc as peer;

const BARE: &str = "bare check sequence";

/// One contestant: its name and what it does with the frame.
type Contestant<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn repr(information: &[u8]) -> Repr<'_> {
    Repr {
        destination: Address::client(16).unwrap(),
        source: Address::shortest(1, Some(17)).unwrap(),
        control: Control::with_poll_final(Kind::I { send: Sequence::new(1), receive: Sequence::new(2) }),
        segmented: true,
        information,
    }
}

/// A segment of the profile's default size in a frame of 140 octets, flags included.
fn frame() -> Vec<u8> {
    let information: Vec<u8> = (0..128_u8).map(|n| n.wrapping_mul(37)).collect();
    let mut out = [0; FRAME_MAX];
    let mut writer = Writer::new(&mut out);
    repr(&information).emit(&mut writer).unwrap();
    assert_eq!(writer.len(), 140);
    writer.written().to_vec()
}

fn contestants(frame: &[u8]) -> Vec<Contestant<'_>> {
    let octets = &frame[1..frame.len() - 1];
    let mut deframer = Deframer::new([0; FRAME_MAX], 100);
    let mut split = Deframer::new([0; FRAME_MAX], 100);
    let (first, second) = frame.split_at(70);
    let now = dlms::Instant::from_millis(0);
    let information = Frame::new_checked(octets).unwrap().information();
    let mut out = [0; FRAME_MAX];
    vec![
        (BARE, Box::new(move || assert!(Fcs::new().update(black_box(octets)).is_valid()))),
        (
            "bare, crate crc, 16 at a time",
            Box::new(move || {
                const CRC: crc::Crc<u16, crc::Table<16>> = crc::Crc::<u16, crc::Table<16>>::new(&crc::CRC_16_IBM_SDLC);
                static TABLE: crc::Crc<u16, crc::Table<16>> = CRC;
                black_box(TABLE.checksum(black_box(octets)));
            }),
        ),
        ("decode", Box::new(move || assert!(black_box(Frame::new_checked(black_box(octets))).is_ok()))),
        (
            "deframe, in one piece",
            Box::new(move || assert!(matches!(black_box(deframer.push(black_box(frame), now)), (140, Some(Ok(_)))))),
        ),
        (
            "deframe, in two pieces",
            Box::new(move || {
                assert!(matches!(split.push(black_box(first), now), (70, None)));
                assert!(matches!(black_box(split.push(black_box(second), now)), (70, Some(Ok(_)))));
            }),
        ),
        (
            "emit",
            Box::new(move || {
                let mut writer = Writer::new(&mut out);
                repr(black_box(information)).emit(&mut writer).unwrap();
                black_box(writer.written());
            }),
        ),
        ("dlms-cosem-rs decode", Box::new(move || assert!(black_box(peer::decode_frame(black_box(frame))).is_ok()))),
    ]
}

/// Shortest mean time of each contestant over many short turns, taken one after another.
fn interleaved(contestants: &mut [Contestant<'_>]) -> Vec<f64> {
    const TURNS: usize = 200;
    const ROUNDS: u32 = 500;
    let mut best = vec![Duration::MAX; contestants.len()];
    for _ in 0..TURNS {
        for ((_, run), best) in contestants.iter_mut().zip(&mut best) {
            let start = Instant::now();
            (0..ROUNDS).for_each(|_| run());
            *best = (*best).min(start.elapsed());
        }
    }
    best.iter().map(|time| time.as_secs_f64() * 1e9 / f64::from(ROUNDS)).collect()
}

fn main() {
    let frame = frame();
    let mut contestants = contestants(&frame);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("hdlc-140");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    for (name, run) in &mut contestants {
        group.bench_function(*name, |bencher| bencher.iter(&mut *run));
    }
    group.finish();
    criterion.final_summary();

    let times = interleaved(&mut contestants);
    println!("\nframe of 140 octets, interleaved: nanoseconds, and as a multiple of a {BARE}");
    for ((name, _), time) in contestants.iter().zip(&times) {
        println!("{name:32}{time:9.1} ns {:7.2}", time / times[0]);
    }
}
