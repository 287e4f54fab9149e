//! What was seen in a directory and must not be told or done twice.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Things, each with the number of the listing that last saw it, so that what has gone from the directory goes from
/// memory too.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    seen: HashMap<T, u64>,
}

impl<T: Eq + Hash> Remembered<T> {
    pub(super) fn new() -> Self {
        Remembered { seen: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn insert(&mut self, thing: T, listing: u64) {
        self.seen.insert(thing, listing);
    }

    /// Whether `thing` is known; if so, it was seen in `listing` too.
    pub(super) fn seen_again<Q>(&mut self, thing: &Q, listing: u64) -> bool
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.seen.get_mut(thing) {
            Some(last) => {
                *last = listing;
                true
            }
            None => false,
        }
    }

    /// Forgets what was not seen in `listing`, which is over.
    pub(super) fn forget_before(&mut self, listing: u64) {
        self.seen.retain(|_, last| *last >= listing);
    }
}
