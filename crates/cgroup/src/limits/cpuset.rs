//! What the kernel means when it refuses a list of CPUs or memory nodes (cpuset(7)).

use rustix::io::Errno;

pub(crate) fn hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::INVAL | Errno::RANGE | Errno::NODEV => {
            Some("this machine has not all of them: see /sys/devices/system/cpu/online and node/online")
        }
        Errno::ACCESS => Some("the group above has not all of them: give it more, or ask for fewer"),
        Errno::NOSPC => Some("processes of the group would be left without any"),
        Errno::BUSY => Some("a group below uses more than that: change it first"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_only_known_refusals_are_explained() {
        assert!(hint(Errno::ACCESS).is_some_and(|text| text.contains("the group above")));
        assert_eq!(hint(Errno::NOENT), None);
    }
}
