//! Who waits for whom to be started. How much of it is not as it must be is counted, and judged anew only where something
//! that is depended on changes: so neither such a change nor a look at who waits goes through long lists.

use std::collections::BTreeMap;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

use super::desired::Desired;
use super::order;
use super::record::{Life, Record};
use crate::model::{Condition, Dependency, DependencyLists, Name, ProcessSpec};

/// Who waits for what, of all that is desired.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    sets: Sets,
    queues: Vec<Queue>,
    /// Those that depend on others, in the order of their names, and where in `queues` each is.
    places: Vec<(Name, usize)>,
    /// In the order of the names.
    needs: Vec<Need>,
}

/// By the name of a file with replicas: its processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets(BTreeMap<Name, Vec<Name>>);

/// Those that depend on the same.
#[derive(Clone, Debug, Default)]
struct Queue {
    names: Vec<Name>,
    /// How much of what they depend on is not as it must be.
    unmet: usize,
    /// And how much of that never will be, as things are.
    hopeless: usize,
}

/// Something that a queue depends on.
#[derive(Clone, Debug)]
struct Need {
    on: Name,
    condition: Condition,
    /// What is desired of it; `None`: no good file describes it.
    spec: Option<Arc<ProcessSpec>>,
    queue: usize,
    outlook: Outlook,
}

/// Whether something is as those want it that depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outlook {
    Met,
    Unmet,
    /// It has ended for good, and not as it must, or waits for such a thing itself.
    Hopeless,
}

impl Waits {
    /// As things are.
    pub(super) fn of(desired: &Desired, records: &BTreeMap<Name, Record>) -> Waits {
        let mut waits = Waits { sets: Sets::of(desired), ..Waits::default() };
        let waiting = || desired.processes.iter().filter(|(_, spec)| !spec.depends_on.is_empty());
        let lists = DependencyLists::of(waiting().map(|(_, spec)| &*spec.depends_on));
        waits.queues.resize_with(lists.iter().count(), Queue::default);
        for (name, spec) in waiting() {
            if let Some(place) = lists.place(&spec.depends_on) {
                waits.queues[place].names.push(name.clone());
                waits.places.push((name.clone(), place));
            }
        }
        for (queue, list) in lists.iter().enumerate() {
            for Dependency { name, condition } in list {
                for on in waits.sets.members(desired, name) {
                    let (spec, outlook) = (desired.processes.get(on).cloned(), Outlook::Unmet);
                    waits.needs.push(Need { on: on.clone(), condition: *condition, spec, queue, outlook });
                    waits.queues[queue].unmet += 1;
                }
            }
        }
        waits.needs.sort_unstable_by(|one, other| one.on.cmp(&other.on));
        let mut needed: Vec<Name> = waits.needs.iter().map(|need| need.on.clone()).collect();
        needed.dedup();
        needed.iter().for_each(|name| drop(waits.tell(name, records)));
        waits
    }

    /// The processes that a dependency names.
    pub(super) fn members<'a>(&'a self, desired: &Desired, name: &'a Name) -> &'a [Name] {
        self.sets.members(desired, name)
    }

    /// Whether all that this process depends on is as it must be.
    pub(super) fn is_free(&self, name: &Name) -> bool {
        self.queue_of(name).is_none_or(|queue| queue.unmet == 0)
    }

    /// Whether this process can never start as things are: something that it depends on has ended for good, and not as it
    /// must, or waits for such a thing itself.
    pub(super) fn is_in_vain(&self, name: &Name) -> bool {
        self.queue_of(name).is_some_and(|queue| queue.hopeless > 0)
    }

    /// Something about this process has changed. Returns those that may start now, or hope for something else than before.
    pub(super) fn tell(&mut self, name: &Name, records: &BTreeMap<Name, Record>) -> Vec<Name> {
        let (mut concerned, mut open) = (Vec::new(), vec![name.clone()]);
        while let Some(name) = open.pop() {
            let is_in_vain = self.is_in_vain(&name);
            let needs = self.needs_of(&name);
            for need in &mut self.needs[needs] {
                let outlook = need.judge(records.get(&name), is_in_vain);
                let queue = &mut self.queues[need.queue];
                let before = (queue.unmet > 0, queue.hopeless > 0);
                queue.part_with(std::mem::replace(&mut need.outlook, outlook));
                queue.take(outlook);
                let now = (queue.unmet > 0, queue.hopeless > 0);
                if now.1 != before.1 {
                    // So is it for those that depend on them.
                    open.extend_from_slice(&queue.names);
                }
                if now.1 != before.1 || (before.0 && !now.0) {
                    concerned.extend_from_slice(&queue.names);
                }
            }
        }
        concerned
    }

    fn queue_of(&self, name: &Name) -> Option<&Queue> {
        let at = self.places.binary_search_by(|(waiting, _)| waiting.cmp(name)).ok()?;
        Some(&self.queues[self.places[at].1])
    }

    fn needs_of(&self, name: &Name) -> Range<usize> {
        let from = self.needs.partition_point(|need| need.on < *name);
        let all = self.needs[from..].iter().take_while(|need| need.on == *name);
        from..from + all.count()
    }
}

impl Need {
    fn judge(&self, record: Option<&Record>, is_in_vain: bool) -> Outlook {
        let Some((spec, record)) = self.spec.as_deref().zip(record) else { return Outlook::Unmet };
        let waits_in_vain = is_in_vain && matches!(record.life, Life::Down);
        if order::is_met(self.condition, Some(spec), Some(record)) {
            Outlook::Met
        } else if waits_in_vain || order::is_over(spec, record) {
            Outlook::Hopeless
        } else {
            Outlook::Unmet
        }
    }
}

impl Queue {
    fn take(&mut self, outlook: Outlook) {
        let (unmet, hopeless) = outlook.counts();
        self.unmet += unmet;
        self.hopeless += hopeless;
    }

    fn part_with(&mut self, outlook: Outlook) {
        let (unmet, hopeless) = outlook.counts();
        self.unmet -= unmet;
        self.hopeless -= hopeless;
    }
}

impl Outlook {
    fn counts(self) -> (usize, usize) {
        match self {
            Outlook::Met => (0, 0),
            Outlook::Unmet => (1, 0),
            Outlook::Hopeless => (1, 1),
        }
    }
}
impl Sets {
    pub(super) fn of(desired: &Desired) -> Sets {
        let mut sets = Sets::default();
        for (name, spec) in &desired.processes {
            if let Some(replica) = &spec.replica {
                sets.0.entry(replica.set.clone()).or_default().push(name.clone());
            }
        }
        sets
    }

    pub(super) fn members<'a>(&'a self, desired: &Desired, name: &'a Name) -> &'a [Name] {
        match self.0.get(name) {
            Some(set) if !desired.processes.contains_key(name) => set,
            Some(_) | None => slice::from_ref(name),
        }
    }
}
