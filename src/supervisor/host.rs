//! The machine that the core's plans are executed on: processes, their output, their heartbeats, the journal. The only
//! place that logs what is done to a process.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Wakes;
use super::events::{Events, Level, Told};
use super::hooks::Hooks;
use super::journal::Journal;
use super::limits::LimitsSide;
use super::pid_files::PidFiles;
use super::probes::Probes;
use super::usage::UsageSide;
use super::voices::Voices;
use crate::health::{Beats, Heart, Listener, Look, Resolver, Seen};
use crate::model::{Exit, Format, Incarnation, Name, Output, ProbeKind, ProcessSpec, Reason, Signal, StartError, Wall};
use crate::output::{Capture, Stdio};
use crate::process::{self, Children, Event, Reach, Sampler, Weigher};
use crate::reconcile::{Cut, Fact, Hook, Machine, Target, Until, Why};

/// Everything that a plan needs done, done.
pub(super) struct Host {
    /// The processes.
    pub(super) children: Children,
    /// Their output.
    pub(super) capture: Capture,
    /// Their heartbeats.
    pub(super) beats: Beats,
    /// Their limits.
    pub(super) limits: LimitsSide,
    /// What they use.
    pub(super) usage: UsageSide,
    /// What is done for them beside.
    pub(super) hooks: Hooks,
    /// What they are asked.
    pub(super) probes: Probes,
    /// What they say of themselves.
    pub(super) voices: Voices,
    /// Who runs.
    pub(super) journal: Journal,
    /// The same, one file each.
    pub(super) pid_files: PidFiles,
    /// What happens to them.
    pub(super) events: Events,
    /// When the colony ends without being told to: whose last lines may be wanted.
    pub(super) until: Until,
    /// What becomes of output when no file says so.
    pub(super) default_output: Output,
    /// The runs that are, by number.
    pub(super) names: HashMap<Incarnation, Name>,
    /// Those of which only the fact is known yet that they have ended.
    parted: Vec<Parted>,
    /// Those of them that were told to end, so that their end is no surprise.
    pub(super) told_to_end: HashSet<Incarnation>,
    /// What the looks at heartbeats have shown, to be shown.
    sights: HashMap<Incarnation, Sight>,
    /// A start that failed is told in full once, and again when it fails differently.
    pub(super) told: BTreeMap<Name, StartError>,
    /// A run that does not die is told of now and then.
    pub(super) undying: HashMap<Incarnation, Instant>,
    /// Whose run was over, or whose start failed, in this turn.
    pub(super) set_back: BTreeSet<Name>,
    /// Of which a run by the clock was begun in this turn.
    pub(super) by_the_clock: Vec<Name>,
    /// Whether the colony ends, and nothing is started again.
    pub(super) is_ending: bool,
}

/// A run whose main process has ended.
struct Parted {
    name: Name,
    run: Incarnation,
    exit: Exit,
    /// Whether something that it started is left.
    rest: bool,
}

/// What the looks at a run's heartbeat have shown.
#[derive(Default)]
struct Sight {
    /// The time that the file bore at its last beat.
    mtime: Option<Wall>,
    /// Why there is nothing to see.
    trouble: Option<String>,
}

/// How often a trouble that lasts is told.
pub(super) const REPEAT: Duration = Duration::from_secs(60);

impl Host {
    /// Joins the parts; `wakes` is told of what comes of things that take their time.
    pub(super) fn new(
        children: Children,
        capture: Capture,
        voices: Voices,
        wakes: &Arc<Wakes>,
        journal: Journal,
        pid_files: PidFiles,
        default_output: Output,
    ) -> Host {
        let (names, parted, sights, told) = (HashMap::new(), Vec::new(), HashMap::new(), BTreeMap::new());
        let (told_to_end, undying) = (HashSet::new(), HashMap::new());
        let wake = || {
            let wakes = Arc::clone(wakes);
            move || wakes.notify.notify_one()
        };
        let resolver = Resolver::default();
        Host {
            children,
            capture,
            beats: Beats::start(wake()),
            limits: LimitsSide::new(Weigher::new(wake())),
            usage: UsageSide::new(Sampler::new(wake())),
            hooks: Hooks::new(wakes, &resolver),
            voices,
            probes: Probes::new(wakes, &resolver),
            journal,
            pid_files,
            events: Events::default(),
            default_output,
            until: Until::default(),
            names,
            parted,
            told_to_end,
            sights,
            told,
            undying,
            set_back: BTreeSet::new(),
            by_the_clock: Vec::new(),
            is_ending: false,
        }
    }

