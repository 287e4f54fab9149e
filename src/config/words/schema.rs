//! The words as a JSON Schema, for editors and for whoever writes process files by program.

use serde_json::{Map, Value, json};

use super::{Key, Object, ROOT, objects};

/// A hundred years, as the parser has it.
const LONGEST: u64 = 3_153_600_000;

/// The JSON Schema (2020-12) of a process file. What is about several keys at once, such as that `timeZone` goes with a
/// cron expression, and what a text means beyond its form, is for `ncolony check` to say.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut root = json!({});
    for object in objects() {
        match object.name {
            ROOT => root = of_object(&object),
            name => {
                definitions.insert(name.to_string(), of_object(&object));
            }
        }
    }
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A process file of ncolony",
    });
    if let (Value::Object(whole), Value::Object(root)) = (&mut whole, root) {
        whole.extend(root);
        whole.insert("$defs".to_string(), Value::Object(definitions));
    }
    whole
}

fn of_object(object: &Object) -> Value {
    let mut properties = Map::new();
    for key in object.keys() {
        properties.insert(key.name.to_string(), of_key(&key));
    }
    let must: Vec<&str> = object.keys().filter(|key| key.must).map(|key| key.name).collect();
    let mut schema = json!({
        "description": object.meaning,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !must.is_empty() {
        schema["required"] = json!(must);
    }
    for rule in object.rules() {
        let of = |names: &str| -> Vec<Value> { names.split(", ").map(|name| json!({"required": [name]})).collect() };
        if rule == "open" {
            schema["additionalProperties"] = json!(true);
        } else if let Some(pattern) = rule.strip_prefix("also ") {
            schema["patternProperties"] = json!({ pattern: {} });
        } else if let Some(names) = rule.strip_prefix("some of ") {
            schema["anyOf"] = json!(of(names));
        } else if let Some(names) = rule.strip_prefix("one of ") {
            schema["oneOf"] = json!(of(names));
        } else if let Some(names) = rule.strip_prefix("not both ") {
            schema["not"] = json!({"required": names.split(", ").collect::<Vec<_>>()});
        }
    }
    schema
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_kind(key.kind);
    schema["description"] = json!(key.meaning);
    // A default that depends on something else is told in words.
    let value = key.default.and_then(|default| match serde_json::from_str::<Value>(default) {
        Ok(value) => Some(value),
        Err(_) if key.kind.contains(&format!("\"{default}\"")) => Some(json!(default)),
        Err(_) if matches!(key.kind, "text" | "target" | "signal") => Some(json!(default)),
        Err(_) => None,
    });
    if let Some(value) = value {
        schema["default"] = value;
    }
    schema
}

fn of_kind(kind: &str) -> Value {
    if let Some(item) = kind.strip_prefix("list of (").and_then(|item| item.strip_suffix(')')) {
        return json!({"type": "array", "items": of_kind(item)});
    }
    if kind.contains(" | ") {
        let forms: Vec<&str> = kind.split(" | ").collect();
        return match forms.iter().map(|form| form.strip_prefix('"')?.strip_suffix('"')).collect::<Option<Vec<_>>>() {
            Some(words) => json!({"enum": words}),
            None => json!({"anyOf": forms.into_iter().map(of_kind).collect::<Vec<_>>()}),
        };
    }
    if let Some(word) = kind.strip_prefix('"') {
        return json!({"enum": [word.trim_end_matches('"')]});
    }
    if let Some(item) = kind.strip_prefix("list of ") {
        return json!({"type": "array", "items": of_kind(item)});
    }
    if let Some(item) = kind.strip_prefix("some of ") {
        return json!({"type": "array", "items": of_kind(item), "minItems": 1});
    }
    let (base, range) = kind.split_once(' ').unwrap_or((kind, ""));
    let (least, most) = range.split_once("..").unwrap_or(("0", ""));
    let bound = |text: &str| serde_json::from_str::<Value>(text).ok();
    let numbers = |kind: &str, most: Value| json!({"type": kind, "minimum": bound(least), "maximum": most});
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    match base {
        "any" => json!({}),
        "flag" => json!({"type": "boolean"}),
        "null" => json!({"type": "null"}),
        "text" => json!({"type": "string"}),
        "map" => {
            json!({"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^[^=]+$"}})
        }
        "seconds" => numbers("number", json!(LONGEST)),
        "number" => numbers("number", json!(bound(most))),
        "whole" => numbers("integer", json!(bound(most))),
        "id" => numbers("integer", json!(u32::MAX - 1)),
        "port" => json!({"type": "integer", "minimum": 1, "maximum": u16::MAX}),
        "bound" => json!({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "unlimited"}]}),
        "signal" => json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 64}]}),
        "memory" | "cpu" => json!({"anyOf": [{"type": "number", "minimum": 0}, text(QUANTITY)]}),
        "name" => text("[^0-9]"),
        "variable" => text("^[^=]+$"),
        "path" | "target" => text("^/"),
        "octal" => text("^0*[0-7]{1,3}$"),
        object => json!({"$ref": format!("#/$defs/{object}")}),
    }
}

/// Kubernetes' quantities.
const QUANTITY: &str = r"^([0-9]+\.?[0-9]*|\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]+)?$";
