//! A service while it is read: the process to be, and the variables that were met.

use serde_json::Value;

use super::super::conversion::{Error, Grade, Place, Process};
use super::super::text;
use super::interpolate::{Expanded, expand};
use super::item::Item;
use crate::model::Signal;

pub(super) struct Reading {
    pub(super) process: Process,
    /// What its texts refer to, and where.
    variables: Vec<(String, Place, String)>,
    /// Those that are handed down by their own names, and empty if nobody sets them.
    pub(super) handed_down: Vec<String>,
    /// Those that are handed down if somebody sets them, and where that is said.
    pub(super) handed_down_if_set: Vec<(String, Place)>,
}

impl Reading {
    pub(super) fn new(process: Process) -> Reading {
        Reading { process, variables: Vec::new(), handed_down: Vec::new(), handed_down_if_set: Vec::new() }
    }

    pub(super) fn note(&mut self, grade: Grade, item: &Item<'_>, text: &str) {
        self.process.note_at(grade, &item.place(), &item.path, text);
    }

    pub(super) fn lost(&mut self, item: &Item<'_>, text: &str) {
        self.note(Grade::Lost, item, text);
    }

    pub(super) fn remark(&mut self, item: &Item<'_>, text: &str) {
        self.note(Grade::Remark, item, text);
    }

    fn expanded(&mut self, item: &Item<'_>, text: &str) -> Result<Expanded, Error> {
        let expanded = expand(text).map_err(|message| item.error(message))?;
        let rows = [
            (&expanded.defaults, "the default is written; what the monitor's environment has is not asked"),
            (&expanded.demands, "nobody looks whether it is set; an empty text is in its place if it is not"),
            (&expanded.alternatives, "it is taken to be unset, so nothing is written for it"),
        ];
        for (names, why) in rows {
            for name in names {
                self.lost(item, &format!("${{{name}}}: {why}"));
            }
        }
        Ok(expanded)
    }

    /// A text in which variables may stand, as [`text`] has it.
    pub(super) fn text(&mut self, item: &Item<'_>) -> Result<String, Error> {
        let expanded = self.expanded(item, &item.raw()?)?;
        self.refer(item, expanded.variables);
        Ok(expanded.text)
    }

    fn refer(&mut self, item: &Item<'_>, names: Vec<String>) {
        for name in names {
            self.variables.push((name, item.place(), item.path.clone()));
        }
    }

    /// Sets a variable of the environment; `HOST: ${HOST}` is one that is handed down.
    pub(super) fn variable(&mut self, item: &Item<'_>, name: &str, value: &str) -> Result<(), Error> {
        let expanded = self.expanded(item, value)?;
        self.handed_down.retain(|known| known != name);
        if text::is_name(name) && expanded.text == text::variable(name) {
            self.handed_down.push(name.to_string());
        } else {
            self.refer(item, expanded.variables);
            self.process.set_env(name, expanded.text);
        }
        Ok(())
    }

    /// A text of a key in which the monitor expands nothing; `None`, and a note: a variable stands in it.
    pub(super) fn plain(&mut self, item: &Item<'_>) -> Result<Option<String>, Error> {
        let expanded = self.expanded(item, &item.raw()?)?;
        if expanded.variables.is_empty() {
            return Ok(Some(expanded.text));
        }
        let names = expanded.variables.join(", ");
        self.lost(item, &format!("no variable is expanded here ({names}); write the value into the process file"));
        Ok(None)
    }

    /// The words of a list, or of a line that is split as a shell would.
    pub(super) fn words(&mut self, item: &Item<'_>) -> Result<Vec<String>, Error> {
        if !item.is_list() {
            let line = self.text(item)?;
            let words = text::words(&line).map_err(|message| item.error(message))?;
            if words.iter().any(|word| text::refers(word)) {
                self.remark(item, "a variable in it is part of one word, whatever blanks are in its value");
            }
            return Ok(words);
        }
        let mut words = Vec::new();
        for word in item.items()? {
            words.push(self.text(&word)?);
        }
        Ok(words)
    }

    /// A command that the monitor runs as it is: where a variable stands in it, by way of a shell.
    pub(super) fn hook(&mut self, item: &Item<'_>) -> Result<Vec<String>, Error> {
        let words = self.words(item)?;
        Ok(self.by_shell(item, words))
    }

