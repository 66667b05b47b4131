//! A configuration: a list of plugins, or a single one, as administrators write it (sections 1 of the specifications).

use super::error::CniError;
use super::version::{ALL, Version};
use serde_json::{Map, Value};

/// A network as plugins make it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    /// What plugins are told that the network is called.
    pub name: String,
    /// The versions that it is written for and that are spoken here, the newest first.
    pub versions: Vec<Version>,
    /// CHECK must not be called.
    pub disable_check: bool,
    /// GC must not be called.
    pub disable_gc: bool,
    /// In the order in which they are called; at least one.
    pub plugins: Vec<Plugin>,
}

/// One program, with what it is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plugin {
    /// The name of its file.
    pub kind: String,
    /// The name of the file of the plugin that it gets addresses from, where it says so.
    pub ipam: Option<String>,
    /// All of its configuration, as it was written.
    pub object: Map<String, Value>,
}

impl Plugin {
    /// Whether it says that it takes something from whoever runs it.
    pub(super) fn takes(&self, capability: &str) -> bool {
        self.object.get("capabilities").and_then(|all| all.get(capability)) == Some(&Value::Bool(true))
    }
}

impl List {
    /// Reads a configuration. `origin` is what errors call it: its file.
    pub(super) fn parse(text: &str, origin: &str) -> Result<Self, CniError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|source| CniError::Json { origin: origin.to_owned(), source })?;
        let reader = Reader { origin };
        let Value::Object(object) = value else { return Err(reader.bad("it", "is no JSON object")) };
        let name = reader.text(&object, "name")?;
        check_name(&name).map_err(|problem| reader.bad(&format!("the name {name:?}"), problem))?;
        let plugins = match object.get("plugins") {
            None if object.contains_key("type") => vec![reader.plugin(&object)?],
            None => return Err(reader.bad("\"plugins\"", "is missing, and so is \"type\"")),
            Some(Value::Array(all)) if !all.is_empty() => {
                all.iter().map(|one| reader.listed(one)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(reader.bad("\"plugins\"", "is no list with something in it")),
        };
        Ok(Self {
            versions: reader.versions(&object)?,
            disable_check: reader.switch(&object, "disableCheck")?,
            disable_gc: reader.switch(&object, "disableGC")?,
            name,
            plugins,
        })
    }
}

/// The rule of the specification for the names of networks and the ids of containers.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match name.as_bytes() {
        [first, rest @ ..] if first.is_ascii_alphanumeric() && rest.iter().all(|byte| plain(*byte)) => Ok(()),
        _ => Err("is none: it begins with a letter or digit and has letters, digits, '_', '.' and '-'"),
    }
}

struct Reader<'a> {
    origin: &'a str,
}

