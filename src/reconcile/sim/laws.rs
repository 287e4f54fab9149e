//! What must hold after every turn. What must hold at an order is in the machine, where the orders arrive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::history::History;
use super::hooks;
use super::machine::World;
use super::probes;
use super::scales::the_excess_is_found;
use crate::model::{Incarnation, Moment, Name};
use crate::{Action, Haste, Life, PostStart, Record, order, reconcile, view};

/// For so many turns in a row a process may be due without anything being done for it: each turn makes a start or a
/// probe, so twice as many as there are processes.
const PATIENCE: u32 = 12;

/// A look at all finds nothing to do that a look at the dirty and the due would not, and no deadline that is not filed.
pub(super) fn nothing_is_overlooked(history: &mut History) {
    let History { world, observed, .. } = history;
    let now = world.now.at;
    let names: BTreeSet<&Name> = observed.records.keys().chain(world.desired.processes.keys()).collect();
    let plan = reconcile(&world.desired, observed, names, world.now);
    for (name, spec) in &Arc::clone(&world.desired).processes {
        let (counted, seen) =
            (observed.order.waits.is_free(name), order::unmet(&world.desired, observed, spec).is_none());
        world.check(counted == seen, || format!("{name} is free by count: {counted}, and by a look at all: {seen}"));
    }
    for action in &plan.actions {
        let name = action.name();
        world.check(observed.agenda.is_due(name, now), || format!("{name} is not due, and yet there is {action:?}"));
    }
    for (name, wait) in &plan.waits {
        let filed = observed.agenda.filed_at(name);
        let woken = observed.agenda.is_due(name, now) || wait.is_none() || filed.is_some_and(|at| Some(at) <= *wait);
        world.check(woken, || format!("{name} waits for {wait:?}, and is filed for {filed:?}"));
    }
}

pub(super) fn hold_after_a_turn(history: &mut History) {
    nothing_is_overlooked(history);
    hooks::no_hook_outlives_its_time(history);
    only_starts_and_probes_wait_for_their_turn(history);
    nothing_is_starved(history);
    all_that_lives_is_known(history);
    the_shutdown_ends(history);
    let History { world, observed, tick, .. } = history;
    for (name, record) in observed.records() {
        it_counts_right(world, name, record);
        probes::they_are_counted_right(world, name, record);
    }
    if observed.wake_at().is_some_and(|at| at <= world.now.at) {
        return;
    }
    let desired = Arc::clone(&world.desired);
    let names: BTreeSet<&Name> = observed.records.keys().chain(desired.processes.keys()).collect();
    let nothing = Record::default();
    for name in names {
        let filed = observed.agenda.filed_at(name);
        let held_until = observed.free_at().unwrap_or(Moment::ZERO);
        it_is_as_desired(world, name, observed.records.get(name).unwrap_or(&nothing), filed, *tick, held_until);
    }
}

fn only_starts_and_probes_wait_for_their_turn(history: &mut History) {
    let History { world, observed, .. } = history;
    let now = world.now.at;
    let names = observed.records.keys().filter(|name| observed.agenda.is_due(name, now));
    for action in reconcile(&world.desired, observed, names, world.now).actions {
        let waits = matches!(action, Action::Start(..) | Action::Probe(..));
        world.check(waits, || format!("a turn left this for the next: {action:?}"));
    }
}

fn nothing_is_starved(history: &mut History) {
    let History { world, observed, starved, .. } = history;
    let now = world.now.at;
    let desired = Arc::clone(&world.desired);
    let names: BTreeSet<&Name> = observed.records.keys().chain(desired.processes.keys()).collect();
    for name in names {
        if observed.agenda.is_due(name, now) && !world.served.contains(name) {
            let turns = starved.entry(name.clone()).or_default();
            *turns += 1;
            let turns = *turns;
            world.check(turns <= PATIENCE, || format!("{name} has been due for {turns} turns"));
        } else {
            starved.remove(name);
        }
    }
}

/// Every process of ours belongs to the run that its record names.
fn all_that_lives_is_known(history: &mut History) {
    let History { world, observed, .. } = history;
    let lost = world.kernel.procs().find_map(|(pid, proc)| {
        let id = proc.run.filter(|_| proc.is_alive())?;
        let name = &world.run(id).name;
        let known = observed.records.get(name).and_then(|record| record.life.run());
        (known.map(|run| run.id) != Some(id)).then(|| format!("pid {pid} of run {id} of {name} lives and is unknown"))
    });
    world.check(lost.is_none(), || lost.unwrap_or_default());
}

