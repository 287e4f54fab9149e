//! The probes of runs: begun when the core asks for them, answered as facts.

use std::time::Duration;

use super::host::Host;
use crate::model::{Incarnation, Name, ProbeKind, ProbeResult, ProcessSpec};
use crate::reconcile::Fact;

/// The probes under way.
#[derive(Default)]
pub(super) struct Probes {
    /// What has come of some, and is not told yet.
    answers: Vec<Fact>,
}

impl Host {
    /// Begins a probe, whose answer will be among [`Host::probed`].
    pub(super) fn begin_probe(&mut self, name: &Name, run: Incarnation, _spec: &ProcessSpec, kind: ProbeKind) {
        self.probes.answers.push(Fact::Probed(name.clone(), run, kind, ProbeResult::Unknown, Duration::ZERO));
    }

    /// Probes that were answered since the last look, as facts.
    pub(super) fn probed(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.probes.answers)
    }
}
