//! The ledger of the OCI runtime specification tells the truth: each rule once and in the order of the documents, with tests that exist
//! or the reason why there are none.

use std::path::Path;

use super::{Text, ledgers};
use crate::ledger::{self, Kept, Rule};

const LEDGER: &str = "docs/oci.toml";

/// The specification's documents in their order, and what the ids of their rules begin with. Those of other platforms come last.
const DOCUMENTS: [(&str, &str); 13] = [
    ("bundle.md", "bundle."),
    ("glossary.md", "glossary."),
    ("runtime.md", "runtime."),
    ("runtime-linux.md", "runtime-linux."),
    ("config.md", "config."),
    ("config-linux.md", "linux."),
    ("features.md", "features."),
    ("features-linux.md", "features.linux."),
    ("config-freebsd.md", "platform."),
    ("config-solaris.md", "platform."),
    ("config-vm.md", "platform."),
    ("config-windows.md", "platform."),
    ("config-zos.md", "platform."),
];

pub(super) fn check(texts: &[Text]) -> Vec<String> {
    let Some(file) = texts.iter().find(|file| file.path == Path::new(LEDGER)) else {
        return vec![format!("{LEDGER} is missing")];
    };
    match ledger::parse_rules(&file.text) {
        Ok(rules) => rules_of(&rules, texts),
        Err(err) => vec![format!("{LEDGER}: {err:#}")],
    }
}

fn rules_of(rules: &[Rule], texts: &[Text]) -> Vec<String> {
    let mut problems = ledgers::of_all(rules.iter().map(|rule| (&rule.id, &rule.tests)), texts);
    let mut last = 0;
    for rule in rules {
        let id = &rule.id;
        let document = rule.place.split(',').next().unwrap_or_default();
        match DOCUMENTS.iter().position(|(name, _)| *name == document) {
            None => problems.push(format!("{id} is of no document: {}", rule.place)),
            Some(at) if at < last => problems.push(format!("{id} stands behind rules of later documents")),
            Some(at) if !id.starts_with(DOCUMENTS[at].1) => {
                problems.push(format!("{id} does not begin as the rules of {document} do"));
            }
            Some(at) => last = at,
        }
        if rule.says.trim().is_empty() {
            problems.push(format!("{id} says nothing"));
        }
        let (tested, explained) = (!rule.tests.is_empty(), !rule.why.trim().is_empty());
        match rule.state {
            Kept::Done if !tested => problems.push(format!("{id} is done without a test")),
            Kept::Done if explained => problems.push(format!("{id} is done and says why it is not")),
            Kept::Partial | Kept::Cannot | Kept::NotOurs if !explained => {
                problems.push(format!("{id} does not say why it is not done"));
            }
            _ => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(ledger: &str) -> Vec<String> {
        check(&[Text::sample(LEDGER, ledger), Text::sample("tests/tests/run.rs", "#[test]\nfn works() {}\n")])
    }

    fn rule(id: &str, place: &str, rest: &str) -> String {
        format!("[[rule]]\nid='{id}'\nwhere='{place}'\nlevel='must'\nsays='x'\n{rest}\n")
    }

    #[test]
    fn a_true_ledger_is_in_order() {
        let done = "state='done'\ntests=['run::works']";
        let ledger = [
            rule("runtime.a", "runtime.md, A", done),
            rule("config.a", "config.md, A", "state='partial'\nwhy='y'"),
            rule("platform.zos", "config-zos.md", "state='not-ours'\nwhy='y'"),
        ];
        assert_eq!(problems(&ledger.concat()), Vec::<String>::new());
    }

    #[test]
    fn each_untruth_is_found() {
        let done = "state='done'\ntests=['run::works']";
        let one = rule("runtime.a", "runtime.md, A", done);
        for bad in [
            format!("{one}{one}"),
            rule("runtime.a", "runtime.md, A", "state='done'"),
            rule("runtime.a", "runtime.md, A", "state='done'\ntests=['run::gone']"),
            rule("runtime.a", "runtime.md, A", "state='done'\ntests=['run::works']\nwhy='y'"),
            rule("runtime.a", "runtime.md, A", "state='cannot'"),
            rule("runtime.a", "other.md, A", done),
            rule("config.a", "runtime.md, A", done),
            format!("{}{one}", rule("config.a", "config.md, A", done)),
            rule("runtime.a", "runtime.md, A", "state='nearly'"),
            String::new(),
        ] {
            assert_eq!(problems(&bad).len(), 1, "{bad}: {:?}", problems(&bad));
        }
        assert_eq!(check(&[]).len(), 1);
    }
}
