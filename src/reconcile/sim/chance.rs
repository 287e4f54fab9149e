//! Histories by chance: what one is like, and what happens in it, is drawn from its seed alone.

use std::hash::Hasher;
use std::time::Duration;

use super::history::History;
use super::kernel::{MONITOR, Proc, Reuse, Role, State};
use super::machine::{Fate, Temper, World};
use super::random::Random;
use super::specs::{self, name_of, plain};
use crate::model::{Condition, Dependency, Exit, Fingerprint, Moment, Name, ProbeKind, ProcessSpec, Replica, Signal};
use crate::{Ask, Haste, Until};

pub(super) const STEPS: u64 = 300;
/// More of ours are never in the table at once.
const CROWD: usize = 30;

/// Lives through the history of this seed.
///
/// # Errors
/// The law that was broken, with the step.
pub(super) fn live(seed: u64, wall: Walls, steps: u64, told: Option<&mut Vec<String>>) -> Result<u64, String> {
    let mut chance = Chance::new(seed, wall);
    chance.history.world.told = told.is_some().then(Vec::new);
    let mut outcome = Ok(());
    for step in 0..steps {
        chance.step();
        if let Some(law) = chance.history.world.broken.take() {
            outcome = Err(format!("seed {seed}, step {step}: {law}"));
            break;
        }
    }
    if outcome.is_ok() && steps == STEPS {
        outcome = chance.finish().map_err(|law| format!("seed {seed}, at the end: {law}"));
    }
    if let (Some(told), Some(lines)) = (told, chance.history.world.told.take()) {
        *told = lines;
    }
    outcome.map(|()| chance.history.world.digest.finish())
}

/// What the wall clock, which jumps by chance, is to a history.
#[derive(Clone, Copy, Debug)]
pub(super) enum Walls {
    /// Calendars go by it.
    Matter,
    /// Nothing does, and so it may jump in this way or in that.
    AreNothing(u64),
}

struct Chance {
    history: History,
    names: Vec<Name>,
    /// What the replicas of one file are called; none in some histories.
    set: Vec<Name>,
    /// Whether some of all are essential.
    essentials: bool,
    fingerprint: u64,
    /// How many schedules in a hundred go by the wall clock.
    calendars: u64,
    /// From when on it ends, once it was told to.
    drained_at: Option<Moment>,
    /// At which step the colony is told to end, if before the last.
    ends_at: u64,
    step: u64,
}

impl Chance {
    fn new(seed: u64, wall: Walls) -> Chance {
        let (wall, calendars) = match wall {
            Walls::Matter => (0, 50),
            Walls::AreNothing(wall) => (wall, 0),
        };
        let mut random = Random::new(seed);
        let temper = temper(&mut random);
        let reuse = random.pick(&[Reuse::LastFreed, Reuse::Lowest]);
        let tick = Duration::from_secs(1 + random.below(10));
        let names = 1 + random.below(6) as usize;
        let names = ["a", "b", "c", "d", "e", "f"][..names].iter().map(|name| name_of(name)).collect();
        let ends_at = if random.chance(40) { random.below(STEPS) } else { STEPS };
        let replicas = random.pick(&[0, 0, 2, 3, 4]);
        let set = ["r-0", "r-1", "r-2", "r-3"][..replicas].iter().map(|name| name_of(name)).collect();
        let essentials = random.chance(15);
        let until = if random.chance(15) { Until::Complete } else { Until::Told };
        let walls = Random::new(seed ^ wall);
        let mut chance = Chance {
            history: History::new(random, walls, temper, reuse, tick),
            names,
            set,
            essentials,
            fingerprint: 0,
            calendars,
            drained_at: None,
            ends_at,
            step: 0,
        };
        chance.history.runs_until(until);
        chance.first();
        chance
    }

    /// What the monitor finds at its start.
    fn first(&mut self) {
        for name in self.names.clone() {
            let spec = self.fresh();
            if self.random().chance(10) {
                let lives = Duration::from_millis(self.random().below(100_000));
                let obeys = self.random().chance(50).then(|| Duration::from_secs(1));
                self.history.inherits(
                    &name,
                    &std::sync::Arc::new(spec.clone()),
                    Fate { lives, obeys, ..Fate::default() },
                );
            }
            if self.random().chance(70) {
                let spec = self.depending(&name, spec);
                self.history.edit(&name, Some(spec));
            }
        }
        self.edit_set();
    }

    fn random(&mut self) -> &mut Random {
        &mut self.history.world.random
    }

