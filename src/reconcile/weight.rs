//! How much memory a run has, where it has a limit and the kernel does not keep it: when to weigh it, and what comes of
//! that.

use std::fmt;
use std::time::Duration;

use super::record::Run;
use crate::model::Moment;

/// From one weighing of a run to the next.
const EVERY: Duration = Duration::from_secs(1);

/// What a weighing has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// So many bytes, in all of its processes together.
    Bytes(u64),
    /// Nothing: it could not be weighed.
    Unknown,
    /// It need not be weighed: the kernel keeps the limit.
    Kept,
}

/// A run on the scales.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scales {
    /// When a weighing was last asked for.
    asked_at: Option<Moment>,
    /// Whether that one has not been answered yet.
    weighing: bool,
    /// What the last one showed.
    last: Option<Weight>,
}

/// More memory than the limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Excess {
    /// Bytes that it had.
    pub used: u64,
    /// Bytes that it may have.
    pub limit: u64,
}

/// What to do about a run's memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Weighing {
    /// Nothing before that moment; `None`: nothing at all, or not before an answer.
    Wait(Option<Moment>),
    /// Weigh it, now.
    Due,
    /// It has more than it may.
    Exceeded(Excess),
}

/// Judges a run's memory.
pub(super) fn judge(run: &Run, now: Moment) -> Weighing {
    let Some(limit) = run.spec.birth.limits.memory else { return Weighing::Wait(None) };
    let Scales { asked_at, weighing, last } = run.scales;
    let due = asked_at.map_or(Moment::ZERO, |at| at + EVERY);
    match last {
        _ if weighing => Weighing::Wait(None),
        Some(Weight::Kept) => Weighing::Wait(None),
        Some(Weight::Bytes(used)) if used > limit => Weighing::Exceeded(Excess { used, limit }),
        Some(Weight::Bytes(_) | Weight::Unknown) | None if due <= now => Weighing::Due,
        Some(Weight::Bytes(_) | Weight::Unknown) | None => Weighing::Wait(Some(due)),
    }
}

impl Scales {
    pub(super) fn asked(&mut self, now: Moment) {
        self.asked_at = Some(now);
        self.weighing = true;
    }

    pub(super) fn answered(&mut self, weight: Weight) {
        self.weighing = false;
        self.last = Some(weight);
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its memory limit was exceeded: {} of {}", Bytes(self.used), Bytes(self.limit))
    }
}

/// Bytes as a file would have them: `2Gi`, `128Mi`, `95.4Mi`.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MI: u64 = 1 << 20;
        const GI: u64 = 1 << 30;
        match self.0 {
            0 => f.write_str("0"),
            bytes if bytes.is_multiple_of(GI) => write!(f, "{}Gi", bytes / GI),
            bytes if bytes.is_multiple_of(MI) => write!(f, "{}Mi", bytes / MI),
            bytes => write!(f, "{:.1}Mi", bytes as f64 / MI as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Excess};

    #[test]
    fn bytes_are_shown_as_a_file_would_have_them() {
        let rows = [
            (134_217_728, "128Mi"),
            (1 << 30, "1Gi"),
            (1536 << 20, "1536Mi"),
            (134_217_729, "128.0Mi"),
            (100_000_000, "95.4Mi"),
            ((3 << 30) + 4096, "3072.0Mi"),
            (0, "0"),
        ];
        for (bytes, shown) in rows {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
        let excess = Excess { used: 150 << 20, limit: 128 << 20 };
        assert_eq!(excess.to_string(), "its memory limit was exceeded: 150Mi of 128Mi");
    }
}
