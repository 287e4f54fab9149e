//! Whom a verb that changes something is about: by name, or by what the files say, which needs no monitor.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::Error;
use super::files::{self, KINDS};
use super::monitor;
use super::read::{Monitor, Term, Trouble, known, object::text, terms};
use crate::cli::{ChoiceArgs, CtlArgs, NamesArgs};
use crate::config::{self, Defaults};
use crate::model::{Name, nearest};

/// Those that are meant. What is named is found by `find`, and must be there.
pub(super) fn chosen(
    dir: &Path,
    args: &NamesArgs,
    find: fn(&Path, &str) -> Result<Name, Error>,
) -> Result<Vec<Name>, Error> {
    let words = args.get();
    let named = names(dir, &words);
    let usage = |text: &str| Err(Error::Trouble(Trouble::Usage(text.to_string())));
    match (named.is_empty(), args.is_by_name()) {
        (true, true) => return usage("whom? give a NAME, -l group=GROUP or --all"),
        (false, false) => return usage("whom? give a NAME, or -l group=GROUP or --all, and not both"),
        (true, false) | (false, true) => {}
    }
    files::directory(dir, "--config")?;
    let chosen = match (&args.selector, args.all) {
        (Some(selector), _) => selected(dir, selector)?,
        (None, true) => files::all(dir).iter().map(|name| files::name(name)).collect::<Result<_, Error>>()?,
        (None, false) => return found(dir, named, find),
    };
    if chosen.is_empty() {
        super::note("No resources found");
    }
    Ok(chosen)
}

/// Those of whom the monitor is asked something: as the files have it or, where their directory is gone, the monitor.
pub(super) fn asked(ctl: &CtlArgs, args: &NamesArgs) -> Result<Vec<Name>, Error> {
    match chosen(&ctl.config, args, files::called) {
        Err(gone @ Error::Directory { .. }) => {
            let is_lost = !text(&monitor::state(&ctl.messages), "/config/error").is_empty();
            let names = args.get().into_iter().map(str::to_string).collect();
            let whom = ChoiceArgs { names, selector: args.selector.clone() };
            if is_lost { known(Monitor::of(&ctl.messages), &whom).map_err(Error::Trouble) } else { Err(gone) }
        }
        chosen => chosen,
    }
}

/// The names among words: the first may be the kind, as in `delete process web`, if no file is called so.
pub(super) fn names<'w>(dir: &Path, words: &'w [&'w str]) -> &'w [&'w str] {
    match words.split_first() {
        Some((kind, names)) if KINDS.contains(kind) && files::of(dir, kind).is_ok_and(|files| files.is_empty()) => {
            names
        }
        Some(_) | None => words,
    }
}

/// The processes of these names, each once.
pub(super) fn found(
    dir: &Path,
    names: &[&str],
    find: fn(&Path, &str) -> Result<Name, Error>,
) -> Result<Vec<Name>, Error> {
    let mut found = names.iter().map(|name| find(dir, files::bare(name))).collect::<Result<Vec<Name>, Error>>()?;
    let mut seen = BTreeSet::new();
    found.retain(|name| seen.insert(name.clone()));
    Ok(found)
}

/// How many replicas its file asks for, if it does and can be read.
pub(super) fn replicas(dir: &Path, name: &Name) -> Option<u32> {
    let path = files::one_of(dir, name.as_str()).ok()??;
    config::parse(name.as_str(), &files::read(&path).ok()?, &Defaults::STANDARD).ok()?.replicas
}

/// Those whose files say that they are of these groups.
fn selected(dir: &Path, selector: &str) -> Result<Vec<Name>, Error> {
    let terms = terms(selector).map_err(Error::Trouble)?;
    let mut all: Vec<(Name, Vec<String>)> = Vec::new();
    for name in files::all(dir) {
        let text = files::one_of(dir, &name)?.map(|path| files::read(&path)).transpose()?.unwrap_or_default();
        match config::parse(&name, &text, &Defaults::STANDARD) {
            Ok(manifest) => all.push((files::name(&name)?, manifest.spec.groups.clone())),
            Err(_) => super::note(&format!("note: of which groups {name} is cannot be told: its file is refused")),
        }
    }
    let has = |groups: &[String], group: &str| groups.iter().any(|other| other == group);
    for term in &terms {
        match term {
            Term::In(group) if !all.iter().any(|(_, groups)| has(groups, group)) => {
                return Err(unknown(group, all.iter().flat_map(|(_, groups)| groups)));
            }
            Term::In(_) | Term::NotIn(_) => {}
        }
    }
    let is_meant = |groups: &[String]| terms.iter().all(|term| term.holds(|group| has(groups, group)));
    Ok(all.into_iter().filter(|(_, groups)| is_meant(groups)).map(|(name, _)| name).collect())
}

/// That nobody is of this group, and which is the nearest.
pub(super) fn unknown<'a>(group: &str, groups: impl Iterator<Item = &'a String>) -> Error {
    let nearest = nearest(group, groups.map(String::as_str)).map(str::to_string);
    Error::UnknownGroup { group: group.to_string(), nearest }
}
