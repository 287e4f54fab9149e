//! What is desired, by name: the last good version of each, and how long it has been missed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{FileError, Moment, Name, ProcessSpec};

use super::diagnostic::{Diagnostic, Severity};
use super::entries::{Candidate, Verdict};
use super::news::News;

/// Who writes a file by removing and creating it is given this long; so are links that are turned to a new target.
const ABSENCE: Duration = Duration::from_millis(500);

/// Everything that is known by name.
#[derive(Default)]
pub(super) struct Slots {
    by_name: BTreeMap<Name, Slot>,
    processes: Arc<BTreeMap<Name, Arc<ProcessSpec>>>,
    errors: Vec<FileError>,
    rescan_at: Option<Moment>,
}

#[derive(Default)]
struct Slot {
    /// The last good version, and the file that it came from.
    good: Option<(Arc<ProcessSpec>, Arc<str>)>,
    missing_since: Option<Moment>,
    /// What is to be said of the file, or files, at present.
    diagnostics: Vec<Diagnostic>,
}

impl Slots {
    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    pub(super) fn processes(&self) -> Arc<BTreeMap<Name, Arc<ProcessSpec>>> {
        Arc::clone(&self.processes)
    }

    pub(super) fn errors(&self) -> Vec<FileError> {
        self.errors.clone()
    }

    pub(super) fn rescan_at(&self) -> Option<Moment> {
        self.rescan_at
    }

    pub(super) fn file_of(&self, name: &Name) -> Option<&str> {
        self.by_name.get(name)?.good.as_ref().map(|(_, file)| &**file)
    }

    pub(super) fn error_of(&self, name: &Name) -> Option<String> {
        first_error(&self.by_name.get(name)?.diagnostics).map(Diagnostic::summary)
    }

    pub(super) fn unborn(&self) -> Option<String> {
        let mut unborn = self.by_name.values().filter(|slot| slot.good.is_none());
        unborn.find_map(|slot| first_error(&slot.diagnostics)).map(Diagnostic::summary)
    }

    /// Lets every absence begin anew: while the directory is away, nothing is known to be missing.
    pub(super) fn forget_absences(&mut self) {
        self.by_name.values_mut().for_each(|slot| slot.missing_since = None);
        self.rescan_at = None;
    }

    /// Makes what is desired from what the files say. Returns whether it is something else than before.
    pub(super) fn settle<'a>(
        &mut self,
        files: impl Iterator<Item = &'a Candidate>,
        distrust: Option<&str>,
        now: Moment,
        news: &mut Vec<News>,
    ) -> bool {
        let mut by_name: BTreeMap<&Name, Vec<&Candidate>> = BTreeMap::new();
        for candidate in files.filter(|candidate| candidate.verdict != Verdict::Nothing) {
            by_name.entry(&candidate.name).or_default().push(candidate);
        }
        for name in by_name.keys().filter(|name| !self.by_name.contains_key(**name)).collect::<Vec<_>>() {
            self.by_name.insert((*name).clone(), Slot::default());
        }
        self.by_name.retain(|name, slot| match by_name.get_mut(name) {
            Some(files) => {
                slot.take(name, files, distrust, news);
                true
            }
            None => slot.miss(now),
        });
        self.rebuild()
    }

    fn rebuild(&mut self) -> bool {
        let missing = self.by_name.values().filter_map(|slot| slot.missing_since);
        self.rescan_at = missing.map(|since| since + ABSENCE).min();
        self.errors = self.by_name.values().flat_map(Slot::errors).collect();
        let good = self.by_name.iter().filter_map(|(name, slot)| Some((name, &slot.good.as_ref()?.0)));
        let is_same = good.clone().count() == self.processes.len()
            && good.clone().all(|(name, spec)| self.processes.get(name).is_some_and(|old| Arc::ptr_eq(old, spec)));
        if !is_same {
            self.processes = Arc::new(good.map(|(name, spec)| (name.clone(), Arc::clone(spec))).collect());
        }
        !is_same
    }
}

impl Slot {
    fn take(&mut self, name: &Name, files: &mut [&Candidate], distrust: Option<&str>, news: &mut Vec<News>) {
        self.missing_since = None;
        let diagnostics = match (distrust, &*files) {
            (Some(why), files) => files.iter().map(|file| Diagnostic::of_file(&file.file, why)).collect(),
            (None, [one]) => match &one.verdict {
                Verdict::Good(spec, warnings) => {
                    self.take_over(spec, &one.file);
                    warnings.clone()
                }
                Verdict::Bad(diagnostics) => diagnostics.clone(),
                Verdict::Nothing => Vec::new(),
            },
            (None, _) => {
                files.sort_by(|a, b| a.file.cmp(&b.file));
                clash(name, files)
            }
        };
        self.tell(name, diagnostics, news);
    }

    /// Equal things stay the same thing, so that nothing downstream takes them for an edit.
    fn take_over(&mut self, spec: &Arc<ProcessSpec>, file: &Arc<str>) {
        let spec = match self.good.take() {
            Some((old, _)) if old == *spec => old,
            Some(_) | None => Arc::clone(spec),
        };
        self.good = Some((spec, Arc::clone(file)));
    }

    /// The file is not there. Returns whether the process still counts.
    fn miss(&mut self, now: Moment) -> bool {
        self.diagnostics.clear();
        let since = *self.missing_since.get_or_insert(now);
        self.good.is_some() && now.since(since) < ABSENCE
    }

    fn tell(&mut self, name: &Name, diagnostics: Vec<Diagnostic>, news: &mut Vec<News>) {
        if diagnostics == self.diagnostics {
            return;
        }
        let was_refused = first_error(&self.diagnostics).is_some();
        let is_refused = first_error(&diagnostics).is_some();
        if is_refused {
            let in_force = self.good.is_some();
            news.push(News::Refused { name: name.clone(), diagnostics: diagnostics.clone(), in_force });
        } else {
            if was_refused {
                news.push(News::Mended { name: name.clone() });
            }
            if !diagnostics.is_empty() {
                news.push(News::Warned { name: name.clone(), diagnostics: diagnostics.clone() });
            }
        }
        self.diagnostics = diagnostics;
    }

    /// One for each file.
    fn errors(&self) -> Vec<FileError> {
        let mut errors: Vec<FileError> = Vec::new();
        for diagnostic in self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error) {
            if !errors.iter().any(|error| error.file == diagnostic.file) {
                errors.push(FileError { file: diagnostic.file.clone(), summary: diagnostic.summary() });
            }
        }
        errors
    }
}

/// Two files and one name: neither may win, for who wrote which last is nobody's intent.
fn clash(name: &Name, files: &[&Candidate]) -> Vec<Diagnostic> {
    let all: Vec<&str> = files.iter().map(|file| &*file.file).collect();
    let message = format!("{} describe the same process, {name}", all.join(" and "));
    let help = Some("keep one of them".to_string());
    all.iter().map(|file| Diagnostic { help: help.clone(), ..Diagnostic::of_file(file, &*message) }).collect()
}

fn first_error(diagnostics: &[Diagnostic]) -> Option<&Diagnostic> {
    diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error)
}