    pub(super) fn by_shell(&mut self, item: &Item<'_>, words: Vec<String>) -> Vec<String> {
        if !words.iter().any(|word| text::refers(word)) {
            return words;
        }
        self.remark(item, "a shell expands the variable in it; it needs /bin/sh");
        let quoted: Vec<String> = words.iter().map(|word| text::quoted(word)).collect();
        vec!["/bin/sh".to_string(), "-c".to_string(), format!("exec {}", quoted.join(" "))]
    }

    pub(super) fn whole(&mut self, item: &Item<'_>) -> Result<Option<i64>, Error> {
        let Some(text) = self.plain(item)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| item.error("expected a whole number"))
    }

    pub(super) fn is_true(&mut self, item: &Item<'_>) -> Result<bool, Error> {
        match self.plain(item)?.as_deref() {
            Some("true" | "yes" | "on" | "y") => Ok(true),
            None | Some("false" | "no" | "off" | "n") => Ok(false),
            Some(_) => Err(item.error("expected true or false")),
        }
    }

    /// A span such as `1m30s`, in seconds. Compose has no bare numbers but 0.
    pub(super) fn span(&mut self, item: &Item<'_>) -> Result<Option<f64>, Error> {
        let Some(text) = self.plain(item)? else { return Ok(None) };
        let is_bare = text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0";
        let span = text::span(&text, 1.0).filter(|_| !is_bare);
        span.map(Some).ok_or_else(|| item.error("expected a span of time, such as 1m30s"))
    }

    /// Sets a key to an amount of memory; 0 and less is none.
    pub(super) fn memory(&mut self, item: &Item<'_>) -> Result<(), Error> {
        let Some(text) = self.plain(item)? else { return Ok(()) };
        if text == "0" || text == "-1" {
            return Ok(());
        }
        let amount = text::memory(&text).ok_or_else(|| item.error("expected an amount of memory, such as 512m"))?;
        self.process.set("resources.limits.memory", amount);
        Ok(())
    }

    pub(super) fn cpus(&mut self, item: &Item<'_>) -> Result<(), Error> {
        let Some(text) = self.plain(item)? else { return Ok(()) };
        let cpus: f64 = text.trim().parse().map_err(|_| item.error("expected a number of processors"))?;
        if cpus > 0.0 {
            self.process.set("resources.limits.cpu", format!("{}m", (cpus * 1000.0).ceil()));
        }
        Ok(())
    }

    pub(super) fn signal(&mut self, item: &Item<'_>) -> Result<(), Error> {
        let Some(text) = self.plain(item)? else { return Ok(()) };
        Signal::parse(&text).ok_or_else(|| item.error("there is no such signal"))?;
        self.process.set("lifecycle.stopSignal", text);
        Ok(())
    }

    /// Plain texts of a list.
    pub(super) fn list(&mut self, item: &Item<'_>) -> Result<Vec<String>, Error> {
        let mut texts = Vec::new();
        for part in item.items()? {
            texts.extend(self.plain(&part)?);
        }
        Ok(texts)
    }

    /// The environment as a whole: the image's, which is the monitor's, and what is taken from where compose is run.
    pub(super) fn finish(mut self) -> Process {
        let mut inherited = vec!["*".to_string()];
        for (name, place, what) in std::mem::take(&mut self.variables) {
            let own = self.process.env.iter().find(|(known, _)| *known == name);
            if own.is_some() {
                let why = format!("${{{name}}} is here what this service's environment sets, and not the monitor's");
                self.process.note_at(Grade::Lost, &place, &what, &why);
            } else if !inherited.contains(&name) {
                inherited.push(name);
            }
        }
        // What all is inherited by is weaker than the files of envFrom.
        let has_files = self.process.has("envFrom");
        for (name, place) in std::mem::take(&mut self.handed_down_if_set) {
            if has_files || inherited.contains(&name) {
                self.process.note_at(Grade::Remark, &place, &format!("environment.{name}"), text::EMPTY_IF_UNSET);
                self.handed_down.push(name);
            }
        }
        for name in std::mem::take(&mut self.handed_down) {
            if !inherited.contains(&name) {
                inherited.push(name);
            }
        }
        self.process.set("envInherit", inherited);
        self.process
    }
}

/// A number where the text is one.
pub(super) fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
}
