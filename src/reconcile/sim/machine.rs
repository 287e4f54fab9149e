//! The machine that the core drives: it executes on the simulated kernel what the laws allow.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::health::Health;
use super::hooks::{Answer, SimHook};
use super::kernel::{Kernel, MONITOR, Pid, Proc, Reuse, Role};
use super::ledger::Ledger;
use super::probes::Asking;
use super::random::Random;
use super::scales::{Keeper, Load, Reading};
use crate::model::{Exit, Incarnation, Moment, Name, ProbeKind, ProcessSpec, Signal, Stamp, StartError, Step};
use crate::{Cut, Desired, Hook, Machine, PostStart, Progress, Target, Why};

pub(super) struct World {
    pub(super) random: Random,
    pub(super) temper: Temper,
    pub(super) now: Stamp,
    pub(super) kernel: Kernel,
    pub(super) runs: Vec<SimRun>,
    pub(super) ledgers: BTreeMap<Name, Ledger>,
    pub(super) desired: Arc<Desired>,
    /// When each is killed whatever its grace, where the time for all is limited.
    pub(super) latest: BTreeMap<Name, Moment>,
    pub(super) looks: Vec<Look>,
    /// Probes under way.
    pub(super) askings: Vec<Asking>,
    /// Weighings under way.
    pub(super) readings: Vec<Reading>,
    /// Hooks under way that are no processes.
    pub(super) answers: Vec<Answer>,
    /// When something last happened that lengthens a shutdown: a thaw, a refused signal, a fork in the face of SIGKILL.
    pub(super) delayed_at: Moment,
    pub(super) stalled_at: Moment,
    /// For whom something was done in this turn.
    pub(super) served: BTreeSet<Name>,
    /// Before that nobody is ended for its heart.
    pub(super) held_until: Moment,
    /// The first law that was broken, and how.
    pub(super) broken: Option<String>,
    /// What happened, in words; kept only when a history is told.
    pub(super) told: Option<Vec<String>>,
    pub(super) digest: DefaultHasher,
    /// What the next runs are like, in a history that is written down; past its end, as [`Fate::default`].
    pub(super) fates: Option<Vec<Fate>>,
    /// What the state directory holds.
    pub(super) disk: BTreeMap<Name, Progress>,
    /// What it held when this monitor began, of those that it has not seen yet.
    pub(super) remembered: BTreeMap<Name, Progress>,
    /// How long each look takes, of what it read at its beginning; `None`: chance decides.
    pub(super) look_takes: Option<Duration>,
    /// How long each hook takes; `None`: chance decides.
    pub(super) hook_takes: Option<Duration>,
}

/// How likely things are in this history, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Temper {
    /// How many starts a turn may make; 0: now these, now those.
    pub(super) starts: usize,
    pub(super) start_fails: u64,
    pub(super) dies_soon: u64,
    pub(super) succeeds: u64,
    pub(super) ignores: u64,
    pub(super) signal_refused: u64,
    pub(super) forks_at_kill: u64,
    pub(super) heart_fails: u64,
    pub(super) look_hangs: u64,
    /// Runs that come to have more memory than they may.
    pub(super) grows: u64,
    /// Runs that are not well from their start on, or from some moment on.
    pub(super) ails: u64,
    /// Probes of what is well that fail.
    pub(super) probe_fails: u64,
    pub(super) probe_hangs: u64,
    pub(super) probe_lasts: u64,
    pub(super) probe_unknown: u64,
    /// How often runs say of themselves how they are.
    pub(super) says: u64,
    pub(super) hook_fails: u64,
    pub(super) hook_hangs: u64,
    /// How many things happen in the kernel between two turns: this in a hundred, each of them.
    pub(super) unrest: u64,
    pub(super) edits: u64,
    /// How likely an edit is one of what it depends on.
    pub(super) depends: u64,
    pub(super) asks: u64,
    pub(super) lost: u64,
    pub(super) stalls: u64,
    pub(super) reboots: u64,
}

