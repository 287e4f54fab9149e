//! A supervisor around the core, as the real one is: each turn reaps, folds what it learned, settles; then time passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::endings;
use super::kernel::{MONITOR, Reuse, Role};
use super::laws;
use super::ledger::EndedBy;
use super::machine::{Fate, Look, Temper, World};
use super::random::Random;
use crate::model::{Concurrency, Exit, Incarnation, Moment, Name, ProcessSpec, Stamp, Wall};
use crate::{Ask, Desired, Fact, Haste, HookEnd, Observed, Until, Weight, Why, settle};

pub(super) struct History {
    pub(super) world: World,
    pub(super) observed: Observed,
    /// Nobody sleeps longer than this, whatever is due.
    pub(super) tick: Duration,
    /// How many starts a turn may make.
    pub(super) starts: usize,
    /// When the shutdown must be over, if nothing delays it.
    pub(super) over_by: Option<Moment>,
    /// When it shall be over, if that was said.
    pub(super) until: Option<Moment>,
    /// When it ends without being told to.
    pub(super) ends: Until,
    /// For how many turns in a row each process has been due and was not looked at.
    pub(super) starved: BTreeMap<Name, u32>,
    leaving: Vec<Incarnation>,
    turned_at: Moment,
    walls: Random,
}

impl History {
    /// Nothing runs, nothing is wanted, and nothing happens by chance.
    pub(super) fn calm() -> History {
        let tick = Duration::from_secs(10);
        let mut history = History::new(Random::new(0), Random::new(0), Temper::default(), Reuse::LastFreed, tick);
        history.world.fates = Some(Vec::new());
        history.world.look_takes = Some(Duration::ZERO);
        history.world.hook_takes = Some(Duration::ZERO);
        history
    }

    pub(super) fn new(random: Random, walls: Random, temper: Temper, reuse: Reuse, tick: Duration) -> History {
        let start = Moment::ZERO + Duration::from_secs(1_000);
        let now = Stamp { at: start, wall: Wall::from_nanos(1_700_000_000_000_000_000) };
        History {
            world: World::new(random, temper, reuse, now),
            observed: Observed::default(),
            tick,
            starts: 100,
            over_by: None,
            until: None,
            ends: Until::Told,
            starved: BTreeMap::new(),
            leaving: Vec::new(),
            turned_at: start,
            walls,
        }
    }

    /// Nothing is known yet of a colony that runs until then.
    pub(super) fn runs_until(&mut self, ends: Until) {
        (self.ends, self.observed) = (ends, Observed::until(ends));
    }

    pub(super) fn now(&self) -> Moment {
        self.world.now.at
    }

    /// Time passes; the wall clock goes its own way.
    pub(super) fn pass(&mut self, span: Duration) {
        let now = self.world.now;
        let day = 86_400_000_000_000;
        let wall = match self.walls.below(20) {
            // Further than what is slight enough to be left alone, however much time passes.
            0 => Wall::from_nanos(now.wall.plus(span).as_nanos() + 100_000_000 + self.walls.below(day)),
            1 => Wall::from_nanos((now.wall.as_secs_f64() * 1e9) as u64 - 100_000_000 - self.walls.below(day)),
            _ => now.wall.plus(span),
        };
        self.world.now = Stamp { at: now.at + span, wall };
        self.world.kernel.advance(self.world.now.at);
    }

    /// All will sleep, not the monitor alone: a virtual machine is paused.
    pub(super) fn sleep(&mut self, span: Duration) {
        let now = self.now();
        self.world.tell(|| format!("all sleep for {span:?}"));
        for run in self.world.runs.iter_mut().filter(|run| !run.exit_told) {
            run.heart.sleep(now, span);
        }
    }

    /// A monitor before this one left a run.
    pub(super) fn inherits(&mut self, name: &Name, spec: &Arc<ProcessSpec>, fate: Fate) {
        let id = self.world.begin(name, spec, fate, true);
        self.world.tell(|| format!("inherited {name} as run {id}: {fate:?}"));
        self.world.ledger(name);
        self.fold(Fact::Inherited(name.clone(), id, Arc::clone(spec)));
    }

    /// The directory was read: this process is wanted so, or not at all.
    pub(super) fn edit(&mut self, name: &Name, spec: Option<ProcessSpec>) {
        if self.world.desired.ending.is_none() {
            self.world.tell(|| format!("edit {name}: {}", words(spec.as_ref())));
            let processes = &mut Arc::make_mut(&mut self.world.desired).processes;
            match spec {
                Some(spec) => drop(processes.insert(name.clone(), Arc::new(spec))),
                None => drop(processes.remove(name)),
            }
        }
        self.world.ledger(name).edits();
        let now = self.now();
        for run in self.world.runs.iter_mut().filter(|run| run.name == *name) {
            run.health.edited_at = now;
        }
        self.arrange();
        self.fold(Fact::Edited(name.clone()));
    }

