//! Probes, as the kubelet has them (`pkg/kubelet/prober/worker.go`): the first one after the initial delay, then one each
//! period; so many equal results in a row make a verdict; until the startup probe has succeeded once there are no others,
//! and none at all until postStart is done; a run whose startup or liveness probe has failed is ended, and not asked again.
//! What follows is what follows a crash, code 0 or not: the back-off, and no other run where `restartPolicy` is `Never`,
//! whose process has then failed for good.
//!
//! Three things differ. A probe comes at the initial delay, not at the first full period after it. What only listens
//! (`heartbeat`, `notify`) gives a process one whole period before it counts anything, also after the monitor itself did
//! not run; and a failure of what was under way while it did not is none, though those that were told before it are. And
//! probes may be edited: one that is not the same begins anew, its initial delay counted from the run's start as ever, and
//! leaves a ready run ready until it has shown something else.

use std::sync::Arc;
use std::time::Duration;

use super::hooks::PostStart;
use super::record::{Record, Run};
use crate::model::{Moment, Probe, ProbeHandler, ProbeKind, ProbeResult, ProbeVerdict, ProcessSpec};

/// What is known of a run by one of its probes.
#[derive(Clone, Debug)]
pub struct Probing {
    /// Which one.
    pub kind: ProbeKind,
    /// By the thresholds.
    pub verdict: ProbeVerdict,
    /// Why the last one that failed did.
    pub why: Option<Arc<str>>,
    /// Why the last one could not be made, if it could not.
    pub unmade: Option<Arc<str>>,
    /// When the next is due.
    pub(super) due: Moment,
    /// Since when one is under way.
    asked_at: Option<Moment>,
    /// What the last one showed, and how many have in a row.
    streak: Option<(bool, u32)>,
    /// Since when all that it has shown were failures, if the last was.
    pub(super) failing: Option<Moment>,
}

/// What the probes of one kind of a process have shown, all its runs together.
#[derive(Clone, Debug)]
pub struct ProbeTally {
    /// Which.
    pub kind: ProbeKind,
    /// How many succeeded.
    pub successful: u64,
    /// How many failed.
    pub failed: u64,
    /// How many could not be made, or mean nothing.
    pub unknown: u64,
    /// How long all of them together took.
    pub took: Duration,
}

/// What a run's probes ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Probed {
    /// It is to be ended for this one.
    Failed(ProbeKind),
    /// It is to be asked.
    Due(ProbeKind),
    /// Nothing, before that moment.
    Wait(Moment),
}

/// Judges a run by its probes. A verdict comes first; of what is due, what has been due for longest.
pub(super) fn judge(run: &Run, stalled_at: Option<Moment>, now: Moment) -> Probed {
    let asked = || pairs(run).filter(|(probe, _)| is_asked(run, probe.kind));
    let has_failed = |(probe, probing): &(&Probe, &Probing)| {
        probe.kind != ProbeKind::Readiness && probing.verdict == ProbeVerdict::Failure
    };
    if let Some((probe, _)) = asked().find(has_failed) {
        return Probed::Failed(probe.kind);
    }
    let open = asked().filter(|(_, probing)| probing.asked_at.is_none());
    match open.map(|(probe, probing)| (due(probe, probing, stalled_at), probe.kind)).min() {
        Some((due, kind)) if due <= now => Probed::Due(kind),
        Some((due, _)) => Probed::Wait(due),
        None => Probed::Wait(Moment::NEVER),
    }
}

/// Whether a run has started, and is ready, by its probes.
pub(super) fn is_ready(run: &Run) -> bool {
    run.has_started && unready(run).is_none()
}

/// The readiness probe of a run, if it has not succeeded.
pub(super) fn unready(run: &Run) -> Option<&Probing> {
    run.probing.iter().find(|probing| probing.kind == ProbeKind::Readiness && probing.verdict != ProbeVerdict::Success)
}

/// Startup comes first, and alone; and before it what is done right after the start.
pub(super) fn is_asked(run: &Run, kind: ProbeKind) -> bool {
    run.post_start == PostStart::Done && (kind == ProbeKind::Startup) != run.has_started
}

fn pairs(run: &Run) -> impl Iterator<Item = (&Probe, &Probing)> {
    run.spec.probes.iter().zip(&run.probing)
}

fn due(probe: &Probe, probing: &Probing, stalled_at: Option<Moment>) -> Moment {
    match (probe.handler.is_passive(), stalled_at) {
        (true, Some(stalled_at)) => probing.due.max(stalled_at + probe.period),
        (true, None) | (false, _) => probing.due,
    }
}

/// What is known of a run by its probes at its start.
pub(super) fn begin(spec: &ProcessSpec, now: Moment) -> Vec<Probing> {
    spec.probes.iter().map(|probe| Probing::new(probe, now, now)).collect()
}

/// Whether a run counts as started from its beginning.
pub(super) fn starts_at_once(spec: &ProcessSpec) -> bool {
    spec.probes.iter().all(|probe| probe.kind != ProbeKind::Startup)
}

impl Probing {
    /// Of a run that began at `since`.
    fn new(probe: &Probe, since: Moment, now: Moment) -> Probing {
        let first = (since + probe.initial_delay).max(now);
        let due = if probe.handler.is_passive() { first + probe.period } else { first };
        let verdict = ProbeVerdict::Unknown;
        Probing { kind: probe.kind, verdict, why: None, unmade: None, due, asked_at: None, streak: None, failing: None }
    }

