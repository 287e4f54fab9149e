//! One turn of the loop: everything that changes state happens here, synchronously, in this order.

use std::time::{Duration, Instant};

use super::config_side::{ConfigSide, Trigger};
use super::ending::Ending;
use super::farewell::{Farewell, Step};
use super::foresight::Foresight;
use super::host::{Host, REPEAT};
use super::message_side::MessageSide;
use super::meters::Meters;
use super::orders::{Known, Order, orders};
use super::schedules::Schedules;
use super::termination::Termination;
use super::upward::{self, Upward};
use super::watch_side::WatchSide;
use crate::failpoint;
use crate::http::complaints;
use crate::model::{Account, Beside, Check, Format, LogAnswer, LogAsked, Moment, Phase, Snapshot, Stamp, Wall};
use crate::output::Sink;
use crate::process;
use crate::reconcile::{Desired, Fact, Haste, Observed, Outcome, Until, settle, view};
use crate::watch::Hint;

/// All of the monitor's state.
pub(super) struct Supervisor {
    /// What plans are executed on.
    pub(super) host: Host,
    desired: Desired,
    observed: Observed,
    config: ConfigSide,
    messages: MessageSide,
    watch: WatchSide,
    sink: Sink,
    meters: Meters,
    schedules: Schedules,
    tick: Duration,
    started: Wall,
    next_tick: Moment,
    /// When this turn should have come at the latest.
    promised: Moment,
    /// When it was last said that one came late.
    stall_told: Option<Moment>,
    /// What was last said to be wrong with the output.
    output_told: Option<String>,
    reconciled: Option<Moment>,
    farewell: Farewell,
    foresight: Foresight,
    ending: Ending,
    /// Where the reason goes then.
    pub(super) termination: Termination,
    /// Who is told how it goes.
    upward: Upward,
    /// Set when the colony ended of itself.
    outcome: Option<Outcome>,
}

/// What a turn ends with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// Nothing to do before that moment, unless something happens.
    Sleep(Moment),
    /// The colony has ended.
    Done,
}

/// The parts of a supervisor.
pub(super) struct Parts {
    /// See [`Supervisor`].
    pub(super) host: Host,
    /// The configuration directory.
    pub(super) config: ConfigSide,
    /// The messages directory.
    pub(super) messages: MessageSide,
    /// The watch on both.
    pub(super) watch: WatchSide,
    /// The way out for output.
    pub(super) sink: Sink,
    /// What is counted.
    pub(super) meters: Meters,
    /// How often to look at everything.
    pub(super) tick: Duration,
    /// What strays are given between SIGTERM and SIGKILL at the end.
    pub(super) killtime: Duration,
    /// How the end is asked for.
    pub(super) farewell: Farewell,
    /// How far calendars have been followed.
    pub(super) schedules: Schedules,
    /// When it ends without being told to.
    pub(super) until: Until,
    /// Where the reason goes then.
    pub(super) termination: Termination,
    /// Who is told how it goes.
    pub(super) upward: Upward,
}

/// Being this late means that we were stalled: frozen, starved, or held up by a system call.
const STALL: Duration = Duration::from_secs(1);
/// Runs begun in one turn: some 25 ms, the longest that an exit or a probe waits for them.
const STARTS: usize = 64;
/// Bytes of output handled in one turn.
const OUTPUT: usize = 1 << 20;
/// How often to look for the end of what wakes nobody: a ghost, or an orphan's descendant.
const PEEK: Duration = Duration::from_millis(20);

