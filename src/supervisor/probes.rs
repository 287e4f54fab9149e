//! The probes of runs: begun when the core asks for them, answered as facts.

use std::time::Duration;

use super::host::Host;
use crate::model::{Incarnation, Name, ProbeHandler, ProbeKind, ProbeResult, ProcessSpec};
use crate::reconcile::Fact;

/// The probes under way.
#[derive(Default)]
pub(super) struct Probes {
    /// What has come of some, and is not told yet.
    answers: Vec<Fact>,
}

impl Host {
    /// Begins a probe, whose answer will be among [`Host::probed`].
    pub(super) fn begin_probe(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, kind: ProbeKind) {
        let handler = spec.probes.iter().find(|probe| probe.kind == kind).map(|probe| &probe.handler);
        let result = match handler {
            Some(ProbeHandler::Notify) => self.voices.answer(run, kind),
            Some(_) | None => ProbeResult::Unknown,
        };
        self.probes.answers.push(Fact::Probed(name.clone(), run, kind, result, Duration::ZERO));
    }

    /// Whether there are such answers already.
    pub(super) fn has_probed(&self) -> bool {
        !self.probes.answers.is_empty()
    }

    /// Probes that were answered since the last look, as facts.
    pub(super) fn probed(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.probes.answers)
    }
}
