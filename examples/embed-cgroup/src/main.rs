//! A child with limits, made with `tinyd-cgroup` alone: cgroup v1, v2 or hybrid, whatever the host has. As root:
//! `cargo run --manifest-path examples/embed-cgroup/Cargo.toml`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::{Command, Stdio};
use tinyd_cgroup::{Cgroup, CgroupPath, Host, Limits, MemoryLimits};

fn main() -> Result<(), Box<dyn Error>> {
    let memory = MemoryLimits { limit_bytes: Some(64 << 20), ..Default::default() };
    let limits = Limits { memory, pids_max: Some(8), ..Default::default() };
    let driver = Host::detect()?.driver()?;
    driver.validate(&limits)?;
    let group = driver.create(&CgroupPath::new(&format!("embed-{}", std::process::id()))?, &limits)?;
    let result = run(&*group);
    // Whatever happened, nothing is left behind.
    group.kill()?;
    group.remove()?;
    result
}

fn run(group: &dyn Cgroup) -> Result<(), Box<dyn Error>> {
    // It waits for its input to end, so that it is in the group before it does anything.
    let work = "cat; i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; sleep 1";
    let mut child = Command::new("sh").args(["-c", work]).stdin(Stdio::piped()).spawn()?;
    group.add_process(child.id())?;
    drop(child.stdin.take());
    std::thread::sleep(std::time::Duration::from_millis(500));
    println!("in the group: {:?}, with {:?} bytes", group.processes()?, group.limits()?.memory.limit_bytes);
    println!("the child: {}", child.wait()?);
    let stats = group.stats()?;
    let (time, memory) = (stats.cpu.usage_ns.unwrap_or(0), stats.memory.usage_bytes.unwrap_or(0));
    println!("{} ms of CPU time, {} KiB in use", time / 1_000_000, memory / 1024);
    Ok(())
}
