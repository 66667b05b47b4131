//! The last steps, which a container's command and a further one share: limits, terminal, rights, exec.

use super::receive::Channel;
use crate::defence::{self, Defence};
use crate::identity::ReceivedIdentity;
use crate::plan::ProcessPlan;
use crate::report::{ChildFailure, Report, Stage, at, at_operand};
use rustix::fs::{Access, CWD, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::convert::Infallible;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use tinyd_ns::caps::{self, CapSet};
use tinyd_ns::{credentials, process, pty, schedule};

/// The streams of a command without a terminal; `None` is the null device.
pub(crate) struct Stdio {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

/// Where the socket to the parent is kept at the end: the one descriptor beside the three streams and those that the command
/// was promised.
const CHANNEL: RawFd = 3;

/// Becomes the command.
pub(crate) fn finish(
    plan: &mut ProcessPlan,
    identity: &ReceivedIdentity<'_>,
    terminal: Option<OwnedFd>,
    stdio: &Stdio,
    channel: &Channel,
) -> Result<Infallible, ChildFailure> {
    surroundings(plan)?;
    for (index, limit) in plan.rlimits.iter().enumerate() {
        limit.set().map_err(at_operand(Stage::Rlimit, index))?;
    }
    if let Some(keyring) = plan.keyring.as_ref().filter(|_| defence::on(Defence::Keyring)) {
        match process::join_session_keyring(keyring) {
            // A quota that is used up, or a kernel without keys: the keyring is an extra wall, not the only one.
            Ok(()) | Err(Errno::DQUOT | Errno::NOSPC | Errno::NOSYS) => {}
            Err(errno) => return Err(at(Stage::Keyring)(errno)),
        }
    }
    rustix::process::umask(Mode::from_raw_mode(plan.umask));
    if defence::on(Defence::Session) {
        pty::become_session_leader(terminal.as_ref().map(AsFd::as_fd)).map_err(at(Stage::Session))?;
    }
    streams(terminal.as_ref(), stdio, identity).map_err(at(Stage::Stdio))?;
    drop(terminal);

    // As root first, who may enter folders that the user may not; then as the user, who may enter what root may not (FUSE).
    let entered = enter(&plan.cwd);
    if plan.gate.is_some() && !plan.candidates.is_empty() {
        find(plan).map_err(at(Stage::Exec))?;
    }
    // Whoever answers for the filter hears of the container when it is created. Else no filter need allow the waiting.
    let is_asked = plan.listener.is_some();
    if is_asked {
        rights(plan, identity)?;
    }
    let Some(gate) = plan.gate.take() else { return go(plan, identity, entered, is_asked, channel) };
    let channel = gate.wait(channel).map_err(at(Stage::Gate))?;
    match go(plan, identity, entered, is_asked, &channel) {
        Ok(never) => match never {},
        Err(failure) => channel.fail(failure),
    }
}

/// What is the command's own of the machine, and takes no rights.
fn surroundings(plan: &mut ProcessPlan) -> Result<(), ChildFailure> {
    if let Some(label) = &mut plan.label {
        label.write().map_err(at(Stage::Label))?;
    }
    if let [_, Some(cpus)] = &plan.priority.cpus {
        rustix::thread::sched_setaffinity(None, cpus).map_err(at(Stage::Affinity))?;
    }
    if let Some(domain) = plan.priority.personality {
        schedule::set_personality(domain).map_err(at(Stage::Personality))?;
    }
    if let Some(memory) = &plan.priority.memory {
        let nodes = memory.nodes.as_ref().map_or(&[][..], |nodes| &nodes[..]);
        schedule::set_memory_policy(memory.mode, nodes).map_err(at(Stage::MemoryPolicy))?;
    }
    Ok(())
}

/// Becomes it, with no more rights than it is to have. A filter comes last where it can, and need allow no more than the exec then: what
/// can be done before is done here.
fn go(
    plan: &mut ProcessPlan,
    identity: &ReceivedIdentity<'_>,
    entered: Result<(), Errno>,
    has_its_rights: bool,
    channel: &Channel,
) -> Result<Infallible, ChildFailure> {
    if !plan.has_home {
        plan.env.fill_spare(identity.home.as_ptr());
    }
    process::reset_some_signals(crate::entry::IGNORED);
    channel.send(Report::Ready, &[]).map_err(at(Stage::Parent))?;
    // Nothing of the host's is open when the command starts, nor while it is looked for (CVE-2024-21626).
    let number = CHANNEL + plan.preserved as RawFd;
    process::dup_to(channel.as_raw(), number).map_err(at(Stage::Descriptors))?;
    // SAFETY: this descriptor was made a copy of the channel just now, and is open until the process ends here.
    let copy = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    if defence::on(Defence::CloseDescriptors) {
        process::cloexec_from(number).map_err(at(Stage::Descriptors))?;
        process::close_from(number + 1).map_err(at(Stage::Descriptors))?;
    } else {
        rustix::io::fcntl_setfd(copy, rustix::io::FdFlags::CLOEXEC).map_err(at(Stage::Descriptors))?;
    }
    let Err(failure) = execute(plan, identity, entered, has_its_rights);
    // The channel's own number may just have been closed. A filter that does not let us send lets us write.
    let _ = rustix::io::write(copy, &Report::Failed(failure).to_bytes());
    process::exit_now(1)
}

fn execute(
    plan: &mut ProcessPlan,
    identity: &ReceivedIdentity<'_>,
    entered: Result<(), Errno>,
    has_its_rights: bool,
) -> Result<Infallible, ChildFailure> {
    if !has_its_rights {
        rights(plan, identity)?;
    }
    entered.or_else(|_| enter(&plan.cwd)).map_err(at(Stage::WorkingDirectory))?;
    if plan.init {
        super::reaper::stay_in_front(plan.terminal).map_err(at(Stage::Init))?;
    }
    defence::linger();
    Err(at(Stage::Exec)(exec(plan)))
}

fn streams(terminal: Option<&OwnedFd>, stdio: &Stdio, identity: &ReceivedIdentity<'_>) -> Result<(), Errno> {
    if let Some(terminal) = terminal {
        // Its user must be able to open it again by its name.
        rustix::fs::fchown(terminal, Some(rustix::fs::Uid::from_raw(identity.uid)), None)?;
    }
    for (number, stream) in [&stdio.stdin, &stdio.stdout, &stdio.stderr].into_iter().enumerate() {
        let number = number as RawFd;
        match (terminal, stream) {
            (Some(terminal), _) => process::dup_to(terminal.as_raw_fd(), number)?,
            (None, Some(stream)) => process::dup_to(stream.as_raw_fd(), number)?,
            (None, None) => {
                process::dup_to(null_device()?.as_raw_fd(), number)?;
            }
        }
    }
    Ok(())
}

/// The container's null device, which must be what it seems: its root may have put anything in its place.
fn null_device() -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // NONBLOCK: a FIFO in its place must not keep us waiting.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let null = openat2(CWD, c"/dev/null", flags, Mode::empty(), how)?;
    if !tinyd_fs::dev::is_null(&null)? {
        return Err(Errno::NODEV);
    }
    rustix::fs::fcntl_setfl(&null, OFlags::RDWR)?;
    Ok(null)
}

/// Enters a folder of the root, never through a magic link of `/proc`.
fn enter(path: &CStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut how = ResolveFlags::empty();
    how.set(ResolveFlags::NO_MAGICLINKS, defence::on(Defence::CwdCheck));
    let folder = openat2(CWD, path, flags, Mode::empty(), how)?;
    rustix::process::fchdir(folder)
}

/// Gives up what the command must not have. Without no_new_privs a filter can only be loaded while there are rights to do
/// so; with it, it comes last and need not allow what happens here.
fn rights(plan: &mut ProcessPlan, identity: &ReceivedIdentity<'_>) -> Result<(), ChildFailure> {
    if plan.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(at(Stage::NoNewPrivileges))?;
    } else {
        load_filter(plan)?;
    }
    caps::drop_bounding(plan.caps.bounding).map_err(at(Stage::Capabilities))?;
    caps::keep_caps(true).map_err(at(Stage::Capabilities))?;
    let groups = &identity.groups[..identity.group_count];
    credentials::become_user(identity.uid, identity.gid, groups).map_err(at(Stage::User))?;
    caps::keep_caps(false).map_err(at(Stage::Capabilities))?;
    // A user who is not root starts without capabilities; a program may still bring some, within the bounding set.
    let root = identity.uid == 0;
    let (permitted, effective) = if root {
        (plan.caps.permitted, plan.caps.effective)
    } else {
        (plan.caps.ambient, plan.caps.ambient)
    };
    let inheritable = plan.caps.inheritable.union(plan.caps.ambient);
    caps::set(permitted, effective, inheritable).map_err(at(Stage::Capabilities))?;
    if plan.caps.ambient != CapSet::EMPTY {
        caps::set_ambient(plan.caps.ambient).map_err(at(Stage::Capabilities))?;
    }
    if plan.no_new_privileges { load_filter(plan) } else { Ok(()) }
}

