//! A process, an event and the monitor itself as JSON. What stands where is said in [the module above](super).

use super::json::Json;
use crate::model::{
    Condition, EndView, Exit, ExitReason, Format, Name, Phase, ProbeHandler, ProbeVerdict, ProbeView, ProcessEvent,
    ProcessSpec, ProcessView, Restart, Rhythm, Snapshot, State, WaitView,
};
use crate::verdict;

/// What each object says of its form.
const VERSION: &str = "ncolony/v1";

/// The monitor itself.
pub(super) fn monitor(snapshot: &Snapshot) -> String {
    let mut json = Json::default();
    head(&mut json, "Version").text("version", env!("CARGO_PKG_VERSION")).number("pid", std::process::id().into());
    json.text("phase", phase_of(snapshot.phase)).time("startedAt", Some(snapshot.started));
    json.time("takenAt", Some(snapshot.taken.wall)).open("config", '{').text("directory", &snapshot.config.dir);
    json.number("generation", snapshot.config.generation).time("loadedAt", snapshot.config.loaded);
    json.some_text("error", snapshot.config.dir_error.as_deref().unwrap_or_default()).open("refused", '[');
    for refused in &snapshot.config.errors {
        json.open("", '{').text("file", &refused.file).text("message", &refused.summary).close('}');
    }
    json.close(']').open("empty", '[');
    for name in &snapshot.config.empty {
        json.text("", name.as_str());
    }
    json.close(']');
    if let Some(uids) = &snapshot.config.trusted_uids {
        json.open("trustedUids", '[');
        for uid in uids {
            json.number("", (*uid).into());
        }
        json.close(']');
    }
    json.close('}').close('}');
    json.into_text()
}

fn phase_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "Starting",
        Phase::Running => "Running",
        Phase::ShuttingDown => "ShuttingDown",
    }
}

fn head<'a>(json: &'a mut Json, kind: &str) -> &'a mut Json {
    json.open("", '{').text("kind", kind).text("apiVersion", VERSION)
}

/// The beginning of a list, up to its first item.
pub(super) fn list_head(snapshot: Option<&Snapshot>) -> String {
    let mut json = Json::default();
    head(&mut json, "List");
    if let Some(snapshot) = snapshot {
        json.time("takenAt", Some(snapshot.taken.wall)).time("sampledAt", snapshot.sampled);
    }
    json.open("items", '[');
    json.into_text()
}

/// Why a message would be refused; empty: it would not.
pub(super) fn verdict(why: &str) -> String {
    let mut json = Json::default();
    head(&mut json, "Verdict").some_text("message", why).close('}');
    json.into_text()
}

/// Why there is no other answer.
pub(super) fn refusal(code: u16, reason: &str, message: &str) -> String {
    let mut json = Json::default();
    head(&mut json, "Status").text("status", "Failure").text("reason", reason).text("message", message);
    json.number("code", code.into()).close('}');
    json.into_text()
}

/// What a table shows of a process: of thousands, all would be too much to say.
pub(super) fn brief(view: &ProcessView) -> String {
    let mut json = Json::default();
    head(&mut json, "Process");
    metadata(&mut json, view);
    if let Some(replica) = view.spec.as_ref().and_then(|spec| spec.replica.as_ref()) {
        json.open("spec", '{').open("replica", '{').text("set", replica.set.as_str()).close('}').close('}');
    }
    json.open("status", '{').text("phase", phase(view.state)).some_text("reason", view.reason);
    json.flag("ready", view.ready);
    starts(&mut json, view);
    if let Some(end) = view.last_end.as_ref().filter(|_| view.scheduled) {
        json.open("lastState", '{').text("reason", end_word(end)).close('}');
    }
    json.close('}').close('}');
    json.into_text()
}

fn metadata(json: &mut Json, view: &ProcessView) {
    json.open("metadata", '{').text("name", view.name.as_str());
    json.number("generation", view.generation).some_text("file", &view.file).open("groups", '[');
    view.spec.iter().flat_map(|spec| &spec.groups).for_each(|group| {
        json.text("", group);
    });
    json.close(']').close('}');
}

fn starts(json: &mut Json, view: &ProcessView) {
    json.time("startedAt", view.started).number("starts", view.starts).number("restarts", view.restarts);
    json.time("lastRestartAt", view.started.filter(|_| view.restarts > 0 && !view.scheduled));
}

/// A process, without what changes all the time. So whether it has changed can be told from the text.
pub(super) fn steady(view: &ProcessView) -> String {
    let mut json = Json::default();
    begin(&mut json, view);
    json.into_text()
}