impl Supervisor {
    /// Joins the parts. What an earlier monitor left running is ended first.
    pub(super) fn new(
        parts: Parts,
        now: Stamp,
        fallback: impl Fn() -> std::sync::Arc<crate::model::ProcessSpec>,
    ) -> Supervisor {
        let Parts {
            mut host,
            config,
            messages,
            watch,
            sink,
            meters,
            tick,
            killtime,
            farewell,
            schedules,
            until,
            termination,
            upward,
        } = parts;
        host.until = until;
        host.events.begin_turn(now);
        let mut observed = Observed::until(until);
        for (name, progress) in schedules.remembered() {
            observed.observe(Fact::Remembered(name.clone(), progress.clone()), now);
        }
        for (name, run) in host.inherit() {
            observed.observe(Fact::Inherited(name, run, fallback()), now);
        }
        Supervisor {
            host,
            desired: Desired::default(),
            observed,
            config,
            messages,
            watch,
            sink,
            meters,
            schedules,
            tick,
            started: now.wall,
            next_tick: now.at,
            promised: now.at,
            stall_told: None,
            output_told: None,
            reconciled: None,
            farewell,
            foresight: Foresight::default(),
            ending: Ending::new(killtime),
            termination,
            upward,
            outcome: None,
        }
    }

    /// This was heard of the configuration directory.
    pub(super) fn config_heard(&mut self, hint: Hint) {
        self.config.hear(hint);
    }

    /// Somebody wants the configuration directory to be read.
    pub(super) fn rescan(&mut self) {
        self.config.want(Trigger::Signal);
    }

    /// Something was heard of the messages directory.
    pub(super) fn messages_hint(&mut self) {
        self.messages.want();
    }

    /// Somebody asked for the end; whoever asks again is in a hurry. Nothing takes it back.
    pub(super) fn end(&mut self, now: Stamp) {
        let was_running = self.phase() != Phase::ShuttingDown;
        let step = self.farewell.asked(self.desired.ending, now.at);
        if was_running {
            self.leave_complaints(now);
        }
        let now = now.at;
        match step {
            Step::Echo => {}
            Step::Drain(span) => tracing::info!(
                "ending: not ready from now on, all runs on for {} s and is asked to stop then; ask again to begin at once",
                span.as_secs_f64()
            ),
            Step::Stop => {
                tracing::info!("ending: every process is asked to stop and has its grace; ask again to hurry");
                self.begin_the_end(Haste::Graceful, now);
            }
            Step::Kill => {
                tracing::warn!("ending at once: every process is killed");
                self.begin_the_end(Haste::Now, now);
            }
        }
    }

    /// Who reads why the container ended learns what was not well when somebody, such as a kubelet whose probe failed, had
    /// enough of it.
    fn leave_complaints(&mut self, now: Stamp) {
        let complaints = complaints(&self.snapshot(now));
        if !complaints.is_empty() {
            self.termination.tell("told to end, while not all was well", &complaints);
        }
    }

    /// Nobody comes any more, or should: all are asked to stop.
    fn notice_the_drained(&mut self, now: Moment) {
        if self.farewell.drained_at().is_some_and(|at| at <= now) {
            tracing::info!("every process is asked to stop and has its grace; ask again to hurry");
            self.begin_the_end(Haste::Graceful, now);
        }
    }

    /// The colony may have ended of itself: if so, all that is left of it is asked to stop.
    fn notice_the_end(&mut self, now: Moment) {
        if self.desired.ending.is_some() {
            return;
        }
        let complete = || {
            let refused = self.observed.is_complete().then(|| self.config.unborn()).flatten();
            self.observed.completion(&self.desired, refused.as_deref())
        };
        let Some(outcome) = self.observed.outcome().cloned().or_else(complete) else { return };
        let status = outcome.status;
        match status {
            0 => tracing::info!("ending with status 0: {}; what still runs is asked to stop", outcome.reason),
            _ => tracing::warn!("ending with status {status}: {}; what still runs is asked to stop", outcome.reason),
        }
        let lines = outcome.process.as_ref().map(|name| self.host.capture.last_lines(name));
        self.termination.tell(&outcome.reason, &lines.unwrap_or_default());
        self.outcome = Some(outcome);
        self.begin_the_end(Haste::Graceful, now);
    }

    fn begin_the_end(&mut self, haste: Haste, now: Moment) {
        // Nothing is read any more; closing inotify takes the kernel some milliseconds, which pass meanwhile.
        self.watch.end();
        self.host.is_ending = true;
        self.farewell.begin(now);
        let ending = Desired { until: self.farewell.until(), ..Desired::ending(haste) };
        let before = std::mem::replace(&mut self.desired, ending);
        self.observed.arrange(&self.desired, now);
        self.touch_all(&before);
    }

