//! A small part of Go's templates: `{{.A.B}}`, `{{json .A}}`, with `\t` and `\n` between.

use crate::failure::Failure;
use serde_json::Value;

/// Text with fields in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The names on the way to a field, and whether it is wanted as JSON.
    Field(Vec<String>, bool),
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            pieces.push(Piece::Text(unescape(&rest[..at])));
            let end = rest[at..].find("}}").ok_or_else(|| "a '{{' is not closed".to_owned())?;
            pieces.push(field(rest[at + 2..at + end].trim())?);
            rest = &rest[at + end + 2..];
        }
        if pieces.is_empty() {
            return Err("it is neither a known format nor a template such as '{{.ID}}'".to_owned());
        }
        pieces.push(Piece::Text(unescape(rest)));
        Ok(Self { pieces })
    }

    /// The names on the way to each field.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &[String]> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Field(path, _) => Some(path.as_slice()),
        })
    }

    /// The text with each field's last name turned into something else.
    pub(crate) fn map_fields(&self, turn: impl Fn(&str) -> String) -> String {
        let text = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(path, _) => path.last().map(|name| turn(name)).unwrap_or_default(),
        });
        text.collect()
    }
}

/// Fills a template.
pub(crate) fn render(template: &Template, value: &Value) -> Result<String, Failure> {
    let mut text = String::new();
    for piece in &template.pieces {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Field(path, true) => text.push_str(&find(value, path)?.to_string()),
            Piece::Field(path, false) => show(find(value, path)?, &mut text),
        }
    }
    Ok(text)
}

fn field(text: &str) -> Result<Piece, String> {
    let unknown = || {
        format!(
            "'{{{{{text}}}}}' is not understood; fields are written like {{{{.State.Pid}}}} or {{{{json .State}}}}"
        )
    };
    let (path, json) = match text.strip_prefix("json ") {
        Some(path) => (path.trim_start(), true),
        None => (text, false),
    };
    let path = path.strip_prefix('.').ok_or_else(unknown)?;
    if path.is_empty() {
        return Ok(Piece::Field(Vec::new(), json));
    }
    let names: Vec<String> = path.split('.').map(str::to_owned).collect();
    let is_name =
        |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if names.iter().all(is_name) { Ok(Piece::Field(names, json)) } else { Err(unknown()) }
}

/// Shells pass `\t` on as two characters.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

fn find<'a>(value: &'a Value, path: &[String]) -> Result<&'a Value, Failure> {
    path.iter().try_fold(value, |here, name| {
        let fields = || here.as_object().into_iter().flatten();
        // Docker's templates have capitals where its JSON has none.
        let alike = || fields().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        here.get(name).or_else(alike).ok_or_else(|| {
            let there = match here.as_object() {
                Some(fields) => fields.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
                None => "none".to_owned(),
            };
            Failure::Usage(format!("no field '{name}' in '.{}'; there are: {there}", path.join(".")))
        })
    })
}

/// As Go prints it: strings bare, lists in brackets.
fn show(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("<no value>"),
        Value::String(string) => text.push_str(string),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                show(item, text);
            }
            text.push(']');
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(template: &str) -> Result<String, String> {
        let value =
            json!({"ID": "68d1", "State": {"Pid": 7, "Running": true}, "Args": ["-c", "x"], "None": null});
        render(&Template::parse(template)?, &value).map_err(|failure| failure.line().unwrap_or_default())
    }

    #[test]
    fn fields() {
        for (template, text) in [
            ("{{.ID}}", "68d1"),
            ("{{ .State.Pid }} {{.State.Running}}", "7 true"),
            (r"{{.ID}}\t{{.Args}}\n", "68d1\t[-c x]\n"),
            ("{{json .Args}}", r#"["-c","x"]"#),
            ("{{json .State}}", r#"{"Pid":7,"Running":true}"#),
            ("x{{.None}}y", "x<no value>y"),
        ] {
            assert_eq!(rendered(template).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for template in ["", "plain", "{{.ID", "{{ID}}", "{{range .Args}}", "{{.A..B}}", "{{.A|b}}"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        let message = rendered("{{.State.Pit}}").expect_err("a wrong field");
        assert_eq!(message, "no field 'Pit' in '.State.Pit'; there are: Pid, Running");
        assert!(rendered("{{.ID.x}}").is_err());
    }
}
