//! What both formats are read into: a small tree in which every node knows its place.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use crate::model::sort_by;

/// A stretch of the text, as byte offsets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// A value of JSON's kinds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A literal of JSON's grammar, as it was written: its range is judged by whoever wants it.
    Number(Box<str>),
    Text(String),
    /// A bare YAML word that YAML 1.1 and 1.2 read differently (`no`, `0777`, `12:30`).
    Odd(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

/// Why a text is no tree.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
    /// What had been read of the top level until then.
    pub(super) top: Vec<(String, Span)>,
}

/// How large a tree may grow. Aliases are charged as if written out.
#[derive(Debug)]
pub(super) struct Budget {
    nodes: usize,
    bytes: usize,
}

/// How deep a tree may be; lists and maps count.
pub(super) const MAX_DEPTH: usize = 32;
/// How many values and keys a tree may have.
pub(super) const MAX_NODES: usize = 10_000;
/// How many bytes of text a tree may hold: twice a whole file, so that only aliases can reach it.
const MAX_BYTES: usize = 512 * 1024;

impl Span {
    pub(super) fn at(offset: usize) -> Span {
        Span { start: offset, end: offset + 1 }
    }
}

impl Malformed {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Malformed {
        Malformed { span, message: message.into(), help: None, top: Vec::new() }
    }
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { nodes: MAX_NODES, bytes: MAX_BYTES }
    }

    /// Pays for one node that holds `bytes` bytes of text.
    pub(super) fn charge(&mut self, bytes: usize, span: Span) -> Result<(), Malformed> {
        self.charge_all((1, bytes), span)
    }

    /// Pays for a copy of a whole tree.
    pub(super) fn charge_copy(&mut self, node: &Node, span: Span) -> Result<(), Malformed> {
        self.charge_all(node.weight(), span)
    }

    fn charge_all(&mut self, (nodes, bytes): (usize, usize), span: Span) -> Result<(), Malformed> {
        match (self.nodes.checked_sub(nodes), self.bytes.checked_sub(bytes)) {
            (Some(nodes), Some(bytes)) => {
                *self = Budget { nodes, bytes };
                Ok(())
            }
            (None, _) => Err(Malformed::new(span, format!("more than {MAX_NODES} values and keys in one file"))),
            (_, None) => Err(Malformed::new(span, format!("more than {MAX_BYTES} bytes of text in one file"))),
        }
    }
}

impl Node {
    /// Whether this is a map with such a key.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where the value of a key lies; where this node begins when it has no such key.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.entry(key).map_or(Span::at(self.span.start), |entry| entry.node.span)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Odd(_) | Value::List(_) => None,
        }
    }

    /// Nodes and bytes of text in this tree.
    fn weight(&self) -> (usize, usize) {
        let mut sum = (1, 0);
        let mut add = |(nodes, bytes): (usize, usize)| sum = (sum.0 + nodes, sum.1 + bytes);
        match &self.value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(text) => add((0, text.len())),
            Value::Text(text) | Value::Odd(text) => add((0, text.len())),
            Value::List(items) => items.iter().for_each(|item| add(item.weight())),
            Value::Map(entries) => entries.iter().for_each(|entry| {
                add((1, entry.key.len()));
                add(entry.node.weight());
            }),
        }
        sum
    }

    /// Appends this tree as JSON on one line.
    pub(super) fn write_json(&self, out: &mut String) {
        match &self.value {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(text) => out.push_str(text),
            Value::Text(text) | Value::Odd(text) => write_json_text(text, out),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    item.write_json(out);
                }
                out.push(']');
            }
            Value::Map(entries) => {
                out.push('{');
                for (index, entry) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    write_json_text(&entry.key, out);
                    out.push_str(": ");
                    entry.node.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// Feeds the tree's meaning to `hasher`: neither its places nor the order of keys count.
    pub(super) fn hash_into(&self, hasher: &mut impl Hasher) {
        match &self.value {
            Value::Null => 0u8.hash(hasher),
            Value::Bool(value) => (1u8, value).hash(hasher),
            Value::Number(text) => (2u8, text).hash(hasher),
            Value::Text(text) | Value::Odd(text) => (3u8, text).hash(hasher),
            Value::List(items) => {
                (4u8, items.len()).hash(hasher);
                items.iter().for_each(|item| item.hash_into(hasher));
            }
            Value::Map(entries) => {
                (5u8, entries.len()).hash(hasher);
                hash_sorted(entries.iter(), hasher);
            }
        }
    }
}

/// Feeds entries to `hasher` in the order of their keys.
pub(super) fn hash_sorted<'a>(entries: impl Iterator<Item = &'a Entry>, hasher: &mut impl Hasher) {
    let mut sorted: Vec<&Entry> = entries.collect();
    sort_by(&mut sorted, |a, b| a.key.cmp(&b.key));
    for entry in sorted {
        entry.key.hash(hasher);
        entry.node.hash_into(hasher);
    }
}

pub(super) fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                // Control characters lie in the first plane: four digits hold them. Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
