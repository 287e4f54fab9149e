//! Is the colony ready, is the loop alive: findings made from a snapshot, for the health paths and the page.

use std::time::Duration;

use crate::model::{Check, Phase, ProcessView, Snapshot, State};

/// One check and what came of it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Finding<'a> {
    /// What `?exclude=` calls it. A process may bear the name of one of our own checks; then it means both.
    pub(super) name: &'a str,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Good,
    /// Good, with something worth saying.
    Noted(String),
    Bad(String),
}

/// The checks of `/healthz` and `/readyz`: the monitor's own, then the processes by name, then files without one.
///
/// `fresh` is how old the last full look may be.
pub(super) fn ready(snapshot: &Snapshot, fresh: Duration) -> Vec<Finding<'_>> {
    let mut findings = live(snapshot, fresh);
    findings.push(Finding { name: "reconcile", outcome: first_look(snapshot) });
    findings.push(Finding { name: "shutdown", outcome: shutdown(snapshot.phase) });
    findings.push(Finding { name: "config", outcome: directory(snapshot) });
    findings.extend(snapshot.checks.iter().map(|check| Finding { name: check.name, outcome: own(check) }));
    findings.extend(snapshot.processes.iter().map(|view| Finding { name: view.name.as_str(), outcome: process(view) }));
    findings.extend(orphans(snapshot));
    findings
}

/// The checks of `/startupz`: as of [`ready`], but that a process has started is enough: one that is up has, once its startup
/// probe has succeeded; and a directory that cannot be read, or a file that is refused, is no reason to wait.
pub(super) fn started(snapshot: &Snapshot, fresh: Duration) -> Vec<Finding<'_>> {
    let mut findings = live(snapshot, fresh);
    findings.push(Finding { name: "reconcile", outcome: first_look(snapshot) });
    findings.push(Finding { name: "shutdown", outcome: shutdown(snapshot.phase) });
    findings.extend(snapshot.processes.iter().map(|view| Finding { name: view.name.as_str(), outcome: start(view) }));
    findings
}

/// What `/healthz/NAME` is about: one process, whether it gates the colony or not, or one check. Of a process that is well
/// it also takes a monitor that is.
pub(super) fn ready_one<'a>(snapshot: &'a Snapshot, fresh: Duration, name: &str) -> Vec<Finding<'a>> {
    let own = |finding: &Finding<'_>| finding.name == name;
    let views = snapshot.processes.iter().filter(|view| view.name.as_str() == name);
    let processes = views.map(|view| Finding { name: view.name.as_str(), outcome: alone(view) }).collect::<Vec<_>>();
    let all = ready(snapshot, fresh);
    if processes.is_empty() {
        return all.into_iter().filter(own).collect();
    }
    let gates = ["loop", "reconcile", "shutdown"];
    let bad = |finding: &Finding<'_>| gates.contains(&finding.name) && matches!(finding.outcome, Outcome::Bad(_));
    all.into_iter().take_while(|finding| finding.name != "config").filter(bad).chain(processes).collect()
}

/// The checks of `/livez`: that there is a snapshot at all, and that the loop looks at everything now and then. No
/// child's trouble is among them: a kubelet that restarts the container for it would restart the healthy ones too.
pub(super) fn live(snapshot: &Snapshot, fresh: Duration) -> Vec<Finding<'_>> {
    vec![
        Finding { name: "ping", outcome: Outcome::Good },
        Finding { name: "loop", outcome: freshness(snapshot, fresh) },
    ]
}

/// What `/healthz?verbose` has to say of a colony that is being ended, but that it is: a line for each check that is not
/// simply good, the bad ones and those that have something worth saying.
pub fn complaints(snapshot: &Snapshot) -> String {
    let mut lines = String::new();
    for finding in ready(snapshot, Duration::MAX) {
        match finding.outcome {
            Outcome::Bad(_) if finding.name == "shutdown" => {}
            Outcome::Bad(text) | Outcome::Noted(text) => {
                lines.extend([finding.name, ": ", &text, "\n"]);
            }
            Outcome::Good => {}
        }
    }
    lines
}

fn freshness(snapshot: &Snapshot, fresh: Duration) -> Outcome {
    let Some(reconciled) = snapshot.reconciled else { return Outcome::Good };
    let age = snapshot.taken.at.since(reconciled);
    if age <= fresh {
        return Outcome::Good;
    }
    Outcome::Bad(format!("the last full look was {} s ago, and {} s are allowed", age.as_secs(), fresh.as_secs()))
}

fn first_look(snapshot: &Snapshot) -> Outcome {
    match (snapshot.reconciled, snapshot.phase) {
        (Some(_), Phase::Running | Phase::ShuttingDown) => Outcome::Good,
        (_, Phase::Starting) | (None, _) => {
            Outcome::Bad(format!("the first full look at {} is not done", snapshot.config.dir))
        }
    }
}

