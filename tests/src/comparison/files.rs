//! The files of `/proc` and `/sys`, and whether they can be opened.

use std::collections::BTreeMap;

/// What opening a file for reading and for writing gives. A file that is hidden (an empty file or folder is mounted over it)
/// gives neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// It can be opened for reading.
    pub read: bool,
    /// It can be opened for writing.
    pub write: bool,
}

impl Access {
    /// From the word `rw`, with `-` for what is not.
    pub fn from_word(word: &str) -> Option<Access> {
        let (read, write) = match word {
            "--" => (false, false),
            "r-" => (true, false),
            "-w" => (false, true),
            "rw" => (true, true),
            _ => return None,
        };
        Some(Access { read, write })
    }

    /// The word again.
    pub fn word(self) -> &'static str {
        match (self.read, self.write) {
            (false, false) => "--",
            (true, false) => "r-",
            (false, true) => "-w",
            (true, true) => "rw",
        }
    }

    /// Whether this lets something happen that the other does not.
    pub fn exceeds(self, other: Access) -> bool {
        (self.read && !other.read) || (self.write && !other.write)
    }
}

/// Paths with what can be done there. A path that ends with `/` stands for all below it that has no line of its own: so a
/// list of 14,000 files becomes one of some hundred, and one can be asked for files that it has never seen, of another
/// kernel or another machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Access>);

impl Files {
    pub(super) fn insert(&mut self, path: &str, access: Access) {
        self.0.insert(path.to_owned(), access);
    }

    /// The lines, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Access)> {
        self.0.iter().map(|(path, access)| (path.as_str(), *access))
    }

    /// What can be done at this path; `None` when neither it nor a folder above has a line.
    pub fn at(&self, path: &str) -> Option<Access> {
        if let Some(access) = self.0.get(path) {
            return Some(*access);
        }
        let mut above = path;
        while let Some(slash) = above.rfind('/') {
            // A folder that is hidden has a line without the slash.
            if let Some(access) = self.0.get(&above[..=slash]).or_else(|| self.0.get(&above[..slash])) {
                return Some(*access);
            }
            above = &above[..slash];
        }
        None
    }

    /// The same with few lines: what most files of a folder give stands for it, or most below where it has none of its own.
    #[must_use]
    pub fn compressed(&self) -> Files {
        // A second time, the majority would be one of lines and not of files.
        if self.0.keys().any(|path| path.ends_with('/')) {
            return self.clone();
        }
        let mut folders: BTreeMap<&str, [BTreeMap<Access, usize>; 2]> = BTreeMap::new();
        // What is hidden stands for itself alone.
        for (path, access) in self.iter().filter(|(_, access)| access.read || access.write) {
            for (slash, _) in path.match_indices('/').skip(1) {
                let is_in_it = !path[slash + 1..].contains('/');
                let counts = &mut folders.entry(&path[..=slash]).or_default()[usize::from(!is_in_it)];
                *counts.entry(access).or_default() += 1;
            }
        }
        let mut short = Files::default();
        // A folder comes before what is in it.
        for (folder, [own, below]) in &folders {
            let counts = if own.is_empty() { below } else { own };
            let most = counts.iter().max_by_key(|(_, count)| **count).map(|(access, _)| *access);
            if let Some(access) = most.filter(|access| short.at(folder) != Some(*access)) {
                short.insert(folder, access);
            }
        }
        for (path, access) in self.iter() {
            if short.at(path) != Some(access) {
                short.insert(path, access);
            }
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(lines: &[(&str, &str)]) -> Files {
        let mut files = Files::default();
        lines.iter().for_each(|(path, word)| files.insert(path, Access::from_word(word).unwrap()));
        files
    }

    #[test]
    fn a_short_list_says_of_each_path_what_the_long_one_says() {
        let long = files(&[
            ("/proc/acpi", "--"),
            ("/proc/cpuinfo", "rw"),
            ("/proc/sys/kernel/hostname", "r-"),
            ("/proc/sys/kernel/osrelease", "r-"),
            ("/proc/sys/net/core/x", "r-"),
            ("/proc/sys/net/core/secret", "--"),
            ("/proc/version", "rw"),
        ]);
        let short = long.compressed();
        assert!(short.iter().count() < long.iter().count(), "{short:?}");
        assert_eq!(short.compressed(), short);
        long.iter()
            .for_each(|(path, access)| assert_eq!(short.at(path), Some(access), "{path} in {short:?}"));
        // Of files that it has not seen, too.
        assert_eq!(short.at("/proc/sys/net/core/new").unwrap().word(), "r-");
        assert_eq!(short.at("/proc/acpi/wakeup").unwrap().word(), "--");
        assert_eq!(short.at("/sys/x"), None);
    }

    #[test]
    fn more_is_what_the_other_has_not() {
        let [none, read, both] = ["--", "r-", "rw"].map(|word| Access::from_word(word).unwrap());
        assert!(both.exceeds(read) && read.exceeds(none) && !none.exceeds(both) && !read.exceeds(read));
        assert_eq!(Access::from_word("rx"), None);
    }
}
