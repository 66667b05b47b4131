//! One group's directory in one hierarchy, and the reading and writing of its files.

use crate::error::{Error, Result, gone};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Files are reached relative to an `O_PATH` descriptor: one path walk per group, and no way to a group that was made
/// anew under the same name.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// `None` when there is no such directory.
    pub(crate) fn open(path: PathBuf) -> Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::Open { path, source: e.into() }),
        }
    }

    /// A directory that was just made or seen.
    pub(crate) fn open_existing(path: PathBuf) -> Result<Self> {
        Self::open(path.clone())?.ok_or_else(|| Error::Open { path, source: Errno::NOENT.into() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file of this group, for messages.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file of the group, or the directory itself by the name `.`.
    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> Result<OwnedFd> {
        rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Error::Open { path: self.file(name), source: e.into() })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    pub(crate) fn try_write(&self, name: &str, value: &str) -> std::result::Result<(), Errno> {
        self.open_for_writing(name).and_then(|file| put(&file, value))
    }

    fn open_for_writing(&self, name: &str) -> std::result::Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.fd, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
    }

    pub(crate) fn write(&self, name: &str, value: &str) -> Result<()> {
        self.try_write(name, value).map_err(|e| self.write_error(name, value, e))
    }

    /// Writes a file that a kernel may lack: then `hint` says what to do.
    pub(crate) fn write_known(
        &self,
        controller: &'static str,
        name: &str,
        value: &str,
        hint: &'static str,
    ) -> Result<()> {
        let plain = |path: &Path, value: &str, errno: Errno| Error::Write {
            path: path.to_owned(),
            value: value.to_owned(),
            source: errno.into(),
        };
        self.write_known_or(controller, name, value, hint, plain)
    }

    /// The same, where `refused` knows what another answer of the kernel means.
    pub(crate) fn write_known_or(
        &self,
        controller: &'static str,
        name: &str,
        value: &str,
        hint: &'static str,
        refused: impl Fn(&Path, &str, Errno) -> Error,
    ) -> Result<()> {
        match self.try_write(name, value) {
            Ok(()) => Ok(()),
            // Every group has cgroup.procs: without it, it is the group that is not there.
            Err(Errno::NOENT) if self.has("cgroup.procs") => {
                Err(Error::MissingFile { controller, file: name.to_owned(), hint })
            }
            Err(e) => Err(refused(&self.file(name), value, e)),
        }
    }

    /// Writes a file whose refusals `hint` may explain.
    pub(crate) fn write_explained(
        &self,
        name: &str,
        value: &str,
        hint: impl Fn(Errno) -> Option<&'static str>,
    ) -> Result<()> {
        self.try_write(name, value).map_err(|e| self.explained(name, value, e, hint(e)))
    }

    /// The same for several values, one after another. Without one the file is not even opened.
    pub(crate) fn write_each_explained(
        &self,
        name: &str,
        values: &[String],
        hint: impl Fn(Errno) -> Option<&'static str>,
    ) -> Result<()> {
        let Some(first) = values.first() else { return Ok(()) };
        let failed = |value: &str, e: Errno| self.explained(name, value, e, hint(e));
        let file = self.open_for_writing(name).map_err(|e| failed(first, e))?;
        values.iter().try_for_each(|value| put(&file, value).map_err(|e| failed(value, e)))
    }

    /// The error of a refused value, with what it means where that is known.
    pub(crate) fn explained(
        &self,
        name: &str,
        value: &str,
        errno: Errno,
        hint: Option<&'static str>,
    ) -> Error {
        match hint {
            Some(hint) => {
                Error::Refused { path: self.file(name), value: value.into(), hint, source: errno.into() }
            }
            None => self.write_error(name, value, errno),
        }
    }

    pub(crate) fn write_error(&self, name: &str, value: &str, errno: Errno) -> Error {
        Error::Write { path: self.file(name), value: value.to_owned(), source: errno.into() }
    }

    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let failed = |e: Errno| Error::Read { path: self.file(name), source: e.into() };
        let file = rustix::fs::openat(&self.fd, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed)?;
        let mut bytes = vec![0; 4096];
        let mut filled = 0;
        loop {
            match rustix::io::read(&file, &mut bytes[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(Errno::INTR) => {}
                Err(e) => return Err(failed(e)),
            }
            if filled == bytes.len() {
                bytes.resize(filled * 2, 0);
            }
        }
        bytes.truncate(filled);
        String::from_utf8(bytes).map_err(|e| Error::Parse {
            path: self.file(name),
            text: String::from_utf8_lossy(e.as_bytes()).into_owned(),
        })
    }

    /// `None` when the file is not there, or its group is gone.
    pub(crate) fn read_if_there(&self, name: &str) -> Result<Option<String>> {
        match self.read(name) {
            Ok(text) => Ok(Some(text)),
            Err(Error::Read { source, .. }) if gone(&source) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The one number in a file; `None` when the file is not there.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>> {
        self.number_or_max(name).map(Option::flatten)
    }

    /// The one number in a file, the inner `None` for the word `max`.
    pub(crate) fn number_or_max(&self, name: &str) -> Result<Option<Option<u64>>> {
        let Some(text) = self.read_if_there(name)? else { return Ok(None) };
        match text.trim() {
            "max" => Ok(Some(None)),
            number => number
                .parse()
                .map(|n| Some(Some(n)))
                .map_err(|_| Error::Parse { path: self.file(name), text: text.clone() }),
        }
    }

    /// The names of the groups directly below.
    pub(crate) fn children(&self) -> Result<Vec<String>> {
        self.entries(FileType::Directory)
    }

    /// The names of the group's own files.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        self.entries(FileType::RegularFile)
    }

    fn entries(&self, wanted: FileType) -> Result<Vec<String>> {
        let failed = |e: Errno| Error::Read { path: self.path.clone(), source: e.into() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, ".", flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NODEV) => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type() != wanted {
                continue;
            }
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    /// The directory of a group directly below, `None` when it has gone since.
    pub(crate) fn child(&self, name: &str) -> Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(name) })),
            Err(Errno::NOENT | Errno::NODEV) => Ok(None),
            Err(e) => Err(Error::Open { path: self.path.join(name), source: e.into() }),
        }
    }
}

