//! The limits of runs, at the edge: who keeps them, and what is said where nobody does.

use std::collections::HashMap;

use super::host::Host;
use crate::model::{Incarnation, Limits, Name};
use crate::process::Weigher;
use crate::reconcile::{Fact, Weight};

/// What the host knows of the runs' limits.
pub(super) struct LimitsSide {
    weigher: Weigher,
    /// Runs that were to be weighed and need not be.
    kept: Vec<Incarnation>,
    /// What is wrong with the limits of a run that lives.
    troubles: HashMap<Incarnation, String>,
    /// What was last said of a process's limits.
    told: HashMap<Name, String>,
}

impl LimitsSide {
    pub(super) fn new(weigher: Weigher) -> LimitsSide {
        LimitsSide { weigher, kept: Vec::new(), troubles: HashMap::new(), told: HashMap::new() }
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

    /// Says what is not kept, but not at every start.
    fn tell(&mut self, name: &Name, run: Incarnation, trouble: String) {
        if self.told.get(name) != Some(&trouble) {
            tracing::warn!(process = %name, run = run.get(), "{name}: {trouble}");
            self.told.insert(name.clone(), trouble.clone());
        }
        self.troubles.insert(run, trouble);
    }
}

impl Host {
    /// A run has begun: memory that the kernel does not limit is watched, cpu cannot be.
    pub(super) fn note_limits(&mut self, name: &Name, run: Incarnation, limits: Limits) {
        if limits.cpu.is_none() || self.children.keeps(run).cpu {
            self.limits.told.remove(name);
            return;
        }
        let why = self.children.keeps_nothing().unwrap_or("the cpu controller is not to be had");
        let trouble = format!("its cpu limit is not kept: {why}");
        self.limits.tell(name, run, trouble);
    }

    /// Asks how much memory a run has, unless the kernel sees to that.
    pub(super) fn put_on_scales(&mut self, run: Incarnation, limit: u64) {
        if self.children.keeps(run).memory {
            self.limits.kept.push(run);
            return;
        }
        let roots = self.children.roots(run);
        self.limits.weigher.ask(run, roots, limit);
    }

    /// What the weighings have shown, as facts.
    pub(super) fn weights(&mut self) -> Vec<Fact> {
        let kept = std::mem::take(&mut self.limits.kept).into_iter().map(|run| (run, Weight::Kept));
        let weighed = self.limits.weigher.answers().into_iter();
        let weighed = weighed.map(|(run, bytes)| (run, bytes.map_or(Weight::Unknown, Weight::Bytes)));
        kept.chain(weighed)
            .filter_map(|(run, weight)| Some(Fact::Weighed(self.name_of(run)?.clone(), run, weight)))
            .collect()
    }
}
