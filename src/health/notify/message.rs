//! What a datagram of sd_notify(3) says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The longest datagram that is taken, in bytes: systemd's own limit (PIPE_BUF).
pub(super) const LONGEST: usize = 4096;
/// What is kept of a status, in bytes.
const STATUS: usize = 1024;

/// A datagram that is understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// It tells something, or nothing that anybody here listens for.
    Message(Message),
    /// `BARRIER=1`: whoever sent it waits until its descriptor is closed, which shall be when all that was said before
    /// has been handled.
    Barrier,
}

/// What one datagram tells; of each thing the last word counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Message {
    /// `READY=1`, `RELOADING=1` or `STOPPING=1`.
    pub stage: Option<Stage>,
    /// `STATUS`: one line for people, made fit to be shown; an empty one takes back the one before.
    pub status: Option<Arc<str>>,
    /// `MAINPID`
    pub main_pid: Option<i32>,
    /// `WATCHDOG`
    pub watchdog: Option<Watchdog>,
    /// `WATCHDOG_USEC`: the longest that it will be silent from now on; zero: for ever.
    pub silence: Option<Duration>,
    /// `EXTEND_TIMEOUT_USEC`: for how long it asks for patience.
    pub patience: Option<Duration>,
    /// A key that means something here, with a value that does not.
    pub unclear: Option<&'static str>,
}

/// How far the sender is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// It has started, or has loaded its configuration again.
    Ready,
    /// It loads its configuration again, and will say when it is ready.
    Reloading,
    /// It ends.
    Stopping,
}

/// What the sender says of its health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Watchdog {
    /// `WATCHDOG=1`: it lives.
    Alive,
    /// `WATCHDOG=trigger`: it has found itself to have failed.
    Failed,
}

/// Why a datagram is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// It is longer than 4096 bytes.
    TooLong,
    /// It holds a NUL byte before its end.
    Nul,
    /// It holds more descriptors than could be taken.
    Descriptors,
    /// `BARRIER=1` stands beside something else, or does not come with one descriptor.
    Barrier,
    /// The kernel does not say who sent it.
    Anonymous,
}

/// Reads a datagram that came with so many descriptors.
pub(super) fn parse(bytes: &[u8], descriptors: usize) -> Result<Said, Refused> {
    // One NUL at the end is a C string's own.
    let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if text.len() > LONGEST {
        return Err(Refused::TooLong);
    }
    if text.contains(&0) {
        return Err(Refused::Nul);
    }
    if is_barrier(text) {
        return if descriptors == 1 { Ok(Said::Barrier) } else { Err(Refused::Barrier) };
    }
    let (mut message, mut status) = (Message::default(), None);
    for line in text.split(|byte| *byte == b'\n') {
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
        match (&line[..equals], &line[equals + 1..]) {
            (b"BARRIER", b"1") => return Err(Refused::Barrier),
            (b"STATUS", text) => status = Some(text),
            (key, value) => message.take(key, value),
        }
    }
    message.status = status.map(shown);
    Ok(Said::Message(message))
}

fn is_barrier(text: &[u8]) -> bool {
    text.strip_suffix(b"\n").unwrap_or(text) == b"BARRIER=1"
}

