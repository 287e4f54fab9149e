use tokio::io::{AsyncRead, AsyncWrite};

use crate::health::inbox::{Broken, Inbox};

/// What a client begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The bytes before a payload.
pub(super) const HEAD: usize = 9;
/// The longest payload, as long as nobody has said otherwise, and we do not.
const MOST: usize = 16 * 1024;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    Continuation = 9,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Data,
        Kind::Headers,
        Kind::Reset,
        Kind::Settings,
        Kind::PushPromise,
        Kind::Ping,
        Kind::GoAway,
        Kind::Continuation,
    ];
}

/// A frame as it came.
pub(super) struct Frame {
    /// `None` for those that mean nothing to a client of one call.
    pub(super) kind: Option<Kind>,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// Reads the next.
    pub(super) async fn read<S: AsyncRead + AsyncWrite + Unpin>(inbox: &mut Inbox<S>) -> Result<Frame, Broken> {
        fill(inbox, HEAD).await?;
        let [a, b, c, kind, flags, d, e, f, g, ..] = *inbox.rest() else { return Err(malformed()) };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MOST {
            let what = if inbox.rest().starts_with(b"HTTP/") { "HTTP/1" } else { "something else" };
            return Err(format!("it does not speak HTTP/2, but {what}"));
        }
        fill(inbox, HEAD + length).await?;
        let payload = inbox.rest()[HEAD..HEAD + length].to_vec();
        inbox.take(HEAD + length);
        let stream = u32::from_be_bytes([d, e, f, g]) & 0x7fff_ffff;
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind);
        Ok(Frame { kind, flags, stream, payload })
    }

    /// The payload of DATA or HEADERS without padding and priority.
    pub(super) fn unpadded(&self) -> Result<&[u8], Broken> {
        let is_headers = self.kind == Some(Kind::Headers);
        let mut rest: &[u8] = &self.payload;
        let mut padding = 0;
        if self.flags & PADDED != 0 {
            let (length, after) = rest.split_first().ok_or_else(malformed)?;
            (padding, rest) = (usize::from(*length), after);
        }
        if is_headers && self.flags & PRIORITY != 0 {
            rest = rest.get(5..).ok_or_else(malformed)?;
        }
        let length = rest.len().checked_sub(padding).ok_or_else(malformed)?;
        Ok(&rest[..length])
    }

    /// Four bytes of the payload as a number.
    pub(super) fn number_at(&self, at: usize) -> Option<u32> {
        let bytes = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// An error's code, in the RFC's word where it has one.
    pub(super) fn error_at(&self, at: usize) -> String {
        let code = self.number_at(at).unwrap_or(u32::MAX);
        let word = ERRORS.split(' ').nth(code as usize).map(str::to_string);
        word.unwrap_or_else(|| format!("code {code}"))
    }
}

/// In the order of their codes (RFC 9113, 7).
const ERRORS: &str = "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED \
                      FRAME_SIZE_ERROR REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM \
                      INADEQUATE_SECURITY HTTP_1_1_REQUIRED";

fn malformed() -> Broken {
    "malformed HTTP/2: a frame shorter than it says".to_string()
}

/// Waits until so many bytes are there.
async fn fill<S: AsyncRead + AsyncWrite + Unpin>(inbox: &mut Inbox<S>, count: usize) -> Result<(), Broken> {
    while inbox.rest().len() < count {
        if !inbox.more().await? {
            return Err("the connection was closed without an answer".to_string());
        }
    }
    Ok(())
}

/// A frame to send.
pub(super) fn write(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind as u8, flags], &stream.to_be_bytes(), payload].concat()
}

/// SETTINGS_ENABLE_PUSH = 0.
pub(super) fn no_push() -> [u8; 6] {
    [0, 2, 0, 0, 0, 0]
}
