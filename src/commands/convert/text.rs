//! Texts in which a variable of the environment may stand, command lines, and spans of time.
//!
//! While it is converted, a reference to the variable NAME is a mark in the text: `\u{1}NAME\u{2}`. No text that is
//! read holds these characters (`sources` sees to it), so that a `$` is always just a `$` until it is written.

use serde_json::{Number, Value};

use crate::model::shell_word;

const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// What must not stand in what is read.
pub(super) const MARKS: [char; 2] = [OPEN, CLOSE];

/// What there is to say of a variable that is handed down by its name.
pub(super) const EMPTY_IF_UNSET: &str = "where nobody sets it, it is empty here (envInherit), and not left out";

/// A reference to a variable.
pub(super) fn variable(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// Whether a variable stands in this text.
pub(super) fn refers(text: &str) -> bool {
    text.contains(OPEN)
}

/// As a process file has it beside `command`: `$(NAME)`, and `$$` for a `$`.
pub(super) fn reference(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            OPEN => out.push_str("$("),
            CLOSE => out.push(')'),
            '$' => out.push_str("$$"),
            c => out.push(c),
        }
    }
    out
}

/// As a shell's text, of which it expands the variables itself.
pub(super) fn in_shell(text: &str) -> String {
    text.replace(OPEN, "${").replace(CLOSE, "}")
}

/// As one word of a shell's command line.
pub(super) fn quoted(text: &str) -> String {
    if !refers(text) {
        return shell_word(text);
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            OPEN => out.push_str("${"),
            CLOSE => out.push('}'),
            '$' | '`' | '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Splits a command line as a POSIX shell does, without expanding anything: supervisord and compose have it so.
pub(super) fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a ' is never closed"),
                    }
                }
            }
            '"' => double_quoted(&mut rest, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(rest.next().ok_or("nothing stands behind the last \\")?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn double_quoted(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    const OPEN_END: &str = "a \" is never closed";
    loop {
        match rest.next() {
            Some('"') => return Ok(()),
            Some('\\') => match rest.next().ok_or(OPEN_END)? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            Some(c) => word.push(c),
            None => return Err(OPEN_END),
        }
    }
}

/// Whether this may be a variable's name.
pub(super) fn is_name(text: &str) -> bool {
    let is_of_it = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(is_of_it)
}

/// Seconds as a process file has them: whole where they can be.
pub(super) fn seconds(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A span such as `1h 30min`, `1m30s`, `1.5s` or `90`, in seconds; a bare number counts in `bare` seconds.
pub(super) fn span(text: &str, bare: f64) -> Option<f64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        sum += number * unit(&rest[..end], bare)?;
        rest = rest[end..].trim_start();
    }
    Some(sum)
}

fn unit(name: &str, bare: f64) -> Option<f64> {
    Some(match name {
        "" => bare,
        "ns" | "nsec" => 1e-9,
        "us" | "µs" | "usec" => 1e-6,
        "ms" | "msec" => 1e-3,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        "M" | "month" | "months" => 2_629_800.0,
        "y" | "year" | "years" => 31_557_600.0,
        _ => return None,
    })
}

/// An amount of memory, such as `512M` or `1.5g`, in units of 1024; as a process file has it.
pub(super) fn memory(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = &text[..end];
    let unit = text[end..].trim().to_ascii_lowercase();
    let suffix = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => "",
        "k" | "ki" => "Ki",
        "m" | "mi" => "Mi",
        "g" | "gi" => "Gi",
        "t" | "ti" => "Ti",
        "p" | "pi" => "Pi",
        "e" | "ei" => "Ei",
        _ => return None,
    };
    number.parse::<f64>().ok().filter(|amount| *amount > 0.0)?;
    Some(format!("{number}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::{memory, quoted, reference, refers, span, variable, words};

    #[test]
    fn a_command_line_is_split_as_a_shell_does() {
        let rows: &[(&str, Result<&[&str], &str>)] = &[
            ("", Ok(&[])),
            ("  a  b\tc\n d ", Ok(&["a", "b", "c", "d"])),
            (r#"a 'b c' "d e""#, Ok(&["a", "b c", "d e"])),
            (r#"a"b"'c'd"#, Ok(&["abcd"])),
            (r#"'' """#, Ok(&["", ""])),
            (r#"a\ b "c\"d\\e\f" 'g\h'"#, Ok(&["a b", "c\"d\\e\\f", "g\\h"])),
            ("a 'b", Err("a ' is never closed")),
            ("a \"b", Err("a \" is never closed")),
            ("a \"b\\", Err("a \" is never closed")),
            ("a\\", Err("nothing stands behind the last \\")),
        ];
        for (line, expected) in rows {
            let found = words(line);
            let found = found.as_ref().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(|error| **error), *expected, "{line:?}");
        }
    }

    #[test]
    fn a_reference_is_written_for_who_expands_it() {
        let text = format!("a$b{}\"c", variable("X"));
        assert!(refers(&text) && !refers("$X"));
        assert_eq!(reference(&text), "a$$b$(X)\"c");
        assert_eq!(quoted(&text), "\"a\\$b${X}\\\"c\"");
        assert_eq!(quoted("it's $5"), "'it'\\''s $5'");
        assert_eq!((quoted(""), quoted("-a=/b")), ("''".to_string(), "-a=/b".to_string()));
    }

    #[test]
    fn spans_and_amounts_are_read_with_their_units() {
        let rows = [
            ("90", Some(90.0)),
            ("1.5s", Some(1.5)),
            ("1m30s", Some(90.0)),
            ("1h 30min", Some(5400.0)),
            ("500ms", Some(0.5)),
            ("2 weeks", Some(1_209_600.0)),
            ("", None),
            ("s", None),
            ("1 lightyear", None),
            ("-1", None),
        ];
        for (text, expected) in rows {
            assert_eq!(span(text, 1.0), expected, "{text:?}");
        }
        let rows = [
            ("512m", Some("512Mi")),
            ("1.5G", Some("1.5Gi")),
            ("64MB", Some("64Mi")),
            ("1P", Some("1Pi")),
            ("1048576", Some("1048576")),
            ("10b", Some("10")),
            ("0", None),
            ("50%", None),
            ("lots", None),
        ];
        for (text, expected) in rows {
            assert_eq!(memory(text).as_deref(), expected, "{text:?}");
        }
    }
}
