//! The log of a container: one record a line, `TIME STREAM FLAG TEXT`, as Kubernetes' container runtimes write it. The flag
//! is `F` where a line feed ended the text, `P` where it goes on in the next record of the stream. Files are put away when
//! they are full, and only so many are kept.

use super::clock;
use super::streams::Source;
use crate::LogSpec;
use crate::state::{self, LOG_LOST_FILE, LostOutput};
use rustix::fs::XattrFlags;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest text of a record: readers need not keep more in memory.
const MAX_TEXT: usize = 16 * 1024;
/// How often at most it is written down how much was lost.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Writes a log.
///
/// Nobody waits for it but the command's own output. What cannot be written, for want of room or whatever else, is let go and
/// counted: [`LostOutput`] in the folder of run-time state says how much that was.
pub(crate) struct LogWriter {
    path: PathBuf,
    max_bytes: u64,
    max_files: u32,
    /// Opened with the first record: many commands write nothing.
    file: Option<Open>,
    /// How many bytes all files hold that were put away.
    before: Option<u64>,
    lost: Lost,
}

struct Open {
    file: File,
    size: u64,
    /// How many bytes were written before its first.
    before: u64,
}

struct Lost {
    path: PathBuf,
    bytes: u64,
    told: Option<(u64, Instant)>,
}

impl LogWriter {
    pub(crate) fn new(spec: &LogSpec, run_dir: &Path) -> Self {
        Self {
            path: spec.path.clone(),
            max_bytes: spec.max_bytes,
            max_files: spec.max_files.max(1),
            file: None,
            before: None,
            lost: Lost { path: run_dir.join(LOG_LOST_FILE), bytes: 0, told: None },
        }
    }

    /// Adds what a stream brought. A log that cannot be written does not stop the command: what does not fit is lost.
    pub(crate) fn write(&mut self, source: Source, bytes: &[u8]) {
        let records = Records::of(&clock::rfc3339(clock::now_ns()), source, bytes);
        let (mut rest, mut was_full) = (0, false);
        while rest < records.ends.len() {
            match self.append(&records, rest) {
                Ok(next) if next > rest => (rest, was_full) = (next, false),
                Ok(_) if !was_full => was_full = true,
                // It cannot be written, or not put away either.
                Ok(_) | Err(_) => {
                    self.lost.count(records.texts[rest..].iter().sum());
                    return;
                }
            }
        }
    }

    /// Writes down what was lost, where that is not done.
    pub(crate) fn finish(&mut self) {
        self.lost.tell(true);
    }

