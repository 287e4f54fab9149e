use std::time::Duration;

use super::desired::Desired;
use super::hooks::{PostStart, Stage};
use super::observed::Observed;
use super::order::{self, Unmet};
use super::plan::Why;
use super::probes::{self, Probing};
use super::record::{End, Life, Record, Run};
use super::schedule;
use super::timing::{self, Due};
use crate::model::{
    Beside, EndView, EndingView, ExitReason, HeartbeatView, Moment, Name, ProbeKind, ProbeVerdict, ProbeView,
    ProcessSpec, ProcessView, Restart, Rhythm, Schedule, Stamp, State, Wall, sort_by,
};

/// The reason of what waits for what it depends on.
const WAITS: &str = "DependencyNotReady";

/// Every process as outsiders see it. The edge adds what the core does not know: pid, file, log counts, what
/// it says of itself.
pub fn view(desired: &Desired, observed: &Observed, now: Stamp) -> Vec<ProcessView> {
    let nothing = Record::default();
    let unknown = desired.processes.keys().filter(|name| !observed.records.contains_key(*name));
    let mut specs = Beside::new(&desired.processes);
    let known = observed.records.iter().map(|(name, record)| (name, record, specs.get(name)));
    let unknown = unknown.map(|name| (name, &nothing, desired.processes.get(name)));
    let mut views: Vec<ProcessView> = known
        .chain(unknown)
        .map(|(name, record, wanted)| {
            let spec = wanted.or(record.life.run().map(|run| &run.spec)).cloned();
            let wanted = wanted.map(AsRef::as_ref);
            let unmet = wanted.and_then(|spec| order::unmet(desired, observed, spec));
            let ending = ending(record, wanted, observed.order.latest(name), now);
            let mut view = ProcessView { spec, ending, ..one(name, wanted, record, unmet.as_ref(), now) };
            if let (WAITS, Some(wanted)) = (view.reason, wanted) {
                view.waits_for = order::waits_for(desired, observed, wanted);
            }
            if observed.is_held(record, now.at) { held(view) } else { view }
        })
        .collect();
    if !views.is_sorted_by(|a, b| a.name <= b.name) {
        sort_by(&mut views, |a, b| a.name.cmp(&b.name));
    }
    views
}

/// The end of a run that is under way; by `latest` it is killed, whatever its grace.
fn ending(record: &Record, wanted: Option<&ProcessSpec>, latest: Moment, now: Stamp) -> Option<EndingView> {
    let (Life::Stopping(run, stopping) | Life::Leaving(run, stopping)) = &record.life else { return None };
    let kill = (stopping.asked_at + timing::grace(run, stopping, wanted)).min(latest);
    Some(EndingView {
        began: now.wall.minus(now.at.since(stopping.asked_at)),
        kill: stopping.killed_at.is_none().then(|| now.wall.plus(kill.since(now.at))),
    })
}

/// It runs, and its heart does not.
fn held(view: ProcessView) -> ProcessView {
    let message = "its heartbeat stopped, as most have at once; it is held, and restarted when it is its turn";
    ProcessView { ready: false, message: message.into(), ..view }
}

/// State, the kubelet's reason, a sentence, and when the next start is due.
struct Verdict {
    state: State,
    reason: &'static str,
    message: String,
    next: Option<Moment>,
}

