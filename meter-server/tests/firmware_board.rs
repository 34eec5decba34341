//! The program with a UART and a flash memory, linked, run and read over its line: what it keeps when it is ended, and how
//! much stack it takes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, unused_imports)]
mod board;
mod firmware_build;

use std::fs::{File, OpenOptions, read_to_string};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Clock};

use board::{
    CLOCK, Client, ENERGY, Entropy, SECURITY, counted, encoded, management, managing, public, reading, transfer,
};
use dlms::Instant;
use dlms::apdu::{ActionResult, AttributeDescriptor, AttributeRequest, DataAccessResult, MethodDescriptor};
use dlms::association::client::{Config, Connection, Event, Response};
use dlms::axdr::{Data, Value};
use dlms::hdlc::{Address, FRAME_MAX, Fcs, client};
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::obis::ObisCode;
use dlms::security::InvocationCounter;
use dlms::time::{ClockStatus, DateTime};
use firmware_build::build;

/// Octets of stack at most, with the pointers and registers of x86-64, which are twice as long as a microcontroller's.
const STACK_MAX: u64 = 14 * 1024;
/// What the stack is painted with, in octets and how many of them.
const PAINT: u8 = 0xA5;
const PAINTED: u64 = 48 * 1024;
/// How long the program may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const IMAGE: [u8; 6] = [0, 0, 44, 0, 0, 255];

/// The program, running.
struct Meter {
    process: Child,
    began: Clock,
    counter: u32,
}

impl Meter {
    fn start(flash: &Path, counter: u32) -> Self {
        let process = Command::new(build("firmware-board"))
            .arg(flash)
            // The dynamic linker takes its stack before the program begins, and none of it later.
            .env_clear()
            .env("LD_BIND_NOW", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let meter = Self { process, began: Clock::now(), counter };
        meter.until_idle();
        meter
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.process.id())
    }

    /// Waits until the program waits for octets; where its stack is then.
    fn until_idle(&self) -> u64 {
        /// Number of `poll`.
        const POLL: &str = "7";
        let began = Clock::now();
        while began.elapsed() < PATIENCE {
            let text = read_to_string(self.proc("syscall")).unwrap();
            let words: Vec<&str> = text.split_whitespace().collect();
            if let [POLL, .., stack, _] = words[..] {
                return u64::from_str_radix(stack.trim_start_matches("0x"), 16).unwrap();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("the program does not come to rest");
    }

    /// Where the stack begins: the arguments are above.
    fn stack_begin(&self) -> u64 {
        let stat = read_to_string(self.proc("stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        // Field 28 of the line; the name was field 2.
        rest.split_whitespace().nth(28 - 3).unwrap().parse().unwrap()
    }

    /// Octets of the stack below where it is now, as far as they can be there.
    fn below(&self, stack: u64) -> (File, u64, Vec<u8>) {
        let maps = read_to_string(self.proc("maps")).unwrap();
        let line = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let first = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        let first = first.max(stack - PAINTED);
        let memory = OpenOptions::new().read(true).write(true).open(self.proc("mem")).unwrap();
        let mut octets = vec![0; usize::try_from(stack - first).unwrap()];
        memory.read_exact_at(&mut octets, first).unwrap();
        (memory, first, octets)
    }

    /// How deep the stack was, from what it left behind: octets that are not `blank` any more.
    fn depth(&self, blank: u8) -> u64 {
        let (_, first, octets) = self.below(self.until_idle());
        let touched = octets.iter().position(|octet| *octet != blank).unwrap_or(octets.len());
        assert!(touched > 1_024, "the stack is deeper than what can be seen of it");
        self.stack_begin() - first - u64::try_from(touched).unwrap()
    }

    /// Paints the stack below what is in use.
    fn paint(&self) {
        // The 128 octets below it are in use.
        let (memory, first, octets) = self.below(self.until_idle() - 128);
        memory.write_all_at(&vec![PAINT; octets.len()], first).unwrap();
    }

    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.began.elapsed().as_millis()).unwrap())
    }

    fn client(&mut self, config: Config) -> Option<Session<'_>> {
        let own = Address::client(config.client.0).unwrap();
        let station = client::Config {
            response_timeout_ms: 60_000,
            ..client::Config::new(own, Address::shortest(config.server.0, None).unwrap())
        };
        let link = client::Session::new(station, vec![0; FRAME_MAX], vec![0; 2_048], vec![0; 512]);
        let counter = InvocationCounter::new(self.counter, self.counter + 1_000);
        self.counter += 1_000;
        let mut client: Client = Connection::new(link, config, Entropy(7), counter, vec![0; 512], vec![0; 512]);
        client.associate(self.now()).unwrap();
        let mut session = Session { meter: self, client };
        (session.answer() == Some(Answer::Done)).then_some(session)
    }

