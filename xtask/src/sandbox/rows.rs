//! The rows of the page's tables: facts that stand alike in all engines are one row.

use std::collections::{BTreeMap, BTreeSet};

use tinyd_tests::comparison::{Accepted, Line, Verdict};

/// Who is compared with Docker, in the order of the columns.
pub(super) const OTHERS: usize = 3;
/// x86_64, i386, x32.
const ALL_ABIS: usize = 3;
const PODMAN: usize = 0;
const MAPPED: usize = 1;
const PLAIN: usize = 2;

/// The columns of a fact: Docker's value, and for each of the others its own with the verdict.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Columns {
    docker: Option<String>,
    others: [(Option<String>, Verdict); OTHERS],
    /// Which entry of the accepted differences it is, per column.
    accepted: [Option<usize>; OTHERS],
}

/// The verdicts of some lines, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) same: usize,
    pub(super) tighter: usize,
    pub(super) accepted: usize,
    pub(super) looser: usize,
}

impl Counts {
    pub(super) fn of<'a>(lines: impl IntoIterator<Item = &'a Line>, accepted: Option<&Accepted>) -> Counts {
        let mut counts = Counts::default();
        for line in lines {
            match line.verdict {
                Verdict::Same => counts.same += 1,
                Verdict::Tighter => counts.tighter += 1,
                Verdict::Looser if accepted.is_some_and(|list| list.of(line).is_some()) => {
                    counts.accepted += 1
                }
                Verdict::Looser => counts.looser += 1,
            }
        }
        counts
    }
}

/// A fact's name in the table, and the ABI it is of where it is a call's.
fn name(line: &Line) -> (String, Option<String>) {
    match (line.subject.as_str(), line.key.split_once(' '), line.subject.split_once('-')) {
        ("calls", Some((abi, call)), _) => (call.to_owned(), Some(abi.to_owned())),
        (_, _, Some((abi @ ("x86_64" | "i386" | "x32"), call))) => {
            (format!("{call} {}", line.key), Some(abi.to_owned()))
        }
        // What these are is not plain from the key alone.
        ("made-devices", ..) => (format!("mknod {}", line.key), None),
        ("masked" | "read-only" | "devices", ..) => (format!("{} {}", line.subject, line.key), None),
        _ => (line.key.clone(), None),
    }
}

/// The rows of some subjects: the names of the facts, and their columns. `shows` chooses by the verdicts.
pub(super) fn rows(
    lines: &[Vec<Line>; OTHERS],
    subjects: &[&str],
    accepted: &Accepted,
    shows: impl Fn(&[Verdict; OTHERS]) -> bool,
) -> Vec<(String, Columns)> {
    let mut facts: BTreeMap<(&str, &str), Columns> = BTreeMap::new();
    let empty =
        Columns { docker: None, others: [const { (None, Verdict::Same) }; OTHERS], accepted: [None; OTHERS] };
    for (column, lines) in lines.iter().enumerate() {
        for line in lines.iter().filter(|line| subjects.contains(&line.subject.as_str())) {
            let columns = facts.entry((&line.subject, &line.key)).or_insert_with(|| empty.clone());
            columns.docker.clone_from(&line.docker);
            columns.others[column] = (line.ours.clone(), line.verdict);
            let ours = column != PODMAN && line.verdict == Verdict::Looser;
            columns.accepted[column] = if ours { accepted.of(line) } else { None };
        }
    }
    let mut names: BTreeMap<Columns, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for ((subject, key), columns) in facts {
        let verdicts = [0, 1, 2].map(|column: usize| columns.others[column].1);
        if !shows(&verdicts) {
            continue;
        }
        let line = Line {
            subject: subject.to_owned(),
            key: key.to_owned(),
            docker: None,
            ours: None,
            verdict: Verdict::Same,
        };
        let (name, abi) = name(&line);
        names.entry(columns).or_default().entry(name).or_default().extend(abi);
    }
    let mut rows: Vec<(String, Columns)> =
        names.into_iter().map(|(columns, names)| (listed(names), columns)).collect();
    rows.sort();
    rows
}

/// The names of a row: those of the same ABIs together, and the values of one call's argument behind its name.
fn listed(names: BTreeMap<String, BTreeSet<String>>) -> String {
    let mut by_abis: BTreeMap<BTreeSet<String>, Vec<String>> = BTreeMap::new();
    for (name, abis) in names {
        by_abis.entry(if abis.len() == ALL_ABIS { BTreeSet::new() } else { abis }).or_default().push(name);
    }
    let group = |(abis, names): (BTreeSet<String>, Vec<String>)| {
        let names = with_values(&names);
        if abis.is_empty() {
            names
        } else {
            format!("{names} ({})", abis.into_iter().collect::<Vec<_>>().join(", "))
        }
    };
    by_abis.into_iter().map(group).collect::<Vec<_>>().join("; ")
}

