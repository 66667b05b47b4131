//! Labels, kernel settings, limits of processes, file systems in memory, and the seccomp profile.

use crate::cgroups::PARENT;
use crate::error::{Error, Result};
use std::path::Component;
use tinyd_cgroup::CgroupPath;
use tinyd_engine::{ContainerSpec, Device, SeccompProfile, TmpfsMount, Ulimit};
use tinyd_ns::rlimit::Resource;
use tinyd_ns::seccomp::{self, Arch, Profile};

/// Options of a file system in memory that say how it is mounted.
const FLAGS: [&str; 10] =
    ["ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "noatime", "relatime"];

pub(super) fn check(spec: &ContainerSpec) -> Result<()> {
    let of_volumes = spec.volumes.iter().flat_map(|mount| &mount.labels);
    for (key, value) in spec.labels.iter().chain(of_volumes) {
        if key.is_empty() || key.contains(['\0', '\n']) {
            return Err(Error::invalid("label", format!("{key}={value}"), "has no name"));
        }
    }
    spec.devices.iter().try_for_each(device)?;
    spec.ulimits.iter().try_for_each(ulimit)?;
    spec.tmpfs.iter().try_for_each(tmpfs)?;
    if let Some(signal) = spec.stop_signal {
        super::signal(signal)?;
    }
    match &spec.security.seccomp {
        SeccompProfile::Custom(text) => profile(text).map(drop),
        SeccompProfile::Default | SeccompProfile::Unconfined => Ok(()),
    }
}

/// The kernel settings of a container that does, or does not, have a network namespace of its own.
pub(crate) fn sysctls(spec: &ContainerSpec, own_network: bool) -> Result<()> {
    let check = |(name, value): (&String, &String)| {
        tinyd_runtime::sysctl::check(name, value, true, own_network)
            .map_err(|problem| Error::invalid("kernel setting", format!("{name}={value}"), problem))
    };
    spec.sysctls.iter().try_for_each(check)
}

/// A profile that compiles.
pub(crate) fn profile(text: &str) -> Result<Profile> {
    let refuse = |problem: String| Error::invalid("seccomp profile", shortened(text), problem);
    let profile: Profile =
        serde_json::from_str(text).map_err(|error| refuse(format!("cannot be understood: {error}")))?;
    seccomp::compile(&profile, Arch::NATIVE).map_err(|error| refuse(format!("cannot be had: {error}")))?;
    Ok(profile)
}

fn ulimit(limit: &Ulimit) -> Result<()> {
    let refuse = |problem: &'static str| Err(Error::invalid("ulimit", &limit.name, problem));
    if limit.name.parse::<Resource>().is_err() {
        return refuse("is not one of the limits of setrlimit(2), such as nofile or core");
    }
    // No limit is above every other.
    match (limit.soft, limit.hard) {
        (None, Some(_)) => refuse("has a soft limit above its hard one"),
        (Some(soft), Some(hard)) if soft > hard => refuse("has a soft limit above its hard one"),
        _ => Ok(()),
    }
}

/// A group of somebody's, which is neither the machine's root nor one that tinyd takes away with a container; as a path
/// from the root.
pub(super) fn cgroup_parent(spec: &ContainerSpec) -> Result<Option<String>> {
    let Some(path) = spec.cgroup_parent.as_deref() else { return Ok(None) };
    let path = path.strip_prefix('/').unwrap_or(path);
    let refuse = |problem: String| Err(Error::invalid("parent of the control group", path, problem));
    if let Err(error) = CgroupPath::new(path) {
        return refuse(error.to_string());
    }
    match path.split('/').next() {
        Some(PARENT) if path != PARENT => refuse("lies in a group that tinyd takes away itself".to_owned()),
        _ => Ok(Some(path.to_owned())),
    }
}

fn device(device: &Device) -> Result<()> {
    let refuse =
        |problem: &'static str| Err(Error::invalid("device", device.target.display().to_string(), problem));
    let below = device.target.strip_prefix("/dev").ok().filter(|rest| !rest.as_os_str().is_empty());
    if below.is_none_or(|rest| rest.components().any(|part| !matches!(part, Component::Normal(_)))) {
        return refuse("is no path below /dev, where devices lie inside");
    }
    let own = ["pts", "shm", "mqueue", "fd", "stdin", "stdout", "stderr", "ptmx"];
    if below.and_then(|rest| rest.iter().next()).is_some_and(|first| own.iter().any(|own| first == *own)) {
        return refuse("is where something of the container's own lies");
    }
    let letters = &device.access;
    match letters.is_empty() || letters.chars().any(|letter| !"rwm".contains(letter)) {
        true => Err(Error::invalid("access to a device", letters, "must be made of r, w and m")),
        false => Ok(()),
    }
}

fn tmpfs(mount: &TmpfsMount) -> Result<()> {
    mount.options.iter().try_for_each(|option| {
        tmpfs_option(option).map_err(|problem| Error::invalid("tmpfs option", option, problem))
    })
}

/// What the kernel would not take is refused here: only at a start would it be mounted.
fn tmpfs_option(option: &str) -> std::result::Result<(), &'static str> {
    let is_right = |right: bool, problem| if right { Ok(()) } else { Err(problem) };
    match option.split_once('=') {
        Some(("size", value)) => {
            let percent = value.strip_suffix('%').is_some_and(|number| digits(number, 10));
            is_right(percent || scaled(value), "is no size; write it like size=64m, size=1g or size=50%")
        }
        Some(("nr_blocks" | "nr_inodes", value)) => {
            is_right(scaled(value), "is no number; write it like nr_inodes=10000 or nr_inodes=10k")
        }
        Some(("mode", value)) => {
            let right = digits(value, 8) && u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777);
            is_right(right, "is no octal mode; write it like mode=1777 or mode=755")
        }
        Some(("uid" | "gid", value)) => {
            // The highest number is no user's (chown(2)).
            let right = digits(value, 10) && value.parse::<u32>().is_ok_and(|id| id != u32::MAX);
            is_right(right, "is no number of a user or group; write it like uid=1000")
        }
        None if FLAGS.contains(&option) => Ok(()),
        _ => Err("is not known; there are size=, mode=, uid=, gid=, nr_inodes=, ro, exec and their like"),
    }
}