    /// Takes over what an earlier monitor left running; its end is the first thing that is done to it.
    pub(super) fn inherit(&mut self) -> Vec<(Name, Incarnation)> {
        let remembered = std::mem::take(&mut self.journal.remembered);
        let past: Vec<_> = remembered.iter().map(|(_, past)| past.clone()).collect();
        let living = self.children.inherit(&past);
        let mut found = Vec::new();
        for (name, past) in remembered {
            if living.contains(&past.run) {
                tracing::warn!(process = %name, pid = past.pid, "a run of an earlier monitor is left; it is ended before a new one begins");
                self.events.admit(&name);
                self.names.insert(past.run, name.clone());
                found.push((name, past.run));
            } else {
                self.journal.ended(past.run);
            }
        }
        found
    }

    /// Sees to it that the journal is written, if it can be.
    pub(super) fn refresh_journal(&mut self) {
        let left = self.names.iter().map(|(run, name)| (*run, name.clone(), self.children.pid(*run)));
        self.journal.refresh(self.children.next_run(), left);
    }

    /// What has ended since the last look, as facts; with `all`, every child is looked at.
    pub(super) fn reap(&mut self, all: bool) -> Vec<Fact> {
        let events = if all { self.children.sweep() } else { self.children.reap() };
        // Before the end of their runs, after which nobody knows whose they were.
        self.take_spent();
        let mut facts = Vec::new();
        for event in events {
            // What it has said before its end comes before that; perhaps that this is none.
            let event = match event {
                Event::Exited(run, exit, _) if self.hear_last(run, &mut facts) => Event::FirstExited(run, exit),
                other => other,
            };
            facts.extend(self.fact(event));
        }
        facts
    }

    /// What the looks at heartbeats have shown, as facts.
    pub(super) fn heartbeats(&mut self) -> Vec<Fact> {
        self.beats.results().into_iter().filter_map(|look| self.beat(look)).collect()
    }

    /// Whose run this is, while it is.
    pub(super) fn name_of(&self, run: Incarnation) -> Option<&Name> {
        self.names.get(&run)
    }

    /// The main process of a run.
    pub(super) fn pid(&self, run: Incarnation) -> Option<i32> {
        self.children.pid(run)
    }

    /// The time that a run's heartbeat file bears.
    pub(super) fn beat_mtime(&self, run: Incarnation) -> Option<Wall> {
        self.sights.get(&run)?.mtime
    }

    /// Why a run's heartbeat cannot be seen, if it cannot.
    pub(super) fn beat_trouble(&self, run: Incarnation) -> Option<&str> {
        self.sights.get(&run)?.trouble.as_deref()
    }

    /// Sends a run's main process a signal that somebody asked for: this one, once, and nothing after it.
    pub(super) fn pass_on(&mut self, name: &Name, run: Incarnation, signal: Signal) {
        match self.children.signal_once(run, signal) {
            Ok(()) => {
                tracing::info!(process = %name, run = run.get(), "{signal} was sent to the main process of {name}, as a message asked")
            }
            Err(errno) => {
                let reason = nix::errno::Errno::from_raw(errno).desc();
                tracing::error!(process = %name, run = run.get(), "cannot send {signal} to {name}: {reason}");
            }
        }
    }

    fn fact(&mut self, event: Event) -> Option<Fact> {
        match event {
            Event::Exited(run, exit, rest) => {
                let name = self.names.get(&run)?.clone();
                // At once: what is heard of it from now on is no news.
                self.beats.forget(run);
                self.sights.remove(&run);
                self.end_probes(run);
                self.parted.push(Parted { name: name.clone(), run, exit, rest });
                Some(Fact::Exited(name, run, exit, rest))
            }
            Event::FirstExited(run, exit) => {
                let (name, pid) = (self.names.get(&run)?, self.children.pid(run)?);
                tracing::info!(process = %name, run = run.get(), pid, "{name} goes on, by its MAINPID; what was started ended: {exit}");
                None
            }
            Event::HelperExited(run, helper, exit) => {
                let name = self.names.get(&run)?.clone();
                self.helper_exited(&name, run, helper, exit)
            }
            Event::OomKilled(run) => {
                let name = self.names.get(&run)?.clone();
                let why = Why::OomKilled.as_str();
                self.events.tell(Told::of(&name, Reason::OomKilling, why).run(run), format_args!("{name}: {why}"));
                Some(Fact::OomKilled(name, run))
            }
            Event::Emptied(run) => {
                let name = self.names.get(&run)?.clone();
                tracing::info!(process = %name, run = run.get(), "nothing of the run is left");
                self.close(run);
                Some(Fact::Emptied(name, run))
            }
        }
    }

