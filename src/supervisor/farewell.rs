//! How the monitor is told to end, and how long that may take.

use std::time::Duration;

use crate::model::Moment;
use crate::reconcile::Haste;

/// How the end was asked for, and what the flags say of it.
#[derive(Debug)]
pub(super) struct Farewell {
    /// How long all runs on after the first time, so that nobody comes any more when it stops (`--drain`).
    drain: Duration,
    /// From the first time to the end (`--shutdown-timeout`).
    timeout: Option<Duration>,
    /// When somebody last asked, and was heard; the colony may end of itself.
    told: Option<Told>,
    began: Option<Moment>,
    drained_at: Option<Moment>,
}

/// When somebody told the monitor to end.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// In this turn.
    JustNow,
    /// So that what was told was done by then, and it listened again.
    By(Moment),
}

/// A signal to end that follows the first one so closely is its echo, and no haste: nobody reads the log so fast.
const ECHO: Duration = Duration::from_millis(200);

/// What it comes to that somebody asks for the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Nothing: it is the echo of what was said.
    Echo,
    /// Nothing stops yet, and nobody shall come any more.
    Drain(Duration),
    /// All are asked to stop.
    Stop,
    /// All are killed.
    Kill,
}

impl Farewell {
    /// Nobody has asked.
    pub(super) fn new(drain: Duration, timeout: Option<Duration>) -> Farewell {
        Farewell { drain, timeout, told: None, began: None, drained_at: None }
    }

    /// Somebody asks. Each time it is one step more.
    pub(super) fn asked(&mut self, ending: Option<Haste>, now: Moment) -> Step {
        let step = match (ending, self.told) {
            // `timeout`, and many a wrapper, tells its child and then its child's group.
            (None | Some(Haste::Graceful), Some(Told::JustNow)) => Step::Echo,
            (None | Some(Haste::Graceful), Some(Told::By(at))) if now.since(at) < ECHO => Step::Echo,
            (None, None) if !self.drain.is_zero() => Step::Drain(self.drain),
            // Whoever asks for what is under way already asks for the first time.
            (None, _) | (Some(Haste::Graceful), None) => Step::Stop,
            (Some(Haste::Graceful | Haste::Now), _) => Step::Kill,
        };
        match step {
            Step::Echo | Step::Kill => {}
            Step::Stop => self.told = Some(Told::JustNow),
            Step::Drain(span) => {
                self.told = Some(Told::JustNow);
                self.began = Some(now);
                self.drained_at = Some(now + span);
            }
        }
        step
    }

    /// What was told is done.
    pub(super) fn listens_again(&mut self, now: Moment) {
        if let Some(told @ Told::JustNow) = &mut self.told {
            *told = Told::By(now);
        }
    }

    /// All are asked to stop, or killed.
    pub(super) fn begin(&mut self, now: Moment) {
        self.began.get_or_insert(now);
        self.drained_at = None;
    }

    /// While all runs on after somebody has asked: until when.
    pub(super) fn drained_at(&self) -> Option<Moment> {
        self.drained_at
    }

    /// By when all runs shall have ended. What is left of the time is for what they leave.
    pub(super) fn until(&self) -> Option<Moment> {
        let (began, timeout) = self.began.zip(self.timeout)?;
        Some(began + timeout.saturating_sub(rest(timeout)))
    }

    /// How long all runs together have to end, if that is limited.
    pub(super) fn time_to_stop(&self) -> Option<Duration> {
        let timeout = self.timeout?;
        Some(timeout.saturating_sub(rest(timeout)).saturating_sub(self.drain))
    }

    /// By when what belongs to no run is killed.
    pub(super) fn strays_until(&self) -> Option<Moment> {
        let (began, timeout) = self.began.zip(self.timeout)?;
        Some(began + timeout.saturating_sub(rest(timeout) / 2))
    }
}

/// The last tenth of the time, and no more than a second.
fn rest(timeout: Duration) -> Duration {
    (timeout / 10).min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Farewell, Step};
    use crate::model::Moment;
    use crate::reconcile::Haste;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    /// What it comes to if somebody asks at these seconds, and what was told before is done.
    fn asked(farewell: &mut Farewell, ending: Option<Haste>, seconds: u64) -> Step {
        farewell.listens_again(at(seconds - 1));
        farewell.asked(ending, at(seconds))
    }

    #[test]
    fn each_time_it_is_one_step_more() {
        let mut farewell = Farewell::new(Duration::ZERO, None);
        assert_eq!(asked(&mut farewell, None, 1), Step::Stop);
        assert_eq!(asked(&mut farewell, Some(Haste::Graceful), 2), Step::Kill);
        assert_eq!(asked(&mut farewell, Some(Haste::Now), 3), Step::Kill);
        let mut farewell = Farewell::new(5 * SECOND, None);
        assert_eq!(asked(&mut farewell, None, 1), Step::Drain(5 * SECOND));
        assert_eq!(farewell.drained_at(), Some(at(6)));
        assert_eq!(asked(&mut farewell, None, 3), Step::Stop);
        farewell.begin(at(3));
        assert_eq!(farewell.drained_at(), None);
        assert_eq!(asked(&mut farewell, Some(Haste::Graceful), 5), Step::Kill);
    }

    #[test]
    fn an_echo_is_no_step() {
        for drain in [0, 5] {
            let mut farewell = Farewell::new(drain * SECOND, None);
            assert_ne!(farewell.asked(None, at(1)), Step::Echo);
            let ending = (drain == 0).then_some(Haste::Graceful);
            assert_eq!(farewell.asked(ending, at(9)), Step::Echo, "nothing was done yet");
            farewell.listens_again(at(9));
            assert_eq!(farewell.asked(ending, at(9) + SECOND / 10), Step::Echo);
            assert_ne!(farewell.asked(ending, at(9) + SECOND / 5), Step::Echo);
        }
    }

    #[test]
    fn a_colony_that_ends_of_itself_is_not_drained_and_not_hurried_by_the_first_who_asks() {
        let mut farewell = Farewell::new(5 * SECOND, Some(20 * SECOND));
        farewell.begin(at(1));
        assert_eq!(asked(&mut farewell, Some(Haste::Graceful), 2), Step::Stop);
        assert_eq!(farewell.until(), Some(at(20)));
        assert_eq!(asked(&mut farewell, Some(Haste::Graceful), 4), Step::Kill);
    }

    #[test]
    fn the_time_counts_from_the_first_word_and_keeps_a_rest_for_what_is_left() {
        let mut farewell = Farewell::new(5 * SECOND, Some(30 * SECOND));
        assert_eq!(farewell.until(), None);
        farewell.asked(None, at(100));
        farewell.begin(at(105));
        assert_eq!((farewell.until(), farewell.strays_until()), (Some(at(129)), Some(at(129) + SECOND / 2)));
        let mut short = Farewell::new(Duration::ZERO, Some(SECOND));
        short.begin(at(0));
        assert_eq!(short.until(), Some(Moment::ZERO + Duration::from_millis(900)));
    }
}
