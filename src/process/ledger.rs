//! How much processor time runs have used, as looks at their processes tell, now and then.
//!
//! A process shows its own time, and that of the children it has waited for. So the time of a child that ends passes to
//! its parent, and must not count twice; that of a child which nobody waits for is lost to the kernel, and must not be lost
//! here. What comes out never becomes less, and is never more than was used.

use std::collections::HashMap;

use libc::pid_t;

use crate::model::{CpuTime, Incarnation};

/// A process for good: pid and start time.
pub(super) type Key = (pid_t, u64);

/// The time that a process shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Times {
    pub(super) own: CpuTime,
    /// Of the children that it has waited for, and of theirs.
    pub(super) waited: CpuTime,
}

/// What was seen at the last look.
#[derive(Default)]
pub(super) struct Ledger {
    members: HashMap<Key, (Incarnation, Times)>,
    /// What those had shown that were gone, and that nobody had got yet: a parent may have been looked at before its child
    /// ended, and shows it at the next look.
    owed: HashMap<Incarnation, CpuTime>,
}

/// What has come about in a run from one look to the next.
#[derive(Clone, Copy, Default)]
struct Change {
    /// More that its processes have used themselves.
    own: CpuTime,
    /// More that they have waited for, and that we have.
    waited: CpuTime,
    /// What those had shown that are gone.
    gone: CpuTime,
}

