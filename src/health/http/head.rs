use std::str;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Broken;
use crate::health::inbox::Inbox;
use crate::model::shown;

/// The head of an answer: of its fields, those that matter to somebody who asks whether all is well.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::health) struct Head {
    pub(in crate::health) status: u16,
    pub(in crate::health) location: Option<String>,
    pub(super) length: Length,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Length {
    /// There are so many bytes.
    Known(u64),
    /// By chunks, the last of which is empty.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// The most bytes of a head.
const MOST: usize = 16 * 1024;
/// The most answers that only say that the real one comes later; Go's client takes as many.
const MOST_INTERIM: usize = 5;
/// How much is shown of what is no head.
const SHOWN: usize = 40;

impl Head {
    /// Reads one. What only says that another comes is passed over.
    ///
    /// # Errors
    /// What is wrong with what came.
    pub(in crate::health) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
        inbox: &mut Inbox<S>,
    ) -> Result<Head, Broken> {
        for _ in 0..=MOST_INTERIM {
            let length = whole(inbox).await?;
            let head = Head::parse(&inbox.rest()[..length])?;
            inbox.take(length);
            // 101 would be another protocol's last word in this one.
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok(head);
            }
        }
        Err(format!("more than {MOST_INTERIM} answers say that the real one comes later"))
    }

    /// Whether it says that something is to be found elsewhere, in the way that clients follow.
    pub(in crate::health) fn is_redirection(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }

    fn parse(bytes: &[u8]) -> Result<Head, Broken> {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        let status = status(first).ok_or_else(|| format!("malformed HTTP response \"{}\"", shown(first, SHOWN)))?;
        let (mut location, mut chunked, mut known) = (None, false, None);
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) =
                field(line).ok_or_else(|| format!("malformed HTTP header \"{}\"", shown(line, SHOWN)))?;
            let value = value.trim_ascii();
            if name.eq_ignore_ascii_case(b"location") {
                location = location.or_else(|| str::from_utf8(value).ok().map(str::to_string));
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(format!("unsupported transfer encoding \"{}\"", shown(value, SHOWN)));
                }
                chunked = true;
            } else if name.eq_ignore_ascii_case(b"content-length") {
                let length = number(value).filter(|length| known.is_none_or(|known| known == *length));
                known = Some(length.ok_or_else(|| format!("bad Content-Length \"{}\"", shown(value, SHOWN)))?);
            }
        }
        let length = match (status, chunked, known) {
            (100..200 | 204 | 304, ..) => Length::Known(0),
            (_, true, _) => Length::Chunked,
            (_, false, Some(known)) => Length::Known(known),
            (_, false, None) => Length::UntilClose,
        };
        Ok(Head { status, location, length })
    }
}

/// Waits until a head is there whole, and says how long it is.
async fn whole<S: AsyncRead + AsyncWrite + Unpin>(inbox: &mut Inbox<S>) -> Result<usize, Broken> {
    let mut looked = 0;
    loop {
        let bytes = inbox.rest();
        if let Some(end) = end(bytes, looked) {
            return Ok(end);
        }
        if bytes.len() > MOST {
            return Err(format!("the head of the answer is longer than {} KiB", MOST / 1024));
        }
        if !could_be_http(bytes) {
            return Err(format!("malformed HTTP response \"{}\"", shown(bytes, SHOWN)));
        }
        looked = bytes.len();
        if !inbox.more().await? {
            return Err(match inbox.rest() {
                [] => "the connection was closed without an answer".to_string(),
                part => format!("the answer broke off after \"{}\"", shown(part, SHOWN)),
            });
        }
    }
}

/// Where the empty line ends that ends a head, or that stands alone; up to `looked` there is none.
fn end(bytes: &[u8], looked: usize) -> Option<usize> {
    let from = looked.saturating_sub(2);
    let ends = bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| from + at);
    let mut ends = ends.filter(|at| matches!(&bytes[..*at], [.., b'\n'] | [.., b'\n', b'\r']));
    ends.next().map(|at| at + 1)
}

/// Whether this may be how an answer begins: what is not, need not be waited for.
fn could_be_http(bytes: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"HTTP/1.";
    let common = bytes.len().min(BEGINNING.len());
    bytes[..common] == BEGINNING[..common]
}

/// `HTTP/1.1 200 OK`: three digits, and a reason or none.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [version, b' ', code @ ..] = rest else { return None };
    let (digits, reason) = code.split_at_checked(3)?;
    let is_good = version.is_ascii_digit() && reason.first().is_none_or(|byte| *byte == b' ');
    let status = number(digits).filter(|_| is_good)?;
    u16::try_from(status).ok().filter(|status| *status >= 100)
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    // A blank in it would be an older way to go on with the line before, or a way to hide a header.
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some((name, value))
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Head, Length, end};

    fn parsed(text: &str) -> Result<(u16, Length), String> {
        Head::parse(text.as_bytes()).map(|head| (head.status, head.length))
    }

    #[test]
    fn a_head_says_which_status_and_how_long_a_body() {
        let good = [
            ("HTTP/1.1 200 OK\r\n\r\n", 200, Length::UntilClose),
            ("HTTP/1.0 404 Not Found\nServer: old\n\n", 404, Length::UntilClose),
            ("HTTP/1.1 503\r\n\r\n", 503, Length::UntilClose),
            ("HTTP/1.1 200 \r\ncontent-LENGTH:  12 \r\n\r\n", 200, Length::Known(12)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 200, Length::Known(3)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n", 200, Length::Chunked),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", 304, Length::Known(0)),
            ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, Length::Known(0)),
            ("HTTP/1.1 200 OK\r\nX-Ünicode: \u{1f600}\r\n\r\n", 0, Length::Known(0)),
        ];
        for (text, status, length) in good {
            let expected = if status == 0 {
                Err("malformed HTTP header \"X-Ünicode: \u{1f600}\"".to_string())
            } else {
                Ok((status, length))
            };
            assert_eq!(parsed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_shown() {
        let bad = [
            ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed HTTP response \"SSH-2.0-OpenSSH_9.2\""),
            ("HTTP/2.0 200 OK\r\n\r\n", "malformed HTTP response \"HTTP/2.0 200 OK\""),
            ("HTTP/1.1 20 OK\r\n\r\n", "malformed HTTP response \"HTTP/1.1 20 OK\""),
            ("HTTP/1.1 2000 OK\r\n\r\n", "malformed HTTP response \"HTTP/1.1 2000 OK\""),
            ("HTTP/1.1 099 OK\r\n\r\n", "malformed HTTP response \"HTTP/1.1 099 OK\""),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed HTTP header \"no colon\""),
            ("HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "malformed HTTP header \" folded: x\""),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad Content-Length \"-1\""),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "bad Content-Length \"2\""),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "unsupported transfer encoding \"gzip\""),
        ];
        for (text, expected) in bad {
            assert_eq!(parsed(text), Err(expected.to_string()));
        }
    }

    #[test]
    fn the_end_is_found_wherever_the_pieces_begin() {
        for text in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\nbody\n\n"] {
            let expected = text.find("body").expect("the body");
            for looked in 0..expected {
                assert_eq!(end(text.as_bytes(), looked), Some(expected), "{looked}");
            }
            assert_eq!(end(&text.as_bytes()[..expected - 1], 0), None);
        }
    }
}
