//! Who waits for whom: a start for what it depends on, and a stop for those that depend on it. Derived from what is
//! desired and from the living runs by [`Observed::arrange`], so that an event costs what it concerns and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};

use super::desired::Desired;
use super::fitting;
use super::hooks::PostStart;
use super::observed::Observed;
use super::plan::Why;
use super::policy;
use super::probes;
use super::record::{Ask, End, Failed, Life, Record, Run, Tried};
use super::schedule;
use super::timing::{self, Due};
use super::view::outcome;
use super::waits::Waits;
use crate::model::{Condition, Dependency, Moment, Name, ProcessSpec, Restart, WaitView, map_of};

/// Who waits for whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// To be started.
    pub(super) waits: Waits,
    /// By a process that is to end: those that must have ended before it is asked to.
    awaits: BTreeMap<Name, BTreeSet<Name>>,
    /// The same, the other way round.
    frees: BTreeMap<Name, Vec<Name>>,
    /// What outlived a SIGKILL keeps nobody waiting.
    undying: BTreeSet<Name>,
    /// When a process is killed at the latest, where the colony must have ended by some moment.
    pub(super) latest: BTreeMap<Name, Moment>,
}

impl Order {
    /// Whether this process must not be asked to end yet.
    pub(super) fn holds(&self, name: &Name) -> bool {
        self.awaits.get(name).is_some_and(|awaited| !awaited.is_empty())
    }

    /// When this process is killed, whatever its grace.
    pub(super) fn latest(&self, name: &Name) -> Moment {
        self.latest.get(name).copied().unwrap_or(Moment::NEVER)
    }

    /// Nobody waits for the end of this process any longer. Returns those that waited for it last.
    fn free(&mut self, name: &Name) -> Vec<Name> {
        let mut freed = self.frees.remove(name).unwrap_or_default();
        freed.retain(|waiting| {
            self.awaits.get_mut(waiting).is_some_and(|awaited| awaited.remove(name) && awaited.is_empty())
        });
        freed
    }
}

/// What the others' starts and stops may depend on, of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    life: Discriminant<Life>,
    well: bool,
    tried: (u64, u64),
    ended: Option<Moment>,
    told: (Option<Ask>, bool, bool),
}

impl Standing {
    pub(super) fn of(record: &Record) -> Standing {
        Standing {
            life: discriminant(&record.life),
            well: record.life.run().is_some_and(is_well),
            tried: (record.tally.starts, record.tally.start_failures),
            ended: record.last.as_ref().map(|last| last.at.at),
            told: (record.asked, record.triggered, record.stopped),
        }
    }
}

impl Observed {
    /// What is desired has changed: finds out anew who waits for whom. Whoever may be concerned is looked at.
    pub fn arrange(&mut self, desired: &Desired, now: Moment) {
        let undying = std::mem::take(&mut self.order.undying);
        let waits = Waits::of(desired, &self.records);
        let before = std::mem::replace(&mut self.order, Order { waits, undying, ..Order::default() });
        self.arrange_stops(desired, now);
        let waiting = desired.processes.iter().filter(|(_, spec)| !spec.depends_on.is_empty()).map(|(name, _)| name);
        for name in waiting.chain(before.awaits.keys()).chain(self.order.awaits.keys()) {
            self.agenda.touch(name);
        }
    }

