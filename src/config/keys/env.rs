//! What a run's environment is made of.

use crate::config::decode::a_kind;
use crate::config::node::{Entry, Node, Span, Value};
use crate::config::report::{Path, Report};
use crate::model::{EnvFile, EnvFrom, EnvValue, Inherited, Variable};

use super::absolute;

const NAME: &str = "a variable's name is not empty and holds no \"=\" and no NUL";
/// Where a Pod may have its values from: it asks the API server, whom we do not know.
const CLUSTERS: [&str; 7] =
    ["configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef", "fileKeyRef", "configMapRef", "secretRef"];

/// `env`, a map or a Pod's list. The rules of a name are the kernel's and every libc's: not empty, no `=`, no NUL.
pub(in crate::config) fn variables(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<(Variable, Span)> {
    if let Value::List(items) = &node.value {
        return items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| Some((variable(report, &path.index(index), item)?, item.span)))
            .collect();
    }
    let mut variables = Vec::new();
    for entry in report.map(path, node, "a map of texts, NAME: \"value\"").unwrap_or_default() {
        let path = &path.key(&entry.key);
        if !is_name(&entry.key) {
            report.error(path, entry.key_span, NAME);
        }
        if let Some(value) = report.text(path, &entry.node) {
            let value = EnvValue::Text(value.to_string());
            variables.push((Variable { name: entry.key.clone(), value }, entry.node.span));
        }
    }
    variables
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['=', '\0'])
}

/// `{name, value}` or `{name, valueFrom: {file, optional}}`
fn variable(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Variable> {
    let (mut name, mut text, mut file) = (None, None, None);
    let entries = report.map(path, node, "a map with name and value or valueFrom")?;
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "name" => name = Some(variable_name(report, path, &entry.node)),
            "value" => text = Some(report.text(path, &entry.node).map(|text| EnvValue::Text(text.to_string()))),
            "valueFrom" => file = Some(value_from(report, path, &entry.node).map(EnvValue::File)),
            _ => report.unknown_key(path, entry, &["name", "value", "valueFrom"]),
        }
    }
    if text.is_some() && file.is_some() {
        report.error(path, node.span, "both value and valueFrom");
        return None;
    }
    let Some(name) = name else {
        report.error(path, node.span, "expected the key \"name\"");
        return None;
    };
    // As in a Pod, a name alone is an empty variable.
    let value = text.or(file).unwrap_or_else(|| Some(EnvValue::Text(String::new())));
    Some(Variable { name: name?, value: value? })
}

fn variable_name(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<String> {
    let text = report.text(path, node)?;
    if !is_name(text) {
        report.error(path, node.span, NAME);
        return None;
    }
    Some(text.to_string())
}

fn value_from(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<EnvFile> {
    let entries = report.map(path, node, "a map with the key \"file\"")?;
    env_file(report, path, node, entries, &["file", "optional"])
}

/// `file` and `optional` of a map that may have these keys.
fn env_file(
    report: &mut Report<'_>,
    path: &Path<'_>,
    node: &Node,
    entries: &[Entry],
    known: &[&str],
) -> Option<EnvFile> {
    let (mut file, mut optional, mut is_told) = (None, Some(false), false);
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "file" => file = Some(absolute(report, path, &entry.node)),
            "optional" => optional = report.flag(path, &entry.node),
            key if known.contains(&key) => {}
            _ => {
                unknown(report, path, entry, known);
                is_told = true;
            }
        }
    }
    if file.is_none() && !is_told {
        report.error(path, node.span, "expected the key \"file\"");
    }
    Some(EnvFile { path: file??, optional: optional? })
}

fn unknown(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry, known: &[&str]) {
    if CLUSTERS.contains(&entry.key.as_str()) {
        let message = "is the kubelet's affair: here a value comes from a file";
        report.error_with_help(path, entry.key_span, message, "mount it, and give its path as \"file\"");
    } else {
        report.unknown_key(path, entry, known);
    }
}

/// `envFrom`
pub(in crate::config) fn files(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<EnvFrom> {
    let Value::List(items) = &node.value else {
        let message = format!("expected a list of {{file: PATH}}, found {}", a_kind(&node.value));
        report.error(path, node.span, message);
        return Vec::new();
    };
    items.iter().enumerate().filter_map(|(index, item)| env_from(report, &path.index(index), item)).collect()
}

fn env_from(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<EnvFrom> {
    let entries = report.map(path, node, "a map with the key \"file\"")?;
    let file = env_file(report, path, node, entries, &["file", "prefix", "optional"]);
    let mut prefix = String::new();
    if let Some(entry) = entries.iter().find(|entry| entry.key == "prefix") {
        let path = &path.key(&entry.key);
        prefix = report.text(path, &entry.node)?.to_string();
        if prefix.contains('=') {
            report.error(path, entry.node.span, "a variable's name holds no \"=\"");
        }
    }
    Some(EnvFrom { file: file?, prefix })
}

/// `env_inherit`
pub(in crate::config) fn inherited(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<Inherited> {
    let names = report.texts(path, node).unwrap_or_default();
    if names.iter().any(|name| name.is_empty() || name.contains('=')) {
        report.error(path, node.span, "a variable's name is not empty and holds no \"=\"");
    }
    names.iter().map(|name| Inherited::parse(name)).collect()
}
