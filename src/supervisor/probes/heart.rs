//! `heartbeat`: whether its file has changed since the last look. The first look is made when the run begins, or when an
//! edit brings the probe.

use std::path::Path;

use super::{Finding, Heard, Key};
use crate::health::{Heart, Listener, Outcome, Seen};
use crate::model::{Incarnation, Name, ProbeHandler, ProbeKind, ProcessSpec};
use crate::supervisor::host::Host;

impl Host {
    /// Has the first look made at each heartbeat that a probe of this spec, which governs the run from now on, asks for.
    pub(in crate::supervisor) fn begin_hearts(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec) {
        for kind in ProbeKind::ALL {
            let heart = Heart { run, listener: Listener::Probe(kind) };
            match spec.probes.iter().find(|probe| probe.kind == kind).map(|probe| &probe.handler) {
                Some(ProbeHandler::Heartbeat(file)) => self.beats.begin(heart, name, file),
                Some(
                    ProbeHandler::Exec(_)
                    | ProbeHandler::HttpGet(_)
                    | ProbeHandler::AnyAnswer(_)
                    | ProbeHandler::TcpSocket { .. }
                    | ProbeHandler::Grpc { .. }
                    | ProbeHandler::Notify,
                )
                | None => self.beats.leave(heart),
            }
        }
    }

    pub(super) fn look_for_probe(&mut self, name: &Name, (run, kind): Key, file: &Path) {
        self.beats.look(Heart { run, listener: Listener::Probe(kind) }, name, file);
    }

    /// A look has been made. A first one is none that was asked for, or means nothing.
    pub(in crate::supervisor) fn probe_looked(&mut self, run: Incarnation, kind: ProbeKind, seen: Seen) {
        let key = (run, kind);
        let Some(attempt) = self.probes.under_way.get(&key) else { return };
        let failure = |why: &str| Finding::Outcome(Outcome::Failure(why.to_string()));
        let finding = match seen {
            Seen::Changed { .. } => Finding::Outcome(Outcome::Success),
            Seen::Unchanged => failure("no heartbeat since the last look"),
            Seen::Missing(path) => failure(&format!("there is no heartbeat file {}", path.display())),
            Seen::Refused(why) => failure(&why),
            Seen::First => Finding::Nothing,
            Seen::Unknown => {
                Finding::Outcome(Outcome::Unknown("the file system of the heartbeat does not answer".to_string()))
            }
        };
        self.probes.known.push(Heard { key, number: attempt.number, finding });
    }
}
