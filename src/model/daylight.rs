//! What becomes of a calendar when the clocks are changed. Sources: for Berlin directive 2000/84/EC (last Sundays of March
//! and October, 01:00 UTC), for New York the Energy Policy Act of 2005 (second Sunday of March, first of November, 02:00 on
//! the wall), for Lord Howe the half hour, and for the other places the tz database's files `australasia`, `africa`
//! and `southamerica`.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::cron::Cron;
use super::{Calendar, Wall};

fn zone(name: &str) -> TimeZone {
    // The one that is built in: the same on every machine.
    super::Zones::inflate().get(name).expect("a zone of the database")
}

fn wall(text: &str) -> Wall {
    let at: Timestamp = text.parse().expect("a time");
    Wall::from_secs(u64::try_from(at.as_second()).expect("after 1970"))
}

fn timestamp(wall: Wall) -> Timestamp {
    Timestamp::from_second((wall.as_nanos() / 1_000_000_000) as i64).expect("within range")
}

/// The times of an expression from one moment to another, as the clocks there show them, with their offset from UTC.
fn times(place: &str, expression: &str, from: &str, to: &str) -> Vec<String> {
    let calendar = Calendar::parse(expression, zone(place)).expect("a good expression");
    let (mut at, end) = (wall(from), wall(to));
    let mut found = Vec::new();
    while let Some(next) = calendar.next_after(at).filter(|next| *next < end) {
        let there = zone(place).to_datetime(timestamp(next));
        let offset = zone(place).to_offset(timestamp(next)).seconds();
        let sign = if offset < 0 { '-' } else { '+' };
        let offset = offset.abs() / 60;
        found.push(format!("{} {sign}{:02}{:02}", there.strftime("%d %H:%M"), offset / 60, offset % 60));
        at = next;
    }
    found
}

