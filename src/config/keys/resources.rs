//! `resources`

use crate::config::node::Entry;
use crate::config::report::{Path, Report};
use crate::model::Limits;

use super::not_yet;

/// `resources.limits`
pub(in crate::config) fn limits(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Limits {
    not_yet(report, path, entry);
    Limits::default()
}