    pub(super) fn ask(&mut self, name: &Name, ask: Ask) {
        self.world.tell(|| format!("asked {name} {ask:?}"));
        let runs = self.world.runs.iter().any(|run| run.name == *name && !run.empty_told);
        match ask {
            Ask::Named | Ask::Broad => self.world.ledger(name).asks(ask),
            Ask::Trigger => {
                let replaces = self.world.runs.iter().any(|run| {
                    let schedule = run.spec.schedule.as_ref();
                    run.name == *name
                        && !run.empty_told
                        && schedule.is_some_and(|schedule| schedule.concurrency == Concurrency::Replace)
                });
                let ledger = self.world.ledger(name);
                ledger.triggered = (!runs || replaces) && !ledger.stopped;
            }
        }
        self.fold(Fact::Asked(name.clone(), ask));
    }

    /// A message stops it.
    pub(super) fn stop(&mut self, name: &Name) {
        self.world.tell(|| format!("stop {name}"));
        self.world.ledger(name).stops();
        self.fold(Fact::StopAsked(name.clone()));
    }

    /// A message starts it.
    pub(super) fn start(&mut self, name: &Name) {
        self.world.tell(|| format!("start {name}"));
        let is_up = self.world.runs.iter().any(|run| run.name == *name && run.ending_at.is_none());
        self.world.ledger(name).starts(is_up);
        self.fold(Fact::StartAsked(name.clone()));
    }

    /// The monitor is told to end.
    pub(super) fn end(&mut self, haste: Haste) {
        let until = self.until;
        self.world.tell(|| format!("the colony ends: {haste:?}, until {until:?}"));
        let names: Vec<Name> =
            self.observed.records().keys().chain(self.world.desired.processes.keys()).cloned().collect();
        self.world.desired = Arc::new(Desired { until, ..Desired::ending(haste) });
        self.arrange();
        for name in names {
            self.fold(Fact::Touched(name));
        }
        let second = Duration::from_secs(1);
        let by = self.now() + self.world.longest_end(second + 2 * self.tick) + second + self.tick;
        let by = until.map_or(by, |until| by.min(until.max(self.now()) + second + self.tick));
        self.over_by = self.over_by.or(Some(by));
    }

    /// One turn of the supervisor.
    pub(super) fn turn(&mut self) {
        let now = self.world.now;
        if now.at.since(self.turned_at) > self.tick {
            self.world.stalled_at = now.at;
            // What is not bound to a moment is late by as much.
            let late = now.at.since(self.turned_at);
            self.over_by = self.over_by.map(|by| if self.until.is_some() { by } else { by + late });
            self.world.tell(|| "stalled".into());
            self.fold(Fact::Stalled);
        }
        self.turned_at = now.at;
        self.world.served.clear();
        self.reap();
        self.answer();
        self.answer_weighings();
        self.answer_probes();
        self.see_what_is_wanted();
        self.observed.compare_clocks(now);
        laws::nothing_is_overlooked(self);
        let desired = Arc::clone(&self.world.desired);
        let settled = settle(&desired, &mut self.observed, &mut self.world, now, self.starts);
        self.world.check(settled.begun <= self.starts, || format!("{settled:?}, and that is too many starts"));
        self.save();
        laws::hold_after_a_turn(self);
        endings::it_ends_as_told(self);
        endings::it_is_complete_in_time(self);
        let is_over = self.observed.outcome().is_some() || self.observed.completion(&desired, None).is_some();
        if is_over && self.world.desired.ending.is_none() {
            self.end(Haste::Graceful);
        }
    }

    fn see_what_is_wanted(&mut self) {
        let desired = Arc::clone(&self.world.desired);
        for (name, spec) in &desired.processes {
            let mut ledger = std::mem::take(self.world.ledger(name));
            ledger.times.sees(spec, || self.world.remembered.remove(name), self.world.now);
            *self.world.ledger(name) = ledger;
        }
    }

    /// What the next monitor must know is written down, unless it is the end that forgets all.
    fn save(&mut self) {
        let unsaved = self.observed.take_unsaved();
        if self.world.desired.ending.is_some() {
            return;
        }
        for (name, progress) in unsaved {
            match progress {
                Some(progress) => drop(self.world.disk.insert(name, progress)),
                None => drop(self.world.disk.remove(&name)),
            }
        }
    }

