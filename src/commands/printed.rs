//! A document on stdout, whole or with an error: half of one must not look like all of it.

use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::process::ExitCode;

/// Prints it; 1 if it cannot be written. A reader that has gone away is no reason to fail.
pub(super) fn print(text: &str) -> ExitCode {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "error: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}
