//! Names of units, and where their groups lie (systemd.unit(5), systemd.slice(5)).

use crate::{CgroupPath, Error, Result};

const SLICE: &str = ".slice";
const SCOPE: &str = ".scope";
const DEFAULT: &str = "system.slice";

/// Longer names systemd does not take (`UNIT_NAME_MAX`, with the NUL).
const LONGEST: usize = 255;

/// A group of systemd's: a unit, or a group below one that is left to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The group's path, such as `a.slice/a-b.slice/tinyd-x.scope`.
    pub(super) path: CgroupPath,
    pub(super) unit: Unit,
    /// The unit's own path where the group lies below it.
    pub(super) below: Option<CgroupPath>,
}

/// A unit that has a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    Slice { name: String },
    Scope { name: String, slice: String },
}

impl Unit {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Slice { name } | Self::Scope { name, .. } => name,
        }
    }
}

impl Place {
    /// Understands `SLICE:PREFIX:NAME`, and the path that becomes of it.
    pub(super) fn parse(path: &CgroupPath) -> Result<Self> {
        let text = path.as_str();
        let refuse = |reason| Err(Error::InvalidPath { path: text.to_owned(), reason });
        match text.split(':').collect::<Vec<_>>()[..] {
            _ if text.contains('/') => {}
            [slice, prefix, name] => {
                return match named(slice, prefix, name) {
                    Ok(path) => Self::of_path(&CgroupPath::new(&path)?),
                    Err(reason) => refuse(reason),
                };
            }
            _ => {}
        }
        Self::of_path(path)
    }

    fn of_path(path: &CgroupPath) -> Result<Self> {
        let refuse = |reason| Err(Error::InvalidPath { path: path.to_string(), reason });
        let parts: Vec<&str> = path.as_str().split('/').collect();
        let slices = parts.iter().take_while(|part| part.ends_with(SLICE)).count();
        let (slices, rest) = parts.split_at(slices);
        let slice = slices.last().copied().unwrap_or("-.slice");
        match expand(slice) {
            Ok(expanded) if expanded == slices.join("/") => {}
            Ok(_) => return refuse("a slice lies where its name says: a-b.slice in a.slice"),
            Err(reason) => return refuse(reason),
        }
        let Some((scope, below)) = rest.split_first() else {
            let unit = Unit::Slice { name: slice.to_owned() };
            return Ok(Self { path: path.clone(), unit, below: None });
        };
        if !scope.ends_with(SCOPE) {
            return refuse(
                "systemd's groups are slices and scopes: say SLICE:PREFIX:NAME, such as system.slice:tinyd:one",
            );
        }
        if let Err(reason) = check(scope, SCOPE) {
            return refuse(reason);
        }
        let unit = Unit::Scope { name: (*scope).to_owned(), slice: slice.to_owned() };
        let below = match below {
            [] => None,
            below => {
                let length = path.as_str().len() - below.iter().map(|part| part.len() + 1).sum::<usize>();
                Some(CgroupPath::new(&path.as_str()[..length])?)
            }
        };
        Ok(Self { path: path.clone(), unit, below })
    }
}

/// The path of what `SLICE:PREFIX:NAME` names.
fn named(slice: &str, prefix: &str, name: &str) -> std::result::Result<String, &'static str> {
    let above = match slice {
        "" => expand(DEFAULT)?,
        "-" => String::new(),
        slice => expand(slice)?,
    };
    if name.is_empty() {
        return Err("it has no name: it is SLICE:PREFIX:NAME");
    }
    if name.ends_with(SLICE) {
        let own = expand(name)?;
        if own.is_empty() {
            return Err("the root slice is systemd's own");
        }
        if !slice.is_empty() && own.rsplit_once('/').map_or("", |(parent, _)| parent) != above {
            return Err("a slice lies where its name says, and that is not in the slice named before it");
        }
        return Ok(own);
    }
    let unit = if prefix.is_empty() { format!("{name}{SCOPE}") } else { format!("{prefix}-{name}{SCOPE}") };
    check(&unit, SCOPE)?;
    Ok(if above.is_empty() { unit } else { format!("{above}/{unit}") })
}

