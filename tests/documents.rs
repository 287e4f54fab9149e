//! What `schema`, `completion` and `man` print, held to whoever reads it: a validator, bash, groff.

mod needs;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use ncolony::config::{self, Defaults, Tree, TreeValue};
use serde_json::{Value, json};

const NCOLONY: &str = env!("CARGO_BIN_EXE_ncolony");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

// --- The schema --------------------------------------------------------------------------------------------------------

/// What is wrong with a value, by those parts of JSON Schema that ours has; any other part ends the test.
struct Validator<'s> {
    whole: &'s Value,
}

impl Validator<'_> {
    fn errors(&self, schema: &Value, value: &Value, way: &str) -> Vec<String> {
        let mut errors = Vec::new();
        let parts = schema.as_object().unwrap_or_else(|| panic!("{way}: {schema}"));
        for (part, said) in parts {
            let is_met = match part.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" => true,
                "additionalProperties" | "patternProperties" => true, // with "properties"
                "type" => is_of_type(said, value),
                "enum" => said.as_array().expect("a list").contains(value),
                "const" => said == value,
                "minimum" => value.as_f64().is_none_or(|number| number >= said.as_f64().expect("a number")),
                "maximum" => value.as_f64().is_none_or(|number| number <= said.as_f64().expect("a number")),
                "minItems" => {
                    value.as_array().is_none_or(|items| items.len() as u64 >= said.as_u64().expect("a number"))
                }
                "pattern" => value.as_str().is_none_or(|text| matches(said.as_str().expect("a pattern"), text)),
                "required" => {
                    let has = |key: &Value| value.get(key.as_str().expect("a key")).is_some();
                    !value.is_object() || said.as_array().expect("keys").iter().all(has)
                }
                "not" => !self.is_good(said, value),
                "anyOf" => self.count(said, value) > 0,
                "oneOf" => self.count(said, value) == 1,
                "$ref" => {
                    let name = said.as_str().and_then(|text| text.strip_prefix("#/$defs/")).expect("a definition");
                    errors.extend(self.errors(&self.whole["$defs"][name], value, way));
                    true
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        errors.extend(self.errors(said, item, &format!("{way}[{index}]")));
                    }
                    true
                }
                "properties" => {
                    errors.extend(self.properties(schema, value, way));
                    true
                }
                "propertyNames" => {
                    let names = value.as_object().into_iter().flatten().map(|(key, _)| json!(key));
                    names.clone().all(|name| self.is_good(said, &name))
                }
                other => panic!("{way}: no test knows {other:?}"),
            };
            if !is_met {
                errors.push(format!("{way}: {part} {said}"));
            }
        }
        if parts.get("additionalProperties").is_some_and(Value::is_object) {
            errors.extend(self.properties(schema, value, way));
        }
        errors
    }

    fn properties(&self, schema: &Value, value: &Value, way: &str) -> Vec<String> {
        let mut errors = Vec::new();
        for (key, value) in value.as_object().into_iter().flatten() {
            let way = format!("{way}.{key}");
            let patterns = schema["patternProperties"].as_object().into_iter().flatten();
            let by_pattern: Vec<&Value> =
                patterns.filter(|(pattern, _)| matches(pattern, key)).map(|(_, schema)| schema).collect();
            match (schema["properties"].get(key), by_pattern.as_slice(), &schema["additionalProperties"]) {
                (Some(schema), _, _) => errors.extend(self.errors(schema, value, &way)),
                (None, [], Value::Bool(false)) => errors.push(format!("{way}: unknown")),
                (None, [], further @ Value::Object(_)) => errors.extend(self.errors(further, value, &way)),
                (None, by_pattern, _) => {
                    errors.extend(by_pattern.iter().flat_map(|schema| self.errors(schema, value, &way)))
                }
            }
        }
        errors
    }

    fn is_good(&self, schema: &Value, value: &Value) -> bool {
        self.errors(schema, value, "").is_empty()
    }

    fn count(&self, schemas: &Value, value: &Value) -> usize {
        schemas.as_array().expect("a list").iter().filter(|schema| self.is_good(schema, value)).count()
    }
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("no type is {other}"),
    }
}

