//! The words for people, one key at a time.

use super::{Key, Object, ROOT, object};
use crate::model::{edits, nearest};

/// What there is to say of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Explained {
    /// All of it, as `kubectl explain` has it.
    Told(String),
    /// There is no such key; what was meant, if something is near: the ways to keys.
    Unknown(Vec<String>),
}

/// How deep objects lie in each other.
const DEPTH: usize = 6;

/// Explains the key that a way such as `livenessProbe.periodSeconds` leads to; none leads to the file as a whole.
pub fn explain(way: &str) -> Explained {
    let Some(mut place) = object(ROOT) else { return Explained::Unknown(Vec::new()) };
    let (mut rest, mut found) = (way.trim(), None::<Key>);
    while !rest.is_empty() {
        match step(&place, rest) {
            Some((key, more)) => {
                let within = key.object();
                // A map's keys are not ours to explain, and neither is what follows a plain value.
                if within.is_none() && !more.is_empty() && !key.kind.contains("map of") {
                    return Explained::Unknown(vec![way[..way.len() - more.len()].trim_end_matches('.').to_string()]);
                }
                rest = if within.is_some() { more } else { "" };
                place = within.unwrap_or(Object { name: "", meaning: "", rules: "", body: "" });
                found = Some(key);
            }
            None => return Explained::Unknown(meant(&place, way, rest)),
        }
    }
    Explained::Told(told(found, &place))
}

/// The first key of a way, and what is behind it. A key may hold a dot itself.
fn step<'w>(place: &Object, way: &'w str) -> Option<(Key, &'w str)> {
    place.keys().into_iter().find_map(|key| {
        let mut rest = way.strip_prefix(key.name)?;
        if let Some(behind) = rest.strip_prefix('[') {
            rest = behind.split_once(']')?.1;
        }
        match rest.strip_prefix('.') {
            Some(more) => Some((key, more)),
            None => rest.is_empty().then_some((key, "")),
        }
    })
}

fn meant(place: &Object, way: &str, rest: &str) -> Vec<String> {
    let before = &way[..way.len() - rest.len()];
    let word = rest.split('.').next().unwrap_or_default();
    let keys: Vec<&str> = place.keys().iter().map(|key| key.name).collect();
    if let Some(near) = nearest(rest, keys.iter().copied()) {
        return vec![format!("{before}{near}")];
    }
    if let Some(near) = nearest(word, keys) {
        let mended = format!("{before}{near}{}", &rest[word.len()..]);
        return match explain(&mended) {
            Explained::Told(_) => vec![mended],
            Explained::Unknown(near) => near,
        };
    }
    // Perhaps a part of something, named without it.
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let last = lower(way.rsplit('.').next().unwrap_or_default());
    let all = paths();
    let distance = |path: &str| edits(&last, &lower(path.rsplit('.').next().unwrap_or_default()));
    let least = all.iter().map(|path| distance(path)).min().filter(|least| *least <= 1);
    all.into_iter().filter(|path| Some(distance(path)) == least).take(5).collect()
}

/// The ways to all keys, in the order of the words.
pub fn paths() -> Vec<String> {
    let mut paths = Vec::new();
    if let Some(root) = object(ROOT) {
        below(&root, "", DEPTH, &mut paths);
    }
    paths
}

fn below(place: &Object, before: &str, depth: usize, paths: &mut Vec<String>) {
    for key in place.keys() {
        let path = format!("{before}{}", key.name);
        paths.push(path.clone());
        if let Some(object) = key.object().filter(|_| depth > 0) {
            below(&object, &format!("{path}."), depth - 1, paths);
        }
    }
}

