//! Variables, from options and files.

use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// The files' variables and then the options', so that an option wins over a file.
pub(crate) fn collect(files: &[PathBuf], options: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::Usage(format!("read {}: {error}", file.display())))?;
        from_file(&text, file, &mut all)?;
    }
    for option in options {
        if option.is_empty() || option.starts_with('=') {
            return Err(Failure::Usage(format!("'{option}' has no name; write it like --env NAME=VALUE")));
        }
        all.extend(resolve(option)?);
    }
    Ok(all)
}

/// Lines of `NAME=VALUE` or `NAME`; blank ones and those that begin with `#` are skipped. The value is everything after
/// the first equals sign, quotes included, as Docker reads such files.
fn from_file(text: &str, file: &Path, all: &mut Vec<String>) -> Result<(), Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split_once('=').map_or(line, |(name, _)| name);
        if name.is_empty() || name.contains(char::is_whitespace) {
            let place = format!("{}, line {}", file.display(), index + 1);
            return Err(Failure::Usage(format!("{place}: '{name}' is no variable's name")));
        }
        all.extend(resolve(line.to_owned())?);
    }
    Ok(())
}

/// A name alone takes the client's own value, and is left out when there is none.
fn resolve(variable: String) -> Result<Option<String>, Failure> {
    if variable.contains('=') {
        return Ok(Some(variable));
    }
    match std::env::var(&variable) {
        Ok(value) => Ok(Some(format!("{variable}={value}"))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::Usage(format!("the value of {variable} is not valid UTF-8")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        match from_file(text, Path::new("f"), &mut all) {
            Ok(()) => Ok(all),
            Err(failure) => Err(failure.line().expect("a line")),
        }
    }

    #[test]
    fn files() {
        let text = "\u{feff}A=1\n# note\n\n  B=\"two words\" \r\nC=x=y\nE=\nTINYD_SURELY_NOT_SET\nPATH\n";
        let path = format!("PATH={}", std::env::var("PATH").expect("PATH"));
        assert_eq!(
            read(text),
            Ok(["A=1", "B=\"two words\" ", "C=x=y", "E=", &path].map(String::from).to_vec())
        );
        assert!(read("A=1\nB C=1").expect_err("name").starts_with("f, line 2: 'B C'"));
        assert!(read("=1").is_err());
    }

    #[test]
    fn options_follow_files() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("env");
        std::fs::write(&file, "A=file\n").expect("write");
        let all = collect(std::slice::from_ref(&file), vec!["A=option".into()]).expect("collect");
        assert_eq!(all, ["A=file", "A=option"]);
        assert!(collect(&[folder.path().join("none")], Vec::new()).is_err());
        assert!(collect(&[], vec!["=x".into()]).is_err());
        assert!(collect(&[], vec!["TINYD_SURELY_NOT_SET".into()]).expect("skipped").is_empty());
    }
}
