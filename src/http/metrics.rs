//! `/metrics`: what a snapshot tells, then what the other rooms count, then the monitor's own process.
//!
//! The families of the first part are made anew from each snapshot, so that none outlives its process.

use prometheus::{Registry, TextEncoder};

use super::exposition::{Exposition, Kind, With, label};
use super::families::{COLONY, PROCESS, SCHEDULE};
use super::monitor;
use crate::model::{ExitReason, ProcessView, Snapshot, State};

/// Prometheus 3 refuses a scrape without it.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// The whole exposition.
pub(super) fn render(snapshot: &Snapshot, registry: &Registry) -> String {
    let mut exposition = Exposition(String::with_capacity(4096 * (snapshot.processes.len() + 4)));
    build_info(&mut exposition);
    processes(&mut exposition, snapshot);
    for family in COLONY {
        exposition.single(family.name, family.kind, family.help, (family.value)(snapshot));
    }
    counted(&mut exposition.0, registry);
    monitor::write(&mut exposition, snapshot.started);
    exposition.0
}

fn build_info(exposition: &mut Exposition) {
    let version = label("version", env!("CARGO_PKG_VERSION"));
    let revision = option_env!("NCOLONY_REVISION").unwrap_or("unknown");
    exposition.family(
        "ncolony_build_info",
        Kind::Gauge,
        "Version of the running supervisor; always 1.",
        [(With(&version, "revision", revision), 1.0)],
    );
}

fn processes(exposition: &mut Exposition, snapshot: &Snapshot) {
    let views = &snapshot.processes;
    // Escaped once, not once a sample.
    let labels: Vec<String> = views.iter().map(|view| label("process", view.name.as_str())).collect();
    info(exposition, views, &labels);
    for family in PROCESS {
        let samples = views.iter().zip(&labels).filter_map(|(view, label)| Some((label, (family.value)(view)?)));
        exposition.family(family.name, family.kind, family.help, samples);
    }
    states(exposition, views, &labels);
    exits(exposition, views, &labels);
    streams(exposition, views, &labels);
    schedules(exposition, views);
}

fn info(exposition: &mut Exposition, views: &[ProcessView], labels: &[String]) {
    let samples = views.iter().zip(labels).map(|(view, process)| {
        let kind = match (view.scheduled, view.task) {
            (true, _) => "schedule",
            (false, true) => "task",
            (false, false) => "daemon",
        };
        (format!("{process},{},kind=\"{kind}\"", label("config", &view.file)), 1.0)
    });
    let help = "Static facts of a supervised process; always 1.";
    exposition.family("ncolony_process_info", Kind::Gauge, help, samples);
}

fn states(exposition: &mut Exposition, views: &[ProcessView], labels: &[String]) {
    let is = |view: &ProcessView, state| f64::from(u8::from(view.state == state));
    let each = views
        .iter()
        .zip(labels)
        .flat_map(|(view, process)| State::ALL.map(|state| (With(process, "state", state.as_str()), is(view, state))));
    let help = "1 for the current state, 0 for the others (pending, starting, running, backoff, stopping, stopped, \
                completed, failed).";
    exposition.family("ncolony_process_state", Kind::Gauge, help, each);

    let sums = State::ALL.map(|state| {
        let processes = views.iter().filter(|view| view.state == state).count();
        (label("state", state.as_str()), processes as f64)
    });
    exposition.family("ncolony_processes", Kind::Gauge, "Processes by state.", sums);
}

fn exits(exposition: &mut Exposition, views: &[ProcessView], labels: &[String]) {
    let samples = views.iter().zip(labels).flat_map(|(view, process)| {
        ExitReason::ALL
            .iter()
            .zip(view.exits)
            .map(move |(reason, exits)| (With(process, "reason", reason.as_str()), exits as f64))
    });
    let help = "Exits by reason: completed, error, signal, heartbeat, oom, probe, deadline, requested.";
    exposition.family("ncolony_process_exits_total", Kind::Counter, help, samples);
}

fn streams(exposition: &mut Exposition, views: &[ProcessView], labels: &[String]) {
    type Bytes = fn(&ProcessView) -> [u64; 2];
    let families: [(&str, &str, Bytes); 2] = [
        ("ncolony_process_log_bytes_total", "Bytes read from stdout and stderr.", |view| view.log_bytes),
        ("ncolony_process_log_dropped_bytes_total", "Bytes dropped because the sink was slow.", |view| {
            view.log_dropped
        }),
    ];
    for (name, help, bytes) in families {
        let samples = views.iter().zip(labels).flat_map(|(view, process)| {
            STREAMS.iter().zip(bytes(view)).map(move |(stream, bytes)| (With(process, "stream", stream), bytes as f64))
        });
        exposition.family(name, Kind::Counter, help, samples);
    }
}

