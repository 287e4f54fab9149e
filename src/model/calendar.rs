//! The times of a cron expression in a time zone, where some do not exist and some come twice.
//!
//! As with Vixie's cron: what is to be run at a fixed hour is run once a day whatever the clocks do. A time that is
//! skipped is made up for at the moment of the jump; of a time that comes twice the first is meant. What is to be run in
//! every hour (`*`, `*/2`) follows the clock on the wall: it is run in both of the hours that bear one name, and in
//! none that does not exist.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::Wall;
use super::cron::{Cron, CronError};

/// A cron expression in a time zone.
#[derive(Clone)]
pub struct Calendar {
    /// Zone and expression, as they were written: what tells two calendars apart.
    id: Arc<str>,
    cron: Cron,
    zone: TimeZone,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Calendar {
    /// The times of this expression in this zone; the zone's name is `local` where it has none.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Calendar, CronError> {
        let cron = Cron::parse(text)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let id = format!("{} {}", zone.iana_name().unwrap_or("local"), words.join(" ")).into();
        Ok(Calendar { id, cron, zone })
    }

    /// The name of the time zone and the expression: equal for equal calendars.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The first time after this one.
    pub fn next_after(&self, wall: Wall) -> Option<Wall> {
        let seconds = i64::try_from(wall.as_nanos() / 1_000_000_000).ok()?;
        let at = Timestamp::from_second(seconds).ok()?;
        let found = if self.cron.every_hour { self.next_on_the_wall(at) } else { self.next_of_the_day(at) }?;
        Some(Wall::from_secs(u64::try_from(found.as_second()).ok()?))
    }

    /// The last time that is later than `after` and not later than `until`.
    pub fn latest(&self, after: Wall, until: Wall) -> Option<Wall> {
        let within = |after: Wall| self.next_after(after).filter(|at| *at <= until);
        let (mut some, mut none) = (after, until);
        within(some)?;
        // There is one after `some`, and there is none after `none`: the last lies between, and each look halves that.
        while none.since(some) > HOUR {
            let middle = some.plus(none.since(some) / 2);
            *(if within(middle).is_some() { &mut some } else { &mut none }) = middle;
        }
        let mut last = within(some)?;
        while let Some(next) = within(last) {
            last = next;
        }
        Some(last)
    }

    /// How many times there are between these two, neither counted; not counted beyond `most`.
    pub fn count(&self, after: Wall, before: Wall, most: u64) -> u64 {
        let mut count = 0;
        let mut at = after;
        while count < most
            && let Some(next) = self.next_after(at).filter(|next| *next < before)
        {
            (at, count) = (next, count + 1);
        }
        count
    }

    /// Each time of the day once. What the clock reads grows with the time that it was first read, or was skipped at.
    fn next_of_the_day(&self, at: Timestamp) -> Option<Timestamp> {
        let mut reading = whole_minute(self.zone.to_datetime(at))?;
        loop {
            reading = self.cron.at_or_after(reading)?;
            let first = self.first_time(reading)?;
            if first > at {
                return Some(first);
            }
            reading = reading.checked_add(MINUTE).ok()?;
        }
    }

    /// When the clock first reads this, or, where it never does, jumps over it.
    fn first_time(&self, reading: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(reading).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(reading).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(reading).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                let beyond = before.to_timestamp(reading).ok()?.checked_add(Duration::from_secs(1)).ok()?;
                self.zone.preceding(beyond).next().map(|jump| jump.timestamp())
            }
        }
    }

    /// Whatever the clock reads, from one of its jumps to the next.
    fn next_on_the_wall(&self, at: Timestamp) -> Option<Timestamp> {
        let mut from = at;
        let mut reading = whole_minute(self.zone.to_datetime(at))?.checked_add(MINUTE).ok()?;
        loop {
            let offset = self.zone.to_offset(from);
            let found = offset.to_timestamp(self.cron.at_or_after(reading)?).ok()?;
            match self.zone.following(from).next().map(|jump| jump.timestamp()) {
                Some(jump) if jump <= found => {
                    from = jump;
                    reading = minute_at_or_after(self.zone.to_offset(jump), jump)?;
                }
                Some(_) | None => return Some(found),
            }
        }
    }
}

fn whole_minute(reading: DateTime) -> Option<DateTime> {
    reading.with().second(0).subsec_nanosecond(0).build().ok()
}

fn minute_at_or_after(offset: Offset, at: Timestamp) -> Option<DateTime> {
    let reading = offset.to_datetime(at);
    let whole = whole_minute(reading)?;
    if whole == reading { Some(whole) } else { whole.checked_add(MINUTE).ok() }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Calendar) -> bool {
        self.id == other.id
    }
}

impl Eq for Calendar {}

impl Hash for Calendar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.id)
    }
}
