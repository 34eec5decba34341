//! Power fails at every step of a life, in flash memories of several kinds.

mod nor;

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::{BlockStore, FlashSlots, Partition, RowRing};
use crate::counters::Counters;
use crate::journal::{Found, Journal};
use crate::objects::{ImageReceiver, ImageStorage, Transfer, Work};
use dlms::apdu::ActionResult;
use dlms::cosem::image_transfer::{ImageBlock, ImageToTransfer, ImageTransferStatus};
use dlms::id::SystemTitle;
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};
use nor::Nor;

/// Runs lives that end at every step, each followed by `check`, and one that does not end. What is left of the octet that
/// was being written differs: nothing, some bits, or all that it was to be.
fn at_every_step<const WRITE: usize, const ERASE: usize>(
    blocks: usize,
    again: bool,
    life: &mut dyn FnMut(&Nor<WRITE, ERASE>),
    check: &mut dyn FnMut(&Nor<WRITE, ERASE>),
) {
    let memory = |power, torn| {
        let nor = Nor::<WRITE, ERASE>::new(blocks);
        let mut inside = nor.0.borrow_mut();
        (inside.power, inside.torn, inside.again) = (power, torn, again);
        drop(inside);
        nor
    };
    let whole = memory(None, 0);
    life(&whole);
    check(&whole);
    let total = whole.0.borrow().steps;
    assert!(total > 100, "{total}");
    for power in 0..total {
        for torn in [0xFF, 0x5A, 0] {
            let nor = memory(Some(power), torn);
            life(&nor);
            nor.0.borrow_mut().power = None;
            check(&nor);
        }
    }
}

/// The records that are kept, and whether the memory said so of each.
fn records<const WRITE: usize, const ERASE: usize>() {
    let kept = RefCell::new(0_u32);
    let mut life = |nor: &Nor<WRITE, ERASE>| {
        *kept.borrow_mut() = 0;
        let mut room = [0; 64];
        let (mut journal, _) = Journal::open(FlashSlots::new(nor.clone()).unwrap(), &mut room);
        for number in 1..=30_u32 {
            let start = Journal::<FlashSlots<Nor<WRITE, ERASE>>>::HEAD;
            room[start..start + 4].copy_from_slice(&number.to_be_bytes());
            // Records differ in length.
            if !journal.keep(&mut room, 4 + number as usize % 5) {
                return;
            }
            *kept.borrow_mut() = number;
        }
    };
    let mut check = |nor: &Nor<WRITE, ERASE>| {
        let mut room = [0; 64];
        let (mut journal, found) = Journal::open(FlashSlots::new(nor.clone()).unwrap(), &mut room);
        let kept = *kept.borrow();
        let newest = match found {
            Found::Nothing => 0,
            Found::Record(_) => u32::from_be_bytes(room[..4].try_into().unwrap()),
            Found::Lost => panic!("lost after {kept}"),
        };
        assert!(newest == kept || newest == kept + 1, "{newest} was found, {kept} had been kept");
        // And the memory goes on.
        for number in 100..103_u32 {
            room[6..10].copy_from_slice(&number.to_be_bytes());
            assert!(journal.keep(&mut room, 4));
        }
        let (_, found) = Journal::open(FlashSlots::new(nor.clone()).unwrap(), &mut room);
        assert_eq!((found, &room[..4]), (Found::Record(4), &102_u32.to_be_bytes()[..]));
    };
    at_every_step::<WRITE, ERASE>(2, false, &mut life, &mut check);
}

#[test]
fn no_loss_of_power_loses_a_record() {
    records::<4, 128>();
    records::<8, 256>();
    records::<32, 256>();
}

#[test]
fn records_wear_the_memory_evenly_and_little() {
    let nor = Nor::<8, 1024>::new(2);
    let mut room = [0; 64];
    let (mut journal, _) = Journal::open(FlashSlots::new(nor.clone()).unwrap(), &mut room);
    for _ in 0..1_000 {
        assert!(journal.keep(&mut room, 30));
    }
    // 8 octets of header and 40 of record: 21 of them in a block.
    assert_eq!(nor.0.borrow().erased, [500 / 21, 500 / 21]);
}

fn title(number: u8) -> SystemTitle {
    SystemTitle([b'T', b'S', b'T', 0, 0, 0, 0, number])
}

