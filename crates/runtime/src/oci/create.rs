//! `create`: everything but the command, whose process waits to be started.

use super::hooks::{self, Inside, Moment};
use super::options::{Flag, Parsed, Rest, flag, parse, value};
use super::store::{CONFIG, Container, Lock, Record, START, Status, TOLD};
use super::streams::{self, Way};
use super::{Context, Problem, activation, cgroup, console, foreground, notify, one_id};
use crate::config::{ConsoleSize, Process};
use crate::init::{Gate, Stdio};
use crate::launch::{self, Running, Terms, internal};
use crate::monitor::now_ns;
use crate::plan::{self, Bundle, invalid};
use crate::state::ProcessId;
use crate::{Failure, FailureKind, Rootfs, StartRequest};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, BorrowedFd, IntoRawFd as _};
use std::path::{Path, PathBuf};

/// What `create` and `run` take.
pub(super) const FLAGS: &[Flag] = &[
    value("bundle", Some('b')),
    value("console-socket", None),
    value("pid-file", None),
    value("preserve-fds", None),
    value("pidfd-socket", None),
    // For a root that cannot be left (initramfs). It is left all the same, or the start fails: within a mere chroot the host's root would be
    // within reach.
    flag("no-pivot", None),
    flag("no-new-keyring", None),
    flag("detach", Some('d')),
    flag("keep", None),
    flag("no-subreaper", None),
];

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(FLAGS, words, Rest::Mixed)?;
    let wanted = Wanted::of("create", &parsed)?;
    let made = make(context, &wanted, false)?;
    made.keep();
    Ok(0)
}

/// A container as it is wanted.
pub(super) struct Wanted {
    id: String,
    bundle: PathBuf,
    console: Option<String>,
    pid_file: Option<PathBuf>,
    pidfd_socket: Option<PathBuf>,
    preserved: u32,
    inherits_keyring: bool,
}

