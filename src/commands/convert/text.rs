//! Texts in which a variable of the environment may stand, command lines, and spans of time.
//!
//! While it is converted, a reference to the variable NAME is a mark in the text: `\u{1}NAME\u{2}`. No text that is
//! read holds these characters (`sources` sees to it), so that a `$` is always just a `$` until it is written.

use serde_json::{Number, Value};

const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// What must not stand in what is read.
pub(super) const MARKS: [char; 2] = [OPEN, CLOSE];

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

#[cfg(test)]
mod tests {
    use super::{reference, refers, variable, words};

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
    }
}
