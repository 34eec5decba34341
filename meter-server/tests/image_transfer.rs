//! The client's side of an image transfer against the object of a meter, with associations that get lost and blocks that
//! go missing.

use std::collections::BTreeMap;

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, Conformance, DataAccessResult};
use dlms::association::Referencing;
use dlms::association::server::{Access, Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::cosem::image_transfer::{Ask, Failure, ImageTransferStatus, Outcome, Settings, Step, Transfer};
use dlms::id::{ClientSap, ServerSap};
use dlms::obis::ObisCode;
use dlms::security::Protection;
use dlms_meter_server::access::{AttributeAccess, MethodAccess, Rights};
use dlms_meter_server::objects::{ImageReceiver, ImageState, ImageStorage, ImageTransfer, Work};
use dlms_meter_server::{Entry, LogicalDevice, Moment};
use proptest::prelude::*;

const IMAGES: ObisCode = ObisCode::new(0, 0, 44, 0, 0, 255);
const BLOCK: u32 = 64;

/// Flash of a meter, which verifies and activates in so many steps.
struct Flash {
    octets: Vec<u8>,
    written: BTreeMap<u32, u32>,
    begun: u32,
    verify_steps: u32,
    activate_steps: u32,
    activated: bool,
    good: Vec<u8>,
    /// Blocks that fail to be written the first time.
    bad_blocks: Vec<u32>,
}

impl ImageStorage for Flash {
    fn block_size(&self) -> u32 {
        BLOCK
    }

    fn begin(&mut self, _: &[u8], size: u32) -> Result<(), ActionResult> {
        self.octets = vec![0xFF; size as usize];
        self.begun += 1;
        Ok(())
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), ActionResult> {
        let number = offset / BLOCK;
        *self.written.entry(number).or_default() += 1;
        if let Some(place) = self.bad_blocks.iter().position(|bad| *bad == number) {
            self.bad_blocks.remove(place);
            return Err(ActionResult::HardwareFault);
        }
        self.octets[offset as usize..][..octets.len()].copy_from_slice(octets);
        Ok(())
    }

    fn verify(&mut self) -> Work {
        match self.verify_steps {
            0 if self.octets == self.good => Work::Done,
            0 => Work::Failed,
            _ => {
                self.verify_steps -= 1;
                Work::Running
            }
        }
    }

    fn activate(&mut self) -> Work {
        assert_eq!(self.octets, self.good, "only what was verified");
        match self.activate_steps {
            0 => {
                assert!(!std::mem::replace(&mut self.activated, true), "activated twice");
                Work::Done
            }
            _ => {
                self.activate_steps -= 1;
                Work::Running
            }
        }
    }

    fn signature(&self) -> &[u8] {
        b"signed"
    }
}

struct Meter(ImageReceiver<Flash, [u8; 8]>);

impl ImageState for Meter {
    type Storage = Flash;
    type Bitmap = [u8; 8];

    fn image(&self) -> &ImageReceiver<Flash, [u8; 8]> {
        &self.0
    }

    fn image_mut(&mut self) -> &mut ImageReceiver<Flash, [u8; 8]> {
        &mut self.0
    }
}

fn image(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7) as u8).collect()
}

fn meter(good: &[u8]) -> Meter {
    Meter(ImageReceiver::new(
        Flash {
            octets: vec![],
            written: BTreeMap::new(),
            begun: 0,
            verify_steps: 0,
            activate_steps: 0,
            activated: false,
            good: good.into(),
            bad_blocks: vec![],
        },
        [0; 8],
    ))
}

const ACCESS: Access = Access {
    referencing: Referencing::LogicalName,
    client: ClientSap::MANAGEMENT,
    server: ServerSap::MANAGEMENT,
    mechanism: Mechanism::Lowest,
    ciphered_context: false,
    request: Protection::NONE,
    broadcast: false,
    conformance: Conformance::NONE,
    client_max_pdu: 0,
    server_max_pdu: 0,
    client_title: None,
};