/// A process.
pub(super) fn process(view: &ProcessView) -> String {
    let mut json = Json::default();
    begin(&mut json, view);
    // By two clocks, and so never twice the same.
    json.time("nextStartAt", view.next_start);
    if let Some(ending) = view.ending {
        json.open("ending", '{').time("beganAt", Some(ending.began)).time("killAt", ending.kill).close('}');
    }
    if view.scheduled {
        json.open("schedule", '{').time("lastScheduledAt", view.last_scheduled);
        json.time("lastSuccessAt", view.last_success).number("missed", view.missed).close('}');
    }
    if let Some(heartbeat) = &view.heartbeat {
        json.open("heartbeat", '{').time("lastBeatAt", heartbeat.last).seconds("timeoutSeconds", heartbeat.timeout);
        json.number("misses", heartbeat.misses).close('}');
    }
    if !view.probes.is_empty() {
        json.open("probes", '[');
        view.probes.iter().for_each(|probe| self::probe(&mut json, probe));
        json.close(']');
    }
    json.open("output", '{').number("bytes", view.log_bytes.iter().sum());
    json.number("droppedBytes", view.log_dropped.iter().sum()).close('}');
    usage(&mut json, view);
    json.close('}').close('}');
    json.into_text()
}

/// All but the end of its `status`.
fn begin(json: &mut Json, view: &ProcessView) {
    head(json, "Process");
    metadata(json, view);
    if let Some(spec) = &view.spec {
        self::spec(json, spec);
    }
    json.open("status", '{').number("observedGeneration", view.observed_generation);
    json.text("phase", phase(view.state)).text("state", view.state.as_str()).some_text("reason", view.reason);
    json.some_text("message", &view.message).some_text("says", &view.status);
    if !view.waits_for.is_empty() {
        json.open("waitsFor", '[');
        for WaitView { on, message } in &view.waits_for {
            json.open("", '{').text("name", on.as_str()).text("message", message).close('}');
        }
        json.close(']');
    }
    json.flag("ready", view.ready).flag("started", view.has_started).flag("desired", view.desired);
    if let Some(pid) = view.pid {
        json.bare("pid", format_args!("{pid}"));
    }
    starts(json, view);
    json.number("startFailures", view.start_failures).number("kills", view.kills);
    json.text("user", &view.user.as_ref().map(ToString::to_string).unwrap_or_default());
    view.last_end.iter().for_each(|end| last_state(json, end));
    json.some_text("fileError", view.file_error.as_deref().unwrap_or_default());
    conditions(json, view);
}

/// What is asked of it.
fn spec(json: &mut Json, spec: &ProcessSpec) {
    json.open("spec", '{').open("command", '[');
    spec.birth.argv.iter().for_each(|word| {
        json.text("", word);
    });
    json.close(']').text("restartPolicy", restart_policy(spec.restart)).flag("suspend", spec.suspend);
    json.flag("readinessGate", spec.readiness_gate).flag("essential", spec.essential);
    json.open("backoff", '{').seconds("thresholdSeconds", spec.backoff.threshold.as_secs_f64()).close('}');
    json.seconds("terminationGracePeriodSeconds", spec.stop.grace.as_secs_f64()).open("dependsOn", '[');
    for on in spec.depends_on.iter() {
        json.open("", '{').text("name", on.name.as_str()).text("condition", condition_word(on.condition)).close('}');
    }
    json.close(']');
    if let Some(replica) = &spec.replica {
        json.open("replica", '{').text("set", replica.set.as_str()).number("index", replica.index.into());
        json.number("of", replica.of.into()).close('}');
    }
    match spec.schedule.as_ref().map(|schedule| &schedule.rhythm) {
        Some(Rhythm::Every(every)) => {
            json.open("schedule", '{').seconds("every", every.as_secs_f64()).close('}');
        }
        Some(Rhythm::Calendar(calendar)) => {
            json.text("schedule", calendar.id());
        }
        None => {}
    }
    if let Some(output) = &spec.birth.output {
        json.text("output", format_word(output.format));
    }
    json.open("probes", '[');
    for probe in &spec.probes {
        json.open("", '{').text("type", probe.kind.label()).text("handler", &handler(&probe.handler));
        json.seconds("initialDelaySeconds", probe.initial_delay.as_secs_f64());
        json.seconds("periodSeconds", probe.period.as_secs_f64());
        json.seconds("timeoutSeconds", probe.timeout.as_secs_f64());
        json.number("successThreshold", probe.success_threshold.into());
        json.number("failureThreshold", probe.failure_threshold.into()).close('}');
    }
    json.close(']').close('}');
}

