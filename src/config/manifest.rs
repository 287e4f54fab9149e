//! One process file: from bytes to a [`ProcessSpec`], or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{
    Backoff, Birth, Dependency, EnvFrom, Fingerprint, Heartbeat, Inherited, Kill, Limits, Name, Notify, Output,
    PreStop, Probe, ProbeKind, ProcessSpec, Resource, Restart, RestartRule, Rlimit, Signal, Stop, Variable, sort_by,
};

use super::birth::{self, Command, Line};
use super::decode::Least;
use super::diagnostic::{Diagnostic, Source};
use super::entries;
use super::graph::Mentions;
use super::node::{Entry, Node, Span, Value, hash_sorted};
use super::report::{Path, Report, shown};
use super::schema::{self, KeyKind};
use super::{json, keys, text, yaml};

/// The largest process file, in bytes.
pub const MAX_FILE: usize = 256 * 1024;

/// What holds for a file that does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// `--threshold`, `--minrestartdelay` and `--maxrestartdelay`.
    pub backoff: Backoff,
    /// `--killtime`.
    pub grace: Duration,
}

impl Defaults {
    /// What `ncolony run` has when no flag says otherwise.
    pub const STANDARD: Defaults = Defaults {
        backoff: Backoff {
            threshold: Duration::from_secs(10),
            initial: Duration::from_secs(1),
            max: Duration::from_secs(300),
        },
        grace: Duration::from_secs(5),
    };
}

/// A good file.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What it asks for.
    pub spec: ProcessSpec,
    /// How many of it (`replicas`); `None`: one, of the file's own name.
    pub replicas: Option<u32>,
    /// What its writer may want to know.
    pub warnings: Vec<Diagnostic>,
    /// Where it names others.
    pub(super) mentions: Option<Mentions>,
}

/// Reads the text of the process file that is shown as `file`: JSON if it starts with `{`, else YAML.
///
/// # Errors
/// All that is wrong with it, warnings included, in the order of the text.
pub fn parse(file: &str, text: &[u8], defaults: &Defaults) -> Result<Manifest, Vec<Diagnostic>> {
    let text = text::decoded(file, text)?;
    let is_json = text.trim_start().starts_with('{');
    let root = if is_json { json::parse(text) } else { yaml::parse(text) };
    let root = root.map_err(|malformed| vec![text::malformed(&Source { file, text }, malformed, is_json)])?;
    let Value::Map(entries) = &root.value else {
        return Err(vec![text::not_a_map(&Source { file, text }, &root)]);
    };

    let mut report = Report::new(Source { file, text }, entries);
    report.duplicates(None, &root.value);
    let mut draft = Draft { own: entries::process_of(file.as_bytes()).ok(), ..Draft::default() };
    for entry in entries {
        draft.take(&mut report, entry);
    }
    let mentions = draft.mentions.take();
    let config = if is_json { text.to_string() } else { rendered(&root) };
    let replicas = draft.replicas;
    let spec = draft.finish(&mut report, &root, config, defaults);
    match (spec, report.has_errors()) {
        (Some(mut spec), false) => {
            (spec.born, spec.whole) = fingerprints(&spec, entries);
            Ok(Manifest { spec, replicas, warnings: report.finish(), mentions })
        }
        (_, _) => Err(report.finish()),
    }
}

fn rendered(root: &Node) -> String {
    let mut out = String::new();
    root.write_json(&mut out);
    out
}

