//! The words as a JSON Schema, for editors and for whoever writes process files by program. It is written as text, since
//! that takes a fraction of the code that a tree takes.

use serde_json::Value;

use super::{Key, Object, ROOT, objects};
use crate::config::node::write_json_text;

/// The JSON Schema (2020-12) of a process file. What is about several keys at once, such as that `timeZone` goes with a
/// cron expression, and what a text means beyond its form, is for `ncolony check` to say.
pub fn schema() -> Value {
    let mut out = String::from(r#"{"$schema": "https://json-schema.org/draft/2020-12/schema""#);
    member(&mut out, ", \"title\": ", "A process file of ncolony");
    out.push_str(", ");
    let objects = objects();
    let (root, others): (Vec<Object>, Vec<Object>) = objects.into_iter().partition(|object| object.name == ROOT);
    root.iter().for_each(|object| of_object(&mut out, object));
    out.push_str(", \"$defs\": {");
    for (index, object) in others.iter().enumerate() {
        member(&mut out, separator(index), object.name);
        out.push_str(": {");
        of_object(&mut out, object);
        out.push('}');
    }
    out.push_str("}}");
    serde_json::from_str(&out).expect("what is written here is JSON, as tests show of each word")
}

fn separator(index: usize) -> &'static str {
    if index == 0 { "" } else { ", " }
}

/// Something, and a text in quotes.
fn member(out: &mut String, before: &str, text: &str) {
    out.push_str(before);
    write_json_text(text, out);
}

/// The members of an object's schema.
fn of_object(out: &mut String, object: &Object) {
    member(out, "\"description\": ", object.meaning);
    out.push_str(", \"type\": \"object\", \"properties\": {");
    for (index, key) in object.keys().iter().enumerate() {
        member(out, separator(index), key.name);
        out.push_str(": {");
        of_key(out, key);
        out.push('}');
    }
    out.push_str("}, \"additionalProperties\": ");
    out.push_str(if object.rules().contains(&"open") { "true" } else { "false" });
    let must: Vec<&str> = object.keys().iter().filter(|key| key.must).map(|key| key.name).collect();
    for (index, name) in must.iter().enumerate() {
        member(out, if index == 0 { ", \"required\": [" } else { ", " }, name);
    }
    if !must.is_empty() {
        out.push(']');
    }
    object.rules().into_iter().for_each(|rule| of_rule(out, rule));
}

fn of_rule(out: &mut String, rule: &str) {
    if let Some(pattern) = rule.strip_prefix("also ") {
        member(out, ", \"patternProperties\": {", pattern);
        out.push_str(": {}}");
    } else if let Some(names) = rule.strip_prefix("not both ") {
        out.push_str(", \"not\": {\"required\": [");
        for (index, name) in names.split(", ").enumerate() {
            member(out, separator(index), name);
        }
        out.push_str("]}");
    } else if let Some((names, word)) = [("some of ", "anyOf"), ("one of ", "oneOf")]
        .into_iter()
        .find_map(|(start, word)| Some((rule.strip_prefix(start)?, word)))
    {
        member(out, ", ", word);
        out.push_str(": [");
        for (index, name) in names.split(", ").enumerate() {
            out.push_str(separator(index));
            member(out, "{\"required\": [", name);
            out.push_str("]}");
        }
        out.push(']');
    }
}

fn of_key(out: &mut String, key: &Key) {
    of_kind(out, key.kind);
    member(out, if out.ends_with('{') { "\"description\": " } else { ", \"description\": " }, key.meaning);
    // A default that depends on something else is told in words, and not here.
    let Some(default) = key.default else { return };
    let is_word = matches!(key.kind, "text" | "target" | "signal") || key.kind.contains(&format!("\"{default}\""));
    let is_plain = default.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '[' | '{'));
    if is_word {
        member(out, ", \"default\": ", default);
    } else if is_plain || matches!(default, "true" | "false") {
        out.push_str(", \"default\": ");
        out.push_str(default);
    }
}

/// The members of the schema of a type.
fn of_kind(out: &mut String, kind: &str) {
    if let Some(item) = kind.strip_prefix("list of ").filter(|item| item.starts_with('(') || !kind.contains(" | ")) {
        return of_list(out, item.trim_matches(['(', ')']), "");
    }
    if kind.contains(" | ") {
        let is_words = kind.split(" | ").all(|form| form.starts_with('"'));
        out.push_str(if is_words { "\"enum\": [" } else { "\"anyOf\": [" });
        for (index, form) in kind.split(" | ").enumerate() {
            out.push_str(separator(index));
            if is_words {
                out.push_str(form);
            } else {
                braced(out, form);
            }
        }
        return out.push(']');
    }
    if kind.starts_with('"') {
        out.push_str("\"enum\": [");
        out.push_str(kind);
        return out.push(']');
    }
    if let Some(item) = kind.strip_prefix("some of ") {
        return of_list(out, item, ", \"minItems\": 1");
    }
    let (base, range) = kind.split_once(' ').unwrap_or((kind, ""));
    let (least, most) = range.split_once("..").unwrap_or(("0", ""));
    // A hundred years, as the parser has it.
    let most = if base == "seconds" { "3153600000" } else { most };
    let members = match base {
        "any" => "",
        "flag" => r#""type": "boolean""#,
        "null" => r#""type": "null""#,
        "text" => r#""type": "string""#,
        "map" => {
            r#""type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^[^=]+$"}"#
        }
        "id" => r#""type": "integer", "minimum": 0, "maximum": 4294967294"#,
        "port" => r#""type": "integer", "minimum": 1, "maximum": 65535"#,
        "bound" => r#""anyOf": [{"type": "integer", "minimum": 0}, {"const": "unlimited"}]"#,
        "signal" => r#""anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 64}]"#,
        // Kubernetes' quantities.
        "memory" | "cpu" => {
            r#""anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^([0-9]+\\.?[0-9]*|\\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]+)?$"}]"#
        }
        "name" => r#""type": "string", "pattern": "[^0-9]""#,
        "variable" => r#""type": "string", "pattern": "^[^=]+$""#,
        "path" => r#""type": "string", "pattern": "^/""#,
        // An empty one is the default, as in a Pod.
        "target" => r#""type": "string", "pattern": "^(/|$)""#,
        "octal" => r#""type": "string", "pattern": "^0*[0-7]{1,3}$""#,
        "seconds" | "number" | "whole" => {
            out.push_str(if base == "whole" { "\"type\": \"integer\"" } else { "\"type\": \"number\"" });
            for part in [", \"minimum\": ", least, ", \"maximum\": ", most] {
                out.push_str(part);
            }
            ""
        }
        object => {
            out.push_str("\"$ref\": \"#/$defs/");
            out.push_str(object);
            "\""
        }
    };
    out.push_str(members);
}

fn of_list(out: &mut String, item: &str, more: &str) {
    out.push_str("\"type\": \"array\", \"items\": ");
    braced(out, item);
    out.push_str(more);
}

fn braced(out: &mut String, kind: &str) {
    out.push('{');
    of_kind(out, kind);
    out.push('}');
}
