//! The edges between our crates are those that `ARCHITECTURE.md` draws, and what must stay out of a crate stays out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Text;

const DOCUMENT: &str = "ARCHITECTURE.md";

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Crates of others that must not come in, however indirectly: what launches a container must be small.
const NEVER: [(&str, &[&str]); 2] = [("runtime", &LARGE), ("program", &LARGE)];
/// What those must do without.
const LARGE: [&str; 6] = ["tokio", "clap", "zbus", "rustls", "regex", "oci-spec"];
/// Crates that may have these direct dependencies of others and no more.
const ONLY: [(&str, &[&str]); 1] = [("engine", &["serde"])];

/// Compares the block of the document with what cargo says; development dependencies do not count.
pub(super) fn check(texts: &[Text], metadata: &Value) -> Vec<String> {
    match texts.iter().find(|file| file.path == Path::new(DOCUMENT)) {
        Some(document) => compare(&document.text, metadata),
        None => vec![format!("{DOCUMENT} is missing")],
    }
}

fn compare(document: &str, metadata: &Value) -> Vec<String> {
    let Some(allowed) = drawn(document) else {
        return vec![format!("{DOCUMENT} has no fenced block with the info string crate-graph")];
    };
    let graph = Graph::of(metadata);
    let mut problems = Vec::new();
    let nothing = BTreeSet::new();
    for (name, used) in graph.inner() {
        let may = allowed.get(&name).unwrap_or(&nothing);
        problems
            .extend(used.difference(may).map(|other| format!("{name} uses {other}, which no edge allows")));
        problems.extend(
            may.difference(&used).map(|other| format!("the edge {name} -> {other} is drawn but not used")),
        );
    }
    problems.extend(
        allowed
            .keys()
            .filter(|name| !graph.ours.contains_key(*name))
            .map(|name| format!("{DOCUMENT} draws {name}, which is no crate")),
    );
    for (name, banned) in NEVER {
        let reached = graph.reached(name);
        problems.extend(
            banned
                .iter()
                .filter(|banned| reached.contains(**banned))
                .map(|banned| format!("{name} must never depend on {banned}, and does")),
        );
    }
    for (name, only) in ONLY {
        let used = graph.direct(name);
        problems.extend(
            used.iter()
                .filter(|used| !only.contains(&used.as_str()))
                .map(|used| format!("{name} may depend on nothing but {}, and uses {used}", only.join(", "))),
        );
    }
    problems
}

/// The lines `a -> b c` of the block.
fn drawn(document: &str) -> Option<Edges> {
    let (_, rest) = document.split_once("```crate-graph\n")?;
    let (block, _) = rest.split_once("```")?;
    let mut edges = Edges::new();
    for line in block.lines() {
        let (name, used) = line.split_once("->").unwrap_or((line, ""));
        let used = used.split_whitespace().map(str::to_owned);
        if !name.trim().is_empty() {
            edges.entry(name.trim().to_owned()).or_default().extend(used);
        }
    }
    Some(edges)
}

/// What cargo resolved, without what is only needed to develop.
struct Graph {
    /// Our crates, by the name of their folder: their package ids.
    ours: BTreeMap<String, String>,
    /// The names of all packages, by id.
    names: BTreeMap<String, String>,
    uses: Edges,
}

