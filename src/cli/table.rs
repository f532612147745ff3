//! Tables for people: columns align, numbers to the right, no lines drawn.

use std::fmt;

/// Gives the SGR parameter (ECMA-48) for a cell of the column with that number.
type Paint = Box<dyn Fn(usize, &str) -> Option<u8>>;

/// Rows of text under a header.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
    paint: Option<Paint>,
}

impl Table {
    /// A table with these columns; one whose name starts with `>` is aligned to the right.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let right = columns.iter().map(|c| c.starts_with('>')).collect();
        let header = columns.iter().map(|c| c.trim_start_matches('>').to_owned()).collect();
        Table { rows: vec![header], right, paint: None }
    }

    /// Paints the cells on a terminal, and dims the header.
    pub(crate) fn painted(
        self,
        on: bool,
        paint: impl Fn(usize, &str) -> Option<u8> + 'static,
    ) -> Self {
        Table { paint: on.then(|| Box::new(paint) as Paint), ..self }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.right.len());
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.right.len()).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(width - cell.chars().count());
                let right = self.right[column];
                let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                let paint = self.paint.as_ref().filter(|_| !cell.is_empty());
                let paint =
                    paint.and_then(|paint| if number == 0 { Some(2) } else { paint(column, cell) });
                match paint {
                    Some(paint) => {
                        line.push_str(&format!(" {before}\x1b[{paint}m{cell}\x1b[0m{after} "))
                    }
                    None => line.push_str(&format!(" {before}{cell}{after} ")),
                }
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

    #[test]
    fn paint_moves_nothing() {
        let mut table = Table::new(&["tool", ">errors"]);
        table.row(["echo".into(), "1".into()]);
        table.row(["a".into(), "0".into()]);
        let plain = table.to_string();
        let table = table.painted(true, |column, cell| (column == 1 && cell != "0").then_some(31));
        let painted = table.to_string();
        assert!(painted.contains("echo       \x1b[31m1\x1b[0m\n"), "{painted:?}");
        let codes = ["\x1b[31m", "\x1b[2m", "\x1b[0m"];
        let stripped = codes.iter().fold(painted, |text, code| text.replace(code, ""));
        assert_eq!(stripped, plain);
    }
}