    /// One more result. The verdict changes when so many in a row agree.
    fn count(&mut self, probe: &Probe, success: bool, now: Moment) {
        self.fails(!success, now);
        self.unmade = None;
        let before = self.streak.filter(|(last, _)| *last == success).map_or(0, |(_, times)| times);
        let times = before.saturating_add(1);
        self.streak = Some((success, times));
        let (threshold, verdict) = match success {
            true => (probe.success_threshold, ProbeVerdict::Success),
            false => (probe.failure_threshold, ProbeVerdict::Failure),
        };
        if times >= threshold {
            self.verdict = verdict;
        }
    }

    fn fails(&mut self, does: bool, now: Moment) {
        self.failing = does.then(|| self.failing.unwrap_or(now));
    }
}

/// From now on more is asked than before: what only listens gives a whole period.
fn listen_anew(probes: &[Probe], probing: &mut [Probing], now: Moment) {
    for (probe, probing) in probes.iter().zip(probing) {
        if probe.handler.is_passive() {
            probing.due = probing.due.max(now + probe.period);
        }
    }
}

impl Run {
    /// What is done right after its start is done.
    pub(super) fn is_asked_from(&mut self, now: Moment) {
        listen_anew(&self.spec.probes, &mut self.probing, now);
    }

    /// Another spec governs it: a probe that is not the same begins anew. What was known of its readiness holds until more is.
    pub(super) fn probe_as(&mut self, spec: &ProcessSpec, now: Moment) {
        let (before, since) = (std::mem::take(&mut self.probing), self.since.at);
        let kept = |probe: &Probe| {
            let at = self.spec.probes.iter().position(|old| old.kind == probe.kind)?;
            Some((self.spec.probes[at] == *probe, before.get(at)?))
        };
        let after = spec.probes.iter().map(|probe| match kept(probe) {
            Some((true, probing)) => probing.clone(),
            Some((false, Probing { verdict: verdict @ ProbeVerdict::Success, .. })) => {
                Probing { verdict: *verdict, ..Probing::new(probe, since, now) }
            }
            Some((false, _)) | None => Probing::new(probe, since, now),
        });
        self.probing = after.collect();
        if !self.has_started && starts_at_once(spec) {
            self.has_started = true;
            listen_anew(&spec.probes, &mut self.probing, now);
        }
    }

    fn started_up(&mut self, now: Moment) {
        if !self.has_started {
            self.has_started = true;
            listen_anew(&self.spec.probes, &mut self.probing, now);
        }
    }

    fn probing_mut(&mut self, kind: ProbeKind) -> Option<(&Probe, &mut Probing)> {
        self.spec.probes.iter().zip(&mut self.probing).find(|(probe, _)| probe.kind == kind)
    }
}

impl Record {
    /// A probe is under way.
    pub(super) fn probing(&mut self, kind: ProbeKind, now: Moment) {
        if let Some((_, probing)) = self.life.run_mut().and_then(|run| run.probing_mut(kind)) {
            probing.asked_at = Some(now);
        }
    }

    /// It is over. What was under way while the monitor did not run means nothing.
    pub(super) fn probed(
        &mut self,
        kind: ProbeKind,
        result: ProbeResult,
        took: Duration,
        stalled_at: Option<Moment>,
        now: Moment,
    ) {
        let Some(run) = self.life.run_mut() else { return };
        let Some((probe, probing)) = run.probing_mut(kind) else { return };
        let Some(asked_at) = probing.asked_at.take() else { return };
        probing.due = asked_at + probe.period;
        let is_late = matches!(result, ProbeResult::Failure(_)) && stalled_at.is_some_and(|at| asked_at < at);
        let result = if is_late { ProbeResult::Unknown } else { result };
        match &result {
            ProbeResult::Success => probing.count(probe, true, now),
            ProbeResult::Failure(why) => {
                probing.why = Some(Arc::clone(why));
                probing.count(probe, false, now);
            }
            ProbeResult::Unmade(why) => probing.unmade = Some(Arc::clone(why)),
            ProbeResult::Unknown => {}
        }
        if kind == ProbeKind::Startup && probing.verdict == ProbeVerdict::Success {
            run.started_up(now);
        }
        self.tally_probe(kind, &result, took);
    }

    /// The process itself says what the verdict is.
    pub(super) fn told(&mut self, kind: ProbeKind, result: &ProbeResult, now: Moment) {
        let Some(run) = self.life.run_mut() else { return };
        let Some((probe, probing)) = run.probing_mut(kind) else { return };
        if probe.handler != ProbeHandler::Notify {
            // It says so, and nobody listens.
            return;
        }
        match result {
            ProbeResult::Success => {
                probing.verdict = ProbeVerdict::Success;
                probing.fails(false, now);
            }
            ProbeResult::Failure(why) => {
                probing.fails(true, now);
                (probing.verdict, probing.why) = (ProbeVerdict::Failure, Some(Arc::clone(why)));
            }
            ProbeResult::Unmade(_) | ProbeResult::Unknown => return,
        }
        probing.streak = None;
        if kind == ProbeKind::Startup && probing.verdict == ProbeVerdict::Success {
            run.started_up(now);
        }
    }

    fn tally_probe(&mut self, kind: ProbeKind, result: &ProbeResult, took: Duration) {
        let tallies = &mut self.tally.probes;
        let at = tallies.iter().position(|tally| tally.kind == kind).unwrap_or_else(|| {
            tallies.push(ProbeTally { kind, successful: 0, failed: 0, unknown: 0, took: Duration::ZERO });
            tallies.len() - 1
        });
        let tally = &mut tallies[at];
        match result {
            ProbeResult::Success => tally.successful += 1,
            ProbeResult::Failure(_) => tally.failed += 1,
            ProbeResult::Unmade(_) | ProbeResult::Unknown => tally.unknown += 1,
        }
        tally.took += took;
    }
}
