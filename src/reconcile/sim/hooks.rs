//! What is done right after the start and before the stop signal, simulated, and what must hold of it.

use std::time::Duration;

use super::history::History;
use super::kernel::{MONITOR, Proc, Role};
use super::machine::World;
use crate::model::{Exit, Incarnation, Moment, Name, PreStop, ProcessSpec, Signal, Stop};
use crate::{Cut, Fact, Haste, Hook, HookEnd, PostStart, Why};

/// The hook of a run, begun once.
#[derive(Clone, Copy, Debug)]
pub(super) struct SimHook {
    began: Moment,
    /// When it must be over, or, if it is a sleep, is.
    pub(super) until: Moment,
    /// Whether that is the end of a sleep.
    sleeps: bool,
    /// The core was told that it is over, or has ended it.
    pub(super) over: bool,
    /// The stop signal has followed.
    pub(super) asked: bool,
}

/// When a hook that is no process is over.
pub(super) struct Answer {
    run: Incarnation,
    pub(super) at: Moment,
}

impl SimHook {
    /// Whether the stop signal may be sent.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.over || (self.sleeps && self.until <= now)
    }
}

/// The description, read a second time: the main process keeps two seconds of the grace, or half of a short one; a sleep
/// may be shorter.
fn until(stop: &Stop, grace: Duration, now: Moment, latest: Moment) -> (Moment, bool) {
    let grace = grace.min(latest.since(now));
    let half = Duration::from_nanos(grace.as_nanos() as u64 / 2);
    let most = if half < Duration::from_secs(2) { grace - half } else { grace - Duration::from_secs(2) };
    match stop.pre_stop {
        Some(PreStop::Sleep(span)) if span <= most => (now + span, true),
        Some(PreStop::Sleep(_) | PreStop::Exec(_) | PreStop::HttpGet(_)) | None => (now + most, false),
    }
}

impl World {
    pub(super) fn begin_hook(&mut self, name: &Name, id: Incarnation, spec: &ProcessSpec, why: Why) -> Hook {
        self.may_begin_hook(name, id, why);
        if self.broken.is_some() {
            return Hook::Over;
        }
        let now = self.now.at;
        let fails = self.random.chance(self.temper.hook_fails);
        let lasts = match self.hook_takes {
            Some(takes) => takes,
            None if self.random.chance(self.temper.hook_hangs) => Duration::MAX,
            None => self.random.span(20_000),
        };
        let (until, sleeps) = until(&spec.stop, self.grace(id, Some(why)), now, self.latest(name));
        let over = match &spec.stop.pre_stop {
            Some(PreStop::Sleep(_)) => false,
            Some(PreStop::Exec(_) | PreStop::HttpGet(_)) | None if fails => true,
            Some(PreStop::Exec(_)) => {
                let mut proc = Proc::new(Some(id), Role::Hook, MONITOR);
                proc.ends_at = now + lasts;
                self.kernel.fork(proc);
                false
            }
            Some(PreStop::HttpGet(_)) | None => {
                self.answers.push(Answer { run: id, at: now + lasts });
                false
            }
        };
        self.tell(|| format!("preStop of {name} run {id} ({why:?}): lasts {lasts:?}, until {until:?}, over: {over}"));
        let run = self.run_mut(id);
        run.ending_at = Some(now);
        run.stop_why = Some(why);
        run.hook = Some(SimHook { began: now, until, sleeps, over, asked: false });
        if over { Hook::Over } else { Hook::UnderWay }
    }

    pub(super) fn begin_post_start(&mut self, name: &Name, id: Incarnation) -> Hook {
        let run = self.run(id);
        let holds = run.name == *name && run.post_start == PostStart::Due && run.ending_at.is_none() && !run.exit_told;
        // As soon as the run is there.
        let holds = holds && run.since == self.now.at;
        self.check(holds, || format!("the postStart of {name} run {id} was begun"));
        let now = self.now.at;
        let fails = self.random.chance(self.temper.hook_fails);
        let mut proc = Proc::new(Some(id), Role::PostStart, MONITOR);
        proc.exit = if self.random.chance(self.temper.hook_fails) { Exit::Code(1) } else { Exit::Code(0) };
        proc.ends_at = match self.hook_takes {
            Some(takes) => now + takes,
            None if self.random.chance(self.temper.hook_hangs / 2) => Moment::NEVER,
            None => now + self.random.span(20_000),
        };
        self.tell(|| format!("postStart of {name} run {id}, begun: {}, {proc:?}", !fails));
        if fails {
            self.run_mut(id).post_start = PostStart::Failed;
            return Hook::Over;
        }
        self.kernel.fork(proc);
        self.run_mut(id).post_start = PostStart::UnderWay;
        Hook::UnderWay
    }