impl Reader<'_> {
    fn bad(&self, what: &str, problem: impl Into<String>) -> CniError {
        CniError::Config { origin: self.origin.to_owned(), what: what.to_owned(), problem: problem.into() }
    }

    fn text(&self, object: &Map<String, Value>, key: &str) -> Result<String, CniError> {
        match object.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.bad(&format!("{key:?}"), "is no text")),
            None => Err(self.bad(&format!("{key:?}"), "is missing")),
        }
    }

    /// A word for yes or no is taken as well: files that are in use have it.
    fn switch(&self, object: &Map<String, Value>, key: &str) -> Result<bool, CniError> {
        match object.get(key) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(Value::String(word)) if word.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(word)) if word.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(self.bad(&format!("{key:?}"), "is neither true nor false")),
        }
    }

    fn versions(&self, object: &Map<String, Value>) -> Result<Vec<Version>, CniError> {
        let mut words = vec![self.text(object, "cniVersion")?];
        match object.get("cniVersions") {
            None => {}
            Some(Value::Array(more)) => {
                let word = |one: &Value| one.as_str().map(str::to_owned);
                let more: Option<Vec<_>> = more.iter().map(word).collect();
                words.extend(more.ok_or_else(|| self.bad("\"cniVersions\"", "is no list of texts"))?);
            }
            Some(_) => return Err(self.bad("\"cniVersions\"", "is no list of texts")),
        }
        let both: Vec<_> =
            ALL.into_iter().filter(|version| words.iter().any(|word| word == version.word())).collect();
        if !both.is_empty() {
            return Ok(both);
        }
        let ours: Vec<_> = ALL.iter().rev().map(|version| version.word()).collect();
        let problem = format!("is not spoken here: {} are", ours.join(", "));
        Err(self.bad(&format!("the version {}", words.join(" or ")), problem))
    }

    fn listed(&self, plugin: &Value) -> Result<Plugin, CniError> {
        let object = plugin.as_object();
        self.plugin(object.ok_or_else(|| self.bad("\"plugins\"", "has something in it that is no object"))?)
    }

    fn plugin(&self, object: &Map<String, Value>) -> Result<Plugin, CniError> {
        let kind = self.text(object, "type")?;
        self.file_name(&kind, "the type")?;
        if object.get("capabilities").is_some_and(|all| !all.is_object()) {
            return Err(self.bad(&format!("\"capabilities\" of {kind}"), "is no object"));
        }
        let ipam = object.get("ipam").and_then(|ipam| ipam.get("type"));
        let ipam = match ipam {
            // An empty one is the plugins' own way to say that there is none.
            None => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => return Err(self.bad(&format!("\"type\" of \"ipam\" of {kind}"), "is no text")),
        };
        if let Some(ipam) = &ipam {
            self.file_name(ipam, "the type of \"ipam\"")?;
        }
        Ok(Plugin { kind, ipam, object: object.clone() })
    }

    /// It becomes a part of the path of a program that root runs.
    fn file_name(&self, name: &str, what: &str) -> Result<(), CniError> {
        match name.is_empty() || [".", ".."].contains(&name) || name.contains(['/', '\\', '\0', ':']) {
            true => Err(self.bad(&format!("{what} {name:?}"), "is not the name of a file")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_list_keeps_what_its_plugins_are_told() {
        let text = r#"{"cniVersion": "0.4.0", "cniVersions": ["1.0.0", "1.1.0", "9.0.0"], "name": "web",
            "disableCheck": true, "disableGC": "True", "plugins": [
            {"type": "bridge", "ipam": {"type": "host-local"}, "strange": {"a": [1, null]}},
            {"type": "portmap", "capabilities": {"portMappings": true, "aliases": false}}]}"#;
        let list = List::parse(text, "web.conflist").unwrap();
        assert_eq!((list.name.as_str(), list.disable_check, list.disable_gc), ("web", true, true));
        assert_eq!(list.versions, [Version::V1_1, Version::V1_0, Version::V0_4]);
        let kinds: Vec<_> = list.plugins.iter().map(|one| (one.kind.as_str(), one.ipam.as_deref())).collect();
        assert_eq!(kinds, [("bridge", Some("host-local")), ("portmap", None)]);
        assert_eq!(list.plugins[0].object["strange"], serde_json::json!({"a": [1, null]}));
        assert!(list.plugins[1].takes("portMappings"));
        assert!(!list.plugins[1].takes("aliases") && !list.plugins[0].takes("portMappings"));
    }

    #[test]
    fn pure_a_single_plugin_is_a_list_of_one() {
        let text =
            r#"{"cniVersion": "0.4.0", "name": "lan", "type": "macvlan", "master": "eth0", "ipam": {}}"#;
        let list = List::parse(text, "lan.conf").unwrap();
        assert_eq!((list.versions.as_slice(), list.plugins.len()), (&[Version::V0_4][..], 1));
        assert_eq!((list.plugins[0].kind.as_str(), &list.plugins[0].ipam), ("macvlan", &None));
        assert_eq!(list.plugins[0].object["master"], "eth0");
    }

    #[test]
    fn pure_what_breaks_a_rule_is_named_with_its_file() {
        let plugins = r#""plugins": [{"type": "bridge"}]"#;
        for (text, part) in [
            ("[]".to_owned(), "is no JSON object"),
            (format!(r#"{{"cniVersion": "1.0.0", {plugins}}}"#), "\"name\" is missing"),
            (format!(r#"{{"cniVersion": "1.0.0", "name": 3, {plugins}}}"#), "\"name\" is no text"),
            (format!(r#"{{"cniVersion": "1.0.0", "name": "a/b", {plugins}}}"#), "\"a/b\" is none"),
            (format!(r#"{{"cniVersion": "1.0.0", "name": "-a", {plugins}}}"#), "\"-a\" is none"),
            (format!(r#"{{"name": "a", {plugins}}}"#), "\"cniVersion\" is missing"),
            (
                format!(r#"{{"cniVersion": "0.3.1", "name": "a", {plugins}}}"#),
                "0.3.1 is not spoken here: 0.4.0, 1.0.0, 1.1.0 are",
            ),
            (
                format!(r#"{{"cniVersion": "0.3.1", "cniVersions": ["2.0.0"], "name": "a", {plugins}}}"#),
                "0.3.1 or 2.0.0 is not spoken",
            ),
            (
                format!(r#"{{"cniVersion": "1.0.0", "cniVersions": 1, "name": "a", {plugins}}}"#),
                "list of texts",
            ),
            (
                format!(r#"{{"cniVersion": "1.0.0", "disableGC": 1, "name": "a", {plugins}}}"#),
                "\"disableGC\"",
            ),
            (r#"{"cniVersion": "1.0.0", "name": "a"}"#.to_owned(), "\"plugins\" is missing"),
            (r#"{"cniVersion": "1.0.0", "name": "a", "plugins": []}"#.to_owned(), "\"plugins\" is no list"),
            (r#"{"cniVersion": "1.0.0", "name": "a", "plugins": [1]}"#.to_owned(), "no object"),
            (r#"{"cniVersion": "1.0.0", "name": "a", "plugins": [{}]}"#.to_owned(), "\"type\" is missing"),
            (
                r#"{"cniVersion": "1.0.0", "name": "a", "type": "../sh"}"#.to_owned(),
                "\"../sh\" is not the name",
            ),
            (r#"{"cniVersion": "1.0.0", "name": "a", "type": ".."}"#.to_owned(), "\"..\" is not the name"),
            (
                r#"{"cniVersion": "1.0.0", "name": "a", "type": "x", "ipam": {"type": "a/b"}}"#.to_owned(),
                "the type of \"ipam\" \"a/b\"",
            ),
            (
                r#"{"cniVersion": "1.0.0", "name": "a", "type": "x", "capabilities": []}"#.to_owned(),
                "capabilities",
            ),
        ] {
            let error = List::parse(&text, "x.conflist").unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("x.conflist: ") && said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn pure_what_is_no_json_is_named_with_its_line() {
        let error = List::parse("{\n\"name\": \"a\",\n]", "x.conflist").unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error.to_string(), "x.conflist is no JSON");
        assert!(source.contains("line 3 column 1"), "{source}");
    }
}
