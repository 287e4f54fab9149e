//! What follows an end by `restartPolicyRules`, and the delays that the kubelet's numbers come to.

use super::*;
use crate::model::{RestartRule, RuleAction, RuleOperator, State};
use crate::view;

fn rule(operator: RuleOperator, codes: &[u8]) -> RestartRule {
    RestartRule { action: RuleAction::Restart, operator, codes: codes.to_vec() }
}

fn ruled(restart: Restart, rules: Vec<RestartRule>) -> ProcessSpec {
    ProcessSpec { restart, restart_rules: rules, ..service() }
}

fn of_signal(signal: Signal) -> Exit {
    Exit::Killed { signal, core_dumped: false }
}

#[test]
fn rules_are_asked_before_the_policy_and_the_first_that_matches_counts() {
    use RuleOperator::{In, NotIn};
    let again = "start, Ended";
    let rows = [
        (Restart::Never, vec![rule(In, &[42])], Exit::Code(42), again),
        (Restart::Never, vec![rule(In, &[42])], Exit::Code(1), "wait"),
        (Restart::Never, vec![rule(In, &[42])], Exit::Code(0), "wait"),
        (Restart::Never, vec![rule(In, &[0])], Exit::Code(0), again),
        (Restart::Never, vec![rule(NotIn, &[42])], Exit::Code(42), "wait"),
        (Restart::Never, vec![rule(NotIn, &[42])], Exit::Code(0), again),
        (Restart::Never, vec![rule(In, &[1, 2]), rule(In, &[3, 42])], Exit::Code(42), again),
        (Restart::Never, vec![rule(In, &[1]), rule(NotIn, &[2, 42])], Exit::Code(42), "wait"),
        // As in a container's status, an end by signal n is 128 + n.
        (Restart::Never, vec![rule(In, &[137])], of_signal(Signal::KILL), again),
        (Restart::Never, vec![rule(In, &[9])], of_signal(Signal::KILL), "wait"),
        (Restart::Never, vec![rule(In, &[137])], Exit::Code(137), again),
        (Restart::Never, vec![rule(NotIn, &[0])], of_signal(Signal::TERM), again),
        // No rule matches: the policy decides.
        (Restart::OnFailure, vec![rule(In, &[0])], Exit::Code(0), again),
        (Restart::OnFailure, vec![rule(In, &[42])], Exit::Code(0), "wait"),
        (Restart::OnFailure, vec![rule(In, &[42])], Exit::Code(1), again),
        (Restart::Always, vec![rule(In, &[42])], Exit::Code(1), again),
    ];
    for (restart, rules, exit, expected) in rows {
        let spec = || ruled(restart, rules.clone());
        let facts = || then(up(spec()), 10.0, exited(exit, false));
        assert_eq!(decided(&wanted(spec()), &facts(), 99.0), expected, "{restart:?} {rules:?} {exit}");
        // What is shown and what is done agree on who has ended for good.
        let mut observed = Observed::default();
        facts().into_iter().for_each(|(at, fact)| observed.observe(fact, stamp(at)));
        let shown = view(&wanted(spec()), &observed, stamp(99.0))[0].state;
        let over = matches!(shown, State::Completed | State::Failed);
        assert_eq!(over, expected == "wait", "{restart:?} {rules:?} {exit}: {shown:?}");
    }
}

#[test]
fn a_run_that_a_rule_asks_for_waits_for_the_backoff_as_others_do() {
    let spec = || ruled(Restart::Never, vec![rule(RuleOperator::In, &[42])]);
    let short = || ended(spec(), 2.0, 42);
    let job = || ProcessSpec { restart_rules: vec![rule(RuleOperator::In, &[42])], ..job() };
    let suspended = || ProcessSpec { suspend: true, ..spec() };
    decide(&[
        ("short", wanted(spec()), short(), &[(2.999, "wait until 3"), (3.0, "start, BackoffOver")]),
        ("suspended", wanted(suspended()), short(), &[(99.0, "wait")]),
        (
            "a job is tried again, though it is never to be",
            wanted(job()),
            ended(job(), 2.0, 42),
            &[(2.999, "wait until 3"), (3.0, "start, BackoffOver")],
        ),
        ("a job with another code waits for its time", wanted(job()), ended(job(), 2.0, 1), &[(3.0, "wait until 100")]),
        (
            "a rule that an edit adds revives nobody at once, but the verdict is the new file's",
            wanted(ProcessSpec { whole: Fingerprint(2), ..spec() }),
            ended(with(Restart::Never), 2.0, 42),
            &[(2.0, "start, BackoffOver")],
        ),
    ]);
}

/// The kubelet's published numbers (kubernetes.io, "Pod Lifecycle", container restarts): "10s, 20s, 40s, …", "capped at
/// 300 seconds (5 minutes)", and "once a container has executed for 10 minutes without any problems, the kubelet resets
/// the restart backoff timer".
fn kubelet() -> ProcessSpec {
    let backoff = Backoff { threshold: seconds(600.0), initial: seconds(10.0), max: seconds(300.0) };
    ProcessSpec { backoff, ..service() }
}

/// Lives through runs of these lengths that end with code 1, each begun as soon as it is due; the wait after each.
fn waits_after(lengths: &[f64], spec: impl Fn(usize) -> ProcessSpec) -> Vec<f64> {
    let (mut observed, mut now) = (Observed::default(), 0.0);
    let mut waits = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        let run = Incarnation::new(NonZeroU64::MIN.saturating_add(index as u64));
        observed.observe(Fact::Started(web(), run, Arc::new(spec(index))), stamp(now));
        now += length;
        observed.observe(Fact::Exited(web(), run, Exit::Code(1), false), stamp(now));
        let plan = reconcile(&wanted(spec(index + 1)), &observed, [&web()], stamp(now));
        let due = match (plan.actions.as_slice(), plan.waits.as_slice()) {
            ([Action::Start(..)], []) => stamp(now).at,
            ([], [(_, Some(due))]) => *due,
            other => panic!("{other:?}"),
        };
        let wait = due.since(stamp(now).at).as_secs_f64();
        waits.push(wait);
        now += wait;
    }
    waits
}

// L04
#[test]
fn with_the_kubelets_numbers_the_delays_are_the_kubelets() {
    let all = |_| kubelet();
    let published = [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0];
    assert_eq!(waits_after(&[1.0; 8], all), published);
    assert_eq!(waits_after(&[599.999; 8], all), published, "ten minutes are ten minutes");
    // A good run is followed at once, and the next short one waits as the first did.
    let lengths = [1.0, 1.0, 1.0, 600.0, 1.0, 1.0];
    assert_eq!(waits_after(&lengths, all), [10.0, 20.0, 40.0, 0.0, 10.0, 20.0]);
}

#[test]
fn an_edit_clears_the_backoff() {
    // Edited after the third short run, and each run after it comes of the edited file.
    let edited_policy = |index| ProcessSpec { whole: Fingerprint(if index < 3 { 1 } else { 2 }), ..kubelet() };
    let edited_birth = |index| {
        let print = Fingerprint(if index < 3 { 1 } else { 2 });
        ProcessSpec { born: print, whole: print, ..kubelet() }
    };
    assert_eq!(waits_after(&[1.0; 6], edited_policy), [10.0, 20.0, 0.0, 10.0, 20.0, 40.0]);
    assert_eq!(waits_after(&[1.0; 6], edited_birth), [10.0, 20.0, 0.0, 10.0, 20.0, 40.0]);
}
