//! A value as YAML, as kubectl prints it: lists flush with their key, texts in quotes where they would be something else.

use serde_json::Value;

/// The value, with a newline at its end.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    // What is one line stands in one.
    out.trim_start_matches([' ', '\n']).to_string()
}

/// Appends a value behind a key or a dash, from the blank on.
fn write(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            entry_lines(entries, depth, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                indent(depth, out);
                out.push('-');
                match item {
                    Value::Object(entries) if !entries.is_empty() => {
                        let mut lines = String::new();
                        entry_lines(entries, depth + 1, &mut lines);
                        // The first key stands behind the dash.
                        out.push(' ');
                        out.push_str(lines.trim_start_matches(' '));
                    }
                    Value::Array(inner) if !inner.is_empty() => write(item, depth + 1, out),
                    other => write(other, depth, out),
                }
            }
        }
        Value::Object(_) => out.push_str(" {}\n"),
        Value::Array(_) => out.push_str(" []\n"),
        Value::String(text) => {
            out.push(' ');
            out.push_str(&scalar(text));
            out.push('\n');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.push(' ');
            out.push_str(&value.to_string());
            out.push('\n');
        }
    }
}

fn entry_lines(entries: &serde_json::Map<String, Value>, depth: usize, out: &mut String) {
    for (key, value) in entries {
        indent(depth, out);
        out.push_str(&scalar(key));
        out.push(':');
        let is_list = matches!(value, Value::Array(items) if !items.is_empty());
        write(value, if is_list { depth } else { depth + 1 }, out);
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// A text as it is where nothing else could be meant; else in double quotes, which JSON's are.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["", "true", "false", "null", "yes", "no", "on", "off", "~"];
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | '(' | ')' | ';' | '+' | '$');
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '/');
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) || text.ends_with(' ');
    if begins && !is_word && text.chars().all(is_plain) { text.to_string() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::text;

    #[test]
    fn yaml_looks_as_kubectls_and_means_what_the_value_is() {
        let value = json!({
            "kind": "Process", "empty": {}, "none": [], "n": 1.5, "t": true, "z": null,
            "metadata": {"name": "wörk er", "groups": ["front", "no", "1", ""]},
            "command": ["sh", "-c", "echo \"a: b\"\n# c", "- d"],
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"list": [[1, 2], []]}], "at": "2026-11-27T15:26:48Z"}
        });
        let expected = r#"kind: Process
empty: {}
none: []
n: 1.5
t: true
z: null
metadata:
  name: wörk er
  groups:
  - front
  - "no"
  - "1"
  - ""
command:
- sh
- "-c"
- "echo \"a: b\"\n# c"
- "- d"
status:
  conditions:
  - type: Ready
    status: "True"
  - list:
    -
      - 1
      - 2
    - []
  at: "2026-11-27T15:26:48Z"
"#;
        assert_eq!(text(&value), expected);
        let read: Value = serde_yaml::from_str(expected).expect("it is YAML");
        assert_eq!(read, value);
    }

    #[test]
    fn what_is_one_line_stands_in_one() {
        assert_eq!(text(&json!("plain")), "plain\n");
        assert_eq!(text(&json!([])), "[]\n");
    }
}
