//! What decoding hostile octets costs, counted by the allocator itself.
#![cfg(feature = "alloc")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dlms::axdr::{Data, Value};

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is being torn down has no counter any more, and no interest in one.
        let _ = ALLOCATED.try_with(|count| count.set(count.get() + layout.size()));
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

#[test]
fn borrowed_values_allocate_nothing() {
    let input = [&[0x01, 0x82, 0xEA, 0x60][..], &[0x11, 0x05].repeat(60_000)].concat();
    let (sum, octets) = allocated(|| {
        let data = Data::from_slice(&input).unwrap();
        data.as_array().unwrap().iter().filter_map(|element| element.as_u64()).sum::<u64>()
    });
    assert_eq!((sum, octets), (300_000, 0));
}
