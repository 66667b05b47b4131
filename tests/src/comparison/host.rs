//! What a container inherits of the machine, and what therefore differs between machines.

use std::collections::BTreeMap;
use std::fs;

/// Facts of the calling process and its machine, by the probe's subjects and keys: limits, mitigations of the processor,
/// settings that a new network namespace takes from the first one.
#[derive(Debug, Clone, Default)]
pub struct Host(pub(super) BTreeMap<(String, String), String>);

/// The probe's names for the lines of `/proc/self/limits`.
const LIMITS: [(&str, &str); 16] = [
    ("Max address space", "AS"),
    ("Max core file size", "CORE"),
    ("Max cpu time", "CPU"),
    ("Max data size", "DATA"),
    ("Max file size", "FSIZE"),
    ("Max file locks", "LOCKS"),
    ("Max locked memory", "MEMLOCK"),
    ("Max msgqueue size", "MSGQUEUE"),
    ("Max nice priority", "NICE"),
    ("Max open files", "NOFILE"),
    ("Max processes", "NPROC"),
    ("Max resident set", "RSS"),
    ("Max realtime priority", "RTPRIO"),
    ("Max realtime timeout", "RTTIME"),
    ("Max pending signals", "SIGPENDING"),
    ("Max stack size", "STACK"),
];

/// Lines of `/proc/self/status`.
const STATUS: [&str; 2] = ["Speculation_Store_Bypass", "SpeculationIndirectBranch"];

/// Below `/proc/sys`. IPv4's settings of devices go over to new namespaces, the others start as the kernel has them.
const SETTINGS: [&str; 6] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/conf/all/accept_redirects",
    "net/ipv4/conf/all/accept_source_route",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/all/send_redirects",
];

impl Host {
    /// This process and its machine.
    ///
    /// # Panics
    /// When `/proc` is not there.
    pub fn own() -> Host {
        let read = |path: &str| fs::read_to_string(path).expect("/proc is mounted");
        let mut host = Host::default();
        host.add_limits(&read("/proc/self/limits"));
        host.add_status(&read("/proc/self/status"));
        for name in SETTINGS {
            if let Ok(value) = fs::read_to_string(format!("/proc/sys/{name}")) {
                host.add("settings", name, value.trim());
            }
        }
        host
    }

    fn add(&mut self, subject: &str, key: &str, value: &str) {
        self.0.insert((subject.to_owned(), key.to_owned()), value.to_owned());
    }

    fn add_limits(&mut self, text: &str) {
        for line in text.lines() {
            let Some((title, name)) = LIMITS.iter().find(|(title, _)| line.starts_with(title)) else {
                continue;
            };
            let mut values = line[title.len()..].split_whitespace();
            for end in ["soft", "hard"] {
                self.add("limits", &format!("{name}-{end}"), values.next().unwrap_or_default());
            }
        }
    }

    fn add_status(&mut self, text: &str) {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        for (key, value) in pairs.filter(|(key, _)| STATUS.contains(key)) {
            self.add("status", key, value.trim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::*;

    fn host(soft: &str, hard: &str, bypass: &str) -> Host {
        let mut host = Host::default();
        host.add_limits(&format!("Max open files            {soft}       {hard}      files\n"));
        host.add_status(&format!("Name:\tx\nSpeculation_Store_Bypass:\t{bypass}\n"));
        host
    }

    #[test]
    fn what_is_inherited_is_another_on_another_machine() {
        let lines = "limits NOFILE-soft 20000\nlimits NOFILE-hard 20000\nlimits CPU-soft 5\n\
            status Speculation_Store_Bypass thread vulnerable\n";
        let end = "[calls]\n[end]\nprobe arguments ok\nprobe calls ok\nprobe end ok\n";
        let kept = Facts::read(&format!("{lines}{end}")).without_what_is_of(&host(
            "1024",
            "20000",
            "thread vulnerable",
        ));
        for line in [
            "limits NOFILE-soft inherited-hard",
            "limits NOFILE-hard inherited",
            "limits CPU-soft 5",
            "status Speculation_Store_Bypass inherited",
        ] {
            assert!(kept.text().contains(&format!("{line}\n")), "{line} is not in {}", kept.text());
        }
        let there = kept.with_what_is_of(&host("10", "30", "not vulnerable")).text();
        for line in [
            "limits NOFILE-soft 30",
            "limits NOFILE-hard 30",
            "status Speculation_Store_Bypass not vulnerable",
        ] {
            assert!(there.contains(&format!("{line}\n")), "{line} is not in {there}");
        }
        assert!(Host::own().0.len() > 30);
    }
}
