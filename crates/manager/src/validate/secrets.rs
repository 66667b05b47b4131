//! Secrets: where they may be read, and by whom.

use super::binds;
use crate::error::{Error, Result};
use crate::secrets::SecretRecord;
use crate::store::Kept as _;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use tinyd_engine::{ContainerSpec, SecretMount};

/// The folder of secrets for which no other place was asked.
pub(crate) const SECRETS: &str = "/run/secrets";

/// The mount with its target in normal form.
pub(super) fn normal(secret: &SecretMount) -> Result<SecretMount> {
    SecretRecord::check_name(&secret.name)?;
    if let Some(mode) = secret.mode.filter(|mode| *mode > 0o777) {
        return Err(Error::invalid("mode of a secret", format!("{mode:o}"), "must be 0 to 777"));
    }
    for (field, id) in [("owner of a secret", secret.uid), ("group of a secret", secret.gid)] {
        if id == Some(u32::MAX) {
            return Err(Error::invalid(field, u32::MAX.to_string(), "is nobody's number"));
        }
    }
    let target = target(secret.target.as_deref().unwrap_or(Path::new(&secret.name)))?;
    Ok(SecretMount { target: Some(target), ..secret.clone() })
}

fn target(path: &Path) -> Result<PathBuf> {
    let refuse = |problem: &'static str| {
        Err(Error::invalid("target of a secret", path.display().to_string(), problem))
    };
    let mut parts = path.components();
    if !path.is_absolute() {
        return match (parts.next(), parts.next()) {
            (Some(Component::Normal(name)), None) if path.as_os_str() == name => {
                binds::target(&Path::new(SECRETS).join(name))
            }
            _ => refuse("is neither a name in /run/secrets nor an absolute path"),
        };
    }
    let target = binds::target(path)?;
    match target.strip_prefix(SECRETS) {
        Ok(below) if below.as_os_str() == OsStr::new("") => refuse("is the folder of all secrets"),
        Ok(below) if below.components().count() > 1 => {
            refuse("lies deeper than in /run/secrets, which holds no folders")
        }
        _ => Ok(target),
    }
}

/// Nothing else is mounted where the secrets are.
pub(super) fn check_others<'a>(
    spec: &ContainerSpec,
    mut others: impl Iterator<Item = &'a PathBuf>,
) -> Result<()> {
    let in_folder =
        |secret: &SecretMount| secret.target.as_ref().is_some_and(|target| target.starts_with(SECRETS));
    if !spec.secrets.iter().any(in_folder) {
        return Ok(());
    }
    match others.find(|target| target.starts_with(SECRETS)) {
        Some(target) => {
            let problem = "lies in /run/secrets, where the container's secrets are";
            Err(Error::invalid("mount target", target.display().to_string(), problem))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> Option<PathBuf> {
        normal(&SecretMount { target: Some(target.into()), ..SecretMount::named("s") }).ok()?.target
    }

    #[test]
    fn pure_a_secret_is_read_in_its_folder_or_where_somebody_says() {
        assert_eq!(normal(&SecretMount::named("s")).unwrap().target, Some("/run/secrets/s".into()));
        assert_eq!(of("key.pem"), Some("/run/secrets/key.pem".into()));
        assert_eq!(of("/run/secrets//key"), Some("/run/secrets/key".into()));
        assert_eq!(of("/etc/./app/key"), Some("/etc/app/key".into()));
        let bad = [
            "",
            ".",
            "..",
            "a/b",
            "a/",
            "/",
            "/run/secrets",
            "/run/secrets/a/b",
            "/etc/../x",
            "/proc/x",
            "a\0",
        ];
        for target in bad {
            assert_eq!(of(target), None, "{target:?}");
        }
    }

    #[test]
    fn pure_numbers_that_cannot_be_are_refused() {
        let good = SecretMount { uid: Some(0), gid: Some(7), mode: Some(0o777), ..SecretMount::named("s") };
        assert!(normal(&good).is_ok());
        for bad in [
            SecretMount { mode: Some(0o1000), ..good.clone() },
            SecretMount { uid: Some(u32::MAX), ..good.clone() },
            SecretMount { gid: Some(u32::MAX), ..good.clone() },
            SecretMount { name: "../s".to_owned(), ..good },
        ] {
            assert!(normal(&bad).is_err(), "{bad:?}");
        }
    }
}