fn with_device<T>(meter: &mut Meter, ask: impl FnOnce(&mut LogicalDevice<'_, Meter>) -> T) -> T {
    let object = ImageTransfer { instance: IMAGES };
    let rights = Rights::new(&[AttributeAccess::READ_WRITE; 7], &[MethodAccess::INVOKE; 4]);
    let rights = [(ClientSap::MANAGEMENT, rights)];
    let table = [Entry { object: &object, rights: &rights }];
    ask(&mut LogicalDevice { table: &table, state: meter, at: Moment::default() })
}

fn get(meter: &mut Meter, ask: dlms::apdu::AttributeDescriptor) -> Result<Vec<u8>, DataAccessResult> {
    let (mut octets, mut cursor) = (vec![], Cursor::default());
    loop {
        let mut buffer = [0; 256];
        let mut out = Writer::new(&mut buffer);
        let progress = with_device(meter, |device| device.read(&ACCESS, ask, None, &mut cursor, &mut out))?;
        octets.extend_from_slice(out.written());
        if progress == Progress::Done {
            return Ok(octets);
        }
        cursor.part += 1;
    }
}

/// What becomes of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    Whole,
    /// The request does not arrive.
    RequestLost,
    /// The meter does what it is asked, but nobody learns of it.
    AnswerLost,
}

/// Runs a transfer to its end; `line` says what becomes of the request with that number.
fn run(transfer: &mut Transfer<'_>, meter: &mut Meter, firmware: &[u8], line: impl Fn(usize) -> Line) -> Step {
    let mut now = Instant::from_millis(0);
    for number in 0..2000 {
        let ask = match transfer.step(now) {
            Step::Ask(ask) => ask,
            Step::Wait(until) => {
                assert!(until > now);
                now = until;
                meter.0.poll();
                continue;
            }
            end => return end,
        };
        assert_eq!(transfer.step(now), Step::Ask(ask), "the same until it was answered");
        let line = line(number);
        if line == Line::RequestLost {
            transfer.handle_lost(now);
            continue;
        }
        let whole = line == Line::Whole;
        match ask {
            Ask::Get(attribute) => {
                let octets = get(meter, attribute);
                let value = octets.as_ref().map(|octets| Data::from_slice(octets).unwrap()).map_err(|error| *error);
                if whole {
                    transfer.handle_value(value, now);
                }
            }
            Ask::Enable(attribute) => {
                let result = with_device(meter, |device| device.write(&ACCESS, attribute, None, Data::Boolean(true)));
                if whole {
                    transfer.handle_set(result.err().unwrap_or(DataAccessResult::Success), now);
                }
            }
            Ask::Invoke(method) | Ask::SendBlock { method, .. } => {
                let block = match ask {
                    Ask::SendBlock { offset, length, .. } => &firmware[offset as usize..][..length as usize],
                    _ => &[],
                };
                let mut buffer = [0; 128];
                let parameter = transfer.parameter(block, &mut buffer).unwrap();
                let out = &mut Writer::new(&mut []);
                let result = with_device(meter, |device| device.invoke(&ACCESS, method, Some(parameter), out));
                if whole {
                    transfer.handle_action(result.err().unwrap_or(ActionResult::Success), now);
                }
            }
        }
        if !whole {
            transfer.handle_lost(now);
        }
    }
    panic!("no end")
}

#[test]
fn an_image_is_transferred_verified_and_activated() {
    let firmware = image(1000);
    let mut meter = meter(&firmware);
    let flash = meter.0.storage_mut();
    (flash.verify_steps, flash.activate_steps) = (3, 2);
    let mut bitmap = [0; 8];
    let mut transfer = Transfer::new(Settings::new(b"FW-2", 1000), &mut bitmap);
    assert_eq!(run(&mut transfer, &mut meter, &firmware, |_| Line::Whole), Step::Done(Outcome::Activated));
    assert_eq!((transfer.blocks(), transfer.sent()), (16, 16));
    assert_eq!(meter.0.storage().octets, firmware);
    assert!(meter.0.storage().activated);
    assert_eq!(meter.0.identifier(), b"FW-2");
}

#[test]
fn without_activation_it_ends_with_a_verified_image() {
    let firmware = image(64);
    let mut meter = meter(&firmware);
    let settings = Settings { activate: false, ..Settings::new(b"FW", 64) };
    let end = run(&mut Transfer::new(settings, &mut []), &mut meter, &firmware, |_| Line::Whole);
    assert_eq!((end, meter.0.status()), (Step::Done(Outcome::Verified), ImageTransferStatus::VerificationSuccessful));
    let info = get(&mut meter, dlms::apdu::AttributeDescriptor::new(18.into(), IMAGES, 7.into())).unwrap();
    assert_eq!(info, [&[1, 1, 2, 3, 6, 0, 0, 0, 64, 9, 2][..], b"FW", &[9, 6], b"signed"].concat());
    // Later, the verified image is found and activated; nothing is sent again.
    let settings = Settings { resume: true, ..Settings::new(b"FW", 64) };
    let mut later = Transfer::new(settings, &mut []);
    assert_eq!(run(&mut later, &mut meter, &firmware, |_| Line::Whole), Step::Done(Outcome::Activated));
    assert_eq!(later.sent(), 0);
}