#[test]
fn a_fixed_time_is_run_once_a_day_and_an_hourly_one_in_every_hour() {
    type Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a [&'a str]);
    let berlin = ["2026-03-28T12:00Z", "2026-03-30T12:00Z", "2026-10-24T12:00Z", "2026-10-26T12:00Z"];
    let night = ["2026-03-28T23:30Z", "2026-03-29T03:00Z", "2026-10-24T22:30Z", "2026-10-25T03:00Z"];
    let rows: &[Row] = &[
        // 29 March, 02:00 +01 is 03:00 +02.
        ("Europe/Berlin", "30 2 * * *", berlin[0], berlin[1], &["29 03:00 +0200", "30 02:30 +0200"]),
        ("Europe/Berlin", "0 3 * * *", berlin[0], berlin[1], &["29 03:00 +0200", "30 03:00 +0200"]),
        (
            "Europe/Berlin",
            "30 2,14 * * *",
            berlin[0],
            berlin[1],
            &["28 14:30 +0100", "29 03:00 +0200", "29 14:30 +0200", "30 02:30 +0200"],
        ),
        ("Europe/Berlin", "*/15 2 * * *", berlin[0], "2026-03-29T12:00Z", &["29 03:00 +0200"]),
        ("Europe/Berlin", "30 2,3 * * *", berlin[0], "2026-03-29T12:00Z", &["29 03:00 +0200", "29 03:30 +0200"]),
        ("Europe/Berlin", "30 * * * *", night[0], night[1], &["29 01:30 +0100", "29 03:30 +0200", "29 04:30 +0200"]),
        ("Europe/Berlin", "30 */2 * * *", night[0], night[1], &["29 00:30 +0100", "29 04:30 +0200"][1..]),
        // 25 October, 03:00 +02 is 02:00 +01.
        ("Europe/Berlin", "30 2 * * *", berlin[2], berlin[3], &["25 02:30 +0200", "26 02:30 +0100"]),
        (
            "Europe/Berlin",
            "30 2,14 * * *",
            berlin[2],
            berlin[3],
            &["24 14:30 +0200", "25 02:30 +0200", "25 14:30 +0100", "26 02:30 +0100"],
        ),
        ("Europe/Berlin", "0 3 * * *", berlin[2], berlin[3], &["25 03:00 +0100", "26 03:00 +0100"]),
        ("Europe/Berlin", "*/30 2 * * *", night[2], night[3], &["25 02:00 +0200", "25 02:30 +0200"]),
        (
            "Europe/Berlin",
            "30 * * * *",
            night[2],
            night[3],
            &["25 01:30 +0200", "25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"],
        ),
        // 8 March, 02:00 -05 is 03:00 -04; 1 November, 02:00 -04 is 01:00 -05.
        ("America/New_York", "15 2 8 * *", "2026-03-07T12:00Z", "2026-03-09T12:00Z", &["08 03:00 -0400"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00Z", "2026-11-01T18:00Z", &["01 01:30 -0400"]),
        (
            "America/New_York",
            "0 * * * 0",
            "2026-11-01T04:30Z",
            "2026-11-01T07:30Z",
            &["01 01:00 -0400", "01 01:00 -0500", "01 02:00 -0500"],
        ),
        // 5 April, 02:00 +11 is 01:30 +10:30; 4 October, 02:00 +10:30 is 02:30 +11.
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00Z", "2026-04-05T00:00Z", &["05 01:45 +1100"]),
        (
            "Australia/Lord_Howe",
            "*/15 * * * *",
            "2026-04-04T14:20Z",
            "2026-04-04T15:31Z",
            &["05 01:30 +1100", "05 01:45 +1100", "05 01:30 +1030", "05 01:45 +1030", "05 02:00 +1030"],
        ),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00Z", "2026-10-04T00:00Z", &["04 02:30 +1100"]),
        // A midnight that does not exist: 6 September 2026, 24:00 -04 is 01:00 -03. A day that did not: 30 December 2011.
        ("America/Santiago", "@daily", "2026-09-05T12:00Z", "2026-09-07T12:00Z", &["06 01:00 -0300", "07 00:00 -0300"]),
        (
            "Pacific/Apia",
            "0 12 * * *",
            "2011-12-29T12:00Z",
            "2011-12-31T12:00Z",
            &["29 12:00 -1000", "31 00:00 +1400", "31 12:00 +1400"],
        ),
        ("UTC", "59 23 31 12 *", "2026-01-01T00:00Z", "2027-06-01T00:00Z", &["31 23:59 +0000"]),
    ];
    for (place, expression, from, to, expected) in rows {
        assert_eq!(times(place, expression, from, to), *expected, "{expression} in {place} from {from}");
    }
}

/// The same told minute by minute: what is read on the wall, what was read before, and what is jumped over.
fn watched(place: &TimeZone, cron: &Cron, from: Timestamp, minutes: i64) -> Vec<Timestamp> {
    let meant = |reading: DateTime| cron.at_or_after(reading) == Some(reading);
    let mut seen = BTreeSet::new();
    let mut before = place.to_datetime(from - 1.minutes());
    // A day more, to have seen what is seen again.
    for back in 1..1500 {
        seen.insert(place.to_datetime(from - back.minutes()));
    }
    let mut found = Vec::new();
    for minute in 0..minutes {
        let at = from + minute.minutes();
        let reading = place.to_datetime(at);
        let mut skipped = before + 1.minutes();
        let mut is_due = meant(reading) && (cron.every_hour || !seen.contains(&reading));
        while !cron.every_hour && skipped < reading {
            is_due |= meant(skipped) && !seen.contains(&skipped);
            skipped += 1.minutes();
        }
        if is_due {
            found.push(at);
        }
        seen.insert(reading);
        before = reading;
    }
    found
}

#[test]
fn the_search_finds_what_a_watchman_would() {
    let places = [
        ("Europe/Berlin", "2026-03-28T00:00Z"),
        ("Europe/Berlin", "2026-10-24T00:00Z"),
        ("America/New_York", "2026-03-07T00:00Z"),
        ("America/New_York", "2026-10-31T00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T00:00Z"),
        ("America/Santiago", "2026-09-05T00:00Z"),
        ("America/Santiago", "2026-04-04T00:00Z"),
        ("Africa/Cairo", "2026-04-23T00:00Z"),
        ("Pacific/Apia", "2011-12-29T00:00Z"),
        ("Asia/Kathmandu", "2026-01-01T00:00Z"),
    ];
    let expressions = [
        "* * * * *",
        "*/7 * * * *",
        "*/20 1-3 * * *",
        "30 2 * * *",
        "0 0 * * *",
        "0 0-6 * * *",
        "5,35 */3 * * *",
        "0 2,3 * * SUN",
        "15 2 29,25,8,1,4,5 * *",
        "59 23 * * *",
        "0,30 1,2 5 * SAT-SUN",
    ];
    for (place, from) in places {
        let (place_, from): (_, Timestamp) = (zone(place), from.parse().expect("a time"));
        for expression in expressions {
            let cron = Cron::parse(expression).expect("a good expression");
            let expected = watched(&place_, &cron, from, 2880);
            let calendar = Calendar::parse(expression, place_.clone()).expect("a good expression");
            let mut at = Wall::from_secs(from.as_second() as u64 - 1);
            let end = Wall::from_secs(from.as_second() as u64 + 2880 * 60);
            let mut found = Vec::new();
            while let Some(next) = calendar.next_after(at).filter(|next| *next < end) {
                found.push(timestamp(next));
                at = next;
            }
            assert_eq!(found, expected, "{expression} in {place} from {from}");
        }
    }
}

#[test]
fn the_latest_is_the_one_before_the_next() {
    let calendar = |text| Calendar::parse(text, zone("Europe/Berlin")).expect("a good expression");
    let (start, now) = (wall("2020-01-01T00:00Z"), wall("2026-10-25T01:15:30Z"));
    let rows = [
        ("* * * * *", Some("2026-10-25T01:15:00Z")),
        ("*/30 2 * * *", Some("2026-10-25T00:30:00Z")),
        ("0 0 29 2 *", Some("2024-02-28T23:00:00Z")),
        ("* * * 1 *", Some("2026-01-31T22:59:00Z")),
    ];
    for (expression, expected) in rows {
        assert_eq!(calendar(expression).latest(start, now), expected.map(wall), "{expression}");
    }
    let daily = calendar("0 12 * * *");
    assert_eq!(daily.latest(wall("2026-10-24T10:00Z"), now), None, "what was done is not the latest of what was not");
    assert_eq!(daily.latest(wall("2026-10-24T09:59:59Z"), now), Some(wall("2026-10-24T10:00Z")));
    assert_eq!(daily.count(start, wall("2020-01-11T00:00Z"), 100), 10);
    assert_eq!(daily.count(start, now, 100), 100);
    assert_eq!(daily.next_after(Wall::from_nanos(u64::MAX)).map(|at| at > now), Some(true));
    let between = now.plus(Duration::from_millis(500));
    assert_eq!(calendar("* * * * *").next_after(between), Some(wall("2026-10-25T01:16:00Z")));
}
