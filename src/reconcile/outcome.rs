//! How a colony ends of itself: with an essential process, or when every process has ended for good.

use std::collections::BTreeSet;

use super::desired::Desired;
use super::observed::Observed;
use super::order;
use super::record::{End, Failed, Life, Record};
use super::timing::{self, Due};
use crate::model::{Condition, Exit, Moment, Name, ProcessSpec};

/// Until when a colony runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Until {
    /// Somebody tells it to end, or an essential process ends for good.
    #[default]
    Told,
    /// The same, or every process has ended for good.
    Complete,
}

/// What the end of a colony that ended of itself comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The monitor's exit status.
    pub status: u8,
    /// Whose end it is, if it is one's.
    pub process: Option<Name>,
    /// A sentence for the log and for whoever asks a container why it ended.
    pub reason: String,
}

/// Who has ended for good. Kept up to date by a look at what changed, so that nobody walks through the whole colony.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    until: Until,
    /// With [`Until::Complete`]: those that are waited for.
    open: BTreeSet<Name>,
    /// With [`Until::Complete`]: those that have ended for good.
    over: BTreeSet<Name>,
    /// Essential ones whose success was what another waited for, and so a step. It stays one when the other is gone.
    steps: BTreeSet<Name>,
    outcome: Option<Outcome>,
}

/// Where a process stands on its way to the colony's end.
#[derive(Clone, Copy, Debug)]
enum Standing<'a> {
    /// It runs, or may run again.
    Open,
    /// It has no part in it: not wanted running, or on a schedule, which has no end.
    Aside,
    /// It has ended for good, with this run.
    Over(&'a End),
    /// It could not be started, and its policy allows no second try.
    Stillborn(&'a Failed),
    /// It waits for something that has ended for good, and not as it must.
    InVain,
}

impl Observed {
    /// Nothing is known yet, of a colony that runs until then.
    pub fn until(until: Until) -> Observed {
        Observed { ends: Ends { until, ..Ends::default() }, ..Observed::default() }
    }

    /// How the colony ends, if an essential process has ended for good.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.ends.outcome.as_ref()
    }

    /// Whether nobody is waited for any more: [`Observed::completion`] says what that comes to.
    pub fn is_complete(&self) -> bool {
        self.ends.until == Until::Complete && self.ends.open.is_empty()
    }

    /// How the colony ends when nobody is waited for; `None` when nobody ever was. `refused` is why a file is refused of
    /// which no version is in force: what it describes can never begin.
    pub fn completion(&self, desired: &Desired, refused: Option<&str>) -> Option<Outcome> {
        if !self.is_complete() {
            return None;
        }
        let ends = self.ends.over.iter().filter_map(|name| {
            let record = self.records.get(name)?;
            Some((name, self.standing(name, desired.processes.get(name)?, record)))
        });
        let failed = ends.filter_map(|(name, standing)| match standing {
            Standing::Over(end) if !end.is_success() => Some((end.at.at, name, ended(name, end))),
            Standing::Stillborn(failed) => {
                Some((failed.at.at, name, format!("{name} cannot be started: {}", failed.error)))
            }
            // What it waits for comes before it.
            Standing::InVain => Some((Moment::NEVER, name, format!("{name} waits for what has failed for good"))),
            Standing::Open | Standing::Aside | Standing::Over(_) => None,
        });
        // The first in time; of two in one turn the first by name.
        let first = failed.min_by(|(at, name, _), (other, others_name, _)| (at, name).cmp(&(other, others_name)));
        match (first, refused) {
            (Some((_, name, what)), _) => {
                let end = self.records.get(name).filter(|record| record.failed.is_none());
                let status = end.and_then(|record| record.last.as_ref()).map_or(1, |end| status_of(end).max(1));
                let reason = format!("every process has ended for good, not all with success: first, {what}");
                Some(Outcome { status, process: Some(name.clone()), reason })
            }
            (None, Some(why)) => {
                Some(Outcome { status: 1, process: None, reason: format!("what has not ended can never begin: {why}") })
            }
            (None, None) if self.ends.over.is_empty() => None,
            (None, None) => {
                let reason = "every process has ended for good, with success".to_string();
                Some(Outcome { status: 0, process: None, reason })
            }
        }
    }

    /// Looks at a process of which something may have changed.
    pub(super) fn look_for_the_end(&mut self, desired: &Desired, name: &Name) {
        let spec = desired.processes.get(name).filter(|_| desired.ending.is_none());
        let (Some(spec), Some(record)) = (spec, self.records.get(name)) else {
            self.ends.forget(name);
            if spec.is_some_and(|spec| counts(spec)) {
                self.ends.wait_for(name);
            }
            return;
        };
        if !spec.essential {
            self.ends.steps.remove(name);
            if self.ends.until == Until::Told {
                return;
            }
        }
        match self.standing(name, spec, record) {
            Standing::Open => self.ends.wait_for(name),
            Standing::Aside => self.ends.forget(name),
            Standing::Stillborn(_) | Standing::InVain => self.ends.is_over(name),
            Standing::Over(end) => {
                self.ends.is_over(name);
                if spec.essential {
                    self.ends.essential(desired, name, spec, end);
                }
            }
        }
    }
}

