//! What the files of a directory say of each other: whoever is depended on must be there, and nobody may wait for himself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::diagnostic::{Diagnostic, Severity, Source};
use super::node::Span;
use super::replicas;
use crate::model::{Dependency, Name, nearest};

/// Where a file names others, and what is needed to show it. Kept only of files that do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mentions {
    text: Box<str>,
    masks: Vec<Span>,
    /// In the order of [`crate::model::ProcessSpec::depends_on`].
    places: Vec<Span>,
}

/// One file, for the others.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Whom it depends on as it stands in the directory, if that version may be taken.
    pub(super) asks: Option<Vec<Dependency>>,
    /// Whom the version depends on that is in force.
    pub(super) has: Option<Vec<Dependency>>,
    /// How many replicas there are of it, by either.
    pub(super) of: Option<u32>,
}

type Members<'a> = BTreeMap<&'a Name, Member>;

/// Why a file cannot be taken beside the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// There is no file of the name in this place; perhaps that one is meant.
    Unknown(usize, Option<Name>),
    /// By way of the name in this place it waits for itself: these in turn, from it to whoever depends on it.
    Circle(usize, Vec<Name>),
}

/// Judges all files together. A file that is in force as it stands is at no fault: it is who came later that closed the
/// circle. Where all are new, all of the circle are.
pub(super) fn judge(members: &Members<'_>) -> BTreeMap<Name, Vec<Fault>> {
    let mut faults = BTreeMap::new();
    for (name, member) in members {
        let unknown = unknown(members, member.asks.as_deref().unwrap_or_default());
        if !unknown.is_empty() {
            faults.insert((*name).clone(), unknown);
        }
    }
    // Who is refused keeps his last version, and that may be part of another circle.
    loop {
        let circles = circles(&edges(members, &faults));
        let closed: Vec<_> =
            circles.into_iter().filter(|(name, _)| !faults.contains_key(*name) && is_news(&members[name])).collect();
        if closed.is_empty() {
            return faults;
        }
        for (name, circle) in closed {
            let next = circle.get(1).unwrap_or(&name);
            let mut asked = members[name].asks.iter().flatten();
            let place = asked.position(|asked| file_of(members, &asked.name) == Some(next));
            let circle = circle.into_iter().cloned().collect();
            faults.insert(name.clone(), vec![Fault::Circle(place.unwrap_or_default(), circle)]);
        }
    }
}

/// Whether it asks for something else than what is in force.
fn is_news(member: &Member) -> bool {
    member.asks.is_some() && member.asks != member.has
}

/// The file that describes a process, or is called so.
fn file_of<'a>(members: &Members<'a>, name: &Name) -> Option<&'a Name> {
    let replica = || {
        let (set, index) = name.as_str().rsplit_once('-')?;
        let (set, member) = members.get_key_value(&Name::parse(set).ok()?)?;
        let index: u32 = index.parse().ok()?;
        // No `web-01`, which is nobody.
        (index < member.of? && replicas::name_of(set, index) == name.as_str()).then_some(*set)
    };
    members.get_key_value(name).map(|(name, _)| *name).or_else(replica)
}

fn unknown(members: &Members<'_>, asked: &[Dependency]) -> Vec<Fault> {
    let is_unknown = |(_, asked): &(usize, &Dependency)| file_of(members, &asked.name).is_none();
    let meant = |asked: &Dependency| {
        let word = nearest(asked.name.as_str(), members.keys().map(|name| name.as_str()))?;
        Name::parse(word).ok()
    };
    asked.iter().enumerate().filter(is_unknown).map(|(place, asked)| Fault::Unknown(place, meant(asked))).collect()
}

type Edges<'a> = BTreeMap<&'a Name, Vec<&'a Name>>;

/// Who depends on whom if all but the faulty are taken.
fn edges<'a>(members: &Members<'a>, faults: &BTreeMap<Name, Vec<Fault>>) -> Edges<'a> {
    let edge = |(name, member): (&&'a Name, &Member)| {
        let asks = member.asks.as_ref().filter(|_| !faults.contains_key(*name));
        let dependencies = asks.or(member.has.as_ref())?;
        let known = dependencies.iter().filter_map(|on| file_of(members, &on.name));
        Some((*name, known.collect()))
    };
    members.iter().filter_map(edge).collect()
}

