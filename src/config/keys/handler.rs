//! What may be done at a moment of a run's life, or asked of it: `exec` and `httpGet`, as in a Pod.

use std::net::Ipv6Addr;

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;

use crate::config::decode::a_kind;
use crate::config::node::{Node, Value};
use crate::config::report::{Path, Report};
use crate::model::{HttpGet, Scheme};

/// `exec`: no shell, and no `$(VAR)`, as the kubelet has it.
pub(in crate::config) fn exec(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Vec<String>> {
    let mut command = None;
    let mut is_told = false;
    for entry in report.map(path, node, "a map with the key \"command\"")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "command" => {
                is_told = true;
                command = report.texts(path, &entry.node);
                if command.as_ref().is_some_and(|command| command.first().is_none_or(String::is_empty)) {
                    report.error(path, entry.node.span, "expected a program as the first text of this list");
                    command = None;
                }
            }
            _ => report.unknown_key(path, entry, &["command"]),
        }
    }
    if !is_told {
        report.error(path, node.span, "expected the key \"command\", a list: the program and its arguments");
    }
    command
}

/// `httpGet`
pub(in crate::config) fn http_get(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<HttpGet> {
    const KEYS: [&str; 5] = ["path", "port", "host", "scheme", "httpHeaders"];
    let (mut asked, mut port, mut host) = (Some("/".to_string()), None, Some(LOCAL.to_string()));
    let (mut headers, mut scheme) = (Some(Vec::new()), Some(Scheme::Http));
    for entry in report.map(path, node, "a map with the key \"port\"")? {
        let (path, node) = (&path.key(&entry.key), &entry.node);
        match entry.key.as_str() {
            "path" | "host" | "scheme" if is_empty(node) => {}
            "path" => asked = target(report, path, node),
            "port" => port = port_number(report, path, node),
            "host" => host = host_name(report, path, node),
            "scheme" => scheme = report.word(path, node, &[("HTTP", Scheme::Http), ("HTTPS", Scheme::Https)]),
            "httpHeaders" => headers = http_headers(report, path, node),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    needs_port(report, path, node);
    Some(HttpGet { scheme: scheme?, host: host?, port: port?, path: asked?, headers: headers? })
}

/// Where a process of this container is found.
pub(super) const LOCAL: &str = "127.0.0.1";

/// An empty text where a Pod's default counts in its place.
pub(super) fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.is_empty())
}

fn target(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<String> {
    let text = report.text(path, node)?;
    // A fragment is never sent.
    let is_good = text.starts_with('/') && !text.contains('#') && PathAndQuery::try_from(text).is_ok();
    if !is_good {
        let message = "expected what follows the host in a URL: it starts with \"/\", and blanks are written %20";
        report.error(path, node.span, message);
    }
    is_good.then(|| text.to_string())
}

/// Reports a handler that has no `port`.
pub(super) fn needs_port(report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
    if !node.has_key("port") {
        report.error(path, node.span, "expected the key \"port\", a number from 1 to 65535");
    }
}

/// A port, as a number.
pub(super) fn port_number(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<u16> {
    let expected = "expected a number from 1 to 65535";
    let port = match &node.value {
        Value::Number(literal) => literal.parse::<u16>().ok().filter(|port| *port > 0),
        Value::Text(text) if text.parse::<u16>().is_ok() => {
            report.error_with_help(path, node.span, format!("{expected}, found text"), "write it without quotes");
            return None;
        }
        Value::Text(_) => {
            let help = "ports have no names here, since nothing declares them; write the number";
            report.error_with_help(path, node.span, format!("{expected}, found text"), help);
            return None;
        }
        other @ (Value::Null | Value::Bool(_) | Value::Odd(_) | Value::List(_) | Value::Map(_)) => {
            report.error(path, node.span, format!("{expected}, found {}", a_kind(other)));
            return None;
        }
    };
    if port.is_none() {
        report.error(path, node.span, expected);
    }
    port
}

pub(super) fn host_name(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<String> {
    let text = report.text(path, node)?;
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_good = (!text.is_empty() && text.chars().all(of_a_name)) || text.parse::<Ipv6Addr>().is_ok();
    if !is_good {
        report.error(path, node.span, "expected a host's name or address alone, without scheme, port or path");
    }
    is_good.then(|| text.to_string())
}

fn http_headers(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Vec<(String, String)>> {
    let Value::List(items) = &node.value else {
        let message = format!("expected a list of {{name, value}}, found {}", a_kind(&node.value));
        report.error(path, node.span, message);
        return None;
    };
    // Every bad one is to be reported: collecting into an Option would end at the first.
    let headers: Vec<Option<(String, String)>> =
        items.iter().enumerate().map(|(index, item)| http_header(report, &path.index(index), item)).collect();
    headers.into_iter().collect()
}

fn http_header(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<(String, String)> {
    let (mut name, mut value) = (None, None);
    let entries = report.map(path, node, "a map with name and value")?;
    for entry in entries {
        let (path, node) = (&path.key(&entry.key), &entry.node);
        match entry.key.as_str() {
            "name" => name = checked(report, path, node, "a header's name", |text| HeaderName::try_from(text).is_ok()),
            "value" => {
                value = checked(report, path, node, "a header's value", |text| HeaderValue::try_from(text).is_ok());
            }
            _ => report.unknown_key(path, entry, &["name", "value"]),
        }
    }
    let missing: Vec<&str> =
        ["name", "value"].into_iter().filter(|key| !entries.iter().any(|entry| entry.key == *key)).collect();
    if !missing.is_empty() {
        report.error(path, node.span, format!("missing: {}", missing.join(", ")));
    }
    Some((name?, value?))
}

fn checked(
    report: &mut Report<'_>,
    path: &Path<'_>,
    node: &Node,
    what: &str,
    is_good: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = report.text(path, node)?;
    if !is_good(text) {
        report.error(path, node.span, format!("expected {what}, as HTTP allows it"));
        return None;
    }
    Some(text.to_string())
}
