//! A service as a process.

use serde_json::{Value, json};

use super::super::conversion::{Error, Grade, Need, Place, Process, Want};
use super::super::text;
use super::capabilities;
use super::exec::{self, Command, Variables};
use super::limits;
use super::restart;
use super::settings;
use super::unit::{Setting, Unit};
use crate::model::Signal;

/// systemd's own times for a start and for a stop, in seconds.
const TIMEOUT: f64 = 90.0;
/// Where systemd looks for programs, and what it tells services to do the same.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn service(unit: &Unit, services: &[&Unit]) -> Result<Process, Error> {
    let mut process = Process::new(unit.stem(), unit.place.clone(), format!("[{}]", unit.name));
    let variables = environment(unit, &mut process)?;
    process.set("terminationGracePeriodSeconds", text::seconds(TIMEOUT));
    process.set("killMode", "group");
    for setting in &unit.settings {
        if exec::is_unknown(&setting.value) && !setting.key.starts_with("X-") {
            let text = "a % of it is known to a running systemd alone; write what it stands for";
            process.note_at(Grade::Lost, &setting.place, &setting.key, text);
        }
        take(unit, setting, services, &mut process)?;
    }
    capabilities::capabilities(unit, &mut process)?;
    commands(unit, &variables, &mut process)?;
    readiness(unit, &mut process)?;
    restart::restart(unit, &mut process)?;
    restart::longest(unit, &mut process)?;
    Ok(process)
}

fn environment(unit: &Unit, process: &mut Process) -> Result<Variables, Error> {
    let mut known = Vec::new();
    for setting in unit.all("Environment") {
        for (word, _) in exec::split(&setting.value).map_err(|message| setting.error(message))? {
            let (name, value) = word.split_once('=').ok_or_else(|| setting.error("expected NAME=VALUE"))?;
            known.push((name.to_string(), exec::specified(unit, value)));
        }
    }
    for (name, value) in &known {
        process.set_env(name, value.clone());
    }
    if !known.iter().any(|(name, _)| name == "PATH") {
        process.set_env("PATH", PATH.to_string());
    }
    if let Some(user) = unit.get("User").filter(|user| is_name(&exec::specified(unit, &user.value))) {
        for name in ["USER", "LOGNAME"].into_iter().filter(|name| !known.iter().any(|(known, _)| known == name)) {
            process.set_env(name, exec::specified(unit, &user.value));
        }
        if !known.iter().any(|(name, _)| name == "HOME") {
            let text = "systemd sets HOME and SHELL of this user; add them to env if the program asks for them";
            process.note_at(Grade::Remark, &user.place, "User", text);
        }
    }
    let are_open = ["EnvironmentFile", "PassEnvironment"].iter().any(|key| unit.get(key).is_some());
    Ok(Variables { known, are_open })
}

