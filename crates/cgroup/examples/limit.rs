//! Runs a command under a memory limit, and says what it used: `sudo cargo run --example limit -- 64M sort big-file`.
//!
//! The command cannot open the machine's disks either. Only `tinyd-cgroup` is used; the command is otherwise an ordinary
//! child.
#![allow(clippy::print_stderr, reason = "an example talks to its user")]

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use tinyd_cgroup::{Cgroup, CgroupPath, DeviceAccess, DeviceKind, DeviceRule, Host, Limits, MemoryLimits};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [size, program, args @ ..] = args.as_slice() else {
        return Err("usage: limit SIZE COMMAND [ARGUMENT…], SIZE such as 64M".into());
    };
    let limit = size.strip_suffix('M').unwrap_or(size).parse::<i64>()? << 20;
    let limits = Limits {
        memory: MemoryLimits { limit_bytes: Some(limit), ..Default::default() },
        devices: vec![DeviceRule::new(false, DeviceKind::Block, None, None, DeviceAccess::ALL)],
        ..Default::default()
    };

    let driver = Host::detect()?.driver()?;
    driver.validate(&limits)?;
    let group =
        driver.create(&CgroupPath::new(&format!("limit-example-{}", std::process::id()))?, &limits)?;
    let result = run(&*group, program, args);
    // Whatever happened, nothing is left behind.
    group.kill()?;
    group.remove()?;
    result
}

#[allow(clippy::disallowed_methods, reason = "one thread, and join() is async-signal-safe")]
fn run(group: &dyn Cgroup, program: &str, args: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let handle = group.join_handle()?;
    let mut command = Command::new(program);
    command.args(args);
    // SAFETY: join() only calls write(2), and an io::Error of a number allocates nothing.
    unsafe {
        command.pre_exec(move || handle.join(true).map_err(|e| std::io::Error::from_raw_os_error(e.errno)));
    }
    let mut oom = group.watch_oom()?;
    let status = command.status()?;
    let stats = group.stats()?;
    if oom.take()? {
        eprintln!("it ran out of memory");
    }
    eprintln!(
        "{status}; {} ms of CPU time, {} KiB at most, {} KiB written to disks, killed for memory: {}",
        stats.cpu.usage_ns.unwrap_or(0) / 1_000_000,
        stats.memory.peak_bytes.unwrap_or(0) / 1024,
        stats.io.write_bytes.unwrap_or(0) / 1024,
        group.oom_kills()?,
    );
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(137)).unwrap_or(1)))
}
