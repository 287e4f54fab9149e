//! The ends of runs: by a probe, with its grace, and by what follows; and who is not asked any more.

use super::*;
use crate::model::{RestartRule, RuleAction, RuleOperator, State};

// kuberuntime_manager.go, computePodActions: restarted unless the policy is Never, whatever the exit code; an exit counts
// for the back-off (doBackOff) whatever ended the container.
#[test]
fn what_follows_a_failed_probe_is_what_follows_a_crash() {
    let of = |restart: Restart, rules: &[RestartRule]| ProcessSpec {
        restart,
        restart_rules: rules.to_vec(),
        ..probed(&[probe(Liveness)])
    };
    let ended = |spec: &ProcessSpec, at: f64| {
        let why = Why::ProbeFailed(Liveness);
        let told = then(up(spec.clone()), at, signalled(Target::Main, Signal::TERM, why));
        then(told, at, exited(Exit::Code(0), false))
    };
    let rule = RestartRule { action: RuleAction::Restart, operator: RuleOperator::In, codes: vec![0] };
    let rows = [
        (Restart::Always, vec![], "start, Ended", State::Pending),
        (Restart::OnFailure, vec![], "start, Ended", State::Pending),
        (Restart::Never, vec![], "wait", State::Failed),
        (Restart::Never, vec![rule], "start, Ended", State::Pending),
    ];
    for (restart, rules, expected, state) in rows {
        let spec = of(restart, &rules);
        let facts = ended(&spec, 20.0);
        assert_eq!(decided(&wanted(spec.clone()), &facts, 20.0), expected, "{restart:?}");
        let view = view_of(&wanted(spec), &facts, 20.0);
        assert_eq!((view.state, view.message.as_str()), (state, "its liveness probe failed (exit code 0)"));
        assert_eq!(view.last_end.as_ref().map(|end| end.reason), Some(ExitReason::Probe));
        assert_eq!((view.exits[ExitReason::Probe as usize], view.exits.iter().sum::<u64>()), (1, 1));
    }
    let quick = of(Restart::Always, &[]);
    decide(&[(
        "a short run",
        wanted(quick.clone()),
        ended(&quick, 3.0),
        &[(3.9, "wait until 4"), (4.0, "start, BackoffOver")],
    )]);
    let again = Incarnation::new(NonZeroU64::MAX);
    let twice = [
        (4.0, Fact::Started(web(), again, Arc::new(quick.clone()))),
        (5.0, Fact::Signalled(web(), again, Target::Main, Signal::TERM, Why::ProbeFailed(Liveness))),
        (5.0, Fact::Exited(web(), again, Exit::Code(0), false)),
    ];
    let twice = [ended(&quick, 3.0), twice.to_vec()].concat();
    decide(&[("two of them", wanted(quick), twice, &[(6.9, "wait until 7"), (7.0, "start, BackoffOver")])]);
}

// KEP-2238, and kuberuntime_container.go, setTerminationGracePeriod: a probe's grace is for what that probe ends, the hook
// included; what is deleted has no more than its own.
#[test]
fn a_run_that_a_probe_ends_has_the_grace_of_that_probe() {
    let ending =
        |spec: &ProcessSpec, why: Why| then(up(spec.clone()), 20.0, signalled(Target::Main, Signal::TERM, why));
    let rows = [
        ("its own", with_grace(Liveness, 2.0), Why::ProbeFailed(Liveness), 22.0),
        ("a longer one", with_grace(Liveness, 60.0), Why::ProbeFailed(Liveness), 80.0),
        ("none of its own", probe(Liveness), Why::ProbeFailed(Liveness), 25.0),
        ("of startup", with_grace(Startup, 1.0), Why::ProbeFailed(Startup), 21.0),
        ("of another probe", with_grace(Startup, 1.0), Why::ProbeFailed(Liveness), 25.0),
        ("of no probe", with_grace(Liveness, 2.0), Why::Requested, 25.0),
    ];
    for (case, with_grace, why, killed_at) in rows {
        let spec = probed(&[with_grace]);
        let (before, at) = (killed_at - 0.5, killed_at);
        let wait = format!("wait until {killed_at}");
        let kill = "SIGKILL to Tree, GraceOver";
        assert_eq!(decided(&wanted(spec.clone()), &ending(&spec, why), before), wait, "{case}");
        assert_eq!(decided(&wanted(spec.clone()), &ending(&spec, why), at), kill, "{case}");
        // What is left behind has what is left of it.
        let left = then(ending(&spec, why), 20.5, exited(Exit::Code(0), true));
        let left = then(left, 20.5, signalled(Target::Tree, Signal::TERM, why));
        assert_eq!(decided(&wanted(spec.clone()), &left, before), wait, "{case}, left behind");
        assert_eq!(decided(&wanted(spec), &left, at), kill, "{case}, left behind");
    }

    let hooked = |grace: f64| ProcessSpec {
        probes: vec![with_grace(Liveness, grace)],
        ..super::hooked(PreStop::Exec(vec!["drain".into()]), 30.0)
    };
    let drains = |grace: f64| {
        let hook = Fact::PreStop(web(), first(), Why::ProbeFailed(Liveness), Hook::UnderWay);
        then(up(hooked(grace)), 20.0, hook)
    };
    decide(&[
        (
            "the hook is begun",
            wanted(hooked(6.0)),
            shown(up(hooked(6.0)), 0.0, Liveness, "fff"),
            &[(20.0, "preStop, ProbeFailed(Liveness)")],
        ),
        (
            "the hook has it less what is reserved",
            wanted(hooked(6.0)),
            drains(6.0),
            &[(23.9, "wait until 24"), (24.0, "end preStop, TimeUp")],
        ),
        ("a longer one", wanted(hooked(60.0)), drains(60.0), &[(20.0, "wait until 78")]),
    ]);

    let long = probed(&[with_grace(Liveness, 60.0)]);
    let short = probed(&[with_grace(Liveness, 2.0)]);
    let ending = |spec: &ProcessSpec| ending(spec, Why::ProbeFailed(Liveness));
    for (case, gone) in [("removed", Desired::default()), ("the end of all", Desired::ending(Haste::Graceful))] {
        decide(&[
            (case, gone.clone(), ending(&long), &[(24.9, "wait until 25"), (25.0, "SIGKILL to Tree, GraceOver")]),
            (case, gone.clone(), ending(&short), &[(22.0, "SIGKILL to Tree, GraceOver")]),
            ("a hook meanwhile", gone, drains(60.0), &[(20.0, "wait until 48")]),
        ]);
    }
}

