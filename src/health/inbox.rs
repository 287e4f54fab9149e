use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::dial::reason;

/// Why an answer is none, in words.
pub(super) type Broken = String;

/// A connection, and what has come over it and was not used yet.
pub(super) struct Inbox<S> {
    stream: S,
    bytes: Vec<u8>,
    used: usize,
}

/// What is read at once: most answers are shorter.
const CHUNK: usize = 2048;

impl<S: AsyncRead + AsyncWrite + Unpin> Inbox<S> {
    pub(super) fn new(stream: S) -> Inbox<S> {
        Inbox { stream, bytes: Vec::new(), used: 0 }
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let lost = |error| format!("cannot send the request: {}", reason(&error));
        self.stream.write_all(bytes).await.map_err(lost)?;
        // Through TLS it may not have left yet.
        self.stream.flush().await.map_err(lost)
    }

    /// What has come and was not used.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// So many bytes of it are done with.
    pub(super) fn take(&mut self, count: usize) {
        self.used = (self.used + count).min(self.bytes.len());
    }

    /// Waits for more. Says whether there is any: if not, the other side has ended.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn more(&mut self) -> Result<bool, Broken> {
        self.bytes.drain(..self.used);
        self.used = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        let read = self.stream.read(&mut self.bytes[before..]).await;
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(count) => Ok(count > 0),
            // Through TLS, without its farewell: whether that was all is for the answer's length to say.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(format!("the connection was lost: {}", reason(&error))),
        }
    }
}