    /// All ends at once, the monitor with it, and after a while another begins with what was written down.
    pub(super) fn reboot(&mut self, down: Duration) {
        self.world.tell(|| format!("all is down for {down:?}"));
        let pids: Vec<_> =
            self.world.kernel.procs().filter(|(_, proc)| proc.run.is_some()).map(|(pid, _)| pid).collect();
        for pid in pids {
            self.world.kernel.die(pid, Exit::Code(0));
        }
        while self.world.kernel.reap().is_some() {}
        for run in &mut self.world.runs {
            (run.exit_told, run.empty_told) = (true, true);
            run.ending_at = run.ending_at.or(Some(run.since));
        }
        self.leaving.clear();
        self.world.looks.clear();
        self.world.askings.clear();
        self.starved.clear();
        self.world.ledgers.clear();
        self.observed = Observed::until(self.ends);
        self.pass(down);
        self.turned_at = self.now();
        self.world.remembered.clone_from(&self.world.disk);
        for (name, progress) in self.world.disk.clone() {
            self.fold(Fact::Remembered(name, progress));
        }
        self.arrange();
        let names: Vec<Name> = self.world.desired.processes.keys().cloned().collect();
        for name in names {
            self.world.ledger(&name).edits();
            self.fold(Fact::Edited(name));
        }
    }

    /// Turns until nothing is left to do now.
    pub(super) fn turns(&mut self) {
        for _ in 0..100 {
            self.turn();
            if self.world.broken.is_some() || (self.is_quiet() && !self.has_answers()) {
                return;
            }
        }
        self.world.check(false, || "a hundred turns at one moment, and still something to do".into());
    }

