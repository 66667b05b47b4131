//! `cargo xtask vm-test`: a chosen set of the root tests in a virtual machine with a kernel of the distribution, on cgroup
//! v2 with every controller (or on every v1 hierarchy), one boot for all.
//!
//! The machine that developers have is a hybrid one, whose v2 has no controller: what of tinyd works on v2 shows only here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;
use tinyd_tests::{packages, paths, remove::remove_tree};

use self::apt::Apt;
use self::chosen::Test;
use self::machine::{Accelerator, Boot, GLANCE, Machine, Parts};
use self::options::{Cgroup, Options};
use self::report::Outcome;
use crate::tally::Tally;
use crate::{build_cmd, shell};

mod apt;
mod chosen;
mod disk;
pub(crate) mod guest;
mod initramfs;
mod kernel;
mod machine;
mod modules;
mod options;
mod payload;
mod report;

/// In the shared folder: what the guest's runner ended with.
const STATUS: &str = "status";
/// How long the boot may take, where systemd does it, and how long powering off.
const BOOT: Duration = Duration::from_secs(120);
const SYSTEMD_BOOT: Duration = Duration::from_secs(300);
const POWER_OFF: Duration = Duration::from_secs(30);
/// How much of the console is shown when something went wrong.
const TAIL: usize = 25;

/// A file that proves that a package is there, and the package.
const NEEDED: [(&str, &str); 6] = [
    ("/var/lib/dpkg/info/busybox-static.list", "busybox-static"),
    ("/usr/bin/cpio", "cpio"),
    ("/usr/bin/xz", "xz-utils"),
    ("/usr/bin/strip", "binutils"),
    ("/sbin/modinfo", "kmod"),
    ("/sbin/mkfs.ext4", "e2fsprogs"),
];
const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// Boots a guest and runs the chosen tests in it; `false` when one of them did not pass.
pub(crate) fn run(words: &[&str]) -> Result<bool> {
    let options = options::parse(words)?;
    if !geteuid().is_root() {
        bail!("the guest's disks hold files of several users: vm-test needs root");
    }
    let folder = paths::target().join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Two at once would put their files in each other's place.
    let lock = folder.join("lock");
    let lock = fs::File::create(&lock).with_context(|| format!("{} cannot be made", lock.display()))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .with_context(|| format!("another vm-test is running with {}", folder.display()))?;
    title("set-up of the virtual machine");
    let start = Instant::now();
    install(&folder)?;
    let kernel = kernel::find(options.kernel.as_deref(), &folder)?;
    let initramfs = initramfs::make(&kernel, &folder)?;
    let boot = Boot { kernel: &kernel, initramfs: &initramfs, folder: &folder };
    let accelerator = boot.accelerator()?;
    let system = disk::system(&folder, options.systemd)?;
    if std::env::var_os("TINYD_BIN").is_none() {
        build_cmd::run()?;
    }
    let (tests, disk) = payload(&options, &folder)?;
    println!("{:.0} s", start.elapsed().as_secs_f64());

    title(&format!(
        "tier VM: kernel {}, cgroup {}{}, {}, {} tests",
        kernel.release,
        options.cgroup.word(),
        if options.systemd { " by systemd" } else { "" },
        accelerator.name(),
        tests.len()
    ));
    let share = share(&folder)?;
    let words = command_line(&options);
    let parts = Parts { disks: [&system, &disk], share: &share, words: &words };
    let watched = watch(boot.start(accelerator, &parts)?, accelerator, &share, &tests, options.systemd)?;
    print!("\n{}", report::summary(watched.tally, &watched.bad));
    Ok(watched.is_fine())
}

/// What the guest's kernel, and then its first process, are told.
fn command_line(options: &Options) -> String {
    match (options.systemd, options.cgroup) {
        (false, cgroup) => format!("tinyd.cgroup={}", cgroup.word()),
        (true, Cgroup::V2) => format!("systemd.unit={} systemd.unified_cgroup_hierarchy=1", disk::UNIT),
        // The second word is what a systemd wants to hear that would rather have v2 alone.
        (true, Cgroup::V1) => format!(
            "systemd.unit={} systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
            disk::UNIT
        ),
    }
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn install(folder: &Path) -> Result<()> {
    let missing: Vec<_> = NEEDED.iter().filter(|(file, _)| !Path::new(file).exists()).collect();
    if !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        println!("installing {}", missing.join(" "));
        packages::install(&missing).context("what builds the guest cannot be installed")?;
    }
    if !Path::new(QEMU).exists() {
        println!("installing qemu-system-x86");
        // The release's own cannot be installed beside backported parts of QEMU, which some machines have.
        let suite = format!("{}-backports", apt::code_name()?);
        let apt = Apt::new(folder.join("apt-install"), &[&suite])?;
        apt.install(&suite, &["qemu-system-x86"]).context("QEMU cannot be installed")?;
    }
    Ok(())
}

