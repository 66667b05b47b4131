//! What a machine tells its dynamic linker: `/etc/ld.so.cache` and `/etc/ld.so.conf` (ld.so(8), ldconfig(8)).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The format that glibc 2.2 and later read: magic number, version.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// The format before it, in front of which the newer one may lie.
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";

const HEADER: usize = 48;
const ENTRY: usize = 24;

/// How deep and how many files `include` leads; how many folders there may be.
const MAX_DEPTH: u32 = 8;
const MAX_FILES: usize = 256;
const MAX_FOLDERS: usize = 512;

/// The libraries of a cache: name and path, the preferred first. A cache that is not one has none.
pub(super) fn cache(bytes: &[u8]) -> Vec<(OsString, PathBuf)> {
    entries(bytes).unwrap_or_default()
}

fn entries(bytes: &[u8]) -> Option<Vec<(OsString, PathBuf)>> {
    let bytes = match bytes.strip_prefix(OLD_MAGIC) {
        Some(_) => {
            // Entries of 12 bytes follow a header of 16; then the newer format, on a multiple of 8.
            let end = usize::try_from(u32_at(bytes, 12)?).ok()?.checked_mul(12)?.checked_add(16)?;
            bytes.get(end.checked_next_multiple_of(8)?..)?
        }
        None => bytes,
    };
    bytes.strip_prefix(MAGIC)?;
    let count = usize::try_from(u32_at(bytes, MAGIC.len())?).ok()?;
    let table = bytes.get(HEADER..)?;
    let table = table.get(..count.checked_mul(ENTRY)?)?;
    let mut found = Vec::new();
    for entry in table.chunks_exact(ENTRY) {
        // Variants for better processors stand beside the plain ones, which run everywhere.
        if entry[16..24] != [0; 8] {
            continue;
        }
        let (name, path) = (text(bytes, u32_at(entry, 4)?)?, text(bytes, u32_at(entry, 8)?)?);
        found.push((name.to_owned(), PathBuf::from(path)));
    }
    Some(found)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    // The cache is the machine's own: in its own byte order.
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn text(bytes: &[u8], at: u32) -> Option<&OsStr> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let rest = &rest[..rest.len().min(4096)];
    Some(OsStr::from_bytes(&rest[..rest.iter().position(|byte| *byte == 0)?]))
}

/// A machine's files, as far as its configuration is read.
pub(super) trait Files {
    /// The text of a file, if it is one.
    fn read(&self, path: &Path) -> Option<Vec<u8>>;
    /// The names in a folder.
    fn list(&self, path: &Path) -> Vec<OsString>;
}

/// The folders that a configuration names, with what it includes.
pub(super) fn folders(files: &impl Files) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = MAX_FILES;
    read(files, Path::new("/etc/ld.so.conf"), 0, &mut left, &mut found);
    found
}

fn read(files: &impl Files, path: &Path, depth: u32, left: &mut usize, found: &mut Vec<PathBuf>) {
    if depth > MAX_DEPTH || *left == 0 {
        return;
    }
    *left -= 1;
    let Some(text) = files.read(path) else { return };
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match words.next() {
            None | Some(b"hwcap") => {}
            Some(b"include") => {
                for pattern in words {
                    let folder = path.parent().unwrap_or(Path::new("/"));
                    let pattern = folder.join(OsStr::from_bytes(pattern));
                    for path in matching(files, &pattern) {
                        read(files, &path, depth + 1, left, found);
                    }
                }
            }
            Some(_) => {
                // Folders may be separated by blanks, commas or colons, and have `=TYPE` behind them.
                let names = line.split(|byte| matches!(byte, b' ' | b'\t' | b',' | b':'));
                for name in names.filter_map(|name| name.split(|byte| *byte == b'=').next()) {
                    if name.first() == Some(&b'/') && found.len() < MAX_FOLDERS {
                        found.push(PathBuf::from(OsStr::from_bytes(name)));
                    }
                }
            }
        }
    }
}

