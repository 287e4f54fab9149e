//! `ncolony ctl describe`

use serde_json::Value;

use super::error::Trouble;
use super::get::{command, or_none};
use super::monitor::Monitor;
use super::object::{self, ago, list, number, text, until};
use super::out::Out;
use super::paint::{Line, Piece, Tint};
use super::table::{Row, Table, with_head};
use super::whom::{Detail, Whom};
use super::{events, path};
use crate::cli::DescribeArgs;

/// Describes each.
pub(super) fn describe(monitor: Monitor<'_>, args: &DescribeArgs, out: &mut Out) -> Result<(), Trouble> {
    let mut whom = Whom::of(&args.whom)?;
    let (processes, shown) = whom.now(monitor, Detail::Full)?;
    let (found, _) = whom.among(&processes);
    if found.is_empty() {
        whom.tell_of_none(&processes);
    }
    let all = monitor.get("/v1/events")?;
    for (index, process) in found.into_iter().enumerate() {
        if index > 0 {
            out.text("\n\n")?;
        }
        let of_it = |event: &&Value| text(event, "/process") == object::name(process);
        let own: Vec<&Value> = list(&all, "/items").iter().filter(of_it).collect();
        out.lines(&described(process, &own, object::now()))?;
    }
    shown.outcome()
}

/// All that there is to say of one.
fn described(process: &Value, events: &[&Value], now: f64) -> Vec<Line> {
    let mut lines = pairs("", about(process));
    state(process, now, &mut lines);
    last_state(process, now, &mut lines);
    lines.extend(pairs("", more(process, now)));
    lines.push(Piece::of("Conditions:", Tint::Heading).into());
    let row = |one: &Value| ["/type", "/status", "/message"].map(|place| Piece::from(text(one, place))).to_vec();
    let rows = list(process, "/status/conditions").iter().map(row).collect();
    below(&mut lines, with_head(&["Type", "Status", "Message"], rows));
    if events.is_empty() {
        lines.push("Events:  <none>".into());
    } else {
        lines.push(Piece::of("Events:", Tint::Heading).into());
        let rule: Row = ["----", "------", "----", "-------"].map(Piece::from).to_vec();
        let rows = std::iter::once(rule).chain(events.iter().map(|event| events::described(event, now))).collect();
        below(&mut lines, with_head(&["Type", "Reason", "Age", "Message"], rows));
    }
    lines
}

