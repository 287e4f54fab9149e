//! Where what is shown goes: stdout, in large pieces.

use std::io::{ErrorKind, Write as _};

use super::error::Trouble;

/// What is not written yet.
#[derive(Default)]
pub(super) struct Out(String);

/// So much is written at a time.
const PIECE: usize = 32 * 1024;

impl Out {
    /// Prints a line.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Trouble> {
        self.text(line)?;
        self.text("\n")
    }

    /// Prints this as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Trouble> {
        self.0.push_str(text);
        if self.0.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Prints lines.
    pub(super) fn lines(&mut self, lines: &[String]) -> Result<(), Trouble> {
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Sees to it that all of it is written.
    pub(super) fn flush(&mut self) -> Result<(), Trouble> {
        let text = std::mem::take(&mut self.0);
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Trouble::Closed,
            _ => Trouble::Output(error),
        })
    }
}
