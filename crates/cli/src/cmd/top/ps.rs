//! The options of ps(1) that say which columns are wanted. Which processes is no question here: all of the container's.

use super::columns::{self, Column};

const FULL: &[&str] = &["uid", "pid", "ppid", "c", "stime", "tty", "time", "args"];
const BSD: &[&str] = &["user", "pid", "pcpu", "vsz", "rss", "tty", "stat", "stime", "time", "args"];

/// The columns that words ask for.
pub(super) fn columns(words: &[String]) -> Result<Vec<&'static Column>, String> {
    let mut wanted: Vec<&str> = Vec::new();
    let mut default = FULL;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let long = ["--format=", "--format"].iter().find_map(|name| word.strip_prefix(name));
        match (long, word.strip_prefix('-')) {
            (Some(""), _) => wanted.push(words.next().ok_or_else(|| missing(word))?),
            (Some(list), _) => wanted.push(list),
            (None, Some(letters)) => match letters.split_once('o') {
                // -e, -f, -A, -a, -x: of each process, in full.
                Some((before, list)) if is_selection(before) => {
                    let list = list.strip_prefix('=').unwrap_or(list);
                    match list {
                        "" => wanted.push(words.next().ok_or_else(|| missing(word))?),
                        list => wanted.push(list),
                    }
                }
                None if !letters.is_empty() && is_selection(letters) => default = FULL,
                _ => return Err(unknown(word)),
            },
            // aux, ax, and columns by themselves.
            (None, None) if matches!(word, "aux" | "axu" | "uax" | "u") => default = BSD,
            (None, None) if matches!(word, "ax" | "a" | "x") => default = FULL,
            (None, None) => wanted.push(word),
        }
    }
    let lists: Vec<&str> = if wanted.is_empty() { default.to_vec() } else { wanted };
    let words = lists.iter().flat_map(|list| list.split([',', ' '])).filter(|word| !word.is_empty());
    let found = words.map(|word| columns::find(word).ok_or_else(|| no_column(word)));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err("no column is named".to_owned()) } else { Ok(found) }
}

fn is_selection(letters: &str) -> bool {
    letters.chars().all(|letter| matches!(letter, 'e' | 'f' | 'A' | 'a' | 'x'))
}

fn missing(option: &str) -> String {
    format!("{option} names no column")
}

fn unknown(word: &str) -> String {
    format!("{word} is no option of ps that is known here: there are -ef, aux and -o COLUMN,…")
}

fn no_column(word: &str) -> String {
    let all: Vec<_> = columns::ALL.iter().map(|column| column.word).collect();
    format!("there is no column {word:?}; there are {}", all.join(" "))
}