    fn step(&mut self) {
        let step = self.step;
        self.step += 1;
        self.unrest();
        self.pass();
        let temper = self.history.world.temper;
        if step == self.ends_at {
            self.tell_to_end();
        } else if step > self.ends_at && self.random().chance(2) {
            self.drained_at = None;
            self.history.end(Haste::Now);
        }
        if self.drained_at.take_if(|at| *at <= self.history.world.now.at).is_some() {
            self.history.end(Haste::Graceful);
        }
        if step < self.ends_at && self.random().chance(temper.reboots) {
            let down = self.random().span(7_200_000);
            self.history.reboot(down);
        }
        // The directory is not read any more once it was told to end.
        if self.random().chance(temper.edits) && self.drained_at.is_none() {
            self.edit();
        }
        if self.random().chance(temper.asks) {
            self.ask();
        }
        let runs = self.history.world.runs.len() as u64;
        if runs > 0 && self.random().chance(temper.unrest / 3) {
            let of = runs - 1 - self.random().below(runs.min(8));
            self.history.echo(of as usize);
        }
        if runs > 0 && self.random().chance(temper.says) {
            self.say(runs);
        }
        self.history.starts = match temper.starts {
            0 => 1 + self.random().below(8) as usize,
            starts => starts,
        };
        match self.random().chance(80) {
            true => self.history.turns(),
            false => self.history.turn(),
        }
        if step.is_multiple_of(16) {
            super::laws::the_view_is_sound(&mut self.history);
        }
    }

    /// Lets time pass up to the next wake-up; or not quite, or further, when that one is lost.
    fn pass(&mut self) {
        let now = self.history.now();
        let temper = self.history.world.temper;
        let tick = self.history.tick;
        let wake = self.history.observed.wake_at().unwrap_or(Moment::NEVER);
        let exit = self.history.world.kernel.next_exit().unwrap_or(Moment::NEVER);
        let answer = self.history.world.looks.iter().map(|look| look.answer_at).min().unwrap_or(Moment::NEVER);
        let answer = self
            .history
            .world
            .readings
            .iter()
            .map(|reading| reading.answer_at)
            .min()
            .map_or(answer, |at| at.min(answer));
        let answer = answer.min(self.history.next_hook()).min(self.history.world.next_answer());
        let random = self.random();
        let span = if random.chance(temper.stalls) {
            let span = random.span(3_600_000);
            if span > tick && random.chance(50) {
                self.history.sleep(span);
            }
            span
        } else if wake <= now {
            Duration::from_millis(random.below(5))
        } else if random.chance(temper.lost) {
            tick
        } else {
            let next = wake.min(exit).min(answer);
            match random.below(10) {
                0 => tick,
                1 => random.span(1_000),
                2 => next.since(now) / 2,
                3 => exit.since(now),
                _ => next.since(now),
            }
            .min(tick)
        };
        self.history.pass(span);
    }

    /// What happens without us.
    fn unrest(&mut self) {
        let now = self.history.now();
        let unrest = self.history.world.temper.unrest;
        let ours = |proc: &Proc| proc.run.is_some() && proc.is_mortal();
        let count = self.history.world.kernel.procs().filter(|(_, proc)| proc.is_alive()).count();
        let world = &mut self.history.world;
        let nth = |world: &mut World, unrest: u64, choose: fn(&Proc) -> bool| {
            let n = world.random.next();
            if world.random.chance(unrest) { world.kernel.nth(n, choose) } else { None }
        };
        if let Some(pid) = nth(world, unrest, ours).filter(|_| count < CROWD) {
            fork(world, pid);
        }
        if let Some(pid) = nth(world, unrest / 8, ours) {
            world.tell(|| format!("pid {pid} is frozen"));
            world.kernel.freeze(pid);
            no_beats(world, pid);
        }
        if let Some(pid) = nth(world, 15, |proc| proc.state == State::Frozen) {
            world.tell(|| format!("pid {pid} is thawed"));
            world.kernel.thaw(pid, now);
            world.delayed_at = now;
        }
        if let Some(pid) = nth(world, unrest / 4, ours) {
            world.tell(|| format!("pid {pid} is stopped"));
            world.kernel.stop(pid);
            no_beats(world, pid);
        }
        if let Some(pid) = nth(world, unrest / 4, ours) {
            world.kernel.signal(pid, Signal::CONT, now);
        }
        if let Some(pid) = nth(world, unrest / 3, ours) {
            let exit = world.random.killed();
            world.tell(|| format!("pid {pid} ends: {exit}"));
            world.kernel.die(pid, exit);
        }
        if let Some(pid) = nth(world, 20, |proc| proc.run.is_none() && proc.is_alive()) {
            world.kernel.die(pid, Exit::Code(0));
        }
        if count < CROWD && world.random.chance(unrest) {
            world.kernel.fork(Proc::new(None, Role::Main, MONITOR));
        }
    }

