//! Resource limits of a process (setrlimit(2)).
//!
//! ```
//! use tinyd_ns::rlimit::{self, Resource, Rlimit};
//!
//! let limit: Rlimit = "nofile=512:1024".parse()?;
//! assert_eq!(limit, Rlimit { resource: Resource::Nofile, soft: Some(512), hard: Some(1024) });
//! assert!(rlimit::get(Resource::Nofile).soft.is_some());
//! # Ok::<(), rlimit::ParseRlimitError>(())
//! ```

mod check;
mod child;

pub use check::RlimitError;

use std::fmt;
use std::str::FromStr;

use rustix::process::{Resource as Kernel, Rlimit as KernelLimit, getrlimit, setrlimit};

macro_rules! resources {
    ($($variant:ident $name:literal,)*) => {
        /// A limited resource; the meaning and unit of each are in setrlimit(2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Resource {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Resource {
            /// The sixteen resources of Linux.
            pub const ALL: &[Resource] = &[$(Resource::$variant),*];

            /// The name in OCI documents: `RLIMIT_NOFILE`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Resource::$variant => $name,)*
                }
            }

            const fn to_kernel(self) -> Kernel {
                match self {
                    $(Resource::$variant => Kernel::$variant,)*
                }
            }
        }
    };
}

resources! {
    As "RLIMIT_AS",
    Core "RLIMIT_CORE",
    Cpu "RLIMIT_CPU",
    Data "RLIMIT_DATA",
    Fsize "RLIMIT_FSIZE",
    Locks "RLIMIT_LOCKS",
    Memlock "RLIMIT_MEMLOCK",
    Msgqueue "RLIMIT_MSGQUEUE",
    Nice "RLIMIT_NICE",
    Nofile "RLIMIT_NOFILE",
    Nproc "RLIMIT_NPROC",
    Rss "RLIMIT_RSS",
    Rtprio "RLIMIT_RTPRIO",
    Rttime "RLIMIT_RTTIME",
    Sigpending "RLIMIT_SIGPENDING",
    Stack "RLIMIT_STACK",
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Resource {
    type Err = ParseRlimitError;

    /// Reads `RLIMIT_NOFILE` as OCI writes it, and `nofile` as Docker does, in any case.
    fn from_str(text: &str) -> Result<Resource, ParseRlimitError> {
        let prefix = "RLIMIT_".len();
        let short = match text.get(..prefix) {
            Some(start) if start.eq_ignore_ascii_case("RLIMIT_") => &text[prefix..],
            _ => text,
        };
        let known =
            Resource::ALL.iter().find(|resource| resource.name()[prefix..].eq_ignore_ascii_case(short));
        known.copied().ok_or_else(|| ParseRlimitError::UnknownResource(text.to_owned()))
    }
}

/// The limits of one resource, `None` being infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited.
    pub resource: Resource,
    /// What the kernel enforces; the process may move it up to `hard`.
    pub soft: Option<u64>,
    /// What the process cannot exceed without `CAP_SYS_RESOURCE`.
    pub hard: Option<u64>,
}

/// A text that is no resource limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRlimitError {
    /// The text has no `=`.
    #[error("{0:?} is not of the form name=soft[:hard]")]
    Form(String),
    /// The name is none of Linux's.
    #[error("unknown resource {0:?}")]
    UnknownResource(String),
    /// A limit is neither a number nor `-1` nor `unlimited`.
    #[error("{0:?} is not a limit: a number, -1 or unlimited is wanted")]
    Value(String),
    /// The soft limit is above the hard one.
    #[error("the soft limit of {0:?} is above its hard limit")]
    SoftAboveHard(String),
}

impl Rlimit {
    /// What OCI documents mean by `type`, `soft` and `hard`: the largest number of 64 bits is infinity (`RLIM_INFINITY`).
    ///
    /// # Errors
    /// [`ParseRlimitError::UnknownResource`], [`ParseRlimitError::SoftAboveHard`].
    pub fn from_oci(name: &str, soft: u64, hard: u64) -> Result<Rlimit, ParseRlimitError> {
        let resource = name.parse()?;
        if soft > hard {
            return Err(ParseRlimitError::SoftAboveHard(format!("{name}={soft}:{hard}")));
        }
        let value = |limit| (limit != u64::MAX).then_some(limit);
        Ok(Rlimit { resource, soft: value(soft), hard: value(hard) })
    }

    /// Sets the limit for the calling process. Child-side.
    ///
    /// # Errors
    /// `EPERM` to raise the hard limit without `CAP_SYS_RESOURCE`, `EINVAL` if soft is above hard. [`apply`](Self::apply)
    /// says which it was.
    pub fn set(&self) -> rustix::io::Result<()> {
        setrlimit(self.resource.to_kernel(), KernelLimit { current: self.soft, maximum: self.hard })
    }
}