/// lesson_01 once more, in flash.
#[test]
fn no_loss_of_power_repeats_a_counter() {
    let (sent, accepted) = (RefCell::new(BTreeSet::new()), RefCell::new(Vec::new()));
    let mut life = |nor: &Nor<4, 512>| {
        sent.borrow_mut().clear();
        accepted.borrow_mut().clear();
        let mut counters = Counters::open(FlashSlots::new(nor.clone()).unwrap(), 0, 0).unwrap();
        for number in 0..12_u8 {
            let Some(counter) = counters.take() else { return };
            assert!(sent.borrow_mut().insert(counter));
            counters.accept(title(number % 3), u32::from(number));
            if counters.floor(title(number % 3)) == u32::MAX {
                return;
            }
            accepted.borrow_mut().push((title(number % 3), u32::from(number)));
        }
    };
    let mut check = |nor: &Nor<4, 512>| {
        let mut counters = Counters::open(FlashSlots::new(nor.clone()).unwrap(), 0, 0).unwrap();
        assert!(!sent.borrow().contains(&counters.take().unwrap()));
        for (peer, counter) in &*accepted.borrow() {
            assert!(counters.floor(*peer) > *counter, "a replay of {counter}");
        }
    };
    at_every_step::<4, 512>(2, false, &mut life, &mut check);
}

fn row(number: u32) -> [u8; 10] {
    let mut row = [number as u8; 10];
    row[..4].copy_from_slice(&number.to_be_bytes());
    row
}

fn rows_are_whole<const WRITE: usize>(ring: &RowRing<Nor<WRITE, 64>, 10>) {
    for number in ring.first()..ring.first() + ring.len() {
        assert_eq!(ring.get(number), Some(row(number)), "row {number} of {}+{}", ring.first(), ring.len());
    }
    assert_eq!(ring.get(ring.first() + ring.len()), None);
    assert!(ring.first() == 0 || ring.get(ring.first() - 1).is_none());
}

/// Fills a ring more than once around.
fn rows<const WRITE: usize>() {
    let written = RefCell::new(0);
    let mut life = |nor: &Nor<WRITE, 64>| {
        *written.borrow_mut() = 0;
        let mut ring = RowRing::<_, 10>::open(nor.clone()).unwrap();
        for number in 0..30 {
            if !ring.append(&row(number)) {
                return;
            }
            *written.borrow_mut() = number + 1;
        }
    };
    let mut check = |nor: &Nor<WRITE, 64>| {
        let mut ring = RowRing::<_, 10>::open(nor.clone()).unwrap();
        let written = *written.borrow();
        let next = ring.first() + ring.len();
        assert!(next == written || next == written + 1, "{next} rows after {written} were written");
        // All but a block is there, and less only for the places of rows that were cut off.
        assert!(ring.len() + 1 >= ring.capacity().min(written), "{} of {written}", ring.len());
        rows_are_whole(&ring);
        // Another life goes on with the next number, and another one after it.
        for _ in 0..2 {
            for _ in 0..7 {
                assert!(ring.append(&row(ring.first() + ring.len())));
                rows_are_whole(&ring);
            }
            let len = ring.len();
            ring = RowRing::open(nor.clone()).unwrap();
            assert_eq!(ring.len(), len);
            rows_are_whole(&ring);
        }
        assert_eq!(ring.first() + ring.len(), next + 14);
    };
    at_every_step::<WRITE, 64>(4, false, &mut life, &mut check);
}

#[test]
fn no_loss_of_power_loses_a_row() {
    rows::<4>();
    rows::<16>();
}

#[test]
fn rows_survive_power_that_fails_again_and_again() {
    let nor = Nor::<4, 64>::new(4);
    let mut next = 0;
    for life in 0..400 {
        // Enough for about two rows; sometimes in an erasure, sometimes in a row.
        nor.0.borrow_mut().power = Some(17 + life * 7 % 31);
        let mut ring = RowRing::<_, 10>::open(nor.clone()).unwrap();
        rows_are_whole(&ring);
        let found = ring.first() + ring.len();
        assert!(found == next || found == next + 1, "{found}, not {next}");
        next = found;
        while ring.append(&row(next)) {
            next += 1;
        }
    }
    assert!(next > 100, "{next}");
}

/// Of `written` rows: what is left of them when power fails ends with the newest, until none is left.
fn rows_are_forgotten(written: u32) {
    let clearing = RefCell::new(false);
    let mut life = |nor: &Nor<4, 64>| {
        *clearing.borrow_mut() = false;
        let mut ring = RowRing::<_, 10>::open(nor.clone()).unwrap();
        for number in 0..written {
            if !ring.append(&row(number)) {
                return;
            }
        }
        *clearing.borrow_mut() = true;
        if ring.clear() {
            assert!(ring.is_empty());
            assert!(!ring.append(&row(written)) || ring.get(written) == Some(row(written)));
        }
    };
    let mut cuts = 0;
    let mut check = |nor: &Nor<4, 64>| {
        let ring = RowRing::open(nor.clone()).unwrap();
        rows_are_whole(&ring);
        if *clearing.borrow() {
            cuts += 1;
            let next = ring.first() + ring.len();
            assert!(ring.is_empty() || next >= written, "number {next} again after {written} rows");
        }
    };
    at_every_step::<4, 64>(4, false, &mut life, &mut check);
    assert!(cuts > 50);
}

