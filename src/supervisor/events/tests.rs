use std::time::Duration;

use super::departed::{MOST, REMEMBERED};
use super::{Events, Told};
use crate::model::{EventsAsked, Moment, Name, Reason, Stamp, Wall};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn stamp(second: u64) -> Stamp {
    let span = Duration::from_secs(second);
    Stamp { at: Moment::ZERO + span, wall: Wall::from_secs(1_790_000_000).plus(span) }
}

fn asked(of: Option<&str>, newest: usize) -> EventsAsked {
    EventsAsked { of: of.map(name), newest }
}

/// Process, reason, count, and the second of each event that is answered.
fn shown(events: &Events, of: Option<&str>, newest: usize) -> Vec<(String, Reason, u32, u64)> {
    let since = |wall: Wall| wall.since(stamp(0).wall).as_secs();
    let answer = events.answer(&asked(of, newest)).into_iter();
    answer.map(|one| (one.process.to_string(), one.event.reason, one.event.count, since(one.event.last))).collect()
}

fn row(process: &str, reason: Reason, count: u32, second: u64) -> (String, Reason, u32, u64) {
    (process.to_string(), reason, count, second)
}

#[test]
fn the_newest_of_all_are_answered_in_the_order_of_time() {
    let mut events = Events::default();
    for process in ["a", "b", "c"] {
        events.admit(&name(process));
    }
    let happened = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)];
    for (process, second) in happened {
        events.begin_turn(stamp(second));
        events.note(Told::of(&name(process), Reason::Started, format!("at {second}")));
    }
    let expected: Vec<_> = happened.iter().map(|(process, second)| row(process, Reason::Started, 1, *second)).collect();
    for newest in 0..=6 {
        assert_eq!(shown(&events, None, newest), expected[expected.len().saturating_sub(newest)..], "{newest}");
    }
    assert_eq!(shown(&events, Some("a"), 2), [row("a", Reason::Started, 1, 3), row("a", Reason::Started, 1, 5)]);
    assert_eq!(shown(&events, Some("nobody"), 9), []);
}

#[test]
fn a_removed_process_is_remembered_for_an_hour_and_its_record_goes_on_when_it_comes_back() {
    let mut events = Events::default();
    let web = name("web");
    events.admit(&web);
    events.begin_turn(stamp(10));
    events.note(Told::of(&web, Reason::Killing, "its file was removed"));
    events.forget(&web);
    events.begin_turn(stamp(9 + REMEMBERED.as_secs()));
    assert_eq!(shown(&events, Some("web"), 9), [row("web", Reason::Killing, 1, 10)]);
    assert_eq!(shown(&events, None, 9).len(), 1);
    events.admit(&web);
    events.begin_turn(stamp(10 + 2 * REMEMBERED.as_secs()));
    assert_eq!(shown(&events, Some("web"), 9).len(), 1, "it is back");
    events.forget(&web);
    events.begin_turn(stamp(10 + 3 * REMEMBERED.as_secs()));
    assert_eq!(shown(&events, None, 9), []);
}

#[test]
fn what_is_told_of_a_name_that_is_no_process_is_kept_and_becomes_its_own_when_it_is_one() {
    let mut events = Events::default();
    let web = name("web");
    let refused = || Told::of(&web, Reason::FailedValidation, "web.yaml:1:1: unknown key");
    events.note(refused());
    // As long as something happens to it, it is not forgotten.
    for hour in 1..4 {
        events.begin_turn(stamp(hour * (REMEMBERED.as_secs() - 1)));
        events.tell_now_and_then(refused());
    }
    assert_eq!(shown(&events, Some("web"), 9)[0].2, 4);
    events.admit(&web);
    events.admit(&web);
    events.note(Told::of(&web, Reason::Created, ""));
    let reasons: Vec<Reason> = shown(&events, None, 9).into_iter().map(|(_, reason, ..)| reason).collect();
    assert_eq!(reasons, [Reason::FailedValidation, Reason::Created]);
}

#[test]
fn a_million_names_that_come_and_go_leave_no_more_than_a_hundred() {
    let mut events = Events::default();
    let resident = name("resident");
    events.admit(&resident);
    events.note(Told::of(&resident, Reason::Created, ""));
    for number in 0..1_000_000 {
        let passing = name(&format!("p{number}"));
        events.admit(&passing);
        events.note(Told::of(&passing, Reason::Created, ""));
        events.forget(&passing);
        if number % 10 == 0 {
            events.note(Told::of(&name(&format!("q{number}")), Reason::FailedValidation, ""));
        }
    }
    assert_eq!(events.living.len(), 1);
    assert_eq!(events.departed.iter().count(), MOST);
    assert_eq!(events.answer(&asked(None, usize::MAX)).len(), MOST + 1);
    assert_eq!(shown(&events, Some("p999999"), 9).len(), 1, "the last are the ones that are kept");
}

#[test]
fn what_was_said_of_a_process_is_forgotten_with_it() {
    let mut events = Events::default();
    let web = name("web");
    for _ in 0..3 {
        events.admit(&web);
        events.tell_now_and_then(Told::of(&web, Reason::BackOff, "again"));
        assert_eq!(events.said.len(), 1);
        events.forget(&web);
        assert_eq!(events.said.len(), 0);
    }
    events.tell_now_and_then(Told::of(&web, Reason::BackOff, "again"));
    assert_eq!((events.said.len(), shown(&events, Some("web"), 9)[0].2), (0, 4));
}
