//! Whom a verb is about: by name, by the name of a file with replicas, and by group.

use serde_json::Value;

use super::error::Trouble;
use super::monitor::Monitor;
use super::object;
use crate::cli::ChoiceArgs;
use crate::ctl::files::{self, KINDS};
use crate::model::{Name, nearest};

/// Whom.
pub(super) struct Whom<'a> {
    names: Vec<&'a str>,
    terms: Vec<Term<'a>>,
    everybody: Everybody,
}

/// What it means that nobody is named.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Everybody {
    #[default]
    Meant,
    Forgotten,
}

/// What kubectl's users write in place of the kind, where they want events.
const EVENTS: [&str; 3] = ["events", "event", "ev"];

/// A part of a selector.
pub(in crate::ctl) enum Term<'a> {
    In(&'a str),
    NotIn(&'a str),
}

impl<'a> Whom<'a> {
    pub(super) fn of(args: &'a ChoiceArgs) -> Result<Whom<'a>, Trouble> {
        let terms = args.selector.as_deref().map(terms).transpose()?.unwrap_or_default();
        Ok(Whom { terms, ..Whom::named(&args.names) })
    }

    /// Those of these names.
    pub(super) fn named(names: &'a [String]) -> Whom<'a> {
        Whom {
            names: names.iter().map(|name| files::bare(name)).collect(),
            terms: Vec::new(),
            everybody: Everybody::Meant,
        }
    }

    /// The same, of whom there must be one at least.
    pub(super) fn of_some(args: &'a ChoiceArgs) -> Result<Whom<'a>, Trouble> {
        let whom = Whom { everybody: Everybody::Forgotten, ..Whom::of(args)? };
        whom.check()?;
        Ok(whom)
    }

    fn check(&self) -> Result<(), Trouble> {
        match (self.is_everybody(), self.everybody) {
            (true, Everybody::Forgotten) => Err(Trouble::Usage("whose? give a NAME or -l group=GROUP".to_string())),
            (true, Everybody::Meant) | (false, _) => Ok(()),
        }
    }

    /// Learns who there is: the first word may be the kind, as in `get process web`, if it is nobody's name.
    ///
    /// # Errors
    /// If no other word is there, and some must be named.
    pub(super) fn know(&mut self, list: &Value) -> Result<(), Trouble> {
        if self.begins_with(&KINDS, list) {
            self.names.remove(0);
        }
        self.check()
    }

    /// Whether it is about what has happened, and nobody is called so.
    ///
    /// # Errors
    /// If the monitor does not say who there is.
    pub(super) fn is_for_events(&self, monitor: Monitor<'_>) -> Result<bool, Trouble> {
        match self.names.first() {
            Some(word) if EVENTS.contains(word) => Ok(self.begins_with(&EVENTS, &monitor.get(BRIEF)?)),
            Some(_) | None => Ok(false),
        }
    }

    fn begins_with(&self, words: &[&str], list: &Value) -> bool {
        let is_name = |word| object::list(list, "/items").iter().any(|process| is_called(process, word));
        self.names.first().is_some_and(|word| words.contains(word) && !is_name(word))
    }

    /// Whether nobody is named, nor chosen.
    pub(super) fn is_everybody(&self) -> bool {
        self.names.is_empty() && self.terms.is_empty()
    }

    /// Whether it is about one that was named.
    pub(super) fn is_one(&self) -> bool {
        self.names.len() == 1 && self.terms.is_empty()
    }

    /// Whether it is about this one.
    pub(super) fn is(&self, process: &Value) -> bool {
        let named = |name: &&str| is_called(process, name);
        (self.names.is_empty() || self.names.iter().any(named)) && self.terms.iter().all(|term| term.is(process))
    }

    /// Those of a list, in the order in which they are named; and an error for each name that none of them has.
    pub(super) fn among<'v>(&self, list: &'v Value) -> (Vec<&'v Value>, Vec<Trouble>) {
        let all = object::list(list, "/items");
        if self.names.is_empty() {
            return (all.iter().filter(|process| self.is(process)).collect(), Vec::new());
        }
        let (mut found, mut missing): (Vec<&Value>, Vec<Trouble>) = (Vec::new(), Vec::new());
        for name in &self.names {
            let called: Vec<&Value> = all.iter().filter(|process| is_called(process, name)).collect();
            if called.is_empty() {
                missing.push(unknown(name, all));
            }
            let more = called.into_iter().filter(|process| self.is(process));
            let more: Vec<&Value> =
                more.filter(|process| !found.iter().any(|known| std::ptr::eq(*known, *process))).collect();
            found.extend(more);
        }
        (found, missing)
    }

    /// Says that it is about nobody, and about whom it may have been meant to be.
    pub(super) fn tell_of_none(&self, list: &Value) {
        let all = object::list(list, "/items").iter().flat_map(|process| object::list(process, "/metadata/groups"));
        let groups: Vec<&str> = all.filter_map(Value::as_str).collect();
        let nearest = |term: &Term<'_>| match term {
            Term::In(group) if !groups.contains(group) => {
                let meant = nearest(group, groups.iter().copied());
                Some(format!(
                    "no process is of the group {group:?}{}",
                    meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default()
                ))
            }
            Term::In(_) | Term::NotIn(_) => None,
        };
        let advice: String = self.terms.iter().filter_map(nearest).map(|text| format!("\n  {text}")).collect();
        crate::ctl::note(&format!("No resources found{advice}"));
    }

    /// Those that there are now. What is missing is told of.
    ///
    /// # Errors
    /// If there is none of those that are named.
    pub(super) fn now(&mut self, monitor: Monitor<'_>, detail: Detail) -> Result<(Value, Shown), Trouble> {
        let list = monitor.get(match detail {
            Detail::Brief => BRIEF,
            Detail::Full => "/v1/processes",
        })?;
        self.know(&list)?;
        let (found, missing) = self.among(&list);
        let is_none = found.is_empty();
        let mut missing = missing.into_iter().map(|trouble| explained(monitor, trouble));
        let shown = match missing.next() {
            None => Shown::All,
            Some(only) if is_none && missing.len() == 0 => return Err(only),
            Some(first) => {
                std::iter::once(first).chain(missing).for_each(|trouble| super::tell(&trouble));
                if is_none {
                    return Err(Trouble::Partly);
                }
                Shown::Some
            }
        };
        Ok((list, shown))
    }
}

/// The names of those that the monitor has, as they are asked for.
///
/// # Errors
/// If one that is named is none of them.
pub(in crate::ctl) fn known(monitor: Monitor<'_>, args: &ChoiceArgs) -> Result<Vec<Name>, Trouble> {
    let mut whom = Whom::of(args)?;
    let (list, shown) = whom.now(monitor, Detail::Brief)?;
    shown.outcome()?;
    let (found, _) = whom.among(&list);
    if found.is_empty() {
        whom.tell_of_none(&list);
    }
    Ok(found.into_iter().filter_map(|process| Name::parse(object::name(process)).ok()).collect())
}

/// The way to a list of all that tells who there is.
const BRIEF: &str = "/v1/processes?brief=true";

/// How much is to be known of each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Detail {
    /// Who it is, and what a table shows.
    Brief,
    /// All.
    Full,
}

/// Whether all that was named is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    All,
    Some,
}

