//! HTTP/2 as the client of one call (RFC 9113), without TLS: enough for gRPC's health protocol, and a fortieth of what a
//! library for all of it would add to the binary. Memory is bounded whatever comes; how long it may take is the caller's
//! to say.

mod frame;
mod hpack;
mod huffman;

use std::str;

use tokio::io::{AsyncRead, AsyncWrite};

use super::inbox::{Broken, Inbox};
use crate::model::shown;
use frame::{Frame, Kind, PREFACE};
use hpack::Decoder;

/// What is called.
pub(super) struct Call<'a> {
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    /// Further fields, names in lower case.
    pub(super) fields: &'a [(&'a str, &'a str)],
    /// The whole body.
    pub(super) body: &'a [u8],
}

/// What was answered: of the fields of head and trailers those that gRPC's answers are judged by.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// `:status`
    pub(super) status: Option<u16>,
    /// `grpc-status`
    pub(super) code: Option<u32>,
    /// `grpc-message`, as it was sent.
    pub(super) message: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// The stream of the one call.
const STREAM: u32 = 1;
/// The most bytes of a body: an answer of the health protocol has seven.
const MOST_BODY: usize = 4096;
/// The most bytes of head or trailers.
const MOST_FIELDS: usize = 16 * 1024;
/// The most bytes in all, whatever frames they are.
const MOST: usize = 256 * 1024;

impl Call<'_> {
    /// Calls, and reads the answer to its end.
    ///
    /// # Errors
    /// When there is none, or what comes is no HTTP/2.
    pub(super) async fn make<S: AsyncRead + AsyncWrite + Unpin>(&self, inbox: &mut Inbox<S>) -> Result<Reply, Broken> {
        inbox.send(&self.bytes()).await?;
        let mut answer = Answer::default();
        let mut read = 0;
        while !answer.is_over {
            let frame = Frame::read(inbox).await?;
            read += frame::HEAD + frame.payload.len();
            if read > MOST {
                return Err(format!("more than {} KiB were answered", MOST / 1024));
            }
            if let Some(back) = answer.take(frame)? {
                inbox.send(&back).await?;
            }
        }
        Ok(answer.reply)
    }

    /// The preface, our settings, the head, and the body: all at once, since nothing of it need wait for an answer.
    fn bytes(&self) -> Vec<u8> {
        let mut head = Vec::new();
        let ours = [(":method", "POST"), (":scheme", "http"), (":path", self.path), (":authority", self.authority)];
        for (name, value) in ours.iter().chain(self.fields) {
            hpack::push(&mut head, name, value);
        }
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame::write(Kind::Settings, 0, 0, &frame::no_push()));
        bytes.extend(frame::write(Kind::Headers, frame::END_HEADERS, STREAM, &head));
        bytes.extend(frame::write(Kind::Data, frame::END_STREAM, STREAM, self.body));
        bytes
    }
}

/// An answer that comes in.
#[derive(Default)]
struct Answer {
    reply: Reply,
    decoder: Decoder,
    /// A head, or trailers, of which more is to come.
    fields: Option<Vec<u8>>,
    /// Whether the fields under way are the last.
    ends: bool,
    has_begun: bool,
    is_over: bool,
}

impl Answer {
    /// Takes a frame. Returns what is to be sent back.
    fn take(&mut self, frame: Frame) -> Result<Option<Vec<u8>>, Broken> {
        let Frame { kind, flags, stream, payload } = &frame;
        if !std::mem::replace(&mut self.has_begun, true) && *kind != Some(Kind::Settings) {
            return Err("it does not speak HTTP/2: the first frame is not of settings".to_string());
        }
        if self.fields.is_some() && *kind != Some(Kind::Continuation) {
            return Err("malformed HTTP/2: fields that break off".to_string());
        }
        let is_ours = *stream == STREAM;
        match kind {
            Some(Kind::Settings) if flags & frame::ACK == 0 => {
                return Ok(Some(frame::write(Kind::Settings, frame::ACK, 0, &[])));
            }
            Some(Kind::Ping) if flags & frame::ACK == 0 => {
                return Ok(Some(frame::write(Kind::Ping, frame::ACK, 0, payload)));
            }
            Some(Kind::Headers) if is_ours => {
                self.ends = flags & frame::END_STREAM != 0;
                self.fields = Some(Vec::new());
                self.add_fields(frame.unpadded()?, *flags)?;
            }
            Some(Kind::Continuation) if is_ours && self.fields.is_some() => self.add_fields(payload, *flags)?,
            Some(Kind::Data) if is_ours => {
                self.reply.body.extend_from_slice(frame.unpadded()?);
                if self.reply.body.len() > MOST_BODY {
                    return Err(format!("the answer is longer than {} KiB", MOST_BODY / 1024));
                }
                self.is_over = flags & frame::END_STREAM != 0;
            }
            Some(Kind::Reset) if is_ours => return Err(format!("the call was reset: {}", frame.error_at(0))),
            // What it has begun before it goes, it ends.
            Some(Kind::GoAway) if frame.number_at(0).is_some_and(|last| last & 0x7fff_ffff < STREAM) => {
                let told = payload.get(8..).unwrap_or_default();
                let separator = if told.is_empty() { "" } else { ": " };
                return Err(format!("it went away: {}{separator}{}", frame.error_at(4), shown(told, 80)));
            }
            Some(Kind::Headers | Kind::Continuation | Kind::Data | Kind::PushPromise) => {
                return Err("malformed HTTP/2: something that was not asked for".to_string());
            }
            Some(Kind::Settings | Kind::Ping | Kind::Reset | Kind::GoAway) | None => {}
        }
        Ok(None)
    }

    fn add_fields(&mut self, block: &[u8], flags: u8) -> Result<(), Broken> {
        let mut fields = self.fields.take().unwrap_or_default();
        fields.extend_from_slice(block);
        if fields.len() > MOST_FIELDS {
            return Err(format!("the head of the answer is longer than {} KiB", MOST_FIELDS / 1024));
        }
        if flags & frame::END_HEADERS == 0 {
            self.fields = Some(fields);
            return Ok(());
        }
        let reply = &mut self.reply;
        let mut each = |name: &[u8], value: &[u8]| match name {
            b":status" => reply.status = number(value),
            b"grpc-status" => reply.code = number(value),
            b"grpc-message" => reply.message = value.to_vec(),
            _ => {}
        };
        self.decoder.decode(&fields, &mut each)?;
        self.is_over = self.ends;
        // What only says that the answer comes later.
        if reply.status.is_some_and(|status| status < 200) && !self.is_over {
            reply.status = None;
        }
        Ok(())
    }
}

fn number<N: str::FromStr>(value: &[u8]) -> Option<N> {
    str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