fn take(unit: &Unit, setting: &Setting, services: &[&Unit], process: &mut Process) -> Result<(), Error> {
    let (key, place) = (setting.key.as_str(), &setting.place);
    let value = exec::specified(unit, &setting.value);
    let mut note = |grade: Grade, text: &str| process.note_at(grade, place, key, text);
    match key {
        // Read elsewhere.
        "Environment"
        | "Type"
        | "Restart"
        | "RestartPreventExitStatus"
        | "RestartForceExitStatus"
        | "SuccessExitStatus"
        | "ExecStart"
        | "ExecStartPre"
        | "ExecStartPost"
        | "ExecStop"
        | "TimeoutStartSec"
        | "RuntimeMaxSec"
        | "CapabilityBoundingSet"
        | "AmbientCapabilities"
        | "Before" => {}
        "StartLimitIntervalSec" | "StartLimitInterval" | "StartLimitBurst" if restart::is_never_given_up(unit) => {}
        "BusName" => note(Grade::Remark, "the program takes its name on the bus itself, and nobody waits for it"),
        "EnvironmentFile" => environment_file(setting, &value, process),
        "PassEnvironment" => {
            note(Grade::Remark, text::EMPTY_IF_UNSET);
            setting.words().for_each(|name| process.push("envInherit", name.into()));
        }
        "User" | "Group" if value.is_empty() => {
            note(Grade::Lost, "a template's %i is empty without an instance; write what it stands for");
        }
        "User" => process.set("securityContext.runAsUser", account(&value)),
        "Group" => process.set("securityContext.runAsGroup", account(&value)),
        "SupplementaryGroups" => {
            let all = unit.all(key).map(|setting| exec::specified(unit, &setting.value));
            let groups: Vec<Value> =
                all.flat_map(|value| value.split_whitespace().map(account).collect::<Vec<_>>()).collect();
            process.set("securityContext.supplementalGroups", groups);
        }
        "WorkingDirectory" if value.starts_with('/') => process.set("workingDir", value),
        "WorkingDirectory" => note(Grade::Lost, "workingDir is an absolute path, and it must be there"),
        "UMask" => match u32::from_str_radix(&value, 8) {
            Ok(mask) if mask <= 0o777 => process.set("umask", value),
            _ => return Err(setting.error("expected octal digits, at most 0777")),
        },
        "Nice" => process.set("nice", whole(setting, &value)?),
        "OOMScoreAdjust" => process.set("oomScoreAdj", whole(setting, &value)?),
        "NoNewPrivileges" => process.set("securityContext.allowPrivilegeEscalation", !setting.is_true()?),
        "RestartSec" => match span(setting)? {
            Some(seconds) if seconds > 0.0 => {
                process.set("backoff.initialSeconds", text::seconds(seconds));
                let longest = unit.get("RestartMaxDelaySec").map(span).transpose()?.flatten().unwrap_or(seconds);
                process.set("backoff.maxSeconds", text::seconds(longest.max(seconds)));
                let text = "a run of 10 s and more is followed at once; backoff.thresholdSeconds says how long";
                process.note_at(Grade::Remark, place, key, text);
            }
            _ => note(Grade::Remark, "the wait after short runs grows, from 1 s on"),
        },
        "RestartMaxDelaySec" if unit.get("RestartSec").is_none() => match span(setting)? {
            Some(seconds) if seconds > 0.0 => process.set("backoff.maxSeconds", text::seconds(seconds)),
            _ => note(Grade::Remark, "the wait after short runs grows, from 1 s on"),
        },
        "RestartMaxDelaySec" | "RestartSteps" => {
            note(Grade::Remark, "the wait doubles from the first to the longest");
        }
        "TimeoutStopSec" => match span(setting)? {
            Some(seconds) if seconds > 0.0 => process.set("terminationGracePeriodSeconds", text::seconds(seconds)),
            _ => note(Grade::Lost, "a stop always ends: SIGKILL follows after the grace, which you may make longer"),
        },
        "KillMode" => match value.as_str() {
            "control-group" => {}
            "mixed" => process.set("killMode", "mixed"),
            _ => {
                process.set("killMode", "mixed");
                process.note_at(Grade::Lost, place, key, "nothing of a run is left running when it is stopped");
            }
        },
        "KillSignal" => {
            signal(setting, &value)?;
            process.set("lifecycle.stopSignal", value);
        }
        "SendSIGKILL" if setting.is_true()? => {}
        "SendSIGKILL" => note(Grade::Lost, "a stop always ends: SIGKILL follows after the grace"),
        "SendSIGHUP" | "FinalKillSignal" | "RestartKillSignal" | "WatchdogSignal" => {
            note(Grade::Lost, "a stop is one signal, and then SIGKILL");
        }
        "WatchdogSec" => watchdog(setting, process)?,
        "ExecReload" => reload(unit, setting, process)?,
        "ExecStopPost" => note(Grade::Lost, "nothing is run at a run's end"),
        "ExecCondition" => note(Grade::Lost, "there are no conditions; let the command look"),
        "MemoryMax" | "MemoryLimit" => limits::memory(setting, &value, process),
        "CPUQuota" => limits::cpu(setting, &value, process)?,
        "StandardOutput" | "StandardError" | "StandardInput"
            if ["journal", "inherit", "syslog", "kmsg", "journal+console", "syslog+console"]
                .contains(&value.as_str()) =>
        {
            note(Grade::Remark, "lines go to the monitor's output, the process's name before each");
        }
        "StandardInput" if value == "null" => {}
        "StandardOutput" | "StandardError" | "StandardInput" => {
            note(Grade::Lost, "lines go to the monitor's output, and stdin is empty; let a shell redirect them");
        }
        "After" | "Requires" | "Wants" | "BindsTo" | "Requisite" => wants(setting, services, process),
        key if key.starts_with("Limit") => limits::of_a_process(setting, &value, process),
        key => {
            let (grade, text) = settings::why(key);
            note(grade, text);
        }
    }
    Ok(())
}

fn is_name(user: &str) -> bool {
    !user.is_empty() && user.parse::<u32>().is_err()
}

fn account(text: &str) -> Value {
    text.parse::<u32>().map_or_else(|_| Value::from(text), Value::from)
}

fn whole(setting: &Setting, value: &str) -> Result<i64, Error> {
    value.parse().map_err(|_| setting.error("expected a whole number"))
}

/// `None`: without end.
pub(super) fn span(setting: &Setting) -> Result<Option<f64>, Error> {
    if setting.value == "infinity" {
        return Ok(None);
    }
    text::span(&setting.value, 1.0).map(Some).ok_or_else(|| setting.error("expected a span of time, such as 1min 30s"))
}

