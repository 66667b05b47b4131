//! The answers of the seccomp filter, by ABI and number.

use std::collections::BTreeMap;
use std::fs;

use crate::paths;

/// The filter's answers when all arguments are 0, and when every bit of them is set.
pub(super) type Answers = (String, String);

/// The answers for each ABI and number.
pub(super) type Calls = BTreeMap<(String, u32), Answers>;

/// Takes in a line of the probe: `x86_64 104-133 allow allow`.
pub(super) fn read_line(calls: &mut Calls, line: &str) -> Option<()> {
    let mut words = line.split(' ');
    let (abi, range) = (words.next()?, words.next()?.split_once('-')?);
    let answers = (words.next()?.to_owned(), words.next()?.to_owned());
    for number in range.0.parse::<u32>().ok()?..=range.1.parse::<u32>().ok()? {
        calls.insert((abi.to_owned(), number), answers.clone());
    }
    Some(())
}

/// The lines again.
pub(super) fn lines(calls: &Calls) -> Vec<String> {
    let mut runs: Vec<(&str, u32, u32, &Answers)> = Vec::new();
    for ((abi, number), answers) in calls {
        match runs.last_mut() {
            Some(run) if run.0 == abi && run.3 == answers && run.2 + 1 == *number => run.2 = *number,
            _ => runs.push((abi, *number, *number, answers)),
        }
    }
    let line = |(abi, first, last, (zero, ones)): &(&str, u32, u32, &Answers)| {
        format!("{abi} {first}-{last} {zero} {ones}")
    };
    runs.iter().map(line).collect()
}

/// Whether an answer lets the call pass to the kernel. `unasked` is a call that the kernel shows to no filter.
pub(super) fn passes(answer: &str) -> bool {
    answer == "allow"
}

/// The names of the calls, by ABI and number, from the table of the default profile.
pub(super) fn names() -> BTreeMap<(String, u32), String> {
    let table = paths::workspace().join("crates/ns/src/seccomp/syscalls.tbl");
    let table = fs::read_to_string(table).expect("the table of system calls is there");
    let mut names = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(' ').collect();
        for (abi, column) in [("x86_64", 1), ("i386", 2), ("x32", 3)] {
            if let Some(number) = columns.get(column).and_then(|number| number.parse().ok()) {
                names.insert((abi.to_owned(), number), columns[0].to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were() {
        let text = ["i386 0-2 allow allow", "i386 3-3 allow EPERM", "x32 0-9 kill kill"];
        let mut calls = Calls::new();
        text.iter().for_each(|line| read_line(&mut calls, line).unwrap());
        assert_eq!(calls.len(), 14);
        assert_eq!(lines(&calls), text);
        assert!(read_line(&mut calls, "i386 one allow allow").is_none());
    }

    #[test]
    fn calls_have_their_names_in_each_abi() {
        let names = names();
        for (abi, number) in [("x86_64", 41), ("i386", 359), ("x32", 41)] {
            assert_eq!(names[&(abi.to_owned(), number)], "socket");
        }
    }
}
