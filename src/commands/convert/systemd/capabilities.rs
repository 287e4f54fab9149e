//! What a process may ever have (`CapabilityBoundingSet`), and what it has without being root (`AmbientCapabilities`).

use super::super::conversion::{Error, Grade, Process};
use super::unit::{Setting, Unit};
use crate::model::CapabilitySet;

const BOUND: &str = "CapabilityBoundingSet";
const AMBIENT: &str = "AmbientCapabilities";

pub(super) fn capabilities(unit: &Unit, process: &mut Process) -> Result<(), Error> {
    let mut added = 0;
    if let Some((setting, bound)) = set(unit, BOUND, u64::MAX)? {
        let is_root = unit.get("User").is_none_or(|user| user.value == "root" || user.value == "0");
        if has_others(bound) {
            name(process, "drop", !bound);
        } else {
            process.set("securityContext.capabilities.drop", vec!["ALL"]);
            if is_root {
                added = bound;
            } else if bound != 0 {
                let text =
                    "a bound alone gives this user nothing, so all are dropped; those of AmbientCapabilities stay";
                process.note_at(Grade::Remark, &setting.place, BOUND, text);
            }
        }
    }
    match set(unit, AMBIENT, 0)? {
        Some((setting, ambient)) if has_others(ambient) => {
            process.note_at(Grade::Lost, &setting.place, AMBIENT, "name the capabilities that are to be added");
        }
        Some((_, ambient)) => added |= ambient,
        None => {}
    }
    name(process, "add", added);
    Ok(())
}

/// The set that all settings of a key make, and the last of them. Each adds to those before it, or behind `~` takes from
/// them; one that names none, and the first, begins anew.
fn set<'u>(unit: &'u Unit, key: &str, unsaid: u64) -> Result<Option<(&'u Setting, u64)>, Error> {
    let mut found = None;
    for setting in unit.all(key) {
        let before = found.map_or(unsaid, |(_, set)| set);
        let mut named = 0;
        for name in setting.value.trim_start_matches('~').split_whitespace() {
            let known = CapabilitySet::parse(name);
            named |= known.ok_or_else(|| setting.error(&format!("there is no capability {name}")))?.bits();
        }
        let begins = named == 0 || before == unsaid;
        let set = match setting.value.starts_with('~') {
            true if begins => !named,
            true => before & !named,
            false if begins => named,
            false => before | named,
        };
        found = Some((setting, set));
    }
    Ok(found)
}

/// Whether those are in it that have no name: then it is all but some.
fn has_others(set: u64) -> bool {
    set & 1 << 63 != 0
}

fn name(process: &mut Process, key: &str, set: u64) {
    let is_in = |name: &&str| CapabilitySet::parse(name).is_some_and(|one| !one.is_all() && set & one.bits() != 0);
    let names: Vec<&str> = CapabilitySet::names().filter(is_in).collect();
    if !names.is_empty() {
        process.set(&format!("securityContext.capabilities.{key}"), names);
    }
}
