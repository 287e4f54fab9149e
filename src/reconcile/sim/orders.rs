//! What must hold when the core gives an order.

use std::sync::Arc;
use std::time::Duration;

use super::kernel::State;
use super::machine::World;
use crate::model::{Incarnation, Kill, Moment, Name, ProcessSpec, Signal};
use crate::{Haste, PostStart, Target, Why};

impl World {
    pub(super) fn may_start(&mut self, name: &Name, spec: &Arc<ProcessSpec>, why: Why) {
        let now = self.now.at;
        self.check(is_reason_to_start(why), || format!("{name} was started because {}", why.as_str()));
        let wanted = self.desired.processes.get(name).is_some_and(|wanted| Arc::ptr_eq(wanted, spec));
        let allowed = !spec.suspend || (why == Why::Triggered && spec.schedule.is_some());
        self.check(wanted && allowed, || format!("{name} was started and is not desired"));
        let ending = self.desired.ending;
        self.check(ending.is_none(), || format!("{name} was started in a shutdown"));
        let alive = self.kernel.procs().find(|(pid, proc)| {
            let of_run = proc.run.map(|id| self.run(id));
            of_run.is_some_and(|run| run.name == *name && (proc.is_alive() || run.main == *pid))
        });
        let alive = alive.map(|(pid, proc)| format!("two lives of {name}: pid {pid} is still there, {proc:?}"));
        self.check(alive.is_none(), || alive.unwrap_or_default());
        self.check(self.is_free(spec), || format!("{name} was started, and what it depends on is not as it must be"));
        let stopped = self.ledger(name).stopped;
        self.check(!stopped, || format!("{name} was started, and a message has stopped it"));
        let stamp = self.now;
        let due = self.ledger(name).due_at(spec, stamp);
        let ledger = self.ledgers[name].clone();
        self.check(due <= now, || format!("{name} was started before its time {due:?}: {ledger:?}"));
    }

    pub(super) fn may_signal(&mut self, name: &Name, id: Incarnation, target: Target, signal: Signal, why: Why) {
        let known = self.runs.get(id.get() as usize - 1).is_some_and(|run| run.name == *name && !run.empty_told);
        self.check(known, || format!("{signal} for run {id} of {name}, of which nothing is left"));
        if !known {
            return;
        }
        let now = self.now.at;
        let run = self.run(id);
        let (stop, grace) = (&run.spec.stop, self.grace(id, run.stop_why));
        let says = format!("{signal} to the {} of {name} because {}", target.as_str(), why.as_str());
        let whom = if stop.kill == Kill::Mixed { Target::Main } else { Target::Tree };
        let asks = signal == stop.signal && target == whom;
        let hurries = self.desired.ending == Some(Haste::Now);
        let hook_is_over = run.hook.is_none_or(|hook| hook.asked || hook.is_over(now));
        let holds = match (run.exit_told, run.ending_at, signal == Signal::KILL) {
            (true, None, _) => unreachable!("an exit begins the ending"),
            (false, None, true) if hurries => target == Target::Tree,
            (false, None, _) if !self.is_its_turn(name, why) => false,
            (false, None, _) => asks && stop.pre_stop.is_none() && self.may_stop(name, id, why),
            (false, Some(_), _) if asks && !hurries && run.hook.is_some_and(|hook| !hook.asked) => {
                hook_is_over && run.stop_why == Some(why)
            }
            (true, Some(_), false) => {
                signal == stop.signal && target == Target::Tree && !run.rest_asked && hook_is_over
            }
            (true, Some(_), true) if !run.rest_asked && run.killed_at.is_none() && signal == stop.signal => true,
            (_, Some(from), true) => {
                let in_time = match run.killed_at {
                    Some(at) => at + Duration::from_secs(1) <= now,
                    None => {
                        let cut = why == Why::CutShort && self.latest(name) <= now;
                        ((from + grace <= now || cut) && hook_is_over) || hurries
                    }
                };
                target == Target::Tree && in_time
            }
            (false, Some(_), false) => false,
        };
        self.check(holds, || says);
    }

