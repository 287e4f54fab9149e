use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::agenda::Agenda;
use super::calendars::Calendars;
use super::hearts::Vigil;
use super::hooks::{Hook, HookEnd};
use super::order::{Order, Standing};
use super::outcome::Ends;
use super::plan::{Target, Why};
use super::record::{Ask, Record};
use super::rolling::Rolling;
use super::schedule::Progress;
use super::weight::Weight;
use crate::model::{Exit, Incarnation, Moment, Name, ProbeKind, ProbeResult, ProcessSpec, Signal, Stamp, StartError};

/// What is known of every process. Written by [`Observed::observe`] alone.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub(super) records: BTreeMap<Name, Record>,
    pub(super) agenda: Agenda,
    pub(super) order: Order,
    /// Whose record was touched by the present fact, and how it stood before, if there was any.
    pub(super) stirred: Option<(Name, Option<Standing>)>,
    pub(super) ends: Ends,
    pub(super) calendars: Calendars,
    pub(super) rolling: Rolling,
    /// When this monitor was last found to have been stalled; heartbeats from before are no evidence.
    pub(super) stalled_at: Option<Moment>,
    /// Set when most hearts have stopped at once.
    pub(super) vigil: Option<Vigil>,
}

/// What became true.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A run began.
    Started(Name, Incarnation, Arc<ProcessSpec>),
    /// A start failed.
    StartFailed(Name, Arc<ProcessSpec>, StartError),
    /// A run of an earlier monitor lives; this spec says how to end it.
    Inherited(Name, Incarnation, Arc<ProcessSpec>),
    /// The living run is governed by this spec from now on.
    Adopted(Name, Arc<ProcessSpec>),
    /// What is done right after the start was begun, or could not be.
    PostStart(Name, Incarnation, Hook),
    /// It is over.
    PostStartOver(Name, Incarnation, HookEnd),
    /// What is done before the stop signal was begun, or could not be.
    PreStop(Name, Incarnation, Why, Hook),
    /// It is over, well or not.
    PreStopOver(Name, Incarnation),
    /// A signal was sent, or at least tried: a refusal is logged, and waiting for its effect is all that is left.
    Signalled(Name, Incarnation, Target, Signal, Why),
    /// Its heart has stopped as most have at once: nothing is restarted for that for so long.
    Held(Name, Duration),
    /// A look at the heartbeat was asked for.
    Looking(Name, Incarnation),
    /// The look found a beat since the one before.
    Beat(Name, Incarnation),
    /// The look found none.
    NoBeat(Name, Incarnation),
    /// The look was given up: whether there was a beat is not known.
    Blind(Name, Incarnation),
    /// A probe of a run is under way.
    Probing(Name, Incarnation, ProbeKind),
    /// It is over, after so long.
    Probed(Name, Incarnation, ProbeKind, ProbeResult, Duration),
    /// The run says of itself what the verdict of its probes of this kind is.
    Told(Name, Incarnation, ProbeKind, ProbeResult),
    /// A run is being weighed.
    Weighing(Name, Incarnation),
    /// A weighing was answered.
    Weighed(Name, Incarnation, Weight),
    /// The kernel has killed the main process for want of memory. Its end is told next.
    OomKilled(Name, Incarnation),
    /// The main process ended; the flag says whether something that it started is left.
    Exited(Name, Incarnation, Exit, bool),
    /// Nothing of the run is left.
    Emptied(Name, Incarnation),
    /// A restart is asked for, or a run.
    Asked(Name, Ask),
    /// Somebody wants it stopped, until further notice.
    StopAsked(Name),
    /// Somebody wants it started, now, if it is not up.
    StartAsked(Name),
    /// The desired state of this process has changed.
    Edited(Name),
    /// It is to be looked at, whatever was heard.
    Touched(Name),
    /// The process is no longer wanted and nothing of it is left.
    Forgotten(Name),
    /// The monitor itself did not run for a while.
    Stalled,
    /// How far the monitor before this one has followed the calendar of a process.
    Remembered(Name, Progress),
    /// This calendar is followed from now on.
    Following(Name, Option<Arc<str>>),
}

impl Observed {
    /// What is known of each process, by name.
    pub fn records(&self) -> &BTreeMap<Name, Record> {
        &self.records
    }

    /// When to look next, whatever happens in between; `Moment::ZERO`: now.
    pub fn wake_at(&self) -> Option<Moment> {
        self.agenda.wake_at()
    }

    /// Up to when all that was to be done has been done, as far as that is known. Behind now it is only while more
    /// processes are to be started than one [`settle`](super::settle) may: each has its turn, but not at once.
    pub fn done_until(&self, now: Moment) -> Option<Moment> {
        self.agenda.done_until(now)
    }

