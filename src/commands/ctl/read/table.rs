//! Columns as kubectl has them: as wide as what is in them, three blanks between, nothing behind the last.

use unicode_width::UnicodeWidthStr as _;

/// A row's cells.
pub(super) type Row = Vec<String>;

/// Widths of columns, which only grow, so that what is printed later stands below what was printed before.
#[derive(Default)]
pub(super) struct Table {
    widths: Vec<usize>,
}

const GAP: usize = 3;

impl Table {
    /// These rows as lines.
    pub(super) fn lines(&mut self, rows: &[Row]) -> Vec<String> {
        for row in rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &Row) -> String {
        let mut line = String::new();
        let mut gap = 0;
        for (width, cell) in self.widths.iter().zip(row) {
            line.extend(std::iter::repeat_n(' ', gap));
            line.push_str(cell);
            gap = width - cell.width() + GAP;
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// As much of a line as so many columns have room for.
pub(super) fn cut(line: &str, columns: usize) -> &str {
    if line.width() <= columns {
        return line;
    }
    let mut end = 0;
    for (at, character) in line.char_indices() {
        let next = at + character.len_utf8();
        if line[..next].width() > columns {
            break;
        }
        end = next;
    }
    &line[..end]
}

/// The head and the rows below it.
pub(super) fn with_head(head: &[&str], rows: Vec<Row>) -> Vec<Row> {
    let head = head.iter().map(ToString::to_string).collect();
    std::iter::once(head).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::{Row, Table, cut, with_head};

    fn row(cells: &[&str]) -> Row {
        cells.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = vec![row(&["web", "1/1", "x"]), row(&["größe", "0/1", ""]), row(&["日本語", "1/1", "y"])];
        let lines = Table::default().lines(&with_head(&["NAME", "READY", "STATUS"], rows));
        let expected = ["NAME     READY   STATUS", "web      1/1     x", "größe    0/1", "日本語   1/1     y"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn columns_do_not_become_narrower() {
        let mut table = Table::default();
        table.lines(&[row(&["long name", "x"])]);
        assert_eq!(table.lines(&[row(&["a", "y"])]), ["a           y"]);
        assert_eq!(table.lines(&[row(&["an even longer name", "y"])]), ["an even longer name   y"]);
    }

    #[test]
    fn a_line_is_cut_at_a_whole_character() {
        assert_eq!(cut("plain", 10), "plain");
        assert_eq!(cut("plain", 3), "pla");
        assert_eq!(cut("日本語", 5), "日本");
        assert_eq!(cut("日本語", 0), "");
    }
}
