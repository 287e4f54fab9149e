//! What a reader makes of a text: processes in the words of process files, and notes on what has no such words.

use std::fmt;

use serde_json::{Map, Value};

use super::text;

/// What readers make, whatever they read.
#[derive(Debug, Default)]
pub(super) struct Conversion {
    pub(super) processes: Vec<Process>,
    /// What is about no process that is converted.
    pub(super) notes: Vec<Note>,
}

/// A process to be: what its file shall hold.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    /// Where it was described.
    pub(super) place: Place,
    /// How notes on it begin: `[program:web]`.
    pub(super) title: String,
    /// The command line, as [`text`] has it.
    pub(super) argv: Vec<String>,
    /// Variables and values, as [`text`] has it.
    pub(super) env: Vec<(String, String)>,
    keys: Map<String, Value>,
    wants: Vec<Want>,
    pub(super) notes: Vec<Note>,
}

/// A file, as its reader knows it, and a line; 0 means the file as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

/// What there is to say of one setting.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) place: Place,
    /// The setting: names, never values.
    pub(super) what: String,
    pub(super) grade: Grade,
    pub(super) text: String,
}

/// What a note means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Grade {
    /// What the setting did is not done.
    Lost,
    /// It is done, in a way worth knowing.
    Remark,
}

/// Another process that must be so before this one starts.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) name: String,
    pub(super) condition: &'static str,
    pub(super) need: Need,
}

/// How much it needs the other one, where that came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// It does not start without it.
    Must,
    /// It starts without it where it cannot be had: what it says is the order of those that are there.
    May,
}

/// Why nothing is converted.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) place: Place,
    pub(super) message: String,
}

impl Place {
    pub(super) fn new(file: &str, line: usize) -> Place {
        Place { file: file.to_string(), line }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error { place: self.clone(), message: message.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl Note {
    pub(super) fn new(grade: Grade, place: &Place, what: &str, text: &str) -> Note {
        Note { place: place.clone(), what: what.to_string(), grade, text: text.to_string() }
    }

    /// What stands behind the place.
    pub(super) fn message(&self) -> String {
        let grade = match self.grade {
            Grade::Lost => "no counterpart",
            Grade::Remark => "note",
        };
        let what = if self.what.is_empty() { String::new() } else { format!("{}: ", self.what) };
        // Names may hold anything: a note is one line.
        let whole = format!("{what}{grade}: {}", self.text);
        crate::model::shown(whole.as_bytes(), 1000)
    }
}

impl Conversion {
    pub(super) fn lost(&mut self, place: &Place, what: &str, text: &str) {
        self.note(Grade::Lost, place, what, text);
    }

    pub(super) fn remark(&mut self, place: &Place, what: &str, text: &str) {
        self.note(Grade::Remark, place, what, text);
    }

    pub(super) fn note(&mut self, grade: Grade, place: &Place, what: &str, text: &str) {
        self.notes.push(Note::new(grade, place, what, text));
    }

    /// All notes, in the order of the processes, what is about none first.
    pub(super) fn all_notes(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().chain(self.processes.iter().flat_map(|process| &process.notes))
    }
}

impl Process {
    pub(super) fn new(name: &str, place: Place, title: String) -> Process {
        Process {
            name: name.to_string(),
            place,
            title,
            argv: Vec::new(),
            env: Vec::new(),
            keys: Map::new(),
            wants: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn remark(&mut self, line: usize, setting: &str, text: &str) {
        self.note(Grade::Remark, line, setting, text);
    }

    fn note(&mut self, grade: Grade, line: usize, setting: &str, text: &str) {
        let place = Place::new(&self.place.file, line);
        self.note_at(grade, &place, setting, text);
    }

    /// A note on a setting that stands in another file than the process.
    pub(super) fn note_at(&mut self, grade: Grade, place: &Place, setting: &str, text: &str) {
        let what = [self.title.as_str(), setting].join(" ");
        self.notes.push(Note::new(grade, place, what.trim(), text));
    }

    /// Sets a key, or with dots a part of one: `lifecycle.stopSignal`.
    pub(super) fn set(&mut self, path: &str, value: impl Into<Value>) {
        put(&mut self.keys, path, value.into());
    }

    /// Appends to the list that a key holds.
    pub(super) fn push(&mut self, key: &str, value: Value) {
        let list = self.keys.entry(key).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = list {
            items.push(value);
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The word that a key holds.
    pub(super) fn word(&self, key: &str) -> Option<&str> {
        self.keys.get(key)?.as_str()
    }

    /// Takes a key back, or with dots a part of one; whether it was there.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        remove(&mut self.keys, path)
    }

    /// Sets a variable of the environment, over what was said of it before.
    pub(super) fn set_env(&mut self, name: &str, value: String) {
        match self.env.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.env.push((name.to_string(), value)),
        }
    }

    /// That all of the monitor's environment is handed down.
    pub(super) fn inherits_all(&mut self) {
        self.set("envInherit", vec!["*"]);
    }

    pub(super) fn wants(&mut self, want: Want) {
        self.wants.push(want);
    }

    pub(super) fn take_wants(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants)
    }

    /// The process file's keys, in the order in which people look for them.
    pub(super) fn file(&self) -> Map<String, Value> {
        let values = || self.env.iter().map(|(_, value)| value);
        // `$(VAR)` is expanded where there is a `command`, and only there.
        let refers = self.argv.iter().chain(values()).any(|text| text::refers(text));
        let written = |text: &String| Value::String(if refers { text::reference(text) } else { text.clone() });
        let mut file = Map::new();
        let head = if refers { "command" } else { "args" };
        file.insert(head.to_string(), self.argv.iter().map(written).collect());
        let env: Map<String, Value> = self.env.iter().map(|(name, value)| (name.clone(), written(value))).collect();
        for key in ORDER {
            match key {
                "env" if !env.is_empty() => {
                    file.insert(key.to_string(), Value::Object(env.clone()));
                }
                _ => file.extend(self.keys.get(key).map(|value| (key.to_string(), value.clone()))),
            }
        }
        for (key, value) in &self.keys {
            file.entry(key.clone()).or_insert_with(|| value.clone());
        }
        file
    }
}

const ORDER: [&str; 18] = [
    "workingDir",
    "env",
    "envFrom",
    "envInherit",
    "securityContext",
    "umask",
    "rlimits",
    "resources",
    "schedule",
    "timeZone",
    "suspend",
    "replicas",
    "group",
    "dependsOn",
    "restartPolicy",
    "restartPolicyRules",
    "backoff",
    "terminationGracePeriodSeconds",
];

fn put(map: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((key, rest)) = path.split_once('.') else {
        map.insert(path.to_string(), value);
        return;
    };
    let inner = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}

/// An empty map is left of none.
fn remove(map: &mut Map<String, Value>, path: &str) -> bool {
    let Some((key, rest)) = path.split_once('.') else { return map.remove(path).is_some() };
    let Some(Value::Object(inner)) = map.get_mut(key) else { return false };
    let was_there = remove(inner, rest);
    if inner.is_empty() {
        map.remove(key);
    }
    was_there
}
