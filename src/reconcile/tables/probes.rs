//! Probes, as the kubelet has them. Each test names where that is said: `worker.go` and `prober_manager.go` are those of
//! `pkg/kubelet/prober`, `kuberuntime_manager.go` and `kuberuntime_container.go` those of `pkg/kubelet/kuberuntime`.

mod beside;
mod edits;
mod ends;
mod listening;

use super::*;
use crate::model::{Probe, ProbeHandler, ProbeKind, ProbeResult, ProcessView};

use ProbeKind::{HttpCheck, Liveness, Readiness, Startup};

/// Every 10 s, once a success, three times a failure.
fn probe(kind: ProbeKind) -> Probe {
    Probe {
        kind,
        handler: ProbeHandler::Grpc { port: 1, service: String::new() },
        initial_delay: Duration::ZERO,
        period: seconds(10.0),
        timeout: seconds(1.0),
        success_threshold: 1,
        failure_threshold: 3,
        grace: None,
    }
}

/// It listens, and asks nothing.
fn passive(kind: ProbeKind) -> Probe {
    Probe { handler: ProbeHandler::Notify, ..probe(kind) }
}

fn delayed(kind: ProbeKind, initial_delay: f64) -> Probe {
    Probe { initial_delay: seconds(initial_delay), ..probe(kind) }
}

fn with_grace(kind: ProbeKind, grace: f64) -> Probe {
    Probe { grace: Some(seconds(grace)), ..probe(kind) }
}

/// A service with these probes.
fn probed(probes: &[Probe]) -> ProcessSpec {
    ProcessSpec { probes: probes.to_vec(), ..service() }
}

fn begun(facts: Facts, at: f64, kind: ProbeKind) -> Facts {
    then(facts, at, Fact::Probing(web(), first(), kind))
}

fn over(facts: Facts, at: f64, kind: ProbeKind, result: ProbeResult) -> Facts {
    then(facts, at, Fact::Probed(web(), first(), kind, result, seconds(0.5)))
}

fn failure() -> ProbeResult {
    ProbeResult::Failure("refused".into())
}

/// What each letter stands for: a `s`uccess, a `f`ailure, `u`nknown, not to be `m`ade.
fn result(letter: char) -> ProbeResult {
    match letter {
        's' => ProbeResult::Success,
        'f' => failure(),
        'u' => ProbeResult::Unknown,
        'm' => ProbeResult::Unmade("no such program".into()),
        other => panic!("{other}: no such result"),
    }
}

/// Probes of a kind, the first of them at this moment, each answered at once.
fn shown(facts: Facts, from: f64, kind: ProbeKind, results: &str) -> Facts {
    results.chars().zip(0..).fold(facts, |facts, (letter, turn)| {
        let at = from + f64::from(turn) * 10.0;
        over(begun(facts, at, kind), at, kind, result(letter))
    })
}

fn told(facts: Facts, at: f64, kind: ProbeKind, result: ProbeResult) -> Facts {
    then(facts, at, Fact::Told(web(), first(), kind, result))
}

fn adopted(facts: Facts, at: f64, probes: &[Probe]) -> Facts {
    then(facts, at, Fact::Adopted(web(), Arc::new(edited_to(probes))))
}

/// The same process, by an edit of its probes.
fn edited_to(probes: &[Probe]) -> ProcessSpec {
    ProcessSpec { probes: probes.to_vec(), ..edited() }
}

fn view_of(desired: &Desired, facts: &Facts, now: f64) -> ProcessView {
    let mut observed = Observed::default();
    facts.iter().for_each(|(at, fact)| observed.observe(fact.clone(), stamp(*at)));
    let [view] = view(desired, &observed, stamp(now)).try_into().expect("one process");
    view
}

/// Whether it is shown as ready, as started, and what is said.
fn standing(probes: &[Probe], facts: &Facts) -> (bool, bool, String) {
    let view = view_of(&wanted(probed(probes)), facts, 1000.0);
    (view.ready, view.has_started, format!("{:?} {}", view.state, view.message).trim().to_string())
}