    /// Within some time, or with all that it takes; at once, or after a while.
    fn tell_to_end(&mut self) {
        let now = self.history.now();
        let time = Duration::from_millis(500 + self.random().below(60_000));
        self.history.until = self.random().chance(50).then_some(now + time);
        let drain = if self.random().chance(30) { time / 4 } else { Duration::ZERO };
        self.drained_at = Some(now + drain);
    }

    fn edit(&mut self) {
        if !self.set.is_empty() && self.random().chance(40) {
            return self.edit_set();
        }
        let names = self.names.clone();
        let at = self.random().below(names.len() as u64) as usize;
        let name = &names[at];
        let before = self.history.world.desired.processes.get(name).map(|spec| (**spec).clone());
        let after = match before {
            Some(_) if self.random().chance(20) => None,
            Some(before) => Some(self.changed(before)),
            None => Some(self.fresh()),
        };
        let after = after.map(|spec| self.depending(name, spec));
        self.history.edit(name, after);
    }

    /// The file of the replicas is edited: scaled, or otherwise.
    fn edit_set(&mut self) {
        let set = self.set.clone();
        let before = set.iter().find_map(|name| self.history.world.desired.processes.get(name));
        let (before, of) = match before.map(|spec| (**spec).clone()) {
            Some(spec) => (Some(spec.clone()), spec.replica.map_or(0, |replica| replica.of)),
            None => (None, 0),
        };
        let of = match self.random().chance(30) || of == 0 {
            true => self.random().below(set.len() as u64 + 1) as u32,
            false => of,
        };
        let spec = match before {
            Some(spec) => self.changed(spec),
            None => self.fresh(),
        };
        let spec = self.depending(&name_of("r"), spec);
        self.fingerprint += 1;
        for (name, index) in set.iter().zip(0..) {
            let replica = Some(Replica { set: name_of("r"), index, of });
            let whole = Fingerprint(self.fingerprint);
            let one = ProcessSpec { replica, whole, schedule: None, ..spec.clone() };
            self.history.edit(name, (index < of).then_some(one));
        }
    }

    /// One of the last runs says how it is; most that do have a probe that listens.
    fn say(&mut self, runs: u64) {
        let of = (runs - 1 - self.random().below(runs.min(8))) as usize;
        let kind = self.random().pick(&ProbeKind::ALL);
        let probes = &self.history.world.runs[of].spec.probes;
        let listens = probes.iter().any(|probe| probe.kind == kind && probe.handler.is_passive());
        let well = self.random().pick(&[Some(true), Some(true), Some(false), None]);
        if listens || self.random().chance(10) {
            self.history.says(of, kind, well);
        }
    }

    fn ask(&mut self) {
        if !self.set.is_empty() && self.random().chance(40) {
            let (set, ask) = (self.set.clone(), self.random().pick(&[Ask::Named, Ask::Broad]));
            return set.iter().for_each(|name| self.history.ask(name, ask));
        }
        let names: Vec<Name> = self.names.iter().chain(&self.set).cloned().collect();
        let at = self.random().below(names.len() as u64) as usize;
        match self.random().below(10) {
            0 | 1 => return self.history.ask(&names[at], Ask::Named),
            2 | 3 => return self.history.ask(&names[at], Ask::Trigger),
            4 | 5 => return self.history.stop(&names[at]),
            6 => return self.history.start(&names[at]),
            _ => {}
        }
        for name in names.iter().filter(|name| name.as_str() < "d") {
            self.history.ask(name, Ask::Broad);
        }
    }

    fn fresh(&mut self) -> ProcessSpec {
        let mut spec = plain();
        for _ in 0..4 {
            spec = self.changed(spec);
        }
        spec
    }

    /// The spec with other dependencies, now and then. The directory lets no circle pass.
    fn depending(&mut self, name: &Name, mut spec: ProcessSpec) -> ProcessSpec {
        let depends = self.history.world.temper.depends;
        if self.random().chance(depends) {
            let names = self.names.iter().chain(&self.set).cloned();
            // Their file is meant by its name, too.
            let names = names.chain(self.set.first().map(|_| name_of("r"))).collect::<Vec<_>>();
            let names = names.into_iter().filter(|_| self.random().chance(40)).collect::<Vec<_>>();
            let on = names.into_iter().filter(|on| on != name).map(|on| {
                let condition = self.random().pick(&[Condition::Ready, Condition::Started, Condition::Completed]);
                Dependency { name: on, condition }
            });
            spec.depends_on = on.collect();
            self.fingerprint += 1;
            spec.whole = Fingerprint(self.fingerprint);
        }
        let world = &self.history.world;
        let on = spec.depends_on.iter().filter(|dependency| !world.closes_a_circle(name, &dependency.name));
        spec.depends_on = on.cloned().collect();
        spec
    }

