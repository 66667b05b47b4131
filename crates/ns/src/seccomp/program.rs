//! A compiled filter, and its way into the kernel.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

bitflags::bitflags! {
    /// `SECCOMP_FILTER_FLAG_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct FilterFlags: u32 {
        /// All threads of the process get the filter.
        const TSYNC = 1;
        /// Actions other than ALLOW are logged.
        const LOG = 1 << 1;
        /// No mitigation of Speculative Store Bypass.
        const SPEC_ALLOW = 1 << 2;
        /// A call that the listener has taken is interrupted by fatal signals only (Linux 5.19). Without a listener
        /// the kernel refuses it, so [`Program::load`] leaves it out.
        const WAIT_KILLABLE_RECV = 1 << 5;
    }
}

const SET_MODE_FILTER: libc::c_uint = 1;
/// The result is a descriptor on which calls wait for an answer.
const NEW_LISTENER: u32 = 1 << 3;
/// A TSYNC that fails answers ESRCH, not the number of a thread, which could not be told from the descriptor.
const TSYNC_ESRCH: u32 = 1 << 4;

/// An instruction of classic BPF: `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Insn {
    pub(super) code: u16,
    /// How many instructions are skipped if the condition holds,
    pub(super) jt: u8,
    /// and if it does not.
    pub(super) jf: u8,
    pub(super) k: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Fprog {
    len: u16,
    filter: *const Insn,
}

/// A compiled filter, ready to be loaded without another allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    insns: Vec<Insn>,
    notifies: bool,
}

impl Program {
    /// The kernel's limit on the instructions of one filter, `BPF_MAXINSNS`.
    pub(super) const MAX_LEN: usize = 4096;

    pub(super) fn new(insns: Vec<Insn>, notifies: bool) -> Program {
        Program { insns, notifies }
    }

    /// How many instructions there are.
    #[must_use]
    pub fn instruction_count(&self) -> usize {
        self.insns.len()
    }

    /// The instructions as `struct sock_filter` has them: the operation, how many to skip if its condition holds and if it
    /// does not, its constant.
    pub fn instructions(&self) -> impl Iterator<Item = (u16, u8, u8, u32)> {
        self.insns.iter().map(|insn| (insn.code, insn.jt, insn.jf, insn.k))
    }

    /// The instructions as bytes, for another process on this machine: `struct sock_filter`, one after the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = |insn: &Insn| {
            let [a, b] = insn.code.to_ne_bytes();
            let [w, x, y, z] = insn.k.to_ne_bytes();
            [a, b, insn.jt, insn.jf, w, x, y, z]
        };
        self.insns.iter().flat_map(bytes).collect()
    }

    /// A program of which another process gave the [bytes](Self::to_bytes). Whether its instructions make sense is the kernel's
    /// to say when it is loaded; `None` where they cannot.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Program> {
        const NOTIFY: u32 = 0x7fc0_0000;
        const RETURN: u16 = 0x06;
        let (chunks, rest) = bytes.as_chunks::<8>();
        if chunks.is_empty() || chunks.len() > Self::MAX_LEN || !rest.is_empty() {
            return None;
        }
        let insn = |&[a, b, jt, jf, w, x, y, z]: &[u8; 8]| Insn {
            code: u16::from_ne_bytes([a, b]),
            jt,
            jf,
            k: u32::from_ne_bytes([w, x, y, z]),
        };
        let insns: Vec<Insn> = chunks.iter().map(insn).collect();
        let notifies = insns.iter().any(|insn| insn.code == RETURN && insn.k & 0xffff_0000 == NOTIFY);
        Some(Program { insns, notifies })
    }

    /// Whether a rule says `SCMP_ACT_NOTIFY`: the program needs [`load_with_listener`](Self::load_with_listener), for
    /// without a listener such calls fail with `ENOSYS`.
    #[must_use]
    pub fn needs_listener(&self) -> bool {
        self.notifies
    }

    /// Confines the calling thread, and what it starts, for ever. Child-side.
    ///
    /// # Errors
    /// `EACCES` without `no_new_privs` and without `CAP_SYS_ADMIN` in the thread's user namespace; `EINVAL` for a flag
    /// this kernel does not know; `ESRCH` if [`TSYNC`](FilterFlags::TSYNC) met a thread with filters of its own.
    pub fn load(&self, flags: FilterFlags) -> Result<(), Errno> {
        match self.set_mode_filter(flags.difference(FilterFlags::WAIT_KILLABLE_RECV).bits())? {
            0 => Ok(()),
            _thread_in_the_way => Err(Errno::SRCH),
        }
    }

    /// As [`load`](Self::load); calls whose rule says `SCMP_ACT_NOTIFY` wait for the holder of the descriptor returned
    /// (closed on exec) to answer. Child-side.
    ///
    /// The calls that hand the descriptor over must not be among those.
    ///
    /// # Errors
    /// As `load`, and `EBUSY` if the thread has a filter with a listener already.
    pub fn load_with_listener(&self, flags: FilterFlags) -> Result<OwnedFd, Errno> {
        let sync = if flags.contains(FilterFlags::TSYNC) { TSYNC_ESRCH } else { 0 };
        let fd = self.set_mode_filter(flags.bits() | NEW_LISTENER | sync)?;
        // SAFETY: with NEW_LISTENER the result is a new descriptor, which nothing else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn set_mode_filter(&self, flags: u32) -> Result<libc::c_int, Errno> {
        // The compiler bounds the length by MAX_LEN; were it not so, the kernel would refuse the 0.
        let len = u16::try_from(self.insns.len()).unwrap_or(0);
        let program = Fprog { len, filter: self.insns.as_ptr() };
        // SAFETY: the kernel reads the `sock_fprog` and the `len` instructions it points to, all alive during the call.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, std::ptr::from_ref(&program)) };
        if result < 0 {
            // SAFETY: the pointer is to this thread's errno.
            return Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }));
        }
        Ok(result as libc::c_int)
    }
}
