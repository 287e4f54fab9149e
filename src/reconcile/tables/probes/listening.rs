//! What is evidence: not what was under way in a stall, not silence that is too short; and what a run tells of itself.

use super::*;

// prober_manager.go: results are kept by the container's id; another container begins anew.
#[test]
fn what_is_told_of_another_run_or_was_not_asked_for_counts_for_nothing() {
    let quick = Probe { failure_threshold: 1, ..probe(Liveness) };
    let spec = || probed(&[quick.clone(), probe(Readiness)]);
    let other = Incarnation::new(NonZeroU64::MAX);
    let born = || begun(begun(up(spec()), 0.0, Liveness), 0.0, Readiness);
    let of_another = |kind, result| then(born(), 1.0, Fact::Probed(web(), other, kind, result, Duration::ZERO));
    decide(&[
        ("under way", wanted(spec()), born(), &[(1.0, "wait")]),
        ("of another run", wanted(spec()), of_another(Liveness, failure()), &[(1.0, "wait")]),
        (
            "begun for another",
            wanted(spec()),
            then(up(spec()), 1.0, Fact::Probing(web(), other, Liveness)),
            &[(1.0, "liveness probe")],
        ),
        (
            "told of another",
            wanted(probed(&[passive(Liveness)])),
            then(up(probed(&[passive(Liveness)])), 1.0, Fact::Told(web(), other, Liveness, failure())),
            &[(1.0, "wait until 10")],
        ),
        ("not asked for", wanted(spec()), over(up(spec()), 1.0, Liveness, failure()), &[(1.0, "liveness probe")]),
        (
            "told twice",
            wanted(spec()),
            over(over(born(), 1.0, Liveness, ProbeResult::Success), 2.0, Liveness, failure()),
            &[(2.0, "wait until 10")],
        ),
        ("of a kind that it has not", wanted(spec()), over(born(), 1.0, Startup, failure()), &[(1.0, "wait")]),
    ]);
    let ready = then(
        of_another(Readiness, ProbeResult::Success),
        1.0,
        Fact::Told(web(), other, Readiness, ProbeResult::Success),
    );
    assert!(!standing(&spec().probes, &ready).0);

    // The next run begins anew, whatever the last one's standing was.
    let died = then(shown(up(probed(&[probe(Liveness)])), 0.0, Liveness, "ff"), 15.0, exited(Exit::Code(1), false));
    let again = then(died, 16.0, Fact::Started(web(), first(), Arc::new(probed(&[probe(Liveness)]))));
    decide(&[
        ("new", wanted(probed(&[probe(Liveness)])), again.clone(), &[(16.0, "liveness probe")]),
        ("once", wanted(probed(&[probe(Liveness)])), shown(again, 16.0, Liveness, "f"), &[(16.0, "wait until 26")]),
    ]);
}

// Ours, as for heartbeats: what was under way while the monitor did not run is no evidence, and what was shown before is.
#[test]
fn a_failure_from_before_a_stall_counts_for_nothing() {
    let one = || wanted(probed(&[probe(Liveness)]));
    let twice = || shown(up(probed(&[probe(Liveness)])), 0.0, Liveness, "ff");
    let stalled = |facts: Facts| then(facts, 40.0, Fact::Stalled);
    let late = |result: ProbeResult| over(stalled(begun(twice(), 20.0, Liveness)), 41.0, Liveness, result);
    decide(&[
        ("under way", one(), late(failure()), &[(41.0, "liveness probe")]),
        ("and then another", one(), shown(late(failure()), 41.0, Liveness, "f"), &[(41.0, LIVENESS_FAILED)]),
        (
            "a success is one",
            one(),
            shown(late(ProbeResult::Success), 41.0, Liveness, "ff"),
            &[(51.0, "wait until 61")],
        ),
        ("begun after it", one(), shown(stalled(twice()), 40.0, Liveness, "f"), &[(40.0, LIVENESS_FAILED)]),
        ("it was over", one(), stalled(shown(twice(), 20.0, Liveness, "f")), &[(40.0, LIVENESS_FAILED)]),
    ]);
    let view = view_of(&one(), &late(failure()), 41.0);
    let shown = &view.probes[0];
    assert_eq!((shown.successful, shown.failed, shown.unknown), (0, 2, 1));
}

// Ours, for what only listens: a process has one whole period before silence counts.
#[test]
fn what_only_listens_gives_a_whole_period_first() {
    let heart = [Probe { handler: ProbeHandler::Heartbeat("/beat".into()), ..probe(Liveness) }];
    let late = [Probe { initial_delay: seconds(5.0), ..passive(Liveness) }];
    let both = [probe(Startup), passive(Liveness)];
    let started = |at: f64| over(begun(up(probed(&both)), 0.0, Startup), at, Startup, ProbeResult::Success);
    let missed = || shown(up(probed(&[passive(Liveness)])), 10.0, Liveness, "ff");
    let stalled = |at: f64| then(missed(), at, Fact::Stalled);
    decide(&[
        (
            "new",
            wanted(probed(&[passive(Liveness)])),
            up(probed(&[passive(Liveness)])),
            &[(9.9, "wait until 10"), (10.0, "liveness probe")],
        ),
        ("a heart", wanted(probed(&heart)), up(probed(&heart)), &[(9.9, "wait until 10"), (10.0, "liveness probe")]),
        (
            "after a delay",
            wanted(probed(&late)),
            up(probed(&late)),
            &[(14.9, "wait until 15"), (15.0, "liveness probe")],
        ),
        ("not started", wanted(probed(&both)), begun(up(probed(&both)), 0.0, Startup), &[(99.0, "wait")]),
        ("started", wanted(probed(&both)), started(33.0), &[(42.9, "wait until 43"), (43.0, "liveness probe")]),
        ("started early", wanted(probed(&both)), started(0.0), &[(9.9, "wait until 10")]),
        (
            "silent",
            wanted(probed(&[passive(Liveness)])),
            missed(),
            &[(29.9, "wait until 30"), (30.0, "liveness probe")],
        ),
        (
            "silent, and a stall",
            wanted(probed(&[passive(Liveness)])),
            stalled(29.0),
            &[(38.9, "wait until 39"), (39.0, "liveness probe")],
        ),
        ("a stall long ago", wanted(probed(&[passive(Liveness)])), stalled(20.0), &[(30.0, "liveness probe")]),
        (
            "and silent still",
            wanted(probed(&[passive(Liveness)])),
            shown(stalled(29.0), 39.0, Liveness, "f"),
            &[(39.0, LIVENESS_FAILED)],
        ),
    ]);
}

