//! Probes that are edited while a run goes on.

use super::*;

// Ours: the kubelet has no edits of probes.
#[test]
fn an_edit_of_a_probe_begins_it_anew_and_leaves_the_others_and_the_run_alone() {
    let quicker = [Probe { period: seconds(5.0), ..probe(Liveness) }];
    let both = [probe(Liveness), probe(Readiness)];
    let spec = || edited_to(&quicker);
    let failing = || shown(up(probed(&[probe(Liveness)])), 0.0, Liveness, "ff");
    let edited = || adopted(failing(), 15.0, &quicker);
    let late = [delayed(Liveness, 12.0)];
    let listens = [passive(Liveness)];
    decide(&[
        ("edited", wanted(spec()), failing(), &[(15.0, "adopt")]),
        ("adopted", wanted(spec()), edited(), &[(15.0, "liveness probe")]),
        ("one more failure", wanted(spec()), shown(edited(), 15.0, Liveness, "f"), &[(15.0, "wait until 20")]),
        ("its delay is over", wanted(edited_to(&late)), adopted(failing(), 15.0, &late), &[(15.0, "liveness probe")]),
        (
            "its delay is not",
            wanted(edited_to(&late)),
            adopted(shown(up(probed(&[probe(Liveness)])), 0.0, Liveness, "f"), 5.0, &late),
            &[(11.9, "wait until 12"), (12.0, "liveness probe")],
        ),
        (
            "what listens gives a period",
            wanted(edited_to(&listens)),
            adopted(failing(), 15.0, &listens),
            &[(24.9, "wait until 25"), (25.0, "liveness probe")],
        ),
        (
            "unchanged beside another",
            wanted(edited_to(&both)),
            shown(adopted(failing(), 15.0, &both), 15.0, Readiness, "f"),
            &[(19.9, "wait until 20"), (20.0, "liveness probe")],
        ),
        (
            "unchanged, it fails on",
            wanted(edited_to(&both)),
            shown(shown(adopted(failing(), 15.0, &both), 15.0, Readiness, "f"), 20.0, Liveness, "f"),
            &[(20.0, LIVENESS_FAILED)],
        ),
        ("no more", wanted(edited_to(&[])), adopted(failing(), 15.0, &[]), &[(99.0, "wait")]),
        (
            "no more, and under way",
            wanted(edited_to(&[])),
            over(adopted(begun(failing(), 20.0, Liveness), 20.5, &[]), 21.0, Liveness, failure()),
            &[(99.0, "wait")],
        ),
        (
            "the answer to the old question",
            wanted(spec()),
            over(
                adopted(
                    begun(up(probed(&[Probe { failure_threshold: 1, ..probe(Liveness) }])), 0.0, Liveness),
                    0.5,
                    &quicker,
                ),
                0.6,
                Liveness,
                failure(),
            ),
            &[(0.6, "liveness probe")],
        ),
    ]);
}

#[test]
fn an_edit_of_the_readiness_probe_leaves_a_run_as_ready_as_it_was() {
    let old = [probe(Readiness)];
    let new = [Probe { success_threshold: 2, ..probe(Readiness) }];
    let is_ready = |results: &str, after: &str| {
        let before = shown(up(probed(&old)), 0.0, Readiness, results);
        let facts = shown(adopted(before, 35.0, &new), 35.0, Readiness, after);
        view_of(&wanted(edited_to(&new)), &facts, 99.0).ready
    };
    for (before, after, ready) in [
        ("s", "", true),
        ("s", "ff", true),
        ("s", "fff", false),
        ("s", "fffs", false),
        ("f", "", false),
        ("f", "s", false),
        ("f", "ss", true),
        ("sfff", "", false),
        ("sfff", "ss", true),
    ] {
        assert_eq!(is_ready(before, after), ready, "{before}, edited, {after}");
    }
    let asked = [probe(Liveness)];
    let new = view_of(&wanted(edited_to(&old)), &adopted(up(probed(&asked)), 5.0, &old), 5.0);
    assert!(!new.ready, "a new one has shown nothing");
    let none = view_of(&wanted(edited_to(&asked)), &adopted(up(probed(&old)), 5.0, &asked), 5.0);
    assert!(none.ready, "nobody asks any more");
}

#[test]
fn an_edit_of_the_startup_probe_is_for_a_run_that_has_not_started() {
    let old = [probe(Startup), probe(Liveness)];
    let patient = [Probe { failure_threshold: 9, ..probe(Startup) }, probe(Liveness)];
    let (without, silent) = ([probe(Liveness)], [passive(Liveness)]);
    let starting = || shown(up(probed(&old)), 0.0, Startup, "ff");
    let started = || shown(up(probed(&old)), 0.0, Startup, "s");
    decide(&[
        ("more patient", wanted(edited_to(&patient)), adopted(starting(), 15.0, &patient), &[(15.0, "startup probe")]),
        (
            "more patient, thrice",
            wanted(edited_to(&patient)),
            shown(adopted(starting(), 15.0, &patient), 15.0, Startup, "fff"),
            &[(35.0, "wait until 45")],
        ),
        ("no more", wanted(edited_to(&without)), adopted(starting(), 15.0, &without), &[(15.0, "liveness probe")]),
        (
            "no more, and who listens gives a period",
            wanted(edited_to(&silent)),
            adopted(shown(up(probed(&[probe(Startup), passive(Liveness)])), 0.0, Startup, "ff"), 15.0, &silent),
            &[(24.9, "wait until 25"), (25.0, "liveness probe")],
        ),
        (
            "it has started",
            wanted(edited_to(&patient)),
            adopted(started(), 15.0, &patient),
            &[(15.0, "liveness probe")],
        ),
        (
            "a new one, and it has started",
            wanted(edited_to(&old)),
            adopted(shown(up(probed(&without)), 0.0, Liveness, "s"), 5.0, &old),
            &[(9.9, "wait until 10"), (10.0, "liveness probe")],
        ),
    ]);
}
