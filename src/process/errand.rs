//! A process that is asked one thing and ends, for programs that have no other children.

use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use crate::model::{Exit, Signal};

/// Starts this very program with this argument and this variable as its whole environment, and waits for its end: how it
/// ended, and what it has printed. Blocks; how long it may take is for that process to know.
///
/// # Errors
/// When it cannot be started.
pub fn ask(argument: &str, variable: (&str, &str)) -> io::Result<(Exit, Vec<u8>)> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(argument).env_clear().env(variable.0, variable.1).stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut words = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        // What breaks off was not said.
        let _ = stdout.read_to_end(&mut words);
    }
    // Where this is PID 1, the kernel collects its children.
    let exit = child.wait().map_or(Exit::Unknown, |status| match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).map_or(Exit::Unknown, Exit::Code),
        (None, Some(signal)) => Signal::from_raw(signal)
            .map_or(Exit::Unknown, |signal| Exit::Killed { signal, core_dumped: status.core_dumped() }),
        (None, None) => Exit::Unknown,
    });
    Ok((exit, words))
}