    /// Writes as many records from this one on as the file has room for, and gives the first that is left.
    fn append(&mut self, records: &Records, from: usize) -> std::io::Result<usize> {
        let begin = if from == 0 { 0 } else { records.ends[from - 1] };
        let length = |until: usize| (records.ends[until] - begin) as u64;
        if let Some(open) = &self.file
            && open.size > 0
            && open.size + length(from) > self.max_bytes
        {
            self.before = Some(open.before + open.size);
            self.file = None;
            self.rotate();
        }
        let open = match &mut self.file {
            Some(open) => open,
            None => self.file.insert(open(&self.path, self.before)?),
        };
        if open.size > 0 && open.size + length(from) > self.max_bytes {
            // It was there, and is full.
            return Ok(from);
        }
        let room = self.max_bytes.saturating_sub(open.size);
        let fitting = records.ends[from..].partition_point(|end| (end - begin) as u64 <= room);
        let until = from + fitting.max(1);
        if let Err(error) = open.file.write_all(&records.bytes[begin..records.ends[until - 1]]) {
            // A record that was written in part would swallow the next one.
            let _ = open.file.set_len(open.size);
            return Err(error);
        }
        open.size += length(until - 1);
        Ok(until)
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

impl Lost {
    fn count(&mut self, bytes: u64) {
        if self.bytes == 0 {
            // What another monitor before this one had lost.
            let known = state::load::<LostOutput>(&self.path).ok().flatten();
            self.bytes = known.map_or(0, |known| known.bytes);
        }
        self.bytes += bytes;
        self.tell(false);
    }

    fn tell(&mut self, last: bool) {
        let due = match self.told {
            None => self.bytes > 0,
            Some((told, when)) => told < self.bytes && (last || when.elapsed() >= TELL_EVERY),
        };
        if due {
            // Where there is no room for it either it is tried again.
            let _ = state::store(&self.path, &LostOutput { bytes: self.bytes }, false);
            self.told = Some((self.bytes, Instant::now()));
        }
    }
}

/// The attribute of a log's file with the number of bytes that were written before its first: whoever reads on after a file that
/// has gone knows by it how much is missing. Not every file system has such attributes.
const BEFORE: &str = "user.tinyd.before";

/// `before` is what the files hold that were put away; `None` where only the file itself can know.
fn open(path: &Path, before: Option<u64>) -> std::io::Result<Open> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).open(path)?;
    let mut size = file.metadata()?.len();
    let before = match before {
        Some(before) if size == 0 => {
            let _ = rustix::fs::fsetxattr(&file, BEFORE, before.to_string().as_bytes(), XattrFlags::empty());
            before
        }
        _ if size == 0 => 0,
        _ => {
            let mut text = [0; 32];
            let length = rustix::fs::fgetxattr(&file, BEFORE, &mut text).unwrap_or(0);
            std::str::from_utf8(&text[..length]).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        }
    };
    // A monitor that was killed while it wrote may have left a piece of a record, which must not swallow the next one.
    let mut last = [b'\n'];
    if size > 0 && file.read_at(&mut last, size - 1)? == 1 && last != *b"\n" {
        file.write_all(b"\n")?;
        size += 1;
    }
    Ok(Open { file, size, before })
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Records one after the other.
struct Records {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// How many bytes of the command are in each.
    texts: Vec<u64>,
}

impl Records {
    fn of(time: &str, source: Source, bytes: &[u8]) -> Self {
        let stream = match source {
            Source::Stdout => "stdout",
            Source::Stderr => "stderr",
        };
        let mut records =
            Self { bytes: Vec::with_capacity(bytes.len() + 64), ends: Vec::new(), texts: Vec::new() };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = line.strip_suffix(b"\n").map_or((line, false), |text| (text, true));
            let mut pieces = text.chunks(MAX_TEXT).peekable();
            loop {
                let piece = pieces.next().unwrap_or_default();
                let last = pieces.peek().is_none();
                let flag = if last && ended { 'F' } else { 'P' };
                // Writing to a vector cannot fail.
                let _ = write!(records.bytes, "{time} {stream} {flag} ");
                records.bytes.extend_from_slice(piece);
                records.bytes.push(b'\n');
                records.ends.push(records.bytes.len());
                records.texts.push(piece.len() as u64 + u64::from(flag == 'F'));
                if last {
                    break;
                }
            }
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(Records::of("T", Source::Stderr, bytes).bytes).unwrap()
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
        LogWriter::new(&LogSpec { path: path.clone(), max_bytes: 1000, max_files: 1 }, folder.path())
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
        let mut log =
            LogWriter::new(&LogSpec { path: path.clone(), max_bytes: 100, max_files: 3 }, folder.path());
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

    #[test]
    fn however_much_comes_at_once_no_file_grows_beyond_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let spec = LogSpec { path: path.clone(), max_bytes: 1000, max_files: 4 };
        let mut log = LogWriter::new(&spec, folder.path());
        let text: String = (0..500).map(|number| format!("{number}\n")).collect();
        log.write(Source::Stdout, text.as_bytes());
        let files = [numbered(&path, 3), numbered(&path, 2), numbered(&path, 1), path];
        let mut numbers = Vec::new();
        let mut before = None;
        for file in &files {
            let text = fs::read_to_string(file).unwrap();
            assert!(text.len() <= 1000, "{} bytes", text.len());
            numbers.extend(text.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()));
            // Where the file system has attributes each says how much was written before it.
            let mut said = [0; 32];
            if let Ok(length) = rustix::fs::getxattr(file, BEFORE, &mut said) {
                let said: u64 = std::str::from_utf8(&said[..length]).unwrap().parse().unwrap();
                assert!(before.is_none_or(|before| before == said), "{before:?} {said}");
                before = Some(said + text.len() as u64);
            }
        }
        assert_eq!(numbers, (500 - u32::try_from(numbers.len()).unwrap()..500).collect::<Vec<_>>());
        assert!(numbers.len() > 60);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        // A folder is no file.
        let path = folder.path().join("log");
        fs::create_dir(&path).unwrap();
        let spec = LogSpec { path, max_bytes: 1000, max_files: 1 };
        let lost = || {
            let known: Option<LostOutput> = state::load(&folder.path().join(LOG_LOST_FILE)).unwrap();
            known.map_or(0, |known| known.bytes)
        };
        let mut log = LogWriter::new(&spec, folder.path());
        log.finish();
        assert_eq!(lost(), 0);
        log.write(Source::Stdout, b"12\n45");
        assert_eq!(lost(), 5);
        log.write(Source::Stderr, b"678\n");
        log.finish();
        assert_eq!(lost(), 9);
        // The next monitor goes on counting.
        let mut log = LogWriter::new(&spec, folder.path());
        log.write(Source::Stdout, b"x");
        assert_eq!(lost(), 10);
    }
}