#[test]
fn lesson_16_a_transfer_goes_on_with_the_missing_blocks_and_is_not_initiated_again() {
    let firmware = image(1000);
    for room in [0, 1, 8] {
        let mut meter = meter(&firmware);
        let mut bitmap = [0; 8];
        let mut first = Transfer::new(Settings::new(b"FW", 1000), &mut bitmap);
        // Status, enabled, enable, block size, initiate: five requests; then five blocks, and the line is cut.
        for number in 0..11 {
            let line = |_| if number == 10 { Line::RequestLost } else { Line::Whole };
            let Step::Ask(_) = first.step(Instant::from_millis(0)) else { panic!() };
            step_once(&mut first, &mut meter, &firmware, line(number));
        }
        assert_eq!((first.sent(), meter.0.storage().begun), (5, 1));
        // Another program, days later.
        let mut bitmap = vec![0; room];
        let settings = Settings { resume: true, ..Settings::new(b"FW", 1000) };
        let mut second = Transfer::new(settings, &mut bitmap);
        assert_eq!(run(&mut second, &mut meter, &firmware, |_| Line::Whole), Step::Done(Outcome::Activated));
        assert_eq!((second.sent(), meter.0.storage().begun), (11, 1));
        assert!(meter.0.storage().written.values().all(|times| *times == 1));
    }
}

