//! Order, by little code for each type: the library's `sort` makes 6 KB for each, and its maps and sets sort what they are
//! collected from.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::iter::Peekable;

/// Sorts; what is equal stays in its order. It moves each item twice, so it is for what is short or rarely sorted.
pub fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    sort_places(&mut order, &|one, other| compare(&items[one], &items[other]));
    let mut sorted: Vec<Option<T>> = std::mem::take(items).into_iter().map(Some).collect();
    items.extend(order.into_iter().filter_map(|place| sorted[place].take()));
}

/// Not for each type anew: the comparison is all that differs.
fn sort_places(places: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering) {
    places.sort_by(|one, other| compare(*one, *other));
}

/// Collects a map; of pairs with the same key the last counts.
pub fn map_of<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(pairs);
    map
}

/// Collects a set.
pub fn set_of<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}

/// Looks up keys that come in ascending order: a walk beside them, where a search for each would cost ten comparisons.
pub struct Beside<'a, K, V>(Peekable<btree_map::Iter<'a, K, V>>);

impl<'a, K: Ord, V> Beside<'a, K, V> {
    /// From the beginning of a map.
    pub fn new(map: &'a BTreeMap<K, V>) -> Beside<'a, K, V> {
        Beside(map.iter().peekable())
    }

    /// What is under this key, which is not less than any before.
    pub fn get(&mut self, key: &K) -> Option<&'a V> {
        while let Some((at, value)) = self.0.peek() {
            match (*at).cmp(key) {
                Ordering::Less => drop(self.0.next()),
                Ordering::Equal => return Some(value),
                Ordering::Greater => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Beside, map_of, set_of, sort_by};

    #[test]
    fn a_walk_beside_keys_finds_what_a_search_finds() {
        let map = map_of([1, 3, 4, 8].map(|key| (key, key * 10)));
        let mut beside = Beside::new(&map);
        for key in [0, 1, 1, 2, 3, 5, 8, 9, 9] {
            assert_eq!(beside.get(&key), map.get(&key), "{key}");
        }
    }

    #[test]
    fn maps_and_sets_are_those_of_the_library() {
        let pairs = [(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd')];
        assert_eq!(map_of(pairs), pairs.into_iter().collect());
        assert_eq!(set_of([3, 1, 3]), [1, 3].into());
    }

    #[test]
    fn what_is_equal_stays_in_its_order() {
        for count in [0, 1, 2, 19, 20, 21, 500] {
            let mut items: Vec<(usize, usize)> = (0..count).map(|number| (number * 7919 % 13, number)).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort_by(&mut items, |(one, _), (other, _)| one.cmp(other));
            assert_eq!(items, expected);
        }
    }
}
