//! Whose turn it is among replicas, as an outsider sees it.

use super::machine::World;
use crate::model::{Incarnation, Moment, Name};

impl World {
    /// Whether a run may be ended for another of it: a ready replica only while all others of its set that are to run are
    /// ready. So no two that were ready are ever down for a restart.
    pub(super) fn may_be_renewed(&self, name: &Name, id: Incarnation) -> bool {
        !self.is_ready(id) || !self.awaits_another(name)
    }

    /// Whether a run that is not as it is wanted is right to go on for now.
    pub(super) fn waits_for_its_turn(&self, name: &Name, id: Incarnation) -> bool {
        let Some(spec) = self.desired.processes.get(name) else { return false };
        let run = self.run(id);
        let is_asked = self.ledgers.get(name).is_some_and(|ledger| ledger.asked.is_some());
        let (is_reborn, is_edited) = (run.spec.born != spec.born, run.spec.whole != spec.whole);
        let is_stopped = self.ledgers.get(name).is_some_and(|ledger| ledger.stopped);
        let is_right_but_for_that = !run.inherited && !spec.suspend && !is_stopped && (is_reborn || !is_edited);
        (is_asked || is_reborn) && is_right_but_for_that && self.is_ready(id) && self.awaits_another(name)
    }

    fn is_ready(&self, id: Incarnation) -> bool {
        let run = self.run(id);
        let lives = !run.inherited && run.ending_at.is_none() && !run.exit_told;
        lives && run.is_well()
    }

    /// Whether another replica of its set is to run, and does not, or is not ready.
    fn awaits_another(&self, name: &Name) -> bool {
        let Some(replica) = self.desired.processes.get(name).and_then(|spec| spec.replica.as_ref()) else {
            return false;
        };
        let others = self.desired.processes.iter().filter(|(other, spec)| {
            *other != name && spec.replica.as_ref().is_some_and(|other| other.set == replica.set)
        });
        others.into_iter().any(|(other, spec)| {
            let ledger = self.ledgers.get(other);
            if spec.suspend || ledger.is_some_and(|ledger| ledger.stopped) {
                return false;
            }
            let living = self.runs.iter().rposition(|run| run.name == *other).filter(|at| !self.runs[*at].empty_told);
            match living {
                Some(at) => !self.is_ready(World::id(at)),
                None => ledger.is_none_or(|ledger| ledger.due_at(spec, self.now) != Moment::NEVER),
            }
        })
    }
}
