//! Seccomp profiles: written by people, up to thousands of lines.

use tinyd_ns::seccomp::{Arch, Profile, compile};

/// `BPF_MAXINSNS`.
const MAX: usize = 4096;

/// Compiles a profile for every kind of kernel.
pub fn seccomp(data: &[u8]) {
    let Ok(profile) = serde_json::from_slice::<Profile>(data) else { return };
    let again = serde_json::to_vec(&profile).expect("a profile can be written");
    assert_eq!(serde_json::from_slice::<Profile>(&again).expect("and read again"), profile);
    for native in [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm] {
        let compiled = compile(&profile, native);
        assert_eq!(compiled, compile(&profile, native), "the same program again");
        if let Ok(compiled) = compiled {
            let code: Vec<_> = compiled.program.instructions().collect();
            assert_eq!(code.len(), compiled.program.instruction_count());
            check(&code);
        }
    }
}

/// What the kernel checks of a program (seccomp_check_filter and bpf_check_classic), as far as ours use it.
fn check(code: &[(u16, u8, u8, u32)]) {
    assert!((1..=MAX).contains(&code.len()), "{} instructions", code.len());
    for (at, &(operation, if_true, if_false, k)) in code.iter().enumerate() {
        let target = |skipped: u32| at + 1 + skipped as usize;
        match operation {
            // A word of `struct seccomp_data`, which has 64 bytes.
            0x20 => assert!(k.is_multiple_of(4) && k < 64, "load from {k}"),
            0x54 | 0x06 => {}
            0x05 => assert!(target(k) < code.len(), "a jump behind the end"),
            0x15 | 0x25 | 0x35 => {
                assert!(target(if_true.into()) < code.len() && target(if_false.into()) < code.len());
            }
            other => panic!("operation {other:#x}"),
        }
    }
    assert_eq!(code.last().map(|last| last.0), Some(0x06), "the last one returns");
}
