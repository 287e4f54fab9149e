//! Replicas of one file are restarted one at a time: a ready one is ended for an edit or a request only while all others
//! that are to run are ready. One that is not ready takes nothing away, so the mend of a set that crashes goes ahead.

use std::collections::BTreeMap;

use super::desired::Desired;
use super::observed::Observed;
use super::order;
use super::plan::{Action, Why};
use super::record::{Life, Record, Run};
use super::schedule;
use super::timing::{self, Due};
use crate::model::{Moment, Name, ProcessSpec, Replica};

/// Who waits for its turn, by set and number.
#[derive(Clone, Debug, Default)]
pub(super) struct Rolling {
    waiting: BTreeMap<Name, BTreeMap<u32, Name>>,
}

/// Why a run that is up is to be followed by another now, if it is.
pub(super) fn renewal(spec: &ProcessSpec, record: &Record, run: &Run, now: Moment) -> Option<Why> {
    let is_reborn = run.spec.born != spec.born && !schedule::is_of_schedule(run, spec);
    if is_reborn && timing::settled_at(run) <= now {
        return Some(Why::SpecChanged);
    }
    record.asked.map(|_| Why::Requested)
}

/// Whether a run that is to be followed by another may be ended now. In one look at all of a set the first goes.
pub(super) fn is_its_turn(desired: &Desired, observed: &Observed, spec: &ProcessSpec, run: &Run, now: Moment) -> bool {
    let Some(replica) = spec.replica.as_ref().filter(|_| is_ready(run)) else { return true };
    siblings(desired, replica).all(|(sibling, name, spec)| {
        let Some(record) = observed.records.get(name) else { return false };
        let in_the_way = is_awaited(spec, record) || (sibling < replica.index && goes_first(spec, record, now));
        !in_the_way
    })
}

/// Whether something that was done since this was planned has made it another's turn.
pub(super) fn is_overtaken(desired: &Desired, observed: &Observed, action: &Action, now: Moment) -> bool {
    let (Action::PreStop(name, _, why) | Action::Signal(name, _, _, _, why)) = action else { return false };
    match (why, desired.processes.get(name), observed.records.get(name).map(|record| &record.life)) {
        (Why::SpecChanged | Why::Requested, Some(spec), Some(Life::Up(run))) => {
            !is_its_turn(desired, observed, spec, run, now)
        }
        (_, _, _) => false,
    }
}

impl Observed {
    /// Something about this process changed: look at it now, and at who may wait for it.
    pub(super) fn touch(&mut self, name: &Name) {
        self.agenda.touch(name);
        if self.rolling.waiting.is_empty() {
            return;
        }
        let Some((set, index)) = numbered(name) else { return };
        let Some(waiting) = self.rolling.waiting.get(set) else { return };
        let next = waiting.range(index.saturating_add(1)..).next();
        for (_, waiting) in waiting.first_key_value().into_iter().chain(next) {
            self.agenda.touch(waiting);
        }
    }

    /// Notes whether a process that was just looked at waits for its turn.
    pub(super) fn note_turn(&mut self, desired: &Desired, name: &Name, now: Moment) {
        let record = self.records.get(name);
        let waits = match (desired.processes.get(name), record.map(|record| (record, &record.life))) {
            (Some(spec), Some((record, Life::Up(run)))) if spec.replica.is_some() => {
                renewal(spec, record, run, now).is_some() && !is_its_turn(desired, self, spec, run, now)
            }
            (_, _) => false,
        };
        if !waits && self.rolling.waiting.is_empty() {
            return;
        }
        let Some((set, index)) = numbered(name) else { return };
        if waits {
            if let Some(set) = desired.processes.get(name).and_then(|spec| spec.replica.as_ref()).map(|of| &of.set) {
                self.rolling.waiting.entry(set.clone()).or_default().insert(index, name.clone());
            }
        } else if let Some(waiting) = self.rolling.waiting.get_mut(set) {
            if waiting.remove(&index).is_some() {
                waiting.values().next().iter().for_each(|next| self.agenda.touch(next));
            }
            if waiting.is_empty() {
                self.rolling.waiting.remove(set);
            }
        }
    }
}

