//! What STOP and START come to, in each state that a process can be in.

use super::*;
use crate::model::State;
use crate::view;

fn stop(facts: Facts, at: f64) -> Facts {
    then(facts, at, Fact::StopAsked(web()))
}

fn start(facts: Facts, at: f64) -> Facts {
    then(facts, at, Fact::StartAsked(web()))
}

fn edit(facts: Facts, at: f64) -> Facts {
    then(facts, at, Fact::Edited(web()))
}

/// Up, told to stop by a message, and down at 21 s.
fn down() -> Facts {
    let told = then(stop(up(service()), 20.0), 20.0, signalled(Target::Main, Signal::TERM, Why::Stopped));
    then(told, 21.0, exited(Exit::Code(0), false))
}

#[test]
fn a_message_stops_a_process_in_any_state() {
    let never = || with(Restart::Never);
    decide(&[
        ("up", wanted(service()), stop(up(service()), 0.5), &[(0.5, "SIGTERM to Main, Stopped")]),
        ("up, and edited at birth", wanted(reborn()), stop(up(service()), 0.5), &[(0.5, "SIGTERM to Main, Stopped")]),
        (
            "up, and asked to restart before",
            wanted(service()),
            stop(asked(up(service()), 9.0, Ask::Named), 9.0),
            &[(9.0, "SIGTERM to Main, Stopped")],
        ),
        ("new", wanted(service()), stop(vec![], 0.0), &[(99.0, "wait")]),
        ("down", wanted(service()), down(), &[(21.0, "wait"), (9e9, "wait")]),
        ("in back-off", wanted(service()), stop(ended(service(), 9.0, 1), 9.5), &[(9e9, "wait")]),
        ("after a start that failed", wanted(service()), stop(failed(3, 2), 0.5), &[(9e9, "wait")]),
        (
            "stopping for another reason",
            wanted(reborn()),
            stop(stopping(Why::SpecChanged), 20.5),
            &[(24.999, "wait until 25"), (25.0, "SIGKILL to Tree, GraceOver")],
        ),
        (
            "stopped for another reason since",
            wanted(reborn()),
            stop(stopped(Why::SpecChanged), 21.0),
            &[(99.0, "wait")],
        ),
        ("leaving", wanted(service()), stop(leaving_told(), 21.0), &[(21.0, "wait until 25")]),
        ("a job between two runs", wanted(job()), stop(ended(job(), 1.0, 0), 2.0), &[(100.0, "wait"), (9e9, "wait")]),
        ("a job at work", wanted(job()), stop(up(job()), 2.0), &[(2.0, "SIGTERM to Main, Stopped")]),
        ("down for good", wanted(never()), stop(ended(never(), 10.0, 0), 11.0), &[(99.0, "wait")]),
        ("suspended", wanted(suspended()), stop(vec![], 0.0), &[(99.0, "wait")]),
        (
            "a job, triggered after",
            wanted(job()),
            asked(stop(ended(job(), 1.0, 0), 2.0), 3.0, Ask::Trigger),
            &[(3.0, "wait")],
        ),
        (
            "a job, triggered before",
            wanted(job()),
            stop(asked(ended(job(), 1.0, 0), 2.0, Ask::Trigger), 2.0),
            &[(3.0, "wait")],
        ),
        ("removed meanwhile", Desired::default(), down(), &[(21.0, "forget")]),
        ("shut down meanwhile", Desired::ending(Haste::Graceful), down(), &[(21.0, "forget")]),
    ]);
}

#[test]
fn what_a_message_stopped_is_started_by_start_restart_and_an_edit() {
    let running = "start, Requested";
    let never = || with(Restart::Never);
    let stopping = || stop(stopping(Why::Stopped), 20.0);
    decide(&[
        ("START", wanted(service()), start(down(), 30.0), &[(30.0, running)]),
        ("RESTART by name", wanted(service()), asked(down(), 30.0, Ask::Named), &[(30.0, running)]),
        ("RESTART of many", wanted(service()), asked(down(), 30.0, Ask::Broad), &[(30.0, "wait")]),
        ("an edit", wanted(edited()), edit(down(), 30.0), &[(30.0, "start, WantedAgain")]),
        ("an edit at birth", wanted(reborn()), edit(down(), 30.0), &[(30.0, "start, SpecChanged")]),
        ("an edit that was undone", wanted(service()), edit(edit(down(), 30.0), 30.0), &[(30.0, "start, WantedAgain")]),
        ("a look at all", wanted(service()), then(down(), 30.0, Fact::Touched(web())), &[(30.0, "wait")]),
        ("START, while it stops", wanted(service()), start(stopping(), 20.5), &[(20.5, "wait until 25")]),
        (
            "START, while it stopped",
            wanted(service()),
            then(start(stopping(), 20.5), 21.0, exited(Exit::Code(0), false)),
            &[(21.0, running)],
        ),
        ("STOP again", wanted(service()), stop(start(down(), 30.0), 30.0), &[(30.0, "wait")]),
        ("a new one", wanted(service()), start(stop(vec![], 0.0), 1.0), &[(1.0, "start, Created")]),
        ("in back-off", wanted(service()), start(stop(ended(service(), 9.0, 1), 9.5), 9.6), &[(9.6, running)]),
        ("a start that failed", wanted(service()), start(stop(failed(9, 2), 0.5), 0.6), &[(0.6, "start, BackoffOver")]),
        ("down for good", wanted(never()), start(ended(never(), 10.0, 1), 11.0), &[(11.0, running)]),
        (
            "a job waits for its time again",
            wanted(job()),
            start(stop(ended(job(), 1.0, 0), 2.0), 3.0),
            &[(3.0, "wait until 100"), (100.0, "start, Scheduled")],
        ),
        ("suspended", wanted(suspended()), start(down(), 30.0), &[(30.0, "wait")]),
    ]);
}