    /// The monitor's exit status: 0 unless the colony ended of itself, and not well.
    pub(super) fn exit_status(&self) -> u8 {
        self.outcome.as_ref().map_or(0, |outcome| outcome.status)
    }

    /// Whether something did not die, and was left.
    pub(super) fn left_behind(&self) -> bool {
        self.ending.left_behind()
    }

    /// Does all that is to be done now.
    pub(super) fn turn(&mut self, now: Stamp) -> Turn {
        let began = Instant::now();
        self.host.events.begin_turn(now);
        self.notice_stall(now);
        self.collect_facts(now);
        self.tick(now);
        self.notice_the_drained(now.at);
        self.read_directories(now);
        settle(&self.desired, &mut self.observed, &mut self.host, now, STARTS);
        self.host.see_off();
        self.host.capture.provide(self.host.children.next_run());
        self.tell_what_follows(now);
        self.save_schedules();
        failpoint::reach("turn");
        self.notice_the_end(now.at);
        let drained = self.host.capture.drain(OUTPUT);
        self.count();
        self.note_how_far(now);
        self.tell_upward(now);
        let turn = self.finish(now, drained.more);
        self.farewell.listens_again(now.at + began.elapsed());
        self.meters.reconcile.observe(began.elapsed().as_secs_f64());
        turn
    }

    /// Notes up to when all has been looked at. It never goes back.
    fn note_how_far(&mut self, now: Stamp) {
        let before = self.reconciled;
        self.reconciled = before.max(self.observed.done_until(now.at));
        if before.is_none() && self.reconciled.is_some() {
            // Reading, judging and starting all of it is over.
            process::let_go_of_start();
        }
    }

    /// Tells whoever has started the monitor how it goes: what phase it is in at once, in which words at each tick.
    fn tell_upward(&mut self, now: Stamp) {
        let phase = self.phase();
        if self.upward.asks(phase) {
            let status = upward::status(phase, &view(&self.desired, &self.observed, now));
            self.upward.note(phase, status, now.at);
        }
        self.upward.say(now.at);
    }

    /// Tells what the core has made of what ended and began in this turn.
    fn tell_what_follows(&mut self, now: Stamp) {
        for name in std::mem::take(&mut self.host.set_back) {
            if let Some(setback) = self.observed.setback(&self.desired, &name, now) {
                self.host.tell_setback(&name, setback);
            }
        }
        for name in std::mem::take(&mut self.host.by_the_clock) {
            let run = self.observed.records().get(&name).and_then(|record| record.life.run());
            if let Some(run) = run.filter(|run| run.missed > 0) {
                self.host.tell_missed(&name, run.id, run.missed);
            }
        }
    }

    /// Writes down how far calendars have been followed. At the end all is forgotten, and that is not written down.
    fn save_schedules(&mut self) {
        let unsaved = self.observed.take_unsaved();
        if self.desired.ending.is_none() {
            self.schedules.note(unsaved);
        }
        self.schedules.tell_trouble(self.host.journal.trouble().or(self.messages.trouble()));
    }

    /// The colony as it is now.
    pub(super) fn snapshot(&self, now: Stamp) -> Snapshot {
        let mut processes = view(&self.desired, &self.observed, now);
        let us = nix::unistd::Uid::effective().as_raw();
        let mut records = Beside::new(self.observed.records());
        for process in &mut processes {
            let run = records.get(&process.name).and_then(|record| record.life.run());
            process.pid = run.and_then(|run| self.host.pid(run.id));
            if let (Some(heartbeat), Some(mtime)) =
                (&mut process.heartbeat, run.and_then(|run| self.host.beat_mtime(run.id)))
            {
                heartbeat.last = Some(mtime);
            }
            let troubles = run.map(|run| [self.host.beat_trouble(run.id), self.host.limits.trouble(run.id)]);
            for trouble in troubles.into_iter().flatten().flatten() {
                let before = if process.message.is_empty() { "" } else { "; " };
                process.message.push_str(&format!("{before}{trouble}"));
            }
            if let Some(run) = run {
                process.status = self.host.voices.status(run.id).to_string();
            }
            let counts = self.host.capture.counts(&process.name);
            (process.log_bytes, process.log_dropped) = (counts.bytes, counts.dropped);
            process.file = self.config.file_of(&process.name);
            process.file_error = self.config.error_of(&process.name);
            process.user.get_or_insert(Account::Id(us));
            process.usage = self.host.usage.of(&process.name, run.map(|run| run.id), now.at);
        }
        Snapshot {
            taken: now,
            phase: self.phase(),
            started: self.started,
            reconciled: self.reconciled,
            processes,
            config: self.config.view(),
            watch: self.watch.view(),
            checks: self.checks(),
            strays: self.host.children.strays(),
            sampled: self.host.usage.sampled(),
        }
    }

