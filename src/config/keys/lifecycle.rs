//! `lifecycle`: how a run is ended.

use crate::config::node::{Entry, Node, Value};
use crate::config::report::{Path, Report};
use crate::model::{PreStop, Signal};

use super::not_yet;

pub(in crate::config) fn signal(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Signal> {
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

/// `lifecycle.preStop`
pub(in crate::config) fn pre_stop(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Option<PreStop> {
    not_yet(report, path, entry);
    None
}
