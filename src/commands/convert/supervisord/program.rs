//! `[program:NAME]` and `[fcgi-program:NAME]`.

use std::path::Path;

use serde_json::{Value, json};

use super::super::conversion::{Conversion, Error, Grade, Process};
use super::super::text;
use super::expand::Context;
use super::ini::{Section, Setting};
use super::{Common, is_true};
use crate::model::Signal;

pub(super) const PRIORITY: &str = "there is no order by numbers; say with dependsOn what must be up before it";

/// supervisord's own grace, in seconds.
const STOPWAITSECS: i64 = 10;
/// How often it tries again what has ended too soon.
const STARTRETRIES: i64 = 3;
/// How long a run must last for supervisord to call it started, in seconds.
const STARTSECS: i64 = 1;
/// The most that `numprocs` may be, as of `replicas`.
const MOST: i64 = 1000;

/// Appends the processes of a section: one, or as many as `numprocs` says.
pub(super) fn programs(
    section: &Section,
    name: &str,
    dir: &Path,
    common: &Common,
    conversion: &mut Conversion,
) -> Result<(), Error> {
    let first = whole(section, "numprocs_start", 0)?;
    let count = whole(section, "numprocs", 1)?;
    let context = Context::new(dir, name);
    if !(1..=MOST).contains(&count) {
        return Err(section.place.error(format!("[{}] numprocs: expected 1 to {MOST}", section.name)));
    }
    if count == 1 {
        let context = context.numbered(Some(first), count);
        let mut process = program(section, name, &context, common)?;
        if let Some(setting) = setting(section, "process_name")
            && context.expand(setting)? != name
        {
            process.note_at(Grade::Remark, &setting.place, "process_name", &format!("it is called {name}"));
        }
        conversion.processes.push(process);
    } else if first == 0 && replicas_can(section) {
        let context = context.numbered(None, count);
        let mut process = program(section, name, &context, common)?;
        process.set("replicas", count);
        if let Some(setting) = setting(section, "process_name") {
            let text = format!("they are called {name}-0 to {name}-{}", count - 1);
            process.note_at(Grade::Remark, &setting.place, "process_name", &text);
        }
        conversion.processes.push(process);
    } else {
        for number in first..first + count {
            let context = context.numbered(Some(number), count);
            let called = match setting(section, "process_name") {
                Some(setting) => context.expand(setting)?,
                None => format!("{name}_{number}"),
            };
            conversion.processes.push(program(section, &called, &context, common)?);
        }
    }
    Ok(())
}

/// Whether one file can stand for all: they differ by their plain number alone, in what may refer to a variable.
fn replicas_can(section: &Section) -> bool {
    const NUMBER: &str = "%(process_num)";
    let is_plain = |value: &str| value.split(NUMBER).skip(1).all(|rest| rest.starts_with(['s', 'd']));
    section.settings.iter().all(|setting| match setting.key.as_str() {
        "command" | "environment" => is_plain(&setting.value),
        "process_name" => true,
        key if key.ends_with("_logfile") => true,
        _ => !setting.value.contains(NUMBER),
    })
}

fn setting<'s>(section: &'s Section, key: &str) -> Option<&'s Setting> {
    section.settings.iter().find(|setting| setting.key == key)
}

fn whole(section: &Section, key: &str, default: i64) -> Result<i64, Error> {
    let Some(setting) = setting(section, key) else { return Ok(default) };
    setting.value.parse().map_err(|_| setting.error("expected a whole number"))
}

fn program(section: &Section, name: &str, context: &Context<'_>, common: &Common) -> Result<Process, Error> {
    let mut process = Process::new(name, section.place.clone(), format!("[{}]", section.name));
    // supervisord's programs have its own environment.
    process.inherits_all();
    process.env = common.env.clone();
    process.set("terminationGracePeriodSeconds", STOPWAITSECS);
    process.set("backoff.thresholdSeconds", STARTSECS);
    for setting in common.umask.iter().chain(&common.directory).chain(&section.settings) {
        take(&mut process, setting, context)?;
    }
    if process.argv.is_empty() {
        return Err(section.place.error(format!("[{}] has no command", section.name)));
    }
    restart(&mut process, section)?;
    retries(&mut process, section)?;
    Ok(process)
}

