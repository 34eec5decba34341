//! What decoding hostile octets costs, counted by the allocator itself.
#![cfg(feature = "alloc")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dlms::axdr::{Data, Value};
use dlms::cosem::profile_generic::{CaptureObject, Column, Nulls, RowReader, Table, TableReader};
use dlms::obis::ObisCode;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is being torn down has no counter any more, and no interest in one.
        let _ = ALLOCATED.try_with(|count| count.set(count.get() + layout.size()));
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED.get();
    let result = work();
    (result, ALLOCATED.get() - before)
}

#[test]
fn lesson_30_no_input_allocates_more_than_one_value_per_octet() {
    let mut inputs = vec![
        // A count of four thousand million.
        vec![0x01, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00],
        // As many arrays as possible in one array, each claiming all that is left.
        [&[0x01, 0x82, 0x7F, 0x00][..], &[0x01, 0x82, 0x40, 0x00].repeat(0x4000)].concat(),
        // 60000 nulls, the smallest elements there are.
        [&[0x01, 0x82, 0xEA, 0x60][..], &[0; 60_000]].concat(),
        // A compact array of one number and 65535^2 nulls each.
        vec![0x13, 0x02, 0x02, 0x01, 0xFF, 0xFF, 0x01, 0xFF, 0xFF, 0x00, 0x11, 0x01, 0x00],
        // Compact arrays of strings without content.
        [&[0x13, 0x09, 0x82, 0xEA, 0x60][..], &[0; 60_000]].concat(),
        // Short structures inside each other, found by fuzzing.
        vec![0x02, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00],
    ];
    // The same again, cut short.
    inputs.extend(inputs.clone().into_iter().map(|mut input| {
        input.truncate(input.len() / 2);
        input
    }));
    for input in inputs {
        let (result, octets) = allocated(|| Value::from_slice(&input).is_ok());
        let limit = input.len() * size_of::<Value>();
        assert!(octets <= limit, "{octets} octets allocated for {} octets of input ({result})", input.len());
    }
}

/// The work's result, and how many allocations it took; one that grows is allocated anew.
fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

#[test]
fn owned_rows_take_a_constant_number_of_allocations() {
    // Rows of a clock's time, a serial number of 5 octets and a counter.
    let profile = |rows: u16| {
        let mut octets = vec![0x01, 0x82];
        octets.extend(rows.to_be_bytes());
        for row in 0..rows {
            octets.extend([2, 3, 9, 12, 7, 0xE9, 5, 0x1D, 4, 10, 0, 0, 0, 0xFF, 0x88, 0x80, 9, 5, 1, 2, 3, 4, 5, 0x12]);
            octets.extend(row.to_be_bytes());
        }
        octets
    };
    let register = |class| CaptureObject::whole(class, ObisCode::ACTIVE_IMPORT, 2.into());
    let columns =
        [CaptureObject::CLOCK, register(1.into()), register(3.into())].map(|object| Column::new(object, None));
    let nulls = Nulls::AsBefore { step_seconds: 900 };
    let whole = |octets: &[u8]| {
        let (table, count) = allocations(|| Table::from_slice(octets, &columns, nulls).unwrap());
        (table.cell(table.len() - 1, 2).and_then(|cell| cell.as_u64()), count)
    };
    let blocks = |octets: &[u8], rows| {
        allocations(|| {
            let mut reader = TableReader::new(&columns, nulls, rows);
            octets.chunks(200).for_each(|block| assert!(reader.push(block).is_ok()));
            reader.finish().unwrap().len()
        })
    };
    assert_eq!(whole(&profile(10)), (Some(9), 3));
    assert_eq!(whole(&profile(10_000)), (Some(9_999), 3));
    let (_, few) = blocks(&profile(100), 100);
    let (rows, many) = blocks(&profile(10_000), 10_000);
    assert_eq!((rows, many), (10_000, few));
    assert!(many <= 6, "{many} allocations");

    // A count that is a lie, in octets that are few, reserves nothing for it.
    let lie = [1, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 2, 1, 0, 2, 1, 0];
    let (result, octets) = allocated(|| Table::from_slice(&lie, &[], nulls));
    assert!(result.is_err() && octets <= lie.len() * 17, "{octets} octets");
}

#[test]
fn borrowed_values_allocate_nothing() {
    let input = [&[0x01, 0x82, 0xEA, 0x60][..], &[0x11, 0x05].repeat(60_000)].concat();
    let (sum, octets) = allocated(|| {
        let data = Data::from_slice(&input).unwrap();
        data.as_array().unwrap().iter().filter_map(|element| element.as_u64()).sum::<u64>()
    });
    assert_eq!((sum, octets), (300_000, 0));
}

#[test]
fn lesson_38_rows_from_blocks_take_memory_that_does_not_grow_with_the_profile() {
    // Rows of a clock's time, of which the first alone is told, and a counter, told as differences.
    let profile = |rows: u16| {
        let mut octets = vec![0x01, 0x82];
        octets.extend(rows.to_be_bytes());
        octets.extend([2, 2, 9, 12, 7, 0xE9, 5, 0x1D, 4, 10, 0, 0, 0, 0xFF, 0x88, 0x80, 6, 0, 0, 0, 1]);
        (1..rows).for_each(|_| octets.extend([2, 2, 0, 0x1F, 1]));
        octets
    };
    let clock = CaptureObject::CLOCK;
    let columns = [clock, CaptureObject::whole(3.into(), ObisCode::ACTIVE_IMPORT, 2.into())];
    let read = |octets: &[u8]| {
        allocated(|| {
            let mut reader = RowReader::new(&columns, Nulls::AsBefore { step_seconds: 900 });
            let mut last = 0;
            for block in octets.chunks(200) {
                reader.push(block);
                while let Some(row) = reader.next_row().unwrap() {
                    last = row[1].as_data().and_then(|cell| cell.as_u64()).unwrap();
                }
            }
            reader.finish().unwrap();
            last
        })
    };
    let (last, short) = read(&profile(100));
    assert_eq!(last, 100);
    let (last, long) = read(&profile(50_000));
    assert_eq!((last, long), (50_000, short));
    assert!(long < 4096, "{long} octets");
}
