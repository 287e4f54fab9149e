//! The machine that the core's plans are executed on: processes, their output, their heartbeats, the journal. The only
//! place that logs what is done to a process.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::journal::Journal;
use super::pid_files::PidFiles;
use crate::health::{Beats, Look, Seen};
use crate::model::{Exit, Format, Incarnation, Name, Output, ProcessSpec, Signal, StartError, Wall};
use crate::output::Capture;
use crate::process::{self, Children, Event, Reach};
use crate::reconcile::{Fact, Machine, Target, Why};

/// Everything that a plan needs done, done.
pub(super) struct Host {
    /// The processes.
    pub(super) children: Children,
    /// Their output.
    pub(super) capture: Capture,
    /// Their heartbeats.
    pub(super) beats: Beats,
    /// Who runs.
    pub(super) journal: Journal,
    /// The same, one file each.
    pub(super) pid_files: PidFiles,
    /// What becomes of output when no file says so.
    pub(super) default_output: Output,
    /// The runs that are, by number.
    names: HashMap<Incarnation, Name>,
    /// What the heartbeats' files bear, to be shown.
    mtimes: HashMap<Incarnation, Wall>,
    /// A start that failed is told in full once, and again when it fails differently.
    told: BTreeMap<Name, StartError>,
}

impl Host {
    /// Joins the parts.
    pub(super) fn new(
        children: Children,
        capture: Capture,
        beats: Beats,
        journal: Journal,
        pid_files: PidFiles,
        default_output: Output,
    ) -> Host {
        let (names, mtimes, told) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Host { children, capture, beats, journal, pid_files, default_output, names, mtimes, told }
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
                self.names.insert(past.run, name.clone());
                found.push((name, past.run));
            } else {
                self.journal.ended(past.run);
            }
        }
        found
    }

    /// What has ended since the last look, as facts; with `all`, every child is looked at.
    pub(super) fn reap(&mut self, all: bool) -> Vec<Fact> {
        let events = if all { self.children.sweep() } else { self.children.reap() };
        events.into_iter().filter_map(|event| self.fact(event)).collect()
    }

    /// What the looks at heartbeats have shown, as facts.
    pub(super) fn heartbeats(&mut self) -> Vec<Fact> {
        self.beats.results().into_iter().filter_map(|look| self.beat(look)).collect()
    }

    /// The main process of a run.
    pub(super) fn pid(&self, run: Incarnation) -> Option<i32> {
        self.children.pid(run)
    }

    /// The time that a run's heartbeat file bears.
    pub(super) fn beat_mtime(&self, run: Incarnation) -> Option<Wall> {
        self.mtimes.get(&run).copied()
    }

    fn fact(&mut self, event: Event) -> Option<Fact> {
        match event {
            Event::Exited(run, exit, rest) => {
                let name = self.names.get(&run)?.clone();
                self.capture.ended(run);
                self.beats.forget(run);
                self.mtimes.remove(&run);
                self.pid_files.ended(&name);
                log_exit(&name, run, exit, rest);
                if !rest {
                    self.close(run);
                }
                Some(Fact::Exited(name, run, exit, rest))
            }
            Event::Emptied(run) => {
                let name = self.names.get(&run)?.clone();
                tracing::info!(process = %name, run = run.get(), "nothing of the run is left");
                self.close(run);
                Some(Fact::Emptied(name, run))
            }
        }
    }

    fn close(&mut self, run: Incarnation) {
        self.names.remove(&run);
        self.journal.ended(run);
    }

    fn beat(&mut self, look: Look) -> Option<Fact> {
        let name = self.names.get(&look.run)?.clone();
        match look.seen {
            Seen::Changed { mtime } => {
                self.mtimes.insert(look.run, mtime);
                Some(Fact::Beat(name, look.run))
            }
            Seen::Unchanged | Seen::Missing => Some(Fact::NoBeat(name, look.run)),
            Seen::Refused(why) => {
                tracing::warn!(process = %name, "its heartbeat cannot be taken: {why}");
                Some(Fact::NoBeat(name, look.run))
            }
        }
    }

    fn begin(&mut self, name: &Name, spec: &ProcessSpec) -> Result<(Incarnation, i32), StartError> {
        let run = self.children.next_run();
        let output = spec.birth.output.unwrap_or(self.default_output);
        let stdio = match output.format {
            Format::Inherit => None,
            Format::Prefix | Format::Json => {
                Some(self.capture.open(run, name, output).map_err(|error| process::no_output(&error))?)
            }
        };
        let ends = stdio.as_ref().map(|stdio| [stdio.out.as_fd(), stdio.err.as_fd()]);
        let started = self.children.start(name, spec, ends, self.journal.announce(run, name));
        match &started {
            Ok(_) => self.journal.announced(),
            // It may have written its line before the step that failed.
            Err(_) => self.journal.ended(run),
        }
        started
    }

    fn tell_failure(&mut self, name: &Name, error: &StartError) {
        if self.told.get(name) != Some(error) {
            tracing::error!(process = %name, "cannot start {name}: {error}; it is tried again with a growing delay");
            self.told.insert(name.clone(), error.clone());
        }
    }
}

impl Machine for Host {
    fn start(&mut self, name: &Name, spec: &Arc<ProcessSpec>, why: Why) -> Result<Incarnation, StartError> {
        match self.begin(name, spec) {
            Ok((run, pid)) => {
                tracing::info!(process = %name, run = run.get(), pid, "started {name}: {}", why.as_str());
                self.names.insert(run, name.clone());
                self.told.remove(name);
                self.pid_files.started(name, pid);
                if let Some(heartbeat) = &spec.heartbeat {
                    self.beats.born(run, name, heartbeat);
                }
                Ok(run)
            }
            Err(error) => {
                self.tell_failure(name, &error);
                Err(error)
            }
        }
    }

    fn signal(&mut self, name: &Name, run: Incarnation, target: Target, signal: Signal, why: Why) {
        let reach = match target {
            Target::Main => Reach::Main,
            Target::Tree => Reach::Tree,
        };
        // At the end of the colony all that is left below us is ended anyway, and a thousand looks would take their time.
        if why != Why::Shutdown && reach == Reach::Main {
            self.children.remember_escaped(run);
        }
        if why == Why::Undying {
            tracing::error!(process = %name, run = run.get(), "{name} does not die of SIGKILL; it is not started again before it does");
        }
        tracing::info!(process = %name, run = run.get(), "{signal} to the {} of {name}: {}", target.as_str(), why.as_str());
        if let Err(errno) = self.children.signal(run, reach, signal) {
            let reason = nix::errno::Errno::from_raw(errno).desc();
            tracing::error!(process = %name, run = run.get(), "cannot send {signal} to {name}: {reason}; SIGKILL follows after its grace");
        }
    }

    fn look(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec) {
        if let Some(heartbeat) = &spec.heartbeat {
            self.beats.look(run, name, heartbeat);
        }
    }

    fn adopted(&mut self, name: &Name) {
        tracing::info!(process = %name, "the edited file of {name} is in force; it runs on");
    }

    fn forget(&mut self, name: &Name) {
        self.capture.forget(name);
        self.told.remove(name);
        tracing::info!(process = %name, "{name} is gone");
    }
}

fn log_exit(name: &Name, run: Incarnation, exit: Exit, rest: bool) {
    let after = if rest { "; something that it started is left" } else { "" };
    tracing::info!(process = %name, run = run.get(), "{name} ended: {exit}{after}");
}
