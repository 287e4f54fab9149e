//! The probes of runs: begun when the core asks for them, answered as facts.
//!
//! What is asked over the network is a task of the runtime, which ends within its limit whatever happens; a command is a
//! helper of its run, whose limit is a deadline among [`Host::probes_wake_at`], and so is the process that asks by HTTPS; a
//! look at a heartbeat is made by the thread that makes all looks. Each attempt has a number, so that a late answer is not
//! taken for the answer to a later one.

mod asking;
mod command;
mod heart;
mod https;
mod words;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::host::Host;
use super::{Wakes, clocks};
use crate::health::{Outcome, Resolver};
use crate::model::{
    HelperId, HttpGet, Incarnation, Moment, Name, Probe, ProbeHandler, ProbeKind, ProbeResult, ProcessSpec, Restart,
};
use crate::reconcile::Fact;

/// The probes under way.
pub(super) struct Probes {
    under_way: HashMap<Key, Attempt>,
    /// The commands among them, and those that were ended and are not gone yet.
    commands: HashMap<HelperId, Key>,
    /// When the commands' time is over.
    deadlines: BTreeSet<(Moment, Key)>,
    /// The runs that are followed by another when a probe ends them.
    followed: HashSet<Incarnation>,
    /// How many attempts there have been.
    attempts: u64,
    /// What comes of those that are asked beside the loop.
    heard: (Sender<Heard>, Receiver<Heard>),
    /// What came of others at once, and is not told yet.
    known: Vec<Heard>,
    resolver: Resolver,
    wakes: Arc<Wakes>,
}

/// A run has one probe of each kind under way, at most.
type Key = (Incarnation, ProbeKind);

struct Attempt {
    number: u64,
    name: Name,
    began: Moment,
    /// How long it may take.
    limit: Duration,
    doing: Doing,
}

enum Doing {
    /// A task of the runtime.
    Asking(AbortHandle),
    /// A helper of the run, until then.
    Command(HelperId, Moment, Asker),
    /// A look at a heartbeat, or something that is over already.
    Waiting,
}

/// What kind of helper asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asker {
    /// The file's command.
    Exec,
    /// Ours, by HTTPS.
    Https,
}

/// What an attempt came to.
struct Heard {
    key: Key,
    number: u64,
    finding: Finding,
}

enum Finding {
    Outcome(Outcome),
    /// Nothing, and there is nothing to be told of that.
    Nothing,
    /// It was redirected to HTTPS, so that it is to be asked for by HTTPS' process, from the beginning.
    OverHttps(HttpGet),
}

impl Probes {
    /// None yet; `wakes` is told of each that is over.
    pub(super) fn new(wakes: &Arc<Wakes>, resolver: &Resolver) -> Probes {
        Probes {
            under_way: HashMap::new(),
            commands: HashMap::new(),
            deadlines: BTreeSet::new(),
            followed: HashSet::new(),
            attempts: 0,
            heard: channel(),
            known: Vec::new(),
            resolver: resolver.clone(),
            wakes: Arc::clone(wakes),
        }
    }

    /// Whether a run that a probe ends is followed by another.
    pub(super) fn is_followed(&self, run: Incarnation) -> bool {
        self.followed.contains(&run)
    }

    /// A run is over.
    pub(super) fn forget(&mut self, run: Incarnation) {
        self.followed.remove(&run);
    }

    /// It is over already, and told at the next turn: that it is under way is told before.
    fn answer_at_once(&mut self, key: Key, number: u64, finding: Finding) -> Doing {
        self.known.push(Heard { key, number, finding });
        self.wakes.notify.notify_one();
        Doing::Waiting
    }
}

impl Host {
    /// Begins a probe, whose answer will be among [`Host::probed`]. One of the same kind that is under way is given up.
    pub(super) fn begin_probe(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, kind: ProbeKind) {
        let Some(probe) = spec.probes.iter().find(|probe| probe.kind == kind) else { return };
        let key = (run, kind);
        self.give_up_probe(key);
        match spec.restart {
            Restart::Always | Restart::OnFailure => self.probes.followed.insert(run),
            Restart::Never => self.probes.followed.remove(&run),
        };
        self.probes.attempts += 1;
        let (number, began) = (self.probes.attempts, clocks().at);
        let doing = self.begin_attempt(name, key, number, spec, probe, began);
        self.probes.under_way.insert(key, Attempt { number, name: name.clone(), began, limit: probe.timeout, doing });
    }

