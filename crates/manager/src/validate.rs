//! The rules of a request, all of them checked before its first effect.

mod binds;
mod network;
mod options;
mod ports;
mod secrets;
mod user;

pub(crate) use network::{join, links};
pub(crate) use options::{profile, sysctls};
pub(crate) use ports::numbers as ports;
pub(crate) use secrets::SECRETS;
pub(crate) use user::User;

use crate::error::{Error, Result};
use crate::health;
use crate::restart;
use std::path::PathBuf;
use tinyd_engine::{BindMount, ContainerSpec, Resources};
use tinyd_net::Rates;

/// Below this a container cannot even be set up: the kernel would kill its first process.
const LEAST_MEMORY: u64 = 6 << 20;

/// Which rates of traffic there are.
const RATES: &str = "must be 8kbit to 1000gbit, or no limit";

/// The longest host name that the kernel takes (sethostname(2)).
const HOST_NAME_MAX: usize = 64;

/// Checks a whole specification and returns it in its normal form: paths without `.` and doubled slashes.
pub(crate) fn spec(spec: &ContainerSpec) -> Result<ContainerSpec> {
    if spec.image.is_empty() {
        return Err(Error::invalid("image", "", "is empty"));
    }
    command(&argv(spec))?;
    if let Some(name) = &spec.name {
        self::name(name)?;
    }
    if let Some(hostname) = &spec.hostname {
        self::hostname(hostname)?;
    }
    env(&spec.env)?;
    if let Some(workdir) = &spec.workdir {
        self::workdir(workdir)?;
    }
    if let Some(user) = &spec.user {
        User::parse(user)?;
    }
    resources(&spec.resources)?;
    restart::check(spec.restart, spec.remove)?;
    health::check(spec)?;
    options::check(spec)?;
    crate::logs::options::check(&spec.log)?;
    let mut normal = spec.clone();
    ports::publish_exposed(&mut normal);
    ports::check(&normal)?;
    network::check(spec)?;
    normal.cgroup_parent = options::cgroup_parent(spec)?;
    normal.binds = spec.binds.iter().map(binds::normal).collect::<Result<Vec<BindMount>>>()?;
    for mount in &mut normal.volumes {
        mount.target = binds::target(&mount.target)?;
        mount.subpath = mount.subpath.as_deref().map(binds::subpath).transpose()?;
    }
    for mount in &mut normal.images {
        if mount.image.is_empty() {
            return Err(Error::invalid("image", "", "is empty"));
        }
        mount.target = binds::target(&mount.target)?;
        mount.subpath = mount.subpath.as_deref().map(binds::subpath).transpose()?;
    }
    for mount in &mut normal.tmpfs {
        mount.target = binds::target(&mount.target)?;
    }
    normal.secrets = spec.secrets.iter().map(secrets::normal).collect::<Result<_>>()?;
    let binds = normal.binds.iter().map(|bind| &bind.target);
    let binds = binds.chain(normal.volumes.iter().map(|mount| &mount.target));
    let binds = binds.chain(normal.images.iter().map(|mount| &mount.target));
    let mounts = binds.chain(normal.tmpfs.iter().map(|mount| &mount.target));
    secrets::check_others(&normal, mounts.clone())?;
    let secrets = normal.secrets.iter().filter_map(|secret| secret.target.as_ref());
    let mut targets: Vec<&PathBuf> = mounts.chain(secrets).collect();
    targets.sort();
    binds::shared(&normal.binds, &targets)?;
    match targets.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid("mount target", pair[0].display().to_string(), "is given twice")),
        None => Ok(normal),
    }
}

/// The whole command: what stands before it and itself.
pub(crate) fn argv(spec: &ContainerSpec) -> Vec<String> {
    spec.entrypoint.iter().flatten().chain(&spec.command).cloned().collect()
}

/// A command that can be given to execve(2).
pub(crate) fn command(argv: &[String]) -> Result<()> {
    if argv.first().is_none_or(String::is_empty) {
        return Err(Error::MissingCommand);
    }
    no_nul("argument", argv)
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, short enough for a file and not in the shape of an id.
pub(crate) fn name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let problem = if !name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        "must begin with a letter or a digit"
    } else if !name.bytes().all(allowed) {
        "may hold letters, digits, '_', '.' and '-' only"
    } else if name.len() > 255 {
        "is longer than 255 characters"
    } else if crate::ids::is_id(name) {
        "has the shape of an id"
    } else {
        return Ok(());
    };
    Err(Error::invalid("name", name, problem))
}

fn hostname(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let good = name.len() <= HOST_NAME_MAX
        && name.bytes().all(allowed)
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    match good {
        true => Ok(()),
        false => Err(Error::invalid("host name", name, "must be 1 to 64 letters, digits, '.', '-' or '_'")),
    }
}

/// `NAME=VALUE` each. An entry without `=` would be read by some programs as "take it from outside".
pub(crate) fn env(entries: &[String]) -> Result<()> {
    for entry in entries {
        if entry.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return Err(Error::invalid("environment entry", entry, "is not NAME=VALUE"));
        }
    }
    no_nul("environment entry", entries)
}

/// A signal that can be sent.
pub(crate) fn signal(signal: i32) -> Result<()> {
    // 32 and 33 are the C library's own (signal(7)).
    match (1..=64).contains(&signal) && signal != 32 && signal != 33 {
        true => Ok(()),
        false => Err(Error::invalid("signal", signal.to_string(), "is not one of 1 to 31 and 34 to 64")),
    }
}