    /// Folds a fact in. It decides nothing and cannot fail; a fact about a run that is not the present one is dropped.
    pub fn observe(&mut self, fact: Fact, now: Stamp) {
        self.fold(fact, now);
        if let Some((name, before)) = self.stirred.take() {
            self.tell_dependents(&name, before);
        }
    }

    fn fold(&mut self, fact: Fact, now: Stamp) {
        match fact {
            Fact::Started(name, id, spec) => {
                self.calendars.changed(&name);
                self.record(name).started(id, spec, now);
            }
            Fact::StartFailed(name, spec, error) => self.record(name).start_failed(&spec, error, now),
            Fact::Inherited(name, id, spec) => self.record(name).inherited(id, spec, now),
            Fact::Adopted(name, spec) => self.record(name).adopted(spec, now.at),
            Fact::PostStart(name, id, hook) => self.of_run(&name, id, |record| record.post_start(hook)),
            Fact::PostStartOver(name, id, end) => self.of_run(&name, id, |record| record.post_start_over(end, now.at)),
            Fact::PreStop(name, id, why, hook) => {
                let is_turn = why == Why::HeartbeatStale && self.is_up(&name, id);
                self.of_run(&name, id, |record| record.pre_stop(why, hook, now.at));
                if is_turn {
                    self.takes_turn(&name, now.at);
                }
            }
            Fact::PreStopOver(name, id) => self.of_run(&name, id, Record::pre_stop_over),
            Fact::Signalled(name, id, target, signal, why) => {
                let is_turn = why == Why::HeartbeatStale && self.is_up(&name, id);
                self.of_run(&name, id, |record| record.signalled(target, signal, why, now.at));
                if is_turn {
                    self.takes_turn(&name, now.at);
                }
                if why == Why::Undying {
                    self.give_up_on(&name);
                }
            }
            Fact::Held(name, period) => self.held(&name, period, now.at),
            Fact::Looking(name, id) => self.of_run(&name, id, |record| record.looking(now.at)),
            Fact::Beat(name, id) => {
                self.of_run(&name, id, |record| record.looked(Some(now)));
                self.beats(&name, id, now.at);
            }
            Fact::NoBeat(name, id) => self.of_run(&name, id, |record| record.looked(None)),
            Fact::Blind(name, id) => self.of_run(&name, id, |record| record.blind(now.at)),
            Fact::Probing(name, id, kind) => self.of_run(&name, id, |record| record.probing(kind, now.at)),
            Fact::Probed(name, id, kind, result, took) => {
                let stalled_at = self.stalled_at;
                self.of_run(&name, id, |record| record.probed(kind, result, took, stalled_at, now.at));
            }
            Fact::Told(name, id, kind, result) => self.of_run(&name, id, |record| record.told(kind, &result, now.at)),
            Fact::Weighing(name, id) => self.of_run(&name, id, |record| record.weighing(now.at)),
            Fact::Weighed(name, id, weight) => self.of_run(&name, id, |record| record.weighed(weight)),
            Fact::OomKilled(name, id) => self.of_run(&name, id, Record::oom_killed),
            Fact::Exited(name, id, exit, rest) => self.of_run(&name, id, |record| record.exited(exit, rest, now)),
            Fact::Emptied(name, id) => self.of_run(&name, id, Record::emptied),
            Fact::Asked(name, ask) => self.record(name).asked(ask),
            Fact::StopAsked(name) => self.record(name).stop_asked(),
            Fact::StartAsked(name) => self.record(name).start_asked(),
            Fact::Edited(name) => self.record(name).edited(),
            Fact::Touched(name) => self.touch(&name),
            Fact::Forgotten(name) => {
                self.records.remove(&name);
                self.calendars.forget(&name);
                self.agenda.file(name, None);
            }
            Fact::Stalled => self.stalled_at = Some(now.at),
            Fact::Remembered(name, progress) => self.calendars.remember(name, progress),
            Fact::Following(name, calendar) => {
                let before = self.calendars.follow(&name, calendar.is_some());
                self.record(name).follow(calendar, before, now);
            }
        }
    }

    fn record(&mut self, name: Name) -> &mut Record {
        self.touch(&name);
        let before = self.records.get(&name).map(Standing::of);
        self.stirred = Some((name.clone(), before));
        self.records.entry(name).or_default()
    }

    fn of_run(&mut self, name: &Name, id: Incarnation, fold: impl FnOnce(&mut Record)) {
        let Some(record) = self.records.get_mut(name) else { return };
        if record.life.run().is_some_and(|run| run.id == id) {
            self.stirred = Some((name.clone(), Some(Standing::of(record))));
            fold(record);
            self.touch(name);
        }
    }
}
