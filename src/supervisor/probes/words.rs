use std::sync::Arc;

use crate::health::Outcome;
use crate::model::{Incarnation, Name, ProbeKind, ProbeResult, Reason};
use crate::supervisor::events::Told;
use crate::supervisor::host::Host;

impl Host {
    /// Tells of what came of a probe, in the kubelet's words, unless all is well.
    pub(in crate::supervisor) fn tell_probe(
        &mut self,
        name: &Name,
        run: Incarnation,
        kind: ProbeKind,
        outcome: Outcome,
    ) -> ProbeResult {
        let probe = title(kind);
        let (reason, text, result) = match outcome {
            Outcome::Success => return ProbeResult::Success,
            Outcome::Warning(text) => (Reason::ProbeWarning, format!("{probe} warning: {text}"), ProbeResult::Success),
            Outcome::Failure(text) => {
                (Reason::Unhealthy, format!("{probe} failed: {text}"), ProbeResult::Failure(Arc::from(text)))
            }
            Outcome::Unknown(text) => {
                let words = format!("{probe} errored and resulted in unknown state: {text}");
                (Reason::Unhealthy, words, ProbeResult::Unmade(Arc::from(text)))
            }
        };
        self.events.tell_now_and_then(Told::of(name, reason, text).run(run));
        result
    }
}

fn title(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Startup => "Startup probe",
        ProbeKind::Liveness => "Liveness probe",
        ProbeKind::Readiness => "Readiness probe",
        ProbeKind::HttpCheck => "HTTP check",
    }
}
