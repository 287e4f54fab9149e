//! Compose files: the services of `compose.yaml`, each a process of one container.
//!
//! A service's own container has no counterpart: its image, mounts and networks are those of the container in which the
//! monitor runs. So the image's variables are the monitor's, and its entrypoint is not known.

mod deploy;
mod environment;
mod extends;
mod health;
mod include;
mod interpolate;
mod item;
mod reading;
mod service;
mod settings;

use super::conversion::{Conversion, Error, Grade};
use super::sources::Source;
use crate::config::read_yaml;
pub(super) use include::{Included, included};
use item::Item;

pub(super) fn read(sources: &[Source]) -> Result<Conversion, Error> {
    let mut conversion = Conversion::default();
    for source in sources {
        one(source, &mut conversion)?;
        let more = read(&source.more)?;
        conversion.processes.extend(more.processes);
        conversion.notes.extend(more.notes);
    }
    Ok(conversion)
}

/// Files that compose brings in by their names, if they lie beside this one, and what to say of them.
pub(super) fn beside(source: &Source) -> Vec<(&'static str, &'static str)> {
    const MERGED: &str = "compose merges this file into it; convert what docker compose config prints";
    const VARIABLES: &str = "compose takes ${…} from this file; give its variables to the monitor's environment";
    let overrides: &[&'static str] = match source.base() {
        "compose.yaml" | "compose.yml" => &["compose.override.yaml", "compose.override.yml"],
        "docker-compose.yaml" | "docker-compose.yml" => {
            &["docker-compose.override.yaml", "docker-compose.override.yml"]
        }
        _ => &[],
    };
    let mut found: Vec<(&'static str, &'static str)> = overrides.iter().map(|name| (*name, MERGED)).collect();
    if source.text.contains('$') {
        found.push((".env", VARIABLES));
    }
    found
}

fn one(source: &Source, conversion: &mut Conversion) -> Result<(), Error> {
    let root = read_yaml(&source.text).map_err(|(line, message)| source.place(line).error(message))?;
    let root = Item::new(&source.file, "", root.line, &root);
    let top = root.entries()?;
    // What is included has been looked at where it was read.
    for item in top.iter().filter(|item| item.path != "services" && item.path != "include") {
        match settings::of_the_file(&item.path) {
            (Grade::Lost, text) => conversion.lost(&item.place(), &item.path, text),
            (Grade::Remark, text) => conversion.remark(&item.place(), &item.path, text),
        }
    }
    let Some(services) = top.iter().find(|item| item.path == "services") else {
        if source.more.is_empty() {
            return Err(source.place(0).error("there is no \"services\" in it"));
        }
        return Ok(());
    };
    let before = conversion.processes.len();
    for item in services.entries()? {
        let tree = extends::resolved(services, &item)?;
        let title = item.path.clone();
        let item = Item::new(item.file, &title, item.line, &tree);
        service::service(&item, &source.dir, conversion)?;
    }
    if conversion.processes.len() == before {
        let message = "no service in it has a command or an entrypoint, and what an image runs is not known here";
        return Err(services.place().error(message));
    }
    Ok(())
}
