//! Runs that are begun by the clock, or by hand though the clock says nothing. The rules are a CronJob's; where it would
//! begin a second job beside the first there is one process, which never has two lives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Why;
use super::policy;
use super::record::{Life, Record, Run};
use super::timing::{self, Due};
use crate::model::{Calendar, Concurrency, Moment, ProcessSpec, Rhythm, Schedule, Stamp, Wall};

/// How far a calendar has been followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Which one: [`Calendar::id`].
    pub calendar: Arc<str>,
    /// Times up to this one are done with: it was run for, or was when the calendar was first seen.
    pub up_to: Wall,
    /// When that was so.
    pub since: Stamp,
    /// The last time that was run for.
    pub last: Option<Wall>,
}

/// Why a run cannot be asked for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoTrigger {
    /// It has no schedule.
    NoSchedule,
    /// A run of it is not over, and `concurrencyPolicy` is `Forbid`.
    StillRuns,
    /// A message has stopped it.
    Stopped,
}

/// Times that were missed are counted up to this many at once, as far as a CronJob counts them.
const MANY: u64 = 100;
/// A wall clock that is set back by more than this was wrong before: what was done in the future is no reason to do
/// nothing until then. Set back by less, it comes to times that were run for, and they are not run for again.
const CORRECTION: Duration = Duration::from_secs(86_400);

/// Whether a run of this process may be asked for ([`super::Ask::Trigger`]): of a schedule, suspended or not, that does
/// not run, or whose runs make room for each other.
///
/// # Errors
/// Why not.
pub fn may_trigger(spec: &ProcessSpec, record: Option<&Record>) -> Result<(), NoTrigger> {
    let Some(schedule) = &spec.schedule else { return Err(NoTrigger::NoSchedule) };
    let runs = record.is_some_and(|record| record.life.run().is_some());
    let stopped = record.is_some_and(|record| record.stopped);
    match (stopped, runs, schedule.concurrency) {
        (true, _, _) => Err(NoTrigger::Stopped),
        (false, true, Concurrency::Forbid) => Err(NoTrigger::StillRuns),
        (false, true, Concurrency::Replace) | (false, false, _) => Ok(()),
    }
}

/// Whether a run is one of the schedule that is wanted.
pub(super) fn is_of_schedule(run: &Run, wanted: &ProcessSpec) -> bool {
    run.spec.schedule.is_some() && wanted.schedule.is_some()
}

/// The calendar that is to be followed from now on, if it is not the one that is.
pub(super) fn to_follow(spec: &ProcessSpec, record: &Record) -> Option<Option<Arc<str>>> {
    let wanted = spec.schedule.as_ref().and_then(Schedule::calendar).map(Calendar::id);
    let followed = record.progress.as_ref().map(|progress| &progress.calendar);
    (wanted != followed).then(|| wanted.cloned())
}

/// When a process that is down is due by its schedule.
pub(super) fn due_at(schedule: &Schedule, spec: &ProcessSpec, record: &Record, now: Stamp) -> Due {
    if record.triggered {
        return Due::At(Moment::ZERO, Why::Triggered);
    }
    let next = next_at(schedule, record, now);
    if let Some(failed) = &record.failed {
        let again = timing::again_at(spec, record, failed);
        // What cannot be started is tried again until it is too late for it.
        let at = if schedule.starting_deadline.is_some() { again.max(next) } else { again };
        return Due::At(at, Why::BackoffOver);
    }
    let retry = match &record.last {
        // A run that was too long is not tried again: as with a Job, that is the end of it.
        Some(last) if last.why != Some(Why::DeadlineExceeded) && policy::is_retried(spec, last) => {
            last.at.at + timing::delay(&spec.backoff, record.streak.max(1))
        }
        Some(_) | None => Moment::NEVER,
    };
    match (retry < next, &schedule.rhythm, record.tried) {
        (true, _, _) => Due::At(retry, Why::BackoffOver),
        (false, Rhythm::Every(_), None) => Due::At(next, Why::Created),
        (false, Rhythm::Calendar(_), _) if next == Moment::NEVER => Due::Never,
        (false, Rhythm::Calendar(_), _) | (false, Rhythm::Every(_), Some(_)) => Due::At(next, Why::Scheduled),
    }
}

/// When a run that is up makes room for the next one.
pub(super) fn replaced_at(spec: &ProcessSpec, record: &Record, now: Stamp) -> Moment {
    match &spec.schedule {
        Some(schedule) if schedule.concurrency == Concurrency::Replace => match (record.triggered, spec.suspend) {
            (true, _) => Moment::ZERO,
            (false, true) => Moment::NEVER,
            (false, false) => next_at(schedule, record, now),
        },
        Some(_) | None => Moment::NEVER,
    }
}

/// When the next time comes, or [`Moment::ZERO`] when one has come that was not run for.
pub(super) fn next_at(schedule: &Schedule, record: &Record, now: Stamp) -> Moment {
    match (&schedule.rhythm, &record.progress) {
        (Rhythm::Every(every), _) => record.slot.map_or(Moment::ZERO, |slot| slot + *every),
        (Rhythm::Calendar(_), None) => Moment::NEVER,
        (Rhythm::Calendar(calendar), Some(progress)) => match calendar.next_after(progress.owed_from(schedule, now)) {
            Some(time) if time <= now.wall => Moment::ZERO,
            Some(time) => now.at + time.since(now.wall),
            None => Moment::NEVER,
        },
    }
}

