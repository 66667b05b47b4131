//! The corpus on any Rust: every file as it is, and some thousand mutations of it that a seed repeats
//! (`TINYD_TEST_SEED` chooses another one). No substitute for fuzzing; what was found once is not lost again.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tinyd_fuzz::{TARGETS, Target};

/// More would be a corpus that nobody looks at.
fn most_files(target: &str) -> usize {
    match target {
        // Much that others write, and much that is wrong.
        "bundle" => 70,
        _ => 30,
    }
}

/// Mutations of a file; fewer where a target takes its time: a parser is built, or files are written.
fn rounds(target: &str) -> usize {
    match target {
        "archive" => 50,
        "options" | "events" | "leases" => 200,
        "cgroup_files" | "bundle" => 400,
        _ => 2_000,
    }
}

/// Bytes that mutations of one file may come to, so that a long file does not take all the time.
const BYTES: usize = 1_000_000;

/// Texts that mean something to one reader or another.
const WORDS: [&str; 24] = [
    "max",
    "-1",
    "0",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "9223372036854775807",
    "NaN",
    "inf",
    "\\040",
    "\\777",
    " - ",
    "/../",
    "--",
    "-i",
    "=",
    ":",
    "\0",
    "\u{fffd}",
    "null",
    "{}",
    "[]",
    "@12\n",
    "\n",
];

/// Where quoted texts and runs of digits stand.
fn tokens(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let is_in: fn(&u8) -> bool = match bytes[at] {
            b'"' => |byte| *byte != b'"',
            byte if byte.is_ascii_digit() => u8::is_ascii_digit,
            _ => {
                at += 1;
                continue;
            }
        };
        let quoted = usize::from(bytes[at] == b'"');
        let length = bytes[at + 1..].iter().take_while(|byte| is_in(byte)).count();
        let end = (at + 1 + length + quoted).min(bytes.len());
        found.push(at..end);
        at = end;
    }
    found
}

struct Corpus {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Corpus {
    fn of(target: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        Self { files: paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect() }
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    /// A part of `length` bytes.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(64) + 1)
    }

    /// One to four changes.
    fn mutated(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(10) {
                0 if !bytes.is_empty() => {
                    let place = self.below(bytes.len());
                    bytes[place] ^= 1 << self.below(8);
                }
                1 => bytes.insert(at, self.below(256) as u8),
                2 => drop(bytes.drain(self.part(bytes.len()))),
                3 => drop(bytes.splice(at..at, WORDS[self.below(WORDS.len())].bytes())),
                4 => {
                    let copy = bytes[self.part(bytes.len())].to_vec();
                    bytes.splice(at..at, copy);
                }
                5 => {
                    let borrowed = other[self.part(other.len())].to_vec();
                    bytes.splice(at..at, borrowed);
                }
                6 if self.below(4) == 0 => bytes.truncate(at),
                // What is JSON stays JSON: a word or a number in the place of another.
                _ => {
                    let (here, there) = (tokens(&bytes), tokens(other));
                    if !here.is_empty() && !there.is_empty() {
                        let place = here[self.below(here.len())].clone();
                        let token = other[there[self.below(there.len())].clone()].to_vec();
                        let number = WORDS[1 + self.below(6)].as_bytes().to_vec();
                        let is_number = bytes[place.start].is_ascii_digit();
                        bytes.splice(place, if is_number { number } else { token });
                    }
                }
            }
        }
        bytes
    }
}

#[track_caller]
fn hold(target: Target, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{what}: this input breaks it:\n{}", input.escape_ascii());
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).unwrap().1;
    let seed = std::env::var("TINYD_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let mut random = Random(seed.unwrap_or(0x7e57_5eed_u64) | 1);
    let corpus = Corpus::of(name);
    assert!((5..=most_files(name)).contains(&corpus.files.len()), "{} files", corpus.files.len());
    for (path, bytes) in &corpus.files {
        hold(target, bytes, &path.display().to_string());
        for _ in 0..(BYTES / (bytes.len() + 100)).clamp(50, rounds(name)) {
            let other = &corpus.files[random.below(corpus.files.len())].1;
            hold(target, &random.mutated(bytes, other), &format!("a mutation of {}", path.display()));
        }
    }
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in TARGETS {
        assert!(root.join("fuzz_targets").join(name).with_extension("rs").is_file(), "{name}");
        assert!(root.join("corpus").join(name).is_dir(), "{name}");
    }
    assert_eq!(fs::read_dir(root.join("fuzz_targets")).unwrap().count(), TARGETS.len());
    assert_eq!(fs::read_dir(root.join("corpus")).unwrap().count(), TARGETS.len());
}

#[test]
fn tokens_are_found_whole() {
    let text = br#"{"a": 12, "b": ["c", 3]} "d"#;
    let found: Vec<_> =
        tokens(text).into_iter().map(|range| text[range].escape_ascii().to_string()).collect();
    assert_eq!(found, [r#"\"a\""#, "12", r#"\"b\""#, r#"\"c\""#, "3", r#"\"d"#]);
}

#[test]
fn a_target_that_panics_is_found_out() {
    let panics = catch_unwind(|| hold(|data| assert!(data.is_empty()), b"x", "a test"));
    assert!(panics.is_err());
    hold(|data| assert!(data.is_empty()), b"", "a test");
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*
    };
}

replays!(archive bundle cgroup_files cni dbus head mountinfo names netlink options plugin protocol seccomp);
