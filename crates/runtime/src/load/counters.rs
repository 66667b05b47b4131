//! The kernel's own files of this process's control groups, as a container sees them: `/sys/fs/cgroup` is its own group of
//! version 2, or holds a folder for each controller of version 1 (and `unified` beside them).

use super::Report;
use std::fs;
use std::path::{Path, PathBuf};

const TOP: &str = "/sys/fs/cgroup";

/// Version 1 writes "no limit" as the largest number of whole pages.
const UNLIMITED: u64 = i64::MAX as u64 - 0xf_ffff;

/// The first of these files that there is, with its content.
fn find(names: &[&str]) -> Option<(PathBuf, String)> {
    find_in(Path::new(TOP), names)
}

fn find_in(top: &Path, names: &[&str]) -> Option<(PathBuf, String)> {
    let below = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders: Vec<_> = std::iter::once(top.to_owned()).chain(below.filter(|path| path.is_dir())).collect();
    let paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.into_iter().find_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text)))
}

fn need(names: &[&str]) -> Result<(PathBuf, String), String> {
    find(names).ok_or_else(|| format!("there is no {} below {TOP}", names.join(" or ")))
}

fn number(path: &Path, text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("{} holds no number: {:?}", path.display(), text.trim()))
}

/// The value behind a word in a file of lines `word value`.
fn keyed(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    line?.trim().parse().ok()
}

/// All limits.
pub(super) fn limits() -> Result<Report, String> {
    let (path, text) = need(&["memory.max", "memory.limit_in_bytes"])?;
    let memory_bytes = match text.trim() {
        "max" => None,
        _ => Some(number(&path, &text)?).filter(|&bytes| bytes < UNLIMITED),
    };
    let (path, text) = need(&["cpu.max", "cpu.cfs_quota_us"])?;
    let (quota, period) = match text.trim().split_once(' ') {
        Some((quota, period)) => (quota.to_owned(), number(&path, period)?),
        None => {
            let (path, period) = need(&["cpu.cfs_period_us"])?;
            (text.trim().to_owned(), number(&path, &period)?)
        }
    };
    let quota_us = match quota.as_str() {
        "max" | "-1" => None,
        quota => Some(number(&path, quota)?),
    };
    Ok(Report::Limits { memory_bytes, quota_us, period_us: period })
}

/// The limit of memory in bytes, where there is one.
pub(super) fn memory_limit() -> Result<u64, String> {
    match limits()? {
        Report::Limits { memory_bytes: Some(bytes), .. } => Ok(bytes),
        _ => Err("this group has no limit of memory".to_owned()),
    }
}

/// Memory in bytes that the group uses now.
pub(super) fn memory_used() -> Result<u64, String> {
    let (path, text) = need(&["memory.current", "memory.usage_in_bytes"])?;
    number(&path, &text)
}

/// The most memory that was ever counted; `None` where the kernel does not keep it (version 2 before Linux 5.19).
pub(super) fn memory_peak() -> Result<Option<u64>, String> {
    let found = find(&["memory.peak", "memory.max_usage_in_bytes"]);
    found.map(|(path, text)| number(&path, &text)).transpose()
}

/// Processes that were killed for want of memory.
pub(super) fn oom_kills() -> Result<u64, String> {
    let (path, text) = need(&["memory.events", "memory.oom_control"])?;
    keyed(&text, "oom_kill").ok_or_else(|| format!("{} does not count oom_kill", path.display()))
}

/// Processor time used so far, in nanoseconds, and periods in which the quota was used up.
pub(super) fn processor() -> Result<(u64, u64), String> {
    // `cpu.stat` is there in both versions; only the second one counts the time in it.
    let (path, text) = need(&["cpu.stat"])?;
    let throttled = keyed(&text, "nr_throttled").unwrap_or(0);
    match (keyed(&text, "usage_usec"), find(&["cpuacct.usage"])) {
        (Some(micros), _) => Ok((micros.saturating_mul(1000), throttled)),
        (None, Some((path, text))) => Ok((number(&path, &text)?, throttled)),
        (None, None) => Err(format!("neither {} nor cpuacct.usage counts processor time", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_understood() {
        let top = tempfile::tempdir().unwrap();
        let memory = top.path().join("memory");
        fs::create_dir(&memory).unwrap();
        fs::write(memory.join("memory.limit_in_bytes"), "4096\n").unwrap();
        let names = ["memory.max", "memory.limit_in_bytes"];
        let (path, text) = find_in(top.path(), &names).unwrap();
        assert_eq!((path, text.as_str()), (memory.join("memory.limit_in_bytes"), "4096\n"));
        fs::write(top.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(find_in(top.path(), &names).unwrap().1, "max\n");
        assert_eq!(find_in(top.path(), &["nothing"]), None);
    }

    #[test]
    fn words_are_whole() {
        let text = "oom 1\noom_kill 3\noom_kill_disable 0\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom_k"), None);
    }
}