fn told(key: Option<Key>, place: &Object) -> String {
    let mut out = String::from("KIND:     Process\n");
    if let Some(key) = key {
        out.push_str(&format!("FIELD:    {} <{}>\n", key.name, key.kind));
        if key.must {
            out.push_str("          must be there\n");
        }
        if let Some(default) = key.default {
            out.push_str(&format!("DEFAULT:  {default}\n"));
        }
    }
    out.push_str("\nDESCRIPTION:\n");
    for text in [key.map_or("", |key| key.meaning), place.meaning] {
        if !text.is_empty() {
            wrap(text, "     ", &mut out);
        }
    }
    for rule in place.rules() {
        let told =
            ["some of ", "one of ", "not both "].iter().find_map(|start| Some((*start, rule.strip_prefix(start)?)));
        match told {
            Some(("some of ", keys)) => wrap(&format!("At least one of {keys} must be there."), "     ", &mut out),
            Some(("one of ", keys)) => wrap(&format!("Exactly one of {keys} must be there."), "     ", &mut out),
            Some((_, keys)) => wrap(&format!("Not both of {keys}."), "     ", &mut out),
            None => {}
        }
    }
    if !place.keys().is_empty() {
        out.push_str("\nFIELDS:\n");
    }
    for key in place.keys() {
        let must = if key.must { " -must-" } else { "" };
        out.push_str(&format!("   {} <{}>{must}\n", key.name, key.kind));
        wrap(key.meaning, "     ", &mut out);
    }
    out
}

/// Lines of at most eighty columns.
fn wrap(text: &str, indent: &str, out: &mut String) {
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 80 - indent.len() {
            out.push('\n');
            width = 0;
        }
        out.push_str(if width == 0 { indent } else { " " });
        out.push_str(word);
        width += length + usize::from(width > 0);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{Explained, explain, paths};

    fn lines(way: &str) -> Vec<String> {
        match explain(way) {
            Explained::Told(text) => text.lines().map(str::to_string).collect(),
            Explained::Unknown(near) => vec![format!("unknown: {}", near.join(", "))],
        }
    }

    #[test]
    fn a_way_leads_to_a_key_through_objects_lists_and_names_with_dots() {
        let rows = [
            ("livenessProbe.periodSeconds", "FIELD:    periodSeconds <seconds 0.05..>"),
            ("ncolony.beatcheck.grace", "FIELD:    grace <number 0..1000000>"),
            ("ncolony.beatcheck", "FIELD:    ncolony.beatcheck <BeatCheck | null>"),
            ("dependsOn.condition", "FIELD:    condition <\"Started\" | \"Ready\" | \"Completed\">"),
            ("dependsOn[0].name", "FIELD:    name <text>"),
            ("env.valueFrom.file", "FIELD:    file <path>"),
            ("lifecycle.preStop.httpGet.httpHeaders.name", "FIELD:    name <text>"),
        ];
        for (way, expected) in rows {
            assert_eq!(lines(way)[1], expected, "{way}");
        }
        assert!(lines("")[3].contains("A process file"), "{:?}", lines(""));
        let text = lines("livenessProbe.periodSeconds");
        let expected = [
            "KIND:     Process",
            "FIELD:    periodSeconds <seconds 0.05..>",
            "DEFAULT:  10",
            "",
            "DESCRIPTION:",
            "     From one probe to the next.",
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn a_misspelt_key_is_guessed_at_and_a_part_is_found_where_it_belongs() {
        let rows = [
            ("livenesProbe.periodSeconds", "unknown: livenessProbe.periodSeconds"),
            ("livenesProbe.periodSecond", "unknown: livenessProbe.periodSeconds"),
            ("livenessProbe.periodSecond", "unknown: livenessProbe.periodSeconds"),
            ("stopSignal", "unknown: lifecycle.stopSignal"),
            (
                "periodSeconds",
                "unknown: livenessProbe.periodSeconds, readinessProbe.periodSeconds, startupProbe.periodSeconds",
            ),
            ("suspend.more", "unknown: suspend"),
            ("nonsense", "unknown: "),
            ("ncolony.beatchek", "unknown: ncolony.beatcheck"),
        ];
        for (way, expected) in rows {
            assert_eq!(lines(way), [expected], "{way}");
        }
    }

    #[test]
    fn every_way_is_explained() {
        let paths = paths();
        assert!(paths.len() > 150, "{}", paths.len());
        for path in paths {
            assert!(matches!(explain(&path), Explained::Told(_)), "{path}");
        }
    }
}