pub(super) struct SimRun {
    pub(super) name: Name,
    /// By what it is governed.
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) main: Pid,
    pub(super) since: Moment,
    pub(super) inherited: bool,
    /// Why its end was first asked for.
    pub(super) stop_why: Option<Why>,
    /// From when its grace counts.
    pub(super) ending_at: Option<Moment>,
    /// What is done right after the start.
    pub(super) post_start: PostStart,
    /// What was done before the stop signal.
    pub(super) hook: Option<SimHook>,
    pub(super) rest_asked: bool,
    pub(super) killed_at: Option<Moment>,
    /// The core was told that the main process ended.
    pub(super) exit_told: bool,
    /// The core was told that nothing is left.
    pub(super) empty_told: bool,
    pub(super) heart: Heart,
    pub(super) load: Load,
    pub(super) health: Health,
    /// From when the heartbeat is asked for.
    pub(super) pulse_from: Moment,
    /// Whether a beat was told of since then.
    pub(super) beaten: bool,
    /// It outlived a SIGKILL, and was sent another.
    pub(super) undying: bool,
    /// Up to what beat the file was seen.
    pub(super) seen: Option<Moment>,
    /// When the file was last read, by a look that was answered.
    pub(super) read_at: Option<Moment>,
    /// When an answer last came that had kept us waiting.
    pub(super) late_answer_at: Moment,
}

/// When a run touches its heartbeat file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heart {
    /// The last beat before `first`, of a run that slept since.
    pub(super) before: Option<Moment>,
    pub(super) first: Moment,
    pub(super) every: Duration,
    pub(super) stops_at: Moment,
}

/// A look at a heartbeat file, under way.
pub(super) struct Look {
    pub(super) run: Incarnation,
    pub(super) asked_at: Moment,
    pub(super) read_at: Moment,
    pub(super) answer_at: Moment,
    /// Whether the answer will be that nothing is known.
    pub(super) given_up: bool,
}

/// What a run will be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    pub(super) error: Option<i32>,
    pub(super) lives: Duration,
    pub(super) exit: Exit,
    pub(super) obeys: Option<Duration>,
    /// The first beat after the start, and then in what steps; `None`: it never beats.
    pub(super) beats: Option<(Duration, Duration)>,
    pub(super) heart_lasts: Duration,
    /// How long after its start it is well, and for how long.
    pub(super) well_after: Duration,
    pub(super) well_for: Duration,
    /// How long after its start it has more memory than it may.
    pub(super) heavy_after: Duration,
    /// Who keeps its limit.
    pub(super) keeper: Keeper,
}

impl Default for Fate {
    /// A run that stays until it is told to go, and then goes.
    fn default() -> Fate {
        Fate {
            error: None,
            lives: Duration::MAX,
            exit: Exit::Code(0),
            obeys: Some(Duration::ZERO),
            beats: None,
            heart_lasts: Duration::MAX,
            well_after: Duration::ZERO,
            well_for: Duration::MAX,
            heavy_after: Duration::MAX,
            keeper: Keeper::Us,
        }
    }
}

impl Heart {
    /// The last beat up to `at`.
    pub(super) fn latest(&self, at: Moment) -> Option<Moment> {
        let at = at.min(self.stops_at);
        if at < self.first {
            return self.before;
        }
        let beats = at.since(self.first).as_nanos() / self.every.as_nanos().max(1);
        Some(Moment::from_nanos(self.first.as_nanos() + (beats * self.every.as_nanos()) as u64))
    }

    /// From `now` on it sleeps so long, and then goes on where it was.
    pub(super) fn sleep(&mut self, now: Moment, span: Duration) {
        self.before = self.latest(now);
        self.first = self.before.map_or(self.first, |beat| beat + self.every) + span;
    }
}

