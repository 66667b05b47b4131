//! Docker's words for a volume of its driver `local`, which mounts whatever mount(8) would: `type`, `device` and `o`. Where a
//! driver of ours does the same, it is what is meant.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What is meant by them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) driver: &'static str,
    pub(super) source: Option<PathBuf>,
    pub(super) options: BTreeMap<String, String>,
}

/// Of what is always so, or is what a mount is without a word.
const ANYWAY: [&str; 4] = ["rw", "nosuid", "nodev", "defaults"];

/// Reads them; `None` where there are none of them.
pub(super) fn meant(options: &BTreeMap<String, String>) -> Result<Option<Meant>> {
    let get = |word: &str| options.get(word).map(String::as_str);
    if ["type", "device", "o"].iter().all(|word| get(word).is_none()) {
        return Ok(None);
    }
    if let Some(other) = options.keys().find(|word| !["type", "device", "o"].contains(&&***word)) {
        return Err(refuse(other, "is none of type, device and o, which are there as well"));
    }
    let device = get("device").unwrap_or_default();
    let words: Vec<&str> = get("o").unwrap_or_default().split(',').filter(|word| !word.is_empty()).collect();
    match get("type").unwrap_or_default() {
        "tmpfs" => tmpfs(&words),
        "none" | "" => folder(device, &words),
        kind @ ("nfs" | "nfs4" | "cifs") => remote(kind, device, &words),
        kind => Err(refuse(
            &format!("type={kind}"),
            "is none of tmpfs, none, nfs, nfs4 and cifs; mount it on this machine, and show the folder: \
             -o type=none -o o=bind -o device=/mnt/data",
        )),
    }
    .map(Some)
}

fn tmpfs(words: &[&str]) -> Result<Meant> {
    let mut options = BTreeMap::new();
    for word in words.iter().filter(|word| !ANYWAY.contains(word)) {
        let known = word.split_once('=').filter(|(key, _)| TMPFS.contains(key));
        let (key, value) = known.ok_or_else(|| {
            refuse(
                &format!("o={word}"),
                "is no word for a volume in memory: -o type=tmpfs -o device=tmpfs -o o=size=100m,uid=1000,gid=1000,mode=0750",
            )
        })?;
        options.insert(key.to_owned(), value.to_owned());
    }
    Ok(Meant { driver: "tmpfs", source: None, options })
}

/// The words of our driver tmpfs.
const TMPFS: [&str; 5] = ["size", "nr_inodes", "mode", "uid", "gid"];

fn folder(device: &str, words: &[&str]) -> Result<Meant> {
    const EXAMPLE: &str = "write it like -o type=none -o o=bind -o device=/srv/data";
    if !words.iter().any(|word| ["bind", "rbind"].contains(word)) {
        return Err(refuse("o", &format!("does not say bind, and there is no other type; {EXAMPLE}")));
    }
    if let Some(word) = words.iter().find(|word| ![&["bind", "rbind"][..], &ANYWAY].concat().contains(word)) {
        let problem =
            format!("is no word for a folder of this machine ({EXAMPLE}; read-only is -v NAME:/path:ro)");
        return Err(refuse(&format!("o={word}"), &problem));
    }
    let source = Path::new(device);
    if !source.is_absolute() {
        return Err(refuse(&format!("device={device}"), &format!("is not an absolute path; {EXAMPLE}")));
    }
    // As with Docker: what is not there is more likely a slip than a wish.
    if !source.is_dir() {
        return Err(refuse(&format!("device={device}"), "is no folder of this machine; make it first"));
    }
    Ok(Meant { driver: "bind", source: Some(source.to_owned()), options: BTreeMap::new() })
}

