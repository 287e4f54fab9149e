//! `output`

use crate::config::node::{Node, Value};
use crate::config::report::{Path, Report};
use crate::model::{Format, OnFull, Output};

pub(in crate::config) fn output(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Output> {
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
