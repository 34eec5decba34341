//! A-XDR on a load profile of 1000 rows and 5 columns, beside the same work done by the crate `dlms-cosem-rs`.
//!
//! `cargo bench -p dlms --bench axdr` prints criterion's report and then one line of ratios per task: both crates are
//! timed in turns within the same run, so that the ratio stands even where the machine is busy.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use dlms::axdr::{self, Container, Data, Reader, Value, Visitor, Writer};
use dlms::cosem::profile_generic::{CaptureObject, Column, Nulls, RowReader, SortMethod, Table, TableReader};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};
use dlms_cosem_rs::axdr::{Data as PeerData, DataBuf};
use dlms_cosem_rs::codec::{Decode, Encode, SliceWriter, Writer as PeerWriter};

const ROWS: u32 = 1000;
/// Octets of a block of a GET response as HDLC links negotiate it.
const BLOCK: usize = 500;

/// A quarter-hourly load profile: time, status and three energies, 33 octets a row.
fn profile() -> Vec<u8> {
    let mut buffer = vec![0; 40_000];
    let mut writer = Writer::new(&mut buffer);
    encode(&mut writer, &stamps());
    writer.written().to_vec()
}

fn stamps() -> Vec<DateTime> {
    let start = 1_735_689_600;
    (0..i64::from(ROWS)).map(|row| DateTime::from_unix_seconds(start + 900 * row, -60, ClockStatus::OK)).collect()
}

fn encode(writer: &mut Writer<'_>, stamps: &[DateTime]) {
    let write = |writer: &mut Writer<'_>| {
        writer.array(stamps.len())?;
        for (row, stamp) in (0_u32..).zip(stamps) {
            writer.structure(5)?;
            writer.date_time(stamp)?;
            writer.unsigned(8)?;
            writer.double_long_unsigned(1_000_000 + 250 * row)?;
            writer.double_long_unsigned(500_000 + 3 * row)?;
            writer.double_long_unsigned(row)?;
        }
        Ok::<_, axdr::BufferFull>(())
    };
    write(writer).expect("the buffer holds the profile");
}

fn peer_encode(writer: &mut SliceWriter<'_>, stamps: &[DateTime]) {
    let write = |writer: &mut SliceWriter<'_>| {
        writer.write_u8(1)?;
        writer.write_length(stamps.len())?;
        for (row, stamp) in (0_u32..).zip(stamps) {
            writer.write_u8(2)?;
            writer.write_length(5)?;
            PeerData::OctetString(stamp.as_bytes()).encode(writer)?;
            PeerData::Unsigned(8).encode(writer)?;
            PeerData::DoubleLongUnsigned(1_000_000 + 250 * row).encode(writer)?;
            PeerData::DoubleLongUnsigned(500_000 + 3 * row).encode(writer)?;
            PeerData::DoubleLongUnsigned(row).encode(writer)?;
        }
        Ok::<_, dlms_cosem_rs::Error>(())
    };
    write(writer).expect("the buffer holds the profile");
}

/// What a reader of readings wants of every value: numbers summed, octets of times looked at, rows counted.
#[derive(Default)]
struct Sum {
    rows: usize,
    numbers: u64,
    times: u64,
}

impl Sum {
    fn time(&mut self, octets: &[u8]) {
        self.times = self.times.wrapping_add(u64::from(octets.get(6).copied().unwrap_or(0)));
    }
}

impl<'a> Visitor<'a> for Sum {
    #[inline]
    fn value(&mut self, value: Data<'a>) {
        match value {
            Data::DoubleLongUnsigned(number) => self.numbers = self.numbers.wrapping_add(number.into()),
            Data::Unsigned(number) => self.numbers = self.numbers.wrapping_add(number.into()),
            Data::OctetString(octets) => self.time(octets),
            _ => {}
        }
    }

    #[inline]
    fn enter(&mut self, container: Container, _: usize) {
        self.rows += usize::from(container == Container::Structure);
    }
}

fn walk(octets: &[u8]) -> Sum {
    let mut sum = Sum::default();
    axdr::walk(&mut Reader::new(octets), &mut sum).expect("a legal profile");
    sum
}

fn iterate(octets: &[u8]) -> Sum {
    let mut sum = Sum::default();
    let data = Data::from_slice(octets).expect("a legal profile");
    for row in data.as_array().expect("an array") {
        sum.rows += 1;
        for cell in row.as_structure().expect("a structure") {
            sum.value(cell);
        }
    }
    sum
}

fn peer_iterate(octets: &[u8]) -> Sum {
    let mut sum = Sum::default();
    let data = PeerData::from_bytes(octets).expect("a legal profile");
    for row in &data.as_array().expect("an array") {
        sum.rows += 1;
        for cell in &row.expect("a row").as_structure().expect("a structure") {
            match cell.expect("a cell") {
                PeerData::DoubleLongUnsigned(number) => sum.numbers = sum.numbers.wrapping_add(number.into()),
                PeerData::Unsigned(number) => sum.numbers = sum.numbers.wrapping_add(number.into()),
                PeerData::OctetString(octets) => sum.time(octets),
                _ => {}
            }
        }
    }
    sum
}

fn columns() -> [CaptureObject; 5] {
    let value = |class, c, e| CaptureObject::whole(ClassId(class), ObisCode::new(1, 0, c, 8, e, 255), AttributeId(2));
    [CaptureObject::CLOCK, value(1, 96, 0), value(3, 1, 0), value(3, 2, 0), value(3, 3, 0)]
}

