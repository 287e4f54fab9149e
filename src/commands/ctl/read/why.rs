//! `ncolony ctl why`

use serde_json::Value;

use super::error::Trouble;
use super::monitor::Monitor;
use super::object::{self, ago, holds, list, name, number, text, until};
use super::out::Out;
use super::paint::{Line, Piece};
use super::whom::{Detail, Whom, absence};
use crate::cli::WhyArgs;
use crate::model::WaitView;

/// Says why processes are as they are, down to the last cause.
pub(super) fn why(monitor: Monitor<'_>, args: &WhyArgs, out: &mut Out) -> Result<(), Trouble> {
    let mut whom = Whom::named(&args.names);
    let (all, shown) = whom.now(monitor, Detail::Full)?;
    let (found, _) = whom.among(&all);
    let mut told = Vec::new();
    let mut lines = Vec::new();
    // Of whom there is no process, this may tell why.
    let version = monitor.get("/v1/version").unwrap_or_default();
    let colony = [&all, &version];
    found.into_iter().for_each(|process| explain(process, colony, object::now(), &mut told, &mut lines));
    out.lines(&lines)?;
    shown.outcome()
}

/// Says it of one, and then of whom it waits for; of each once.
fn explain<'v>(process: &'v Value, colony: [&'v Value; 2], now: f64, told: &mut Vec<&'v str>, lines: &mut Vec<Line>) {
    let [all, version] = colony;
    if told.contains(&name(process)) {
        return;
    }
    told.push(name(process));
    lines.extend(sentences(process, now).into_iter().map(|sentence| painted(process, sentence)));
    let waits_for = list(process, "/status/waitsFor");
    for (index, wait) in waits_for.iter().enumerate() {
        let (on, message) = (text(wait, "/name"), text(wait, "/message"));
        // Of the first the sentences above tell.
        if index > 0 {
            lines.push(painted(process, format!("{} is {message}.", name(process))));
        }
        match list(all, "/items").iter().find(|other| name(other) == on) {
            Some(other) => explain(other, colony, now, told, lines),
            None if told.contains(&on) => {}
            None => {
                told.push(on);
                let why = absence(version, on).unwrap_or_else(|| format!("{on}: no file describes it"));
                lines.push((why + ".").into());
            }
        }
    }
    if waits_for.len() == WaitView::MOST {
        lines.push(format!("{} may wait for more than these {}.", name(process), WaitView::MOST).into());
    }
}

/// Its name stands out where something is wrong with it.
fn painted(process: &Value, sentence: String) -> Line {
    match sentence.strip_prefix(name(process)) {
        Some(rest) => Line::from(rest).behind(Piece::of(name(process), object::tint(process))),
        None => sentence.into(),
    }
}

/// What there is to say of one process.
fn sentences(process: &Value, now: f64) -> Vec<String> {
    let (who, message) = (name(process), text(process, "/status/message"));
    let next =
        until(process, "/status/nextStartAt", now).map(|next| format!("; next try in {next}")).unwrap_or_default();
    let because = if message.is_empty() { String::new() } else { format!(": {message}") };
    let mut all = match (text(process, "/status/state"), text(process, "/status/reason")) {
        ("running" | "starting", _) => running(process, now),
        ("backoff", "StartError") => vec![format!("{who} cannot be started{because}{next}.")],
        ("backoff", _) => crashing(process, now, &next),
        ("pending", "DependencyNotReady") => vec![format!("{who} is {message}.")],
        ("pending", "Scheduled") => {
            vec![format!("{who} runs at times{}{}.", next.replace("next try", "next run"), last_of_schedule(process))]
        }
        ("pending", _) => vec![format!("{who} is about to be started{because}.")],
        ("stopping", _) => {
            let since = ago(process, "/status/ending/beganAt", now).map(|span| format!(" for {span}"));
            let kill = until(process, "/status/ending/killAt", now).map(|span| format!("; SIGKILL comes in {span}"));
            let [since, kill] = [since, kill].map(Option::unwrap_or_default);
            vec![format!("{who} is being stopped{since}{because}{kill}.")]
        }
        ("stopped", "Stopped") => {
            vec![format!("{who} was stopped by a message; `{}` starts it.", crate::ctl::typed("start", who))]
        }
        ("stopped", "Suspended") => vec![format!("{who} is suspended: its file says so.")],
        ("stopped", _) => vec![format!("{who} is not wanted any more.")],
        ("completed", _) => vec![format!("{who} has ended for good, with success{because}.")],
        ("failed", reason) => {
            let command = crate::ctl::typed("restart", who);
            vec![format!("{who} has failed for good ({reason}){because}; `{command}` runs it again.")]
        }
        (state, _) => vec![format!("{who} is {state}{because}.")],
    };
    let refused = text(process, "/status/fileError");
    if !refused.is_empty() {
        all.push(format!("{who}: its file is refused, and the last good version is in force: {refused}."));
    }
    let generations = (number(process, "/metadata/generation"), number(process, "/status/observedGeneration"));
    if let (Some(last), Some(seen)) = generations
        && last != seen
    {
        all.push(format!("{who}: generation {last} is to come, {seen} is in force until this run has ended."));
    }
    all
}