// worker.go, doProbe: in a pod that is deleted nobody is asked whether he has started or lives. Here nothing is asked: who
// is told to end is not ready.
#[test]
fn who_is_not_to_run_is_not_asked() {
    let all = [probe(Liveness), probe(Readiness)];
    let born = || up(probed(&all));
    let asleep = ProcessSpec { suspend: true, ..edited_to(&all) };
    let told_to_end = |why| then(born(), 20.0, signalled(Target::Main, Signal::TERM, why));
    let failing = || shown(shown(born(), 0.0, Readiness, "f"), 0.0, Liveness, "fff");
    decide(&[
        ("removed", Desired::default(), born(), &[(20.0, "SIGTERM to Main, Removed")]),
        ("the end of all", Desired::ending(Haste::Graceful), born(), &[(20.0, "SIGTERM to Main, Shutdown")]),
        ("suspended", wanted(asleep), born(), &[(20.0, "SIGTERM to Main, Suspended")]),
        (
            "stopped",
            wanted(probed(&all)),
            then(born(), 20.0, Fact::StopAsked(web())),
            &[(20.0, "SIGTERM to Main, Stopped")],
        ),
        ("asked", wanted(probed(&all)), asked(born(), 20.0, Ask::Named), &[(20.0, "SIGTERM to Main, Requested")]),
        (
            "asked, and it has failed",
            wanted(probed(&all)),
            asked(failing(), 20.0, Ask::Named),
            &[(20.0, "SIGTERM to Main, Requested")],
        ),
        ("ending", wanted(probed(&all)), told_to_end(Why::Requested), &[(20.0, "wait until 25")]),
        (
            "ending, and it fails",
            wanted(probed(&all)),
            over(begun(told_to_end(Why::Requested), 20.0, Liveness), 21.0, Liveness, failure()),
            &[(21.0, "wait until 25")],
        ),
        (
            "left behind",
            wanted(probed(&all)),
            then(
                then(born(), 20.0, exited(Exit::Code(0), true)),
                20.0,
                signalled(Target::Tree, Signal::TERM, Why::LeftBehind),
            ),
            &[(20.0, "wait until 25")],
        ),
        ("ended", wanted(probed(&all)), then(born(), 20.0, exited(Exit::Code(0), false)), &[(20.0, "start, Ended")]),
        (
            "inherited",
            wanted(probed(&all)),
            vec![(0.0, Fact::Inherited(web(), first(), Arc::new(probed(&all))))],
            &[(0.0, "SIGTERM to Main, Inherited")],
        ),
    ]);
    let ready = shown(up(probed(&[probe(Readiness)])), 0.0, Readiness, "s");
    let ending = then(ready, 20.0, signalled(Target::Main, Signal::TERM, Why::Requested));
    assert!(!view_of(&wanted(probed(&[probe(Readiness)])), &ending, 20.0).ready);
}

// A run of a schedule whose probe fails has failed, and is tried again as its policy says.
#[test]
fn a_job_may_have_probes() {
    let of = |restart| ProcessSpec { restart, probes: vec![probe(Liveness)], ..job() };
    let failed = |restart| {
        let told = then(up(of(restart)), 20.0, signalled(Target::Main, Signal::TERM, Why::ProbeFailed(Liveness)));
        then(told, 20.0, exited(Exit::Code(0), false))
    };
    decide(&[
        ("it runs", wanted(of(Restart::Never)), up(of(Restart::Never)), &[(0.0, "liveness probe")]),
        ("never again", wanted(of(Restart::Never)), failed(Restart::Never), &[(20.0, "wait until 100")]),
        (
            "again",
            wanted(of(Restart::OnFailure)),
            failed(Restart::OnFailure),
            &[(20.9, "wait until 21"), (21.0, "start, BackoffOver")],
        ),
    ]);
}
