//! `ncolony.beatcheck`

use std::path::PathBuf;
use std::time::Duration;

use crate::config::decode::Least;
use crate::config::node::{Node, Span};
use crate::config::report::{Path, Report};
use crate::model::Heartbeat;

/// What the time stamps of the coarsest file systems are in step with.
pub(super) const COARSE: Duration = Duration::from_secs(2);

/// `ncolony.beatcheck`. NColony wants all three of its keys.
pub(in crate::config) fn heartbeat(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Heartbeat> {
    const KEYS: [&str; 3] = ["period", "grace", "status"];
    let entries = report.map(path, node, "a map with period, grace and status")?;
    let (mut period, mut grace, mut file) = (None, None, None);
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "period" => {
                period = report.seconds(path, &entry.node, Least::Millisecond);
                if period.is_some_and(|period| period < COARSE) {
                    warn_of_coarse(report, path, entry.node.span);
                }
            }
            // In periods. A million of them is longer than any start.
            "grace" => grace = report.number(path, &entry.node, 0.0, 1e6, "periods"),
            // As NColony has it: a relative path is the monitor's, which is the process's, too, unless it has another.
            "status" => file = report.text(path, &entry.node).map(PathBuf::from),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    let missing: Vec<&str> = KEYS.into_iter().filter(|key| !entries.iter().any(|entry| entry.key == *key)).collect();
    if !missing.is_empty() {
        report.error(path, node.span, format!("missing: {}", missing.join(", ")));
    }
    Some(Heartbeat { period: period?, grace: grace?, file: file? })
}

/// Says that a period is shorter than [`COARSE`].
pub(super) fn warn_of_coarse(report: &mut Report<'_>, path: &Path<'_>, span: Span) {
    let message = "shorter than the time stamps of some file systems (FAT, NFS), where two beats may look like one";
    report.warning(path, span, message, Some("2 or more is safe everywhere".into()));
}
