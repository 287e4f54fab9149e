//! The end of the colony after the core has done its part: what belongs to no run is ended, too, and nothing that the
//! kernel does not let die is waited for.

use std::time::Duration;

use super::turn::Turn;
use crate::model::{Moment, Signal};
use crate::process::Children;
use crate::reconcile::{Haste, Life, Observed};

/// How far the end has come.
#[derive(Debug)]
pub(super) struct Ending {
    /// What strays are given between SIGTERM and SIGKILL, from the beginning of the end.
    killtime: Duration,
    since: Option<Moment>,
    last: LastOrders,
    /// Since when so many runs have outlived their SIGKILL, and nothing else is waited for.
    hopeless: Option<(Moment, usize)>,
    /// Whether something was given up.
    left_behind: bool,
}

/// The end of what belongs to no run.
#[derive(Clone, Copy, Debug)]
enum LastOrders {
    NotYet,
    Asked(Moment),
    Killed(Moment),
}

/// How often to look.
const PEEK: Duration = Duration::from_millis(20);
/// The least that a stray has, when all the time went to the runs.
const SHORT_GRACE: Duration = Duration::from_millis(500);
/// How long the end waits for what does not die of SIGKILL: a process in a hung system call, or in a frozen cgroup.
const UNKILLABLE: Duration = Duration::from_secs(1);

impl Ending {
    /// Not begun.
    pub(super) fn new(killtime: Duration) -> Ending {
        Ending { killtime, since: None, last: LastOrders::NotYet, hopeless: None, left_behind: false }
    }

    /// Whether something could not be killed and was left.
    pub(super) fn left_behind(&self) -> bool {
        self.left_behind
    }

    /// The next step of an end that has begun, and until when to wait for the one after it.
    pub(super) fn step(
        &mut self,
        haste: Haste,
        until: Option<Moment>,
        observed: &Observed,
        children: &mut Children,
        now: Moment,
    ) -> Turn {
        self.since.get_or_insert(now);
        let haste = match self.runs(observed, children, now) {
            Runs::Ended => haste,
            Runs::GivenUp => Haste::Now,
            Runs::Awaited(until) => return Turn::Sleep(until),
        };
        match self.strays(haste, until, children, now) {
            true => Turn::Sleep(now + PEEK),
            false => Turn::Done,
        }
    }

    fn runs(&mut self, observed: &Observed, children: &Children, now: Moment) -> Runs {
        if observed.records().is_empty() {
            return Runs::Ended;
        }
        if self.left_behind {
            return Runs::GivenUp;
        }
        if !observed.records().values().all(|record| was_killed(&record.life)) {
            return Runs::Awaited(Moment::NEVER);
        }
        // Whenever one of them dies, there is hope for the others.
        let left = observed.records().len();
        let since = self.hopeless.filter(|(_, before)| *before == left).map_or(now, |(since, _)| since);
        self.hopeless = Some((since, left));
        if now < since + UNKILLABLE {
            return Runs::Awaited(since + UNKILLABLE);
        }
        for (name, record) in observed.records() {
            let pid = record.life.run().and_then(|run| children.pid(run.id));
            tracing::error!(process = %name, pid, "{name} does not die of SIGKILL; it is left behind");
        }
        self.left_behind = true;
        Runs::GivenUp
    }

    /// Whether to wait for what was adopted and belongs to no run.
    fn strays(&mut self, haste: Haste, until: Option<Moment>, children: &mut Children, now: Moment) -> bool {
        let deadline = self.since.map_or(now, |since| since + self.killtime);
        match (self.last, haste) {
            (LastOrders::NotYet, Haste::Graceful) => {
                self.last = LastOrders::Asked(now);
                children.signal_strays(Signal::TERM)
            }
            (LastOrders::Asked(at), Haste::Graceful)
                if now < deadline.max(at + SHORT_GRACE).min(until.unwrap_or(Moment::NEVER)) =>
            {
                children.has_strays()
            }
            (LastOrders::NotYet | LastOrders::Asked(_), Haste::Graceful | Haste::Now) => {
                self.last = LastOrders::Killed(now);
                children.signal_strays(Signal::KILL)
            }
            (LastOrders::Killed(at), _) => {
                let left = children.signal_strays(Signal::KILL);
                if left && now >= at + UNKILLABLE {
                    tracing::error!("adopted processes do not die of SIGKILL; they are left behind");
                    self.left_behind = true;
                    return false;
                }
                left
            }
        }
    }
}

enum Runs {
    Ended,
    GivenUp,
    Awaited(Moment),
}

fn was_killed(life: &Life) -> bool {
    match life {
        Life::Down | Life::Up(_) => false,
        Life::Stopping(_, stopping) | Life::Leaving(_, stopping) => stopping.killed_at.is_some(),
    }
}
