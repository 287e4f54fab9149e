//! Specs, plain and by chance.

use std::path::PathBuf;
use std::time::Duration;

use super::random::Random;
use super::scales;
use super::timetable::every_minutes;
use crate::model::{
    Backoff, Concurrency, Fingerprint, Heartbeat, HttpGet, Kill, Name, PreStop, Probe, ProbeHandler, ProbeKind,
    ProcessSpec, Restart, RestartRule, Rhythm, RuleAction, RuleOperator, Schedule, Scheme, Signal, Stop,
};

pub(super) fn name_of(text: &str) -> Name {
    Name::parse(text).expect("a valid name")
}

/// A service with the usual settings.
pub(crate) fn plain() -> ProcessSpec {
    let backoff =
        Backoff { threshold: Duration::from_secs(10), initial: Duration::from_secs(1), max: Duration::from_secs(300) };
    ProcessSpec { readiness_gate: true, ..ProcessSpec::unknown(backoff, Duration::from_secs(10)) }
}

/// The spec after an edit; one in twenty changes nothing.
///
/// Of the schedules, this many in a hundred go by the wall clock.
pub(super) fn changed(
    mut spec: ProcessSpec,
    fingerprint: Fingerprint,
    random: &mut Random,
    calendars: u64,
) -> ProcessSpec {
    let seconds = |random: &mut Random, n: u64| Duration::from_millis(random.below(n * 1000));
    match random.below(30) {
        0 => return spec,
        1..=3 => {
            spec.born = fingerprint;
            spec.birth.limits.memory = random.chance(50).then_some(scales::LIMIT);
        }
        4..=6 => {
            spec.restart = random.pick(&[Restart::Always, Restart::OnFailure, Restart::Never]);
            spec.restart_rules = (0..random.below(3)).map(|_| rule(random)).collect();
        }
        7 | 8 => {
            let mut up_to = |most| if random.chance(20) { Duration::ZERO } else { seconds(random, most) };
            let [threshold, initial, more] = [20, 10, 100].map(&mut up_to);
            spec.backoff = Backoff { threshold, initial, max: initial + more };
        }
        9..=11 => {
            let kill = random.pick(&[Kill::Mixed, Kill::Group]);
            let pre_stop = if random.chance(50) { Some(hook(random)) } else { None };
            spec.post_start = random.chance(30).then(Vec::new);
            spec.stop = Stop { signal: random.pick(&stop_signals()), grace: random.span(30_000), kill, pre_stop };
        }
        12..=14 => {
            let rhythm = match random.chance(calendars) {
                true => Rhythm::Calendar(every_minutes(random.pick(&[1, 2, 5, 15]))),
                false => Rhythm::Every(Duration::from_millis(500 + random.below(60_000))),
            };
            let concurrency = random.pick(&[Concurrency::Forbid, Concurrency::Replace]);
            let starting_deadline = random.chance(30).then(|| Duration::from_millis(1000 + random.below(200_000)));
            let starting_deadline = starting_deadline.filter(|_| matches!(rhythm, Rhythm::Calendar(_)));
            spec.schedule = random.chance(70).then_some(Schedule { rhythm, concurrency, starting_deadline });
        }
        15..=17 => {
            let period = Duration::from_millis(20 + random.below(30_000));
            let grace = random.pick(&[0.0, 1.0, 3.0, 10.5]);
            let heartbeat = Heartbeat { period, grace, file: PathBuf::new() };
            spec.heartbeat = random.chance(80).then_some(heartbeat);
        }
        18 | 19 => {
            let deadline = Duration::from_millis(1 + random.below(60_000));
            spec.active_deadline = random.chance(70).then_some(deadline);
        }
        20..=25 => probes(&mut spec, random),
        _ => spec.suspend = !spec.suspend && random.chance(50),
    }
    spec.whole = fingerprint;
    spec
}

/// One probe is another, or there is one more or less.
fn probes(spec: &mut ProcessSpec, random: &mut Random) {
    let kind = random.pick(&ProbeKind::ALL);
    let before = spec.probes.iter().position(|probe| probe.kind == kind).map(|at| spec.probes.remove(at));
    match before {
        Some(before) if random.chance(30) => {
            spec.probes.push(Probe { failure_threshold: 1 + random.below(4) as u32, ..before });
        }
        Some(_) if random.chance(40) => {}
        Some(_) | None => spec.probes.push(probe(kind, random)),
    }
    spec.probes.sort_by_key(|probe| probe.kind);
}

fn probe(kind: ProbeKind, random: &mut Random) -> Probe {
    let active = ProbeHandler::Grpc { port: 1, service: String::new() };
    Probe {
        kind,
        handler: if random.chance(35) { ProbeHandler::Notify } else { active },
        initial_delay: random.span(20_000),
        period: Duration::from_millis(50 + random.below(20_000)),
        timeout: Duration::from_millis(1 + random.below(5_000)),
        success_threshold: if kind == ProbeKind::Readiness { 1 + random.below(3) as u32 } else { 1 },
        failure_threshold: 1 + random.below(4) as u32,
        grace: (kind != ProbeKind::Readiness && random.chance(50)).then(|| random.span(40_000)),
    }
}

/// What is done before the stop signal.
fn hook(random: &mut Random) -> PreStop {
    match random.below(3) {
        0 => PreStop::Exec(Vec::new()),
        1 => PreStop::HttpGet(HttpGet {
            scheme: Scheme::Http,
            host: String::new(),
            port: 80,
            path: "/".into(),
            headers: Vec::new(),
        }),
        _ => PreStop::Sleep(random.span(20_000)),
    }
}

/// About some of the ends that are common here.
fn rule(random: &mut Random) -> RestartRule {
    let operator = random.pick(&[RuleOperator::In, RuleOperator::NotIn]);
    let codes = (0..=random.below(3)).map(|_| random.pick(&[0, 0, 1, 42, 128 + 9, 128 + 15, 255])).collect();
    RestartRule { action: RuleAction::Restart, operator, codes }
}

/// The signals that specs name as theirs to end by.
fn stop_signals() -> [Signal; 4] {
    [Signal::TERM, Signal::TERM, Signal::KILL, Signal::from_raw(40).expect("a real-time signal")]
}
