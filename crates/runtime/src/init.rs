//! The child: from clone to exec. It carries out the [`Plan`] and nothing else; everything here is
//! *child-side*: no allocation, no lock, no path inside the container's root that is not resolved by descriptor.

mod devices;
mod finish;
mod gate;
mod loopback;
mod mounts;
mod reaper;
mod receive;

pub(crate) use finish::{Stdio, finish};
pub(crate) use gate::Gate;
pub(crate) use receive::Channel;

use crate::defence::{self, Defence};
use crate::identity::{Identity, ReceivedIdentity};
use crate::plan::{Plan, ProcessPlan};
use crate::report::{ChildFailure, Order, Stage, at, at_operand};
use receive::Descriptors;
use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use tinyd_cgroup::JoinHandle;
use tinyd_ns::{Namespaces, credentials, join, process};

/// The descriptors that a child keeps, sorted.
pub(crate) struct Kept(Vec<RawFd>);

impl Kept {
    pub(crate) fn new(channel: &Channel, cgroups: &JoinHandle, stdio: &Stdio) -> Self {
        let streams = [&stdio.stdin, &stdio.stdout, &stdio.stderr].into_iter().flatten();
        let mut all: Vec<_> =
            streams.map(AsFd::as_fd).chain(cgroups.as_fds()).map(|fd| fd.as_raw_fd()).collect();
        all.push(channel.as_raw());
        all.sort_unstable();
        Self(all)
    }

    pub(crate) fn and<'fd>(mut self, fds: impl IntoIterator<Item = BorrowedFd<'fd>>) -> Self {
        self.0.extend(fds.into_iter().map(|fd| fd.as_raw_fd()));
        self.0.sort_unstable();
        self
    }

    /// The first so many after the three streams as well: they are the command's.
    pub(crate) fn and_first(mut self, count: u32) -> Self {
        self.0.extend((3..).take(count as usize));
        self.0.sort_unstable();
        self
    }

    /// *Child-side.* Closes all others: while a child held copies of its parent's descriptors, nobody would notice the
    /// parent's end.
    pub(crate) fn close_others(&self) -> Result<(), Errno> {
        if defence::on(Defence::CloseDescriptors) { process::close_all_but(&self.0) } else { Ok(()) }
    }
}

/// Becomes the container's command; what fails is told to the parent, and the process ends.
///
/// `extern "C"`: a panic, which would be a defect, ends the process here instead of unwinding into the parent's code.
pub(crate) extern "C" fn run(
    plan: &mut Plan,
    channel: &Channel,
    cgroups: &JoinHandle,
    stdio: &Stdio,
    kept: &Kept,
) -> ! {
    let failure = match start(plan, channel, cgroups, stdio, kept) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    channel.fail(failure)
}

fn start(
    plan: &mut Plan,
    channel: &Channel,
    cgroups: &JoinHandle,
    stdio: &Stdio,
    kept: &Kept,
) -> Result<std::convert::Infallible, ChildFailure> {
    begin(&mut plan.process, cgroups, kept)?;
    // Modes are those that are asked for; the command gets its own umask in the end.
    rustix::process::umask(rustix::fs::Mode::empty());
    if plan.cgroup_namespace {
        join::unshare(Namespaces::CGROUP).map_err(at(Stage::CgroupNamespace))?;
    }
    if plan.id_maps.is_some() {
        channel.expect(Order::Mapped).map_err(at(Stage::Parent))?;
        credentials::become_user(0, 0, &[]).map_err(at(Stage::MappedRoot))?;
        // New ids may have made it dumpable again (fs.suid_dumpable).
        defence::become_undumpable().map_err(at(Stage::MappedRoot))?;
    }
    namespaces(plan)?;
    let made = mounts::make(plan, channel)?;

    let mut descriptors = Descriptors::new();
    let mut packet = [0; Identity::MAX_LENGTH + 1];
    let length = channel.receive_mounts(&mut descriptors, &mut packet).map_err(at(Stage::Parent))?;
    let identity = identity_in(&packet, length)?;

    let terminal = mounts::attach(plan, &mut descriptors, made, channel)?;
    finish(&mut plan.process, &identity, terminal, stdio, channel)
}

/// *Child-side.* The first steps, which a container's command and a further one share.
pub(crate) fn begin(
    process: &mut ProcessPlan,
    cgroups: &JoinHandle,
    kept: &Kept,
) -> Result<(), ChildFailure> {
    kept.close_others().map_err(at(Stage::Descriptors))?;
    defence::leak(cgroups);
    if let Some(listener) = &mut process.listener {
        listener.learn_number().map_err(at(Stage::Listener))?;
    }
    if let Some(label) = &mut process.label {
        label.open().map_err(at(Stage::Label))?;
    }
    cgroups.join(false).map_err(|error| ChildFailure {
        stage: Stage::JoinCgroup,
        operand: error.index as u16,
        errno: Errno::from_raw_os_error(error.errno),
    })
}

/// *Child-side.* The `/proc` of the mounts that this process has come with. A namespace that is joined may show anything there: what is
/// no procfs, or a part of one, takes no label and no setting (CVE-2019-19921, CVE-2025-52881).
pub(crate) fn proc_of_host() -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = rustix::fs::open(c"/proc", flags, Mode::empty())?;
    let is_whole = rustix::fs::fstatfs(&proc)?.f_type == PROC_SUPER_MAGIC
        && rustix::fs::fstat(&proc)?.st_ino == PROC_ROOT;
    if is_whole { Ok(proc) } else { Err(Errno::NODEV) }
}

/// *Child-side.* Whether a folder is one of terminals: what a container has put there may not be what it seems.
pub(crate) fn expect_terminals(folder: &OwnedFd) -> Result<(), Errno> {
    match rustix::fs::fstatfs(folder)?.f_type == DEVPTS_MAGIC {
        true => Ok(()),
        false => Err(Errno::NODEV),
    }
}

/// Magic number of devpts (statfs(2)).
const DEVPTS_MAGIC: rustix::fs::FsWord = 0x1cd1;

/// The number of the root of every procfs (`PROC_ROOT_INO` of the kernel).
const PROC_ROOT: u64 = 1;

/// *Child-side.* Whom a packet of so many bytes says to become.
pub(crate) fn identity_in(packet: &[u8], length: usize) -> Result<ReceivedIdentity<'_>, ChildFailure> {
    let identity = packet.get(1..length).and_then(ReceivedIdentity::decode);
    identity.ok_or(Errno::PROTO).map_err(at(Stage::Parent))
}

/// What belongs to the namespaces other than the mounts.
fn namespaces(plan: &Plan) -> Result<(), ChildFailure> {
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.to_bytes()).map_err(at(Stage::Hostname))?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.to_bytes()).map_err(at(Stage::Domainname))?;
    }
    if plan.namespaces.contains(Namespaces::NET) {
        loopback::up().map_err(at_operand(Stage::Loopback, 0))?;
    }
    tinyd_fs::mount::make_all_private().map_err(at(Stage::PrivateMounts))
}
