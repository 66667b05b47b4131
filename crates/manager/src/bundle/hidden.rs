//! Paths of /proc and /sys that tell about the host, or change it.

use std::fs;
use std::path::Path;

/// Files and folders that show nothing: the host's memory, keys, clocks, power and temperatures, by which neighbours can
/// be listened to (PLATYPUS, GHSA-jq35-85cj-fj4p, GHSA-6fw5-f8r9-fgfm).
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What can be read and not written.
pub(super) const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const CPUS: &str = "/sys/devices/system/cpu";

/// What is masked on this host. One that cannot be looked at counts as having it all.
pub(super) fn masked_here() -> Vec<String> {
    // All CPUs of a machine have it, or none: one look instead of one for each.
    let throttle = Path::new(CPUS).join("cpu0/thermal_throttle").exists();
    let possible = if throttle {
        fs::read_to_string(format!("{CPUS}/possible")).unwrap_or_default()
    } else {
        String::new()
    };
    masked(possible.trim(), throttle)
}

/// The masked paths of a host with these possible CPUs (cpuset(7), "list format").
pub(super) fn masked(possible: &str, throttle: bool) -> Vec<String> {
    let mut paths: Vec<String> = MASKED.map(str::to_owned).to_vec();
    if throttle {
        paths.extend(cpus(possible).map(|cpu| format!("{CPUS}/cpu{cpu}/thermal_throttle")));
    }
    paths
}

fn cpus(list: &str) -> impl Iterator<Item = u32> + '_ {
    list.split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a21_side_channels_of_every_cpu_are_hidden() {
        let paths = masked("0-2,5", true);
        assert!(paths.contains(&"/sys/devices/virtual/powercap".to_owned()));
        assert!(paths.contains(&"/proc/interrupts".to_owned()));
        let of_cpus: Vec<&String> = paths.iter().filter(|path| path.ends_with("thermal_throttle")).collect();
        assert_eq!(of_cpus.len(), 4);
        assert_eq!(of_cpus[3], "/sys/devices/system/cpu/cpu5/thermal_throttle");
        assert_eq!(masked("0-2", false).len(), MASKED.len());
        assert_eq!(masked("", true).len(), MASKED.len());
    }
}
