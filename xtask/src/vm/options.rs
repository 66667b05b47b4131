//! The words behind `vm-test`.

use anyhow::{Result, bail};

pub(crate) const USAGE: &str = "vm-test [--systemd] [--cgroup v2|v1] [--kernel VERSION-OR-PATH] [FILTER]";

/// Which hierarchies the guest mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cgroup {
    /// The unified one, with every controller handed on.
    V2,
    /// One hierarchy a controller.
    V1,
}

impl Cgroup {
    /// The word on the command line, of this program and of the guest's kernel.
    pub(super) fn word(self) -> &'static str {
        match self {
            Cgroup::V2 => "v2",
            Cgroup::V1 => "v1",
        }
    }
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) cgroup: Cgroup,
    /// Whether the guest's first process is systemd; else it is a script that mounts and runs, in a fraction of the time.
    pub(super) systemd: bool,
    /// The start of a version, or the path of a folder with an unpacked kernel; the newest there is when nothing is said.
    pub(super) kernel: Option<String>,
    /// A part of `binary::test`.
    pub(super) filter: Option<String>,
}

pub(super) fn parse(words: &[&str]) -> Result<Options> {
    let mut options = Options { cgroup: Cgroup::V2, systemd: false, kernel: None, filter: None };
    let mut rest = words;
    while let [word, tail @ ..] = rest {
        rest = match (*word, tail) {
            ("--cgroup", [value, tail @ ..]) => {
                options.cgroup = match *value {
                    "v2" => Cgroup::V2,
                    "v1" => Cgroup::V1,
                    other => bail!("--cgroup takes v2 or v1, not {other:?}"),
                };
                tail
            }
            ("--systemd", tail) => {
                options.systemd = true;
                tail
            }
            ("--kernel", [value, tail @ ..]) if !value.is_empty() => {
                options.kernel = Some((*value).to_owned());
                tail
            }
            (filter, tail) if !filter.starts_with('-') && options.filter.is_none() => {
                options.filter = Some(filter.to_owned());
                tail
            }
            (other, _) => bail!("{other:?} is not understood; usage: cargo xtask {USAGE}"),
        };
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_order_and_what_is_not_understood_is_named() {
        let nothing = parse(&[]).unwrap();
        assert_eq!(nothing, Options { cgroup: Cgroup::V2, systemd: false, kernel: None, filter: None });
        let all = parse(&["limits", "--kernel", "6.1", "--systemd", "--cgroup", "v1"]).unwrap();
        assert_eq!(
            all,
            Options {
                cgroup: Cgroup::V1,
                systemd: true,
                kernel: Some("6.1".into()),
                filter: Some("limits".into())
            }
        );
        for wrong in [&["--cgroup", "v3"][..], &["--cgroup"], &["--kernel"], &["a", "b"], &["--all"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
