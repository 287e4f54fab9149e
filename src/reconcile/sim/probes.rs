//! Probes, simulated, and what must hold of them.

use std::time::Duration;

use super::health::{Told, failed, is_asked};
use super::history::History;
use super::machine::World;
use crate::model::{Incarnation, Moment, Name, Probe, ProbeHandler, ProbeKind, ProbeResult, ProbeVerdict, ProcessView};
use crate::{Fact, Life, PostStart, Record, Why};

/// A probe under way.
pub(super) struct Asking {
    run: Incarnation,
    kind: ProbeKind,
    asked_at: Moment,
    pub(super) answer_at: Moment,
    result: ProbeResult,
}

impl World {
    pub(super) fn begin_probe(&mut self, name: &Name, id: Incarnation, kind: ProbeKind) {
        self.record(kind.as_str(), name, None, id.get());
        let unfit = self.unfit_to_be_asked(name, id, kind);
        self.check(unfit.is_none(), || format!("the {} of {name} run {id}: {}", kind.as_str(), unfit.unwrap_or("")));
        let Some(probe) = self.run(id).health.book(kind).map(|book| book.probe.clone()) else { return };
        let (now, is_well) = (self.now.at, self.run(id).health.is_well(self.now.at));
        let (takes, result) = self.outcome(&probe, is_well);
        self.tell(|| format!("{} of {name} run {id}: {result:?} after {takes:?}", kind.as_str()));
        // One from before an edit is of no more interest.
        self.askings.retain(|asking| (asking.run, asking.kind) != (id, kind));
        self.askings.push(Asking { run: id, kind, asked_at: now, answer_at: now + takes, result });
        if let Some(book) = self.run_mut(id).health.book_mut(kind) {
            (book.begun_at, book.is_under_way) = (Some(now), true);
        }
    }

    /// Why it must not be asked that now.
    fn unfit_to_be_asked(&self, name: &Name, id: Incarnation, kind: ProbeKind) -> Option<&'static str> {
        let run = self.run(id);
        let Some(book) = run.health.book(kind) else { return Some("it has none") };
        let is_wanted = self.desired.processes.contains_key(name);
        if run.name != *name || run.inherited || run.ending_at.is_some() || run.exit_told || !is_wanted {
            return Some("it is not to run");
        }
        if !is_asked(run, kind) {
            return Some("it is too early, or too late, for such a question");
        }
        if failed(run).is_some() {
            return Some("it is to be ended");
        }
        if book.is_under_way {
            return Some("one is under way");
        }
        (self.now.at < book.due(run, self.stalled_at)).then_some("it is not due")
    }

    /// What comes of a probe, and after how long.
    fn outcome(&mut self, probe: &Probe, is_well: bool) -> (Duration, ProbeResult) {
        let timeout = probe.timeout.as_millis() as u64;
        let temper = self.temper;
        let random = &mut self.random;
        if random.chance(temper.probe_unknown) {
            return (random.span(2 * timeout), ProbeResult::Unmade("no such program".into()));
        }
        let is_well = is_well && !random.chance(temper.probe_fails);
        let refused = || ProbeResult::Failure("refused".into());
        match (is_well, probe.handler.is_passive(), random.chance(temper.probe_hangs)) {
            (true, true, _) => (Duration::ZERO, ProbeResult::Success),
            (false, true, _) => (Duration::ZERO, refused()),
            (_, false, true) => (probe.timeout, ProbeResult::Failure("no answer".into())),
            (true, false, false) if random.chance(temper.probe_lasts) => (random.span(timeout), ProbeResult::Success),
            (true, false, false) => (Duration::ZERO, ProbeResult::Success),
            (false, false, false) => (Duration::ZERO, refused()),
        }
    }

    /// Whether a run may be ended for this probe.
    pub(super) fn has_failed(&self, id: Incarnation, kind: ProbeKind) -> bool {
        let run = self.run(id);
        kind != ProbeKind::Readiness && is_asked(run, kind) && run.health.verdict(kind) == Some(false)
    }

    /// From the beginning of a run's end to SIGKILL: the probe's own for what a probe ends, but for what is not wanted at
    /// all never more than the process's.
    pub(super) fn grace(&self, id: Incarnation, why: Option<Why>) -> Duration {
        let run = self.run(id);
        let own = run.spec.stop.grace;
        let of_probe = match why {
            Some(Why::ProbeFailed(kind)) => run.spec.probes.iter().find(|probe| probe.kind == kind),
            Some(_) | None => None,
        };
        match of_probe.and_then(|probe| probe.grace) {
            Some(grace) if self.desired.processes.contains_key(&run.name) => grace,
            Some(grace) => grace.min(own),
            None => own,
        }
    }

    pub(super) fn next_answer(&self) -> Moment {
        self.askings.iter().map(|asking| asking.answer_at).min().unwrap_or(Moment::NEVER)
    }
}

