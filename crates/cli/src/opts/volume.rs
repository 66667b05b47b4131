//! `--volume SRC:DST[:ro|:rw]`.

use std::path::{Path, PathBuf};
use tinyd_engine::BindMount;

/// A path of this machine (absolute, or beginning with `./` or `../`), an absolute path inside, and how it is mounted.
pub(super) fn parse(text: &str) -> Result<BindMount, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source, target] => (source, target, "rw"),
        [source, target, mode] => (source, target, mode),
        _ => return Err(wrong("it is not SRC:DST[:ro|:rw]")),
    };
    let read_only = match mode {
        "ro" => true,
        "rw" => false,
        _ => return Err(wrong(&format!("'{mode}' is neither ro nor rw"))),
    };
    if !Path::new(target).is_absolute() || target.bytes().all(|byte| byte == b'/') {
        return Err(wrong(&format!("'{target}' must be an absolute path inside the container, below /")));
    }
    Ok(BindMount { source: on_this_machine(source)?, target: PathBuf::from(target), read_only })
}

fn on_this_machine(source: &str) -> Result<PathBuf, String> {
    let is_relative =
        source == "." || source == ".." || source.starts_with("./") || source.starts_with("../");
    if !source.starts_with('/') && !is_relative {
        return Err(wrong(&format!("'{source}' is no path of this machine")));
    }
    std::path::absolute(source).map_err(|error| format!("find '{source}': {error}"))
}

fn wrong(what: &str) -> String {
    format!("{what}; write it like /srv/data:/data:ro")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts() {
        let bind = |source: &str, target: &str, read_only| {
            Ok(BindMount { source: source.into(), target: target.into(), read_only })
        };
        assert_eq!(parse("/a:/b"), bind("/a", "/b", false));
        assert_eq!(parse("/a:/b:rw"), bind("/a", "/b", false));
        assert_eq!(parse("/a b:/c d:ro"), bind("/a b", "/c d", true));
        let here = std::env::current_dir().expect("a folder");
        assert_eq!(parse("./x:/b").map(|bind| bind.source), Ok(here.join("x")));
        assert_eq!(parse(".:/b").map(|bind| bind.source), Ok(here));
    }

    #[test]
    fn everything_else_is_refused_with_an_example() {
        for text in
            ["", "/a", "/a:b", "/a:", ":/b", "vol1:/b", "/a:/", "/a://", "/a:/b:rx", "/a:/b:", "/a:/b:ro:x"]
        {
            let message = parse(text).expect_err(text);
            assert!(message.contains("/srv/data:/data:ro"), "{text}: {message}");
        }
    }
}