/// The patterns of our schema, by hand.
fn matches(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match pattern {
        "^/" => text.starts_with('/'),
        "^(/|$)" => text.is_empty() || text.starts_with('/'),
        "[^0-9]" => text.chars().any(|c| !c.is_ascii_digit()),
        "^[^=]+$" => !text.is_empty() && !text.contains('='),
        "^0*[0-7]{1,3}$" => {
            let rest = text.trim_start_matches('0');
            !text.is_empty() && rest.len() <= 3 && rest.chars().all(|c| ('0'..='7').contains(&c))
        }
        "^ephemeral-storage$|^hugepages-|/" => {
            text == "ephemeral-storage" || text.starts_with("hugepages-") || text.contains('/')
        }
        _ if pattern.starts_with(r"^([0-9]+\.?[0-9]*|\.[0-9]+)(n|u|m|k|") => {
            let number: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let unit = &text[number.len()..];
            let power = unit.strip_prefix(['e', 'E']).map(|power| power.trim_start_matches(['+', '-']));
            let units = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            let is_number = number.matches('.').count() <= 1 && number.contains(|c: char| c.is_ascii_digit());
            is_number && (units.contains(&unit) || power.is_some_and(digits))
        }
        other => panic!("no test knows the pattern {other}"),
    }
}

fn json_of(tree: &Tree) -> Value {
    match &tree.value {
        TreeValue::Null => Value::Null,
        TreeValue::Bool(value) => json!(value),
        TreeValue::Number(text) => serde_json::from_str(text).expect("a number"),
        TreeValue::Text(text) => json!(text),
        TreeValue::List(items) => items.iter().map(json_of).collect(),
        TreeValue::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.tree))).collect(),
    }
}

/// The text as JSON, if it is a tree at all.
fn tree(text: &str) -> Option<Value> {
    match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text).ok(),
        false => config::read_yaml(text).ok().map(|tree| json_of(&tree)),
    }
}

fn errors(text: &str) -> Option<Vec<String>> {
    let schema = config::schema();
    let validator = Validator { whole: &schema };
    Some(validator.errors(&schema, &tree(text)?, ""))
}

/// Each example that the documents and the program itself have, with where it stands.
fn examples() -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a file");
    let mut examples = Vec::new();
    for (number, block) in read("README.md").split("```yaml\n").skip(1).enumerate() {
        let text = block.split("```").next().unwrap_or_default();
        // What stands there in part is made whole.
        let text = if text.contains("\nargs:") || text.starts_with("args:") || text.starts_with("command:") {
            text.to_string()
        } else {
            format!("args: [a]\n{text}")
        };
        examples.push((format!("README.md, example {number}"), text));
    }
    let empty = "httpGet: {port: 80, path: \"\", host: \"\", scheme: \"\"}";
    examples.push(("an empty path".to_string(), format!("args: [a]\nlivenessProbe: {{{empty}}}\n")));
    for line in read("README.md").split('`').filter(|text| text.starts_with("\"ncolony.") && text.contains(": {")) {
        examples.push(("README.md, inline".to_string(), format!("{{\"args\": [\"a\"], {line}}}")));
    }
    for text in read("src/commands/demo.rs").split("r#\"").skip(1) {
        examples.push(("the demo".to_string(), text.split("\"#").next().unwrap_or_default().to_string()));
    }
    for file in ["compose", "procfile", "runit", "s6", "supervisord", "systemd"] {
        let text = read(&format!("tests/fixtures/convert/{file}.expected.yaml"));
        let documents = text.split("---\n").filter(|text| !text.trim().is_empty());
        examples.extend(documents.map(|text| (format!("{file} converted"), text.to_string())));
    }
    examples
}

#[test]
fn the_schema_takes_every_example_that_the_parser_takes() {
    let examples = examples();
    assert!(examples.len() > 30, "{}", examples.len());
    for (place, text) in examples {
        let parsed = config::parse("example", text.as_bytes(), &Defaults::STANDARD);
        assert!(parsed.is_ok(), "{place}: {:?}", parsed.err());
        assert_eq!(errors(&text), Some(Vec::new()), "{place}: {text}");
    }
}

/// Files whose shape is good, and whose meaning is not: of several keys together, or of what a text says.
const BAD_IN_MEANING: &[&str] = &[
    "born-contradictions.json",
    "cron-never.yaml",
    "cron-out-of-range.json",
    "cron-six-fields.yaml",
    "cron-words.yaml",
    "duplicates.json",
    "essential-schedule.yaml",
    // To a schema merge keys are merged.
    "merge-key.yaml",
    "replicas-schedule.yaml",
    "schedule-without.yaml",
];

