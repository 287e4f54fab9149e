//! What the page shows, in words: made once, here, for the first load (HTML) and for the polls (`/colony.json`).
//!
//! The texts are for people and may change; programs read `/metrics`.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::verdict::{self, Outcome};
use crate::model::{FileError, Phase, ProcessEvent, ProcessView, Snapshot, Span, State, Wall};

/// The most reasons that are listed; `/healthz` has them all.
const MOST_REASONS: usize = 6;

/// The colony, for the page.
#[derive(Serialize)]
pub(super) struct Colony<'a> {
    pub(super) ready: bool,
    /// `Ready`, `Not ready`, `Starting`, `Shutting down`
    pub(super) verdict: &'static str,
    /// Why it is not ready, a line each.
    pub(super) why: Vec<String>,
    /// `5 processes: 3 running, 2 backoff`
    pub(super) summary: String,
    /// `up 3d`, and what else the monitor says of itself.
    pub(super) monitor: String,
    /// Files that are refused.
    pub(super) refused: Vec<Refused<'a>>,
    pub(super) processes: Vec<Row<'a>>,
    /// The newest first.
    pub(super) events: Vec<EventRow<'a>>,
}

#[derive(Serialize)]
pub(super) struct Refused<'a> {
    pub(super) file: &'a str,
    pub(super) why: &'a str,
}

/// A process; `""` where there is nothing to say.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// A value of the label `state`.
    pub(super) state: &'static str,
    /// The reason and the message.
    pub(super) why: String,
    pub(super) restarts: String,
    pub(super) age: String,
    pub(super) last_exit: String,
    pub(super) next_start: String,
    pub(super) heartbeat: String,
    /// How often what is desired of it has changed, and which of these it is governed by.
    pub(super) generation: u64,
    pub(super) observed_generation: u64,
}

/// What happened, as kubectl shows it.
#[derive(Serialize)]
pub(super) struct EventRow<'a> {
    pub(super) process: &'a str,
    /// `Normal`, `Warning`
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: &'a str,
    pub(super) count: u32,
    /// How long ago, as `2m`, or `2m (x5 over 10m)`.
    pub(super) seen: String,
}

impl<'a> Colony<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, events: &'a [ProcessEvent], fresh: Duration) -> Colony<'a> {
        let why = reasons(snapshot, fresh);
        let ready = why.is_empty();
        let verdict = match (snapshot.phase, ready) {
            (Phase::Starting, _) => "Starting",
            (Phase::ShuttingDown, _) => "Shutting down",
            (Phase::Running, true) => "Ready",
            (Phase::Running, false) => "Not ready",
        };
        let now = snapshot.taken.wall;
        Colony {
            ready,
            verdict,
            why,
            summary: summary(snapshot),
            monitor: monitor(snapshot),
            refused: snapshot.config.errors.iter().map(refused).collect(),
            processes: snapshot.processes.iter().map(|view| row(view, now)).collect(),
            events: events.iter().rev().map(|event| event_row(event, now)).collect(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and booleans, and keys that are strings")
    }
}

fn refused(error: &FileError) -> Refused<'_> {
    Refused { file: &error.file, why: &error.summary }
}

fn event_row(ProcessEvent { process, event }: &ProcessEvent, now: Wall) -> EventRow<'_> {
    let last = Span(since(now, event.last));
    EventRow {
        process: process.as_str(),
        kind: event.reason.kind().as_str(),
        reason: event.reason.as_str(),
        message: &event.message,
        count: event.count,
        seen: match event.count {
            0 | 1 => last.to_string(),
            count => format!("{last} (x{count} over {})", Span(since(now, event.first))),
        },
    }
}

fn reasons(snapshot: &Snapshot, fresh: Duration) -> Vec<String> {
    let mut reasons: Vec<String> = verdict::ready(snapshot, fresh)
        .into_iter()
        .filter_map(|finding| match finding.outcome {
            Outcome::Good | Outcome::Noted(_) => None,
            Outcome::Bad(why) => Some(format!("{}: {why}", finding.name)),
        })
        .collect();
    if reasons.len() > MOST_REASONS {
        let more = reasons.len() - MOST_REASONS + 1;
        reasons.truncate(MOST_REASONS - 1);
        reasons.push(format!("and {more} more"));
    }
    reasons
}

