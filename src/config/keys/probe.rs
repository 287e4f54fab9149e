//! `livenessProbe`, `readinessProbe`, `startupProbe`: the fields and defaults of a Pod's, where seconds may have fractions.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::decode::Least;
use crate::config::node::{Entry, Node, Span, Value};
use crate::config::report::{Path, Report};
use crate::model::{Probe, ProbeHandler, ProbeKind};

use super::{born, handler, heartbeat};

const HANDLERS: [&str; 6] = ["exec", "httpGet", "tcpSocket", "grpc", "heartbeat", "notify"];

const FIELDS: [&str; 6] = [
    "initialDelaySeconds",
    "periodSeconds",
    "timeoutSeconds",
    "successThreshold",
    "failureThreshold",
    "terminationGracePeriodSeconds",
];

/// As in a Pod: 2³¹ - 1.
const MOST: i64 = i32::MAX as i64;

/// More often than that, commands cost more than what they ask.
const DEAR: Duration = Duration::from_secs(1);

/// What has been read of a probe's keys; `None` where one is absent, or bad and reported.
#[derive(Default)]
struct Draft {
    handler: Option<ProbeHandler>,
    initial_delay: Option<Duration>,
    period: Option<Duration>,
    timeout: Option<Duration>,
    success_threshold: Option<u32>,
    failure_threshold: Option<u32>,
    grace: Option<Duration>,
}

/// One of the three.
pub(in crate::config) fn probe(
    report: &mut Report<'_>,
    path: &Path<'_>,
    node: &Node,
    kind: ProbeKind,
) -> Option<Probe> {
    let entries = report.map(path, node, "a map with a handler, such as {httpGet: {port: 8080}}")?;
    let mut draft = Draft::default();
    for entry in entries {
        draft.take(report, &path.key(&entry.key), entry, kind);
    }
    has_one_handler(report, path, node, entries);
    draft.finish(report, path, node, kind)
}

fn has_one_handler(report: &mut Report<'_>, path: &Path<'_>, node: &Node, entries: &[Entry]) {
    let expected = || format!("expected one of {}", HANDLERS.join(", "));
    let mut told = entries.iter().filter(|entry| HANDLERS.contains(&entry.key.as_str()));
    match (told.next(), told.next()) {
        (Some(_), None) => {}
        (Some(_), Some(second)) => report.error(path, second.key_span, format!("{}, found more", expected())),
        (None, _) => report.error(path, node.span, format!("{}, found none", expected())),
    }
}

impl Draft {
    fn take(&mut self, report: &mut Report<'_>, path: &Path<'_>, entry: &Entry, kind: ProbeKind) {
        let node = &entry.node;
        match entry.key.as_str() {
            "exec" => self.handler = handler::exec(report, path, node).map(ProbeHandler::Exec),
            "httpGet" => self.handler = handler::http_get(report, path, node).map(ProbeHandler::HttpGet),
            "tcpSocket" => self.handler = tcp_socket(report, path, node),
            "grpc" => self.handler = grpc(report, path, node),
            "heartbeat" => self.handler = beats(report, path, node).map(ProbeHandler::Heartbeat),
            "notify" => self.handler = notify(report, path, node),
            "initialDelaySeconds" => self.initial_delay = report.seconds(path, node, Least::Zero),
            "periodSeconds" => self.period = report.seconds(path, node, Least::Twentieth),
            "timeoutSeconds" => self.timeout = report.seconds(path, node, Least::Millisecond),
            "successThreshold" => self.success_threshold = success_threshold(report, path, node, kind),
            "failureThreshold" => self.failure_threshold = born::whole(report, path, node, (1, MOST)),
            "terminationGracePeriodSeconds" => self.grace = grace(report, path, entry, kind),
            _ => report.unknown_key(path, entry, &[&HANDLERS[..], &FIELDS[..]].concat()),
        }
    }

    fn finish(self, report: &mut Report<'_>, path: &Path<'_>, node: &Node, kind: ProbeKind) -> Option<Probe> {
        let probe = Probe {
            kind,
            handler: self.handler?,
            initial_delay: self.initial_delay.unwrap_or(Duration::ZERO),
            period: self.period.unwrap_or(Duration::from_secs(10)),
            timeout: self.timeout.unwrap_or(Duration::from_secs(1)),
            success_threshold: self.success_threshold.unwrap_or(1),
            failure_threshold: self.failure_threshold.unwrap_or(3),
            grace: self.grace,
        };
        if self.timeout.is_some() {
            advise_on_timeout(report, &path.key("timeoutSeconds"), node.span_of("timeoutSeconds"), &probe);
        }
        advise_on_period(report, &path.key("periodSeconds"), node.span_of("periodSeconds"), &probe);
        Some(probe)
    }
}

