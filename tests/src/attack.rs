//! What the attack tests share: decoys, which must not change, attackers in containers, and many rounds.

use std::collections::BTreeMap;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::env::Env;
use crate::mode::{Container, Mode};
use crate::wait_until;

/// How often a race is run: so many rounds, for at least so long.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    count: usize,
    least: Duration,
}

impl Rounds {
    /// What every run of the tests has time for: 300 in the two modes together.
    pub const FEW: Rounds = Rounds { count: 150, least: Duration::ZERO };
    /// 10,000 rounds or 60 seconds, whichever is longer (SECURITY.md §2).
    pub const MANY: Rounds = Rounds { count: 10_000, least: Duration::from_secs(60) };

    /// The same for an attack of which one call runs `size` rounds.
    #[must_use]
    pub const fn in_batches_of(self, size: usize) -> Rounds {
        Rounds { count: self.count.div_ceil(size), least: self.least }
    }

    /// Calls `round` with 0, 1, …, two at a time.
    pub fn run(self, round: impl Fn(usize) + Sync) {
        let (next, begin) = (AtomicUsize::new(0), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.count && begin.elapsed() >= self.least {
                            return;
                        }
                        round(number);
                    }
                });
            }
        });
    }
}

/// What is known of a file or folder of the host: number, mode, owner, size, time of change, and what it holds.
type Look = (u64, u32, u32, u32, u64, i64, i64, u64);

fn look(path: &Path) -> Look {
    let meta = fs::symlink_metadata(path).expect("a decoy is there");
    let content = if meta.is_file() { fs::read(path).expect("a decoy can be read") } else { Vec::new() };
    let size = if meta.is_dir() { 0 } else { meta.size() };
    let (seconds, part) = (meta.mtime(), meta.mtime_nsec());
    (meta.ino(), meta.mode(), meta.uid(), meta.gid(), size, seconds, part, sum(&content))
}

/// Any change of the content changes it. (The library's own hash takes minutes for a program, in a debug build.)
fn sum(content: &[u8]) -> u64 {
    let words = content.chunks(8).map(|word| word.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)));
    words.fold(0, |sum, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(5))
}

fn survey(top: &Path) -> BTreeMap<PathBuf, Look> {
    let mut found = BTreeMap::from([(top.to_owned(), look(top))]);
    if top.is_dir() {
        for entry in fs::read_dir(top).expect("a decoy can be listed") {
            found.extend(survey(&entry.expect("a decoy can be listed").path()));
        }
    }
    found
}

/// A file or folder of the host that no container may change, or find.
#[derive(Debug)]
pub struct Decoy {
    path: PathBuf,
    before: BTreeMap<PathBuf, Look>,
    watch: OwnedFd,
}

/// What stands in a decoy's file.
pub const SECRET: &str = "the-hosts-own-words";

impl Decoy {
    /// A folder with a file `secret` and a folder `sub` in it.
    pub fn folder(env: &Env) -> Decoy {
        let path = env.files().join("decoy");
        fs::create_dir_all(path.join("sub")).expect("a decoy can be made");
        fs::write(path.join("secret"), SECRET).expect("a decoy can be made");
        Decoy::of(&path)
    }

    /// What is there already.
    pub fn of(path: &Path) -> Decoy {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify is there");
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        inotify::add_watch(&watch, path, flags).expect("a decoy can be watched");
        Decoy { path: path.to_owned(), before: survey(path), watch }
    }

    /// Where it is on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Requires that it is as it was, and that nothing was made or changed there meanwhile.
    #[track_caller]
    pub fn assert_unchanged(&self) {
        assert_eq!(survey(&self.path), self.before, "the decoy has changed");
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let event = inotify::Reader::new(&self.watch, &mut buffer).next().map(|event| {
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
            format!("{:?} {name:?}", event.events())
        });
        assert!(event.is_err(), "something happened in the decoy: {event:?}");
    }
}

/// A container that attacks until it is told to stop.
#[derive(Debug)]
pub struct Attacker<'env> {
    /// The container.
    pub container: Container<'env>,
    env: &'env Env,
    stop: PathBuf,
}

impl<'env> Attacker<'env> {
    /// Starts the built `attack` in an own container of the image `host`: `verb`, the file that stops it, `rest`. `options`
    /// are those of `run`.
    #[track_caller]
    pub fn start(
        mode: &'env Mode,
        program: &str,
        options: &[&str],
        verb: &str,
        rest: &[&str],
    ) -> Attacker<'env> {
        let signals = mode.env.files().join(format!("signals-of-{verb}"));
        fs::create_dir_all(&signals).expect("a folder for signals can be made");
        let binds = [format!("{program}:/attack:ro"), format!("{}:/signals:ro", signals.display())];
        let mut words = vec!["-v", &binds[0], "-v", &binds[1]];
        words.extend(options);
        words.extend(["host", "/attack", verb, "/signals/stop"]);
        words.extend(rest);
        let container = mode.start(words);
        let attacker = Attacker { container, env: &mode.env, stop: signals.join("stop") };
        wait_until("the attack has begun", || attacker.said().contains("ready"));
        attacker
    }

    fn said(&self) -> String {
        self.env.tinyd(["logs", &self.container.id]).stdout()
    }

    /// Stops it, and gives what it counted.
    #[track_caller]
    pub fn stop(self) -> BTreeMap<String, u64> {
        fs::write(&self.stop, "").expect("a signal can be given");
        assert_eq!(self.env.tinyd(["wait", &self.container.id]).ok().text(), "0", "{}", self.said());
        counts(&self.said())
    }
}

/// The lines `name=number` of a text.
pub fn counts(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
    pairs.filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?))).collect()
}
