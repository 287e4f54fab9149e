//! YAML 1.2 into a tree of places: one document, no directives, no tags but `!!str`, and merge keys only in other
//! programs' files.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span as Stretch, StrInput, Tag};

use super::node::{Budget, Entry, MAX_DEPTH, Malformed, Node, Span, Value};

/// Reads a whole text as one YAML document; an empty one is null.
pub(super) fn parse(text: &str) -> Result<Node, Malformed> {
    read(text, false)
}

/// The same, with merge keys: `<<: *common` brings in the keys that a map does not have itself.
pub(super) fn parse_merging(text: &str) -> Result<Node, Malformed> {
    read(text, true)
}

fn read(text: &str, merges: bool) -> Result<Node, Malformed> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.disallow_directives = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let parser = Parser::new_from_str_with_options(text, options);
    Builder { parser, text, merges, budget: Budget::new(), anchors: HashMap::new() }.document()
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    merges: bool,
    budget: Budget,
    anchors: HashMap<usize, Node>,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Malformed> {
        let mut document = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(..) if document.is_some() => {
                    let whose = if self.merges { "only one is read" } else { "a process file holds one" };
                    return Err(Malformed::new(Span::at(span.start), format!("a second document; {whose}")));
                }
                Event::DocumentStart(..) => {}
                event => document = Some(self.node(event, span, 0)?),
            }
        }
        let end = self.text.len();
        Ok(document.unwrap_or(Node { span: Span { start: end, end }, value: Value::Null }))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Malformed> {
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.charge(text.len(), span)?;
                let value = match (style, is_str(tag.as_deref(), span)?) {
                    (ScalarStyle::Plain, false) => plain(&text),
                    (_, _) => Value::Text(text.into_owned()),
                };
                (Node { span, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => (self.list(tag.as_deref(), span, depth)?, anchor),
            Event::MappingStart(_, anchor, tag) => (self.map(tag.as_deref(), span, depth)?, anchor),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id) else {
                    return Err(Malformed::new(span, "this alias stands inside what it names"));
                };
                self.budget.charge_copy(node, span)?;
                (Node { span, value: node.value.clone() }, 0)
            }
            // The parser's enum may grow; what is not a node has no place here.
            _ => return Err(Malformed::new(span, "expected a value")),
        };
        if anchor != 0 {
            self.budget.charge_copy(&node, span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, tag: Option<&Tag>, span: Span, depth: usize) -> Result<Node, Malformed> {
        self.open(tag, span, depth)?;
        let mut items = Vec::new();
        loop {
            match self.expect_next(span)? {
                (Event::SequenceEnd, end) => {
                    return Ok(Node { span: closed(span, end), value: Value::List(items) });
                }
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, tag: Option<&Tag>, span: Span, depth: usize) -> Result<Node, Malformed> {
        self.open(tag, span, depth)?;
        let mut entries = Vec::new();
        let mut merged = Vec::new();
        loop {
            match self.expect_next(span)? {
                (Event::MappingEnd, end) => {
                    add_missing(&mut entries, merged);
                    return Ok(Node { span: closed(span, end), value: Value::Map(entries) });
                }
                (Event::Scalar(text, ScalarStyle::Plain, 0, None), _) if self.merges && text == "<<" => {
                    let (event, at) = self.expect_next(span)?;
                    merge(self.node(event, at, depth + 1)?, &mut merged)?;
                }
                (event, key_span) => {
                    let key = self.key(event, key_span)?;
                    let (event, at) = self.expect_next(span)?;
                    let mut node = self.node(event, at, depth + 1)?;
                    if at.start >= at.end && matches!(node.value, Value::Null) {
                        // Nothing stands nowhere: it is missed behind its key.
                        node.span = Span { start: key_span.end, end: key_span.end };
                    }
                    entries.push(Entry { key, key_span, node });
                }
            }
        }
    }

    fn key(&mut self, event: Event<'a>, span: Span) -> Result<String, Malformed> {
        match event {
            Event::Scalar(text, ScalarStyle::Plain, 0, None) if text == "<<" => {
                let help = "write out the keys that it would bring in";
                Err(Malformed { help: Some(help), ..Malformed::new(span, "merge keys (\"<<\") are not supported") })
            }
            Event::Scalar(text, style, 0, tag) => {
                self.budget.charge(text.len(), span)?;
                let forced = is_str(tag.as_deref(), span)?;
                if text.is_empty() && style == ScalarStyle::Plain && !forced {
                    return Err(Malformed::new(span, "expected a key"));
                }
                Ok(text.into_owned())
            }
            _ => Err(Malformed::new(span, "expected a plain text as a key")),
        }
    }

    fn open(&mut self, tag: Option<&Tag>, span: Span, depth: usize) -> Result<(), Malformed> {
        if let Some(tag) = tag {
            return Err(unsupported(tag, span));
        }
        if depth >= MAX_DEPTH {
            return Err(Malformed::new(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.budget.charge(0, span)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Malformed> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, stretch))) => Ok(Some((event, self.span(&stretch)))),
            Some(Err(error)) => Err(self.malformed(&error)),
        }
    }

    fn expect_next(&mut self, opened: Span) -> Result<(Event<'a>, Span), Malformed> {
        self.next()?.ok_or_else(|| Malformed::new(opened, "this is never closed"))
    }

    fn span(&self, stretch: &Stretch) -> Span {
        let end = self.text.len();
        match stretch.byte_range() {
            Some(range) => Span { start: range.start.min(end), end: range.end.min(end) },
            None => Span { start: end, end },
        }
    }

    fn malformed(&self, error: &ScanError) -> Malformed {
        let start = error.marker().byte_offset().unwrap_or(self.text.len());
        // The parser's limits are ours, under its own words.
        let message = match error.info() {
            limit if limit.contains("recursion limit") => format!("nested deeper than {MAX_DEPTH} levels"),
            other => other,
        };
        // Not every complaint about a tab names it.
        let line = self.text.get(..start).map_or(0, |before| before.rfind('\n').map_or(0, |newline| newline + 1));
        let mut indent = self.text[line..].chars().take_while(|c| matches!(c, ' ' | '\t'));
        let is_about_tabs = message.contains("tab") || indent.any(|c| c == '\t');
        let help = is_about_tabs.then_some("YAML is indented with spaces, never with tabs");
        Malformed { help, ..Malformed::new(Span::at(start), message) }
    }
}

/// What a merge key brings in: a map, or a list of maps.
fn merge(node: Node, merged: &mut Vec<Entry>) -> Result<(), Malformed> {
    let maps = match node.value {
        Value::List(maps) => maps,
        value => vec![Node { span: node.span, value }],
    };
    for map in maps {
        match map.value {
            Value::Map(entries) => merged.extend(entries),
            _ => return Err(Malformed::new(map.span, "expected a map, or a list of maps, behind \"<<\"")),
        }
    }
    Ok(())
}

/// A map's own keys count, and of maps that are merged the first.
fn add_missing(entries: &mut Vec<Entry>, merged: Vec<Entry>) {
    for entry in merged {
        if !entries.iter().any(|known| known.key == entry.key) {
            entries.push(entry);
        }
    }
}

/// A block's end is where the next thing begins: what is masked must reach so far, and no further.
fn closed(opening: Span, closing: Span) -> Span {
    Span { start: opening.start, end: closing.end.max(opening.end) }
}

fn is_str(tag: Option<&Tag>, span: Span) -> Result<bool, Malformed> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema_tag("str") => Ok(true),
        Some(tag) => Err(unsupported(tag, span)),
    }
}

