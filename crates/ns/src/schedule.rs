//! When and where a process runs: scheduling (sched_setattr(2)), the order of its input and output (ioprio_set(2)), the memory
//! that it is given (set_mempolicy(2)), and which system it takes this one for (personality(2)).

use rustix::io::Errno;

/// How a process is scheduled, as sched_setattr(2) takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `SCHED_OTHER` is 0; the others as in sched(7).
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// From -20 to 19, for those policies that know it.
    pub nice: i32,
    /// From 1 to 99, for the real-time policies.
    pub priority: u32,
    /// Nanoseconds of `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Likewise.
    pub deadline: u64,
    /// Likewise.
    pub period: u64,
}

/// `struct sched_attr` of Linux 3.14, which every later kernel takes.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Schedules a process, and what it becomes, in another way.
///
/// # Errors
/// `EPERM` without the right, or where its cgroup has no share of real time; `EINVAL` for what no policy takes; `EBUSY` where there
/// is no bandwidth for a deadline.
pub fn set(pid: u32, attributes: &Attributes) -> Result<(), Errno> {
    let Attributes { policy, flags, nice, priority, runtime, deadline, period } = *attributes;
    let size = size_of::<SchedAttr>() as u32;
    let attr = SchedAttr { size, policy, flags, nice, priority, runtime, deadline, period };
    // SAFETY: `attr` has the size that it says, and is only read.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0u32) })
}

/// How a process is scheduled: `SCHED_OTHER` is 0, the others as in sched(7), with `SCHED_RESET_ON_FORK` where that is set.
///
/// # Errors
/// `ESRCH` where there is none.
pub fn policy(pid: u32) -> Result<u32, Errno> {
    // SAFETY: sched_getscheduler has no memory operands.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, pid) };
    check(policy)?;
    Ok(policy as u32)
}

/// Orders a process's input and output: class 1 is real time, 2 best effort, 3 idle; within it, level 0 goes before 7.
///
/// # Errors
/// `EPERM` without the right, `EINVAL` for a class or level that is none.
pub fn set_io_priority(pid: u32, class: u32, level: u32) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: u32 = 1;
    const IOPRIO_CLASS_SHIFT: u32 = 13;
    // Of what is larger a kernel takes as many bits as it has room for, and orders otherwise than it was told.
    if !(1..=3).contains(&class) || level > 7 {
        return Err(Errno::INVAL);
    }
    let value = class << IOPRIO_CLASS_SHIFT | level;
    // SAFETY: ioprio_set has no memory operands.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, value) })
}

/// *Child-side.* Takes on a personality: `0x8` is a Linux of 32 bits.
///
/// # Errors
/// Those of personality(2).
pub fn set_personality(domain: u32) -> Result<(), Errno> {
    // SAFETY: personality has no memory operands.
    check(i64::from(unsafe { libc::personality(libc::c_ulong::from(domain)) }))
}

/// *Child-side.* From where this thread, and what it becomes, gets its memory: a mode with its flags, and a bit for each node.
///
/// # Errors
/// `EINVAL` for a mode that is none here, nodes that are not there or that the mode does not want; `ENOSYS` for a kernel without
/// nodes.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<(), Errno> {
    // The kernel takes one bit less than it is told of.
    let bits = nodes.len() * u64::BITS as usize + usize::from(!nodes.is_empty());
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: the mask has as many whole words as bits are announced, which are rounded down to less than that, and is only read.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) })
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result == -1 {
        // SAFETY: the location of errno is always valid in the calling thread.
        Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Namespaces;
    use crate::clone::{Clone3, Cloned};

    #[test]
    fn a_child_is_scheduled_as_it_is_told() {
        // SAFETY: the child makes system calls only and ends by _exit.
        match unsafe { Clone3::new(Namespaces::empty()).spawn() }.unwrap() {
            Cloned::Child => {
                let nice = Attributes { nice: 7, ..Attributes::default() };
                let bad = Attributes { policy: 77, ..Attributes::default() };
                let scheduled = set(0, &nice).is_ok() && set(0, &bad) == Err(Errno::INVAL);
                let ordered =
                    set_io_priority(0, 2, 6).is_ok() && set_io_priority(0, 9, 0) == Err(Errno::INVAL);
                // SAFETY: neither call has memory operands.
                let (priority, order) = unsafe {
                    (libc::getpriority(libc::PRIO_PROCESS, 0), libc::syscall(libc::SYS_ioprio_get, 1, 0))
                };
                let personal = set_personality(8).is_ok();
                let memory = matches!(set_memory_policy(0, &[]), Ok(()) | Err(Errno::NOSYS))
                    && set_memory_policy(2, &[0; 16]).is_err()
                    && matches!(set_memory_policy(2, &[1, 0]), Ok(()) | Err(Errno::NOSYS));
                let right =
                    scheduled && ordered && (priority, order) == (7, 2 << 13 | 6) && personal && memory;
                crate::process::exit_now(if right { 7 } else { 1 })
            }
            Cloned::Parent { pidfd, .. } => assert_eq!(crate::pidfd::wait(&pidfd).unwrap().code(), 7),
        }
    }
}
