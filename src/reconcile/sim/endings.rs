//! The end of the colony with an essential process, as an outsider sees it.

use std::sync::Arc;

use super::history::History;
use super::machine::World;
use crate::model::{Condition, Moment, Name};
use crate::{Life, Until};

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
        None => {
            let ended: Vec<_> = desired.processes.keys().filter_map(|name| Some((name.clone(), over(name)?))).collect();
            let mut named = desired.processes.values().flat_map(|spec| &*spec.depends_on);
            let is_awaited = named.any(|on| on.condition == Condition::Completed);
            for name in desired.processes.keys() {
                let success = ended.iter().any(|(one, status)| one == name && *status == 0);
                let ledger = world.ledger(name);
                // A step stays one when nobody waits for it any more.
                ledger.step = success && (is_awaited || ledger.step);
            }
            let last = ended.into_iter().find(|(name, _)| !world.ledger(name).step);
            world.check(!quiet || last.is_none(), || {
                format!("{last:?} has ended for good, is essential, and nothing follows")
            });
        }
    }
}

/// When nothing is left to do, a colony that runs until all is complete is so if nobody is wanted who runs or may run.
pub(super) fn it_is_complete_in_time(history: &mut History) {
    let is_to_be_told = history.is_quiet() && history.ends == Until::Complete;
    let History { world, observed, .. } = history;
    if !is_to_be_told || world.desired.ending.is_some() {
        return;
    }
    let desired = Arc::clone(&world.desired);
    let counted = desired.processes.iter().filter(|(_, spec)| !spec.suspend && spec.schedule.is_none());
    let open = counted.map(|(name, _)| name).find(|name| !world.is_over(name) && !world.waits_in_vain(name));
    let told = observed.is_complete();
    world.check(told == open.is_none(), || format!("complete: {told}, and open is {open:?}"));
}

impl World {
    fn is_down(&self, name: &Name) -> bool {
        !self.runs.iter().any(|run| run.name == *name && !run.empty_told)
    }

    fn is_over(&self, name: &Name) -> bool {
        let known = self.desired.processes.get(name).zip(self.ledgers.get(name));
        self.is_down(name) && known.is_some_and(|(spec, ledger)| ledger.is_over(spec, self.now))
    }

    /// Whether it waits for one that is over, and not as it must be, or for one that waits so. There are no circles.
    fn waits_in_vain(&self, name: &Name) -> bool {
        let Some(spec) = self.desired.processes.get(name).filter(|_| self.is_down(name)) else { return false };
        let unmet = self.unmet(spec);
        unmet.iter().any(|on| {
            let is_suspended = self.desired.processes.get(on).is_some_and(|spec| spec.suspend);
            (!is_suspended && self.is_over(on)) || self.waits_in_vain(on)
        })
    }
}
