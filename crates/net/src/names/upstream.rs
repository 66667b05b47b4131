//! The servers that the host asks, followed as its file changes.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The port of name servers.
pub(super) const PORT: u16 = 53;

/// How old a change is that is not taken for the next one.
pub(super) const SETTLED: Duration = Duration::from_millis(50);

/// What the host's file of servers says.
#[derive(Debug)]
pub(super) struct Upstream {
    file: PathBuf,
    seen: Option<SystemTime>,
    servers: Vec<SocketAddr>,
    search: Vec<String>,
}

impl Upstream {
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), seen: None, servers: Vec::new(), search: Vec::new() }
    }

    /// The servers, in the order in which they are asked.
    pub(super) fn servers(&mut self) -> &[SocketAddr] {
        self.refresh();
        &self.servers
    }

    /// The domains that the host searches.
    pub(super) fn search(&mut self) -> &[String] {
        self.refresh();
        &self.search
    }

    fn refresh(&mut self) {
        let changed = fs::metadata(&self.file).and_then(|file| file.modified()).ok();
        if changed.is_some() && changed == self.seen {
            return;
        }
        // The clock of a file system is coarse: what changed just now is read again until it is old enough to be told from the next
        // change.
        self.seen = changed.filter(|at| at.elapsed().is_ok_and(|age| age > SETTLED));
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        (self.servers, self.search) = parse(&text);
    }
}

/// What a name is without the domain that a client put behind it, for each of these that it may be.
pub(super) fn without(search: &[String], name: &str) -> Vec<String> {
    let bare = search.iter().filter_map(|domain| name.strip_suffix(domain.as_str())?.strip_suffix('.'));
    bare.map(str::to_owned).collect()
}

/// Domains, as they stand behind the names of questions.
pub(super) fn domains<'w>(words: impl Iterator<Item = &'w str>) -> Vec<String> {
    let domains = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase());
    domains.filter(|domain| !domain.is_empty()).collect()
}

pub(super) fn parse(text: &str) -> (Vec<SocketAddr>, Vec<String>) {
    let (mut servers, mut search) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                servers.extend(address.map(|address| SocketAddr::new(address, PORT)));
            }
            // The last one counts.
            Some("search" | "domain") => search = domains(words),
            _ => {}
        }
    }
    (servers, search)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_the_file_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("resolv.conf");
        let mut upstream = Upstream::of(&file);
        assert!(upstream.servers().is_empty());
        fs::write(
            &file,
            "nameserver 127.0.0.53\nnameserver fe80::zz\nnameserver fd00::1\nsearch Example.org. lan\n",
        )
        .unwrap();
        let servers: Vec<_> = upstream.servers().iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["127.0.0.53:53", "[fd00::1]:53"]);
        let mut without = |name: &str| without(upstream.search(), name).join(" ");
        assert_eq!(without("db.example.org"), "db");
        assert_eq!(without("db.lan"), "db");
        assert_eq!(without("dblan"), "");
        assert_eq!(without("db.example.com"), "");
        let nested = ["lan", "a.lan"].map(str::to_owned);
        assert_eq!(super::without(&nested, "db.a.lan"), ["db.a", "db"], "whichever somebody has");
    }
}