/// How the last run of a schedule went.
fn last_of_schedule(process: &Value) -> String {
    let message = text(process, "/status/message");
    match text(process, "/status/lastState/reason") {
        _ if message.is_empty() => String::new(),
        // Another message is of a start that failed since.
        "Completed" if message == text(process, "/status/lastState/message") => {
            "; its last run ended with success".to_string()
        }
        "Stopped" => format!("; its last run ended: {message}"),
        _ => format!("; its last run failed: {message}"),
    }
}

fn running(process: &Value, now: f64) -> Vec<String> {
    let who = name(process);
    let since = ago(process, "/status/startedAt", now).map(|span| format!(" for {span}")).unwrap_or_default();
    let probes = failing(process, now);
    let mut all = match (holds(process, "/status/ready"), text(process, "/status/message")) {
        (true, _) => vec![format!("{who} is ready; it has run{since}.")],
        (false, _) if !probes.is_empty() => Vec::new(),
        (false, "") => vec![format!("{who} runs{since}, and is not ready.")],
        (false, message) => vec![format!("{who} runs{since}, and is not ready: {message}.")],
    };
    all.extend(probes);
    all.extend(restarted(process, now));
    all
}

/// A sentence for each probe that fails, whatever follows from it yet, or that cannot be made.
fn failing(process: &Value, now: f64) -> Vec<String> {
    const KINDS: [(&str, &str); 4] = [
        ("Startup", "startup probe"),
        ("Readiness", "readiness probe"),
        ("Liveness", "liveness probe"),
        ("HttpCheck", "HTTP check"),
    ];
    let sentence = |(kind, called): (&str, &str)| {
        let probe = list(process, "/status/probes").iter().find(|probe| text(probe, "/type") == kind)?;
        let next = until(probe, "/nextAt", now).map(|next| format!("; next try in {next}")).unwrap_or_default();
        let who = name(process);
        match (text(probe, "/error"), ago(probe, "/failingSince", now)) {
            ("", None) => None,
            ("", Some(since)) => {
                Some(format!("{who} fails its {called} since {since}: {}{next}.", text(probe, "/message")))
            }
            (error, _) => Some(format!("{who}: its {called} cannot be made: {error}{next}.")),
        }
    };
    KINDS.into_iter().filter_map(sentence).collect()
}

/// Why there was a run before this one.
fn restarted(process: &Value, now: f64) -> Option<String> {
    let restarts = number(process, "/status/restarts").filter(|restarts| *restarts > 0.0)?;
    let end = process.pointer("/status/lastState")?;
    let when = ago(end, "/finishedAt", now).map(|ago| format!(" {ago} ago")).unwrap_or_default();
    Some(format!("{} was restarted {}; the last run ended{when}: {}.", name(process), times(restarts), how(end)))
}

/// How a run ended: with the reason, where the status alone does not tell it.
fn how(end: &Value) -> String {
    let message = text(end, "/message");
    match text(end, "/reason") {
        "" | "Error" | "Completed" => message.to_string(),
        reason => format!("{reason}, {message}"),
    }
}

fn times(count: f64) -> String {
    if count == 1.0 { "once".to_string() } else { format!("{count} times") }
}

