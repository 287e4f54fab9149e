//! A service, setting by setting.

use std::path::Path;

use serde_json::{Value, json};

use super::super::conversion::{Conversion, Error, Need, Process, Want};
use super::super::text;
use super::item::Item;
use super::reading::{Reading, number};
use super::{deploy, environment, health, settings};
use crate::model::CapabilitySet;

/// How long a stop may take for a service that does not say, in seconds.
const GRACE: i64 = 10;

pub(super) fn service(item: &Item<'_>, dir: &Path, conversion: &mut Conversion) -> Result<(), Error> {
    let name = item.title.strip_prefix("services.").unwrap_or(item.title);
    let parts = item.entries()?;
    let mut reading = Reading::new(Process::new(name, item.place(), item.title.to_string()));
    let Some(argv) = argv(&parts, &mut reading)? else {
        let text = "it cannot be converted: without a command or an entrypoint the image's own is run, which is not \
                    known here; write it as the service's command";
        conversion.lost(&item.place(), item.title, text);
        return Ok(());
    };
    reading.process.argv = argv;
    reading.process.set("restartPolicy", "Never");
    reading.process.set("terminationGracePeriodSeconds", GRACE);
    for part in parts.iter().filter(|part| !part.is_null()) {
        match deploy::counterpart(part, &parts) {
            None => setting(part, dir, &mut reading)?,
            Some(other) if other.raw()? == part.raw()? => {}
            Some(other) => reading.lost(part, &format!("{} counts, and not this; say it once", other.path)),
        }
    }
    let alone = reading.process.word("restartPolicy").map(str::to_string);
    for part in parts.iter().filter(|part| part.path == "deploy" && !part.is_null()) {
        deploy::deploy(part, &mut reading)?;
    }
    let is_over = reading.process.word("restartPolicy").map(str::to_string) != alone;
    for part in parts.iter().filter(|part| is_over && part.path == "restart" && !part.is_null()) {
        reading.lost(part, "deploy.restart_policy counts, and not this; say it once");
    }
    conversion.processes.push(reading.finish());
    Ok(())
}

/// `None`: what is run is the image's.
fn argv(parts: &[Item<'_>], reading: &mut Reading) -> Result<Option<Vec<String>>, Error> {
    let of = |key: &str| parts.iter().find(|part| part.path == key && !part.is_null());
    let mut argv = Vec::new();
    if let Some(item) = of("entrypoint") {
        argv.extend(reading.words(item)?);
    }
    if let Some(item) = of("command") {
        argv.extend(reading.words(item)?);
        if of("entrypoint").is_none() && !argv.is_empty() {
            reading.remark(item, "an ENTRYPOINT of the image would stand before it; if it has one, add it");
        }
    }
    Ok((!argv.is_empty()).then_some(argv))
}

fn setting(item: &Item<'_>, dir: &Path, reading: &mut Reading) -> Result<(), Error> {
    match item.path.as_str() {
        "command" | "entrypoint" | "deploy" => {}
        "environment" => environment::environment(item, reading)?,
        "env_file" => environment::files(item, dir, reading)?,
        "working_dir" => copy(item, "workingDir", reading)?,
        "user" => user(item, reading)?,
        "group_add" => {
            let groups: Vec<Value> = reading.list(item)?.iter().map(|group| number(group)).collect();
            reading.process.set("securityContext.supplementalGroups", groups);
        }
        "cap_add" | "cap_drop" => capabilities(item, reading)?,
        "security_opt" => security(item, reading)?,
        "depends_on" => depends_on(item, reading)?,
        "healthcheck" => health::healthcheck(item, reading)?,
        "restart" => restart(item, reading)?,
        "stop_signal" => reading.signal(item)?,
        "stop_grace_period" => grace(item, reading)?,
        "ulimits" => {
            for limit in item.entries()? {
                ulimit(&limit, reading)?;
            }
        }
        "scale" => deploy::replicas(item, reading)?,
        "mem_limit" => reading.memory(item)?,
        "cpus" => reading.cpus(item)?,
        "oom_score_adj" => {
            if let Some(score) = reading.whole(item)? {
                reading.process.set("oomScoreAdj", score);
            }
        }
        "profiles" => {
            if !reading.list(item)?.is_empty() {
                reading.process.set("suspend", true);
                reading.remark(item, "compose runs it only if one of them is asked for; remove suspend to have it run");
            }
        }
        "post_start" => hook(item, "lifecycle.postStart.exec.command", reading)?,
        "pre_stop" => hook(item, "lifecycle.preStop.exec.command", reading)?,
        key => {
            let (grade, text) = settings::of_a_service(key);
            reading.note(grade, item, text);
        }
    }
    Ok(())
}

fn copy(item: &Item<'_>, key: &str, reading: &mut Reading) -> Result<(), Error> {
    if let Some(text) = reading.plain(item)? {
        reading.process.set(key, text);
    }
    Ok(())
}

/// `NAME`, `UID` or `UID:GID`
fn user(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    let Some(text) = reading.plain(item)? else { return Ok(()) };
    let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
    if user.is_empty() || group == Some("") {
        return Err(item.error("expected USER or USER:GROUP"));
    }
    reading.process.set("securityContext.runAsUser", number(user));
    if let Some(group) = group {
        reading.process.set("securityContext.runAsGroup", number(group));
    }
    Ok(())
}

fn capabilities(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    let names: Vec<String> = reading.list(item)?.into_iter().map(|name| name.to_ascii_uppercase()).collect();
    if let Some(unknown) = names.iter().find(|name| *name != "ALL" && CapabilitySet::parse(name).is_none()) {
        return Err(item.error(&format!("there is no capability {unknown}")));
    }
    let names: Vec<&str> = names.iter().map(|name| name.strip_prefix("CAP_").unwrap_or(name)).collect();
    let key = if item.path == "cap_add" { "add" } else { "drop" };
    if !names.is_empty() {
        reading.process.set(&format!("securityContext.capabilities.{key}"), names);
    }
    Ok(())
}

fn security(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    for option in item.items()? {
        match reading.plain(&option)?.as_deref() {
            Some("no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true") => {
                reading.process.set("securityContext.allowPrivilegeEscalation", false);
            }
            None | Some("no-new-privileges:false" | "no-new-privileges=false") => {}
            Some(_) => reading.lost(&option, settings::CONTAINER),
        }
    }
    Ok(())
}

/// A list of names, or a map of them with conditions.
fn depends_on(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    let want = |item: &Item<'_>, name: &str| Want {
        place: item.place(),
        what: "depends_on".to_string(),
        name: name.to_string(),
        condition: "Started",
        need: Need::Must,
    };
    if !item.is_map() {
        for name in item.items()? {
            let named = name.raw()?;
            reading.process.wants(want(&name, &named));
        }
        return Ok(());
    }
    for entry in item.entries()? {
        let mut want = want(&entry, entry.key);
        let parts = if entry.is_null() { Vec::new() } else { entry.entries()? };
        for part in parts {
            match part.key {
                "condition" => {
                    want.condition = match part.raw()?.as_str() {
                        "service_started" => "Started",
                        "service_healthy" => "Ready",
                        "service_completed_successfully" => "Completed",
                        _ => {
                            let message = "expected service_started, service_healthy or service_completed_successfully";
                            return Err(part.error(message));
                        }
                    }
                }
                "required" => want.need = if reading.is_true(&part)? { Need::Must } else { Need::May },
                "restart" if !reading.is_true(&part)? => {}
                "restart" => {
                    let text = "a restart of one restarts no other; a group (RESTART-GROUP) restarts its members";
                    reading.lost(&part, text);
                }
                _ => reading.lost(&part, settings::MISSPELT),
            }
        }
        reading.process.wants(want);
    }
    Ok(())
}

