//! What is decided, cell by cell: what is wanted, what has happened so far, and what is done at which moment. Moments are
//! in seconds; each row names the moment before an edge, and the edge.

mod answered;
mod hearts;
mod order;
mod policy;
mod probes;
mod requests;
mod schedules;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::sim::plain;
use super::{Action, Ask, Desired, Excess, Fact, Haste, Hook, HookEnd, Observed, Target, Weight, Why, reconcile, view};
use crate::model::{
    Backoff, Exit, ExitReason, Fingerprint, Heartbeat, Incarnation, Kill, Moment, Name, PreStop, ProcessSpec, Restart,
    Schedule, Signal, Stamp, StartError, Step, Stop, Wall,
};

type Facts = Vec<(f64, Fact)>;
/// The case in words, what is wanted, what has happened, and what is decided at which moments.
type Row<'a> = (&'a str, Desired, Facts, &'a [(f64, &'a str)]);

fn seconds(n: f64) -> Duration {
    Duration::from_secs_f64(n)
}

fn stamp(n: f64) -> Stamp {
    Stamp { at: Moment::ZERO + seconds(n), wall: Wall::default() }
}

fn web() -> Name {
    Name::parse("web").expect("a valid name")
}

fn first() -> Incarnation {
    Incarnation::new(NonZeroU64::MIN)
}

/// A service: back-off 1, 2, 4 ... 60 s, a good run lasts 10 s, TERM, and KILL 5 s later.
fn service() -> ProcessSpec {
    ProcessSpec {
        born: Fingerprint(1),
        whole: Fingerprint(1),
        backoff: Backoff { threshold: seconds(10.0), initial: seconds(1.0), max: seconds(60.0) },
        stop: Stop { signal: Signal::TERM, grace: seconds(5.0), kill: Kill::Mixed, pre_stop: None },
        ..plain()
    }
}

fn edited() -> ProcessSpec {
    ProcessSpec { whole: Fingerprint(2), ..service() }
}

fn reborn() -> ProcessSpec {
    ProcessSpec { born: Fingerprint(2), whole: Fingerprint(2), ..service() }
}

fn suspended() -> ProcessSpec {
    ProcessSpec { suspend: true, ..edited() }
}

fn job() -> ProcessSpec {
    ProcessSpec { schedule: Some(Schedule::every(seconds(100.0))), restart: Restart::Never, ..service() }
}

fn beating() -> ProcessSpec {
    ProcessSpec { heartbeat: Some(Heartbeat { period: seconds(8.0), grace: 3.0, file: PathBuf::new() }), ..service() }
}

fn limited() -> ProcessSpec {
    let mut spec = service();
    spec.birth.limits.memory = Some(100);
    spec
}

fn with(restart: Restart) -> ProcessSpec {
    ProcessSpec { restart, ..service() }
}

fn wanted(spec: ProcessSpec) -> Desired {
    Desired { processes: [(web(), Arc::new(spec))].into(), ..Desired::default() }
}

fn then(mut facts: Facts, at: f64, fact: Fact) -> Facts {
    facts.push((at, fact));
    facts
}

fn up(spec: ProcessSpec) -> Facts {
    vec![(0.0, Fact::Started(web(), first(), Arc::new(spec)))]
}

fn signalled(target: Target, signal: Signal, why: Why) -> Fact {
    Fact::Signalled(web(), first(), target, signal, why)
}

fn stopping(why: Why) -> Facts {
    then(up(service()), 20.0, signalled(Target::Main, Signal::TERM, why))
}

fn killed() -> Facts {
    then(stopping(Why::Removed), 25.0, signalled(Target::Tree, Signal::KILL, Why::GraceOver))
}

fn exited(exit: Exit, rest: bool) -> Fact {
    Fact::Exited(web(), first(), exit, rest)
}

fn leaving() -> Facts {
    then(up(service()), 20.0, exited(Exit::Code(0), true))
}

fn leaving_told() -> Facts {
    then(leaving(), 20.0, signalled(Target::Tree, Signal::TERM, Why::LeftBehind))
}

fn leaving_killed() -> Facts {
    then(leaving_told(), 25.0, signalled(Target::Tree, Signal::KILL, Why::GraceOver))
}

/// It ended at this moment, with this code.
fn ended(spec: ProcessSpec, at: f64, code: u8) -> Facts {
    then(up(spec), at, exited(Exit::Code(code), false))
}

/// It was told to end at 20 s, for this reason, and did at 21 s.
fn stopped(why: Why) -> Facts {
    then(stopping(why), 21.0, exited(Exit::Code(0), false))
}

