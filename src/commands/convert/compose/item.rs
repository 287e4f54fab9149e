//! A value of a compose file with its place and its path.

use super::super::conversion::{Error, Place};
use crate::config::{Tree, TreeValue};

/// A setting, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    pub(super) file: &'a str,
    /// The service: `services.web`; nothing outside of one.
    pub(super) title: &'a str,
    /// `healthcheck.interval`
    pub(super) path: String,
    /// The last part of it, which may have dots of its own.
    pub(super) key: &'a str,
    pub(super) line: usize,
    pub(super) tree: &'a Tree,
}

impl<'a> Item<'a> {
    pub(super) fn new(file: &'a str, title: &'a str, line: usize, tree: &'a Tree) -> Item<'a> {
        Item { file, title, path: String::new(), key: "", line, tree }
    }

    pub(super) fn place(&self) -> Place {
        Place::new(self.file, self.line)
    }

    pub(super) fn error(&self, message: &str) -> Error {
        let what = [self.title, &self.path].join(" ");
        let what = if what.trim().is_empty() { String::new() } else { format!("{}: ", what.trim()) };
        self.place().error(crate::model::shown(format!("{what}{message}").as_bytes(), 1000))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.tree.value, TreeValue::Null)
    }

    fn part(&self, name: &'a str, line: usize, tree: &'a Tree) -> Item<'a> {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Item { file: self.file, title: self.title, path, key: name, line, tree }
    }

    /// The parts of a map.
    pub(super) fn entries(&self) -> Result<Vec<Item<'a>>, Error> {
        match &self.tree.value {
            TreeValue::Map(entries) => {
                Ok(entries.iter().map(|entry| self.part(&entry.key, entry.line, &entry.tree)).collect())
            }
            _ => Err(self.error("expected a map")),
        }
    }

    /// The items of a list, or the one that stands in its place; none of null.
    pub(super) fn items(&self) -> Result<Vec<Item<'a>>, Error> {
        match &self.tree.value {
            TreeValue::Null => Ok(Vec::new()),
            TreeValue::List(items) => {
                Ok(items.iter().map(|tree| Item { line: tree.line, tree, ..self.clone() }).collect())
            }
            TreeValue::Map(_) => Err(self.error("expected a list")),
            TreeValue::Bool(_) | TreeValue::Number(_) | TreeValue::Text(_) => Ok(vec![self.clone()]),
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.tree.value, TreeValue::List(_))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.tree.value, TreeValue::Map(_))
    }

    /// What is written, before `${…}` is looked at.
    pub(super) fn raw(&self) -> Result<String, Error> {
        match &self.tree.value {
            TreeValue::Text(text) | TreeValue::Number(text) => Ok(text.clone()),
            TreeValue::Bool(value) => Ok(value.to_string()),
            TreeValue::Null | TreeValue::List(_) | TreeValue::Map(_) => Err(self.error("expected a text")),
        }
    }
}
