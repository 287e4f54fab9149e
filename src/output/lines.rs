use crate::model::OnFull;

use super::outlet::{Offer, Page};
use super::render::{MAX_LINE, Piece, Style};

/// How much of an unfinished line is kept. So much always fills a line of [`MAX_LINE`], and the few bytes more keep a
/// cut away from a character that has not come in whole.
pub(super) const MAX_KEPT: usize = MAX_LINE + 8;

/// Cuts a stream of bytes into lines: at each newline, and where a line would be longer than [`MAX_LINE`].
pub(super) struct Lines {
    pub(super) style: Style,
    pub(super) on_full: OnFull,
    /// Whether the line that comes next has begun before.
    continued: bool,
}

/// What became of bytes that were offered.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Written {
    /// How many are done with. What is left is an unfinished line, or had no room.
    pub(super) used: usize,
    /// How many of these were dropped.
    pub(super) dropped: usize,
    /// Whether lines are left that had no room.
    pub(super) full: bool,
}

impl Lines {
    pub(super) fn new(style: Style, on_full: OnFull) -> Lines {
        Lines { style, on_full, continued: false }
    }

    /// Writes the lines in `bytes` to `page`; with `last`, also one that has no newline at its end.
    pub(super) fn write(&mut self, bytes: &[u8], last: bool, time: &str, page: &mut Page) -> Written {
        let mut done = Written::default();
        while let Some((line, ends)) = next_line(&bytes[done.used..], last) {
            match page.offer() {
                Offer::Room => {
                    let text = line.strip_suffix(b"\n").map_or(line, |text| text.strip_suffix(b"\r").unwrap_or(text));
                    let piece = Piece { text, continued: self.continued, ends };
                    let used = self.style.render(piece, time, page.text());
                    self.continued = !(ends && used == text.len());
                    done.used += if self.continued { used } else { line.len() };
                }
                Offer::Full if self.on_full == OnFull::Block => {
                    done.full = true;
                    return done;
                }
                Offer::Full | Offer::Trouble => {
                    self.continued = !ends;
                    done.used += line.len();
                    done.dropped += line.len();
                }
            }
        }
        done
    }
}

/// The next line of `bytes`, with its newline, and whether it ends there: what is too long is given in pieces.
fn next_line(bytes: &[u8], last: bool) -> Option<(&[u8], bool)> {
    let ahead = &bytes[..bytes.len().min(MAX_KEPT)];
    match ahead.iter().position(|byte| *byte == b'\n') {
        Some(newline) => Some((&bytes[..=newline], true)),
        None if bytes.len() >= MAX_KEPT => Some((ahead, false)),
        None if last && !bytes.is_empty() => Some((bytes, true)),
        None => None,
    }
}
