//! What `/metrics` says of a process, of a schedule and of the colony.

use super::exposition::{Family, Samples, counter, gauge, summary};
use crate::model::{Account, ExitReason, Footprint, ProbeVerdict, ProcessView, Snapshot, State, Usage};

/// Families of the monitor and of the colony.
pub(super) const COLONY: &[Family<Snapshot>] = &[
    gauge("ncolony_build_info", "Version of the running supervisor; always 1.", |samples, _| {
        let revision = option_env!("NCOLONY_REVISION").unwrap_or("unknown");
        samples.with("version", env!("CARGO_PKG_VERSION")).with("revision", revision);
        samples.with("rustc", env!("NCOLONY_RUSTC")).count(1);
    }),
    gauge("ncolony_processes", "Processes by state.", |samples, snapshot| {
        for state in State::ALL {
            let processes = snapshot.processes.iter().filter(|view| view.state == state).count();
            samples.with("state", state.as_str()).count(processes as u64);
        }
    }),
    gauge(
        "ncolony_config_last_load_successful",
        "Whether the directory could be read and every file parsed at the last scan.",
        |samples, snapshot| {
            let config = &snapshot.config;
            samples.flag(config.loaded.is_some() && config.dir_error.is_none() && config.errors.is_empty());
        },
    ),
    gauge("ncolony_config_last_load_timestamp_seconds", "Unix time of the last complete scan.", |samples, snapshot| {
        samples.time(snapshot.config.loaded)
    }),
    gauge("ncolony_config_file_errors", "Files rejected at the last scan.", |samples, snapshot| {
        samples.count(snapshot.config.errors.len() as u64);
    }),
    gauge("ncolony_config_file_error", "1 for each file that was rejected at the last scan.", |samples, snapshot| {
        for error in &snapshot.config.errors {
            samples.with("file", &error.file).count(1);
        }
    }),
    gauge(
        "ncolony_config_generation",
        "Generation of the desired state; grows with each change to it.",
        |samples, snapshot| samples.count(snapshot.config.generation),
    ),
    gauge(
        "ncolony_last_reconcile_timestamp_seconds",
        "Unix time at which the loop last finished looking at everything.",
        |samples, snapshot| {
            let age = snapshot.reconciled.map(|at| snapshot.taken.at.since(at));
            samples.time(age.map(|age| snapshot.taken.wall.minus(age)));
        },
    ),
    gauge(
        "ncolony_healthcheck",
        "Whether a check of the supervisor's own passes; its trouble is told by /healthz?verbose.",
        |samples, snapshot| {
            for check in &snapshot.checks {
                samples.with("name", check.name).flag(check.trouble.is_none());
            }
        },
    ),
    gauge("ncolony_watch_active", "Whether inotify is in use (0 = polling only).", |samples, snapshot| {
        samples.flag(snapshot.watch.active);
    }),
    gauge(
        "ncolony_usage_last_sample_timestamp_seconds",
        "Unix time at which it was last looked at what the processes use.",
        |samples, snapshot| samples.time(snapshot.sampled),
    ),
    gauge("ncolony_strays", "Adopted processes that live now.", |samples, snapshot| {
        samples.count(snapshot.strays);
    }),
];