impl Ledger {
    /// Takes in a look at all `members` of runs that are there, and what was `spent` by those that this monitor itself has
    /// waited for since the last look. Returns how much each run has used since then.
    pub(super) fn enter(
        &mut self,
        members: impl Iterator<Item = (Key, Incarnation, Times)>,
        spent: Vec<(Incarnation, CpuTime)>,
    ) -> Vec<(Incarnation, CpuTime)> {
        let mut changes: HashMap<Incarnation, Change> = HashMap::new();
        let mut before = std::mem::take(&mut self.members);
        for (key, run, times) in members {
            let (_, shown) = before.remove(&key).unwrap_or((run, Times::default()));
            let change = changes.entry(run).or_default();
            change.own = change.own.plus(times.own.minus(shown.own));
            change.waited = change.waited.plus(times.waited.minus(shown.waited));
            self.members.insert(key, (run, times));
        }
        for (run, cpu) in spent {
            let change = changes.entry(run).or_default();
            change.waited = change.waited.plus(cpu);
        }
        for (run, shown) in before.into_values() {
            let change = changes.entry(run).or_default();
            change.gone = change.gone.plus(shown.own).plus(shown.waited);
        }
        let mut owed = std::mem::take(&mut self.owed);
        let grown = changes.into_iter().map(|(run, Change { own, waited, gone })| {
            let accounted = gone.plus(owed.remove(&run).unwrap_or_default());
            // What is owed longer than to the next look was never waited for: it stays counted, and is nobody's any more.
            let open = accounted.minus(waited).min(gone);
            if open != CpuTime::default() {
                self.owed.insert(run, open);
            }
            (run, own.plus(waited.minus(accounted)))
        });
        grown.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{Key, Ledger, Times};
    use crate::model::{CpuTime, Incarnation};

    fn run(number: u64) -> Incarnation {
        Incarnation::new(NonZeroU64::new(number).expect("not 0"))
    }

    fn user(user: u64) -> CpuTime {
        CpuTime { user, system: 0 }
    }

    fn times(own: u64, waited: u64) -> Times {
        Times { own: user(own), waited: user(waited) }
    }

    /// What a run has used, after looks that each saw these processes and were told of so much that was spent.
    #[track_caller]
    fn used(looks: &[(&[(Key, Times)], u64)], expected: &[u64]) {
        let (mut ledger, mut total, mut totals) = (Ledger::default(), 0, Vec::new());
        for (members, spent) in looks {
            let spent = if *spent > 0 { vec![(run(1), user(*spent))] } else { Vec::new() };
            let grown = ledger.enter(members.iter().map(|(key, times)| (*key, run(1), *times)), spent);
            total += grown.iter().map(|(_, cpu)| cpu.user).sum::<u64>();
            totals.push(total);
        }
        assert_eq!(totals, expected);
    }

    const MAIN: Key = (10, 100);
    const CHILD: Key = (11, 110);
    const OTHER: Key = (12, 120);

    #[test]
    fn what_lives_counts_for_what_it_shows() {
        used(&[(&[(MAIN, times(5, 2))], 0), (&[(MAIN, times(9, 2)), (CHILD, times(3, 0))], 0)], &[7, 14]);
    }

    #[test]
    fn a_child_that_was_waited_for_passes_its_time_to_its_parent_and_counts_once() {
        let both: &[_] = &[(MAIN, times(5, 0)), (CHILD, times(30, 0))];
        used(&[(both, 0), (&[(MAIN, times(6, 34))], 0), (&[(MAIN, times(6, 34))], 0)], &[35, 40, 40]);
        // Looked at before it had waited: the child is gone, and shown by its parent at the next look.
        used(&[(both, 0), (&[(MAIN, times(6, 0))], 0), (&[(MAIN, times(7, 34))], 0)], &[35, 36, 41]);
    }

    #[test]
    fn a_child_that_nobody_waited_for_stays_counted() {
        let both: &[_] = &[(MAIN, times(5, 0)), (CHILD, times(30, 0))];
        let alone = |own| [(MAIN, times(own, 0))];
        used(&[(both, 0), (&alone(6), 0), (&alone(7), 0), (&alone(8), 0)], &[35, 36, 37, 38]);
        // And one that was never seen counts when it is waited for.
        used(&[(&alone(6), 0), (&alone(7), 0), (&[(MAIN, times(8, 50))], 0)], &[6, 7, 58]);
    }

    #[test]
    fn the_end_of_a_main_process_tells_what_it_used_since_the_last_look() {
        let both: &[_] = &[(MAIN, times(5, 1)), (CHILD, times(30, 0))];
        // The child is waited for by the main process, and that by us: 50 in all.
        used(&[(both, 0), (&[], 50)], &[36, 50]);
        // The child outlives it.
        used(&[(both, 0), (&[(CHILD, times(31, 0))], 9), (&[], 33)], &[36, 40, 42]);
        // Its end is told after the look that misses it.
        used(&[(both, 0), (&[], 0), (&[], 50)], &[36, 36, 50]);
    }

    #[test]
    fn a_number_that_passed_on_is_another_process() {
        let reused: &[_] = &[((10, 900), times(2, 0))];
        used(&[(&[(MAIN, times(50, 0))], 0), (reused, 50)], &[50, 52]);
    }

    #[test]
    fn runs_are_counted_each_for_itself() {
        let mut ledger = Ledger::default();
        let looks =
            [vec![(MAIN, run(1), times(5, 0)), (OTHER, run(2), times(7, 0))], vec![(OTHER, run(2), times(9, 0))]];
        let mut grown = looks.map(|look| {
            let mut grown = ledger.enter(look.into_iter(), vec![(run(3), user(1))]);
            grown.sort_by_key(|(run, _)| run.get());
            grown
        });
        grown[1].retain(|(_, cpu)| *cpu != CpuTime::default());
        assert_eq!(grown[0], [(run(1), user(5)), (run(2), user(7)), (run(3), user(1))]);
        assert_eq!(grown[1], [(run(2), user(2)), (run(3), user(1))]);
    }

    /// A tree in which processes work, fork, end, and are waited for, or not.
    struct Kernel {
        living: Vec<(Key, Option<usize>, Times)>,
        next: i32,
        used: u64,
        lost: u64,
        state: u64,
    }

    impl Kernel {
        fn random(&mut self, below: u64) -> u64 {
            // Marsaglia's xorshift.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            (self.state >> 8) % below
        }

        /// One thing that happens. Returns what the monitor has waited for.
        fn step(&mut self) -> u64 {
            let who = self.random(self.living.len() as u64) as usize;
            match self.random(6) {
                0..3 => {
                    let work = self.random(20);
                    self.used += work;
                    self.living[who].2.own.user += work;
                }
                3 => {
                    self.next += 1;
                    let parent = Some(self.living[who].0.0 as usize);
                    self.living.push(((self.next, self.next as u64), parent, Times::default()));
                }
                _ if self.living.len() == 1 => {}
                _ => return self.end(who),
            }
            0
        }

        fn end(&mut self, who: usize) -> u64 {
            let (key, parent, times) = self.living.remove(who);
            let time = times.own.user + times.waited.user;
            for (_, parent, _) in &mut self.living {
                if *parent == Some(key.0 as usize) {
                    *parent = None;
                }
            }
            let parent = parent.and_then(|pid| self.living.iter_mut().find(|(key, ..)| key.0 as usize == pid));
            match parent {
                None => time,
                Some((.., times)) => {
                    times.waited.user += time;
                    0
                }
            }
        }

        /// As [`Kernel::end`], of a process whose parent has said that it will not wait.
        fn lose(&mut self, who: usize) {
            let (_, _, times) = self.living.remove(who);
            self.lost += times.own.user + times.waited.user;
        }
    }

    #[test]
    fn whatever_happens_between_two_looks_the_sum_never_falls_and_is_what_was_used() {
        for seed in 1..200u64 {
            let first = ((1, 1), None, Times::default());
            let mut kernel = Kernel { living: vec![first], next: 1, used: 0, lost: 0, state: seed << 20 | 1 };
            let (mut ledger, mut total) = (Ledger::default(), 0);
            for look in 0..30 {
                let mut spent = 0;
                for _ in 0..kernel.random(30) {
                    spent += kernel.step();
                    // Of every other history nothing is lost.
                    if seed % 2 == 0 && kernel.living.len() > 1 && kernel.random(20) == 0 {
                        let who = kernel.living.len() - 1;
                        kernel.lose(who);
                    }
                }
                let members: Vec<_> = kernel.living.iter().map(|(key, _, times)| (*key, run(1), *times)).collect();
                let grown = ledger.enter(members.into_iter(), vec![(run(1), user(spent))]);
                total += grown.iter().map(|(_, cpu)| cpu.user).sum::<u64>();
                assert!(total <= kernel.used, "seed {seed}, look {look}: {total} of {}", kernel.used);
                if seed % 2 == 1 {
                    assert_eq!(total, kernel.used, "seed {seed}, look {look}");
                }
            }
            // What is lost before it was seen, or hides what is, is all that may be missing.
            assert!(
                total + 2 * kernel.lost >= kernel.used,
                "seed {seed}: {total} of {}, {} lost",
                kernel.used,
                kernel.lost
            );
        }
    }
}
