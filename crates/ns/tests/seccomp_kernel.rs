//! Filters loaded for good: each test starts this program again, confined, and reads what the kernel answered.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panic and says when it is skipped"
)]

use std::os::fd::AsRawFd;
use std::process::{Command, Output};

use rustix::io::Errno;
use tinyd_ns::caps::{self, CapSet, CapSets, Capability};
use tinyd_ns::seccomp::{Action, Arch, FilterFlags, Profile, Rule, compile, default_profile};

const CHILD: &str = "TINYD_NS_CHILD";

/// Runs the test `name` of this file again, with its child's part.
fn confined(name: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    Command::new(program).args(["--exact", name, "--nocapture"]).env(CHILD, name).output().unwrap()
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Asserts that the child's part ran to its end.
#[track_caller]
fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{:?}\n{text}", output.status);
}

fn confine(profile: &Profile) {
    rustix::thread::set_no_new_privs(true).unwrap();
    compile(profile, Arch::NATIVE).unwrap().program.load(profile.filter_flags()).unwrap();
}

/// The errno of a system call with these arguments.
fn errno(number: libc::c_long, args: [libc::c_long; 3]) -> Option<Errno> {
    // SAFETY: the calls of these tests get numbers, and addresses that are null: the kernel takes care of those.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2]) };
    // SAFETY: the pointer is to this thread's errno.
    (result == -1).then(|| Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
}

#[test]
fn the_default_profile_refuses_and_lets_work() {
    if !is_child() {
        return assert_passed(&confined("the_default_profile_refuses_and_lets_work"));
    }
    confine(&default_profile(CapSet::DEFAULT));
    assert_eq!(errno(libc::SYS_unshare, [libc::CLONE_NEWNS.into(), 0, 0]), Some(Errno::PERM));
    assert_eq!(errno(libc::SYS_clone3, [0, 0, 0]), Some(Errno::NOSYS));
    assert_eq!(errno(libc::SYS_keyctl, [0, 0, 0]), Some(Errno::PERM));
    assert_eq!(errno(libc::SYS_mount, [0, 0, 0]), Some(Errno::PERM));
    assert_eq!(
        errno(libc::SYS_socket, [libc::AF_ALG.into(), libc::SOCK_SEQPACKET.into(), 0]),
        Some(Errno::PERM)
    );
    assert_eq!(
        errno(libc::SYS_socket, [libc::AF_VSOCK.into(), libc::SOCK_STREAM.into(), 0]),
        Some(Errno::PERM)
    );
    // The kernel reads 32 bits of the family.
    assert_eq!(
        errno(libc::SYS_socket, [1 << 32 | libc::c_long::from(libc::AF_ALG), 5, 0]),
        Some(Errno::PERM)
    );
    assert_eq!(errno(libc::SYS_personality, [0x0004_0000, 0, 0]), Some(Errno::PERM));
    assert_eq!(errno(470, [0, 0, 0]), Some(Errno::NOSYS));
    // The rest works: threads, processes, sockets, files.
    assert_eq!(errno(libc::SYS_personality, [0xffff_ffff, 0, 0]), None);
    assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7);
    std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"x").unwrap();
    let output = Command::new("sh").args(["-c", "echo $((6 * 7)) | cat; unshare -m true"]).output().unwrap();
    assert_eq!(output.stdout, b"42\n");
    assert!(!output.status.success(), "the filter outlives exec");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_default_profile_covers_i386() {
    use std::os::unix::process::ExitStatusExt;
    if !is_child() {
        let output = confined("the_default_profile_covers_i386");
        if output.status.signal() == Some(libc::SIGSEGV) {
            println!("SKIPPED: this kernel has no IA32 emulation");
            return;
        }
        return assert_passed(&output);
    }
    // SAFETY: the calls below get numbers, and addresses that are null.
    let errno = |number, args| match unsafe { int80(number, args) } {
        result @ -4095..0 => Some(Errno::from_raw_os_error(-result)),
        _ => None,
    };
    assert_ne!(errno(20, [0; 3]), Some(Errno::NOSYS), "getpid");
    confine(&default_profile(CapSet::DEFAULT));
    assert_eq!(errno(20, [0; 3]), None, "getpid");
    assert_eq!(errno(359, [38, 5, 0]), Some(Errno::PERM), "socket(AF_ALG)");
    assert_eq!(errno(310, [0x0002_0000, 0, 0]), Some(Errno::PERM), "unshare");
    assert_eq!(errno(435, [0; 3]), Some(Errno::NOSYS), "clone3");
    assert_eq!(errno(288, [0; 3]), Some(Errno::PERM), "keyctl");
    // Its arguments are behind a pointer, here null: EFAULT is the kernel's, not the filter's.
    assert_eq!(errno(102, [1, 0, 0]), Some(Errno::FAULT), "socketcall");
}

