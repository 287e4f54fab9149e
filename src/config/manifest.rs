//! One process file: from bytes to a [`ProcessSpec`], or to everything that is wrong with it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{
    Backoff, Birth, Fingerprint, Format, Heartbeat, Kill, OnFull, Output, ProcessSpec, Restart, Schedule, Signal, Stop,
};

use super::birth::{self, Command};
use super::decode::{Least, Path, Report, a_kind, shown};
use super::diagnostic::{Diagnostic, Source};
use super::node::{Entry, Malformed, Node, Span, Value, hash_sorted};
use super::schema::{self, KeyKind};
use super::{json, yaml};

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

/// A good file.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What it asks for.
    pub spec: ProcessSpec,
    /// What its writer may want to know.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the text of the process file that is shown as `file`: JSON if it starts with `{`, else YAML.
///
/// # Errors
/// All that is wrong with it, warnings included, in the order of the text.
pub fn parse(file: &str, text: &[u8], defaults: &Defaults) -> Result<Manifest, Vec<Diagnostic>> {
    let text = decoded(file, text)?;
    let is_json = text.trim_start().starts_with('{');
    let root = if is_json { json::parse(text) } else { yaml::parse(text) };
    let root = root.map_err(|malformed| vec![malformed_in(&Source { file, text }, malformed, is_json)])?;
    let Value::Map(entries) = &root.value else {
        return Err(vec![not_a_map(&Source { file, text }, &root)]);
    };

    let mut report = Report::new(Source { file, text }, entries);
    report.duplicates(None, &root.value);
    let mut draft = Draft::default();
    for entry in entries {
        draft.take(&mut report, entry);
    }
    let config = if is_json { text.to_string() } else { rendered(&root) };
    let spec = draft.finish(&mut report, &root, config, defaults);
    match (spec, report.has_errors()) {
        (Some(mut spec), false) => {
            (spec.born, spec.whole) = fingerprints(&spec, entries);
            Ok(Manifest { spec, warnings: report.finish() })
        }
        (_, _) => Err(report.finish()),
    }
}

