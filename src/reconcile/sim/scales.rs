//! Runs whose memory grows over their limit, by which they are ended within a second, and never without.

use std::time::Duration;

use super::history::History;
use super::machine::World;
use crate::model::{Exit, Incarnation, Moment, Name, Signal};
use crate::{Excess, Fact, Weight};

/// What every run that has a limit may have.
pub(super) const LIMIT: u64 = 1 << 27;

/// The memory of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// From when on it is more than its limit.
    pub(super) heavy_from: Moment,
    pub(super) keeper: Keeper,
    /// When it was last read, by a weighing that was answered.
    pub(super) read_at: Option<Moment>,
    /// When a weighing was last asked for that was given up.
    pub(super) blind_at: Moment,
}

/// Who keeps a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keeper {
    Us,
    Kernel,
}

/// A weighing, under way.
pub(super) struct Reading {
    run: Incarnation,
    asked_at: Moment,
    read_at: Moment,
    pub(super) answer_at: Moment,
    given_up: bool,
}

impl Load {
    fn at(&self, moment: Moment) -> u64 {
        if moment >= self.heavy_from { LIMIT + 1 } else { LIMIT }
    }
}

impl World {
    pub(super) fn put_on_the_scales(&mut self, name: &Name, run: Incarnation) {
        let now = self.now.at;
        self.record("weigh", name, None, run.get());
        let twice = self.readings.iter().any(|reading| reading.run == run);
        self.check(!twice, || format!("{name} is weighed, and a weighing is not answered"));
        let limited = self.run(run).spec.birth.limits.memory.is_some();
        self.check(limited, || format!("{name} is weighed, and has no limit"));
        let kept = self.run(run).load.keeper == Keeper::Kernel && self.run(run).load.read_at.is_some();
        self.check(!kept, || format!("{name} is weighed, and the kernel keeps its limit"));
        let hangs = self.random.chance(self.temper.look_hangs);
        let answer_at = if hangs { now + self.random.span(20_000) } else { now };
        let given_up = hangs && self.random.chance(50);
        let read_at = if self.random.chance(50) { now } else { answer_at };
        self.tell(|| format!("weigh {name} run {run}, answer at {answer_at:?}"));
        self.readings.push(Reading { run, asked_at: now, read_at, answer_at, given_up });
    }

    pub(super) fn has_readings(&self) -> bool {
        self.readings.iter().any(|reading| reading.answer_at <= self.now.at)
    }

    /// Whether a run has more than it may, as it was last read.
    pub(super) fn is_too_heavy(&self, id: Incarnation, excess: Excess) -> bool {
        let run = self.run(id);
        let Some(read_at) = run.load.read_at else { return false };
        run.spec.birth.limits.memory == Some(excess.limit)
            && run.load.keeper == Keeper::Us
            && run.load.at(read_at) == excess.used
            && excess.used > excess.limit
    }

    /// Whether it was the kernel that ended a run, for its memory. Here that is a SIGKILL that was not ours.
    pub(super) fn is_oom(&self, id: Incarnation, exit: Exit) -> bool {
        let run = self.run(id);
        let killed = matches!(exit, Exit::Killed { signal: Signal::KILL, .. });
        killed && run.killed_at.is_none() && run.load.keeper == Keeper::Kernel && run.spec.birth.limits.memory.is_some()
    }
}

impl History {
    pub(super) fn answer_weighings(&mut self) {
        let now = self.now();
        let readings = std::mem::take(&mut self.world.readings);
        let (come, out): (Vec<Reading>, Vec<Reading>) =
            readings.into_iter().partition(|reading| reading.answer_at <= now);
        self.world.readings = out;
        for reading in come {
            let run = self.world.run_mut(reading.run);
            let weight = match (run.load.keeper, reading.given_up) {
                (Keeper::Kernel, _) => Weight::Kept,
                (Keeper::Us, true) => Weight::Unknown,
                (Keeper::Us, false) => Weight::Bytes(run.load.at(reading.read_at)),
            };
            match weight {
                Weight::Bytes(_) | Weight::Kept => run.load.read_at = Some(reading.read_at),
                Weight::Unknown => run.load.blind_at = reading.asked_at,
            }
            let name = run.name.clone();
            self.world.tell(|| format!("weighed {name} run {}: {weight:?}", reading.run));
            self.fold(Fact::Weighed(name, reading.run, weight));
        }
    }
}

/// Nothing is left to do now: so no run that is up has had more than it may for a second, unless it is being weighed, or
/// nothing could be read of it a moment ago.
pub(super) fn the_excess_is_found(world: &mut World, name: &Name, id: Incarnation) {
    let now = world.now.at;
    let run = world.run(id);
    let (load, limited) = (run.load, run.spec.birth.limits.memory.is_some());
    if !limited || load.keeper == Keeper::Kernel || world.readings.iter().any(|reading| reading.run == id) {
        return;
    }
    let by = load.heavy_from.max(load.blind_at) + Duration::from_secs(1);
    world.check(now < by, || {
        format!("{name} has had more memory than it may since {:?}, and is up at {now:?}", load.heavy_from)
    });
}
