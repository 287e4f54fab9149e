//! The verbs that change process files: `apply`, `diff`, `delete`, `scale`, and `--persist` of `stop` and `start`.

use std::collections::BTreeSet;
use std::path::Path;

use super::awaiting::{Awaiting, Meanwhile};
use super::effect::Goal;
use super::error::Error;
use super::steps::{self, Deed, Step};
use super::{files, monitor, sources, unified, whom};
use crate::cli::{ApplyArgs, CtlArgs, DeleteArgs, DiffArgs, DryRun, NamesArgs, OutageArgs, ScaleArgs, WaitFlags};
use crate::config::{self, Change, Defaults};
use crate::model::Name;

/// What is said of those that are as their files want them.
const ROLLED_OUT: &str = "successfully rolled out";

/// `apply`: all of it, or, where the monitor would refuse some, none.
pub(super) fn apply(ctl: &CtlArgs, args: &ApplyArgs) -> Result<(), Error> {
    files::directory(&ctl.config, "--config")?;
    let steps = steps::of_sources(&ctl.config, sources::read(&args.files, args.name.as_deref())?)?;
    written(ctl, &steps, None, &args.dry_run, Awaited { how: &args.wait, word: ROLLED_OUT })
}

/// `diff`: whether something differs.
pub(super) fn diff(ctl: &CtlArgs, args: &DiffArgs) -> Result<bool, Error> {
    files::directory(&ctl.config, "--config")?;
    let steps = steps::of_sources(&ctl.config, sources::read(&args.files, args.name.as_deref())?)?;
    steps::rehearse(&ctl.config, &steps).map_err(|error| match error {
        Error::Refused(told) => Error::NoDiff(told),
        other => other,
    })?;
    for step in &steps {
        super::print(&difference(step));
    }
    Ok(steps.iter().any(|step| step.deed() != Deed::Unchanged))
}

fn difference(step: &Step) -> String {
    let name = |path: &Path| path.display().to_string();
    let old = step.old.as_deref().map_or("/dev/null".to_string(), name);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = unified::diff([&old, &name(&step.new)], &text(&step.before), &text(&step.text));
    match told.is_empty() && step.deed() == Deed::Configured {
        true => format!("rename from {old}\nrename to {}\n", name(&step.new)),
        false => told,
    }
}

/// `scale`: the key `replicas` of their files.
pub(super) fn scale(ctl: &CtlArgs, args: &ScaleArgs) -> Result<(), Error> {
    let steps = keyed(ctl, &args.names, ("replicas", &args.replicas.to_string()))?;
    written(ctl, &steps, Some("scaled"), &args.dry_run, Awaited { how: &args.wait, word: ROLLED_OUT })
}

