//! The command, as whom and with which rights it runs.

use super::Host;
use crate::error::{Error, Result};
use crate::store::Record;
use crate::validate::{self, User};
use oci_spec::runtime::{Capabilities, LinuxCapabilities, PosixRlimit, Process};
use std::path::PathBuf;
use tinyd_engine::Ulimit;
use tinyd_ns::rlimit::Resource;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Nobody: what stands for a name where the container's own files are not asked.
const NOBODY: u32 = 65_534;

pub(super) fn process(record: &Record, host: &Host) -> Result<Process> {
    let spec = &record.spec;
    let mut process = Process::default();
    process.set_terminal(Some(spec.tty));
    process.set_args(Some(validate::argv(spec)));
    process.set_env(Some(env(record)));
    process.set_cwd(PathBuf::from(spec.workdir.as_deref().unwrap_or("/")));
    process.set_capabilities(Some(capabilities(host)?));
    process.set_no_new_privileges(Some(spec.security.no_new_privileges));
    process.set_rlimits(rlimits(&spec.ulimits)?);
    if let Some(text) = &spec.user {
        let user = User::parse(text)?;
        let named_group = text.contains(':') && user.gid.is_none();
        let gid = if named_group { NOBODY } else { user.gid.unwrap_or(0) };
        process.user_mut().set_uid(user.uid.unwrap_or(NOBODY)).set_gid(gid);
    }
    Ok(process)
}

/// Limits in the specification's words, which write "no limit" as the largest number.
fn rlimits(limits: &[Ulimit]) -> Result<Option<Vec<PosixRlimit>>> {
    let failed = |source| Error::Bundle { part: "limits of processes", source };
    let one = |limit: &Ulimit| {
        let name = limit.name.parse::<Resource>().map_err(|error| failed(error.into()))?.name();
        let number = |value: Option<u64>| value.unwrap_or(u64::MAX);
        let json =
            serde_json::json!({ "type": name, "soft": number(limit.soft), "hard": number(limit.hard) });
        serde_json::from_value(json).map_err(|error| failed(error.into()))
    };
    let all = limits.iter().map(one).collect::<Result<Vec<_>>>()?;
    Ok(Some(all).filter(|all| !all.is_empty()))
}

/// The whole environment. `HOME` is the runtime's: it stands in the container's own passwd.
fn env(record: &Record) -> Vec<String> {
    let spec = &record.spec;
    let mut env = vec![PATH.to_owned(), format!("HOSTNAME={}", record.hostname)];
    if spec.tty {
        env.push("TERM=xterm".to_owned());
    }
    for entry in &spec.env {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        match env.iter_mut().find(|old| old.split_once('=').is_some_and(|(known, _)| known == name)) {
            Some(old) => entry.clone_into(old),
            None => env.push(entry.clone()),
        }
    }
    env
}

/// Inheritable and ambient stay empty always: what is in them survives an exec that should drop it (CVE-2022-24769).
fn capabilities(host: &Host) -> Result<LinuxCapabilities> {
    let failed = |source| Error::Bundle { part: "capabilities", source };
    let mut set = Capabilities::new();
    for capability in host.capabilities.iter() {
        let name = serde_json::Value::from(capability.name());
        set.insert(serde_json::from_value(name).map_err(|error| failed(error.into()))?);
    }
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(set.clone()))
        .set_effective(Some(set.clone()))
        .set_permitted(Some(set))
        .set_inheritable(Some(Capabilities::new()))
        .set_ambient(Some(Capabilities::new()));
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{record_with, store};

    #[test]
    fn pure_later_entries_win_and_keep_their_place() {
        let (_place, store) = store();
        let record = record_with(&store, |record| {
            record.spec.tty = true;
            record.spec.env = ["A=1", "PATH=/x", "A=2=3", "TERM=dumb"].map(str::to_owned).to_vec();
        });
        assert_eq!(env(&record), ["PATH=/x", "HOSTNAME=box", "TERM=dumb", "A=2=3"]);
    }
}
