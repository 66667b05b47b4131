//! What is known of a network's containers: one file for each, named by its id. The first line has its addresses, the second its
//! names; each with spaces between them. Of what follows, each line begins with the word that says what it is (`text`); one that
//! has nothing to say is not there.

use super::lookup::Lookup;
use super::upstream::{self, SETTLED};
use crate::Prefix;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is known of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its addresses on the network.
    pub addresses: Vec<IpAddr>,
    /// Its names, the one that its addresses have first.
    pub names: Vec<String>,
    /// The ranges of the network: whoever serves another one asks nobody else whose an address in them is.
    pub ranges: Vec<Prefix>,
    /// How its own questions are answered.
    pub lookup: Lookup,
}

impl Entry {
    /// Writes the file of a container, at once or not at all.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&self, folder: &Path, container: &str) -> io::Result<PathBuf> {
        let [path, _, new] = places(folder, container);
        self.put(new, path)?.tell()
    }

    /// Writes what nobody is told yet. Whoever serves the names knows that there will be somebody, and does not end.
    ///
    /// # Errors
    /// The kernel's.
    pub fn prepare(&self, folder: &Path, container: &str) -> io::Result<Prepared> {
        let [path, soon, _] = places(folder, container);
        self.put(soon, path)
    }

    /// Writes the file of a container anew, where it says something else. One that is not there any more is that of a container
    /// that has ended.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rewrite(&self, folder: &Path, container: &str) -> io::Result<()> {
        let [path, _, _] = places(folder, container);
        match fs::read_to_string(path) {
            Ok(there) if there == self.text() => Ok(()),
            Ok(_) => self.write(folder, container).map(drop),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn put(&self, new: PathBuf, path: PathBuf) -> io::Result<Prepared> {
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&new, self.text())?;
        Ok(Prepared { new, path })
    }

    /// Takes the file of a container away, and what is left of one that was not written to its end.
    ///
    /// # Errors
    /// The kernel's; one that is not there is taken away.
    pub fn remove(folder: &Path, container: &str) -> io::Result<()> {
        places(folder, container).iter().try_for_each(|path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    pub(super) fn text(&self) -> String {
        let Lookup { search, servers, open } = &self.lookup;
        let mut text = format!("{}\n{}\n", words(&self.addresses), self.names.join(" "));
        if !self.ranges.is_empty() {
            text += &format!("ranges {}\n", words(&self.ranges));
        }
        if let Some(search) = search {
            text += &format!("search {}\n", search.join(" "));
        }
        if !servers.is_empty() {
            text += &format!("servers {}\n", words(servers));
        }
        if *open {
            text += "open\n";
        }
        text
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let words = |line: Option<&str>| -> Vec<String> {
            line.unwrap_or_default().split_ascii_whitespace().map(str::to_ascii_lowercase).collect()
        };
        let addresses = words(lines.next()).iter().map(|word| word.parse()).collect::<Result<_, _>>().ok()?;
        let mut entry = Self { addresses, names: words(lines.next()), ..Self::default() };
        for line in lines {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("ranges") => entry.ranges = words.filter_map(|word| word.parse().ok()).collect(),
                Some("search") => entry.lookup.search = Some(upstream::domains(words)),
                Some("servers") => {
                    entry.lookup.servers = words.filter_map(|word| word.parse().ok()).collect();
                }
                Some("open") => entry.lookup.open = true,
                // A later version's.
                _ => {}
            }
        }
        Some(entry)
    }
}

fn words(all: &[impl ToString]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The file of a container that can be reached soon.
#[derive(Debug)]
#[must_use = "nobody is told of it"]
pub struct Prepared {
    new: PathBuf,
    path: PathBuf,
}

impl Prepared {
    /// Lets the others know it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tell(self) -> io::Result<PathBuf> {
        fs::rename(&self.new, &self.path)?;
        Ok(self.path)
    }
}

/// What the name of a file ends with that is being written, and will take another's place.
const NEW: &str = ".new";

/// The file of a container; the one of a container to come; and where one is written anew.
fn places(folder: &Path, container: &str) -> [PathBuf; 3] {
    [container.to_owned(), format!(".{container}"), format!(".{container}{NEW}")]
        .map(|name| folder.join(name))
}

/// The names of a network, read again when a file came or went.
#[derive(Debug)]
pub struct Zone {
    folder: PathBuf,
    seen: Option<SystemTime>,
    by_name: BTreeMap<String, Vec<IpAddr>>,
    by_address: BTreeMap<IpAddr, String>,
    by_owner: BTreeMap<IpAddr, Owner>,
    ranges: Vec<Prefix>,
    empty: bool,
}

/// Who has an address.
#[derive(Debug)]
struct Owner {
    id: String,
    lookup: Lookup,
}

