//! Columns as kubectl has them: as wide as what is in them, three blanks between, nothing behind the last.

use unicode_width::UnicodeWidthStr as _;

use super::paint::{Line, Piece, Tint};

/// A row's cells.
pub(super) type Row = Vec<Piece>;

/// Widths of columns, which only grow, so that what is printed later stands below what was printed before.
#[derive(Default)]
pub(super) struct Table {
    widths: Vec<usize>,
}

const GAP: usize = 3;

impl Table {
    /// These rows as lines.
    pub(super) fn lines(&mut self, rows: &[Row]) -> Vec<Line> {
        for row in rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &Row) -> Line {
        let mut line = Line::default();
        let mut gap = 0;
        for (width, cell) in self.widths.iter().zip(row) {
            line.push(" ".repeat(gap));
            line.push(cell.clone());
            gap = width - cell.text.width() + GAP;
        }
        line.trimmed()
    }
}

/// The head and the rows below it.
pub(super) fn with_head(head: &[&str], rows: Vec<Row>) -> Vec<Row> {
    let head = head.iter().map(|name| Piece::of(*name, Tint::Heading)).collect();
    std::iter::once(head).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::{Row, Table, with_head};
    use crate::ctl::read::paint::Line;

    fn row(cells: &[&str]) -> Row {
        cells.iter().copied().map(Into::into).collect()
    }

    fn text(lines: &[Line]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = vec![row(&["web", "1/1", "x"]), row(&["größe", "0/1", ""]), row(&["日本語", "1/1", "y"])];
        let lines = Table::default().lines(&with_head(&["NAME", "READY", "STATUS"], rows));
        let expected = ["NAME     READY   STATUS", "web      1/1     x", "größe    0/1", "日本語   1/1     y"];
        assert_eq!(text(&lines), expected);
    }

    #[test]
    fn columns_do_not_become_narrower() {
        let mut table = Table::default();
        table.lines(&[row(&["long name", "x"])]);
        assert_eq!(text(&table.lines(&[row(&["a", "y"])])), ["a           y"]);
        assert_eq!(text(&table.lines(&[row(&["an even longer name", "y"])])), ["an even longer name   y"]);
    }
}