impl History {
    pub(super) fn answer_probes(&mut self) {
        let now = self.now();
        let askings = std::mem::take(&mut self.world.askings);
        let (come, out): (Vec<Asking>, Vec<Asking>) = askings.into_iter().partition(|asking| asking.answer_at <= now);
        self.world.askings = out;
        for Asking { run: id, kind, asked_at, result, .. } in come {
            let stalled_at = self.world.stalled_at;
            // What was under way while nobody was there to wait for it has not failed.
            let has_failed = matches!(result, ProbeResult::Failure(_)) && asked_at >= stalled_at;
            let shown = (has_failed || result == ProbeResult::Success).then_some(!has_failed);
            let (name, took) = (self.world.run(id).name.clone(), now.since(asked_at));
            self.world.tell(|| format!("{} of {name} run {id} is over: {shown:?}", kind.as_str()));
            if self.world.run_mut(id).takes(kind, shown, now) {
                let (count, lasted) = &mut self.world.ledger(&name).probes[kind as usize];
                count[shown.map_or(2, |well| if well { 0 } else { 1 })] += 1;
                *lasted += took;
            }
            self.fold(Fact::Probed(name, id, kind, result, took));
        }
    }

    /// A run says how it is.
    pub(super) fn says(&mut self, of: usize, kind: ProbeKind, well: Option<bool>) {
        let (id, now) = (World::id(of), self.now());
        let name = self.world.run(id).name.clone();
        self.world.tell(|| format!("{name} run {id} says of its {}: {well:?}", kind.as_str()));
        let run = self.world.run_mut(id);
        let listens = run.health.book(kind).is_some_and(|book| book.probe.handler == ProbeHandler::Notify);
        if let Some(well) = well.filter(|_| !run.empty_told && listens) {
            run.health.hears(kind, Told::Said(well), now);
        }
        let result = match well {
            Some(true) => ProbeResult::Success,
            Some(false) => ProbeResult::Failure("it says so".into()),
            None => ProbeResult::Unknown,
        };
        self.fold(Fact::Told(name, id, kind, result));
    }

    /// What nobody has asked, or was answered already, is told.
    pub(super) fn answer_unasked(&mut self, of: usize) {
        let (id, name) = (World::id(of), self.world.runs[of].name.clone());
        for kind in ProbeKind::ALL {
            let run = self.world.run(id);
            if run.empty_told || run.health.book(kind).is_none_or(|book| !book.is_under_way) {
                let result = ProbeResult::Failure("unasked".into());
                self.fold(Fact::Probed(name.clone(), id, kind, result, Duration::from_secs(1)));
            }
            if self.world.run(id).empty_told {
                self.fold(Fact::Probing(name.clone(), id, kind));
                self.fold(Fact::Told(name.clone(), id, kind, ProbeResult::Failure("late".into())));
            }
        }
    }
}

