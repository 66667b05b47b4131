//! Finds `tinyd-runtime`.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

const NAME: &str = "tinyd-runtime";

/// The program that starts containers: the one configured, else beside this program, else in `../libexec/tinyd`.
pub(crate) fn runtime(configured: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = configured {
        return match path.is_file() {
            // A path with a slash before it is never looked up in PATH by the spawn.
            true => std::path::absolute(path).map_err(|source| Error::file("find", path, source)),
            false => Err(Error::NoRuntime { tried: vec![path.to_owned()] }),
        };
    }
    let own = std::env::current_exe().map_err(|source| Error::file("read", "/proc/self/exe", source))?;
    beside(&own)
}

fn beside(program: &Path) -> Result<PathBuf> {
    let folder = program.parent().unwrap_or(Path::new("/"));
    let mut tried = vec![folder.join(NAME)];
    tried.extend(folder.parent().map(|above| above.join("libexec/tinyd").join(NAME)));
    match tried.iter().position(|path| path.is_file()) {
        Some(found) => Ok(tried.swap_remove(found)),
        None => Err(Error::NoRuntime { tried }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn pure_beside_comes_before_libexec() {
        let place = tempfile::tempdir().unwrap();
        let (bin, libexec) = (place.path().join("bin"), place.path().join("libexec/tinyd"));
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(&libexec).unwrap();
        let program = bin.join("tinyd");
        let Err(Error::NoRuntime { tried }) = beside(&program) else { panic!("found what is not there") };
        assert_eq!(tried, [bin.join(NAME), libexec.join(NAME)]);
        fs::write(libexec.join(NAME), "").unwrap();
        assert_eq!(beside(&program).unwrap(), libexec.join(NAME));
        fs::write(bin.join(NAME), "").unwrap();
        assert_eq!(beside(&program).unwrap(), bin.join(NAME));
    }

    #[test]
    fn pure_a_configured_one_must_be_there() {
        assert!(matches!(runtime(Some(Path::new("/nowhere/at/all"))), Err(Error::NoRuntime { .. })));
    }
}