// kubelet.go, syncPod, and kuberuntime_container.go, startContainer: a container is running when its postStart hook is done.
#[test]
fn there_are_no_probes_before_what_is_done_right_after_the_start_is_done() {
    let spec = |probes: &[Probe]| ProcessSpec { post_start: Some(vec!["warm".into()]), ..probed(probes) };
    let begun = |probes: &[Probe]| then(up(spec(probes)), 0.0, Fact::PostStart(web(), first(), Hook::UnderWay));
    let done = |probes: &[Probe]| then(begun(probes), 33.0, Fact::PostStartOver(web(), first(), HookEnd::Well));
    let (one, silent) = ([probe(Liveness)], [passive(Startup), passive(Liveness)]);
    decide(&[
        ("under way", wanted(spec(&one)), begun(&one), &[(99.0, "wait")]),
        ("done", wanted(spec(&one)), done(&one), &[(33.0, "liveness probe")]),
        (
            "what only listens, done",
            wanted(spec(&silent)),
            done(&silent),
            &[(42.9, "wait until 43"), (43.0, "startup probe")],
        ),
        (
            "it has told already",
            wanted(spec(&silent)),
            told(done(&silent), 34.0, Startup, ProbeResult::Success),
            &[(43.9, "wait until 44"), (44.0, "liveness probe")],
        ),
    ]);
}

// Ours: by sd_notify(3) a process says itself what the verdict is, at once and whatever the thresholds.
#[test]
fn what_a_run_tells_of_itself_is_a_verdict() {
    let ready = [Probe { success_threshold: 5, ..passive(Readiness) }];
    let born = || up(probed(&ready));
    let says = |facts: Facts, at: f64, result: ProbeResult| told(facts, at, Readiness, result);
    let is_ready = |facts: Facts| standing(&ready, &facts).0;
    let well = || says(born(), 1.0, ProbeResult::Success);
    assert!(is_ready(well()));
    assert!(!is_ready(says(well(), 2.0, failure())));
    assert!(is_ready(says(well(), 2.0, ProbeResult::Unknown)));
    assert!(is_ready(says(says(well(), 2.0, failure()), 3.0, ProbeResult::Success)));
    assert_eq!(standing(&ready, &says(well(), 2.0, failure())).2, "Running its readiness probe failed: refused");
    // What was counted before is no part of a row after it.
    let counted = says(shown(born(), 10.0, Readiness, "ff"), 25.0, ProbeResult::Success);
    assert!(is_ready(shown(counted.clone(), 30.0, Readiness, "ff")));
    assert!(!is_ready(shown(counted, 30.0, Readiness, "fff")));

    // Who is asked otherwise is not heard.
    let asked = [probe(Readiness)];
    assert!(!standing(&asked, &says(up(probed(&asked)), 1.0, ProbeResult::Success)).0);

    let both = [passive(Startup), probe(Liveness)];
    let silent = [passive(Startup), passive(Liveness)];
    let starts = || told(up(probed(&both)), 3.0, Startup, ProbeResult::Success);
    let alive = [passive(Liveness)];
    decide(&[
        ("started", wanted(probed(&both)), starts(), &[(3.0, "liveness probe")]),
        (
            "in trouble",
            wanted(probed(&alive)),
            told(up(probed(&alive)), 3.0, Liveness, failure()),
            &[(3.0, LIVENESS_FAILED)],
        ),
        (
            "in trouble, before it has started",
            wanted(probed(&silent)),
            told(up(probed(&silent)), 3.0, Liveness, failure()),
            &[(3.0, "wait until 10")],
        ),
        (
            "and then it has",
            wanted(probed(&silent)),
            told(told(up(probed(&silent)), 3.0, Liveness, failure()), 4.0, Startup, ProbeResult::Success),
            &[(4.0, LIVENESS_FAILED)],
        ),
        (
            "not to start",
            wanted(probed(&both)),
            told(up(probed(&both)), 3.0, Startup, failure()),
            &[(3.0, STARTUP_FAILED)],
        ),
        (
            "no startup, once it has",
            wanted(probed(&both)),
            told(starts(), 3.0, Startup, failure()),
            &[(3.0, "liveness probe")],
        ),
        (
            "what listens gives a period",
            wanted(probed(&alive)),
            told(up(probed(&alive)), 3.0, Liveness, ProbeResult::Success),
            &[(3.0, "wait until 10")],
        ),
    ]);
}