    fn begin_attempt(
        &mut self,
        name: &Name,
        key: Key,
        number: u64,
        spec: &ProcessSpec,
        probe: &Probe,
        now: Moment,
    ) -> Doing {
        if let Some(errand) = https::errand(probe) {
            let begun = self.begin_errand(name, key, &errand, now);
            return self.doing(key, number, begun);
        }
        match &probe.handler {
            ProbeHandler::Exec(argv) => {
                let begun = self.begin_command(name, key, spec, argv, now + probe.timeout);
                self.doing(key, number, begun)
            }
            ProbeHandler::HttpGet(_)
            | ProbeHandler::AnyAnswer(_)
            | ProbeHandler::TcpSocket { .. }
            | ProbeHandler::Grpc { .. } => Doing::Asking(self.probes.ask(key, number, probe)),
            ProbeHandler::Heartbeat(file) => {
                self.look_for_probe(name, key, file);
                Doing::Waiting
            }
            ProbeHandler::Notify => {
                let finding = match self.voices.answer(key.0, key.1) {
                    ProbeResult::Success => Finding::Outcome(Outcome::Success),
                    ProbeResult::Failure(why) => Finding::Outcome(Outcome::Failure(why.to_string())),
                    ProbeResult::Unmade(why) => Finding::Outcome(Outcome::Unknown(why.to_string())),
                    ProbeResult::Unknown => Finding::Nothing,
                };
                self.probes.answer_at_once(key, number, finding)
            }
        }
    }

    /// What a helper that was started does; or it is known at once that the probe could not be made.
    fn doing(&mut self, key: Key, number: u64, begun: Result<Doing, String>) -> Doing {
        begun.unwrap_or_else(|why| self.probes.answer_at_once(key, number, Finding::Outcome(Outcome::Unknown(why))))
    }

    /// Probes that are over since the last look, as facts: answered, or out of time by now.
    pub(super) fn probed(&mut self, now: Moment) -> Vec<Fact> {
        let mut heard = std::mem::take(&mut self.probes.known);
        heard.extend(self.probes.heard.1.try_iter());
        heard.extend(self.commands_out_of_time(now));
        heard.into_iter().filter_map(|heard| self.conclude(heard, now)).collect()
    }

    /// When the first command's time is over.
    pub(super) fn probes_wake_at(&self) -> Option<Moment> {
        self.probes.deadlines.first().map(|(at, _)| *at)
    }

    /// The probes of a run are of no more interest: it is told to end, or has ended.
    pub(super) fn end_probes(&mut self, run: Incarnation) {
        for kind in ProbeKind::ALL {
            self.give_up_probe((run, kind));
        }
    }

    fn give_up_probe(&mut self, key: Key) {
        match self.probes.under_way.remove(&key).map(|attempt| attempt.doing) {
            Some(Doing::Asking(task)) => task.abort(),
            Some(Doing::Command(helper, until, _)) => self.end_command(key, helper, until),
            Some(Doing::Waiting) | None => {}
        }
    }

    /// An attempt is over. Of one that was given up, or is followed by another by now, nothing is told.
    fn conclude(&mut self, heard: Heard, now: Moment) -> Option<Fact> {
        let Heard { key, number, finding } = heard;
        let is_expected = self.probes.under_way.get(&key).is_some_and(|attempt| attempt.number == number);
        let attempt = is_expected.then(|| self.probes.under_way.remove(&key)).flatten()?;
        if let Doing::Command(_, until, _) = attempt.doing {
            self.probes.deadlines.remove(&(until, key));
        }
        let (run, kind) = key;
        let result = match finding {
            Finding::Outcome(outcome) => self.tell_probe(&attempt.name, run, kind, outcome),
            Finding::Nothing => ProbeResult::Unknown,
            Finding::OverHttps(what) => {
                self.go_on_by_https(key, attempt, what, now);
                return None;
            }
        };
        Some(Fact::Probed(attempt.name, run, kind, result, now.since(attempt.began)))
    }
}
