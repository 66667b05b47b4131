//! The files of a log, read one after the other while they are being put away.

use super::tail;
use crate::error::{Error, Result};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// As many files as any container keeps, and one that is on its way.
const MOST: u32 = super::options::MOST_FILES + 1;

const BUFFER: usize = 64 * 1024;

/// A log as one stream of lines.
pub(super) struct Reader {
    folder: Folder,
    open: Option<Open>,
    /// Bytes that were dropped before they could be read.
    missed: u64,
}

struct Open {
    file: BufReader<File>,
    inode: u64,
    line: Vec<u8>,
    /// The line that was given last is still in `line`.
    given: bool,
}

impl Reader {
    /// From the beginning, but for files that were last written before a moment.
    pub(super) fn all(path: &Path, since: Option<SystemTime>) -> Result<Self> {
        let mut reader = Self { folder: Folder::of(path)?, open: None, missed: 0 };
        let wanted = |meta: &Metadata| {
            since.is_none_or(|since| meta.modified().is_ok_and(|modified| modified >= since))
        };
        for (number, _) in reader.folder.files()?.into_iter().rev() {
            let Some(open) = reader.folder.open(number)? else { continue };
            // The newest is wanted always: it may still grow.
            if number == 0 || open.metadata().is_ok_and(|meta| wanted(&meta)) {
                reader.open = Some(reader.folder.opened(open, 0)?);
                break;
            }
        }
        Ok(reader)
    }

    /// From the last lines on.
    pub(super) fn last(path: &Path, lines: usize) -> Result<Self> {
        let folder = Folder::of(path)?;
        let mut newest_first = Vec::new();
        for (number, _) in folder.files()? {
            newest_first.extend(folder.open(number)?.map(|file| (folder.path(number), file)));
        }
        let open = match tail::start(&newest_first, lines)? {
            Some((index, offset)) => Some(folder.opened(newest_first.swap_remove(index).1, offset)?),
            None => None,
        };
        Ok(Self { folder, open, missed: 0 })
    }

    /// How much was dropped before it could be read, at least a byte where that is not known.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    /// The next line, without its line feed; `None` when there is no whole one now.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>> {
        loop {
            if self.open.is_none() {
                let Some((oldest, _)) = self.folder.files()?.pop() else { return Ok(None) };
                self.open = self.folder.open_whole(oldest)?;
            }
            if self.read()? {
                break;
            }
            // It was put away when another has its name. What was written before that is read first.
            let Some(open_file) = &self.open else { return Ok(None) };
            let all = self.folder.files()?;
            let (newer, gone) = match all.iter().position(|(_, inode)| *inode == open_file.inode) {
                Some(0) => return Ok(None),
                Some(index) => (all.into_iter().nth(index - 1), false),
                None => (all.into_iter().next_back(), true),
            };
            if self.read()? {
                break;
            }
            let Some((number, inode)) = newer else { return Ok(None) };
            let next = match self.folder.open_whole(number)? {
                Some(next) if next.inode == inode => next,
                // It has moved on again: the next look finds it.
                _ => continue,
            };
            if gone && let Some(last) = &self.open {
                self.missed = self.missed.saturating_add(between(last, &next));
            }
            self.open = Some(next);
        }
        Ok(self.open.as_ref().map(|open| &open.line[..open.line.len() - 1]))
    }

    /// Reads on to the end of a line; `false` when the file ends before.
    fn read(&mut self) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        if std::mem::take(&mut open.given) {
            open.line.clear();
        }
        open.file
            .read_until(b'\n', &mut open.line)
            .map_err(|source| Error::file("read", &self.folder.log, source))?;
        open.given = open.line.ends_with(b"\n");
        Ok(open.given)
    }
}

/// How many bytes were written after one file and before another, which says that as the monitor does; 1 where neither is known.
fn between(last: &Open, next: &Open) -> u64 {
    let end = before(last).and_then(|before| Some(before + last.file.get_ref().metadata().ok()?.len()));
    match (end, before(next)) {
        (Some(end), Some(begin)) => begin.saturating_sub(end),
        _ => 1,
    }
}

/// What the monitor notes of a file: how much was written before it. The very first has no such note.
fn before(open: &Open) -> Option<u64> {
    let mut text = [0; 32];
    match rustix::fs::fgetxattr(open.file.get_ref(), "user.tinyd.before", &mut text) {
        Ok(length) => std::str::from_utf8(text.get(..length)?).ok()?.parse().ok(),
        Err(rustix::io::Errno::NODATA) => Some(0),
        Err(_) => None,
    }
}