/// Where a slice lies: `a-b.slice` is `a.slice/a-b.slice`, and the root, `-.slice`, is nothing.
fn expand(slice: &str) -> std::result::Result<String, &'static str> {
    if slice == "-.slice" {
        return Ok(String::new());
    }
    check(slice, SLICE)?;
    let stem = slice.strip_suffix(SLICE).unwrap_or(slice);
    if stem.split('-').any(str::is_empty) {
        return Err("a slice's name begins or ends with a dash, or has two side by side");
    }
    if stem.contains('@') {
        return Err("a slice is made of no template: its name has no @");
    }
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    Ok(ends.map(|end| format!("{}{SLICE}", &stem[..end])).collect::<Vec<_>>().join("/"))
}

/// Whether a name is one that a unit can have.
fn check(name: &str, suffix: &str) -> std::result::Result<(), &'static str> {
    let Some(stem) = name.strip_suffix(suffix) else { return Err("a slice's name ends with .slice") };
    if stem.is_empty() {
        return Err("a unit has no name but its suffix");
    }
    if name.len() > LONGEST {
        return Err("a unit's name is longer than 255 bytes");
    }
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if !stem.bytes().all(is_fine) || stem.starts_with('@') {
        return Err("a unit's name is made of letters, digits and :-_.\\@");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<Place> {
        Place::parse(&CgroupPath::new(text)?)
    }

    fn path(text: &str) -> String {
        place(text).unwrap().path.to_string()
    }

    #[test]
    fn pure_three_words_become_a_path() {
        for (words, wanted) in [
            ("system.slice:tinyd:one", "system.slice/tinyd-one.scope"),
            (":tinyd:one", "system.slice/tinyd-one.scope"),
            ("user-1000-a.slice:libpod:x", "user.slice/user-1000.slice/user-1000-a.slice/libpod-x.scope"),
            ("-.slice:p:n", "p-n.scope"),
            ("-:p:n", "p-n.scope"),
            ("machine.slice::n", "machine.slice/n.scope"),
            (":p:a-b.slice", "a.slice/a-b.slice"),
            ("a.slice::a-b.slice", "a.slice/a-b.slice"),
        ] {
            assert_eq!(path(words), wanted);
            // The path is all the state there is, so it names the same.
            assert_eq!(place(wanted).unwrap(), place(words).unwrap());
        }
    }

    #[test]
    fn pure_a_path_says_which_unit_and_what_is_below() {
        let scope = place("a.slice/a-b.slice/x.scope").unwrap();
        assert_eq!(scope.unit, Unit::Scope { name: "x.scope".into(), slice: "a-b.slice".into() });
        let below = place("a.slice/x.scope/in/side").unwrap();
        assert_eq!((below.unit.name(), below.below.unwrap().as_str()), ("x.scope", "a.slice/x.scope"));
        assert_eq!(below.path.as_str(), "a.slice/x.scope/in/side");
        assert_eq!(
            place("x.scope").unwrap().unit,
            Unit::Scope { name: "x.scope".into(), slice: "-.slice".into() }
        );
        assert_eq!(place("a.slice").unwrap().unit, Unit::Slice { name: "a.slice".into() });
    }

    #[test]
    fn pure_what_systemd_would_not_take_is_refused() {
        let long = format!(":p:{}", "n".repeat(255));
        for bad in [
            "tinyd",
            "tinyd/one",
            "a:b",
            "a:b:c:d",
            "::",
            "system.slice:p:",
            "system:p:n",
            "a--b.slice:p:n",
            "-a.slice:p:n",
            "a-.slice:p:n",
            ".slice:p:n",
            "a@b.slice:p:n",
            ":p:a b",
            ":p:ä",
            ":@:n",
            ":p:-.slice",
            ":p:a--b.slice",
            "b.slice:p:a-b.slice",
            "a-b.slice/x.scope",
            "b.slice/a-b.slice",
            "x.scope/../y",
            "a.slice/x.service",
            ".scope",
            "a.slice/b.slice",
            &long,
        ] {
            assert!(matches!(place(bad), Err(Error::InvalidPath { .. })), "{bad}: {:?}", place(bad));
        }
        let error = place("tinyd").unwrap_err().to_string();
        assert!(error.contains("SLICE:PREFIX:NAME"), "{error}");
    }
}