impl World {
    pub(super) fn new(random: Random, temper: Temper, reuse: Reuse, now: Stamp) -> World {
        World {
            random,
            temper,
            now,
            kernel: Kernel::new(reuse),
            runs: Vec::new(),
            ledgers: BTreeMap::new(),
            desired: Arc::default(),
            latest: BTreeMap::new(),
            looks: Vec::new(),
            askings: Vec::new(),
            readings: Vec::new(),
            answers: Vec::new(),
            delayed_at: Moment::ZERO,
            stalled_at: Moment::ZERO,
            served: BTreeSet::new(),
            held_until: Moment::ZERO,
            broken: None,
            told: None,
            digest: DefaultHasher::new(),
            fates: None,
            look_takes: None,
            hook_takes: None,
            disk: BTreeMap::new(),
            remembered: BTreeMap::new(),
        }
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(format!("{:>14.6} {}", self.now.at.as_nanos() as f64 / 1e9, line()));
        }
    }

    pub(super) fn check(&mut self, holds: bool, law: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(law());
        }
    }

    pub(super) fn id(index: usize) -> Incarnation {
        Incarnation::new(NonZeroU64::MIN.saturating_add(index as u64))
    }

    pub(super) fn run(&self, id: Incarnation) -> &SimRun {
        &self.runs[id.get() as usize - 1]
    }

    pub(super) fn run_mut(&mut self, id: Incarnation) -> &mut SimRun {
        &mut self.runs[id.get() as usize - 1]
    }

    pub(super) fn ledger(&mut self, name: &Name) -> &mut Ledger {
        if !self.ledgers.contains_key(name) {
            self.ledgers.insert(name.clone(), Ledger::default());
        }
        self.ledgers.get_mut(name).expect("inserted above")
    }

    /// A run comes to be, with its main process.
    pub(super) fn begin(&mut self, name: &Name, spec: &Arc<ProcessSpec>, fate: Fate, inherited: bool) -> Incarnation {
        let now = self.now.at;
        let id = World::id(self.runs.len());
        let mut proc = Proc::new(Some(id), Role::Main, MONITOR);
        proc.ends_at = now + fate.lives;
        proc.exit = fate.exit;
        proc.obeys = fate.obeys;
        let main = self.kernel.fork(proc);
        let (first, every) = fate.beats.map_or((Moment::NEVER, Duration::MAX), |(first, every)| (now + first, every));
        self.runs.push(SimRun {
            name: name.clone(),
            spec: Arc::clone(spec),
            main,
            since: now,
            inherited,
            stop_why: None,
            ending_at: None,
            post_start: if inherited || spec.post_start.is_none() { PostStart::Done } else { PostStart::Due },
            hook: None,
            rest_asked: false,
            killed_at: None,
            exit_told: false,
            empty_told: false,
            heart: Heart { before: None, first, every, stops_at: now + fate.heart_lasts },
            load: Load {
                heavy_from: now + fate.heavy_after,
                keeper: fate.keeper,
                read_at: None,
                blind_at: Moment::ZERO,
            },
            health: Health::new(spec, &fate, now),
            pulse_from: now,
            beaten: false,
            undying: false,
            seen: None,
            read_at: None,
            late_answer_at: Moment::ZERO,
        });
        id
    }

    fn fate(&mut self, spec: &ProcessSpec) -> Fate {
        if let Some(fates) = &mut self.fates {
            return if fates.is_empty() { Fate::default() } else { fates.remove(0) };
        }
        let temper = self.temper;
        let random = &mut self.random;
        let errno = [2, 11, 12, 13, 23, 24, 26, 7, 1, 0][random.below(10) as usize];
        let lives = match random.chance(temper.dies_soon) {
            true => Duration::from_millis(1 + random.below(3_000)),
            false => Duration::from_millis(1 + random.below(400_000)),
        };
        let exit = match random.below(3) {
            _ if random.chance(temper.succeeds) => Exit::Code(0),
            0 => Exit::Code(1 + random.below(255) as u8),
            _ => random.killed(),
        };
        let obeys = match random.chance(temper.ignores) {
            true => None,
            false => Some(random.span(20_000)),
        };
        let period = spec.heartbeat.as_ref().map_or(Duration::from_secs(5), |heartbeat| heartbeat.period);
        let every = period.mul_f64([0.3, 0.9, 1.0][random.below(3) as usize]);
        let first = period.mul_f64(random.below(100) as f64 / 100.0);
        let heart_lasts = match random.chance(temper.heart_fails) {
            true => random.span(60_000),
            false => Duration::MAX,
        };
        let ails = random.chance(temper.ails);
        let well_after = if ails && random.chance(50) { random.span(60_000) } else { Duration::ZERO };
        let well_for = if ails { random.span(120_000) } else { Duration::MAX };
        Fate {
            error: random.chance(temper.start_fails).then_some(errno),
            lives,
            exit,
            obeys,
            beats: random.chance(95).then_some((first, every)),
            heart_lasts,
            well_after,
            well_for,
            heavy_after: if random.chance(temper.grows) { random.span(60_000) } else { Duration::MAX },
            keeper: random.pick(&[Keeper::Us, Keeper::Us, Keeper::Kernel]),
        }
    }

    pub(super) fn record(&mut self, what: &str, name: &Name, why: Option<Why>, number: u64) {
        self.served.insert(name.clone());
        (self.now.at, what, name.as_str(), why.map(Why::as_str), number).hash(&mut self.digest);
    }

    fn send(&mut self, id: Incarnation, target: Target, signal: Signal) {
        let now = self.now.at;
        let main = self.run(id).main;
        let pids: Vec<Pid> = self
            .kernel
            .procs()
            .filter(|(pid, proc)| proc.run == Some(id) && (target == Target::Tree || *pid == main))
            .map(|(pid, _)| pid)
            .collect();
        if signal == Signal::KILL && target == Target::Tree && self.random.chance(self.temper.forks_at_kill) {
            self.delayed_at = now;
            if let Some(parent) = pids.iter().find(|pid| self.kernel.get(**pid).is_some_and(Proc::is_mortal)) {
                self.kernel.fork(Proc::new(Some(id), Role::Escaped, *parent));
            }
        }
        for pid in pids {
            self.kernel.signal(pid, signal, now);
            if signal != Signal::KILL {
                self.kernel.signal(pid, Signal::CONT, now);
            }
        }
    }

    fn signalled(&mut self, id: Incarnation, target: Target, signal: Signal, why: Why) {
        let now = self.now.at;
        let run = self.run_mut(id);
        if run.ending_at.is_none() {
            run.ending_at = Some(now);
            run.stop_why = Some(why);
        }
        run.rest_asked |= target == Target::Tree;
        if let Some(hook) = &mut run.hook {
            hook.asked = true;
        }
        let mut counts = false;
        if signal == Signal::KILL {
            counts = run.killed_at.is_none() && matches!(why, Why::GraceOver | Why::CutShort);
            run.undying |= why == Why::Undying;
            run.killed_at = Some(now);
        }
        let name = run.name.clone();
        self.ledger(&name).kills += u64::from(counts);
    }
}

