//! What `--wait` and `rollout status` wait for: told from two looks at the monitor's list of processes, one from before
//! something was asked and one from now.

use serde_json::Value;

/// What is to become of a process, or of each of a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Goal {
    /// There is none any more.
    Gone,
    /// There are so many, seen as they are described now, and each is as it is to be.
    Changed(u32),
    /// Each is as it is to be, and governed by what describes it.
    Settled,
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

/// How far the processes are that are called `name`, or are replicas of it.
pub(super) fn progress(goal: Goal, name: &str, before: &Value, now: &Value) -> Progress {
    let (were, are) = (called(before, name), called(now, name));
    let expected = match goal {
        Goal::Gone => 0,
        Goal::Changed(count) => count as usize,
        Goal::Settled | Goal::Stopped | Goal::Restarted | Goal::Begun => are.len().max(1),
    };
    let refused = are.iter().map(|process| text(process, "/status/fileError")).find(|why| !why.is_empty());
    if let Some(why) = refused.filter(|_| goal != Goal::Gone) {
        return Progress::Failed(why.to_string());
    }
    let wanting = are.iter().find(|process| !is_reached(goal, process, &were));
    match wanting {
        None if are.len() == expected => Progress::Reached,
        None if are.is_empty() => Progress::Waiting("the monitor does not know it yet".to_string()),
        None => Progress::Waiting(format!("{} of {expected} are there", are.len())),
        Some(process) => {
            let which = if are.len() > 1 { format!("{}: ", text(process, "/metadata/name")) } else { String::new() };
            let told = format!("{which}{}", status(process));
            if has_failed(process) && is_seen(process, &were) {
                Progress::Failed(told)
            } else {
                Progress::Waiting(told)
            }
        }
    }
}

fn is_reached(goal: Goal, process: &Value, were: &[&Value]) -> bool {
    match goal {
        Goal::Gone => false,
        Goal::Changed(_) => is_seen(process, were) && is_settled(process),
        Goal::Settled => is_settled(process),
        Goal::Stopped => matches!(text(process, "/status/phase"), "Waiting" | "Terminated"),
        Goal::Restarted => (is_another_life(process, were) || is_idle(process)) && is_settled(process),
        Goal::Begun => is_another_life(process, were),
    }
}

/// Whether the monitor knows it otherwise than before.
fn is_seen(process: &Value, were: &[&Value]) -> bool {
    let part = |object: &Value, place: &str| object.pointer(place).cloned();
    let differs = |was: &&Value, place: &str| part(was, place) != part(process, place);
    earlier(process, were).is_none_or(|was| differs(&was, "/metadata/generation") || differs(&was, "/spec"))
}

/// Whether a run has begun, or ended, since.
fn is_another_life(process: &Value, were: &[&Value]) -> bool {
    let places = ["/status/startedAt", "/status/lastState/finishedAt"];
    let has_run = places.iter().any(|place| !text(process, place).is_empty());
    earlier(process, were).map_or(has_run, |was| places.iter().any(|place| text(was, place) != text(process, place)))
}

/// Whether it is as its file wants it: down if it is suspended, else ready, done, or between two runs.
fn is_settled(process: &Value) -> bool {
    let holds = |place: &str| process.pointer(place) == Some(&Value::Bool(true));
    let is_current = process.pointer("/status/observedGeneration") == process.pointer("/metadata/generation");
    let is_done = text(process, "/status/reason") == "Completed";
    let is_down = !matches!(text(process, "/status/phase"), "Running" | "Terminating");
    let is_so = if holds("/spec/suspend") { is_down } else { holds("/status/ready") || is_done || is_idle(process) };
    is_current && is_so
}

/// Whether it waits for the next time of its schedule.
fn is_idle(process: &Value) -> bool {
    process.pointer("/spec/schedule").is_some() && text(process, "/status/phase") == "Waiting"
}

/// Whether it has ended for good, and not well.
fn has_failed(process: &Value) -> bool {
    text(process, "/status/phase") == "Terminated" && text(process, "/status/reason") != "Completed"
}

/// How it is, in a line.
fn status(process: &Value) -> String {
    let words = [text(process, "/status/reason"), text(process, "/status/message")];
    let told: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    match told.is_empty() {
        true => text(process, "/status/phase").to_string(),
        false => told.join(": "),
    }
}

