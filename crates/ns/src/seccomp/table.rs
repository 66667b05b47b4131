//! The table of system calls, read from `syscalls.tbl` when the crate is built.
//!
//! Names and rows live in two constants without pointers: nothing to relocate, and so no private page, in a static
//! program that is started for every container.

use super::arch::Arch;
use crate::caps::{CapSet, Capability};

const TEXT: &[u8] = include_bytes!("syscalls.tbl");
const COLUMNS: usize = 5;
/// "Not there" in a column.
const NONE: u16 = u16::MAX;
/// Arm's private calls start at 0xf0000; the table keeps them from here on, to have 16 bits suffice.
const PRIVATE: u16 = 0xf000;
/// The number of a private call that the table would hold as 0xf000.
const PRIVATE_BASE: u32 = 0xf_0000;
/// How many numbers are set aside for private calls.
const PRIVATE_COUNT: u16 = 16;
/// x32 has calls of its own from here on; the numbers shared with x86-64 stay below.
pub(super) const X32_OWN: u16 = 512;

/// What the default profile says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Allow,
    Never,
    /// A rule of its own.
    Rule,
    /// With any of these capabilities.
    With(CapSet),
}

/// One system call.
#[derive(Clone, Copy)]
pub(super) struct Row {
    name_start: u16,
    name_len: u8,
    access: Access,
    numbers: [u16; COLUMNS],
}

/// How many numbers an architecture's calls take, and where newer ones would stand.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// One above the highest number of the table.
    pub(super) end: u16,
    /// One above the newest call; below `end` on x32 alone, whose own calls stand higher.
    pub(super) newest: u16,
}

const SIZES: (usize, usize) = sizes();
/// As a constant for [`extents`], which cannot read a static.
const TABLE: [Row; SIZES.0] = rows();
static ROWS: [Row; SIZES.0] = TABLE;
static NAME_BYTES: [u8; SIZES.1] = names();
const EXTENTS: [Extent; COLUMNS] = extents();

impl Row {
    pub(super) fn name(&self) -> &'static str {
        // The table is ASCII, which a test asserts.
        std::str::from_utf8(self.name_bytes()).unwrap_or_default()
    }

    fn name_bytes(&self) -> &'static [u8] {
        let start = usize::from(self.name_start);
        &NAME_BYTES[start..start + usize::from(self.name_len)]
    }

    pub(super) const fn access(&self) -> Access {
        self.access
    }

    /// The slot of the call in a dense array of [`slots`] entries.
    pub(super) fn slot(&self, arch: Arch) -> Option<usize> {
        match self.numbers[arch as usize] {
            NONE => None,
            private @ PRIVATE.. => Some(usize::from(extent(arch).end + (private - PRIVATE))),
            number => Some(usize::from(number)),
        }
    }
}

/// All rows, sorted by name.
pub(super) fn all() -> &'static [Row] {
    &ROWS
}

/// Finds calls by name. The rows after the last one found are tried first: profiles are mostly sorted, and then hardly a
/// search is made.
#[derive(Default)]
pub(super) struct Finder {
    next: usize,
}

impl Finder {
    pub(super) fn find(&mut self, name: &str) -> Option<&'static Row> {
        let name = name.as_bytes();
        let close_by =
            ROWS.iter().enumerate().skip(self.next).take(3).find(|(_, row)| row.name_bytes() == name);
        let found = match close_by {
            Some((index, _)) => index,
            None => ROWS.binary_search_by(|row| row.name_bytes().cmp(name)).ok()?,
        };
        self.next = found + 1;
        ROWS.get(found)
    }
}

pub(super) const fn extent(arch: Arch) -> Extent {
    EXTENTS[arch as usize]
}

/// The size of a dense array over the calls of `arch`.
pub(super) fn slots(arch: Arch) -> usize {
    usize::from(extent(arch).end + if matches!(arch, Arch::Arm) { PRIVATE_COUNT } else { 0 })
}

/// The number of the call in `slot`, as `seccomp_data.nr` has it.
pub(super) fn number(arch: Arch, slot: usize) -> u32 {
    let end = usize::from(extent(arch).end);
    let slot_number = if slot < end { slot as u32 } else { PRIVATE_BASE + (slot - end) as u32 };
    arch.base() + slot_number
}

/// The first number above all that `arch` has.
pub(super) fn number_after_last(arch: Arch) -> u32 {
    match arch {
        Arch::Arm => PRIVATE_BASE + u32::from(PRIVATE_COUNT),
        _ => arch.base() + u32::from(extent(arch).end),
    }
}

// What follows runs in the compiler only. A malformed table is an index out of bounds or one of the panics below.

/// The end of the word or line (`stop`) that starts at `at`.
const fn end_of(at: usize, stop: u8) -> usize {
    let mut end = at;
    while end < TEXT.len() && TEXT[end] != stop && TEXT[end] != b'\n' {
        end += 1;
    }
    end
}

/// The number of rows, and of bytes in all their names.
const fn sizes() -> (usize, usize) {
    let (mut count, mut bytes, mut at) = (0, 0, 0);
    while at < TEXT.len() {
        if TEXT[at] != b'#' {
            count += 1;
            bytes += end_of(at, b' ') - at;
        }
        at = end_of(at, b'\n') + 1;
    }
    (count, bytes)
}

const fn names() -> [u8; SIZES.1] {
    let mut names = [0; SIZES.1];
    let (mut at, mut to) = (0, 0);
    while at < TEXT.len() {
        if TEXT[at] != b'#' {
            let end = end_of(at, b' ');
            while at < end {
                names[to] = TEXT[at];
                at += 1;
                to += 1;
            }
        }
        at = end_of(at, b'\n') + 1;
    }
    names
}