impl Message {
    /// One of its lines. What is not known is passed over, as systemd does.
    fn take(&mut self, key: &[u8], value: &[u8]) {
        match (key, value) {
            (b"READY", b"1") => self.stage = Some(Stage::Ready),
            (b"RELOADING", b"1") => self.stage = Some(Stage::Reloading),
            (b"STOPPING", b"1") => self.stage = Some(Stage::Stopping),
            (b"WATCHDOG", b"1") => self.watchdog = self.watchdog.or(Some(Watchdog::Alive)),
            // No later sign of life takes back a failure.
            (b"WATCHDOG", b"trigger") => self.watchdog = Some(Watchdog::Failed),
            (b"WATCHDOG", _) => self.unclear = Some("WATCHDOG"),
            (b"WATCHDOG_USEC", usec) => match number(usec) {
                Some(usec) => self.silence = Some(Duration::from_micros(usec)),
                None => self.unclear = Some("WATCHDOG_USEC"),
            },
            (b"EXTEND_TIMEOUT_USEC", usec) => match number(usec) {
                Some(usec) => self.patience = Some(Duration::from_micros(usec)),
                None => self.unclear = Some("EXTEND_TIMEOUT_USEC"),
            },
            (b"MAINPID", pid) => match number(pid).and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0) {
                Some(pid) => self.main_pid = Some(pid),
                None => self.unclear = Some("MAINPID"),
            },
            _ => {}
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// A status as it can be shown: of a bounded length, as UTF-8, and without what would move a cursor.
fn shown(bytes: &[u8]) -> Arc<str> {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    // A character that is cut here begins behind what is kept.
    let cut = &bytes[..bytes.len().min(STATUS + 3)];
    let mut text: String = String::from_utf8_lossy(cut).trim().chars().map(visible).collect();
    let end = (0..=text.len().min(STATUS)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text.into()
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooLong => write!(f, "it is longer than {LONGEST} bytes"),
            Refused::Nul => f.write_str("it holds a NUL byte"),
            Refused::Descriptors => f.write_str("it came with more descriptors than could be taken"),
            Refused::Barrier => f.write_str("BARRIER=1 must stand alone, and come with one descriptor"),
            Refused::Anonymous => f.write_str("the kernel does not say who sent it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST, Message, Refused, STATUS, Said, Stage, Watchdog, parse};

    fn message(text: &[u8]) -> Message {
        match parse(text, 0) {
            Ok(Said::Message(message)) => message,
            other => panic!("{:?}: {other:?}", String::from_utf8_lossy(text)),
        }
    }

    #[test]
    fn every_word_that_means_something_is_understood() {
        let nothing = Message::default;
        let usec = Duration::from_micros;
        let rows: &[(&[u8], Message)] = &[
            (b"", nothing()),
            (b"READY=1", Message { stage: Some(Stage::Ready), ..nothing() }),
            (b"READY=1\n", Message { stage: Some(Stage::Ready), ..nothing() }),
            (b"READY=1\0", Message { stage: Some(Stage::Ready), ..nothing() }),
            (b"RELOADING=1\nMONOTONIC_USEC=8", Message { stage: Some(Stage::Reloading), ..nothing() }),
            (b"STOPPING=1", Message { stage: Some(Stage::Stopping), ..nothing() }),
            (b"STOPPING=1\nREADY=1", Message { stage: Some(Stage::Ready), ..nothing() }),
            (b"STATUS=all is well", Message { status: Some("all is well".into()), ..nothing() }),
            (b"STATUS=a=b\nSTATUS=", Message { status: Some("".into()), ..nothing() }),
            (b"WATCHDOG=1", Message { watchdog: Some(Watchdog::Alive), ..nothing() }),
            (b"WATCHDOG=trigger", Message { watchdog: Some(Watchdog::Failed), ..nothing() }),
            (b"WATCHDOG=trigger\nWATCHDOG=1", Message { watchdog: Some(Watchdog::Failed), ..nothing() }),
            (b"WATCHDOG_USEC=1500000", Message { silence: Some(usec(1_500_000)), ..nothing() }),
            (b"WATCHDOG_USEC=0", Message { silence: Some(usec(0)), ..nothing() }),
            (b"EXTEND_TIMEOUT_USEC=7", Message { patience: Some(usec(7)), ..nothing() }),
            (b"EXTEND_TIMEOUT_USEC=18446744073709551615", Message { patience: Some(usec(u64::MAX)), ..nothing() }),
            (b"MAINPID=123", Message { main_pid: Some(123), ..nothing() }),
            (
                b"MAINPID=5\nREADY=1\nSTATUS=x\nX_MINE=y\nWATCHDOG=1",
                Message {
                    stage: Some(Stage::Ready),
                    status: Some("x".into()),
                    main_pid: Some(5),
                    watchdog: Some(Watchdog::Alive),
                    ..nothing()
                },
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(message(text), *expected, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn everything_else_is_passed_over() {
        let unknown: [&[u8]; 12] = [
            b"READY=0",
            b"READY=yes",
            b"READY",
            b"ready=1",
            b" READY=1",
            b"STOPPING=",
            b"ERRNO=2",
            b"BUSERROR=org.x",
            b"FDSTORE=1\nFDNAME=x",
            b"NOTIFYACCESS=all",
            b"=1",
            b"\n\n\xff\xfe=\x80\n",
        ];
        for text in unknown {
            assert_eq!(message(text), Message::default(), "{:?}", String::from_utf8_lossy(text));
        }
        let lines = b"=\n".repeat(LONGEST / 2);
        assert_eq!(message(&lines), Message::default());
    }

    #[test]
    fn a_value_that_cannot_be_is_named_and_the_rest_is_taken() {
        let rows: [(&[u8], &str); 9] = [
            (b"WATCHDOG=2", "WATCHDOG"),
            (b"WATCHDOG_USEC=", "WATCHDOG_USEC"),
            (b"WATCHDOG_USEC=1s", "WATCHDOG_USEC"),
            (b"WATCHDOG_USEC=-1", "WATCHDOG_USEC"),
            (b"EXTEND_TIMEOUT_USEC=18446744073709551616", "EXTEND_TIMEOUT_USEC"),
            (b"MAINPID=0", "MAINPID"),
            (b"MAINPID=-5", "MAINPID"),
            (b"MAINPID=2147483648", "MAINPID"),
            (b"MAINPID=\xff", "MAINPID"),
        ];
        for (line, key) in rows {
            let text = [line, b"\nREADY=1"].concat();
            let expected = Message { stage: Some(Stage::Ready), unclear: Some(key), ..Message::default() };
            assert_eq!(message(&text), expected, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_barrier_stands_alone_and_has_one_descriptor() {
        for text in [&b"BARRIER=1"[..], b"BARRIER=1\n", b"BARRIER=1\0", b"BARRIER=1\n\0"] {
            assert_eq!(parse(text, 1), Ok(Said::Barrier));
            assert_eq!(parse(text, 0), Err(Refused::Barrier));
            assert_eq!(parse(text, 2), Err(Refused::Barrier));
        }
        assert_eq!(parse(b"READY=1\nBARRIER=1", 1), Err(Refused::Barrier));
        assert_eq!(parse(b"BARRIER=1\nSTATUS=x", 1), Err(Refused::Barrier));
        assert_eq!(parse(b"BARRIER=0", 1), Ok(Said::Message(Message::default())));
    }

    #[test]
    fn what_is_too_long_or_holds_a_nul_is_refused() {
        assert_eq!(parse(&vec![b'x'; LONGEST], 0), Ok(Said::Message(Message::default())));
        assert_eq!(parse(&vec![b'x'; LONGEST + 1], 0), Err(Refused::TooLong));
        assert_eq!(parse(b"READY=1\0STATUS=x", 0), Err(Refused::Nul));
        assert_eq!(parse(b"READY=1\0\0", 0), Err(Refused::Nul));
    }

    #[test]
    fn a_status_can_be_shown_whatever_its_bytes_are() {
        let status = |bytes: &[u8]| message(&[b"STATUS=", bytes].concat()).status.expect("there is one");
        assert_eq!(&*status(b"a\x1b[2Jb\tc\r"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(&*status(b"\xff\xfe ok"), "\u{fffd}\u{fffd} ok");
        assert_eq!(&*status("żółw".as_bytes()), "żółw");
        let long = status("ż".repeat(STATUS).as_bytes());
        assert_eq!((long.len(), long.chars().all(|c| c == 'ż')), (STATUS, true));
        let odd = status(&[b"x", "ż".repeat(STATUS).as_bytes()].concat());
        assert_eq!((odd.len(), odd.ends_with('ż')), (STATUS - 1, true));
        assert_eq!(&*status(&[0x80; 2000]), "\u{fffd}".repeat(STATUS / 3));
    }

    #[test]
    fn no_bytes_are_too_much() {
        // xorshift, from a fixed seed: the words that mean something, torn and mixed with anything.
        const WORDS: [&[u8]; 12] = [
            b"READY=1\n",
            b"STATUS=",
            b"MAINPID=",
            b"WATCHDOG=trigger",
            b"WATCHDOG_USEC=",
            b"EXTEND_TIMEOUT_USEC=",
            b"BARRIER=1",
            b"\n",
            b"=",
            b"\0",
            b"99999999999999999999",
            b"\xc3",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..next() % 40 {
                let word = WORDS[(next() % WORDS.len() as u64) as usize];
                bytes.extend_from_slice(&word[..(next() % (word.len() as u64 + 1)) as usize]);
                bytes.extend_from_slice(&next().to_ne_bytes()[..(next() % 3) as usize]);
            }
            match parse(&bytes, (next() % 3) as usize) {
                Ok(Said::Message(message)) => {
                    let status = message.status.unwrap_or_default();
                    assert!(status.len() <= STATUS && !status.chars().any(char::is_control), "{bytes:?}");
                    assert!(message.main_pid.is_none_or(|pid| pid > 0), "{bytes:?}");
                }
                Ok(Said::Barrier) => assert!(bytes.starts_with(b"BARRIER=1"), "{bytes:?}"),
                Err(_) => {}
            }
        }
    }
}
