//! All arithmetic on moments.

use std::time::Duration;

use super::plan::Why;
use super::policy;
use super::record::{Ask, Failed, Life, Pulse, Record, Run, Stopping, Tried};
use super::schedule;
use crate::model::{Backoff, Heartbeat, Moment, ProcessSpec, Stamp};

/// The longest wait after a start that failed for want of something that may soon be there again.
const TRANSIENT_DELAY: Duration = Duration::from_secs(5);
/// No failure is followed by a start sooner, whatever the file says: a program that is not there must not cost a core.
const SHORTEST_DELAY: Duration = Duration::from_millis(100);
/// No heartbeat is looked at more often.
const SHORTEST_LOOK: Duration = Duration::from_millis(50);
/// A run lasts at least this long before an edit ends it: a file that flaps costs one run a second, not twenty, and
/// leaves the one that runs in peace for as long.
const SETTLE: Duration = Duration::from_secs(1);
/// How often what outlived a SIGKILL is sent another: it may have forked in between, or not have been ours to kill.
pub(super) const KILL_AGAIN: Duration = Duration::from_secs(1);

/// When a process that is down is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// At that moment, or as soon after it as can be.
    At(Moment, Why),
    /// Not before something changes: its policy says that it has ended for good.
    Never,
}

/// When `record`'s process, which is down and wanted, is due.
pub(super) fn due_at(spec: &ProcessSpec, record: &Record, now: Stamp) -> Due {
    match &spec.schedule {
        Some(schedule) => schedule::due_at(schedule, spec, record, now),
        None => service_due_at(spec, record),
    }
}

/// The same, of what has no schedule: no clock is needed for it.
pub(super) fn service_due_at(spec: &ProcessSpec, record: &Record) -> Due {
    let Some(tried) = record.tried else { return Due::At(Moment::ZERO, Why::Created) };
    if let Some(failed) = &record.failed {
        return Due::At(again_at(spec, record, failed), Why::BackoffOver);
    }
    if record.asked == Some(Ask::Named) {
        return Due::At(Moment::ZERO, Why::Requested);
    }
    follows_at(tried, spec, record)
}

/// When a start that failed is tried again.
pub(super) fn again_at(spec: &ProcessSpec, record: &Record, failed: &Failed) -> Moment {
    let unchanged = record.tried == Some(Tried::of(spec)) && record.asked.is_none();
    let delay = match (unchanged, failed.error.is_transient()) {
        (false, _) => Duration::ZERO,
        (true, true) => delay(&spec.backoff, record.streak).min(TRANSIENT_DELAY),
        (true, false) => delay(&spec.backoff, record.streak),
    };
    failed.at.at + delay
}

/// When a run that is not what is wanted any more may be ended for it.
pub(super) fn settled_at(run: &Run) -> Moment {
    run.since.at + SETTLE
}

/// A service is due after its last run as its policy says; an edit clears the wait, a changed birth any verdict.
fn follows_at(tried: Tried, spec: &ProcessSpec, record: &Record) -> Due {
    let Some(last) = &record.last else { return Due::At(Moment::ZERO, Why::Created) };
    let settled = last.began + SETTLE;
    if tried.born != spec.born {
        return Due::At(settled, Why::SpecChanged);
    }
    // An edit may flap; a person who asks means it.
    match last.why {
        Some(Why::Removed | Why::Suspended | Why::Stopped | Why::Replaced) => {
            return Due::At(settled, Why::WantedAgain);
        }
        Some(Why::Requested) => return Due::At(Moment::ZERO, Why::Requested),
        // As with a Pod, that is its end, whatever its policy.
        Some(Why::DeadlineExceeded) => return Due::Never,
        Some(why) if why.is_request() => return Due::At(settled, why),
        Some(_) | None => {}
    }
    if !policy::is_followed(spec, last) {
        return Due::Never;
    }
    let asked = record.asked.is_some();
    match record.streak {
        0 => Due::At(Moment::ZERO, Why::Ended),
        _ if asked => Due::At(Moment::ZERO, Why::BackoffOver),
        _ if tried.whole != spec.whole => Due::At(settled, Why::BackoffOver),
        streak => Due::At(last.at.at + delay(&spec.backoff, streak), Why::BackoffOver),
    }
}

