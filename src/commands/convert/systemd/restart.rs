//! When a service is started again: `Restart`, the exit statuses that change it, and how long a run may last.

use serde_json::{Value, json};

use super::super::conversion::{Error, Grade, Process};
use super::super::text;
use super::service::span;
use super::unit::{Setting, Unit};
use crate::model::Signal;

/// Exit codes, and signals as 128 + n, that systemd takes for success: 0, HUP, INT, PIPE and TERM.
const CLEAN: [u8; 5] = [0, 129, 130, 141, 143];
/// Ends by a signal, as 128 + n.
const SIGNALS: std::ops::RangeInclusive<u8> = 129..=159;

/// `Restart`, and the exit statuses that change it: prevented ones before forced ones, and both before the word.
pub(super) fn restart(unit: &Unit, process: &mut Process) -> Result<(), Error> {
    let prevented = statuses(unit, "RestartPreventExitStatus", process);
    let mut forced = statuses(unit, "RestartForceExitStatus", process);
    let mut clean: Vec<u8> = CLEAN.into_iter().chain(statuses(unit, "SuccessExitStatus", process)).collect();
    let asked = asked(unit, process);
    let mut unclean: Vec<u8> = SIGNALS.filter(|code| !clean.contains(code)).collect();
    forced.retain(|code| !prevented.contains(code));
    unclean.retain(|code| !prevented.contains(code));
    let (policy, followed) = match asked {
        "no" => ("Never", None),
        "always" if prevented.is_empty() => ("Always", None),
        "always" => ("Never", Some(("NotIn", prevented))),
        "on-failure" | "on-watchdog" if prevented.is_empty() && clean.len() == CLEAN.len() => ("OnFailure", None),
        "on-failure" | "on-watchdog" => ("Never", Some(("NotIn", [clean, prevented].concat()))),
        "on-success" => {
            clean.retain(|code| !prevented.contains(code));
            ("Never", Some(("In", clean)))
        }
        "on-abnormal" | "on-abort" => ("Never", Some(("In", unclean))),
        _ => {
            let message = "systemd knows no such word here";
            return Err(unit
                .get("Restart")
                .map_or_else(|| unit.place.error(message), |setting| setting.error(message)));
        }
    };
    process.set("restartPolicy", policy);
    let forced = Some(("In", forced)).filter(|_| policy != "Always");
    // A rule about no code is none.
    for (operator, codes) in forced.into_iter().chain(followed).filter(|(_, codes)| !codes.is_empty()) {
        process.push("restartPolicyRules", rule(operator, &codes));
    }
    told(unit, asked, policy, process);
    given_up(unit, process)
}

/// Whether systemd tries for ever, as is done here.
pub(super) fn is_never_given_up(unit: &Unit) -> bool {
    let is_none = |key: &&str| unit.get(key).is_some_and(|setting| text::span(&setting.value, 1.0) == Some(0.0));
    ["StartLimitIntervalSec", "StartLimitInterval", "StartLimitBurst"].iter().any(is_none)
}

/// What systemd does of itself, and that is not done here: it gives up after 5 starts within 10 s, if so many fit.
fn given_up(unit: &Unit, process: &mut Process) -> Result<(), Error> {
    let Some(setting) = unit.get("Restart").filter(|setting| setting.value != "no") else { return Ok(()) };
    let is_said = unit.settings.iter().any(|setting| setting.key.starts_with("StartLimit"));
    let wait = unit.get("RestartSec").map(span).transpose()?.flatten().unwrap_or_default();
    if !is_said && wait < 2.0 {
        let text = "systemd gives up after 5 starts within 10 s; here it is tried for ever, with a wait that grows";
        process.note_at(Grade::Remark, &setting.place, "StartLimitBurst", text);
    }
    Ok(())
}

