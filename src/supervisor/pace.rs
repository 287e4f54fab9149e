//! How often the configuration may be read because something was heard: at once when something changes, but never for
//! more than a hundredth of the time, however often a file flaps and however many files there are.

use std::time::Duration;

use crate::model::Moment;

/// What may be spent on scans at once; it fills up again at a hundredth of the time that passes.
const PURSE: Duration = Duration::from_millis(100);
const SHARE: u32 = 100;

/// An allowance of time.
#[derive(Debug)]
pub(super) struct Pace {
    purse: Duration,
    /// What was spent that was not there: a scan's cost is known only after it. At most as much as the purse holds, so
    /// that no change waits longer than ten seconds.
    debt: Duration,
    filled: Moment,
}

impl Pace {
    /// A full purse.
    pub(super) fn new(now: Moment) -> Pace {
        Pace { purse: PURSE, debt: Duration::ZERO, filled: now }
    }

    /// When there is something to spend again: not after `now`, if there is now.
    pub(super) fn ready_at(&mut self, now: Moment) -> Moment {
        let earned = now.since(self.filled) / SHARE;
        self.filled = now;
        self.purse = (self.purse + earned.saturating_sub(self.debt)).min(PURSE);
        self.debt = self.debt.saturating_sub(earned);
        match self.debt {
            Duration::ZERO => now,
            // Rounded up: what was earned by then must suffice.
            debt => now + (debt + Duration::from_nanos(1)) * SHARE,
        }
    }

    /// Spends, beyond what there is if need be.
    pub(super) fn spend(&mut self, spent: Duration) {
        self.debt = (self.debt + spent.saturating_sub(self.purse)).min(PURSE);
        self.purse = self.purse.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PURSE, Pace};
    use crate::model::Moment;

    /// What is spent in a hundred seconds if every scan takes this long.
    fn spent_in_a_hundred_seconds(scan: Duration) -> Duration {
        let (mut pace, mut now, mut spent) = (Pace::new(Moment::ZERO), Moment::ZERO, Duration::ZERO);
        let end = Moment::ZERO + Duration::from_secs(100);
        while now < end {
            let ready = pace.ready_at(now);
            if ready <= now {
                pace.spend(scan);
                spent += scan;
                now = now + scan;
            } else {
                now = ready;
            }
        }
        spent
    }

    // C24
    #[test]
    fn a_flapping_file_costs_a_hundredth_of_the_time() {
        for millis in [1, 2, 20, 100] {
            let scan = Duration::from_millis(millis);
            let spent = spent_in_a_hundred_seconds(scan);
            assert!(spent <= PURSE + Duration::from_secs(1) + scan, "{scan:?}: {spent:?}");
            assert!(spent >= Duration::from_millis(900), "{scan:?}: {spent:?}");
        }
    }

    #[test]
    fn however_much_was_spent_no_change_waits_longer_than_ten_seconds() {
        let mut pace = Pace::new(Moment::ZERO);
        for _ in 0..10 {
            pace.spend(Duration::from_secs(100));
        }
        let ready = pace.ready_at(Moment::ZERO);
        assert!(ready > Moment::ZERO && ready <= Moment::ZERO + Duration::from_millis(10_001), "{ready:?}");
    }

    #[test]
    fn a_single_change_never_waits() {
        let mut pace = Pace::new(Moment::ZERO);
        for second in 1..1000 {
            let now = Moment::ZERO + Duration::from_secs(second);
            assert_eq!(pace.ready_at(now), now);
            pace.spend(Duration::from_millis(5));
        }
    }
}