    /// Time passes, in ticks, and turns are made.
    pub(super) fn live(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end && self.world.broken.is_none() {
            let next = self.observed.wake_at().unwrap_or(Moment::NEVER).min(self.now() + self.tick).min(end);
            let next = self
                .world
                .kernel
                .next_exit()
                .map_or(next, |at| next.min(at))
                .min(self.next_hook())
                .min(self.world.next_answer());
            self.pass(next.since(self.now()));
            self.turns();
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.observed.wake_at().is_none_or(|at| at > self.now())
    }

    fn has_answers(&self) -> bool {
        let now = self.now();
        self.world.looks.iter().any(|look| look.answer_at <= now)
            || self.world.has_readings()
            || self.world.next_answer() <= now
            || self.next_hook() <= now
    }

    pub(super) fn fold(&mut self, fact: Fact) {
        self.observed.observe(fact, self.world.now);
    }

    fn reap(&mut self) {
        let mut exits = Vec::new();
        while let Some((pid, proc, exit)) = self.world.kernel.reap() {
            if let (Some(id), Role::Hook) = (proc.run, proc.role) {
                self.hook_ended(id);
            }
            if let (Some(id), Role::PostStart) = (proc.run, proc.role) {
                self.post_start_ended(id, exit);
            }
            if let (Some(id), Role::Main) = (proc.run, proc.role) {
                let run = self.world.run(id);
                assert_eq!(run.main, pid, "the simulation confuses pids");
                exits.push((id, if run.inherited { Exit::Unknown } else { exit }));
            }
        }
        for (id, exit) in exits {
            self.exited(id, exit);
        }
        for id in std::mem::take(&mut self.leaving) {
            if self.world.kernel.lives(id) {
                self.leaving.push(id);
                continue;
            }
            let run = self.world.run_mut(id);
            run.empty_told = true;
            let name = run.name.clone();
            self.world.tell(|| format!("emptied {name} run {id}"));
            self.fold(Fact::Emptied(name, id));
        }
    }

    fn exited(&mut self, id: Incarnation, exit: Exit) {
        let now = self.now();
        let rest = self.world.kernel.lives(id);
        let run = self.world.run_mut(id);
        run.exit_told = true;
        run.empty_told = !rest;
        run.ending_at = run.ending_at.or(Some(now));
        let name = run.name.clone();
        let lasted = now.since(run.since);
        let ended_by = match run.stop_why {
            None => EndedBy::Itself,
            Some(Why::HeartbeatStale | Why::ProbeFailed(_) | Why::PostStartFailed | Why::MemoryExceeded(_)) => {
                EndedBy::Verdict
            }
            Some(Why::DeadlineExceeded) => EndedBy::Deadline,
            Some(Why::Requested) => EndedBy::Message,
            Some(_) => EndedBy::Us,
        };
        let threshold = run.spec.backoff.threshold;
        if rest {
            self.leaving.push(id);
        }
        self.world.tell(|| format!("{name} run {id} ended: {exit}{}", if rest { ", and left something" } else { "" }));
        self.world.ledger(&name).ended(exit, ended_by, lasted, threshold, now);
        if self.world.is_oom(id, exit) {
            self.fold(Fact::OomKilled(name.clone(), id));
        }
        self.fold(Fact::Exited(name, id, exit, rest));
    }

    /// What is known already is told once more.
    pub(super) fn echo(&mut self, of: usize) {
        let run = &self.world.runs[of];
        let (name, id) = (run.name.clone(), World::id(of));
        self.answer_unasked(of);
        if self.world.runs[of].exit_told {
            self.fold(Fact::Exited(name.clone(), id, Exit::Code(1), false));
        }
        if self.world.runs[of].empty_told {
            self.fold(Fact::Emptied(name.clone(), id));
            self.fold(Fact::PreStopOver(name.clone(), id));
            self.fold(Fact::PostStartOver(name.clone(), id, HookEnd::Failed));
            self.fold(Fact::Looking(name.clone(), id));
            self.fold(Fact::OomKilled(name.clone(), id));
            self.fold(Fact::Weighed(name.clone(), id, Weight::Bytes(u64::MAX)));
            self.fold(Fact::NoBeat(name, id));
        }
    }

    fn answer(&mut self) {
        let now = self.now();
        self.hooks_answer();
        let looks = std::mem::take(&mut self.world.looks);
        let (come, out): (Vec<Look>, Vec<Look>) = looks.into_iter().partition(|look| look.answer_at <= now);
        self.world.looks = out;
        for look in come {
            let run = self.world.run_mut(look.run);
            if look.given_up {
                run.late_answer_at = now;
                let (name, id) = (run.name.clone(), look.run);
                self.world.tell(|| format!("look at {name} run {id} was given up"));
                self.fold(Fact::Blind(name, id));
                continue;
            }
            let beat = run.heart.latest(look.read_at);
            let fresh = beat.is_some() && beat > run.seen;
            run.seen = run.seen.max(beat);
            run.read_at = Some(look.read_at);
            if look.answer_at > look.asked_at {
                run.late_answer_at = now;
            }
            let (name, id) = (run.name.clone(), look.run);
            self.world.tell(|| format!("look at {name} run {id} answered: {}", if fresh { "beat" } else { "no beat" }));
            self.world.run_mut(id).beaten |= fresh;
            self.fold(if fresh { Fact::Beat(name, id) } else { Fact::NoBeat(name, id) });
        }
    }

    /// A child comes to be in some run, of some process of it.
    pub(super) fn fork(&mut self, of: usize, role: Role, obeys: Option<Duration>, lives: Duration) {
        let id = World::id(of);
        let main = self.world.run(id).main;
        let alive = self.world.kernel.get(main).is_some_and(|proc| proc.run == Some(id) && proc.is_alive());
        let mut proc = super::kernel::Proc::new(Some(id), role, if alive { main } else { MONITOR });
        proc.obeys = obeys;
        proc.ends_at = self.now() + lives;
        let pid = self.world.kernel.fork(proc);
        self.world.tell(|| format!("run {id} forks pid {pid}: {role:?} {obeys:?}"));
    }

    /// Someone else ends a run's main process.
    pub(super) fn kill(&mut self, of: usize, exit: Exit) {
        let main = self.world.runs[of].main;
        self.world.kernel.die(main, exit);
    }

    pub(super) fn freeze(&mut self, of: usize) {
        let now = self.now();
        let run = &mut self.world.runs[of];
        run.heart.stops_at = run.heart.stops_at.min(now);
        run.health.well_until = run.health.well_until.min(now);
        self.world.kernel.freeze(self.world.runs[of].main);
    }

    pub(super) fn thaw(&mut self, of: usize) {
        let now = self.now();
        self.world.delayed_at = now;
        self.world.kernel.thaw(self.world.runs[of].main, now);
    }
}

fn words(spec: Option<&ProcessSpec>) -> String {
    let Some(spec) = spec else { return "removed".into() };
    let ProcessSpec { born, whole, restart, schedule, backoff, stop, suspend, heartbeat, probes, .. } = spec;
    let (born, whole) = (born.0, whole.0);
    let heartbeat = heartbeat.as_ref().map(|heartbeat| (heartbeat.period, heartbeat.grace));
    format!(
        "{born}/{whole} {restart:?} {schedule:?} {backoff:?} {stop:?} suspend={suspend} heartbeat={heartbeat:?} probes={probes:?}"
    )
}