    /// Of all that is to end, each awaits the end of those that depend on it, by what their runs were told.
    fn arrange_stops(&mut self, desired: &Desired, now: Moment) {
        let runs = self.records.iter().filter_map(|(name, record)| Some((name, record.life.run()?)));
        let leaving: BTreeMap<&Name, &Run> =
            map_of(runs.filter(|(name, run)| is_leaving(desired.processes.get(*name).map(AsRef::as_ref), run)));
        let mut sets: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
        for (name, run) in &leaving {
            if let Some(replica) = &run.spec.replica {
                sets.entry(&replica.set).or_default().push(name);
            }
        }
        let on = |dependency: &'_ Dependency| match leaving.get_key_value(&dependency.name) {
            Some((name, _)) => vec![*name],
            None => sets.get(&dependency.name).cloned().unwrap_or_default(),
        };
        let pairs = leaving
            .iter()
            .flat_map(|(name, run)| run.spec.depends_on.iter().flat_map(&on).map(|on| (*name, on)).collect::<Vec<_>>());
        let pairs = fitting::without_circles(pairs.filter(|(dependent, on)| dependent != on).collect());
        let latest = match desired.until {
            Some(until) => {
                let graces = self.records.iter().filter(|(name, _)| leaving.contains_key(*name));
                let graces = map_of(graces.map(|(name, record)| (name, timing::grace_left(&record.life, now))));
                fitting::latest(&graces, &pairs, until, now)
            }
            None => BTreeMap::new(),
        };
        for (dependent, on) in pairs {
            if !self.order.undying.contains(dependent) {
                self.order.awaits.entry(on.clone()).or_default().insert(dependent.clone());
                self.order.frees.entry(dependent.clone()).or_default().push(on.clone());
            }
        }
        self.order.latest = latest;
    }

    /// The standing of this process was `before`, if anything was known of it: whoever waited for what it is now is looked
    /// at.
    pub(super) fn tell_dependents(&mut self, name: &Name, before: Option<Standing>) {
        let Some(record) = self.records.get(name) else { return };
        if Some(Standing::of(record)) == before {
            return;
        }
        if matches!(record.life, Life::Down) {
            self.order.undying.remove(name);
            self.order.free(name).iter().for_each(|freed| self.agenda.touch(freed));
        }
        for waiting in self.order.waits.tell(name, &self.records) {
            // What is up asks when it is down.
            if self.records.get(&waiting).is_none_or(|record| matches!(record.life, Life::Down)) {
                self.agenda.touch(&waiting);
            }
        }
    }

    /// It outlived a SIGKILL: for its end nobody waits.
    pub(super) fn give_up_on(&mut self, name: &Name) {
        self.order.undying.insert(name.clone());
        self.order.free(name).iter().for_each(|freed| self.agenda.touch(freed));
    }
}

/// Whether a run is to end for good, or until further notice.
fn is_leaving(wanted: Option<&ProcessSpec>, run: &Run) -> bool {
    wanted.is_none_or(|spec| spec.suspend && !schedule::is_of_schedule(run, spec))
}

/// Why it never begins, if it cannot be started as it is and its policy allows no second try; a schedule has a next time.
pub(super) fn stillborn<'a>(spec: &ProcessSpec, record: &'a Record) -> Option<&'a Failed> {
    let is_as_tried = record.tried == Some(Tried::of(spec)) && record.asked.is_none();
    let has_one_try = spec.restart == Restart::Never && spec.schedule.is_none() && is_as_tried;
    record.failed.as_ref().filter(|failed| has_one_try && !failed.error.is_transient())
}

/// Whether it does what it is for: it is up and well, or has ended with success, or is a job between two runs.
pub(super) fn is_ready(spec: &ProcessSpec, record: &Record) -> bool {
    match &record.life {
        Life::Up(run) => !run.inherited && is_well(run),
        Life::Stopping(..) | Life::Leaving(..) => false,
        Life::Down if spec.schedule.is_some() => {
            let is_retried = |last: &End| last.why != Some(Why::DeadlineExceeded) && policy::is_retried(spec, last);
            let fails = record.failed.is_some() || record.last.as_ref().is_some_and(is_retried);
            !(spec.suspend || record.stopped || fails)
        }
        Life::Down => has_ended(spec, record) && record.last.as_ref().is_some_and(End::is_success),
    }
}

/// Whether those that need it to be otherwise than it is wait in vain: it has ended for good, or cannot even be started.
pub(super) fn is_over(spec: &ProcessSpec, record: &Record) -> bool {
    (has_ended(spec, record) || stillborn(spec, record).is_some()) && !spec.suspend
}

/// Whether it has ended for good. No clock is needed for that: a schedule never has.
fn has_ended(spec: &ProcessSpec, record: &Record) -> bool {
    matches!(record.life, Life::Down) && spec.schedule.is_none() && timing::service_due_at(spec, record) == Due::Never
}

