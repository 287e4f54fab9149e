//! What is desired, by name: the last good version of each, and how long it has been missed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{FileError, Moment, Name, ProcessSpec, map_of, sort_by};

use super::diagnostic::{Diagnostic, Severity};
use super::entries::{Candidate, Verdict};
use super::graph::{self, Member, Mentions};
use super::news::News;
use super::replicas::{self, Described};

/// Who writes a file by removing and creating it is given this long; so are links that are turned to a new target.
const ABSENCE: Duration = Duration::from_millis(500);
/// And at most this long, if others go missing meanwhile.
const LONGEST_ABSENCE: Duration = Duration::from_secs(1);

/// Everything that is known by name.
#[derive(Default)]
pub(super) struct Slots {
    by_name: BTreeMap<Name, Slot>,
    processes: Arc<BTreeMap<Name, Arc<ProcessSpec>>>,
    errors: Vec<FileError>,
    rescan_at: Option<Moment>,
}

/// What is known of the file, or files, of one name.
#[derive(Default)]
struct Slot {
    /// The last good version.
    good: Option<Good>,
    missing_since: Option<Moment>,
    /// What is to be said of the file, or files, at present.
    diagnostics: Vec<Diagnostic>,
    /// Whether that is said of the directory, and not of them.
    is_distrusted: bool,
}

/// A good version.
struct Good {
    spec: Arc<ProcessSpec>,
    /// How many of it; `None`: one, of the file's own name.
    replicas: Option<u32>,
    /// The file that it came from.
    file: Arc<str>,
    /// What it describes.
    processes: Vec<Described>,
}

