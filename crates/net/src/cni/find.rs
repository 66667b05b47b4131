//! Looking for configurations and for programs.

use super::config::List;
use super::error::CniError;
use rustix::fs::{Access, access};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What files with a configuration end with.
const ENDINGS: [&str; 3] = ["conflist", "conf", "json"];

/// More is no configuration, but somebody's mistake.
const MOST: u64 = 1 << 20;

/// A configuration that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Its file.
    pub path: PathBuf,
    /// All that is in it.
    pub text: String,
    /// The same, understood.
    pub list: List,
}

/// The configuration in a file, where there is a `/` in `wanted`, or the one of that name in a folder: of several, that
/// of the file whose name comes first.
pub(super) fn list(wanted: &str, folder: &Path) -> Result<Found, CniError> {
    if wanted.contains('/') {
        return read(Path::new(wanted));
    }
    let mut files = Vec::new();
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(|source| failed("read", folder, source))?;
                files.push(entry.path());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed("read", folder, source)),
    }
    let is_one = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ENDINGS.contains(&ending))
    };
    files.retain(is_one);
    files.sort();
    let (mut there, mut broken) = (Vec::new(), Vec::new());
    for path in files {
        match read(&path) {
            Ok(found) if found.list.name == wanted => return Ok(found),
            Ok(found) => there.push(found.list.name),
            // It may be the one: then this is why it is not found.
            Err(error) => broken.push(chain(&error)),
        }
    }
    Err(CniError::NoList { name: wanted.to_owned(), folder: folder.to_owned(), there, broken })
}

fn read(path: &Path) -> Result<Found, CniError> {
    let failed = |source| failed("read", path, source);
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > MOST {
        return Err(CniError::Config {
            origin: path.display().to_string(),
            what: "it".to_owned(),
            problem: "is no file of at most 1 MiB".to_owned(),
        });
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let list = List::parse(&text, &path.display().to_string())?;
    Ok(Found { path: path.to_owned(), text, list })
}

/// The file of a plugin: the first that can be run.
pub(super) fn program(plugin: &str, folders: &[PathBuf]) -> Result<PathBuf, CniError> {
    let runs = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let found = folders.iter().map(|folder| folder.join(plugin)).find(runs);
    found.ok_or_else(|| CniError::NoPlugin {
        plugin: plugin.to_owned(),
        folders: folders.iter().map(|folder| folder.display().to_string()).collect(),
    })
}

pub(super) fn failed(operation: &'static str, path: &Path, source: io::Error) -> CniError {
    CniError::File { operation, path: path.to_owned(), source }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn write(folder: &Path, file: &str, name: &str) {
        let text = format!(r#"{{"cniVersion": "1.0.0", "name": "{name}", "type": "bridge"}}"#);
        fs::write(folder.join(file), text).unwrap();
    }

    #[test]
    fn pure_a_list_is_found_by_its_name_or_its_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        write(folder, "20-b.conflist", "web");
        write(folder, "10-a.conf", "web");
        write(folder, "30.json", "db");
        write(folder, "db", "hidden");
        assert_eq!(list("web", folder).unwrap().path, folder.join("10-a.conf"));
        assert_eq!(list("db", folder).unwrap().path, folder.join("30.json"));
        let file = folder.join("db");
        let found = list(file.to_str().unwrap(), Path::new("/nowhere")).unwrap();
        assert_eq!((found.list.name.as_str(), found.text), ("hidden", fs::read_to_string(file).unwrap()));
    }

    #[test]
    fn pure_who_looks_in_vain_is_told_what_there_is() {
        let place = tempfile::tempdir().unwrap();
        write(place.path(), "a.conf", "web");
        fs::write(place.path().join("b.conflist"), "{\n,").unwrap();
        let said = list("db", place.path()).unwrap_err().to_string();
        for part in ["\"db\"", "there are web", "b.conflist is no JSON", "line 2", "-o config="] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        assert_eq!(said.lines().count(), 1);
        let said = list("db", &place.path().join("none")).unwrap_err().to_string();
        assert!(said.contains("there is no list of plugins \"db\"") && !said.contains("there are"), "{said}");
        assert!(list("/no/such/file", place.path()).unwrap_err().to_string().contains("/no/such/file"));
        assert!(list(&format!("{}/", place.path().display()), place.path()).is_err());
    }

    #[test]
    fn pure_a_program_is_the_first_that_can_be_run() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [one.path().to_owned(), two.path().to_owned()];
        fs::write(one.path().join("p"), "").unwrap();
        let said = program("p", &folders).unwrap_err().to_string();
        assert!(said.contains(one.path().to_str().unwrap()) && said.contains("bin-dir"), "{said}");
        fs::write(two.path().join("p"), "").unwrap();
        fs::set_permissions(two.path().join("p"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(program("p", &folders).unwrap(), two.path().join("p"));
    }
}