/// Whether a run that is up does what it is for: what follows its start is done, its heart has been seen to beat, and it
/// has started and is ready by its probes.
pub(super) fn is_well(run: &Run) -> bool {
    let beats = run.spec.heartbeat.is_none() || run.pulse.beat.is_some();
    run.post_start == PostStart::Done && beats && probes::is_ready(run)
}

/// Whether a run has started, which is less than that it is well.
pub(super) fn has_started(record: &Record) -> bool {
    match &record.life {
        Life::Up(run) => !run.inherited && run.post_start == PostStart::Done && run.has_started,
        Life::Down | Life::Stopping(..) | Life::Leaving(..) => false,
    }
}

/// A dependency that is not as it must be.
pub(super) struct Unmet<'a> {
    name: &'a Name,
    condition: Condition,
    spec: Option<&'a ProcessSpec>,
    record: Option<&'a Record>,
}

/// The first dependency, of what `spec` describes, that is not as it must be.
pub(super) fn unmet<'a>(desired: &'a Desired, observed: &'a Observed, spec: &'a ProcessSpec) -> Option<Unmet<'a>> {
    all_unmet(desired, observed, spec).next()
}

fn all_unmet<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    spec: &'a ProcessSpec,
) -> impl Iterator<Item = Unmet<'a>> {
    spec.depends_on.iter().flat_map(move |Dependency { name, condition }| {
        observed.order.waits.members(desired, name).iter().filter_map(move |name| {
            let spec = desired.processes.get(name).map(AsRef::as_ref);
            let record = observed.records.get(name);
            (!is_met(*condition, spec, record)).then_some(Unmet { name, condition: *condition, spec, record })
        })
    })
}

/// All that is not as it must be, as far as it is told.
pub(super) fn waits_for(desired: &Desired, observed: &Observed, spec: &ProcessSpec) -> Vec<WaitView> {
    let told = all_unmet(desired, observed, spec).take(WaitView::MOST);
    told.map(|unmet| WaitView { on: unmet.name.clone(), message: unmet.told() }).collect()
}

/// Whether a process is as a dependency wants it; not, while nobody describes it or nothing is known of it.
pub(super) fn is_met(condition: Condition, spec: Option<&ProcessSpec>, record: Option<&Record>) -> bool {
    let Some((spec, record)) = spec.zip(record) else { return false };
    match (condition, &record.life) {
        (Condition::Started, Life::Up(run)) => !run.inherited,
        (Condition::Started, _) if spec.schedule.is_some() => record.tally.starts > 0,
        (Condition::Started, _) => has_ended(spec, record),
        (Condition::Ready, _) => is_ready(spec, record),
        (Condition::Completed, _) => {
            record.last.as_ref().is_some_and(End::is_success) && (spec.schedule.is_some() || has_ended(spec, record))
        }
    }
}

impl Unmet<'_> {
    /// In words: what is waited for, and why that may take long.
    pub(super) fn told(&self) -> String {
        let condition = match self.condition {
            Condition::Started => "Started",
            Condition::Ready => "Ready",
            Condition::Completed => "Completed",
        };
        let obstacle = self.obstacle().map(|obstacle| format!(", which {obstacle}")).unwrap_or_default();
        format!("waiting for {} to be {condition}{obstacle}", self.name)
    }

    fn obstacle(&self) -> Option<String> {
        let Some(spec) = self.spec else { return Some("no good file describes, or one without replicas".into()) };
        let record = self.record?;
        if !matches!(record.life, Life::Down) {
            let is_endless =
                spec.restart == Restart::Always && spec.schedule.is_none() && spec.restart_rules.is_empty();
            return (self.condition == Condition::Completed && is_endless)
                .then(|| "is restarted whenever it ends".to_string());
        }
        let last = record.last.as_ref();
        if has_ended(spec, record) {
            return last.map(|last| format!("has failed for good: {}", outcome(last)));
        }
        if spec.suspend {
            return Some("is suspended".into());
        }
        if record.stopped {
            return Some("a message has stopped".into());
        }
        match (&record.failed, last) {
            (Some(failed), _) => Some(format!("cannot be started: {}", failed.error)),
            (None, Some(last)) if last.is_failure() => Some(format!("fails: {}", outcome(last))),
            (None, _) => None,
        }
    }
}