#[test]
fn the_schema_refuses_every_golden_file_that_is_bad_in_shape() {
    let mut good_in_shape = BTreeSet::new();
    let mut count = 0;
    for entry in fs::read_dir(root().join("tests/fixtures/bad")).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        // What is no tree is nothing that a schema could be asked about.
        let Some(errors) = errors(&text).filter(|_| !name.ends_with(".expected")) else { continue };
        count += 1;
        if errors.is_empty() {
            good_in_shape.insert(name);
        }
    }
    assert!(count > 40, "{count}");
    assert_eq!(good_in_shape, BAD_IN_MEANING.iter().map(ToString::to_string).collect());
}

#[test]
fn the_program_prints_the_schema() {
    let output = Command::new(NCOLONY).arg("schema").output().expect("ncolony");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(printed, config::schema());
}

// --- The shells --------------------------------------------------------------------------------------------------------

/// What bash makes of these words, the last of which is to be completed.
fn bash(dir: &Path, words: &[&str]) -> Option<Vec<String>> {
    let have = Command::new("bash").arg("--version").output().is_ok();
    if !needs::can("bash", have) {
        return None;
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    // compopt works in a completion alone.
    let script = format!(
        "compopt() {{ :; }}\nsource <({NCOLONY} completion bash)\nCOMP_WORDS=({NCOLONY} {})\nCOMP_CWORD={}\n_ncolony {NCOLONY}\n\
         complete -p ncolony >&2\nfor word in \"${{COMPREPLY[@]}}\"; do printf '%s\\n' \"$word\"; done",
        quoted.join(" "),
        words.len()
    );
    let output = Command::new("bash").args(["--norc", "-euc", &script]).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "complete -F _ncolony ncolony\n");
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect())
}

#[test]
fn bash_completes_verbs_options_names_and_files() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("config")).expect("a directory");
    for name in ["web.yaml", "worker", "a b.json"] {
        fs::write(dir.path().join("config").join(name), "{\"args\": [\"a\"], \"group\": [\"fronts\"]}")
            .expect("a file");
    }
    let rows: &[(&[&str], &[&str])] = &[
        (&["sched"], &["scheduler"]),
        (&["ctl", "--config", "config", "restart", "w"], &["web", "worker"]),
        (&["ctl", "--config", "config", "restart", "a\\ "], &["a\\ b"]),
        (&["ctl", "--config", "=", "config", "rollout", "restart", "--group", "="], &["fronts"]),
        (&["ctl", "--config", "=", "config", "get", "-l", "group", "=", "f"], &["fronts"]),
        (&["ctl", "wait", "--for", "=", "condition", "=", "Re"], &["Ready"]),
        (&["ctl", "get", "-o", "y"], &["yaml"]),
        (&["ctl", "explain", "ncolony.beatcheck.g"], &["ncolony.beatcheck.grace"]),
        (&["ctl", "apply", "-f", "conf"], &["config"]),
        (&["run", "--config", "co"], &["config"]),
        (&["run", "--log-format", ""], &["text", "json"]),
        (&["ctl", "--config", "nowhere", "stop", ""], &[]),
    ];
    for (words, expected) in rows {
        let Some(told) = bash(dir.path(), words) else { return };
        assert_eq!(told, *expected, "{words:?}");
    }
}

// --- The manual --------------------------------------------------------------------------------------------------------

#[test]
fn groff_has_nothing_to_say_against_any_page() {
    let have = Command::new("groff").arg("--version").output().is_ok();
    if !needs::can("groff", have) {
        return;
    }
    let pages: [&[&str]; 6] = [&[], &["run"], &["ctl"], &["ctl", "apply"], &["convert"], &["process-file"]];
    for words in pages {
        let mut ncolony = Command::new(NCOLONY);
        let mut page = ncolony.arg("man").args(words).stdout(Stdio::piped()).spawn().expect("ncolony");
        let roff = page.stdout.take().expect("a pipe");
        let output =
            Command::new("groff").args(["-man", "-Tutf8", "-ww", "-P-cbou"]).stdin(roff).output().expect("groff");
        assert!(page.wait().expect("an end").success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("SEE ALSO") && text.lines().count() > 20, "{words:?}: {text}");
    }
}