/// `stop --persist`, `start --persist`: the key `suspend`.
pub(super) fn suspend(ctl: &CtlArgs, args: &OutageArgs, value: &str, words: [&'static str; 2]) -> Result<(), Error> {
    let steps = keyed(ctl, &args.names, ("suspend", value))?;
    written(ctl, &steps, Some(words[0]), &DryRun::default(), Awaited { how: &args.wait, word: words[1] })
}

fn keyed(ctl: &CtlArgs, names: &NamesArgs, key: (&'static str, &str)) -> Result<Vec<Step>, Error> {
    let names = whom::chosen(&ctl.config, names, files::described)?;
    names.iter().map(|name| steps::of_key(&ctl.config, name, key)).collect()
}

/// Whether it is waited for, and what is said when it is so.
struct Awaited<'a> {
    how: &'a WaitFlags,
    word: &'static str,
}

fn written(ctl: &CtlArgs, steps: &[Step], word: Option<&str>, dry: &DryRun, wait: Awaited<'_>) -> Result<(), Error> {
    steps::rehearse(&ctl.config, steps)?;
    steps::trusted(&ctl.config, steps, &monitor::trust(&ctl.messages))?;
    let is_dry = dry.is_asked();
    let awaiting = if is_dry { None } else { Awaiting::begin(ctl, wait.how)? };
    steps::carry_out(&ctl.config, steps, word, is_dry)?;
    if let Some(awaiting) = awaiting {
        let goals: Vec<(Name, Goal)> = steps.iter().map(|step| (step.name.clone(), goal(step))).collect();
        return awaiting.until(&goals, wait.word, Meanwhile::Crashes(BTreeSet::new()));
    }
    if !is_dry && steps.iter().any(|step| step.deed() != Deed::Unchanged) {
        monitor::note_of_unread(&ctl.messages, "the next one begins with these files");
    }
    Ok(())
}

/// What a file comes to: another comment is nothing that a monitor would see.
fn goal(step: &Step) -> Goal {
    let parsed = |text: &[u8]| config::parse(step.name.as_str(), text, &Defaults::STANDARD).ok();
    match (parsed(&step.before), parsed(&step.text)) {
        (Some(was), Some(is)) if was.spec.whole == is.spec.whole && was.replicas == is.replicas => Goal::Settled,
        (_, is) => Goal::Changed(is.and_then(|manifest| manifest.replicas).unwrap_or(1)),
    }
}

/// `delete`: all that are named, or none; of what files describe, all that are there.
pub(super) fn delete(ctl: &CtlArgs, args: &DeleteArgs) -> Result<(), Error> {
    let missing = delete_found(ctl, args)?;
    match missing.is_empty() || args.ignore_not_found {
        true => Ok(()),
        false => Err(Error::Missing { names: missing, dir: ctl.config.clone() }),
    }
}

/// Deletes those that are there; returns who is not.
fn delete_found(ctl: &CtlArgs, args: &DeleteArgs) -> Result<Vec<String>, Error> {
    let dir = &ctl.config;
    let (doomed, missing) = doomed(dir, args)?;
    if !args.force {
        is_needed(dir, &doomed)?;
    }
    let is_dry = args.dry_run.is_asked();
    let awaiting = if is_dry { None } else { Awaiting::begin(ctl, &args.wait)? };
    for name in &doomed {
        if !is_dry {
            files::delete(dir, name)?;
        }
        super::say(name, "deleted", is_dry);
    }
    if let Some(awaiting) = awaiting {
        let goals: Vec<(Name, Goal)> = doomed.into_iter().map(|name| (name, Goal::Gone)).collect();
        awaiting.until(&goals, "gone", Meanwhile::Nothing)?;
    } else if !is_dry && !doomed.is_empty() {
        monitor::note_of_unread(&ctl.messages, "the next one begins without them");
    }
    Ok(missing)
}

/// Whom `delete` is about, each once; and whom files describe that are not there.
fn doomed(dir: &Path, args: &DeleteArgs) -> Result<(Vec<Name>, Vec<String>), Error> {
    let sources = sources::read(&args.files, None)?;
    let words = args.names.get();
    let of_files = sources.iter().map(|of| of.name.as_str());
    let named: Vec<&str> = whom::names(dir, &words).iter().copied().chain(of_files).collect();
    if named.is_empty() || !args.names.is_by_name() {
        return Ok((whom::chosen(dir, &args.names, files::described)?, Vec::new()));
    }
    let (mut doomed, mut missing): (Vec<Name>, Vec<String>) = (Vec::new(), Vec::new());
    for text in named {
        match files::described(dir, files::bare(text)) {
            Ok(name) if doomed.contains(&name) => {}
            Ok(name) => doomed.push(name),
            Err(Error::Unknown { .. }) if args.ignore_not_found || !sources.is_empty() => {
                missing.push(text.to_string())
            }
            Err(error) => return Err(error),
        }
    }
    Ok((doomed, missing))
}

fn is_needed(dir: &Path, doomed: &[Name]) -> Result<(), Error> {
    let mut gone = Vec::new();
    for name in doomed {
        for path in files::of(dir, name.as_str())? {
            gone.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    let changes: Vec<Change> = gone.iter().map(|file| Change { file, text: None }).collect();
    let told = config::rehearse(dir, &changes, &Defaults::STANDARD).map_err(Error::Unlisted)?;
    match told.refused.is_empty() {
        true => Ok(()),
        false => Err(Error::Needed(told.refused)),
    }
}