/// The limit of the calling process. Child-side.
#[must_use]
pub fn get(resource: Resource) -> Rlimit {
    let KernelLimit { current, maximum } = getrlimit(resource.to_kernel());
    Rlimit { resource, soft: current, hard: maximum }
}

/// As [`FromStr`] reads it: `RLIMIT_NOFILE=512:unlimited`.
impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.resource, Shown(self.soft), Shown(self.hard))
    }
}

/// A limit in words.
struct Shown(Option<u64>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("unlimited"),
        }
    }
}

impl FromStr for Rlimit {
    type Err = ParseRlimitError;

    /// Reads the `name=soft[:hard]` of Docker's `--ulimit`; one value stands for both limits.
    fn from_str(text: &str) -> Result<Rlimit, ParseRlimitError> {
        let (name, values) = text.split_once('=').ok_or_else(|| ParseRlimitError::Form(text.to_owned()))?;
        let resource = name.parse()?;
        let (soft, hard) = match values.split_once(':') {
            Some((soft, hard)) => (value(soft)?, value(hard)?),
            None => (value(values)?, value(values)?),
        };
        if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
            return Err(ParseRlimitError::SoftAboveHard(text.to_owned()));
        }
        Ok(Rlimit { resource, soft, hard })
    }
}

fn value(text: &str) -> Result<Option<u64>, ParseRlimitError> {
    if text == "-1" || text.eq_ignore_ascii_case("unlimited") {
        return Ok(None);
    }
    // `parse` would take a leading plus sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseRlimitError::Value(text.to_owned()));
    }
    text.parse().map(Some).map_err(|_| ParseRlimitError::Value(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_oci_and_docker_write_them() {
        assert_eq!(Resource::ALL.len(), 16);
        for resource in Resource::ALL {
            let docker = resource.name()["RLIMIT_".len()..].to_lowercase();
            assert_eq!(docker.parse(), Ok(*resource));
            assert_eq!(resource.to_string().parse(), Ok(*resource));
        }
        assert!("RLIMIT_".parse::<Resource>().is_err());
    }

    #[test]
    fn ulimits_are_read() {
        let limit = |soft, hard| Ok(Rlimit { resource: Resource::Nproc, soft, hard });
        assert_eq!("nproc=5".parse(), limit(Some(5), Some(5)));
        assert_eq!("nproc=5:9".parse(), limit(Some(5), Some(9)));
        assert_eq!("nproc=5:-1".parse(), limit(Some(5), None));
        assert_eq!("nproc=unlimited".parse(), limit(None, None));
    }

    #[test]
    fn limits_of_oci_documents_are_read() {
        let limit = Rlimit::from_oci("RLIMIT_CORE", 5, u64::MAX).unwrap();
        assert_eq!(limit, Rlimit { resource: Resource::Core, soft: Some(5), hard: None });
        assert_eq!(limit.to_string(), "RLIMIT_CORE=5:unlimited");
        assert_eq!(limit.to_string().parse(), Ok(limit));
        assert!(matches!(Rlimit::from_oci("RLIMIT_X", 1, 1), Err(ParseRlimitError::UnknownResource(_))));
        let error = Rlimit::from_oci("RLIMIT_CORE", u64::MAX, 5).unwrap_err();
        assert!(matches!(error, ParseRlimitError::SoftAboveHard(_)));
    }

    #[test]
    fn bad_ulimits_are_refused() {
        use ParseRlimitError::{Form, SoftAboveHard, UnknownResource, Value};
        let error = |text: &str| text.parse::<Rlimit>().unwrap_err();
        assert_eq!(error("nofile"), Form("nofile".into()));
        assert_eq!(error("files=3"), UnknownResource("files".into()));
        for (text, bad) in [
            ("core=", ""),
            ("core=1:", ""),
            ("core=1:2:3", "2:3"),
            ("core=+1", "+1"),
            ("core=-2", "-2"),
            ("core=18446744073709551616", "18446744073709551616"),
        ] {
            assert_eq!(error(text), Value(bad.into()));
        }
        assert_eq!(error("core=-1:5"), SoftAboveHard("core=-1:5".into()));
        assert_eq!(error("core=6:5"), SoftAboveHard("core=6:5".into()));
    }

    #[test]
    fn a_limit_that_is_set_is_read_back() {
        // Of all limits the one on file locks has had no effect since Linux 2.4.25: other tests feel nothing.
        let before = get(Resource::Locks);
        let lower = Rlimit { resource: Resource::Locks, soft: Some(12_345), hard: before.hard };
        lower.set().unwrap();
        assert_eq!(get(Resource::Locks), lower);
        before.set().unwrap();
        assert_eq!(get(Resource::Locks), before);
    }
}
