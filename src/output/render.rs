//! How one line looks.
//!
//! Prefix: `[NAME] text`. Control characters other than TAB, and bytes that are no UTF-8, are shown as `\xNN`, so that
//! no output can forge another process's line or move a terminal's cursor. A backslash stays as it is.
//!
//! JSON: `{"time":…,"process":…,"stream":…,"log":…}`. A line that is itself a JSON object is merged: our keys come
//! first, its own follow untouched. Where it has one of our keys, its own stays and ours is called `ncolony_time`,
//! `ncolony_process` or `ncolony_stream`; a line that uses one of *these* is quoted like any other text, so that who
//! printed a line can always be told. Bytes that are no UTF-8 become U+FFFD.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::model::{Format, Name};

use super::escape::{JSON, SHOWN, escape};

/// The longest line that is written, its newline included: container runtimes split what is longer than 16 KiB.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// What a continuation line of a line that was too long begins with, after its prefix.
const CONTINUED: &str = "… ";

/// The first of our keys for each thing, and what it is called where a merged line has a key of that name.
const TIME: [&str; 2] = ["time", "ncolony_time"];
const PROCESS: [&str; 2] = ["process", "ncolony_process"];
const STREAM: [&str; 2] = ["stream", "ncolony_stream"];

/// One of the two streams of a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl Stream {
    /// 0 for stdout, 1 for stderr.
    pub(super) fn index(self) -> usize {
        match self {
            Stream::Out => 0,
            Stream::Err => 1,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        }
    }
}

/// Whose line it is and how it shall look.
pub(super) struct Style {
    pub(super) name: Name,
    pub(super) stream: Stream,
    pub(super) format: Format,
}

/// A piece of a line: the text, whether the line began before it, and whether the line ends with it.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a [u8],
    pub(super) continued: bool,
    pub(super) ends: bool,
}

impl Style {
    /// Appends a line with as much of the piece as [`MAX_LINE`] allows; returns how many bytes of it these were.
    pub(super) fn render(&self, piece: Piece, time: &str, out: &mut Vec<u8>) -> usize {
        match self.format {
            // Inherit is never captured; should it come here, a prefix is the readable choice.
            Format::Prefix | Format::Inherit => self.prefix(piece, out),
            Format::Json => match self.merge(piece, time, out) {
                true => piece.text.len(),
                false => self.quote(piece, time, out),
            },
        }
    }

    fn prefix(&self, piece: Piece, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.push(b'[');
        out.extend_from_slice(self.name.as_str().as_bytes());
        out.extend_from_slice(b"] ");
        if piece.continued {
            out.extend_from_slice(CONTINUED.as_bytes());
        }
        let used = escape(piece.text, start + MAX_LINE - 1, &SHOWN, out);
        out.push(b'\n');
        used
    }

    fn quote(&self, piece: Piece, time: &str, out: &mut Vec<u8>) -> usize {
        const LAST: &[u8] = b"\"}\n";
        const CUT: &[u8] = b"\",\"partial\":true}\n";
        let start = out.len();
        self.head([TIME[0], PROCESS[0], STREAM[0]], time, out);
        out.extend_from_slice(b",\"log\":\"");
        let used = escape(piece.text, start + MAX_LINE - CUT.len(), &JSON, out);
        out.extend_from_slice(if piece.ends && used == piece.text.len() { LAST } else { CUT });
        used
    }

