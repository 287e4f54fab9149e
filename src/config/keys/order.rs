//! What a process is to the others of its colony.

use crate::config::node::{Entry, Node};
use crate::config::report::{Path, Report};
use crate::model::{Dependency, Restart, Schedule};

use super::not_yet;

/// `dependsOn`
pub(in crate::config) fn depends_on(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Vec<Dependency> {
    not_yet(report, path, entry);
    Vec::new()
}

/// What `essential` says of a process that is run again whatever happens.
pub(in crate::config) fn essential_fits(
    report: &mut Report<'_>,
    root: &Node,
    restart: Restart,
    schedule: Option<&Schedule>,
) {
    let (path, span) = (Path::top("essential"), root.span_of("essential"));
    if schedule.is_some() {
        let message = "a process on a schedule never ends for good, so the colony cannot end with it";
        report.error_with_help(&path, span, message, "remove essential, or schedule");
    } else if restart == Restart::Always {
        let message = "this process never ends for good, so the colony does not end with it";
        let help = "restartPolicy is Always, here or by default; \"OnFailure\" and \"Never\" have an end";
        report.warning(&path, span, message, Some(help.to_string()));
    }
}

/// The most `replicas` of one file: more is a slip of the hand.
const MOST_REPLICAS: u32 = 1000;

/// `replicas`
pub(in crate::config) fn replicas(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<u32> {
    let count = report.number(path, node, 0.0, f64::from(MOST_REPLICAS), "replicas")?;
    if count.fract() != 0.0 {
        report.error(path, node.span, "expected a whole number of replicas");
        return None;
    }
    Some(count as u32)
}

/// What `replicas` says of a process on a schedule.
pub(in crate::config) fn replicas_fit(report: &mut Report<'_>, root: &Node, schedule: Option<&Schedule>) {
    if schedule.is_some() {
        let message = "a process on a schedule has one run at a time";
        let help = "remove replicas, or schedule";
        report.error_with_help(&Path::top("replicas"), root.span_of("replicas"), message, help);
    }
}