fn the_shutdown_ends(history: &mut History) {
    let tick = history.tick;
    let Some(over_by) = history.over_by else { return };
    let world = &mut history.world;
    let second = Duration::from_secs(1);
    let over_by = over_by.max(world.delayed_at + second + tick).max(world.stalled_at + second + tick);
    if world.now.at <= over_by {
        return;
    }
    let left = world.kernel.procs().find(|(_, proc)| proc.run.is_some() && proc.is_mortal());
    let left = left.map(|(pid, proc)| format!("pid {pid} outlives the shutdown: {proc:?}"));
    world.check(left.is_none(), || left.unwrap_or_default());
}

fn it_counts_right(world: &mut World, name: &Name, record: &Record) {
    let tally = &record.tally;
    let found = (tally.starts, tally.start_failures, tally.exits.iter().sum::<u64>(), tally.kills);
    let Some(ledger) = world.ledgers.get(name) else {
        world.check(found == (0, 0, 0, 0), || format!("{name} is counted and unknown"));
        return;
    };
    let (edits, generation) = (ledger.edits, record.generation);
    let stopped = (ledger.stopped, record.stopped);
    world.check(edits == generation, || format!("{name} is in generation {generation} after {edits} edits"));
    world.check(stopped.0 == stopped.1, || format!("{name} stopped by a message: {stopped:?}"));
    let Some(ledger) = world.ledgers.get(name) else { return };
    let followed = record.progress.as_ref().map(|progress| (&progress.calendar, progress.up_to, progress.since));
    let times = (followed, tally.missed) == (ledger.times.followed(), ledger.times.missed);
    let expected = (ledger.starts, ledger.start_failures, ledger.exits, ledger.kills);
    let told = if times { String::new() } else { format!("{:?}", ledger.times) };
    world.check(times, || format!("{name} follows {followed:?}, {} missed, and it was {told}", tally.missed));
    world.check(found == expected, || {
        format!("{name} is counted as {found:?} (starts, failures, exits, kills), and it was {expected:?}")
    });
}