/// `socket 7`, `socket 8`, `socket 9` as `socket` with 7–9.
fn with_values(names: &[String]) -> String {
    let mut words: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let (word, value) = name.split_once(' ').unwrap_or((name, ""));
        match words.last_mut() {
            Some(last) if last.0 == word && !value.is_empty() => last.1.push(value),
            _ => words.push((word, if value.is_empty() { vec![] } else { vec![value] })),
        }
    }
    let shown = |(word, values): &(&str, Vec<&str>)| match values.as_slice() {
        [] => format!("`{}`", word.trim_end_matches('+')),
        values => format!("`{word}` {}", runs(values)),
    };
    words.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// Numbers that follow each other, by the first and the last of them.
fn runs(values: &[&str]) -> String {
    let mut runs: Vec<(&str, &str)> = Vec::new();
    for &value in values {
        let follows = |last: &str| {
            let numbers = last.parse::<u32>().ok().zip(value.parse::<u32>().ok());
            numbers.is_some_and(|(last, value)| value == last + 1)
        };
        match runs.last_mut() {
            Some(run) if follows(run.1) => run.1 = value,
            _ => runs.push((value, value)),
        }
    }
    let shown = |(first, last): &(&str, &str)| {
        if first == last { format!("`{first}`") } else { format!("`{first}`–`{last}`") }
    };
    runs.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// A row of the table.
pub(super) fn shown((name, columns): &(String, Columns)) -> String {
    let value = |value: &Option<String>| match value {
        Some(text) if text.is_empty() => "empty".to_owned(),
        Some(text) => format!("`{}`", text.replace('|', "\\|")),
        None => "–".to_owned(),
    };
    let podman = &columns.others[PODMAN];
    let mark = if podman.1 == Verdict::Looser { " (looser)" } else { "" };
    format!(
        "| {name} | {} | {}{mark} | {} | {} | {} |\n",
        value(&columns.docker),
        value(&podman.0),
        value(&columns.others[MAPPED].0),
        value(&columns.others[PLAIN].0),
        verdict(columns)
    )
}

fn verdict(columns: &Columns) -> String {
    let word = |column: usize| match columns.accepted[column] {
        Some(entry) => format!("accepted ({})", entry + 1),
        None if columns.others[column].1 == Verdict::Looser => "**looser**".to_owned(),
        None => columns.others[column].1.word().to_owned(),
    };
    let (mapped, plain) = (word(MAPPED), word(PLAIN));
    if mapped == plain { mapped } else { format!("{mapped}; `host`: {plain}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(subject: &str, key: &str, docker: &str, ours: &str, verdict: Verdict) -> Line {
        let (docker, ours) = (Some(docker.to_owned()), Some(ours.to_owned()));
        Line { subject: subject.into(), key: key.into(), docker, ours, verdict }
    }

    #[test]
    fn facts_that_stand_alike_are_one_row() {
        let of = |ours: &str, verdict: Verdict| {
            ["x86_64", "i386", "x32"]
                .iter()
                .flat_map(|abi| ["mount", "bpf"].map(|name| format!("{abi} {name}")))
                .map(|key| line("calls", &key, "EPERM", ours, verdict))
                .chain([line("calls", "i386 open", "allow", "kill", Verdict::Tighter)])
                .collect::<Vec<_>>()
        };
        let lines = [of("allow", Verdict::Looser), of("EPERM", Verdict::Same), of("EPERM", Verdict::Same)];
        let differs = |verdicts: &[Verdict; OTHERS]| verdicts.iter().any(|verdict| *verdict != Verdict::Same);
        let rows = rows(&lines, &["calls"], &Accepted::default(), differs);
        let shown: Vec<String> = rows.iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                "| `bpf`, `mount` | `EPERM` | `allow` (looser) | `EPERM` | `EPERM` | same |\n",
                "| `open` (i386) | `allow` | `kill` | `kill` | `kill` | tighter |\n"
            ]
        );
        let counts = Counts::of(&lines[0], None);
        assert_eq!((counts.looser, counts.tighter, counts.same), (6, 1, 0));
    }

    #[test]
    fn names_of_the_same_abis_and_values_that_follow_each_other_are_together() {
        let set = |abis: &[&str]| abis.iter().map(|&abi| abi.to_owned()).collect::<BTreeSet<_>>();
        let all = set(&["x86_64", "i386", "x32"]);
        let names = [
            ("mount", all.clone()),
            ("bpf", all),
            ("nice", set(&["i386"])),
            ("signal", set(&["i386"])),
            ("socket 12", set(&[])),
            ("socket 38", set(&[])),
            ("socket 39", set(&[])),
        ];
        let names = names.map(|(name, abis)| (name.to_owned(), abis)).into();
        assert_eq!(listed(names), "`bpf`, `mount`, `socket` `12`, `38`–`39`; `nice`, `signal` (i386)");
    }
}
