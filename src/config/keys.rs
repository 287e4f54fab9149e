//! The keys of a process file that hold more than one plain value, each read by a function of its name.

use std::path::PathBuf;

use crate::model::{Format, Heartbeat, OnFull, Output, Schedule, Signal};

use super::decode::Least;
use super::node::{Entry, Node, Span, Value};
use super::report::{Path, Report};

/// `env`. The rules of a name are the kernel's and every libc's: not empty, no `=`, no NUL.
pub(super) fn variables(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<(String, String, Span)> {
    let mut variables = Vec::new();
    for entry in report.map(path, node, "a map of texts, NAME: \"value\"").unwrap_or_default() {
        let path = &path.key(&entry.key);
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) {
            report.error(path, entry.key_span, "a variable's name is not empty and holds no \"=\" and no NUL");
        }
        if let Some(value) = report.text(path, &entry.node) {
            variables.push((entry.key.clone(), value.to_string(), entry.node.span));
        }
    }
    variables
}

pub(super) fn inherited(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<String> {
    let names = report.texts(path, node).unwrap_or_default();
    if names.iter().any(|name| name.is_empty() || name.contains('=')) {
        report.error(path, node.span, "a variable's name is not empty and holds no \"=\"");
    }
    names
}

pub(super) fn absolute(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<PathBuf> {
    let text = report.text(path, node)?;
    if !text.starts_with('/') {
        report.error(path, node.span, "expected an absolute path, one that starts with \"/\"");
        return None;
    }
    Some(PathBuf::from(text))
}

pub(super) fn signal(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Signal> {
    let signal = match &node.value {
        Value::Text(text) => Signal::parse(text),
        Value::Number(literal) => literal.parse().ok().and_then(Signal::from_raw),
        Value::Null | Value::Bool(_) | Value::Odd(_) | Value::List(_) | Value::Map(_) => None,
    };
    if signal.is_none() {
        report.error(path, node.span, "expected a signal, such as SIGTERM, INT, RTMIN+3 or 15");
    }
    signal
}

pub(super) fn schedule(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Schedule> {
    const LATER: [&str; 5] =
        ["cron", "timeZone", "concurrencyPolicy", "activeDeadlineSeconds", "startingDeadlineSeconds"];
    if matches!(node.value, Value::Text(_) | Value::Odd(_)) {
        report.error(path, node.span, "this version knows no cron expressions, expected {every: SECONDS}");
        return None;
    }
    let mut every = None;
    let mut is_told = false;
    for entry in report.map(path, node, "a map with the key \"every\"")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "every" => {
                is_told = true;
                every = report.seconds(path, &entry.node, Least::Millisecond);
            }
            key if LATER.contains(&key) => not_yet(report, path, entry),
            _ => report.unknown_key(path, entry, &["every"]),
        }
    }
    if !is_told {
        report.error(path, node.span, "expected the key \"every\", the seconds from one start to the next");
    }
    every.map(|every| Schedule { every })
}

/// `ncolony.beatcheck`. NColony wants all three of its keys.
pub(super) fn heartbeat(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Heartbeat> {
    const KEYS: [&str; 3] = ["period", "grace", "status"];
    let entries = report.map(path, node, "a map with period, grace and status")?;
    let (mut period, mut grace, mut file) = (None, None, None);
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "period" => period = report.seconds(path, &entry.node, Least::Millisecond),
            // In periods. A million of them is longer than any start.
            "grace" => grace = report.number(path, &entry.node, 0.0, 1e6, "periods"),
            // As NColony has it: a relative path is the monitor's, which is the process's, too, unless it has another.
            "status" => file = report.text(path, &entry.node).map(PathBuf::from),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    let missing: Vec<&str> = KEYS.into_iter().filter(|key| !entries.iter().any(|entry| entry.key == *key)).collect();
    if !missing.is_empty() {
        report.error(path, node.span, format!("missing: {}", missing.join(", ")));
    }
    Some(Heartbeat { period: period?, grace: grace?, file: file? })
}

pub(super) fn output(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Output> {
    let Value::Map(entries) = &node.value else {
        return report.word(path, node, &FORMAT).map(|format| Output { format, on_full: OnFull::Block });
    };
    let mut output = Output { format: Format::Prefix, on_full: OnFull::Block };
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "format" => output.format = report.word(path, &entry.node, &FORMAT).unwrap_or(output.format),
            "onFull" => {
                let words = [("block", OnFull::Block), ("drop", OnFull::Drop)];
                output.on_full = report.word(path, &entry.node, &words).unwrap_or(output.on_full);
            }
            _ => report.unknown_key(path, entry, &["format", "onFull"]),
        }
    }
    Some(output)
}

const FORMAT: [(&str, Format); 3] = [("prefix", Format::Prefix), ("json", Format::Json), ("inherit", Format::Inherit)];

/// A key that a later version will act on must not look as if it did something.
pub(super) fn not_yet(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) {
    report.warning(path, entry.key_span, "this version does not act on it", None);
}
