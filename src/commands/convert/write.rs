//! A process file as YAML.

use serde_json::{Map, Value};

use super::conversion::{Grade, Process};

/// A list or a map on one line is no wider than this, in characters.
const WIDE: usize = 100;

/// The text of the file: what there is to know as comments, then the keys.
pub(super) fn text(process: &Process) -> String {
    let mut out = format!("# Converted from {}", comment(&process.place.to_string()));
    let title = if process.title.is_empty() { String::new() } else { format!(" {}", process.title) };
    out.push_str(&comment(&title));
    out.push_str(" by ncolony convert.\n");
    for (grade, head) in [(Grade::Lost, "Without a counterpart:"), (Grade::Remark, "To know:")] {
        let notes: Vec<_> = process.notes.iter().filter(|note| note.grade == grade).collect();
        if !notes.is_empty() {
            out.push_str(&format!("# {head}\n"));
        }
        for note in notes {
            let setting = note.what.strip_prefix(process.title.as_str()).unwrap_or(&note.what).trim();
            // A note on a file of a service directory is told by that file.
            let file = note.place.file.strip_prefix(process.place.file.as_str()).unwrap_or_default();
            let setting = if setting.is_empty() { file.trim_start_matches('/') } else { setting };
            let setting = if setting.is_empty() { String::new() } else { format!("{setting}: ") };
            out.push_str(&format!("# - {}\n", comment(&format!("{setting}{}", note.text))));
        }
    }
    entries(&process.file(), "", &mut out);
    out
}

/// One line, whatever was in it.
fn comment(text: &str) -> String {
    crate::model::shown(text.as_bytes(), 1000)
}

fn entries(map: &Map<String, Value>, indent: &str, out: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        // The first entry of a list's item stands behind its dash.
        if index > 0 || !indent.ends_with("- ") {
            out.push_str(&indent.replace("- ", "  "));
        }
        out.push_str(&scalar(key));
        out.push(':');
        beside(value, &indent.replace("- ", "  "), out);
    }
}

/// A value behind its key.
fn beside(value: &Value, indent: &str, out: &mut String) {
    let line = inline(value);
    match value {
        Value::Array(items) if line.chars().count() > WIDE || items.iter().any(Value::is_object) => {
            out.push('\n');
            for item in items {
                out.push_str(indent);
                out.push_str("- ");
                match item {
                    Value::Object(map) if inline(item).chars().count() > WIDE => {
                        entries(map, &format!("{indent}- "), out)
                    }
                    _ => {
                        out.push_str(&inline(item));
                        out.push('\n');
                    }
                }
            }
        }
        Value::Object(map) if line.chars().count() > WIDE || indent.is_empty() && has_depth(map) => {
            out.push('\n');
            entries(map, &format!("{indent}  "), out);
        }
        _ => {
            out.push(' ');
            out.push_str(&line);
            out.push('\n');
        }
    }
}

fn has_depth(map: &Map<String, Value>) -> bool {
    map.len() > 1 || map.values().any(|value| value.is_object() || value.is_array())
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let parts: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", scalar(key), inline(value))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Plain where every version of YAML reads it as this text, else in double quotes, where JSON's escapes are YAML's.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 12] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "-inf"];
    let is_tame = |c: char| c.is_ascii_alphanumeric() || "_./=@%+-".contains(c);
    let bare = text.trim_start_matches('-');
    let begins_well =
        bare.strip_prefix("./").unwrap_or(bare).starts_with(|c: char| c.is_ascii_alphabetic() || "/_".contains(c));
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if begins_well && !text.starts_with("---") && text.chars().all(is_tame) && !is_word {
        return text.to_string();
    }
    Value::String(text.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Grade, Process, scalar, text};
    use crate::config::{Defaults, parse};
    use crate::convert::conversion::Place;

    #[test]
    fn what_is_plain_is_read_as_the_same_text() {
        for plain in ["/usr/sbin/nginx", "-g", "--port=80", "./run", "web-1", "a.b_c", "HOME"] {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in [
            "", ".", "./", "-", "--", "-1", "1", "1.5", "12:30", "yes", "Off", "null", "a b", "a: b", "a, b", "---a",
            "~",
        ] {
            assert_eq!(scalar(quoted), format!("\"{quoted}\""));
        }
        assert_eq!(scalar("a\"\\\n\u{7}é"), r#""a\"\\\n\u0007é""#);
    }

    #[test]
    fn the_file_is_taken_by_the_reader_whatever_is_in_it() {
        let odd = [
            "", "yes", "- a", "a\nb", "#x", "{", "$(A)", "é", "\u{85}", "a'b\"c\\", "*", "&a", "!x", "%", "@", "`", "?",
        ];
        let mut process = Process::new("web", Place::new("a\nb", 3), "[program:\u{7}]".into());
        process.argv = odd[1..].iter().map(ToString::to_string).collect();
        process.env = odd.iter().enumerate().map(|(n, value)| (format!("V{n}"), value.to_string())).collect();
        process.note_at(Grade::Lost, &Place::new("a", 4), "x\ny", "line\nends");
        process.set("lifecycle.stopSignal", "QUIT");
        process.set("livenessProbe.exec.command", vec!["a".repeat(200)]);
        process.push(
            "restartPolicyRules",
            json!({"action": "Restart", "exitCodes": {"operator": "In", "values": vec![1; 60]}}),
        );
        process.set("restartPolicy", "Never");
        process.push("dependsOn", json!({"name": "db", "condition": "Ready"}));
        let text = text(&process);
        let manifest =
            parse("web.yaml", text.as_bytes(), &Defaults::STANDARD).unwrap_or_else(|found| panic!("{found:?}\n{text}"));
        assert_eq!(manifest.spec.birth.argv, odd[1..], "{text}");
        let config: Value = serde_json::from_str(&manifest.spec.birth.config).expect("JSON");
        assert_eq!(config["env"], Value::Object(process.file()["env"].as_object().expect("a map").clone()));
        assert_eq!(manifest.spec.restart_rules[0].codes.len(), 60);
    }
}