/// Families of a process.
pub(super) const PROCESS: &[Family<ProcessView>] = &[
    gauge("ncolony_process_info", "Static facts of a supervised process; always 1.", |samples, view| {
        let kind = match (view.scheduled, view.task) {
            (true, _) => "schedule",
            (false, true) => "task",
            (false, false) => "daemon",
        };
        samples.with("config", &view.file).with("config_hash", &format!("{:016x}", view.config_hash));
        match &view.user {
            Some(Account::Id(id)) => _ = samples.with("user", &id.to_string()),
            Some(Account::Name(name)) => _ = samples.with("user", name),
            None => {}
        }
        samples.with("kind", kind).count(1);
    }),
    gauge("ncolony_process_desired", "Whether the desired state wants the process running.", |samples, view| {
        samples.flag(view.desired);
    }),
    gauge(
        "ncolony_process_generation",
        "Generation of what is desired of the process; grows with each change to it.",
        |samples, view| samples.count(view.generation),
    ),
    gauge(
        "ncolony_process_observed_generation",
        "Generation that governs the process; lags while a run goes on that an edit is to end.",
        |samples, view| samples.count(view.observed_generation),
    ),
    gauge("ncolony_process_up", "Whether the process is running now.", |samples, view| samples.flag(view.up)),
    gauge(
        "ncolony_process_ready",
        "Whether the process is ready, or down as its file says (suspended, or between two runs of its schedule).",
        |samples, view| samples.flag(view.is_as_wanted()),
    ),
    gauge(
        "ncolony_process_state",
        "1 for the current state, 0 for the others (pending, starting, running, backoff, stopping, stopped, \
         completed, failed).",
        |samples, view| {
            for state in State::ALL {
                samples.with("state", state.as_str()).flag(view.state == state);
            }
        },
    ),
    gauge(
        "ncolony_process_status_reason",
        "1 for the kubelet's word for why the process does not simply run, such as CrashLoopBackOff; absent if none does.",
        |samples, view| {
            if !view.reason.is_empty() {
                samples.with("reason", view.reason).count(1);
            }
        },
    ),
    gauge("ncolony_process_start_time_seconds", "Unix time of the last start.", |samples, view| {
        samples.time(view.started);
    }),
    counter("ncolony_process_starts_total", "Starts, successful spawns only.", |samples, view| {
        samples.count(view.starts);
    }),
    counter(
        "ncolony_process_restarts_total",
        "Starts after the first since the process was added; of a schedule, only those that tried a failed run again.",
        |samples, view| {
            samples.count(view.restarts);
        },
    ),
    counter(
        "ncolony_process_start_failures_total",
        "Spawns that failed (fork, exec, user, directory).",
        |samples, view| samples.count(view.start_failures),
    ),
    counter(
        "ncolony_process_exits_total",
        "Exits by reason: completed, error, signal, heartbeat, oom, probe, deadline, requested.",
        |samples, view| {
            for (reason, exits) in ExitReason::ALL.into_iter().zip(view.exits) {
                samples.with("reason", reason.as_str()).count(exits);
            }
        },
    ),
    gauge("ncolony_process_last_exit_code", "Exit code of the last run, 128+n for signal n.", |samples, view| {
        samples.real(view.last_end.as_ref().map(|end| f64::from(end.exit.shell_code())));
    }),
    gauge("ncolony_process_last_exit_reason", "1 for why the last run ended.", |samples, view| {
        if let Some(end) = &view.last_end {
            samples.with("reason", end.reason.as_str()).count(1);
        }
    }),
    gauge("ncolony_process_last_exit_timestamp_seconds", "Unix time of the last exit.", |samples, view| {
        samples.time(view.last_end.as_ref().map(|end| end.at));
    }),
    gauge("ncolony_process_restart_delay_seconds", "Delay that precedes the next start.", |samples, view| {
        samples.real(Some(view.restart_delay));
    }),
    gauge(
        "ncolony_process_next_start_timestamp_seconds",
        "Unix time of the next scheduled start; absent if none.",
        |samples, view| samples.time(view.next_start),
    ),
    counter("ncolony_process_kills_total", "SIGKILLs sent after the stop grace ran out.", |samples, view| {
        samples.count(view.kills);
    }),
    counter(
        "ncolony_process_oom_events_total",
        "Runs that ended for their memory: more than their limit, or killed by the kernel for want of it.",
        |samples, view| samples.count(view.exits[ExitReason::Oom as usize]),
    ),
    counter(
        "ncolony_process_cpu_seconds_total",
        "User and system CPU time of all processes of all runs.",
        |samples, view| {
            if let Some(Usage { cpu, .. }) = view.usage {
                samples.with("mode", "user").micros(cpu.user);
                samples.with("mode", "system").micros(cpu.system);
            }
        },
    ),
    gauge(
        "ncolony_process_resident_memory_bytes",
        "Resident memory of all processes of the run; what several share counts for each.",
        |samples, view| footprint(samples, view, |footprint| Some(footprint.resident)),
    ),
    gauge(
        "ncolony_process_working_set_bytes",
        "Memory of the run's cgroup without files that are not in use; absent if it has no cgroup of its own.",
        |samples, view| footprint(samples, view, |footprint| footprint.working_set),
    ),
    gauge("ncolony_process_threads", "Threads of all processes of the run.", |samples, view| {
        footprint(samples, view, |footprint| Some(footprint.threads));
    }),
    gauge("ncolony_process_open_fds", "Open descriptors of all processes of the run.", |samples, view| {
        footprint(samples, view, |footprint| footprint.open_fds);
    }),
    gauge(
        "ncolony_process_memory_limit_bytes",
        "Bytes of memory that all processes of a run together may have; absent if there is no limit.",
        |samples, view| {
            if let Some(bytes) = view.memory_limit {
                samples.count(bytes);
            }
        },
    ),
    gauge(
        "ncolony_process_heartbeat_timestamp_seconds",
        "Unix time at which the last beat was seen.",
        |samples, view| samples.time(view.heartbeat.as_ref().and_then(|beat| beat.last)),
    ),
    gauge(
        "ncolony_process_heartbeat_timeout_seconds",
        "Age at which the heartbeat counts as lost.",
        |samples, view| samples.real(view.heartbeat.as_ref().map(|beat| beat.timeout)),
    ),
    counter("ncolony_process_heartbeat_misses_total", "Restarts caused by a lost heartbeat.", |samples, view| {
        if let Some(beat) = &view.heartbeat {
            samples.count(beat.misses);
        }
    }),
    gauge(
        "ncolony_process_probe_healthy",
        "Whether the present run is well by its probes of this type; absent before they have come to a verdict.",
        |samples, view| {
            for probe in &view.probes {
                let is_well = match probe.verdict {
                    ProbeVerdict::Success => true,
                    ProbeVerdict::Failure => false,
                    ProbeVerdict::Unknown => continue,
                };
                samples.with("probe_type", probe.kind.label()).flag(is_well);
            }
        },
    ),
    counter(
        "ncolony_prober_probe_total",
        "Probes by type and result: successful, failed, or unknown (could not be made, or mean nothing).",
        |samples, view| {
            for probe in &view.probes {
                let results = [("successful", probe.successful), ("failed", probe.failed), ("unknown", probe.unknown)];
                for (result, count) in results {
                    samples.with("probe_type", probe.kind.label()).with("result", result).count(count);
                }
            }
        },
    ),
    summary(
        "ncolony_prober_probe_duration_seconds",
        "How long probes took, by type, whatever came of them.",
        |samples, view| {
            for probe in &view.probes {
                let count = probe.successful + probe.failed + probe.unknown;
                samples.of("_sum").with("probe_type", probe.kind.label()).real(Some(probe.seconds));
                samples.of("_count").with("probe_type", probe.kind.label()).count(count);
            }
        },
    ),
    counter("ncolony_process_log_bytes_total", "Bytes read from stdout and stderr.", |samples, view| {
        streams(samples, view.log_bytes);
    }),
    counter("ncolony_process_log_dropped_bytes_total", "Bytes dropped because the sink was slow.", |samples, view| {
        streams(samples, view.log_dropped)
    }),
];

