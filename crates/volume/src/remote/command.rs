//! The command lines of the programs that mount. Nothing secret stands in one: all users of the host can read them.

use super::credentials;
use super::kind::Kind;
use super::wanted::Wanted;
use crate::Result;
use std::path::Path;
use std::process::Stdio;

/// What a program is started with.
#[derive(Debug)]
pub(super) struct Line {
    pub args: Vec<String>,
    pub input: Stdio,
}

/// What is done for every volume, last: no file of a server gives rights on this host.
const ALWAYS: [&str; 2] = ["nosuid", "nodev"];

impl Line {
    /// The line that mounts at a path. The files that it names have been checked.
    pub(super) fn of(wanted: &Wanted, path: &Path) -> Result<Self> {
        let path = path.display().to_string();
        let mut words: Vec<String> = wanted
            .options
            .iter()
            .map(|(word, value)| match value {
                Some(value) => format!("{word}={value}"),
                None => word.clone(),
            })
            .collect();
        let mut input = Stdio::null();
        let args = match wanted.kind {
            Kind::Nfs | Kind::Nfs4 => {
                // It would try for two minutes.
                unless(&mut words, wanted, "retry", "0");
                vec![wanted.device.clone(), path, "-n".to_owned()]
            }
            Kind::Cifs => {
                words.extend(file("credentials", wanted.credentials.as_deref()));
                vec![wanted.device.clone(), path, "-n".to_owned()]
            }
            Kind::Sshfs => {
                input = sshfs(wanted, &mut words)?;
                let front = ["-f", "-F", "none"].map(str::to_owned);
                [front.as_slice(), &[wanted.device.clone(), path]].concat()
            }
            Kind::S3 => {
                words.push("allow_other".to_owned());
                unless(&mut words, wanted, "connect_timeout", "9");
                words.extend(wanted.url.as_ref().map(|url| format!("url={url}")));
                words.extend(file("passwd_file", wanted.credentials.as_deref()));
                vec![wanted.device.clone(), path, "-f".to_owned()]
            }
            Kind::Rclone => return Ok(Self { args: rclone(wanted, path, &words), input }),
        };
        words.extend(ALWAYS.map(str::to_owned));
        Ok(Self { args: [args.as_slice(), &["-o".to_owned(), words.join(",")]].concat(), input })
    }
}

fn file(word: &str, path: Option<&Path>) -> Option<String> {
    path.map(|path| format!("{word}={}", path.display()))
}

fn unless(words: &mut Vec<String>, wanted: &Wanted, word: &str, value: &str) {
    if !wanted.has(word) {
        words.push(format!("{word}={value}"));
    }
}

/// sshfs hands on to ssh what it does not know. The host's own files of configuration, which can run programs, are left out.
fn sshfs(wanted: &Wanted, words: &mut Vec<String>) -> Result<Stdio> {
    words.push("allow_other".to_owned());
    unless(words, wanted, "ConnectTimeout", "9");
    unless(words, wanted, "ServerAliveInterval", "15");
    unless(words, wanted, "ServerAliveCountMax", "3");
    // Whoever is not known is not trusted: a key that was never seen could be anybody's.
    unless(words, wanted, "StrictHostKeyChecking", "yes");
    words.extend(file("UserKnownHostsFile", wanted.known_hosts.as_deref()));
    let Some(secret) = &wanted.credentials else {
        words.push("BatchMode=yes".to_owned());
        return Ok(Stdio::null());
    };
    if credentials::is_key(secret)? {
        words.extend(["BatchMode=yes".to_owned(), "IdentitiesOnly=yes".to_owned()]);
        words.extend(file("IdentityFile", Some(secret)));
        return Ok(Stdio::null());
    }
    words.extend(
        ["password_stdin", "NumberOfPasswordPrompts=1", "PubkeyAuthentication=no"].map(str::to_owned),
    );
    Ok(credentials::check(secret)?.into())
}

/// Without a folder for what is on its way, a file is written from its beginning to its end and is at the store when it is
/// closed. With one it can be written in any manner, and is brought to the store when it is closed.
fn rclone(wanted: &Wanted, path: String, words: &[String]) -> Vec<String> {
    let mut args = vec!["mount".to_owned(), wanted.device.clone(), path];
    args.extend(words.iter().map(|word| match &**word {
        "ro" => "--read-only".to_owned(),
        word => format!("--{word}"),
    }));
    args.extend(["--allow-other", "--ask-password=false", "--log-level=ERROR"].map(str::to_owned));
    args.extend(wanted.credentials.as_ref().map(|file| format!("--config={}", file.display())));
    if let Some(cache) = &wanted.cache {
        args.push(format!("--cache-dir={}", cache.display()));
        args.extend(["--vfs-cache-mode=writes", "--vfs-write-back=0s"].map(str::to_owned));
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::needs_root;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn line(options: &[(&str, &str)]) -> String {
        let map = options.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect();
        Line::of(&Wanted::of(&map).unwrap(), Path::new("/run/x")).unwrap().args.join(" ")
    }

    #[test]
    fn pure_lines_are_what_the_programs_take_and_end_with_what_is_always_so() {
        assert_eq!(
            line(&[("type", "nfs"), ("device", ":/a b"), ("o", "addr=h,ro")]),
            "h:/a b /run/x -n -o ro,retry=0,nosuid,nodev"
        );
        assert_eq!(
            line(&[("type", "cifs"), ("device", "//h/s"), ("credentials", "/etc/c")]),
            "//h/s /run/x -n -o credentials=/etc/c,nosuid,nodev"
        );
        let s3 = [("type", "s3"), ("device", "b"), ("url", "http://h:1"), ("credentials", "/etc/c")];
        assert_eq!(
            line(&s3),
            "b /run/x -f -o allow_other,connect_timeout=9,url=http://h:1,passwd_file=/etc/c,nosuid,nodev"
        );
        let rclone = [("type", "rclone"), ("device", "r:p"), ("credentials", "/etc/c"), ("o", "ro,uid=5")];
        assert_eq!(
            line(&rclone),
            "mount r:p /run/x --read-only --uid=5 --allow-other --ask-password=false --log-level=ERROR --config=/etc/c"
        );
        let ssh = line(&[("type", "sshfs"), ("device", "h:"), ("o", "StrictHostKeyChecking=accept-new")]);
        assert!(ssh.starts_with("-f -F none h: /run/x -o StrictHostKeyChecking=accept-new,"), "{ssh}");
        assert!(
            ssh.ends_with(",BatchMode=yes,nosuid,nodev") && ssh.matches("StrictHost").count() == 1,
            "{ssh}"
        );
    }

    #[test]
    fn root_a_secret_is_in_no_line() {
        if needs_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("secret");
        for (secret, word) in [("geheim\n", "password_stdin"), ("-----BEGIN geheim", "IdentityFile=")] {
            fs::write(&file, secret).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let ssh = line(&[("type", "sshfs"), ("device", "h:"), ("credentials", file.to_str().unwrap())]);
            assert!(ssh.contains(word) && !ssh.contains("geheim"), "{ssh}");
        }
    }
}
