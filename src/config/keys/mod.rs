//! The keys of a process file that hold more than one plain value, each read by a function of its name.

pub(super) mod born;
pub(super) mod env;
pub(super) mod handler;
pub(super) mod heartbeat;
pub(super) mod http_check;
pub(super) mod lifecycle;
pub(super) mod order;
pub(super) mod output;
pub(super) mod probe;
pub(super) mod resources;
pub(super) mod restart;
pub(super) mod schedule;
pub(super) mod security;

use std::path::PathBuf;

use super::node::Node;
use super::report::{Path, Report};

pub(super) fn absolute(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<PathBuf> {
    let text = report.text(path, node)?;
    if !text.starts_with('/') {
        report.error(path, node.span, "expected an absolute path, one that starts with \"/\"");
        return None;
    }
    Some(PathBuf::from(text))
}
