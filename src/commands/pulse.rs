//! A heart that beats beside what a program does.

use std::time::{Duration, Instant};

use crate::health::{Heartless, OwnHeart};

/// A heart, and when it beats next. Beats that fail are told of once, and tried again: what is in their way may go.
pub(super) struct Pulse {
    who: &'static str,
    heart: OwnHeart,
    pause: Duration,
    next_at: Instant,
    /// What was last told.
    trouble: Option<String>,
}

impl Pulse {
    /// Of the heart that the monitor above has asked for, if it has. A request that is no good is told of, and stops nothing:
    /// whoever waits for the beats will say so, too.
    pub(super) fn asked(who: &'static str) -> Option<Pulse> {
        match OwnHeart::from_environment() {
            Ok(heart) => {
                let pause = heart.pause();
                Some(Pulse::of(who, heart, pause))
            }
            Err(error) if error.is_unasked() => None,
            Err(error) => {
                eprintln!("{who}: {}; it runs without a heartbeat", in_full(&error));
                None
            }
        }
    }

    /// Of this heart, which beats every `pause`.
    pub(super) fn of(who: &'static str, heart: OwnHeart, pause: Duration) -> Pulse {
        Pulse { who, heart, pause, next_at: Instant::now(), trouble: None }
    }

    /// Beats, if it is time to. Returns when it will be again.
    pub(super) fn beat(&mut self, now: Instant) -> Instant {
        if self.next_at <= now {
            self.next_at = now + self.pause;
            let trouble = self.heart.beat().err().map(|error| in_full(&error));
            if trouble != self.trouble {
                let told = trouble.as_deref().unwrap_or("its heart beats again");
                eprintln!("{}: {told}", self.who);
                self.trouble = trouble;
            }
        }
        self.next_at
    }
}

/// The error and its cause.
pub(super) fn in_full(error: &Heartless) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
