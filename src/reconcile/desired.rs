use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Moment, Name, ProcessSpec};

/// What is wanted. A shutdown is a desired state like another: no processes, and a haste.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The processes that shall be.
    pub processes: BTreeMap<Name, Arc<ProcessSpec>>,
    /// Set when the colony ends.
    pub ending: Option<Haste>,
    /// By when the colony shall have ended, whatever the graces.
    pub until: Option<Moment>,
}

/// How a colony ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Haste {
    /// Each process within its own grace.
    Graceful,
    /// At once, by SIGKILL: somebody asked twice.
    Now,
}

impl Desired {
    /// The desired state that ends everything.
    pub fn ending(haste: Haste) -> Desired {
        Desired { processes: BTreeMap::new(), ending: Some(haste), until: None }
    }
}
