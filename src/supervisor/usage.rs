//! What processes use, at the edge: looked at only while somebody scrapes, and never so often that it could be felt.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;

use super::host::Host;
use crate::model::{CpuTime, Footprint, Incarnation, Moment, Name, Stamp, Usage, Wall};
use crate::process::{Roots, Sample, Sampler};

/// How long after a scrape the looks go on.
const DEMAND: Duration = Duration::from_secs(120);
/// From one look to the next, at least.
const PAUSE: Duration = Duration::from_secs(5);
/// So many times what a look cost the next one is away, at least: half a per cent of a processor.
const THRIFT: u32 = 200;
/// A footprint is shown for so long after the next look was due. It did not come then: /proc hangs, or no thread is to be had.
const STALE: Duration = Duration::from_secs(60);

/// What the host knows of what processes use.
pub(super) struct UsageSide {
    sampler: Sampler,
    accounts: HashMap<Name, Account>,
    /// Whose runs the last look was for, and those that were told of with it.
    names: HashMap<Incarnation, Name>,
    /// What was told since of the ends in these runs. Part of it the look may have shown already.
    spent: HashMap<Incarnation, CpuTime>,
    /// Until when looks are wanted; `None` as long as nobody has scraped.
    wanted_until: Option<Moment>,
    /// When the next one may be.
    next_at: Moment,
    /// When the last one was done.
    sampled: Option<Stamp>,
    /// Who waits for the next one; to be told by being dropped.
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Default)]
struct Account {
    cpu: CpuTime,
    footprint: Option<(Incarnation, Footprint)>,
}

impl UsageSide {
    pub(super) fn new(sampler: Sampler) -> UsageSide {
        UsageSide {
            sampler,
            accounts: HashMap::new(),
            names: HashMap::new(),
            spent: HashMap::new(),
            wanted_until: None,
            next_at: Moment::ZERO,
            sampled: None,
            waiting: Vec::new(),
        }
    }

    /// Somebody wants to know. If looks are made anyway, the last one does; else `told` is dropped after the next one, if
    /// that may be made now.
    pub(super) fn want(&mut self, told: oneshot::Sender<()>, now: Moment) {
        let is_at_work = self.sampled.is_some() && self.wanted_until.is_some_and(|until| now <= until);
        self.wanted_until = Some(now + DEMAND);
        if !is_at_work && (self.sampler.is_busy() || self.next_at <= now) {
            self.waiting.retain(|waiting| !waiting.is_closed());
            self.waiting.push(told);
        }
    }

    /// When the next look is to be made.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        let is_wanted = self.wanted_until.is_some_and(|until| self.next_at <= until);
        (is_wanted && !self.sampler.is_busy()).then_some(self.next_at)
    }

    /// When the last look was done.
    pub(super) fn sampled(&self) -> Option<Wall> {
        self.sampled.map(|at| at.wall)
    }

    /// What a process uses, whose present run is this.
    pub(super) fn of(&self, name: &Name, run: Option<Incarnation>, now: Moment) -> Option<Usage> {
        let account = self.accounts.get(name)?;
        let is_fresh = self.sampled.is_some() && now <= self.next_at + STALE;
        let footprint =
            account.footprint.filter(|(of, _)| is_fresh && run == Some(*of)).map(|(_, footprint)| footprint);
        Some(Usage { cpu: account.cpu, footprint })
    }

    /// A process is no more. What is told later of its runs is nobody's.
    pub(super) fn forget(&mut self, name: &Name) {
        self.accounts.remove(name);
        self.names.retain(|_, of| of != name);
    }

    /// Something of a run has ended, and had used so much.
    fn spend(&mut self, name: &Name, run: Incarnation, cpu: CpuTime) {
        let sum = match self.names.contains_key(&run) {
            true => self.spent.entry(run).or_default(),
            // No look has seen anything of it.
            false => &mut self.accounts.entry(name.clone()).or_default().cpu,
        };
        *sum = sum.plus(cpu);
    }

    fn begin(&mut self, roots: Roots, runs: impl Iterator<Item = (Incarnation, Name)>, now: Moment) {
        let spent = std::mem::take(&mut self.spent);
        self.names.retain(|run, _| spent.contains_key(run));
        self.names.extend(runs);
        self.sampler.ask(roots, spent.into_iter().collect());
        // It is set again when the look is done; but there may be no thread for it.
        self.next_at = now + PAUSE;
        if !self.sampler.is_busy() {
            self.waiting.clear();
        }
    }

    fn take(&mut self, sample: Sample, now: Stamp) {
        for (run, cpu) in sample.grown {
            if let Some(name) = self.names.get(&run) {
                let account = self.accounts.entry(name.clone()).or_default();
                account.cpu = account.cpu.plus(cpu);
            }
        }
        for (run, footprint) in sample.footprints {
            if let Some(account) = self.names.get(&run).and_then(|name| self.accounts.get_mut(name)) {
                account.footprint = Some((run, footprint));
            }
        }
        self.sampled = Some(now);
        self.next_at = now.at + PAUSE.max(sample.cost * THRIFT);
        self.waiting.clear();
    }
}

