//! What is wrong with one file, collected, and the way to each value that it is about.

use std::collections::hash_map::{Entry as Slot, HashMap};
use std::fmt;
use std::ops::Range;

use super::diagnostic::{Diagnostic, Severity, Source};
use super::graph::Mentions;
use super::node::{Entry, Node, Span, Value};
use super::schema;
use crate::model::sort_by;

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
        let place = |diagnostic: &Diagnostic| diagnostic.place.map(|place| (place.line, place.column));
        sort_by(&mut found, |one, other| place(one).cmp(&place(other)));
        if self.untold > 0 {
            let text = format!("{} more mistakes in this file are not listed", self.untold);
            found.push(Diagnostic::of_file(self.source.file, text));
        }
        found
    }

    /// A place of the file as it is told, `LINE:COLUMN`.
    pub(super) fn place_of(&self, span: Span) -> String {
        let place = self.source.place(span.start);
        format!("{}:{}", place.line, place.column)
    }

    /// The place of a part of a text that stands at `span`, in quotes or without; where it is written otherwise, of all.
    pub(super) fn within(&self, span: Span, text: &str, part: Range<usize>) -> Span {
        let written = self.source.text.get(span.start..span.end).unwrap_or_default();
        match written.find(text).filter(|_| !text.is_empty()) {
            Some(at) => Span { start: span.start + at + part.start, end: span.start + at + part.end },
            None => span,
        }
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

    /// Keeps what is needed to say something of these places later, when there is more to know. They are of one value,
    /// none of the environment's.
    pub(super) fn mentions(&self, places: Vec<Span>) -> Mentions {
        let masks = places.first().map(|place| secrets(self.root, *place)).unwrap_or_default();
        Mentions::new(self.source.text, masks, places)
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
            ("env", _, Value::List(items)) => masks.extend(items.iter().flat_map(value_of)),
            ("env", _, _) | (_, schema::KeyKind::Extra, _) => masks.push(entry.node.span),
            ("args" | "command", _, _) if !is_about => masks.push(entry.node.span),
            (key, _, asked) if asks(key) && is_about => header_values(asked, &mut masks),
            (key, _, _) if asks(key) => masks.push(entry.node.span),
            (_, _, _) => {}
        }
    }
    masks
}

/// Whether the key holds commands and requests, which may hold secrets.
fn asks(key: &str) -> bool {
    matches!(key, "lifecycle" | "livenessProbe" | "readinessProbe" | "startupProbe" | "ncolony.httpcheck")
}

/// The values of `httpHeaders`, at any depth: a token, often.
fn header_values(value: &Value, masks: &mut Vec<Span>) {
    let Value::Map(entries) = value else { return };
    for entry in entries {
        match (entry.key.as_str(), &entry.node.value) {
            ("httpHeaders", Value::List(headers)) => {
                let fields = headers.iter().filter_map(|header| match &header.value {
                    Value::Map(fields) => Some(fields),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::Text(_)
                    | Value::Odd(_)
                    | Value::List(_) => None,
                });
                masks.extend(fields.flatten().filter(|field| field.key == "value").map(|field| field.node.span));
            }
            (_, below) => header_values(below, masks),
        }
    }
}

/// Of an item of `env` all that is no name and no file.
fn value_of(item: &Node) -> Vec<Span> {
    let Value::Map(entries) = &item.value else { return vec![item.span] };
    entries
        .iter()
        .filter(|entry| !matches!(entry.key.as_str(), "name" | "valueFrom"))
        .map(|entry| entry.node.span)
        .collect()
}

/// Keys that stand twice.
impl Report<'_> {
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
            format!("this key stands here twice, first at {}", self.place_of(first))
        } else {
            String::new()
        };
        self.error_with_help(path, second, message, "keep one of the two");
    }

    fn duplicates_of(&mut self, path: Option<&Path<'_>>, entries: &[Entry]) {
        let mut first = HashMap::new();
        for entry in entries {
            let step = Path { parent: path, step: Step::Key(&entry.key) };
            match first.entry(entry.key.as_str()) {
                Slot::Vacant(vacant) => {
                    vacant.insert(entry.key_span);
                }
                Slot::Occupied(occupied) => {
                    self.duplicate(&step, *occupied.get(), entry.key_span);
                }
            }
            self.duplicates(Some(&step), &entry.node.value);
        }
    }
}