fn restart(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    let Some(text) = reading.plain(item)? else { return Ok(()) };
    let (policy, count) = text.split_once(':').map_or((text.as_str(), None), |(policy, count)| (policy, Some(count)));
    let policy = match policy {
        "no" | "" => "Never",
        "always" | "unless-stopped" => "Always",
        "on-failure" => "OnFailure",
        _ => return Err(item.error("expected no, always, on-failure or unless-stopped")),
    };
    if let Some(count) = count {
        if policy != "OnFailure" || count.parse::<u32>().is_err() {
            return Err(item.error("expected on-failure:N, N a whole number"));
        }
        reading.lost(item, settings::ATTEMPTS);
    }
    reading.process.set("restartPolicy", policy);
    Ok(())
}

fn grace(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    match reading.span(item)? {
        None => {}
        Some(seconds) if seconds > 0.0 => {
            reading.process.set("terminationGracePeriodSeconds", text::seconds(seconds));
        }
        Some(_) => {
            reading.process.set("terminationGracePeriodSeconds", 0);
        }
    }
    Ok(())
}

/// `nofile: 1024`, or with `soft` and `hard`
fn ulimit(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    if item.key == "locks" {
        reading.lost(item, "a run's processes are told by it, and Linux does not keep it");
        return Ok(());
    }
    let mut bound = |item: &Item<'_>| -> Result<Option<Value>, Error> {
        match reading.whole(item)? {
            Some(-1) => Ok(Some("unlimited".into())),
            Some(number) if number < 0 => Err(item.error("expected a number, or -1 for no limit")),
            number => Ok(number.map(Value::from)),
        }
    };
    let limit = if item.is_map() {
        let (mut soft, mut hard) = (None, None);
        for part in item.entries()? {
            match part.key {
                "soft" => soft = bound(&part)?,
                "hard" => hard = bound(&part)?,
                _ => return Err(part.error("expected soft and hard")),
            }
        }
        match (soft, hard) {
            (Some(soft), Some(hard)) => Some(json!({"soft": soft, "hard": hard})),
            (soft, hard) => soft.or(hard),
        }
    } else {
        bound(item)?
    };
    if let Some(limit) = limit {
        reading.process.set(&format!("rlimits.{}", item.key), limit);
    }
    Ok(())
}

/// One command, with the process's own user and environment.
fn hook(item: &Item<'_>, key: &str, reading: &mut Reading) -> Result<(), Error> {
    let hooks = item.items()?;
    if let [hook] = &hooks[..] {
        let parts = hook.entries()?;
        if let [command] = &parts[..]
            && command.key == "command"
        {
            let words = reading.hook(command)?;
            reading.process.set(key, words);
            return Ok(());
        }
    }
    reading.lost(item, "a hook is one command, with the process's own user and environment; write it so");
    Ok(())
}