/// Families of a process that is run at times.
pub(super) const SCHEDULE: &[Family<ProcessView>] = &[
    counter("ncolony_schedule_runs_total", "Runs begun, and those that could not be.", |samples, view| {
        samples.count(view.starts + view.start_failures)
    }),
    counter(
        "ncolony_schedule_failures_total",
        "Runs that ended without success and were not asked to end, and those that could not be begun.",
        |samples, view| {
            let failed = |reason: &ExitReason| match reason {
                ExitReason::Completed | ExitReason::Requested => false,
                ExitReason::Error
                | ExitReason::Signal
                | ExitReason::Heartbeat
                | ExitReason::Oom
                | ExitReason::Probe
                | ExitReason::Deadline => true,
            };
            let ends = ExitReason::ALL.iter().zip(view.exits).filter(|(reason, _)| failed(reason));
            samples.count(view.start_failures + ends.map(|(_, exits)| exits).sum::<u64>());
        },
    ),
    gauge("ncolony_schedule_last_success_timestamp_seconds", "Unix time of the last success.", |samples, view| {
        samples.time(view.last_success);
    }),
    gauge(
        "ncolony_schedule_last_scheduled_timestamp_seconds",
        "Unix time for which the last run was begun.",
        |samples, view| samples.time(view.last_scheduled),
    ),
    gauge(
        "ncolony_schedule_lag_seconds",
        "How long after its scheduled time the last run was begun.",
        |samples, view| samples.real(view.lag),
    ),
    counter(
        "ncolony_schedule_missed_total",
        "Scheduled times for which no run was begun, counted when the next one is.",
        |samples, view| samples.count(view.missed),
    ),
    gauge(
        "ncolony_schedule_interval_seconds",
        "Configured interval, or the gap to the next calendar run.",
        |samples, view| samples.real(view.interval),
    ),
];

fn footprint(samples: &mut Samples<'_>, view: &ProcessView, value: fn(&Footprint) -> Option<u64>) {
    let footprint = view.usage.and_then(|usage| usage.footprint);
    if let Some(value) = footprint.as_ref().and_then(value) {
        samples.count(value);
    }
}

fn streams(samples: &mut Samples<'_>, bytes: [u64; 2]) {
    for (stream, bytes) in ["stdout", "stderr"].into_iter().zip(bytes) {
        samples.with("stream", stream).count(bytes);
    }
}