/// The text, less a byte order mark.
fn decoded<'t>(file: &str, bytes: &'t [u8]) -> Result<&'t str, Vec<Diagnostic>> {
    if bytes.len() > MAX_FILE {
        return Err(vec![too_large(file)]);
    }
    let at = |offset: usize, message: String| {
        let text = String::from_utf8_lossy(&bytes[..offset]);
        let place = Source { file, text: &text }.place(text.len());
        vec![Diagnostic { place: Some(place), ..Diagnostic::of_file(file, message) }]
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at(error.valid_up_to(), format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    if let Some(offset) = text.find('\0') {
        return Err(at(offset, format!("a NUL byte at byte {offset}")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(vec![Diagnostic::of_file(file, "the file is empty")]);
    }
    Ok(text)
}

/// The diagnostic for a file of more than [`MAX_FILE`] bytes.
pub(super) fn too_large(file: &str) -> Diagnostic {
    Diagnostic::of_file(file, format!("larger than {MAX_FILE} bytes"))
}

fn malformed_in(source: &Source<'_>, malformed: Malformed, is_json: bool) -> Diagnostic {
    let Malformed { span, message, help, top } = malformed;
    let mut masks: Vec<Span> = Vec::new();
    if is_json {
        let is_secret = |key: &str| key == "env" || schema::kind_of(key) == KeyKind::Extra;
        masks.extend(top.iter().filter(|(key, _)| is_secret(key)).map(|(_, span)| *span));
        // What follows the mistake has not been understood.
        masks.push(Span { start: span.start + 1, end: source.text.len() });
    } else {
        masks.extend(suspect(source.text, span.start));
    }
    Diagnostic {
        place: Some(source.place(span.start)),
        excerpt: Some(source.excerpt(span, &masks)),
        help: help.map(str::to_string),
        ..Diagnostic::of_file(source.file, message)
    }
}

/// What to hide of a line of YAML that could not be read: what follows its key, unless it belongs to a key of ours
/// that holds no secrets.
fn suspect(text: &str, offset: usize) -> Option<Span> {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let owner = text[..end].lines().rev().find(|line| line.starts_with(|c: char| c.is_alphabetic()))?;
    let key = owner.split(':').next().unwrap_or_default().trim_end();
    if key != "env" && schema::kind_of(key) != KeyKind::Extra {
        return None;
    }
    let line = &text[start..end];
    let shown = line.find(": ").map_or(line.len() - line.trim_start().len(), |at| at + 2);
    Some(Span { start: start + shown, end })
}

fn not_a_map(source: &Source<'_>, root: &Node) -> Diagnostic {
    let message = format!("expected a map with the key \"args\", found {}", a_kind(&root.value));
    Diagnostic { place: Some(source.place(root.span.start)), ..Diagnostic::of_file(source.file, message) }
}

fn rendered(root: &Node) -> String {
    let mut out = String::new();
    root.write_json(&mut out);
    out
}

/// What has been read of a file's keys; `None` where a key is absent, or bad and reported.
#[derive(Default)]
struct Draft {
    args: Option<Vec<String>>,
    command: Option<Vec<String>>,
    /// In the file's order: a value may refer to those above it.
    env: Vec<(String, String, Span)>,
    env_inherit: Vec<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Vec<String>,
    working_dir: Option<PathBuf>,
    restart: Option<Restart>,
    threshold: Option<Duration>,
    initial: Option<Duration>,
    max: Option<Duration>,
    grace: Option<Duration>,
    signal: Option<Signal>,
    kill: Option<Kill>,
    schedule: Option<Schedule>,
    suspend: Option<bool>,
    readiness_gate: Option<bool>,
    heartbeat: Option<Heartbeat>,
    output: Option<Output>,
}

impl Draft {
    fn take(&mut self, report: &mut Report<'_>, entry: &Entry) {
        let path = &Path::top(&entry.key);
        let node = &entry.node;
        match entry.key.as_str() {
            "args" => self.args = report.texts(path, node),
            "command" => self.command = report.texts(path, node),
            "env" => self.env = variables(report, path, node),
            "env_inherit" | "envInherit" => self.env_inherit.extend(inherited(report, path, node)),
            // null is what NColony takes for "not set".
            "uid" | "gid" if matches!(node.value, Value::Null) => {}
            "uid" => self.uid = report.id(path, node),
            "gid" => self.gid = report.id(path, node),
            "group" => self.groups = report.texts(path, node).unwrap_or_default(),
            "workingDir" => self.working_dir = absolute(report, path, node),
            "restartPolicy" => self.restart = report.word(path, node, &RESTART),
            "backoff" => self.backoff(report, path, node),
            "terminationGracePeriodSeconds" => self.grace = report.seconds(path, node, Least::Zero),
            "lifecycle" => self.lifecycle(report, path, node),
            "killMode" => self.kill = report.word(path, node, &[("mixed", Kill::Mixed), ("group", Kill::Group)]),
            "schedule" => self.schedule = schedule(report, path, node),
            "suspend" => self.suspend = report.flag(path, node),
            "readinessGate" => self.readiness_gate = report.flag(path, node),
            "ncolony.beatcheck" => self.heartbeat = heartbeat(report, path, node),
            "output" => self.output = output(report, path, node),
            // A right that is asked to be dropped and is not: the one thing that must not be passed over.
            "securityContext" => {
                let message =
                    "this version does not act on it, and would start the process with more rights than asked";
                report.error_with_help(path, entry.key_span, message, "use uid and gid, and remove securityContext");
            }
            key => foreign(report, key, entry),
        }
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
                "stopSignal" => self.signal = signal(report, path, &entry.node),
                "preStop" | "postStart" => not_yet(report, path, entry),
                _ => report.unknown_key(path, entry, &["stopSignal"]),
            }
        }
    }

    fn finish(self, report: &mut Report<'_>, root: &Node, config: String, defaults: &Defaults) -> Option<ProcessSpec> {
        let command = Command { head: self.command, args: self.args, env: self.env, config: &config };
        let (argv, env) = birth::command_line(report, root, command)?;
        let restart = if self.schedule.is_some() { Restart::Never } else { Restart::Always };
        Some(ProcessSpec {
            birth: Birth {
                argv,
                env,
                env_inherit: self.env_inherit,
                config,
                uid: self.uid,
                gid: self.gid,
                working_dir: self.working_dir,
                output: self.output,
            },
            born: Fingerprint(0),
            whole: Fingerprint(0),
            restart: self.restart.unwrap_or(restart),
            schedule: self.schedule,
            backoff: merged(&defaults.backoff, self.threshold, self.initial, self.max),
            stop: Stop {
                signal: self.signal.unwrap_or(Signal::TERM),
                grace: self.grace.unwrap_or(defaults.grace),
                kill: self.kill.unwrap_or(Kill::Mixed),
            },
            suspend: self.suspend.unwrap_or(false),
            readiness_gate: self.readiness_gate.unwrap_or(true),
            heartbeat: self.heartbeat,
            groups: self.groups,
        })
    }
}

const RESTART: [(&str, Restart); 3] =
    [("Always", Restart::Always), ("OnFailure", Restart::OnFailure), ("Never", Restart::Never)];

const FORMAT: [(&str, Format); 3] = [("prefix", Format::Prefix), ("json", Format::Json), ("inherit", Format::Inherit)];

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

/// A key that is not acted on here: the application's, another program's, or a later version's.
fn foreign(report: &mut Report<'_>, key: &str, entry: &Entry) {
    match schema::kind_of(key) {
        KeyKind::Ours | KeyKind::Elsewhere => {}
        KeyKind::Later => not_yet(report, &Path::top(key), entry),
        KeyKind::Extra => {
            if let Some(meant) = schema::misspelling_of(key) {
                let message = format!("unknown key \"{}\", taken for one of the application's own", shown(key));
                report.warning(&"", entry.key_span, message, Some(format!("did you mean \"{meant}\"?")));
            }
        }
    }
}

fn not_yet(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) {
    report.warning(path, entry.key_span, "this version does not act on it", None);
}

/// `env`. The rules of a name are the kernel's and every libc's: not empty, no `=`, no NUL.
fn variables(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<(String, String, Span)> {
    let mut variables = Vec::new();
    for entry in report.map(path, node, "a map of texts, NAME: \"value\"").unwrap_or_default() {
        let path = &path.key(&entry.key);
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) {
            report.error(path, entry.key_span, "a variable's name is not empty and holds no \"=\" and no NUL");
        }
        if let Some(value) = report.text(path, &entry.node) {
            variables.push((entry.key.clone(), value.to_string(), entry.node.span));
        }
    }
    variables
}

fn inherited(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<String> {
    let names = report.texts(path, node).unwrap_or_default();
    if names.iter().any(|name| name.is_empty() || name.contains('=')) {
        report.error(path, node.span, "a variable's name is not empty and holds no \"=\"");
    }
    names
}

fn absolute(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<PathBuf> {
    let text = report.text(path, node)?;
    if !text.starts_with('/') {
        report.error(path, node.span, "expected an absolute path, one that starts with \"/\"");
        return None;
    }
    Some(PathBuf::from(text))
}

fn signal(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Signal> {
    let signal = match &node.value {
        Value::Text(text) => Signal::parse(text),
        Value::Number(literal) => literal.parse().ok().and_then(Signal::from_raw),
        Value::Null | Value::Bool(_) | Value::Odd(_) | Value::List(_) | Value::Map(_) => None,
    };
    if signal.is_none() {
        report.error(path, node.span, "expected a signal, such as SIGTERM, INT, RTMIN+3 or 15");
    }
    signal
}

fn schedule(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Schedule> {
    const LATER: [&str; 5] =
        ["cron", "timeZone", "concurrencyPolicy", "activeDeadlineSeconds", "startingDeadlineSeconds"];
    if matches!(node.value, Value::Text(_) | Value::Odd(_)) {
        report.error(path, node.span, "this version knows no cron expressions, expected {every: SECONDS}");
        return None;
    }
    let mut every = None;
    let mut is_told = false;
    for entry in report.map(path, node, "a map with the key \"every\"")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "every" => {
                is_told = true;
                every = report.seconds(path, &entry.node, Least::Millisecond);
            }
            key if LATER.contains(&key) => not_yet(report, path, entry),
            _ => report.unknown_key(path, entry, &["every"]),
        }
    }
    if !is_told {
        report.error(path, node.span, "expected the key \"every\", the seconds from one start to the next");
    }
    every.map(|every| Schedule { every })
}

/// `ncolony.beatcheck`. NColony wants all three of its keys.
fn heartbeat(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Heartbeat> {
    const KEYS: [&str; 3] = ["period", "grace", "status"];
    let entries = report.map(path, node, "a map with period, grace and status")?;
    let (mut period, mut grace, mut file) = (None, None, None);
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "period" => period = report.seconds(path, &entry.node, Least::Millisecond),
            // In periods. A million of them is longer than any start.
            "grace" => grace = report.number(path, &entry.node, 0.0, 1e6, "periods"),
            // As NColony has it: a relative path is the monitor's, which is the process's, too, unless it has another.
            "status" => file = report.text(path, &entry.node).map(PathBuf::from),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    let missing: Vec<&str> = KEYS.into_iter().filter(|key| !entries.iter().any(|entry| entry.key == *key)).collect();
    if !missing.is_empty() {
        report.error(path, node.span, format!("missing: {}", missing.join(", ")));
    }
    Some(Heartbeat { period: period?, grace: grace?, file: file? })
}

fn output(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Output> {
    let Value::Map(entries) = &node.value else {
        return report.word(path, node, &FORMAT).map(|format| Output { format, on_full: OnFull::Block });
    };
    let mut output = Output { format: Format::Prefix, on_full: OnFull::Block };
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "format" => output.format = report.word(path, &entry.node, &FORMAT).unwrap_or(output.format),
            "onFull" => {
                let words = [("block", OnFull::Block), ("drop", OnFull::Drop)];
                output.on_full = report.word(path, &entry.node, &words).unwrap_or(output.on_full);
            }
            _ => report.unknown_key(path, entry, &["format", "onFull"]),
        }
    }
    Some(output)
}

/// The hashes of what a run is born with and of everything. SipHash with fixed keys: equal in every process.
fn fingerprints(spec: &ProcessSpec, entries: &[Entry]) -> (Fingerprint, Fingerprint) {
    let Birth { argv, env, env_inherit, config, uid, gid, working_dir, output } = &spec.birth;
    let mut hasher = DefaultHasher::new();
    (argv, env, env_inherit, uid, gid, working_dir).hash(&mut hasher);
    output.map(|output| (output.format as u8, output.on_full as u8)).hash(&mut hasher);
    hash_sorted(entries.iter().filter(|entry| schema::kind_of(&entry.key) == KeyKind::Extra), &mut hasher);
    let born = hasher.finish();

    let ProcessSpec { birth: _, born: _, whole: _, restart, schedule, backoff, stop, suspend, readiness_gate, .. } =
        spec;
    (born, config, *restart as u8, suspend, readiness_gate, &spec.groups).hash(&mut hasher);
    (schedule.map(|schedule| schedule.every), backoff.threshold, backoff.initial, backoff.max).hash(&mut hasher);
    (stop.signal, stop.grace, stop.kill as u8).hash(&mut hasher);
    spec.heartbeat.as_ref().map(|beat| (beat.period, beat.grace.to_bits(), &beat.file)).hash(&mut hasher);
    (Fingerprint(born), Fingerprint(hasher.finish()))
}
