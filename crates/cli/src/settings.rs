//! Settings: what a command goes by where its options say nothing.
//!
//! Each has a place in a file and a variable of its own ([`schema`]). An option wins over the variable, that over the file, and
//! that over what is built in.

mod file;
pub(crate) mod schema;

use crate::failure::Failure;
use schema::Setting;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Names another file, or none with `/dev/null`.
const VARIABLE: &str = "TINYD_CONFIG";
/// Read where nothing names another one, if it is there.
const FILE: &str = "/etc/tinyd/config.toml";
/// The file that is none.
const NO_FILE: &str = "/dev/null";

/// All that was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    told: BTreeMap<&'static str, Told>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
}

/// A value, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The parts of a list have commas between them.
    pub(crate) text: String,
    pub(crate) source: Source,
}

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Variable(&'static str),
    /// The file, and the line in it.
    File(PathBuf, usize),
}

impl Settings {
    /// Reads the variables, and the file: the one that is named, or the usual one where there is one.
    pub(crate) fn load(
        named: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Failure> {
        let asked = named.map(Path::to_path_buf);
        let asked = asked.or_else(|| variable(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from));
        let (path, must_exist) = match asked {
            Some(path) if path == Path::new(NO_FILE) => (None, false),
            Some(path) => (Some(path), true),
            None => (Some(PathBuf::from(FILE)), false),
        };
        let mut settings = Self::default();
        if let Some(path) = path
            && let Some(text) = file::read(&path, must_exist)?
        {
            settings.told = file::parse(&text, &path)?;
            settings.file = Some(path);
        }
        for setting in schema::ALL {
            if let Some(text) =
                variable(setting.variable).filter(|text| setting.may_be_empty || !text.is_empty())
            {
                let text = text.into_string().map_err(|text| {
                    Failure::Usage(format!("${} is no valid UTF-8: {}", setting.variable, text.display()))
                })?;
                settings.told.insert(setting.key, Told { text, source: Source::Variable(setting.variable) });
            }
        }
        Ok(settings)
    }

    /// What was said of a setting.
    pub(crate) fn get(&self, setting: &Setting) -> Option<&Told> {
        self.told.get(setting.key)
    }

    /// What was said of it, as what it means.
    pub(crate) fn parse<T>(
        &self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        self.get(setting).map(|told| told.parse(parse)).transpose()
    }

    /// What holds: what was said, or else the default.
    pub(crate) fn held(&self, setting: &Setting) -> String {
        self.get(setting).map_or_else(|| setting.default_text(), |told| told.text.clone())
    }

    /// What holds, as what it means.
    pub(crate) fn parse_held<T>(
        &self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        match self.get(setting) {
            Some(told) => told.parse(parse),
            None => parse(&setting.default_text()).map_err(Failure::Usage),
        }
    }

    /// Whether something is switched on.
    pub(crate) fn is_on(&self, setting: &Setting) -> Result<bool, Failure> {
        self.parse_held(setting, |text| text.parse().map_err(|_| "neither true nor false".to_owned()))
    }

    #[cfg(test)]
    pub(crate) fn of(setting: &'static Setting, text: &str) -> Self {
        let variable = |name: &str| (name == setting.variable).then(|| text.into());
        Self::load(Some(Path::new(NO_FILE)), &variable).expect("text")
    }
}

impl Told {
    /// As what it means; the complaint names who said it.
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Failure> {
        let Self { text, source } = self;
        parse(text).map_err(|problem| Failure::Usage(format!("{source} is {text:?}: {problem}")))
    }

    /// The parts of a list.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        parts(&self.text)
    }
}

/// The parts of a list: commas or spaces are between them.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|part| !part.is_empty())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${name}"),
            Self::File(path, line) => write!(f, "line {line} of {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).expect("write");
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let place = format!("{}/", dir.path().display());
        Settings::load(Some(&path), &variable)
            .map_err(|failure| failure.line().unwrap_or_default().replace(&place, ""))
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let text = "root = '/a'\nmax_containers = 7\n[container]\nnetwork = 'web'\ndetach_keys = 'ctrl-a'\n";
        let settings = load(text, &[("TINYD_ROOT", "/b"), ("TINYD_NETWORK", ""), ("TINYD_DETACH_KEYS", "")])
            .expect("loaded");
        let said = |setting| settings.get(setting).map(|told| told.text.as_str());
        assert_eq!((said(&schema::ROOT), said(&schema::MAX_CONTAINERS)), (Some("/b"), Some("7")));
        assert_eq!(said(&schema::NETWORK), Some("web"), "an empty variable says nothing");
        assert_eq!(said(&schema::DETACH_KEYS), Some(""), "but of keys it says that there are none");
        assert_eq!(said(&schema::HOST), None);
    }

    #[test]
    fn a_complaint_names_who_said_it() {
        let settings =
            load("\n[daemon]\nlive_restore = true\n", &[("TINYD_WEB_CONTROL", "yes")]).expect("loaded");
        assert!(settings.is_on(&schema::LIVE_RESTORE).is_ok_and(|on| on));
        let failure = settings.is_on(&schema::WEB_CONTROL).expect_err("a bad word").line();
        assert_eq!(failure.as_deref(), Some("$TINYD_WEB_CONTROL is \"yes\": neither true nor false"));
        let told = settings.get(&schema::LIVE_RESTORE).expect("told");
        assert!(told.source.to_string().starts_with("line 3 of /"), "{}", told.source);
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let nowhere = Settings::load(Some(Path::new("/no/such.toml")), &|_| None).expect_err("none");
        assert!(nowhere.line().is_some_and(|line| line.contains("/no/such.toml")));
        let variable = |name: &str| (name == VARIABLE).then(|| OsString::from("/no/other.toml"));
        let nowhere = Settings::load(None, &variable).expect_err("none");
        assert!(nowhere.line().is_some_and(|line| line.contains("/no/other.toml")));
        assert_eq!(Settings::load(Some(Path::new(NO_FILE)), &|_| None).expect("none"), Settings::default());
    }
}