/// When a run has lasted longer than it may.
pub(super) fn too_long_at(run: &Run) -> Moment {
    run.spec.active_deadline.map_or(Moment::NEVER, |deadline| run.since.at + deadline)
}

/// The longest that a run that is not wanted may take to end, from now.
pub(super) fn grace_left(life: &Life, now: Moment) -> Duration {
    match life {
        Life::Down => Duration::ZERO,
        Life::Up(run) => run.spec.stop.grace,
        Life::Stopping(_, stopping) | Life::Leaving(_, stopping) if stopping.killed_at.is_some() => Duration::ZERO,
        Life::Stopping(run, stopping) | Life::Leaving(run, stopping) => {
            (stopping.asked_at + run.grace(stopping.why).min(run.spec.stop.grace)).since(now)
        }
    }
}

/// From the beginning of an end to SIGKILL. What is not wanted at all has no more than its own grace, as with a Pod that is
/// deleted.
pub(super) fn grace(run: &Run, stopping: &Stopping, wanted: Option<&ProcessSpec>) -> Duration {
    let grace = run.grace(stopping.why);
    if wanted.is_some() { grace } else { grace.min(run.spec.stop.grace) }
}

/// The delay after so many failures in a row: none, `initial`, doubled at each further one, up to `max`.
pub(super) fn delay(backoff: &Backoff, streak: u32) -> Duration {
    let Some(doublings) = streak.checked_sub(1) else { return Duration::ZERO };
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    backoff.initial.saturating_mul(factor).min(backoff.max).max(SHORTEST_DELAY)
}

/// What to do about a run's heartbeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pulsing {
    /// Nothing before that moment.
    Wait(Moment),
    /// Look, now.
    Look,
    /// A look is under way; there is no verdict without its answer.
    Looking,
    /// It was looked at after its time, and there was no beat.
    Stale,
}

/// Judges a run's heartbeat. Only a change that was seen is a beat, so no clock but the monotonic one matters; and a
/// monitor that was stalled itself, or could not look, has no evidence for one period more.
pub(super) fn pulse(heartbeat: &Heartbeat, run: &Run, stalled_at: Option<Moment>, now: Moment) -> Pulsing {
    let pulse = &run.pulse;
    let deadline = expires_at(heartbeat, pulse, stalled_at);
    let look_at = look_again_at(heartbeat, run).min(deadline);
    match pulse.looking {
        true => Pulsing::Looking,
        false if pulse.looked_at >= deadline => Pulsing::Stale,
        false if look_at <= now => Pulsing::Look,
        false => Pulsing::Wait(look_at),
    }
}

/// When a run whose heart has stopped, and that is not ended for it yet, is looked at again.
pub(super) fn look_again_at(heartbeat: &Heartbeat, run: &Run) -> Moment {
    run.pulse.looked_at + (heartbeat.period / 4).max(SHORTEST_LOOK)
}

/// What a new run has for its first beat.
pub(super) fn first_grace(heartbeat: &Heartbeat) -> Duration {
    Duration::try_from_secs_f64(heartbeat.period.as_secs_f64() * heartbeat.grace).unwrap_or(Duration::MAX)
}

