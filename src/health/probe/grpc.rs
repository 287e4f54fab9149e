//! `grpc`: gRPC's health protocol, `grpc.health.v1.Health/Check`, without TLS, in the kubelet's words
//! (`pkg/probe/grpc/grpc.go`). Whatever is not SERVING is a failure.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Outcome;
use crate::health::Resolver;
use crate::health::dial::{DialError, authority, connect};
use crate::health::h2::{Call, Reply};
use crate::health::http::PROBER;
use crate::health::inbox::Inbox;
use crate::model::shown;

/// Where a process of this container is found.
const LOCAL: &str = "127.0.0.1";
/// What is shown of the other side's words.
const SHOWN: usize = 200;

/// Asks how this service is; the empty one is the server as a whole.
pub async fn grpc(resolver: &Resolver, port: u16, service: &str, limit: Duration) -> Outcome {
    let (until, address) = (Instant::now() + limit, authority(LOCAL, port));
    let seconds = limit.as_secs_f64();
    let mut inbox = match timeout_at(until, connect(resolver, LOCAL, port, until)).await {
        Ok(Ok(stream)) => Inbox::new(stream),
        Ok(Err(DialError::Refused(why))) => {
            return Outcome::Failure(format!("error: failed to connect service at \"{address}\": {why}"));
        }
        Ok(Err(DialError::Unable(why))) => return Outcome::Unknown(why),
        Err(_) => {
            return Outcome::Failure(format!("timeout: failed to connect service \"{address}\" within {seconds} s"));
        }
    };
    let (timeout, body) = (header(limit), request(service));
    let fields = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", PROBER),
        ("grpc-timeout", timeout.as_str()),
    ];
    let call = Call { authority: &address, path: "/grpc.health.v1.Health/Check", fields: &fields, body: &body };
    match timeout_at(until, call.make(&mut inbox)).await {
        Ok(Ok(reply)) => judge(&reply, seconds),
        Ok(Err(why)) => failed(&why),
        Err(_) => too_late(seconds),
    }
}

fn judge(reply: &Reply, seconds: f64) -> Outcome {
    let words = || shown(&unescaped(&reply.message), SHOWN);
    match (reply.code, reply.status) {
        (Some(0), _) => match status(&reply.body) {
            Some(SERVING) => Outcome::Success,
            Some(other) => Outcome::Failure(format!("service unhealthy (responded with \"{}\")", status_word(other))),
            None => failed("the answer is none of the health protocol"),
        },
        (Some(DEADLINE_EXCEEDED), _) => too_late(seconds),
        (Some(UNIMPLEMENTED), _) => Outcome::Failure(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
            words()
        )),
        (Some(code), _) => failed(&format!("rpc error: code = {} desc = {}", code_word(code), words())),
        (None, Some(status)) if status != 200 => {
            failed(&format!("unexpected HTTP status code received from server: {status}"))
        }
        (None, Some(_) | None) => failed("the answer has no grpc-status"),
    }
}

fn failed(why: &str) -> Outcome {
    Outcome::Failure(format!("error: health rpc probe failed: {why}"))
}

fn too_late(seconds: f64) -> Outcome {
    Outcome::Failure(format!("timeout: health rpc did not complete within {seconds} s"))
}

const DEADLINE_EXCEEDED: u32 = 4;
const UNIMPLEMENTED: u32 = 12;

/// As Go's gRPC spells them.
fn code_word(code: u32) -> String {
    const WORDS: &str = "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied \
                         ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable \
                         DataLoss Unauthenticated";
    WORDS.split(' ').nth(code as usize).map_or_else(|| format!("Code({code})"), str::to_string)
}

const SERVING: u64 = 1;

fn status_word(status: u64) -> String {
    let words = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
    let word = usize::try_from(status).ok().and_then(|status| words.get(status));
    word.map_or_else(|| status.to_string(), |word| (*word).to_string())
}

/// How long the server may take, as a header: eight digits at most.
fn header(limit: Duration) -> String {
    match limit.as_millis() {
        millis @ ..100_000_000 => format!("{millis}m"),
        _ => format!("{}S", limit.as_secs().min(99_999_999)),
    }
}

/// A message of gRPC that is a HealthCheckRequest: `string service = 1`.
fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        push_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let length = (message.len() as u32).to_be_bytes();
    [&[0][..], &length, &message].concat()
}

fn push_varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The status in a message of gRPC that is a HealthCheckResponse: `ServingStatus status = 1`.
fn status(body: &[u8]) -> Option<u64> {
    let [0, a, b, c, d, message @ ..] = body else { return None };
    let is_whole = u32::from_be_bytes([*a, *b, *c, *d]) as usize == message.len();
    let mut rest = is_whole.then_some(message)?;
    let mut status = 0;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = varint(&mut rest)?,
            (_, 0) => _ = varint(&mut rest)?,
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            (_, _) => return None,
        }
    }
    Some(status)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(7 * place).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// `grpc-message` without its `%XX`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{code_word, header, request, status, status_word, unescaped};

    #[test]
    fn messages_are_written_and_read_as_protobuf_has_them() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("web"), [0, 0, 0, 0, 5, 0x0a, 3, b'w', b'e', b'b']);
        assert_eq!(request(&"x".repeat(300))[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(status(&[0, 0, 0, 0, 0]), Some(0));
        // Fields that a later version may have: a text, numbers of eight and four bytes, a number.
        let more = [0x12, 2, b'h', b'i', 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 0x28, 0x80, 1, 8, 2];
        assert_eq!(status(&[&[0, 0, 0, 0, more.len() as u8][..], &more].concat()), Some(2));
        // Compressed, cut off, too long, of no known type.
        for bad in [&[1, 0, 0, 0, 2, 8, 1][..], &[0, 0, 0], &[0, 0, 0, 0, 3, 8, 1], &[0, 0, 0, 0, 1, 0x0b], b""] {
            assert_eq!(status(bad), None, "{bad:?}");
        }
        assert_eq!(status(&[&[0, 0, 0, 0, 12, 8][..], &[0xff; 11]].concat()), None);
    }

    #[test]
    fn words_and_limits_are_gos() {
        assert_eq!([0, 2, 3, 7].map(status_word), ["UNKNOWN", "NOT_SERVING", "SERVICE_UNKNOWN", "7"]);
        assert_eq!([5, 14, 16, 17].map(code_word), ["NotFound", "Unavailable", "Unauthenticated", "Code(17)"]);
        assert_eq!(header(Duration::from_millis(1500)), "1500m");
        assert_eq!(header(Duration::from_secs(1_000_000)), "1000000S");
        assert_eq!(unescaped(b"a%20b%zz%4"), b"a b%zz%4");
    }
}
