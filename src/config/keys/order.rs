//! What a process is to the others of its colony.

use crate::config::node::Entry;
use crate::config::report::{Path, Report};
use crate::model::Dependency;

use super::not_yet;

/// `dependsOn`
pub(in crate::config) fn depends_on(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Vec<Dependency> {
    not_yet(report, path, entry);
    Vec::new()
}

/// `essential`
pub(in crate::config) fn essential(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Option<bool> {
    not_yet(report, path, entry);
    None
}

/// `replicas`
pub(in crate::config) fn replicas(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Option<u32> {
    not_yet(report, path, entry);
    None
}
