//! Where a link in a container leads that something is copied to.
//!
//! The engine is asked for each name on the way: what a container's links say is not followed on this machine.

use crate::failure::Failure;
use std::path::{Component, Path};

/// As many links as the kernel follows.
pub(super) const MAX_LINKS: usize = 40;

/// The path without a link in it. `target` gives what a link says; nothing of what is none, or is not there.
pub(super) fn end_of(
    path: &str,
    target: impl Fn(&str) -> Result<Option<String>, Failure>,
) -> Result<String, Failure> {
    let failed = |why: &str| Failure::failed(format!("follow the link {path:?}"), why);
    // As the engine reads a path: what is taken back by `..` is the name before, as it is written. In what links say `..` is
    // the folder above the one that was come to, as for the kernel.
    let mut written = Vec::new();
    for name in names(path) {
        match name {
            ".." => drop(written.pop()),
            name => written.push(name.to_owned()),
        }
    }
    let (mut at, mut links) = (Vec::<String>::new(), 0);
    let mut ahead: Vec<String> = written.into_iter().rev().collect();
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        at.push(name);
        let Some(says) = target(&whole(&at))? else { continue };
        links += 1;
        if links > MAX_LINKS {
            return Err(failed("it leads from link to link without an end"));
        }
        if says.contains(char::REPLACEMENT_CHARACTER) {
            return Err(failed("it leads to a name that is no UTF-8: name the file itself"));
        }
        at.pop();
        if says.starts_with('/') {
            at.clear();
        }
        ahead.extend(names(&says).rev().map(str::to_owned));
    }
    Ok(whole(&at))
}

fn names(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    Path::new(path).components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        Component::ParentDir => Some(".."),
        _ => None,
    })
}

fn whole(names: &[String]) -> String {
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_the_kernel_would_have_them_lead() {
        let target = |path: &str| {
            Ok(match path {
                "/etc/app.conf" => Some("real.conf".to_owned()),
                "/etc/up" => Some("../srv/./x".to_owned()),
                "/l" => Some("/d/sub".to_owned()),
                "/d/sub/above" => Some("../file".to_owned()),
                "/far" => Some("/etc/app.conf".to_owned()),
                "/out" => Some("../../../etc/passwd".to_owned()),
                "/round" => Some("round".to_owned()),
                "/odd" => Some("a\u{fffd}".to_owned()),
                _ => None,
            })
        };
        for (path, end) in [
            ("/etc/app.conf", "/etc/real.conf"),
            ("etc/app.conf", "/etc/real.conf"),
            ("/etc/up", "/srv/x"),
            ("/l/above", "/d/file"),
            ("/far", "/etc/real.conf"),
            ("/out", "/etc/passwd"),
            ("/x/../none/new", "/none/new"),
        ] {
            assert_eq!(end_of(path, target).expect(path), end, "{path}");
        }
        for (path, why) in [("/round", "without an end"), ("/odd", "no UTF-8")] {
            let line = end_of(path, target).err().and_then(|failure| failure.line()).expect(path);
            assert!(line.contains(why), "{line}");
        }
    }
}