/// What has been read of a file's keys; `None` where a key is absent, or bad and reported.
#[derive(Default)]
struct Draft {
    /// What the file describes, by its name.
    own: Option<Name>,
    args: Option<Vec<String>>,
    command: Option<Vec<String>>,
    /// In the file's order: a value may refer to those above it.
    env: Vec<(Variable, Span)>,
    env_from: Vec<EnvFrom>,
    env_inherit: Vec<Inherited>,
    security: keys::security::Draft,
    rlimits: BTreeMap<Resource, Rlimit>,
    nice: Option<i8>,
    oom_score_adj: Option<i16>,
    umask: Option<u16>,
    groups: Vec<String>,
    working_dir: Option<PathBuf>,
    restart: Option<Restart>,
    restart_rules: Vec<RestartRule>,
    threshold: Option<Duration>,
    initial: Option<Duration>,
    max: Option<Duration>,
    grace: Option<Duration>,
    signal: Option<Signal>,
    kill: Option<Kill>,
    pre_stop: Option<PreStop>,
    post_start: Option<Vec<String>>,
    depends_on: Vec<Dependency>,
    mentions: Option<Mentions>,
    essential: Option<bool>,
    replicas: Option<u32>,
    limits: Limits,
    schedule: keys::schedule::Draft,
    suspend: Option<bool>,
    readiness_gate: Option<bool>,
    heartbeat: Option<Heartbeat>,
    probes: Vec<Probe>,
    output: Option<Output>,
    /// How many keys are the application's own.
    extras: usize,
}

/// How many of the application's own keys are compared with ours: no hand writes more of them.
const MISSPELLINGS: usize = 200;

impl Draft {
    fn take(&mut self, report: &mut Report<'_>, entry: &Entry) {
        let path = &Path::top(&entry.key);
        let node = &entry.node;
        match entry.key.as_str() {
            "args" => self.args = report.texts(path, node),
            "command" => self.command = report.texts(path, node),
            "env" => self.env = keys::env::variables(report, path, node),
            "envFrom" => self.env_from = keys::env::files(report, path, node),
            "env_inherit" | "envInherit" => self.env_inherit.extend(keys::env::inherited(report, path, node)),
            // null is what NColony takes for "not set".
            "uid" | "gid" | "ncolony.beatcheck" | "ncolony.httpcheck" if matches!(node.value, Value::Null) => {}
            "uid" => self.security.uid = report.id(path, node).map(|id| (id, node.span)),
            "gid" => self.security.gid = report.id(path, node).map(|id| (id, node.span)),
            "securityContext" => self.security.take(report, path, node),
            "rlimits" => self.rlimits = keys::born::rlimits(report, path, node),
            "nice" => self.nice = keys::born::whole(report, path, node, (-20, 19)),
            "oomScoreAdj" => self.oom_score_adj = keys::born::whole(report, path, node, (-1000, 1000)),
            "umask" => self.umask = keys::born::umask(report, path, node),
            "group" => self.groups = report.texts(path, node).unwrap_or_default(),
            "workingDir" => self.working_dir = keys::absolute(report, path, node),
            "restartPolicy" => self.restart = report.word(path, node, &RESTART),
            "backoff" => self.backoff(report, path, node),
            "terminationGracePeriodSeconds" => self.grace = report.seconds(path, node, Least::Zero),
            "lifecycle" => self.lifecycle(report, path, node),
            "killMode" => self.kill = report.word(path, node, &[("mixed", Kill::Mixed), ("group", Kill::Group)]),
            "schedule" => self.schedule.schedule(report, path, node),
            "timeZone" => self.schedule.time_zone(report, path, node),
            "concurrencyPolicy" => self.schedule.concurrency(report, path, node),
            "activeDeadlineSeconds" => self.schedule.active_deadline(report, path, node),
            "startingDeadlineSeconds" => self.schedule.starting_deadline(report, path, node),
            "suspend" => self.suspend = report.flag(path, node),
            "readinessGate" => self.readiness_gate = report.flag(path, node),
            "ncolony.beatcheck" => self.heartbeat = keys::heartbeat::heartbeat(report, path, node),
            "ncolony.httpcheck" => self.probes.extend(keys::http_check::http_check(report, path, node)),
            "startupProbe" => self.probe(report, path, node, ProbeKind::Startup),
            "livenessProbe" => self.probe(report, path, node, ProbeKind::Liveness),
            "readinessProbe" => self.probe(report, path, node, ProbeKind::Readiness),
            "output" => self.output = keys::output::output(report, path, node),
            "restartPolicyRules" => self.restart_rules = keys::restart::rules(report, path, node),
            "dependsOn" => {
                (self.depends_on, self.mentions) = keys::order::depends_on(report, path, node, self.own.as_ref());
            }
            "essential" => self.essential = report.flag(path, node),
            "replicas" => self.replicas = keys::order::replicas(report, path, node),
            "resources" => self.limits = keys::resources::limits(report, path, entry),
            key => self.extra(report, key, entry),
        }
    }