const fn rows() -> [Row; SIZES.0] {
    let empty = Row { name_start: 0, name_len: 0, access: Access::Never, numbers: [NONE; COLUMNS] };
    let mut rows = [empty; SIZES.0];
    let (mut at, mut row, mut name_start) = (0, 0, 0);
    while at < TEXT.len() {
        if TEXT[at] != b'#' {
            let name_end = end_of(at, b' ');
            rows[row].name_start = name_start;
            rows[row].name_len = (name_end - at) as u8;
            name_start += (name_end - at) as u16;
            at = name_end + 1;
            let mut column = 0;
            while column < COLUMNS {
                let end = end_of(at, b' ');
                rows[row].numbers[column] = parse_number(at, end);
                at = end + 1;
                column += 1;
            }
            rows[row].access = parse_access(at, end_of(at, b'\n'));
            row += 1;
        }
        at = end_of(at, b'\n') + 1;
    }
    rows
}

const fn parse_number(at: usize, end: usize) -> u16 {
    if TEXT[at] == b'-' {
        return NONE;
    }
    let (mut number, mut at) = (0, at);
    while at < end {
        assert!(TEXT[at].is_ascii_digit());
        number = number * 10 + (TEXT[at] - b'0') as u32;
        at += 1;
    }
    if number >= PRIVATE_BASE {
        assert!(number < PRIVATE_BASE + PRIVATE_COUNT as u32);
        return PRIVATE + (number - PRIVATE_BASE) as u16;
    }
    assert!(number < 1024);
    number as u16
}

const fn parse_access(at: usize, end: usize) -> Access {
    if is(at, end, "allow") {
        return Access::Allow;
    }
    if is(at, end, "never") {
        return Access::Never;
    }
    if is(at, end, "rule") {
        return Access::Rule;
    }
    let mut caps = CapSet::EMPTY;
    let mut at = at;
    while at < end {
        let word = end_of(at, b'|');
        caps.insert(capability(at, word));
        at = word + 1;
    }
    Access::With(caps)
}

const fn capability(at: usize, end: usize) -> Capability {
    let mut number = 0;
    loop {
        let cap = Capability::ALL[number];
        if is(at, end, cap.name().split_at(4).1) {
            return cap;
        }
        number += 1;
    }
}

const fn is(at: usize, end: usize, word: &str) -> bool {
    let word = word.as_bytes();
    if word.len() != end - at {
        return false;
    }
    let mut i = 0;
    while i < word.len() {
        if TEXT[at + i] != word[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn extents() -> [Extent; COLUMNS] {
    let mut extents = [Extent { end: 0, newest: 0 }; COLUMNS];
    let mut row = 0;
    while row < TABLE.len() {
        let mut column = 0;
        while column < COLUMNS {
            let number = TABLE[row].numbers[column];
            if number < PRIVATE && number >= extents[column].end {
                extents[column].end = number + 1;
            }
            if number < X32_OWN && number >= extents[column].newest {
                extents[column].newest = number + 1;
            }
            column += 1;
        }
        row += 1;
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_name_is_found() {
        assert!(TEXT.is_ascii());
        assert!(ROWS.is_sorted_by(|a, b| a.name() < b.name()));
        let text = std::str::from_utf8(TEXT).unwrap();
        let names =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').next().unwrap());
        let mut finder = Finder::default();
        for name in names.clone().chain(names.rev()) {
            assert_eq!(finder.find(name).map(Row::name), Some(name));
        }
        for name in ["", "zzz", "read ", "rea", "readx"] {
            assert!(finder.find(name).is_none());
        }
    }

    #[test]
    fn no_number_has_two_names_but_for_two_aliases_on_arm() {
        for arch in [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm] {
            let mut slots: Vec<_> = ROWS.iter().filter_map(|row| row.slot(arch)).collect();
            let with_aliases = slots.len();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(with_aliases - slots.len(), if arch == Arch::Arm { 2 } else { 0 }, "{arch:?}");
            assert!(slots.last().unwrap() < &super::slots(arch));
        }
    }

    #[test]
    fn the_extents_end_at_the_newest_call_of_linux_6_18() {
        for arch in [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm] {
            assert_eq!(extent(arch).newest, 470, "{arch:?}");
            assert_eq!(extent(arch).end, if arch == Arch::X32 { 548 } else { 470 }, "{arch:?}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let number_of = |name, arch| Finder::default().find(name)?.slot(arch).map(|slot| number(arch, slot));
        for (name, numbers) in [
            ("read", [Some(0), Some(3), Some(0x4000_0000), Some(63), Some(3)]),
            ("execve", [Some(59), Some(11), Some(0x4000_0208), Some(221), Some(11)]),
            ("socketcall", [None, Some(102), None, None, None]),
            ("futex_time64", [None, Some(422), None, None, Some(422)]),
            ("set_tls", [None, None, None, None, Some(0xf_0005)]),
            ("file_setattr", [Some(469), Some(469), Some(0x4000_01d5), Some(469), Some(469)]),
        ] {
            let arches = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];
            assert_eq!(arches.map(|arch| number_of(name, arch)), numbers, "{name}");
        }
        #[cfg(target_arch = "x86_64")]
        for (name, expected) in [
            ("openat2", libc::SYS_openat2),
            ("clone3", libc::SYS_clone3),
            ("seccomp", libc::SYS_seccomp),
            ("mseal", libc::SYS_mseal),
        ] {
            assert_eq!(number_of(name, Arch::NATIVE).map(i64::from), Some(expected), "{name}");
        }
    }
}
