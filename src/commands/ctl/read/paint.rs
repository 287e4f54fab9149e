//! What little is coloured on a terminal: what wants to be looked at, and headings. Words say all of it, too.

use std::ffi::OsStr;
use std::fmt;
use std::io::IsTerminal as _;

use unicode_width::UnicodeWidthStr as _;

use crate::cli::Color;

/// What a text is, as far as it is to be seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Tint {
    #[default]
    Plain,
    Heading,
    /// It is not as it should be, or not yet.
    Warning,
    /// Something failed.
    Trouble,
}

/// A text, and what it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) tint: Tint,
}

/// A line of such texts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Line(Vec<Piece>);

/// Whether there are colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Palette {
    Plain,
    Colours,
}

impl Piece {
    pub(super) fn of(text: impl Into<String>, tint: Tint) -> Piece {
        Piece { text: text.into(), tint }
    }
}

impl<T: Into<String>> From<T> for Piece {
    fn from(text: T) -> Piece {
        Piece::of(text, Tint::Plain)
    }
}

impl<T: Into<Piece>> From<T> for Line {
    fn from(piece: T) -> Line {
        Line(vec![piece.into()])
    }
}

impl Line {
    pub(super) fn push(&mut self, piece: impl Into<Piece>) {
        self.0.push(piece.into());
    }

    /// The same, with something before it.
    pub(super) fn behind(mut self, first: impl Into<Piece>) -> Line {
        self.0.insert(0, first.into());
        self
    }

    /// Without blanks at its end.
    pub(super) fn trimmed(mut self) -> Line {
        while let Some(last) = self.0.last_mut() {
            last.text.truncate(last.text.trim_end().len());
            if !last.text.is_empty() {
                break;
            }
            self.0.pop();
        }
        self
    }

    /// As much of it as so many columns have room for.
    pub(super) fn cut(&self, columns: usize) -> Line {
        let mut left = columns;
        let mut line = Line::default();
        for Piece { text, tint } in &self.0 {
            let part = cut(text, left);
            line.push(Piece::of(part, *tint));
            if part.len() < text.len() {
                break;
            }
            left -= part.width();
        }
        line
    }

    /// As it is printed.
    pub(super) fn text(&self, palette: Palette) -> String {
        let piece = |Piece { text, tint }: &Piece| match (palette, tint) {
            (Palette::Plain, _) | (_, Tint::Plain) => text.clone(),
            (Palette::Colours, Tint::Heading) => format!("\x1b[1m{text}\x1b[0m"),
            (Palette::Colours, Tint::Warning) => format!("\x1b[33m{text}\x1b[0m"),
            (Palette::Colours, Tint::Trouble) => format!("\x1b[31m{text}\x1b[0m"),
        };
        self.0.iter().map(piece).collect()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Palette::Plain))
    }
}

impl Palette {
    pub(super) fn of(color: Color) -> Palette {
        let variable = std::env::var_os;
        let is_terminal = std::io::stdout().is_terminal();
        Palette::chosen(color, is_terminal, variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
    }

    fn chosen(color: Color, is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Palette {
        let is_refused = no_color.is_some_and(|value| !value.is_empty());
        let knows_colours = term.is_some_and(|term| term != "dumb" && !term.is_empty());
        match color {
            Color::Always => Palette::Colours,
            Color::Auto if is_terminal && knows_colours && !is_refused => Palette::Colours,
            Color::Auto | Color::Never => Palette::Plain,
        }
    }
}

/// As much of a text as so many columns have room for.
fn cut(text: &str, columns: usize) -> &str {
    if text.width() <= columns {
        return text;
    }
    let ends = text.char_indices().map(|(at, _)| at);
    ends.take_while(|end| text[..*end].width() <= columns).last().map_or("", |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{Line, Palette, Piece, Tint, cut};
    use crate::cli::Color;

    #[test]
    fn a_line_is_cut_at_a_whole_character() {
        assert_eq!(cut("plain", 10), "plain");
        assert_eq!(cut("plain", 3), "pla");
        assert_eq!(cut("日本語", 5), "日本");
        assert_eq!(cut("日本語", 0), "");
    }

    #[test]
    fn colours_take_no_room_and_end_with_their_text() {
        let mut line = Line::from("web   ");
        line.push(Piece::of("Error", Tint::Trouble));
        line.push("   3");
        assert_eq!(line.to_string(), "web   Error   3");
        assert_eq!(line.text(Palette::Colours), "web   \x1b[31mError\x1b[0m   3");
        assert_eq!(line.cut(9).text(Palette::Colours), "web   \x1b[31mErr\x1b[0m");
        assert_eq!(line.cut(100), line);
        line.push("  ");
        assert_eq!(line.trimmed().to_string(), "web   Error   3");
    }

    #[test]
    fn there_are_colours_on_a_terminal_that_has_them_where_nobody_refuses_them() {
        let rows = [
            (Color::Auto, true, None, Some("xterm"), Palette::Colours),
            (Color::Auto, true, Some(""), Some("xterm"), Palette::Colours),
            (Color::Auto, true, Some("1"), Some("xterm"), Palette::Plain),
            (Color::Auto, true, None, Some("dumb"), Palette::Plain),
            (Color::Auto, true, None, None, Palette::Plain),
            (Color::Auto, false, None, Some("xterm"), Palette::Plain),
            (Color::Always, false, Some("1"), None, Palette::Colours),
            (Color::Never, true, None, Some("xterm"), Palette::Plain),
        ];
        for (color, is_terminal, no_color, term, expected) in rows {
            let chosen = Palette::chosen(color, is_terminal, no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(chosen, expected, "{color:?} {is_terminal} {no_color:?} {term:?}");
        }
    }
}
