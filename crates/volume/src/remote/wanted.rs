//! What is wanted of a server, read once and strictly: no part of it can become an option, or a second one, of the program
//! that it is handed to.

use super::credentials;
use super::kind::Kind;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A remote file system that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub kind: Kind,
    /// What is mounted, as the program wants it.
    pub device: String,
    /// Where an S3-compatible store is asked.
    pub url: Option<String>,
    /// The words of `o`, in their order.
    pub options: Vec<(String, Option<String>)>,
    pub credentials: Option<PathBuf>,
    pub known_hosts: Option<PathBuf>,
    pub cache: Option<PathBuf>,
}

impl Wanted {
    /// Reads the options of a volume.
    pub(super) fn of(options: &BTreeMap<String, String>) -> Result<Self> {
        const KNOWN: [&str; 7] = ["cache", "credentials", "device", "known_hosts", "o", "type", "url"];
        if let Some(word) = options.keys().find(|word| !KNOWN.contains(&&***word)) {
            return Err(refuse(
                word,
                "is unknown to the driver remote: type, device, o, url, credentials, known_hosts, cache",
            ));
        }
        let get = |word: &str| options.get(word).map(String::as_str);
        let kind =
            get("type").ok_or_else(|| refuse("type", "is missing: nfs, nfs4, cifs, sshfs, s3, rclone"))?;
        let kind = Kind::of(kind).ok_or_else(|| {
            refuse(&format!("type={kind}"), "is none of nfs, nfs4, cifs, sshfs, s3, rclone")
        })?;
        let device =
            get("device").ok_or_else(|| refuse("device", "is missing: what is mounted, as HOST:/PATH"))?;
        let mut words = words(kind, get("o").unwrap_or_default())?;
        let only_for = |word: &'static str, kinds: &[Kind]| match get(word) {
            Some(_) if !kinds.contains(&kind) => {
                Err(refuse(word, "is no option of this type of remote volume"))
            }
            value => Ok(value),
        };
        let url = only_for("url", &[Kind::S3])?.map(address).transpose()?;
        let credentials = only_for("credentials", &[Kind::Cifs, Kind::Sshfs, Kind::S3, Kind::Rclone])?;
        let known_hosts = only_for("known_hosts", &[Kind::Sshfs])?;
        let cache = only_for("cache", &[Kind::Rclone])?;
        let device = device_of(kind, device, &mut words)?;
        let wanted = Self {
            kind,
            device,
            url,
            options: words,
            credentials: credentials.map(|file| plain_path("credentials", file)).transpose()?,
            known_hosts: known_hosts.map(|file| plain_path("known_hosts", file)).transpose()?,
            cache: cache.map(|folder| plain_path("cache", folder)).transpose()?,
        };
        wanted.needs_credentials()?;
        Ok(wanted)
    }

    /// Looks at the host: the files that are named must be what they should be.
    pub(super) fn check_files(&self) -> Result<()> {
        if let Some(file) = &self.credentials {
            credentials::check(file)?;
        }
        for (word, path) in [("known_hosts", &self.known_hosts), ("cache", &self.cache)] {
            if let Some(path) = path
                && path.metadata().map_err(|error| Error::path("look at", path, error))?.is_dir()
                    != (word == "cache")
            {
                return Err(refuse(
                    &format!("{word}={}", path.display()),
                    "is not of the right kind: a folder for cache, a file for known_hosts",
                ));
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.options.iter().any(|(other, _)| other == word)
    }

    /// A program without them asks at the terminal, or takes what lies around on the host.
    fn needs_credentials(&self) -> Result<()> {
        let needs = match self.kind {
            Kind::Nfs | Kind::Nfs4 | Kind::Sshfs => false,
            Kind::Cifs => !self.has("guest"),
            Kind::S3 => !self.has("public_bucket"),
            Kind::Rclone => true,
        };
        let problem = match self.kind {
            Kind::Cifs => "is missing: a file with username=… and password=…, or the word guest in o",
            Kind::S3 => "is missing: a file with KEY:SECRET, or public_bucket=1 in o",
            _ => "is missing: rclone's file of configuration, which has the remote that device names",
        };
        match needs && self.credentials.is_none() {
            true => Err(refuse("credentials", problem)),
            false => Ok(()),
        }
    }

    /// What errors call the server.
    pub(super) fn server(&self) -> String {
        match &self.url {
            Some(url) => format!("{} at {url}", self.device),
            None => self.device.clone(),
        }
    }
}

fn refuse(value: &str, problem: &'static str) -> Error {
    Error::Invalid { what: "volume option", value: value.to_owned(), problem: problem.into() }
}

/// Letters, digits and those of `more`: no blank, no comma, no quote, nothing that a program would read as more than a letter.
fn is_plain(text: &str, more: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

fn words(kind: Kind, list: &str) -> Result<Vec<(String, Option<String>)>> {
    let mut words = Vec::new();
    for text in list.split(',').filter(|text| !text.is_empty()) {
        let (word, value) = match text.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (text, None),
        };
        if !kind.options().any(|known| known == word) {
            let what = Error::Invalid {
                what: "word of the option o",
                value: word.to_owned(),
                problem: format!(
                    "is not taken for {}; these are: {}. Volumes are always nosuid and nodev, and secrets belong into \
                     the file of the option credentials",
                    kind.word(),
                    kind.options().collect::<Vec<_>>().join(", ")
                )
                .into(),
            };
            return Err(what);
        }
        if value.is_some_and(|value| !is_plain(value, b"._:/@+-[]")) {
            return Err(refuse(
                &format!("o={text}"),
                "has a value with other signs than letters, digits and ._:/@+-[]",
            ));
        }
        if word == "StrictHostKeyChecking" && !matches!(value, Some("yes" | "accept-new")) {
            return Err(refuse(
                &format!("o={text}"),
                "would take any server for the right one: yes or accept-new",
            ));
        }
        words.push((word.to_owned(), value.map(str::to_owned)));
    }
    Ok(words)
}

fn plain_path(word: &'static str, text: &str) -> Result<PathBuf> {
    let is_right =
        text.starts_with('/') && is_plain(text, b"/._+-") && !text.split('/').any(|part| part == "..");
    match is_right {
        true => Ok(Path::new(text).to_owned()),
        false => Err(refuse(
            &format!("{word}={text}"),
            "is not an absolute path of letters, digits and /._+- without \"..\"",
        )),
    }
}

fn address(url: &str) -> Result<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if is_plain(rest, b"._:/-[]") && !rest.is_empty() && !rest.starts_with('/') => {
            Ok(url.to_owned())
        }
        // What is wrong with it may be that it holds a password.
        _ => {
            Err(refuse("url", "is not https://HOST[:PORT] or http://HOST[:PORT], without a user or password"))
        }
    }
}

