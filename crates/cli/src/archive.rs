//! Where an archive goes that a verb writes, and how it is compressed.

use crate::cmd::Context;
use crate::failure::Failure;
use crate::flow::Flowed;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
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
            let failed = |error: std::io::Error| Failure::failed(format!("write {}", path.display()), error);
            match fs::metadata(path) {
                // A file takes the place of a file; a link stays one.
                Ok(there) if there.is_file() => into_file(&path.canonicalize().map_err(failed)?, write),
                Ok(there) if there.is_dir() => Err(failed(std::io::ErrorKind::IsADirectory.into())),
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
    let failed = |error: std::io::Error| Failure::failed(format!("write {}", path.display()), error);
    let mut beside = OsString::from(path);
    beside.push(format!(".part-{}", std::process::id()));
    let file = File::create_new(&beside).map_err(failed)?;
    let done = write(file.into()).and_then(|done| {
        if matches!(done, Flowed::Done(_)) {
            fs::rename(&beside, path).map_err(failed)?;
        }
        Ok(done)
    });
    if !matches!(done, Ok(Flowed::Done(_))) {
        // The error that is told is the first.
        let _ = fs::remove_file(&beside);
    }
    done
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
