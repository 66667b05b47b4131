//! The default profile, against SECURITY.md's lists and against its own plain reading.

use super::interpreter::{code_of, run};
use super::{ALL_ARCHES, ALLOW, ENOSYS, EPERM, KILL_PROCESS, call, reading};
use crate::caps::{CapSet, Capability};
use crate::seccomp::{Arch, Architecture, Profile, compile};

/// The native x86-64 calls of Linux 6.1 that Docker refuses with its fourteen capabilities.
const REFUSED: &str = "_sysctl acct add_key afs_syscall bpf clock_settime clone3 create_module delete_module
    fanotify_init finit_module fsconfig fsmount fsopen fspick get_kernel_syms get_mempolicy getpmsg init_module
    io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie
    mbind migrate_pages mount mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree
    perf_event_open pidfd_getfd pivot_root process_madvise putpmsg query_module quotactl quotactl_fd reboot
    request_key security set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff
    swapon sysfs syslog tuxcall umount2 unshare uselib userfaultfd ustat vhangup vserver";

/// The newer ones that are refused too: three need CAP_SYS_ADMIN, one is another open_tree, one is the kernel's own, and two
/// are not in Docker's list yet.
const REFUSED_SINCE: &str =
    "lsm_get_self_attr lsm_list_modules lsm_set_self_attr open_tree_attr uprobe file_getattr file_setattr";

/// Calls of i386 that have newer forms; Docker's list names those alone.
const REFUSED_OLD: &str = "nice sigaction signal sigpending sigsuspend";

/// What the launcher still calls once the filter is loaded.
const AFTER_LOAD: &str =
    "prctl capset capget close_range setresuid setresgid setgroups execve execveat write sendmsg
    sendto exit_group fcntl chdir fchdir dup3 umask ioctl close read recvmsg setsid";

struct Filter {
    profile: Profile,
    code: Vec<(u16, u8, u8, u32)>,
}

impl Filter {
    fn new(caps: CapSet, native: Arch) -> Filter {
        let mut profile = crate::seccomp::default_profile(caps);
        profile.architectures = native.family().iter().map(|arch| arch.architecture()).collect();
        let compiled = compile(&profile, native).unwrap();
        assert!(compiled.unknown.is_empty());
        Filter { profile, code: code_of(&compiled.program) }
    }

    fn verdict(&self, arch: Arch, name: &str, args: [u64; 6]) -> u32 {
        let nr = reading::number(arch, name).unwrap_or_else(|| panic!("{name} on {arch:?}"));
        run(&self.code, &call(arch, nr, args)).0
    }
}

#[test]
fn exactly_the_listed_native_calls_are_refused_with_dockers_capabilities() {
    let docker = Filter::new(CapSet::DOCKER, Arch::X86_64);
    let refused: Vec<_> = (0..470)
        .flat_map(|nr| reading::names(Arch::X86_64, nr))
        .filter(|name| docker.verdict(Arch::X86_64, name, [0; 6]) != ALLOW)
        .collect();
    let mut listed: Vec<_> = REFUSED.split_whitespace().chain(REFUSED_SINCE.split_whitespace()).collect();
    assert_eq!(listed.len(), 67 + 7);
    listed.sort_by_key(|name| reading::number(Arch::X86_64, name));
    assert_eq!(refused, listed);
    for name in refused {
        let absent = ["clone3", "file_getattr", "file_setattr"].contains(&name);
        let wanted = if absent { ENOSYS } else { EPERM };
        assert_eq!(docker.verdict(Arch::X86_64, name, [0; 6]), wanted, "{name}");
    }
    for name in REFUSED_OLD.split_whitespace() {
        assert_eq!(docker.verdict(Arch::X86, name, [0; 6]), EPERM, "{name}");
    }
}