    /// The spec after an edit.
    fn changed(&mut self, spec: ProcessSpec) -> ProcessSpec {
        self.fingerprint += 1;
        let calendars = self.calendars;
        let mut spec = specs::changed(spec, Fingerprint(self.fingerprint), self.random(), calendars);
        spec.essential = self.essentials && self.random().chance(20);
        spec
    }

    /// Ends the colony, if it has not been, and everything is gone in time, unless the kernel holds it.
    fn finish(&mut self) -> Result<(), String> {
        let history = &mut self.history;
        let now = history.now();
        let frozen: Vec<_> =
            history.world.kernel.procs().filter(|(_, proc)| proc.state == State::Frozen).map(|(pid, _)| pid).collect();
        for pid in frozen {
            history.world.kernel.thaw(pid, now);
            history.world.delayed_at = now;
        }
        history.world.temper = Temper::default();
        if history.over_by.is_none() {
            history.end(Haste::Graceful);
        }
        history.starts = 4;
        let over_in = history.over_by.map_or(Duration::ZERO, |by| by.since(history.now()));
        history.live(Duration::from_secs(60) + over_in + history.tick * 5);
        let left = history.world.kernel.procs().find(|(_, proc)| proc.run.is_some());
        let left = left.map(|(pid, proc)| format!("pid {pid} is left: {proc:?}"));
        history.world.check(left.is_none(), || left.unwrap_or_default());
        let records: Vec<Name> = history.observed.records().keys().cloned().collect();
        history.world.check(records.is_empty(), || format!("records are left: {records:?}"));
        self.history.world.broken.take().map_or(Ok(()), Err)
    }
}

fn fork(world: &mut World, parent: usize) {
    let Some(run) = world.kernel.get(parent).and_then(|proc| proc.run) else { return };
    let random = &mut world.random;
    let role = random.pick(&[Role::Member, Role::Escaped]);
    let mut proc = Proc::new(Some(run), role, parent);
    proc.obeys = random.chance(60).then(|| random.span(10_000));
    proc.ends_at = world.now.at + random.span(200_000);
    let pid = world.kernel.fork(proc);
    world.tell(|| format!("pid {parent} of run {run} forks pid {pid}: {proc:?}"));
}

/// Who is stopped or frozen beats no more and is not well, and, to keep it simple, never again.
fn no_beats(world: &mut World, pid: usize) {
    let now = world.now.at;
    let Some(proc) = world.kernel.get(pid).copied() else { return };
    if let (Some(run), Role::Main) = (proc.run, proc.role) {
        let run = world.run_mut(run);
        run.heart.stops_at = run.heart.stops_at.min(now);
        run.health.well_until = run.health.well_until.min(now);
    }
}

fn temper(random: &mut Random) -> Temper {
    let starts = random.pick(&[0, 1, 2, 100]);
    let mut often = |choices: [u64; 4]| random.pick(&choices);
    Temper {
        starts,
        start_fails: often([0, 5, 30, 90]),
        dies_soon: often([0, 20, 50, 95]),
        succeeds: often([0, 20, 50, 100]),
        ignores: often([0, 10, 50, 100]),
        signal_refused: often([0, 0, 5, 30]),
        forks_at_kill: often([0, 0, 5, 30]),
        heart_fails: often([0, 10, 30, 80]),
        look_hangs: often([0, 0, 5, 30]),
        grows: often([0, 10, 30, 80]),
        ails: often([0, 10, 30, 80]),
        probe_fails: often([0, 0, 10, 60]),
        probe_hangs: often([0, 0, 20, 80]),
        probe_lasts: often([0, 20, 50, 100]),
        probe_unknown: often([0, 0, 5, 30]),
        says: often([0, 0, 5, 30]),
        hook_fails: often([0, 0, 10, 50]),
        hook_hangs: often([0, 10, 30, 100]),
        unrest: often([0, 3, 10, 30]),
        edits: often([0, 3, 10, 40]),
        depends: often([0, 10, 40, 80]),
        asks: often([0, 2, 5, 30]),
        lost: often([0, 5, 20, 90]),
        stalls: often([0, 0, 1, 4]),
        reboots: often([0, 0, 0, 2]),
    }
}
