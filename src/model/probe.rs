//! What is asked of a running process again and again, as in a Pod, and what the answers say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::HttpGet;

/// `livenessProbe`, `readinessProbe`, `startupProbe`, or NColony's `ncolony.httpcheck`, with the kubelet's fields.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Probe {
    /// What its verdict decides.
    pub kind: ProbeKind,
    /// How the process is asked.
    pub handler: ProbeHandler,
    /// From a run's start to the first probe.
    pub initial_delay: Duration,
    /// From one to the next; never zero.
    pub period: Duration,
    /// How long an answer may take; never zero.
    pub timeout: Duration,
    /// Successes in a row that make one verdict; at least 1.
    pub success_threshold: u32,
    /// Failures in a row that do; at least 1.
    pub failure_threshold: u32,
    /// The grace of a run that is ended for it (KEP-2238); the process's own if unset.
    pub grace: Option<Duration>,
}

/// What the verdict of a [`Probe`] decides.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ProbeKind {
    /// Whether a run has started. Until it has, there are no other probes; one that fails is ended.
    Startup,
    /// Whether a run lives; one that does not is ended.
    Liveness,
    /// Whether it is ready.
    Readiness,
    /// NColony's `ncolony.httpcheck`: as [`ProbeKind::Liveness`], beside it.
    HttpCheck,
}

/// How a process is asked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ProbeHandler {
    /// A command in its surroundings; success is exit code 0.
    Exec(Vec<String>),
    /// A request; success is a status from 200 to 399.
    HttpGet(HttpGet),
    /// A request; success is any answer, as NColony has it.
    AnyAnswer(HttpGet),
    /// A connection; success is that there is one.
    TcpSocket {
        /// A name or an address; 127.0.0.1 unless the file says otherwise.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// The gRPC health protocol; success is SERVING.
    Grpc {
        /// The TCP port.
        port: u16,
        /// The service that is asked about; empty: the server as a whole.
        service: String,
    },
    /// A file that the process touches; success is that it has since the last look.
    Heartbeat(PathBuf),
    /// What the process tells of itself by sd_notify(3).
    Notify,
}

/// What a run that is to speak of itself by sd_notify(3) is told at its birth.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Notify {
    /// How long it may be silent once it runs: `WATCHDOG_USEC`. `None` where nobody waits for `WATCHDOG=1`.
    pub watchdog: Option<Duration>,
}

/// What one probe has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProbeResult {
    /// All is well.
    Success,
    /// It is not, for this reason.
    Failure(Arc<str>),
    /// Nothing: the probe itself could not be made, for this reason. It counts as none.
    Unmade(Arc<str>),
    /// Nothing: it is too early to say. It counts as none.
    Unknown,
}

/// What all of a run's probes of one kind have shown, by the thresholds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProbeVerdict {
    /// None yet. As long as it lasts a process is not started, lives, and is not ready.
    Unknown,
    /// All is well.
    Success,
    /// It is not.
    Failure,
}

impl ProbeKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [ProbeKind; 4] =
        [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness, ProbeKind::HttpCheck];

    /// In words: `liveness probe`.
    pub fn as_str(self) -> &'static str {
        match self {
            ProbeKind::Startup => "startup probe",
            ProbeKind::Liveness => "liveness probe",
            ProbeKind::Readiness => "readiness probe",
            ProbeKind::HttpCheck => "HTTP check",
        }
    }

    /// The value of the label `probe_type`, as the kubelet writes it.
    pub fn label(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
            ProbeKind::HttpCheck => "HttpCheck",
        }
    }
}

impl Notify {
    /// What these probes need a run to be told. The silence that is one too long is the one that the liveness probe ends
    /// it for.
    pub fn of(probes: &[Probe]) -> Option<Notify> {
        let mut notified = probes.iter().filter(|probe| probe.handler == ProbeHandler::Notify).peekable();
        notified.peek()?;
        let liveness = notified.find(|probe| probe.kind == ProbeKind::Liveness);
        Some(Notify { watchdog: liveness.map(|probe| probe.period.saturating_mul(probe.failure_threshold)) })
    }
}

impl ProbeHandler {
    /// Whether the process speaks of itself, and the probe only listens: it must be given time to.
    pub fn is_passive(&self) -> bool {
        match self {
            ProbeHandler::Heartbeat(_) | ProbeHandler::Notify => true,
            ProbeHandler::Exec(_)
            | ProbeHandler::HttpGet(_)
            | ProbeHandler::AnyAnswer(_)
            | ProbeHandler::TcpSocket { .. }
            | ProbeHandler::Grpc { .. } => false,
        }
    }
}