    /// A key that is the application's own.
    fn extra(&mut self, report: &mut Report<'_>, key: &str, entry: &Entry) {
        self.extras += 1;
        let meant = if self.extras <= MISSPELLINGS { schema::misspelling_of(key) } else { None };
        if let Some(meant) = meant {
            let message = format!("unknown key \"{}\", taken for one of the application's own", shown(key));
            report.warning(&"", entry.key_span, message, Some(format!("did you mean \"{meant}\"?")));
        }
    }

    fn probe(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node, kind: ProbeKind) {
        self.probes.extend(keys::probe::probe(report, path, node, kind));
    }

    fn backoff(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        const KEYS: [&str; 3] = ["thresholdSeconds", "initialSeconds", "maxSeconds"];
        for entry in report.map(path, node, "a map").unwrap_or_default() {
            let path = &path.key(&entry.key);
            match entry.key.as_str() {
                "thresholdSeconds" => self.threshold = report.seconds(path, &entry.node, Least::Zero),
                "initialSeconds" => self.initial = report.seconds(path, &entry.node, Least::Millisecond),
                "maxSeconds" => self.max = report.seconds(path, &entry.node, Least::Millisecond),
                _ => report.unknown_key(path, entry, &KEYS),
            }
        }
        if self.initial.zip(self.max).is_some_and(|(initial, max)| initial > max) {
            report.error(path, node.span, "initialSeconds is longer than maxSeconds");
        }
    }

    fn lifecycle(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        for entry in report.map(path, node, "a map").unwrap_or_default() {
            let path = &path.key(&entry.key);
            match entry.key.as_str() {
                "stopSignal" => self.signal = keys::lifecycle::signal(report, path, &entry.node),
                "preStop" => self.pre_stop = keys::lifecycle::pre_stop(report, path, &entry.node),
                "postStart" => self.post_start = keys::lifecycle::post_start(report, path, &entry.node),
                _ => report.unknown_key(path, entry, &["stopSignal", "preStop", "postStart"]),
            }
        }
    }

    fn finish(
        mut self,
        report: &mut Report<'_>,
        root: &Node,
        config: String,
        defaults: &Defaults,
    ) -> Option<ProcessSpec> {
        let security = self.security.finish(report);
        let command = Command {
            head: self.command,
            args: self.args,
            env: self.env,
            inherited: &self.env_inherit,
            config: &config,
        };
        let Line { argv, references, env } = birth::command_line(report, root, command)?;
        keys::restart::rules_fit(report, root, &self.restart_rules);
        let restart = if root.has_key("schedule") { Restart::Never } else { Restart::Always };
        let restart = self.restart.unwrap_or(restart);
        let active_deadline = self.schedule.deadline(report, root, restart);
        let schedule = self.schedule.finish(report, root);
        if self.essential == Some(true) {
            keys::order::essential_fits(report, root, restart, schedule.as_ref());
        }
        if self.replicas.is_some() {
            keys::order::replicas_fit(report, root, schedule.as_ref());
        }
        sort_by(&mut self.probes, |one, other| one.kind.cmp(&other.kind));
        Some(ProcessSpec {
            birth: Birth {
                argv,
                references,
                env,
                env_from: self.env_from,
                env_inherit: self.env_inherit,
                config,
                security,
                working_dir: self.working_dir,
                rlimits: self.rlimits,
                nice: self.nice,
                oom_score_adj: self.oom_score_adj,
                umask: self.umask,
                limits: self.limits,
                output: self.output,
                sd_notify: Notify::of(&self.probes),
                // The file is one process to its reader; whoever reads the directory makes as many of it as it says.
                replica: None,
            },
            born: Fingerprint(0),
            whole: Fingerprint(0),
            restart,
            restart_rules: self.restart_rules,
            schedule,
            active_deadline,
            backoff: merged(&defaults.backoff, self.threshold, self.initial, self.max),
            stop: Stop {
                signal: self.signal.unwrap_or(Signal::TERM),
                grace: self.grace.unwrap_or(defaults.grace),
                kill: self.kill.unwrap_or(Kill::Mixed),
                pre_stop: self.pre_stop,
            },
            depends_on: self.depends_on.into(),
            essential: self.essential.unwrap_or(false),
            replica: None,
            post_start: self.post_start,
            suspend: self.suspend.unwrap_or(false),
            readiness_gate: self.readiness_gate.unwrap_or(true),
            heartbeat: self.heartbeat,
            probes: self.probes,
            groups: self.groups,
        })
    }
}

