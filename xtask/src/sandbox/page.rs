//! The page that shows the comparison.

use std::collections::BTreeMap;
use std::fmt::Write;

use tinyd_tests::comparison::{Accepted, Facts, Line, Verdict, compare};

use super::rows::{self, Counts, OTHERS};

/// What was measured.
pub(super) struct Measured {
    pub(super) versions: Vec<(&'static str, String)>,
    pub(super) docker: Facts,
    pub(super) podman: Facts,
    /// tinyd by default, with a user namespace.
    pub(super) mapped: Facts,
    /// tinyd without.
    pub(super) plain: Facts,
}

/// The chapters: a title, the probe's subjects, and what a reader must know of them.
const CHAPTERS: [(&str, &[&str], &str); 12] = [
    ("Capabilities", &["capabilities"], include_str!("page/capabilities.md")),
    ("System calls", &["calls"], include_str!("page/calls.md")),
    (
        "Arguments of system calls",
        &[
            "x86_64-socket",
            "i386-socket",
            "x32-socket",
            "x86_64-clone",
            "i386-clone",
            "x32-clone",
            "x86_64-personality",
            "i386-personality",
            "x32-personality",
        ],
        include_str!("page/arguments.md"),
    ),
    ("What only trying shows", &["attempts"], include_str!("page/attempts.md")),
    ("Files of /proc and /sys", FILES, include_str!("page/files.md")),
    ("Mounts", &["mounts"], include_str!("page/mounts.md")),
    ("Devices", &["devices", "made-devices"], include_str!("page/devices.md")),
    ("Control groups", &["groups"], include_str!("page/groups.md")),
    ("Namespaces", &["namespaces"], include_str!("page/namespaces.md")),
    ("The process", &["process", "status", "descriptors", "variables"], include_str!("page/process.md")),
    ("Limits", &["limits"], include_str!("page/limits.md")),
    ("Kernel settings", &["settings"], include_str!("page/settings.md")),
];

const FILES: &[&str] = &["files", "masked", "read-only"];

/// The page as Markdown.
pub(super) fn page(measured: &Measured, accepted: &Accepted) -> String {
    let lines =
        [&measured.podman, &measured.mapped, &measured.plain].map(|facts| compare(facts, &measured.docker));
    let mut page = include_str!("page/top.md").to_owned();
    let versions = measured.versions.iter().map(|(who, version)| format!("| {who} | {version} |\n"));
    page = page.replace("@versions@\n", &versions.collect::<String>());
    page = page.replace("@summary@\n", &summary(&lines, accepted));
    for (number, entry) in accepted.entries().iter().enumerate() {
        let keys: Vec<String> = entry.keys.iter().map(|key| format!("`{key}`")).collect();
        let reason = entry.reason.trim().replace('\n', "\n   ");
        let _ = writeln!(page, "{}. *{}* {}.\n   {reason}", number + 1, entry.subject, keys.join(", "));
    }
    page.push_str(include_str!("page/apparmor.md"));
    for (title, subjects, text) in CHAPTERS {
        let _ = write!(page, "\n## {title}\n\n{text}");
        page.push_str(&chapter(&lines, subjects, accepted));
    }
    page
}

fn of<'a>(lines: &'a [Line], subjects: &'a [&str]) -> impl Iterator<Item = &'a Line> {
    lines.iter().filter(|line| subjects.contains(&line.subject.as_str()))
}

fn summary(lines: &[Vec<Line>; OTHERS], accepted: &Accepted) -> String {
    let mut text = String::new();
    let shown = |counts: Counts| {
        format!("{} / {} / {} / **{}**", counts.same, counts.tighter, counts.accepted, counts.looser)
    };
    let of_all: Vec<&str> = CHAPTERS.iter().flat_map(|(_, subjects, _)| *subjects).copied().collect();
    let chapters = CHAPTERS.iter().map(|(title, subjects, _)| (*title, *subjects));
    for (title, subjects) in chapters.chain([("all", of_all.as_slice())]) {
        let [podman, mapped, plain] = lines;
        let podman = Counts::of(of(podman, subjects), None);
        let _ = writeln!(
            text,
            "| {title} | {} | {} | {} / {} / {} |",
            shown(Counts::of(of(mapped, subjects), Some(accepted))),
            shown(Counts::of(of(plain, subjects), Some(accepted))),
            podman.same,
            podman.tighter,
            podman.looser
        );
    }
    text
}

fn chapter(lines: &[Vec<Line>; OTHERS], subjects: &[&str], accepted: &Accepted) -> String {
    let is_files = subjects == FILES;
    // What the user namespace takes away are thousands of files: they are counted below.
    let shows = |verdicts: &[Verdict; OTHERS]| {
        verdicts
            .iter()
            .enumerate()
            .any(|(column, verdict)| *verdict != Verdict::Same && !(is_files && column == 1))
    };
    let rows = rows::rows(lines, subjects, accepted, shows);
    let mut text = String::new();
    if rows.is_empty() {
        text.push_str("\nAll facts are the same in all four.\n");
    } else {
        text.push_str("\n| fact | Docker | Podman | tinyd | tinyd `--userns host` | tinyd is |\n|---|---|---|---|---|---|\n");
        rows.iter().for_each(|row| text.push_str(&rows::shown(row)));
    }
    if is_files {
        text.push_str(&by_folder(&lines[1]));
    }
    text
}

/// The files that the user namespace takes away, counted by folder.
fn by_folder(lines: &[Line]) -> String {
    let mut folders: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for line in of(lines, &["files"]) {
        let parts: Vec<&str> = line.key.split('/').collect();
        let folder = if parts.len() > 3 { parts[..3].join("/") } else { parts[..2].join("/") };
        let counts = folders.entry(folder).or_default();
        counts[0] += 1;
        let took = |right: &str| {
            let has = |value: &Option<String>| value.as_ref().is_some_and(|value| value.contains(right));
            usize::from(has(&line.docker) && !has(&line.ours))
        };
        counts[1] += took("r");
        counts[2] += took("w");
    }
    let mut text = include_str!("page/folders.md").to_owned();
    for (folder, [all, read, write]) in folders.iter().filter(|(_, counts)| counts[1] + counts[2] > 0) {
        let _ = writeln!(text, "| `{folder}` | {all} | {read} | {write} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_by_the_folder_and_the_right_that_is_gone() {
        let line = |key: &str, docker: &str, ours: &str| Line {
            subject: "files".into(),
            key: key.into(),
            docker: Some(docker.into()),
            ours: Some(ours.into()),
            verdict: Verdict::Tighter,
        };
        let lines = [
            line("/sys/kernel/slab/a", "r-", "--"),
            line("/sys/kernel/slab/b", "rw", "--"),
            line("/sys/kernel/c", "r-", "r-"),
            line("/proc/x", "rw", "r-"),
            line("/proc/sys/y", "r-", "r-"),
        ];
        let text = by_folder(&lines);
        assert!(text.ends_with("| `/proc` | 1 | 0 | 1 |\n| `/sys/kernel` | 3 | 2 | 1 |\n"), "{text}");
    }
}
