//! Which format a file or a directory is in, by its name and by what it holds.

use super::sources::{Input, ServiceDir, Source};
use crate::cli::ConvertFrom;

/// The format; `None`: it looks like none of them.
pub(super) fn guess(input: &Input) -> Option<ConvertFrom> {
    match input {
        Input::Directory(directory) => Some(of_directory(directory)),
        Input::File(source) => by_name(source).or_else(|| by_text(&source.text)),
    }
}

/// runit has neither these files nor execline's language.
fn of_directory(directory: &ServiceDir) -> ConvertFrom {
    const OF_S6: [&str; 8] = [
        "type",
        "notification-fd",
        "timeout-kill",
        "timeout-finish",
        "down-signal",
        "max-death-tally",
        "flag-newpidns",
        "data/check",
    ];
    let has_execline = ["run", "finish"].iter().filter_map(|script| directory.value(script));
    let is_s6 = OF_S6.iter().any(|file| directory.has(file))
        || has_execline.into_iter().any(|text| text.lines().next().is_some_and(|line| line.contains("execlineb")));
    if is_s6 { ConvertFrom::S6 } else { ConvertFrom::Runit }
}

fn by_name(source: &Source) -> Option<ConvertFrom> {
    let base = source.base();
    let ends = |ends: &[&str]| ends.iter().any(|end| base.ends_with(end));
    if ends(&[".service", ".timer", ".socket", ".path", ".target", ".mount", ".slice"]) {
        Some(ConvertFrom::Systemd)
    } else if base == "Procfile" || base.starts_with("Procfile.") || ends(&[".procfile", ".Procfile"]) {
        Some(ConvertFrom::Procfile)
    } else if base == "supervisord.conf" {
        Some(ConvertFrom::Supervisord)
    } else if ends(&["compose.yaml", "compose.yml"])
        || ends(&[".yaml", ".yml"]) && (base.starts_with("compose.") || base.starts_with("docker-compose."))
    {
        Some(ConvertFrom::Compose)
    } else {
        None
    }
}

/// A Procfile is known by its name alone: half of all files have lines of `word: text`.
fn by_text(text: &str) -> Option<ConvertFrom> {
    let services = text.lines().find_map(|line| line.strip_prefix("services:"));
    if services.is_some_and(|rest| rest.trim().is_empty() || rest.trim().starts_with(['#', '{'])) {
        return Some(ConvertFrom::Compose);
    }
    let section = text.lines().find_map(|line| line.strip_prefix('['))?;
    let name = section.split(']').next().unwrap_or_default();
    match name.split(':').next().unwrap_or_default() {
        "Unit" | "Service" | "Timer" | "Install" => Some(ConvertFrom::Systemd),
        "program" | "supervisord" | "supervisorctl" | "unix_http_server" | "inet_http_server" | "include" | "group"
        | "eventlistener" | "fcgi-program" | "rpcinterface" => Some(ConvertFrom::Supervisord),
        _ => None,
    }
}
