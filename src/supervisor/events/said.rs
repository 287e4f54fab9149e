use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::model::{Moment, Reason};
use crate::supervisor::host::REPEAT;

/// What the log was told lately of one process, of what is told now and then.
#[derive(Debug, Default)]
pub(super) struct Said(Vec<Lately>);

/// What it was told for one reason since some moment, for no longer than [`REPEAT`].
#[derive(Debug)]
struct Lately {
    reason: Reason,
    since: Moment,
    /// The hashes of the messages: that two are alike costs a line of the log.
    messages: Vec<u64>,
}

/// So many different messages for one reason are told within [`REPEAT`]: some have a time in them, or a number.
const MOST: usize = 6;

impl Said {
    /// Whether the log is to be told: of each message once in [`REPEAT`], while there are not too many.
    pub(super) fn is_news(&mut self, reason: Reason, message: &str, now: Moment) -> bool {
        let index = self.0.iter().position(|lately| lately.reason == reason).unwrap_or_else(|| {
            self.0.push(Lately { reason, since: now, messages: Vec::new() });
            self.0.len() - 1
        });
        let lately = &mut self.0[index];
        if now.since(lately.since) >= REPEAT {
            (lately.since, lately.messages) = (now, Vec::new());
        }
        let hash = hash(message);
        let is_news = lately.messages.len() < MOST && !lately.messages.contains(&hash);
        if is_news {
            lately.messages.push(hash);
        }
        is_news
    }
}

fn hash(message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MOST, Said};
    use crate::model::{Moment, Reason};
    use crate::supervisor::host::REPEAT;

    fn at(second: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(1000 + second)
    }

    #[test]
    fn what_repeats_is_told_at_first_when_it_changes_and_once_a_minute() {
        let mut said = Said::default();
        let told: Vec<u64> =
            (0..200).filter(|second| said.is_news(Reason::Unhealthy, "timed out", at(*second))).collect();
        assert_eq!(told, [0, REPEAT.as_secs(), 2 * REPEAT.as_secs(), 3 * REPEAT.as_secs()]);
        assert!(said.is_news(Reason::Unhealthy, "refused", at(200)), "it changed");
        assert!(!said.is_news(Reason::Unhealthy, "timed out", at(201)), "it changed back within the minute");
        assert!(said.is_news(Reason::BackOff, "timed out", at(201)), "of another reason");
    }

    #[test]
    fn messages_that_are_never_the_same_do_not_flood_the_log() {
        let mut said = Said::default();
        let minutes = 10;
        let told = (0..minutes * REPEAT.as_secs())
            .filter(|second| said.is_news(Reason::Unhealthy, &format!("at {second}"), at(*second)))
            .count();
        assert_eq!(told, MOST * minutes as usize);
    }
}
