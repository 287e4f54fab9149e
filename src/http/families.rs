//! The families that need no label of their own: what they are called, what they say of a process or of the colony.

use super::exposition::{Family, Kind};
use crate::model::{ProcessView, Snapshot};

/// Families with the label `process` alone.
pub(super) const PROCESS: &[Family<ProcessView>] = &[
    Family {
        name: "ncolony_process_desired",
        kind: Kind::Gauge,
        help: "Whether the desired state wants the process running.",
        value: |view| flag(view.desired),
    },
    Family {
        name: "ncolony_process_generation",
        kind: Kind::Gauge,
        help: "Generation of what is desired of the process; grows with each change to it.",
        value: |view| count(view.generation),
    },
    Family {
        name: "ncolony_process_observed_generation",
        kind: Kind::Gauge,
        help: "Generation that governs the process; lags while a run goes on that an edit is to end.",
        value: |view| count(view.observed_generation),
    },
    Family {
        name: "ncolony_process_up",
        kind: Kind::Gauge,
        help: "Whether the process is running now.",
        value: |view| flag(view.up),
    },
    Family {
        name: "ncolony_process_ready",
        kind: Kind::Gauge,
        help: "Whether the process is ready; equals up where no readiness check is set.",
        value: |view| flag(view.ready),
    },
    Family {
        name: "ncolony_process_start_time_seconds",
        kind: Kind::Gauge,
        help: "Unix time of the last start.",
        value: |view| view.started.map(|at| at.as_secs_f64()),
    },
    Family {
        name: "ncolony_process_starts_total",
        kind: Kind::Counter,
        help: "Starts, successful spawns only.",
        value: |view| count(view.starts),
    },
    Family {
        name: "ncolony_process_restarts_total",
        kind: Kind::Counter,
        help: "Starts after the first since the process was added.",
        value: |view| count(view.restarts),
    },
    Family {
        name: "ncolony_process_start_failures_total",
        kind: Kind::Counter,
        help: "Spawns that failed (fork, exec, user, directory).",
        value: |view| count(view.start_failures),
    },
    Family {
        name: "ncolony_process_last_exit_code",
        kind: Kind::Gauge,
        help: "Exit code of the last run, 128+n for signal n.",
        value: |view| view.last_end.as_ref().map(|end| f64::from(end.exit.shell_code())),
    },
    Family {
        name: "ncolony_process_last_exit_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time of the last exit.",
        value: |view| view.last_end.as_ref().map(|end| end.at.as_secs_f64()),
    },
    Family {
        name: "ncolony_process_restart_delay_seconds",
        kind: Kind::Gauge,
        help: "Delay that precedes the next start.",
        value: |view| Some(view.restart_delay),
    },
    Family {
        name: "ncolony_process_next_start_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time of the next scheduled start; absent if none.",
        value: |view| view.next_start.map(|at| at.as_secs_f64()),
    },
    Family {
        name: "ncolony_process_kills_total",
        kind: Kind::Counter,
        help: "SIGKILLs sent after the stop grace ran out.",
        value: |view| count(view.kills),
    },
    Family {
        name: "ncolony_process_memory_limit_bytes",
        kind: Kind::Gauge,
        help: "Bytes of memory that all processes of a run together may have; absent if there is no limit.",
        value: |view| view.memory_limit.and_then(count),
    },
    Family {
        name: "ncolony_process_heartbeat_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time at which the last beat was seen.",
        value: |view| view.heartbeat.as_ref().and_then(|beat| beat.last).map(|at| at.as_secs_f64()),
    },
    Family {
        name: "ncolony_process_heartbeat_timeout_seconds",
        kind: Kind::Gauge,
        help: "Age at which the heartbeat counts as lost.",
        value: |view| view.heartbeat.as_ref().map(|beat| beat.timeout),
    },
    Family {
        name: "ncolony_process_heartbeat_misses_total",
        kind: Kind::Counter,
        help: "Restarts caused by a lost heartbeat.",
        value: |view| view.heartbeat.as_ref().and_then(|beat| count(beat.misses)),
    },
];

/// Families with the label `schedule` alone, for processes that run at intervals.
pub(super) const SCHEDULE: &[Family<ProcessView>] = &[
    Family {
        name: "ncolony_schedule_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time of the last success.",
        value: |view| view.last_success.map(|at| at.as_secs_f64()),
    },
    Family {
        name: "ncolony_schedule_last_scheduled_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time for which the last run was begun.",
        value: |view| view.last_scheduled.map(|at| at.as_secs_f64()),
    },
    Family {
        name: "ncolony_schedule_missed_total",
        kind: Kind::Counter,
        help: "Scheduled times for which no run was begun, counted when the next one is.",
        value: |view| count(view.missed),
    },
    Family {
        name: "ncolony_schedule_interval_seconds",
        kind: Kind::Gauge,
        help: "Configured interval, or the gap to the next calendar run.",
        value: |view| view.interval,
    },
];

/// Families without labels.
pub(super) const COLONY: &[Family<Snapshot>] = &[
    Family {
        name: "ncolony_config_last_load_successful",
        kind: Kind::Gauge,
        help: "Whether the directory could be read and every file parsed at the last scan.",
        value: |snapshot| {
            let config = &snapshot.config;
            flag(config.loaded.is_some() && config.dir_error.is_none() && config.errors.is_empty())
        },
    },
    Family {
        name: "ncolony_config_last_load_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time of the last complete scan.",
        value: |snapshot| snapshot.config.loaded.map(|at| at.as_secs_f64()),
    },
    Family {
        name: "ncolony_config_file_errors",
        kind: Kind::Gauge,
        help: "Files rejected at the last scan.",
        value: |snapshot| Some(snapshot.config.errors.len() as f64),
    },
    Family {
        name: "ncolony_config_generation",
        kind: Kind::Gauge,
        help: "Generation of the desired state; grows with each change to it.",
        value: |snapshot| count(snapshot.config.generation),
    },
    Family {
        name: "ncolony_watch_active",
        kind: Kind::Gauge,
        help: "Whether inotify is in use (0 = polling only).",
        value: |snapshot| flag(snapshot.watch.active),
    },
    Family {
        name: "ncolony_strays",
        kind: Kind::Gauge,
        help: "Adopted processes that live now and belong to no run.",
        value: |snapshot| count(snapshot.strays),
    },
];

#[expect(clippy::unnecessary_wraps, reason = "a value in the tables is an option")]
fn flag(value: bool) -> Option<f64> {
    Some(f64::from(u8::from(value)))
}

#[expect(clippy::unnecessary_wraps, reason = "a value in the tables is an option")]
fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}
