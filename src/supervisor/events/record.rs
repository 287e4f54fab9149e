use std::borrow::Cow;

use crate::model::{Event, Reason, Wall};

/// What happened to one process, in the order in which it last did.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<Event>);

/// The most events of one process. What happened longest ago is forgotten first.
const MOST: usize = 20;
/// The most bytes of its messages together: a thousand processes that each fail in twenty long ways are no 20 MiB.
const MOST_TEXT: usize = 4 * Event::MOST_BYTES;
/// The most of one reason with messages of their own; what says something else each time would push out all others. As
/// client-go's `EventAggregator` has it, in whose words the rest of them is one event.
const MOST_ALIKE: usize = 10;
const COMBINED: &str = "(combined from similar events): ";
/// Most processes have two events, and room for no more.
const ROOM: usize = 2;

impl Record {
    /// Files what happened `times` more times. Returns how often it has by now.
    pub(super) fn add(&mut self, reason: Reason, message: Cow<'static, str>, times: u32, now: Wall) -> u32 {
        let same = self.0.iter().position(|event| event.reason == reason && event.message == message);
        let is_alike = |event: &Event| event.reason == reason;
        let mut event = match same {
            Some(index) => self.0.remove(index),
            None if self.0.iter().filter(|event| is_alike(event)).count() < MOST_ALIKE => {
                Event { reason, message, count: 0, first: now, last: now }
            }
            None => {
                let message = kept(Cow::Owned(format!("{COMBINED}{message}")));
                match self.0.iter().position(|event| is_alike(event) && event.message.starts_with(COMBINED)) {
                    Some(index) => Event { message, ..self.0.remove(index) },
                    None => Event { reason, message, count: 0, first: now, last: now },
                }
            }
        };
        event.count = event.count.saturating_add(times);
        event.last = now;
        let count = event.count;
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(ROOM);
        }
        self.0.push(event);
        self.forget_the_oldest();
        count
    }

    /// What happened, the last at the end.
    pub(super) fn events(&self) -> &[Event] {
        &self.0
    }

    fn forget_the_oldest(&mut self) {
        let mut text: usize = self.0.iter().map(owned).sum();
        while self.0.len() > MOST || (text > MOST_TEXT && self.0.len() > 1) {
            text -= owned(&self.0.remove(0));
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

    use super::{MOST, MOST_TEXT, Record, kept, owned};
    use crate::model::{Event, Reason, Wall};

    fn add(record: &mut Record, reason: Reason, message: &str, second: u64) -> u32 {
        record.add(reason, message.to_string().into(), 1, Wall::from_secs(second))
    }

    fn shown(record: &Record) -> Vec<(Reason, &str, u32)> {
        record.events().iter().map(|event| (event.reason, &*event.message, event.count)).collect()
    }

    #[test]
    fn what_says_something_else_each_time_pushes_out_nothing() {
        let mut record = Record::default();
        add(&mut record, Reason::Started, "it is new", 1);
        (0..50).for_each(|number| {
            add(&mut record, Reason::Unhealthy, &format!("failed: {number}"), 10 + number);
        });
        let found = shown(&record);
        assert_eq!(found.len(), 12, "{found:?}");
        assert_eq!((found[0], found[10]), ((Reason::Started, "it is new", 1), (Reason::Unhealthy, "failed: 9", 1)));
        assert_eq!(found[11], (Reason::Unhealthy, "(combined from similar events): failed: 49", 40));
        let last = record.events().last().expect("an event");
        assert_eq!((last.first, last.last), (Wall::from_secs(20), Wall::from_secs(59)));
        // One that is told again is still that one.
        add(&mut record, Reason::Unhealthy, "failed: 3", 99);
        assert_eq!(shown(&record).last(), Some(&(Reason::Unhealthy, "failed: 3", 2)));
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

    // A thousand processes that run shall not cost more than some 200 KiB.
    #[test]
    fn a_process_that_was_created_and_started_costs_little() {
        let mut record = Record::default();
        for reason in [Reason::Created, Reason::Started] {
            record.add(reason, kept("it is new".into()), 1, Wall::from_secs(1));
        }
        assert_eq!((record.0.capacity(), record.0.iter().map(owned).sum::<usize>()), (2, 0));
        assert!(size_of::<Event>() <= 48 && size_of::<Record>() <= 24);
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
            let reason = if second % 2 == 0 { Reason::Exited } else { Reason::Killing };
            add(&mut record, reason, &format!("exit code {second}"), second);
        }
        assert_eq!(record.events().len(), MOST);
        assert_eq!(record.events()[0].message, "exit code 0", "Created is forgotten");
        add(&mut record, Reason::Exited, "exit code 0", 100);
        add(&mut record, Reason::Failed, "killed by SIGSEGV", 101);
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
}
