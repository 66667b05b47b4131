//! What proc(5) says of a process.

use std::fs;

/// Of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) name: String,
    pub(super) state: char,
    pub(super) parent: u32,
    /// The number of its terminal's device; 0 for none.
    pub(super) terminal: u32,
    pub(super) cpu_ticks: u64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    /// Since the machine was started.
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
}

impl Stat {
    pub(super) fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in brackets, and may itself hold brackets, blanks and line feeds: what comes after the last one is the
    /// kernel's.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|byte| *byte == b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')')?;
        let name = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(&bytes[close + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The third field of all is the first of these.
        let field = |number: usize| fields.get(number - 3).copied();
        let count = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            name,
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            terminal: field(7)?.parse::<i32>().ok()?.cast_unsigned(),
            cpu_ticks: count(14)?.saturating_add(count(15)?),
            nice: field(19)?.parse().ok()?,
            threads: count(20)?,
            start_ticks: count(22)?,
            virtual_bytes: count(23)?,
        })
    }
}

/// The numbers of a process, the host's first; none when it has ended.
pub(super) fn numbers(pid: u32) -> Vec<u32> {
    let numbers = status(pid, "NSpid:").unwrap_or_default();
    numbers.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The effective user of a process.
pub(super) fn effective_user(pid: u32) -> Option<u32> {
    status(pid, "Uid:")?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What of a process's memory is there.
pub(super) fn resident_bytes(pid: u32) -> u64 {
    let kibibytes =
        status(pid, "VmRSS:").and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// A line of `/proc/PID/status`. (The name in its first one is escaped by the kernel.)
fn status(pid: u32, field: &str) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix(field)).map(str::to_owned)
}

/// `pts/0`; of others their numbers (proc_pid_stat(5): the minor in bits 31 to 20 and 7 to 0, the major in 15 to 8).
pub(super) fn terminal(device: u32) -> Option<String> {
    let major = (device >> 8) & 0xff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    match (major, minor) {
        (0, 0) => None,
        (136..=143, _) => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        (4, 0..=63) => Some(format!("tty{minor}")),
        (5, 1) => Some("console".to_owned()),
        _ => Some(format!("{major}:{minor}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_name_may_look_like_the_rest() {
        let rest =
            "R 1 2 3 34816 -1 4194304 9 9 9 9 250 50 0 0 20 -5 3 0 4711 1048576 256 18446744073709551615";
        let stat = |name: &[u8]| Stat::parse(&[b"77 (", name, b") ", rest.as_bytes()].concat()).unwrap();
        for name in [&b"sh"[..], b") S 1 (", b"a b\n", b"\x1b]0;x\x07"] {
            let stat = stat(name);
            assert_eq!(stat.name.as_bytes(), name);
            assert_eq!((stat.state, stat.parent, stat.terminal, stat.cpu_ticks), ('R', 1, 34816, 300));
            assert_eq!((stat.nice, stat.threads, stat.start_ticks), (-5, 3, 4711));
            assert_eq!(stat.virtual_bytes, 1_048_576);
        }
        assert_eq!(stat(b"\xff").name, "\u{fffd}");
        for bad in [&b""[..], b"77 (sh", b"77 (sh) R", b"77 (sh) R x y"] {
            assert_eq!(Stat::parse(bad), None);
        }
    }

    #[test]
    fn pure_terminals_have_names() {
        let named = |device| terminal(device);
        assert_eq!(named(0), None);
        assert_eq!(named(34816).as_deref(), Some("pts/0"));
        assert_eq!(named((136 << 8) | 0x12 | (0x1 << 20)).as_deref(), Some("pts/274"));
        assert_eq!(named((4 << 8) | 1).as_deref(), Some("tty1"));
        assert_eq!(named((5 << 8) | 1).as_deref(), Some("console"));
    }

    #[test]
    fn pure_this_process_is_told_of() {
        let me = std::process::id();
        assert_eq!(numbers(me).first(), Some(&me));
        assert_eq!(effective_user(me), Some(rustix::process::geteuid().as_raw()));
        assert!(Stat::read(me).is_some_and(|stat| stat.threads > 0 && stat.virtual_bytes > 0));
        assert!(resident_bytes(me) > 100_000);
        assert_eq!((numbers(u32::MAX), effective_user(u32::MAX)), (Vec::new(), None));
    }
}
