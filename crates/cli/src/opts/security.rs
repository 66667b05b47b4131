//! `--security-opt`, `--ulimit`, `--tmpfs`, and pairs such as `--label` and `--sysctl`.

use crate::failure::Failure;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tinyd_engine::{SeccompProfile, Security, TmpfsMount, Ulimit};

/// A word of `--security-opt`.
#[derive(Clone, Debug)]
pub(super) enum SecurityOption {
    NoNewPrivileges(bool),
    No32Bit(bool),
    Unconfined,
    Default,
    Profile(PathBuf),
}

/// `no-new-privileges[=BOOL]`, `no-32bit[=BOOL]`, `seccomp=unconfined`, `seccomp=FILE`; Docker takes `:` for `=`, too.
pub(super) fn option(text: &str) -> Result<SecurityOption, String> {
    let (name, value) = text.split_once(['=', ':']).map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("no-new-privileges", None | Some("true")) => Ok(SecurityOption::NoNewPrivileges(true)),
        ("no-new-privileges", Some("false")) => Ok(SecurityOption::NoNewPrivileges(false)),
        ("no-32bit", None | Some("true")) => Ok(SecurityOption::No32Bit(true)),
        ("no-32bit", Some("false")) => Ok(SecurityOption::No32Bit(false)),
        ("seccomp", Some("unconfined")) => Ok(SecurityOption::Unconfined),
        ("seccomp", Some("default" | "builtin")) => Ok(SecurityOption::Default),
        ("seccomp", Some(path)) if !path.is_empty() => Ok(SecurityOption::Profile(path.into())),
        _ => Err("it is one of no-new-privileges, no-32bit, seccomp=unconfined, seccomp=FILE".to_owned()),
    }
}

/// All of them together; the last of a kind counts.
pub(super) fn collect(options: Vec<SecurityOption>) -> Result<Security, Failure> {
    let mut security = Security::default();
    for option in options {
        match option {
            SecurityOption::NoNewPrivileges(on) => security.no_new_privileges = on,
            SecurityOption::No32Bit(on) => security.no_32bit = on,
            SecurityOption::Unconfined => security.seccomp = SeccompProfile::Unconfined,
            SecurityOption::Default => security.seccomp = SeccompProfile::Default,
            SecurityOption::Profile(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Failure::failed(format!("read {}", path.display()), error))?;
                security.seccomp = SeccompProfile::Custom(text);
            }
        }
    }
    Ok(security)
}

/// `nofile=1024:2048`, `core=-1`.
pub(super) fn ulimit(text: &str) -> Result<Ulimit, String> {
    let wrong = || "write it like nofile=1024:2048, core=0 or core=unlimited".to_owned();
    let number = |text: &str| match text {
        "-1" | "unlimited" => Some(None),
        _ => text.parse().ok().map(Some),
    };
    let (name, values) = text.split_once('=').ok_or_else(wrong)?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    match (number(soft), number(hard)) {
        (Some(soft), Some(hard)) if !name.is_empty() => Ok(Ulimit { name: name.to_owned(), soft, hard }),
        _ => Err(wrong()),
    }
}

/// `DST[:OPTION,…]`.
pub(super) fn tmpfs(text: &str) -> Result<TmpfsMount, String> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !Path::new(target).is_absolute() {
        return Err(format!("'{target}' must be an absolute path inside; write it like /tmp:size=64m"));
    }
    let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
    Ok(TmpfsMount { target: target.into(), options })
}

/// `NAME=VALUE`, or `NAME` alone for an empty value.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    match name.is_empty() {
        true => Err("write it like NAME=VALUE".to_owned()),
        false => Ok((name.to_owned(), value.to_owned())),
    }
}

/// `NAME=VALUE`.
pub(super) fn sysctl(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like net.ipv4.ip_forward=1".to_owned()),
    }
}

/// `NAME=VALUE` for a driver.
pub(crate) fn option_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like mtu=1400".to_owned()),
    }
}

/// The last value of each name.
pub(crate) fn map(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    pairs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_one_or_two_values() {
        let limit = |soft, hard| Ok(Ulimit { name: "nofile".into(), soft, hard });
        assert_eq!(ulimit("nofile=5"), limit(Some(5), Some(5)));
        assert_eq!(ulimit("nofile=5:-1"), limit(Some(5), None));
        assert_eq!(ulimit("nofile=unlimited"), limit(None, None));
        for text in ["nofile", "=5", "nofile=", "nofile=a", "nofile=1:", "nofile=-2"] {
            assert!(ulimit(text).is_err_and(|message| message.contains("nofile=1024")), "{text}");
        }
    }

    #[test]
    fn options_of_either_spelling() {
        let collected =
            |words: &[&str]| collect(words.iter().map(|word| option(word).expect(word)).collect());
        let security = collected(&["no-new-privileges:true", "seccomp=unconfined"]).expect("good");
        assert!(security.no_new_privileges && security.seccomp == SeccompProfile::Unconfined);
        assert_eq!(
            collected(&["no-new-privileges", "no-new-privileges=false"]).expect("good"),
            Security::default()
        );
        assert!(collected(&["no-32bit"]).expect("good").no_32bit);
        assert_eq!(collected(&["no-32bit:true", "no-32bit=false"]).expect("good"), Security::default());
        assert!(collected(&["seccomp=/nowhere"]).is_err());
        for text in ["", "apparmor=x", "seccomp", "seccomp=", "no-new-privileges=maybe", "no-32bit=maybe"] {
            assert!(option(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_and_places() {
        assert_eq!(tmpfs("/x:size=1m,,ro").map(|one| one.options), Ok(vec!["size=1m".into(), "ro".into()]));
        assert!(tmpfs("x").is_err() && tmpfs("").is_err());
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(label("a"), Ok(("a".into(), String::new())));
        assert!(label("=b").is_err() && sysctl("a").is_err());
    }
}
