//! Service directories of s6 and runit, and the source directories of s6-rc.

use super::conversion::{Conversion, Error, Grade, Need, Place, Process, Want};
use super::sources::ServiceDir;
use crate::cli::ConvertFrom;
use crate::model::Signal;

/// What `type` says of a source directory of s6-rc; without it, it is a service directory.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Longrun,
    Oneshot,
    Bundle,
}

pub(super) fn read(services: &[(ConvertFrom, ServiceDir)]) -> Result<Conversion, Error> {
    let mut conversion = Conversion::default();
    for (format, service) in services {
        match kind(service)? {
            Kind::Longrun => conversion.processes.push(longrun(*format, service, services)?),
            Kind::Oneshot => conversion.processes.push(oneshot(service, services)?),
            Kind::Bundle => {
                let text = "a bundle is no process; what depends on it depends on what is in it";
                conversion.remark(&Place::new(&service.file, 0), "bundle", text);
            }
        }
    }
    Ok(conversion)
}

fn kind(service: &ServiceDir) -> Result<Kind, Error> {
    match service.value("type") {
        None | Some("longrun") => Ok(Kind::Longrun),
        Some("oneshot") => Ok(Kind::Oneshot),
        Some("bundle") => Ok(Kind::Bundle),
        Some(_) => Err(place(service, "type").error("expected longrun, oneshot or bundle")),
    }
}

fn place(service: &ServiceDir, file: &str) -> Place {
    Place::new(&format!("{}/{file}", service.file), 0)
}

fn process(service: &ServiceDir) -> Process {
    let mut process = Process::new(&service.base(), Place::new(&service.file, 0), String::new());
    process.set("workingDir", service.path.display().to_string());
    process.inherits_all();
    process
}

fn longrun(
    format: ConvertFrom,
    service: &ServiceDir,
    services: &[(ConvertFrom, ServiceDir)],
) -> Result<Process, Error> {
    if !service.has("run") {
        return Err(Place::new(&service.file, 0).error("there is no run in it"));
    }
    let mut process = process(service);
    process.argv = vec!["./run".to_string()];
    let mut has_grace = false;
    for file in service.files.keys() {
        has_grace |= file == "timeout-kill";
        longrun_file(format, service, file, &mut process)?;
    }
    dependencies(service, services, &mut process);
    if !has_grace {
        let text = "it would wait for the end of this one for ever; here SIGKILL follows after --killtime (5 s), unless \
                    terminationGracePeriodSeconds is set";
        process.remark(0, "the stop", text);
    }
    Ok(process)
}

/// What one file says.
fn longrun_file(format: ConvertFrom, service: &ServiceDir, file: &str, process: &mut Process) -> Result<(), Error> {
    let at = place(service, file);
    let value = service.value(file).unwrap_or_default();
    let mut lost = |what: &str, text: &str| process.note_at(Grade::Lost, &at, what, text);
    let is_s6 = format == ConvertFrom::S6;
    match file {
        "run" if service.value("run").is_some_and(|run| run.contains("s6-setuidgid") || run.contains("chpst")) => {
            let text = "what chpst or s6 programs do in it (users, limits, environments), they do here, too";
            process.note_at(Grade::Remark, &at, "", text);
        }
        "run" | "type" => {}
        "down" => {
            process.set("suspend", true);
            process.note_at(Grade::Remark, &at, "", "remove suspend to have it run");
        }
        "finish" => lost("", "nothing is run at a run's end; let run do it, with the program as its child"),
        "check" if !is_s6 => check(process, "./check"),
        "data/check" if is_s6 => check(process, "./data/check"),
        "timeout-kill" if is_s6 => match whole(value) {
            Some(0) => lost("", "a stop always ends: SIGKILL follows after --killtime (5 s)"),
            Some(millis) => {
                process.set("terminationGracePeriodSeconds", super::text::seconds(millis as f64 / 1000.0));
            }
            None => return Err(at.error("expected a whole number of milliseconds")),
        },
        "down-signal" if is_s6 => match Signal::parse(value) {
            Some(_) => process.set("lifecycle.stopSignal", value),
            None => return Err(at.error("there is no such signal")),
        },
        "notification-fd" if is_s6 => {
            lost(
                "",
                "readiness is not heard on a descriptor; write a readinessProbe, with notify, exec or tcpSocket, say",
            );
        }
        "timeout-finish" if is_s6 => {
            process.note_at(Grade::Remark, &at, "", "there is no finish that it could be about");
        }
        "max-death-tally" if is_s6 => lost("", "it counts for finish alone, and nothing is run at a run's end"),
        "timeout-up" | "timeout-down" if is_s6 => lost("", "a start is not given up, nor a stop beyond its grace"),
        "producer-for" | "consumer-for" | "pipeline-name" if is_s6 => {
            lost("", "there are no pipes between processes; each one's lines go to the monitor's output");
        }
        "dependencies" if is_s6 => {}
        _ if file.starts_with("dependencies.d/") || file.starts_with("env/") => {}
        "log/run" => lost("", "no logger is run; lines go to the monitor's output, the process's name before each"),
        _ if file.starts_with("control/") && !is_s6 => {
            lost("", "a signal is sent as it is; lifecycle.preStop does something before the stop signal");
        }
        "flag-essential" => lost("", "a message may stop any process; essential means another thing here"),
        "flag-newpidns" => lost("", "no namespaces are made; let run call unshare"),
        "lock-fd" => lost("", "two runs never overlap, but no lock is taken on a descriptor"),
        "nosetsid" => lost("", "each run has a session of its own"),
        // Read by run itself, or nobody's.
        _ => {}
    }
    Ok(())
}