const RESTART: [(&str, Restart); 3] =
    [("Always", Restart::Always), ("OnFailure", Restart::OnFailure), ("Never", Restart::Never)];

/// The file's back-off over the monitor's: where only one end is given, the other gives way.
fn merged(
    defaults: &Backoff,
    threshold: Option<Duration>,
    initial: Option<Duration>,
    max: Option<Duration>,
) -> Backoff {
    Backoff {
        threshold: threshold.unwrap_or(defaults.threshold),
        initial: initial.unwrap_or_else(|| max.map_or(defaults.initial, |max| defaults.initial.min(max))),
        max: max.unwrap_or_else(|| initial.map_or(defaults.max, |initial| defaults.max.max(initial))),
    }
}

/// The hashes of what a run is born with and of everything. SipHash with fixed keys: equal in every process.
fn fingerprints(spec: &ProcessSpec, entries: &[Entry]) -> (Fingerprint, Fingerprint) {
    // Every field by name, so that a new one cannot be forgotten here.
    let Birth {
        argv,
        references,
        env,
        env_from,
        env_inherit,
        config,
        security,
        working_dir,
        rlimits,
        nice,
        oom_score_adj,
        umask,
        limits,
        output,
        sd_notify,
        replica: _,
    } = &spec.birth;
    let mut hasher = DefaultHasher::new();
    (argv, references, env, env_from, env_inherit, security, working_dir).hash(&mut hasher);
    (rlimits, nice, oom_score_adj, umask, limits, sd_notify).hash(&mut hasher);
    output.map(|output| (output.format as u8, output.on_full as u8)).hash(&mut hasher);
    hash_sorted(entries.iter().filter(|entry| schema::kind_of(&entry.key) == KeyKind::Extra), &mut hasher);
    let born = hasher.finish();

    let ProcessSpec {
        birth: _,
        born: _,
        whole: _,
        restart,
        restart_rules,
        schedule,
        active_deadline,
        backoff,
        stop,
        depends_on,
        essential,
        replica,
        post_start,
        suspend,
        readiness_gate,
        heartbeat,
        probes,
        groups,
    } = spec;
    (born, config, *restart as u8, restart_rules, post_start, suspend, readiness_gate, groups).hash(&mut hasher);
    (schedule, active_deadline).hash(&mut hasher);
    (backoff.threshold, backoff.initial, backoff.max).hash(&mut hasher);
    (stop, depends_on, essential, replica, probes).hash(&mut hasher);
    heartbeat.as_ref().map(|beat| (beat.period, beat.grace.to_bits(), &beat.file)).hash(&mut hasher);
    (Fingerprint(born), Fingerprint(hasher.finish()))
}