const LIVENESS_FAILED: &str = "SIGTERM to Main, ProbeFailed(Liveness)";
const STARTUP_FAILED: &str = "SIGTERM to Main, ProbeFailed(Startup)";
const HTTP_CHECK_FAILED: &str = "SIGTERM to Main, ProbeFailed(HttpCheck)";

// prober.go: `errored and resulted in unknown state`; worker.go, doProbe: no result changes for it.
#[test]
fn a_probe_that_cannot_be_made_changes_no_verdict_and_is_told_until_one_could_be() {
    let rows = [
        (Liveness, "m", true, "Running its liveness probe cannot be made: no such program"),
        (Liveness, "sm", true, "Running its liveness probe cannot be made: no such program"),
        (Liveness, "fm", true, "Running its liveness probe cannot be made: no such program"),
        (Liveness, "mu", true, "Running its liveness probe cannot be made: no such program"),
        (Liveness, "mmmmms", true, "Running"),
        (Liveness, "mf", true, "Running"),
        (
            Readiness,
            "m",
            false,
            "Starting its readiness probe has not succeeded yet: it cannot be made: no such program",
        ),
        (Readiness, "fffm", false, "Running its readiness probe failed: it cannot be made: no such program"),
        (Readiness, "mf", false, "Starting its readiness probe has not succeeded yet: refused"),
        (Readiness, "sm", true, "Running its readiness probe cannot be made: no such program"),
        (Startup, "m", false, "Starting its startup probe has not succeeded yet: it cannot be made: no such program"),
    ];
    for (kind, results, is_ready, expected) in rows {
        let probes = [probe(kind)];
        let (ready, _, text) = standing(&probes, &shown(up(probed(&probes)), 0.0, kind, results));
        assert_eq!((ready, text.as_str()), (is_ready, expected), "{kind:?} {results}");
    }
}

// worker.go, run and doProbe: one after the other, each period, none before initialDelaySeconds have passed since the
// container's start.
#[test]
fn the_first_probe_comes_after_the_initial_delay_and_the_others_each_period() {
    let delayed = [delayed(Liveness, 15.0)];
    let one = [probe(Liveness)];
    let born = || up(probed(&one));
    let slow = |at: f64| over(begun(born(), 0.0, Liveness), at, Liveness, failure());
    decide(&[
        ("none", wanted(service()), up(service()), &[(99.0, "wait")]),
        ("at once", wanted(probed(&one)), born(), &[(0.0, "liveness probe")]),
        (
            "after a delay",
            wanted(probed(&delayed)),
            up(probed(&delayed)),
            &[(14.9, "wait until 15"), (15.0, "liveness probe")],
        ),
        ("under way", wanted(probed(&one)), begun(born(), 0.0, Liveness), &[(99.0, "wait")]),
        ("answered", wanted(probed(&one)), slow(0.5), &[(9.9, "wait until 10"), (10.0, "liveness probe")]),
        ("answered late", wanted(probed(&one)), slow(9.5), &[(9.9, "wait until 10"), (10.0, "liveness probe")]),
        ("answered after the next was due", wanted(probed(&one)), slow(25.0), &[(25.0, "liveness probe")]),
        ("not to be made", wanted(probed(&one)), shown(born(), 0.0, Liveness, "u"), &[(9.9, "wait until 10")]),
    ]);
}

// Each kind has a worker of its own (prober_manager.go, AddPod).
#[test]
fn probes_of_several_kinds_go_on_beside_each_other() {
    let all = [probe(Liveness), probe(Readiness), probe(HttpCheck)];
    let spec = || wanted(probed(&all));
    let staggered = [delayed(Liveness, 9.0), delayed(Readiness, 3.0), delayed(HttpCheck, 6.0)];
    let first = || begun(up(probed(&all)), 0.0, Liveness);
    let second = || begun(first(), 0.0, Readiness);
    decide(&[
        ("none is made", spec(), up(probed(&all)), &[(0.0, "liveness probe")]),
        ("one hangs", spec(), first(), &[(0.0, "readiness probe")]),
        ("two hang", spec(), second(), &[(0.0, "HTTP check")]),
        (
            "none is due",
            wanted(probed(&staggered)),
            up(probed(&staggered)),
            &[(2.9, "wait until 3"), (20.0, "readiness probe")],
        ),
        (
            "the longest due comes first",
            wanted(probed(&staggered)),
            begun(up(probed(&staggered)), 20.0, Readiness),
            &[(5.9, "wait until 6"), (20.0, "HTTP check")],
        ),
        ("all hang", spec(), begun(second(), 3.0, HttpCheck), &[(99.0, "wait")]),
        ("one is over", spec(), over(second(), 4.0, Readiness, failure()), &[(4.0, "HTTP check")]),
        (
            "the last is over",
            spec(),
            over(begun(second(), 3.0, HttpCheck), 4.0, HttpCheck, failure()),
            &[(12.9, "wait until 13"), (13.0, "HTTP check")],
        ),
    ]);
}