fn restart_policy(restart: Restart) -> &'static str {
    match restart {
        Restart::Always => "Always",
        Restart::OnFailure => "OnFailure",
        Restart::Never => "Never",
    }
}

fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "Started",
        Condition::Ready => "Ready",
        Condition::Completed => "Completed",
    }
}

fn format_word(format: Format) -> &'static str {
    match format {
        Format::Prefix => "prefix",
        Format::Json => "json",
        Format::Inherit => "inherit",
    }
}

/// As `kubectl describe` writes it.
fn handler(handler: &ProbeHandler) -> String {
    match handler {
        ProbeHandler::Exec(words) => format!("exec [{}]", words.join(" ")),
        ProbeHandler::HttpGet(get) | ProbeHandler::AnyAnswer(get) => {
            format!("http-get http://{}:{}{}", get.host, get.port, get.path)
        }
        ProbeHandler::TcpSocket { host, port } => format!("tcp-socket {host}:{port}"),
        ProbeHandler::Grpc { port, service } => format!("grpc :{port} {service}").trim_end().to_string(),
        ProbeHandler::Heartbeat(file) => format!("heartbeat {}", file.display()),
        ProbeHandler::Notify => "notify".to_string(),
    }
}

/// The kubelet's word for what it is doing.
fn phase(state: State) -> &'static str {
    match state {
        State::Pending | State::Backoff | State::Stopped => "Waiting",
        State::Starting | State::Running => "Running",
        State::Stopping => "Terminating",
        State::Completed | State::Failed => "Terminated",
    }
}

fn last_state(json: &mut Json, end: &EndView) {
    json.open("lastState", '{').text("reason", end_word(end)).text("message", &end.exit.to_string());
    match end.exit {
        Exit::Code(_) | Exit::Unknown => json.bare("exitCode", format_args!("{}", end.exit.shell_code())),
        Exit::Killed { signal, .. } => json
            .bare("exitCode", format_args!("{}", end.exit.shell_code()))
            .bare("signal", format_args!("{}", signal.as_raw())),
    };
    json.time("finishedAt", Some(end.at)).seconds("lastedSeconds", end.lasted).close('}');
}

/// The kubelet's word, where it has one.
fn end_word(end: &EndView) -> &'static str {
    match end.reason {
        ExitReason::Completed => "Completed",
        ExitReason::Error | ExitReason::Signal => "Error",
        ExitReason::Heartbeat => "HeartbeatLost",
        ExitReason::Oom => "OOMKilled",
        ExitReason::Probe => "ProbeFailed",
        ExitReason::Deadline => "DeadlineExceeded",
        ExitReason::Requested => "Stopped",
    }
}

fn conditions(json: &mut Json, view: &ProcessView) {
    let why = if view.ready { String::new() } else { verdict::why(view) };
    json.open("conditions", '[');
    condition(json, "Ready", view.ready, if view.ready { "" } else { view.reason }, &why);
    condition(json, "Started", view.has_started, "", "");
    let is_current = view.observed_generation == view.generation;
    let refused = view.file_error.as_deref().unwrap_or_default();
    let word = if refused.is_empty() { "" } else { "ConfigInvalid" };
    let old = match (refused.is_empty(), is_current) {
        (false, _) => "its file is refused, and the last good one governs it",
        (true, true) => "",
        (true, false) => "the run from before the last edit goes on",
    };
    condition(json, "Updated", old.is_empty(), word, old);
    condition(json, "ConfigValid", refused.is_empty(), word, refused);
    json.close(']');
}

fn condition(json: &mut Json, kind: &str, holds: bool, reason: &str, message: &str) {
    json.open("", '{').text("type", kind).text("status", if holds { "True" } else { "False" });
    json.some_text("reason", reason).some_text("message", message).close('}');
}

fn probe(json: &mut Json, probe: &ProbeView) {
    let verdict = match probe.verdict {
        ProbeVerdict::Unknown => "Unknown",
        ProbeVerdict::Success => "Success",
        ProbeVerdict::Failure => "Failure",
    };
    json.open("", '{').text("type", probe.kind.label()).text("result", verdict);
    // What failed before the last success is over.
    let is_well = probe.verdict == ProbeVerdict::Success && probe.failing_since.is_none();
    json.some_text("message", probe.why.as_deref().filter(|_| !is_well).unwrap_or_default());
    json.some_text("error", probe.unmade.as_deref().unwrap_or_default());
    json.time("failingSince", probe.failing_since).time("nextAt", probe.next);
    json.number("successful", probe.successful).number("failed", probe.failed).number("unknown", probe.unknown);
    json.close('}');
}