    /// What a process has printed last.
    pub(super) fn log(&self, asked: &LogAsked) -> LogAnswer {
        let name = &asked.process;
        let run = self.observed.records().get(name).and_then(|record| record.life.run());
        let spec = run.map(|run| &run.spec).or(self.desired.processes.get(name));
        if spec.is_none() && !self.observed.records().contains_key(name) {
            return LogAnswer::NoProcess;
        }
        let output = spec.and_then(|spec| spec.birth.output).unwrap_or(self.host.default_output);
        match output.format {
            Format::Inherit => LogAnswer::NotCaptured,
            Format::Prefix | Format::Json => LogAnswer::Told(self.host.capture.log(asked, run.map(|run| run.id))),
        }
    }

    fn phase(&self) -> Phase {
        match (self.desired.ending, self.reconciled) {
            (Some(_), _) => Phase::ShuttingDown,
            (None, _) if self.farewell.drained_at().is_some() => Phase::ShuttingDown,
            (None, None) => Phase::Starting,
            (None, Some(_)) => Phase::Running,
        }
    }

    fn checks(&self) -> Vec<Check> {
        let check = |name, trouble: Option<String>| Check { name, trouble, gates: false };
        vec![
            check("watch", self.watch.trouble().map(str::to_string)),
            check("messages", self.messages.trouble().map(str::to_string)),
            check("journal", self.host.journal.trouble().map(str::to_string)),
            check("pid-files", self.host.pid_files.trouble().map(str::to_string)),
            check("output", self.sink.trouble()),
        ]
    }

    fn notice_stall(&mut self, now: Stamp) {
        let late = now.at.since(self.promised);
        if late > STALL {
            // A machine that is too slow makes it so again and again.
            if self.stall_told.is_none_or(|told| now.at.since(told) >= REPEAT) {
                tracing::warn!(
                    "this monitor did not run for {:.1} s; heartbeats from before count for one period more",
                    late.as_secs_f64()
                );
                self.stall_told = Some(now.at);
            }
            self.host.voices.stalled(now.at);
            self.observed.observe(Fact::Stalled, now);
        }
    }

    fn collect_facts(&mut self, now: Stamp) {
        let is_tick = now.at >= self.next_tick;
        let said = self.host.hear(now.at);
        let ended = self.host.reap(is_tick);
        // What was written before an exit may be heard of after it, and would be a restart of its own.
        if !ended.is_empty() && self.desired.ending.is_none() {
            self.config.want_if_changed();
            self.messages.want_if_changed();
        }
        let told = self.host.hooks_answered().into_iter().chain(self.host.heartbeats()).chain(self.host.weights());
        said.iter().for_each(|fact| self.host.tell_verdict(fact, &self.observed));
        // After the ends, which may be of commands whose time is over by now.
        for fact in said.into_iter().chain(ended).chain(told).chain(self.host.probed(now.at)) {
            self.observed.observe(fact, now);
        }
        self.host.sample_usage(now);
    }

    /// The safety net: at every tick all is looked at, whatever was heard.
    fn tick(&mut self, now: Stamp) {
        if now.at < self.next_tick {
            return;
        }
        self.next_tick = now.at + self.tick;
        self.watch.refresh();
        self.upward.refresh();
        self.tell_output();
        self.host.refresh_journal();
        self.schedules.refresh();
        self.config.want(Trigger::Poll);
        self.messages.want();
        let desired = std::mem::take(&mut self.desired);
        self.touch_all(&desired);
        self.desired = desired;
    }

