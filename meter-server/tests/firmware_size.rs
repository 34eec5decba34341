//! What the meters without `std` and without an allocator cost: code and static memory, from their ELF sections.
//!
//! `DLMS_FIRMWARE_SIZE=update cargo test -p dlms-meter-server --test firmware_size` writes the figures down.

mod firmware_build;

use std::path::Path;

use firmware_build::build;

/// Octets of code and constants of the least meter at most, as x86-64 code, which is longer than that of a microcontroller.
const CODE_MAX: u64 = 96 * 1024;
/// Octets of static memory at most: everything but the stack.
const STATIC_MAX: u64 = 8 * 1024 + 2 * 256;
/// How far a figure may stray from what is written down, in percent: compilers differ.
const TOLERANCE: u64 = 10;

#[derive(Debug, PartialEq)]
struct Sizes {
    code: u64,
    memory: u64,
}

/// Adds up the sections of a 64-bit little-endian ELF file by name.
fn sizes(elf: &[u8]) -> Sizes {
    let field = |at: usize, octets: usize| {
        let field = &elf[at..at + octets];
        field.iter().rev().fold(0_u64, |value, octet| value << 8 | u64::from(*octet))
    };
    let place = |at: usize, octets: usize| usize::try_from(field(at, octets)).unwrap();
    assert_eq!(&elf[..6], b"\x7FELF\x02\x01", "a 64-bit little-endian program");
    let (table, entry, count) = (place(0x28, 8), place(0x3A, 2), place(0x3C, 2));
    let names = place(table + place(0x3E, 2) * entry + 0x18, 8);
    let mut sizes = Sizes { code: 0, memory: 0 };
    for header in (0..count).map(|index| table + index * entry) {
        let name = &elf[names + place(header, 4)..];
        let name = &name[..name.iter().position(|octet| *octet == 0).unwrap()];
        let size = field(header + 0x20, 8);
        match name {
            b".text" | b".rodata" => sizes.code += size,
            b".data" | b".bss" => sizes.memory += size,
            _ => {}
        }
    }
    sizes
}

/// What is written down about a program: `code` and `memory` of it.
fn written(path: &Path, program: &str) -> Sizes {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(program)).unwrap();
    let figure = |at: usize| line.split_whitespace().nth(at).unwrap().parse().unwrap();
    Sizes { code: figure(2), memory: figure(4) }
}

#[test]
fn the_meters_stay_small() {
    let programs = ["firmware-meter", "firmware-board"].map(|name| (name, sizes(&std::fs::read(build(name)).unwrap())));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware/size.txt");
    if std::env::var("DLMS_FIRMWARE_SIZE").is_ok_and(|what| what == "update") {
        let lines =
            programs.iter().map(|(name, Sizes { code, memory })| format!("{name} code {code} static {memory}\n"));
        std::fs::write(&path, lines.collect::<String>()).unwrap();
    }
    for (name, sizes) in &programs {
        println!("{name}: code and constants {} octets, static memory {} of {STATIC_MAX}", sizes.code, sizes.memory);
        assert!(sizes.code > 50_000 && sizes.memory > 1_000, "{name}: {sizes:?} cannot be a whole meter");
        assert!(sizes.memory <= STATIC_MAX, "{name}: {sizes:?}");
        let before = written(&path, name);
        for (measured, before) in [(sizes.code, before.code), (sizes.memory, before.memory)] {
            assert!(
                measured.abs_diff(before) * 100 <= before * TOLERANCE,
                "{name}: {measured} octets, {before} are written down in firmware/size.txt: DLMS_FIRMWARE_SIZE=update"
            );
        }
    }
    let (_, least) = &programs[0];
    assert!(least.code <= CODE_MAX, "{least:?}");
}
