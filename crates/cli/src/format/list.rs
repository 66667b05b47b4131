//! A list, as its options want it: for people, for programs, or by template.

use super::table::{Column, Table, aligned};
use super::{ListFormat, escape, template};
use crate::console::Console;
use crate::failure::Outcome;
use serde_json::Value;

/// What a list shows a line of.
pub(crate) trait Line {
    /// The columns of the table.
    const COLUMNS: &'static [Column];

    /// What `--quiet` prints.
    fn key(&self) -> &str;

    /// The cells of the table, in its order.
    fn cells(&self) -> Vec<String>;

    /// The same for programs.
    fn json(&self) -> Value;

    /// What stands above a field of a template in a table.
    fn heading(field: &str) -> String {
        field.to_ascii_uppercase()
    }
}

/// How a list is wanted.
pub(crate) struct ListOptions {
    pub(crate) format: ListFormat,
    /// Keys only.
    pub(crate) quiet: bool,
    /// Nothing is cut to fit a terminal.
    pub(crate) no_trunc: bool,
}

/// Prints lines.
pub(crate) fn print<L: Line>(console: Console<'_>, lines: &[L], options: ListOptions) -> Outcome {
    let mut text = String::new();
    if options.quiet {
        lines.iter().for_each(|line| text.push_str(&format!("{}\n", line.key())));
        return console.print(&text).map(|()| 0);
    }
    match options.format {
        ListFormat::Table => {
            let mut table = Table::new(L::COLUMNS);
            lines.iter().for_each(|line| table.push(&line.cells()));
            let width = console.window().filter(|_| console.is_terminal() && !options.no_trunc);
            text = table.render(width.map(|size| size.columns.into()));
        }
        ListFormat::Json => lines.iter().for_each(|line| text.push_str(&format!("{}\n", line.json()))),
        ListFormat::Template(template) => {
            for line in lines {
                text.push_str(&template::render(&template, &line.json())?);
                text.push('\n');
            }
        }
        ListFormat::TableTemplate(template) => {
            let mut rows = vec![template.map_fields(L::heading)];
            for line in lines {
                rows.push(template::render(&template, &line.json())?);
            }
            text = aligned(&rows);
        }
    }
    console.print(&escape::for_terminal(&text, console.is_terminal())).map(|()| 0)
}
