//! Where an archive goes that a verb writes, and how it is compressed.

use crate::cmd::Context;
use crate::failure::Failure;
use crate::flow::Flowed;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;
use tinyd_engine::Compression;

/// Has an archive written to a file, or to the standard output, which must be no terminal.
pub(crate) fn write<T>(
    context: &Context<'_>,
    file: Option<&Path>,
    write: impl FnOnce(OwnedFd) -> Result<Flowed<T>, Failure>,
) -> Result<Flowed<T>, Failure> {
    match file.filter(|path| *path != Path::new("/dev/stdout")) {
        Some(path) => {
            let failed = |error: io::Error| Failure::failed(format!("write {}", path.display()), error);
            match fs::metadata(path) {
                // A file takes the place of a file; a link stays one.
                Ok(there) if there.is_file() => into_file(&path.canonicalize().map_err(failed)?, write),
                Ok(there) if there.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
                // A device, or a pipe that somebody reads.
                Ok(_) => write(File::options().write(true).open(path).map_err(failed)?.into()),
                Err(_) => into_file(path, write),
            }
        }
        None if context.console.is_terminal() => {
            Err(Failure::Usage("an archive is nothing for a terminal: name a file by -o, or a pipe".into()))
        }
        None => {
            let to = context.console.stdout.try_clone_to_owned();
            write(to.map_err(|error| Failure::failed("write the standard output", error))?)
        }
    }
}

/// Into a file beside it, which takes its name in the end.
fn into_file<T>(
    path: &Path,
    write: impl FnOnce(OwnedFd) -> Result<Flowed<T>, Failure>,
) -> Result<Flowed<T>, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("write {}", path.display()), error);
    let mut beside = OsString::from(path);
    beside.push(format!(".part-{}", std::process::id()));
    // What a volume or a container keeps from others is kept from them in the archive, too.
    let file = File::options().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    let done = file.try_clone().map_err(failed).and_then(|to| write(to.into())).and_then(|done| {
        if matches!(done, Flowed::Done(_)) {
            settle(&file, path).and_then(|()| fs::rename(&beside, path)).map_err(failed)?;
        }
        Ok(done)
    });
    if !matches!(done, Ok(Flowed::Done(_))) {
        // The error that is told is the first.
        let _ = fs::remove_file(&beside);
    }
    done
}

/// Gives it the owner and mode of the file that it takes the place of.
fn settle(file: &File, path: &Path) -> io::Result<()> {
    if let Ok(there) = fs::metadata(path)
        // To whom that owner is a stranger, the file stays his own, and for nobody else.
        && fchown(file, Some(there.uid()), Some(there.gid())).is_ok()
    {
        file.set_permissions(Permissions::from_mode(there.mode() & 0o777))?;
    }
    Ok(())
}

/// What the ending of a file's name says.
pub(crate) fn by_name(path: &Path) -> Compression {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz" | "tgz") => Compression::Gzip,
        Some("zst" | "tzst") => Compression::Zstd,
        _ => Compression::None,
    }
}

/// For the parser.
pub(crate) fn compression(text: &str) -> Result<Compression, String> {
    match text {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => Err("there are none, gzip and zstd".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_archive_is_for_nobody_else_but_for_whom_the_file_was_before() {
        let place = tempfile::tempdir().expect("a folder");
        let mode = |name: &str| fs::metadata(place.path().join(name)).expect("a file").permissions().mode();
        for (name, before) in [("new", None), ("secret", Some(0o600)), ("shared", Some(0o664))] {
            let path = place.path().join(name);
            if let Some(before) = before {
                fs::write(&path, "before").expect("write");
                fs::set_permissions(&path, Permissions::from_mode(before)).expect("a mode");
            }
            for verb in ["volume export data", "export c1"] {
                let done = Bench::new().run(&format!("{verb} -o {}", path.display()));
                assert_eq!(done.code, 0, "{}", done.stderr);
                assert_eq!(fs::read_to_string(&path).expect("a file"), "archive");
                assert_eq!(mode(name) & 0o7777, before.unwrap_or(0o600), "{verb} -o {name}");
            }
        }
        assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 3, "nothing is left beside");
    }
}
