//! The machine: QEMU with KVM where a short boot proves that it works, else with its emulator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::kernel::Kernel;

/// The line that the initramfs prints first.
const SIGN: &str = "tinyd-vm: booted";
/// A kernel under a KVM that works is there in a second; under one that does not, never.
const PROOF: Duration = Duration::from_secs(15);
/// How often the host looks.
pub(super) const GLANCE: Duration = Duration::from_millis(50);

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    Kvm,
    Emulator,
}

impl Accelerator {
    pub(super) fn name(self) -> &'static str {
        match self {
            Accelerator::Kvm => "KVM",
            Accelerator::Emulator => "emulated",
        }
    }
}

/// What every boot needs.
#[derive(Debug)]
pub(super) struct Boot<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) initramfs: &'a Path,
    /// The folder for the console's log.
    pub(super) folder: &'a Path,
}

/// What a boot for the tests has besides.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) disks: [&'a Path; 2],
    pub(super) share: &'a Path,
    /// Words for the kernel's command line.
    pub(super) words: &'a str,
}

impl Boot<'_> {
    /// Which accelerator works here. That `/dev/kvm` is there proves nothing, so a kernel is booted; what was found is
    /// remembered until the host boots.
    pub(super) fn accelerator(&self) -> Result<Accelerator> {
        if fs::metadata("/dev/kvm").is_err() {
            return Ok(Accelerator::Emulator);
        }
        let boot =
            fs::read_to_string("/proc/sys/kernel/random/boot_id").context("the host has no boot id")?;
        let note = self.folder.join(format!("kvm-{}", boot.trim()));
        let works = match fs::read_to_string(&note) {
            Ok(text) => text == "works",
            Err(_) => {
                let works = self.boots(Accelerator::Kvm)?;
                fs::write(&note, if works { "works" } else { "fails" })
                    .with_context(|| format!("{} cannot be written", note.display()))?;
                works
            }
        };
        Ok(if works { Accelerator::Kvm } else { Accelerator::Emulator })
    }

    fn boots(&self, accelerator: Accelerator) -> Result<bool> {
        let machine = Machine::start(self, accelerator, "probe", &["tinyd.probe"], &[])?;
        let end = Instant::now() + PROOF;
        while Instant::now() < end {
            if machine.console().contains(SIGN) {
                return Ok(true);
            }
            sleep(GLANCE);
        }
        Ok(false)
    }

    /// Starts the guest that runs the tests.
    pub(super) fn start(&self, accelerator: Accelerator, parts: &Parts<'_>) -> Result<Machine> {
        let [system, payload] = parts.disks.map(Path::display);
        let arguments = [
            // What the guest writes goes to a file of QEMU's that has no name.
            "-drive".to_owned(),
            format!("file={system},format=raw,if=virtio,snapshot=on"),
            "-drive".to_owned(),
            format!("file={payload},format=raw,if=virtio,readonly=on"),
            "-virtfs".to_owned(),
            format!("local,path={},mount_tag=share,security_model=none", parts.share.display()),
        ];
        Machine::start(self, accelerator, "console", &[parts.words], &arguments)
    }
}

/// A running QEMU; it ends with this.
#[derive(Debug)]
pub(super) struct Machine {
    child: Child,
    console: PathBuf,
    errors: PathBuf,
}

impl Machine {
    fn start(
        boot: &Boot<'_>,
        accelerator: Accelerator,
        log: &str,
        words: &[&str],
        arguments: &[String],
    ) -> Result<Machine> {
        let console = boot.folder.join(format!("{log}.log"));
        // What an earlier machine said is not this one's.
        fs::write(&console, "").with_context(|| format!("{} cannot be written", console.display()))?;
        let mut command = Command::new("setpriv");
        // When this program is killed, nobody else would end a guest that hangs.
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "pc"]);
        command.args(["-cpu", "max", "-m", "2048", "-smp", "2", "-accel"]);
        command.arg(match accelerator {
            Accelerator::Kvm => "kvm",
            Accelerator::Emulator => "tcg,thread=multi",
        });
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.arg("-kernel").arg(&boot.kernel.image).arg("-initrd").arg(boot.initramfs);
        // A panic restarts at once, which -no-reboot makes an end.
        let line = ["console=ttyS0", "quiet", "panic=-1"].iter().chain(words).copied().collect::<Vec<_>>();
        command.arg("-append").arg(line.join(" ")).args(arguments);
        let errors = boot.folder.join("qemu.log");
        let file =
            fs::File::create(&errors).with_context(|| format!("{} cannot be made", errors.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().context("QEMU cannot be started")?;
        Ok(Machine { child, console, errors })
    }

    /// Whether QEMU still runs. Its exit status is not looked at: it is 0 after a guest that failed.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// All that the guest has printed so far.
    pub(super) fn console(&self) -> String {
        read(&self.console)
    }

    /// What QEMU itself has to say.
    pub(super) fn errors(&self) -> String {
        read(&self.errors)
    }
}

/// A log, whatever bytes a guest has put into it.
fn read(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
