//! Which word is the image.

use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// Where a bare program name is looked for before it is taken for a command of this machine.
pub(crate) const PROGRAM_FOLDERS: &[&str] = &["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The complaint about a missing command.
pub(crate) const MISSING_COMMAND: &str = "Missing container command";

/// An image, and the words that are for it to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) image: String,
    pub(crate) command: Vec<String>,
}

/// Tells the image from the command.
///
/// An image that was named by its option leaves all words to the command. Otherwise the first word is the image when it
/// is one: `host`, `/`, or a folder. When it is none but a program of this machine (an absolute path to a file, or a
/// name in `folders`) and no entry point was given, the image is `host`: `tinyd run -ti /bin/sh`.
pub(crate) fn choose(
    named: Option<String>,
    words: Vec<String>,
    has_entrypoint: bool,
    folders: &[&str],
) -> Result<Choice, Failure> {
    let choice = match named {
        Some(image) => Choice { image: absolute(image), command: words },
        None => from_words(words, has_entrypoint, folders)?,
    };
    if choice.command.is_empty() && !has_entrypoint {
        return Err(Failure::Usage(MISSING_COMMAND.to_owned()));
    }
    Ok(choice)
}

fn from_words(mut words: Vec<String>, has_entrypoint: bool, folders: &[&str]) -> Result<Choice, Failure> {
    let Some(first) = words.first() else {
        let text = if has_entrypoint { "no image given ('host', or a folder)" } else { MISSING_COMMAND };
        return Err(Failure::Usage(text.to_owned()));
    };
    if is_image(first) {
        let image = absolute(words.remove(0));
        return Ok(Choice { image, command: words });
    }
    if !has_entrypoint && is_program(first, folders) {
        return Ok(Choice { image: "host".to_owned(), command: words });
    }
    Err(Failure::Usage(format!(
        "image '{first}' not found (give 'host' for a root made from this machine, or a folder that holds a root file \
         system)"
    )))
}

fn is_image(word: &str) -> bool {
    word == "host" || word == "/" || (!word.is_empty() && Path::new(word).is_dir())
}

fn is_program(word: &str, folders: &[&str]) -> bool {
    if word.starts_with('/') {
        return Path::new(word).is_file();
    }
    let is_name = !word.is_empty() && !word.contains('/');
    is_name && folders.iter().any(|folder| Path::new(folder).join(word).is_file())
}

/// A folder by its absolute path, because the engine may have another working folder.
fn absolute(image: String) -> String {
    if image == "host" || !Path::new(&image).is_dir() {
        return image;
    }
    let path = std::path::absolute(&image).unwrap_or_else(|_| PathBuf::from(&image));
    path.into_os_string().into_string().unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn chosen(named: Option<&str>, line: &str, has_entrypoint: bool) -> Result<(String, String), String> {
        choose(named.map(str::to_owned), words(line), has_entrypoint, PROGRAM_FOLDERS)
            .map(|choice| (choice.image, choice.command.join(" ")))
            .map_err(|failure| failure.line().expect("a line"))
    }

    #[test]
    fn the_first_word_is_the_image_when_it_is_one() {
        for (named, line, image, command) in [
            (None, "host true", "host", "true"),
            (None, "/ true", "/", "true"),
            (None, "/usr true", "/usr", "true"),
            (None, "/bin/sh -c x", "host", "/bin/sh -c x"),
            (None, "ls -l", "host", "ls -l"),
            (Some("/root/redis"), "/bin/sleep 3000", "/root/redis", "/bin/sleep 3000"),
            (Some("host"), "host true", "host", "host true"),
            (Some("nosuch"), "true", "nosuch", "true"),
        ] {
            let expected = Ok((image.to_owned(), command.to_owned()));
            assert_eq!(chosen(named, line, false), expected, "{named:?} {line}");
        }
    }

    #[test]
    fn what_is_neither_is_named() {
        for line in ["no-such-image sh", "/no/such sh", "./no-such sh", "bin/no-such sh"] {
            let message = chosen(None, line, false).expect_err(line);
            assert!(message.starts_with("image '") && message.contains("' not found"), "{line}: {message}");
        }
    }

    #[test]
    fn a_command_is_needed_but_for_an_entry_point() {
        for (named, line) in [(None, ""), (None, "host"), (None, "/usr"), (Some("host"), "")] {
            assert_eq!(chosen(named, line, false).expect_err(line), MISSING_COMMAND, "{named:?} {line}");
        }
        assert_eq!(chosen(None, "host", true), Ok(("host".to_owned(), String::new())));
        assert!(chosen(None, "ls", true).expect_err("ls").contains("image 'ls' not found"));
        assert!(chosen(None, "", true).expect_err("none").contains("no image given"));
    }

    #[test]
    fn folders_are_made_absolute() {
        let (image, _) = chosen(None, "src true", false).expect("a folder of this crate");
        assert!(Path::new(&image).is_absolute() && image.ends_with("/src"), "{image}");
    }
}
