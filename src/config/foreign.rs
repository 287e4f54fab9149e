//! YAML that is no process file, for whoever converts it: a tree in which every value knows its line.

use super::node::{Node, Value};
use super::yaml;

/// A value and the line in which it begins, counted from 1.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Its line; of what an alias or a merge key brings in, the one where it was written.
    pub line: usize,
    /// The value.
    pub value: TreeValue,
}

/// A value of YAML's.
#[derive(Clone, Debug)]
pub enum TreeValue {
    /// Nothing.
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A literal of JSON's grammar.
    Number(String),
    /// A text; also a bare word that YAML 1.1 reads otherwise, such as `no`.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A map, in the order of the text.
    Map(Vec<TreeEntry>),
}

/// A key of a map and its value.
#[derive(Clone, Debug)]
pub struct TreeEntry {
    /// The key.
    pub key: String,
    /// The key's line.
    pub line: usize,
    /// The value.
    pub tree: Tree,
}

/// Reads one YAML document with the limits of process files; merge keys (`<<`) bring in what they name.
///
/// # Errors
/// The line and what is wrong there: it is no YAML, too large or too deep, has a tag, or sets a key twice.
pub fn read_yaml(text: &str) -> Result<Tree, (usize, String)> {
    let newlines: Vec<usize> = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    match yaml::parse_merging(text) {
        Ok(node) => tree(node, &newlines),
        Err(malformed) => {
            let help = malformed.help.map_or_else(String::new, |help| format!("; {help}"));
            Err((line(malformed.span.start, &newlines), format!("{}{help}", malformed.message)))
        }
    }
}

fn line(at: usize, newlines: &[usize]) -> usize {
    newlines.partition_point(|newline| *newline < at) + 1
}

fn tree(node: Node, newlines: &[usize]) -> Result<Tree, (usize, String)> {
    let value = match node.value {
        Value::Null => TreeValue::Null,
        Value::Bool(value) => TreeValue::Bool(value),
        Value::Number(literal) => TreeValue::Number(literal.into()),
        Value::Text(text) | Value::Odd(text) => TreeValue::Text(text),
        Value::List(nodes) => {
            let mut items = Vec::with_capacity(nodes.len());
            for node in nodes {
                items.push(tree(node, newlines)?);
            }
            TreeValue::List(items)
        }
        Value::Map(entries) => {
            let mut found: Vec<TreeEntry> = Vec::with_capacity(entries.len());
            for entry in entries {
                let line = line(entry.key_span.start, newlines);
                if let Some(first) = found.iter().find(|known| known.key == entry.key) {
                    return Err((line, format!("{:?} is set a second time, first in line {}", entry.key, first.line)));
                }
                found.push(TreeEntry { key: entry.key, line, tree: tree(entry.node, newlines)? });
            }
            TreeValue::Map(found)
        }
    };
    Ok(Tree { line: line(node.span.start, newlines), value })
}

#[cfg(test)]
mod tests {
    use super::{Tree, TreeValue, read_yaml};

    fn shown(tree: &Tree) -> String {
        let inner = match &tree.value {
            TreeValue::Null => "~".into(),
            TreeValue::Bool(value) => value.to_string(),
            TreeValue::Number(text) | TreeValue::Text(text) => text.clone(),
            TreeValue::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            TreeValue::Map(entries) => {
                let entry = |entry: &super::TreeEntry| format!("{}={}", entry.key, shown(&entry.tree));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        };
        format!("{inner}@{}", tree.line)
    }

    #[test]
    fn merge_keys_bring_in_what_a_map_does_not_have_with_the_line_where_it_stands() {
        let rows = [
            ("a: &a {x: 1, y: no}\nb:\n  <<: *a\n  y: 2\n", "{a={x=1@1 y=no@1}@1 b={y=2@4 x=1@1}@3}@1"),
            (
                "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc:\n  <<: [*a, *b]\n",
                "{a={x=1@1}@1 b={x=2@2 y=3@2}@2 c={x=1@1 y=3@2}@4}@1",
            ),
            ("a: {<<: {x: {y: 1}}}", "{a={x={y=1@1}@1}@1}@1"),
            ("'<<': 1", "{<<=1@1}@1"),
            ("- 1\n\n- ~\n- true", "[1@1 ~@3 true@4]@1"),
        ];
        for (text, expected) in rows {
            assert_eq!(read_yaml(text).map(|tree| shown(&tree)), Ok(expected.to_string()), "{text}");
        }
    }

    #[test]
    fn what_is_no_tree_is_told_with_its_line() {
        let rows = [
            ("a: 1\nb:\n\tc: 1\n", 3, "never with tabs"),
            ("a: 1\nb: 2\na: 3\n", 3, "\"a\" is set a second time, first in line 1"),
            ("a: &a 1\nb:\n  <<: *a\n", 3, "expected a map, or a list of maps"),
            ("a: &a {<<: *a}\n", 1, "stands inside what it names"),
            ("a: 1\n---\nb: 2\n", 2, "a second document; only one is read"),
            ("a: 1\nb: !reset []\n", 2, "the tag !reset is not supported"),
        ];
        for (text, line, expected) in rows {
            let (at, message) = read_yaml(text).expect_err(text);
            assert!(at == line && message.contains(expected), "{text}: {at}: {message}");
        }
    }
}
