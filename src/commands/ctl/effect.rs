//! What `--wait` and `rollout status` wait for: told from two looks at the monitor's list of processes, one from before
//! something was asked and one from now.

use std::collections::BTreeMap;

use serde_json::Value;

use super::read::object::{self, holds, list, number, text, time};
use crate::model::{Name, Span};

/// What is to become of a process, or of each of a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Goal {
    /// There is none any more.
    Gone,
    /// There are so many, seen as they are described now, and each is as it is to be.
    Changed(u32),
    /// Each is as it is to be, and governed by what describes it.
    Settled,
    /// The same, now that it was told to start.
    Started,
    /// Each was stopped, or has ended.
    Stopped,
    /// Each is as it is to be, in another life than before.
    Restarted,
    /// A run of each has begun.
    Begun,
}

/// How far it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    Reached,
    /// It is not so yet; how it is.
    Waiting(String),
    /// It will not be so; why.
    Failed(String),
}

/// A look at the monitor's list of processes: of thousands, each is found at once.
pub(super) struct Look<'v> {
    taken: f64,
    /// By their names, and by those of the sets of which they are replicas.
    called: BTreeMap<&'v str, Vec<&'v Value>>,
}

impl<'v> Look<'v> {
    pub(super) fn of(all: &'v Value) -> Look<'v> {
        let mut called: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for process in list(all, "/items") {
            called.entry(object::name(process)).or_default().push(process);
            if !object::set(process).is_empty() {
                called.entry(object::set(process)).or_default().push(process);
            }
        }
        Look { taken: time(all, "/takenAt").unwrap_or_default(), called }
    }

    /// Whether there is one of this name, or nothing is to be there.
    pub(super) fn knows(&self, name: &Name, goal: Goal) -> bool {
        goal == Goal::Gone || !self.called(name.as_str()).is_empty()
    }

    fn called(&self, name: &str) -> &[&'v Value] {
        self.called.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The reason of what has crashed and will be started again.
pub(super) const CRASH_LOOP: &str = "CrashLoopBackOff";
/// What ends at once was up for a moment, too. The monitor lets a run settle for as long.
const SETTLE: f64 = 1.0;

/// How far the processes are that are called `name`, or are replicas of it.
pub(super) fn progress(goal: Goal, name: &str, before: &Look<'_>, now: &Look<'_>) -> Progress {
    let (were, are) = (before.called(name), now.called(name));
    let told = |process: &Value, how: String| match are.len() {
        1 => how,
        _ => format!("{}: {how}", object::name(process)),
    };
    let hopeless = are.iter().find_map(|process| Some(told(process, hopeless(goal, process, were)?)));
    if let Some(why) = hopeless {
        return Progress::Failed(why);
    }
    if let Some(how) = are.iter().find_map(|process| Some(told(process, wanting(goal, process, were, now.taken)?))) {
        return Progress::Waiting(how);
    }
    // Who is asked for something is one who is there.
    let (expected, may_be_gone) = match goal {
        Goal::Gone => (0, true),
        Goal::Changed(count) => (count as usize, true),
        Goal::Settled | Goal::Started | Goal::Stopped | Goal::Restarted | Goal::Begun => {
            (are.len().max(1), were.is_empty())
        }
    };
    match are.len() {
        count if count == expected => Progress::Reached,
        0 if may_be_gone => Progress::Waiting("the monitor does not know it yet".to_string()),
        0 => Progress::Failed("its file was deleted".to_string()),
        count => Progress::Waiting(format!("{count} of {expected} are there")),
    }
}

/// What a restart has come to where no run follows: the next one of a schedule comes at its time.
pub(super) fn instead(goal: Goal, name: &str, before: &Look<'_>, now: &Look<'_>) -> Option<String> {
    let (were, are) = (before.called(name), now.called(name));
    let is_scheduled = |process: &&Value| text(process, "/status/reason") == "Scheduled";
    match goal {
        Goal::Restarted if !are.is_empty() && are.iter().all(is_scheduled) => {
            Some(match were.iter().all(is_scheduled) {
                true => format!("has no run; to begin one: {}", super::typed("trigger", name)),
                false => "run ended; the next one comes at its time".to_string(),
            })
        }
        Goal::Restarted | Goal::Gone | Goal::Changed(_) | Goal::Settled => None,
        Goal::Started | Goal::Stopped | Goal::Begun => None,
    }
}

/// Why it will not be so, unless somebody does something more. What it was before is no answer.
fn hopeless(goal: Goal, process: &Value, were: &[&Value]) -> Option<String> {
    let is_so = match goal {
        Goal::Gone | Goal::Stopped => false,
        Goal::Changed(_) => is_seen(process, were) && (has_failed(process) || is_refused(process)),
        Goal::Settled => has_failed(process) || is_refused(process),
        Goal::Started | Goal::Begun => has_failed(process) && is_another_try(process, were),
        Goal::Restarted => (has_failed(process) && is_another_try(process, were)) || is_suspended(process),
    };
    is_so.then(|| status(process))
}

/// What it still lacks, if something.
fn wanting(goal: Goal, process: &Value, were: &[&Value], now: f64) -> Option<String> {
    let unless = |is_so: bool| (!is_so).then(|| status(process));
    match goal {
        Goal::Gone => unless(false),
        Goal::Changed(_) => unless(is_seen(process, were)).or_else(|| unsettled(process, now)),
        Goal::Settled | Goal::Started => unsettled(process, now),
        Goal::Stopped => unless(matches!(text(process, "/status/phase"), "Waiting" | "Terminated")),
        Goal::Restarted => {
            unless(is_another_life(process, were) || is_idle(process)).or_else(|| unsettled(process, now))
        }
        Goal::Begun => unless(is_another_life(process, were)),
    }
}

/// Whether the monitor knows it otherwise than before.
fn is_seen(process: &Value, were: &[&Value]) -> bool {
    differs(process, were, &["/metadata/generation", "/spec", "/status/fileError"]).unwrap_or(true)
}

/// Whether a run has begun, or ended, since.
fn is_another_life(process: &Value, were: &[&Value]) -> bool {
    let places = ["/status/startedAt", "/status/lastState/finishedAt"];
    let has_run = || places.iter().any(|place| !text(process, place).is_empty());
    differs(process, were, &places).unwrap_or_else(has_run)
}

/// The same, or it could not be started.
fn is_another_try(process: &Value, were: &[&Value]) -> bool {
    is_another_life(process, were) || differs(process, were, &["/status/startFailures"]).unwrap_or(true)
}

/// Whether something at these places is not as it was; `None`: it is new.
fn differs(process: &Value, were: &[&Value], places: &[&str]) -> Option<bool> {
    let was = were.iter().find(|was| object::name(was) == object::name(process))?;
    Some(places.iter().any(|place| was.pointer(place) != process.pointer(place)))
}

/// What it lacks to be as its file wants it: down if it is suspended, else ready for more than a moment, done, or between
/// two runs.
fn unsettled(process: &Value, now: f64) -> Option<String> {
    let is_current = process.pointer("/status/observedGeneration") == process.pointer("/metadata/generation");
    let is_done = text(process, "/status/reason") == "Completed";
    let is_down = !matches!(text(process, "/status/phase"), "Running" | "Terminating");
    let is_so = match is_suspended(process) {
        true => is_down,
        false => holds(process, "/status/ready") || is_done || is_idle(process),
    };
    match is_current && is_so && !is_refused(process) {
        true if is_down => None,
        true => unproved(process, now),
        false => Some(status(process)),
    }
}

/// What a run that is up must still do to be told from one that crashes again and again: last a moment, or, after one that
/// the monitor takes for a failure, as long as it takes for none.
fn unproved(process: &Value, now: f64) -> Option<String> {
    let up = now - time(process, "/status/startedAt").unwrap_or_default();
    let lasted = number(process, "/status/lastState/lastedSeconds").unwrap_or_default();
    let threshold = number(process, "/spec/backoff/thresholdSeconds").unwrap_or_default();
    let ended_itself = !matches!(text(process, "/status/lastState/reason"), "" | "Stopped");
    // A clock that was set back says nothing.
    let is_below = |limit: f64| (0.0..limit).contains(&up);
    if ended_itself && lasted < threshold && is_below(threshold) {
        let how = text(process, "/status/lastState/message");
        let (lasted, threshold) = (Span(lasted), Span(threshold));
        return Some(format!("its last run ended after {lasted}: {how}; this one must last {threshold}"));
    }
    is_below(SETTLE).then(|| status(process))
}

fn is_suspended(process: &Value) -> bool {
    holds(process, "/spec/suspend")
}

/// Whether it waits for the next time of its schedule.
fn is_idle(process: &Value) -> bool {
    process.pointer("/spec/schedule").is_some() && text(process, "/status/phase") == "Waiting"
}

/// Whether its file is, and it goes on by the last good one.
fn is_refused(process: &Value) -> bool {
    !text(process, "/status/fileError").is_empty()
}

/// Whether it has ended for good, and not well, or cannot be started. What has crashed may be well the next time.
fn has_failed(process: &Value) -> bool {
    match (text(process, "/status/phase"), text(process, "/status/reason")) {
        ("Terminated", reason) => reason != "Completed",
        (_, reason) => reason == "StartError",
    }
}

/// How it is, in a line.
fn status(process: &Value) -> String {
    let words = ["/status/reason", "/status/message", "/status/fileError"].map(|place| text(process, place));
    let told: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    match told.is_empty() {
        true => text(process, "/status/phase").to_string(),
        false => told.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Goal, Look, Progress};

    fn progress(goal: Goal, name: &str, before: &Value, now: &Value) -> Progress {
        super::progress(goal, name, &Look::of(before), &Look::of(now))
    }

    fn list(processes: &[Value]) -> Value {
        json!({ "takenAt": "1970-01-01T00:10:00Z", "items": processes })
    }

    fn only(process: &Value) -> Value {
        list(std::slice::from_ref(process))
    }

    /// A process that is ready, of a generation that governs it, and was begun in this second of ten minutes.
    fn web(generation: u64, started: u32) -> Value {
        let started = format!("1970-01-01T00:{:02}:{:02}Z", started / 60, started % 60);
        json!({
            "metadata": {"name": "web", "generation": generation},
            "spec": {"suspend": false, "backoff": {"thresholdSeconds": 10}},
            "status": {"phase": "Running", "ready": true, "observedGeneration": generation, "startedAt": started},
        })
    }

    fn with(mut process: Value, place: &str, value: Value) -> Value {
        let (above, key) = place.rsplit_once('/').expect("a place");
        process.pointer_mut(above).expect("a place")[key] = value;
        process
    }

    fn replica(index: u32, of: u32) -> Value {
        let process = with(web(1, 1), "/metadata/name", json!(format!("web-{index}")));
        with(process, "/spec/replica", json!({"set": "web", "index": index, "of": of}))
    }

    fn waits(text: &str) -> Progress {
        Progress::Waiting(text.to_string())
    }

    #[test]
    fn an_edit_is_there_when_it_was_seen_and_governs_a_run_that_is_ready() {
        let before = list(&[web(1, 1)]);
        let of = |process: Value| progress(Goal::Changed(1), "web", &before, &list(&[process]));
        assert_eq!(of(web(1, 1)), waits("Running"), "it is as before");
        assert_eq!(of(with(web(2, 1), "/status/observedGeneration", json!(1))), waits("Running"));
        assert_eq!(of(web(2, 1)), Progress::Reached, "the run goes on");
        let starting = with(web(2, 2), "/status/ready", json!(false));
        let starting = with(starting, "/status/reason", json!("NotReady"));
        assert_eq!(of(with(starting, "/status/message", json!("no answer"))), waits("NotReady: no answer"));
        let refused = with(web(1, 1), "/status/fileError", json!("web: args: missing"));
        assert_eq!(of(refused), Progress::Failed("web: args: missing".into()));
        let failed = with(with(web(2, 1), "/status/ready", json!(false)), "/status/phase", json!("Terminated"));
        assert_eq!(of(with(failed, "/status/reason", json!("Error"))), Progress::Failed("Error".into()));
        let unknown = progress(Goal::Changed(1), "web", &list(&[]), &list(&[]));
        assert_eq!(unknown, waits("the monitor does not know it yet"));
        assert_eq!(progress(Goal::Changed(1), "web", &list(&[]), &before), Progress::Reached, "it is new");
        let suspended = with(with(web(2, 1), "/spec/suspend", json!(true)), "/status/ready", json!(false));
        assert_eq!(of(suspended.clone()), waits("Running"));
        assert_eq!(of(with(suspended, "/status/phase", json!("Waiting"))), Progress::Reached);
    }

    #[test]
    fn a_set_is_there_when_all_of_it_is() {
        let before = list(&[replica(0, 2), replica(1, 2)]);
        let of = |count, processes: &[Value]| progress(Goal::Changed(count), "web", &before, &list(processes));
        assert_eq!(of(3, &[replica(0, 3), replica(1, 3)]), waits("2 of 3 are there"));
        let coming = with(replica(2, 3), "/status/ready", json!(false));
        assert_eq!(of(3, &[replica(0, 3), replica(1, 3), coming]), waits("web-2: Running"));
        assert_eq!(of(3, &[replica(0, 3), replica(1, 3), replica(2, 3)]), Progress::Reached);
        assert_eq!(of(1, &[replica(0, 1), replica(1, 2)]), waits("web-1: Running"), "one is to go");
        assert_eq!(of(1, &[replica(0, 1)]), Progress::Reached);
        assert_eq!(of(0, &[]), Progress::Reached);
        assert_eq!(progress(Goal::Settled, "web-1", &before, &before), Progress::Reached, "one by its own name");
    }

    #[test]
    fn what_was_asked_is_done_when_it_is_to_be_seen() {
        let before = list(&[web(1, 1)]);
        let of = |goal, process: &Value| progress(goal, "web", &before, &only(process));
        let is_reached = |goal, process: &Value| of(goal, process) == Progress::Reached;
        let down = with(with(web(1, 1), "/status/phase", json!("Waiting")), "/status/ready", json!(false));
        assert!(!is_reached(Goal::Stopped, &web(1, 1)) && is_reached(Goal::Stopped, &down));
        assert!(!is_reached(Goal::Settled, &down) && is_reached(Goal::Settled, &web(1, 1)));
        assert!(!is_reached(Goal::Restarted, &web(1, 1)) && is_reached(Goal::Restarted, &web(1, 2)));
        assert!(!is_reached(Goal::Begun, &web(1, 1)) && is_reached(Goal::Begun, &web(1, 2)));
        let ended = with(down.clone(), "/status/lastState", json!({"finishedAt": "c"}));
        assert!(is_reached(Goal::Begun, &ended), "it was quicker than the look");
        let idle = with(down.clone(), "/spec/schedule", json!({"every": 5}));
        assert!(is_reached(Goal::Restarted, &idle), "no run of a job is begun by a restart");
        assert_eq!(of(Goal::Gone, &web(1, 1)), waits("Running"));
        assert_eq!(progress(Goal::Gone, "web", &before, &list(&[])), Progress::Reached);
    }

    /// One that is down for this reason, and has been so since a run that ended then.
    fn down(phase: &str, reason: &str, ended: &str) -> Value {
        let process = with(with(web(1, 1), "/status/phase", json!(phase)), "/status/ready", json!(false));
        let process = with(process, "/status/lastState", json!({"finishedAt": ended, "message": "exit code 3"}));
        with(process, "/status/reason", json!(reason))
    }

    #[test]
    fn what_has_ended_for_good_or_cannot_be_started_is_not_waited_for() {
        let (failed, again) = (down("Terminated", "Error", "x"), down("Terminated", "Error", "y"));
        let unstarted = |times: u32| {
            let process = with(down("Waiting", "StartError", "x"), "/status/startFailures", json!(times));
            with(process, "/status/message", json!("not found"))
        };
        let suspended = with(down("Waiting", "Suspended", "x"), "/spec/suspend", json!(true));
        let of = |goal, was: &Value, is: &Value| progress(goal, "web", &only(was), &only(is));
        let failed_by = |why: &str| Progress::Failed(why.to_string());
        for goal in [Goal::Started, Goal::Restarted, Goal::Begun] {
            assert_eq!(of(goal, &failed, &failed), waits("Error"), "{goal:?}: nothing was done yet");
            assert_eq!(of(goal, &unstarted(1), &unstarted(1)), waits("StartError: not found"), "{goal:?}");
            assert_eq!(of(goal, &unstarted(1), &unstarted(2)), failed_by("StartError: not found"), "{goal:?}");
            assert_eq!(progress(goal, "web", &only(&failed), &list(&[])), failed_by("its file was deleted"));
        }
        for goal in [Goal::Started, Goal::Restarted] {
            assert_eq!(of(goal, &failed, &again), failed_by("Error"), "{goal:?}");
        }
        assert_eq!(of(Goal::Settled, &failed, &failed), failed_by("Error"));
        assert_eq!(of(Goal::Settled, &unstarted(1), &unstarted(1)), failed_by("StartError: not found"));
        assert_eq!(of(Goal::Restarted, &suspended, &suspended), failed_by("Suspended"));
        let done = down("Terminated", "Completed", "y");
        assert_eq!(of(Goal::Restarted, &failed, &done), Progress::Reached);
        let set = list(&[
            with(replica(0, 2), "/status/ready", json!(false)),
            with(again, "/spec", replica(1, 2)["spec"].clone()),
        ]);
        assert_eq!(progress(Goal::Settled, "web", &set, &set), failed_by("web: Error"), "whoever comes first");
    }

    #[test]
    fn what_was_up_for_a_moment_is_not_rolled_out() {
        let of = |process: Value| progress(Goal::Settled, "web", &list(&[]), &list(&[process]));
        assert_eq!(of(web(1, 600)), waits("Running"), "it may end at once");
        assert_eq!(of(web(1, 598)), Progress::Reached);
        assert_eq!(of(web(1, 700)), Progress::Reached, "a clock was set back");
        let after = |started, reason: &str, lasted: f64| {
            let end = json!({"reason": reason, "message": "exit code 3", "lastedSeconds": lasted});
            of(with(web(1, started), "/status/lastState", end))
        };
        assert_eq!(after(598, "Error", 2.0), waits("its last run ended after 2s: exit code 3; this one must last 10s"));
        assert_eq!(after(598, "Completed", 2.0), after(598, "Error", 2.0), "a service does not complete");
        assert_eq!(after(598, "Stopped", 2.0), Progress::Reached, "somebody ended it");
        assert_eq!(after(598, "Error", 20.0), Progress::Reached, "that was no failure");
        assert_eq!(after(590, "Error", 2.0), Progress::Reached);
        let crashed = down("Waiting", "CrashLoopBackOff", "x");
        assert_eq!(of(crashed), waits("CrashLoopBackOff"), "it may be well the next time");
    }

    #[test]
    fn a_file_that_is_mended_is_in_force_though_the_process_is_as_before() {
        let refused = with(web(1, 1), "/status/fileError", json!("web: args: missing"));
        let of = |now: Value| progress(Goal::Changed(1), "web", &only(&refused), &list(&[now]));
        assert_eq!(of(refused.clone()), waits("web: args: missing"), "it was not read yet");
        assert_eq!(of(web(1, 1)), Progress::Reached);
        let other = with(web(1, 1), "/status/fileError", json!("web: of another user"));
        assert_eq!(of(other), Progress::Failed("web: of another user".into()));
    }

    #[test]
    fn thousands_are_told_in_time() {
        let begun = std::time::Instant::now();
        let names: Vec<String> = (0..20_000).map(|number| format!("web-{number}")).collect();
        let all = names.iter().map(|name| with(web(1, 1), "/metadata/name", json!(name)));
        let all = list(&all.collect::<Vec<Value>>());
        let look = Look::of(&all);
        for name in &names {
            assert_eq!(super::progress(Goal::Settled, name, &look, &look), Progress::Reached);
        }
        assert!(begun.elapsed().as_secs() < 20, "it does not grow with the square of how many there are");
    }
}
