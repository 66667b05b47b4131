//! The log of a container: one record a line, `TIME STREAM FLAG TEXT`, as Kubernetes' container runtimes write it. The flag
//! is `F` where a line feed ended the text, `P` where it goes on in the next record of the stream. Files are put away when
//! they are full, and only so many are kept.

use super::clock;
use super::streams::Source;
use crate::LogSpec;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The longest text of a record: readers need not keep more in memory.
const MAX_TEXT: usize = 16 * 1024;

/// Writes a log.
pub(crate) struct LogWriter {
    path: PathBuf,
    max_bytes: u64,
    max_files: u32,
    /// Opened with the first record: many commands write nothing.
    file: Option<(File, u64)>,
}

impl LogWriter {
    pub(crate) fn new(spec: &LogSpec) -> Self {
        Self {
            path: spec.path.clone(),
            max_bytes: spec.max_bytes,
            max_files: spec.max_files.max(1),
            file: None,
        }
    }

    /// Adds what a stream brought. A log that cannot be written does not stop the command: what does not fit is lost.
    pub(crate) fn write(&mut self, source: Source, bytes: &[u8]) {
        let records = records(&clock::rfc3339(clock::now_ns()), source, bytes);
        let _ = self.append(&records);
    }

    fn append(&mut self, records: &[u8]) -> std::io::Result<()> {
        let length = records.len() as u64;
        if let Some((_, size)) = &self.file
            && *size > 0
            && size + length > self.max_bytes
        {
            self.file = None;
            self.rotate();
        }
        let (file, size) = match &mut self.file {
            Some(open) => open,
            None => self.file.insert(open(&self.path)?),
        };
        if let Err(error) = file.write_all(records) {
            // A record that was written in part would swallow the next one.
            let _ = file.set_len(*size);
            return Err(error);
        }
        *size += length;
        Ok(())
    }

    /// `log` becomes `log.1`, that `log.2`, and so on; the last is dropped.
    fn rotate(&self) {
        for number in (1..self.max_files).rev() {
            let from = if number == 1 { self.path.clone() } else { numbered(&self.path, number - 1) };
            let _ = fs::rename(from, numbered(&self.path, number));
        }
        if self.max_files == 1 {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).open(path)?;
    let mut size = file.metadata()?.len();
    // A monitor that was killed while it wrote may have left a piece of a record, which must not swallow the next one.
    let mut last = [b'\n'];
    if size > 0 && file.read_at(&mut last, size - 1)? == 1 && last != *b"\n" {
        file.write_all(b"\n")?;
        size += 1;
    }
    Ok((file, size))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn records(time: &str, source: Source, bytes: &[u8]) -> Vec<u8> {
    let stream = match source {
        Source::Stdout => "stdout",
        Source::Stderr => "stderr",
    };
    let mut records = Vec::with_capacity(bytes.len() + 64);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (text, ended) = line.strip_suffix(b"\n").map_or((line, false), |text| (text, true));
        let mut pieces = text.chunks(MAX_TEXT).peekable();
        loop {
            let piece = pieces.next().unwrap_or_default();
            let last = pieces.peek().is_none();
            let flag = if last && ended { 'F' } else { 'P' };
            // Writing to a vector cannot fail.
            let _ = write!(records, "{time} {stream} {flag} ");
            records.extend_from_slice(piece);
            records.push(b'\n');
            if last {
                break;
            }
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(records("T", Source::Stderr, bytes)).unwrap()
    }

    #[test]
    fn lines_and_pieces_of_lines() {
        assert_eq!(text(b"one\ntwo\n"), "T stderr F one\nT stderr F two\n");
        assert_eq!(text(b"one\n\npart"), "T stderr F one\nT stderr F \nT stderr P part\n");
        let long = [&b"x".repeat(MAX_TEXT + 1)[..], b"\n"].concat();
        let written = text(&long);
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("T stderr P xx") && lines[1] == "T stderr F x");
    }

    #[test]
    fn a_torn_record_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "T stdout F one\nT std").unwrap();
        LogWriter::new(&LogSpec { path: path.clone(), max_bytes: 1000, max_files: 1 })
            .write(Source::Stdout, b"two\n");
        let written = fs::read_to_string(&path).unwrap();
        assert!(
            written.starts_with("T stdout F one\nT std\n") && written.ends_with(" stdout F two\n"),
            "{written}"
        );
    }

    #[test]
    fn full_files_are_put_away_and_only_so_many_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogWriter::new(&LogSpec { path: path.clone(), max_bytes: 100, max_files: 3 });
        for number in 0..20 {
            log.write(Source::Stdout, format!("line {number}\n").as_bytes());
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["log", "log.1", "log.2"]);
        assert!(fs::read_to_string(&path).unwrap().ends_with(" stdout F line 19\n"));
        assert!(fs::read_dir(folder.path()).unwrap().all(|e| e.unwrap().metadata().unwrap().len() <= 100));
    }
}