impl Machine for World {
    fn start(&mut self, name: &Name, spec: &Arc<ProcessSpec>, why: Why) -> Result<Incarnation, StartError> {
        self.may_start(name, spec, why);
        let fate = self.fate(spec);
        let now = self.now.at;
        self.record("start", name, Some(why), u64::from(fate.error.is_some()));
        if let Some(errno) = fate.error {
            let error = StartError { step: Step::Exec, errno, what: String::new() };
            self.ledger(name).start_failed(spec, error.is_transient(), now);
            self.tell(|| format!("start {name} ({why:?}) fails with errno {errno}"));
            return Err(error);
        }
        let stamp = self.now;
        let again = self.ledger(name).started(spec, stamp).err();
        self.check(again.is_none(), || format!("{name} was run twice for {again:?}"));
        let id = self.begin(name, spec, fate, false);
        self.tell(|| format!("start {name} ({why:?}) as run {id}: {fate:?}"));
        Ok(id)
    }

    fn post_start(&mut self, name: &Name, run: Incarnation, _spec: &ProcessSpec) -> Hook {
        self.record("postStart", name, None, run.get());
        self.begin_post_start(name, run)
    }

    fn pre_stop(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, why: Why) -> Hook {
        self.record("preStop", name, Some(why), run.get());
        self.begin_hook(name, run, spec, why)
    }

