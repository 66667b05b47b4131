//! Columns that never wrap.

use super::escape;

/// Spaces between columns.
const GAP: usize = 3;

/// A flexible column is made no narrower than this.
const LEAST: usize = 10;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    heading: &'static str,
    flexible: bool,
}

impl Column {
    /// Always whole.
    pub(crate) const fn fixed(heading: &'static str) -> Self {
        Self { heading, flexible: false }
    }

    /// Cut where the terminal is too narrow.
    pub(crate) const fn flexible(heading: &'static str) -> Self {
        Self { heading, flexible: true }
    }
}

/// Rows below headings.
pub(crate) struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Headings without rows.
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        let headings = columns.iter().map(|column| column.heading.to_owned()).collect();
        Self { columns, rows: vec![headings] }
    }

    /// Adds a row, a cell for each column.
    pub(crate) fn push(&mut self, cells: &[String]) {
        self.rows.push(cells.iter().map(|cell| escape::controls(cell).into_owned()).collect());
    }

    /// The text, within so many characters a line when the terminal has no more.
    pub(crate) fn render(&self, terminal: Option<usize>) -> String {
        let mut widths = widths(&self.rows);
        if let Some(terminal) = terminal {
            self.narrow(&mut widths, terminal);
        }
        lines(&self.rows, &widths)
    }

    /// Takes from the widest flexible column until all fits or nothing more can be taken.
    fn narrow(&self, widths: &mut [usize], terminal: usize) {
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > terminal {
            let flexible = widths.iter_mut().zip(self.columns).filter(|(_, column)| column.flexible);
            match flexible.map(|(width, _)| width).max_by_key(|width| **width) {
                Some(width) if *width > LEAST => *width -= 1,
                _ => return,
            }
        }
    }
}

/// Lines whose cells are parted by tabs, in columns.
pub(crate) fn aligned(text: &[String]) -> String {
    let cells = |line: &String| line.split('\t').map(|cell| escape::controls(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = text.iter().map(cells).collect();
    lines(&rows, &widths(&rows))
}

/// At most so many characters; what was cut shows.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    (0..columns).map(|at| width(at).unwrap_or(0)).collect()
}

fn lines(rows: &[Vec<String>], widths: &[usize]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(widths) {
            let cell = cut(cell, width);
            line.push_str(&format!("{cell:<width$}{:GAP$}", ""));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::fixed("ID"), Column::flexible("COMMAND"), Column::flexible("NAMES")];

    fn table() -> Table {
        let mut table = Table::new(COLUMNS);
        table.push(&["68d19c54", "/bin/sleep 3000 and more", "c1"].map(String::from));
        table.push(&["1", "a\nb", "-"].map(String::from));
        table
    }

    #[test]
    fn columns_stand_below_their_headings() {
        let expected = "\
ID         COMMAND                    NAMES
68d19c54   /bin/sleep 3000 and more   c1
1          a\\nb                       -
";
        assert_eq!(table().render(None), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_what_is_flexible() {
        let text = table().render(Some(32));
        assert!(text.lines().all(|line| line.chars().count() <= 32), "{text}");
        assert!(text.contains("/bin/sleep…  ") || text.contains('…'), "{text}");
        assert!(text.contains("68d19c54"), "{text}");
        assert_eq!(table().render(Some(5)).lines().count(), 3, "too narrow for anything: still a row a line");
    }

    #[test]
    fn templates_in_columns() {
        let lines = ["NAMES\tSTATUS", "c1\tRUNNING", "longer\tx"].map(String::from);
        assert_eq!(aligned(&lines), "NAMES    STATUS\nc1       RUNNING\nlonger   x\n");
    }
}
