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

/// `replicas`
pub(in crate::config) fn replicas(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Option<u32> {
    not_yet(report, path, entry);
    None
}
