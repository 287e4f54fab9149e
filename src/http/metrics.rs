//! `/metrics`: what a snapshot tells, then what the other rooms count, then the monitor's own process; piece by piece, as
//! the client takes them, so that neither the loop waits for the whole nor memory holds it.
//!
//! The families of the first part are made anew from each snapshot, so that none outlives its process.

use hyper::body::Bytes;
use prometheus::{Registry, TextEncoder};

use super::exposition::{self, Family, subject};
use super::families::{COLONY, PROCESS, SCHEDULE};
use super::monitor;
use crate::model::{ProcessView, Snapshot};

/// Prometheus 3 refuses a scrape without it.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A piece is about so long: some 100 µs of work, which is how long an exit may have to wait for it.
const PIECE: usize = 96 * 1024;

/// An exposition in pieces.
pub(super) struct Exposition {
    snapshot: Snapshot,
    registry: Registry,
    /// The label of each process, escaped once and not once a sample.
    labels: Vec<Vec<u8>>,
    part: usize,
    /// How many processes the present part is done with.
    done: usize,
    /// Whether the present part has been mentioned.
    is_headed: bool,
}

/// What an exposition consists of.
#[derive(Clone, Copy)]
enum Part {
    Colony(&'static Family<Snapshot>),
    Process(&'static Family<ProcessView>),
    Schedule(&'static Family<ProcessView>),
    Counted,
    Monitor,
}

impl Exposition {
    pub(super) fn new(snapshot: Snapshot, registry: Registry) -> Exposition {
        let labels = snapshot.processes.iter().map(|view| subject("process", view.name.as_str())).collect();
        Exposition { snapshot, registry, labels, part: 0, done: 0, is_headed: false }
    }

    /// Writes of a part as much as the piece has room for. Says whether that was all.
    fn write(&mut self, part: Part, text: &mut Vec<u8>) -> bool {
        match part {
            Part::Colony(family) => family.write(text, &mut self.is_headed, exposition::COLONY, &self.snapshot),
            Part::Process(_) | Part::Schedule(_) => return self.write_processes(part, text),
            Part::Counted => counted(text, &self.registry),
            Part::Monitor => monitor::write(text, self.snapshot.started),
        }
        true
    }

    fn write_processes(&mut self, part: Part, text: &mut Vec<u8>) -> bool {
        while let Some(view) = self.snapshot.processes.get(self.done) {
            if text.len() >= PIECE {
                return false;
            }
            match part {
                Part::Process(family) => family.write(text, &mut self.is_headed, &self.labels[self.done], view),
                Part::Schedule(family) if view.scheduled => {
                    family.write(text, &mut self.is_headed, &subject("schedule", view.name.as_str()), view);
                }
                Part::Schedule(_) | Part::Colony(_) | Part::Counted | Part::Monitor => {}
            }
            self.done += 1;
        }
        true
    }
}

impl Iterator for Exposition {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut text = Vec::with_capacity(PIECE + 4096);
        while text.len() < PIECE
            && let Some(part) = Part::at(self.part)
        {
            if self.write(part, &mut text) {
                (self.part, self.done, self.is_headed) = (self.part + 1, 0, false);
            }
        }
        (!text.is_empty()).then(|| Bytes::from(text))
    }
}

impl Part {
    fn at(index: usize) -> Option<Part> {
        let colony = COLONY.iter().map(Part::Colony);
        let processes = PROCESS.iter().map(Part::Process).chain(SCHEDULE.iter().map(Part::Schedule));
        colony.chain(processes).chain([Part::Counted, Part::Monitor]).nth(index)
    }
}

/// Appends what the registry holds: all of it, or nothing.
fn counted(text: &mut Vec<u8>, registry: &Registry) {
    let mut families = String::new();
    match TextEncoder::new().encode_utf8(&registry.gather(), &mut families) {
        Ok(()) => text.extend_from_slice(families.as_bytes()),
        Err(error) => tracing::warn!(%error, "/metrics lacks the registered metrics"),
    }
}
#[cfg(test)]
mod tests {
    use prometheus::{IntCounter, Registry};

    use super::{Exposition, PIECE};
    use crate::model::{
        Account, Check, CpuTime, EndView, Exit, ExitReason, FileError, Footprint, HeartbeatView, ProbeKind,
        ProbeVerdict, ProbeView, ProcessView, Signal, Snapshot, State, Usage,
    };
    use crate::sample::{ago, ahead, colony, process};

    fn probe(kind: ProbeKind, verdict: ProbeVerdict) -> ProbeView {
        ProbeView {
            kind,
            verdict,
            unmade: None,
            why: None,
            successful: 7,
            failed: 3,
            unknown: 1,
            seconds: 0.125,
            failing_since: None,
            next: None,
        }
    }

    fn crashing() -> ProcessView {
        let exit = Exit::Killed { signal: Signal::KILL, core_dumped: false };
        ProcessView {
            state: State::Backoff,
            reason: "CrashLoopBackOff",
            up: false,
            ready: false,
            generation: 2,
            starts: 4,
            restarts: 3,
            start_failures: 1,
            exits: [0, 2, 1, 1, 3, 0, 0, 0],
            last_end: Some(EndView { exit, reason: ExitReason::Signal, at: ago(2), lasted: 0.25 }),
            restart_delay: 8.0,
            user: Some(Account::Name("www-\"data\"".to_string())),
            next_start: Some(ahead(6)),
            kills: 1,
            memory_limit: Some(128 << 20),
            usage: Some(Usage {
                cpu: CpuTime { user: 1_250_000, system: 40_000 },
                footprint: Some(Footprint {
                    resident: 5 << 20,
                    working_set: Some(6 << 20),
                    threads: 3,
                    open_fds: Some(17),
                }),
            }),
            heartbeat: Some(HeartbeatView { last: Some(ago(3)), timeout: 30.0, misses: 1 }),
            probes: vec![
                probe(ProbeKind::Liveness, ProbeVerdict::Failure),
                probe(ProbeKind::Startup, ProbeVerdict::Unknown),
            ],
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
            lag: Some(1.25),
            usage: Some(Usage { cpu: CpuTime { user: 90_000_000, system: 0 }, footprint: None }),
            starts: 9,
            start_failures: 1,
            exits: [4, 1, 1, 0, 0, 0, 1, 2],
            last_success: Some(ago(3540)),
            ..process("nightly")
        }
    }

    fn troubled() -> Snapshot {
        let mut snapshot = colony(vec![crashing(), scheduled(), ProcessView { task: true, ..process("once") }]);
        snapshot.config.errors.push(FileError { file: "x.yaml".to_string(), summary: "x.yaml:1:1: bad".to_string() });
        snapshot.watch.active = false;
        snapshot.strays = 2;
        snapshot.sampled = Some(ago(2));
        let check = |name, trouble| Check { name, trouble, gates: false };
        snapshot.checks = vec![check("journal", Some("the disk is full".to_string())), check("watch", None)];
        snapshot
    }

    fn pieces(snapshot: &Snapshot, registry: &Registry) -> Vec<String> {
        let pieces = Exposition::new(snapshot.clone(), registry.clone());
        pieces.map(|piece| String::from_utf8(piece.to_vec()).expect("UTF-8")).collect()
    }

    fn render(snapshot: &Snapshot, registry: &Registry) -> String {
        pieces(snapshot, registry).concat()
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
        let golden = golden.replace("RUSTC", env!("NCOLONY_RUSTC"));
        for (got, expected) in of_the_colony.lines().zip(golden.lines()) {
            assert_eq!(got, expected);
        }
        assert_eq!(of_the_colony, golden);
    }

    // W08
    #[test]
    fn a_thousand_processes_are_rendered_in_small_pieces_of_which_each_family_is_whole() {
        let views =
            (0..1000).map(|n| ProcessView { scheduled: n % 2 == 0, ..process(&format!("process-{n}")) }).collect();
        let pieces = pieces(&colony(views), &Registry::new());
        assert!(pieces.len() > 20, "{}", pieces.len());
        for piece in &pieces {
            assert!(piece.len() < PIECE + 4096 && piece.ends_with('\n'), "{}", piece.len());
        }
        let text = pieces.concat();
        assert!(text.len() < 4_000_000, "{}", text.len());
        for (start, samples) in
            [("ncolony_process_up{", 1000), ("ncolony_process_state{", 8000), ("ncolony_schedule_runs_total{", 500)]
        {
            assert_eq!(text.lines().filter(|line| line.starts_with(start)).count(), samples, "{start}");
        }
        let mut heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let all = heads.len();
        heads.dedup();
        assert_eq!(heads.len(), all, "a family is mentioned once");
    }

    // W09
    #[test]
    fn no_series_outlives_its_process() {
        let registry = registry();
        assert!(render(&troubled(), &registry).contains("once"));
        assert!(!render(&colony(Vec::new()), &registry).contains("once"));
    }
}
