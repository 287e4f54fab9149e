//! Where what is shown goes: stdout, in large pieces.

use std::io::{ErrorKind, Write as _};

use super::error::Trouble;
use super::paint::{Line, Palette};

/// What is not written yet.
pub(super) struct Out {
    text: String,
    palette: Palette,
}

/// So much is written at a time.
const PIECE: usize = 32 * 1024;
/// Where a terminal begins, and all below it gone.
const CLEAR: &str = "\x1b[H\x1b[J";

impl Out {
    pub(super) fn new(palette: Palette) -> Out {
        Out { text: String::new(), palette }
    }

    /// Prints a line.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Trouble> {
        self.text(line)?;
        self.text("\n")
    }

    /// Prints this as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Trouble> {
        self.text.push_str(text);
        if self.text.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Prints lines.
    pub(super) fn lines(&mut self, lines: &[Line]) -> Result<(), Trouble> {
        lines.iter().try_for_each(|line| self.line(&line.text(self.palette)))
    }

    /// Prints lines as a whole screen, with nothing below the last one that it would scroll for.
    pub(super) fn screen(&mut self, lines: &[Line]) -> Result<(), Trouble> {
        let lines: Vec<String> = lines.iter().map(|line| line.text(self.palette)).collect();
        self.text(CLEAR)?;
        self.text(&lines.join("\r\n"))?;
        self.flush()
    }

    /// Sees to it that all of it is written.
    pub(super) fn flush(&mut self) -> Result<(), Trouble> {
        let text = std::mem::take(&mut self.text);
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Trouble::Closed,
            _ => Trouble::Output(error),
        })
    }
}