/// Everybody who waits for himself, with the shortest way from him back to him.
fn circles<'a>(edges: &Edges<'a>) -> Vec<(&'a Name, Vec<&'a Name>)> {
    let rest = without_ends(edges);
    rest.iter().filter_map(|name| Some((*name, way_back(edges, &rest, name)?))).collect()
}

/// Who is left when those are taken away, again and again, who depend on nobody that is left.
fn without_ends<'a>(edges: &Edges<'a>) -> BTreeSet<&'a Name> {
    let mut open: BTreeMap<&Name, usize> = edges.iter().map(|(name, on)| (*name, on.len())).collect();
    let mut dependents: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
    for (name, on) in edges {
        on.iter().for_each(|on| dependents.entry(on).or_default().push(name));
    }
    // Whoever has no edges of his own is an end, too.
    let ends = dependents.keys().copied().filter(|name| !open.contains_key(*name));
    let mut ends: Vec<&Name> = ends.chain(open.iter().filter(|(_, on)| **on == 0).map(|(name, _)| *name)).collect();
    while let Some(end) = ends.pop() {
        for dependent in dependents.get(end).into_iter().flatten() {
            if let Some(left) = open.get_mut(dependent) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    ends.push(dependent);
                }
            }
        }
    }
    edges.keys().copied().filter(|name| open.get(*name).is_some_and(|left| *left > 0)).collect()
}