fn take(process: &mut Process, setting: &Setting, context: &Context<'_>) -> Result<(), Error> {
    let (key, place) = (setting.key.as_str(), &setting.place);
    // Their expressions are about files that are not written.
    let value = if is_of_output(key) { setting.value.clone() } else { context.expand(setting)? };
    let lost = |process: &mut Process, text: &str| process.note_at(Grade::Lost, place, key, text);
    let is_fixed = matches!(key, "command" | "environment" | "process_name") || is_of_output(key);
    if !is_fixed && text::refers(&value) {
        lost(process, "a variable can stand in command, args and env only; write its value");
        return Ok(());
    }
    match key {
        "command" => process.argv = text::words(&value).map_err(|message| setting.error(message))?,
        "environment" => {
            for (name, value) in context.environment(setting)? {
                process.set_env(&name, value);
            }
        }
        "directory" if value.starts_with('/') => process.set("workingDir", value),
        "directory" if value.starts_with('~') => {
            lost(process, "workingDir is an absolute path; write the home directory's");
        }
        "directory" => lost(process, "workingDir is an absolute path; this one begins where supervisord was started"),
        "umask" => umask(process, setting, &value)?,
        "user" => match value.parse::<u32>() {
            Ok(id) => process.set("securityContext.runAsUser", id),
            Err(_) => process.set("securityContext.runAsUser", value),
        },
        "autostart" if !is_true(setting)? => {
            process.set("suspend", true);
            process.note_at(Grade::Remark, place, key, "remove suspend to have it run");
        }
        "startsecs" => match number(setting, &value)? {
            0 => {
                process.remove("backoff");
                lost(process, "how long a run must last is never 0 here: a shorter one than 10 s waits before the next")
            }
            seconds => process.set("backoff.thresholdSeconds", seconds),
        },
        "stopsignal" => match Signal::parse(&value) {
            Some(_) => process.set("lifecycle.stopSignal", value),
            None => return Err(setting.error("there is no such signal")),
        },
        "stopwaitsecs" => process.set("terminationGracePeriodSeconds", number(setting, &value)?),
        "stopasgroup" if is_true(setting)? => process.set("killMode", "group"),
        "killasgroup" if !is_true(setting)? => lost(process, "nothing of a run is left running when it is stopped"),
        "autostart" | "stopasgroup" | "killasgroup" => {
            is_true(setting)?;
        }
        "priority" if value == "999" => {}
        "priority" => lost(process, PRIORITY),
        // Read elsewhere.
        "process_name" | "numprocs" | "numprocs_start" | "autorestart" | "exitcodes" | "startretries" => {}
        "redirect_stderr" => {
            if is_true(setting)? {
                let text = "its stderr goes to the monitor's stderr; let a shell join them: exec PROGRAM 2>&1";
                process.note_at(Grade::Remark, place, key, text);
            }
        }
        key if is_of_output(key) => output(process, setting),
        "serverurl" => lost(process, "there is no such server; ncolony ctl and the messages tell the monitor"),
        "socket" | "socket_owner" | "socket_mode" | "socket_backlog" => {
            lost(process, "sockets are not opened for a process; let the program open it, or start it by spawn-fcgi");
        }
        _ => lost(process, "supervisord knows no such setting; is it misspelt?"),
    }
    Ok(())
}

fn is_of_output(key: &str) -> bool {
    key.starts_with("stdout_") || key.starts_with("stderr_")
}

