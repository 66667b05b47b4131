//! Taking more memory than there may be.

use super::{FILL, Report, VERB, counters};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How much is asked for beyond the limit: more than the kernel lets a process have while it is on its way to kill it.
const BEYOND: u64 = 64 << 20;
/// The smallest page there is: one byte in each makes all of it real.
const PAGE: usize = 4096;
const GLANCE: Duration = Duration::from_millis(5);

/// Lets a process take more than the limit, and reports what came of it.
pub(super) fn load() -> Result<Report, String> {
    let limit = counters::memory_limit()?;
    // A machine that is itself out of memory kills whom it likes. An eighth is left to whatever else grows meanwhile.
    let wanted_bytes = limit.saturating_sub(counters::memory_used()?).saturating_add(limit / 8 + BEYOND);
    let available_bytes = available()?;
    if available_bytes < wanted_bytes {
        return Ok(Report::NoMemory { wanted_bytes, available_bytes });
    }
    let failed = |what: &str, error: std::io::Error| format!("{what} the process that takes memory: {error}");
    let mut child = Command::new("/proc/self/exe")
        .args([VERB, FILL, &limit.saturating_add(BEYOND).to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed("start", error))?;
    let (start, patience) = (Instant::now(), patience(limit));
    // To read a counter takes memory. At the limit, while the kernel clears away what it has killed, that may be this
    // process's end: it is done only where the kernel does not keep the peak.
    let is_kept = counters::memory_peak()?.is_some();
    let mut seen = 0;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| failed("wait for", error))? {
            break status;
        }
        if start.elapsed() > patience {
            // It may just have ended.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{} bytes were not taken within {} s", limit, patience.as_secs()));
        }
        if !is_kept {
            seen = counters::memory_used()?.max(seen);
        }
        std::thread::sleep(GLANCE);
    };
    let peak_bytes = counters::memory_peak()?.unwrap_or(seen);
    Ok(Report::Memory { peak_bytes, oom_kills: counters::oom_kills()?, got_all: status.success() })
}

/// How long taking so many bytes may take, on a machine that has other work.
#[must_use]
pub fn patience(bytes: u64) -> Duration {
    Duration::from_secs(60 + (bytes >> 27))
}

/// Takes memory and touches all of it.
pub(super) fn fill(bytes: u64) -> u8 {
    // Should the whole machine run out of memory, this is what it can do without.
    if fs::write("/proc/self/oom_score_adj", "1000").is_err() {
        return 1;
    }
    match usize::try_from(bytes).map_err(|_| Errno::NOMEM).and_then(take) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Maps memory and writes a byte into each page of it.
fn take(length: usize) -> Result<(), Errno> {
    let (rights, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
    // SAFETY: a new mapping at a place that the kernel chooses; it stays until the process ends.
    let start = unsafe { mmap_anonymous(std::ptr::null_mut(), length, rights, flags)? };
    // A kernel without large pages says no, and it takes longer.
    // SAFETY: the range is the mapping made above, and this advice changes nothing in what it holds.
    let _ = unsafe { madvise(start, length, Advice::LinuxHugepage) };
    for at in (0..length).step_by(PAGE) {
        // SAFETY: `at` is below the length of the mapping, which nobody else knows of.
        unsafe { start.cast::<u8>().add(at).write_volatile(1) };
    }
    Ok(())
}

/// What the machine can give without swapping, in bytes.
fn available() -> Result<u64, String> {
    const PATH: &str = "/proc/meminfo";
    let text = fs::read_to_string(PATH).map_err(|error| format!("read {PATH}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: Option<u64> = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| format!("{PATH} has no MemAvailable"))
}