fn way_back<'a>(edges: &Edges<'a>, among: &BTreeSet<&'a Name>, start: &'a Name) -> Option<Vec<&'a Name>> {
    let mut from: BTreeMap<&Name, &Name> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for next in edges.get(name).into_iter().flatten().filter(|next| among.contains(**next)) {
            if *next == start {
                let mut way = vec![name];
                while let Some(before) = way.last().and_then(|last| from.get(*last)) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if *next != start && !from.contains_key(*next) {
                from.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}

impl Mentions {
    pub(super) fn new(text: &str, masks: Vec<Span>, places: Vec<Span>) -> Mentions {
        Mentions { text: text.into(), masks, places }
    }

    /// A fault, with its place in the file.
    pub(super) fn tell(&self, file: &str, asked: &[Dependency], fault: &Fault) -> Diagnostic {
        let (place, message, help) = match fault {
            Fault::Unknown(place, meant) => {
                let name = asked.get(*place).map_or("", |asked| asked.name.as_str());
                let message = format!("no process file describes \"{name}\"");
                (*place, message, meant.as_ref().map(|meant| format!("did you mean \"{meant}\"?")))
            }
            Fault::Circle(place, circle) => (*place, around(circle), Some("take one of these dependencies out".into())),
        };
        let source = Source { file, text: &self.text };
        let span = self.places.get(place).copied();
        Diagnostic {
            severity: Severity::Error,
            file: file.to_string(),
            place: span.map(|span| source.place(span.start)),
            what: format!("dependsOn[{place}]"),
            message,
            excerpt: span.map(|span| source.excerpt(span, &self.masks)),
            help,
        }
    }
}

/// Of a longer circle, so many are named.
const MOST_NAMED: usize = 20;

/// `a circle: web depends on db, db on cache, cache on web`
fn around(circle: &[Name]) -> String {
    let mut text = String::from("a circle: ");
    let pairs = circle.iter().zip(circle.iter().cycle().skip(1));
    for (index, (name, on)) in pairs.take(MOST_NAMED).enumerate() {
        text.push_str(&match index {
            0 => format!("{name} depends on {on}"),
            _ => format!(", {name} on {on}"),
        });
    }
    if circle.len() > MOST_NAMED {
        text.push_str(&format!(", and {} more", circle.len() - MOST_NAMED));
    }
    text
}

#[cfg(test)]
mod tests {

    use super::{Fault, Member, around, judge};
    use crate::model::{Condition, Dependency, Name};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn on(names: &str) -> Vec<Dependency> {
        names.split_whitespace().map(|on| Dependency { name: name(on), condition: Condition::Ready }).collect()
    }

    /// Each file, whom it asks for (`!`: it is refused already) and whom it has in force (`-`: it is not in force).
    fn judged(files: &[(&str, &str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(file, asks, has)| {
            let (file, of) = file.split_once('*').map_or((*file, None), |(file, of)| (file, of.parse().ok()));
            let member = Member { asks: (*asks != "!").then(|| on(asks)), has: (*has != "-").then(|| on(has)), of };
            (name(file), member)
        });
        let files: Vec<(Name, Member)> = files.collect();
        let members = files.iter().map(|(name, member)| (name, member.clone())).collect();
        let told = |fault: &Fault| match fault {
            Fault::Unknown(place, meant) => format!("{place}? {}", meant.as_ref().map_or("", Name::as_str)),
            Fault::Circle(place, circle) => format!("{place}: {}", around(circle)),
        };
        let told =
            judge(&members).into_iter().map(|(name, faults)| (name, faults.iter().map(told).collect::<Vec<_>>()));
        told.map(|(name, faults)| format!("{name} {}", faults.join("; "))).collect()
    }

    #[test]
    fn who_is_not_there_is_unknown_and_who_is_refused_is_not() {
        assert_eq!(judged(&[("web", "db", "-"), ("db", "", "-")]), [""; 0]);
        assert_eq!(judged(&[("web", "db", "-"), ("db", "!", "-")]), [""; 0]);
        assert_eq!(
            judged(&[("web", "cache bd nothing", "-"), ("db", "", "-"), ("cache", "", "-")]),
            ["web 1? db; 2? "]
        );
        assert_eq!(judged(&[("web", "db", "db")]), ["web 0? "], "it was there once");
        assert_eq!(judged(&[("web", "db", "-"), ("db", "x", "-")]), ["db 0? "], "and web waits for it");
    }

    #[test]
    fn a_file_with_replicas_is_known_by_its_name_and_theirs() {
        assert_eq!(judged(&[("front", "web web-0 web-1", "-"), ("web*2", "", "-")]), [""; 0]);
        assert_eq!(judged(&[("front", "web-2 web-01", "-"), ("web*2", "", "-")]), ["front 0? ; 1? "]);
        let around = [
            "front 0: a circle: front depends on web, web on front",
            "web 0: a circle: web depends on front, front on web",
        ];
        assert_eq!(judged(&[("front", "web-1", "-"), ("web*2", "front", "-")]), around);
    }

    #[test]
    fn of_a_circle_that_is_new_all_are_at_fault_and_nobody_beside_it() {
        let files = [
            ("a", "b", "-"),
            ("b", "c", "-"),
            ("c", "x a", "-"),
            ("x", "", "-"),
            ("front", "a", "-"),
            ("other", "x", "-"),
        ];
        let around = ["a 0: a circle: a depends on b, b on c, c on a", "b 0: a circle: b depends on c, c on a, a on b"];
        assert_eq!(judged(&files)[..2], around);
        assert_eq!(judged(&files)[2..], ["c 1: a circle: c depends on a, a on b, b on c"]);
        let between = [("a", "b", "-"), ("b", "a m", "-"), ("m", "c", "-"), ("c", "d", "-"), ("d", "c", "-")];
        let at_fault: Vec<String> = judged(&between).iter().map(|told| told[..1].to_string()).collect();
        assert_eq!(at_fault, ["a", "b", "c", "d"], "m lies between two circles, and on none");
    }

    #[test]
    fn whoever_closes_a_circle_is_at_fault_and_what_is_in_force_is_not() {
        assert_eq!(judged(&[("a", "b", ""), ("b", "a", "a")]), ["a 0: a circle: a depends on b, b on a"]);
        assert_eq!(judged(&[("a", "b", "b"), ("b", "a", "-")]), ["b 0: a circle: b depends on a, a on b"]);
    }

    #[test]
    fn who_is_refused_stays_with_its_last_version_which_may_be_part_of_another_circle() {
        let files = [("a", "c", "b"), ("b", "a", ""), ("c", "a", "-")];
        let told = judged(&files);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[1], "b 0: a circle: b depends on a, a on b");
    }

    #[test]
    fn of_a_long_circle_some_are_named() {
        let circle: Vec<Name> = (0..30).map(|n| name(&format!("p{n}"))).collect();
        assert!(around(&circle).ends_with("p19 on p20, and 10 more"), "{}", around(&circle));
    }
}