impl Observed {
    fn standing<'a>(&self, name: &Name, spec: &ProcessSpec, record: &'a Record) -> Standing<'a> {
        match standing(spec, record) {
            Standing::Open
                if matches!(record.life, Life::Down)
                    && self.ends.until == Until::Complete
                    && self.order.waits.is_in_vain(name) =>
            {
                Standing::InVain
            }
            standing => standing,
        }
    }
}

impl Ends {
    fn forget(&mut self, name: &Name) {
        self.open.remove(name);
        self.over.remove(name);
        self.steps.remove(name);
    }

    fn wait_for(&mut self, name: &Name) {
        self.forget(name);
        if self.until == Until::Complete {
            self.open.insert(name.clone());
        }
    }

    fn is_over(&mut self, name: &Name) {
        self.open.remove(name);
        if self.until == Until::Complete && !self.over.contains(name) {
            self.over.insert(name.clone());
        }
    }

    /// An essential process has ended for good: the end of the colony, unless its success is a step that another waits for.
    fn essential(&mut self, desired: &Desired, name: &Name, spec: &ProcessSpec, end: &End) {
        if self.outcome.is_some() || self.steps.contains(name) {
            return;
        }
        if end.is_success() && is_awaited(desired, name, spec) {
            self.steps.insert(name.clone());
            return;
        }
        let reason = format!("{}, and it is essential", ended(name, end));
        self.outcome = Some(Outcome { status: status_of(end), process: Some(name.clone()), reason });
    }
}

fn standing<'a>(spec: &ProcessSpec, record: &'a Record) -> Standing<'a> {
    if !counts(spec) {
        return Standing::Aside;
    }
    match (&record.life, order::stillborn(spec, record)) {
        (Life::Up(_) | Life::Stopping(..) | Life::Leaving(..), _) => Standing::Open,
        (Life::Down, Some(failed)) => Standing::Stillborn(failed),
        (Life::Down, None) => match (timing::service_due_at(spec, record), &record.last) {
            (Due::Never, Some(last)) => Standing::Over(last),
            (Due::Never | Due::At(..), _) => Standing::Open,
        },
    }
}

fn counts(spec: &ProcessSpec) -> bool {
    !spec.suspend && spec.schedule.is_none()
}

/// Whether another waits for it, or for the replicas that it is one of, to have completed.
fn is_awaited(desired: &Desired, name: &Name, spec: &ProcessSpec) -> bool {
    let set = spec.replica.as_ref().map(|replica| &replica.set);
    desired.processes.values().flat_map(|other| &*other.depends_on).any(|dependency| match dependency.condition {
        Condition::Completed => dependency.name == *name || Some(&dependency.name) == set,
        Condition::Started | Condition::Ready => false,
    })
}

fn ended(name: &Name, end: &End) -> String {
    match (end.why, end.exit) {
        (None, exit) => format!("{name} has ended for good: {exit}"),
        (Some(why), exit) => format!("{name} was ended for good, since {}: {exit}", why.as_str()),
    }
}