/// The others of a set that are desired, by number.
fn siblings<'a>(desired: &'a Desired, replica: &'a Replica) -> impl Iterator<Item = (u32, &'a Name, &'a ProcessSpec)> {
    (0..replica.of).filter(|index| *index != replica.index).filter_map(|index| {
        let (name, spec) = desired.processes.get_key_value(format!("{}-{index}", replica.set).as_str())?;
        let is_of_set = spec.replica.as_ref().is_some_and(|other| other.set == replica.set);
        is_of_set.then_some((index, name, &**spec))
    })
}

/// Whether it is to run and does not, or is not ready. What has ended for good, or was stopped, is not waited for.
fn is_awaited(spec: &ProcessSpec, record: &Record) -> bool {
    if spec.suspend || record.stopped {
        return false;
    }
    match &record.life {
        Life::Up(run) => !is_ready(run),
        Life::Stopping(..) | Life::Leaving(..) => true,
        Life::Down => timing::service_due_at(spec, record) != Due::Never,
    }
}

fn goes_first(spec: &ProcessSpec, record: &Record, now: Moment) -> bool {
    match &record.life {
        Life::Up(run) => !spec.suspend && !record.stopped && renewal(spec, record, run, now).is_some(),
        Life::Down | Life::Stopping(..) | Life::Leaving(..) => false,
    }
}

/// Whether a run does what it is for, as far as is known.
fn is_ready(run: &Run) -> bool {
    !run.inherited && order::is_well(run)
}

