//! The words of a process file: every key with its type, its default and its meaning, as data. `ncolony schema` and
//! `ncolony explain` print it; a test holds the parser and it to each other, key by key.
//!
//! `words.txt` has an object a paragraph. Its head is `[NAME; RULE; ...] MEANING`, with the rules
//!
//! - `open`: other keys are taken, too; `also PATTERN`: those that match,
//! - `some of A, B`: at least one of these is there; `one of A, B`: exactly one; `not both A, B`.
//!
//! A line below is `KEY: TYPE = DEFAULT -- MEANING`, a key that must be there is `KEY!`. A type is an object's name, a word
//! in quotes, `list of TYPE`, `some of TYPE` (a list that is not empty), `map of text`, several joined by ` | `, or one of
//! those that [`schema()`] knows.

mod explain;
mod schema;

pub use explain::{Explained, explain, paths};
pub use schema::schema;

const TEXT: &str = include_str!("words.txt");
/// The object that a process file is.
const ROOT: &str = "Process";

/// An object and its keys.
#[derive(Clone, Copy, Debug)]
struct Object {
    name: &'static str,
    meaning: &'static str,
    /// `open; some of args, command`
    rules: &'static str,
    /// The lines below its head.
    body: &'static str,
}

/// A key of an object.
#[derive(Clone, Copy, Debug)]
struct Key {
    name: &'static str,
    must: bool,
    kind: &'static str,
    default: Option<&'static str>,
    meaning: &'static str,
}

/// All of them, the process first. A list, and not an iterator that is built into each of its users.
fn objects() -> Vec<Object> {
    let object = |paragraph: &'static str| {
        let (head, body) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (head, meaning) = head.trim_start_matches('[').split_once("] ").unwrap_or((head, ""));
        let (name, rules) = head.split_once("; ").unwrap_or((head, ""));
        Object { name, meaning, rules, body }
    };
    TEXT.split("\n\n").map(object).collect()
}

fn object(name: &str) -> Option<Object> {
    objects().into_iter().find(|object| object.name == name)
}

impl Object {
    fn keys(&self) -> Vec<Key> {
        let key = |line: &'static str| {
            let (name, rest) = line.split_once(": ").unwrap_or((line, ""));
            let (kind, meaning) = rest.split_once(" -- ").unwrap_or((rest, ""));
            let (kind, default) = kind.split_once(" = ").map_or((kind, None), |(kind, default)| (kind, Some(default)));
            Key { name: name.trim_end_matches('!'), must: name.ends_with('!'), kind, default, meaning }
        };
        self.body.lines().map(key).collect()
    }

    fn rules(&self) -> Vec<&'static str> {
        self.rules.split("; ").filter(|rule| !rule.is_empty()).collect()
    }
}

