//! An assembler for seccomp programs that writes them from the end to the beginning.
//!
//! Jumps of classic BPF go forward only, conditional ones 255 instructions far. Written backwards, every target exists
//! before the jump to it, and how far it is is known.

use super::arch::Arch;
use super::profile::Op;
use super::program::Insn;

pub(super) const LD_W_ABS: u16 = 0x20;
pub(super) const AND_K: u16 = 0x54;
pub(super) const JA: u16 = 0x05;
pub(super) const JEQ_K: u16 = 0x15;
pub(super) const JGT_K: u16 = 0x25;
pub(super) const JGE_K: u16 = 0x35;
pub(super) const RET_K: u16 = 0x06;

/// Where `struct seccomp_data` has its fields. All our architectures are little-endian.
pub(super) const NR: u32 = 0;
pub(super) const ARCH: u32 = 4;
pub(super) const ARGS: u32 = 16;

/// How far a target may be to be jumped to directly: 255, less the two that [`Assembler::branch`] may put between.
const NEAR: usize = 253;

/// An instruction, counted from the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A comparison of an argument with constants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    pub(super) index: u32,
    pub(super) op: Op,
    /// With [`Op::MaskedEq`], the mask.
    pub(super) value: u64,
    pub(super) value_two: u64,
}

impl Condition {
    /// Whether an argument of 64 bits is compared as a whole.
    pub(super) fn has_upper_half(&self) -> bool {
        self.op != Op::MaskedEq || self.value > u32::MAX.into()
    }
}

#[derive(Default)]
pub(super) struct Assembler {
    /// Backwards.
    code: Vec<Insn>,
    /// The last place of each `ret`.
    rets: Vec<(u32, Label)>,
}

impl Assembler {
    pub(super) fn with_capacity(insns: usize) -> Assembler {
        Assembler { code: Vec::with_capacity(insns), rets: Vec::with_capacity(8) }
    }

    pub(super) fn len(&self) -> usize {
        self.code.len()
    }

    /// The program in the order of execution.
    pub(super) fn finish(mut self) -> Vec<Insn> {
        self.code.reverse();
        self.code
    }

    /// A `ret` of this value within reach.
    pub(super) fn ret(&mut self, value: u32) -> Label {
        let known = self.rets.iter().position(|(of, _)| *of == value);
        if let Some(position) = known
            && self.is_near(self.rets[position].1)
        {
            return self.rets[position].1;
        }
        let label = self.push(RET_K, 0, 0, value);
        match known {
            Some(position) => self.rets[position].1 = label,
            None => self.rets.push((value, label)),
        }
        label
    }

    /// Jumps to `yes` or `no`, as the accumulator compares with `k`.
    pub(super) fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let yes = self.reach(yes);
        let no = self.reach(no);
        let (jt, jf) = (self.distance(yes) as u8, self.distance(no) as u8);
        self.push(code, jt, jf, k)
    }

    /// Loads the word at `offset` into the accumulator and goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        self.lead_to(next);
        self.push(LD_W_ABS, 0, 0, offset)
    }

    /// Goes to `yes` if `condition` holds for the call, else to `no`.
    pub(super) fn condition(&mut self, arch: Arch, condition: &Condition, yes: Label, no: Label) -> Label {
        let Condition { index, op, value, value_two } = *condition;
        let low = ARGS + 8 * index;
        let high = low + 4;
        let wide = arch.is_wide() && condition.has_upper_half();
        // Lt, Le and Ne are the others with the ways out exchanged.
        let (code, yes, no) = match op {
            Op::MaskedEq => {
                let (mask, wanted) = (value, value & value_two);
                let at = self.masked_eq(low, mask as u32, wanted as u32, yes, no);
                if !wide {
                    return at;
                }
                return self.masked_eq(high, (mask >> 32) as u32, (wanted >> 32) as u32, at, no);
            }
            Op::Eq => (JEQ_K, yes, no),
            Op::Ne => (JEQ_K, no, yes),
            Op::Gt => (JGT_K, yes, no),
            Op::Le => (JGT_K, no, yes),
            Op::Ge => (JGE_K, yes, no),
            Op::Lt => (JGE_K, no, yes),
        };
        let at = self.branch(code, value as u32, yes, no);
        let at = self.load(low, at);
        if !wide {
            return at;
        }
        let value_high = (value >> 32) as u32;
        let at = self.branch(JEQ_K, value_high, at, no);
        let at = if code == JEQ_K { at } else { self.branch(JGT_K, value_high, yes, at) };
        self.load(high, at)
    }

    fn masked_eq(&mut self, offset: u32, mask: u32, wanted: u32, yes: Label, no: Label) -> Label {
        let at = self.branch(JEQ_K, wanted, yes, no);
        if mask != u32::MAX {
            self.lead_to(at);
            self.push(AND_K, 0, 0, mask);
        }
        let at = self.here();
        self.load(offset, at)
    }

    /// Makes `target` what follows the next instruction that is pushed.
    fn lead_to(&mut self, target: Label) {
        if target != self.here() {
            let Insn { code, k, .. } = self.code[target.0];
            if code == RET_K {
                self.push(RET_K, 0, 0, k);
            } else {
                self.jump(target);
            }
        }
    }

    /// `target` itself if it is near, else a stand-in: a `ret` is repeated, to anything else a long jump is made.
    fn reach(&mut self, target: Label) -> Label {
        let Insn { code, k, .. } = self.code[target.0];
        match code {
            _ if self.is_near(target) => target,
            RET_K => self.ret(k),
            _ => self.jump(target),
        }
    }

    fn jump(&mut self, target: Label) -> Label {
        self.push(JA, 0, 0, self.distance(target) as u32)
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.code.push(Insn { code, jt, jf, k });
        self.here()
    }

    fn here(&self) -> Label {
        Label(self.code.len().wrapping_sub(1))
    }

    fn is_near(&self, target: Label) -> bool {
        self.distance(target) <= NEAR
    }

    /// How many instructions lie between the next one to be pushed and `target`.
    fn distance(&self, target: Label) -> usize {
        self.code.len() - 1 - target.0
    }
}
