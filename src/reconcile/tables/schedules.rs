//! What a calendar, its deadlines and its policies come to. The wall clock is at 12:00:30 UTC when the other is at 0.

use jiff::tz::TimeZone;

use super::*;
use crate::Progress;
use crate::model::{Calendar, Concurrency, Rhythm};

const NOON: u64 = 1_790_164_800;

fn stamp_at(at: f64) -> Stamp {
    walled(at, at + 30.0)
}

/// So long after the beginning, with a clock on the wall that shows so many seconds past noon.
fn walled(at: f64, past_noon: f64) -> Stamp {
    let wall = Wall::from_nanos((NOON as i64 * 1_000_000_000 + (past_noon * 1e9) as i64) as u64);
    Stamp { at: Moment::ZERO + seconds(at), wall }
}

fn minutely() -> Calendar {
    Calendar::parse("* * * * *", TimeZone::UTC).expect("a good expression")
}

fn scheduled(concurrency: Concurrency, starting_deadline: Option<f64>) -> ProcessSpec {
    let rhythm = Rhythm::Calendar(minutely());
    let schedule = Schedule { rhythm, concurrency, starting_deadline: starting_deadline.map(seconds) };
    ProcessSpec { schedule: Some(schedule), restart: Restart::Never, ..service() }
}

fn cron() -> ProcessSpec {
    scheduled(Concurrency::Forbid, None)
}

fn follow(up_to: Stamp) -> (Stamp, Fact) {
    (up_to, Fact::Following(web(), Some(minutely().id().clone())))
}

fn begun(at: Stamp, spec: ProcessSpec) -> (Stamp, Fact) {
    (at, Fact::Started(web(), first(), Arc::new(spec)))
}

fn over(at: Stamp, code: u8) -> (Stamp, Fact) {
    (at, exited(Exit::Code(code), false))
}

#[track_caller]
fn decides(case: &str, spec: ProcessSpec, facts: &[(Stamp, Fact)], now: Stamp, expected: &str) {
    let mut observed = Observed::default();
    for (at, fact) in facts {
        observed.observe(fact.clone(), *at);
    }
    assert_eq!(decided_by(&wanted(spec), &observed, now), expected, "{case}");
}

#[test]
fn a_calendar_is_followed_from_when_it_is_first_seen() {
    let (start, minute) = (stamp_at(0.0), stamp_at(30.0));
    decides("new", cron(), &[], start, "follow UTC * * * * *");
    decides("seen", cron(), &[follow(start)], start, "wait until 30");
    decides("its time", cron(), &[follow(start)], minute, "start, Scheduled");
    decides("suspended", ProcessSpec { suspend: true, ..cron() }, &[follow(start)], minute, "wait");
    decides("late, at once", cron(), &[follow(start)], stamp_at(89.0), "start, Scheduled");
    decides("another calendar", job(), &[follow(start)], start, "follow none");
    decides("none any more", service(), &[follow(start)], start, "follow none");
    let done = [follow(start), begun(minute, cron()), over(stamp_at(31.0), 1)];
    decides("done", cron(), &done, stamp_at(31.0), "wait until 90");
    decides("done, next", cron(), &done, stamp_at(90.0), "start, Scheduled");
}

#[test]
fn what_the_monitor_before_this_one_missed_is_made_up_for() {
    let remembered = |calendar: &str, past_noon: f64| {
        let up_to = walled(0.0, past_noon).wall;
        let progress = Progress { calendar: calendar.into(), up_to, since: stamp_at(0.0), last: None };
        (stamp_at(0.0), Fact::Remembered(web(), progress))
    };
    let start = stamp_at(0.0);
    let missed = [remembered("UTC * * * * *", -3600.0), follow(start)];
    decides("an hour of it", cron(), &missed, start, "start, Scheduled");
    decides("too late", scheduled(Concurrency::Forbid, Some(10.0)), &missed, start, "wait until 30");
    decides("not too late", scheduled(Concurrency::Forbid, Some(31.0)), &missed, start, "start, Scheduled");
    decides("nothing", cron(), &[remembered("UTC * * * * *", 0.0), follow(start)], start, "wait until 30");
    decides("of another", cron(), &[remembered("UTC 0 * * * *", -9e4), follow(start)], start, "wait until 30");
    decides("years ahead", cron(), &[remembered("UTC * * * * *", 1e8), follow(start)], start, "wait until 30");
    let mut observed = Observed::default();
    let ran = [begun(start, cron()), over(stamp_at(1.0), 0)];
    for (at, fact) in missed.into_iter().chain(ran) {
        observed.observe(fact, at);
    }
    assert_eq!(decided_by(&wanted(cron()), &observed, stamp_at(1.0)), "wait until 30", "one run for all");
    assert_eq!(observed.records()[&web()].tally.missed, 59);
    let [(_, Some(progress))] = &observed.take_unsaved()[..] else { panic!("it is to be saved") };
    assert_eq!((progress.up_to, progress.last), (walled(0.0, 0.0).wall, Some(walled(0.0, 0.0).wall)));
    assert_eq!(observed.take_unsaved(), [], "and that was all");
}

