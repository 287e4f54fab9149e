//! The order of an end as a graph: circles are opened, and the graces of its longest chain are fitted into the time that
//! there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{Moment, Name, map_of, sort_by};

/// Who ends first, and who after it.
type Pairs<'a> = Vec<(&'a Name, &'a Name)>;

/// Leaves out what goes round in a circle: there is no order in it, and whoever kept one would wait for ever. What is
/// desired has no circles; the specs of runs that live on from before an edit may.
pub(super) fn without_circles<'a>(mut pairs: Pairs<'a>) -> Pairs<'a> {
    let in_turn = in_turn(&pairs);
    let suspects: Pairs<'a> = pairs
        .iter()
        .filter(|(first, then)| !(in_turn.contains_key(first) && in_turn.contains_key(then)))
        .copied()
        .collect();
    let next = after(&suspects);
    pairs.retain(|(first, then)| !leads_to(&next, then, first));
    pairs
}

/// When each must be killed so that all have ended by `until`. Where the graces of a chain are longer than the time that
/// there is, each of it has its share of it, and what is on no long chain keeps its own.
pub(super) fn latest(
    graces: &BTreeMap<&Name, Duration>,
    pairs: &[(&Name, &Name)],
    until: Moment,
    now: Moment,
) -> BTreeMap<Name, Moment> {
    let time = until.since(now).as_secs_f64();
    let turns = in_turn(pairs);
    let mut ordered: Vec<&Name> = graces.keys().copied().collect();
    let turn = |name: &&Name| turns.get(*name).copied().unwrap_or_default();
    sort_by(&mut ordered, |one, other| turn(one).cmp(&turn(other)));
    let (next, previous) =
        (after(pairs), after(&pairs.iter().map(|(first, then)| (*then, *first)).collect::<Vec<_>>()));
    let grace = |name: &Name| graces.get(name).map_or(0.0, Duration::as_secs_f64);

    let up_to = longest(ordered.iter().copied(), &previous, grace);
    let from = longest(ordered.iter().rev().copied(), &next, grace);
    let share = |name: &Name| {
        let chain = up_to[name] + from[name] - grace(name);
        if chain > time { grace(name) * time / chain } else { grace(name) }
    };
    let shared = longest(ordered.iter().rev().copied(), &next, share);
    map_of(ordered.iter().map(|name| {
        let those_after = Duration::try_from_secs_f64((shared[name] - share(name)).max(0.0)).unwrap_or(Duration::MAX);
        let nanos = u64::try_from(those_after.as_nanos()).unwrap_or(u64::MAX);
        ((*name).clone(), Moment::from_nanos(until.as_nanos().saturating_sub(nanos)))
    }))
}

/// The longest sum of a chain that ends with each, where `names` are in such an order that what `others` tells of a name
/// has come before it.
fn longest<'a>(
    names: impl Iterator<Item = &'a Name>,
    others: &BTreeMap<&Name, Vec<&Name>>,
    length: impl Fn(&Name) -> f64,
) -> BTreeMap<&'a Name, f64> {
    let mut sums: BTreeMap<&Name, f64> = BTreeMap::new();
    for name in names {
        let before = others.get(name).into_iter().flatten().filter_map(|other| sums.get(*other).copied());
        let sum = before.fold(0.0, f64::max) + length(name);
        sums.insert(name, sum);
    }
    sums
}

fn after<'a>(pairs: &[(&'a Name, &'a Name)]) -> BTreeMap<&'a Name, Vec<&'a Name>> {
    let mut after: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
    pairs.iter().for_each(|(first, then)| after.entry(first).or_default().push(then));
    after
}

/// Everybody's turn, so that each pair's first comes before its second. Who is in a circle, or after one, has none.
fn in_turn<'a>(pairs: &[(&'a Name, &'a Name)]) -> BTreeMap<&'a Name, usize> {
    let next = after(pairs);
    let mut open: BTreeMap<&Name, usize> = map_of(pairs.iter().map(|(first, _)| (*first, 0)));
    pairs.iter().for_each(|(_, then)| *open.entry(then).or_default() += 1);
    let mut ready: Vec<&Name> = open.iter().filter(|(_, awaited)| **awaited == 0).map(|(name, _)| *name).collect();
    let mut turns = BTreeMap::new();
    while let Some(name) = ready.pop() {
        turns.insert(name, turns.len());
        for then in next.get(name).into_iter().flatten() {
            if let Some(awaited) = open.get_mut(then) {
                *awaited -= 1;
                if *awaited == 0 {
                    ready.push(then);
                }
            }
        }
    }
    turns
}

fn leads_to(next: &BTreeMap<&Name, Vec<&Name>>, from: &Name, to: &Name) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(next.get(name).into_iter().flatten());
        }
    }
    false
}