fn summary(snapshot: &Snapshot) -> String {
    let views = &snapshot.processes;
    let mut text = match views.len() {
        0 => return format!("no processes; their files belong in {}", snapshot.config.dir),
        1 => "1 process".to_string(),
        processes => format!("{processes} processes"),
    };
    let counts = State::ALL.map(|state| (state, views.iter().filter(|view| view.state == state).count()));
    for (index, (state, count)) in counts.into_iter().filter(|(_, count)| *count > 0).enumerate() {
        let separator = if index == 0 { ": " } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}{count} {}", state.as_str());
    }
    text
}

fn monitor(snapshot: &Snapshot) -> String {
    let mut text = format!("up {}", Span(since(snapshot.taken.wall, snapshot.started)));
    if !snapshot.watch.active {
        text.push_str(", without inotify: changes are seen at the next tick");
    }
    match snapshot.strays {
        0 => {}
        1 => text.push_str(", 1 stray process"),
        strays => {
            let _ = write!(text, ", {strays} stray processes");
        }
    }
    text
}

fn row(view: &ProcessView, now: Wall) -> Row<'_> {
    Row {
        name: view.name.as_str(),
        state: view.state.as_str(),
        why: why(view),
        restarts: restarts(view, now),
        age: view.uptime.map(|seconds| Span(seconds).to_string()).unwrap_or_default(),
        last_exit: view
            .last_end
            .as_ref()
            .map(|end| format!("{}, {} ago", end.exit, Span(since(now, end.at))))
            .unwrap_or_default(),
        next_start: view.next_start.map(|at| next_start(at, now)).unwrap_or_default(),
        heartbeat: heartbeat(view, now),
        generation: view.generation,
        observed_generation: view.observed_generation,
    }
}

/// What `verdict::why` says, less what the state says already.
fn why(view: &ProcessView) -> String {
    let told =
        view.message.is_empty() && (view.reason.is_empty() || view.reason.eq_ignore_ascii_case(view.state.as_str()));
    let mut text = match (told, view.status.as_str()) {
        (false, _) => verdict::why(view),
        (true, "") => String::new(),
        (true, _) => verdict::says(view),
    };
    if view.observed_generation != view.generation {
        let separator = if text.is_empty() { "" } else { "; " };
        let (last, seen) = (view.generation, view.observed_generation);
        let _ = write!(text, "{separator}edited: generation {last} is to come, {seen} is in force");
    }
    if let Some(error) = &view.file_error {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}{}", verdict::refused(&view.file, error));
    }
    text
}

/// As kubectl prints it: `3 (2m ago)`.
fn restarts(view: &ProcessView, now: Wall) -> String {
    match (&view.last_end, view.restarts) {
        (Some(end), restarts @ 1..) => format!("{restarts} ({} ago)", Span(since(now, end.at))),
        (None, _) | (Some(_), 0) => view.restarts.to_string(),
    }
}

fn next_start(at: Wall, now: Wall) -> String {
    let wait = since(at, now);
    if wait > 0.0 { format!("in {}", Span(wait.ceil())) } else { "now".to_string() }
}

fn heartbeat(view: &ProcessView, now: Wall) -> String {
    match &view.heartbeat {
        None => String::new(),
        Some(beat) => match beat.last {
            None => format!("none yet, limit {}", Span(beat.timeout)),
            Some(last) => format!("{} ago, limit {}", Span(since(now, last)), Span(beat.timeout)),
        },
    }
}