/// What of it has no rule, or changes nothing.
fn told(unit: &Unit, asked: &str, policy: &str, process: &mut Process) {
    let has_probe = process.has("startupProbe") || process.has("livenessProbe");
    let mut note = |setting: &Setting, grade: Grade, text: &str| {
        process.note_at(grade, &setting.place, &setting.key, text);
    };
    if let Some(setting) = unit.get("SuccessExitStatus").filter(|_| matches!(asked, "no" | "always")) {
        note(setting, Grade::Remark, "success is 0 alone here; it is only about how such an end is told");
    }
    let is_left = policy == "Never" && matches!(asked, "on-failure" | "on-abnormal" | "on-watchdog");
    if let Some(setting) = unit.get("Restart").filter(|_| is_left && has_probe) {
        let text = "a run that a failed startup or liveness probe ends (TimeoutStartSec, WatchdogSec) has failed for \
                    good unless a rule matches its exit code; with OnFailure it would be followed";
        note(setting, Grade::Lost, text);
    }
    let prevents = unit.get("RestartPreventExitStatus").filter(|_| asked == "no");
    if let Some(setting) = prevents {
        note(setting, Grade::Remark, "it takes back a restart, and Restart asks for none");
    }
}

/// The word of `Restart`, as far as it asks for anything here.
fn asked<'u>(unit: &'u Unit, process: &mut Process) -> &'u str {
    let Some(setting) = unit.get("Restart") else { return "no" };
    if setting.value != "on-watchdog" {
        return &setting.value;
    }
    if process.has("livenessProbe") {
        let text = "here it is restarted after every failure: no rule tells the ends by its liveness probe from others";
        process.note_at(Grade::Lost, &setting.place, "Restart", text);
        return &setting.value;
    }
    process.note_at(Grade::Remark, &setting.place, "Restart", "there is no WatchdogSec that could ask for it");
    "no"
}

/// The same for what has a schedule: its default is Never, and Always follows none but runs that failed.
pub(super) fn timed(process: &mut Process) {
    match process.word("restartPolicy") {
        Some("Always") => {
            process.set("restartPolicy", "OnFailure");
            process.push("restartPolicyRules", rule("In", &[0]));
        }
        Some("Never") if !process.has("restartPolicyRules") => {
            process.remove("restartPolicy");
        }
        _ => {}
    }
}

/// How long a run may last, where systemd does not start again what has lasted too long: `RuntimeMaxSec`, or
/// `TimeoutStartSec` of a oneshot, whose start is all of it.
pub(super) fn longest(unit: &Unit, process: &mut Process) -> Result<(), Error> {
    let key = if unit.is_oneshot() { "TimeoutStartSec" } else { "RuntimeMaxSec" };
    if let Some(setting) = unit.get("RuntimeMaxSec").filter(|_| unit.is_oneshot()) {
        let text = "systemd passes over it for what is up when it has ended";
        process.note_at(Grade::Remark, &setting.place, "RuntimeMaxSec", text);
    }
    let Some(setting) = unit.get(key) else { return Ok(()) };
    let Some(seconds) = span(setting)?.filter(|seconds| *seconds > 0.0) else { return Ok(()) };
    if let Some("always" | "on-failure" | "on-abnormal") = unit.get("Restart").map(|setting| setting.value.as_str()) {
        let text = "with activeDeadlineSeconds a run that lasts longer has failed for good, whatever Restart says";
        process.note_at(Grade::Lost, &setting.place, key, text);
        return Ok(());
    }
    let commands = ["ExecStartPre", "ExecStart", "ExecStartPost"].into_iter().flat_map(|key| unit.all(key));
    if unit.is_oneshot() && commands.map(|setting| setting.value.split(" ; ").count()).sum::<usize>() > 1 {
        let text = "it is for each command there, and activeDeadlineSeconds for all of them together";
        process.note_at(Grade::Remark, &setting.place, key, text);
    }
    process.set("activeDeadlineSeconds", text::seconds(seconds));
    Ok(())
}

fn rule(operator: &str, codes: &[u8]) -> Value {
    json!({"action": "Restart", "exitCodes": {"operator": operator, "values": codes}})
}

fn statuses(unit: &Unit, key: &str, process: &mut Process) -> Vec<u8> {
    let mut codes = Vec::new();
    for setting in unit.all(key) {
        for word in setting.words() {
            let signal = || Signal::parse(word).and_then(|signal| u8::try_from(signal.as_raw()).ok());
            match word.parse::<u8>().ok().or_else(|| signal().map(|signal| 128 + signal)) {
                Some(code) => codes.push(code),
                None => process.note_at(Grade::Lost, &setting.place, key, "write this status as a number"),
            }
        }
    }
    codes
}
