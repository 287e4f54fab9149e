//! What the files of a directory say of each other: whoever is depended on must be there, and nobody may wait for himself.

use std::collections::VecDeque;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity, Source};
use super::node::Span;
use super::replicas;
use crate::model::{Dependency, DependencyLists, Name, nearest};

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
    pub(super) asks: Option<Arc<[Dependency]>>,
    /// Whom the version depends on that is in force.
    pub(super) has: Option<Arc<[Dependency]>>,
    /// How many replicas there are of it, by either.
    pub(super) of: Option<u32>,
}

/// All files, in the order of their names. In here each is known by its place.
type Members<'a> = [(&'a Name, Member)];

/// Why a file cannot be taken beside the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// There is no file of the name in this place; perhaps that one is meant.
    Unknown(usize, Option<Name>),
    /// By way of the name in this place it waits for itself: these in turn, from it to whoever depends on it.
    Circle(usize, Vec<Name>),
}

/// Judges all files together; returns the faults of each. A file that is in force as it stands is at no fault: it is who
/// came later that closed the circle. Where all are new, all of the circle are.
pub(super) fn judge(members: &Members<'_>) -> Vec<Vec<Fault>> {
    let graph = Graph::of(members);
    let mut faults = graph.unknown();
    // Who is refused keeps his last version, and that may be part of another circle.
    loop {
        let circles = graph.circles(&graph.lists_in_force(&faults));
        let is_closed = |circle: &Vec<usize>| faults[circle[0]].is_empty() && is_news(&members[circle[0]].1);
        let closed: Vec<_> = circles.into_iter().filter(is_closed).collect();
        if closed.is_empty() {
            return faults;
        }
        for circle in closed {
            let (file, next) = (circle[0], *circle.get(1).unwrap_or(&circle[0]));
            let mut asked = members[file].1.asks.iter().flat_map(|asks| &**asks);
            let place = asked.position(|asked| file_of(members, &asked.name) == Some(next));
            let names = circle.iter().map(|at| members[*at].0.clone()).collect();
            faults[file].push(Fault::Circle(place.unwrap_or_default(), names));
        }
    }
}

/// Whether it asks for something else than what is in force.
fn is_news(member: &Member) -> bool {
    member.asks.is_some() && member.asks != member.has
}

/// The file that describes a process, or is called so.
fn file_of(members: &Members<'_>, name: &Name) -> Option<usize> {
    let find = |name: &str| members.binary_search_by(|(file, _)| file.as_str().cmp(name)).ok();
    let replica = || {
        let (set, index) = name.as_str().rsplit_once('-')?;
        let file = find(set)?;
        let (set, member) = &members[file];
        let index: u32 = index.parse().ok()?;
        // No `web-01`, which is nobody.
        (index < member.of? && replicas::name_of(set, index) == name.as_str()).then_some(file)
    };
    find(name.as_str()).or_else(replica)
}

/// Who is named where.
struct Graph<'a> {
    members: &'a Members<'a>,
    lists: DependencyLists<'a>,
    /// Of each list the files of those that it names; `None`: there is no file.
    files: Vec<Vec<Option<usize>>>,
}

/// Of each file the list that counts; `None`: nothing is known of it.
type InForce = Vec<Option<usize>>;