/// A system call of i386.
///
/// # Safety
/// As of the call.
#[cfg(target_arch = "x86_64")]
unsafe fn int80(number: i32, args: [u32; 3]) -> i32 {
    let result: i32;
    // SAFETY: the interrupt leaves all registers but eax, and on older kernels r8 to r11; rbx, which a compiler may
    // keep for itself, is put back. The call's own effects are the caller's promise.
    unsafe {
        std::arch::asm!(
            "xchg {first:r}, rbx", "int 0x80", "xchg {first:r}, rbx",
            first = inout(reg) u64::from(args[0]) => _,
            inlateout("eax") number => result,
            in("ecx") args[1], in("edx") args[2],
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

#[test]
fn a_killing_profile_kills() {
    use std::os::unix::process::ExitStatusExt;
    if !is_child() {
        let output = confined("a_killing_profile_kills");
        assert_eq!(output.status.signal(), Some(libc::SIGSYS));
        return;
    }
    confine(&profile_for(Action::KillProcess));
    errno(libc::SYS_getpriority, [0; 3]);
}

/// Allows all but getpriority, which nothing else uses.
fn profile_for(action: Action) -> Profile {
    let rule = Rule { names: vec!["getpriority".into()], action, errno_ret: Some(99), args: vec![] };
    Profile {
        default_action: Action::Allow,
        default_errno_ret: None,
        syscalls: vec![rule],
        ..default_profile(CapSet::EMPTY)
    }
}

#[test]
fn a_listener_sees_the_call_that_waits_for_it() {
    if !is_child() {
        return assert_passed(&confined("a_listener_sees_the_call_that_waits_for_it"));
    }
    rustix::thread::set_no_new_privs(true).unwrap();
    let compiled = compile(&profile_for(Action::Notify), Arch::NATIVE).unwrap();
    assert!(compiled.program.needs_listener());
    let (send, receive) = std::sync::mpsc::channel();
    let confined = std::thread::spawn(move || {
        send.send(compiled.program.load_with_listener(FilterFlags::empty()).unwrap()).unwrap();
        errno(libc::SYS_getpriority, [0; 3])
    });
    let listener = receive.recv().unwrap();
    let flags = rustix::io::fcntl_getfd(&listener).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    // SAFETY: both structures are plain numbers, and the kernel wants the first one zeroed.
    let (mut request, mut answer): (libc::seccomp_notif, libc::seccomp_notif_resp) =
        unsafe { std::mem::zeroed() };
    // SAFETY: the request number goes with the structure.
    assert_eq!(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &mut request) }, 0);
    assert_eq!(i64::from(request.data.nr), libc::SYS_getpriority);
    answer.id = request.id;
    answer.error = -libc::EXDEV;
    // SAFETY: the request number goes with the structure.
    assert_eq!(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &mut answer) }, 0);
    assert_eq!(confined.join().unwrap(), Some(Errno::XDEV));
}

#[test]
fn flags_reach_the_kernel() {
    if !is_child() {
        return assert_passed(&confined("flags_reach_the_kernel"));
    }
    rustix::thread::set_no_new_privs(true).unwrap();
    let program = compile(&profile_for(Action::Errno), Arch::NATIVE).unwrap().program;
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        wait.recv().unwrap();
        errno(libc::SYS_getpriority, [0; 3])
    });
    program.load(FilterFlags::TSYNC | FilterFlags::LOG | FilterFlags::WAIT_KILLABLE_RECV).unwrap();
    go.send(()).unwrap();
    assert_eq!(
        other.join().unwrap(),
        Some(Errno::from_raw_os_error(99)),
        "TSYNC confines the other thread as well"
    );
    // A thread with a filter that this one lacks cannot follow.
    let (loaded, ready) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let again = program.clone();
    let other = std::thread::spawn(move || {
        loaded.send(again.load(FilterFlags::SPEC_ALLOW)).unwrap();
        wait.recv().unwrap();
    });
    ready.recv().unwrap().unwrap();
    assert_eq!(program.load(FilterFlags::TSYNC), Err(Errno::SRCH));
    assert_eq!(program.load_with_listener(FilterFlags::TSYNC).unwrap_err(), Errno::SRCH);
    go.send(()).unwrap();
    other.join().unwrap();
}

#[test]
fn a_filter_needs_no_new_privs_or_cap_sys_admin() {
    let program = compile(&profile_for(Action::Errno), Arch::NATIVE).unwrap().program;
    // A thread's capabilities, and its filters, are its own.
    let result = std::thread::spawn(move || {
        caps::set(CapSet::EMPTY, CapSet::EMPTY, CapSet::EMPTY).unwrap();
        program.load(FilterFlags::empty())
    });
    assert_eq!(result.join().unwrap(), Err(Errno::ACCESS));
}

#[test]
fn a_launch_goes_on_behind_the_default_filter() {
    use std::os::unix::process::CommandExt;
    if !CapSets::current().unwrap().effective.contains(Capability::SysAdmin) {
        println!("SKIPPED: needs CAP_SYS_ADMIN");
        return;
    }
    if !is_child() {
        let output = confined("a_launch_goes_on_behind_the_default_filter");
        let text = String::from_utf8_lossy(&output.stdout);
        let kill = CapSet::EMPTY.with(Capability::Kill);
        for line in [
            "NoNewPrivs:\t0".to_owned(),
            "Seccomp:\t2".to_owned(),
            "Uid:\t1000\t1000\t1000\t1000".to_owned(),
            format!("CapBnd:\t{:016x}", CapSet::PODMAN.bits()),
            format!("CapPrm:\t{:016x}", kill.bits()),
            format!("CapAmb:\t{:016x}", kill.bits()),
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line:?} in {text}");
        }
        return;
    }
    // No no_new_privs: the filter comes first, while there is CAP_SYS_ADMIN.
    let profile = default_profile(CapSet::PODMAN);
    compile(&profile, Arch::NATIVE).unwrap().program.load(profile.filter_flags()).unwrap();
    caps::drop_bounding(CapSet::PODMAN).unwrap();
    caps::keep_caps(true).unwrap();
    let (user, group) = (rustix::process::Uid::from_raw(1000), rustix::process::Gid::from_raw(1000));
    rustix::thread::set_thread_groups(&[group]).unwrap();
    rustix::thread::set_thread_res_gid(group, group, group).unwrap();
    rustix::thread::set_thread_res_uid(user, user, user).unwrap();
    let kill = CapSet::EMPTY.with(Capability::Kill);
    caps::set(kill, kill, kill).unwrap();
    caps::set_ambient(kill).unwrap();
    panic!("{}", Command::new("cat").arg("/proc/self/status").exec());
}