// worker.go, doProbe: so many results in a row, resultRun, make a verdict; below the threshold the last verdict stays. An
// error of the prober itself is thrown away, and neither counts nor interrupts.
#[test]
fn so_many_equal_results_in_a_row_make_a_verdict() {
    let twice = Probe { success_threshold: 2, ..probe(Readiness) };
    let once = probe(Readiness);
    let quick = Probe { failure_threshold: 1, ..probe(Readiness) };
    let rows = [
        (&once, "", false),
        (&once, "s", true),
        (&once, "f", false),
        (&once, "fffs", true),
        (&once, "sff", true),
        (&once, "sfff", false),
        (&once, "sffsff", true),
        (&once, "sffsfff", false),
        (&once, "sffuf", false),
        (&once, "suuu", true),
        (&once, "u", false),
        (&twice, "s", false),
        (&twice, "ss", true),
        (&twice, "sfs", false),
        (&twice, "sus", true),
        (&twice, "ssfff", false),
        (&twice, "ssfffs", false),
        (&twice, "ssfffss", true),
        (&twice, "ssffs", true),
        (&quick, "sf", false),
        (&quick, "sfs", true),
    ];
    for (probe, results, ready) in rows {
        let probes = std::slice::from_ref(probe);
        let facts = shown(up(probed(probes)), 0.0, Readiness, results);
        assert_eq!(standing(probes, &facts).0, ready, "{results} of {probe:?}");
        assert!(!decided(&wanted(probed(probes)), &facts, 500.0).contains("SIG"), "{results}: it ends no run");
    }
}

// worker.go, doProbe, and kuberuntime_manager.go, computePodActions: a container whose liveness probe has failed is killed.
// httpcheck.py of NColony: more than maxBad bad ones in a row.
#[test]
fn a_run_whose_liveness_probe_or_http_check_has_failed_is_ended() {
    for (kind, failed) in [(Liveness, LIVENESS_FAILED), (HttpCheck, HTTP_CHECK_FAILED)] {
        let rows = [
            ("ff", 19.9, "wait until 20"),
            ("fff", 20.0, failed),
            ("ffsf", 30.0, "wait until 40"),
            ("ffsff", 40.0, "wait until 50"),
            ("ffsfff", 50.0, failed),
            ("ffuf", 30.0, failed),
            ("uuuuuu", 50.0, "wait until 60"),
            ("ssssss", 50.0, "wait until 60"),
        ];
        for (results, now, expected) in rows {
            let facts = shown(up(probed(&[probe(kind)])), 0.0, kind, results);
            assert_eq!(decided(&wanted(probed(&[probe(kind)])), &facts, now), expected, "{kind:?}: {results}");
        }
    }
}

// It must not wait for room among the probes that are due as well.
#[test]
fn a_verdict_comes_before_the_next_question() {
    let both = [probe(Liveness), probe(HttpCheck)];
    let facts = shown(begun(up(probed(&both)), 0.0, Liveness), 0.0, HttpCheck, "fff");
    let due = over(facts, 20.0, Liveness, ProbeResult::Success);
    decide(&[("both", wanted(probed(&both)), due, &[(20.0, HTTP_CHECK_FAILED)])]);
}