fn shutdown(phase: Phase) -> Outcome {
    match phase {
        Phase::Starting | Phase::Running => Outcome::Good,
        Phase::ShuttingDown => Outcome::Bad("the monitor is shutting down".to_string()),
    }
}

fn directory(snapshot: &Snapshot) -> Outcome {
    let config = &snapshot.config;
    match (&config.dir_error, config.errors.len()) {
        (Some(error), _) => Outcome::Bad(format!("cannot read {}: {error}", config.dir)),
        (None, 0) => Outcome::Good,
        (None, 1) => Outcome::Noted("1 file is refused".to_string()),
        (None, files) => Outcome::Noted(format!("{files} files are refused")),
    }
}

fn own(check: &Check) -> Outcome {
    match (&check.trouble, check.gates) {
        (None, _) => Outcome::Good,
        (Some(trouble), true) => Outcome::Bad(trouble.clone()),
        (Some(trouble), false) => Outcome::Noted(trouble.clone()),
    }
}

fn start(view: &ProcessView) -> Outcome {
    match (view.has_started || view.rests, view.gate) {
        (true, _) => Outcome::Good,
        (false, true) => Outcome::Bad(why(view)),
        (false, false) => Outcome::Noted(format!("not started, and need not be: {}", why(view))),
    }
}

/// A process that is asked for by name, as if it gated.
fn alone(view: &ProcessView) -> Outcome {
    process_as(view, true)
}

fn process(view: &ProcessView) -> Outcome {
    process_as(view, view.gate)
}

fn process_as(view: &ProcessView, gate: bool) -> Outcome {
    let refused = view.file_error.as_ref().map(|why| self::refused(&view.file, why));
    match (view.is_as_wanted(), gate, refused) {
        // It runs, and there is something to say: a probe of it cannot be made.
        (true, _, None) if view.state == State::Running && !view.message.is_empty() => Outcome::Noted(why(view)),
        (true, _, None) => Outcome::Good,
        (true, _, Some(refused)) => Outcome::Noted(format!("{refused}; the last good version runs")),
        (false, true, None) => Outcome::Bad(why(view)),
        (false, true, Some(refused)) => Outcome::Bad(format!("{} ({refused})", why(view))),
        (false, false, None) => Outcome::Noted(format!("not ready, and need not be: {}", why(view))),
        (false, false, Some(refused)) => {
            Outcome::Noted(format!("not ready, and need not be: {}; {refused}", why(view)))
        }
    }
}

/// The reason and the message, or the state where there is neither; and what it says itself.
pub(super) fn why(view: &ProcessView) -> String {
    let why = match (view.reason, view.message.as_str()) {
        ("", "") => view.state.as_str().to_string(),
        (reason, "") => reason.to_string(),
        ("", message) => message.to_string(),
        (reason, message) => format!("{reason}: {message}"),
    };
    if view.status.is_empty() { why } else { format!("{why}; {}", says(view)) }
}

/// What it says itself: its own words, told apart from ours.
pub(super) fn says(view: &ProcessView) -> String {
    format!("it says: {}", view.status)
}

/// That a file is refused. A diagnostic that starts with a place in the file has named it already.
pub(super) fn refused(file: &str, why: &str) -> String {
    if why.starts_with(file) { format!("refused: {why}") } else { format!("{file} is refused: {why}") }
}

/// A refused file that no process stands for: something is desired, and nobody knows what.
fn orphans(snapshot: &Snapshot) -> impl Iterator<Item = Finding<'_>> {
    let known = |file: &str| {
        let stem = stem(file);
        // Sorted by name, but a second file of that name is not the view's own.
        snapshot.processes.iter().any(|view| view.file == file || view.name.as_str() == stem)
    };
    snapshot
        .config
        .errors
        .iter()
        .filter(move |error| !known(&error.file))
        .map(|error| Finding { name: stem(&error.file), outcome: Outcome::Bad(refused(&error.file, &error.summary)) })
}