/// A number as tmpfs(5) has it: digits, and how many times 1024 by a letter.
fn scaled(text: &str) -> bool {
    let number = text.strip_suffix(|letter: char| "kmgtpe".contains(letter.to_ascii_lowercase()));
    digits(number.unwrap_or(text), 10)
}

/// Digits alone, of a number that the kernel can hold.
fn digits(text: &str, base: u32) -> bool {
    text.chars().all(|letter| letter.is_digit(base)) && u64::from_str_radix(text, base).is_ok()
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut ContainerSpec)) -> Result<()> {
        let mut spec = ContainerSpec::new("host", ["true"]);
        change(&mut spec);
        check(&spec)
    }

    fn limit(name: &str, soft: Option<u64>, hard: Option<u64>) -> Ulimit {
        Ulimit { name: name.to_owned(), soft, hard }
    }

    #[test]
    fn pure_what_can_be_had_passes_and_the_rest_is_named() {
        with(|spec| spec.ulimits = vec![limit("nofile", Some(1), Some(2)), limit("core", None, None)])
            .unwrap();
        for bad in [limit("files", None, None), limit("core", Some(2), Some(1)), limit("core", None, Some(1))]
        {
            assert!(with(|spec| spec.ulimits = vec![bad]).unwrap_err().to_string().contains("ulimit"));
        }
        let tmpfs = |options: &[&str]| {
            let options = options.iter().map(|&option| option.to_owned()).collect();
            with(|spec| spec.tmpfs = vec![TmpfsMount { target: "/x".into(), options }])
        };
        tmpfs(&["size=64m", "mode=1777", "exec", "ro"]).unwrap();
        tmpfs(&["size=50%", "mode=0755", "nr_inodes=10K", "nr_blocks=1", "uid=0", "gid=4294967294"]).unwrap();
        tmpfs(&["size=1048576"]).unwrap();
        for bad in ["huge=always", "size", "size=", "shared", "", "mode", "ro=1"] {
            assert!(tmpfs(&[bad]).unwrap_err().to_string().contains("tmpfs option"), "{bad}");
        }
        for (bad, said) in [
            ("size=banana", "is no size"),
            ("size=1.5m", "is no size"),
            ("size=-1", "is no size"),
            ("size=+1m", "is no size"),
            ("size=5k%", "is no size"),
            ("size=%", "is no size"),
            ("size=99999999999999999999", "is no size"),
            ("mode=abc", "is no octal mode"),
            ("mode=789", "is no octal mode"),
            ("mode=17777", "is no octal mode"),
            ("nr_inodes=few", "is no number"),
            ("nr_blocks=10%", "is no number"),
            ("uid=root", "is no number of a user"),
            ("gid=4294967295", "is no number of a user"),
        ] {
            let error = tmpfs(&[bad]).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")) && error.contains(said), "{bad}: {error}");
        }
        assert!(with(|spec| spec.stop_signal = Some(32)).is_err());
        assert!(with(|spec| spec.labels = [(String::new(), "x".to_owned())].into()).is_err());
    }

    #[test]
    fn pure_a_profile_is_compiled_before_anything_is_made() {
        let custom =
            |text: &str| with(|spec| spec.security.seccomp = SeccompProfile::Custom(text.to_owned()));
        custom(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#).unwrap();
        assert!(custom("{").unwrap_err().to_string().contains("cannot be understood"));
        assert!(custom(r#"{"defaultAction": "SCMP_ACT_NONSENSE"}"#).is_err());
    }

    #[test]
    fn pure_settings_of_the_hosts_network_are_refused() {
        let mut spec = ContainerSpec::new("host", ["true"]);
        spec.sysctls = [("net.ipv4.ip_forward".to_owned(), "1".to_owned())].into();
        sysctls(&spec, true).unwrap();
        assert!(sysctls(&spec, false).unwrap_err().to_string().contains("net.ipv4.ip_forward=1"));
    }
}
