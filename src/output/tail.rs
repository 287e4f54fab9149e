use std::collections::VecDeque;

use super::escape::{SHOWN, escape};
use super::render::Stream;

/// How many bytes are kept.
const KEPT: usize = 2048;

/// What a process printed last.
#[derive(Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// On which stream the last of it came.
    last: Option<Stream>,
    /// Whether it begins within a line.
    cut: bool,
}

impl Tail {
    /// Takes what was read. Where the streams take turns, neither goes on in the other's line.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.last.replace(stream) != Some(stream) && self.bytes.back().is_some_and(|byte| *byte != b'\n') {
            self.bytes.push_back(b'\n');
        }
        let newest = &bytes[bytes.len().saturating_sub(KEPT)..];
        let too_many = (self.bytes.len() + newest.len()).saturating_sub(KEPT);
        self.bytes.drain(..too_many);
        self.bytes.extend(newest);
        self.cut |= too_many > 0 || newest.len() < bytes.len();
    }

    /// The last whole lines, each with a newline at its end; of a very long one, its end. What is not text is shown as
    /// `\xNN`.
    pub(super) fn lines(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let begins = match (self.cut, text.iter().position(|byte| *byte == b'\n')) {
            (false, _) => 0,
            (true, Some(newline)) => newline + 1,
            // Not within a character.
            (true, None) => text.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(0),
        };
        let mut out = Vec::new();
        for line in text[begins..].split(|byte| *byte == b'\n').filter(|_| !text.is_empty()) {
            escape(line.strip_suffix(b"\r").unwrap_or(line), usize::MAX, &SHOWN, &mut out);
            out.push(b'\n');
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Stream, Tail};

    fn told(pieces: &[(Stream, &[u8])]) -> String {
        let mut tail = Tail::default();
        for (stream, bytes) in pieces {
            tail.push(*stream, bytes);
        }
        tail.lines()
    }

    #[test]
    fn the_last_lines_are_kept_whole() {
        use Stream::{Err, Out};
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[(Out, b"one\ntwo")]), "one\ntwo\n");
        assert_eq!(told(&[(Out, b"one\r\n\n"), (Out, b"three\n")]), "one\n\nthree\n");
        assert_eq!(told(&[(Out, b"half"), (Err, b"other\n"), (Out, b" a line\n")]), "half\nother\n a line\n");
        assert_eq!(told(&[(Out, b"\x1b[31m\xff\n")]), "\\x1b[31m\\xff\n");
        let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let kept = told(&[(Out, lines.as_bytes())]);
        assert!(kept.len() <= KEPT && kept.len() > KEPT - 10 && lines.ends_with(&kept), "{kept}");
        assert!(kept.starts_with("line "), "{kept}");
        let byte_by_byte: Vec<(Stream, &[u8])> = lines.as_bytes().chunks(1).map(|byte| (Out, byte)).collect();
        assert_eq!(told(&byte_by_byte), kept);
    }

    #[test]
    fn of_a_line_that_is_too_long_its_end_is_kept_and_no_half_of_a_character() {
        let long = format!("{}x", "ü".repeat(3000));
        let kept = told(&[(Stream::Out, long.as_bytes())]);
        assert_eq!(kept, format!("{}x\n", "ü".repeat(KEPT / 2 - 1)));
    }
}
