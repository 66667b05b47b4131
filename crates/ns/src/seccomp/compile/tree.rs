//! The search for a call's verdict among those of one architecture.

use super::super::arch::Arch;
use super::super::assemble::{Assembler, Condition, JEQ_K, JGE_K, Label};
use super::super::program::Program;
use super::super::table;
use super::CompileError;
use super::rules::{Rules, Verdict};

/// How many single numbers a leaf of the tree asks for one by one. Two make the tree smaller by a quarter, and hardly
/// ever deeper.
const SINGLES: usize = 2;

/// A range of numbers with one verdict; it ends where the next one starts.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    verdict: Verdict,
}

/// Writes the part of the program for one architecture.
pub(super) struct Tree<'a> {
    pub(super) asm: &'a mut Assembler,
    pub(super) rules: &'a Rules,
    pub(super) arch: Arch,
    /// What a call newer than the table gets.
    pub(super) newer: u32,
    /// Where chains were written: those that look at the upper halves of arguments, and those that do not. The latter
    /// serve all architectures.
    pub(super) written: &'a mut [Vec<Option<Label>>; 2],
}

impl Tree<'_> {
    /// Writes it, to be entered with the call's number in the accumulator.
    ///
    /// # Errors
    /// [`CompileError::TooLong`], as soon as it is.
    pub(super) fn build(mut self) -> Result<Label, CompileError> {
        let runs = self.runs();
        self.node(&runs, 1 << 32)
    }

    fn runs(&self) -> Vec<Run> {
        let table::Extent { end, newest } = table::extent(self.arch);
        let newer = Verdict::Ret(self.newer);
        let mut runs: Vec<Run> = Vec::with_capacity(256);
        let mut push = |start, verdict| {
            if runs.last().is_none_or(|last| last.verdict != verdict) {
                runs.push(Run { start, verdict });
            }
        };
        for (slot, verdict) in self.rules.verdicts(self.arch).enumerate() {
            let number = table::number(self.arch, slot);
            if slot == usize::from(end) {
                // Between the common calls and the private ones of Arm.
                push(self.arch.base() + u32::from(end), newer);
            }
            // x32: what x86-64 will have next comes before the calls that are x32's own.
            let gap = slot >= newest.into() && slot < usize::from(end.min(table::X32_OWN));
            push(number, if gap { newer } else { verdict });
        }
        push(table::number_after_last(self.arch), newer);
        runs
    }

    /// Searches among `runs`, the last of which ends before `end`.
    fn node(&mut self, runs: &[Run], end: u64) -> Result<Label, CompileError> {
        if let Some(base) = few_singles(runs, end) {
            let mut at = self.verdict(base)?;
            for single in runs.iter().rev().filter(|run| run.verdict != base) {
                let found = self.verdict(single.verdict)?;
                at = self.asm.branch(JEQ_K, single.start, found, at);
            }
            return Ok(at);
        }
        let (left, right) = runs.split_at(runs.len() / 2);
        let middle = right[0].start;
        let right = self.node(right, end)?;
        let left = self.node(left, middle.into())?;
        Ok(self.asm.branch(JGE_K, middle, right, left))
    }

    fn verdict(&mut self, verdict: Verdict) -> Result<Label, CompileError> {
        let chain = match verdict {
            Verdict::Ret(value) => return Ok(self.asm.ret(value)),
            Verdict::Chain(chain) => chain,
        };
        let wide = self.arch.is_wide()
            && self.rules.backwards(chain).any(|body| body.conditions.iter().any(Condition::has_upper_half));
        if let Some(label) = self.written[usize::from(wide)][usize::from(chain)] {
            return Ok(label);
        }
        let label = self.chain(chain)?;
        self.written[usize::from(wide)][usize::from(chain)] = Some(label);
        Ok(label)
    }

    /// Tries the rules of a chain one after the other.
    fn chain(&mut self, chain: u16) -> Result<Label, CompileError> {
        let rules = self.rules;
        let mut at = self.asm.ret(rules.default);
        for body in rules.backwards(chain) {
            let (next_rule, matched) = (at, self.asm.ret(body.ret));
            // A rule whose conditions must all hold goes on to the next condition, and matches after the last one.
            at = if body.any { next_rule } else { matched };
            for condition in body.conditions.iter().rev() {
                // Here, since this is what a profile can ask for without bound.
                if self.asm.len() > Program::MAX_LEN {
                    return Err(CompileError::TooLong);
                }
                let (yes, no) = if body.any { (matched, at) } else { (at, next_rule) };
                at = self.asm.condition(self.arch, condition, yes, no);
            }
        }
        Ok(at)
    }
}

/// The verdict of all `runs` but at most [`SINGLES`], which are one number each.
fn few_singles(runs: &[Run], end: u64) -> Option<Verdict> {
    if runs.len() > 2 * SINGLES + 1 {
        return None;
    }
    let ends = runs.iter().skip(1).map(|run| u64::from(run.start)).chain([end]);
    let is_single = |(run, end): (&Run, u64)| u64::from(run.start) + 1 == end;
    [runs.first(), runs.get(1)].into_iter().flatten().map(|run| run.verdict).find(|&base| {
        let others = || runs.iter().zip(ends.clone()).filter(|(run, _)| run.verdict != base);
        others().count() <= SINGLES && others().all(is_single)
    })
}