impl Shown {
    /// The outcome that this comes to.
    pub(super) fn outcome(self) -> Result<(), Trouble> {
        match self {
            Shown::All => Ok(()),
            Shown::Some => Err(Trouble::Partly),
        }
    }
}

/// A name that nobody has may be that of a file without replicas, or of one that is refused and never was good.
pub(in crate::ctl) fn explained(monitor: Monitor<'_>, trouble: Trouble) -> Trouble {
    let Trouble::NotFound(name, _) = &trouble else { return trouble };
    let Ok(version) = monitor.get("/v1/version") else { return trouble };
    absence(&version, name).map_or(trouble, Trouble::Refused)
}

/// Why there is no process of this name, though a file describes it.
pub(super) fn absence(version: &Value, name: &str) -> Option<String> {
    if object::list(version, "/config/empty").iter().any(|empty| empty == name) {
        return Some(format!("{name} has no replicas: its file asks for 0"));
    }
    let is_its = |refused: &&Value| files::stem(object::text(refused, "/file")) == name;
    let refused = object::list(version, "/config/refused").iter().find(is_its)?;
    let [file, message] = ["/file", "/message"].map(|place| object::text(refused, place));
    Some(format!("{file} is refused: {message}"))
}

fn is_called(process: &Value, name: &str) -> bool {
    object::name(process) == name || object::set(process) == name
}

