//! Labels, kernel settings, limits of processes, file systems in memory, and the seccomp profile.

use crate::cgroups::PARENT;
use crate::error::{Error, Result};
use std::path::Component;
use tinyd_cgroup::CgroupPath;
use tinyd_engine::{ContainerSpec, Device, SeccompProfile, TmpfsMount, Ulimit};
use tinyd_ns::rlimit::Resource;
use tinyd_ns::seccomp::{self, Arch, Profile};

/// Options of a file system in memory that say how it is mounted, and those that say what it is (tmpfs(5)).
const FLAGS: [&str; 10] =
    ["ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "noatime", "relatime"];
const VALUES: [&str; 6] = ["size", "nr_blocks", "nr_inodes", "mode", "uid", "gid"];

pub(super) fn check(spec: &ContainerSpec) -> Result<()> {
    for (key, value) in &spec.labels {
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
    let known = |option: &&String| match option.split_once('=') {
        Some((name, value)) => VALUES.contains(&name) && !value.is_empty() && !value.contains('\0'),
        None => FLAGS.contains(&option.as_str()),
    };
    match mount.options.iter().find(|option| !known(option)) {
        Some(option) => {
            let problem =
                "is not known; there are size=, mode=, uid=, gid=, nr_inodes=, ro, exec and their like";
            Err(Error::invalid("tmpfs option", option, problem))
        }
        None => Ok(()),
    }
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
        for bad in ["huge=always", "size", "size=", "shared", ""] {
            assert!(tmpfs(&[bad]).is_err(), "{bad}");
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