impl Wanted {
    pub(super) fn of(verb: &str, parsed: &Parsed) -> Result<Self, Problem> {
        let bundle = parsed.last("bundle").unwrap_or(".");
        let path = |name| parsed.last(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let absolute =
            std::path::absolute(bundle).map_err(|error| format!("--bundle {bundle:?}: {error}"))?;
        if parsed.has("no-pivot") {
            let problem = "--no-pivot leaves the host's root within reach of the container";
            let hint = "a root that cannot be pivoted into (initramfs) can be bound onto itself first";
            return Err(Failure::new(FailureKind::Unsupported, problem).with_hint(hint).into());
        }
        Ok(Self {
            id: one_id(verb, parsed)?,
            bundle: absolute.components().collect(),
            console: parsed.last("console-socket").map(str::to_owned),
            pid_file: path("pid-file"),
            pidfd_socket: path("pidfd-socket"),
            preserved: parsed.number("preserve-fds")?.unwrap_or(0),
            inherits_keyring: parsed.has("no-new-keyring"),
        })
    }
}

/// A container whose command waits. It goes with this value unless it is [kept](Made::keep).
pub(super) struct Made {
    pub(super) container: Container,
    pub(super) bundle: Bundle,
    pub(super) running: Running,
    /// Those of its streams.
    pub(super) ways: Vec<Way>,
    _lock: Lock,
    pub(super) kept: bool,
}

impl Made {
    /// Lets it be.
    pub(super) fn keep(mut self) {
        self.kept = true;
        self.running.keep();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !self.kept {
            let _ = super::delete::destroy(&self.container);
        }
    }
}

/// Makes it. In the foreground its terminal is the caller's to take.
pub(super) fn make(context: &Context, wanted: &Wanted, in_foreground: bool) -> Result<Made, Failure> {
    let json = Bundle::read(&wanted.bundle)?;
    let mut bundle = Bundle::parse_strictly(&wanted.bundle, &json)?.of_another_engine();
    let (nothing_to_run, is_old) = (bundle.spec.process.is_none(), bundle.is_before(1));
    let process = bundle.spec.process.get_or_insert_with(Process::nothing);
    complete(process, context);
    let preserved = activation::hand_over(process).saturating_add(wanted.preserved);
    if in_foreground && let Some((rows, columns)) = foreground::window() {
        process.console_size = Some(ConsoleSize { height: rows.into(), width: columns.into() });
    }
    if is_old {
        plan::refuse_unknown_capabilities(process)?;
    }
    super::report::warn_of(process, bundle.spec.mounts.as_deref().unwrap_or_default());
    hooks::check(&bundle)?;
    reserve(preserved)?;
    let console = console::wanted(wanted.console.as_deref(), bundle.wants_terminal(), in_foreground)?;
    let driver = cgroup::driver_of(&bundle, context.systemd)?;
    let cgroup = cgroup::name(&bundle, &wanted.id, context.systemd)?;
    let record = Record {
        id: wanted.id.clone(),
        bundle: wanted.bundle.clone(),
        rootfs: rootfs_of(&bundle, &wanted.bundle)?,
        above: cgroup::missing_above(driver.as_ref(), &cgroup)?,
        found: cgroup::found(driver.as_ref(), &cgroup, &bundle)?,
        cgroup,
        systemd: context.systemd,
        inherits_keyring: wanted.inherits_keyring,
        created_ns: now_ns(),
        init: None,
        half_made: false,
    };
    let (mut container, lock) = Container::reserve(context, record)?;
    let wishes = Wishes { preserved, nothing_to_run, in_foreground };
    let launched = notify::offer(&container.folder, &mut bundle)
        .and_then(|()| launch(&mut container, &bundle, &json, driver.as_ref(), wishes));
    let (running, ways) = match launched {
        Ok(launched) => launched,
        Err(failure) => {
            let _ = super::delete::destroy(&container);
            return Err(failure);
        }
    };
    let mut made = Made { container, bundle, running, ways, _lock: lock, kept: false };
    made.container.record.half_made = false;
    made.container.save()?;
    if let (Some(path), Some(terminal)) = (&console, &made.running.terminal) {
        console::send(terminal, path)?;
        made.running.terminal = None;
    }
    if let Some(filter) = &made.running.filter {
        plan::keep_filter(filter, &made.container.folder);
    }
    if let Some(path) = &wanted.pidfd_socket {
        console::send(&made.running.child.pidfd, path)?;
    }
    if let Some(path) = &wanted.pid_file {
        write_pid(path, made.running.pid)?;
    }
    Ok(made)
}

/// What is the caller's of a launch.
#[derive(Clone, Copy)]
struct Wishes {
    preserved: u32,
    nothing_to_run: bool,
    in_foreground: bool,
}

fn launch(
    container: &mut Container,
    bundle: &Bundle,
    json: &[u8],
    driver: &dyn tinyd_cgroup::CgroupDriver,
    Wishes { preserved, nothing_to_run, in_foreground }: Wishes,
) -> Result<(Running, Vec<Way>), Failure> {
    let config = container.folder.join(CONFIG);
    std::fs::write(&config, json).map_err(|error| internal(&format!("write {}", config.display()), error))?;
    let gate = gate(&container.folder)?;
    let (stdio, ways) = match bundle.wants_terminal() {
        true => (Stdio { stdin: None, stdout: None, stderr: None }, Vec::new()),
        false => streams::of_ours(preserved, in_foreground)?,
    };
    let request = request(container, bundle);
    let adopts_cgroup = container.record.found.is_some();
    let inherits_keyring = container.record.inherits_keyring;
    let pauses = [Moment::Prestart, Moment::CreateRuntime, Moment::CreateContainer];
    let pauses = pauses.iter().any(|moment| moment.is_wanted(bundle));
    // Written down before it can come to its gate: whoever waits there outlives this process, however that ends.
    let shared = RefCell::new(container);
    let mut born = |pid: u32, _: BorrowedFd<'_>| {
        let mut container = shared.borrow_mut();
        container.record.init =
            Some(ProcessId::of(pid).map_err(|error| internal("look at the container", error))?);
        container.record.half_made = true;
        container.save()
    };
    let mut assembled = |pid, pidfd: BorrowedFd<'_>| {
        let container = shared.borrow();
        let container = &**container;
        let inside = Inside { pid, pidfd };
        hooks::run(Moment::Prestart, bundle, container, Status::Created, None)?;
        hooks::run(Moment::CreateRuntime, bundle, container, Status::Created, None)?;
        hooks::run(Moment::CreateContainer, bundle, container, Status::Created, Some(inside))
    };
    let terms = Terms {
        connector: None,
        gate: Some(gate),
        preserved,
        born: Some(&mut born),
        nothing_to_run,
        assembled: if pauses { Some(&mut assembled) } else { None },
        inherits_oom_score: true,
        inherits_keyring,
        adopts_cgroup,
    };
    launch::launch(&request, bundle, driver, stdio, terms).map(|running| (running, ways))
}