/// Nothing is left to do now: so no run that is up and as it is wanted has failed, and each question that may be asked is,
/// or waits for its time.
pub(super) fn all_is_asked_in_time(world: &mut World, name: &Name, id: Incarnation, filed: Option<Moment>) {
    let now = world.now.at;
    let run = world.run(id);
    let (has_failed, stalled_at) = (failed(run), world.stalled_at);
    let open = run.health.books.iter().filter(|book| is_asked(run, book.probe.kind) && !book.is_under_way);
    let due = open.map(|book| (book.due(run, stalled_at), book.probe.kind)).min();
    world.check(has_failed.is_none(), || format!("{name} run {id} is up, and of its probes failed: {has_failed:?}"));
    let is_filed = due.is_none_or(|(due, _)| due > now && (due == Moment::NEVER || filed.is_some_and(|at| at <= due)));
    world.check(is_filed, || format!("{name} run {id} is to be asked at {due:?}, and is filed for {filed:?}"));
}

/// A run that is not well is ended in time: so many probes, each of which waits for a wake-up that was lost, and one more.
pub(super) fn who_ails_is_ended(world: &mut World, name: &Name, id: Incarnation, tick: Duration) {
    let now = world.now.at;
    let run = world.run(id);
    let Some(ails_since) = run.health.ails_since(now) else { return };
    let late = run.health.books.iter().filter(|book| is_asked(run, book.probe.kind)).find_map(|book| {
        let kind = Some(book.probe.kind).filter(|kind| *kind != ProbeKind::Readiness)?;
        let spoke_well = book.told.iter().rev().find(|(_, told)| matches!(told, Told::Shown(true) | Told::Said(_)));
        let begins = [
            ails_since,
            book.first(run.since),
            run.health.started_at.unwrap_or(Moment::ZERO),
            run.health.warm_at,
            run.health.edited_at,
            spoke_well.map_or(Moment::ZERO, |(at, _)| *at),
            world.stalled_at,
        ];
        let from = begins.into_iter().max().unwrap_or(now);
        let unknown = book.unknown.iter().filter(|at| **at >= from).count() as u32;
        let round = book.probe.period.max(book.probe.timeout * 2) + tick;
        let by = from + round * (book.probe.failure_threshold + 2 + unknown);
        (by < now).then_some((kind, from, by))
    });
    world.check(late.is_none(), || format!("{name} run {id} is not well, and not ended by its probes: {late:?}"));
}

/// What was counted is what was told.
pub(super) fn they_are_counted_right(world: &mut World, name: &Name, record: &Record) {
    let Some(ledger) = world.ledgers.get(name) else { return };
    let (probes, tallies) = (ledger.probes, &record.tally.probes);
    for kind in ProbeKind::ALL {
        let found = tallies.iter().find(|tally| tally.kind == kind);
        let found = found.map(|tally| ([tally.successful, tally.failed, tally.unknown], tally.took));
        let expected = Some(probes[kind as usize]).filter(|(counts, _)| counts.iter().sum::<u64>() > 0);
        world.check(found == expected, || format!("{name}: {kind:?} is counted as {found:?}, and it was {expected:?}"));
    }
}

/// What outsiders are shown is what was told.
pub(super) fn they_are_shown_right(world: &mut World, view: &ProcessView, record: &Record) {
    let name = &view.name;
    let run = record.life.run().map(|run| world.run(run.id));
    let wrong = view.probes.iter().find(|probe| {
        let expected = match run.and_then(|run| run.health.verdict(probe.kind)) {
            Some(true) => ProbeVerdict::Success,
            Some(false) => ProbeVerdict::Failure,
            None => ProbeVerdict::Unknown,
        };
        probe.verdict != expected
    });
    let wrong = wrong.cloned();
    let is_right = match (&record.life, run) {
        (Life::Up(_), Some(run)) => {
            let begun = !run.inherited && run.post_start == PostStart::Done && run.health.started_at.is_some();
            // One whose heart has stopped may be held, and is not ready.
            view.has_started == begun && (!view.ready || (run.is_well() && !run.inherited))
        }
        (_, _) => true,
    };
    world.check(wrong.is_none(), || format!("{name} is shown with {wrong:?}"));
    world.check(is_right, || format!("{name} is shown as ready: {}, started: {}", view.ready, view.has_started));
}