#[test]
fn rows_are_forgotten_the_oldest_first() {
    // The head is in a block, and at the start of one: of a blank one, and of the one with the oldest rows.
    for written in [20, 9, 21] {
        rows_are_forgotten(written);
    }
}

fn block(number: u32) -> Vec<u8> {
    (0..if number == 4 { 5 } else { 16 }).map(|octet| (number * 40 + octet) as u8).collect()
}

/// What counts as there is there, whenever power failed, and what is missing can be written again.
#[test]
fn no_loss_of_power_loses_a_block_of_an_image() {
    let taken = RefCell::new(BTreeSet::new());
    let mut life = |nor: &Nor<4, 64>| {
        taken.borrow_mut().clear();
        let mut store = BlockStore::new(nor.clone(), 16).unwrap();
        if store.clear().is_none() {
            return;
        }
        for number in [1, 4, 0, 2, 1] {
            if store.write(number, &block(number)).is_none() {
                return;
            }
            taken.borrow_mut().insert(number);
        }
        assert_eq!(store.write(1, &[1; 16]), None, "another block in its place");
        assert_eq!(store.write(3, &[0; 17]), None, "too long");
        assert_eq!(store.write(12, &[0; 16]), None, "behind the end");
    };
    let mut check = |nor: &Nor<4, 64>| {
        let mut store = BlockStore::new(nor.clone(), 16).unwrap();
        assert_eq!(store.capacity(), 12 * 16);
        let taken = taken.borrow();
        for number in 0..5 {
            assert!(store.has(number) || !taken.contains(&number), "block {number} is gone");
            let expected = block(number);
            if store.has(number) {
                let mut found = vec![0; expected.len()];
                store.read(number as usize * 16, &mut found).unwrap();
                assert_eq!(found, expected);
            } else {
                assert_eq!(store.write(number, &expected), Some(()), "block {number}");
                assert!(store.has(number));
            }
        }
    };
    at_every_step::<4, 64>(4, true, &mut life, &mut check);
}

/// A memory in which octets and marks would not be erased apart were they beside each other.
#[test]
fn no_mark_outlives_its_block_when_an_image_is_erased() {
    let life = |nor: &Nor<4, 64>| -> Option<()> {
        let mut store = BlockStore::new(nor.clone(), 16).unwrap();
        for number in 0..u8::try_from(store.capacity() / 16).unwrap() {
            store.write(u32::from(number), &[number; 16])?;
        }
        store.clear()
    };
    let mut check = |nor: &Nor<4, 64>| {
        let mut store = BlockStore::new(nor.clone(), 16).unwrap();
        for number in 0..u8::try_from(store.capacity() / 16).unwrap() {
            let mut found = [number; 16];
            if store.has(u32::from(number)) {
                store.read(usize::from(number) * 16, &mut found).unwrap();
            }
            assert_eq!(found, [number; 16]);
        }
    };
    at_every_step::<4, 64>(3, true, &mut |nor| _ = life(nor), &mut check);
    // Two blocks of memory, and the third for marks alone.
    assert_eq!(BlockStore::new(Nor::<4, 64>::new(3), 16).unwrap().capacity(), 8 * 16);
    // Wherever the marks begin, there is room for them.
    for blocks in 2..9 {
        for size in (4..=64).step_by(4) {
            let mut store = BlockStore::new(Nor::<4, 64>::new(blocks), size).unwrap();
            let last = u32::try_from(store.capacity() / size).unwrap() - 1;
            assert_eq!(store.write(last, &vec![1; size]), Some(()), "{blocks} blocks of memory for those of {size}");
            assert!(store.has(last));
        }
    }
}

#[test]
fn a_partition_ends_where_the_next_one_begins() {
    let flash = RefCell::new(Nor::<4, 64>::new(3));
    assert!(Partition::new(&flash, 2, 2).is_none());
    let (mut front, mut back) = (Partition::new(&flash, 0, 2).unwrap(), Partition::new(&flash, 2, 1).unwrap());
    assert_eq!((front.capacity(), back.capacity()), (128, 64));
    assert_eq!(front.write(124, &[1; 8]), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(front.erase(64, 192), Err(NorFlashErrorKind::OutOfBounds));
    back.write(60, &[7; 4]).unwrap();
    front.write(124, &[1; 4]).unwrap();
    front.erase(64, 128).unwrap();
    let mut octets = [0; 4];
    back.read(60, &mut octets).unwrap();
    assert_eq!(octets, [7; 4]);
    front.read(124, &mut octets).unwrap();
    assert_eq!(octets, [0xFF; 4]);
}

/// A bank whose transfer is kept beside its blocks.
struct Bank<'a> {
    store: BlockStore<Partition<'a, Nor<4, 64>>>,
    journal: Journal<FlashSlots<Partition<'a, Nor<4, 64>>>>,
    size: usize,
}

