//! What is wrong with a file, said so that it can be mended: place, expectation, suggestion.

use std::fmt;

use super::node::Span;
use crate::model::sort_by;

/// One thing to say about one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// The file's name, as it is to be shown.
    pub file: String,
    /// Where in the file; `None` when it is about the file as a whole.
    pub place: Option<Place>,
    /// Which value, such as `env.PORT` or `args[2]`; may be empty.
    pub what: String,
    /// What is wrong, and what was expected. Holds keys, never values.
    pub message: String,
    /// The line itself.
    pub excerpt: Option<Excerpt>,
    /// What to do.
    pub help: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken.
    Warning,
}

/// A place in a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A line of a file, secrets left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Excerpt {
    /// The line, or what fits of it.
    pub text: String,
    /// How many characters stand before the caret.
    pub caret: usize,
    /// How many carets.
    pub width: usize,
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn of_file(file: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: file.to_string(),
            place: None,
            what: String::new(),
            message: message.into(),
            excerpt: None,
            help: None,
        }
    }

    /// The first line: fit for a log, a page or a metric, since it shows nothing of what the file holds but keys.
    pub fn summary(&self) -> String {
        let mut out = self.file.clone();
        if let Some(Place { line, column }) = self.place {
            out.push_str(&format!(":{line}:{column}"));
        }
        out.push_str(match self.severity {
            Severity::Error => ": ",
            Severity::Warning => ": warning: ",
        });
        if !self.what.is_empty() {
            out.push_str(&self.what);
            out.push_str(": ");
        }
        out.push_str(&self.message);
        out
    }

    /// The first line, and behind it what to do.
    pub fn line(&self) -> String {
        let help = self.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        self.summary() + &help
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        if let (Some(Excerpt { text, caret, width }), Some(place)) = (&self.excerpt, self.place) {
            let line = place.line.to_string();
            write!(f, "\n  {line} | {}", text.trim_end())?;
            write!(f, "\n  {:gutter$} | {:caret$}{:^<width$}", "", "", "", gutter = line.len())?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

/// A file's name and text, to find places and excerpts in.
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

/// The longest excerpt, in characters.
const EXCERPT: usize = 100;
/// What stands in an excerpt for what must not be shown.
const MASK: char = '…';

impl Source<'_> {
    /// The line and column of a byte offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        Place { line, column: before[start..].chars().count() + 1 }
    }

    /// The line on which `span` begins, with `masks` left out.
    pub(super) fn excerpt(&self, span: Span, masks: &[Span]) -> Excerpt {
        let offset = span.start.min(self.text.len());
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);

        let masks = merged(masks, start, end);
        let mut masks = masks.iter().peekable();
        let mut shown: Vec<char> = Vec::new();
        let (mut caret, mut width, mut is_within) = (None, 0, false);
        for (at, c) in self.text[start..end].char_indices().map(|(at, c)| (start + at, c)) {
            if masks.next_if(|mask| mask.end <= at).is_some() {
                is_within = false;
            }
            if masks.peek().is_none_or(|mask| at < mask.start) {
                width += usize::from((span.start..span.end).contains(&at));
                shown.push(printable(c));
            } else if !std::mem::replace(&mut is_within, true) {
                shown.push(MASK);
            }
            if at >= span.start && caret.is_none() {
                caret = Some(shown.len() - 1);
            }
        }
        let caret = caret.unwrap_or(shown.len());
        window(&shown, caret, width.max(1))
    }
}

/// The masks that touch a line, in order and apart from each other.
fn merged(masks: &[Span], start: usize, end: usize) -> Vec<Span> {
    let mut sorted: Vec<Span> =
        masks.iter().copied().filter(|mask| mask.start < mask.end && mask.start < end && start < mask.end).collect();
    sort_by(&mut sorted, |one, other| one.start.cmp(&other.start));
    sorted.dedup_by(|next, mask| {
        let is_one = next.start <= mask.end;
        if is_one {
            mask.end = mask.end.max(next.end);
        }
        is_one
    });
    sorted
}

/// Cuts a long line down to what is around the caret.
fn window(line: &[char], caret: usize, width: usize) -> Excerpt {
    let first = if line.len() <= EXCERPT { 0 } else { caret.saturating_sub(EXCERPT / 2).min(line.len() - EXCERPT) };
    let last = line.len().min(first + EXCERPT);
    let mut text: String = line[first..last].iter().collect();
    let mut caret = caret - first;
    if first > 0 {
        text.insert(0, MASK);
        caret += 1;
    }
    if last < line.len() {
        text.push(MASK);
    }
    let width = width.min((text.chars().count()).saturating_sub(caret)).max(1);
    Excerpt { text, caret, width }
}

/// What a terminal may be shown: one column for each character, and no commands.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        // The others turn the direction of writing.
        c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) => {
            char::REPLACEMENT_CHARACTER
        }
        c => c,
    }
}