/// The files that a pattern stands for. `*` and `?` count in its last component, which is where they are used.
fn matching(files: &impl Files, pattern: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else { return Vec::new() };
    if !name.as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?')) {
        return vec![pattern.to_owned()];
    }
    let mut names = files.list(folder);
    names.retain(|found| !found.as_bytes().starts_with(b".") && fits(name.as_bytes(), found.as_bytes()));
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Going back to the last `*` only, which is enough, and never takes longer than the product of both lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Fake(BTreeMap<&'static str, String>);

    impl Files for Fake {
        fn read(&self, path: &Path) -> Option<Vec<u8>> {
            self.0.get(path.to_str()?).map(|text| text.clone().into_bytes())
        }

        fn list(&self, path: &Path) -> Vec<OsString> {
            let inside = self.0.keys().map(Path::new).filter(|file| file.parent() == Some(path));
            inside.map(|file| file.file_name().unwrap().to_owned()).collect()
        }
    }

    #[test]
    fn configurations_include_others_in_order() {
        let text = |text: &str| text.to_owned();
        let files = Fake(BTreeMap::from([
            (
                "/etc/ld.so.conf",
                text("# first\n/opt/a /opt/b=libc6\ninclude ld.so.conf.d/*.conf # rest\nhwcap 1 x\n"),
            ),
            ("/etc/ld.so.conf.d/b.conf", text("/two\ninclude /etc/ld.so.conf\n")),
            ("/etc/ld.so.conf.d/a.conf", text("relative\n/one,/one/more\n")),
            ("/etc/ld.so.conf.d/a.conf.old", text("/no\n")),
        ]));
        let found = folders(&files);
        let start: Vec<_> =
            ["/opt/a", "/opt/b", "/one", "/one/more", "/two"].iter().map(PathBuf::from).collect();
        assert_eq!(found[..5], start);
        assert!(found.len() <= MAX_FOLDERS, "a file that includes itself has an end");
        assert!(!found.contains(&PathBuf::from("/no")));
        assert_eq!(folders(&Fake(BTreeMap::new())), Vec::<PathBuf>::new());
    }

    #[test]
    fn patterns() {
        for (pattern, name, fit) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.old", false),
            ("?*b*c", "aXbYbZc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a**", "a", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fit, "{pattern} {name}");
        }
        assert!(!fits("*a".repeat(2000).as_bytes(), "a".repeat(1999).as_bytes()));
    }

    /// A cache of one library.
    fn sample(hwcap: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(1u32.to_ne_bytes());
        bytes.resize(HEADER, 0);
        for value in [3u32, 72, 82, 0] {
            bytes.extend(value.to_ne_bytes());
        }
        bytes.extend(hwcap.to_ne_bytes());
        bytes.extend(b"libx.so.1\0/opt/libx.so.1\0");
        bytes
    }

    #[test]
    fn caches_old_and_new_are_read() {
        let expected = vec![(OsString::from("libx.so.1"), PathBuf::from("/opt/libx.so.1"))];
        assert_eq!(cache(&sample(0)), expected);
        assert_eq!(cache(&sample(1 << 62)), []);
        let mut old = OLD_MAGIC.to_vec();
        old.push(0);
        old.extend(1u32.to_ne_bytes());
        old.resize(32, 7);
        old.extend(sample(0));
        assert_eq!(cache(&old), expected);
    }

    #[test]
    fn caches_that_lie_have_no_libraries() {
        let good = sample(0);
        for length in 0..good.len() {
            assert_eq!(cache(&good[..length]), [], "{length}");
        }
        for at in 0..good.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                assert!(cache(&bad).len() <= 1);
            }
        }
        let mut old = OLD_MAGIC.to_vec();
        old.extend([0xff; 64]);
        assert_eq!(cache(&old), []);
    }
}
