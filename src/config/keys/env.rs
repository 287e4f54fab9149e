//! What a run's environment is made of.

use crate::config::node::{Node, Span};
use crate::config::report::{Path, Report};

/// `env`. The rules of a name are the kernel's and every libc's: not empty, no `=`, no NUL.
pub(in crate::config) fn variables(
    report: &mut Report<'_>,
    path: &Path<'_>,
    node: &Node,
) -> Vec<(String, String, Span)> {
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

pub(in crate::config) fn inherited(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<String> {
    let names = report.texts(path, node).unwrap_or_default();
    if names.iter().any(|name| name.is_empty() || name.contains('=')) {
        report.error(path, node.span, "a variable's name is not empty and holds no \"=\"");
    }
    names
}