fn signal(setting: &Setting, value: &str) -> Result<Signal, Error> {
    Signal::parse(value).ok_or_else(|| setting.error("there is no such signal"))
}

fn environment_file(setting: &Setting, value: &str, process: &mut Process) {
    let path = value.trim_start_matches('-');
    if !path.starts_with('/') || path.contains(['*', '?', '[']) {
        process.note_at(Grade::Lost, &setting.place, &setting.key, "envFrom takes one file, by its absolute path");
        return;
    }
    let file = if path == value { json!({"file": path}) } else { json!({"file": path, "optional": true}) };
    process.push("envFrom", file);
    let text =
        "of its lines all behind the first = is the value, quotes too; and env wins over them, not they over env";
    process.note_at(Grade::Remark, &setting.place, &setting.key, text);
}

fn watchdog(setting: &Setting, process: &mut Process) -> Result<(), Error> {
    // The longest silence is the period times the threshold.
    if let Some(seconds) = span(setting)?.filter(|seconds| *seconds > 0.0) {
        process.set("livenessProbe.notify", json!({}));
        process.set("livenessProbe.periodSeconds", text::seconds((seconds / 2.0).max(0.05)));
        process.set("livenessProbe.failureThreshold", 2);
    }
    Ok(())
}

fn reload(unit: &Unit, setting: &Setting, process: &mut Process) -> Result<(), Error> {
    let open = Variables { known: Vec::new(), are_open: true };
    let commands = exec::commands(unit, setting, &open)?;
    let text = match commands[0].kills() {
        Some(signal) => {
            let text = format!("ncolony ctl signal {} {signal} does it", text::quoted(unit.stem()));
            process.note_at(Grade::Remark, &setting.place, &setting.key, &text);
            return Ok(());
        }
        None => "there is no reload; run the command, or send a signal: ncolony ctl signal",
    };
    process.note_at(Grade::Lost, &setting.place, &setting.key, text);
    Ok(())
}

/// Who must be up before it.
fn wants(setting: &Setting, services: &[&Unit], process: &mut Process) {
    let mut is_told = false;
    for name in setting.words() {
        match name.strip_suffix(".service") {
            Some(stem) => process.wants(want(setting, stem, services)),
            None if !is_told => {
                is_told = true;
                let text = "a container's network and mounts are there before it; sockets are not opened for a process";
                let is_vital = name.ends_with(".socket") && setting.key != "After";
                let grade = if is_vital { Grade::Lost } else { Grade::Remark };
                process.note_at(grade, &setting.place, &setting.key, text);
            }
            None => {}
        }
    }
}

fn want(setting: &Setting, stem: &str, services: &[&Unit]) -> Want {
    let other = services.iter().find(|unit| unit.stem() == stem);
    let is_oneshot = other.is_some_and(|unit| unit.is_oneshot());
    Want {
        place: setting.place.clone(),
        what: setting.key.clone(),
        name: stem.to_string(),
        condition: if is_oneshot { "Completed" } else { "Ready" },
        need: if matches!(setting.key.as_str(), "After" | "Wants") { Need::May } else { Need::Must },
    }
}

/// `Before=`: the other one waits.
pub(super) fn before(unit: &Unit, setting: &Setting, services: &[&Unit], processes: &mut [Process]) {
    for name in setting.words() {
        let stem = name.strip_suffix(".service").unwrap_or_default();
        if let Some(other) = processes.iter_mut().find(|process| process.name == stem) {
            other.wants(Want { need: Need::May, ..want(setting, unit.stem(), services) });
        } else if let Some(own) = processes.iter_mut().find(|process| process.name == unit.stem()) {
            let text = format!("{name} is not among what is converted");
            own.note_at(Grade::Remark, &setting.place, &setting.key, &text);
        }
    }
}