/// Where its lines go, and what becomes of them.
fn output(process: &mut Process, setting: &Setting) {
    let (key, value) = (setting.key.as_str(), setting.value.as_str());
    let part = key.split_once('_').map_or("", |(_, part)| part);
    const OWN: [&str; 8] = [
        "/dev/stdout",
        "/dev/stderr",
        "/dev/fd/1",
        "/dev/fd/2",
        "/proc/self/fd/1",
        "/proc/self/fd/2",
        "/proc/1/fd/1",
        "/proc/1/fd/2",
    ];
    let (grade, text) = match part {
        "logfile" if OWN.contains(&value) => return,
        "logfile" if matches!(value.to_ascii_uppercase().as_str(), "NONE" | "/DEV/NULL") => {
            (Grade::Lost, "its lines are shown; let a shell throw them away: exec PROGRAM >/dev/null")
        }
        "logfile" if value.eq_ignore_ascii_case("auto") => (Grade::Remark, "its lines go to the monitor's output"),
        "logfile" => (Grade::Lost, "its lines go to the monitor's output, its name before each; keep them from there"),
        // None, and none is needed.
        "logfile_maxbytes" | "logfile_backups" | "capture_maxbytes" if value.starts_with('0') => return,
        "logfile_maxbytes" | "logfile_backups" => (Grade::Lost, "no files are kept, so none are turned over"),
        "events_enabled" | "syslog" if !is_true(setting).unwrap_or(true) => return,
        "capture_maxbytes" | "events_enabled" => {
            (Grade::Lost, "there are no events about lines, nor listeners for them")
        }
        "syslog" => (Grade::Lost, "its lines go to the monitor's output, not to syslog"),
        _ => (Grade::Lost, "supervisord knows no such setting; is it misspelt?"),
    };
    process.note_at(grade, &setting.place, key, text);
}

fn umask(process: &mut Process, setting: &Setting, value: &str) -> Result<(), Error> {
    let is_octal = !value.is_empty() && value.chars().all(|c| matches!(c, '0'..='7'));
    if !is_octal || u32::from_str_radix(value, 8).map_or(true, |mask| mask > 0o777) {
        return Err(setting.error("expected octal digits, at most 777"));
    }
    process.set("umask", value.to_string());
    Ok(())
}

fn number(setting: &Setting, value: &str) -> Result<i64, Error> {
    value.parse().ok().filter(|number| *number >= 0).ok_or_else(|| setting.error("expected a whole number"))
}

/// `autorestart` and `exitcodes`
fn restart(process: &mut Process, section: &Section) -> Result<(), Error> {
    let unexpected = || "unexpected".to_string();
    let asked = setting(section, "autorestart").map_or_else(unexpected, |setting| setting.value.to_ascii_lowercase());
    if asked != "unexpected" {
        let setting = setting(section, "autorestart");
        let is_always = setting.map(is_true).transpose()?.unwrap_or(true);
        process.set("restartPolicy", if is_always { "Always" } else { "Never" });
        return Ok(());
    }
    let mut expected = vec![0u8];
    if let Some(setting) = setting(section, "exitcodes") {
        let codes: Result<Vec<u8>, _> = setting.value.split(',').map(|code| code.trim().parse()).collect();
        expected = codes.map_err(|_| setting.error("expected exit codes from 0 to 255, with commas"))?;
    }
    if expected == [0] {
        process.set("restartPolicy", "OnFailure");
        return Ok(());
    }
    process.set("restartPolicy", "Never");
    let codes: Vec<Value> = expected.into_iter().map(Value::from).collect();
    process
        .push("restartPolicyRules", json!({"action": "Restart", "exitCodes": {"operator": "NotIn", "values": codes}}));
    Ok(())
}

/// `startretries`: how often supervisord tries again what has ended too soon, whatever `autorestart` says.
fn retries(process: &mut Process, section: &Section) -> Result<(), Error> {
    let asked = whole(section, "startretries", STARTRETRIES)?;
    let is_never = process.word("restartPolicy") == Some("Never") && !process.has("restartPolicyRules");
    if is_never && asked == 0 {
        return Ok(());
    }
    let text = if is_never {
        format!("supervisord tries what ends within startsecs {asked} times more; here the first time is the last")
    } else {
        format!(
            "supervisord gives up after {asked} retries; here it is tried for ever, with a wait that grows; the alerts tell who fails"
        )
    };
    let (grade, place) = setting(section, "startretries")
        .map_or((Grade::Remark, &section.place), |setting| (Grade::Lost, &setting.place));
    process.note_at(grade, place, "startretries", &text);
    Ok(())
}
