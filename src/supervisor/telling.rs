//! What is told of the runs, and in which words.

use std::borrow::Cow;
use std::time::Instant;

use super::events::{Level, Told};
use super::host::{Host, REPEAT};
use crate::model::{Exit, Incarnation, Name, Reason, Signal, StartError};
use crate::reconcile::{Setback, Target, Why};

impl Host {
    pub(super) fn tell_exit(&mut self, name: &Name, run: Incarnation, exit: Exit, rest: bool) {
        let reason = match (self.told_to_end.contains(&run), exit.is_success()) {
            (true, _) => Reason::Stopped,
            (false, true) => Reason::Completed,
            (false, false) => Reason::Exited,
        };
        let after = if rest { "; something that it started is left" } else { "" };
        let told = Told::of(name, reason, exit.to_string()).run(run);
        self.events.tell(told, format_args!("{name} ended: {exit}{after}"));
    }

    fn tell_undying(&mut self, name: &Name, run: Incarnation) {
        let lately = self.undying.get(&run).is_some_and(|at| at.elapsed() < REPEAT);
        let told = Told::of(name, killing(Why::Undying), "it does not die of SIGKILL").run(run).level(Level::Error);
        if lately {
            self.events.note(told);
        } else {
            self.undying.insert(run, Instant::now());
            let then = if self.is_ending { "" } else { "; it is not started again before it does" };
            self.events.tell(told, format_args!("{name} does not die of SIGKILL{then}"));
        }
    }

    pub(super) fn tell_failure(&mut self, name: &Name, error: &StartError) {
        let told = Told::of(name, Reason::Failed, format!("cannot start: {error}")).level(Level::Error);
        if self.told.get(name) == Some(error) {
            self.events.note(told);
        } else {
            let line = format_args!("cannot start {name}: {error}; it is tried again with a growing delay");
            self.events.tell(told, line);
            self.told.insert(name.clone(), error.clone());
        }
    }

    /// A start that failed was told with that, so the log needs no more.
    pub(super) fn tell_setback(&mut self, name: &Name, setback: Setback) {
        match setback {
            Setback::Start => {
                self.events.note(Told::of(name, Reason::BackOff, "back-off restarting: it cannot be started"))
            }
            Setback::Run(cause) => {
                let message = format!("back-off restarting: {cause}");
                self.events.tell_now_and_then(Told::of(name, Reason::BackOff, message));
            }
        }
    }

    pub(super) fn tell_missed(&mut self, name: &Name, run: Incarnation, missed: u64) {
        let times = u32::try_from(missed).unwrap_or(u32::MAX);
        let told = Told::of(name, Reason::MissSchedule, "nothing was run for times of its schedule").run(run);
        self.events.tell_now_and_then(told.times(times));
    }

    /// Files what is wrong with a run, before the end that comes of it.
    pub(super) fn note_unhealthy(&mut self, name: &Name, run: Incarnation, why: Why) {
        if why == Why::HeartbeatStale {
            self.events.note(Told::of(name, Reason::Unhealthy, why.as_str()).run(run));
        }
    }

    /// Says that a signal is sent, to the end of the run. What is filed is the beginning of that, and SIGKILL.
    pub(super) fn tell_signal(&mut self, name: &Name, run: Incarnation, signal: Signal, why: Why, target: Target) {
        let is_first = self.told_to_end.insert(run);
        if is_first {
            self.note_unhealthy(name, run, why);
        }
        let level = if is_trouble(why) { Level::Warn } else { Level::Info };
        let told = Told::of(name, killing(why), self.why_killing(name, run, why)).run(run).level(level);
        let line = format_args!("{signal} to the {} of {name}: {why}", target.as_str());
        match (why, is_first || signal == Signal::KILL) {
            (Why::Undying, _) => self.tell_undying(name, run),
            (_, true) => self.events.tell(told, line),
            (_, false) => self.events.say(&told, line),
        }
    }

    /// What an event says of a run that is told to end: for a probe's sake, the kubelet's sentence.
    pub(super) fn why_killing(&self, name: &Name, run: Incarnation, why: Why) -> Cow<'static, str> {
        match why {
            Why::ProbeFailed(kind) => {
                let then = if self.probes.is_followed(run) { ", will be restarted" } else { "" };
                format!("{name} failed {}{then}", kind.as_str()).into()
            }
            other => other.as_str().into(),
        }
    }
}

/// The kubelet's word for a signal that is sent for this.
pub(super) fn killing(why: Why) -> Reason {
    match why {
        Why::GraceOver => Reason::ExceededGracePeriod,
        Why::DeadlineExceeded => Reason::DeadlineExceeded,
        Why::Undying => Reason::FailedKillPod,
        Why::HeartbeatStale
        | Why::ProbeFailed(_)
        | Why::PostStartFailed
        | Why::MemoryExceeded(_)
        | Why::OomKilled
        | Why::CutShort
        | Why::Created
        | Why::Ended
        | Why::BackoffOver
        | Why::Scheduled
        | Why::Triggered
        | Why::Replaced
        | Why::Requested
        | Why::Removed
        | Why::Suspended
        | Why::Stopped
        | Why::SpecChanged
        | Why::WantedAgain
        | Why::Shutdown
        | Why::Inherited
        | Why::LeftBehind
        | Why::Hurried => Reason::Killing,
    }
}

/// Whether somebody may want to know why this came to be needed.
fn is_trouble(why: Why) -> bool {
    match why {
        Why::HeartbeatStale
        | Why::ProbeFailed(_)
        | Why::PostStartFailed
        | Why::DeadlineExceeded
        | Why::MemoryExceeded(_)
        | Why::OomKilled
        | Why::GraceOver
        | Why::CutShort
        | Why::Undying => true,
        Why::Created
        | Why::Ended
        | Why::BackoffOver
        | Why::Scheduled
        | Why::Triggered
        | Why::Replaced
        | Why::Requested
        | Why::Removed
        | Why::Suspended
        | Why::Stopped
        | Why::SpecChanged
        | Why::WantedAgain
        | Why::Shutdown
        | Why::Inherited
        | Why::LeftBehind
        | Why::Hurried => false,
    }
}