/// The one number for a run's end. What we had to end has not succeeded, whatever code it chose.
fn status_of(end: &End) -> u8 {
    match (end.exit, end.is_success()) {
        (Exit::Code(0), false) => 1,
        (exit, _) => u8::try_from(exit.shell_code()).unwrap_or(u8::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Outcome, Until};
    use crate::model::{
        Condition, Dependency, Exit, Incarnation, Moment, Name, ProcessSpec, Restart, Schedule, Signal, Stamp,
        StartError, Step, Wall,
    };
    use crate::sim::plain;
    use crate::{Ask, Desired, Fact, Observed, Target, Why};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a valid name")
    }

    fn task() -> ProcessSpec {
        ProcessSpec { restart: Restart::Never, ..plain() }
    }

    fn essential() -> ProcessSpec {
        ProcessSpec { essential: true, ..task() }
    }

    fn after(migration: &str, condition: Condition) -> ProcessSpec {
        ProcessSpec { depends_on: [Dependency { name: name(migration), condition }].into(), ..plain() }
    }

    /// What became of a process, in the order of the list.
    #[derive(Clone, Copy)]
    enum Then {
        Waits,
        Runs,
        Ends(Exit),
        Unstartable(i32),
        Stale,
        Asked,
    }
    use Then::{Asked, Ends, Runs, Stale, Unstartable, Waits};

    const OK: Then = Ends(Exit::Code(0));
    const KILLED: Exit = Exit::Killed { signal: Signal::KILL, core_dumped: false };

    fn lived(until: Until, colony: &[(&str, ProcessSpec, &[Then])]) -> (Desired, Observed) {
        let mut desired = Desired::default();
        let mut observed = Observed::until(until);
        let mut seconds = 0;
        desired.processes = colony.iter().map(|(text, spec, _)| (name(text), Arc::new(spec.clone()))).collect();
        observed.arrange(&desired, Moment::ZERO);
        for (index, (text, _, thens)) in colony.iter().enumerate() {
            let (name, spec) = (name(text), &desired.processes[*text]);
            let id = Incarnation::new(NonZeroU64::MIN.saturating_add(index as u64));
            for then in *thens {
                let (name, spec) = (name.clone(), Arc::clone(spec));
                let fact = match then {
                    Waits => Fact::Edited(name),
                    Runs => Fact::Started(name, id, spec),
                    Ends(exit) => Fact::Exited(name, id, *exit, false),
                    Unstartable(errno) => {
                        let error = StartError { step: Step::Exec, errno: *errno, what: "no such program".into() };
                        Fact::StartFailed(name, spec, error)
                    }
                    Stale => Fact::Signalled(name, id, Target::Main, Signal::TERM, Why::HeartbeatStale),
                    Asked => Fact::Asked(name, Ask::Named),
                };
                seconds += 1;
                let now = Stamp { at: Moment::ZERO + Duration::from_secs(seconds), wall: Wall::default() };
                observed.observe(fact, now);
            }
        }
        for name in desired.processes.keys() {
            observed.look_for_the_end(&desired, name);
        }
        (desired, observed)
    }

    fn said(outcome: Option<&Outcome>) -> Option<(u8, &str)> {
        outcome.map(|outcome| (outcome.status, outcome.reason.as_str()))
    }

    #[test]
    fn the_colony_ends_with_an_essential_process() {
        let on_failure = || ProcessSpec { restart: Restart::OnFailure, ..essential() };
        let always = || ProcessSpec { restart: Restart::Always, ..essential() };
        let rows: &[(&str, ProcessSpec, &[Then], Option<u8>)] = &[
            ("not begun", essential(), &[Waits], None),
            ("runs", essential(), &[Runs], None),
            ("success", essential(), &[Runs, OK], Some(0)),
            ("failure", essential(), &[Runs, Ends(Exit::Code(3))], Some(3)),
            ("killed", essential(), &[Runs, Ends(KILLED)], Some(137)),
            ("ended for its heart, whatever it says", essential(), &[Runs, Stale, OK], Some(1)),
            ("unobserved", essential(), &[Runs, Ends(Exit::Unknown)], Some(255)),
            ("success at last", on_failure(), &[Runs, OK], Some(0)),
            ("failure, to be retried", on_failure(), &[Runs, Ends(KILLED)], None),
            ("never for good", always(), &[Runs, Ends(KILLED)], None),
            ("not essential", task(), &[Runs, Ends(KILLED)], None),
            ("asked to run again", essential(), &[Runs, OK, Asked], None),
            ("not to be found, and tried again", essential(), &[Unstartable(2)], None),
            ("suspended", ProcessSpec { suspend: true, ..essential() }, &[Runs, OK], None),
        ];
        for (case, spec, thens, expected) in rows {
            for until in [Until::Told, Until::Complete] {
                let (_, observed) = lived(until, &[("web", spec.clone(), thens), ("other", plain(), &[Runs])]);
                assert_eq!(observed.outcome().map(|outcome| outcome.status), *expected, "{case}");
            }
        }
        let (_, observed) = lived(Until::Told, &[("web", essential(), &[Runs, Ends(KILLED)])]);
        let reason = "web has ended for good: killed by SIGKILL, and it is essential";
        assert_eq!(said(observed.outcome()), Some((137, reason)));
    }

    #[test]
    fn the_success_of_what_another_waits_for_is_a_step() {
        let rows = [
            (Condition::Completed, OK, None),
            (Condition::Completed, Ends(Exit::Code(4)), Some(4)),
            (Condition::Ready, OK, Some(0)),
            (Condition::Started, OK, Some(0)),
        ];
        for (condition, end, expected) in rows {
            let colony = [("migrate", essential(), [Runs, end]), ("web", after("migrate", condition), [Waits, Waits])];
            let colony: Vec<_> = colony.iter().map(|(name, spec, thens)| (*name, spec.clone(), &thens[..])).collect();
            let (mut desired, mut observed) = lived(Until::Told, &colony);
            assert_eq!(observed.outcome().map(|outcome| outcome.status), expected, "{condition:?}");
            if condition == Condition::Completed && expected.is_none() {
                desired.processes.remove(&name("web"));
                observed.look_for_the_end(&desired, &name("migrate"));
                assert_eq!(observed.outcome(), None, "what was a step stays one");
            }
        }
    }

    #[test]
    fn what_was_a_step_is_none_once_it_is_not_essential_any_more() {
        let colony =
            [("migrate", essential(), &[Runs, OK][..]), ("web", after("migrate", Condition::Completed), &[Waits][..])];
        let (mut desired, mut observed) = lived(Until::Told, &colony);
        desired.processes.remove(&name("web"));
        for (spec, expected) in [(task(), None), (essential(), Some(0))] {
            desired.processes.insert(name("migrate"), Arc::new(spec));
            observed.look_for_the_end(&desired, &name("migrate"));
            assert_eq!(observed.outcome().map(|outcome| outcome.status), expected);
        }
    }

    #[test]
    fn it_is_complete_when_all_have_ended_for_good() {
        let job = || ProcessSpec { schedule: Some(Schedule::every(Duration::from_secs(9))), ..task() };
        let suspended = || ProcessSpec { suspend: true, ..task() };
        let failed = Ends(Exit::Code(3));
        type Row<'a> = (&'a str, &'a [(&'a str, ProcessSpec, &'a [Then])], Option<&'a str>, Option<u8>);
        let rows: &[Row] = &[
            ("nothing", &[], None, None),
            ("not begun", &[("a", task(), &[Waits])], None, None),
            ("success", &[("a", task(), &[Runs, OK])], None, Some(0)),
            ("one runs", &[("a", task(), &[Runs, OK]), ("b", task(), &[Runs])], None, None),
            ("one runs for ever", &[("a", task(), &[Runs, OK]), ("b", plain(), &[Runs, OK])], None, None),
            ("all", &[("a", task(), &[Runs, OK]), ("b", task(), &[Runs, OK])], None, Some(0)),
            ("one failed", &[("a", task(), &[Runs, OK]), ("b", task(), &[Runs, failed])], None, Some(3)),
            (
                "the first failure counts, not the first name",
                &[("b", task(), &[Runs, failed]), ("a", task(), &[Runs, Ends(KILLED)])],
                None,
                Some(3),
            ),
            ("schedules do not count", &[("a", task(), &[Runs, OK]), ("b", job(), &[Runs])], None, Some(0)),
            ("nor does what is suspended", &[("a", task(), &[Runs, OK]), ("b", suspended(), &[Waits])], None, Some(0)),
            ("and alone they are no end", &[("a", job(), &[Runs, OK]), ("b", suspended(), &[Waits])], None, None),
            ("asked to run again", &[("a", task(), &[Runs, OK, Asked])], None, None),
            (
                "what waits for a failure, and what waits for that",
                &[
                    ("a", after("b", Condition::Ready), &[Waits]),
                    ("b", after("c", Condition::Completed), &[Waits]),
                    ("c", task(), &[Runs, failed]),
                ],
                None,
                Some(3),
            ),
            (
                "what waits for what cannot be started",
                &[("b", after("c", Condition::Completed), &[Waits]), ("c", task(), &[Unstartable(2)])],
                None,
                Some(1),
            ),
            (
                "what waits for what may yet be",
                &[("b", after("c", Condition::Completed), &[Waits]), ("c", task(), &[Runs, failed, Asked])],
                None,
                None,
            ),
            (
                "what waits for a job that could not be started: it will be tried again",
                &[("b", after("c", Condition::Ready), &[Waits]), ("c", job(), &[Unstartable(2)])],
                None,
                None,
            ),
            ("not to be found", &[("a", task(), &[Unstartable(2)])], None, Some(1)),
            ("not to be found, and asked to try again", &[("a", task(), &[Unstartable(2), Asked])], None, None),
            ("out of processes for a while", &[("a", task(), &[Unstartable(11)])], None, None),
            ("a file is refused", &[("a", task(), &[Runs, OK])], Some("b.yaml:1:1: bad"), Some(1)),
            ("a file is refused, and one failed", &[("a", task(), &[Runs, failed])], Some("b.yaml:1:1: bad"), Some(3)),
            ("all files are refused", &[], Some("b.yaml:1:1: bad"), Some(1)),
        ];
        for (case, colony, refused, expected) in rows {
            let (desired, observed) = lived(Until::Complete, colony);
            let found = observed.completion(&desired, *refused);
            assert_eq!(found.map(|outcome| outcome.status), *expected, "{case}");
            let (desired, observed) = lived(Until::Told, colony);
            assert_eq!(observed.completion(&desired, *refused), None, "{case}, and it is not asked for");
        }
    }
}
