//! A root with nothing but a static busybox.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::packages;

const FOLDERS: [&str; 14] = [
    "bin", "sbin", "usr/bin", "usr/sbin", "etc", "proc", "sys", "dev", "tmp", "root", "home/app", "var/log",
    "run", "mnt",
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/:/bin/false\n\
    app:x:1000:1000:app:/home/app:/bin/sh\n\
    nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\ntty:x:5:\naudio:x:29:app\napp:x:1000:\nnogroup:x:65534:\n";

pub(super) fn make(folder: &Path) -> io::Result<()> {
    packages::ensure(
        &["/usr/share/doc/busybox-static", "/var/lib/dpkg/info/busybox-static.list"],
        "busybox-static",
    )?;
    for name in FOLDERS {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::set_permissions(folder.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(folder.join("root"), fs::Permissions::from_mode(0o700))?;
    std::os::unix::fs::chown(folder.join("home/app"), Some(1000), Some(1000))?;
    fs::write(folder.join("etc/passwd"), PASSWD)?;
    fs::write(folder.join("etc/group"), GROUP)?;
    let program = folder.join("bin/busybox");
    fs::copy("/bin/busybox", &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    // The paths of the commands, one a line: bin/sh, usr/bin/env, …
    let listed = Command::new(&program).arg("--list-full").output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for path in listed.lines().filter(|path| *path != "bin/busybox") {
        let link = folder.join(path);
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink("/bin/busybox", link)?;
    }
    if folder.join("bin/sh").symlink_metadata().is_err() {
        return Err(io::Error::other("this busybox has no shell"));
    }
    Ok(())
}