impl Key {
    /// The object that its value is, or is made of, if it is one in one of its forms.
    fn object(&self) -> Option<Object> {
        let words = self.kind.split([' ', '(', ')']);
        words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())).find_map(object)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Key, objects};
    use crate::config::schema::OURS;
    use crate::config::{Defaults, parse};

    #[test]
    fn the_keys_of_the_top_level_are_those_that_the_parser_acts_on() {
        let told: BTreeSet<&str> = objects()[0].keys().iter().map(|key| key.name).collect();
        assert_eq!(told, OURS.iter().copied().collect());
    }

    #[test]
    fn every_line_is_whole_and_every_object_is_of_use() {
        let used: String =
            objects().iter().flat_map(|object| object.keys()).map(|key| format!(" {} ", key.kind)).collect();
        for object in objects() {
            assert!(!object.meaning.is_empty(), "{object:?}");
            let is_used = used.split([' ', '(', ')']).any(|word| word == object.name);
            assert!(is_used || object.name == super::ROOT, "nothing is {}", object.name);
            for Key { name, kind, meaning, .. } in object.keys() {
                assert!(
                    !name.is_empty() && !kind.is_empty() && meaning.ends_with(['.', '}', 'H']),
                    "{name}: {kind} {meaning}"
                );
            }
        }
    }

    /// What the parser says that it expects in an object, found by a key that nothing has.
    fn expected(path: &[&str], is_list: bool) -> Option<Vec<String>> {
        let inner = if is_list { "[{nonsense: 1}]" } else { "{nonsense: 1}" };
        let mut text = inner.to_string();
        for key in path.iter().rev() {
            text = match *key {
                "[]" => format!("[{text}]"),
                key => format!("{{{key}: {text}}}"),
            };
        }
        let text = format!("args: [a]\n{}\n", text.trim_start_matches('{').trim_end_matches('\n').strip_suffix('}')?);
        let told = parse("web", text.as_bytes(), &Defaults::STANDARD).expect_err(&text);
        let told = told
            .iter()
            .find_map(|told| told.message.split_once("\"nonsense\", expected ").map(|(_, keys)| keys.to_string()));
        Some(told.unwrap_or_else(|| panic!("{text}")).split(", ").map(str::to_string).collect())
    }

    #[test]
    fn the_keys_of_each_object_are_those_that_the_parser_expects() {
        let rows: &[(&str, &[&str], bool, &[&str])] = &[
            // The object, where one is, whether it is in a list, and what is taken in silence or with a warning.
            ("Variable", &["env"], true, &[]),
            ("FileValue", &["env", "[]", "valueFrom"], false, &[]),
            ("VariableFile", &["envFrom"], true, &[]),
            ("SecurityContext", &["securityContext"], false, &[]),
            ("Capabilities", &["securityContext", "capabilities"], false, &[]),
            ("Rlimits", &["rlimits"], false, &[]),
            ("Rlimit", &["rlimits", "nofile"], false, &[]),
            ("Resources", &["resources"], false, &["requests", "claims"]),
            ("Limits", &["resources", "limits"], false, &[]),
            ("RestartRule", &["restartPolicyRules"], true, &[]),
            ("ExitCodes", &["restartPolicyRules", "[]", "exitCodes"], false, &[]),
            ("Backoff", &["backoff"], false, &[]),
            ("Lifecycle", &["lifecycle"], false, &[]),
            ("PreStop", &["lifecycle", "preStop"], false, &[]),
            ("PostStart", &["lifecycle", "postStart"], false, &[]),
            ("Sleep", &["lifecycle", "preStop", "sleep"], false, &[]),
            ("Exec", &["lifecycle", "postStart", "exec"], false, &[]),
            ("HttpGet", &["livenessProbe", "httpGet"], false, &[]),
            ("Header", &["livenessProbe", "httpGet", "httpHeaders"], true, &[]),
            ("Dependency", &["dependsOn"], true, &[]),
            ("Every", &["schedule"], false, &[]),
            ("Probe", &["livenessProbe"], false, &[]),
            ("TcpSocket", &["startupProbe", "tcpSocket"], false, &[]),
            ("Grpc", &["readinessProbe", "grpc"], false, &[]),
            ("Heartbeat", &["livenessProbe", "heartbeat"], false, &[]),
            ("BeatCheck", &["ncolony.beatcheck"], false, &[]),
            ("HttpCheck", &["ncolony.httpcheck"], false, &[]),
            ("Output", &["output"], false, &[]),
        ];
        for (name, path, is_list, silent) in rows {
            let mut expected = expected(path, *is_list).unwrap_or_else(|| panic!("{name}"));
            expected.extend(silent.iter().map(|key| key.to_string()));
            let object = super::object(name).unwrap_or_else(|| panic!("{name}"));
            let told: Vec<&str> = object.keys().iter().map(|key| key.name).collect();
            assert_eq!(
                told.iter().copied().collect::<BTreeSet<_>>(),
                expected.iter().map(String::as_str).collect(),
                "{name}"
            );
        }
        // `Notify` has no keys, and the process itself is looked at above.
        let tried: BTreeSet<&str> = rows.iter().map(|(name, ..)| *name).chain(["Notify", super::ROOT]).collect();
        assert_eq!(objects().iter().map(|object| object.name).collect::<BTreeSet<_>>(), tried);
    }
}
