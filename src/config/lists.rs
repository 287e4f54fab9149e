//! Lists of dependencies, each kept once: of groups that start one after the other, all of a group have the same.

use std::sync::Arc;

use crate::model::Dependency;

/// Every list that a file has, in the order of what they say.
#[derive(Default)]
pub(super) struct Lists(Vec<Arc<[Dependency]>>);

impl Lists {
    /// What is equal to `list`: that of an earlier file, if there is one.
    pub(super) fn share(&mut self, list: Arc<[Dependency]>) -> Arc<[Dependency]> {
        match self.0.binary_search(&list) {
            Ok(at) => Arc::clone(&self.0[at]),
            Err(at) => {
                self.0.insert(at, Arc::clone(&list));
                list
            }
        }
    }

    /// Forgets what no file has any more.
    pub(super) fn tidy(&mut self) {
        self.0.retain(|list| Arc::strong_count(list) > 1);
    }
}