fn load_filter(plan: &mut ProcessPlan) -> Result<(), ChildFailure> {
    match (&plan.seccomp, &mut plan.listener) {
        (None, _) => Ok(()),
        (Some((program, flags)), None) => program.load(*flags).map_err(at(Stage::Seccomp)),
        (Some((program, flags)), Some(listener)) => {
            let calls = program.load_with_listener(*flags).map_err(at(Stage::Seccomp))?;
            listener.hand_over(calls.as_fd()).map_err(at(Stage::Listener))
        }
    }
}

/// Whether there is a program at all: whoever only creates a container wants to hear of that at once. What lies behind a magic link
/// is not looked for yet: descriptors of the host's are still open.
fn find(plan: &ProcessPlan) -> Result<(), Errno> {
    let mut result = Err(Errno::NOENT);
    for path in &plan.candidates {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let found = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
            Ok(found) => rustix::fs::fstat(&found)?,
            Err(Errno::LOOP) => return Ok(()),
            Err(_) => continue,
        };
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if is_file && rustix::fs::access(path, Access::EXEC_OK).is_ok() {
            return Ok(());
        }
        result = Err(Errno::ACCESS);
    }
    result
}

/// Tries each place where the program may be; gives the error that says most.
fn exec(plan: &ProcessPlan) -> Errno {
    let mut result = Errno::NOENT;
    for path in &plan.candidates {
        // SAFETY: both arrays are ended by a null pointer and own their strings, but for `HOME`, whose packet lives in
        // the caller's frame.
        match unsafe { process::exec(path, plan.args.as_ptr(), plan.env.as_ptr()) } {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => result = Errno::ACCESS,
            errno => return errno,
        }
    }
    result
}