impl Zone {
    /// Those in a folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            seen: None,
            by_name: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_owner: BTreeMap::new(),
            ranges: Vec::new(),
            empty: true,
        }
    }

    /// The addresses of whoever has a name; several may share one.
    pub fn addresses(&mut self, name: &str) -> Option<&[IpAddr]> {
        self.refresh();
        self.by_name.get(name).map(Vec::as_slice)
    }

    /// The first name of whoever has an address.
    pub fn name(&mut self, address: IpAddr) -> Option<&str> {
        self.refresh();
        self.by_address.get(&address).map(String::as_str)
    }

    /// The id of whoever has an address.
    pub fn owner(&mut self, address: IpAddr) -> Option<&str> {
        self.refresh();
        self.by_owner.get(&address).map(|owner| owner.id.as_str())
    }

    /// How the questions are answered of whoever has an address.
    pub fn lookup(&mut self, address: IpAddr) -> Option<&Lookup> {
        self.refresh();
        self.by_owner.get(&address).map(|owner| &owner.lookup)
    }

    /// The ranges of the network, where somebody is on it.
    pub fn ranges(&mut self) -> &[Prefix] {
        self.refresh();
        &self.ranges
    }

    /// There is nobody, nor anybody to come.
    pub fn is_empty(&mut self) -> bool {
        self.refresh();
        self.empty
    }

    /// A folder's time changes whenever a file in it comes, is replaced or goes. The clock of a file system is coarse: what
    /// changed just now is read again until it is old enough to be told from the next change.
    fn refresh(&mut self) {
        let changed = fs::metadata(&self.folder).and_then(|folder| folder.modified()).ok();
        let settled = |at: SystemTime| at.elapsed().is_ok_and(|age| age > SETTLED);
        if changed.is_some() && changed == self.seen {
            return;
        }
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => Some(files),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // What cannot be read now is not empty.
            Err(_) => return self.seen = None,
        };
        self.seen = changed.filter(|at| settled(*at));
        self.by_name.clear();
        self.by_address.clear();
        self.by_owner.clear();
        self.ranges.clear();
        self.empty = true;
        for file in files.into_iter().flatten().flatten() {
            let name = file.file_name();
            let name = name.as_encoded_bytes();
            self.empty &= name.ends_with(NEW.as_bytes());
            if name.starts_with(b".") {
                continue;
            }
            let Some(entry) = fs::read_to_string(file.path()).ok().as_deref().and_then(Entry::parse) else {
                continue;
            };
            for address in &entry.addresses {
                let id = file.file_name().to_string_lossy().into_owned();
                self.by_owner.insert(*address, Owner { id, lookup: entry.lookup.clone() });
                if let Some(name) = entry.names.first() {
                    self.by_address.insert(*address, name.clone());
                }
            }
            for range in entry.ranges {
                if !self.ranges.contains(&range) {
                    self.ranges.push(range);
                }
            }
            for name in entry.names {
                self.by_name.entry(name).or_default().extend(&entry.addresses);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(addresses: &[&str], names: &[&str]) -> Entry {
        Entry {
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Entry::default()
        }
    }

    #[test]
    fn pure_a_file_says_how_its_containers_questions_are_answered_and_is_written_anew_for_that_alone() {
        let place = tempfile::tempdir().unwrap();
        let mut one = entry(&["10.0.0.2"], &["web"]);
        one.rewrite(place.path(), "aaaa").unwrap();
        assert!(!place.path().join("aaaa").exists(), "it has ended");
        one.write(place.path(), "aaaa").unwrap();
        let mut zone = Zone::in_folder(place.path());
        let address = one.addresses[0];
        assert_eq!(zone.lookup(address), Some(&Lookup::default()));
        one.ranges = vec!["10.0.0.0/24".parse().unwrap()];
        one.lookup = Lookup {
            search: Some(vec!["Corp.Example.".to_owned(), ".".to_owned()]),
            servers: vec!["192.0.2.7".parse().unwrap(), "fd00::7".parse().unwrap()],
            open: true,
        };
        one.rewrite(place.path(), "aaaa").unwrap();
        let search = Some(vec!["corp.example".to_owned()]);
        assert_eq!(zone.lookup(address), Some(&Lookup { search, ..one.lookup.clone() }));
        assert_eq!(zone.ranges(), one.ranges);
        // The same once more is no change, which others would have to read.
        let number =
            || std::os::unix::fs::MetadataExt::ino(&fs::metadata(place.path().join("aaaa")).unwrap());
        let before = number();
        one.rewrite(place.path(), "aaaa").unwrap();
        assert_eq!(number(), before);
        // That there is nothing to search is something else than nothing said of it.
        let text = "10.0.0.2\nweb\nsearch .\nfrom a later version\n";
        assert_eq!(
            Entry::parse(text).unwrap().lookup,
            Lookup { search: Some(Vec::new()), ..Lookup::default() }
        );
    }

    #[test]
    fn pure_names_come_and_go_with_files() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("web");
        let mut zone = Zone::in_folder(&folder);
        assert!(zone.is_empty());
        let one = entry(&["10.0.0.2", "fd00::2"], &["Web", "www"]).write(&folder, "aaaa").unwrap();
        entry(&["10.0.0.3"], &["db", "www"]).write(&folder, "bbbb").unwrap();
        assert_eq!(zone.addresses("web").unwrap().len(), 2, "names have no case");
        assert_eq!(zone.addresses("www").unwrap().len(), 3, "an alias of both");
        assert_eq!(zone.name("fd00::2".parse().unwrap()), Some("web"));
        assert_eq!(zone.owner("10.0.0.3".parse().unwrap()), Some("bbbb"));
        assert_eq!(zone.addresses("nobody"), None);
        fs::remove_file(one).unwrap();
        assert_eq!(zone.addresses("web"), None);
        assert_eq!(zone.addresses("www").unwrap().len(), 1);
        fs::remove_file(folder.join("bbbb")).unwrap();
        assert!(zone.is_empty());
        // One that is to come has no name yet, and keeps whoever serves it.
        let prepared = entry(&["10.0.0.4"], &["soon"]).prepare(&folder, "dddd").unwrap();
        assert!(zone.addresses("soon").is_none() && !zone.is_empty());
        let told = prepared.tell().unwrap();
        assert!(zone.addresses("soon").is_some());
        fs::remove_file(told).unwrap();
        // What no version of ours wrote is passed over.
        fs::write(folder.join("cccc"), "no address\nweb\n").unwrap();
        assert_eq!(zone.addresses("web"), None);
    }
}
