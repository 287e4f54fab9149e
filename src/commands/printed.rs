//! A document on stdout, whole or with an error: half of one must not look like all of it.

use std::io::{self, ErrorKind, Write as _, stderr, stdout};
use std::process::ExitCode;

/// Prints it; 1 if it cannot be written.
pub(super) fn print(text: &str) -> ExitCode {
    ended(write(text))
}

/// The same, and whoever asks for it says what follows.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).or_else(gone)
}

/// What comes of a document: 1, and why, if it was not written.
pub fn ended(written: io::Result<()>) -> ExitCode {
    match written.or_else(gone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "error: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A reader that has gone away is no reason to fail.
fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}