fn crashing(process: &Value, now: f64, next: &str) -> Vec<String> {
    let who = name(process);
    let end = process.pointer("/status/lastState").unwrap_or(&Value::Null);
    let lasted = number(end, "/lastedSeconds").map(|lasted| format!(" after {lasted:.1} s")).unwrap_or_default();
    let when = ago(end, "/finishedAt", now).map(|ago| format!("{ago} ago")).unwrap_or_default();
    let restarts = times(number(process, "/status/restarts").unwrap_or_default());
    vec![
        format!("{who} keeps ending: {}{lasted}, {when}; restarted {restarts}{next}.", how(end)),
        format!("What it printed last: `{}`.", crate::ctl::typed("logs", who)),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{explain, list};

    fn told(items: Value) -> String {
        told_beside(items, &Value::Null)
    }

    fn told_beside(items: Value, version: &Value) -> String {
        let all = json!({"items": items});
        let mut lines = Vec::new();
        explain(&list(&all, "/items")[0], [&all, version], 100.0, &mut Vec::new(), &mut lines);
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_chain_of_causes_is_told_to_its_end() {
        let web = json!({"metadata": {"name": "web"}, "status": {"state": "pending", "reason": "DependencyNotReady",
            "message": "waiting for db to be Ready", "waitsFor": [
            {"name": "db", "message": "waiting for db to be Ready"},
            {"name": "disk", "message": "waiting for disk to be Completed, which is suspended"},
            {"name": "nobody", "message": "waiting for nobody to be Ready, which no good file describes"}]}});
        let db = json!({"metadata": {"name": "db"}, "status": {"state": "starting", "ready": false,
            "startedAt": "1970-01-01T00:00:00Z", "probes": [{"type": "Startup", "message": "connection refused on 127.0.0.1:5432",
            "failingSince": "1970-01-01T00:01:28Z", "nextAt": "1970-01-01T00:01:42.5Z"}]}});
        let cache = json!({"metadata": {"name": "cache"}, "status": {"state": "running", "ready": true}});
        let disk = json!({"metadata": {"name": "disk"}, "status": {"state": "stopped", "reason": "Suspended"}});
        let expected = "\
web is waiting for db to be Ready.
db fails its startup probe since 12s: connection refused on 127.0.0.1:5432; next try in 3s.
web is waiting for disk to be Completed, which is suspended.
disk is suspended: its file says so.
web is waiting for nobody to be Ready, which no good file describes.
nobody: no file describes it.";
        assert_eq!(told(json!([web, db, cache, disk])), expected);
    }

    #[test]
    fn a_chain_that_ends_at_a_refused_file_or_one_without_replicas_says_so() {
        let wait = |on: &str| json!({"name": on, "message": format!("waiting for {on} to be Ready")});
        let api = json!({"metadata": {"name": "api"}, "status": {"state": "pending", "reason": "DependencyNotReady",
            "message": "waiting for ref to be Ready", "waitsFor": [wait("ref"), wait("zero")]}});
        let version = json!({"config": {"empty": ["zero"],
            "refused": [{"file": "ref.yaml", "message": "args: expected a list"}]}});
        let expected = "\
api is waiting for ref to be Ready.
ref.yaml is refused: args: expected a list.
api is waiting for zero to be Ready.
zero has no replicas: its file asks for 0.";
        assert_eq!(told_beside(json!([api]), &version), expected);
    }

    #[test]
    fn a_probe_that_cannot_be_made_is_told_of_one_that_is_ready_too() {
        let probe = json!({"type": "Liveness", "result": "Unknown", "error": "no such program", "nextAt": "1970-01-01T00:01:42.5Z"});
        let status = json!({"state": "running", "ready": true, "message": "its liveness probe cannot be made: no such program",
            "probes": [probe]});
        let expected =
            "web is ready; it has run.\nweb: its liveness probe cannot be made: no such program; next try in 3s.";
        assert_eq!(told(json!([{"metadata": {"name": "web"}, "status": status}])), expected);
    }

    #[test]
    fn each_state_has_its_sentence() {
        let process = |state: &str, reason: &str, message: &str| {
            let status = json!({"state": state, "reason": reason, "message": message, "ready": state == "running",
                "startedAt": "1970-01-01T00:00:00Z", "nextStartAt": "1970-01-01T00:01:44Z", "restarts": 2,
                "ending": {"beganAt": "1970-01-01T00:01:37Z", "killAt": "1970-01-01T00:01:42Z"},
                "lastState": {"message": "exit code 3", "lastedSeconds": 0.25, "finishedAt": "1970-01-01T00:01:38Z"}});
            told(json!([{"metadata": {"name": "web"}, "status": status}]))
        };
        let rows = [
            (
                "running",
                "",
                "",
                "web is ready; it has run for 100s.\nweb was restarted 2 times; the last run ended 2s ago: exit code 3.",
            ),
            (
                "starting",
                "",
                "no heartbeat yet",
                "web runs for 100s, and is not ready: no heartbeat yet.\nweb was restarted 2 times; the last run ended 2s ago: exit code 3.",
            ),
            (
                "backoff",
                "CrashLoopBackOff",
                "x",
                "web keeps ending: exit code 3 after 0.2 s, 2s ago; restarted 2 times; next try in 4s.\nWhat it printed last: `ncolony ctl logs web`.",
            ),
            ("backoff", "StartError", "no such program", "web cannot be started: no such program; next try in 4s."),
            ("pending", "Scheduled", "", "web runs at times; next run in 4s."),
            (
                "pending",
                "Scheduled",
                "exit code 1",
                "web runs at times; next run in 4s; its last run failed: exit code 1.",
            ),
            ("stopped", "Suspended", "", "web is suspended: its file says so."),
            ("stopped", "Stopped", "by a message", "web was stopped by a message; `ncolony ctl start web` starts it."),
            ("stopping", "Terminating", "removed", "web is being stopped for 3s: removed; SIGKILL comes in 2s."),
            ("completed", "Completed", "exit code 0", "web has ended for good, with success: exit code 0."),
            (
                "failed",
                "Error",
                "exit code 1",
                "web has failed for good (Error): exit code 1; `ncolony ctl restart web` runs it again.",
            ),
        ];
        for (state, reason, message, expected) in rows {
            assert_eq!(process(state, reason, message), expected);
        }
    }

    #[test]
    fn a_liveness_probe_that_fails_is_told_of_one_that_is_ready_and_after_the_restart() {
        let web = |status: Value| told(json!([{"metadata": {"name": "web"}, "status": status}]));
        let fails = json!({"state": "running", "ready": true, "startedAt": "1970-01-01T00:00:00Z", "restarts": 0, "probes": [
            {"type": "Liveness", "result": "Success", "message": "exit code 1", "failingSince": "1970-01-01T00:01:38Z",
            "nextAt": "1970-01-01T00:01:41Z"}]});
        assert_eq!(
            web(fails),
            "web is ready; it has run for 100s.\nweb fails its liveness probe since 2s: exit code 1; next try in 1s."
        );
        let restarted = json!({"state": "running", "ready": true, "startedAt": "1970-01-01T00:01:30Z", "restarts": 3,
            "lastState": {"reason": "ProbeFailed", "message": "killed by SIGTERM", "finishedAt": "1970-01-01T00:01:30Z"}});
        assert_eq!(
            web(restarted),
            "web is ready; it has run for 10s.\nweb was restarted 3 times; the last run ended 10s ago: ProbeFailed, killed by SIGTERM."
        );
        let down = json!({"state": "backoff", "reason": "CrashLoopBackOff", "restarts": 1,
            "lastState": {"reason": "ProbeFailed", "message": "killed by SIGTERM", "finishedAt": "1970-01-01T00:01:30Z"}});
        assert!(web(down).starts_with("web keeps ending: ProbeFailed, killed by SIGTERM, 10s ago; restarted once."));
    }

    #[test]
    fn of_a_schedule_it_is_told_how_its_last_run_went() {
        let job = |message: &str, reason: &str, last: &str| {
            let status = json!({"state": "pending", "reason": "Scheduled", "message": message,
                "lastState": {"reason": reason, "message": last}});
            told(json!([{"metadata": {"name": "job"}, "status": status}]))
        };
        let rows = [
            (["exit code 0", "Completed", "exit code 0"], "job runs at times; its last run ended with success."),
            (["exit code 1", "Error", "exit code 1"], "job runs at times; its last run failed: exit code 1."),
            (
                ["no such program", "Completed", "exit code 0"],
                "job runs at times; its last run failed: no such program.",
            ),
            (
                ["killed by SIGTERM", "Stopped", "killed by SIGTERM"],
                "job runs at times; its last run ended: killed by SIGTERM.",
            ),
            (["", "", ""], "job runs at times."),
        ];
        for ([message, reason, last], expected) in rows {
            assert_eq!(job(message, reason, last), expected);
        }
    }

    #[test]
    fn a_command_is_told_as_a_shell_takes_it() {
        let process = |state: &str, reason: &str| {
            told(json!([{"metadata": {"name": "my web"}, "status": {"state": state, "reason": reason}}]))
        };
        let rows = [
            ("stopped", "Stopped", "`ncolony ctl start 'my web'`"),
            ("failed", "Error", "`ncolony ctl restart 'my web'`"),
            ("backoff", "CrashLoopBackOff", "`ncolony ctl logs 'my web'`"),
        ];
        for (state, reason, expected) in rows {
            let said = process(state, reason);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_circle_ends() {
        let one = |name: &str, on: &str| {
            let message = format!("waiting for {on} to be Ready");
            json!({"metadata": {"name": name}, "status": {"state": "pending", "reason": "DependencyNotReady", "message": message,
            "waitsFor": [{"name": on, "message": message}]}})
        };
        assert_eq!(
            told(json!([one("a", "b"), one("b", "a")])),
            "a is waiting for b to be Ready.\nb is waiting for a to be Ready."
        );
    }
}