fn one(
    name: &Name,
    wanted: Option<&ProcessSpec>,
    record: &Record,
    unmet: Option<&Unmet<'_>>,
    now: Stamp,
) -> ProcessView {
    let run = record.life.run();
    let spec = wanted.or(run.map(|run| &*run.spec));
    let up = matches!(record.life, Life::Up(_) | Life::Stopping(..));
    let verdict = judge(wanted, record, unmet, now);
    let schedule = spec.and_then(|spec| spec.schedule.as_ref());
    let heartbeat = spec.and_then(|spec| spec.heartbeat.as_ref());
    let rests = match verdict.state {
        State::Pending => spec.is_some_and(|spec| spec.schedule.is_some()),
        // Its file says so: that is as it should be. A message that stopped it is somebody's moment.
        State::Stopped => wanted.is_some_and(|spec| spec.suspend),
        State::Starting | State::Running | State::Backoff | State::Stopping | State::Completed | State::Failed => false,
    };
    let ready = spec.is_some_and(|spec| order::is_ready(spec, record));
    let has_run = schedule.is_none() || record.tally.starts > 0;
    ProcessView {
        name: name.clone(),
        state: verdict.state,
        reason: verdict.reason,
        message: verdict.message,
        waits_for: Vec::new(),
        status: String::new(),
        scheduled: spec.is_some_and(|spec| spec.schedule.is_some()),
        task: spec.is_some_and(|spec| spec.schedule.is_none() && spec.restart != Restart::Always),
        generation: record.generation,
        observed_generation: observed_generation(wanted, record),
        desired: wanted.is_some_and(|spec| wants_running(spec, &verdict.state)),
        up,
        ready,
        has_started: (ready && has_run) || order::has_started(record),
        rests,
        gate: wanted.is_some_and(|spec| spec.readiness_gate),
        pid: None,
        started: run.map(|run| run.since.wall).or(record.last.as_ref().map(began)),
        uptime: up.then(|| run.map(|run| now.at.since(run.since.at).as_secs_f64())).flatten(),
        starts: record.tally.starts,
        restarts: record.tally.restarts,
        start_failures: record.tally.start_failures,
        exits: record.tally.exits,
        last_end: record.last.as_ref().map(end),
        restart_delay: match (verdict.state, verdict.next) {
            (State::Backoff, Some(_)) => spec.map_or(0.0, |spec| delay(spec, record, now).as_secs_f64()),
            _ => 0.0,
        },
        ending: None,
        next_start: verdict.next.or(next_time(wanted, record, now)).map(|next| now.wall.plus(next.since(now.at))),
        interval: schedule
            .and_then(|schedule| schedule::interval(schedule, record, now))
            .map(|span| span.as_secs_f64()),
        last_scheduled: schedule.and_then(|schedule| last_time(schedule, record, now)),
        missed: record.tally.missed,
        lag: record.tally.lag.map(|lag| lag.as_secs_f64()),
        last_success: record.tally.last_success,
        kills: record.tally.kills,
        memory_limit: spec.and_then(|spec| spec.birth.limits.memory),
        heartbeat: heartbeat.map(|heartbeat| HeartbeatView {
            last: run.and_then(|run| run.pulse.beat).map(|beat| beat.wall),
            timeout: heartbeat.period.as_secs_f64(),
            misses: record.tally.exits[ExitReason::Heartbeat as usize],
        }),
        probes: probe_views(record, spec, now),
        log_bytes: [0; 2],
        log_dropped: [0; 2],
        usage: None,
        file: String::new(),
        config_hash: spec.map_or(0, |spec| spec.whole.0),
        user: spec.and_then(|spec| spec.birth.security.user.clone()),
        file_error: None,
        spec: None,
    }
}

/// After the reason, and a colon.
const STOPPED: &str = "by a message; START, RESTART, an edit of its file or the monitor's restart starts it";

fn judge(wanted: Option<&ProcessSpec>, record: &Record, unmet: Option<&Unmet<'_>>, now: Stamp) -> Verdict {
    let still = |state, reason, message: String| Verdict { state, reason, message, next: None };
    match (&record.life, wanted) {
        (Life::Up(Run { post_start: PostStart::Due | PostStart::UnderWay | PostStart::Failed, .. }), _) => {
            still(State::Starting, "", "its postStart is not done".into())
        }
        (Life::Up(run), Some(_)) => up(run),
        (Life::Up(_), None) => still(State::Running, "", String::new()),
        (Life::Stopping(_, stopping), _) => {
            let why = match stopping.why {
                Some(Why::Stopped) if record.asked.is_some() => {
                    "a message stopped it, and another has it started again".into()
                }
                why => why.map(|why| why.to_string()).unwrap_or_default(),
            };
            let message = match (stopping.killed_at, stopping.stage) {
                (Some(at), _) => format!("{why}; SIGKILL was sent {} s ago", now.at.since(at).as_secs()),
                (None, Stage::PreStop) => format!("{why}; its preStop is under way"),
                (None, Stage::PreStopOver | Stage::Asked) => why,
            };
            still(State::Stopping, "Terminating", message)
        }
        (Life::Leaving(..), _) => {
            still(State::Stopping, "Terminating", "its main process has gone, something that it started has not".into())
        }
        (Life::Down, None) => still(State::Stopped, "", String::new()),
        (Life::Down, Some(spec)) if spec.suspend => still(State::Stopped, "Suspended", String::new()),
        (Life::Down, Some(spec)) if record.stopped && timing::due_at(spec, record, now) != Due::Never => {
            still(State::Stopped, "Stopped", STOPPED.into())
        }
        (Life::Down, Some(spec)) => waiting(spec, record, unmet, now),
    }
}

