//! JSON as Python's `json.dumps` writes it, so that a file of ours and one of NColony's are equal to the byte: whoever
//! changes from one to the other and adds the same process again has changed nothing.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

pub(super) fn text(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    // Writing a value to memory does not fail.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut bytes, Python));
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    /// As its `repr`: the fewest digits that mean the number, with an exponent where there would be more than 16.
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        match exponent.parse().unwrap_or(0) {
            -4..16 if value.fract() == 0.0 => write!(writer, "{value}.0"),
            -4..16 => write!(writer, "{value}"),
            exponent => write!(writer, "{digits}e{exponent:+03}"),
        }
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            match c {
                ' '..='~' => writer.write_all(&[c as u8])?,
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn it_is_written_as_python_writes_it() {
        let value = json!({"a": [1, -2.5, true, null], "ß😀": "\"\\/\n\u{1}\u{7f}", "e": {}, "l": []});
        let expected = concat!(
            r#"{"a": [1, -2.5, true, null], "\u00df\ud83d\ude00": "\"\\/\n\u0001\u007f", "e": {}, "#,
            r#""l": []}"#
        );
        assert_eq!(text(&value), expected);
        let numbers = json!([1e15, 1e16, -1.5e16, 1e-4, 1.5e-5, 1e100, -0.0, 0.1, 1e3, 5e-324]);
        let expected = "[1000000000000000.0, 1e+16, -1.5e+16, 0.0001, 1.5e-05, 1e+100, -0.0, 0.1, 1000.0, 5e-324]";
        assert_eq!(text(&numbers), expected);
    }
}