    /// What the end of a run brings with it: its last words, the log, the journal. A replacement does not wait for that,
    /// but whatever else is done to a process comes after it.
    pub(super) fn see_off(&mut self) {
        for Parted { name, run, exit, rest } in std::mem::take(&mut self.parted) {
            self.capture.ended(run);
            self.limits.ended(run);
            self.pid_files.ended(&name);
            self.tell_exit(&name, run, exit, rest);
            if !rest {
                self.close(run);
            }
        }
        self.children.let_go();
    }

    fn close(&mut self, run: Incarnation) {
        self.set_back.extend(self.names.remove(&run));
        self.voices.forget(run);
        self.hooks.forget(run);
        self.probes.forget(run);
        self.undying.remove(&run);
        self.told_to_end.remove(&run);
        self.journal.ended(run);
    }

    fn beat(&mut self, look: Look) -> Option<Fact> {
        let Look { heart: Heart { run, listener }, seen } = look;
        if let Listener::Probe(kind) = listener {
            self.probe_looked(run, kind, seen);
            return None;
        }
        let name = self.names.get(&run)?.clone();
        let sight = self.sights.entry(run).or_default();
        match seen {
            Seen::Changed { mtime } => {
                sight.mtime = Some(mtime);
                sight.trouble = None;
                Some(Fact::Beat(name, run))
            }
            Seen::Unchanged | Seen::First | Seen::Missing(_) => {
                sight.trouble = None;
                Some(Fact::NoBeat(name, run))
            }
            Seen::Refused(why) => {
                let trouble = format!("its heartbeat cannot be taken: {why}");
                sight.trouble = Some(trouble.clone());
                self.events.tell_now_and_then(Told::of(&name, Reason::ProbeWarning, trouble).run(run));
                Some(Fact::NoBeat(name, run))
            }
            Seen::Unknown => {
                let why = "the file system of its heartbeat does not answer; until it does, no beat counts as missed";
                sight.trouble = Some(why.to_string());
                self.events.tell_now_and_then(Told::of(&name, Reason::ProbeWarning, why).run(run));
                Some(Fact::Blind(name, run))
            }
        }
    }

    fn begin(&mut self, name: &Name, spec: &ProcessSpec) -> Result<(Incarnation, i32), StartError> {
        let run = self.children.next_run();
        let output = spec.birth.output.unwrap_or(self.default_output);
        let stdio = match output.format {
            Format::Inherit => None,
            Format::Prefix | Format::Json => Some(self.stdio(run, name, output)?),
        };
        let ends = stdio.as_ref().map(|stdio| [stdio.out.as_fd(), stdio.err.as_fd()]);
        let socket = self.open_voice(run, spec)?;
        let started = self.children.start(name, spec, ends, self.journal.announce(run, name), socket);
        match &started {
            Ok(_) => self.journal.announced(),
            Err(_) => {
                // It may have written its line before the step that failed.
                self.journal.ended(run);
                self.voices.forget(run);
            }
        }
        started
    }

    fn stdio(&mut self, run: Incarnation, name: &Name, output: Output) -> Result<Stdio, StartError> {
        if !self.capture.is_provided() {
            // There may be no descriptors left but those of the runs that have ended.
            self.see_off();
        }
        self.capture.open(run, name, output).map_err(|error| process::no_output(&error))
    }

    /// Whose end may be the colony's own, of that the last lines are kept: those of the run that has just begun.
    fn keep_last_lines(&mut self, name: &Name, spec: &ProcessSpec) {
        match spec.essential || self.until == Until::Complete {
            true => self.capture.keep_last_lines(name),
            false => self.capture.forget_last_lines(name),
        }
    }
}

