//! Asking the monitor, at its socket: one request a connection, and no more than a file and a buffer.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc::O_PATH;
use serde_json::Value;

use super::error::Trouble;
use super::object;
use crate::http::SOCKET;

/// How long an answer may take that has an end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long at least, so that a short time in all is no reason to call a monitor that is at work silent.
const MOMENT: Duration = Duration::from_secs(1);
/// What every object says of its form.
const VERSION: &str = "ncolony/v1";

/// The monitor of a directory of messages.
#[derive(Clone, Copy)]
pub(in crate::ctl) struct Monitor<'a> {
    messages: &'a Path,
    patience: Duration,
}

/// An answer that comes line by line.
pub(super) struct Lines(BufReader<UnixStream>);

impl<'a> Monitor<'a> {
    pub(in crate::ctl) fn of(messages: &'a Path) -> Monitor<'a> {
        Monitor { messages, patience: PATIENCE }
    }

    /// The same, for one who has so much time in all; a moment is always given.
    pub(in crate::ctl) fn at_most(self, left: Duration) -> Monitor<'a> {
        self.within(self.patience.min(left.max(MOMENT)))
    }

    /// The same, for an answer without which it goes on, too.
    pub(in crate::ctl) fn within(self, patience: Duration) -> Monitor<'a> {
        Monitor { patience, ..self }
    }

    /// The object at a path, such as `/v1/processes`.
    pub(in crate::ctl) fn get(&self, path: &str) -> Result<Value, Trouble> {
        let mut body = Vec::new();
        self.ask(path, Some(self.patience))?.0.read_to_end(&mut body).map_err(|error| ended(&error))?;
        let object: Value = serde_json::from_slice(&body).map_err(|_| Trouble::Ended)?;
        expect_version(&object)?;
        Ok(object)
    }

    /// What is told at a path for as long as there is something to tell.
    pub(super) fn lines(&self, path: &str) -> Result<Lines, Trouble> {
        self.ask(path, None)
    }

    fn ask(&self, path: &str, patience: Option<Duration>) -> Result<Lines, Trouble> {
        let mut stream = connect(self.messages)?;
        // Of 1.0, so that the body comes as it is, and not in chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: ncolony\r\n\r\n");
        let sent = stream.set_read_timeout(Some(self.patience)).and_then(|()| stream.write_all(request.as_bytes()));
        sent.map_err(|error| ended(&error))?;
        let mut lines = Lines(BufReader::with_capacity(64 * 1024, stream));
        let mut status = String::new();
        let mut head = String::from("-");
        lines.0.read_line(&mut status).map_err(|error| ended(&error))?;
        while !head.trim_end().is_empty() {
            head.clear();
            lines.0.read_line(&mut head).map_err(|error| ended(&error))?;
        }
        match status.split(' ').nth(1) {
            Some("200") => {
                lines.patience(patience)?;
                Ok(lines)
            }
            Some(_) => Err(lines.refusal()),
            None => Err(Trouble::Ended),
        }
    }
}

impl Lines {
    /// How long to wait for a line from now on; `None`: for ever.
    fn patience(&self, patience: Option<Duration>) -> Result<(), Trouble> {
        self.0.get_ref().set_read_timeout(patience).map_err(Trouble::Output)
    }

    /// The next line, without its end; `None` at the end of all.
    pub(super) fn next(&mut self) -> Result<Option<String>, Trouble> {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Ok(_) if line.last() != Some(&b'\n') => Ok(None),
            Ok(_) => {
                line.pop();
                Ok(Some(String::from_utf8_lossy(&line).into_owned()))
            }
            Err(error) => Err(ended(&error)),
        }
    }

    /// The next thing that is told of a watch, as its type and its object, if it comes by then.
    pub(super) fn told(&mut self, by: Option<Instant>) -> Result<Option<(String, Value)>, Trouble> {
        if let Some(by) = by {
            let left = by.saturating_duration_since(Instant::now());
            self.patience(Some(left.max(Duration::from_millis(1))))?;
        }
        let Some(line) = self.next()? else { return Ok(None) };
        let mut told: Value = serde_json::from_str(&line).map_err(|_| Trouble::Ended)?;
        let object = told["object"].take();
        expect_version(&object)?;
        Ok(Some((object::text(&told, "/type").to_string(), object)))
    }

    /// Whether what comes next is here already.
    pub(super) fn has_more(&self) -> bool {
        self.0.buffer().contains(&b'\n')
    }

    /// Why there is no other answer.
    fn refusal(mut self) -> Trouble {
        let mut body = Vec::new();
        let _ = self.0.read_to_end(&mut body);
        let status: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = object::text(&status, "/message").to_string();
        match (object::text(&status, "/reason"), message.as_str()) {
            ("NotFound", _) => Trouble::NotFound(message.split('"').nth(1).unwrap_or_default().to_string(), None),
            ("UnknownPath", _) => Trouble::OtherVersion(message),
            (_, "") => Trouble::OtherVersion("it answers otherwise than version 1".to_string()),
            (_, _) => Trouble::Refused(message),
        }
    }
}

/// A name as a part of a path.
pub(in crate::ctl) fn quoted(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn expect_version(object: &Value) -> Result<(), Trouble> {
    match object::text(object, "/apiVersion") {
        VERSION => Ok(()),
        other => Err(Trouble::OtherVersion(format!("it says {other:?}, and this is {VERSION:?}"))),
    }
}

fn ended(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Trouble::Silent,
        _ => Trouble::Ended,
    }
}

/// A path of more than 107 bytes is no address: then the directory's descriptor stands for it.
fn connect(messages: &Path) -> Result<UnixStream, Trouble> {
    let path = messages.join(SOCKET);
    let stream = match UnixStream::connect(&path) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => by_descriptor(messages),
        stream => stream,
    };
    stream.map_err(|error| no_connection(path, error))
}

fn by_descriptor(messages: &Path) -> io::Result<UnixStream> {
    let dir = File::options().read(true).custom_flags(O_PATH).open(messages)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

fn no_connection(path: PathBuf, error: io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Trouble::NoSocket(path),
        ErrorKind::ConnectionRefused => Trouble::Dead(path),
        ErrorKind::PermissionDenied => Trouble::Forbidden(path),
        _ => Trouble::Socket(path, error),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_is_quoted_for_a_path() {
        assert_eq!(quoted("web-1.a_b~"), "web-1.a_b~");
        assert_eq!(quoted("wörk er?&#%"), "w%C3%B6rk%20er%3F%26%23%25");
    }
}