    /// The line ends, and with it the program.
    fn end(mut self) -> u32 {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
        self.counter
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client of it.
struct Session<'a> {
    meter: &'a mut Meter,
    client: Client,
}

#[derive(Debug, PartialEq)]
enum Answer {
    /// Associated, or released.
    Done,
    Value(Result<Value, DataAccessResult>),
    Set(DataAccessResult),
    Invoked(ActionResult),
}

impl Session<'_> {
    /// Carries octets until there is an answer; `None` when the association was refused.
    fn answer(&mut self) -> Option<Answer> {
        let mut joined = Vec::new();
        loop {
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Associated(_) | Event::Released => return Some(Answer::Done),
                    Event::Closed(_) => return None,
                    Event::Response(Response::Get(result)) => {
                        return Some(Answer::Value(result.into_result().map(Value::from)));
                    }
                    Event::Response(Response::GetBlock { raw, last }) => {
                        joined.extend_from_slice(raw);
                        if last {
                            return Some(Answer::Value(Ok(Data::from_slice(&joined).unwrap().into())));
                        }
                    }
                    Event::Response(Response::Set(result)) => return Some(Answer::Set(result)),
                    Event::Response(Response::Action(result)) => return Some(Answer::Invoked(result.result)),
                    other => panic!("{other:?}"),
                }
            }
            let mut octets = [0; 256];
            while let Some(length) = self.client.poll_transmit(&mut octets) {
                self.meter.process.stdin.as_mut().unwrap().write_all(&octets[..length]).unwrap();
            }
            let count = self.meter.process.stdout.as_mut().unwrap().read(&mut octets).unwrap();
            assert!(count > 0, "the meter is gone");
            let mut rest = &octets[..count];
            while !rest.is_empty() {
                let taken = self.client.handle_input(rest, self.meter.now());
                rest = &rest[taken..];
                if taken == 0 {
                    let mut octets = [0; 256];
                    while let Some(length) = self.client.poll_transmit(&mut octets) {
                        self.meter.process.stdin.as_mut().unwrap().write_all(&octets[..length]).unwrap();
                    }
                }
            }
        }
    }

    fn get(&mut self, class: u16, instance: [u8; 6], id: i8) -> Result<Value, DataAccessResult> {
        let attribute = AttributeDescriptor::new(ClassId(class), ObisCode(instance), AttributeId(id));
        self.client.get(AttributeRequest::whole(attribute), self.meter.now()).unwrap();
        match self.answer() {
            Some(Answer::Value(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    fn set(&mut self, class: u16, instance: [u8; 6], id: i8, value: Data<'_>) -> Option<Answer> {
        let attribute = AttributeDescriptor::new(ClassId(class), ObisCode(instance), AttributeId(id));
        self.client.set(AttributeRequest::whole(attribute), value, self.meter.now()).unwrap();
        self.answer()
    }

    fn invoke(&mut self, class: u16, instance: [u8; 6], id: i8, value: &[u8]) -> Option<Answer> {
        let method = MethodDescriptor { class: ClassId(class), instance: ObisCode(instance), method: MethodId(id) };
        self.client.action(method, Some(Data::from_slice(value).unwrap()), self.meter.now()).unwrap();
        self.answer()
    }

    fn leave(mut self) {
        self.client.release(self.meter.now()).unwrap();
        assert_eq!(self.answer(), Some(Answer::Done));
    }
}

/// Everything that its clients can do, once.
fn all_of_it(meter: &mut Meter) {
    let mut visitor = meter.client(public()).unwrap();
    assert!(matches!(visitor.get(1, [0, 0, 42, 0, 0, 255], 2), Ok(Value::OctetString(_))));
    assert!(matches!(visitor.get(15, [0, 0, 40, 0, 0, 255], 2), Ok(Value::Array(_))));
    visitor.leave();
    let mut reader = meter.client(reading(b"12345678")).unwrap();
    assert!(matches!(reader.get(7, [1, 0, 99, 1, 0, 255], 2), Ok(Value::Array(_))));
    reader.leave();
    let mut manager = meter.client(management()).unwrap();
    assert!(matches!(manager.get(3, ENERGY, 2), Ok(Value::DoubleLongUnsigned(_))));
    let success = Some(Answer::Invoked(ActionResult::Success));
    let mut image: Vec<u8> = (0..1_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    image.extend(Fcs::new().update(&image).to_bytes());
    let size = u32::try_from(image.len()).unwrap();
    let initiate = encoded(|out| {
        out.structure(2)?;
        out.octets(b"firmware 2")?;
        out.double_long_unsigned(size)
    });
    assert_eq!(manager.invoke(18, IMAGE, 1, &initiate), success);
    for (number, block) in (0..).zip(image.chunks(128)) {
        let block = encoded(|out| {
            out.structure(2)?;
            out.double_long_unsigned(number)?;
            out.octets(block)
        });
        assert_eq!(manager.invoke(18, IMAGE, 2, &block), success);
    }
    for method in [3, 4] {
        assert_eq!(manager.invoke(18, IMAGE, method, &encoded(|out| out.integer(0))), success);
    }
    let password = Data::OctetString(b"open sesame");
    assert_eq!(manager.set(15, [0, 0, 40, 0, 2, 255], 7, password), Some(Answer::Set(DataAccessResult::Success)));
    let time = DateTime::from_unix_seconds(2_000_000_000, -60, ClockStatus::OK);
    let set = manager.set(8, CLOCK, 2, Data::OctetString(time.as_bytes()));
    assert_eq!(set, Some(Answer::Set(DataAccessResult::Success)));
    let keys = transfer(&counted(0x70), &[(0, counted(0x20)), (2, counted(0x30))]);
    assert_eq!(manager.invoke(64, SECURITY, 2, &keys), success);
}

/// `cargo test --test firmware_board -- --nocapture` tells the figures.
#[test]
fn the_program_keeps_what_it_was_told_and_takes_little_stack() {
    let folder = tempfile::tempdir().unwrap();
    let flash = folder.path().join("flash.bin");
    let mut meter = Meter::start(&flash, 1);
    // Nothing has written to these pages yet but what runs until now.
    let starting = meter.depth(0);
    meter.paint();
    all_of_it(&mut meter);
    let serving = meter.depth(PAINT);
    println!("stack of firmware-board: {starting} octets until its line is open, {serving} octets in service");
    assert!(serving > 1_000, "{serving} octets cannot be all");
    assert!(serving <= STACK_MAX && starting <= STACK_MAX);

    let counter = meter.end();
    let mut meter = Meter::start(&flash, counter);
    assert!(meter.client(management()).is_none(), "the old keys");
    assert!(meter.client(reading(b"12345678")).is_none(), "the old password");
    meter.client(reading(b"open sesame")).unwrap().leave();
    let mut manager = meter.client(managing(&counted(0x20), &counted(0x30))).unwrap();
    assert_eq!(manager.get(1, [1, 0, 0, 2, 0, 255], 2), Ok(Value::OctetString(b"firmware 2".to_vec())));
    let Ok(Value::OctetString(time)) = manager.get(8, CLOCK, 2) else { panic!("a time") };
    let shown = DateTime::from_slice(&time).unwrap().to_unix_seconds().unwrap();
    assert!((2_000_000_000..2_000_000_000 + 600).contains(&shown), "{shown}");
    manager.leave();
    meter.end();
}
