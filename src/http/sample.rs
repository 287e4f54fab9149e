//! A colony to try things on.

use std::time::Duration;

use crate::model::{
    Account, ConfigView, Event, ExitReason, Moment, Name, Phase, ProcessEvent, ProcessView, Reason, Snapshot, Stamp,
    State, Wall, WatchView,
};

/// Ten minutes after the colony began.
const NOW: Wall = Wall::from_nanos(1_790_000_600_250_000_000);

/// So many seconds before the snapshot was taken.
pub(super) fn ago(seconds: u64) -> Wall {
    Wall::from_nanos(1_790_000_600_250_000_000 - seconds * 1_000_000_000)
}

/// So many seconds after it.
pub(super) fn ahead(seconds: u64) -> Wall {
    NOW.plus(Duration::from_secs(seconds))
}

/// A colony at work, in good order.
pub(super) fn colony(processes: Vec<ProcessView>) -> Snapshot {
    Snapshot {
        taken: Stamp { at: Moment::from_nanos(700_000_000_000), wall: NOW },
        phase: Phase::Running,
        started: ago(600),
        reconciled: Some(Moment::from_nanos(699_000_000_000)),
        processes,
        config: ConfigView {
            dir: "/etc/ncolony/processes".to_string(),
            dir_error: None,
            errors: Vec::new(),
            empty: Vec::new(),
            loaded: Some(ago(1)),
            generation: 3,
            trusted_uids: None,
        },
        watch: WatchView { active: true },
        checks: Vec::new(),
        strays: 0,
        sampled: None,
    }
}

/// A process that runs, ready.
pub(super) fn process(name: &str) -> ProcessView {
    ProcessView {
        name: Name::parse(name).expect("a good name"),
        state: State::Running,
        reason: "",
        message: String::new(),
        waits_for: Vec::new(),
        status: String::new(),
        scheduled: false,
        last_scheduled: None,
        missed: 0,
        lag: None,
        task: false,
        generation: 1,
        observed_generation: 1,
        desired: true,
        up: true,
        ready: true,
        has_started: true,
        rests: false,
        gate: true,
        pid: Some(42),
        started: Some(ago(300)),
        uptime: Some(300.0),
        starts: 1,
        restarts: 0,
        start_failures: 0,
        exits: [0; ExitReason::ALL.len()],
        last_end: None,
        restart_delay: 0.0,
        next_start: None,
        ending: None,
        interval: None,
        last_success: None,
        kills: 0,
        memory_limit: None,
        heartbeat: None,
        probes: Vec::new(),
        log_bytes: [0, 0],
        log_dropped: [0, 0],
        usage: None,
        file: format!("{name}.yaml"),
        config_hash: 0xc0ffee,
        user: Some(Account::Id(1000)),
        file_error: None,
        spec: None,
    }
}

/// Something that happened to it: first ten minutes before the snapshot was taken, last two.
pub(super) fn event(process: &str, reason: Reason, message: &str, count: u32) -> ProcessEvent {
    let event = Event { reason, message: message.to_string().into(), count, first: ago(600), last: ago(120) };
    ProcessEvent { process: Name::parse(process).expect("a good name"), event }
}
