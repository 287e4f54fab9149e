//! From a tree to typed values: every reader takes the path that led to its node, reports what is wrong, and goes on.

use std::time::Duration;

use super::node::{Entry, Node, Value};
use super::report::{Path, Report, shown};
use super::schema;

/// A hundred years, in seconds: the longest span that means anything.
const LONGEST: f64 = 3_153_600_000.0;

/// Which spans of time a key takes.
#[derive(Clone, Copy)]
pub(super) enum Least {
    /// Zero is one of them.
    Zero,
    /// A period of zero would spin.
    Millisecond,
    /// Nobody needs to be asked more often.
    Twentieth,
    /// Less than this cannot be kept.
    Second,
}

/// Typed readers. `None` means: reported.
impl Report<'_> {
    pub(super) fn text<'n>(&mut self, path: &Path<'_>, node: &'n Node) -> Option<&'n str> {
        let found = match &node.value {
            Value::Text(text) => {
                if text.contains('\0') {
                    self.error(path, node.span, "a NUL byte cannot be part of this text");
                    return None;
                }
                return Some(text);
            }
            Value::Null => "found nothing",
            Value::Bool(_) => "found true or false",
            Value::Number(_) => "found a number",
            Value::Odd(_) => "found a bare word that YAML may take for something else",
            Value::List(_) => "found a list",
            Value::Map(_) => "found a map",
        };
        match &node.value {
            Value::Bool(_) | Value::Number(_) | Value::Odd(_) => {
                self.error_with_help(path, node.span, format!("expected text, {found}"), "put it in double quotes");
            }
            Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.error(path, node.span, format!("expected text, {found}"));
            }
        }
        None
    }

    pub(super) fn list<'n>(&mut self, path: &Path<'_>, node: &'n Node, expected: &str) -> Option<&'n [Node]> {
        let message = || format!("expected {expected}, found {}", a_kind(&node.value));
        match &node.value {
            Value::List(items) => return Some(items),
            Value::Text(_) => {
                self.error_with_help(path, node.span, message(), "a list, even of one, is written [\"…\"]")
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Odd(_) | Value::Map(_) => {
                self.error(path, node.span, message());
            }
        }
        None
    }

    /// A list of texts; one bad text spoils it.
    pub(super) fn texts(&mut self, path: &Path<'_>, node: &Node) -> Option<Vec<String>> {
        let items = self.list(path, node, "a list of texts")?;
        // Every bad one is to be reported: collecting into an Option would end at the first.
        let texts: Vec<Option<&str>> =
            items.iter().enumerate().map(|(index, item)| self.text(&path.index(index), item)).collect();
        texts.into_iter().map(|text| text.map(str::to_string)).collect()
    }

    pub(super) fn map<'n>(&mut self, path: &Path<'_>, node: &'n Node, expected: &str) -> Option<&'n [Entry]> {
        let Value::Map(entries) = &node.value else {
            self.error(path, node.span, format!("expected {expected}, found {}", a_kind(&node.value)));
            return None;
        };
        Some(entries)
    }

    pub(super) fn flag(&mut self, path: &Path<'_>, node: &Node) -> Option<bool> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        let message = format!("expected true or false, found {}", a_kind(&node.value));
        let meant = match &node.value {
            // YAML 1.1 had more words for them.
            Value::Text(text) | Value::Odd(text) => match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Some("true"),
                "false" | "no" | "off" | "n" => Some("false"),
                _ => None,
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
        };
        match meant {
            Some(meant) => self.error_with_help(path, node.span, message, format!("write {meant}, without quotes")),
            None => self.error(path, node.span, message),
        }
        None
    }

    /// One word of a few.
    pub(super) fn word<T: Copy>(&mut self, path: &Path<'_>, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let mut expected = String::new();
        for (index, (word, _)) in words.iter().enumerate() {
            expected.push_str(if index == 0 { "" } else { [", ", " or "][usize::from(index + 1 == words.len())] });
            expected.push_str(word);
        }
        let Value::Text(text) = &node.value else {
            self.error(path, node.span, format!("expected {expected}, found {}", a_kind(&node.value)));
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
            return Some(*value);
        }
        let message = format!("unknown value, expected {expected}");
        match schema::nearest(text, words.iter().map(|(word, _)| *word), 2) {
            Some(word) => self.error_with_help(path, node.span, message, format!("did you mean \"{word}\"?")),
            None => self.error(path, node.span, message),
        }
        None
    }

    pub(super) fn id(&mut self, path: &Path<'_>, node: &Node) -> Option<u32> {
        // The highest one means "no change" to setuid(2) and its kin.
        const HIGHEST: u32 = u32::MAX - 1;
        let Value::Number(literal) = &node.value else {
            let message = format!("expected a number, found {}", a_kind(&node.value));
            match &node.value {
                Value::Text(text) if text.parse::<u32>().is_ok() => {
                    self.error_with_help(path, node.span, message, "write it without quotes");
                }
                Value::Text(_) => self.error_with_help(
                    path,
                    node.span,
                    message,
                    "write the number, or the name as securityContext.runAsUser or runAsGroup",
                ),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Odd(_) | Value::List(_) | Value::Map(_) => {
                    self.error(path, node.span, message);
                }
            }
            return None;
        };
        let id = literal.parse().ok().filter(|id| *id <= HIGHEST);
        if id.is_none() {
            self.error(path, node.span, format!("expected a whole number from 0 to {HIGHEST}"));
        }
        id
    }

    pub(super) fn number(&mut self, path: &Path<'_>, node: &Node, least: f64, most: f64, unit: &str) -> Option<f64> {
        let Value::Number(literal) = &node.value else {
            let message = format!("expected a number of {unit}, found {}", a_kind(&node.value));
            match &node.value {
                Value::Text(text) if text.parse::<f64>().is_ok() => {
                    self.error_with_help(path, node.span, message, "write it without quotes");
                }
                Value::Text(text) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                    self.error_with_help(path, node.span, message, "write a bare number, without a unit");
                }
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Text(_)
                | Value::Odd(_)
                | Value::List(_)
                | Value::Map(_) => self.error(path, node.span, message),
            }
            return None;
        };
        let value = literal.parse().ok().filter(|value| (least..=most).contains(value));
        if value.is_none() {
            self.error(path, node.span, format!("out of range, expected {least} to {most} {unit}"));
        }
        value
    }

    pub(super) fn seconds(&mut self, path: &Path<'_>, node: &Node, least: Least) -> Option<Duration> {
        let least = match least {
            Least::Zero => 0.0,
            Least::Millisecond => 0.001,
            Least::Twentieth => 0.05,
            Least::Second => 1.0,
        };
        self.number(path, node, least, LONGEST, "seconds").map(Duration::from_secs_f64)
    }

    /// Reports a key that an object of ours does not have.
    pub(super) fn unknown_key(&mut self, path: &Path<'_>, entry: &Entry, known: &[&str]) {
        let message = format!("unknown key \"{}\", expected {}", shown(&entry.key), known.join(", "));
        match schema::nearest(&entry.key, known.iter().copied(), (entry.key.len() / 3).max(1)) {
            Some(word) => self.error_with_help(path, entry.key_span, message, format!("did you mean \"{word}\"?")),
            None => self.error(path, entry.key_span, message),
        }
    }
}

/// What a value is, for messages.
pub(super) fn a_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Text(_) | Value::Odd(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}