impl Graph {
    fn of(metadata: &Value) -> Graph {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut graph = Graph { ours: BTreeMap::new(), names: BTreeMap::new(), uses: Edges::new() };
        for package in list(&metadata["packages"]) {
            graph.names.insert(text(&package["id"]), text(&package["name"]));
            let manifest = text(&package["manifest_path"]);
            let own = manifest.strip_prefix(&format!("{}/crates/", text(&metadata["workspace_root"])));
            if let Some(folder) = own.and_then(|below| below.strip_suffix("/Cargo.toml")) {
                graph.ours.insert(folder.to_owned(), text(&package["id"]));
            }
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let needed = list(&node["deps"])
                .iter()
                .filter(|used| list(&used["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"));
            graph.uses.insert(text(&node["id"]), needed.map(|used| text(&used["pkg"])).collect());
        }
        graph
    }

    fn folder(&self, id: &str) -> Option<&String> {
        self.ours.iter().find(|(_, own)| *own == id).map(|(folder, _)| folder)
    }

    fn uses_of(&self, name: &str) -> BTreeSet<String> {
        self.ours.get(name).and_then(|id| self.uses.get(id)).cloned().unwrap_or_default()
    }

    /// The edges between our own crates.
    fn inner(&self) -> Edges {
        let names = self.ours.keys();
        names
            .map(|name| {
                let used = self.uses_of(name);
                (name.clone(), used.iter().filter_map(|id| self.folder(id)).cloned().collect())
            })
            .collect()
    }

    /// The packages of others that one of ours names.
    fn direct(&self, name: &str) -> BTreeSet<String> {
        let used = self.uses_of(name);
        used.iter()
            .filter(|id| self.folder(id).is_none())
            .filter_map(|id| self.names.get(id))
            .cloned()
            .collect()
    }

    /// The names of all packages that one of ours needs, however indirectly.
    fn reached(&self, name: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut left: Vec<String> = self.uses_of(name).into_iter().collect();
        while let Some(id) = left.pop() {
            if seen.insert(id.clone()) {
                left.extend(self.uses.get(&id).cloned().unwrap_or_default());
            }
        }
        seen.iter().filter_map(|id| self.names.get(id)).cloned().collect()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Crates in `crates/` by name, others by name, and edges with their kind (null is the normal one).
    fn metadata(edges: &[(&str, &str, Value)]) -> Value {
        let ours = ["runtime", "engine", "ns"];
        let others = ["tokio", "serde", "mio"];
        let own = ours.map(
            |name| json!({"id": name, "name": name, "manifest_path": format!("/w/crates/{name}/Cargo.toml")}),
        );
        let theirs = others
            .map(|name| json!({"id": name, "name": name, "manifest_path": format!("/r/{name}/Cargo.toml")}));
        let node = |name: &&str| {
            let deps = edges.iter().filter(|edge| edge.0 == *name);
            let deps: Vec<_> =
                deps.map(|edge| json!({"pkg": edge.1, "dep_kinds": [{"kind": edge.2}]})).collect();
            json!({"id": name, "deps": deps})
        };
        let nodes: Vec<_> = ours.iter().chain(&others).map(node).collect();
        let packages: Vec<_> = own.into_iter().chain(theirs).collect();
        json!({"workspace_root": "/w", "packages": packages, "resolve": {"nodes": nodes}})
    }

    const DRAWN: &str = "text\n```crate-graph\nruntime -> ns\nengine\n```\n";

    #[test]
    fn what_is_drawn_is_in_order_and_development_is_free() {
        let edges = [
            ("runtime", "ns", Value::Null),
            ("ns", "engine", json!("dev")),
            ("engine", "serde", Value::Null),
        ];
        assert_eq!(compare(DRAWN, &metadata(&edges)), Vec::<String>::new());
    }

    #[test]
    fn every_other_edge_is_found() {
        let edges = [
            ("ns", "engine", Value::Null),
            ("runtime", "mio", Value::Null),
            ("mio", "tokio", Value::Null),
            ("engine", "mio", json!("build")),
        ];
        let found = compare(DRAWN, &metadata(&edges)).join("\n");
        for problem in [
            "ns uses engine, which no edge allows",
            "the edge runtime -> ns is drawn but not used",
            "runtime must never depend on tokio",
            "engine may depend on nothing but serde, and uses mio",
        ] {
            assert!(found.contains(problem), "{problem} is not in\n{found}");
        }
    }

    #[test]
    fn a_document_without_the_block_or_with_a_ghost_is_found() {
        assert_eq!(check(&[], &metadata(&[])), ["ARCHITECTURE.md is missing"]);
        assert_eq!(compare("no block", &metadata(&[])).len(), 1);
        let found = compare("```crate-graph\nghost -> ns\n```", &metadata(&[]));
        assert_eq!(found, ["ARCHITECTURE.md draws ghost, which is no crate"]);
    }
}