/// Nothing is left to do now: so everything is as it is wanted, or waits for a moment that is filed.
fn it_is_as_desired(
    world: &mut World,
    name: &Name,
    record: &Record,
    filed: Option<Moment>,
    tick: Duration,
    held_until: Moment,
) {
    let (now, stamp) = (world.now.at, world.now);
    let wanted = world.desired.processes.get(name).cloned();
    let woken_by = |at: Moment| at > now && (at == Moment::NEVER || filed.is_some_and(|filed| filed <= at));
    match (&record.life, wanted) {
        (Life::Down, None) => world.check(false, || format!("{name} is no more, and not forgotten")),
        (Life::Down, Some(_)) if world.ledger(name).stopped => {
            world.check(filed.is_none(), || format!("{name} is stopped by a message, and filed for {filed:?}"));
        }
        (Life::Down, Some(spec)) if spec.suspend && !(spec.schedule.is_some() && world.ledger(name).triggered) => {}
        // Whoever changes that has it looked at: a look at all would find it.
        (Life::Down, Some(spec)) if !world.is_free(&spec) => {}
        (Life::Down, Some(spec)) => {
            let due = world.ledger(name).due_at(&spec, stamp);
            let known = if woken_by(due) { String::new() } else { format!("{:?}", world.ledgers.get(name)) };
            world.check(woken_by(due), || format!("{name} is down, due at {due:?}, filed for {filed:?}: {known}"));
        }
        (Life::Up(_), None) if !world.held_by(name).is_empty() && world.desired.ending != Some(Haste::Now) => {}
        (Life::Up(_), None) => world.check(false, || format!("{name} is up and not wanted")),
        (Life::Up(run), Some(spec)) => {
            let (asked, stopped) = (world.ledger(name).asked, world.ledger(name).stopped);
            // An edit ends no run before it has lasted a second.
            let settled = run.since.at + Duration::from_secs(1);
            let is_job = spec.schedule.is_some() && run.spec.schedule.is_some();
            let suspends = spec.suspend && !is_job;
            if suspends && !run.inherited && !world.held_by(name).is_empty() {
                return;
            }
            let stays = !run.inherited && !suspends && !stopped && asked.is_none();
            let is_young = stays && !is_job && run.spec.born != spec.born && now < settled;
            world.check(!is_young || woken_by(settled), || {
                format!("{name} is edited, to end at {settled:?}, filed for {filed:?}")
            });
            let hook = world.run(run.id).post_start;
            let begun = matches!(hook, PostStart::UnderWay | PostStart::Done);
            world.check(begun, || format!("{name} is up, and its postStart is {hook:?}"));
            // What is born of a schedule runs on as it is; the next run takes the edit.
            let right = stays && (run.spec.whole == spec.whole || (is_job && run.spec.born != spec.born));
            let lasts = is_young || world.waits_for_its_turn(name, run.id);
            let right = right || lasts;
            world.check(right, || format!("{name} is up and not as it is wanted (asked: {asked:?})"));
            let too_long = run.spec.active_deadline.map_or(Moment::NEVER, |deadline| run.since.at + deadline);
            let triggered = world.ledger(name).triggered;
            let governs = if lasts { &run.spec } else { &spec };
            let ends = world.ledger(name).times.replaced(governs, triggered, stamp).min(too_long);
            world.check(woken_by(ends), || format!("{name} is up, to end at {ends:?}, filed for {filed:?}"));
            the_dead_heart_is_found(world, name, run.id, tick, held_until);
            the_excess_is_found(world, name, run.id);
            probes::all_is_asked_in_time(world, name, run.id, filed);
            probes::who_ails_is_ended(world, name, run.id, tick);
        }
        (Life::Stopping(run, stopping) | Life::Leaving(run, stopping), _) => {
            let by = match stopping.killed_at {
                _ if world.desired.ending == Some(Haste::Now) && stopping.killed_at.is_none() => Moment::ZERO,
                None => match world.run(run.id).hook {
                    Some(hook) if !hook.asked => hook.until,
                    Some(_) | None => {
                        let grace = world.grace(run.id, world.run(run.id).stop_why);
                        (stopping.asked_at + grace).min(world.latest(name))
                    }
                },
                Some(at) => at + Duration::from_secs(1),
            };
            let told = matches!(record.life, Life::Stopping(..))
                || world.run(run.id).rest_asked
                || stopping.killed_at.is_some();
            world.check(told, || format!("what is left of {name} was not told to end"));
            world.check(woken_by(by), || format!("{name} must be signalled by {by:?} and is filed for {filed:?}"));
        }
    }
}

fn the_dead_heart_is_found(world: &mut World, name: &Name, id: Incarnation, tick: Duration, held_until: Moment) {
    let now = world.now.at;
    let run = world.run(id);
    let Some(heartbeat) = &run.spec.heartbeat else { return };
    if world.looks.iter().any(|look| look.run == id) {
        return;
    }
    let stale = heartbeat.period.mul_f64(1.25) + Duration::from_millis(50);
    let by = (run.pulse_from + heartbeat.period.mul_f64(heartbeat.grace.max(1.0)))
        .max(run.heart.latest(now).map_or(Moment::ZERO, |beat| beat + stale))
        .max(run.late_answer_at + stale)
        .max(world.stalled_at + heartbeat.period)
        // Where most have stopped it has to wait for its turn, and once more if it has had one.
        .max(held_until + heartbeat.period);
    let by = by + tick * 4;
    world.check(now <= by, || format!("{name} has had no heartbeat since {by:?} at the latest, and is up"));
}

/// What outsiders are shown contradicts nothing.
pub(super) fn the_view_is_sound(history: &mut History) {
    let History { world, observed, .. } = history;
    for view in view(&world.desired, observed, world.now) {
        let up = observed.records.get(&view.name).is_some_and(|record| match record.life {
            Life::Up(_) | Life::Stopping(..) => true,
            Life::Down | Life::Leaving(..) => false,
        });
        if let Some(record) = observed.records.get(&view.name) {
            probes::they_are_shown_right(world, &view, record);
        }
        world.check(view.up == up && (!up || view.uptime.is_some()), || format!("{} is shown wrong", view.name));
        let (seen, last) = (view.observed_generation, view.generation);
        world.check(seen <= last, || format!("{} is governed by generation {seen} of {last}", view.name));
    }
}