    /// Appends the line merged with ours, if it is an object that allows it.
    fn merge(&self, piece: Piece, time: &str, out: &mut Vec<u8>) -> bool {
        let Some(keys) = (piece.ends && !piece.continued).then(|| object_keys(piece.text)).flatten() else {
            return false;
        };
        let ours = |[plain, other]: [&'static str; 2]| if keys.contains(plain) { other } else { plain };
        let taken = [TIME, PROCESS, STREAM].iter().any(|[_, other]| keys.contains(*other));
        if taken {
            return false;
        }
        let start = out.len();
        self.head([ours(TIME), ours(PROCESS), ours(STREAM)], time, out);
        // What follows the brace: `"a":1}`, or `}` alone.
        let rest = piece.text.trim_ascii().get(1..).unwrap_or_default();
        if !keys.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(rest);
        out.push(b'\n');
        let fits = out.len() - start <= MAX_LINE;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// `{"time":"…","process":"…","stream":"…"`
    fn head(&self, [time_key, process_key, stream_key]: [&str; 3], time: &str, out: &mut Vec<u8>) {
        for text in ["{\"", time_key, "\":\"", time, "\",\"", process_key, "\":\""] {
            out.extend_from_slice(text.as_bytes());
        }
        escape(self.name.as_str().as_bytes(), usize::MAX, &JSON, out);
        for text in ["\",\"", stream_key, "\":\"", self.stream.as_str(), "\""] {
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// The keys of the one JSON object that `text` is, or `None`. Text with control characters is not taken for one: it
/// would be written as it is.
fn object_keys(text: &[u8]) -> Option<BTreeSet<String>> {
    let trimmed = text.trim_ascii();
    if trimmed.first() != Some(&b'{') || trimmed.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return None;
    }
    let text = std::str::from_utf8(trimmed).ok()?;
    let mut json = serde_json::Deserializer::from_str(text);
    let keys = (&mut json).deserialize_map(Keys).ok()?;
    json.end().ok().map(|()| keys)
}

/// Takes an object's keys and passes over its values.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = BTreeSet<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            keys.insert(key);
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINE, Piece, Stream, Style};
    use crate::model::{Format, Name};

    fn style(name: &str, format: Format) -> Style {
        Style { name: Name::parse(name).expect("a name"), stream: Stream::Err, format }
    }

    fn line(name: &str, format: Format, text: &[u8]) -> String {
        let mut out = Vec::new();
        let used = style(name, format).render(Piece { text, continued: false, ends: true }, "T", &mut out);
        assert_eq!(used, text.len());
        String::from_utf8(out).expect("what is written is UTF-8")
    }

    #[test]
    fn a_prefixed_line_cannot_forge_another_or_move_the_cursor() {
        let rows: &[(&[u8], &str)] = &[
            (b"hello\tworld", "[web] hello\tworld\n"),
            (b"", "[web] \n"),
            ("größe … 日本".as_bytes(), "[web] größe … 日本\n"),
            (b"a\r[other] fake", "[web] a\\x0d[other] fake\n"),
            (b"\x1b[2Jgone", "[web] \\x1b[2Jgone\n"),
            (b"nul\0del\x7f", "[web] nul\\x00del\\x7f\n"),
            ("c1 \u{9b}2J".as_bytes(), "[web] c1 \\xc2\\x9b2J\n"),
            (b"bad \xff\xfe, cut \xe2\x82", "[web] bad \\xff\\xfe, cut \\xe2\\x82\n"),
            (b"C:\\temp", "[web] C:\\temp\n"),
        ];
        for (text, expected) in rows {
            assert_eq!(line("web", Format::Prefix, text), *expected);
        }
    }

    #[test]
    fn a_json_line_is_one_object_whatever_the_bytes() {
        let every_byte: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
        let text = line("we\"b", Format::Json, &every_byte);
        let value: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!(value["process"], "we\"b");
        assert_eq!(value["stream"], "stderr");
        assert_eq!(value["log"], String::from_utf8_lossy(&every_byte).as_ref());
        assert!(!text.trim_end().bytes().any(|byte| byte.is_ascii_control()));
    }

    #[test]
    fn a_line_that_is_a_json_object_is_merged_and_keeps_its_own_keys() {
        let ours = r#"{"time":"T","process":"web","stream":"stderr""#;
        let quoted = |text: &str| format!("{ours},\"log\":{}}}\n", serde_json::Value::from(text));
        let rows = [
            (r#"{"msg":"hi","n":1.50}"#, format!("{ours},\"msg\":\"hi\",\"n\":1.50}}\n")),
            (r#"  { "a" : [1, {"b": null}] } "#, format!("{ours}, \"a\" : [1, {{\"b\": null}}] }}\n")),
            ("{}", format!("{ours}}}\n")),
            (
                r#"{"time":1,"pro\u0063ess":"other"}"#,
                r#"{"ncolony_time":"T","ncolony_process":"web","stream":"stderr","time":1,"pro\u0063ess":"other"}"#
                    .to_owned()
                    + "\n",
            ),
            (r#"{"ncolony_process":"other"}"#, quoted(r#"{"ncolony_process":"other"}"#)),
            (r#"{"a":1} {"b":2}"#, quoted(r#"{"a":1} {"b":2}"#)),
            (r#"{"a":1"#, quoted(r#"{"a":1"#)),
            (r#"[1,2]"#, quoted("[1,2]")),
            ("{\"a\":\r1}", quoted("{\"a\":\r1}")),
        ];
        for (text, expected) in rows {
            assert_eq!(line("web", Format::Json, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn nested_json_of_any_depth_does_not_harm() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(8000), "]".repeat(8000));
        assert!(line("web", Format::Json, deep.as_bytes()).ends_with("]}\n"));
    }

    #[test]
    fn no_line_is_longer_than_16_kib_and_no_character_is_cut() {
        for format in [Format::Prefix, Format::Json] {
            for unit in ["x", "ä", "日", "😀", "\u{1}", "\\"] {
                let text = unit.repeat(20_000);
                let mut out = Vec::new();
                let name = "n".repeat(253);
                let piece = Piece { text: text.as_bytes(), continued: false, ends: true };
                let used = style(&name, format).render(piece, "T", &mut out);
                assert!(out.len() <= MAX_LINE && out.len() > MAX_LINE - 40, "{} {unit:?} {format:?}", out.len());
                assert_eq!(used % unit.len(), 0);
                assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
                if format == Format::Json {
                    let value: serde_json::Value = serde_json::from_slice(&out).expect("one JSON object");
                    assert_eq!(value["partial"], true);
                    assert_eq!(value["log"], text[..used]);
                }
            }
        }
    }
}
