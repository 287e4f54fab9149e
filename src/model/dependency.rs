use std::cmp::Ordering;
use std::ptr;

use super::Name;

/// One of `dependsOn`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Dependency {
    /// Upon whom: a process, or all replicas of a file of this name.
    pub name: Name,
    /// What must be so.
    pub condition: Condition,
}

/// The `condition` of a [`Dependency`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Condition {
    /// A run of it has begun.
    Started,
    /// It is ready.
    Ready,
    /// It has ended for good, with success.
    Completed,
}

/// Lists of dependencies, each once. Groups that start one after the other have long lists, and few different ones: whoever
/// goes through them goes through each once, and not once for every process.
#[derive(Debug, Default)]
pub struct DependencyLists<'a>(Vec<&'a [Dependency]>);

impl<'a> DependencyLists<'a> {
    /// Those that differ.
    pub fn of(lists: impl Iterator<Item = &'a [Dependency]>) -> DependencyLists<'a> {
        let mut lists: Vec<&[Dependency]> = lists.collect();
        lists.sort_unstable_by(|one, other| compare(one, other));
        lists.dedup_by(|one, other| compare(one, other).is_eq());
        DependencyLists(lists)
    }

    /// In an order of their own.
    pub fn iter(&self) -> impl Iterator<Item = &'a [Dependency]> {
        self.0.iter().copied()
    }

    /// Where in that order this one is; `None`: it is none of them.
    pub fn place(&self, list: &[Dependency]) -> Option<usize> {
        self.0.binary_search_by(|known| compare(known, list)).ok()
    }
}

/// By what they say. What is one and the same need not be read for that.
fn compare(one: &[Dependency], other: &[Dependency]) -> Ordering {
    if ptr::eq(one, other) { Ordering::Equal } else { one.cmp(other) }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Dependency, DependencyLists};
    use crate::Name;

    fn list(text: &str) -> Vec<Dependency> {
        let on = |text| Dependency { name: Name::parse(text).expect("a name"), condition: Condition::Ready };
        text.split_whitespace().map(on).collect()
    }

    #[test]
    fn each_list_is_there_once() {
        let all = ["a b", "", "a", "a b", "b a", "a"].map(list);
        let lists = DependencyLists::of(all.iter().map(Vec::as_slice));
        assert_eq!(lists.iter().count(), 4);
        for list in &all {
            let place = lists.place(list).expect("it is one of them");
            assert_eq!(lists.iter().nth(place), Some(list.as_slice()));
        }
        assert_eq!(lists.place(&list("c")), None);
    }
}