/// Rows as a head-end takes them: typed by column, each from the block that completes it.
fn rows_of_blocks(octets: &[u8], columns: &[CaptureObject]) -> u64 {
    let mut reader = RowReader::new(columns, Nulls::as_before(900, SortMethod::Fifo));
    let mut sum = 0_u64;
    for block in octets.chunks(BLOCK) {
        reader.push(block);
        while let Some(row) = reader.next_row().expect("legal rows") {
            sum = sum.wrapping_add(row.len() as u64);
        }
    }
    reader.finish().expect("all rows");
    sum
}

/// Rows that are kept, from an attribute that is there as a whole.
fn table(octets: &[u8], columns: &[Column]) -> Table {
    Table::from_slice(octets, columns, Nulls::as_before(900, SortMethod::Fifo)).expect("legal rows")
}

/// Rows that are kept, from blocks.
fn table_of_blocks(octets: &[u8], columns: &[Column]) -> Table {
    let mut reader = TableReader::new(columns, Nulls::as_before(900, SortMethod::Fifo), ROWS as usize);
    for block in octets.chunks(BLOCK) {
        reader.push(block).expect("legal rows");
    }
    reader.finish().expect("all rows")
}

/// Keeps a result from being optimised away.
fn spend<T>(value: T) {
    black_box(value);
}

/// Two ways of one task, and how many times as fast the first is.
fn ratio(name: &str, octets: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) {
    // Shorter than a time slice each, so that the best of many were not interrupted.
    const ROUNDS: usize = 3000;
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        best[0] = best[0].min(time(&mut ours));
        best[1] = best[1].min(time(&mut theirs));
    }
    let [ours, theirs] = best.map(|time| time.as_secs_f64());
    let speed = |seconds: f64| octets as f64 / seconds / 1e9;
    println!(
        "{name:<32} dlms {:>7.3} GB/s   dlms-cosem-rs {:>7.3} GB/s   ratio {:>6.2}",
        speed(ours),
        speed(theirs),
        theirs / ours
    );
}

fn main() {
    let octets = profile();
    let stamps = stamps();
    let columns = columns();
    let typed = columns.map(|object| Column::new(object, None));
    let owned = Value::from_slice(&octets).expect("a legal profile");
    let peer_owned = DataBuf::parse(&octets).expect("a legal profile");
    let mut buffer = vec![0; octets.len()];
    let mut peer_buffer = vec![0; octets.len()];

    // Both do the same work, or comparing them means nothing.
    for sum in [walk(&octets), iterate(&octets), peer_iterate(&octets)] {
        assert_eq!((sum.rows, sum.times), (1000, 22_500));
        assert_eq!(sum.numbers, walk(&octets).numbers);
    }
    for table in [table(&octets, &typed), table_of_blocks(&octets, &typed)] {
        let last = table.cell(999, 4).and_then(|cell| cell.as_u64());
        assert_eq!((table.len(), last), (1000, Some(999)));
    }
    encode(&mut Writer::new(&mut buffer), &stamps);
    peer_encode(&mut SliceWriter::new(&mut peer_buffer), &stamps);
    assert!(buffer == octets && peer_buffer == octets);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("axdr");
    group.throughput(Throughput::Bytes(octets.len() as u64));
    group.bench_function("visit/walk", |bench| bench.iter(|| walk(black_box(&octets))));
    group.bench_function("visit/iterate", |bench| bench.iter(|| iterate(black_box(&octets))));
    group.bench_function("visit/dlms-cosem-rs", |bench| bench.iter(|| peer_iterate(black_box(&octets))));
    group.bench_function("encode/typed", |bench| {
        bench.iter(|| encode(&mut Writer::new(black_box(&mut buffer)), black_box(&stamps)));
    });
    group.bench_function("encode/dlms-cosem-rs", |bench| {
        bench.iter(|| peer_encode(&mut SliceWriter::new(black_box(&mut peer_buffer)), black_box(&stamps)));
    });
    group.bench_function("owned/value", |bench| bench.iter(|| Value::from_slice(black_box(&octets))));
    group.bench_function("owned/dlms-cosem-rs", |bench| bench.iter(|| DataBuf::parse(black_box(&octets))));
    group.bench_function("owned/rows-of-blocks", |bench| bench.iter(|| rows_of_blocks(black_box(&octets), &columns)));
    group.bench_function("owned/table", |bench| bench.iter(|| table(black_box(&octets), &typed)));
    group.bench_function("owned/table-of-blocks", |bench| bench.iter(|| table_of_blocks(black_box(&octets), &typed)));
    group.finish();
    criterion.final_summary();

    let size = octets.len();
    println!("\n1000 rows of 5 columns, {size} octets; best of alternating rounds");
    let peer_visit = || spend(peer_iterate(black_box(&octets)));
    ratio("visit (walk)", size, || spend(walk(black_box(&octets))), peer_visit);
    ratio("visit (iterators)", size, || spend(iterate(black_box(&octets))), peer_visit);
    ratio(
        "encode from typed values",
        size,
        || encode(&mut Writer::new(black_box(&mut buffer)), black_box(&stamps)),
        || peer_encode(&mut SliceWriter::new(black_box(&mut peer_buffer)), black_box(&stamps)),
    );
    ratio(
        "encode an owned tree",
        size,
        || owned.encode(&mut Writer::new(black_box(&mut buffer))).expect("room for it"),
        || peer_owned.encode(&mut SliceWriter::new(black_box(&mut peer_buffer))).expect("room for it"),
    );
    let peer_parse = || spend(DataBuf::parse(black_box(&octets)));
    ratio("owned tree", size, || spend(Value::from_slice(black_box(&octets))), peer_parse);
    ratio("owned rows (table)", size, || spend(table(black_box(&octets), &typed)), peer_parse);
    ratio("table, from 500-octet blocks", size, || spend(table_of_blocks(black_box(&octets), &typed)), peer_parse);
    ratio("one owned row at a time, blocks", size, || spend(rows_of_blocks(black_box(&octets), &columns)), peer_parse);
}