/// An absolute path.
pub(crate) fn workdir(path: &str) -> Result<()> {
    if !path.starts_with('/') {
        return Err(Error::invalid("working directory", path, "is not an absolute path"));
    }
    no_nul("working directory", &[path])
}

fn no_nul(field: &'static str, texts: &[impl AsRef<str>]) -> Result<()> {
    match texts.iter().find(|text| text.as_ref().contains('\0')) {
        Some(text) => Err(Error::invalid(field, text.as_ref(), "holds a NUL byte")),
        None => Ok(()),
    }
}

pub(crate) fn resources(resources: &Resources) -> Result<()> {
    let within = |field, value: Option<u64>, least: u64, most: u64, unit: &str| match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(Error::invalid(field, value.to_string(), format!("must be {least} to {most} {unit}")))
        }
        _ => Ok(()),
    };
    within("CPU quota", resources.cpu_quota, 1_000, i64::MAX as u64, "microseconds")?;
    within("CPU shares", resources.cpu_shares, 2, 262_144, "shares")?;
    within("CPU period", resources.cpu_period, 1_000, 1_000_000, "microseconds")?;
    if let Some(bytes) = resources.memory.filter(|bytes| !(LEAST_MEMORY..=i64::MAX as u64).contains(bytes)) {
        return Err(Error::invalid("memory limit", format!("{bytes} bytes"), "must be at least 6m (6 MiB)"));
    }
    let refuse = |field, value: String, problem: &'static str| Err(Error::invalid(field, value, problem));
    match (resources.memory, resources.memory_swap) {
        (None, Some(swap)) => {
            return refuse("swap limit", swap.to_string(), "needs a memory limit as well (--memory)");
        }
        (Some(memory), Some(swap)) if swap != -1 && u64::try_from(swap).is_ok_and(|swap| swap < memory) => {
            let problem = "counts memory and swap together and must be at least the memory limit, or -1";
            return refuse("swap limit", swap.to_string(), problem);
        }
        (_, Some(swap)) if swap < -1 => {
            return refuse("swap limit", swap.to_string(), "must be a size, or -1 for no limit");
        }
        _ => {}
    }
    if let (Some(memory), Some(kept)) = (resources.memory, resources.memory_reservation)
        && kept > memory
    {
        return refuse("memory reservation", kept.to_string(), "must not be above the memory limit");
    }
    for rate in [resources.net_egress, resources.net_ingress].into_iter().flatten() {
        if rate != 0 && !(Rates::LEAST..=Rates::MOST).contains(&rate) {
            return refuse("rate of network traffic", format!("{rate} bits a second"), RATES);
        }
    }
    match resources.pids {
        Some(pids) if pids != -1 && pids < 1 => {
            Err(Error::invalid("process limit", pids.to_string(), "must be at least 1, or -1 for no limit"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn base() -> ContainerSpec {
        ContainerSpec::new("host", ["true"])
    }

    #[test]
    fn pure_a_missing_command_has_its_own_words() {
        for none in [vec![], vec![String::new()]] {
            let error = spec(&ContainerSpec::new("host", none)).unwrap_err();
            assert_eq!(error.to_string(), "Missing container command");
        }
        let with_entrypoint =
            ContainerSpec { entrypoint: Some(vec!["sh".into()]), command: vec![], ..base() };
        assert_eq!(argv(&spec(&with_entrypoint).unwrap()), ["sh"]);
    }

    #[test]
    fn pure_names() {
        for good in ["a", "web-1", "A.b_c", "0", &"x".repeat(255)] {
            assert!(name(good).is_ok(), "{good}");
        }
        let id = "0123456789abcdef0123456789abcdef";
        for bad in ["", ".", "..", "-a", "a/b", "a b", "ä", "../x", "a\0", id, &"x".repeat(256)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pure_environment_needs_an_equals_sign() {
        for bad in ["FOO", "=x", "", "A=\0"] {
            assert!(env(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
        assert!(env(&["A=".to_owned(), "B=c=d".to_owned()]).is_ok());
    }

    #[test]
    fn pure_limits_outside_their_ranges() {
        let bad = [
            Resources { cpu_quota: Some(999), ..Default::default() },
            Resources { cpu_period: Some(1_000_001), ..Default::default() },
            Resources { memory: Some(1 << 20), ..Default::default() },
            Resources { pids: Some(0), ..Default::default() },
            Resources { pids: Some(-2), ..Default::default() },
        ];
        for limits in bad {
            assert!(resources(&limits).is_err(), "{limits:?}");
        }
        assert!(
            resources(&Resources { pids: Some(-1), memory: Some(6 << 20), ..Default::default() }).is_ok()
        );
    }

    #[test]
    fn pure_targets_are_normal_and_unique() {
        let bind = |target: &str| BindMount::new("/x", target);
        let good = ContainerSpec { binds: vec![bind("/a//b/./c/"), bind("/a")], ..base() };
        assert_eq!(spec(&good).unwrap().binds[0].target, Path::new("/a/b/c"));
        let twice = ContainerSpec { binds: vec![bind("/a"), bind("/a/")], ..base() };
        assert!(spec(&twice).unwrap_err().to_string().contains("given twice"));
    }
}