/// The command line, and what is done before and after it.
fn commands(unit: &Unit, variables: &Variables, process: &mut Process) -> Result<(), Error> {
    let of = |key: &str| -> Result<Vec<(Place, Command)>, Error> {
        let mut found = Vec::new();
        for setting in unit.all(key) {
            let commands = exec::commands(unit, setting, variables)?;
            found.extend(commands.into_iter().map(|command| (setting.place.clone(), command)));
        }
        Ok(found)
    };
    let mut note = |key: &str, grade: Grade, place: &Place, text: &str| process.note_at(grade, place, key, text);
    let (pre, start) = (of("ExecStartPre")?, of("ExecStart")?);
    let (mut post, mut stop) = (of("ExecStartPost")?, of("ExecStop")?);
    let Some((first, _)) = start.first() else {
        return Err(unit.place.error("there is no ExecStart in it"));
    };
    for (key, commands) in
        [("ExecStartPre", &pre), ("ExecStart", &start), ("ExecStartPost", &post), ("ExecStop", &stop)]
    {
        for (place, _) in commands.iter().filter(|(_, command)| !command.special.is_empty()) {
            let text = "a prefix of it (@, +, !) is gone: the program has its own name, and the rights of the process";
            note(key, Grade::Lost, place, text);
        }
    }
    if let Some((place, _)) = pre.first() {
        note("ExecStartPre", Grade::Remark, place, "a shell does it and becomes the program; it needs /bin/sh");
    }
    // What is done when a oneshot has succeeded belongs to the same run: a postStart would be beside it.
    let after = if unit.is_oneshot() { std::mem::take(&mut post) } else { Vec::new() };
    if let Some((place, _)) = after.first() {
        let text = "a shell does it after ExecStart, if that has succeeded; it needs /bin/sh";
        note("ExecStartPost", Grade::Remark, place, text);
    }
    let (key, last) = match after.last() {
        Some(last) => ("ExecStartPost", Some(last)),
        None => ("ExecStart", start.last()),
    };
    // Before others, the shell passes over it.
    if let Some((place, _)) = last.filter(|(_, command)| command.may_fail) {
        note(key, Grade::Lost, place, "a failure is none there (-), and counts as one here");
    }
    if let Some((place, _)) = post.first().filter(|_| says_when_it_is_ready(unit)) {
        let text = "systemd waits with it until the service is ready; postStart begins with the run";
        note("ExecStartPost", Grade::Lost, place, text);
    }
    let sequence: Vec<Command> = pre.iter().chain(&start).chain(&after).map(|(_, command)| command.clone()).collect();
    if pre.is_empty() && sequence.iter().any(|command| command.plain().is_none()) {
        note("ExecStart", Grade::Remark, first, "a shell splits the variable in it at blanks; it needs /bin/sh");
    }
    // What only asks for the stop by a signal is the stop signal.
    let signal = match &stop[..] {
        [(_, command)] => command.kills().filter(|signal| Signal::parse(signal).is_some()).map(str::to_string),
        _ => None,
    };
    if signal.is_some() {
        stop.clear();
    }
    for (place, _) in stop.iter().filter(|(_, command)| command.names("MAINPID")) {
        note(
            "ExecStop",
            Grade::Lost,
            place,
            "hooks are not told MAINPID; lifecycle.stopSignal is the signal to the main process",
        );
    }
    stop.retain(|(_, command)| !command.names("MAINPID"));
    process.argv = exec::argv(&sequence, true);
    signal.into_iter().for_each(|signal| process.set("lifecycle.stopSignal", signal));
    for (hook, commands) in [("postStart", post), ("preStop", stop)] {
        let commands: Vec<Command> = commands.into_iter().map(|(_, command)| command).collect();
        if !commands.is_empty() {
            process.set(&format!("lifecycle.{hook}.exec.command"), exec::argv(&commands, false));
        }
    }
    Ok(())
}

/// Whether its start is over later than its program has begun.
fn says_when_it_is_ready(unit: &Unit) -> bool {
    unit.get("Type").is_some_and(|kind| kind.value.starts_with("notify") || kind.value == "dbus")
}

/// `Type`, and how long a start may last.
fn readiness(unit: &Unit, process: &mut Process) -> Result<(), Error> {
    let timeout = unit.get("TimeoutStartSec");
    let longest = timeout.map_or(Ok(Some(TIMEOUT)), span)?.filter(|seconds| *seconds > 0.0);
    let kind = unit.get("Type");
    let mut lost = |text: &str| {
        kind.into_iter().for_each(|kind| process.note_at(Grade::Lost, &kind.place, "Type", text));
        Grade::Lost
    };
    let grade = match kind.map_or("simple", |kind| &kind.value) {
        // Its start is all of it.
        "oneshot" => return Ok(()),
        "simple" | "exec" | "idle" if unit.get("ExecStartPre").is_none() => Grade::Remark,
        "simple" | "exec" | "idle" => Grade::Lost,
        "notify" | "notify-reload" => {
            process.set("readinessProbe.notify", json!({}));
            if let Some(seconds) = longest {
                process.set("startupProbe.notify", json!({}));
                process.set("startupProbe.periodSeconds", 1);
                process.set("startupProbe.failureThreshold", seconds.ceil() as u64);
            }
            return Ok(());
        }
        "forking" => lost("a program that goes into the background ends its run; have it stay in the foreground"),
        "dbus" => lost("readiness is not seen on a bus; write a readinessProbe"),
        _ => {
            let message = "systemd knows no such type";
            return Err(kind.map_or_else(|| unit.place.error(message), |kind| kind.error(message)));
        }
    };
    if let Some(timeout) = timeout.filter(|_| longest.is_some()) {
        let text = "a start has no time limit here but by a startupProbe";
        process.note_at(grade, &timeout.place, "TimeoutStartSec", text);
    }
    Ok(())
}
