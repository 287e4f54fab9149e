//! One key of a process file, set to another value: all else stays as its writer left it, comments and layout included.
//!
//! Whether it does is not argued but looked at: the text is read again, and must differ in that key alone.

use super::diagnostic::Diagnostic;
use super::manifest::{self, Defaults};
use super::node::{Entry, Node, Value};
use super::{json, text, yaml};

/// Why a file was not amended.
#[derive(Debug)]
pub enum AmendError {
    /// The file as it is, or as it would be, is one that the monitor refuses.
    Refused(Vec<Diagnostic>),
    /// No place was found for the key that leaves all else as it is.
    Entangled,
}

/// The text of the process file `file` with a key of its top level set to `value`, a number or word of JSON's grammar.
///
/// # Errors
/// [`AmendError::Refused`] when the text is not a good process file, or the result would not be;
/// [`AmendError::Entangled`] when it is written in a way that this cannot add to.
pub fn amend(file: &str, bytes: &[u8], (key, value): (&str, &str), defaults: &Defaults) -> Result<String, AmendError> {
    manifest::parse(file, bytes, defaults).map_err(AmendError::Refused)?;
    let text = text::decoded(file, bytes).map_err(AmendError::Refused)?;
    let Some(before) = read(text) else { return Err(AmendError::Entangled) };
    let Value::Map(entries) = &before.value else { return Err(AmendError::Entangled) };
    let is_as_wanted = |amended: &String| {
        read(amended).is_some_and(|after| others(&after, key) == others(&before, key) && is_set(&after, key, value))
    };
    let amended = ways(text, entries, key, value).into_iter().find(is_as_wanted).ok_or(AmendError::Entangled)?;
    manifest::parse(file, amended.as_bytes(), defaults).map_err(AmendError::Refused)?;
    // A byte order mark is passed over by the reader, and is its writer's.
    let mark = if bytes.starts_with("\u{feff}".as_bytes()) { "\u{feff}" } else { "" };
    Ok(format!("{mark}{amended}"))
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn read(text: &str) -> Option<Node> {
    if is_json(text) { json::parse(text).ok() } else { yaml::parse(text).ok() }
}

/// The texts that may be what is wanted, the best first.
fn ways(text: &str, entries: &[Entry], key: &str, value: &str) -> Vec<String> {
    let with = |at: usize, end: usize, new: &str| {
        let [before, after] = [text.get(..at), text.get(end..)].map(Option::unwrap_or_default);
        format!("{before}{new}{after}")
    };
    if let Some(entry) = entries.iter().find(|entry| entry.key == key) {
        return vec![with(entry.node.span.start, entry.node.span.end, value)];
    }
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Vec::new() };
    // Between braces: on a line of its own where the last key has one.
    let blank = blank_before(text, last.key_span.start);
    let blank = if blank.contains('\n') { blank } else { " " };
    let end = last.node.span.end;
    let in_braces = with(end, end, &format!(",{blank}\"{key}\": {value}"));
    if is_json(text) {
        return vec![in_braces];
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let start = text.get(..first.key_span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let indent = text.get(start..first.key_span.start).unwrap_or_default();
    let line = format!("{indent}{key}: {value}{newline}");
    let at_the_end = format!("{text}{}{line}", if text.ends_with('\n') { "" } else { newline });
    vec![at_the_end, with(start, start, &line), in_braces]
}

/// The blanks and line ends right before a place.
fn blank_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    &before[before.trim_end().len()..]
}

/// All that a tree says but of one key.
fn others(root: &Node, key: &str) -> Option<String> {
    let Value::Map(entries) = &root.value else { return None };
    let mut said = String::new();
    for entry in entries.iter().filter(|entry| entry.key != key) {
        said.push_str(&format!("{:?}: ", entry.key));
        entry.node.write_json(&mut said);
        said.push('\n');
    }
    Some(said)
}

fn is_set(root: &Node, key: &str, value: &str) -> bool {
    let Value::Map(entries) = &root.value else { return false };
    let mut said = entries.iter().filter(|entry| entry.key == key).map(|entry| {
        let mut text = String::new();
        entry.node.write_json(&mut text);
        text
    });
    said.next().as_deref() == Some(value) && said.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::{AmendError, amend};
    use crate::config::Defaults;

    fn scaled(text: &str) -> Result<String, AmendError> {
        amend("web", text.as_bytes(), ("replicas", "3"), &Defaults::STANDARD)
    }

    #[test]
    fn only_the_key_changes_and_comments_and_layout_stay() {
        let rows = [
            // YAML: where the key is, and where it is not.
            ("args: [a]\nreplicas: 2 # two\nnice: 1\n", "args: [a]\nreplicas: 3 # two\nnice: 1\n"),
            ("args: [a]\n'replicas' :   2\n", "args: [a]\n'replicas' :   3\n"),
            ("# The web.\nargs:\n  - a # first\n\n# end\n", "# The web.\nargs:\n  - a # first\n\n# end\nreplicas: 3\n"),
            ("args: [a]", "args: [a]\nreplicas: 3\n"),
            ("args: [a]\r\nnice: 1\r\n", "args: [a]\r\nnice: 1\r\nreplicas: 3\r\n"),
            ("---\n  args: [a]\n  nice: 1\n", "---\n  args: [a]\n  nice: 1\n  replicas: 3\n"),
            ("args: [a]\n...\n", "replicas: 3\nargs: [a]\n...\n"),
            ("args: [a]\nnote: |\n  two\n  lines", "args: [a]\nnote: |\n  two\n  lines\nreplicas: 3\n"),
            ("args: [a]\nnote: |+\n  kept\n\n", "args: [a]\nnote: |+\n  kept\n\nreplicas: 3\n"),
            ("# flow\n{args: [a], nice: 1}\n", "# flow\n{args: [a], nice: 1, \"replicas\": 3}\n"),
            ("args: &it [a]\nmine: *it\n", "args: &it [a]\nmine: *it\nreplicas: 3\n"),
            ("\u{feff}args: [a]\n", "\u{feff}args: [a]\nreplicas: 3\n"),
            // JSON
            ("{\"args\": [\"a\"]}", "{\"args\": [\"a\"], \"replicas\": 3}"),
            ("{\"replicas\":1,\"args\":[\"a\"]}\n", "{\"replicas\":3,\"args\":[\"a\"]}\n"),
            (
                "{\n  \"args\": [\"a\"],\n  \"nice\": 1\n}\n",
                "{\n  \"args\": [\"a\"],\n  \"nice\": 1,\n  \"replicas\": 3\n}\n",
            ),
        ];
        for (text, expected) in rows {
            let amended = scaled(text).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
            assert_eq!(amended, expected, "{text:?}");
            assert_eq!(scaled(&amended).expect("again"), amended, "the second time changes nothing");
        }
    }

    #[test]
    fn what_is_no_good_file_is_not_touched() {
        for text in ["", "args: a", "args: [a]\nreplicas: two\n", "{\"args\": [\"a\"],}", "args: [a\n", "[a]"] {
            assert!(matches!(scaled(text), Err(AmendError::Refused(_))), "{text:?}");
        }
        // Nor is one made that is none.
        let error = scaled("args: [a]\nschedule: {every: 5}\n").expect_err("a job has no replicas");
        let AmendError::Refused(told) = error else { panic!("{error:?}") };
        assert_eq!(told[0].summary(), "web:3:11: replicas: a process on a schedule has one run at a time");
    }

    #[test]
    fn a_value_that_others_refer_to_is_left_alone() {
        let error = scaled("replicas: &n 2\nargs: [a]\nmine: *n\n").expect_err("mine would be changed");
        assert!(matches!(error, AmendError::Entangled), "{error:?}");
    }
}