fn check(process: &mut Process, command: &str) {
    process.set("readinessProbe.exec.command", vec![command]);
}

fn whole(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// `up` is a line of execline's.
fn oneshot(service: &ServiceDir, services: &[(ConvertFrom, ServiceDir)]) -> Result<Process, Error> {
    if !service.has("up") {
        return Err(Place::new(&service.file, 0).error("a oneshot has a file \"up\", and this one does not"));
    }
    let mut process = process(service);
    process.argv = vec!["execlineb".to_string(), "-P".to_string(), "./up".to_string()];
    process.set("restartPolicy", "OnFailure");
    for file in ["down", "timeout-up", "timeout-down", "flag-essential"].into_iter().filter(|file| service.has(file)) {
        let text = match file {
            "down" => "nothing is run when the colony ends; a process that stays, with lifecycle.preStop, can do it",
            "flag-essential" => "a message may stop any process; essential means another thing here",
            _ => "see activeDeadlineSeconds",
        };
        process.note_at(Grade::Lost, &place(service, file), "", text);
    }
    dependencies(service, services, &mut process);
    Ok(process)
}

/// `dependencies.d/NAME`, and the older list `dependencies`.
fn dependencies(service: &ServiceDir, services: &[(ConvertFrom, ServiceDir)], process: &mut Process) {
    let listed = service.value("dependencies").unwrap_or_default().lines().map(str::trim);
    let listed = listed.filter(|name| !name.is_empty() && !name.starts_with('#'));
    let dotted = service.files.keys().filter_map(|file| file.strip_prefix("dependencies.d/"));
    for name in listed.chain(dotted) {
        want(service, services, name, 0, process);
    }
}

/// Depends on a service, or on those of a bundle.
fn want(service: &ServiceDir, services: &[(ConvertFrom, ServiceDir)], name: &str, depth: usize, process: &mut Process) {
    let other = services.iter().map(|(_, other)| other).find(|other| other.base() == name);
    let kind = other.and_then(|other| kind(other).ok());
    if let (Some(Kind::Bundle), Some(bundle)) = (kind, other) {
        let listed = bundle.value("contents").unwrap_or_default().lines().map(str::trim);
        let listed = listed.filter(|name| !name.is_empty() && !name.starts_with('#'));
        let dotted = bundle.files.keys().filter_map(|file| file.strip_prefix("contents.d/"));
        // Bundles may hold bundles, and nobody says that they end.
        for inner in listed.chain(dotted).filter(|_| depth < 8) {
            want(service, services, inner, depth + 1, process);
        }
        return;
    }
    let condition = if kind == Some(Kind::Oneshot) { "Completed" } else { "Ready" };
    process.wants(Want {
        place: place(service, "dependencies"),
        what: String::new(),
        name: name.to_string(),
        condition,
        need: Need::Must,
    });
}
