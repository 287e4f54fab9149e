//! supervisord's configuration: an INI file of `[program:NAME]` sections, and what stands around them.

mod expand;
mod ini;
mod program;

use super::conversion::{Conversion, Error, Place};
use super::sources::Source;
use expand::Context;
use ini::{Section, Setting};

pub(super) fn read(sources: &[Source]) -> Result<Conversion, Error> {
    let mut conversion = Conversion::default();
    for source in sources {
        one(source, &mut conversion)?;
    }
    Ok(conversion)
}

/// The patterns of the files that a configuration includes, each with its place.
pub(super) fn includes(source: &Source) -> Result<Vec<(Place, String)>, Error> {
    let sections = ini::parse([source])?;
    let include = sections.into_iter().filter(|section| section.name == "include");
    let mut patterns = Vec::new();
    for setting in include.flat_map(|section| section.settings).filter(|setting| setting.key == "files") {
        let files = Context::new(&source.dir, "").expand(&setting)?;
        patterns.extend(files.split_whitespace().map(|pattern| (setting.place.clone(), pattern.to_string())));
    }
    Ok(patterns)
}

/// What holds for all programs of a configuration.
#[derive(Default)]
struct Common {
    env: Vec<(String, String)>,
    umask: Option<Setting>,
    directory: Option<Setting>,
}

fn one(source: &Source, conversion: &mut Conversion) -> Result<(), Error> {
    let sections = ini::parse([source].into_iter().chain(&source.more))?;
    for repeated in sections.iter().flat_map(|section| &section.repeated) {
        let text = "the same again: as in supervisord, the last of two settings counts";
        conversion.remark(&repeated.1, &repeated.0, text);
    }
    let mut common = Common::default();
    for section in sections.iter().filter(|section| section.name == "supervisord") {
        supervisord(section, &source.dir, &mut common, conversion)?;
    }
    let before = conversion.processes.len();
    for section in &sections {
        let (kind, name) = section.name.split_once(':').unwrap_or((&section.name, ""));
        let title = format!("[{}]", section.name);
        match kind {
            "program" | "fcgi-program" if !name.is_empty() => {
                program::programs(section, name, &source.dir, &common, conversion)?;
            }
            "group" | "supervisord" => {}
            "include" => included(section, source, conversion),
            "eventlistener" => {
                let text = "there are no event listeners; for what they often do there are livenessProbe, \
                            resources.limits.memory and the alerts";
                conversion.lost(&section.place, &title, text);
            }
            "unix_http_server" | "inet_http_server" | "supervisorctl" | "rpcinterface" => {
                let what = listed(&title, section);
                let text = "it is asked over --listen, and told by ncolony ctl, which need none of this";
                conversion.remark(&section.place, &what, text);
            }
            "ctlplugin" => conversion.lost(&section.place, &title, "ncolony ctl has no plugins"),
            _ => {
                let text = "supervisord itself knows no such section, and passes over it; is it misspelt?";
                conversion.lost(&section.place, &listed(&title, section), text);
            }
        }
    }
    for section in &sections {
        if let Some(name) = section.name.strip_prefix("group:") {
            group(section, name, before, conversion);
        }
    }
    if conversion.processes.len() == before {
        return Err(source.place(0).error("there is no [program:NAME] in it, nor in what it includes"));
    }
    Ok(())
}

/// The section and the names of what it sets.
fn listed(title: &str, section: &Section) -> String {
    let keys: Vec<&str> = section.settings.iter().map(|setting| setting.key.as_str()).collect();
    if keys.is_empty() { title.to_string() } else { format!("{title} {}", keys.join(", ")) }
}

fn included(section: &Section, source: &Source, conversion: &mut Conversion) {
    if section.place.file != source.file {
        let text = "supervisord passes over an [include] in a file that is included";
        conversion.remark(&section.place, "[include]", text);
    }
}

fn supervisord(
    section: &Section,
    dir: &std::path::Path,
    common: &mut Common,
    conversion: &mut Conversion,
) -> Result<(), Error> {
    for setting in &section.settings {
        let what = format!("[supervisord] {}", setting.key);
        let mut lost = |text: &str| conversion.lost(&setting.place, &what, text);
        match setting.key.as_str() {
            "environment" => common.env = Context::new(dir, "").environment(setting)?,
            "umask" => common.umask = Some(setting.clone()),
            "directory" => common.directory = Some(setting.clone()),
            "nodaemon" if is_true(setting)? => {}
            "nodaemon" => lost("the monitor stays in the foreground; let who starts it go on without it"),
            "silent" | "strip_ansi" | "nocleanup" if !is_true(setting)? => {}
            "logfile" | "logfile_maxbytes" | "logfile_backups" | "loglevel" | "silent" => {
                conversion.remark(&setting.place, &what, "the monitor's own log is its stderr");
            }
            "pidfile" => conversion.remark(&setting.place, &what, "--pid DIR keeps a file per process"),
            "childlogdir" => conversion.remark(&setting.place, &what, "lines of processes go to the monitor's stdout"),
            "identifier" | "nocleanup" => conversion.remark(&setting.place, &what, "nothing here needs it"),
            "user" => lost("start ncolony run as this user, or give each process its securityContext"),
            "minfds" | "minprocs" => {
                lost("give the container the limits that it needs; rlimits in a process file are one process's");
            }
            "strip_ansi" => lost("lines are passed on with their colours"),
            _ => lost("supervisord knows no such setting; is it misspelt?"),
        }
    }
    Ok(())
}

/// `[group:NAME]`: its programs are in a restart group of this name.
fn group(section: &Section, name: &str, before: usize, conversion: &mut Conversion) {
    for setting in &section.settings {
        let what = format!("[group:{name}] {}", setting.key);
        if setting.key != "programs" {
            let text = if setting.key == "priority" { program::PRIORITY } else { "a group has no such setting" };
            conversion.lost(&setting.place, &what, text);
            continue;
        }
        for member in setting.value.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            let title = |kind: &str| format!("[{kind}:{member}]");
            let titles = [title("program"), title("fcgi-program")];
            let mut members =
                conversion.processes[before..].iter_mut().filter(|process| titles.contains(&process.title)).peekable();
            let is_there = members.peek().is_some();
            members.for_each(|process| process.push("group", name.into()));
            if !is_there {
                let text = format!("there is no program {member}");
                conversion.lost(&setting.place, &what, &text);
            }
        }
    }
}

/// supervisord's words for yes and no.
fn is_true(setting: &Setting) -> Result<bool, Error> {
    match setting.value.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err(setting.error("expected true or false")),
    }
}