/// Seconds from `earlier` to `later`.
fn since(later: Wall, earlier: Wall) -> f64 {
    later.as_secs_f64() - earlier.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Colony;
    use crate::model::{EndView, Exit, ExitReason, HeartbeatView, Phase, ProcessView, Reason, State};
    use crate::sample::{ago, ahead, colony, event, process};

    const FRESH: Duration = Duration::from_secs(30);

    #[test]
    fn a_row_says_what_kubectl_would() {
        let mut view = process("web");
        view.restarts = 3;
        view.uptime = Some(119.0);
        view.last_end = Some(EndView { exit: Exit::Code(1), reason: ExitReason::Error, at: ago(120), lasted: 1.0 });
        view.heartbeat = Some(HeartbeatView { last: Some(ago(4)), timeout: 30.0, misses: 0 });
        view.next_start = Some(ahead(8));
        let snapshot = colony(vec![view, process("quiet")]);
        let shown = Colony::of(&snapshot, &[], FRESH);
        let [web, quiet] = shown.processes.as_slice() else { panic!("two rows") };
        assert_eq!((web.restarts.as_str(), web.age.as_str()), ("3 (2m ago)", "119s"));
        assert_eq!((web.last_exit.as_str(), web.next_start.as_str()), ("exit code 1, 2m ago", "in 8s"));
        assert_eq!(web.heartbeat, "4s ago, limit 30s");
        assert_eq!((quiet.restarts.as_str(), quiet.last_exit.as_str(), quiet.why.as_str()), ("0", "", ""));
    }

    #[test]
    fn the_verdict_names_the_phase_and_the_reasons() {
        let failed = |n: usize| ProcessView { ready: false, state: State::Failed, ..process(&format!("p{n}")) };
        let mut snapshot = colony((0..9).map(failed).collect());
        let shown = Colony::of(&snapshot, &[], FRESH);
        assert_eq!((shown.ready, shown.verdict, shown.why.len()), (false, "Not ready", 6));
        assert_eq!((shown.why[0].as_str(), shown.why[5].as_str()), ("p0: failed", "and 4 more"));
        assert_eq!(shown.summary, "9 processes: 9 failed");
        snapshot.phase = Phase::ShuttingDown;
        assert_eq!(Colony::of(&snapshot, &[], FRESH).verdict, "Shutting down");
        snapshot.phase = Phase::Running;
        snapshot.processes.clear();
        let shown = Colony::of(&snapshot, &[], FRESH);
        assert_eq!(
            (shown.ready, shown.verdict, shown.summary.as_str()),
            (true, "Ready", "no processes; their files belong in /etc/ncolony/processes")
        );
    }

    #[test]
    fn an_edit_that_is_not_in_force_yet_is_told() {
        let view = ProcessView { generation: 3, observed_generation: 2, ..process("web") };
        let snapshot = colony(vec![view]);
        let shown = Colony::of(&snapshot, &[], FRESH);
        assert_eq!(shown.processes[0].why, "edited: generation 3 is to come, 2 is in force");
    }

    #[test]
    fn events_are_shown_as_kubectl_does_and_the_newest_first() {
        let events = [event("web", Reason::Started, "it is new", 1), event("db", Reason::Exited, "exit code 1", 3)];
        let snapshot = colony(Vec::new());
        let shown = Colony::of(&snapshot, &events, FRESH);
        let [db, web] = shown.events.as_slice() else { panic!("two events") };
        assert_eq!((db.process, db.kind, db.reason, db.seen.as_str()), ("db", "Warning", "Exited", "2m (x3 over 10m)"));
        assert_eq!((web.process, web.kind, web.message, web.seen.as_str()), ("web", "Normal", "it is new", "2m"));
    }

    #[test]
    fn what_a_process_says_itself_is_shown_beside_the_rest() {
        let view = ProcessView { status: "3 clients".to_string(), ..process("web") };
        let edited = ProcessView { generation: 3, observed_generation: 2, ..view.clone() };
        let snapshot = colony(vec![view, edited]);
        let whys = Colony::of(&snapshot, &[], FRESH).processes.into_iter().map(|row| row.why);
        let expected = ["it says: 3 clients", "it says: 3 clients; edited: generation 3 is to come, 2 is in force"];
        assert_eq!(whys.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_json_is_what_the_page_reads() {
        let snapshot = colony(vec![process("a \"b\"")]);
        let expected = concat!(
            r#"{"ready":true,"verdict":"Ready","why":[],"summary":"1 process: 1 running","monitor":"up 10m","#,
            r#""refused":[],"processes":[{"name":"a \"b\"","state":"running","why":"","restarts":"0","age":"5m","#,
            r#""last_exit":"","next_start":"","heartbeat":"","generation":1,"observed_generation":1}],"#,
            r#""events":[{"process":"web","type":"Warning","reason":"BackOff","message":"a \"b\"","count":5,"#,
            r#""seen":"2m (x5 over 10m)"}]}"#
        );
        let events = [event("web", Reason::BackOff, "a \"b\"", 5)];
        assert_eq!(Colony::of(&snapshot, &events, FRESH).to_json(), expected);
    }
}