fn unknown(name: &str, all: &[Value]) -> Trouble {
    let names = all.iter().flat_map(|process| [object::name(process), object::set(process)]);
    Trouble::NotFound(name.to_string(), nearest(name, names.filter(|name| !name.is_empty())).map(str::to_string))
}

impl Term<'_> {
    fn is(&self, process: &Value) -> bool {
        let groups = object::list(process, "/metadata/groups");
        self.holds(|group| groups.iter().any(|one| one.as_str() == Some(group)))
    }

    /// Whether it is true of what is in these groups.
    pub(in crate::ctl) fn holds(&self, is_in: impl Fn(&str) -> bool) -> bool {
        match self {
            Term::In(group) => is_in(group),
            Term::NotIn(group) => !is_in(group),
        }
    }
}

/// The parts of a selector, all of which are to be true.
pub(in crate::ctl) fn terms(selector: &str) -> Result<Vec<Term<'_>>, Trouble> {
    let term = |text| {
        let (key, value) = str::split_once(text, '=').unwrap_or((text, ""));
        let (key, is_not) = key.strip_suffix('!').map_or((key, false), |key| (key, true));
        let value = value.strip_prefix('=').unwrap_or(value);
        match (key.trim(), value.trim(), is_not) {
            ("group", group, false) if !group.is_empty() => Ok(Term::In(group)),
            ("group", group, true) if !group.is_empty() => Ok(Term::NotIn(group)),
            ("" | "group", _, _) => {
                Err(Trouble::Usage(format!("{text:?} selects nothing: expected group=GROUP or group!=GROUP")))
            }
            (label, _, _) => Err(Trouble::unknown("label", label, &["group"])),
        }
    };
    selector.split(',').map(term).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Whom;
    use crate::cli::ChoiceArgs;
    use crate::ctl::read::object;

    fn colony() -> Value {
        json!({"items": [
            {"metadata": {"name": "db", "groups": ["back"]}},
            {"metadata": {"name": "web-0", "groups": ["front", "slow"]}, "spec": {"replica": {"set": "web"}}},
            {"metadata": {"name": "web-1", "groups": ["front"]}, "spec": {"replica": {"set": "web"}}},
        ]})
    }

    fn found(names: &[&str], selector: Option<&str>) -> (String, String) {
        let names = names.iter().map(ToString::to_string).collect();
        let args = ChoiceArgs { names, selector: selector.map(str::to_string) };
        let colony = colony();
        let Ok(whom) = Whom::of(&args) else { return ("usage".to_string(), String::new()) };
        let (found, missing) = whom.among(&colony);
        let missing = missing.iter().map(|trouble| format!("{trouble} {}", trouble.advice().unwrap_or_default()));
        (found.into_iter().map(object::name).collect::<Vec<_>>().join(" "), missing.collect())
    }

    #[test]
    fn processes_are_found_by_name_set_and_group() {
        let rows: [(&[&str], Option<&str>, &str); 10] = [
            (&[], None, "db web-0 web-1"),
            (&["web-1", "db"], None, "web-1 db"),
            (&["web"], None, "web-0 web-1"),
            (&["process/web", "process/db"], None, "web-0 web-1 db"),
            (&["web-1", "web"], None, "web-1 web-0"),
            (&[], Some("group=front"), "web-0 web-1"),
            (&[], Some("group==front,group!=slow"), "web-1"),
            (&["db"], Some("group=front"), ""),
            (&[], Some("color=red"), "usage"),
            (&[], Some("group="), "usage"),
        ];
        for (names, selector, expected) in rows {
            assert_eq!(found(names, selector), (expected.to_string(), String::new()), "{names:?} {selector:?}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_gets_a_suggestion() {
        assert_eq!(found(&["wbe", "db"], None), ("db".into(), r#"process "wbe" not found did you mean "web"?"#.into()));
        assert_eq!(found(&["other"], None), (String::new(), r#"process "other" not found "#.into()));
    }
}
