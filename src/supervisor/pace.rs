//! How often the configuration may be read: at once when something changes, but never for more than a hundredth of the
//! time, however often a file flaps.

use std::time::Duration;

use crate::model::Moment;

/// What may be spent on scans at once; it fills up again at a hundredth of the time that passes.
const PURSE: Duration = Duration::from_millis(100);
const SHARE: u32 = 100;

/// An allowance of time.
#[derive(Debug)]
pub(super) struct Pace {
    purse: Duration,
    filled: Moment,
}

impl Pace {
    /// A full purse.
    pub(super) fn new(now: Moment) -> Pace {
        Pace { purse: PURSE, filled: now }
    }

    /// When there is something to spend again: not after `now`, if there is now.
    pub(super) fn ready_at(&mut self, now: Moment) -> Moment {
        self.purse = (self.purse + now.since(self.filled) / SHARE).min(PURSE);
        self.filled = now;
        if self.purse.is_zero() { now + Duration::from_millis(10) } else { now }
    }

    /// Spends. What is spent beyond the purse is forgiven: the next scan waits, but not for ever.
    pub(super) fn spend(&mut self, spent: Duration) {
        self.purse = self.purse.saturating_sub(spent.max(Duration::from_micros(1)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PURSE, Pace};
    use crate::model::Moment;

    #[test]
    fn a_flapping_file_costs_a_hundredth_of_the_time() {
        let (mut pace, mut now) = (Pace::new(Moment::ZERO), Moment::ZERO);
        let (scan, mut spent) = (Duration::from_millis(2), Duration::ZERO);
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
        assert!(spent <= PURSE + Duration::from_secs(1) + Duration::from_millis(250), "{spent:?}");
        assert!(spent >= Duration::from_millis(900), "{spent:?}");
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
