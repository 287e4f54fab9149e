//! The end of the colony with an essential process, as an outsider sees it.

use std::sync::Arc;

use super::history::History;
use crate::model::{Condition, Moment};
use crate::reconcile::Life;

/// When nothing is left to do, and an essential process has ended for good, that is the outcome, with its status; and
/// there is none without.
pub(super) fn it_ends_as_told(history: &mut History) {
    let quiet = history.is_quiet();
    let History { world, observed, .. } = history;
    let desired = Arc::clone(&world.desired);
    if desired.ending.is_some() {
        return;
    }
    let over = |name| {
        let spec =
            desired.processes.get(name).filter(|spec| spec.essential && !spec.suspend && spec.schedule.is_none())?;
        let is_down = observed.records.get(name).is_some_and(|record| matches!(record.life, Life::Down));
        let ledger =
            world.ledgers.get(name).filter(|ledger| is_down && ledger.due_at(spec, world.now) == Moment::NEVER)?;
        ledger.status()
    };
    match observed.outcome() {
        Some(outcome) => {
            let expected = outcome.process.as_ref().and_then(over);
            let told = outcome.clone();
            world.check(expected == Some(told.status), || format!("{told:?}, and it was {expected:?}"));
        }
        None if quiet => {
            let steps = |status| {
                status == 0
                    && desired
                        .processes
                        .values()
                        .flat_map(|spec| &spec.depends_on)
                        .any(|on| on.condition == Condition::Completed)
            };
            let ended = desired
                .processes
                .keys()
                .find_map(|name| Some((name.clone(), over(name).filter(|status| !steps(*status))?)));
            world.check(ended.is_none(), || format!("{ended:?} has ended for good, is essential, and nothing follows"));
        }
        None => {}
    }
}
