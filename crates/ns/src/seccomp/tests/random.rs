//! Profiles by chance, of a seed that is shown: what fails can be repeated.

use std::borrow::Cow;

use super::reading;
use crate::seccomp::{Action, Arch, Arg, Op, Profile, Rule};

/// Values on the edges of halves of words.
pub(super) const VALUES: [u64; 9] =
    [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX];
pub(super) const OPS: [Op; 7] = [Op::Ne, Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt, Op::MaskedEq];
/// The one that cannot be the default is the last.
pub(super) const ACTIONS: [Action; 9] = [
    Action::Kill,
    Action::KillThread,
    Action::KillProcess,
    Action::Trap,
    Action::Errno,
    Action::Trace,
    Action::Allow,
    Action::Log,
    Action::Notify,
];

/// A small generator of numbers (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    /// A generator with the seed that `TINYD_TEST_SEED` gives, or with this one; a test that fails shows it.
    pub(super) fn new(seed: u64) -> Random {
        let given = std::env::var("TINYD_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or(seed);
        println!("TINYD_TEST_SEED={seed}");
        Random(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// Mostly one of the edges, else anything.
    pub(super) fn value(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next() << self.below(40),
            _ => self.one_of(&VALUES),
        }
    }

    /// The names of one to eight numbers of the family's.
    pub(super) fn names(&mut self, native: Arch) -> Vec<&'static str> {
        let numbers = 0..1 + self.below(8);
        numbers.flat_map(|_| reading::names(self.one_of(native.family()), self.below(470) as u32)).collect()
    }
}

pub(super) fn rule(names: &[&'static str], action: Action, args: Vec<Arg>) -> Rule {
    Rule { names: names.iter().map(|&name| Cow::Borrowed(name)).collect(), action, errno_ret: None, args }
}

pub(super) fn with_rules(default_action: Action, syscalls: Vec<Rule>) -> Profile {
    Profile { default_action, syscalls, ..Profile::allow_native() }
}
