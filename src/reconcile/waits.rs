//! Who waits for whom to be started. How much of it is not as it must be is counted, and counted anew only where something
//! that is depended on changes: so neither such a change nor a look at who waits goes through long lists.

use std::collections::BTreeMap;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

use super::desired::Desired;
use super::order;
use super::record::Record;
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
struct Sets(BTreeMap<Name, Vec<Name>>);

/// Those that depend on the same.
#[derive(Clone, Debug, Default)]
struct Queue {
    names: Vec<Name>,
    /// How much of what they depend on is not as it must be.
    unmet: usize,
}

/// Something that a queue depends on.
#[derive(Clone, Debug)]
struct Need {
    on: Name,
    condition: Condition,
    /// What is desired of it; `None`: no good file describes it.
    spec: Option<Arc<ProcessSpec>>,
    queue: usize,
    is_met: bool,
}

impl Waits {
    /// As things are.
    pub(super) fn of(desired: &Desired, records: &BTreeMap<Name, Record>) -> Waits {
        let sets = Sets::of(desired);
        let waiting = || desired.processes.iter().filter(|(_, spec)| !spec.depends_on.is_empty());
        let lists = DependencyLists::of(waiting().map(|(_, spec)| &*spec.depends_on));
        let mut queues: Vec<Queue> = lists.iter().map(|_| Queue::default()).collect();
        let mut places = Vec::new();
        for (name, spec) in waiting() {
            if let Some(place) = lists.place(&spec.depends_on) {
                queues[place].names.push(name.clone());
                places.push((name.clone(), place));
            }
        }
        let mut needs = Vec::new();
        for (queue, Dependency { name, condition }) in
            lists.iter().enumerate().flat_map(|(queue, list)| list.iter().map(move |on| (queue, on)))
        {
            for on in sets.members(desired, name) {
                let (spec, condition) = (desired.processes.get(on).cloned(), *condition);
                let is_met = order::is_met(condition, spec.as_deref(), records.get(on));
                queues[queue].unmet += usize::from(!is_met);
                needs.push(Need { on: on.clone(), condition, spec, queue, is_met });
            }
        }
        needs.sort_unstable_by(|one, other| one.on.cmp(&other.on));
        Waits { sets, queues, places, needs }
    }

    /// The processes that a dependency names.
    pub(super) fn members<'a>(&'a self, desired: &Desired, name: &'a Name) -> &'a [Name] {
        self.sets.members(desired, name)
    }

    /// Whether all that this process depends on is as it must be.
    pub(super) fn is_free(&self, name: &Name) -> bool {
        let place = self.places.binary_search_by(|(waiting, _)| waiting.cmp(name));
        place.is_err() || place.is_ok_and(|at| self.queues[self.places[at].1].unmet == 0)
    }

    /// Something about this process has changed. Returns those that it sets free.
    pub(super) fn tell(&mut self, name: &Name, record: &Record) -> Vec<Name> {
        let mut freed = Vec::new();
        let needs = self.needs_of(name);
        for need in &mut self.needs[needs] {
            let is_met = order::is_met(need.condition, need.spec.as_deref(), Some(record));
            let was_met = std::mem::replace(&mut need.is_met, is_met);
            let queue = &mut self.queues[need.queue];
            match (was_met, is_met) {
                (true, false) => queue.unmet += 1,
                (false, true) => {
                    queue.unmet -= 1;
                    if queue.unmet == 0 {
                        freed.extend_from_slice(&queue.names);
                    }
                }
                (false, false) | (true, true) => {}
            }
        }
        freed
    }

    /// Those that depend on this process.
    pub(super) fn dependents<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a Name> {
        self.needs[self.needs_of(name)].iter().flat_map(|need| &self.queues[need.queue].names)
    }

    /// Who needs this process.
    fn needs_of(&self, name: &Name) -> Range<usize> {
        let from = self.needs.partition_point(|need| need.on < *name);
        let all = self.needs[from..].iter().take_while(|need| need.on == *name);
        from..from + all.count()
    }
}

impl Sets {
    fn of(desired: &Desired) -> Sets {
        let mut sets = Sets::default();
        for (name, spec) in &desired.processes {
            if let Some(replica) = &spec.replica {
                sets.0.entry(replica.set.clone()).or_default().push(name.clone());
            }
        }
        sets
    }

    fn members<'a>(&'a self, desired: &Desired, name: &'a Name) -> &'a [Name] {
        match self.0.get(name) {
            Some(set) if !desired.processes.contains_key(name) => set,
            Some(_) | None => slice::from_ref(name),
        }
    }
}