fn step_once(transfer: &mut Transfer<'_>, meter: &mut Meter, firmware: &[u8], line: Line) {
    let now = Instant::from_millis(0);
    match transfer.step(now) {
        _ if line != Line::Whole => transfer.handle_lost(now),
        Step::Ask(Ask::Get(attribute)) => {
            let octets = get(meter, attribute).unwrap();
            transfer.handle_value(Ok(Data::from_slice(&octets).unwrap()), now);
        }
        Step::Ask(Ask::Enable(attribute)) => {
            with_device(meter, |device| device.write(&ACCESS, attribute, None, Data::Boolean(true))).unwrap();
            transfer.handle_set(DataAccessResult::Success, now);
        }
        Step::Ask(ask @ (Ask::Invoke(method) | Ask::SendBlock { method, .. })) => {
            let block = match ask {
                Ask::SendBlock { offset, length, .. } => &firmware[offset as usize..][..length as usize],
                _ => &[],
            };
            let mut buffer = [0; 128];
            let parameter = transfer.parameter(block, &mut buffer).unwrap();
            let out = &mut Writer::new(&mut []);
            with_device(meter, |device| device.invoke(&ACCESS, method, Some(parameter), out)).unwrap();
            transfer.handle_action(ActionResult::Success, now);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn holes_are_filled() {
    let firmware = image(1000);
    let mut meter = meter(&firmware);
    meter.0.storage_mut().bad_blocks = vec![2, 7, 7, 15];
    let mut bitmap = [0; 2];
    let mut transfer = Transfer::new(Settings::new(b"FW", 1000), &mut bitmap);
    assert_eq!(run(&mut transfer, &mut meter, &firmware, |_| Line::Whole), Step::Done(Outcome::Activated));
    // Only the missing ones are sent again.
    let again: Vec<_> = meter.0.storage().written.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(again, [(&2, &2), (&7, &3), (&15, &2)]);
}

#[test]
fn what_cannot_succeed_ends() {
    let firmware = image(1000);
    let end =
        |meter: &mut Meter, settings| run(&mut Transfer::new(settings, &mut [0; 8]), meter, &firmware, |_| Line::Whole);
    // An image that the meter finds bad.
    let mut bad = meter(b"another");
    assert_eq!(end(&mut bad, Settings::new(b"FW", 1000)), Step::Failed(Failure::VerificationFailed));
    // One that is too large: the meter has bits for 64 blocks.
    let refused =
        Step::Failed(Failure::Invoke { method: "image_transfer_initiate", result: ActionResult::OtherReason });
    assert_eq!(end(&mut meter(&firmware), Settings::new(b"FW", 64 * BLOCK + 1)), refused);
    assert_eq!(end(&mut meter(&firmware), Settings::new(&[b'x'; 65], 1000)), refused);
    // A block that never can be written.
    let mut worn = meter(&firmware);
    worn.0.storage_mut().bad_blocks = vec![3; 100];
    assert_eq!(end(&mut worn, Settings::new(b"FW", 1000)), Step::Failed(Failure::Incomplete { missing: 3 }));
    // Flash that takes nothing at all: not every block is tried.
    let mut broken = meter(&firmware);
    broken.0.storage_mut().bad_blocks = (0..16).collect();
    let refused = Failure::Invoke { method: "image_block_transfer", result: ActionResult::HardwareFault };
    assert_eq!(end(&mut broken, Settings::new(b"FW", 1000)), Step::Failed(refused));
    assert_eq!(broken.0.storage().written.len(), 8);
    // A meter that verifies for ever, and one that activates for ever.
    let mut slow = meter(&firmware);
    slow.0.storage_mut().verify_steps = u32::MAX;
    assert_eq!(end(&mut slow, Settings::new(b"FW", 1000)), Step::Failed(Failure::VerifyTimeout));
    let mut slow = meter(&firmware);
    slow.0.storage_mut().activate_steps = u32::MAX;
    assert_eq!(end(&mut slow, Settings::new(b"FW", 1000)), Step::Failed(Failure::ActivateTimeout));
}

#[test]
fn a_meter_refuses_what_is_out_of_order() {
    let firmware = image(100);
    let mut meter = meter(&firmware);
    let invoke = |meter: &mut Meter, method: i8, octets: &[u8]| {
        let method = dlms::apdu::MethodDescriptor::new(18.into(), IMAGES, method.into());
        let parameter = Some(Data::from_slice(octets).unwrap());
        with_device(meter, |device| device.invoke(&ACCESS, method, parameter, &mut Writer::new(&mut [])))
    };
    let initiate = [2, 2, 9, 2, b'F', b'W', 6, 0, 0, 0, 100];
    let block =
        |number: u8, length: usize| [&[2, 2, 6, 0, 0, 0, number, 9, length as u8][..], &vec![7; length]].concat();
    let zero = [0x0F, 0];
    // Not enabled.
    assert_eq!(invoke(&mut meter, 1, &initiate), Err(ActionResult::ReadWriteDenied));
    meter.0.set_enabled(true);
    assert_eq!(invoke(&mut meter, 2, &block(0, 64)), Err(ActionResult::OtherReason));
    assert_eq!(invoke(&mut meter, 1, &[0x11, 5]), Err(ActionResult::TypeUnmatched));
    assert_eq!(invoke(&mut meter, 1, &initiate), Ok(()));
    // Blocks that do not exist, or are of the wrong length.
    assert_eq!(invoke(&mut meter, 2, &block(2, 64)), Err(ActionResult::OtherReason));
    assert_eq!(invoke(&mut meter, 2, &block(0, 63)), Err(ActionResult::TypeUnmatched));
    assert_eq!(invoke(&mut meter, 2, &block(1, 64)), Err(ActionResult::TypeUnmatched));
    assert_eq!(invoke(&mut meter, 2, &block(1, 36)), Ok(()));
    // Incomplete, and not verified.
    assert_eq!(invoke(&mut meter, 3, &zero), Err(ActionResult::OtherReason));
    assert_eq!(meter.0.status(), ImageTransferStatus::Initiated);
    assert_eq!(invoke(&mut meter, 4, &zero), Err(ActionResult::OtherReason));
    let bits = get(&mut meter, dlms::apdu::AttributeDescriptor::new(18.into(), IMAGES, 3.into())).unwrap();
    assert_eq!(bits, [4, 2, 0b0100_0000]);
    // A new transfer of the same image begins with nothing.
    assert_eq!(invoke(&mut meter, 1, &initiate), Ok(()));
    let bits = get(&mut meter, dlms::apdu::AttributeDescriptor::new(18.into(), IMAGES, 3.into())).unwrap();
    assert_eq!(bits, [4, 2, 0]);
}

proptest! {
    #[test]
    fn however_often_the_association_is_lost_the_image_arrives_once(
        losses in proptest::collection::vec(0_usize..60, 0..12),
        after in any::<bool>(),
        length in 1_usize..3000,
    ) {
        let firmware = image(length);
        let mut meter = meter(&firmware);
        let flash = meter.0.storage_mut();
        (flash.verify_steps, flash.activate_steps) = (2, 2);
        let mut bitmap = [0; 8];
        let mut transfer = Transfer::new(Settings::new(b"FW", length as u32), &mut bitmap);
        let line = |number| match losses.contains(&number) {
            true if after => Line::AnswerLost,
            true => Line::RequestLost,
            false => Line::Whole,
        };
        let end = run(&mut transfer, &mut meter, &firmware, line);
        prop_assert_eq!(end, Step::Done(Outcome::Activated));
        prop_assert_eq!(&meter.0.storage().octets, &firmware);
        let again: u32 = meter.0.storage().written.values().map(|times| times - 1).sum();
        // Each block whose answer was lost is known to be there: none is sent again.
        prop_assert_eq!(again, 0);
    }
}