impl<'a> Graph<'a> {
    fn of(members: &'a Members<'a>) -> Graph<'a> {
        let all = members.iter().flat_map(|(_, member)| [&member.asks, &member.has]).flatten();
        let lists = DependencyLists::of(all.map(|list| &**list));
        let files_in = |list: &[Dependency]| list.iter().map(|on| file_of(members, &on.name)).collect();
        let files = lists.iter().map(files_in).collect();
        Graph { members, lists, files }
    }

    /// Names in what is asked for that no file describes.
    fn unknown(&self) -> Vec<Vec<Fault>> {
        let meant = |asked: &Dependency| {
            let word = nearest(asked.name.as_str(), self.members.iter().map(|(name, _)| name.as_str()))?;
            Name::parse(word).ok()
        };
        // To find out what was meant takes a look at all names: once for all that ask for the same.
        let mut by_list: Vec<Option<Vec<Fault>>> = vec![None; self.files.len()];
        let mut unknown_in = |list: &[Dependency]| -> Option<Vec<Fault>> {
            let at = self.lists.place(list)?;
            let unknown = || {
                let places = list.iter().zip(&self.files[at]).enumerate();
                let unknown = places.filter(|(_, (_, file))| file.is_none());
                unknown.map(|(place, (asked, _))| Fault::Unknown(place, meant(asked))).collect()
            };
            Some(by_list[at].get_or_insert_with(unknown).clone())
        };
        let asked = self.members.iter().map(|(_, member)| member.asks.as_deref());
        asked.map(|asks| asks.and_then(&mut unknown_in).unwrap_or_default()).collect()
    }

    /// Which lists count if all but the faulty are taken.
    fn lists_in_force(&self, faults: &[Vec<Fault>]) -> InForce {
        let list = |((_, member), faults): (&(&Name, Member), &Vec<Fault>)| {
            let asks = member.asks.as_deref().filter(|_| faults.is_empty());
            self.lists.place(asks.or(member.has.as_deref())?)
        };
        self.members.iter().zip(faults).map(list).collect()
    }

    /// Everybody who waits for himself: the shortest way from him back to him.
    fn circles(&self, in_force: &InForce) -> Vec<Vec<usize>> {
        let rest = self.without_ends(in_force);
        (0..rest.len()).filter_map(|file| self.way_back(in_force, &rest, file)).collect()
    }

    /// Who is left when those are taken away, again and again, who depend on nobody that is left.
    fn without_ends(&self, in_force: &InForce) -> Vec<bool> {
        let mut rest = vec![true; self.members.len()];
        let mut open: Vec<usize> = self.files.iter().map(|files| files.iter().flatten().count()).collect();
        let mut named_in: Vec<Vec<usize>> = vec![Vec::new(); self.members.len()];
        for (list, files) in self.files.iter().enumerate() {
            files.iter().flatten().for_each(|file| named_in[*file].push(list));
        }
        let mut whose: Vec<Vec<usize>> = vec![Vec::new(); self.files.len()];
        let mut ends = Vec::new();
        for (file, list) in in_force.iter().enumerate() {
            match list {
                Some(list) if open[*list] > 0 => whose[*list].push(file),
                Some(_) | None => ends.push(file),
            }
        }
        while let Some(end) = ends.pop() {
            rest[end] = false;
            for list in &named_in[end] {
                open[*list] -= 1;
                if open[*list] == 0 {
                    ends.append(&mut whose[*list]);
                }
            }
        }
        rest
    }

    fn way_back(&self, in_force: &InForce, among: &[bool], start: usize) -> Option<Vec<usize>> {
        let mut from: Vec<Option<usize>> = vec![None; self.members.len()];
        let mut queue = VecDeque::from_iter(among[start].then_some(start));
        while let Some(file) = queue.pop_front() {
            let next = in_force[file].into_iter().flat_map(|list| &self.files[list]).flatten();
            for next in next.filter(|next| among[**next]) {
                if *next == start {
                    let mut way = vec![file];
                    while let Some(before) = way.last().and_then(|last| from[*last]) {
                        way.push(before);
                    }
                    way.reverse();
                    return Some(way);
                }
                if from[*next].is_none() {
                    from[*next] = Some(file);
                    queue.push_back(*next);
                }
            }
        }
        None
    }
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
    use std::sync::Arc;

    use super::{Fault, Member, around, judge};
    use crate::model::{Condition, Dependency, Name};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn on(names: &str) -> Arc<[Dependency]> {
        names.split_whitespace().map(|on| Dependency { name: name(on), condition: Condition::Ready }).collect()
    }

    /// Each file, whom it asks for (`!`: it is refused already) and whom it has in force (`-`: it is not in force).
    fn judged(files: &[(&str, &str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(file, asks, has)| {
            let (file, of) = file.split_once('*').map_or((*file, None), |(file, of)| (file, of.parse().ok()));
            let member = Member { asks: (*asks != "!").then(|| on(asks)), has: (*has != "-").then(|| on(has)), of };
            (name(file), member)
        });
        let mut files: Vec<(Name, Member)> = files.collect();
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        let members: Vec<(&Name, Member)> = files.iter().map(|(name, member)| (name, member.clone())).collect();
        let told = |fault: &Fault| match fault {
            Fault::Unknown(place, meant) => format!("{place}? {}", meant.as_ref().map_or("", Name::as_str)),
            Fault::Circle(place, circle) => format!("{place}: {}", around(circle)),
        };
        let judged = members.iter().zip(judge(&members)).filter(|(_, faults)| !faults.is_empty());
        let told = judged.map(|((name, _), faults)| (name, faults.iter().map(told).collect::<Vec<_>>()));
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