/// What a run that is up and wanted does.
fn up(run: &Run) -> Verdict {
    let still = |state, message| Verdict { state, reason: "", message, next: None };
    if !run.has_started {
        let why = probe_trouble(run, ProbeKind::Startup);
        return still(State::Starting, format!("its startup probe has not succeeded yet{why}"));
    }
    match probes::unready(run).map(|probing| probing.verdict) {
        Some(ProbeVerdict::Failure) => {
            let why = probe_trouble(run, ProbeKind::Readiness);
            still(State::Running, format!("its readiness probe failed{why}"))
        }
        Some(ProbeVerdict::Unknown | ProbeVerdict::Success) => {
            let why = probe_trouble(run, ProbeKind::Readiness);
            still(State::Starting, format!("its readiness probe has not succeeded yet{why}"))
        }
        None if order::is_well(run) => still(State::Running, unmade(run)),
        None => still(State::Starting, "no heartbeat yet".into()),
    }
}

/// What the last probe that failed has to say, or why there was none, to be appended.
fn probe_trouble(run: &Run, kind: ProbeKind) -> String {
    let probing = run.probing.iter().find(|probing| probing.kind == kind);
    match probing.map(|probing| (&probing.unmade, &probing.why)) {
        Some((Some(why), _)) => format!(": it cannot be made: {why}"),
        Some((None, Some(why))) => format!(": {why}"),
        Some((None, None)) | None => String::new(),
    }
}

/// Of a run that is well as far as anybody knows: that nobody does.
fn unmade(run: &Run) -> String {
    let of =
        |probing: &Probing| Some(format!("its {} cannot be made: {}", probing.kind.as_str(), probing.unmade.as_ref()?));
    run.probing.iter().find_map(of).unwrap_or_default()
}

/// Each probe that its file asks for, or that has been made.
fn probe_views(record: &Record, spec: Option<&ProcessSpec>, now: Stamp) -> Vec<ProbeView> {
    let run = record.life.run();
    let is_asked = |kind| spec.is_some_and(|spec| spec.probes.iter().any(|probe| probe.kind == kind));
    let view = |kind: ProbeKind| {
        let tally = record.tally.probes.iter().find(|tally| tally.kind == kind);
        if tally.is_none() && !is_asked(kind) {
            return None;
        }
        let probing = run.and_then(|run| run.probing.iter().find(|probing| probing.kind == kind));
        Some(ProbeView {
            kind,
            verdict: probing.map_or(ProbeVerdict::Unknown, |probing| probing.verdict),
            why: probing.and_then(|probing| probing.why.clone()),
            unmade: probing.and_then(|probing| probing.unmade.clone()),
            successful: tally.map_or(0, |tally| tally.successful),
            failed: tally.map_or(0, |tally| tally.failed),
            unknown: tally.map_or(0, |tally| tally.unknown),
            seconds: tally.map_or(0.0, |tally| tally.took.as_secs_f64()),
            failing_since: probing.and_then(|probing| probing.failing).map(|at| now.wall.minus(now.at.since(at))),
            next: run
                .filter(|run| probes::is_asked(run, kind))
                .and(probing)
                .map(|probing| now.wall.plus(probing.due.since(now.at))),
        })
    };
    ProbeKind::ALL.into_iter().filter_map(view).collect()
}