fn schedules(exposition: &mut Exposition, views: &[ProcessView]) {
    let scheduled: Vec<(String, &ProcessView)> =
        views.iter().filter(|view| view.scheduled).map(|view| (label("schedule", view.name.as_str()), view)).collect();
    for family in SCHEDULE {
        let samples = scheduled.iter().filter_map(|(label, view)| Some((label, (family.value)(view)?)));
        exposition.family(family.name, family.kind, family.help, samples);
    }
}

/// Appends what the registry holds: all of it, or nothing.
fn counted(text: &mut String, registry: &Registry) {
    let before = text.len();
    if let Err(error) = TextEncoder::new().encode_utf8(&registry.gather(), text) {
        tracing::warn!(%error, "/metrics lacks the registered metrics");
        text.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounter, Registry};

    use super::render;
    use crate::http::sample::{ago, ahead, colony, process};
    use crate::model::{EndView, Exit, ExitReason, FileError, HeartbeatView, ProcessView, Signal, Snapshot, State};

    fn crashing() -> ProcessView {
        let exit = Exit::Killed { signal: Signal::KILL, core_dumped: false };
        ProcessView {
            state: State::Backoff,
            up: false,
            ready: false,
            generation: 2,
            starts: 4,
            restarts: 3,
            start_failures: 1,
            exits: [0, 2, 1, 1, 3, 0, 0, 0],
            last_end: Some(EndView { exit, reason: ExitReason::Signal, at: ago(2), lasted: 0.25 }),
            restart_delay: 8.0,
            next_start: Some(ahead(6)),
            kills: 1,
            memory_limit: Some(128 << 20),
            heartbeat: Some(HeartbeatView { last: Some(ago(3)), timeout: 30.0, misses: 1 }),
            log_bytes: [1000, 20],
            log_dropped: [0, 7],
            ..process("a \"b\"\\c")
        }
    }

    fn scheduled() -> ProcessView {
        ProcessView {
            state: State::Pending,
            scheduled: true,
            desired: false,
            up: false,
            next_start: Some(ahead(60)),
            interval: Some(3600.0),
            last_scheduled: Some(ago(3541)),
            missed: 2,
            last_success: Some(ago(3540)),
            ..process("nightly")
        }
    }

    fn troubled() -> Snapshot {
        let mut snapshot = colony(vec![crashing(), scheduled(), ProcessView { task: true, ..process("once") }]);
        snapshot.config.errors.push(FileError { file: "x.yaml".to_string(), summary: "x.yaml:1:1: bad".to_string() });
        snapshot.watch.active = false;
        snapshot.strays = 2;
        snapshot
    }

    fn registry() -> Registry {
        let registry = Registry::new();
        let orphans = IntCounter::new("ncolony_reaped_orphans_total", "Orphans.").expect("a good name");
        orphans.inc_by(5);
        registry.register(Box::new(orphans)).expect("the first of that name");
        registry
    }

    #[test]
    fn the_exposition_is_the_golden_one() {
        let text = render(&troubled(), &registry());
        let (of_the_colony, _) = text.split_once("# HELP process_").expect("the monitor's own follows");
        let golden = include_str!("golden.prom").replace("VERSION", env!("CARGO_PKG_VERSION"));
        for (got, expected) in of_the_colony.lines().zip(golden.lines()) {
            assert_eq!(got, expected);
        }
        assert_eq!(of_the_colony, golden);
    }

    // W08
    #[test]
    fn a_thousand_processes_are_3_mb_at_most() {
        let views = (0..1000).map(|n| process(&format!("process-{n}"))).collect();
        let text = render(&colony(views), &Registry::new());
        assert!(text.len() < 3_000_000, "{}", text.len());
        assert_eq!(text.lines().filter(|line| line.starts_with("ncolony_process_up{")).count(), 1000);
    }

    // W09
    #[test]
    fn no_series_outlives_its_process() {
        let registry = registry();
        assert!(render(&troubled(), &registry).contains("once"));
        assert!(!render(&colony(Vec::new()), &registry).contains("once"));
    }
}
