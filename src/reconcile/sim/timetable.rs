//! When a schedule is due, told a second time: by division, since the calendars here are all "every N minutes, UTC".

use std::sync::Arc;
use std::time::Duration;

use crate::Progress;
use crate::model::{Calendar, Concurrency, Moment, ProcessSpec, Rhythm, Schedule, Stamp, Wall};

#[derive(Clone, Debug, Default)]
pub(super) struct Timetable {
    slot: Option<Moment>,
    followed: Option<Followed>,
    pub(super) missed: u64,
}

#[derive(Clone, Debug)]
struct Followed {
    id: Arc<str>,
    up_to: Wall,
    since: Stamp,
    /// What was run for, since the clock was last found to have been wrong.
    ran: Vec<Wall>,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Every so many minutes, which must divide an hour.
pub(super) fn every_minutes(minutes: u64) -> Calendar {
    Calendar::parse(&format!("*/{minutes} * * * *"), jiff::tz::TimeZone::UTC).expect("a good expression")
}

fn period(calendar: &Calendar) -> u64 {
    let minutes = calendar.id().split("*/").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok());
    60_000_000_000 * minutes.unwrap_or(1)
}

impl Followed {
    /// Up to when all is done, by the clock as it is now.
    fn done(&self, now: Stamp) -> Wall {
        let clock_lost = (self.since.wall.plus(now.at.since(self.since.at))).since(now.wall);
        if clock_lost > DAY { self.up_to.minus(clock_lost) } else { self.up_to }
    }

    /// The latest time that has come and is to be run for.
    fn owed(&self, calendar: &Calendar, schedule: &Schedule, now: Stamp) -> Option<Wall> {
        let latest = Wall::from_nanos(now.wall.as_nanos() / period(calendar) * period(calendar));
        let late = schedule.starting_deadline.is_some_and(|deadline| latest.plus(deadline) <= now.wall);
        (latest > self.done(now) && !late).then_some(latest)
    }
}

impl Timetable {
    /// What is wanted now; `before`: what the monitor before this one has left on disk.
    pub(super) fn sees(&mut self, spec: &ProcessSpec, before: impl FnOnce() -> Option<Progress>, now: Stamp) {
        let id = spec.schedule.as_ref().and_then(Schedule::calendar).map(Calendar::id);
        if self.followed.as_ref().map(|followed| &followed.id) == id {
            return;
        }
        let before = before();
        self.followed = id.map(|id| {
            let before = before.filter(|before| before.calendar == *id && before.up_to <= now.wall.plus(DAY));
            Followed { id: id.clone(), up_to: before.map_or(now.wall, |it| it.up_to), since: now, ran: Vec::new() }
        });
    }

    /// When the next run is due by the clock; in the past when it is owed.
    pub(super) fn next(&self, schedule: &Schedule, now: Stamp) -> Moment {
        match (&schedule.rhythm, &self.followed) {
            (Rhythm::Every(every), _) => self.slot.map_or(Moment::ZERO, |slot| slot + *every),
            (Rhythm::Calendar(_), None) => Moment::NEVER,
            (Rhythm::Calendar(calendar), Some(followed)) => {
                if followed.owed(calendar, schedule, now).is_some() {
                    return Moment::ZERO;
                }
                let after = followed.done(now).max(now.wall).as_nanos();
                let next = (after / period(calendar) + 1) * period(calendar);
                now.at + Wall::from_nanos(next).since(now.wall)
            }
        }
    }

    /// When a run that is up is in the next one's way.
    pub(super) fn replaced(&self, spec: &ProcessSpec, triggered: bool, now: Stamp) -> Moment {
        match &spec.schedule {
            Some(schedule) if schedule.concurrency == Concurrency::Replace => match (triggered, spec.suspend) {
                (true, _) => Moment::ZERO,
                (false, true) => Moment::NEVER,
                (false, false) => self.next(schedule, now),
            },
            Some(_) | None => Moment::NEVER,
        }
    }

    /// A run begins.
    ///
    /// # Errors
    /// The time that was run for already.
    pub(super) fn took(&mut self, schedule: &Schedule, now: Stamp) -> Result<(), Wall> {
        match (&schedule.rhythm, &mut self.followed) {
            (Rhythm::Every(every), _) => {
                let mut slot = self.slot.unwrap_or(now.at);
                if slot < now.at {
                    self.missed += (now.at.since(slot).as_nanos() / every.as_nanos()).saturating_sub(1) as u64;
                    let late = now.at.since(slot).as_nanos() % every.as_nanos();
                    slot = Moment::from_nanos(now.at.as_nanos() - late as u64);
                }
                self.slot = Some(slot);
            }
            (Rhythm::Calendar(_), None) => {}
            (Rhythm::Calendar(calendar), Some(followed)) => {
                let Some(time) = followed.owed(calendar, schedule, now) else { return Ok(()) };
                let done = followed.done(now);
                if done != followed.up_to {
                    followed.ran.clear();
                }
                if followed.ran.contains(&time) {
                    return Err(time);
                }
                let (from, to) = (done.as_nanos() / period(calendar), time.as_nanos() / period(calendar));
                self.missed += (to - from - 1).min(100);
                followed.ran.push(time);
                (followed.up_to, followed.since) = (time, now);
            }
        }
        Ok(())
    }

    /// Up to when, and since when, the calendar is done with.
    pub(super) fn followed(&self) -> Option<(&Arc<str>, Wall, Stamp)> {
        self.followed.as_ref().map(|followed| (&followed.id, followed.up_to, followed.since))
    }
}
