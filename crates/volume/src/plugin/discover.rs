//! Where a plugin listens, by the rules of Docker's discovery of plugins.

use crate::{Error, Result};
use serde::Deserialize;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Where plugins that run put their sockets.
const SOCKETS: &str = "run/docker/plugins";

/// Where files say how plugins are reached.
const FILES: [&str; 2] = ["etc/docker/plugins", "usr/lib/docker/plugins"];

/// What such a file may come to, in bytes.
const MOST: u64 = 64 << 10;

/// A file `NAME.json`.
#[derive(Deserialize)]
struct Description {
    #[serde(rename = "Addr", alias = "addr")]
    address: String,
}

/// The socket of the plugin by this name, looked for below a root.
pub(super) fn socket(root: &Path, name: &str) -> Result<PathBuf> {
    crate::check_name("volume driver", name)?;
    let sockets = root.join(SOCKETS);
    for socket in [sockets.join(format!("{name}.sock")), sockets.join(name).join(format!("{name}.sock"))] {
        if is_socket(&socket) {
            return Ok(socket);
        }
    }
    for folder in FILES.map(|folder| root.join(folder)) {
        for file in ["spec", "json"].map(|kind| format!("{name}.{kind}")) {
            for file in [folder.join(&file), folder.join(name).join(&file)] {
                if let Some(text) = read(&file)? {
                    return described(&file, &text);
                }
            }
        }
    }
    Err(Error::Invalid {
        what: "volume driver",
        value: name.to_owned(),
        problem: format!(
            "is none of ours, and no volume plugin by that name runs: {}, {} were looked at. Start the plugin, \
             or say where it listens by the option socket=PATH",
            sockets.join(format!("{name}.sock")).display(),
            FILES.map(|folder| root.join(folder).join(format!("{name}.{{spec,json}}")).display().to_string()).join(", ")
        )
        .into(),
    })
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.file_type().is_socket())
}

fn read(file: &Path) -> Result<Option<String>> {
    let failed = |error| Error::path("read", file, error);
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    opened.take(MOST).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

fn described(file: &Path, text: &str) -> Result<PathBuf> {
    let refuse = |value: &str, problem: &'static str| {
        let value = format!("{value} in {}", file.display());
        Err(Error::Invalid { what: "address of a volume plugin", value, problem: problem.into() })
    };
    let address = match file.extension().is_some_and(|kind| kind == "json") {
        false => text.trim().to_owned(),
        true => match serde_json::from_str::<Description>(text) {
            Ok(description) => description.address,
            Err(_) => return refuse("", "is missing: a JSON object with \"Addr\" is wanted"),
        },
    };
    match address.strip_prefix("unix://").map(Path::new) {
        Some(socket) if !socket.is_absolute() => refuse(&address, "is no absolute path"),
        Some(socket) => Ok(socket.to_owned()),
        None if address.starts_with("tcp://") || address.starts_with("http") => {
            let problem = "is a network's: whoever can write there could choose which folders of the host containers \
                           see. Only unix:// sockets are spoken to";
            refuse(&address, problem)
        }
        None => refuse(&address, "is none: unix:///PATH is wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixListener;

    #[test]
    fn pure_sockets_come_first_and_files_say_where_else() {
        let root = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let error = socket(root.path(), "x").unwrap_err().to_string();
        assert!(error.contains("run/docker/plugins/x.sock") && error.contains("socket=PATH"), "{error}");
        file("usr/lib/docker/plugins/x.json", r#"{"Name": "x", "Addr": "unix:///lib.sock"}"#);
        assert_eq!(socket(root.path(), "x").unwrap(), Path::new("/lib.sock"));
        file("etc/docker/plugins/x/x.spec", "unix:///etc.sock\n");
        assert_eq!(socket(root.path(), "x").unwrap(), Path::new("/etc.sock"));
        let deep = root.path().join("run/docker/plugins/x/x.sock");
        // What is no socket is no plugin.
        file("run/docker/plugins/x.sock", "");
        fs::create_dir_all(deep.parent().unwrap()).unwrap();
        let _listener = UnixListener::bind(&deep).unwrap();
        assert_eq!(socket(root.path(), "x").unwrap(), deep);
    }

    #[test]
    fn pure_addresses_that_are_none_are_refused_with_a_reason() {
        let refused = |file: &str, text: &str| described(Path::new(file), text).unwrap_err().to_string();
        assert!(refused("/p/x.spec", "tcp://127.0.0.1:1").contains("network"));
        assert!(refused("/p/x.json", r#"{"Addr": "https://h"}"#).contains("network"));
        assert!(refused("/p/x.spec", "unix://x.sock").contains("absolute"));
        assert!(refused("/p/x.spec", "x").contains("/p/x.spec"));
        assert!(refused("/p/x.json", "{").contains("Addr"));
        assert!(socket(Path::new("/"), "../x").is_err());
    }
}