    /// Whether there is reason to end a run that is up.
    pub(super) fn may_stop(&self, name: &Name, id: Incarnation, why: Why) -> bool {
        let run = self.run(id);
        let wanted = self.desired.processes.get(name);
        match why {
            Why::Removed => wanted.is_none() && self.desired.ending.is_none(),
            Why::Shutdown => wanted.is_none() && self.desired.ending.is_some(),
            Why::Suspended => {
                wanted.is_some_and(|spec| spec.suspend && !(spec.schedule.is_some() && run.spec.schedule.is_some()))
            }
            Why::Stopped => self.ledgers.get(name).is_some_and(|ledger| ledger.stopped),
            Why::SpecChanged => {
                wanted.is_some_and(|spec| {
                    spec.born != run.spec.born && !(spec.schedule.is_some() && run.spec.schedule.is_some())
                }) && run.since + Duration::from_secs(1) <= self.now.at
                    && self.may_be_renewed(name, id)
            }
            Why::Requested => {
                self.ledgers.get(name).is_some_and(|ledger| ledger.asked.is_some()) && self.may_be_renewed(name, id)
            }
            Why::Inherited => run.inherited,
            Why::ProbeFailed(kind) => self.has_failed(id, kind),
            Why::PostStartFailed => run.post_start == PostStart::Failed,
            Why::HeartbeatStale if self.now.at < self.held_until => false,
            Why::HeartbeatStale => run.spec.heartbeat.as_ref().is_some_and(|heartbeat| {
                let lately = run.read_at.and_then(|at| Some(run.heart.latest(at)? + heartbeat.period > at));
                !self.is_beating(id) && run.read_at.is_some() && lately != Some(true)
            }),
            Why::MemoryExceeded(excess) => self.is_too_heavy(id, excess),
            Why::DeadlineExceeded => {
                run.spec.active_deadline.is_some_and(|deadline| run.since + deadline <= self.now.at)
            }
            Why::Replaced => {
                self.ledgers.get(name).zip(wanted).is_some_and(|(ledger, spec)| {
                    ledger.times.replaced(spec, ledger.triggered, self.now) <= self.now.at
                })
            }
            Why::Created
            | Why::OomKilled
            | Why::Ended
            | Why::BackoffOver
            | Why::Scheduled
            | Why::Triggered
            | Why::WantedAgain
            | Why::LeftBehind
            | Why::GraceOver
            | Why::CutShort
            | Why::Undying
            | Why::Hurried => false,
        }
    }

    /// Whether the run beats as it should and always did.
    fn is_beating(&self, id: Incarnation) -> bool {
        let run = self.run(id);
        let Some(heartbeat) = &run.spec.heartbeat else { return true };
        let patience = heartbeat.period.mul_f64(heartbeat.grace.max(1.0));
        run.heart.stops_at == Moment::NEVER
            && run.heart.every <= heartbeat.period
            && (run.heart.before.is_some()
                || run.heart.first <= (run.pulse_from + patience).max(self.stalled_at + heartbeat.period))
            && self.kernel.get(run.main).is_some_and(|proc| proc.run == Some(id) && proc.state == State::Runs)
    }
}

fn is_reason_to_start(why: Why) -> bool {
    match why {
        Why::Created
        | Why::Ended
        | Why::BackoffOver
        | Why::Scheduled
        | Why::Triggered
        | Why::Requested
        | Why::WantedAgain
        | Why::SpecChanged
        | Why::Inherited => true,
        Why::Removed
        | Why::Suspended
        | Why::Stopped
        | Why::HeartbeatStale
        | Why::ProbeFailed(_)
        | Why::PostStartFailed
        | Why::MemoryExceeded(_)
        | Why::OomKilled
        | Why::DeadlineExceeded
        | Why::Replaced
        | Why::Shutdown
        | Why::LeftBehind
        | Why::GraceOver
        | Why::CutShort
        | Why::Undying
        | Why::Hurried => false,
    }
}