/// What the file, or files, of one name come to.
enum Judged<'a> {
    Taken {
        spec: &'a Arc<ProcessSpec>,
        replicas: Option<u32>,
        file: &'a Arc<str>,
        warnings: &'a [Diagnostic],
        mentions: Option<&'a Mentions>,
    },
    Refused(Vec<Diagnostic>),
    /// Refused for the directory's sake, which is told by itself.
    Distrusted(Vec<Diagnostic>),
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

    /// How many files are in force.
    pub(super) fn files(&self) -> usize {
        self.by_name.values().filter(|slot| slot.good.is_some()).count()
    }

    pub(super) fn file_of(&self, name: &Name) -> Option<&str> {
        self.slot_of(name)?.good.as_ref().map(|good| &*good.file)
    }

    pub(super) fn error_of(&self, name: &Name) -> Option<String> {
        first_error(&self.slot_of(name)?.diagnostics).map(Diagnostic::summary)
    }

    /// Where a process is described, or a file of this name known.
    fn slot_of(&self, name: &Name) -> Option<&Slot> {
        let replica = self.processes.get(name).and_then(|spec| spec.replica.as_ref());
        self.by_name.get(replica.map_or(name, |replica| &replica.set))
    }

    /// The files in force that ask for no replicas, by name.
    pub(super) fn empty(&self) -> impl Iterator<Item = &Name> {
        let is_empty = |slot: &Slot| slot.good.as_ref().is_some_and(|good| good.replicas == Some(0));
        self.by_name.iter().filter(move |(_, slot)| is_empty(slot)).map(|(name, _)| name)
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
        let mut judged: BTreeMap<&Name, Judged> =
            map_of(by_name.into_iter().map(|(name, mut files)| (name, judge(name, &mut files, distrust))));
        let missing = self.by_name.iter_mut().filter(|(name, slot)| slot.good.is_some() && !judged.contains_key(*name));
        let last_missed = missing.map(|(_, slot)| slot.miss(now)).max().unwrap_or(now);
        self.by_name.retain(|name, slot| judged.contains_key(name) || slot.is_awaited(last_missed, now));
        // Who is refused falls back to what is in force, and that may be in another's way.
        loop {
            self.part(&mut judged);
            if !self.refuse_dependents(&mut judged) {
                break;
            }
        }
        for (name, judged) in judged {
            if let Some(slot) = self.by_name.get_mut(name) {
                slot.take(name, judged, news);
            }
        }
        self.rebuild()
    }

    /// Refuses files that depend on what is not there, or in a circle. Returns whether there were any.
    fn refuse_dependents(&self, judged: &mut BTreeMap<&Name, Judged>) -> bool {
        let is_any = |judged: &Judged| matches!(judged, Judged::Taken { mentions: Some(_), .. });
        if !judged.values().any(is_any) {
            return false;
        }
        let member = |name: &Name, slot: &'_ Slot| {
            let has = slot.good.as_ref().map(|good| good.spec.depends_on.clone());
            let of = slot.good.as_ref().and_then(|good| good.replicas);
            match judged.get(name) {
                Some(Judged::Taken { spec, replicas, .. }) => {
                    Member { asks: Some(spec.depends_on.clone()), has, of: (*replicas).max(of) }
                }
                Some(Judged::Refused(_) | Judged::Distrusted(_)) | None => Member { asks: None, has, of },
            }
        };
        let members: Vec<_> = self.by_name.iter().map(|(name, slot)| (name, member(name, slot))).collect();
        let faults = graph::judge(&members);
        let mut is_refused = false;
        for ((name, _), faults) in members.iter().zip(&faults).filter(|(_, faults)| !faults.is_empty()) {
            let Some(taken) = judged.get_mut(*name) else { continue };
            if let Judged::Taken { spec, file, warnings, mentions: Some(mentions), .. } = taken {
                let told = faults.iter().map(|fault| mentions.tell(file, &spec.depends_on, fault));
                *taken = Judged::Refused(told.chain(warnings.iter().cloned()).collect());
                is_refused = true;
            }
        }
        is_refused
    }

    /// Refuses files that describe a process which another file describes, too: a replica of one is what the other is
    /// called. Who is refused falls back to what is in force, which may be in the way of a third.
    fn part(&self, judged: &mut BTreeMap<&Name, Judged>) {
        loop {
            let sets = self.by_name.keys().filter_map(|name| Some((name, self.claim(name, judged)??)));
            let clash = sets.into_iter().find_map(|(set, of)| {
                let others = (0..of).filter_map(|index| self.by_name.get_key_value(&*replicas::name_of(set, index)));
                let mut others = others.map(|(other, _)| other);
                others
                    .find(|other| self.claim(other, judged) == Some(None) && is_taken_one_of([set, other], judged))
                    .map(|other| (set.clone(), other.clone()))
            });
            let Some((set, other)) = clash else { return };
            let files = [&set, &other].map(|name| self.file_in(name, judged).unwrap_or_else(|| name.to_string()));
            for (name, file) in [&set, &other].into_iter().zip(&files) {
                if let Some(judged @ Judged::Taken { .. }) = judged.get_mut(name) {
                    *judged = Judged::Refused(vec![twice(file, &files, &other)]);
                }
            }
        }
    }

    /// What the files of this name claim, if they have not gone: `Some(None)` the name itself, `Some(Some(n))` those of so
    /// many replicas.
    fn claim(&self, name: &Name, judged: &BTreeMap<&Name, Judged>) -> Option<Option<u32>> {
        match judged.get(name)? {
            Judged::Taken { replicas, .. } => Some(*replicas),
            Judged::Refused(_) | Judged::Distrusted(_) => {
                self.by_name.get(name)?.good.as_ref().map(|good| good.replicas)
            }
        }
    }

    fn file_in(&self, name: &Name, judged: &BTreeMap<&Name, Judged>) -> Option<String> {
        match judged.get(name)? {
            Judged::Taken { file, .. } => Some(file.to_string()),
            Judged::Refused(_) | Judged::Distrusted(_) => {
                self.by_name.get(name)?.good.as_ref().map(|good| good.file.to_string())
            }
        }
    }

    fn rebuild(&mut self) -> bool {
        let missing = || self.by_name.values().filter_map(|slot| slot.missing_since);
        let all = missing().max().map(|last| last + ABSENCE);
        self.rescan_at = missing().map(|since| since + LONGEST_ABSENCE).min().min(all);
        self.errors = self.by_name.values().flat_map(Slot::errors).collect();
        let mut good: BTreeMap<&Name, &Arc<ProcessSpec>> = BTreeMap::new();
        // What is missing gives way: a name that another file has taken over is not described twice.
        let (missing, present): (Vec<&Slot>, Vec<&Slot>) =
            self.by_name.values().partition(|slot| slot.missing_since.is_some());
        for (name, spec) in present.into_iter().chain(missing).flat_map(Slot::processes) {
            good.entry(name).or_insert(spec);
        }
        let is_same = good.len() == self.processes.len()
            && good.iter().all(|(name, spec)| self.processes.get(*name).is_some_and(|old| Arc::ptr_eq(old, spec)));
        if !is_same {
            let good = map_of(good.into_iter().map(|(name, spec)| (name.clone(), Arc::clone(spec))));
            self.processes = Arc::new(good);
        }
        !is_same
    }
}

