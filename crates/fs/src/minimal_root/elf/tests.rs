use super::*;

fn own() -> Vec<u8> {
    std::fs::read("/bin/sh").unwrap()
}

#[test]
fn the_shell_of_this_machine_is_understood() {
    let elf = read(own().as_slice()).unwrap();
    assert_eq!(elf.kind.wide, cfg!(target_pointer_width = "64"));
    assert_eq!(elf.kind.big_endian, cfg!(target_endian = "big"));
    let interpreter = elf.interpreter.unwrap();
    assert!(std::path::Path::new(&interpreter).exists(), "{interpreter:?}");
    assert!(elf.needed.iter().any(|name| name.to_str().unwrap().contains("libc")), "{:?}", elf.needed);
}

/// A file with an interpreter, two libraries and a path; of any width and byte order.
fn sample(wide: bool, big_endian: bool) -> Vec<u8> {
    let word = if wide { 8 } else { 4 };
    let (header, entry) = if wide { (64, 56) } else { (52, 32) };
    let dynamic_at = header + 3 * entry;
    let strings = b"\0/lib/ld.so\0liba.so\0libb.so.2\0$ORIGIN/lib\0";
    let strings_at = dynamic_at + 6 * 2 * word;
    let total = strings_at + strings.len();
    let mut bytes = vec![0; total];
    let mut put = |at: usize, size: usize, value: u64| {
        let all = if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let part = if big_endian { &all[8 - size..] } else { &all[..size] };
        bytes[at..at + size].copy_from_slice(part);
    };
    put(16, 2, 3);
    put(18, 2, 62);
    put(if wide { 32 } else { 28 }, word, header as u64);
    put(if wide { 54 } else { 42 }, 2, entry as u64);
    put(if wide { 56 } else { 44 }, 2, 3);
    const BASE: u64 = 0x1000;
    for (number, (kind, offset, size)) in
        [(PT_LOAD, 0, total), (PT_INTERP, strings_at + 1, 11), (PT_DYNAMIC, dynamic_at, 12 * word)]
            .into_iter()
            .enumerate()
    {
        let at = header + number * entry;
        put(at, 4, kind.into());
        put(at + if wide { 8 } else { 4 }, word, offset as u64);
        put(at + if wide { 16 } else { 8 }, word, BASE + offset as u64);
        put(at + if wide { 32 } else { 16 }, word, size as u64);
    }
    for (number, (tag, value)) in [
        (DT_NEEDED, 12),
        (DT_NEEDED, 20),
        (DT_RUNPATH, 30),
        (DT_STRTAB, BASE + strings_at as u64),
        (DT_STRSZ, strings.len() as u64),
        (DT_NULL, 0),
    ]
    .into_iter()
    .enumerate()
    {
        put(dynamic_at + number * 2 * word, word, tag);
        put(dynamic_at + (number * 2 + 1) * word, word, value);
    }
    bytes[..4].copy_from_slice(b"\x7fELF");
    bytes[4] = if wide { 2 } else { 1 };
    bytes[5] = if big_endian { 2 } else { 1 };
    bytes[strings_at..].copy_from_slice(strings);
    bytes
}

#[test]
fn every_width_and_byte_order_is_read() {
    for (wide, big_endian) in [(true, false), (true, true), (false, false), (false, true)] {
        let elf = read(sample(wide, big_endian).as_slice()).unwrap();
        let expected = Elf {
            kind: Kind { wide, big_endian, machine: 62 },
            interpreter: Some("/lib/ld.so".into()),
            needed: vec!["liba.so".into(), "libb.so.2".into()],
            rpath: None,
            runpath: Some("$ORIGIN/lib".into()),
        };
        assert_eq!(elf, expected, "{wide} {big_endian}");
    }
}

#[test]
fn files_that_end_too_soon_are_refused_at_every_length() {
    let whole = sample(true, false);
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    assert!(read(whole.as_slice()).is_ok());
    let shell = own();
    for length in (0..4096).chain((4096..shell.len()).step_by(997)) {
        // Whatever the answer, there is one.
        let _ = read(&shell[..length]);
    }
    assert!(matches!(read(b"#!/bin/sh\n".as_slice()), Err(Problem::NotElf)));
}

#[test]
fn no_changed_byte_does_harm() {
    let mut accepted = 0;
    for (wide, big_endian) in [(true, false), (false, true)] {
        let good = sample(wide, big_endian);
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                accepted += u32::from(read(bad.as_slice()).is_ok());
            }
        }
    }
    assert!(accepted > 0, "changes that do not matter are accepted");
    // A small generator with a fixed seed: the same changes each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = sample(true, false);
    for _ in 0..50_000 {
        let mut bad = good.clone();
        for _ in 0..1 + random() % 8 {
            let at = random() as usize % bad.len();
            bad[at] = random() as u8;
        }
        let _ = read(bad.as_slice());
    }
}

#[test]
fn sizes_that_lie_cost_no_memory() {
    let mut huge = sample(true, false);
    // The size of the dynamic section, and then the number of program headers.
    let dynamic = 64 + 2 * 56 + 32;
    huge[dynamic..dynamic + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(read(huge.as_slice()), Err(Problem::TooLarge("its dynamic section"))));
    let mut many = sample(true, false);
    many[56..58].copy_from_slice(&u16::MAX.to_le_bytes());
    assert!(matches!(read(many.as_slice()), Err(Problem::TooLarge(_))));
    let mut far = sample(true, false);
    far[32..40].copy_from_slice(&(u64::MAX - 3).to_le_bytes());
    assert!(matches!(read(far.as_slice()), Err(Problem::Outside(_))));
}
