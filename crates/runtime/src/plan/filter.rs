//! The seccomp filter of a container: compiled from its profile when it starts, and kept for the commands that join it.
//!
//! To read and compile a profile of 400 calls takes longer than all else that is read for a further command. What the monitor
//! has loaded lies in the folder of run-time state, which only root enters; without the file the profile is compiled again.

use super::spec::invalid;
use crate::listener::Listener;
use crate::state::SECCOMP_FILE;
use crate::{Failure, FailureKind};
use serde_json::value::RawValue;
use std::fs;
use std::path::Path;
use tinyd_ns::seccomp::{self, Arch, FilterFlags, Profile, Program};

/// A filter and how it is loaded.
pub(crate) type Filter = (Program, FilterFlags);

/// What the file begins with: its kind and version. The flags follow, and then the instructions.
const MAGIC: [u8; 4] = *b"TSF1";

/// Compiles a profile, in the specification's shape. Where it asks somebody, with who that is.
pub(super) fn compile(profile: &RawValue) -> Result<(Filter, Option<Listener>), Failure> {
    let wrong = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(FailureKind::Invalid, "config.json: linux.seccomp").caused_by(error)
    };
    let profile: Profile = serde_json::from_str(profile.get()).map_err(|error| wrong(&error))?;
    check(&profile)?;
    let compiled = seccomp::compile(&profile, Arch::NATIVE).map_err(|error| wrong(&error))?;
    let filter = (compiled.program, profile.filter_flags());
    if profile.listener_path.is_none() && profile.listener_metadata.as_ref().is_some_and(|it| !it.is_empty())
    {
        return Err(invalid("linux.seccomp.listenerMetadata", "is nobody's without listenerPath"));
    }
    if !filter.0.needs_listener() {
        return Ok((filter, None));
    }
    // It hands the descriptor over: nobody could answer yet.
    let asks = |rule: &seccomp::Rule| rule.action == seccomp::Action::Notify;
    if profile.syscalls.iter().any(|rule| asks(rule) && rule.names.iter().any(|name| name == "sendmsg")) {
        return Err(invalid("linux.seccomp", "SCMP_ACT_NOTIFY cannot be used for sendmsg"));
    }
    match profile.listener_path {
        Some(path) if path.is_absolute() => {
            Ok((filter, Some(Listener::new(path, profile.listener_metadata.unwrap_or_default()))))
        }
        Some(path) => {
            Err(invalid("linux.seccomp.listenerPath", format!("{} is not an absolute path", path.display())))
        }
        None => Err(invalid("linux.seccomp.listenerPath", "is missing: SCMP_ACT_NOTIFY asks somebody")),
    }
}

/// What the specification asks of a profile beyond what makes a filter.
fn check(profile: &Profile) -> Result<(), Failure> {
    let rules = profile.syscalls.iter().map(|rule| (rule.action, rule.errno_ret));
    for (action, errno) in rules.chain([(profile.default_action, profile.default_errno_ret)]) {
        if errno.is_some() && !matches!(action, seccomp::Action::Errno | seccomp::Action::Trace) {
            return Err(invalid(
                "linux.seccomp",
                format!("an errno is given for {action:?}, which returns none"),
            ));
        }
    }
    if profile.syscalls.iter().any(|rule| rule.names.is_empty()) {
        return Err(invalid("linux.seccomp.syscalls", "one names no call"));
    }
    Ok(())
}

/// Keeps a container's filter. Without room for it nothing but time is lost.
pub(crate) fn keep((program, flags): &Filter, run_dir: &Path) {
    let bytes = [&MAGIC[..], &flags.bits().to_ne_bytes(), &program.to_bytes()].concat();
    let (new, path) = (run_dir.join(format!("{SECCOMP_FILE}.new")), run_dir.join(SECCOMP_FILE));
    // Whole or not at all: half a filter would be another one.
    if fs::write(&new, bytes).and_then(|()| fs::rename(&new, path)).is_err() {
        let _ = fs::remove_file(new);
    }
}

/// The filter that was kept of a container that runs.
pub(crate) fn kept(run_dir: &Path) -> Option<Filter> {
    let bytes = fs::read(run_dir.join(SECCOMP_FILE)).ok()?;
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (flags, instructions) = rest.split_first_chunk::<4>()?;
    let flags = FilterFlags::from_bits(u32::from_ne_bytes(*flags))?;
    (*magic == MAGIC).then_some((Program::from_bytes(instructions)?, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Filter {
        let profile =
            serde_json::to_string(&seccomp::default_profile(tinyd_ns::caps::CapSet::default())).unwrap();
        compile(&RawValue::from_string(profile).unwrap()).unwrap().0
    }

    #[test]
    fn a_filter_is_the_same_for_those_who_come_later() {
        let place = tempfile::tempdir().unwrap();
        let filter = filter();
        assert_eq!(kept(place.path()), None);
        keep(&filter, place.path());
        assert_eq!(kept(place.path()), Some(filter));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_filter_is_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(SECCOMP_FILE);
        keep(&filter(), place.path());
        let whole = fs::read(&path).unwrap();
        for cut in [0, 3, 7, 8, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(kept(place.path()), None, "{cut}");
        }
        fs::write(&path, [b"TSF2", &whole[4..]].concat()).unwrap();
        assert_eq!(kept(place.path()), None);
        fs::write(&path, [&whole[..4], &[0xff; 4], &whole[8..]].concat()).unwrap();
        assert_eq!(kept(place.path()), None, "flags that nobody knows");
    }

    #[test]
    fn pure_whoever_is_asked_must_be_there_to_be_asked() {
        let profile = |more: &str, call: &str| {
            let text = format!(
                r#"{{"defaultAction": "SCMP_ACT_ALLOW", {more} "syscalls":
                    [{{"names": ["{call}"], "action": "SCMP_ACT_NOTIFY"}}]}}"#
            );
            compile(&RawValue::from_string(text).unwrap())
        };
        let path = r#""listenerPath": "/run/agent","#;
        assert!(profile(path, "mkdir").unwrap().1.is_some());
        for (more, call, part) in [
            ("", "mkdir", "listenerPath: is missing"),
            (r#""listenerPath": "agent","#, "mkdir", "not an absolute path"),
            (r#""listenerMetadata": "x","#, "mkdir", "listenerMetadata"),
            (path, "sendmsg", "sendmsg"),
        ] {
            let failure = profile(more, call).err().unwrap().to_string();
            assert!(failure.contains(part), "{failure}");
        }
        let unused = r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent"}"#;
        assert!(compile(&RawValue::from_string(unused.to_owned()).unwrap()).unwrap().1.is_none());
    }
}