impl Host {
    /// Looks at what processes use, if that is wanted now, and takes in what the last look has shown.
    pub(super) fn sample_usage(&mut self, now: Stamp) {
        if let Some(sample) = self.usage.sampler.answer() {
            self.usage.take(sample, now);
        }
        if self.usage.wake_at().is_some_and(|at| at <= now.at) {
            let roots = self.children.all_roots();
            let runs = self.names.iter().map(|(run, name)| (*run, name.clone()));
            self.usage.begin(roots, runs, now.at);
        }
    }

    /// Takes in what those had used that were collected.
    pub(super) fn take_spent(&mut self) {
        for (run, cpu) in self.children.take_spent() {
            if let Some(name) = self.names.get(&run) {
                self.usage.spend(name, run, cpu);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use tokio::sync::oneshot::{self, error::TryRecvError};

    use super::{DEMAND, PAUSE, STALE, UsageSide};
    use crate::model::{CpuTime, Footprint, Incarnation, Moment, Name, Stamp, Wall};
    use crate::process::{Roots, Sample, Sampler};

    fn run(number: u64) -> Incarnation {
        Incarnation::new(NonZeroU64::new(number).expect("not 0"))
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a good name")
    }

    fn at(seconds: u64) -> Stamp {
        Stamp { at: Moment::ZERO + Duration::from_secs(seconds), wall: Wall::from_secs(1_790_000_000 + seconds) }
    }

    fn user(user: u64) -> CpuTime {
        CpuTime { user, system: 0 }
    }

    fn side() -> UsageSide {
        UsageSide::new(Sampler::new(|| {}))
    }

    /// What a look has shown: how much these have used, and the footprint of the last.
    fn sample(cost: Duration, grown: &[(u64, u64)]) -> Sample {
        let footprint = Footprint { resident: 4096, ..Footprint::default() };
        let footprints = grown.last().map(|(number, _)| (run(*number), footprint)).into_iter().collect();
        Sample { cost, footprints, grown: grown.iter().map(|(number, micros)| (run(*number), user(*micros))).collect() }
    }

    impl UsageSide {
        /// A look at these runs, from its beginning to its end. The sampler looks as well, and is not listened to.
        fn looks(&mut self, runs: &[(u64, &str)], sample: Sample, now: Stamp) {
            let runs = runs.iter().map(|(number, text)| (run(*number), name(text))).collect::<Vec<_>>();
            self.begin(Roots::default(), runs.into_iter(), now.at);
            while self.sampler.is_busy() {
                self.sampler.answer();
            }
            self.take(sample, now);
        }

        fn cpu(&self, text: &str) -> Option<u64> {
            self.of(&name(text), None, Moment::ZERO).map(|usage| usage.cpu.user)
        }
    }

    fn is_waiting(told: &mut oneshot::Receiver<()>) -> bool {
        told.try_recv() == Err(TryRecvError::Empty)
    }

    #[test]
    fn it_is_looked_while_somebody_scrapes_and_no_longer() {
        let mut side = side();
        assert_eq!(side.wake_at(), None, "nobody has asked");
        let (ask, mut first) = oneshot::channel();
        side.want(ask, at(100).at);
        assert!(side.wake_at().is_some_and(|next| next <= at(100).at) && is_waiting(&mut first));
        side.looks(&[], sample(Duration::ZERO, &[]), at(101));
        assert!(!is_waiting(&mut first), "told when the look is done");

        // The rhythm, and a scrape that need not wait.
        let next = at(101).at + PAUSE;
        assert_eq!(side.wake_at(), Some(next));
        let (ask, mut second) = oneshot::channel();
        side.want(ask, at(102).at);
        assert!(!is_waiting(&mut second));
        let last = at(102).at + DEMAND;
        side.looks(&[], sample(Duration::ZERO, &[]), Stamp { at: last, ..at(0) });
        assert_eq!(side.wake_at(), None, "nobody has asked for long");
        let (ask, mut third) = oneshot::channel();
        side.want(ask, last + DEMAND);
        assert!(side.wake_at().is_some_and(|next| next <= last + DEMAND) && is_waiting(&mut third));
    }

    #[test]
    fn a_dear_look_is_the_rarer_and_nobody_waits_for_one_that_is_not_due() {
        let mut side = side();
        let (ask, _) = oneshot::channel();
        side.want(ask, at(0).at);
        side.looks(&[], sample(Duration::from_secs(2), &[]), at(10));
        // Half a per cent.
        assert_eq!(side.wake_at(), None, "not before the demand is over");
        let (ask, mut told) = oneshot::channel();
        side.want(ask, at(300).at);
        assert!(!is_waiting(&mut told));
        assert_eq!(side.wake_at(), Some(at(410).at));
    }

    #[test]
    fn processor_time_is_added_up_over_runs_and_gone_with_the_process() {
        let mut side = side();
        side.spend(&name("web"), run(1), user(5));
        assert_eq!(side.cpu("web"), Some(5), "of a run that no look has seen");
        side.looks(&[(2, "web"), (3, "db")], sample(Duration::ZERO, &[(2, 10), (3, 7)]), at(1));
        assert_eq!([side.cpu("web"), side.cpu("db")], [Some(15), Some(7)]);
        side.spend(&name("web"), run(2), user(12));
        assert_eq!(side.cpu("web"), Some(15), "the look may have shown it: the next one tells");
        side.looks(&[(3, "db"), (4, "web")], sample(Duration::ZERO, &[(2, 2), (3, 0), (4, 1)]), at(6));
        assert_eq!([side.cpu("web"), side.cpu("db")], [Some(18), Some(7)]);

        side.spend(&name("web"), run(4), user(100));
        side.forget(&name("web"));
        assert_eq!(side.cpu("web"), None);
        side.looks(&[(3, "db"), (5, "web")], sample(Duration::ZERO, &[(4, 99), (5, 1)]), at(11));
        assert_eq!(side.cpu("web"), Some(1), "another process, of the same name");
    }

    #[test]
    fn a_footprint_is_shown_of_the_present_run_while_it_is_fresh() {
        let mut side = side();
        side.looks(&[(1, "web")], sample(Duration::ZERO, &[(1, 10)]), at(100));
        let shown = |run, now| side.of(&name("web"), run, now).expect("it has an account").footprint.is_some();
        let stale = at(100).at + PAUSE + STALE;
        assert!(shown(Some(run(1)), at(100).at) && shown(Some(run(1)), stale));
        assert!(!shown(Some(run(1)), stale + Duration::from_secs(1)));
        assert!(!shown(Some(run(2)), at(100).at), "the next run");
        assert!(!shown(None, at(100).at), "no run");
        assert_eq!(side.of(&name("db"), Some(run(1)), at(100).at), None);
    }
}
