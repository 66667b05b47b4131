//! Device rules on v2: one program of type `BPF_PROG_TYPE_CGROUP_DEVICE` that the kernel runs at each open and mknod.
//!
//! The program walks the rules from the last to the first with the set of accesses that no rule has decided yet. A
//! rule that denies one of them ends it; one that allows takes its own out of the set, and an empty set is a yes. So
//! the last rule about each access decides, and an open for reading and writing may be allowed by two rules.

use super::bpf::{self, Instruction};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::limits::{DeviceKind, DeviceRule};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// How often another process may replace the program under our hands.
const RACES: usize = 10;

// Operations, as in include/uapi/linux/bpf_common.h and bpf.h.
const LOAD_WORD: u8 = 0x61;
const SET: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const COPY: u8 = 0xbf;
const JUMP: u8 = 0x05;
const JUMP_UNEQUAL: u8 = 0x55;
const JUMP_ANY_BIT: u8 = 0x45;
const EXIT: u8 = 0x95;

const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// The accesses that are not decided yet.
const OPEN: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Sees that the kernel takes the program, without attaching it anywhere.
pub(super) fn probe(root: &Path, rules: &[DeviceRule]) -> Result<()> {
    load(root, rules).map(drop)
}

/// Puts the rules in the place of those that this crate attached before, in one step where the kernel can (5.6);
/// before that, both hold for a moment. Programs of others stay.
pub(super) fn write(dir: &Dir, rules: &[DeviceRule]) -> Result<()> {
    let program = load(dir.path(), rules)?;
    // The kernel takes no descriptor opened by O_PATH before Linux 6.
    let group = dir.open_file(".", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let group = group.as_fd();
    for _ in 0..RACES {
        let mut before = bpf::ours(group).map_err(|e| failed("look for", dir.path(), e))?.into_iter();
        let attached = match before.next() {
            None => bpf::attach(group, program.as_fd(), None),
            Some(old) => match bpf::attach(group, program.as_fd(), Some(old.as_fd())) {
                Err(Errno::NOENT) => continue,
                Err(Errno::INVAL) => {
                    let beside = bpf::attach(group, program.as_fd(), None);
                    beside.and_then(|()| forgive_absence(bpf::detach(group, old.as_fd())))
                }
                other => other,
            },
        };
        attached.map_err(|e| failed("attach", dir.path(), e))?;
        for surplus in before {
            forgive_absence(bpf::detach(group, surplus.as_fd()))
                .map_err(|e| failed("replace", dir.path(), e))?;
        }
        return Ok(());
    }
    Err(failed("replace", dir.path(), Errno::BUSY))
}

fn forgive_absence(result: std::result::Result<(), Errno>) -> std::result::Result<(), Errno> {
    if result == Err(Errno::NOENT) { Ok(()) } else { result }
}

fn load(path: &Path, rules: &[DeviceRule]) -> Result<OwnedFd> {
    bpf::load(&compile(rules)).map_err(|e| failed("load", path, e))
}

fn failed(operation: &'static str, path: &Path, errno: Errno) -> Error {
    let hint = match errno {
        Errno::PERM | Errno::ACCESS if operation == "load" => {
            "it needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN: run as root of the host"
        }
        Errno::PERM | Errno::ACCESS => {
            "it needs CAP_NET_ADMIN, and no group above may have a filter that allows no others below it"
        }
        Errno::INVAL | Errno::NOSYS => "use a kernel with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF (4.15)",
        Errno::TOOBIG => "the group has 64 filters already: remove some",
        Errno::BUSY => "another process keeps replacing it: let one process set the rules",
        _ => "see the cause",
    };
    Error::DeviceFilter { operation, path: path.to_owned(), hint, source: errno.into() }
}

fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
    // struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor.
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(COPY, OPEN, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, OPEN, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let kind = match rule.kind {
            // About all accesses of all devices: what was not decided is decided here, and nothing is left for the
            // rules before it. The verifier refuses what cannot be reached.
            DeviceKind::All => {
                answer(&mut program, rule.allow);
                return program;
            }
            DeviceKind::Block => 1,
            DeviceKind::Char => 2,
        };
        let mut tests = vec![(KIND, kind)];
        tests.extend(rule.major.map(|n| (MAJOR, n)));
        tests.extend(rule.minor.map(|n| (MINOR, n)));
        let access = i32::from(rule.access.bits());
        let mut body = Vec::with_capacity(4);
        if rule.allow {
            body.push(instruction(AND, OPEN, 0, 0, !access));
            body.push(instruction(JUMP_UNEQUAL, OPEN, 0, 2, 0));
        } else {
            body.push(instruction(JUMP_ANY_BIT, OPEN, 0, 1, access));
            body.push(instruction(JUMP, 0, 0, 2, 0));
        }
        answer(&mut body, rule.allow);
        let length = tests.len() + body.len();
        for (at, (register, number)) in tests.into_iter().enumerate() {
            // Both numbers have at most 20 bits, and a rule at most seven instructions.
            program.push(instruction(JUMP_UNEQUAL, register, 0, (length - at - 1) as i16, number as i32));
        }
        program.append(&mut body);
    }
    answer(&mut program, true);
    program
}