fn remote(kind: &str, device: &str, words: &[&str]) -> Result<Meant> {
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let credentials = value("credentials").filter(|_| kind == "cifs");
    let mut taken: Vec<&str> = credentials.iter().map(|_| "credentials").collect();
    let device = match (device.strip_prefix(':'), value("addr")) {
        (Some(path), Some(address)) if kind != "cifs" => {
            taken.push("addr");
            let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            format!("{address}:{path}")
        }
        (Some(_), None) => {
            return Err(refuse(
                "device",
                "says no host, and o no addr=; write it like -o type=nfs -o o=addr=10.0.0.5,rw -o device=:/export",
            ));
        }
        // mount.cifs takes nothing but an address there, and Docker's users write a name, mostly the same once more.
        (None, Some(name)) if kind == "cifs" && name.parse::<IpAddr>().is_err() => {
            taken.push("addr");
            let share = device.strip_prefix("//").and_then(|rest| rest.split_once('/'));
            share.map_or_else(|| device.to_owned(), |(_, share)| format!("//{name}/{share}"))
        }
        // An address beside a host's name is for the driver, which asks that one.
        _ => device.to_owned(),
    };
    if words.iter().any(|word| word.starts_with("password=") || word.starts_with("pass=")) {
        return Err(refuse(
            "o",
            "holds a password, which inspect would show: put username=… and password=… into a file of root's with mode 0600, \
             and name it with -o o=credentials=/root/FILE",
        ));
    }
    let is_taken = |word: &str| word.split_once('=').is_some_and(|(key, _)| taken.contains(&key));
    let rest: Vec<&str> =
        words.iter().copied().filter(|word| !is_taken(word) && *word != "defaults").collect();
    let mut options = BTreeMap::from([("type".to_owned(), kind.to_owned()), ("device".to_owned(), device)]);
    options.extend((!rest.is_empty()).then(|| ("o".to_owned(), rest.join(","))));
    options.extend(credentials.map(|file| ("credentials".to_owned(), file.to_owned())));
    Ok(Meant { driver: "remote", source: None, options })
}

fn refuse(value: &str, problem: &str) -> Error {
    Error::invalid("volume option", value, problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Option<Meant>> {
        meant(&pairs.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect())
    }

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn pure_what_ours_do_as_well_is_theirs() {
        let memory = of(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=100m,uid=1000,rw")]);
        let wanted = options(&[("size", "100m"), ("uid", "1000")]);
        assert_eq!(memory.unwrap(), Some(Meant { driver: "tmpfs", source: None, options: wanted }));
        let folder = of(&[("type", "none"), ("o", "bind"), ("device", "/tmp")]).unwrap();
        let wanted = Meant { driver: "bind", source: Some("/tmp".into()), options: BTreeMap::new() };
        assert_eq!(folder, Some(wanted));
        for (device, host, o) in [
            (":/export", "10.0.0.5:/export", "addr=10.0.0.5,rw,soft"),
            (":/export", "[fd00::5]:/export", "addr=fd00::5,rw,soft"),
            ("server:/export", "server:/export", "rw,soft"),
        ] {
            let server = of(&[("type", "nfs"), ("device", device), ("o", o)]).unwrap().unwrap();
            let wanted = options(&[("type", "nfs"), ("device", host), ("o", "rw,soft")]);
            assert_eq!((server.driver, server.options), ("remote", wanted));
        }
        assert_eq!(of(&[("size", "5m")]).unwrap(), None);
    }

    #[test]
    fn pure_a_servers_address_and_credentials_are_told_to_the_driver() {
        for (kind, device, o, wanted) in [
            ("nfs", "nas:/x", "addr=10.0.0.5,ro", &[("o", "addr=10.0.0.5,ro")][..]),
            ("cifs", "//nas/share", "addr=10.0.0.5,guest", &[("o", "addr=10.0.0.5,guest")]),
            ("cifs", "//nas/share", "addr=nas,guest", &[("o", "guest")]),
            (
                "cifs",
                "//nas/share",
                "credentials=/root/file,vers=3.0",
                &[("credentials", "/root/file"), ("o", "vers=3.0")],
            ),
            // For the driver to refuse, which has none for this type.
            ("nfs", "nas:/x", "credentials=/root/file", &[("o", "credentials=/root/file")]),
        ] {
            let server = of(&[("type", kind), ("device", device), ("o", o)]).unwrap().unwrap();
            let wanted = [&[("type", kind), ("device", device)], wanted].concat();
            assert_eq!(server.options, options(&wanted), "{o}");
        }
    }

    #[test]
    fn pure_the_rest_is_refused_with_an_example() {
        for (pairs, part) in [
            (&[("type", "ext4"), ("device", "/dev/sdb1")][..], "-o o=bind"),
            (&[("type", "tmpfs"), ("o", "noswap")], "size=100m"),
            (&[("type", "tmpfs"), ("size", "5m")], "\"size\""),
            (&[("device", "/tmp")], "-o o=bind"),
            (&[("type", "none"), ("o", "bind,ro"), ("device", "/tmp")], ":ro"),
            (&[("type", "none"), ("o", "bind"), ("device", "tmp")], "absolute"),
            (&[("type", "none"), ("o", "bind"), ("device", "/no/such/folder")], "make it first"),
            (&[("type", "nfs"), ("device", ":/export")], "addr=10.0.0.5"),
            (&[("type", "cifs"), ("device", "//h/s"), ("o", "username=a,password=topsecret")], "credentials"),
        ] {
            let error = of(pairs).expect_err(part).to_string();
            assert!(error.contains(part) && !error.contains("topsecret"), "{error}");
        }
    }
}