    /// Says that lines are lost, while that can be said: the log is not always where the lines go.
    fn tell_output(&mut self) {
        let trouble = self.sink.trouble();
        if trouble != self.output_told {
            match &trouble {
                Some(trouble) => tracing::warn!("{trouble}; lines are dropped until it can be written again"),
                None => tracing::info!("the output can be written again"),
            }
            self.output_told = trouble;
        }
    }

    fn touch_all(&mut self, desired: &Desired) {
        let names = desired.processes.keys().chain(self.observed.records().keys()).cloned().collect::<Vec<_>>();
        for name in names {
            self.observed.observe(Fact::Touched(name), Stamp::default());
        }
    }

    fn read_directories(&mut self, now: Stamp) {
        if self.is_read() {
            if self.messages.has_work() {
                self.config.hurry();
            }
            let edited = self.config.read(now, &self.meters, &mut self.host.events);
            if !edited.is_empty() {
                self.desired.processes.clone_from(self.config.processes());
                self.observed.arrange(&self.desired, now.at);
                self.foresight.look(&edited, &self.desired, &self.farewell, &mut self.host.events);
            }
            for name in edited {
                self.observed.observe(Fact::Edited(name), now);
            }
        }
        let known = Known { desired: &self.desired, observed: &self.observed, config: &self.config };
        for (found, order) in self.messages.read(now.at, &known, &self.meters) {
            match order {
                Order::Tell(fact) if self.observed.has_answered(&fact, found) => {}
                Order::Tell(fact) => self.observed.observe(fact, now),
                Order::Signal(name, run, signal) => self.host.pass_on(&name, run, signal),
            }
        }
    }

    /// Why a message of this text would be refused now, if it would be.
    pub(super) fn verdict(&self, message: &str) -> Option<String> {
        let known = Known { desired: &self.desired, observed: &self.observed, config: &self.config };
        crate::messages::request(message).and_then(|request| orders(&request, &known)).err()
    }

    /// Whether what is desired is still read: not once the end was asked for.
    fn is_read(&self) -> bool {
        self.desired.ending.is_none() && self.farewell.drained_at().is_none()
    }

    /// Carries over what is counted elsewhere.
    fn count(&self) {
        let carry = |counter: &prometheus::IntCounter, total: u64| counter.inc_by(total.saturating_sub(counter.get()));
        carry(&self.meters.orphans, self.host.children.orphans_reaped());
        carry(&self.meters.overflows, self.watch.overflows());
        carry(&self.meters.log_dropped, self.sink.own_dropped());
        carry(&self.meters.output_lost, self.sink.lost());
        let notices = self.host.voices.counts();
        carry(&self.meters.notify_messages, notices.taken);
        carry(&self.meters.notify_rejected, notices.rejected);
    }

    fn finish(&mut self, now: Stamp, more_output: bool) -> Turn {
        let ending = match self.desired.ending {
            Some(haste) => match self.ending.step(
                haste,
                self.farewell.strays_until(),
                &self.observed,
                &mut self.host.children,
                now.at,
            ) {
                Turn::Sleep(until) => Some(until),
                Turn::Done => return Turn::Done,
            },
            None => None,
        };
        let peek = self.host.children.has_leaving() || self.host.children.has_ghosts();
        let reading = self.is_read().then(|| self.config.wake_at(now.at)).flatten();
        let wakes = [
            Some(self.next_tick),
            self.observed.wake_at(),
            self.host.probes_wake_at(),
            reading,
            self.messages.wake_at(),
            self.host.voices.wake_at(),
            self.host.usage.wake_at(),
            self.upward.wake_at(),
            peek.then(|| now.at + PEEK),
            more_output.then_some(now.at),
            ending,
            self.farewell.drained_at(),
        ];
        self.promised = wakes.into_iter().flatten().min().unwrap_or(self.next_tick).max(now.at);
        Turn::Sleep(self.promised)
    }
}
