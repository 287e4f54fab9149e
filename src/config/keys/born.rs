//! `rlimits`, `nice`, `oomScoreAdj`, `umask`.

use std::collections::BTreeMap;

use crate::config::decode::a_kind;
use crate::config::node::{Entry, Node, Value};
use crate::config::report::{Path, Report, shown};
use crate::config::schema;
use crate::model::{Resource, Rlimit};

pub(in crate::config) fn rlimits(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> BTreeMap<Resource, Rlimit> {
    let mut limits = BTreeMap::new();
    for entry in report.map(path, node, "a map such as {nofile: 4096}").unwrap_or_default() {
        let path = &path.key(&entry.key);
        let Some(resource) = resource(report, path, entry) else { continue };
        if let Some(limit) = rlimit(report, path, &entry.node) {
            limits.insert(resource, limit);
        }
    }
    limits
}

fn resource(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Option<Resource> {
    let words = || Resource::WORDS.into_iter().map(|(word, _)| word);
    if let Some((_, resource)) = Resource::WORDS.iter().find(|(word, _)| *word == entry.key) {
        return Some(*resource);
    }
    if entry.key == "locks" {
        let message = "ncolony tells a run's processes by this limit, which Linux does not enforce";
        report.error_with_help(path, entry.key_span, message, "remove it");
        return None;
    }
    let message =
        format!("unknown limit \"{}\", expected {}", shown(&entry.key), words().collect::<Vec<_>>().join(", "));
    let bare = entry.key.strip_prefix("RLIMIT_").unwrap_or(&entry.key);
    match schema::nearest(bare, words(), 1) {
        Some(word) => report.error_with_help(path, entry.key_span, message, format!("did you mean \"{word}\"?")),
        None => report.error(path, entry.key_span, message),
    }
    None
}

/// One number for both, or `{soft, hard}`.
fn rlimit(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Rlimit> {
    let Value::Map(entries) = &node.value else {
        let both = bound(report, path, node)?;
        return Some(Rlimit { soft: both, hard: both });
    };
    let (mut soft, mut hard) = (None, None);
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "soft" => soft = Some(bound(report, path, &entry.node)),
            "hard" => hard = Some(bound(report, path, &entry.node)),
            _ => report.unknown_key(path, entry, &["soft", "hard"]),
        }
    }
    let (Some(soft), Some(hard)) = (soft, hard) else {
        report.error(path, node.span, "expected both soft and hard");
        return None;
    };
    let limit = Rlimit { soft: soft?, hard: hard? };
    if limit.soft > limit.hard {
        report.error(path, node.span, "the soft limit is above the hard one");
        return None;
    }
    Some(limit)
}

fn bound(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<u64> {
    const EXPECTED: &str = "expected a whole number or unlimited";
    match &node.value {
        Value::Text(text) if text == "unlimited" => return Some(Rlimit::UNLIMITED),
        Value::Number(literal) => {
            // The highest one means "unlimited" to the kernel.
            if let Some(number) = literal.parse().ok().filter(|number| *number != Rlimit::UNLIMITED) {
                return Some(number);
            }
            match literal.as_ref() {
                // So prlimit(1) has it.
                "-1" => report.error_with_help(path, node.span, EXPECTED, "did you mean \"unlimited\"?"),
                _ => report.error(path, node.span, EXPECTED),
            }
        }
        Value::Text(text) if text.parse::<u64>().is_ok() => {
            report.error_with_help(path, node.span, format!("{EXPECTED}, found text"), "write it without quotes");
        }
        Value::Text(text) => {
            match schema::nearest(text, ["unlimited"], 2).or((text == "infinity").then_some("unlimited")) {
                Some(word) => report.error_with_help(path, node.span, EXPECTED, format!("did you mean \"{word}\"?")),
                None => report.error(path, node.span, EXPECTED),
            }
        }
        Value::Null | Value::Bool(_) | Value::Odd(_) | Value::List(_) | Value::Map(_) => {
            report.error(path, node.span, format!("{EXPECTED}, found {}", a_kind(&node.value)));
        }
    }
    None
}

/// `nice` and `oomScoreAdj`.
pub(in crate::config) fn whole<T: TryFrom<i64>>(
    report: &mut Report<'_>,
    path: &Path<'_>,
    node: &Node,
    (least, most): (i64, i64),
) -> Option<T> {
    let expected = format!("expected a whole number from {least} to {most}");
    match &node.value {
        Value::Number(literal) => {
            let number = literal.parse().ok().filter(|number| (least..=most).contains(number));
            if number.is_none() {
                report.error(path, node.span, expected);
            }
            number.and_then(|number| T::try_from(number).ok())
        }
        Value::Text(text) if text.parse::<i64>().is_ok() => {
            let message = format!("{expected}, found text");
            report.error_with_help(path, node.span, message, "write it without quotes");
            None
        }
        other => {
            report.error(path, node.span, format!("{expected}, found {}", a_kind(other)));
            None
        }
    }
}

/// `umask`: text, since the two readings of a bare 0027 or 22 are far apart.
pub(in crate::config) fn umask(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<u16> {
    const EXPECTED: &str = "expected the octal digits of a umask from \"0\" to \"0777\"";
    let (Value::Text(text) | Value::Odd(text)) = &node.value else {
        match &node.value {
            Value::Number(_) => {
                let message = "a bare number may be meant as octal or as decimal";
                report.error_with_help(
                    path,
                    node.span,
                    message,
                    "write octal digits in double quotes, such as \"0027\"",
                );
            }
            other => report.error(path, node.span, format!("{EXPECTED}, found {}", a_kind(other))),
        }
        return None;
    };
    // Digits only: from_str_radix takes a sign, too.
    let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mask = u16::from_str_radix(text, 8).ok().filter(|mask| is_octal && *mask <= 0o777);
    if mask.is_none() {
        report.error(path, node.span, EXPECTED);
    }
    mask
}
