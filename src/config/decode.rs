//! From a tree to typed values: every reader takes the path that led to its node, reports what is wrong, and goes on.

use std::fmt;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Severity, Source};
use super::node::{Entry, Node, Span, Value};
use super::schema;

/// The way to a value, as `env.PORT` or `args[2]`; each step lives in the frame that took it.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(super) fn top(key: &'a str) -> Path<'a> {
        Path { parent: None, step: Step::Key(key) }
    }

    pub(super) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    pub(super) fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            fmt::Display::fmt(parent, f)?;
        }
        match self.step {
            Step::Key(key) => write!(f, "{}{}", if self.parent.is_some() { "." } else { "" }, shown(key)),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A key as it may be printed: escaped, and not too long.
pub(super) fn shown(key: &str) -> String {
    let mut escaped: String = key.chars().take(60).flat_map(char::escape_debug).collect();
    if key.chars().nth(60).is_some() {
        escaped.push('…');
    }
    escaped
}

/// Collects what is wrong with one file.
pub(super) struct Report<'a> {
    source: Source<'a>,
    root: &'a [Entry],
    found: Vec<Diagnostic>,
    errors: usize,
    untold: usize,
}

/// How many diagnostics one file gets: who has made more mistakes mends these first.
const MAX_FOUND: usize = 20;

impl<'a> Report<'a> {
    pub(super) fn new(source: Source<'a>, root: &'a [Entry]) -> Report<'a> {
        Report { source, root, found: Vec::new(), errors: 0, untold: 0 }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Everything found, in the order of the file.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut found = self.found;
        found.sort_by_key(|diagnostic| diagnostic.place.map(|place| (place.line, place.column)));
        if self.untold > 0 {
            let text = format!("{} more mistakes in this file are not listed", self.untold);
            found.push(Diagnostic::of_file(self.source.file, text));
        }
        found
    }

    pub(super) fn error(&mut self, path: &impl fmt::Display, span: Span, message: impl Into<String>) {
        self.add(Severity::Error, path, span, message.into(), None);
    }

    pub(super) fn error_with_help(
        &mut self,
        path: &impl fmt::Display,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, path, span, message.into(), Some(help.into()));
    }

    pub(super) fn warning(
        &mut self,
        path: &impl fmt::Display,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.add(Severity::Warning, path, span, message.into(), help);
    }

    fn add(&mut self, severity: Severity, path: &impl fmt::Display, span: Span, message: String, help: Option<String>) {
        self.errors += usize::from(severity == Severity::Error);
        if self.found.len() >= MAX_FOUND {
            self.untold += 1;
            return;
        }
        let masks = secrets(self.root, span);
        self.found.push(Diagnostic {
            severity,
            file: self.source.file.to_string(),
            place: Some(self.source.place(span.start)),
            what: path.to_string(),
            message,
            excerpt: Some(self.source.excerpt(span, &masks)),
            help,
        });
    }
}

/// What an excerpt around `span` must not show: values of the environment and of the application's own keys, and
/// arguments unless they are what it is about.
fn secrets(root: &[Entry], span: Span) -> Vec<Span> {
    let mut masks = Vec::new();
    for entry in root {
        let is_about = (entry.node.span.start..=entry.node.span.end).contains(&span.start);
        match (entry.key.as_str(), schema::kind_of(&entry.key), &entry.node.value) {
            ("env", _, Value::Map(variables)) => masks.extend(variables.iter().map(|variable| variable.node.span)),
            ("env", _, _) | (_, schema::KeyKind::Extra, _) => masks.push(entry.node.span),
            ("args" | "command", _, _) if !is_about => masks.push(entry.node.span),
            (_, _, _) => {}
        }
    }
    masks
}

/// A hundred years, in seconds: the longest span that means anything.
const LONGEST: f64 = 3_153_600_000.0;

/// Which spans of time a key takes.
#[derive(Clone, Copy)]
pub(super) enum Least {
    /// Zero is one of them.
    Zero,
    /// A period of zero would spin.
    Millisecond,
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

    /// A list of texts; one bad text spoils it.
    pub(super) fn texts(&mut self, path: &Path<'_>, node: &Node) -> Option<Vec<String>> {
        let Value::List(items) = &node.value else {
            let help = match &node.value {
                Value::Text(_) => Some("a list, even of one, is written [\"…\"]"),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Odd(_) | Value::List(_) | Value::Map(_) => {
                    None
                }
            };
            let message = format!("expected a list of texts, found {}", a_kind(&node.value));
            match help {
                Some(help) => self.error_with_help(path, node.span, message, help),
                None => self.error(path, node.span, message),
            }
            return None;
        };
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
        self.error(path, node.span, format!("expected true or false, found {}", a_kind(&node.value)));
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
                Value::Text(_) => {
                    self.error_with_help(path, node.span, message, "names are not looked up; write the number")
                }
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

    /// Reports keys that a map of the tree has twice, at any depth.
    pub(super) fn duplicates(&mut self, path: Option<&Path<'_>>, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Odd(_) => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let step = Path { parent: path, step: Step::Index(index) };
                    self.duplicates(Some(&step), &item.value);
                }
            }
            Value::Map(entries) => self.duplicates_of(path, entries),
        }
    }

    fn duplicate(&mut self, path: &Path<'_>, first: Span, second: Span) {
        // Finding the first one's place costs a walk through the file.
        let message = if self.found.len() < MAX_FOUND {
            let place = self.source.place(first.start);
            format!("this key stands here twice, first at {}:{}", place.line, place.column)
        } else {
            String::new()
        };
        self.error_with_help(path, second, message, "keep one of the two");
    }

    fn duplicates_of(&mut self, path: Option<&Path<'_>>, entries: &[Entry]) {
        let mut first = std::collections::HashMap::new();
        for entry in entries {
            let step = Path { parent: path, step: Step::Key(&entry.key) };
            match first.entry(entry.key.as_str()) {
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(entry.key_span);
                }
                std::collections::hash_map::Entry::Occupied(occupied) => {
                    self.duplicate(&step, *occupied.get(), entry.key_span);
                }
            }
            self.duplicates(Some(&step), &entry.node.value);
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
