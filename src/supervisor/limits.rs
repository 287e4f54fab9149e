//! The limits of runs, at the edge: who keeps them, and what is said where nobody does.

use std::collections::HashMap;

use super::host::Host;
use crate::model::{Incarnation, Limits, Name};
use crate::process::Weigher;
use crate::reconcile::{Fact, Weight};

/// What the host knows of the runs' limits.
pub(super) struct LimitsSide {
    weigher: Weigher,
    /// What is wrong with the limits of a run that lives.
    troubles: HashMap<Incarnation, String>,
    /// What was last said of a process's limits.
    told: HashMap<Name, String>,
}

impl LimitsSide {
    pub(super) fn new(weigher: Weigher) -> LimitsSide {
        LimitsSide { weigher, troubles: HashMap::new(), told: HashMap::new() }
    }

    /// A run has begun.
    pub(super) fn began(&mut self, name: &Name, run: Incarnation, limits: Limits) {
        if limits.cpu.is_none() {
            self.told.remove(name);
            return;
        }
        let trouble = "its cpu limit is not kept: that takes a cgroup v2 of its own".to_string();
        if self.told.get(name) != Some(&trouble) {
            tracing::warn!(process = %name, run = run.get(), "{name}: {trouble}");
            self.told.insert(name.clone(), trouble.clone());
        }
        self.troubles.insert(run, trouble);
    }

    /// What of a run's limits is not kept, and why.
    pub(super) fn trouble(&self, run: Incarnation) -> Option<&str> {
        self.troubles.get(&run).map(String::as_str)
    }

    /// A run has ended.
    pub(super) fn ended(&mut self, run: Incarnation) {
        self.troubles.remove(&run);
    }

    /// A process is no more.
    pub(super) fn forget(&mut self, name: &Name) {
        self.told.remove(name);
    }
}

impl Host {
    /// Asks how much memory a run has.
    pub(super) fn put_on_scales(&mut self, run: Incarnation, limit: u64) {
        let roots = self.children.roots(run);
        self.limits.weigher.ask(run, roots, limit);
    }

    /// What the weighings have shown, as facts.
    pub(super) fn weights(&mut self) -> Vec<Fact> {
        let answers = self.limits.weigher.answers();
        answers
            .into_iter()
            .filter_map(|(run, bytes)| {
                let name = self.name_of(run)?.clone();
                Some(Fact::Weighed(name, run, bytes.map_or(Weight::Unknown, Weight::Bytes)))
            })
            .collect()
    }
}
