//! `environment` and `env_file`.

use std::path::Path;

use serde_json::json;

use super::super::conversion::Error;
use super::item::Item;
use super::reading::Reading;
use crate::config::TreeValue;

/// A map, or a list of `NAME=VALUE`; a name without a value is taken from where compose is run.
pub(super) fn environment(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    if item.is_map() {
        for entry in item.entries()? {
            if entry.is_null() {
                reading.handed_down_if_set.push((entry.key.to_string(), entry.place()));
            } else {
                reading.variable(&entry, entry.key, &entry.raw()?)?;
            }
        }
        return Ok(());
    }
    if !item.is_list() {
        return Err(item.error("expected a map, or a list of NAME=VALUE"));
    }
    for entry in item.items()? {
        let whole = match &entry.tree.value {
            TreeValue::Text(text) => Some(text).filter(|text| !text.is_empty() && !text.starts_with('=')),
            TreeValue::Null | TreeValue::Bool(_) | TreeValue::Number(_) | TreeValue::List(_) | TreeValue::Map(_) => {
                None
            }
        };
        let whole = whole.ok_or_else(|| entry.error("expected NAME=VALUE, or a NAME"))?;
        match whole.split_once('=') {
            Some((name, value)) => {
                let entry = Item { path: format!("environment.{name}"), ..entry.clone() };
                reading.variable(&entry, name, value)?;
            }
            None => reading.handed_down_if_set.push((whole.clone(), entry.place())),
        }
    }
    Ok(())
}

pub(super) fn files(item: &Item<'_>, dir: &Path, reading: &mut Reading) -> Result<(), Error> {
    let one = [item.clone()];
    let listed = if item.is_map() { one.to_vec() } else { item.items()? };
    for file in listed {
        let (mut path, mut is_optional, mut is_raw) = (None, false, false);
        if file.is_map() {
            for part in file.entries()? {
                match part.key {
                    "path" => path = Some(part.clone()),
                    "required" => is_optional = !reading.is_true(&part)?,
                    "format" => is_raw = part.raw()? == "raw",
                    _ => return Err(part.error("compose knows path, required and format")),
                }
            }
        } else {
            path = Some(file.clone());
        }
        let path = path.ok_or_else(|| file.error("expected a path"))?;
        let Some(path) = reading.plain(&path)? else { continue };
        let path = dir.join(path.strip_prefix("./").unwrap_or(&path)).display().to_string();
        let entry = if is_optional { json!({"file": path, "optional": true}) } else { json!({"file": path}) };
        reading.process.push("envFrom", entry);
        if !is_raw {
            let text = "of its lines all behind the first = is the value, quotes and ${…} too";
            reading.remark(&file, text);
        }
    }
    Ok(())
}
