use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::model::{Event, Moment, Reason, Wall};
use crate::supervisor::host::REPEAT;

/// What happened to one process, in the order in which it last did.
#[derive(Debug, Default)]
pub(super) struct Record {
    events: Vec<Event>,
    said: Vec<Said>,
}

/// What the log was told for one reason since some moment, for no longer than [`REPEAT`].
#[derive(Debug)]
struct Said {
    reason: Reason,
    since: Moment,
    /// The hashes of the messages: that two are alike costs a line of the log.
    messages: Vec<u64>,
}

/// The most events of one process. What happened longest ago is forgotten first.
const MOST: usize = 20;
/// The most bytes of its messages together: a thousand processes that each fail in twenty long ways are no 20 MiB.
const MOST_TEXT: usize = 4 * Event::MOST_BYTES;
/// Most processes have two events, and room for no more.
const ROOM: usize = 2;
/// So many different messages for one reason are told within [`REPEAT`]: some have a time in them, or a number.
const MOST_SAID: usize = 6;

impl Record {
    /// Files what happened `times` more times. Returns how often it has by now.
    pub(super) fn add(&mut self, reason: Reason, message: Cow<'static, str>, times: u32, now: Wall) -> u32 {
        let same = self.events.iter().position(|event| event.reason == reason && event.message == message);
        let mut event = match same {
            Some(index) => self.events.remove(index),
            None => Event { reason, message, count: 0, first: now, last: now },
        };
        event.count = event.count.saturating_add(times);
        event.last = now;
        let count = event.count;
        if self.events.len() == self.events.capacity() {
            self.events.reserve_exact(ROOM);
        }
        self.events.push(event);
        self.forget_the_oldest();
        count
    }

    /// Whether the log is to be told: of each message once in [`REPEAT`], while there are not too many.
    pub(super) fn is_to_be_told(&mut self, reason: Reason, message: &str, now: Moment) -> bool {
        let index = self.said.iter().position(|said| said.reason == reason).unwrap_or_else(|| {
            self.said.push(Said { reason, since: now, messages: Vec::new() });
            self.said.len() - 1
        });
        let said = &mut self.said[index];
        if now.since(said.since) >= REPEAT {
            (said.since, said.messages) = (now, Vec::new());
        }
        let hash = hash(message);
        let is_told = said.messages.contains(&hash) || said.messages.len() >= MOST_SAID;
        if !is_told {
            said.messages.push(hash);
        }
        !is_told
    }

    /// What happened, the last at the end.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    fn forget_the_oldest(&mut self) {
        let mut text: usize = self.events.iter().map(owned).sum();
        while self.events.len() > MOST || (text > MOST_TEXT && self.events.len() > 1) {
            text -= owned(&self.events.remove(0));
        }
    }
}

/// The memory that its message takes.
fn owned(event: &Event) -> usize {
    match &event.message {
        Cow::Borrowed(_) => 0,
        Cow::Owned(text) => text.len(),
    }
}

