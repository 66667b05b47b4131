use super::build::{archive, file};
use super::*;
use crate::listing::make_everything;
use crate::mount::DetachedMount;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::io::Write;

/// Cut anywhere, an archive is never taken for a whole one.
#[test]
fn root_an_archive_that_is_cut_off_is_an_error() {
    if !is_root() {
        return;
    }
    let whole = archive(&[file("a", "first").bytes(), file("b", "second").bytes()]);
    let (_folder, _, to) = two();
    // The second of the two empty blocks may be missing; the first may not.
    let enough = whole.len() - 512;
    for length in 0..enough {
        let problem = problem(unpacked(&whole[..length], &to, &faithful()));
        assert!(matches!(problem, Problem::Truncated), "{length}: {problem:?}");
    }
    assert!(unpacked(&whole[..enough], &to, &faithful()).is_ok());
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (_folder, from, to) = two();
        make_everything(&from);
        fs::remove_file(from.join("large")).unwrap();
        let (bytes, _) = packed(&from, &Pack { compression, ..Pack::default() });
        // The end of it is checksums and marks: without them it may be another one.
        let lengths = (0..bytes.len()).step_by(bytes.len() / 20).chain(bytes.len() - 20..bytes.len());
        for length in lengths {
            let problem = problem(unpacked(&bytes[..length], &to, &faithful()));
            let bad_start = length < 6 && matches!(problem, Problem::Checksum);
            assert!(
                matches!(problem, Problem::Truncated) || bad_start,
                "{compression:?} {length}: {problem:?}"
            );
        }
        // Both have a checksum near their end.
        let mut hurt = bytes.clone();
        hurt[bytes.len() - 2] ^= 0x10;
        assert!(unpacked(&hurt, &to, &faithful()).is_err(), "{compression:?}: its checksum is not looked at");
    }
}

#[test]
fn root_a_full_file_system_is_told_with_the_entry() {
    if !is_root() {
        return;
    }
    let (_folder, from, _) = two();
    fs::create_dir(from.join("a")).unwrap();
    fs::write(from.join("a/large"), vec![1; 300 << 10]).unwrap();
    let (bytes, _) = packed(&from, &Pack::default());
    let tmpfs = DetachedMount::new(c"tmpfs", [(c"size", c"64k")], MountAttrFlags::empty()).unwrap();
    let error = unpack(&bytes[..], tmpfs.as_fd(), &faithful()).unwrap_err();
    assert!(error.to_string().ends_with(", a/large"), "{error}");
    assert_eq!(error.io().unwrap().raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    // And a full disk on the way out: by a sink, as a file on a full file system is one.
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let sink = File::options().write(true).open("/dev/full").unwrap();
        let options = Pack { compression, ..Pack::default() };
        let error = pack(File::open(&from).unwrap().as_fd(), &[], sink, &options).unwrap_err();
        let Error::Archive { problem: Problem::Write(source), .. } = error else { panic!("{error:?}") };
        assert_eq!(source.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    }
}

#[test]
fn root_the_way_down_is_told() {
    if !is_root() {
        return;
    }
    let (_folder, _, to) = two();
    let whole = archive(&[file("a", "first").bytes(), file("b", "second").bytes()]);
    let error = unpacked(&whole[..1600], &to, &faithful()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(error.to_string(), "archive, at byte 1600, b");
    assert!(source.to_string().starts_with("the archive is cut off here"), "{source}");
}

/// A sink that lets the file be changed while it is packed.
struct Meanwhile<F: FnMut()>(F);

impl<F: FnMut()> Write for Meanwhile<F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (self.0)();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn root_a_file_that_is_changed_meanwhile_is_told() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    fs::write(from.join("log"), vec![b'x'; 2 << 20]).unwrap();
    let mut bytes = Vec::new();
    for shrink in [true, false] {
        let file = File::options().write(true).open(from.join("log")).unwrap();
        let change = || file.set_len(if shrink { 1 << 20 } else { 3 << 20 }).unwrap();
        let sink = Meanwhile(change);
        let summary = pack(File::open(&from).unwrap().as_fd(), &[], sink, &Pack::default()).unwrap();
        assert_eq!(summary.left_out, [LeftOut { path: "log".into(), why: Why::Changed }]);
    }
    // What is written is an archive all the same.
    let file = File::options().write(true).open(from.join("log")).unwrap();
    let mut sink = Vec::new();
    {
        struct Both<'a>(&'a mut Vec<u8>, &'a File);
        impl Write for Both<'_> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.1.set_len(1 << 20)?;
                self.0.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        pack(File::open(&from).unwrap().as_fd(), &[], Both(&mut sink, &file), &Pack::default()).unwrap();
    }
    bytes.append(&mut sink);
    unpacked(&bytes, &to, &faithful()).unwrap();
    assert_eq!(fs::metadata(to.join("log")).unwrap().len(), 3 << 20, "as long as its header says");
}
