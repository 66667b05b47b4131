//! The file of settings: TOML, in which nothing is passed over that is not understood.

use super::schema::{self, Kind, Setting};
use super::{Source, Told};
use crate::failure::Failure;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// More is no configuration.
const MOST_BYTES: u64 = 1024 * 1024;

/// Reads the file. One that others can write is refused: they would say which program root runs.
pub(super) fn read(path: &Path, must_exist: bool) -> Result<Option<String>, Failure> {
    let refused = |why: &str| Failure::Usage(format!("the configuration {}: {why}", path.display()));
    // Without blocking: it may be a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) if !must_exist => return Ok(None),
        Err(error) => return Err(refused(&std::io::Error::from(error).to_string())),
    };
    let status = fstat(&file).map_err(|error| refused(&error.to_string()))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(refused("it is no file"));
    }
    let own = rustix::process::geteuid().as_raw();
    if status.st_mode & 0o022 != 0 || ![0, own].contains(&status.st_uid) {
        return Err(refused(
            "others can write to it; it is to be root's, or yours, alone (chown root, chmod go-w)",
        ));
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(&error.to_string()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refused("it has more than 1 MiB"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| refused("it is no valid UTF-8"))
}

/// What a text says.
pub(super) fn parse(text: &str, path: &Path) -> Result<BTreeMap<&'static str, Told>, Failure> {
    let place = Place { text, path };
    let document = DeTable::parse(text).map_err(|error| {
        place.refused(
            error.span().map_or(0, |span| span.start),
            error.message().lines().next().unwrap_or_default(),
        )
    })?;
    let mut told = BTreeMap::new();
    place.collect(None, document.get_ref(), &mut told)?;
    Ok(told)
}

/// Where something stands.
struct Place<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Place<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn refused(&self, at: usize, problem: &str) -> Failure {
        Failure::Usage(format!(
            "line {} of the configuration {}: {problem}",
            self.line(at),
            self.path.display()
        ))
    }

    /// Takes what one table says.
    fn collect(
        &self,
        table: Option<&str>,
        entries: &DeTable<'_>,
        told: &mut BTreeMap<&'static str, Told>,
    ) -> Result<(), Failure> {
        for (name, value) in entries {
            let key = table
                .map_or_else(|| name.get_ref().to_string(), |table| format!("{table}.{}", name.get_ref()));
            if let (None, DeValue::Table(inner)) = (table, value.get_ref())
                && schema::ALL.iter().any(|setting| setting.place().0 == Some(&key))
            {
                self.collect(Some(&key), inner, told)?;
                continue;
            }
            let Some(setting) = schema::ALL.iter().find(|setting| setting.key == key) else {
                let problem = format!(
                    "there is no setting {key:?}; 'tinyd system config --schema' shows those there are"
                );
                return Err(self.refused(name.span().start, &problem));
            };
            let text = written(setting, value).ok_or_else(|| {
                self.refused(value.span().start, &format!("{key} is to be {}", setting.kind.name()))
            })?;
            let source = Source::File(self.path.to_path_buf(), self.line(name.span().start));
            told.insert(setting.key, Told { text, source });
        }
        Ok(())
    }
}

/// A value as a variable would have it; `None` where it is of another kind.
fn written(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Option<String> {
    match (setting.kind, value.get_ref()) {
        (Kind::Text, DeValue::String(text)) => Some(text.to_string()),
        (Kind::Number, DeValue::Integer(number)) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        (Kind::Switch, DeValue::Boolean(on)) => Some(on.to_string()),
        (Kind::List, DeValue::Array(parts)) => {
            let parts = parts.iter().map(|part| match part.get_ref() {
                // Which would be two.
                DeValue::String(text) if text.contains([',', ' ']) => None,
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            parts.collect::<Option<Vec<_>>>().map(|parts| parts.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn refused(text: &str) -> String {
        parse(text, Path::new("f")).expect_err(text).line().expect("a line")
    }

    #[test]
    fn each_kind_has_its_form() {
        let text = "max_containers = 0x10\naddress_pools = ['a', \"b\"]\ndaemon.live_restore = true\n[container]\n\
            network = 'n'\n";
        let told = parse(text, Path::new("f")).expect("parsed");
        let said: Vec<_> = told.iter().map(|(key, told)| (*key, told.text.as_str())).collect();
        let expected = [
            ("address_pools", "a,b"),
            ("container.network", "n"),
            ("daemon.live_restore", "true"),
            ("max_containers", "16"),
        ];
        assert_eq!(said, expected);
        assert_eq!(told["container.network"].source, Source::File("f".into(), 5));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (text, said) in [
            ("root = /a\n", "line 1"),
            ("\nrot = 'x'\n", "line 2 of the configuration f: there is no setting \"rot\""),
            (
                "[container]\nnetwrk = 'x'\n",
                "line 2 of the configuration f: there is no setting \"container.netwrk\"",
            ),
            (
                "[contaner]\nnetwork = 'x'\n",
                "line 1 of the configuration f: there is no setting \"contaner\"",
            ),
            ("root = 1\n", "root is to be a string"),
            ("max_containers = '1'\n", "max_containers is to be a whole number"),
            ("max_containers = 99999999999999999999\n", "max_containers is to be a whole number"),
            ("container = 1\n", "there is no setting \"container\""),
            ("root = { a = 1 }\n", "root is to be a string"),
            ("daemon.web_control = 'yes'\n", "daemon.web_control is to be true or false"),
            ("daemon.listen = ['a b']\n", "daemon.listen is to be an array of strings"),
            ("root = 'a'\nroot = 'b'\n", "line 2"),
        ] {
            let line = refused(text);
            assert!(line.contains(said) && line.lines().count() == 1, "{text:?}: {line}");
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "root = '/a'").expect("write");
        for (mode, is_read) in [(0o644, true), (0o600, true), (0o664, false), (0o646, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(read(&path, true).is_ok(), is_read, "{mode:o}");
        }
        assert!(
            read(dir.path(), true)
                .is_err_and(|failure| failure.line().is_some_and(|line| line.contains("no file")))
        );
        assert!(matches!(read(&dir.path().join("none"), false), Ok(None)));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        std::fs::write(&path, vec![b'#'; 2_000_000]).expect("write");
        assert!(read(&path, true).is_err());
    }
}
