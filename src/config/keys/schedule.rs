//! `schedule` and what belongs to it.

use crate::config::decode::Least;
use crate::config::node::{Entry, Node, Value};
use crate::config::report::{Path, Report};
use std::time::Duration;

use crate::model::Schedule;

use super::not_yet;

pub(in crate::config) fn schedule(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Schedule> {
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

/// `activeDeadlineSeconds`
pub(in crate::config) fn active_deadline(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Option<Duration> {
    not_yet(report, path, entry);
    None
}