fn failed(times: u32, errno: i32) -> Facts {
    let error = StartError { step: Step::Exec, errno, what: String::new() };
    (0..times).map(|_| (0.0, Fact::StartFailed(web(), Arc::new(service()), error.clone()))).collect()
}

fn asked(facts: Facts, at: f64, ask: Ask) -> Facts {
    then(facts, at, Fact::Asked(web(), ask))
}

fn looked(facts: Facts, at: f64, beat: bool) -> Facts {
    let answer = if beat { Fact::Beat(web(), first()) } else { Fact::NoBeat(web(), first()) };
    then(then(facts, at, Fact::Looking(web(), first())), at, answer)
}

fn weighed(facts: Facts, at: f64, weight: Weight) -> Facts {
    then(then(facts, at, Fact::Weighing(web(), first())), at, Fact::Weighed(web(), first(), weight))
}

fn decided(desired: &Desired, facts: &Facts, now: f64) -> String {
    let mut observed = Observed::default();
    for (at, fact) in facts {
        observed.observe(fact.clone(), stamp(*at));
    }
    decided_by(desired, &observed, stamp(now))
}

fn decided_by(desired: &Desired, observed: &Observed, now: Stamp) -> String {
    let plan = reconcile(desired, observed, [&web()], now);
    let waits = plan.waits.iter().map(|(_, wait)| match wait {
        Some(moment) => format!("wait until {}", moment.as_nanos() as f64 / 1e9),
        None => "wait".into(),
    });
    let actions = plan.actions.iter().map(|action| match action {
        Action::Start(_, spec, why) => {
            assert!(Arc::ptr_eq(spec, &desired.processes[&web()]), "what is wanted is started");
            format!("start, {why:?}")
        }
        Action::Signal(_, run, target, signal, why) => {
            assert_eq!(*run, first());
            format!("{signal} to {target:?}, {why:?}")
        }
        Action::PostStart(_, run) => {
            assert_eq!(*run, first());
            "postStart".into()
        }
        Action::PreStop(_, run, why) => {
            assert_eq!(*run, first());
            format!("preStop, {why:?}")
        }
        Action::EndPreStop(_, _, cut) => format!("end preStop, {cut:?}"),
        Action::Probe(_, run, kind) => {
            assert_eq!(*run, first());
            kind.as_str().into()
        }
        Action::Adopt(..) => "adopt".into(),
        Action::Hold(_, period) => format!("hold for {}", period.as_secs_f64()),
        Action::Look(..) => "look".into(),
        Action::Weigh(..) => "weigh".into(),
        Action::Follow(_, calendar) => format!("follow {}", calendar.as_deref().unwrap_or("none")),
        Action::Forget(_) => "forget".into(),
    });
    actions.chain(waits).collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn decide(rows: &[Row]) {
    for (case, desired, facts, moments) in rows {
        for (now, expected) in *moments {
            assert_eq!(decided(desired, facts, *now), *expected, "{case}, at {now} s");
        }
    }
}

#[test]
fn what_is_not_wanted_is_ended_and_forgotten() {
    let no = Desired::default;
    let group = || ProcessSpec { stop: Stop { kill: Kill::Group, ..service().stop }, ..service() };
    decide(&[
        ("unknown", no(), vec![], &[(30.0, "")]),
        ("down", no(), ended(service(), 20.0, 0), &[(20.0, "forget")]),
        ("down, start failed", no(), failed(1, 2), &[(0.0, "forget")]),
        ("up", no(), up(service()), &[(0.0, "SIGTERM to Main, Removed")]),
        ("up, all to be told at once", no(), up(group()), &[(0.0, "SIGTERM to Tree, Removed")]),
        ("stopping", no(), stopping(Why::Removed), &[(24.999, "wait until 25"), (25.0, "SIGKILL to Tree, GraceOver")]),
        ("killed", no(), killed(), &[(25.999, "wait until 26"), (26.0, "SIGKILL to Tree, Undying")]),
        ("leaving", no(), leaving(), &[(20.0, "SIGTERM to Tree, LeftBehind")]),
        (
            "leaving, of what was removed",
            no(),
            then(stopping(Why::Removed), 21.0, exited(Exit::Code(0), true)),
            &[(21.0, "SIGTERM to Tree, Removed")],
        ),
        ("leaving, told", no(), leaving_told(), &[(24.999, "wait until 25"), (25.0, "SIGKILL to Tree, GraceOver")]),
        ("leaving, killed", no(), leaving_killed(), &[(25.999, "wait until 26"), (26.0, "SIGKILL to Tree, Undying")]),
        ("left", no(), then(leaving_told(), 22.0, Fact::Emptied(web(), first())), &[(22.0, "forget")]),
    ]);
}

#[test]
fn a_shutdown_is_nothing_wanted_with_a_haste() {
    let graceful = || Desired::ending(Haste::Graceful);
    let now = || Desired::ending(Haste::Now);
    decide(&[
        ("down", graceful(), failed(1, 2), &[(0.0, "forget")]),
        ("up", graceful(), up(service()), &[(0.0, "SIGTERM to Main, Shutdown")]),
        (
            "stopping",
            graceful(),
            stopping(Why::Shutdown),
            &[(24.0, "wait until 25"), (25.0, "SIGKILL to Tree, GraceOver")],
        ),
        ("leaving", graceful(), leaving(), &[(20.0, "SIGTERM to Tree, LeftBehind")]),
        ("hurried: up", now(), up(service()), &[(0.0, "SIGKILL to Tree, Shutdown")]),
        ("hurried: stopping", now(), stopping(Why::Shutdown), &[(20.0, "SIGKILL to Tree, Hurried")]),
        ("hurried: killed", now(), killed(), &[(25.5, "wait until 26"), (26.0, "SIGKILL to Tree, Undying")]),
        ("hurried: leaving", now(), leaving(), &[(20.0, "SIGKILL to Tree, Hurried")]),
        ("hurried: leaving, told", now(), leaving_told(), &[(20.0, "SIGKILL to Tree, Hurried")]),
        ("hurried: down", now(), ended(service(), 20.0, 0), &[(20.0, "forget")]),
    ]);
}

/// A service with a hook, and this grace.
fn hooked(hook: PreStop, grace: f64) -> ProcessSpec {
    let stop = Stop { pre_stop: Some(hook), grace: seconds(grace), ..service().stop };
    ProcessSpec { stop, ..service() }
}

fn drained(grace: f64) -> ProcessSpec {
    hooked(PreStop::Exec(vec!["drain".into()]), grace)
}

/// Its hook was begun at 20 s.
fn draining(spec: ProcessSpec) -> Facts {
    then(up(spec), 20.0, Fact::PreStop(web(), first(), Why::Removed, Hook::UnderWay))
}

fn over(facts: Facts, at: f64) -> Facts {
    then(facts, at, Fact::PreStopOver(web(), first()))
}

#[test]
fn what_is_done_before_the_stop_comes_out_of_the_grace() {
    let no = Desired::default;
    let sleeping = |span| hooked(PreStop::Sleep(seconds(span)), 30.0);
    let group = || ProcessSpec { stop: Stop { kill: Kill::Group, ..drained(30.0).stop }, ..drained(30.0) };
    let told = || then(over(draining(drained(30.0)), 21.0), 21.0, signalled(Target::Main, Signal::TERM, Why::Removed));
    let failed = || then(up(drained(30.0)), 20.0, Fact::PreStop(web(), first(), Why::Removed, Hook::Over));
    let gone = || then(draining(drained(30.0)), 25.0, exited(Exit::Code(0), true));
    let end = "end preStop, TimeUp";
    decide(&[
        ("up", no(), up(drained(30.0)), &[(20.0, "preStop, Removed")]),
        ("edited", wanted(reborn()), up(drained(30.0)), &[(20.0, "preStop, SpecChanged")]),
        ("asked", wanted(drained(30.0)), asked(up(drained(30.0)), 20.0, Ask::Named), &[(20.0, "preStop, Requested")]),
        ("the end of all", Desired::ending(Haste::Graceful), up(drained(30.0)), &[(20.0, "preStop, Shutdown")]),
        ("under way", no(), draining(drained(30.0)), &[(20.0, "wait until 48"), (47.9, "wait until 48"), (48.0, end)]),
        ("a short grace", no(), draining(drained(3.0)), &[(21.4, "wait until 21.5"), (21.5, end)]),
        ("no grace at all", no(), draining(drained(0.0)), &[(20.0, end)]),
        ("over", no(), over(draining(drained(30.0)), 21.0), &[(21.0, "SIGTERM to Main, Removed")]),
        ("over, and all to be told", no(), over(draining(group()), 21.0), &[(21.0, "SIGTERM to Tree, Removed")]),
        ("not to be begun", no(), failed(), &[(20.0, "SIGTERM to Main, Removed")]),
        ("over, and told", no(), told(), &[(21.0, "wait until 50"), (50.0, "SIGKILL to Tree, GraceOver")]),
        ("over, and told, and over again", no(), over(told(), 22.0), &[(22.0, "wait until 50")]),
        ("a sleep", no(), draining(sleeping(2.5)), &[(22.4, "wait until 22.5"), (22.5, "SIGTERM to Main, Removed")]),
        ("a sleep that is too long", no(), draining(sleeping(29.0)), &[(47.9, "wait until 48"), (48.0, end)]),
        ("wanted again meanwhile", wanted(service()), draining(drained(30.0)), &[(20.0, "wait until 48")]),
        ("the main process has gone", no(), gone(), &[(25.0, "end preStop, MainGone")]),
        ("and the hook with it", no(), over(gone(), 25.0), &[(25.0, "SIGTERM to Tree, Removed")]),
        ("ended of itself", no(), then(up(drained(30.0)), 20.0, exited(Exit::Code(0), false)), &[(20.0, "forget")]),
    ]);
    let now = || Desired::ending(Haste::Now);
    decide(&[
        ("hurried: up", now(), up(drained(30.0)), &[(20.0, "SIGKILL to Tree, Shutdown")]),
        ("hurried: under way", now(), draining(drained(30.0)), &[(20.0, "SIGKILL to Tree, Hurried")]),
        ("hurried: over", now(), over(draining(drained(30.0)), 21.0), &[(21.0, "SIGKILL to Tree, Hurried")]),
    ]);
}

#[test]
fn what_is_done_right_after_a_start_decides_whether_the_run_goes_on() {
    let spec = || ProcessSpec { post_start: Some(vec!["warm".into()]), ..service() };
    let begun = || then(up(spec()), 0.0, Fact::PostStart(web(), first(), Hook::UnderWay));
    let done = || then(begun(), 5.0, Fact::PostStartOver(web(), first(), HookEnd::Well));
    let failed = || then(begun(), 5.0, Fact::PostStartOver(web(), first(), HookEnd::Failed));
    let not_begun = || then(up(spec()), 0.0, Fact::PostStart(web(), first(), Hook::Over));
    let ended = || {
        let told = then(failed(), 5.0, signalled(Target::Main, Signal::TERM, Why::PostStartFailed));
        then(told, 6.0, exited(Exit::Code(0), false))
    };
    let edit = || ProcessSpec { post_start: Some(vec!["warmer".into()]), whole: Fingerprint(2), ..service() };
    decide(&[
        ("up", wanted(spec()), up(spec()), &[(0.0, "postStart")]),
        ("up, and not wanted", Desired::default(), up(spec()), &[(0.0, "SIGTERM to Main, Removed")]),
        ("under way", wanted(spec()), begun(), &[(99.0, "wait")]),
        ("under way, edited", wanted(edit()), begun(), &[(1.0, "adopt")]),
        ("under way, and not wanted", Desired::default(), begun(), &[(1.0, "SIGTERM to Main, Removed")]),
        ("done", wanted(spec()), done(), &[(99.0, "wait")]),
        ("done, edited", wanted(edit()), done(), &[(9.0, "adopt")]),
        ("failed", wanted(spec()), failed(), &[(5.0, "SIGTERM to Main, PostStartFailed")]),
        ("not to be begun", wanted(spec()), not_begun(), &[(0.0, "SIGTERM to Main, PostStartFailed")]),
        ("failed, and ended", wanted(spec()), ended(), &[(6.9, "wait until 7"), (7.0, "start, BackoffOver")]),
        ("never again", wanted(ProcessSpec { restart: Restart::Never, ..spec() }), ended(), &[(9.0, "wait")]),
    ]);
}

#[test]
fn what_is_wanted_and_down_is_started_when_it_is_due() {
    let quick = || ended(service(), 9.999, 1);
    let inherited = || vec![(0.0, Fact::Inherited(web(), first(), Arc::new(service())))];
    decide(&[
        ("new", wanted(service()), vec![], &[(0.0, "start, Created")]),
        ("new, and suspended", wanted(suspended()), vec![], &[(0.0, "wait")]),
        ("after a good run", wanted(service()), ended(service(), 10.0, 1), &[(10.0, "start, Ended")]),
        (
            "after a short run",
            wanted(service()),
            quick(),
            &[(10.998, "wait until 10.999"), (10.999, "start, BackoffOver")],
        ),
        ("after a short run, edited", wanted(edited()), quick(), &[(9.999, "start, BackoffOver")]),
        ("after a short run, edited at birth", wanted(reborn()), quick(), &[(9.999, "start, SpecChanged")]),
        ("after a short run, suspended", wanted(suspended()), quick(), &[(99.0, "wait")]),
        (
            "after a short run, asked",
            wanted(service()),
            asked(quick(), 10.0, Ask::Named),
            &[(10.0, "start, Requested")],
        ),
        (
            "after a short run, all asked",
            wanted(service()),
            asked(quick(), 10.0, Ask::Broad),
            &[(10.0, "start, BackoffOver")],
        ),
        ("stopped for an edit", wanted(reborn()), stopped(Why::SpecChanged), &[(21.0, "start, SpecChanged")]),
        (
            "stopped for an edit that was undone",
            wanted(service()),
            stopped(Why::SpecChanged),
            &[(21.0, "start, SpecChanged")],
        ),
        ("stopped by request", wanted(service()), stopped(Why::Requested), &[(21.0, "start, Requested")]),
        (
            "removed, and back before it ended",
            wanted(service()),
            stopped(Why::Removed),
            &[(21.0, "start, WantedAgain")],
        ),
        ("no longer suspended", wanted(service()), stopped(Why::Suspended), &[(21.0, "start, WantedAgain")]),
        ("stale", wanted(service()), stopped(Why::HeartbeatStale), &[(21.0, "start, Ended")]),
        (
            "inherited, and ended",
            wanted(service()),
            then(inherited(), 1.0, exited(Exit::Unknown, false)),
            &[(1.0, "start, Created")],
        ),
    ]);
}

#[test]
fn the_policy_says_what_ends_for_good() {
    let rows = [
        (Restart::Always, 0, "start, Ended"),
        (Restart::Always, 1, "start, Ended"),
        (Restart::OnFailure, 0, "wait"),
        (Restart::OnFailure, 1, "start, Ended"),
        (Restart::Never, 0, "wait"),
        (Restart::Never, 1, "wait"),
    ];
    for (policy, code, expected) in rows {
        decide(&[("a good run", wanted(with(policy)), ended(with(policy), 10.0, code), &[(99.0, expected)])]);
    }
    let over = || ended(with(Restart::Never), 10.0, 0);
    let never = || wanted(with(Restart::Never));
    let stale = || {
        then(
            then(up(service()), 20.0, signalled(Target::Main, Signal::TERM, Why::HeartbeatStale)),
            20.0,
            exited(Exit::Code(0), false),
        )
    };
    decide(&[
        ("asked by name", never(), asked(over(), 20.0, Ask::Named), &[(20.0, "start, Requested")]),
        ("all asked", never(), asked(over(), 20.0, Ask::Broad), &[(20.0, "wait")]),
        (
            "all asked, after the name",
            never(),
            asked(asked(over(), 20.0, Ask::Named), 20.0, Ask::Broad),
            &[(20.0, "start, Requested")],
        ),
        (
            "edited at birth",
            wanted(ProcessSpec { restart: Restart::Never, ..reborn() }),
            over(),
            &[(20.0, "start, SpecChanged")],
        ),
        ("edited otherwise", wanted(ProcessSpec { restart: Restart::Never, ..edited() }), over(), &[(20.0, "wait")]),
        ("stale is a failure, whatever the code", wanted(with(Restart::OnFailure)), stale(), &[(20.0, "start, Ended")]),
        ("stale, and never again", never(), stale(), &[(20.0, "wait")]),
    ]);
}

#[test]
fn a_start_that_failed_is_tried_again_for_ever() {
    decide(&[
        ("missing", wanted(service()), failed(1, 2), &[(0.999, "wait until 1"), (1.0, "start, BackoffOver")]),
        (
            "missing, the fourth time",
            wanted(service()),
            failed(4, 2),
            &[(7.999, "wait until 8"), (8.0, "start, BackoffOver")],
        ),
        (
            "missing, for long",
            wanted(service()),
            failed(99, 2),
            &[(59.9, "wait until 60"), (60.0, "start, BackoffOver")],
        ),
        ("missing, never to run again", wanted(with(Restart::Never)), failed(1, 2), &[(1.0, "start, BackoffOver")]),
        (
            "out of processes, for long",
            wanted(service()),
            failed(99, 11),
            &[(4.999, "wait until 5"), (5.0, "start, BackoffOver")],
        ),
        ("missing, edited", wanted(edited()), failed(9, 2), &[(0.0, "start, BackoffOver")]),
        ("missing, asked", wanted(service()), asked(failed(9, 2), 0.0, Ask::Broad), &[(0.0, "start, BackoffOver")]),
        ("missing, suspended", wanted(suspended()), failed(1, 2), &[(9.0, "wait")]),
    ]);
}

#[test]
fn a_job_runs_in_its_rhythm() {
    let retried = || ProcessSpec { restart: Restart::OnFailure, ..job() };
    decide(&[
        ("new", wanted(job()), vec![], &[(0.0, "start, Created")]),
        ("done", wanted(job()), ended(job(), 1.0, 0), &[(99.999, "wait until 100"), (100.0, "start, Scheduled")]),
        ("failed", wanted(job()), ended(job(), 1.0, 1), &[(99.999, "wait until 100"), (100.0, "start, Scheduled")]),
        (
            "failed, to be retried",
            wanted(retried()),
            ended(retried(), 1.0, 1),
            &[(1.999, "wait until 2"), (2.0, "start, BackoffOver")],
        ),
        (
            "failed just before its time",
            wanted(retried()),
            ended(retried(), 99.5, 1),
            &[(99.9, "wait until 100"), (100.0, "start, Scheduled")],
        ),
        ("done, asked", wanted(job()), asked(ended(job(), 1.0, 0), 2.0, Ask::Named), &[(2.0, "wait until 100")]),
        ("late", wanted(job()), up(job()), &[(250.0, "wait")]),
        ("done late: once, at once", wanted(job()), ended(job(), 250.0, 0), &[(250.0, "start, Scheduled")]),
    ]);
    let again = Fact::Started(web(), first(), Arc::new(job()));
    let late = then(then(ended(job(), 250.0, 0), 250.0, again), 251.0, exited(Exit::Code(0), false));
    decide(&[(
        "after a late run the rhythm is kept",
        wanted(job()),
        late,
        &[(299.9, "wait until 300"), (300.0, "start, Scheduled")],
    )]);
}

#[test]
fn of_a_schedule_those_runs_are_restarts_that_try_a_failed_one_again() {
    let retried = || ProcessSpec { restart: Restart::OnFailure, ..job() };
    let run = |facts: Facts, at: f64, spec: fn() -> ProcessSpec, code: u8| {
        let begun = then(facts, at, Fact::Started(web(), first(), Arc::new(spec())));
        then(begun, at + 1.0, exited(Exit::Code(code), false))
    };
    let counted = |facts: Facts| {
        let mut observed = Observed::default();
        facts.into_iter().for_each(|(at, fact)| observed.observe(fact, stamp(at)));
        let tally = &observed.records[&web()].tally;
        (tally.starts, tally.restarts)
    };
    let twice = |spec: fn() -> ProcessSpec, second: f64| counted(run(run(vec![], 0.0, spec, 1), second, spec, 0));
    assert_eq!(twice(service, 5.0), (2, 1));
    assert_eq!(twice(job, 100.0), (2, 0), "its time");
    assert_eq!(twice(retried, 5.0), (2, 1), "tried again");
    let asked_for = asked(run(vec![], 0.0, job, 0), 5.0, Ask::Trigger);
    assert_eq!(counted(run(asked_for, 6.0, job, 0)), (2, 0), "asked for");
}

#[test]
fn a_job_runs_when_it_is_triggered_unless_it_runs() {
    let asleep = || wanted(ProcessSpec { suspend: true, whole: Fingerprint(2), ..job() });
    let done = || ended(job(), 1.0, 0);
    let adopted = Fact::Adopted(web(), asleep().processes[&web()].clone());
    let begun = then(
        asked(done(), 2.0, Ask::Trigger),
        2.0,
        Fact::Started(web(), Incarnation::new(NonZeroU64::MAX), Arc::new(job())),
    );
    decide(&[
        ("between two runs", wanted(job()), asked(done(), 2.0, Ask::Trigger), &[(2.0, "start, Triggered")]),
        ("suspended", asleep(), asked(done(), 2.0, Ask::Trigger), &[(2.0, "start, Triggered")]),
        ("while it runs", wanted(job()), asked(up(job()), 2.0, Ask::Trigger), &[(2.0, "wait")]),
        ("no job", wanted(service()), asked(ended(service(), 1.0, 0), 1.0, Ask::Trigger), &[(1.0, "wait until 2")]),
        ("suspended while it runs", asleep(), then(up(job()), 2.0, adopted), &[(2.0, "wait")]),
    ]);
    let over = then(begun, 3.0, Fact::Exited(web(), Incarnation::new(NonZeroU64::MAX), Exit::Code(0), false));
    decide(&[("triggered once, and the rhythm is kept", wanted(job()), over, &[(3.0, "wait until 100")])]);
}

#[test]
fn what_is_wanted_and_up_is_left_alone_or_ended_for_a_reason() {
    let inherited = || vec![(0.0, Fact::Inherited(web(), first(), Arc::new(service())))];
    decide(&[
        ("as wanted", wanted(service()), up(service()), &[(99.0, "wait")]),
        ("edited", wanted(edited()), up(service()), &[(9.0, "adopt")]),
        (
            "edited, adopted",
            wanted(edited()),
            then(up(service()), 9.0, Fact::Adopted(web(), Arc::new(edited()))),
            &[(9.0, "wait")],
        ),
        ("edited at birth", wanted(reborn()), up(service()), &[(9.0, "SIGTERM to Main, SpecChanged")]),
        ("edited at birth, young", wanted(reborn()), up(service()), &[(0.9, "wait until 1")]),
        ("edited at birth, young, looked after", wanted(reborn()), up(limited()), &[(0.0, "weigh")]),
        (
            "edited at birth, young, weighed",
            wanted(reborn()),
            weighed(up(limited()), 0.0, Weight::Bytes(9)),
            &[(0.9, "wait until 1")],
        ),
        ("suspended", wanted(suspended()), up(service()), &[(9.0, "SIGTERM to Main, Suspended")]),
        ("asked", wanted(service()), asked(up(service()), 9.0, Ask::Named), &[(9.0, "SIGTERM to Main, Requested")]),
        ("all asked", wanted(service()), asked(up(service()), 9.0, Ask::Broad), &[(9.0, "SIGTERM to Main, Requested")]),
        ("inherited", wanted(service()), inherited(), &[(0.0, "SIGTERM to Main, Inherited")]),
        (
            "stopping",
            wanted(service()),
            stopping(Why::Removed),
            &[(24.9, "wait until 25"), (25.0, "SIGKILL to Tree, GraceOver")],
        ),
        ("leaving", wanted(service()), leaving(), &[(20.0, "SIGTERM to Tree, LeftBehind")]),
        ("leaving, asked", wanted(service()), asked(leaving_told(), 21.0, Ask::Named), &[(21.0, "wait until 25")]),
    ]);
}

#[test]
fn a_heartbeat_is_looked_at_and_judged_by_what_was_seen() {
    let spec = || wanted(beating());
    let born = || up(beating());
    let stale = "SIGTERM to Main, HeartbeatStale";
    let beat = || looked(born(), 20.0, true);
    decide(&[
        ("new", spec(), born(), &[(1.999, "wait until 2"), (2.0, "look")]),
        ("a look under way", spec(), then(born(), 2.0, Fact::Looking(web(), first())), &[(99.0, "wait")]),
        ("within its grace", spec(), looked(born(), 23.0, false), &[(23.999, "wait until 24"), (24.0, "look")]),
        ("no beat within its grace", spec(), looked(born(), 24.0, false), &[(24.0, stale)]),
        ("the beat came with the grace's end", spec(), looked(born(), 24.0, true), &[(24.0, "wait until 26")]),
        ("a beat, then none", spec(), looked(beat(), 27.9, false), &[(27.999, "wait until 28"), (28.0, "look")]),
        ("a beat, then none for a period", spec(), looked(beat(), 28.0, false), &[(28.0, stale)]),
        (
            "stalled meanwhile",
            spec(),
            then(looked(beat(), 28.0, false), 28.0, Fact::Stalled),
            &[(28.0, "wait until 30")],
        ),
        (
            "stalled, and no beat for a period",
            spec(),
            looked(then(beat(), 28.0, Fact::Stalled), 36.0, false),
            &[(36.0, stale)],
        ),
        (
            "no longer asked for",
            wanted(ProcessSpec { heartbeat: None, ..edited() }),
            looked(born(), 24.0, false),
            &[(24.0, "adopt")],
        ),
    ]);
}

#[test]
fn memory_that_is_limited_is_weighed_and_judged() {
    let spec = || wanted(limited());
    let born = || up(limited());
    let exceeded = "SIGTERM to Main, MemoryExceeded(Excess { used: 101, limit: 100 })";
    let bytes = |at, bytes| weighed(born(), at, Weight::Bytes(bytes));
    let both = || {
        let mut spec = beating();
        spec.birth.limits.memory = Some(100);
        spec
    };
    decide(&[
        ("without a limit", wanted(service()), up(service()), &[(9.0, "wait")]),
        ("new", spec(), born(), &[(0.0, "weigh")]),
        ("being weighed", spec(), then(born(), 0.0, Fact::Weighing(web(), first())), &[(99.0, "wait")]),
        ("at its limit", spec(), bytes(5.0, 100), &[(5.999, "wait until 6"), (6.0, "weigh")]),
        ("over its limit", spec(), bytes(5.0, 101), &[(5.0, exceeded)]),
        (
            "could not be weighed",
            spec(),
            weighed(born(), 5.0, Weight::Unknown),
            &[(5.5, "wait until 6"), (6.0, "weigh")],
        ),
        ("the kernel keeps it", spec(), weighed(born(), 5.0, Weight::Kept), &[(99.0, "wait")]),
        (
            "heavy, and asked to restart",
            spec(),
            asked(bytes(5.0, 101), 5.0, Ask::Named),
            &[(5.0, "SIGTERM to Main, Requested")],
        ),
        (
            "it must beat, too",
            wanted(both()),
            weighed(up(both()), 1.5, Weight::Bytes(9)),
            &[(1.9, "wait until 2"), (2.0, "look")],
        ),
        (
            "looked at, to be weighed",
            wanted(both()),
            looked(weighed(up(both()), 1.5, Weight::Bytes(9)), 2.0, false),
            &[(2.0, "wait until 2.5"), (2.5, "weigh")],
        ),
    ]);
}

#[test]
fn too_much_memory_is_a_failure_whoever_ended_it() {
    let exceeded = Why::MemoryExceeded(Excess { used: 101, limit: 100 });
    let oom = |at: f64| {
        let killed = Exit::Killed { signal: Signal::KILL, core_dumped: false };
        then(then(up(service()), at, Fact::OomKilled(web(), first())), at, exited(killed, false))
    };
    let ended = |at: f64| {
        let told = then(up(service()), at, signalled(Target::Main, Signal::TERM, exceeded));
        then(told, at, exited(Exit::Code(0), false))
    };
    decide(&[
        ("soon", wanted(service()), ended(5.0), &[(5.5, "wait until 6"), (6.0, "start, BackoffOver")]),
        ("late", wanted(service()), ended(20.0), &[(20.0, "start, Ended")]),
        ("code 0 is no success", wanted(with(Restart::OnFailure)), ended(20.0), &[(20.0, "start, Ended")]),
        ("never again", wanted(with(Restart::Never)), ended(20.0), &[(20.0, "wait")]),
        ("the kernel, soon", wanted(service()), oom(5.0), &[(5.5, "wait until 6"), (6.0, "start, BackoffOver")]),
        ("the kernel, never again", wanted(with(Restart::Never)), oom(20.0), &[(20.0, "wait")]),
    ]);
    for (facts, message) in [
        (ended(20.0), "its memory limit was exceeded: 0.0Mi of 0.0Mi (exit code 0)"),
        (oom(20.0), "the kernel killed it for want of memory (killed by SIGKILL)"),
    ] {
        let mut observed = Observed::default();
        facts.into_iter().for_each(|(at, fact)| observed.observe(fact, stamp(at)));
        let views = view(&wanted(with(Restart::Never)), &observed, stamp(21.0));
        let [shown] = &views[..] else { panic!("one process") };
        assert_eq!((shown.reason, shown.message.as_str()), ("OOMKilled", message));
        assert_eq!(shown.last_end.as_ref().map(|end| end.reason), Some(ExitReason::Oom));
        assert_eq!(shown.exits[ExitReason::Oom as usize], 1);
    }
}

#[test]
fn a_fact_about_another_run_changes_nothing() {
    let other = Incarnation::new(NonZeroU64::new(2).expect("2 is not 0"));
    for fact in [
        Fact::Exited(web(), other, Exit::Code(0), false),
        Fact::Emptied(web(), other),
        Fact::Signalled(web(), other, Target::Tree, Signal::KILL, Why::GraceOver),
        Fact::Looking(web(), other),
        Fact::NoBeat(web(), other),
        Fact::OomKilled(web(), other),
        Fact::Weighed(web(), other, Weight::Bytes(u64::MAX)),
        Fact::Emptied(web(), first()),
    ] {
        decide(&[("up", wanted(service()), then(up(service()), 9.0, fact), &[(9.0, "wait")])]);
    }
    let early = then(stopping(Why::Removed), 21.0, Fact::Emptied(web(), first()));
    decide(&[("its main process has not ended yet", wanted(service()), early, &[(21.0, "wait until 25")])]);
    let twice = then(leaving_told(), 21.0, exited(Exit::Code(0), false));
    decide(&[("it ended once", wanted(service()), twice, &[(21.0, "wait until 25")])]);
}
