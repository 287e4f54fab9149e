//! A file as a whole: whether it is text at all, and what to say when it is no tree.

use super::decode::a_kind;
use super::diagnostic::{Diagnostic, Source};
use super::manifest::MAX_FILE;
use super::node::{Malformed, Node, Span};
use super::schema::{self, KeyKind};

/// The text, less a byte order mark.
pub(super) fn decoded<'t>(file: &str, bytes: &'t [u8]) -> Result<&'t str, Vec<Diagnostic>> {
    if bytes.len() > MAX_FILE {
        return Err(vec![too_large(file)]);
    }
    let at = |offset: usize, message: String| {
        let text = String::from_utf8_lossy(&bytes[..offset]);
        let place = Source { file, text: &text }.place(text.len());
        vec![Diagnostic { place: Some(place), ..Diagnostic::of_file(file, message) }]
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at(error.valid_up_to(), format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    if let Some(offset) = text.find('\0') {
        return Err(at(offset, format!("a NUL byte at byte {offset}")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(vec![Diagnostic::of_file(file, "the file is empty")]);
    }
    Ok(text)
}

/// The diagnostic for a file of more than [`MAX_FILE`] bytes.
pub(super) fn too_large(file: &str) -> Diagnostic {
    Diagnostic::of_file(file, format!("larger than {MAX_FILE} bytes"))
}

pub(super) fn malformed(source: &Source<'_>, malformed: Malformed, is_json: bool) -> Diagnostic {
    let Malformed { span, message, help, top } = malformed;
    // An anchor and a reserved mark to YAML, and to many a cron expression its first letter.
    let is_marked = !is_json && source.text.get(span.start..).is_some_and(|rest| rest.starts_with(['*', '@']));
    let help = help.or(is_marked.then_some("a text that begins with \"*\" or \"@\" is written in quotes"));
    let mut masks: Vec<Span> = Vec::new();
    if is_json {
        let is_secret = |key: &str| key == "env" || schema::kind_of(key) == KeyKind::Extra;
        masks.extend(top.iter().filter(|(key, _)| is_secret(key)).map(|(_, span)| *span));
        // What follows the mistake has not been understood.
        masks.push(Span { start: span.start + 1, end: source.text.len() });
    } else {
        masks.extend(suspect(source.text, span.start));
    }
    Diagnostic {
        place: Some(source.place(span.start)),
        excerpt: Some(source.excerpt(span, &masks)),
        help: help.map(str::to_string),
        ..Diagnostic::of_file(source.file, message)
    }
}

/// What to hide of a line of YAML that could not be read: what follows its key, unless it belongs to a key of ours
/// that holds no secrets.
fn suspect(text: &str, offset: usize) -> Option<Span> {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let owner = text[..end].lines().rev().find(|line| line.starts_with(|c: char| c.is_alphabetic()))?;
    let key = owner.split(':').next().unwrap_or_default().trim_end();
    if key != "env" && schema::kind_of(key) != KeyKind::Extra {
        return None;
    }
    let line = &text[start..end];
    let shown = line.find(": ").map_or(line.len() - line.trim_start().len(), |at| at + 2);
    Some(Span { start: start + shown, end })
}

pub(super) fn not_a_map(source: &Source<'_>, root: &Node) -> Diagnostic {
    let message = format!("expected a map with the key \"args\", found {}", a_kind(&root.value));
    Diagnostic { place: Some(source.place(root.span.start)), ..Diagnostic::of_file(source.file, message) }
}
