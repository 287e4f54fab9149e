//! `extends`: a service that begins as another one.

use super::super::conversion::Error;
use super::item::Item;
use crate::config::{Tree, TreeEntry, TreeValue};

/// How many services may extend one another.
const MAX_CHAIN: usize = 32;

/// Settings of which one replaces the other as a whole.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];

/// The service with what it takes from those of the same file that it extends.
pub(super) fn resolved(services: &Item<'_>, service: &Item<'_>) -> Result<Tree, Error> {
    let mut tree = service.tree.clone();
    for _ in 0..MAX_CHAIN {
        let Some(base) = base(services, service, &mut tree)? else { return Ok(tree) };
        tree = merged(&base, tree);
    }
    Err(service.error("it extends more than 32 services, or itself"))
}

/// Takes `extends` out and returns the service that it names; one of another file stays, and nothing comes of it.
fn base(services: &Item<'_>, service: &Item<'_>, tree: &mut Tree) -> Result<Option<Tree>, Error> {
    let TreeValue::Map(entries) = &mut tree.value else { return Err(service.error("expected a map")) };
    let Some(at) = entries.iter().position(|entry| entry.key == "extends") else { return Ok(None) };
    let named = Item { path: "extends".to_string(), key: "extends", title: &service.path, ..service.clone() };
    let named = Item { line: entries[at].line, tree: &entries[at].tree, ..named };
    let name = if named.is_map() {
        let parts = named.entries()?;
        if parts.iter().any(|part| part.key == "file") {
            return Ok(None);
        }
        let name = parts.iter().find(|part| part.key == "service");
        name.ok_or_else(|| named.error("expected the name of a service"))?.raw()?
    } else {
        named.raw()?
    };
    let TreeValue::Map(all) = &services.tree.value else { return Err(services.error("expected a map")) };
    let Some(other) = all.iter().find(|other| other.key == name) else {
        return Err(named.error(&format!("there is no service {name}")));
    };
    if !matches!(other.tree.value, TreeValue::Map(_)) {
        return Err(named.error(&format!("the service {name} is no map")));
    }
    entries.remove(at);
    Ok(Some(other.tree.clone()))
}

/// Maps are merged and lists joined; of anything else the own one counts.
fn merged(base: &Tree, own: Tree) -> Tree {
    let line = own.line;
    let value = match (&base.value, own.value) {
        (TreeValue::Map(base), TreeValue::Map(own)) => TreeValue::Map(merged_maps(base, own)),
        (TreeValue::List(base), TreeValue::List(own)) => {
            let mut items = base.clone();
            items.extend(own);
            TreeValue::List(items)
        }
        (_, own) => own,
    };
    Tree { line, value }
}

fn merged_maps(base: &[TreeEntry], own: Vec<TreeEntry>) -> Vec<TreeEntry> {
    let mut entries = own;
    for other in base {
        let Some(known) = entries.iter_mut().find(|entry| entry.key == other.key) else {
            entries.push(other.clone());
            continue;
        };
        if REPLACED.contains(&other.key.as_str()) {
            continue;
        }
        let empty = Tree { line: known.tree.line, value: TreeValue::Null };
        let tree = std::mem::replace(&mut known.tree, empty);
        known.tree = match other.key.as_str() {
            // Each may be a list or a map, and the one is no reason to forget the other.
            "environment" | "depends_on" => merged(&as_map(other.tree.clone()), as_map(tree)),
            _ => merged(&other.tree, tree),
        };
    }
    entries
}

/// `[A=1, B]` as `{A: 1, B: null}`
fn as_map(tree: Tree) -> Tree {
    let is_text = |item: &Tree| matches!(item.value, TreeValue::Text(_));
    let items = match tree.value {
        TreeValue::List(items) if items.iter().all(is_text) => items,
        value => return Tree { line: tree.line, value },
    };
    let mut entries = Vec::new();
    for item in items {
        if let TreeValue::Text(text) = item.value {
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key, TreeValue::Text(value.to_string())),
                None => (text.as_str(), TreeValue::Null),
            };
            let tree = Tree { line: item.line, value };
            entries.retain(|known: &TreeEntry| known.key != key);
            entries.push(TreeEntry { key: key.to_string(), line: item.line, tree });
        }
    }
    Tree { line: tree.line, value: TreeValue::Map(entries) }
}
