//! What a profile says of each call of each architecture.
//!
//! A profile may be of any length and name anything any number of times: reading one takes time in proportion to it.

use std::collections::HashSet;

use super::super::arch::Arch;
use super::super::assemble::Condition;
use super::super::profile::{Arg, Profile};
use super::super::table::{self, Finder};
use super::{CompileError, ret};

/// A rule without its names.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) ret: u32,
    pub(super) conditions: Vec<Condition>,
    /// Whether one of the conditions is enough.
    pub(super) any: bool,
}

/// The rules of a call, as a list from the one that is tried last to the one that is tried first. Calls with the same
/// rules share a chain, and chains with the same beginning share that.
#[derive(Debug, Clone, Copy)]
struct Chain {
    /// The chain without its last rule.
    before: u16,
    /// The last rule: an index of [`Rules::bodies`].
    body: u16,
    /// What decides if the first rule has no conditions.
    settled: Option<u32>,
    /// Whether the last rule has no conditions, so that no rule after it matters.
    closed: bool,
    /// The rule that was last put behind this one, and the chain that came of it.
    extended: (u16, u16),
}

/// No rule: an index that [`Rules::bodies`] never has.
const NOBODY: u16 = u16::MAX;

/// The chain without a rule: the default action.
const NO_RULES: u16 = 0;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ret(u32),
    /// It depends on the arguments: the chain's number, for [`Rules::backwards`].
    Chain(u16),
}

pub(super) struct Rules {
    pub(super) default: u32,
    bodies: Vec<Body>,
    chains: Vec<Chain>,
    /// By architecture and the table's slot, a chain.
    slots: [Vec<u16>; 5],
}

impl Rules {
    /// Reads the profile for those of `family` that are `covered`. The names that no architecture has come back beside.
    pub(super) fn read(
        profile: &Profile,
        default: u32,
        family: &[Arch],
        covered: impl Fn(Arch) -> bool,
    ) -> Result<(Rules, Vec<String>), CompileError> {
        if profile.syscalls.len() >= usize::from(u16::MAX) {
            return Err(CompileError::TooManyRules(profile.syscalls.len()));
        }
        let extended = (NOBODY, NO_RULES);
        let empty = Chain { before: NO_RULES, body: NOBODY, settled: Some(default), closed: false, extended };
        let mut rules = Rules { default, bodies: Vec::new(), chains: vec![empty], slots: Default::default() };
        for &arch in family.iter().filter(|&&arch| covered(arch)) {
            rules.slots[arch as usize] = vec![NO_RULES; table::slots(arch)];
        }
        let mut unknown: Vec<String> = Vec::new();
        let mut told: HashSet<&str> = HashSet::new();
        let mut finder = Finder::default();
        for rule in &profile.syscalls {
            let body = rules.bodies.len() as u16;
            rules.bodies.push(Body::new(ret(rule.action, rule.errno_ret)?, &rule.args)?);
            for name in &rule.names {
                let Some(row) = finder.find(name) else {
                    if told.insert(name) {
                        unknown.push(name.clone().into_owned());
                    }
                    continue;
                };
                for &arch in family {
                    // The slots of an architecture that is not covered are empty.
                    let Some(slot) = row.slot(arch).filter(|&slot| slot < rules.slots[arch as usize].len())
                    else {
                        continue;
                    };
                    rules.slots[arch as usize][slot] =
                        rules.extend(rules.slots[arch as usize][slot], body)?;
                }
            }
        }
        Ok((rules, unknown))
    }

    /// The chain `before` with a rule more.
    fn extend(&mut self, before: u16, body: u16) -> Result<u16, CompileError> {
        let chain = self.chains[usize::from(before)];
        // The same call may be named twice, or have two names.
        if chain.closed || chain.body == body {
            return Ok(before);
        }
        // Another call with the same rules so far.
        if chain.extended.0 == body {
            return Ok(chain.extended.1);
        }
        let Body { ret, ref conditions, .. } = self.bodies[usize::from(body)];
        let closed = conditions.is_empty();
        let settled = if before == NO_RULES { closed.then_some(ret) } else { chain.settled };
        let after =
            u16::try_from(self.chains.len()).map_err(|_| CompileError::TooManyRules(self.bodies.len()))?;
        self.chains.push(Chain { before, body, settled, closed, extended: (NOBODY, NO_RULES) });
        self.chains[usize::from(before)].extended = (body, after);
        Ok(after)
    }

    pub(super) fn chain_count(&self) -> usize {
        self.chains.len()
    }

    /// The rules of a chain from the last to the first.
    pub(super) fn backwards(&self, chain: u16) -> impl Iterator<Item = &Body> {
        let some = |chain: u16| (chain != NO_RULES).then_some(chain);
        let chains = std::iter::successors(some(chain), move |&at| some(self.chains[usize::from(at)].before));
        chains.map(|at| &self.bodies[usize::from(self.chains[usize::from(at)].body)])
    }

    /// What happens to the calls of `arch`, by the table's slot.
    pub(super) fn verdicts(&self, arch: Arch) -> impl Iterator<Item = Verdict> {
        self.slots[arch as usize]
            .iter()
            .map(|&chain| self.chains[usize::from(chain)].settled.map_or(Verdict::Chain(chain), Verdict::Ret))
    }
}

impl Body {
    fn new(ret: u32, args: &[Arg]) -> Result<Body, CompileError> {
        let mut seen = 0_u8;
        let mut any = false;
        let conditions = args.iter().map(|&Arg { index, value, value_two, op }| {
            if index > 5 {
                return Err(CompileError::ArgIndex(index));
            }
            any |= seen & 1 << index != 0;
            seen |= 1 << index;
            Ok(Condition { index, op, value, value_two })
        });
        let conditions = conditions.collect::<Result<_, _>>()?;
        Ok(Body { ret, conditions, any })
    }
}