/// The set and the number in a replica's name.
fn numbered(name: &Name) -> Option<(&str, u32)> {
    let (set, digits) = name.as_str().rsplit_once('-')?;
    let index: u32 = digits.parse().ok()?;
    // No `web-01`, which is another's.
    (index.to_string() == digits).then_some((set, index))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;
    use std::time::Duration;

    use super::numbered;
    use crate::model::{
        Exit, Fingerprint, Heartbeat, Incarnation, Moment, Name, ProcessSpec, Replica, Restart, Signal, Stamp, Wall,
    };
    use crate::sim::plain;
    use crate::{Action, Ask, Desired, Fact, Observed, Target, Why, reconcile};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a valid name")
    }

    fn stamp(seconds: u64) -> Stamp {
        Stamp { at: Moment::ZERO + Duration::from_secs(seconds), wall: Wall::default() }
    }

    /// Which of the replicas are ended at 100 s. Each letter is one: `r`eady, `s`tarting, `e`nding, `c`rashed and backing
    /// off, `d`one for good, `x` stopped by a message, `n`ot begun, `y`oung: begun this second.
    fn ended(states: &str, edited: bool, asked: Option<Ask>) -> String {
        let heartbeat = Heartbeat { period: Duration::from_secs(500), grace: 1.0, file: "/beat".into() };
        let born = |fingerprint| (Fingerprint(fingerprint), Fingerprint(fingerprint));
        let mut desired = Desired::default();
        let mut observed = Observed::default();
        for (index, state) in (0..).zip(states.chars()) {
            let (name, id) = (name(&format!("r-{index}")), Incarnation::new(NonZeroU64::MIN.saturating_add(index)));
            let replica = Replica { set: self::name("r"), index: index as u32, of: states.len() as u32 };
            let restart = if state == 'd' { Restart::Never } else { Restart::Always };
            let spec = ProcessSpec { replica: Some(replica), heartbeat: Some(heartbeat.clone()), restart, ..plain() };
            let wanted = if edited { born(2) } else { born(1) };
            desired
                .processes
                .insert(name.clone(), Arc::new(ProcessSpec { born: wanted.0, whole: wanted.1, ..spec.clone() }));
            let spec = Arc::new(ProcessSpec { born: born(1).0, whole: born(1).1, ..spec });
            let began = if state == 'y' { 100 } else { 1 };
            let exited = Fact::Exited(name.clone(), id, Exit::Code(1), false);
            let facts = match state {
                'n' => vec![],
                's' => vec![],
                'e' => vec![Fact::Signalled(name.clone(), id, Target::Main, Signal::TERM, Why::Requested)],
                'c' | 'd' => vec![exited],
                'x' => vec![Fact::StopAsked(name.clone()), exited],
                'r' | 'y' => vec![Fact::Beat(name.clone(), id)],
                other => panic!("{other}: no such state"),
            };
            if state != 'n' {
                observed.observe(Fact::Started(name.clone(), id, spec), stamp(began));
            }
            facts.into_iter().for_each(|fact| observed.observe(fact, stamp(began)));
            asked.iter().for_each(|ask| observed.observe(Fact::Asked(name.clone(), *ask), stamp(100)));
        }
        let actions = reconcile(&desired, &observed, desired.processes.keys(), stamp(100)).actions;
        let ends = actions.iter().filter_map(|action| match action {
            Action::Signal(name, _, _, _, Why::SpecChanged | Why::Requested) => Some(&name.as_str()[2..]),
            _ => None,
        });
        ends.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_ready_replica_is_restarted_while_all_others_are_ready() {
        let rows = [("rrr", "0"), ("err", ""), ("rre", ""), ("rrc", ""), ("rrn", ""), ("r", "0")];
        for (states, expected) in rows {
            for ask in [Ask::Named, Ask::Broad] {
                assert_eq!(ended(states, false, Some(ask)), expected, "{states}, {ask:?}");
            }
        }
        // What has ended for good, or was stopped by somebody, is not waited for, unless it is asked to run again.
        for (states, broad, named) in [("rrd", "0", ""), ("rrx", "0", ""), ("xrr", "1", "")] {
            assert_eq!(ended(states, false, Some(Ask::Broad)), broad, "{states}");
            assert_eq!(ended(states, false, Some(Ask::Named)), named, "{states}");
        }
        for (states, expected) in rows {
            assert_eq!(ended(states, true, None), expected, "{states}, edited");
        }
        assert_eq!(ended("yrr", true, None), "1", "who has just begun does not go first");
        assert_eq!(ended("rrr", false, None), "", "nobody asked");
    }

    #[test]
    fn one_that_is_not_ready_is_restarted_at_once() {
        for (states, expected) in [("srr", "0"), ("sss", "0 1 2"), ("sre", "0"), ("csr", "1")] {
            assert_eq!(ended(states, false, Some(Ask::Broad)), expected, "{states}");
            assert_eq!(ended(states, true, None), expected, "{states}, edited");
        }
    }

    #[test]
    fn a_name_that_is_none_of_the_set_ends_nobodys_wait() {
        let heartbeat = Heartbeat { period: Duration::from_secs(500), grace: 1.0, file: "/beat".into() };
        let replica = |index| Some(Replica { set: name("r"), index, of: 2 });
        let spec = |replica| Arc::new(ProcessSpec { replica, heartbeat: Some(heartbeat.clone()), ..plain() });
        let processes = [("r-0", spec(replica(0))), ("r-01", spec(None)), ("r-1", spec(replica(1)))];
        let mut desired = Desired::default();
        let mut observed = Observed::default();
        for (n, (text, spec)) in (0..).zip(processes) {
            let id = Incarnation::new(NonZeroU64::MIN.saturating_add(n));
            observed.observe(Fact::Started(name(text), id, Arc::clone(&spec)), stamp(1));
            if text != "r-0" {
                observed.observe(Fact::Beat(name(text), id), stamp(2));
            }
            desired.processes.insert(name(text), spec);
        }
        observed.observe(Fact::Asked(name("r-1"), Ask::Named), stamp(3));
        for text in ["r-0", "r-1", "r-01"] {
            observed.note_turn(&desired, &name(text), stamp(3).at);
        }
        observed.agenda.take(stamp(3).at);
        observed.observe(Fact::Beat(name("r-0"), Incarnation::new(NonZeroU64::MIN)), stamp(4));
        assert!(observed.agenda.is_due(&name("r-1"), stamp(4).at), "its turn has come, and it is looked at");
    }

    #[test]
    fn a_replica_is_told_by_its_name() {
        assert_eq!(numbered(&name("web-12")), Some(("web", 12)));
        assert_eq!(numbered(&name("web-a-0")), Some(("web-a", 0)));
        for other in ["web", "web-", "web-x", "12", "web-01", "web-+1"] {
            assert_eq!(numbered(&name(other)), None, "{other}");
        }
    }
}