/// From one time to the next, as it is now.
pub(super) fn interval(schedule: &Schedule, record: &Record, now: Stamp) -> Option<Duration> {
    let (calendar, progress) = match (&schedule.rhythm, &record.progress) {
        (Rhythm::Every(every), _) => return Some(*every),
        (Rhythm::Calendar(calendar), Some(progress)) => (calendar, progress),
        (Rhythm::Calendar(_), None) => return None,
    };
    let next = calendar.next_after(now.wall)?;
    match (progress.last, next_at(schedule, record, now)) {
        // When nothing is owed, what was last run for was the one before.
        (Some(last), at) if at != Moment::ZERO => Some(next.since(last)),
        (_, _) => calendar.next_after(next).map(|after| after.since(next)),
    }
}

impl Progress {
    /// Times later than this and not later than now are to be run for: the latest of them.
    fn owed_from(&self, schedule: &Schedule, now: Stamp) -> Wall {
        let deadline = schedule.starting_deadline.map_or(Wall::default(), |deadline| now.wall.minus(deadline));
        self.done(now).max(deadline)
    }

    /// Up to when all is done, as the clock is now.
    fn done(&self, now: Stamp) -> Wall {
        let expected = self.since.wall.plus(now.at.since(self.since.at));
        let set_back = expected.since(now.wall);
        if set_back > CORRECTION { self.up_to.minus(set_back) } else { self.up_to }
    }
}

impl Record {
    /// From now on this calendar is followed; `before`: how far the monitor before this one had followed one.
    pub(super) fn follow(&mut self, calendar: Option<Arc<str>>, before: Option<Progress>, now: Stamp) {
        let last = self.progress.take().and_then(|progress| progress.last);
        let Some(calendar) = calendar else { return };
        let before = before.filter(|before| before.calendar == calendar && before.up_to <= now.wall.plus(CORRECTION));
        let (up_to, last) = before.map_or((now.wall, last), |before| (before.up_to, before.last));
        self.progress = Some(Progress { calendar, up_to, since: now, last });
    }

    /// A run began: it is the run of the latest time that has come, and of those that were missed before.
    pub(super) fn take_time(&mut self, schedule: &Schedule, now: Stamp) {
        match (&schedule.rhythm, &mut self.progress) {
            (Rhythm::Every(every), _) => {
                let (slot, missed) = slot_at(self.slot, *every, now.at);
                if self.slot.replace(slot) != Some(slot) {
                    self.tally.lag = Some(now.at.since(slot));
                }
                self.tally.missed += missed;
            }
            (Rhythm::Calendar(calendar), Some(progress)) => {
                if let Some(time) = calendar.latest(progress.owed_from(schedule, now), now.wall) {
                    self.tally.missed += calendar.count(progress.done(now), time, MANY);
                    self.tally.lag = Some(now.wall.since(time));
                    (progress.up_to, progress.last, progress.since) = (time, Some(time), now);
                }
            }
            (Rhythm::Calendar(_), None) => {}
        }
    }

    /// The last time of its schedule that was run for.
    pub(super) fn time(&self) -> (Option<Moment>, Option<Wall>) {
        (self.slot, self.progress.as_ref().and_then(|progress| progress.last))
    }

    /// Whether a run may be asked for in this moment.
    pub(super) fn takes_trigger(&self) -> bool {
        let schedule = match &self.life {
            Life::Down => return !self.stopped,
            Life::Up(run) | Life::Stopping(run, _) | Life::Leaving(run, _) => run.spec.schedule.as_ref(),
        };
        !self.stopped && schedule.is_some_and(|schedule| schedule.concurrency == Concurrency::Replace)
    }
}

/// The latest time of a rhythm that has come by `now`, and how many were skipped before it.
fn slot_at(last: Option<Moment>, every: Duration, now: Moment) -> (Moment, u64) {
    let Some(last) = last else { return (now, 0) };
    let every = every.as_nanos().max(1);
    let passed = now.since(last).as_nanos() / every;
    let slot = Moment::from_nanos(last.as_nanos().saturating_add(u64::try_from(passed * every).unwrap_or(u64::MAX)));
    (slot, u64::try_from(passed.saturating_sub(1)).unwrap_or(u64::MAX))
}

impl fmt::Display for NoTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoTrigger::NoSchedule => "it has no schedule; RESTART is for what runs all the time",
            NoTrigger::Stopped => "a message has stopped it; START it first",
            NoTrigger::StillRuns => "its last run is not over, and there are never two at a time",
        })
    }
}

impl std::error::Error for NoTrigger {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::slot_at;
    use crate::model::Moment;

    #[test]
    fn missed_slots_are_skipped_and_the_rhythm_is_kept() {
        let seconds = |n: u64| Moment::ZERO + Duration::from_secs(n);
        let every = Duration::from_secs(10);
        assert_eq!(slot_at(None, every, seconds(3)), (seconds(3), 0));
        assert_eq!(slot_at(Some(seconds(3)), every, seconds(13)), (seconds(13), 0));
        assert_eq!(slot_at(Some(seconds(3)), every, seconds(22)), (seconds(13), 0));
        assert_eq!(slot_at(Some(seconds(3)), every, seconds(64)), (seconds(63), 5));
    }
}
