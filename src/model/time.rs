//! Two clocks, never mixed: decisions are made on [`Moment`]s, [`Wall`] is only shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A reading of CLOCK_MONOTONIC, in nanoseconds. The core takes it as an argument and never reads a clock.
///
/// Arithmetic saturates: a delay of a thousand years is "never", not a panic.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// The clock's zero.
    pub const ZERO: Moment = Moment(0);
    /// Later than all others.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// The moment `nanos` nanoseconds after the clock's zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Moment(nanos)
    }

    /// Nanoseconds since the clock's zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A reading of the wall clock, in nanoseconds since 1970. It may jump; nothing is decided by it but when a calendar's
/// time has come.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Wall(u64);

impl Wall {
    /// The wall time `nanos` nanoseconds after 1970.
    pub const fn from_nanos(nanos: u64) -> Self {
        Wall(nanos)
    }

    /// The wall time `seconds` seconds after 1970.
    pub const fn from_secs(seconds: u64) -> Self {
        Wall(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since 1970.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This wall time moved back by `span`.
    pub fn minus(self, span: Duration) -> Wall {
        Wall(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Seconds since 1970, as Prometheus counts them.
    pub fn as_secs_f64(self) -> f64 {
        // Not by one division: nanoseconds since 1970 are more than an f64 holds, and .25 would come out as .2499998.
        (self.0 / 1_000_000_000) as f64 + (self.0 % 1_000_000_000) as f64 / 1e9
    }

    /// This wall time moved on by `span`.
    pub fn plus(self, span: Duration) -> Wall {
        Wall(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl From<SystemTime> for Wall {
    /// A time before 1970 becomes 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Both clocks, read together: `at` to decide, `wall` to show.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stamp {
    /// When, for decisions.
    pub at: Moment,
    /// When, for people.
    pub wall: Wall,
}
