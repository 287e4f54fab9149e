//! JSON as it is written, one value after the other: a list of thousands is never there as a whole.

use std::fmt::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use crate::model::{Wall, utc};

/// A text that grows. A key that is empty stands for none: in a list.
#[derive(Default)]
pub(super) struct Json(String);

impl Json {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// An object or a list begins: `{` or `[`.
    pub(super) fn open(&mut self, key: &str, bracket: char) -> &mut Json {
        self.key(key);
        self.0.push(bracket);
        self
    }

    /// It ends.
    pub(super) fn close(&mut self, bracket: char) -> &mut Json {
        self.0.push(bracket);
        self
    }

    pub(super) fn text(&mut self, key: &str, value: &str) -> &mut Json {
        self.key(key);
        self.quoted(value);
        self
    }

    /// The same, left out where there is nothing to say.
    pub(super) fn some_text(&mut self, key: &str, value: &str) -> &mut Json {
        if value.is_empty() { self } else { self.text(key, value) }
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) -> &mut Json {
        self.bare(key, format_args!("{value}"))
    }

    pub(super) fn number(&mut self, key: &str, value: u64) -> &mut Json {
        self.bare(key, format_args!("{value}"))
    }

    pub(super) fn seconds(&mut self, key: &str, value: f64) -> &mut Json {
        // What is no number has no JSON.
        self.bare(key, format_args!("{}", if value.is_finite() { value } else { 0.0 }))
    }

    /// In UTC, as RFC 3339 has it; left out where there is none.
    pub(super) fn time(&mut self, key: &str, value: Option<Wall>) -> &mut Json {
        match value {
            Some(at) => self.text(key, &utc(UNIX_EPOCH + Duration::from_nanos(at.as_nanos()))),
            None => self,
        }
    }

    pub(super) fn bare(&mut self, key: &str, value: fmt::Arguments<'_>) -> &mut Json {
        self.key(key);
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(value);
        self
    }

    fn key(&mut self, key: &str) {
        if !matches!(self.0.as_bytes().last(), None | Some(b'{' | b'[')) {
            self.0.push(',');
        }
        if !key.is_empty() {
            // Ours, and so nothing in it is special.
            self.0.push('"');
            self.0.push_str(key);
            self.0.push_str("\":");
        }
    }

    fn quoted(&mut self, value: &str) {
        self.0.push('"');
        if !value.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | 0x7f)) {
            self.0.push_str(value);
            return self.0.push('"');
        }
        for character in value.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                control if control < ' ' || control == '\u{7f}' => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(control));
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::Json;
    use crate::model::Wall;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::default();
        json.open("", '{').text("a", "\"\\\n\t\u{7f}ß").open("l", '[').number("", 1).number("", 2).close(']');
        json.open("o", '{').close('}').flag("f", true).seconds("s", 0.5).seconds("n", f64::NAN);
        json.time("t", Some(Wall::from_nanos(1_500_000_000))).time("none", None).some_text("none", "").close('}');
        let text = json.into_text();
        let expected = concat!(
            r#"{"a":"\"\\\n\u0009\u007fß","l":[1,2],"o":{},"f":true,"s":0.5,"n":0,"#,
            r#""t":"1970-01-01T00:00:01.500000Z"}"#
        );
        assert_eq!(text, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