#[test]
fn a_clock_that_jumps_runs_nothing_twice_and_nothing_never() {
    let start = stamp_at(0.0);
    let seen = [follow(start)];
    decides("forward across a time: once, late", cron(), &seen, walled(1.0, 100.0), "start, Scheduled");
    decides("forward across an hour of them", cron(), &seen, walled(1.0, 3700.0), "start, Scheduled");
    let ran = [follow(start), begun(stamp_at(30.0), cron()), over(stamp_at(31.0), 0)];
    decides("back before a time that was run for", cron(), &ran, walled(32.0, 50.0), "wait until 102");
    decides("that time again", cron(), &ran, walled(42.0, 60.0), "wait until 102");
    decides("the next one", cron(), &ran, walled(102.0, 120.0), "start, Scheduled");
    let two_days = 2.0 * 86_400.0;
    decides("back by days: it was wrong", cron(), &ran, walled(32.0, 50.0 - two_days), "wait until 42");
    decides("and its time comes", cron(), &ran, walled(42.0, 60.0 - two_days), "start, Scheduled");
}

#[test]
fn a_run_that_lasts_until_the_next_is_due_is_waited_for_or_replaced() {
    let (start, minute, later) = (stamp_at(0.0), stamp_at(30.0), stamp_at(95.0));
    let replace = || scheduled(Concurrency::Replace, None);
    let up = |spec: ProcessSpec| vec![follow(start), begun(minute, spec)];
    decides("forbidden", cron(), &up(cron()), later, "wait");
    decides("forbidden, over", cron(), &[up(cron()), vec![over(later, 0)]].concat(), later, "start, Scheduled");
    decides("replaced, not yet", replace(), &up(replace()), stamp_at(89.0), "wait until 90");
    decides("replaced", replace(), &up(replace()), later, "SIGTERM to Main, Replaced");
    let asleep = ProcessSpec { suspend: true, ..replace() };
    decides("suspended, and so not replaced", asleep.clone(), &up(asleep.clone()), later, "wait");
    let asked = [up(asleep.clone()), vec![(stamp_at(40.0), Fact::Asked(web(), Ask::Trigger))]].concat();
    decides("suspended, triggered", asleep, &asked, stamp_at(40.0), "SIGTERM to Main, Replaced");
    let edited = ProcessSpec { born: Fingerprint(7), whole: Fingerprint(7), ..cron() };
    decides("edited at birth: the next run takes it", edited.clone(), &up(cron()), later, "wait");
    decides("edited, over", edited, &[up(cron()), vec![over(later, 0)]].concat(), later, "start, Scheduled");
}

#[test]
fn a_run_that_lasts_too_long_has_failed_for_good() {
    let within = |restart| ProcessSpec { restart, active_deadline: Some(seconds(50.0)), ..service() };
    let retried = || ProcessSpec { restart: Restart::OnFailure, active_deadline: Some(seconds(50.0)), ..job() };
    for spec in [within(Restart::Never), within(Restart::OnFailure), within(Restart::Always), retried()] {
        let late = if spec.schedule.is_some() { "wait until 100" } else { "wait" };
        let ended = |facts| {
            let told = then(facts, 50.0, signalled(Target::Main, Signal::TERM, Why::DeadlineExceeded));
            then(told, 51.0, exited(Exit::Code(0), false))
        };
        decide(&[
            ("in time", wanted(spec.clone()), up(spec.clone()), &[(49.9, "wait until 50")]),
            ("too long", wanted(spec.clone()), up(spec.clone()), &[(50.0, "SIGTERM to Main, DeadlineExceeded")]),
            ("over", wanted(spec.clone()), ended(up(spec.clone())), &[(51.0, late)]),
        ]);
    }
}

#[test]
fn the_lag_is_how_long_after_its_time_the_last_run_began() {
    let lag_after = |facts: &[(Stamp, Fact)]| {
        let mut observed = Observed::default();
        facts.iter().for_each(|(at, fact)| observed.observe(fact.clone(), *at));
        observed.records()[&web()].tally.lag.map(|lag| lag.as_secs_f64())
    };
    let start = stamp_at(0.0);
    assert_eq!(lag_after(&[follow(start)]), None);
    // Noon was at -30.
    assert_eq!(lag_after(&[follow(start), begun(stamp_at(32.5), cron())]), Some(2.5));
    let triggered =
        [follow(start), begun(stamp_at(32.5), cron()), over(stamp_at(33.0), 1), begun(stamp_at(50.0), cron())];
    assert_eq!(lag_after(&triggered), Some(2.5), "a run that was for no time tells nothing");
    let late = [triggered.as_slice(), &[over(stamp_at(51.0), 0), begun(stamp_at(209.0), cron())]].concat();
    assert_eq!(lag_after(&late), Some(59.0), "for the last of the times that have come");

    let every = [begun(start, job()), over(stamp_at(1.0), 0)];
    assert_eq!(lag_after(&every), Some(0.0), "at once");
    let early = [every.as_slice(), &[begun(stamp_at(60.0), job()), over(stamp_at(61.0), 0)]].concat();
    assert_eq!(lag_after(&early), Some(0.0), "asked for before its time");
    let late = [early.as_slice(), &[begun(stamp_at(105.25), job())]].concat();
    assert_eq!(lag_after(&late), Some(5.25));
}
