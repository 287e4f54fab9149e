//! How long the end of a colony may take: the graces of its longest chain of `dependsOn`, one after the other.

use std::time::Duration;

use super::desired::Desired;
use super::waits::Sets;
use crate::model::{Condition, Dependency, DependencyLists, Name, ProcessSpec};

/// Who begins the longest chain, and how long that takes if each takes all of its grace.
pub fn longest_chain(desired: &Desired) -> Option<(Name, Duration)> {
    let chains = Chains::of(desired);
    let sums = chains.sums();
    let whole = desired.processes.iter().map(|(name, spec)| (name, chains.from(spec, &sums).unwrap_or_default()));
    whole.max_by_key(|(_, sum)| *sum).map(|(name, sum)| (name.clone(), sum))
}

/// Long lists are shared by many: so each is summed up once.
struct Chains<'a> {
    lists: DependencyLists<'a>,
    /// Of each list those that are to end after whoever has it.
    members: Vec<Vec<&'a ProcessSpec>>,
}

/// Of each list the longest chain of its members; `None`: not known yet.
type Sums = Vec<Option<Duration>>;

impl<'a> Chains<'a> {
    fn of(desired: &'a Desired) -> Chains<'a> {
        let sets = Sets::of(desired);
        let named = |Dependency { name, condition }: &'a Dependency| match condition {
            // It has ended long since.
            Condition::Completed => Vec::new(),
            Condition::Started | Condition::Ready => {
                let members = sets.members(desired, name).iter();
                members.filter_map(|name| desired.processes.get(name).map(|spec| &**spec)).collect()
            }
        };
        let lists = DependencyLists::of(desired.processes.values().map(|spec| &*spec.depends_on));
        let members = lists.iter().map(|list| list.iter().flat_map(named).collect()).collect();
        Chains { lists, members }
    }

    fn sums(&self) -> Sums {
        let mut sums: Sums = vec![None; self.members.len()];
        let mut is_open = vec![false; sums.len()];
        for list in 0..sums.len() {
            // No recursion: a chain may be longer than the stack.
            let mut open = vec![list];
            while let Some(list) = open.last().copied() {
                is_open[list] = true;
                let below = self.members[list].iter().filter_map(|spec| self.lists.place(&spec.depends_on));
                // What is open already is a circle, which nothing that is desired has.
                match below.into_iter().find(|below| sums[*below].is_none() && !is_open[*below]) {
                    Some(below) => open.push(below),
                    None => {
                        let members = self.members[list].iter();
                        sums[list] = members.filter_map(|spec| self.from(spec, &sums)).max().or(Some(Duration::ZERO));
                        open.pop();
                    }
                }
            }
        }
        sums
    }

    /// The chain that begins with this one.
    fn from(&self, spec: &ProcessSpec, sums: &Sums) -> Option<Duration> {
        let below = self.lists.place(&spec.depends_on).and_then(|list| sums[list]);
        Some(spec.stop.grace.saturating_add(below.unwrap_or_default()))
    }
}