    fn may_begin_hook(&mut self, name: &Name, id: Incarnation, why: Why) {
        let run = self.run(id);
        let is_due = run.name == *name && run.spec.stop.pre_stop.is_some() && run.hook.is_none();
        let holds = is_due && run.ending_at.is_none() && !run.exit_told && self.may_stop(name, id, why);
        let holds = holds && self.is_its_turn(name, why) && self.desired.ending != Some(Haste::Now);
        self.check(holds, || format!("the preStop of {name} run {id} was begun because {}", why.as_str()));
    }

    pub(super) fn cut_hook(&mut self, name: &Name, id: Incarnation, cut: Cut) {
        let now = self.now.at;
        let run = self.run(id);
        let (hook, exit_told) = (run.hook, run.exit_told);
        let holds = run.name == *name
            && hook.is_some_and(|hook| !hook.over && !hook.asked)
            && match cut {
                Cut::TimeUp => hook.is_some_and(|hook| hook.until <= now && !hook.sleeps) && !exit_told,
                Cut::MainGone => exit_told,
            };
        self.check(holds, || format!("the preStop of {name} run {id} was ended ({cut:?}): {hook:?}"));
        self.tell(|| format!("the preStop of {name} run {id} is ended: {cut:?}"));
        self.hook_is_over(id);
        let of_hook = |proc: &Proc| proc.run == Some(id) && proc.role == Role::Hook;
        let helper = self.kernel.procs().find(|(_, proc)| of_hook(proc)).map(|(pid, _)| pid);
        let group = |proc: &Proc| Some(proc.parent) == helper && proc.role == Role::Member;
        let group = self.kernel.procs().filter(|(_, proc)| of_hook(proc) || group(proc)).map(|(pid, _)| pid);
        for pid in group.collect::<Vec<_>>() {
            self.kernel.signal(pid, Signal::KILL, now);
        }
    }

    /// The time for all has changed, and with it that of the hooks.
    pub(super) fn time_hooks(&mut self) {
        for at in 0..self.runs.len() {
            let run = &self.runs[at];
            let Some(hook) = run.hook.filter(|hook| !hook.asked && !run.empty_told) else { continue };
            let grace = self.grace(World::id(at), run.stop_why);
            let (until, sleeps) = until(&run.spec.stop, grace, hook.began, self.latest(&run.name));
            self.runs[at].hook = Some(SimHook { until, sleeps, ..hook });
        }
    }

    fn hook_is_over(&mut self, id: Incarnation) {
        self.answers.retain(|answer| answer.run != id);
        if let Some(hook) = &mut self.run_mut(id).hook {
            hook.over = true;
        }
    }
}

impl History {
    /// The core hears that a hook is over.
    pub(super) fn hook_ended(&mut self, id: Incarnation) {
        self.world.hook_is_over(id);
        let name = self.world.run(id).name.clone();
        self.world.tell(|| format!("the preStop of {name} run {id} is over"));
        self.fold(Fact::PreStopOver(name, id));
    }

    /// The core hears how what is done right after the start has ended.
    pub(super) fn post_start_ended(&mut self, id: Incarnation, exit: Exit) {
        let (state, end) = match exit {
            Exit::Code(0) => (PostStart::Done, HookEnd::Well),
            Exit::Code(_) | Exit::Killed { .. } | Exit::Unknown => (PostStart::Failed, HookEnd::Failed),
        };
        let now = self.now();
        let run = self.world.run_mut(id);
        run.post_start = state;
        run.health.warm_at = now;
        let name = run.name.clone();
        self.world.tell(|| format!("the postStart of {name} run {id} is over: {exit}"));
        self.fold(Fact::PostStartOver(name, id, end));
    }

    pub(super) fn hooks_answer(&mut self) {
        let now = self.now();
        let come = self.world.answers.iter().filter(|answer| answer.at <= now).map(|answer| answer.run);
        for id in come.collect::<Vec<_>>() {
            self.hook_ended(id);
        }
    }

    pub(super) fn next_hook(&self) -> Moment {
        self.world.answers.iter().map(|answer| answer.at).min().unwrap_or(Moment::NEVER)
    }
}

/// Nothing of a hook is left to itself: it lives as long as it is under way, and that is no longer than it may take.
pub(super) fn no_hook_outlives_its_time(history: &mut History) {
    let world = &mut history.world;
    let now = world.now.at;
    let stray = world.kernel.procs().find_map(|(pid, proc)| {
        let id = proc.run.filter(|_| proc.role == Role::Hook && proc.is_mortal())?;
        let run = world.run(id);
        let goes_on = run.hook.is_some_and(|hook| !hook.over && !hook.asked) && !run.exit_told;
        (!goes_on && run.killed_at.is_none()).then(|| format!("pid {pid} is the preStop of run {id}, which is over"))
    });
    world.check(stray.is_none(), || stray.unwrap_or_default());
    let late = world.runs.iter().enumerate().rev().take(16).find_map(|(at, run)| {
        let hook = run.hook.filter(|hook| !hook.asked && !run.exit_told && run.killed_at.is_none())?;
        (hook.until <= now || hook.over).then(|| format!("run {} waits for the stop signal: {hook:?}", World::id(at)))
    });
    world.check(late.is_none(), || late.unwrap_or_default());
}
