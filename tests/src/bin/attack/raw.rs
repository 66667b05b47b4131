//! System calls that no safe interface has, because no honest program needs them.

use std::ffi::CString;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Numbers of keyctl(2).
const JOIN_SESSION_KEYRING: libc::c_int = 1;
const SETPERM: libc::c_int = 5;
const SEARCH: libc::c_int = 10;
const READ: libc::c_int = 11;

/// The keyring of the session, whichever it is.
const SESSION: libc::c_int = -3;

/// Everything to possessor, user, group and others.
const ANYBODY: libc::c_int = 0x3f3f_3f3f;

/// Pushes the bytes into the terminal's input (TIOCSTI); gives how many it took.
pub(crate) fn type_on(terminal: BorrowedFd<'_>, text: &str) -> usize {
    let push = |byte: &u8| {
        // SAFETY: TIOCSTI reads one byte, which lives through the call.
        unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, std::ptr::from_ref(byte)) == 0 }
    };
    text.as_bytes().iter().take_while(|byte| push(byte)).count()
}

/// Tries each kind of namespace, and says which could be made.
pub(crate) fn namespaces() {
    let kinds = [
        ("user", libc::CLONE_NEWUSER),
        ("mount", libc::CLONE_NEWNS),
        ("cgroup", libc::CLONE_NEWCGROUP),
        ("user+cgroup+mount", libc::CLONE_NEWUSER | libc::CLONE_NEWCGROUP | libc::CLONE_NEWNS),
    ];
    for (name, flags) in kinds {
        // SAFETY: unshare has no memory operands, and this process has one thread.
        let made = unsafe { libc::unshare(flags) } == 0;
        println!("{name}={}", if made { 0 } else { Error::last_os_error().raw_os_error().unwrap_or(-1) });
    }
}

/// AF_ALG of socket(2), whose defects were ways into the kernel (CVE-2026-31431), and a kind of socket that it has.
const ALGORITHMS: [u32; 3] = [38, 5, 0];

/// Asks for a socket of the kernel's algorithms in the way of 64 bits and in that of x32, and says what came of it.
pub(crate) fn algorithms() {
    let [family, kind, protocol] = ALGORITHMS;
    for (name, number) in [("native", libc::SYS_socket), ("x32", libc::SYS_socket | 0x4000_0000)] {
        // SAFETY: socket has no memory operands.
        let made = unsafe { libc::syscall(number, family, kind, protocol) };
        println!("{name}={}", check(made).map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0));
    }
}

/// The same in both ways of i386: socket, and socketcall, whose arguments lie in memory. A kernel without i386 ends the process.
pub(crate) fn algorithms_of_i386() {
    let [family, kind, protocol] = ALGORITHMS;
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
    // SAFETY: a new mapping at a place that the kernel chooses harms nobody.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    let Ok(address) = u32::try_from(place as usize) else { return println!("no memory") };
    // SAFETY: the page is there, can be written, and is aligned for these.
    unsafe { place.cast::<[u32; 3]>().write(ALGORITHMS) };
    println!("i386={}", -i386(359, [family, kind, protocol]));
    // SYS_SOCKET of socketcall(2) is 1.
    println!("socketcall={}", -i386(102, [1, address, 0]));
}

/// A call as a program of 32 bits makes it.
fn i386(number: u32, arguments: [u32; 3]) -> i32 {
    let [a, b, c] = arguments.map(u64::from);
    let result: u64;
    // SAFETY: the calls that are made here read at most the page whose address they are given; rbx is put back, and what else the
    // kernel may change is said.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {a}", "int 0x80", "xchg rbx, {a}",
            a = inout(reg) a => _, inlateout("rax") u64::from(number) => result, in("rcx") b, in("rdx") c,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result as i32
}

fn text(text: &str) -> Result<CString> {
    Ok(CString::new(text)?)
}

fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result == -1 { Err(Error::last_os_error()) } else { Ok(result) }
}

pub(crate) fn search_session_key(name: &str) -> Result<libc::c_long> {
    let name = text(name)?;
    let kind = c"user".as_ptr();
    // SAFETY: both strings end with a zero byte and live through the call.
    check(unsafe { libc::syscall(libc::SYS_keyctl, SEARCH, SESSION, kind, name.as_ptr(), 0) })
}

pub(crate) fn read_key(key: libc::c_long) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; 256];
    // SAFETY: the buffer is as long as is said, and lives through the call.
    let length =
        check(unsafe { libc::syscall(libc::SYS_keyctl, READ, key, bytes.as_mut_ptr(), bytes.len()) })?;
    bytes.truncate(usize::try_from(length).unwrap_or(0));
    Ok(bytes)
}

pub(crate) fn make_session_key(name: &str, content: &[u8]) -> Result<()> {
    let name = text(name)?;
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for a keyring without one.
    let ring = check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, none) })?;
    let (kind, length) = (c"user".as_ptr(), content.len());
    let add = libc::SYS_add_key;
    // SAFETY: the strings end with a zero byte, the content is as long as is said, and all live through the call.
    let key = check(unsafe { libc::syscall(add, kind, name.as_ptr(), content.as_ptr(), length, SESSION) })?;
    for thing in [key, ring] {
        // SAFETY: this has no memory operands.
        check(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, thing, ANYBODY) })?;
    }
    Ok(())
}