fn waiting(spec: &ProcessSpec, record: &Record, unmet: Option<&Unmet<'_>>, now: Stamp) -> Verdict {
    let outcome = match (&record.failed, &record.last) {
        (Some(failed), _) => failed.error.to_string(),
        (None, Some(last)) => outcome(last),
        (None, None) => String::new(),
    };
    match (timing::due_at(spec, record, now), unmet) {
        (Due::At(at, _), Some(unmet)) if at <= now.at => {
            Verdict { state: State::Pending, reason: WAITS, message: unmet.told(), next: None }
        }
        (Due::At(at, Why::Scheduled), _) => {
            Verdict { state: State::Pending, reason: "Scheduled", message: outcome, next: Some(at) }
        }
        (Due::At(at, Why::BackoffOver), _) => {
            let seconds = delay(spec, record, now).as_secs_f64();
            let reason = if record.failed.is_some() { "StartError" } else { "CrashLoopBackOff" };
            let message = format!("back-off {seconds} s: {outcome}");
            Verdict { state: State::Backoff, reason, message, next: Some(at) }
        }
        (Due::At(at, _), _) => Verdict { state: State::Pending, reason: "", message: outcome, next: Some(at) },
        (Due::Never, _) if spec.schedule.is_some() => {
            Verdict { state: State::Pending, reason: "Scheduled", message: outcome, next: None }
        }
        (Due::Never, _) => match record.last.as_ref().is_some_and(End::is_success) {
            true => Verdict { state: State::Completed, reason: "Completed", message: outcome, next: None },
            false => Verdict { state: State::Failed, reason: failure(record), message: outcome, next: None },
        },
    }
}

/// Which generation it is governed by: that of the living run, whose file may have been edited since; what is down is
/// governed by its file as it is.
fn observed_generation(wanted: Option<&ProcessSpec>, record: &Record) -> u64 {
    match (record.life.run(), wanted) {
        (Some(run), Some(spec)) if run.spec.whole == spec.whole => record.generation,
        (Some(run), _) => run.generation,
        (None, _) => record.generation,
    }
}

/// The kubelet's word for an end that was no success.
fn failure(record: &Record) -> &'static str {
    match record.last.as_ref().map(End::reason) {
        Some(ExitReason::Oom) => "OOMKilled",
        Some(ExitReason::Deadline) => "DeadlineExceeded",
        Some(
            ExitReason::Completed
            | ExitReason::Error
            | ExitReason::Signal
            | ExitReason::Heartbeat
            | ExitReason::Probe
            | ExitReason::Requested,
        )
        | None => "Error",
    }
}

fn wants_running(spec: &ProcessSpec, state: &State) -> bool {
    match state {
        State::Starting | State::Running | State::Backoff => !spec.suspend,
        State::Pending | State::Stopping => !spec.suspend && spec.schedule.is_none(),
        State::Stopped | State::Completed | State::Failed => false,
    }
}

/// When the next run of a schedule is due while one lasts.
fn next_time(wanted: Option<&ProcessSpec>, record: &Record, now: Stamp) -> Option<Moment> {
    let spec = wanted.filter(|spec| !spec.suspend && !record.stopped)?;
    let next = schedule::next_at(spec.schedule.as_ref()?, record, now);
    record.life.run().is_some().then_some(next).filter(|next| *next != Moment::NEVER)
}

fn last_time(schedule: &Schedule, record: &Record, now: Stamp) -> Option<Wall> {
    match &schedule.rhythm {
        Rhythm::Every(_) => record.slot.map(|slot| now.wall.minus(now.at.since(slot))),
        Rhythm::Calendar(_) => record.progress.as_ref().and_then(|progress| progress.last),
    }
}

fn delay(spec: &ProcessSpec, record: &Record, now: Stamp) -> Duration {
    match timing::due_at(spec, record, now) {
        Due::At(at, _) => {
            let from = record.failed.as_ref().map(|failed| failed.at.at);
            at.since(from.or(record.last.as_ref().map(|last| last.at.at)).unwrap_or(at))
        }
        Due::Never => Duration::ZERO,
    }
}

/// How a run ended, in words.
pub(super) fn outcome(last: &End) -> String {
    match (last.why, last.exit) {
        (Some(why @ (Why::HeartbeatStale | Why::ProbeFailed(_) | Why::PostStartFailed)), exit) => {
            format!("{why} ({exit})")
        }
        (Some(why @ (Why::MemoryExceeded(_) | Why::OomKilled)), exit) => format!("{why} ({exit})"),
        (Some(Why::DeadlineExceeded), exit) => format!("it lasted longer than activeDeadlineSeconds ({exit})"),
        (_, exit) => exit.to_string(),
    }
}

fn began(last: &End) -> Wall {
    Wall::from_nanos(((last.at.wall.as_secs_f64() - last.lasted.as_secs_f64()).max(0.0) * 1e9) as u64)
}

fn end(last: &End) -> EndView {
    EndView { exit: last.exit, reason: last.reason(), at: last.at.wall, lasted: last.lasted.as_secs_f64() }
}
