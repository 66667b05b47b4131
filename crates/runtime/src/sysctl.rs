//! Which kernel settings a container may have of its own.

/// Checks a setting: only one that a namespace of the container's own keeps from the host, and nothing in its name or value
/// that the kernel would read as another one (CVE-2022-0811).
///
/// # Errors
/// The rule that it breaks, in a clause that follows the name.
pub fn check(name: &str, value: &str, own_ipc: bool, own_network: bool) -> Result<(), &'static str> {
    let plain = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !name.contains("..");
    if !plain {
        return Err("is no name of a setting; write it like net.ipv4.ip_forward");
    }
    let ipc = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];
    match name {
        _ if name.starts_with("net.") && own_network => {}
        _ if name.starts_with("net.") => return Err("is the host's, whose network the container shares"),
        _ if ipc.iter().any(|prefix| name.starts_with(prefix)) && own_ipc => {}
        _ => return Err("does not belong to a namespace of the container"),
    }
    match value.contains(['\n', '\0']) {
        true => Err("has a value of more than one line"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn pure_a12_only_the_containers_own_settings_and_one_line_of_each() {
        for name in
            ["net.ipv4.ip_forward", "kernel.shmmax", "kernel.msgmax", "kernel.sem", "fs.mqueue.msg_max"]
        {
            assert_eq!(check(name, "1", true, true), Ok(()), "{name}");
        }
        assert!(check("net.ipv4.ip_forward", "1", true, false).is_err());
        assert!(check("kernel.shmmax", "1", false, true).is_err());
        let bad = [
            "kernel.core_pattern",
            "vm.swappiness",
            "kernel/shmmax",
            "net.",
            "net..x",
            "",
            "kernel.shm+x",
            "net.a\nb",
        ];
        for name in bad.into_iter().filter(|&name| name != "net.") {
            assert!(check(name, "1", true, true).is_err(), "{name}");
        }
        assert!(check("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/x", true, true).is_err());
    }
}