impl Machine for Host {
    fn start(&mut self, name: &Name, spec: &Arc<ProcessSpec>, why: Why) -> Result<Incarnation, StartError> {
        let begun = self.begin(name, spec);
        self.see_off();
        self.keep_last_lines(name, spec);
        match begun {
            Ok((run, pid)) => {
                let told = Told::of(name, Reason::Started, why.as_str()).run(run).pid(pid);
                self.events.tell(told, format_args!("started {name}: {}", why.as_str()));
                self.names.insert(run, name.clone());
                self.told.remove(name);
                self.pid_files.started(name, pid);
                if let Some(heartbeat) = &spec.heartbeat {
                    self.beats.look(beatcheck(run), name, &heartbeat.file);
                }
                self.begin_hearts(name, run, spec);
                self.note_limits(name, run, spec.birth.limits);
                self.by_the_clock.extend(spec.schedule.is_some().then(|| name.clone()));
                Ok(run)
            }
            Err(error) => {
                self.tell_failure(name, &error);
                self.set_back.insert(name.clone());
                Err(error)
            }
        }
    }

    fn post_start(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec) -> Hook {
        self.see_off();
        self.begin_post_start(name, run, spec)
    }

    fn pre_stop(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, why: Why) -> Hook {
        self.see_off();
        self.told_to_end.insert(run);
        self.end_probes(run);
        self.begin_pre_stop(name, run, spec, why)
    }

    fn end_pre_stop(&mut self, name: &Name, run: Incarnation, cut: Cut) {
        self.see_off();
        self.cut_pre_stop(name, run, cut);
    }

    fn signal(&mut self, name: &Name, run: Incarnation, target: Target, signal: Signal, why: Why) {
        self.see_off();
        let reach = match target {
            Target::Main => Reach::Main,
            Target::Tree => Reach::Tree,
        };
        // At the end of the colony all that is left below us is ended anyway, and a thousand looks would take their time.
        if why != Why::Shutdown && reach == Reach::Main {
            self.children.remember_escaped(run);
        }
        self.tell_signal(name, run, signal, why, target);
        self.hooks.forget(run);
        self.end_probes(run);
        if let Err(errno) = self.children.signal(run, reach, signal) {
            let reason = nix::errno::Errno::from_raw(errno).desc();
            let next = if signal == Signal::KILL { "its end is waited for" } else { "SIGKILL follows after its grace" };
            tracing::error!(process = %name, run = run.get(), "cannot send {signal} to {name}: {reason}; {next}");
        }
    }

    fn look(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec) {
        if let Some(heartbeat) = &spec.heartbeat {
            self.beats.look(beatcheck(run), name, &heartbeat.file);
        }
    }

    fn probe(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, kind: ProbeKind) {
        self.begin_probe(name, run, spec, kind);
    }

    fn weigh(&mut self, _name: &Name, run: Incarnation, spec: &ProcessSpec) {
        if let Some(limit) = spec.birth.limits.memory {
            self.put_on_scales(run, limit);
        }
    }

    fn hold(&mut self, name: &Name, period: Duration) {
        self.see_off();
        let seconds = period.as_secs_f64();
        let message = "its heartbeat stopped, as most have at once; it is held, and restarted when it is its turn";
        let told = Told::of(name, Reason::Unhealthy, message).level(Level::Error);
        let line = format_args!(
            "most hearts have stopped at once, that of {name} among them: rather the machine's or the file system's fault (a full disk?); nothing is restarted for that for {seconds} s, and then one after the other"
        );
        self.events.tell(told, line);
    }

    fn adopted(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec) {
        self.see_off();
        self.begin_hearts(name, run, spec);
        let told = Told::of(name, Reason::Updated, "its edited file is in force; it runs on");
        self.events.tell(told, format_args!("the edited file of {name} is in force; it runs on"));
    }

    fn forget(&mut self, name: &Name) {
        self.see_off();
        self.capture.forget(name);
        self.told.remove(name);
        self.limits.forget(name);
        self.usage.forget(name);
        let told = Told::of(name, Reason::SuccessfulDelete, "nothing of it is left");
        self.events.tell(told, format_args!("{name} is gone"));
        self.events.forget(name);
    }
}

fn beatcheck(run: Incarnation) -> Heart {
    Heart { run, listener: Listener::Beatcheck }
}
