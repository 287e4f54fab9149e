use std::str;

use tokio::io::{AsyncRead, AsyncWrite};

use super::head::Length;
use super::{Broken, Head};
use crate::health::inbox::Inbox;

/// The longest line that says how long a chunk is, what else it says included.
const CHUNK_LINE: usize = 256;

impl Head {
    /// Reads the body that follows: all of it, or so many bytes.
    ///
    /// # Errors
    /// When it breaks off, or its chunks are none.
    pub(in crate::health) async fn body<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        inbox: &mut Inbox<S>,
        most: usize,
    ) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        match self.length {
            Length::Known(length) => {
                let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(most);
                if !read(inbox, wanted, &mut body).await? {
                    return Err(broke_off());
                }
            }
            // That the connection ends is how the body ends.
            Length::UntilClose => _ = read(inbox, most, &mut body).await?,
            Length::Chunked => chunks(inbox, most, &mut body).await?,
        }
        Ok(body)
    }
}

fn broke_off() -> Broken {
    "the answer broke off within its body".to_string()
}

/// Reads on until the body is so long. Says whether it is: if not, the connection has ended.
async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    inbox: &mut Inbox<S>,
    wanted: usize,
    body: &mut Vec<u8>,
) -> Result<bool, Broken> {
    loop {
        let rest = inbox.rest();
        let taken = rest.len().min(wanted - body.len());
        body.extend_from_slice(&rest[..taken]);
        inbox.take(taken);
        if body.len() == wanted {
            return Ok(true);
        }
        if !inbox.more().await? {
            return Ok(false);
        }
    }
}

async fn chunks<S: AsyncRead + AsyncWrite + Unpin>(
    inbox: &mut Inbox<S>,
    most: usize,
    body: &mut Vec<u8>,
) -> Result<(), Broken> {
    while body.len() < most {
        let size = chunk_size(&line(inbox).await?)?;
        if size == 0 {
            return Ok(());
        }
        let wanted = body.len().saturating_add(size);
        if !read(inbox, wanted.min(most), body).await? {
            return Err(broke_off());
        }
        if wanted <= most && !line(inbox).await?.is_empty() {
            return Err("malformed chunked encoding".to_string());
        }
    }
    Ok(())
}

/// The next line, without its end.
async fn line<S: AsyncRead + AsyncWrite + Unpin>(inbox: &mut Inbox<S>) -> Result<Vec<u8>, Broken> {
    loop {
        let rest = inbox.rest();
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]).to_vec();
            inbox.take(end + 1);
            return Ok(line);
        }
        if rest.len() > CHUNK_LINE {
            return Err("malformed chunked encoding".to_string());
        }
        if !inbox.more().await? {
            return Err(broke_off());
        }
    }
}

/// Hexadecimal digits, and behind a `;` whatever else.
fn chunk_size(line: &[u8]) -> Result<usize, Broken> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let number = str::from_utf8(digits).ok().filter(|_| is_number);
    let size = number.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    size.ok_or_else(|| "malformed chunked encoding".to_string())
}