#[test]
fn start_leaves_alone_what_is_up() {
    decide(&[
        ("up", wanted(service()), start(up(service()), 9.0), &[(9.0, "wait")]),
        ("up, its stop taken back at once", wanted(service()), start(stop(up(service()), 9.0), 9.0), &[(9.0, "wait")]),
        (
            "up, and to be restarted",
            wanted(service()),
            start(asked(up(service()), 9.0, Ask::Named), 9.0),
            &[(9.0, "SIGTERM to Main, Requested")],
        ),
    ]);
}

/// State, reason, and whether it is ready.
type Shown = (State, &'static str, bool);

fn shown(desired: &Desired, facts: &Facts, now: f64) -> Shown {
    let mut observed = Observed::default();
    for (at, fact) in facts {
        observed.observe(fact.clone(), stamp(*at));
    }
    let views = view(desired, &observed, stamp(now));
    let [web] = views.as_slice() else { panic!("one process: {views:?}") };
    (web.state, web.reason, web.ready)
}

#[test]
fn what_a_message_stopped_is_shown_as_such_and_is_not_ready() {
    let never = || with(Restart::Never);
    let backoff = || stop(ended(service(), 9.0, 1), 9.5);
    let rows: Vec<(&str, Desired, Facts, Shown)> = vec![
        ("down", wanted(service()), down(), (State::Stopped, "Stopped", false)),
        ("in back-off", wanted(service()), backoff(), (State::Stopped, "Stopped", false)),
        ("never started", wanted(service()), stop(vec![], 0.0), (State::Stopped, "Stopped", false)),
        ("a job", wanted(job()), stop(ended(job(), 1.0, 0), 2.0), (State::Stopped, "Stopped", false)),
        ("one that is meant to end", wanted(never()), down(), (State::Stopped, "Stopped", false)),
        ("ended before", wanted(never()), stop(ended(never(), 1.0, 0), 2.0), (State::Completed, "Completed", true)),
        ("failed before", wanted(never()), stop(ended(never(), 1.0, 1), 2.0), (State::Failed, "Error", false)),
        ("suspended", wanted(suspended()), down(), (State::Stopped, "Suspended", false)),
        (
            "stopping",
            wanted(service()),
            then(stop(up(service()), 20.0), 20.0, signalled(Target::Main, Signal::TERM, Why::Stopped)),
            (State::Stopping, "Terminating", false),
        ),
    ];
    for (case, desired, facts, expected) in rows {
        assert_eq!(shown(&desired, &facts, 30.0), expected, "{case}");
    }
}

#[test]
fn who_is_down_as_his_file_says_is_as_wanted_and_ready_only_if_others_may_need_him() {
    let idle = ProcessSpec { suspend: true, ..job() };
    let ran = |code| ended(job(), 1.0, code);
    let rows: Vec<(&str, Desired, Facts, [bool; 3])> = vec![
        ("suspended", wanted(suspended()), down(), [false, true, false]),
        ("stopped by a message", wanted(service()), down(), [false, false, false]),
        ("a job before its first run", wanted(job()), vec![], [true, true, false]),
        ("a job between two runs", wanted(job()), ran(0), [true, true, true]),
        ("a job whose last run failed", wanted(job()), ran(1), [true, true, true]),
        ("a job that is suspended", wanted(idle), ran(0), [false, true, false]),
    ];
    for (case, desired, facts, expected) in rows {
        let mut observed = Observed::default();
        for (at, fact) in &facts {
            observed.observe(fact.clone(), stamp(*at));
        }
        let views = view(&desired, &observed, stamp(30.0));
        let [web] = views.as_slice() else { panic!("one process: {views:?}") };
        assert_eq!([web.ready, web.is_as_wanted(), web.has_started], expected, "{case}");
    }
}

#[test]
fn a_process_tells_which_generation_of_its_file_it_is_governed_by() {
    let first = || edit(vec![], 0.0);
    let up = || then(first(), 0.0, Fact::Started(web(), super::first(), Arc::new(service())));
    let adopted = || then(edit(up(), 5.0), 5.0, Fact::Adopted(web(), Arc::new(edited())));
    let told = || then(edit(up(), 5.0), 5.0, signalled(Target::Main, Signal::TERM, Why::SpecChanged));
    let rows: Vec<(&str, Desired, Facts, (u64, u64))> = vec![
        ("new", wanted(service()), first(), (1, 1)),
        ("up", wanted(service()), up(), (1, 1)),
        ("looked at", wanted(service()), then(up(), 1.0, Fact::Touched(web())), (1, 1)),
        ("edited, not adopted yet", wanted(edited()), edit(up(), 5.0), (2, 1)),
        ("edited, adopted", wanted(edited()), adopted(), (2, 2)),
        ("edited at birth, up", wanted(reborn()), edit(up(), 0.5), (2, 1)),
        ("edited at birth, stopping", wanted(reborn()), told(), (2, 1)),
        ("edited at birth, down", wanted(reborn()), then(told(), 6.0, exited(Exit::Code(0), false)), (2, 2)),
        ("edited, and the edit undone", wanted(service()), edit(edit(up(), 0.5), 0.6), (3, 3)),
        ("removed, stopping", Desired::default(), edit(up(), 5.0), (2, 1)),
    ];
    for (case, desired, facts, expected) in rows {
        let mut observed = Observed::default();
        for (at, fact) in &facts {
            observed.observe(fact.clone(), stamp(*at));
        }
        let views = view(&desired, &observed, stamp(9.0));
        assert_eq!((views[0].generation, views[0].observed_generation), expected, "{case}");
    }
}
