//! Finds where the last lines of a log begin, from its end, in blocks: a log's size does not matter.

use super::record::{HEADER, Piece};
use crate::error::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

const BLOCK: u64 = 64 * 1024;

/// Which file, and from which byte on. The files are given newest first; `None` when there are none.
pub(super) fn start(files: &[(PathBuf, File)], lines: usize) -> Result<Option<(usize, u64)>> {
    let mut search = Search { lines, seen: 0, any: false };
    let mut begin = None;
    for (index, (path, file)) in files.iter().enumerate() {
        let (offset, done) = search.file(file).map_err(|source| Error::file("read", path, source))?;
        // An older file without a line of interest leaves the beginning where it was.
        if !done || offset.is_some() || begin.is_none() {
            begin = Some((index, offset.unwrap_or(0)));
        }
        if done {
            break;
        }
    }
    Ok(begin)
}

struct Search {
    lines: usize,
    /// Lines found so far.
    seen: usize,
    /// A record was found: those before it that do not end a line belong to a line that is counted already.
    any: bool,
}

impl Search {
    /// Goes backwards through a file. Returns where the wanted part of it begins, `None` when nothing of it is wanted, and
    /// whether all lines are found.
    fn file(&mut self, file: &File) -> std::io::Result<(Option<u64>, bool)> {
        let length = file.metadata()?.len();
        // The end of the record that is looked at, and where the wanted part begins.
        let (mut end, mut begin) = (None, None);
        let mut block_end = length;
        let mut block = Vec::new();
        while block_end > 0 {
            let block_begin = block_end.saturating_sub(BLOCK);
            // A little more than the block: the headers of the records that begin at its end.
            let wanted = (block_end - block_begin) + HEADER as u64;
            block.resize(usize::try_from(wanted.min(length - block_begin)).unwrap_or(0), 0);
            file.read_exact_at(&mut block, block_begin)?;
            let inside = usize::try_from(block_end - block_begin).unwrap_or(0);
            for at in (0..inside).rev().filter(|&at| block[at] == b'\n') {
                let next = block_begin + at as u64 + 1;
                if end.is_some() && self.stops(&block[at + 1..]) {
                    return Ok((begin, true));
                }
                if end.is_some() {
                    begin = Some(next);
                } else if self.lines == 0 {
                    return Ok((Some(next), true));
                }
                end = Some(next);
            }
            block_end = block_begin;
        }
        // The first record of a file has no line feed before it.
        if end.is_some() {
            let mut header = vec![0; usize::try_from(length.min(HEADER as u64)).unwrap_or(0)];
            file.read_exact_at(&mut header, 0)?;
            if self.stops(&header) {
                return Ok((begin, true));
            }
            begin = Some(0);
        }
        Ok((begin, false))
    }

    /// Whether the record that begins here ends a line that is one too many.
    fn stops(&mut self, record: &[u8]) -> bool {
        let full = Piece::parse(&record[..record.len().min(HEADER)]).is_some_and(|piece| piece.full);
        // The very last record makes a line even without its end.
        let ends = full || !self.any;
        if ends && self.seen == self.lines {
            return true;
        }
        self.any = true;
        self.seen += usize::from(ends);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::rfc3339;
    use std::fs;

    fn text(pieces: &[(char, &str)]) -> String {
        pieces.iter().map(|(flag, text)| format!("{} stdout {flag} {text}\n", rfc3339(0))).collect()
    }

    /// What is read of files, newest first, from where the last lines begin.
    fn tail(files: &[String], lines: usize) -> String {
        let place = tempfile::tempdir().unwrap();
        let open: Vec<(PathBuf, File)> = files
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let path = place.path().join(index.to_string());
                fs::write(&path, text).unwrap();
                (path.clone(), File::open(path).unwrap())
            })
            .collect();
        let Some((index, offset)) = start(&open, lines).unwrap() else { return String::new() };
        let first = files[index][usize::try_from(offset).unwrap()..].to_owned();
        files[..index].iter().rev().fold(first, |all, file| all + file)
    }

    #[test]
    fn pure_pieces_belong_to_their_line() {
        let pieces =
            [('F', "a"), ('P', "b1"), ('P', "b2"), ('F', "b3"), ('F', "c"), ('P', "d1"), ('P', "d2")];
        let file = [text(&pieces)];
        assert_eq!(tail(&file, 0), "");
        assert_eq!(tail(&file, 1), text(&pieces[5..]));
        assert_eq!(tail(&file, 2), text(&pieces[4..]));
        assert_eq!(tail(&file, 3), text(&pieces[1..]));
        assert_eq!(tail(&file, 4), text(&pieces));
        assert_eq!(tail(&file, 5), text(&pieces));
    }

    #[test]
    fn pure_lines_over_files_and_blocks() {
        let long = "x".repeat(50_000);
        let older: Vec<(char, &str)> = vec![('F', "a"), ('F', &long), ('P', "c1")];
        let newer: Vec<(char, &str)> = vec![('P', &long), ('F', "c3"), ('F', &long), ('F', "e")];
        let files = [text(&newer), text(&older)];
        let all: Vec<(char, &str)> = older.iter().chain(&newer).copied().collect();
        for (lines, from) in [(0, 7), (1, 6), (2, 5), (3, 2), (4, 1), (5, 0), (6, 0)] {
            assert!(tail(&files, lines) == text(&all[from..]), "{lines} lines");
        }
        assert_eq!(tail(&[], 3), "");
        assert_eq!(tail(&[String::new()], 3), "");
        assert_eq!(tail(&[String::new(), text(&[('F', "a"), ('F', "b")])], 1), text(&[('F', "b")]));
    }
}