/// When a heart that has not beaten again by then has stopped.
pub(super) fn expires_at(heartbeat: &Heartbeat, pulse: &Pulse, stalled_at: Option<Moment>) -> Moment {
    let grace = first_grace(heartbeat);
    let beat = pulse.beat.map_or(pulse.from, |beat| beat.at);
    let excuse = stalled_at.max(pulse.blind_at).map_or(Moment::ZERO, |at| at + heartbeat.period);
    (pulse.from + grace).max(beat + heartbeat.period).max(excuse)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Pulsing, delay, pulse};
    use crate::model::{Backoff, Heartbeat, Incarnation, Moment, Name, ProcessSpec, Stamp};
    use crate::{Fact, Observed};

    fn seconds(n: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(n)
    }

    #[test]
    fn the_delay_doubles_from_the_initial_to_the_cap() {
        let delays: Vec<u64> = (0..9).map(|streak| delay(&KUBELET, streak).as_secs()).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(delay(&KUBELET, u32::MAX).as_secs(), 300);
    }

    const KUBELET: Backoff = Backoff {
        threshold: Duration::from_secs(600),
        initial: Duration::from_secs(10),
        max: Duration::from_secs(300),
    };

    fn beating(period: u64) -> Heartbeat {
        Heartbeat { period: Duration::from_secs(period), grace: 1.0, file: "/beat".into() }
    }

    fn spec(heartbeat: Option<Heartbeat>) -> Arc<ProcessSpec> {
        Arc::new(ProcessSpec { heartbeat, ..ProcessSpec::unknown(KUBELET, Duration::ZERO) })
    }

    /// What happened, and when.
    type Then = (u64, fn(Name, Incarnation) -> Fact);

    /// A process whose only run began at 100 s and met with these facts, and what its heartbeat comes to at `now`.
    fn judged(born: Option<Heartbeat>, facts: &[Then], now: u64) -> Pulsing {
        let (name, id) = (Name::parse("web").expect("a name"), Incarnation::new(NonZeroU64::MIN));
        let at = |seconds_: u64| Stamp { at: seconds(seconds_), ..Stamp::default() };
        let mut observed = Observed::default();
        observed.observe(Fact::Started(name.clone(), id, spec(born)), at(100));
        for (when, fact) in facts {
            observed.observe(fact(name.clone(), id), at(*when));
        }
        let run = observed.records()[&name].life.run().expect("it runs");
        let heartbeat = run.spec.heartbeat.as_ref().expect("a heartbeat");
        pulse(heartbeat, run, observed.stalled_at, seconds(now))
    }

    #[test]
    fn a_look_that_was_given_up_is_no_evidence_and_is_made_again() {
        let missed = judged(Some(beating(20)), &[(120, Fact::Looking), (121, Fact::NoBeat)], 121);
        assert_eq!(missed, Pulsing::Stale);
        let hangs = judged(Some(beating(20)), &[(120, Fact::Looking)], 500);
        assert_eq!(hangs, Pulsing::Looking);
        let facts: &[Then] = &[(120, Fact::Looking), (500, Fact::Blind)];
        assert_eq!(judged(Some(beating(20)), facts, 500), Pulsing::Look);
        let facts: &[Then] = &[(120, Fact::Looking), (500, Fact::Blind), (519, Fact::Looking), (519, Fact::NoBeat)];
        assert_eq!(judged(Some(beating(20)), facts, 519), Pulsing::Wait(seconds(520)));
        let facts: &[Then] = &[(120, Fact::Looking), (500, Fact::Blind), (520, Fact::Looking), (520, Fact::NoBeat)];
        assert_eq!(judged(Some(beating(20)), facts, 520), Pulsing::Stale);
    }

    #[test]
    fn a_heartbeat_that_an_edit_asks_for_is_looked_at_at_once() {
        let edit: fn(Name, Incarnation) -> Fact = |name, _| Fact::Adopted(name, spec(Some(beating(20))));
        assert_eq!(judged(None, &[(300, edit)], 300), Pulsing::Look);
        assert_eq!(
            judged(None, &[(300, edit), (300, Fact::Looking), (301, Fact::NoBeat)], 301),
            Pulsing::Wait(seconds(305))
        );
    }
}