    fn end_pre_stop(&mut self, name: &Name, run: Incarnation, cut: Cut) {
        self.record("end of preStop", name, None, run.get());
        self.cut_hook(name, run, cut);
    }

    fn signal(&mut self, name: &Name, run: Incarnation, target: Target, signal: Signal, why: Why) {
        self.may_signal(name, run, target, signal, why);
        self.record("signal", name, Some(why), signal.as_raw() as u64);
        if self.broken.is_some() {
            return;
        }
        let refused = self.random.chance(self.temper.signal_refused);
        self.tell(|| {
            format!("{signal} to {name} run {run} {target:?} ({why:?}){}", if refused { " refused" } else { "" })
        });
        self.signalled(run, target, signal, why);
        match refused {
            true => self.delayed_at = self.now.at,
            false => self.send(run, target, signal),
        }
    }

    fn look(&mut self, name: &Name, run: Incarnation, _spec: &ProcessSpec) {
        let now = self.now.at;
        self.record("look", name, None, run.get());
        let before = self.looks.iter().find(|look| look.run == run).map(|look| look.asked_at);
        self.check(before.is_none(), || format!("{name} is looked at, and a look from {before:?} is not answered"));
        let (read_at, answer_at, given_up) = match self.look_takes {
            Some(takes) => (now, now + takes, false),
            None => {
                let hangs = self.random.chance(self.temper.look_hangs);
                let answer_at = if hangs { now + self.random.span(200_000) } else { now };
                let given_up = hangs && self.random.chance(50);
                (if self.random.chance(50) { now } else { answer_at }, answer_at, given_up)
            }
        };
        self.tell(|| format!("look at {name} run {run}, answer at {answer_at:?}"));
        self.looks.push(Look { run, asked_at: now, read_at, answer_at, given_up });
    }

    fn probe(&mut self, name: &Name, run: Incarnation, _spec: &ProcessSpec, kind: ProbeKind) {
        self.begin_probe(name, run, kind);
    }

    fn weigh(&mut self, name: &Name, run: Incarnation, _spec: &ProcessSpec) {
        self.put_on_the_scales(name, run);
    }

    fn hold(&mut self, name: &Name, period: Duration) {
        self.record("hold", name, None, 0);
        self.tell(|| format!("most hearts have stopped, {name}'s among them: hold for {period:?}"));
        let hearts: BTreeSet<&Name> =
            self.runs.iter().filter(|run| run.spec.heartbeat.is_some()).map(|run| &run.name).collect();
        let few = hearts.len();
        self.check(few >= 3, || format!("{name} is held, and there are {few} hearts"));
        let (now, until) = (self.now.at, self.held_until);
        self.check(until <= now, || format!("{name} is held, and is so until {until:?}"));
        self.held_until = now + period;
    }

    fn adopted(&mut self, name: &Name, _: Incarnation, _: &ProcessSpec) {
        let now = self.now.at;
        self.record("adopt", name, None, 0);
        self.tell(|| format!("adopt {name}"));
        let wanted = self.desired.processes.get(name).cloned();
        let run = self.runs.iter_mut().rev().find(|run| run.name == *name && run.ending_at.is_none());
        let (Some(spec), Some(run)) = (wanted, run) else {
            self.check(false, || format!("{name} is not up or not wanted, and its edit was adopted"));
            return;
        };
        if run.spec.heartbeat != spec.heartbeat {
            run.pulse_from = now;
            run.beaten = false;
        }
        run.health.adopts(&spec, now);
        let holds = run.spec.born == spec.born && run.spec.whole != spec.whole;
        run.spec = Arc::clone(&spec);
        self.ledger(name).adopted(&spec);
        self.check(holds, || format!("the edit of {name} is none that a living run can adopt"));
    }

    fn forget(&mut self, name: &Name) {
        self.record("forget", name, None, 0);
        self.tell(|| format!("forget {name}"));
        let wanted = self.desired.processes.contains_key(name);
        self.check(!wanted, || format!("{name} was forgotten and is desired"));
        self.ledgers.remove(name);
    }
}
