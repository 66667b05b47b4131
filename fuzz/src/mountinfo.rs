//! The table of mounts: other people's paths stand in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tinyd_cgroup::Host;
use tinyd_fs::mountinfo::{MountInfo, parse_line};

/// Reads a table with both readers.
pub fn mountinfo(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(info) = parse_line(line) else { continue };
        // What was replaced because it is no UTF-8 is text from then on.
        assert_eq!(parse_line(written(&info)).expect("what was written can be read"), info);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(host) = Host::from_mountinfo(text) else { return };
    for hierarchy in host.hierarchies() {
        assert!(!hierarchy.name().is_empty());
        for controller in hierarchy.controllers() {
            assert!(host.mountpoint(controller).is_some(), "{controller} is mounted somewhere");
        }
    }
    let lines = text.lines().filter(|line| !line.is_empty());
    let known = lines.filter(|line| parse_line(line).is_ok()).count();
    assert!(
        host.hierarchies().len() <= known,
        "each hierarchy is a line that the other reader understands too"
    );
}

/// A line as the kernel writes it.
fn written(info: &MountInfo) -> Vec<u8> {
    let MountInfo { id, parent, root, mount_point, options, propagation, fs_type, source, super_options } =
        info;
    let mut line = format!("{id} {parent} 0:0 ").into_bytes();
    line.extend(escaped(root.as_os_str()));
    line.push(b' ');
    line.extend(escaped(mount_point.as_os_str()));
    line.extend(format!(" {} ", options.join(",")).into_bytes());
    propagation.iter().for_each(|field| line.extend(format!("{field} ").into_bytes()));
    line.extend(format!("- {fs_type} ").into_bytes());
    line.extend(escaped(Path::new(source).as_os_str()));
    line.extend(format!(" {}", super_options.join(",")).into_bytes());
    line
}

/// Blank, tab, line feed and backslash as a backslash and three octal digits.
fn escaped(path: &OsStr) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
        other => vec![*other],
    };
    path.as_bytes().iter().flat_map(escape).collect()
}
