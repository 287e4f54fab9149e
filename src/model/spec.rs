//! What a process file asks for, parsed: no raw field is left to check.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Calendar, Dependency, EnvFrom, Exit, Inherited, Name, Notify, Probe, References, Resource, Rlimit, Security,
    Signal, Variable,
};

/// The desired state of one process.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSpec {
    /// What a run is born with. A change here needs a new run.
    pub birth: Birth,
    /// Hash of what a change of which needs a new run: [`Birth`], where of the file's text only the extras count.
    pub born: Fingerprint,
    /// Hash of everything.
    pub whole: Fingerprint,
    /// When a run that ended is followed by another.
    pub restart: Restart,
    /// What some exit codes decide before [`ProcessSpec::restart`] does (`restartPolicyRules`): the first that matches.
    pub restart_rules: Vec<RestartRule>,
    /// Set for a process that is run at times.
    pub schedule: Option<Schedule>,
    /// The longest that a run may last (`activeDeadlineSeconds`).
    pub active_deadline: Option<Duration>,
    /// How long to wait before a restart.
    pub backoff: Backoff,
    /// How a run is ended.
    pub stop: Stop,
    /// What must be so before it starts, and may be stopped only after it has ended.
    pub depends_on: Arc<[Dependency]>,
    /// Whether the colony ends when it ends for good.
    pub essential: bool,
    /// Set where it is one of the `replicas` of one file.
    pub replica: Option<Replica>,
    /// What is run right after the start, beside the main process (`lifecycle.postStart`).
    pub post_start: Option<Vec<String>>,
    /// Desired, but not running.
    pub suspend: bool,
    /// Whether `/healthz` waits for it.
    pub readiness_gate: bool,
    /// The heartbeat that a run must keep (`ncolony.beatcheck`).
    pub heartbeat: Option<Heartbeat>,
    /// How a run is asked whether it has started, lives and is ready, by kind; one of each at most.
    pub probes: Vec<Probe>,
    /// The restart groups that it belongs to.
    pub groups: Vec<String>,
}

impl ProcessSpec {
    /// What governs a run of which nothing is known but that it is to be ended: an earlier monitor started it.
    pub fn unknown(backoff: Backoff, grace: Duration) -> ProcessSpec {
        ProcessSpec {
            birth: Birth::default(),
            born: Fingerprint(0),
            whole: Fingerprint(0),
            restart: Restart::Always,
            restart_rules: Vec::new(),
            schedule: None,
            active_deadline: None,
            backoff,
            stop: Stop { signal: Signal::TERM, grace, kill: Kill::Mixed, pre_stop: None },
            depends_on: Arc::default(),
            essential: false,
            replica: None,
            post_start: None,
            suspend: false,
            readiness_gate: false,
            heartbeat: None,
            probes: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// What a run is born with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Birth {
    /// The whole argv, at least one; `argv[0]` is looked up in the child's PATH unless it holds a `/`. No NUL bytes.
    pub argv: Vec<String>,
    /// Whether `$(VAR)` in argv and environment stands for a value.
    pub references: References,
    /// `env`, in the file's order where that matters.
    pub env: Vec<Variable>,
    /// `envFrom`: files of further variables, over which `env` wins.
    pub env_from: Vec<EnvFrom>,
    /// What is taken from the monitor's environment.
    pub env_inherit: Vec<Inherited>,
    /// `NCOLONY_CONFIG` for the child: the file's text as it is for JSON, its JSON rendering for YAML.
    pub config: String,
    /// Whom it becomes, and with which rights.
    pub security: Security,
    /// The directory to start in; the monitor's if unset.
    pub working_dir: Option<PathBuf>,
    /// The kernel's limits of each of its processes.
    pub rlimits: BTreeMap<Resource, Rlimit>,
    /// How much others go before it, -20 to 19.
    pub nice: Option<i8>,
    /// How much sooner than others it is killed when memory runs out, -1000 to 1000.
    pub oom_score_adj: Option<i16>,
    /// Which permissions new files do not get.
    pub umask: Option<u16>,
    /// What it may use (`resources.limits`).
    pub limits: Limits,
    /// What becomes of its output; `None`: as the monitor's flag says.
    pub output: Option<Output>,
    /// What it is told of sd_notify(3), where a probe waits for what it tells.
    pub sd_notify: Option<Notify>,
    /// Which of a file's `replicas` it is: `NCOLONY_REPLICA` for the child.
    pub replica: Option<u32>,
}

/// `resources.limits`: what all processes of a run together may use.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub cpu: Option<u64>,
}

/// A hash: equal for equal things, different (but for a chance of 2⁻⁶⁴) for different ones.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint(pub u64);

/// `restartPolicy`, the kubelet's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// Whatever the run's end.
    Always,
    /// Unless it exited with 0.
    OnFailure,
    /// Never.
    Never,
}