fn usage(json: &mut Json, view: &ProcessView) {
    let Some(usage) = &view.usage else { return };
    json.open("usage", '{').seconds("cpuSeconds", (usage.cpu.user + usage.cpu.system) as f64 / 1e6);
    if let Some(footprint) = &usage.footprint {
        json.number("residentBytes", footprint.resident).number("threads", footprint.threads);
        footprint.open_fds.iter().for_each(|fds| {
            json.number("openFds", *fds);
        });
    }
    json.close('}');
}

/// What is left to say of one that is gone.
pub(super) fn gone(name: &Name) -> String {
    let mut json = Json::default();
    head(&mut json, "Process").open("metadata", '{').text("name", name.as_str()).close('}').close('}');
    json.into_text()
}

/// Something that happened.
pub(super) fn event(ProcessEvent { process, event }: &ProcessEvent) -> String {
    let mut json = Json::default();
    head(&mut json, "Event").text("process", process.as_str()).text("type", event.reason.kind().as_str());
    json.text("reason", event.reason.as_str()).text("message", &event.message).number("count", event.count.into());
    json.time("firstAt", Some(event.first)).time("lastAt", Some(event.last)).close('}');
    json.into_text()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Value;

    use super::{brief, event, monitor, process, refusal, steady};
    use crate::model::{
        Backoff, CpuTime, Dependency, EndView, EndingView, Exit, ExitReason, FileError, Footprint, Format,
        HeartbeatView, Name, OnFull, Output, Probe, ProbeHandler, ProbeKind, ProbeVerdict, ProbeView, ProcessSpec,
        ProcessView, Reason, Replica, Schedule, Signal, State, Usage, WaitView,
    };
    use crate::sample::{ago, ahead, colony, event as happened, process as running};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn spec() -> ProcessSpec {
        let backoff = Backoff { threshold: Duration::ZERO, initial: Duration::ZERO, max: Duration::ZERO };
        let mut spec = ProcessSpec::unknown(backoff, Duration::from_secs(5));
        spec.birth.argv = vec!["web".to_string(), "--say=\"hi\"".to_string()];
        spec.birth.output = Some(Output { format: Format::Json, on_full: OnFull::Block });
        spec.depends_on = [Dependency { name: name("db"), condition: crate::model::Condition::Ready }].into();
        spec.groups = vec!["front".to_string()];
        spec.replica = Some(Replica { set: name("web"), index: 0, of: 3 });
        spec.schedule = Some(Schedule::every(Duration::from_secs(60)));
        spec.probes = vec![Probe {
            kind: ProbeKind::Liveness,
            handler: ProbeHandler::TcpSocket { host: "127.0.0.1".to_string(), port: 5432 },
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
            grace: None,
        }];
        spec
    }

    /// One of which there is something to say of everything.
    fn talkative() -> ProcessView {
        ProcessView {
            state: State::Backoff,
            reason: "CrashLoopBackOff",
            message: "back-off 4 s: exit code 3".to_string(),
            status: "3 clients".to_string(),
            waits_for: vec![WaitView { on: name("db"), message: "waiting for db to be Ready".to_string() }],
            ready: false,
            scheduled: true,
            last_scheduled: Some(ago(60)),
            last_success: Some(ago(60)),
            restarts: 2,
            next_start: Some(ahead(4)),
            ending: Some(EndingView { began: ago(1), kill: Some(ahead(5)) }),
            last_end: Some(EndView {
                exit: Exit::Killed { signal: Signal::KILL, core_dumped: false },
                reason: ExitReason::Oom,
                at: ago(1),
                lasted: 1.5,
            }),
            heartbeat: Some(HeartbeatView { last: Some(ago(3)), timeout: 10.0, misses: 1 }),
            probes: vec![ProbeView {
                kind: ProbeKind::Liveness,
                verdict: ProbeVerdict::Failure,
                unmade: None,
                why: Some("connection refused".into()),
                successful: 1,
                failed: 2,
                unknown: 3,
                seconds: 0.5,
                failing_since: Some(ago(12)),
                next: Some(ahead(3)),
            }],
            usage: Some(Usage {
                cpu: CpuTime { user: 1_500_000, system: 500_000 },
                footprint: Some(Footprint { resident: 4096, working_set: None, threads: 2, open_fds: Some(5) }),
            }),
            file_error: Some("web.yaml:1:1: no".to_string()),
            spec: Some(Arc::new(spec())),
            ..running("web")
        }
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_process_is_told_whole() {
        let object = read(&process(&talkative()));
        let rows = [
            ("/metadata/groups/0", "\"front\""),
            ("/spec/command/1", "\"--say=\\\"hi\\\"\""),
            ("/spec/dependsOn/0/condition", "\"Ready\""),
            ("/spec/probes/0/handler", "\"tcp-socket 127.0.0.1:5432\""),
            ("/spec/schedule/every", "60"),
            ("/status/phase", "\"Waiting\""),
            ("/status/startedAt", "\"2026-09-21T14:18:20.250000Z\""),
            ("/status/restarts", "2"),
            ("/status/nextStartAt", "\"2026-09-21T14:23:24.250000Z\""),
            ("/status/waitsFor/0/name", "\"db\""),
            ("/status/lastState/exitCode", "137"),
            ("/status/lastState/signal", "9"),
            ("/status/lastState/reason", "\"OOMKilled\""),
            ("/status/conditions/0/status", "\"False\""),
            ("/status/probes/0/failingSince", "\"2026-09-21T14:23:08.250000Z\""),
            ("/status/usage/cpuSeconds", "2"),
        ];
        for (pointer, expected) in rows {
            assert_eq!(object.pointer(pointer).map(ToString::to_string).as_deref(), Some(expected), "{pointer}");
        }
        let last_restart = |view| read(&process(&view)).pointer("/status/lastRestartAt").cloned();
        assert_eq!(
            last_restart(talkative()),
            None,
            "when a run of a schedule began, it was none for all that is known"
        );
        let service = ProcessView { scheduled: false, ..talkative() };
        assert_eq!(last_restart(service), Some("2026-09-21T14:18:20.250000Z".into()));
    }

    #[test]
    fn a_probe_that_succeeds_has_no_message_of_a_failure_before() {
        let message = |verdict, failing_since| {
            let mut view = talkative();
            (view.probes[0].verdict, view.probes[0].failing_since) = (verdict, failing_since);
            read(&process(&view)).pointer("/status/probes/0/message").cloned()
        };
        let why = Some(Value::from("connection refused"));
        assert_eq!(message(ProbeVerdict::Success, None), None);
        assert_eq!(message(ProbeVerdict::Success, Some(ago(2))), why, "it fails, but not often enough yet");
        assert_eq!(message(ProbeVerdict::Failure, None), why);
    }

    #[test]
    fn what_changes_all_the_time_is_no_change() {
        let mut later = talkative();
        later.log_bytes = [7, 7];
        later.next_start = Some(ahead(5));
        later.last_scheduled = Some(ago(5));
        later.heartbeat = None;
        assert_eq!(steady(&talkative()), steady(&later));
        later.restarts += 1;
        assert_ne!(steady(&talkative()), steady(&later));
    }

    #[test]
    fn a_brief_object_is_a_part_of_the_whole() {
        fn is_part(brief: &Value, whole: &Value) -> bool {
            match (brief, whole) {
                (Value::Object(brief), Value::Object(whole)) => {
                    brief.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| is_part(value, whole)))
                }
                (brief, whole) => brief == whole,
            }
        }
        let (brief, whole) = (read(&brief(&talkative())), read(&process(&talkative())));
        assert!(is_part(&brief, &whole), "{brief}");
        assert_eq!(brief.pointer("/spec/replica/set").and_then(Value::as_str), Some("web"));
    }

    /// Every key of an object, whatever it is in.
    fn keys(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(entries) => entries.iter().for_each(|(key, value)| {
                into.insert(key.clone());
                keys(value, into);
            }),
            Value::Array(items) => items.iter().for_each(|item| keys(item, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_key_is_in_the_description_above() {
        let described = include_str!("mod.rs").lines().take_while(|line| line.starts_with("//!")).collect::<String>();
        let mut told = BTreeSet::new();
        let mut snapshot = colony(vec![]);
        snapshot.config.dir_error = Some("gone".to_string());
        snapshot.config.trusted_uids = Some(vec![7]);
        snapshot.config.errors = vec![FileError { file: "x".to_string(), summary: "bad".to_string() }];
        let objects = [
            process(&talkative()),
            monitor(&snapshot),
            event(&happened("web", Reason::Started, "it is new", 1)),
            refusal(404, "NotFound", "no"),
        ];
        objects.iter().for_each(|text| keys(&read(text), &mut told));
        // The kubelet's numbers, and a schedule as the file has it.
        let known = |key: &&String| !key.ends_with("Seconds") && !key.ends_with("Threshold") && *key != "every";
        let missing: Vec<&String> =
            told.iter().filter(known).filter(|key| !described.contains(&format!("`{key}`"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
