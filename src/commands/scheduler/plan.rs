//! What is to be done, and when: decided from what is known, without a clock and without a process.

use std::time::{Duration, Instant};

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From one tick to the next.
    pub(super) frequency: Duration,
    /// From a run's start to SIGTERM.
    pub(super) timeout: Duration,
    /// From there to SIGKILL.
    pub(super) grace: Duration,
}

/// A run under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) began_at: Instant,
    /// When it was asked to end.
    pub(super) asked_at: Option<Instant>,
    /// When it was killed first, and last.
    pub(super) killed_at: Option<(Instant, Instant)>,
}

/// Whether the scheduler itself was asked to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Haste {
    /// No.
    None,
    /// Once.
    Asked,
    /// Again: at once.
    Hurried,
}

/// The next step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Begin a run.
    Start,
    /// SIGTERM to all of it.
    Ask,
    /// SIGKILL to all of it.
    Kill,
    /// Nothing before then.
    Wait(Instant),
    /// End.
    Done,
}

/// What has come since SIGKILL is killed so often.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest that the end waits for the effect of SIGKILL: what hangs in the kernel may never end.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// Decides. `next_at` is the tick that the next run is due at.
pub(super) fn decide(times: &Times, next_at: Instant, run: Option<&Run>, haste: Haste, now: Instant) -> Step {
    let wait_or = |at: Instant, step: Step| if at <= now { step } else { Step::Wait(at) };
    let is_ending = haste != Haste::None;
    match run {
        None if is_ending => Step::Done,
        None => wait_or(next_at, Step::Start),
        Some(Run { asked_at: None, .. }) if is_ending => Step::Ask,
        Some(Run { asked_at: None, began_at, .. }) => wait_or(*began_at + times.timeout, Step::Ask),
        Some(Run { killed_at: None, .. }) if haste == Haste::Hurried => Step::Kill,
        Some(Run { asked_at: Some(at), killed_at: None, .. }) => wait_or(*at + times.grace, Step::Kill),
        Some(Run { killed_at: Some((first, _)), .. }) if is_ending && *first + KILL_LIMIT <= now => Step::Done,
        Some(Run { killed_at: Some((_, last)), .. }) => wait_or(*last + AGAIN, Step::Kill),
    }
}

/// The first tick after `now`, and how many there were since the one at `last`: a run that takes longer misses some.
pub(super) fn next_tick(last: Instant, frequency: Duration, now: Instant) -> (Instant, u32) {
    let since = now.saturating_duration_since(last).as_nanos();
    let missed = u32::try_from(since / frequency.as_nanos().max(1)).unwrap_or(u32::MAX - 1);
    (last + frequency.saturating_mul(missed + 1), missed)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Haste, Run, Step, Times, decide, next_tick};

    const TIMES: Times =
        Times { frequency: Duration::from_secs(100), timeout: Duration::from_secs(10), grace: Duration::from_secs(3) };

    #[test]
    fn a_run_is_asked_after_its_time_killed_after_its_grace_and_killed_again() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let run = |asked: Option<u64>, killed: Option<(u64, u64)>| {
            let killed_at = killed.map(|(first, last)| (at(first), at(last)));
            Some(Run { began_at: start, asked_at: asked.map(at), killed_at })
        };
        let rows = [
            (None, Haste::None, 99, Step::Wait(at(100))),
            (None, Haste::None, 100, Step::Start),
            (None, Haste::None, 500, Step::Start),
            (None, Haste::Asked, 100, Step::Done),
            (None, Haste::Hurried, 0, Step::Done),
            (run(None, None), Haste::None, 9, Step::Wait(at(10))),
            (run(None, None), Haste::None, 10, Step::Ask),
            // Never two at a time.
            (run(None, None), Haste::None, 200, Step::Ask),
            (run(None, None), Haste::Asked, 1, Step::Ask),
            (run(None, None), Haste::Hurried, 1, Step::Ask),
            (run(Some(10), None), Haste::None, 12, Step::Wait(at(13))),
            (run(Some(10), None), Haste::None, 13, Step::Kill),
            (run(Some(10), None), Haste::Asked, 12, Step::Wait(at(13))),
            (run(Some(10), None), Haste::Hurried, 11, Step::Kill),
            (run(Some(10), Some((13, 13))), Haste::None, 13, Step::Wait(at(14))),
            (run(Some(10), Some((13, 20))), Haste::None, 21, Step::Kill),
            (run(Some(10), Some((13, 14))), Haste::Asked, 14, Step::Wait(at(15))),
            (run(Some(10), Some((13, 14))), Haste::Asked, 15, Step::Done),
            (run(Some(10), Some((13, 14))), Haste::Hurried, 15, Step::Done),
        ];
        for (run, haste, second, expected) in rows {
            let step = decide(&TIMES, at(100), run.as_ref(), haste, at(second));
            assert_eq!(step, expected, "{run:?}, {haste:?}, at {second}");
        }
    }

    #[test]
    fn a_run_that_takes_long_misses_ticks_and_moves_none() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        for (now, next, missed) in [(0, 100, 0), (99, 100, 0), (100, 200, 1), (101, 200, 1), (350, 400, 3)] {
            assert_eq!(next_tick(start, TIMES.frequency, at(now)), (at(next), missed), "at {now}");
        }
    }
}
