//! One file, several processes: what `replicas` makes of it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::model::{Fingerprint, Name, ProcessSpec, Replica};

/// A process that a file describes.
pub(super) type Described = (Name, Arc<ProcessSpec>);

/// The processes that the file of `set` describes: one of its own name, or, with the key `replicas`, even of 1, so many
/// that are numbered, so that scaling from and to one ends nothing. What is as it was `before` is the same thing.
pub(super) fn expand(
    set: &Name,
    spec: &Arc<ProcessSpec>,
    replicas: Option<u32>,
    before: &[Described],
) -> Vec<Described> {
    let Some(of) = replicas else { return vec![kept((set.clone(), Arc::clone(spec)), before.first())] };
    let numbered = (0..of).zip(before.iter().map(Some).chain(std::iter::repeat(None)));
    let numbered = numbered.filter_map(|(index, before)| {
        let name = Name::parse(&name_of(set, index)).ok()?;
        Some(kept((name, Arc::new(numbered_as(set, spec, index, of))), before))
    });
    numbered.collect()
}

/// What the process with this number is called.
pub(super) fn name_of(set: &Name, index: u32) -> String {
    format!("{set}-{index}")
}

/// Equal things stay the same thing, so that nothing downstream takes them for an edit.
fn kept(now: Described, before: Option<&Described>) -> Described {
    before.filter(|before| **before == now).cloned().unwrap_or(now)
}

/// Its number is part of what a run is born with; of how many it is one is not, so that scaling restarts nobody.
fn numbered_as(set: &Name, spec: &ProcessSpec, index: u32, of: u32) -> ProcessSpec {
    let mut replica = spec.clone();
    replica.birth.replica = Some(index);
    let mut hasher = DefaultHasher::new();
    (spec.born, index).hash(&mut hasher);
    replica.born = Fingerprint(hasher.finish());
    (spec.whole, set, of).hash(&mut hasher);
    replica.whole = Fingerprint(hasher.finish());
    replica.replica = Some(Replica { set: set.clone(), index, of });
    replica
}