type Pair = (&'static str, Piece);

fn about(process: &Value) -> Vec<Pair> {
    let words = |place: &str| list(process, place).iter().map(path::plain).collect::<Vec<_>>().join(", ");
    let replica =
        match (object::set(process), number(process, "/spec/replica/index"), number(process, "/spec/replica/of")) {
            (set, Some(index), Some(of)) => format!("{index} of {of}, of {set}"),
            (_, None, _) | (_, _, None) => String::new(),
        };
    let depends = list(process, "/spec/dependsOn").iter();
    let depends: Vec<String> =
        depends.map(|on| format!("{} ({})", text(on, "/name"), text(on, "/condition"))).collect();
    let generations = (number(process, "/metadata/generation"), number(process, "/status/observedGeneration"));
    let generation = match generations {
        (Some(last), Some(seen)) if last != seen => format!("{last} ({seen} is in force)"),
        (last, _) => last.map(|last| last.to_string()).unwrap_or_default(),
    };
    vec![
        ("Name:", object::name(process).into()),
        ("File:", text(process, "/metadata/file").into()),
        ("File Error:", Piece::of(text(process, "/status/fileError"), Tint::Trouble)),
        ("Generation:", generation.into()),
        ("Groups:", or_none(Some(words("/metadata/groups"))).into()),
        ("Replica:", replica.into()),
        ("Command:", command(process).into()),
        ("User:", text(process, "/status/user").into()),
        ("Restart Policy:", text(process, "/spec/restartPolicy").into()),
        ("Depends On:", depends.join(", ").into()),
        ("Schedule:", process.pointer("/spec/schedule").map(schedule).unwrap_or_default().into()),
        ("Output:", text(process, "/spec/output").into()),
    ]
}

fn schedule(schedule: &Value) -> String {
    match number(schedule, "/every") {
        Some(seconds) => format!("every {seconds} s"),
        None => path::plain(schedule),
    }
}

/// What it is doing, as `kubectl describe` has a container's state.
fn state(process: &Value, now: f64, lines: &mut Vec<Line>) {
    let phase = text(process, "/status/phase");
    let reason = text(process, "/status/reason");
    // What is wrong with a schedule is how its last run ended.
    let tint = if reason == "Scheduled" { Tint::Plain } else { object::tint(process) };
    lines.push(format!("{:<18}{phase}", "State:").into());
    let mut said = vec![
        ("Reason:", Piece::of(reason, tint)),
        ("Message:", text(process, "/status/message").into()),
        ("Says:", text(process, "/status/says").into()),
    ];
    if let Some(pid) = number(process, "/status/pid") {
        said.push(("PID:", pid.to_string().into()));
    }
    if phase != "Waiting" {
        said.push(("Started:", when(process, "/status/startedAt", now).into()));
    }
    said.push(("Stopping:", when(process, "/status/ending/beganAt", now).into()));
    for (key, place) in [("SIGKILL:", "/status/ending/killAt"), ("Next Start:", "/status/nextStartAt")] {
        let at = until(process, place, now).map(|span| format!("in {span}"));
        said.push((key, at.unwrap_or_default().into()));
    }
    lines.extend(pairs("  ", said));
}

fn last_state(process: &Value, now: f64, lines: &mut Vec<Line>) {
    let Some(end) = process.pointer("/status/lastState") else { return };
    let tint = if object::tint(process) == Tint::Trouble { Tint::Trouble } else { Tint::Plain };
    lines.push(format!("{:<18}Terminated", "Last State:").into());
    let lasted = number(end, "/lastedSeconds").map(|lasted| format!("{lasted:.3} s")).unwrap_or_default();
    let said = vec![
        ("Reason:", Piece::of(text(end, "/reason"), tint)),
        ("Message:", text(end, "/message").into()),
        ("Exit Code:", number(end, "/exitCode").map(|code| code.to_string()).unwrap_or_default().into()),
        ("Lasted:", lasted.into()),
        ("Finished:", when(end, "/finishedAt", now).into()),
    ];
    lines.extend(pairs("  ", said));
}

/// A time, and how long ago that was.
fn when(object: &Value, place: &str, now: f64) -> String {
    ago(object, place, now).map(|ago| format!("{} ({ago} ago)", text(object, place))).unwrap_or_default()
}

fn more(process: &Value, now: f64) -> Vec<Pair> {
    let status = |place: &str| number(process, place).map(|number| number.to_string()).unwrap_or_default();
    let ready = match object::holds(process, "/status/ready") {
        true => Piece::from("True"),
        false => Piece::of("False", object::tint(process)),
    };
    let some = |text: String| if text == "0" { String::new() } else { text };
    let mut said = vec![
        ("Ready:", ready),
        ("Restart Count:", status("/status/restarts").into()),
        ("Start Failures:", some(status("/status/startFailures")).into()),
        ("Kills:", some(status("/status/kills")).into()),
        ("Heartbeat:", heartbeat(process, now).into()),
        ("Last Schedule:", when(process, "/status/schedule/lastScheduledAt", now).into()),
        ("Last Success:", when(process, "/status/schedule/lastSuccessAt", now).into()),
    ];
    for (kind, key) in
        [("Startup", "Startup:"), ("Liveness", "Liveness:"), ("Readiness", "Readiness:"), ("HttpCheck", "HTTP Check:")]
    {
        let of_kind = |probe: &&Value| text(probe, "/type") == kind;
        let asked = list(process, "/spec/probes").iter().find(of_kind);
        let shown = list(process, "/status/probes").iter().find(of_kind);
        said.push((key, asked.map(|asked| probe(asked, shown, now)).unwrap_or_default().into()));
    }
    said
}

fn heartbeat(process: &Value, now: f64) -> String {
    let Some(limit) = number(process, "/status/heartbeat/timeoutSeconds") else { return String::new() };
    match ago(process, "/status/heartbeat/lastBeatAt", now) {
        Some(ago) => format!("{ago} ago, limit {limit} s"),
        None => format!("none yet, limit {limit} s"),
    }
}

/// As `kubectl describe` writes a probe, and how it went.
fn probe(asked: &Value, shown: Option<&Value>, now: f64) -> String {
    let number = |place| number(asked, place).unwrap_or_default();
    let mut line = format!(
        "{} delay={}s timeout={}s period={}s #success={} #failure={}",
        text(asked, "/handler"),
        number("/initialDelaySeconds"),
        number("/timeoutSeconds"),
        number("/periodSeconds"),
        number("/successThreshold"),
        number("/failureThreshold"),
    );
    let Some(shown) = shown else { return line };
    match (ago(shown, "/failingSince", now), text(shown, "/error")) {
        (_, error) if !error.is_empty() => line.push_str(&format!("; cannot be made: {error}")),
        (Some(since), _) => line.push_str(&format!("; fails since {since}: {}", text(shown, "/message"))),
        (None, _) if text(shown, "/result") == "Success" => line.push_str("; succeeds"),
        (None, _) => {}
    }
    line
}

/// Keys and what is said of them; nothing where there is nothing to say.
fn pairs(margin: &str, said: Vec<Pair>) -> Vec<Line> {
    let width = 18 - margin.len();
    let some = said.into_iter().filter(|(_, value)| !value.text.is_empty());
    some.map(|(key, value)| Line::from(value).behind(format!("{margin}{key:<width$}"))).collect()
}

fn below(lines: &mut Vec<Line>, rows: Vec<Row>) {
    lines.extend(Table::default().lines(&rows).into_iter().map(|line| line.behind("  ")));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::described;

    #[test]
    fn a_process_is_described_as_kubectl_would() {
        let process = json!({
            "metadata": {"name": "db", "file": "db.yaml", "generation": 2, "groups": ["back", "slow"]},
            "spec": {"command": ["postgres", "-D", "/data"], "restartPolicy": "Always",
                "dependsOn": [{"name": "disk", "condition": "Completed"}],
                "probes": [{"type": "Startup", "handler": "tcp-socket 127.0.0.1:5432", "initialDelaySeconds": 0, "periodSeconds": 10,
                    "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}]},
            "status": {"observedGeneration": 1, "phase": "Running", "message": "its startup probe has not succeeded yet",
                "says": "recovering", "ready": false, "pid": 42, "startedAt": "1970-01-01T00:00:10Z", "restarts": 1,
                "startFailures": 0, "kills": 1, "user": "0",
                "lastState": {"reason": "Error", "message": "exit code 3", "exitCode": 3, "lastedSeconds": 1.5, "finishedAt": "1970-01-01T00:00:09Z"},
                "heartbeat": {"timeoutSeconds": 10},
                "conditions": [{"type": "Ready", "status": "False", "message": "no"}, {"type": "Started", "status": "True"}],
                "probes": [{"type": "Startup", "result": "Unknown", "message": "connection refused", "failingSince": "1970-01-01T00:00:12Z"}]},
        });
        let event = json!({"process": "db", "type": "Warning", "reason": "Unhealthy", "message": "Startup probe failed", "count": 3,
            "firstAt": "1970-01-01T00:00:12Z", "lastAt": "1970-01-01T00:01:00Z"});
        let expected = "\
Name:             db
File:             db.yaml
Generation:       2 (1 is in force)
Groups:           back, slow
Command:          postgres -D /data
User:             0
Restart Policy:   Always
Depends On:       disk (Completed)
State:            Running
  Message:        its startup probe has not succeeded yet
  Says:           recovering
  PID:            42
  Started:        1970-01-01T00:00:10Z (60s ago)
Last State:       Terminated
  Reason:         Error
  Message:        exit code 3
  Exit Code:      3
  Lasted:         1.500 s
  Finished:       1970-01-01T00:00:09Z (61s ago)
Ready:            False
Restart Count:    1
Kills:            1
Heartbeat:        none yet, limit 10 s
Startup:          tcp-socket 127.0.0.1:5432 delay=0s timeout=1s period=10s #success=1 #failure=3; fails since 58s: connection refused
Conditions:
  Type      Status   Message
  Ready     False    no
  Started   True
Events:
  Type      Reason      Age                 Message
  ----      ------      ----                -------
  Warning   Unhealthy   10s (x3 over 58s)   Startup probe failed";
        let lines = described(&process, &[&event], 70.0);
        assert_eq!(lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), expected);
    }
}
