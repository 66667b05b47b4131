//! How answers look.

pub(crate) mod escape;
pub(crate) mod list;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod time;

use template::Template;

/// `--format` of a list.
#[derive(Clone, Debug)]
pub(crate) enum ListFormat {
    /// For people.
    Table,
    /// An object a line.
    Json,
    /// A line by template each.
    Template(Template),
    /// The same, in columns with headings.
    TableTemplate(Template),
}

impl ListFormat {
    /// Reads `table`, `json`, a template or `table TEMPLATE`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "table" => return Ok(Self::Table),
            "json" => return Ok(Self::Json),
            _ => {}
        }
        match text.strip_prefix("table ") {
            Some(rest) => Template::parse(rest).map(Self::TableTemplate),
            None => Template::parse(text).map(Self::Template),
        }
    }
}

/// `--format` of a single object.
#[derive(Clone, Debug)]
pub(crate) enum ObjectFormat {
    /// On one line.
    Json,
    /// By template.
    Template(Template),
}

impl ObjectFormat {
    /// Reads `json` or a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            _ => Template::parse(text).map(Self::Template),
        }
    }
}
