//! `lifecycle`: what is done after a run's start and before its end, and how it is ended.

use std::time::Duration;

use crate::config::decode::Least;
use crate::config::node::{Node, Value};
use crate::config::report::{Path, Report};
use crate::model::{PreStop, Signal};

use super::handler;

pub(in crate::config) fn signal(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Signal> {
    let (signal, meant) = match &node.value {
        Value::Text(text) => (Signal::parse(text), Signal::misspelt(text)),
        Value::Number(literal) => (literal.parse().ok().and_then(Signal::from_raw), None),
        Value::Null | Value::Bool(_) | Value::Odd(_) | Value::List(_) | Value::Map(_) => (None, None),
    };
    if signal.is_none() {
        let message = "expected a signal, such as SIGTERM, INT, RTMIN+3 or 15";
        match meant {
            Some(meant) => report.error_with_help(path, node.span, message, format!("did you mean {meant}?")),
            None => report.error(path, node.span, message),
        }
    }
    signal
}

/// `lifecycle.preStop`: one handler.
pub(in crate::config) fn pre_stop(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<PreStop> {
    const KEYS: [&str; 3] = ["exec", "httpGet", "sleep"];
    let entries = report.map(path, node, "a map with one of the keys exec, httpGet, sleep")?;
    let mut handler = None;
    for entry in entries {
        let (path, node) = (&path.key(&entry.key), &entry.node);
        match entry.key.as_str() {
            "exec" => handler = handler::exec(report, path, node).map(PreStop::Exec),
            "httpGet" => handler = handler::http_get(report, path, node).map(PreStop::HttpGet),
            "sleep" => handler = sleep(report, path, node).map(PreStop::Sleep),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    let told = entries.iter().filter(|entry| KEYS.contains(&entry.key.as_str())).count();
    if told != 1 && (told > 0 || entries.is_empty()) {
        report.error(
            path,
            node.span,
            format!("expected one of exec, httpGet, sleep, found {}", if told == 0 { "none" } else { "more" }),
        );
        return None;
    }
    handler
}

/// `lifecycle.postStart`: `exec` alone.
pub(in crate::config) fn post_start(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Vec<String>> {
    let entries = report.map(path, node, "a map with the key \"exec\"")?;
    let mut command = None;
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "exec" => command = handler::exec(report, path, &entry.node),
            _ => report.unknown_key(path, entry, &["exec"]),
        }
    }
    if entries.is_empty() {
        report.error(path, node.span, "expected the key \"exec\"");
    }
    command
}

fn sleep(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Duration> {
    let entries = report.map(path, node, "a map with the key \"seconds\"")?;
    let mut seconds = None;
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "seconds" => seconds = report.seconds(path, &entry.node, Least::Zero),
            _ => report.unknown_key(path, entry, &["seconds"]),
        }
    }
    if !node.has_key("seconds") {
        report.error(path, node.span, "expected the key \"seconds\"");
    }
    seconds
}