/// What a process has of its caller where nothing is said. Of a variable that stands twice the last one counts.
pub(super) fn complete(process: &mut Process, context: &Context) {
    process.user.umask.get_or_insert(context.umask.bits());
    let environment = process.env.get_or_insert_default();
    let name = |entry: &str| entry.split_once('=').map(|(name, _)| name.to_owned());
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for entry in &*environment {
        last.extend(name(entry).map(|name| (name, entry.clone())));
    }
    // In the place of the first.
    environment.retain_mut(|entry| match name(entry) {
        Some(name) => last.remove(&name).is_some_and(|last| {
            *entry = last;
            true
        }),
        None => true,
    });
}

/// The start in the words of the core.
pub(super) fn request(container: &Container, bundle: &Bundle) -> StartRequest {
    StartRequest {
        id: container.record.id.clone(),
        bundle: container.record.bundle.clone(),
        run_dir: container.folder.clone(),
        cgroup: container.record.cgroup.clone(),
        monitor_cgroup: String::new(),
        rootfs: Rootfs { overlays: Vec::new(), volatile: false, devices: true, storage: None },
        protect_program: false,
        attach: false,
        connect: false,
        netns: None,
        secrets: Vec::new(),
        interactive: false,
        window: bundle.spec.process.as_ref().and_then(window),
        log: None,
        exit_copy: None,
        sync: None,
        release: Vec::new(),
        trash: Vec::new(),
        restart: None,
        events: None,
        health: None,
    }
}

/// Rows and columns of the terminal, where the process says them.
pub(super) fn window(process: &Process) -> Option<(u16, u16)> {
    let size = process.console_size.as_ref()?;
    let cells = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    Some((cells(size.height), cells(size.width)))
}

fn rootfs_of(bundle: &Bundle, folder: &Path) -> Result<PathBuf, Failure> {
    let root = bundle.spec.root.as_ref().ok_or_else(|| invalid("root", "is missing"))?;
    if root.path.as_os_str().is_empty() {
        return Err(invalid("root.path", "is missing"));
    }
    // Without a slash at its end, behind which a link would be followed.
    let path: PathBuf = folder.join(&root.path).components().collect();
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(found) if found.is_symlink() => {
            Err(invalid("root.path", format!("{} is a link: name the folder itself", path.display())))
        }
        Ok(_) => Err(invalid("root.path", format!("{} is no folder", path.display()))),
        Err(error) => Err(invalid("root.path", format!("{}: {error}", path.display()))),
    }
}

/// Sees to it that no file of ours has the number of a descriptor that the command is promised: those that the caller has not opened
/// are taken until the command is executed.
pub(super) fn reserve(count: u32) -> Result<(), Failure> {
    let failed = |errno| internal(&format!("--preserve-fds {count}: keep the numbers free"), errno);
    let first = 3;
    let last = first + i32::try_from(count).map_err(|_| failed(Errno::MFILE))?;
    let null = {
        let opened = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        rustix::io::fcntl_dupfd_cloexec(&opened.map_err(failed)?, last).map_err(failed)?
    };
    loop {
        let taken = rustix::io::fcntl_dupfd_cloexec(&null, first).map_err(failed)?;
        if taken.as_raw_fd() >= last {
            return Ok(());
        }
        // It lasts as long as this process.
        let _ = taken.into_raw_fd();
    }
}

fn gate(folder: &Path) -> Result<Gate, Failure> {
    let end = |name: &str| {
        let path = folder.join(name);
        let made = rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .and_then(|()| rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()));
        made.map_err(|errno| internal(&format!("make {}", path.display()), errno))
    };
    Ok(Gate { go: end(START)?, told: end(TOLD)? })
}

/// Whole, or not at all: somebody may wait for the file. Others may write in its folder: no link in the way is followed.
pub(super) fn write_pid(path: &Path, pid: u32) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || {
        let _ = std::fs::remove_file(&beside);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&beside)?;
        file.write_all(pid.to_string().as_bytes())?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|error| internal(&format!("write the process id to {}", path.display()), error))
}
