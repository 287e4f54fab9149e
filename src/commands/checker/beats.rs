//! Heartbeats, judged by change as the monitor does: no step of the wall clock restarts anybody.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use super::{Checker, Subject};
use crate::config::Check;
use crate::health::{Beats, Heart, Listener, Seen};
use crate::model::{Heartbeat, Incarnation, Name, Wall};

/// Looks at the hearts of a colony.
pub(super) struct Beatcheck {
    beats: Beats,
    cards: BTreeMap<Name, Card>,
    /// The number of the last card.
    last: u64,
    looked_at: Option<Instant>,
    /// From one look to the next.
    pause: Duration,
}

/// One heart.
#[derive(Clone, Debug)]
struct Card {
    run: Incarnation,
    version: u64,
    heartbeat: Heartbeat,
    /// No verdict before that.
    grace_until: Instant,
    beaten_at: Instant,
    looked_at: Instant,
}

impl Beatcheck {
    pub(super) fn new(wakes: Arc<Notify>, pause: Duration) -> Beatcheck {
        let beats = Beats::start(move || wakes.notify_one());
        Beatcheck { beats, cards: BTreeMap::new(), last: 0, looked_at: None, pause }
    }

    /// Whether this program itself has not run when it should have looked: nobody's beats were seen meanwhile.
    fn was_away(&mut self, now: Instant) -> bool {
        let before = self.looked_at.replace(now).unwrap_or(now);
        now.saturating_duration_since(before) > self.pause * 2 + Duration::from_secs(1)
    }
}

impl Checker for Beatcheck {
    fn know(&mut self, all: Vec<Subject>, now: Instant) {
        let was_away = self.was_away(now);
        let mut before = std::mem::take(&mut self.cards);
        for Subject { name, version, check } in all {
            let Check::Heartbeat(heartbeat) = check else { continue };
            let mut card = match before.remove(&name) {
                Some(card) if card.version == version => card,
                other => {
                    other.into_iter().for_each(|card| self.beats.forget(card.run));
                    self.last += 1;
                    let number = NonZeroU64::MIN.saturating_add(self.last);
                    Card::new(Incarnation::new(number), version, heartbeat, now)
                }
            };
            if was_away {
                card.forgive(now);
            }
            self.beats.look(heart(card.run), &name, &card.heartbeat.file);
            self.cards.insert(name, card);
        }
        before.into_values().for_each(|card| self.beats.forget(card.run));
    }

    fn turn(&mut self, now: Instant) -> Vec<(Name, String)> {
        let wall = Wall::from(SystemTime::now());
        let mut bad = Vec::new();
        for look in self.beats.results() {
            let found = self.cards.iter_mut().find(|(_, card)| card.run == look.heart.run);
            if let Some((name, card)) = found {
                bad.extend(card.hear(&look.seen, now, wall).map(|why| (name.clone(), why)));
            }
        }
        bad
    }

    fn restarted(&mut self, name: &Name, now: Instant) {
        if let Some(card) = self.cards.get_mut(name) {
            card.begin(now);
        }
    }

    fn due_at(&self) -> Option<Instant> {
        None
    }
}

fn heart(run: Incarnation) -> Heart {
    Heart { run, listener: Listener::Beatcheck }
}

impl Card {
    fn new(run: Incarnation, version: u64, heartbeat: Heartbeat, now: Instant) -> Card {
        let mut card = Card { run, version, heartbeat, grace_until: now, beaten_at: now, looked_at: now };
        card.begin(now);
        card
    }

    /// A run begins. It has its grace, so that a slow starter is not ended again and again.
    fn begin(&mut self, now: Instant) {
        let grace = Duration::try_from_secs_f64(self.heartbeat.period.as_secs_f64() * self.heartbeat.grace);
        let until = grace.ok().and_then(|grace| now.checked_add(grace));
        // So long that no clock goes so far: nobody is judged.
        self.grace_until = until.unwrap_or(now + FOR_EVER);
        self.beaten_at = now;
    }

    /// Nobody has listened for a while.
    fn forgive(&mut self, now: Instant) {
        self.grace_until = self.grace_until.max(now + self.heartbeat.period.min(FOR_EVER));
    }