/// A temporary folder that stands for a group, with the given files.
/// A value is one write at the beginning, however many came before it.
fn put(file: &OwnedFd, value: &str) -> std::result::Result<(), Errno> {
    loop {
        match rustix::io::pwrite(file, value.as_bytes(), 0) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
pub(crate) fn fake(files: &[(&str, &str)]) -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let dir = Dir::open_existing(folder.path().to_owned()).unwrap();
    (folder, dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_reads_long_files_and_numbers() {
        let long = "12345\n".repeat(3000);
        let (_folder, dir) = fake(&[("long", &long), ("max", "max\n"), ("n", "42\n"), ("odd", "x\n")]);
        assert_eq!(dir.read("long").unwrap(), long);
        assert_eq!(dir.number("n").unwrap(), Some(42));
        assert_eq!(dir.number("absent").unwrap(), None);
        assert_eq!(dir.number_or_max("max").unwrap(), Some(None));
        assert!(matches!(dir.number("odd"), Err(Error::Parse { .. })));
        assert!(dir.has("n") && !dir.has("absent"));
    }

    #[test]
    fn pure_writes_name_file_and_value() {
        let (folder, dir) = fake(&[("n", "")]);
        dir.write("n", "7").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("n")).unwrap(), "7");
        let error = dir.write("absent", "7").unwrap_err();
        assert!(error.is_not_found());
        assert!(error.to_string().contains("\"7\" to ") && error.to_string().ends_with("/absent"), "{error}");
        assert!(!folder.path().join("absent").exists(), "a write must never make a file");
    }

    #[test]
    fn pure_children_are_directories() {
        let (folder, dir) = fake(&[("file", "")]);
        std::fs::create_dir(folder.path().join("a")).unwrap();
        assert_eq!(dir.children().unwrap(), ["a"]);
        assert_eq!(dir.files().unwrap(), ["file"]);
        assert!(dir.child("a").unwrap().is_some());
        assert!(dir.child("b").unwrap().is_none());
        assert!(Dir::open(folder.path().join("b")).unwrap().is_none());
    }
}