/// What the writer of `timeoutSeconds` may want to know.
fn advise_on_timeout(report: &mut Report<'_>, path: &Path<'_>, span: Span, probe: &Probe) {
    match &probe.handler {
        ProbeHandler::Notify => report.warning(path, span, "nothing is asked, so nothing is waited for", None),
        ProbeHandler::Exec(_)
        | ProbeHandler::HttpGet(_)
        | ProbeHandler::AnyAnswer(_)
        | ProbeHandler::TcpSocket { .. }
        | ProbeHandler::Grpc { .. }
        | ProbeHandler::Heartbeat(_) => {
            if probe.timeout > probe.period {
                report.warning(path, span, "longer than periodSeconds: a slow answer delays the next probe", None);
            }
        }
    }
}

/// What the writer of `periodSeconds` may.
fn advise_on_period(report: &mut Report<'_>, path: &Path<'_>, span: Span, probe: &Probe) {
    match &probe.handler {
        ProbeHandler::Heartbeat(_) if probe.period < heartbeat::COARSE => heartbeat::warn_of_coarse(report, path, span),
        ProbeHandler::Exec(_) if probe.period < DEAR => {
            let help = "httpGet, tcpSocket and grpc start no process";
            report.warning(path, span, "a process is started each time", Some(help.into()));
        }
        ProbeHandler::Exec(_)
        | ProbeHandler::HttpGet(_)
        | ProbeHandler::AnyAnswer(_)
        | ProbeHandler::TcpSocket { .. }
        | ProbeHandler::Grpc { .. }
        | ProbeHandler::Heartbeat(_)
        | ProbeHandler::Notify => {}
    }
}

/// A verdict on life takes one success, and no more.
fn success_threshold(report: &mut Report<'_>, path: &Path<'_>, node: &Node, kind: ProbeKind) -> Option<u32> {
    let threshold = born::whole(report, path, node, (1, MOST))?;
    if kind != ProbeKind::Readiness && threshold != 1 {
        report.error(path, node.span, format!("expected 1: one success of a {} is enough", kind.as_str()));
        return None;
    }
    Some(threshold)
}

fn grace(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry, kind: ProbeKind) -> Option<Duration> {
    if kind == ProbeKind::Readiness {
        let help = "a grace is of livenessProbe or startupProbe; beside them, of every stop";
        report.error_with_help(path, entry.key_span, "a readiness probe ends no run", help);
        return None;
    }
    report.seconds(path, &entry.node, Least::Millisecond)
}

fn tcp_socket(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<ProbeHandler> {
    let (mut port, mut host) = (None, Some(handler::LOCAL.to_string()));
    for entry in report.map(path, node, "a map with the key \"port\"")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "port" => port = handler::port_number(report, path, &entry.node),
            "host" if handler::is_empty(&entry.node) => {}
            "host" => host = handler::host_name(report, path, &entry.node),
            _ => report.unknown_key(path, entry, &["port", "host"]),
        }
    }
    handler::needs_port(report, path, node);
    Some(ProbeHandler::TcpSocket { host: host?, port: port? })
}

fn grpc(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<ProbeHandler> {
    let (mut port, mut service) = (None, Some(String::new()));
    for entry in report.map(path, node, "a map with the key \"port\"")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "port" => port = handler::port_number(report, path, &entry.node),
            "service" => service = report.text(path, &entry.node).map(str::to_string),
            _ => report.unknown_key(path, entry, &["port", "service"]),
        }
    }
    handler::needs_port(report, path, node);
    Some(ProbeHandler::Grpc { port: port?, service: service? })
}

/// `heartbeat`: the file that is touched.
fn beats(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<PathBuf> {
    let mut file = None;
    for entry in report.map(path, node, "a map with the key \"file\"")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "file" => file = beaten(report, path, &entry.node),
            _ => report.unknown_key(path, entry, &["file"]),
        }
    }
    if !node.has_key("file") {
        report.error(path, node.span, "expected the key \"file\", which the process touches");
    }
    file
}

fn beaten(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<PathBuf> {
    let text = report.text(path, node)?;
    if text.is_empty() {
        report.error(path, node.span, "expected a path, found no text");
        return None;
    }
    if !text.starts_with('/') {
        report.warning(path, node.span, "looked for in the monitor's directory", Some("begin it with \"/\"".into()));
    }
    Some(PathBuf::from(text))
}

/// `notify`: there is nothing to be told of it.
fn notify(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<ProbeHandler> {
    match &node.value {
        Value::Map(entries) if entries.is_empty() => Some(ProbeHandler::Notify),
        Value::Map(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::Odd(_)
        | Value::List(_) => {
            report.error(path, node.span, "expected an empty map, {}");
            None
        }
    }
}
