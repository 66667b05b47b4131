//! Runs programs of classic BPF as the kernel does.

use super::Call;

/// The value that the program returns for `call`, and how many instructions it took.
pub(super) fn run(program: &[(u16, u8, u8, u32)], call: &Call) -> (u32, usize) {
    let mut data = Vec::with_capacity(64);
    data.extend(call.nr.to_le_bytes());
    data.extend(call.audit.to_le_bytes());
    data.extend(0_u64.to_le_bytes());
    data.extend(call.args.iter().flat_map(|arg| arg.to_le_bytes()));
    let (mut at, mut steps, mut acc) = (0, 0, 0_u32);
    loop {
        let (code, jt, jf, k) = program[at];
        at += 1;
        steps += 1;
        let jump = |condition| usize::from(if condition { jt } else { jf });
        match code {
            0x20 => {
                let offset = k as usize;
                assert!(offset.is_multiple_of(4), "the kernel refuses unaligned loads");
                acc = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
            }
            0x54 => acc &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(acc == k),
            0x25 => at += jump(acc > k),
            0x35 => at += jump(acc >= k),
            0x06 => return (k, steps),
            _ => panic!("instruction {code:#x} is none that our programs use"),
        }
    }
}

/// Our instructions in the form that [`run`] takes.
pub(super) fn code_of(program: &crate::seccomp::Program) -> Vec<(u16, u8, u8, u32)> {
    program.instructions().collect()
}