fn called<'v>(list: &'v Value, name: &str) -> Vec<&'v Value> {
    let items = list.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    items.filter(|one| [text(one, "/metadata/name"), text(one, "/spec/replica/set")].contains(&name)).collect()
}

fn earlier<'v>(process: &Value, were: &[&'v Value]) -> Option<&'v Value> {
    were.iter().copied().find(|was| text(was, "/metadata/name") == text(process, "/metadata/name"))
}

fn text<'v>(object: &'v Value, place: &str) -> &'v str {
    object.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Goal, Progress, progress};

    fn list(processes: &[Value]) -> Value {
        json!({ "items": processes })
    }

    /// A process that is ready, of a generation that governs it.
    fn web(generation: u64, started: &str) -> Value {
        json!({
            "metadata": {"name": "web", "generation": generation},
            "spec": {"suspend": false},
            "status": {"phase": "Running", "ready": true, "observedGeneration": generation, "startedAt": started},
        })
    }

    fn with(mut process: Value, place: &str, value: Value) -> Value {
        let (above, key) = place.rsplit_once('/').expect("a place");
        process.pointer_mut(above).expect("a place")[key] = value;
        process
    }

    fn replica(index: u32, of: u32) -> Value {
        let process = with(web(1, "a"), "/metadata/name", json!(format!("web-{index}")));
        with(process, "/spec/replica", json!({"set": "web", "index": index, "of": of}))
    }

    fn waits(text: &str) -> Progress {
        Progress::Waiting(text.to_string())
    }

    #[test]
    fn an_edit_is_there_when_it_was_seen_and_governs_a_run_that_is_ready() {
        let before = list(&[web(1, "a")]);
        let of = |process: Value| progress(Goal::Changed(1), "web", &before, &list(&[process]));
        assert_eq!(of(web(1, "a")), waits("Running"), "it is as before");
        assert_eq!(of(with(web(2, "a"), "/status/observedGeneration", json!(1))), waits("Running"));
        assert_eq!(of(web(2, "a")), Progress::Reached, "the run goes on");
        let starting = with(web(2, "b"), "/status/ready", json!(false));
        let starting = with(starting, "/status/reason", json!("NotReady"));
        assert_eq!(of(with(starting, "/status/message", json!("no answer"))), waits("NotReady: no answer"));
        let refused = with(web(1, "a"), "/status/fileError", json!("web: args: missing"));
        assert_eq!(of(refused), Progress::Failed("web: args: missing".into()));
        let failed = with(with(web(2, "a"), "/status/ready", json!(false)), "/status/phase", json!("Terminated"));
        assert_eq!(of(with(failed, "/status/reason", json!("Error"))), Progress::Failed("Error".into()));
        let unknown = progress(Goal::Changed(1), "web", &list(&[]), &list(&[]));
        assert_eq!(unknown, waits("the monitor does not know it yet"));
        assert_eq!(progress(Goal::Changed(1), "web", &list(&[]), &before), Progress::Reached, "it is new");
        let suspended = with(with(web(2, "a"), "/spec/suspend", json!(true)), "/status/ready", json!(false));
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
        let before = list(&[web(1, "a")]);
        let of = |goal, process: &Value| progress(goal, "web", &before, &list(std::slice::from_ref(process)));
        let is_reached = |goal, process: &Value| of(goal, process) == Progress::Reached;
        let down = with(with(web(1, "a"), "/status/phase", json!("Waiting")), "/status/ready", json!(false));
        assert!(!is_reached(Goal::Stopped, &web(1, "a")) && is_reached(Goal::Stopped, &down));
        assert!(!is_reached(Goal::Settled, &down) && is_reached(Goal::Settled, &web(1, "a")));
        assert!(!is_reached(Goal::Restarted, &web(1, "a")) && is_reached(Goal::Restarted, &web(1, "b")));
        assert!(!is_reached(Goal::Begun, &web(1, "a")) && is_reached(Goal::Begun, &web(1, "b")));
        let ended = with(down.clone(), "/status/lastState", json!({"finishedAt": "c"}));
        assert!(is_reached(Goal::Begun, &ended), "it was quicker than the look");
        let idle = with(down.clone(), "/spec/schedule", json!({"every": 5}));
        assert!(is_reached(Goal::Restarted, &idle), "no run of a job is begun by a restart");
        assert_eq!(of(Goal::Gone, &web(1, "a")), waits("Running"));
        assert_eq!(progress(Goal::Gone, "web", &before, &list(&[])), Progress::Reached);
    }
}
