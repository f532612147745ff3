//! Tables for people: columns align, numbers to the right, no lines drawn.

use std::fmt;

/// Rows of text under a header.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these columns; one whose name starts with `>` is aligned to the right.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let right = columns.iter().map(|c| c.starts_with('>')).collect();
        let header = columns.iter().map(|c| c.trim_start_matches('>').to_owned()).collect();
        Table { rows: vec![header], right }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.right.len());
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::from(" ");
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let pad = " ".repeat(width - cell.chars().count());
                let (before, after) = if *right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                line.push_str(&format!(" {before}{cell}{after} "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["tool", ">count"]);
        table.row(["echo".into(), "1000".into()]);
        table.row(["a".into(), "7".into()]);
        assert_eq!(table.to_string(), "  tool  count\n  echo   1000\n  a         7\n");
    }
}
