//! When a run that ended is followed by another.

use crate::config::node::Entry;
use crate::config::report::{Path, Report};
use crate::model::RestartRule;

use super::not_yet;

/// `restartPolicyRules`
pub(in crate::config) fn rules(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Vec<RestartRule> {
    not_yet(report, path, entry);
    Vec::new()
}