impl Slot {
    fn take(&mut self, name: &Name, judged: Judged, news: &mut Vec<News>) {
        self.missing_since = None;
        let diagnostics = match judged {
            Judged::Taken { spec, replicas, file, warnings, mentions: _ } => {
                self.take_over(name, spec, replicas, file);
                warnings.to_vec()
            }
            Judged::Refused(diagnostics) => diagnostics,
            Judged::Distrusted(diagnostics) => {
                (self.diagnostics, self.is_distrusted) = (diagnostics, true);
                return;
            }
        };
        if std::mem::take(&mut self.is_distrusted) {
            // What was said of it then was said of the directory.
            self.diagnostics.clear();
        }
        self.tell(name, diagnostics, news);
    }

    /// Equal things stay the same thing, so that nothing downstream takes them for an edit.
    fn take_over(&mut self, name: &Name, spec: &Arc<ProcessSpec>, replicas: Option<u32>, file: &Arc<str>) {
        let before = self.good.take();
        let processes = match before {
            Some(good) if good.spec == *spec && good.replicas == replicas => good.processes,
            Some(good) => replicas::expand(name, spec, replicas, &good.processes),
            None => replicas::expand(name, spec, replicas, &[]),
        };
        self.good = Some(Good { spec: Arc::clone(spec), replicas, file: Arc::clone(file), processes });
    }

    fn processes(&self) -> impl Iterator<Item = (&Name, &Arc<ProcessSpec>)> {
        self.good.iter().flat_map(|good| &good.processes).map(|(name, spec)| (name, spec))
    }

    /// The file is not there. Returns since when it has been missed.
    fn miss(&mut self, now: Moment) -> Moment {
        self.diagnostics.clear();
        *self.missing_since.get_or_insert(now)
    }

    /// Whether the process still counts, of whose file nothing is there. What is removed together, one after the other,
    /// goes together: its order can be kept only then.
    fn is_awaited(&self, last_missed: Moment, now: Moment) -> bool {
        let since = self.missing_since.unwrap_or(now);
        self.good.is_some() && now.since(last_missed) < ABSENCE && now.since(since) < LONGEST_ABSENCE
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

fn judge<'a>(name: &Name, files: &mut Vec<&'a Candidate>, distrust: Option<&str>) -> Judged<'a> {
    match (distrust, files.as_slice()) {
        (Some(why), files) => {
            Judged::Distrusted(files.iter().map(|file| Diagnostic::of_file(&file.file, why)).collect())
        }
        (None, [one]) => match &one.verdict {
            Verdict::Good(_, Some(of), ..) if Name::parse(&replicas::name_of(name, of.saturating_sub(1))).is_err() => {
                let message = format!("its replicas' names are longer than {} bytes", Name::MAX_BYTES);
                Judged::Refused(vec![Diagnostic::of_file(&one.file, message)])
            }
            Verdict::Good(spec, replicas, warnings, mentions) => {
                let mentions = mentions.as_ref();
                Judged::Taken { spec, replicas: *replicas, file: &one.file, warnings, mentions }
            }
            Verdict::Bad(diagnostics) => Judged::Refused(diagnostics.clone()),
            Verdict::Nothing => Judged::Refused(Vec::new()),
        },
        (None, _) => {
            sort_by(files, |a, b| a.file.cmp(&b.file));
            Judged::Refused(clash(name, files))
        }
    }
}

fn is_taken_one_of(names: [&Name; 2], judged: &BTreeMap<&Name, Judged>) -> bool {
    names.into_iter().any(|name| matches!(judged.get(name), Some(Judged::Taken { .. })))
}

/// A replica of one file and another file of its name: neither may win here, either.
fn twice(file: &str, files: &[String; 2], process: &Name) -> Diagnostic {
    let [set, other] = files;
    let message = format!("the replicas of {set} and {other} describe the same process, {process}");
    Diagnostic { help: Some("rename one of them".to_string()), ..Diagnostic::of_file(file, message) }
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
