//! The INI files that Python's configparser reads, with supervisord's options.

use super::super::conversion::{Error, Place};
use super::super::sources::Source;

/// A section of all files together.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) settings: Vec<Setting>,
    /// What stands in it a second time, and where.
    pub(super) repeated: Vec<(String, Place)>,
}

#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// In lower case.
    pub(super) key: String,
    /// Its lines, joined by line ends.
    pub(super) value: String,
    pub(super) place: Place,
}

impl Setting {
    pub(super) fn error(&self, message: &str) -> Error {
        self.place.error(format!("{}: {message}", self.key))
    }
}

/// Reads the sections of a configuration and of what it includes; sections of one name are one.
pub(super) fn parse<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Result<Vec<Section>, Error> {
    let mut sections: Vec<Section> = Vec::new();
    for source in sources {
        let mut current: Option<usize> = None;
        // The setting that an indented line continues.
        let mut open = false;
        for (index, line) in source.text.lines().enumerate() {
            let place = source.place(index + 1);
            let line = without_comment(line);
            if line.trim().is_empty() {
                continue;
            }
            if line.starts_with([' ', '\t']) && open {
                let setting = current.and_then(|at| sections[at].settings.last_mut());
                setting.into_iter().for_each(|setting| setting.value.extend(["\n", line.trim()]));
                continue;
            }
            if let Some(head) = line.trim().strip_prefix('[') {
                let name = head.split(']').next().filter(|name| head.len() > name.len()).unwrap_or_default().trim();
                if name.is_empty() {
                    return Err(place.error("expected [SECTION]"));
                }
                current = Some(section(&mut sections, name, place));
                open = false;
                continue;
            }
            let Some(at) = current else {
                return Err(place.error("this stands before the first [SECTION]"));
            };
            let Some((key, value)) = line.split_once(['=', ':']).filter(|(key, _)| !key.trim().is_empty()) else {
                return Err(place.error("expected NAME=VALUE"));
            };
            set(&mut sections[at], &key.trim().to_ascii_lowercase(), value.trim(), place);
            open = true;
        }
    }
    Ok(sections)
}

fn section(sections: &mut Vec<Section>, name: &str, place: Place) -> usize {
    match sections.iter().position(|section| section.name == name) {
        Some(at) => {
            sections[at].repeated.push((format!("[{name}]"), place));
            at
        }
        None => {
            sections.push(Section { name: name.to_string(), place, settings: Vec::new(), repeated: Vec::new() });
            sections.len() - 1
        }
    }
}

fn set(section: &mut Section, key: &str, value: &str, place: Place) {
    if let Some(at) = section.settings.iter().position(|setting| setting.key == key) {
        section.settings.remove(at);
        section.repeated.push((format!("[{}] {key}", section.name), place.clone()));
    }
    section.settings.push(Setting { key: key.to_string(), value: value.to_string(), place });
}

/// A comment begins with `;` or `#` at the line's beginning or behind a blank.
fn without_comment(line: &str) -> &str {
    let begins = |at: &usize| *at == 0 || line[..*at].ends_with([' ', '\t']);
    let comment = line.match_indices([';', '#']).map(|(at, _)| at).find(begins);
    line[..comment.unwrap_or(line.len())].trim_end()
}
