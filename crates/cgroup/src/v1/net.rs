//! `net_cls` and `net_prio`: marks on traffic (Documentation/admin-guide/cgroup-v1/net_cls.rst, net_prio.rst).

use crate::dir::Dir;
use crate::error::Result;
use crate::limits::NetPriority;
use rustix::io::Errno;

const CLASS: &str = "net_cls.classid";
const PRIORITIES: &str = "net_prio.ifpriomap";

pub(super) fn write_class(dir: &Dir, class: Option<u32>) -> Result<()> {
    class.map_or(Ok(()), |class| dir.write(CLASS, &class.to_string()))
}

pub(super) fn read_class(dir: &Dir) -> Result<Option<u32>> {
    Ok(dir.number(CLASS)?.and_then(|class| u32::try_from(class).ok()))
}

pub(super) fn write_priorities(dir: &Dir, priorities: &[NetPriority]) -> Result<()> {
    priorities.iter().try_for_each(|NetPriority { interface, priority }| {
        dir.write_explained(PRIORITIES, &format!("{interface} {priority}"), |errno| match errno {
            Errno::NODEV | Errno::INVAL => Some("this network namespace has no such interface: see ip link"),
            _ => None,
        })
    })
}

/// Those that differ from the kernel's own.
pub(super) fn read_priorities(dir: &Dir) -> Result<Vec<NetPriority>> {
    let text = dir.read_if_there(PRIORITIES)?.unwrap_or_default();
    let one = |line: &str| {
        let (interface, priority) = line.rsplit_once(' ')?;
        let priority = priority.parse().ok().filter(|p| *p != 0)?;
        Some(NetPriority { interface: interface.to_owned(), priority })
    };
    Ok(text.lines().filter_map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    #[test]
    fn pure_marks_are_written_and_read_back() {
        let (folder, dir) = fake(&[(CLASS, "0\n"), (PRIORITIES, "")]);
        write_class(&dir, None).unwrap();
        assert_eq!(read_class(&dir).unwrap(), Some(0));
        std::fs::write(folder.path().join(CLASS), "").unwrap();
        write_class(&dir, Some(0x10_0001)).unwrap();
        assert_eq!(read_class(&dir).unwrap(), Some(0x10_0001));
        let high = NetPriority { interface: "eth0".into(), priority: 5 };
        write_priorities(&dir, std::slice::from_ref(&high)).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(PRIORITIES)).unwrap(), "eth0 5");
        std::fs::write(folder.path().join(PRIORITIES), "lo 0\neth0 5\n").unwrap();
        assert_eq!(read_priorities(&dir).unwrap(), [high]);
    }
}