/// Builds the tests and gives those that are chosen, and the disk with them.
fn payload(options: &Options, folder: &Path) -> Result<(Vec<Test>, PathBuf)> {
    let binaries = payload::build(&chosen::binaries()?)?;
    let mut known = BTreeMap::new();
    for (name, path) in &binaries {
        known.insert(name.clone(), payload::names(path)?);
    }
    let tests = chosen::tests(&known, options)?;
    if tests.is_empty() {
        bail!("no test of xtask/src/vm/tests.toml has a name like that");
    }
    let mut variables = vec![
        ("TINYD_BIN", "/vm/bin/tinyd"),
        ("TINYD_TEST_CACHE", "/vm/test-roots"),
        // Each test has a process of its own, as under nextest.
        ("NEXTEST", "1"),
        ("RUST_BACKTRACE", "0"),
    ];
    // A kernel that was asked for may lack what a test needs; of the newest that is not expected.
    if shell::is_ci() && options.kernel.is_none() {
        variables.push(("CI", "true"));
    }
    let disk = payload::make(folder, &binaries, &tests, &variables)?;
    Ok((tests, disk))
}

/// An empty folder for the guest to write to. What an earlier guest left there would be taken for this one's.
fn share(folder: &Path) -> Result<PathBuf> {
    let share = folder.join("share");
    remove_tree(&share).context("the shared folder of an earlier run cannot be removed")?;
    fs::create_dir(&share).with_context(|| format!("{} cannot be made", share.display()))?;
    Ok(share)
}

/// What came out of the guest.
struct Watched {
    tally: Tally,
    /// Its runner's exit status, where it wrote one.
    status: Option<String>,
    skipped: bool,
    missing: usize,
    /// The tests that did not pass, and how they ended.
    bad: Vec<(Outcome, String)>,
}

impl Watched {
    fn is_fine(&self) -> bool {
        let all = self.status.as_deref() == Some("0") && self.missing == 0 && self.tally.failed == 0;
        all && !(self.skipped && shell::is_ci())
    }
}

/// Shows results as they come, until the guest is off or nothing has come for too long.
fn watch(
    mut machine: Machine,
    accelerator: Accelerator,
    share: &Path,
    tests: &[Test],
    systemd: bool,
) -> Result<Watched> {
    let boot = if systemd { SYSTEMD_BOOT } else { BOOT };
    let start = Instant::now();
    let mut watched = Watched {
        tally: Tally::default(),
        status: None,
        skipped: false,
        missing: tests.len(),
        bad: Vec::new(),
    };
    let mut known = vec![false; tests.len()];
    let (mut booted, mut seen, mut deadline, mut late) = (None, 0, start + boot, "the boot");
    loop {
        // Asked before the files are read: what it wrote last is there when it is off.
        let runs = machine.runs();
        if booted.is_none() && share.join(guest::BOOTED).exists() {
            booted = Some(start.elapsed());
            println!("booted in {:.1} s", start.elapsed().as_secs_f64());
            (deadline, late) = (Instant::now() + guest::LIMIT + POWER_OFF, "a test");
        }
        let text = fs::read_to_string(share.join(guest::RESULTS)).unwrap_or_default();
        let (lines, end) = report::fresh(&text, seen);
        seen = end;
        for line in lines {
            let Some(test) = tests.get(line.number) else { bail!("the guest ran a test that nobody chose") };
            println!("{:<8}{:>6.1} s  {}", line.outcome.to_string(), line.time.as_secs_f64(), test.full());
            watched.missing = watched.missing.saturating_sub(1);
            match line.outcome {
                Outcome::Passed => watched.tally.passed += 1,
                Outcome::Skipped => watched.skipped = true,
                Outcome::Failed | Outcome::TimedOut | Outcome::Missing => watched.tally.failed += 1,
            }
            known[line.number] = true;
            if line.outcome != Outcome::Passed {
                watched.bad.push((line.outcome, test.full()));
                show_output(&share.join(guest::OUTPUT).join(line.number.to_string()));
            }
            deadline = Instant::now() + guest::LIMIT + POWER_OFF;
        }
        if !runs {
            break;
        }
        if Instant::now() > deadline {
            println!("{late} took too long ({}): the machine is ended", accelerator.name());
            break;
        }
        sleep(GLANCE);
    }
    watched.status = fs::read_to_string(share.join(STATUS)).ok().map(|text| text.trim().to_owned());
    let console = machine.console();
    for line in console.lines().filter(|line| line.starts_with("tinyd-vm: v")) {
        println!("{line}");
    }
    let tests_took = start.elapsed() - booted.unwrap_or_default();
    println!("the tests and powering off took {:.1} s", tests_took.as_secs_f64());
    // The guest's own word that it came to its end: 1 is a test that failed, and that has been told.
    if !matches!(watched.status.as_deref(), Some("0" | "1")) || watched.missing > 0 {
        println!(
            "the guest did not come to its end, {} results are missing; what it said last:",
            watched.missing
        );
        watched.tally.failed += u64::try_from(watched.missing).unwrap_or(u64::MAX);
        let silent = tests.iter().zip(known).filter(|(_, known)| !known);
        watched.bad.extend(silent.map(|(test, _)| (Outcome::Missing, test.full())));
        let errors = machine.errors();
        let lines: Vec<_> = console.lines().chain(errors.lines()).collect();
        for line in &lines[lines.len().saturating_sub(TAIL)..] {
            println!("  {line}");
        }
    }
    Ok(watched)
}

fn show_output(path: &Path) {
    let text = fs::read(path).unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.trim().is_empty()) {
        println!("    {line}");
    }
}