/// A host's name or address, without what would make it an option.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && is_plain(host, b".-_") && !host.starts_with(['-', '.']),
    }
}

/// A path or a name on the server: what is no control character, comma, quote or backslash.
fn is_path(path: &str) -> bool {
    !path.chars().any(|letter| letter.is_control() || ",\"'\\`$%".contains(letter))
}

/// What the program is handed. Docker's `addr` names the server where the device does not.
fn device_of(kind: Kind, text: &str, words: &mut Vec<(String, Option<String>)>) -> Result<String> {
    let wrong = |problem| Err(refuse(&format!("device={text}"), problem));
    match kind {
        Kind::Nfs | Kind::Nfs4 => {
            let address = words.iter().position(|(word, _)| word == "addr").map(|at| words.remove(at));
            let host_and_path = match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
                Some((host, path)) => Some((format!("[{host}]"), path)),
                None => text.split_once(':').map(|(host, path)| (host.to_owned(), path)),
            };
            let Some((host, path)) = host_and_path else { return wrong("is not HOST:/PATH") };
            let host = match address.and_then(|(_, value)| value) {
                Some(address) if address.contains(':') && !address.starts_with('[') => format!("[{address}]"),
                Some(address) => address,
                None => host,
            };
            match is_host(&host) && path.starts_with('/') && is_path(path) {
                true => Ok(format!("{host}:{path}")),
                false => wrong("is not HOST:/PATH (or :/PATH with addr=HOST in o), of plain signs"),
            }
        }
        Kind::Cifs => {
            let parts = text.strip_prefix("//").and_then(|rest| rest.split_once('/'));
            match parts {
                Some((host, share)) if is_host(host) && !share.is_empty() && is_path(share) => {
                    Ok(text.to_owned())
                }
                _ => wrong("is not //HOST/SHARE, of plain signs"),
            }
        }
        Kind::Sshfs => {
            let (user, rest) = text.split_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
            let cut = match rest.starts_with('[') {
                true => rest.split_once("]:").map(|(host, path)| (format!("{host}]"), path)),
                false => rest.split_once(':').map(|(host, path)| (host.to_owned(), path)),
            };
            let user_is_right =
                user.is_none_or(|user| !user.is_empty() && is_plain(user, b"._-") && !user.starts_with('-'));
            match cut {
                Some((host, path)) if user_is_right && is_host(&host) && is_path(path) => Ok(text.to_owned()),
                _ => wrong("is not [USER@]HOST:[PATH], of plain signs"),
            }
        }
        Kind::S3 => {
            let (bucket, path) = text.split_once(':').unwrap_or((text, "/"));
            let is_bucket = !bucket.is_empty() && is_plain(bucket, b".-_") && !bucket.starts_with(['-', '.']);
            match is_bucket && path.starts_with('/') && is_path(path) {
                true => Ok(text.to_owned()),
                false => wrong("is not BUCKET or BUCKET:/FOLDER, of plain signs"),
            }
        }
        Kind::Rclone => match text.split_once(':') {
            Some((remote, path)) if is_host(remote) && !remote.starts_with('[') && is_path(path) => {
                Ok(text.to_owned())
            }
            _ => wrong("is not REMOTE:[PATH], where REMOTE is a part of rclone's configuration"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Wanted> {
        let map = options.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned()));
        Wanted::of(&map.collect())
    }

    #[test]
    fn pure_dockers_words_are_understood() {
        let docker = [("type", "nfs"), ("device", ":/srv/data"), ("o", "addr=192.0.2.1,vers=4.1,ro")];
        let wanted = read(&docker).unwrap();
        assert_eq!(wanted.device, "192.0.2.1:/srv/data");
        assert_eq!(wanted.options, [("vers".into(), Some("4.1".into())), ("ro".into(), None)]);
        let six = read(&[("type", "nfs4"), ("device", ":/x"), ("o", "addr=2001:db8::1")]).unwrap();
        assert_eq!(six.device, "[2001:db8::1]:/x");
        for (kind, device, more) in [
            ("nfs", "[2001:db8::1]:/a b", ("o", "")),
            ("cifs", "//server/My Share/x", ("o", "guest")),
            ("sshfs", "me@host.example:data", ("o", "port=2222,reconnect")),
            ("sshfs", "[::1]:/", ("credentials", "/etc/key")),
            ("s3", "bucket-1:/deep", ("o", "public_bucket=1")),
            ("rclone", "store:a/b", ("credentials", "/etc/rclone.conf")),
        ] {
            assert_eq!(read(&[("type", kind), ("device", device), more]).unwrap().device, device);
        }
    }

    #[test]
    fn pure_nothing_becomes_an_option_that_is_not_the_users() {
        for (kind, device) in [
            ("nfs", "host:/a,suid"),
            ("nfs", "-o:/a"),
            ("nfs", "host:a"),
            ("nfs", "host:/a\nb"),
            ("nfs", "host"),
            ("cifs", "//host/share,password=x"),
            ("cifs", "//-host/share"),
            ("cifs", "\\\\host\\share"),
            ("sshfs", "-oProxyCommand=x:/a"),
            ("sshfs", "me@-oProxyCommand=x:/a"),
            ("sshfs", "-l@host:/a"),
            ("sshfs", "host:/a,ssh_command=x"),
            ("sshfs", "ho st:/a"),
            ("s3", "-bucket"),
            ("s3", "bucket:/a,use_cache=/"),
            ("rclone", ":sftp,host=x:/a"),
            ("rclone", "store,global.x=1:/a"),
            ("rclone", "--rc"),
            ("rclone", "/etc"),
        ] {
            let more = if kind == "cifs" { ("o", "guest") } else { ("o", "") };
            let error = read(&[("type", kind), ("device", device), more]).expect_err(device).to_string();
            assert!(error.contains("device"), "{device}: {error}");
        }
        for (kind, list) in [
            ("sshfs", "ssh_command=sh"),
            ("sshfs", "uid=0 gid=0"),
            ("sshfs", "uid=0\nProxyCommand x"),
            ("sshfs", "StrictHostKeyChecking=no"),
            ("nfs", "suid"),
            ("nfs", "ro,dev"),
            ("nfs", "vers=3\\054suid"),
        ] {
            let error = read(&[("type", kind), ("device", "h:/a"), ("o", list)]).expect_err(list).to_string();
            assert!(error.contains(" o") || error.contains("o="), "{list}: {error}");
        }
    }

    #[test]
    fn pure_secrets_are_no_words_and_what_is_missing_is_named() {
        let said = |options: &[(&str, &str)]| read(options).unwrap_err().to_string();
        let cifs = [("type", "cifs"), ("device", "//h/s"), ("o", "password=geheim")];
        let error = said(&cifs);
        assert!(error.contains("credentials") && !error.contains("geheim"), "{error}");
        assert!(said(&cifs[..2]).contains("guest"));
        assert!(said(&[("type", "s3"), ("device", "b"), ("url", "http://k:s@h")]).contains("url"));
        assert!(said(&[("type", "s3"), ("device", "b")]).contains("KEY:SECRET"));
        assert!(said(&[("type", "rclone"), ("device", "a:b")]).contains("configuration"));
        assert!(said(&[("device", "a:b")]).contains("type"));
        assert!(said(&[("type", "ext4"), ("device", "a:b")]).contains("ext4"));
        assert!(said(&[("type", "nfs")]).contains("device"));
        assert!(said(&[("type", "nfs"), ("device", "h:/a"), ("url", "http://h")]).contains("url"));
        assert!(said(&[("type", "sshfs"), ("device", "h:/a"), ("credentials", "key")]).contains("absolute"));
        assert!(said(&[("type", "sshfs"), ("device", "h:/a"), ("credentials", "/a,b")]).contains("absolute"));
    }
}
