//! Names of volumes and of snapshots.

use crate::{Error, Result};

/// As long as a file's name may be with what drivers put behind it.
const LONGEST: usize = 200;

/// Checks a name: it becomes a file's name, a word of a command and a part of a table. `what` is what it names.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_name(what: &'static str, name: &str) -> Result<()> {
    let refuse =
        |problem: &'static str| Err(Error::Invalid { what, value: name.to_owned(), problem: problem.into() });
    let may_begin = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !may_begin || name.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b"_.-".contains(&byte)) {
        return refuse("is no name: letters, digits, '_', '.' and '-', the first a letter or a digit");
    }
    match name.len() > LONGEST {
        true => refuse("is longer than 200 letters"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_names_are_plain_words() {
        for name in ["a", "0", "web-data_1.2", &"n".repeat(200)] {
            check_name("volume name", name).expect(name);
        }
        for name in ["", ".", "..", "-a", "_a", ".a", "a/b", "a b", "ä", "a\0", "a:b", &"n".repeat(201)] {
            let error = check_name("volume name", name).expect_err(name).to_string();
            assert!(error.starts_with("volume name"), "{error}");
        }
    }
}