// KEP-950, and worker.go, doProbe: a container that has not started is asked nothing else, one that has is not asked again
// whether it has.
#[test]
fn until_the_startup_probe_has_succeeded_once_there_are_no_others() {
    let all = [probe(Startup), probe(Liveness), delayed(Readiness, 25.0)];
    let spec = || wanted(probed(&all));
    let startup = |results: &str| shown(up(probed(&all)), 0.0, Startup, results);
    let lives = || shown(startup("fs"), 10.0, Liveness, "s");
    decide(&[
        ("new", spec(), startup(""), &[(0.0, "startup probe")]),
        ("under way", spec(), begun(startup(""), 0.0, Startup), &[(99.0, "wait")]),
        ("not yet", spec(), startup("f"), &[(9.9, "wait until 10"), (10.0, "startup probe")]),
        ("it has", spec(), startup("fs"), &[(10.0, "liveness probe")]),
        ("it lives", spec(), lives(), &[(19.9, "wait until 20"), (20.0, "liveness probe")]),
        ("the delay counts from the start", spec(), shown(lives(), 20.0, Liveness, "s"), &[(25.0, "readiness probe")]),
        (
            "it is not asked again",
            spec(),
            shown(shown(lives(), 20.0, Liveness, "s"), 25.0, Readiness, "s"),
            &[(29.9, "wait until 30")],
        ),
    ]);
    let seems = |results: &str| standing(&all, &startup(results));
    let waits = |why: &str| (false, false, format!("Starting its startup probe has not succeeded yet{why}"));
    assert_eq!(seems(""), waits(""));
    assert_eq!(seems("ff"), waits(": refused"));
    assert_eq!(seems("s"), (false, true, "Starting its readiness probe has not succeeded yet".into()));
    let alone = [probe(Startup)];
    let of_one = |results: &str| shown(up(probed(&alone)), 0.0, Startup, results);
    assert_eq!(standing(&alone, &of_one("s")), (true, true, "Running".into()));
    assert!(!standing(&alone, &of_one("f")).0);
}

// KEP-950: a container has initialDelaySeconds + failureThreshold * periodSeconds to start.
#[test]
fn a_run_that_does_not_start_within_its_budget_is_ended() {
    let patient = [Probe { initial_delay: seconds(5.0), failure_threshold: 30, ..probe(Startup) }, probe(Liveness)];
    let spec = || wanted(probed(&patient));
    let tried = |times: usize| shown(up(probed(&patient)), 5.0, Startup, &"f".repeat(times));
    decide(&[
        ("new", spec(), tried(0), &[(4.9, "wait until 5"), (5.0, "startup probe")]),
        ("the last but one", spec(), tried(29), &[(294.9, "wait until 295"), (295.0, "startup probe")]),
        ("the last", spec(), tried(30), &[(295.0, STARTUP_FAILED)]),
    ]);
}

// worker.go, newWorker: at first readiness is a failure, liveness a success, and startup is not known.
#[test]
fn before_anything_is_shown_a_run_lives_and_is_not_ready() {
    let new = |kind| standing(&[probe(kind)], &up(probed(&[probe(kind)])));
    assert_eq!(new(Liveness), (true, true, "Running".into()));
    assert_eq!(new(HttpCheck), (true, true, "Running".into()));
    assert_eq!(new(Readiness), (false, true, "Starting its readiness probe has not succeeded yet".into()));
    assert_eq!(new(Startup), (false, false, "Starting its startup probe has not succeeded yet".into()));
}

// worker.go: the readiness worker goes on whatever the result; the pod's condition follows it.
#[test]
fn readiness_comes_and_goes_without_a_restart() {
    let one = [probe(Readiness)];
    let after = |results: &str| shown(up(probed(&one)), 0.0, Readiness, results);
    let failed = (false, true, "Running its readiness probe failed: refused".to_string());
    assert_eq!(standing(&one, &after("s")), (true, true, "Running".into()));
    assert_eq!(standing(&one, &after("sff")), (true, true, "Running".into()));
    assert_eq!(standing(&one, &after("sfff")), failed);
    assert_eq!(standing(&one, &after("fff")), failed);
    assert_eq!(standing(&one, &after("sfffs")), (true, true, "Running".into()));
    let starting = "Starting its readiness probe has not succeeded yet: refused".to_string();
    assert_eq!(standing(&one, &after("ff")), (false, true, starting));
    decide(&[(
        "not ready",
        wanted(probed(&one)),
        after("sfff"),
        &[(39.9, "wait until 40"), (40.0, "readiness probe")],
    )]);
}