    /// What a look has shown. Says why the process is to be restarted, if it is.
    fn hear(&mut self, seen: &Seen, now: Instant, wall: Wall) -> Option<String> {
        let since = now.saturating_duration_since(self.looked_at);
        self.looked_at = now;
        let period = self.heartbeat.period;
        let silence = match seen {
            // When it was, as far as the file's time can be believed: after the last look.
            Seen::Changed { mtime } => {
                self.beaten_at = now.checked_sub(wall.since(*mtime).min(since)).unwrap_or(now);
                None
            }
            Seen::First | Seen::Unchanged => None,
            Seen::Missing(path) => Some(format!("there is no {}", path.display())),
            Seen::Refused(why) => Some(why.clone()),
            // The file system does not answer: that is not the process's fault.
            Seen::Unknown => return None,
        };
        let age = now.saturating_duration_since(self.beaten_at);
        let stale = || format!("its heart has not beaten for {:.1} s", age.as_secs_f64());
        let bad = silence.or_else(|| (age > period).then(stale));
        bad.filter(|_| now > self.grace_until)
    }
}

/// A hundred years.
const FOR_EVER: Duration = Duration::from_secs(3_153_600_000);

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::{Duration, Instant};

    use super::{Card, Seen};
    use crate::model::{Heartbeat, Incarnation, Wall};

    /// Seconds after the beginning, what is seen, whether it is to be restarted. The period is 4 s, and so are two beats'
    /// worth of the wall clock, which stands where the row says.
    fn verdicts(grace: f64, rows: &[(u64, Seen)]) -> Vec<bool> {
        let start = Instant::now();
        let heartbeat = Heartbeat { period: Duration::from_secs(4), grace, file: "s".into() };
        let mut card = Card::new(Incarnation::new(NonZeroU64::MIN), 1, heartbeat, start);
        let hear = |(second, seen): &(u64, Seen)| {
            let now = start + Duration::from_secs(*second);
            let bad = card.hear(seen, now, Wall::from_secs(1000 + second)).is_some();
            if bad {
                card.begin(now);
            }
            bad
        };
        rows.iter().map(hear).collect()
    }

    fn beat(at: u64) -> Seen {
        Seen::Changed { mtime: Wall::from_secs(1000 + at) }
    }

    #[test]
    fn who_beats_once_a_period_lives_and_who_is_silent_for_longer_does_not() {
        let rows = [(1, Seen::First), (2, beat(2)), (6, beat(5)), (9, Seen::Unchanged), (10, Seen::Unchanged)];
        assert_eq!(verdicts(0.0, &rows), [false, false, false, false, true]);
    }

    #[test]
    fn there_is_no_verdict_in_the_grace_which_begins_anew_with_each_run() {
        let missing = || Seen::Missing("heart".into());
        let rows = [(12, missing()), (13, missing()), (25, missing()), (26, missing())];
        assert_eq!(verdicts(3.0, &rows), [false, true, false, true]);
        let refused = || Seen::Refused("s is a FIFO, not a file".into());
        assert_eq!(verdicts(1.0, &[(4, refused()), (5, refused())]), [false, true]);
    }

    #[test]
    fn the_time_that_a_beat_bears_moves_it_no_further_than_to_the_last_look() {
        // Of yesterday, and of tomorrow.
        let rows = [(1, Seen::First), (3, Seen::Changed { mtime: Wall::from_secs(1) }), (5, Seen::Unchanged)];
        assert_eq!(verdicts(0.0, &rows), [false; 3]);
        let rows = [(1, Seen::First), (3, beat(100_000)), (7, Seen::Unchanged), (8, Seen::Unchanged)];
        assert_eq!(verdicts(0.0, &rows), [false, false, false, true]);
        // It was right after the last look.
        assert_eq!(verdicts(0.0, &[(1, Seen::First), (10, beat(2))]), [false, true]);
    }

    #[test]
    fn where_nothing_can_be_known_nobody_is_judged_and_who_was_not_listened_to_has_a_period_more() {
        let unknown = [(1, Seen::First), (20, Seen::Unknown), (40, Seen::Unknown)];
        assert_eq!(verdicts(0.0, &unknown), [false; 3]);
        let start = Instant::now();
        let heartbeat = Heartbeat { period: Duration::from_secs(4), grace: 0.0, file: "s".into() };
        let mut card = Card::new(Incarnation::new(NonZeroU64::MIN), 1, heartbeat, start);
        let at = |second| start + Duration::from_secs(second);
        card.forgive(at(100));
        assert_eq!(card.hear(&Seen::Unchanged, at(104), Wall::from_secs(0)), None);
        assert!(card.hear(&Seen::Unchanged, at(105), Wall::from_secs(0)).is_some());
    }

    #[test]
    fn a_grace_of_a_million_long_periods_is_no_trouble() {
        let heartbeat = Heartbeat { period: Duration::MAX, grace: 1e6, file: "s".into() };
        let now = Instant::now();
        let mut card = Card::new(Incarnation::new(NonZeroU64::MIN), 1, heartbeat, now);
        card.forgive(now);
        assert_eq!(card.hear(&Seen::Missing("heart".into()), now + Duration::from_secs(1), Wall::from_secs(0)), None);
    }
}