/// Where the files of a log are: by a descriptor, for a container that removes itself takes its folder away by a rename while its last
/// lines are still to be read.
struct Folder {
    log: PathBuf,
    folder: Option<OwnedFd>,
}

impl Folder {
    fn of(log: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match rustix::fs::open(log.parent().unwrap_or(log), flags, Mode::empty()) {
            Ok(folder) => Some(folder),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(Error::file("open the folder of", log, errno)),
        };
        Ok(Self { log: log.to_owned(), folder })
    }

    /// The newest file is number 0.
    fn path(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.log.clone();
        }
        let mut name = self.log.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    /// Those that there are, newest first, with their inodes.
    fn files(&self) -> Result<Vec<(u32, u64)>> {
        let mut found = Vec::new();
        let Some(folder) = &self.folder else { return Ok(found) };
        for number in 0..MOST {
            let path = self.path(number);
            match rustix::fs::statat(folder, path.file_name().unwrap_or_default(), AtFlags::SYMLINK_NOFOLLOW)
            {
                Ok(meta) => found.push((number, meta.st_ino)),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::file("look at", path, errno)),
            }
        }
        Ok(found)
    }

    fn open(&self, number: u32) -> Result<Option<File>> {
        let path = self.path(number);
        let Some(folder) = &self.folder else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(folder, path.file_name().unwrap_or_default(), flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::file("open", path, errno)),
        }
    }

    fn open_whole(&self, number: u32) -> Result<Option<Open>> {
        self.open(number)?.map(|file| self.opened(file, 0)).transpose()
    }

    fn opened(&self, mut file: File, offset: u64) -> Result<Open> {
        let failed = |source| Error::file("read", &self.log, source);
        let inode = file.metadata().map_err(failed)?.ino();
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        Ok(Open { file: BufReader::with_capacity(BUFFER, file), inode, line: Vec::new(), given: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn next(reader: &mut Reader) -> Option<String> {
        reader.next_line().unwrap().map(|line| String::from_utf8(line.to_vec()).unwrap())
    }

    #[test]
    fn pure_a_reader_that_lags_finds_the_next_file() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        fs::write(&log, "a\n").unwrap();
        let mut reader = Reader::all(&log, None).unwrap();
        assert_eq!(next(&mut reader).as_deref(), Some("a"));
        assert_eq!(next(&mut reader), None);
        // Put away twice while nobody read.
        fs::write(&log, "a\nb\n").unwrap();
        fs::rename(&log, place.path().join("log.2")).unwrap();
        fs::write(place.path().join("log.1"), "c\n").unwrap();
        fs::write(&log, "d\npart").unwrap();
        assert_eq!(next(&mut reader).as_deref(), Some("b"));
        assert_eq!(next(&mut reader).as_deref(), Some("c"));
        assert_eq!(next(&mut reader).as_deref(), Some("d"));
        assert_eq!(next(&mut reader), None);
        let whole = fs::OpenOptions::new().append(true).open(&log).unwrap();
        std::io::Write::write_all(&mut &whole, b"ial\n").unwrap();
        assert_eq!(next(&mut reader).as_deref(), Some("partial"));
        // Its file is thrown away altogether: the oldest that is left comes next.
        fs::remove_file(&log).unwrap();
        fs::remove_file(place.path().join("log.2")).unwrap();
        fs::remove_file(place.path().join("log.1")).unwrap();
        fs::write(place.path().join("log.1"), "e\n").unwrap();
        fs::write(&log, "f\n").unwrap();
        assert_eq!(next(&mut reader).as_deref(), Some("e"));
        assert_eq!(next(&mut reader).as_deref(), Some("f"));
    }

    #[test]
    fn pure_files_from_before_a_moment_are_not_read() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        fs::write(&log, "new\n").unwrap();
        let old = fs::File::create(place.path().join("log.1")).unwrap();
        std::io::Write::write_all(&mut &old, b"old\n").unwrap();
        old.set_modified(std::time::UNIX_EPOCH).unwrap();
        let since = SystemTime::now() - std::time::Duration::from_secs(3600);
        assert_eq!(next(&mut Reader::all(&log, Some(since)).unwrap()).as_deref(), Some("new"));
        assert_eq!(next(&mut Reader::all(&log, None).unwrap()).as_deref(), Some("old"));
    }
}