fn answer(program: &mut Vec<Instruction>, allow: bool) {
    program.push(instruction(SET, ANSWER, 0, 0, i32::from(allow)));
    program.push(instruction(EXIT, 0, 0, 0, 0));
}

fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    // Two bit fields of four bits, which C lays out by the machine's byte order.
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    Instruction { code, registers, offset, immediate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DeviceAccess;

    /// A machine for these nine operations.
    fn run(program: &[Instruction], kind: u32, access: u8, major: u32, minor: u32) -> bool {
        let context = [u32::from(access) << 16 | kind, major, minor];
        let mut registers = [0u64; 6];
        let mut at = 0;
        loop {
            let step = program[at];
            let (to, from) = (usize::from(step.registers & 15), usize::from(step.registers >> 4));
            let immediate = i64::from(step.immediate) as u64;
            at += 1;
            let jump = match step.code {
                LOAD_WORD => {
                    registers[to] = u64::from(context[usize::try_from(step.offset).unwrap() / 4]);
                    false
                }
                COPY => {
                    registers[to] = registers[from];
                    false
                }
                SET => {
                    registers[to] = immediate;
                    false
                }
                AND => {
                    registers[to] &= immediate;
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= immediate;
                    false
                }
                JUMP => true,
                JUMP_UNEQUAL => registers[to] != immediate,
                JUMP_ANY_BIT => registers[to] & immediate != 0,
                EXIT => return registers[usize::from(ANSWER)] == 1,
                other => panic!("operation {other:#x}"),
            };
            if jump {
                at += usize::try_from(step.offset).unwrap();
            }
        }
    }

    /// What the rules mean, said without a program.
    fn meaning(rules: &[DeviceRule], kind: DeviceKind, access: u8, major: u32, minor: u32) -> bool {
        [1u8, 2, 4].into_iter().filter(|bit| access & bit != 0).all(|bit| {
            let about = |r: &&DeviceRule| {
                (r.kind == DeviceKind::All || r.kind == kind)
                    && r.major.is_none_or(|n| n == major)
                    && r.minor.is_none_or(|n| n == minor)
                    && r.access.bits() & bit != 0
            };
            rules.iter().rev().find(about).is_none_or(|r| r.allow)
        })
    }

    fn rule(allow: bool, text: &str) -> DeviceRule {
        DeviceRule { allow, ..text.parse().unwrap() }
    }

    #[test]
    fn pure_the_program_says_what_the_rules_mean() {
        let pool = [
            rule(false, "a *:* rwm"),
            rule(true, "a *:* rwm"),
            rule(true, "c 1:3 rwm"),
            rule(true, "c 1:* r"),
            rule(false, "c *:3 w"),
            rule(true, "b *:* m"),
            rule(false, "c 10:229 rwm"),
            rule(true, "c *:* rw"),
        ];
        let mut compared = 0;
        for a in 0..pool.len() {
            for b in 0..pool.len() {
                for c in 0..pool.len() {
                    let rules = [pool[a], pool[b], pool[c]];
                    let program = compile(&rules);
                    for (number, kind) in [(1, DeviceKind::Block), (2, DeviceKind::Char)] {
                        for access in 1..8 {
                            for (major, minor) in [(1, 3), (1, 5), (10, 229), (7, 3)] {
                                assert_eq!(
                                    run(&program, number, access, major, minor),
                                    meaning(&rules, kind, access, major, minor),
                                    "{rules:?} {kind:?} {access} {major}:{minor}"
                                );
                                compared += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(compared, 8 * 8 * 8 * 2 * 7 * 4);
    }

    #[test]
    fn pure_two_rules_may_allow_one_open() {
        let rules = [rule(false, "a *:* rwm"), rule(true, "c *:* r"), rule(true, "c 1:3 w")];
        let program = compile(&rules);
        let read_write = DeviceAccess::READ.union(DeviceAccess::WRITE).bits();
        assert!(run(&program, 2, read_write, 1, 3));
        assert!(!run(&program, 2, read_write, 1, 5));
        assert!(run(&compile(&[]), 2, 7, 1, 3), "no rule leaves it to the groups above");
    }

    #[test]
    fn pure_programs_stay_small() {
        let most = vec![rule(true, "c 1:3 rwm"); 500];
        assert!(compile(&most).len() <= 4096);
        let after_all = [rule(true, "c 1:3 rwm"), rule(false, "a *:* rwm"), rule(true, "c 1:5 r")];
        assert_eq!(compile(&after_all).len(), 6 + 7 + 2, "nothing before a rule for all is left");
    }

    #[test]
    fn pure_a_refusal_says_what_to_do() {
        let text = |operation, errno| failed(operation, Path::new("/cg/a"), errno).to_string();
        assert!(
            text("load", Errno::INVAL)
                .contains("load the device filter of the cgroup /cg/a: use a kernel with")
        );
        assert!(text("load", Errno::PERM).contains("root of the host"));
        assert!(text("attach", Errno::PERM).contains("no group above"));
    }

    /// On whatever v2 hierarchy this host has, with controllers or without.
    #[test]
    #[allow(clippy::print_stderr, reason = "a skip must be visible")]
    fn root_one_filter_however_often_it_is_set() {
        let unified = crate::Host::detect().ok().and_then(|h| h.mountpoint("unified").map(Path::to_owned));
        let Some(unified) = unified.filter(|_| rustix::process::geteuid().is_root()) else {
            assert!(std::env::var_os("CI").is_none(), "it needs root and a v2 hierarchy");
            eprintln!("SKIPPED: root_one_filter_however_often_it_is_set needs root and a v2 hierarchy");
            return;
        };
        let folder = unified.join(format!("tinyd-test-{}-filter", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let dir = Dir::open_existing(folder.clone()).unwrap();
        let group = dir.open_file(".", OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
        let rules = [rule(false, "a *:* rwm"), rule(true, "c 1:3 rwm")];
        let counts: Vec<_> =
            (0..3).map(|_| write(&dir, &rules).map(|()| bpf::ours(group.as_fd()).unwrap().len())).collect();
        // Two that came in at the same moment are made one by the next.
        let second = load(&folder, &rules).unwrap();
        bpf::attach(group.as_fd(), second.as_fd(), None).unwrap();
        let both = bpf::ours(group.as_fd()).unwrap().len();
        let mended = write(&dir, &rules).map(|()| bpf::ours(group.as_fd()).unwrap().len());
        let most = probe(&folder, &vec![rule(true, "c 1:3 rwm"); 500]);
        std::fs::remove_dir(&folder).unwrap();
        assert!(counts.iter().all(|c| matches!(c, Ok(1))), "{counts:?}");
        assert!(both == 2 && matches!(mended, Ok(1)), "{both} {mended:?}");
        most.unwrap();
    }
}