fn hash(message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

/// A message as a record keeps it: on one line, and no longer than it may be.
pub(super) fn kept(message: Cow<'static, str>) -> Cow<'static, str> {
    if message.len() <= Event::MOST_BYTES && !message.contains(char::is_control) {
        return message;
    }
    let is_cut = message.len() > Event::MOST_BYTES;
    let most = if is_cut { Event::MOST_BYTES - ELLIPSIS.len_utf8() } else { message.len() };
    let cut = (0..=most).rfind(|at| message.is_char_boundary(*at)).unwrap_or(0);
    let text = &message[..cut];
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    Cow::Owned(text.chain(is_cut.then_some(ELLIPSIS)).collect())
}

const ELLIPSIS: char = '…';

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::Duration;

    use super::{MOST, MOST_SAID, MOST_TEXT, Record, kept, owned};
    use crate::model::{Event, Moment, Reason, Wall};
    use crate::supervisor::host::REPEAT;

    fn add(record: &mut Record, reason: Reason, message: &str, second: u64) -> u32 {
        record.add(reason, message.to_string().into(), 1, Wall::from_secs(second))
    }

    fn shown(record: &Record) -> Vec<(Reason, &str, u32)> {
        record.events().iter().map(|event| (event.reason, &*event.message, event.count)).collect()
    }

    #[test]
    fn the_same_reason_with_the_same_message_is_one_event_that_is_counted() {
        let mut record = Record::default();
        assert_eq!(add(&mut record, Reason::Exited, "exit code 1", 10), 1);
        assert_eq!(add(&mut record, Reason::Exited, "exit code 2", 20), 1);
        assert_eq!(add(&mut record, Reason::Failed, "exit code 1", 30), 1);
        assert_eq!(add(&mut record, Reason::Exited, "exit code 1", 40), 2);
        assert_eq!(record.add(Reason::MissSchedule, "late".into(), 100, Wall::from_secs(50)), 100);
        assert_eq!(record.add(Reason::MissSchedule, "late".into(), u32::MAX, Wall::from_secs(60)), u32::MAX);
        let expected = [
            (Reason::Exited, "exit code 2", 1),
            (Reason::Failed, "exit code 1", 1),
            (Reason::Exited, "exit code 1", 2),
            (Reason::MissSchedule, "late", u32::MAX),
        ];
        assert_eq!(shown(&record), expected, "in the order in which they last happened");
        let again = &record.events()[2];
        assert_eq!((again.first, again.last), (Wall::from_secs(10), Wall::from_secs(40)));
    }

    #[test]
    fn a_wall_clock_that_is_set_back_does_not_change_the_order() {
        let mut record = Record::default();
        add(&mut record, Reason::Started, "", 1000);
        add(&mut record, Reason::Killing, "", 10);
        assert_eq!(shown(&record), [(Reason::Started, "", 1), (Reason::Killing, "", 1)]);
    }

    #[test]
    fn what_happened_longest_ago_is_forgotten_first() {
        let mut record = Record::default();
        add(&mut record, Reason::Created, "", 0);
        for second in 0..MOST as u64 {
            add(&mut record, Reason::Exited, &format!("exit code {second}"), second);
        }
        assert_eq!(record.events().len(), MOST);
        assert_eq!(record.events()[0].message, "exit code 0", "Created is forgotten");
        add(&mut record, Reason::Exited, "exit code 0", 100);
        add(&mut record, Reason::Exited, "killed by SIGSEGV", 101);
        let messages: Vec<&str> = record.events().iter().map(|event| &*event.message).collect();
        assert!(messages.contains(&"exit code 0") && !messages.contains(&"exit code 1"), "{messages:?}");
    }

    #[test]
    fn long_messages_are_cut_and_many_of_them_are_few() {
        let mut record = Record::default();
        for round in 0..100 {
            let message = kept(format!("{round} {}", "é".repeat(5000)).into());
            assert!(message.len() <= Event::MOST_BYTES && message.len() > Event::MOST_BYTES - 8, "{}", message.len());
            assert!(message.ends_with("é…"), "{message}");
            record.add(Reason::Unhealthy, message, 1, Wall::from_secs(round));
        }
        assert!(record.events().iter().map(owned).sum::<usize>() <= MOST_TEXT);
        assert!(record.events().len() >= 4);
        assert!(record.events()[0].message.starts_with("96 "), "the latest are kept");
        let whole = "x".repeat(Event::MOST_BYTES);
        assert_eq!(kept(whole.clone().into()), whole);
    }

    #[test]
    fn a_message_is_one_line_and_a_static_one_is_not_copied() {
        assert_eq!(kept("a\nb\r\u{1b}[31m\tc\u{85}".into()), "a b  [31m c ");
        assert!(matches!(kept(Cow::Borrowed("it is new")), Cow::Borrowed("it is new")));
    }

    fn at(second: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(1000 + second)
    }

    #[test]
    fn what_repeats_is_told_at_first_when_it_changes_and_once_a_minute() {
        let mut record = Record::default();
        let told: Vec<u64> =
            (0..200).filter(|second| record.is_to_be_told(Reason::Unhealthy, "timed out", at(*second))).collect();
        assert_eq!(told, [0, REPEAT.as_secs(), 2 * REPEAT.as_secs(), 3 * REPEAT.as_secs()]);
        assert!(record.is_to_be_told(Reason::Unhealthy, "refused", at(200)), "it changed");
        assert!(!record.is_to_be_told(Reason::Unhealthy, "timed out", at(201)), "it changed back within the minute");
        assert!(record.is_to_be_told(Reason::BackOff, "timed out", at(201)), "of another reason");
    }

    #[test]
    fn messages_that_are_never_the_same_do_not_flood_the_log() {
        let mut record = Record::default();
        let minutes = 10;
        let told = (0..minutes * REPEAT.as_secs())
            .filter(|second| record.is_to_be_told(Reason::Unhealthy, &format!("at {second}"), at(*second)))
            .count();
        assert_eq!(told, MOST_SAID * minutes as usize);
    }
}