const BLOCK: usize = 16;

impl<'a> Bank<'a> {
    /// The bank, and how far its transfer is.
    fn open(flash: &'a RefCell<Nor<4, 64>>) -> ImageReceiver<Self, [u8; 2]> {
        let mut room = [0; 64];
        let (journal, found) = Journal::open(FlashSlots::new(Partition::new(flash, 0, 2).unwrap()).unwrap(), &mut room);
        let store = BlockStore::new(Partition::new(flash, 2, 4).unwrap(), BLOCK).unwrap();
        let (status, size, block_size) = match found {
            Found::Nothing => (0, 0, 0),
            Found::Record(_) => (room[0], u32::from(room[1]), u32::from(room[2])),
            Found::Lost => panic!("lost"),
        };
        let bank = Self { store, journal, size: size as usize };
        let transfer = Transfer { status: status.into(), identifier: b"new", size, block_size };
        let mut receiver = ImageReceiver::resume(bank, [0; 2], &transfer, |bank, number| bank.store.has(number));
        receiver.set_enabled(true);
        receiver
    }
}

impl ImageStorage for Bank<'_> {
    fn block_size(&self) -> u32 {
        BLOCK as u32
    }

    fn begin(&mut self, _: &[u8], size: u32) -> Result<(), ActionResult> {
        self.size = size as usize;
        self.store.clear().ok_or(ActionResult::OtherReason)
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), ActionResult> {
        self.store.write(offset / BLOCK as u32, octets).ok_or(ActionResult::OtherReason)
    }

    fn verify(&mut self) -> Work {
        let mut image = vec![0; self.size];
        let read = self.store.read(0, &mut image);
        let expected: Vec<u8> = (0..5).flat_map(block).collect();
        if read.is_some() && image == expected { Work::Done } else { Work::Failed }
    }

    fn activate(&mut self) -> Work {
        Work::Done
    }

    fn keep(&mut self, transfer: &Transfer<'_>) -> bool {
        let mut room = [0; 64];
        room[6..9].copy_from_slice(&[transfer.status.into(), transfer.size as u8, transfer.block_size as u8]);
        self.journal.keep(&mut room, 3)
    }
}

/// A client that sends an image and loses its meter again and again ends with the image in use, and no step that it was
/// told of is ever taken back.
#[test]
fn an_image_arrives_whenever_power_fails() {
    let reached = RefCell::new(0_u8);
    let send = |nor: &Nor<4, 64>| -> Option<()> {
        let flash = RefCell::new(nor.clone());
        let mut receiver = Bank::open(&flash);
        let status = u8::from(receiver.status());
        assert!(status >= *reached.borrow(), "{status} after {}", *reached.borrow());
        if receiver.status() == ImageTransferStatus::NotInitiated {
            let image = ImageToTransfer { image_identifier: b"new", image_size: 69 };
            receiver.initiate(image).ok()?;
            *reached.borrow_mut() = 1;
        }
        if receiver.status() == ImageTransferStatus::Initiated {
            for number in 0..5 {
                let octets = block(number);
                let block = ImageBlock { image_block_number: number, image_block_value: &octets };
                receiver.take(block).ok()?;
            }
            receiver.verify().ok()?;
            *reached.borrow_mut() = u8::from(ImageTransferStatus::VerificationSuccessful);
        }
        receiver.activate().ok()?;
        *reached.borrow_mut() = u8::from(ImageTransferStatus::ActivationSuccessful);
        Some(())
    };
    let mut life = |nor: &Nor<4, 64>| {
        *reached.borrow_mut() = 0;
        send(nor);
    };
    let mut check = |nor: &Nor<4, 64>| {
        // A receiver that is done is not asked again.
        if *reached.borrow() < u8::from(ImageTransferStatus::ActivationSuccessful) {
            let flash = RefCell::new(nor.clone());
            if Bank::open(&flash).status() != ImageTransferStatus::ActivationSuccessful {
                send(nor).expect("with power the image arrives");
            }
        }
        let flash = RefCell::new(nor.clone());
        let mut receiver = Bank::open(&flash);
        assert_eq!(receiver.status(), ImageTransferStatus::ActivationSuccessful);
        assert_eq!(receiver.storage_mut().verify(), Work::Done);
    };
    at_every_step::<4, 64>(6, true, &mut life, &mut check);
}
