//! The text of units: `[Section]`, `Key=value`, lines that go on behind a backslash.

use super::super::conversion::{Error, Place};
use super::super::sources::Source;

/// A unit: a file and its drop-ins.
pub(super) struct Unit {
    /// `web@blue.service`
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) settings: Vec<Setting>,
}

#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) place: Place,
}

impl Setting {
    pub(super) fn error(&self, message: &str) -> Error {
        self.place.error(format!("{}: {message}", self.key))
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.value.split_whitespace()
    }

    pub(super) fn is_true(&self) -> Result<bool, Error> {
        match self.value.to_ascii_lowercase().as_str() {
            "1" | "yes" | "y" | "true" | "t" | "on" => Ok(true),
            "0" | "no" | "n" | "false" | "f" | "off" => Ok(false),
            _ => Err(self.error("expected yes or no")),
        }
    }
}

impl Unit {
    pub(super) fn parse(source: &Source) -> Result<Unit, Error> {
        let mut settings = Vec::new();
        for source in [source].into_iter().chain(&source.more) {
            read(source, &mut settings)?;
        }
        let settings = in_force(settings);
        Ok(Unit { name: source.base().to_string(), place: source.place(0), settings })
    }

    /// What its name says before the suffix.
    pub(super) fn stem(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(stem, _)| stem)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.all(key).last()
    }

    /// Whether it is up when it has ended.
    pub(super) fn is_oneshot(&self) -> bool {
        self.get("Type").is_some_and(|kind| kind.value == "oneshot")
    }

    /// All that is said of a list.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(move |setting| setting.key == key)
    }
}

/// What a setting that stands there again does to the one before, in whatever file.
#[derive(Clone, Copy)]
enum Again {
    /// It takes its place.
    Replaces,
    /// It adds to it, and takes it back where it is empty.
    Adds,
    /// It adds to it, and where it is empty that is something, too.
    AddsNothing,
    /// It adds to it, and nothing takes it back.
    AddsOnly,
}

/// The settings that count: of each key the last, or of a list all since it was empty.
fn in_force(settings: Vec<Setting>) -> Vec<Setting> {
    let mut kept: Vec<Setting> = Vec::new();
    for setting in settings.into_iter().flat_map(meant) {
        let is_empty = setting.value.is_empty();
        match again(&setting.key) {
            Again::Adds if is_empty => kept.retain(|known| known.key != setting.key),
            Again::AddsOnly if is_empty => {}
            Again::Adds | Again::AddsOnly | Again::AddsNothing => kept.push(setting),
            Again::Replaces => {
                kept.retain(|known| known.key != setting.key);
                kept.extend((!is_empty).then_some(setting));
            }
        }
    }
    kept
}

/// `TimeoutSec` is two settings in one.
fn meant(setting: Setting) -> Vec<Setting> {
    if setting.key != "TimeoutSec" {
        return vec![setting];
    }
    ["TimeoutStartSec", "TimeoutStopSec"].map(|key| Setting { key: key.to_string(), ..setting.clone() }).into()
}

fn again(key: &str) -> Again {
    match key {
        "CapabilityBoundingSet" | "AmbientCapabilities" => Again::AddsNothing,
        "After" | "Before" | "Requires" | "Wants" | "BindsTo" | "Requisite" | "PartOf" | "Upholds" | "Conflicts" => {
            Again::AddsOnly
        }
        "Environment"
        | "EnvironmentFile"
        | "PassEnvironment"
        | "SupplementaryGroups"
        | "SuccessExitStatus"
        | "RestartPreventExitStatus"
        | "RestartForceExitStatus" => Again::Adds,
        _ if key.starts_with("Exec") || key.starts_with("On") => Again::Adds,
        _ => Again::Replaces,
    }
}

fn read(source: &Source, settings: &mut Vec<Setting>) -> Result<(), Error> {
    let mut section: Option<String> = None;
    // A setting whose line goes on.
    let mut open: Option<(Place, String)> = None;
    for (index, line) in source.text.lines().enumerate() {
        let is_comment = line.trim_start().starts_with(['#', ';']);
        if is_comment || (line.trim().is_empty() && open.is_none()) {
            continue;
        }
        let (place, mut whole) = open.take().unwrap_or_else(|| (source.place(index + 1), String::new()));
        if let Some(part) = line.strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            open = Some((place, whole));
            continue;
        }
        whole.push_str(line);
        take(&whole, place, &mut section, settings)?;
    }
    match open {
        Some((place, whole)) => take(&whole, place, &mut section, settings),
        None => Ok(()),
    }
}

fn take(line: &str, place: Place, section: &mut Option<String>, settings: &mut Vec<Setting>) -> Result<(), Error> {
    let line = line.trim();
    if let Some(head) = line.strip_prefix('[') {
        let name = head.strip_suffix(']').filter(|name| !name.is_empty());
        *section = Some(name.ok_or_else(|| place.error("expected [Section]"))?.to_string());
        return Ok(());
    }
    let Some(section) = section else { return Err(place.error("this stands before the first [Section]")) };
    let Some((key, value)) = line.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
        return Err(place.error("expected Key=value"));
    };
    // Nothing in a section that systemd passes over is a setting of its.
    let prefix = if section.starts_with("X-") { format!("{section} ") } else { String::new() };
    let (section, key, value) = (section.clone(), format!("{prefix}{}", key.trim()), value.trim().to_string());
    settings.push(Setting { section, key, value, place });
    Ok(())
}