fn stem(file: &str) -> &str {
    [".json", ".yaml", ".yml"].iter().find_map(|extension| file.strip_suffix(extension)).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Finding, Outcome, live, ready};
    use crate::model::{Check, FileError, Moment, Phase, Snapshot, State};
    use crate::sample::{colony, process};

    const FRESH: Duration = Duration::from_secs(30);

    /// The names of the bad ones.
    fn bad<'a>(findings: &[Finding<'a>]) -> Vec<&'a str> {
        findings
            .iter()
            .filter(|finding| matches!(finding.outcome, Outcome::Bad(_)))
            .map(|finding| finding.name)
            .collect()
    }

    fn refused(file: &str) -> FileError {
        FileError { file: file.to_string(), summary: format!("{file}:1:1: expected args") }
    }

    #[test]
    fn verdicts_follow_the_colony() {
        type Change = fn(&mut Snapshot);
        let rows: &[(&str, Change, &[&str], &[&str])] = &[
            ("all is well", |_| {}, &[], &[]),
            ("no processes at all", |s| s.processes.clear(), &[], &[]),
            (
                "starting",
                |s| {
                    s.phase = Phase::Starting;
                    s.reconciled = None;
                },
                &["reconcile"],
                &[],
            ),
            ("running, but never looked", |s| s.reconciled = None, &["reconcile"], &[]),
            ("shutting down", |s| s.phase = Phase::ShuttingDown, &["shutdown"], &[]),
            ("a look just fresh enough", |s| s.taken.at = s.reconciled.unwrap_or_default() + FRESH, &[], &[]),
            (
                "a stale look",
                |s| s.taken.at = s.reconciled.unwrap_or_default() + FRESH + Duration::from_nanos(1),
                &["loop"],
                &["loop"],
            ),
            ("a look of the future", |s| s.reconciled = Some(Moment::NEVER), &[], &[]),
            ("an unreadable directory", |s| s.config.dir_error = Some("no such file".to_string()), &["config"], &[]),
            ("a child that is down", |s| s.processes[0].ready = false, &["web"], &[]),
            (
                "a child that is down and may be",
                |s| {
                    s.processes[0].ready = false;
                    s.processes[0].gate = false;
                },
                &[],
                &[],
            ),
            ("every child down", |s| s.processes.iter_mut().for_each(|view| view.ready = false), &["web", "work"], &[]),
            ("a refused file with a good version", |s| s.config.errors.push(refused("web.yaml")), &[], &[]),
            ("a second file of one name", |s| s.config.errors.push(refused("web.json")), &[], &[]),
            ("a refused file without a process", |s| s.config.errors.push(refused("new.yaml")), &["new"], &[]),
            (
                "own trouble that gates",
                |s| s.checks.push(Check { name: "disk", trouble: Some("full".to_string()), gates: true }),
                &["disk"],
                &[],
            ),
            (
                "own trouble that is only shown",
                |s| s.checks.push(Check { name: "disk", trouble: Some("full".to_string()), gates: false }),
                &[],
                &[],
            ),
            (
                "own check that gates, no trouble",
                |s| s.checks.push(Check { name: "disk", trouble: None, gates: true }),
                &[],
                &[],
            ),
        ];
        for (case, change, not_ready, not_live) in rows {
            let mut snapshot = colony(vec![process("web"), process("work")]);
            change(&mut snapshot);
            assert_eq!(bad(&ready(&snapshot, FRESH)), *not_ready, "ready: {case}");
            assert_eq!(bad(&live(&snapshot, FRESH)), *not_live, "live: {case}");
        }
    }

    #[test]
    fn a_process_says_why_in_the_words_that_it_has() {
        let rows: &[(&str, &str, &str)] = &[
            ("CrashLoopBackOff", "back-off 8 s: exit code 1", "CrashLoopBackOff: back-off 8 s: exit code 1"),
            ("CrashLoopBackOff", "", "CrashLoopBackOff"),
            ("", "heartbeat stopped", "heartbeat stopped"),
            ("", "", "backoff"),
        ];
        for (reason, message, expected) in rows {
            let mut view = process("web");
            (view.state, view.ready, view.reason, view.message) = (State::Backoff, false, reason, message.to_string());
            assert_eq!(super::process(&view), Outcome::Bad(expected.to_string()));
            view.status = "loading 3 of 9".to_string();
            assert_eq!(super::process(&view), Outcome::Bad(format!("{expected}; it says: loading 3 of 9")));
        }
    }

    #[test]
    fn a_refused_file_is_named_once() {
        assert_eq!(super::refused("a.yaml", "a.yaml:3:1: unknown key"), "refused: a.yaml:3:1: unknown key");
        assert_eq!(super::refused("a.yaml", "permission denied"), "a.yaml is refused: permission denied");
    }

    #[test]
    fn a_refused_file_is_told_beside_what_runs() {
        let mut view = process("web");
        view.file_error = Some("unknown key \"arsg\"".to_string());
        let good = "web.yaml is refused: unknown key \"arsg\"; the last good version runs";
        assert_eq!(super::process(&view), Outcome::Noted(good.to_string()));
        (view.ready, view.state) = (false, State::Starting);
        assert_eq!(
            super::process(&view),
            Outcome::Bad("starting (web.yaml is refused: unknown key \"arsg\")".to_string())
        );
        view.gate = false;
        let free = "not ready, and need not be: starting; web.yaml is refused: unknown key \"arsg\"";
        assert_eq!(super::process(&view), Outcome::Noted(free.to_string()));
    }
}