fn unsupported(tag: &Tag, span: Span) -> Malformed {
    let name: String = tag.original().escape_debug().take(40).collect();
    Malformed::new(span, format!("the tag {name} is not supported"))
}

/// What a bare word means: YAML 1.2's core schema, save for what YAML 1.1 reads otherwise.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(literal) = number(text) {
        return Value::Number(literal.into());
    }
    if is_odd(text) { Value::Odd(text.to_string()) } else { Value::Text(text.to_string()) }
}

/// A bare number as a literal of JSON's grammar.
fn number(text: &str) -> Option<String> {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(|n| n.to_string());
    if let Some(digits) = text.strip_prefix("0x").filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())) {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o").filter(|d| d.bytes().all(|b| b.is_ascii_digit())) {
        return radix(digits, 8);
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let split = unsigned.find(['e', 'E']).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at_checked(split)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !(are_digits(whole) && are_digits(fraction)) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let power = exponent.get(1..).unwrap_or_default();
    let power = power.strip_prefix(['+', '-']).unwrap_or(power);
    if !are_digits(power) || (power.is_empty() && !exponent.is_empty()) {
        return None;
    }
    // 0777: octal in YAML 1.1, decimal in 1.2.
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    Some(format!("{sign}{whole}{fraction}{exponent}"))
}

/// Whether YAML 1.1 reads this word, a text in 1.2, as something else; or the other way round.
fn is_odd(text: &str) -> bool {
    const WORDS: [&str; 6] = ["yes", "no", "on", "off", "y", "n"];
    const NUMBERS: [&str; 7] = [".inf", "-.inf", "+.inf", ".nan", "nan", "inf", "-inf"];
    let is_word = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_word(&WORDS) || is_word(&NUMBERS) {
        return true;
    }
    let digits = text.trim_start_matches(['+', '-']);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && (digits.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.') && !is_version(digits)
            || digits.strip_prefix("0b").is_some_and(|bits| bits.bytes().all(|b| b"01_".contains(&b)))
            || is_base_60(digits))
}

/// `1.2.3` and `127.0.0.1` are numbers to nobody.
fn is_version(digits: &str) -> bool {
    digits.bytes().filter(|b| *b == b'.').count() > 1
}

/// `12:30`: 750 in YAML 1.1.
fn is_base_60(digits: &str) -> bool {
    let mut parts = digits.split(':');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.next().is_some_and(is_number)
        && digits.contains(':')
        && parts.all(|part| is_number(part) && part.parse().is_ok_and(|n: u32| n < 60))
}
