//! What follows the end of a run, as its file says: `restartPolicyRules` first, then `restartPolicy`.

use super::plan::Why;
use super::record::End;
use crate::model::{ProcessSpec, Restart, RuleAction};

/// Whether a run that ended so is followed by another; else its process has ended for good.
pub(super) fn is_followed(spec: &ProcessSpec, last: &End) -> bool {
    match (ruled(spec, last), spec.restart) {
        (Some(RuleAction::Restart), _) | (None, Restart::Always) => true,
        (None, Restart::OnFailure) => !last.is_success(),
        (None, Restart::Never) => false,
    }
}

/// Whether a run of a schedule that ended so is tried again before its next time.
pub(super) fn is_retried(spec: &ProcessSpec, last: &End) -> bool {
    let asked_for = last.why.is_some_and(Why::is_request);
    match (ruled(spec, last), spec.restart) {
        (Some(RuleAction::Restart), _) => !asked_for,
        (None, Restart::Always | Restart::OnFailure) => last.is_failure(),
        (None, Restart::Never) => false,
    }
}

/// What the first rule that matches says.
fn ruled(spec: &ProcessSpec, last: &End) -> Option<RuleAction> {
    spec.restart_rules.iter().find(|rule| rule.matches(last.exit)).map(|rule| rule.action)
}