#[test]
fn every_program_agrees_with_the_reading_of_its_profile() {
    let sets = [CapSet::EMPTY, CapSet::PODMAN, CapSet::DOCKER, CapSet::all()];
    for (caps, native) in sets.into_iter().flat_map(|caps| [(caps, Arch::X86_64), (caps, Arch::Aarch64)]) {
        let default = Filter::new(caps, native);
        for arch in ALL_ARCHES {
            let interesting = [0xf_0000, 0xf_0005, 0xf_000f, 0xf_0010, 0x3fff_ffff, 0x4000_0000, u32::MAX];
            for nr in (0..600).chain(interesting) {
                for first in
                    [0, 8, 17, 38, 40, 41, 63, 64, 0x11, 0x2_0008, 0x2000_0000, 0xffff_ffff, 0x1_0000_0026]
                {
                    let call = call(arch, nr, [first, 0, 0, 0, 0, 0]);
                    let wanted = reading::verdict(&default.profile, native, &call);
                    assert_eq!(run(&default.code, &call).0, wanted, "{caps} {arch:?} {call:x?}");
                    // The other calls do not look at their arguments.
                    if !reading::names(arch, nr)
                        .iter()
                        .any(|name| ["clone", "socket", "personality"].contains(name))
                    {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn the_programs_are_small_and_shallow() {
    for (native, longest, deepest) in [(Arch::X86_64, 330, 24), (Arch::Aarch64, 260, 24)] {
        let default = Filter::new(CapSet::PODMAN, native);
        assert!(default.code.len() <= longest, "{native:?}: {} instructions", default.code.len());
        for nr in (0..470).filter(|nr| !reading::names(native, *nr).contains(&"socket")) {
            let (_, steps) = run(&default.code, &call(native, nr, [0; 6]));
            assert!(steps <= deepest, "{nr}: {steps} steps");
        }
    }
}

#[test]
fn calls_newer_than_the_table_do_not_exist() {
    let default = Filter::new(CapSet::PODMAN, Arch::X86_64);
    for (arch, nrs) in
        [(Arch::X86_64, [470, 512, 1000]), (Arch::X86, [470, 511, 1000]), (Arch::X32, [470, 511, 548])]
    {
        for nr in nrs {
            assert_eq!(run(&default.code, &call(arch, nr, [0; 6])).0, ENOSYS, "{arch:?} {nr}");
        }
    }
    // A gap in the table is not newer.
    assert_eq!(run(&default.code, &call(Arch::X86_64, 400, [0; 6])).0, EPERM);
}

#[test]
fn families_that_are_not_listed_are_refused_in_every_direct_way() {
    let default = Filter::new(CapSet::all(), Arch::X86_64);
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        for family in 0..64 {
            // AF_ALG and AF_VSOCK (38, 40), and what nobody needs or what is not there yet.
            let refused = [12, 19, 20, 23, 25, 34, 37, 38, 40].contains(&family) || family > 45;
            let wanted = if refused { EPERM } else { ALLOW };
            for high in [0, 1 << 32, 0xffff_ffff << 32] {
                assert_eq!(
                    default.verdict(arch, "socket", [high | family, 0, 0, 0, 0, 0]),
                    wanted,
                    "{arch:?} {family}"
                );
            }
        }
    }
    assert_eq!(default.verdict(Arch::X86, "socketcall", [1, 0, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn clone_makes_threads_but_no_namespaces() {
    let default = Filter::new(CapSet::PODMAN, Arch::X86_64);
    let admin = Filter::new(CapSet::PODMAN.with(Capability::SysAdmin), Arch::X86_64);
    let thread = 0x003d_0f00;
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        assert_eq!(default.verdict(arch, "clone", [thread, 0, 0, 0, 0, 0]), ALLOW);
        for namespace in
            [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
        {
            assert_eq!(default.verdict(arch, "clone", [thread | namespace, 0, 0, 0, 0, 0]), EPERM);
            assert_eq!(admin.verdict(arch, "clone", [thread | namespace, 0, 0, 0, 0, 0]), ALLOW);
        }
        assert_eq!(default.verdict(arch, "clone3", [0; 6]), ENOSYS);
        assert_eq!(admin.verdict(arch, "clone3", [0; 6]), ALLOW);
    }
}

#[test]
fn capabilities_open_their_calls_and_only_those() {
    let opened_by = |caps: CapSet| {
        let (with, without) = (Filter::new(caps, Arch::X86_64), Filter::new(CapSet::EMPTY, Arch::X86_64));
        let opened = (0..470).flat_map(|nr| reading::names(Arch::X86_64, nr)).filter(|name| {
            with.verdict(Arch::X86_64, name, [0; 6]) == ALLOW
                && without.verdict(Arch::X86_64, name, [0; 6]) != ALLOW
        });
        opened.collect::<Vec<_>>().join(" ")
    };
    for (cap, calls) in [
        (Capability::SysChroot, "chroot"),
        (Capability::SysBoot, "reboot"),
        (Capability::SysModule, "init_module delete_module finit_module"),
        (Capability::SysPacct, "acct"),
        (Capability::SysPtrace, "kcmp pidfd_getfd process_madvise"),
        (Capability::SysRawio, "iopl ioperm"),
        (Capability::SysTime, "settimeofday clock_settime"),
        (Capability::SysTtyConfig, "vhangup"),
        (
            Capability::SysNice,
            "mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node",
        ),
        (Capability::Syslog, "syslog"),
        (Capability::DacReadSearch, "open_by_handle_at"),
        (Capability::Bpf, "bpf"),
        (Capability::Perfmon, "perf_event_open"),
        (Capability::NetAdmin, ""),
    ] {
        assert_eq!(opened_by(CapSet::EMPTY.with(cap)), calls, "{cap}");
    }
    let admin = opened_by(CapSet::EMPTY.with(Capability::SysAdmin));
    assert_eq!(
        admin,
        "syslog mount umount2 sethostname setdomainname quotactl lookup_dcookie unshare perf_event_open \
         fanotify_init setns bpf open_tree move_mount fsopen fsconfig fsmount fspick clone3 mount_setattr quotactl_fd \
         lsm_get_self_attr lsm_set_self_attr lsm_list_modules open_tree_attr"
    );
    let all = Filter::new(CapSet::all(), Arch::X86_64);
    for name in
        "keyctl add_key request_key io_uring_setup io_uring_enter userfaultfd kexec_load swapon".split(' ')
    {
        assert_eq!(all.verdict(Arch::X86_64, name, [0; 6]), EPERM, "{name} is never open");
    }
}

#[test]
fn what_a_launcher_does_after_loading_passes() {
    for native in [Arch::X86_64, Arch::Aarch64] {
        let default = Filter::new(CapSet::EMPTY, native);
        for name in AFTER_LOAD.split_whitespace() {
            assert_eq!(default.verdict(native, name, [0; 6]), ALLOW, "{name}");
        }
    }
}

#[test]
fn without_32_bits_other_architectures_are_killed() {
    let mut profile = crate::seccomp::default_profile(CapSet::PODMAN);
    profile.architectures = vec![Architecture::X86_64];
    let code = code_of(&compile(&profile, Arch::X86_64).unwrap().program);
    assert_eq!(run(&code, &call(Arch::X86_64, 0, [0; 6])).0, ALLOW);
    for arch in [Arch::X86, Arch::X32, Arch::Aarch64] {
        assert_eq!(run(&code, &call(arch, 3, [0; 6])).0, KILL_PROCESS, "{arch:?}");
    }
    // What a tracer leaves behind to skip a call.
    assert_eq!(run(&code, &call(Arch::X86_64, u32::MAX, [0; 6])).0, ENOSYS);
}