/// One of `restartPolicyRules` (KEP-5307): what a run's exit code decides.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RestartRule {
    /// What is done when it matches.
    pub action: RuleAction,
    /// Whether it matches the codes, or all others.
    pub operator: RuleOperator,
    /// Exit codes, 0 to 255.
    pub codes: Vec<u8>,
}

impl RestartRule {
    /// Whether it speaks of a run that ended so: by its code, or, as a container's status has it, by 128 + n for an end
    /// by signal n.
    pub fn matches(&self, exit: Exit) -> bool {
        let is_listed = self.codes.iter().any(|code| i32::from(*code) == exit.shell_code());
        match self.operator {
            RuleOperator::In => is_listed,
            RuleOperator::NotIn => !is_listed,
        }
    }
}

/// What a [`RestartRule`] does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RuleAction {
    /// Another run, whatever `restartPolicy` says.
    Restart,
}

/// Which exit codes a [`RestartRule`] matches.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RuleOperator {
    /// Those that it lists.
    In,
    /// Those that it does not list.
    NotIn,
}

/// Which of a file's `replicas` a process is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Replica {
    /// The file's name without its ending; the process is this, `-` and the index.
    pub set: Name,
    /// Which one, from 0; the child sees it as `NCOLONY_REPLICA`.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

/// What is done before the stop signal (`lifecycle.preStop`); its time comes out of the grace.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PreStop {
    /// This command is run, as a process of the run.
    Exec(Vec<String>),
    /// This is asked for over HTTP.
    HttpGet(HttpGet),
    /// So long is waited.
    Sleep(Duration),
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// As it is.
    #[default]
    Http,
    /// Through TLS, whose certificates are not verified, as the kubelet has it.
    Https,
}

impl Scheme {
    /// As URLs begin.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// What a URL begins with, in whatever case.
    pub fn parse(text: &str) -> Option<Scheme> {
        [Scheme::Http, Scheme::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
    }
}

/// `httpGet`, as in a Pod.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HttpGet {
    /// How it is asked.
    pub scheme: Scheme,
    /// A name or an address; 127.0.0.1 unless the file says otherwise.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// What is asked for, with its query; starts with `/`.
    pub path: String,
    /// Further headers, in the file's order.
    pub headers: Vec<(String, String)>,
}

/// `schedule`, and what belongs to it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Schedule {
    /// When.
    pub rhythm: Rhythm,
    /// What becomes of a run that lasts until the next is due (`concurrencyPolicy`).
    pub concurrency: Concurrency,
    /// How late a run may begin (`startingDeadlineSeconds`); of calendars only.
    pub starting_deadline: Option<Duration>,
}

/// When something is run.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Rhythm {
    /// At once, and then each time that so much has passed; never zero.
    Every(Duration),
    /// By the clock on the wall.
    Calendar(Calendar),
}

/// `concurrencyPolicy`, without `Allow`: one process never has two lives.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Concurrency {
    /// The next waits for the end of the last.
    #[default]
    Forbid,
    /// The next ends the last.
    Replace,
}

impl Schedule {
    /// At intervals.
    pub fn every(every: Duration) -> Schedule {
        Schedule { rhythm: Rhythm::Every(every), concurrency: Concurrency::Forbid, starting_deadline: None }
    }

    /// The calendar, where there is one.
    pub fn calendar(&self) -> Option<&Calendar> {
        match &self.rhythm {
            Rhythm::Every(_) => None,
            Rhythm::Calendar(calendar) => Some(calendar),
        }
    }
}

/// A run that lasted at least `threshold` is followed at once; shorter ones wait `initial`, doubled at each, up to `max`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// A run that lasted this long was a good one.
    pub threshold: Duration,
    /// The delay after the first short run.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
}

/// How a run is ended.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Stop {
    /// What is done before the signal.
    pub pre_stop: Option<PreStop>,
    /// The signal that asks it to end.
    pub signal: Signal,
    /// From the beginning of the stop to SIGKILL.
    pub grace: Duration,
    /// Who is asked.
    pub kill: Kill,
}

/// `killMode`. SIGKILL goes to all of it in either.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kill {
    /// The main process is asked first, what it leaves behind after it.
    Mixed,
    /// The whole process group is asked at once.
    Group,
}

/// `ncolony.beatcheck`
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// The longest time between two beats; never zero.
    pub period: Duration,
    /// How many periods a new run has for its first beat.
    pub grace: f64,
    /// The file that is touched; where it is a directory, the file of the process's name in it.
    pub file: PathBuf,
}

/// `output`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Output {
    /// How lines are written.
    pub format: Format,
    /// What happens when nobody takes them.
    pub on_full: OnFull,
}

/// How a child's lines reach the monitor's own output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `[NAME] line`
    Prefix,
    /// One JSON object a line.
    Json,
    /// The child writes to the monitor's own descriptors; nothing is captured.
    Inherit,
}

/// What happens to a child's output when the monitor's own is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFull {
    /// The child waits, it alone.
    Block,
    /// Lines are dropped and counted.
    Drop,
}
