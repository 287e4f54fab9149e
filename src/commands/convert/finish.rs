//! What is seen of all processes together: their names, who waits for whom, and whether the monitor takes their files.

use std::collections::HashMap;

use serde_json::json;

use super::conversion::{Conversion, Error, Grade, Need, Place, Process, Want};
use super::write;
use crate::config::{self, Defaults, Severity};
use crate::model::Name;

pub(super) fn finish(conversion: &mut Conversion) -> Result<(), Error> {
    names(conversion)?;
    order(conversion);
    conversion.processes.iter_mut().try_for_each(taken)
}

/// What the other supervisor takes and the monitor does not: a limit that is out of range is left out, and with a user's
/// name that has a colon, say, nothing is to run.
fn taken(process: &mut Process) -> Result<(), Error> {
    const BOUNDS: [&str; 7] = [
        "resources.",
        "rlimits.",
        "nice",
        "oomScoreAdj",
        "backoff.",
        "terminationGracePeriodSeconds",
        "activeDeadlineSeconds",
    ];
    let file = format!("{}.yaml", process.name);
    while let Err(found) = config::parse(&file, write::text(process).as_bytes(), &Defaults::STANDARD) {
        let first = found.into_iter().find(|one| one.severity == Severity::Error);
        let (what, message) = first.map(|one| (one.what, one.message)).unwrap_or_default();
        if !BOUNDS.iter().any(|bound| what.starts_with(bound)) || !process.remove(&what) {
            let why = format!("{} cannot be a process file: {what}: {message}", process.title);
            return Err(process.place.error(why));
        }
        let place = Place::new(&process.place.file, 0);
        process.note_at(Grade::Lost, &place, &what, &format!("it is left out: {message}"));
    }
    Ok(())
}

/// A process's name is its file's, and nobody else's.
fn names(conversion: &Conversion) -> Result<(), Error> {
    let mut known = HashMap::new();
    for process in &conversion.processes {
        if let Err(error) = Name::parse(&process.name) {
            let message = format!("{:?} cannot be a process's name: {error}", process.name);
            return Err(process.place.error(message));
        }
        if let Some(first) = known.insert(process.name.as_str(), &process.place) {
            let message =
                format!("a second process {}, first in {first}; convert them one after the other", process.name);
            return Err(process.place.error(message));
        }
    }
    Ok(())
}

/// Makes `dependsOn` of what each wants, where that leads to a process and not round in a circle.
fn order(conversion: &mut Conversion) {
    let numbers: HashMap<String, usize> =
        conversion.processes.iter().enumerate().map(|(number, process)| (process.name.clone(), number)).collect();
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); numbers.len()];
    for at in 0..conversion.processes.len() {
        let wants = conversion.processes[at].take_wants();
        let is_vital = |name: &str| wants.iter().any(|want| want.name == name && want.need == Need::Must);
        let process = &mut conversion.processes[at];
        for Want { place, what, name, condition, need } in &wants {
            match numbers.get(name) {
                Some(number) if edges[at].contains(number) => {}
                Some(number) if leads(&edges, *number, at) => {
                    let text = format!("{name} waits for this one, and two cannot wait for each other");
                    process.note_at(Grade::Lost, place, what, &text);
                }
                Some(number) => {
                    edges[at].push(*number);
                    let value = match *condition {
                        "Ready" => json!(name),
                        condition => json!({"name": name, "condition": condition}),
                    };
                    process.push("dependsOn", value);
                    if !is_vital(name) {
                        let text = format!("{name} is waited for whatever comes of it; without it, this never starts");
                        process.note_at(Grade::Lost, place, what, &text);
                    }
                }
                None => {
                    let text = format!("{name} is not among what is converted");
                    match need {
                        Need::May => process.note_at(Grade::Remark, place, what, &text),
                        Need::Must => {
                            let text = text + "; if a process is to be it, add dependsOn";
                            process.note_at(Grade::Lost, place, what, &text);
                        }
                    }
                }
            }
        }
    }
}

/// Whether one comes from `from` to `to`.
fn leads(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let (mut seen, mut open) = (vec![false; edges.len()], vec![from]);
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            open.extend(&edges[at]);
        }
    }
    false
}
