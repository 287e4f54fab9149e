//! `ncolony convert`: what other supervisors are told, as process files; and what has no counterpart here, by name.
//!
//! A reader (`supervisord`, `procfile`, …) is a function from texts to a `Conversion`; `sources` reads what it is
//! given, `write` says it as YAML, `publish` brings it where it is wanted.

mod compose;
mod conversion;
mod finish;
mod guess;
mod procfile;
mod publish;
mod service;
mod sources;
mod supervisord;
mod systemd;
mod text;
mod write;

use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::printed;
use crate::cli::{ConvertArgs, ConvertFrom};
use conversion::{Conversion, Error, Grade, Place};
use sources::{Input, ServiceDir, Source};

/// Nothing was converted: wrong usage, or a file that cannot be read.
const FAILED: u8 = 2;
/// How deep compose files may include each other.
const MOST_INCLUDES: usize = 20;

/// Converts the paths. 0 if everything has a counterpart, 1 if something has none, which is told on stderr, and 2, with
/// nothing written, if a path makes no sense or the files cannot be written.
pub fn run(args: &ConvertArgs) -> ExitCode {
    let converted = convert(args).map_err(|error| error.to_string());
    let done = converted.and_then(|conversion| {
        for note in conversion.all_notes() {
            tell(&format!("{}: {}", note.place, note.message()));
        }
        match &args.output {
            None => printed::write(&publish::stream(&conversion)).map_err(|error| format!("cannot write: {error}"))?,
            Some(dir) => publish::files(&conversion, dir, args.force)?,
        }
        Ok(conversion.all_notes().any(|note| note.grade == Grade::Lost))
    });
    match done {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(message) => {
            tell(&format!("ncolony: {message}"));
            ExitCode::from(FAILED)
        }
    }
}

fn tell(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

fn convert(args: &ConvertArgs) -> Result<Conversion, Error> {
    let mut notes = Conversion::default();
    let mut files: Vec<(ConvertFrom, Source)> = Vec::new();
    let mut services: Vec<(ConvertFrom, ServiceDir)> = Vec::new();
    for path in &args.paths {
        for input in sources::read(path)? {
            let format = args.from.or_else(|| guess::guess(&input));
            match (input, format) {
                (Input::File(source), Some(format)) if !is_of_directories(format) => {
                    let source = with_more(format, source, path, &mut Vec::new(), &mut notes)?;
                    files.push((format, source));
                }
                (Input::Directory(service), Some(format)) if is_of_directories(format) => {
                    services.push((format, service));
                }
                (Input::File(source), Some(_)) => {
                    return Err(source.place(0).error("is a file; a service of s6 or runit is the directory with run"));
                }
                (Input::Directory(service), Some(_)) => {
                    return Err(Place::new(&service.file, 0).error("is a directory; give the files of this format"));
                }
                (Input::File(source), None) => {
                    let message = "cannot tell its format, neither by its name nor by what it holds; give --from";
                    return Err(source.place(0).error(message));
                }
                (Input::Directory(_), None) => {}
            }
        }
    }
    let mut whole = notes;
    let mut of = |format: ConvertFrom| -> Vec<Source> {
        let (taken, rest) = std::mem::take(&mut files).into_iter().partition(|(known, _)| *known == format);
        files = rest;
        taken.into_iter().map(|(_, source): (ConvertFrom, Source)| source).collect()
    };
    let read = [
        supervisord::read(&of(ConvertFrom::Supervisord))?,
        procfile::read(&of(ConvertFrom::Procfile))?,
        systemd::read(&of(ConvertFrom::Systemd))?,
        compose::read(&of(ConvertFrom::Compose))?,
    ];
    for part in read.into_iter().chain([service::read(&services)?]) {
        whole.processes.extend(part.processes);
        whole.notes.extend(part.notes);
    }
    finish::finish(&mut whole)?;
    Ok(whole)
}

fn is_of_directories(format: ConvertFrom) -> bool {
    match format {
        ConvertFrom::S6 | ConvertFrom::Runit => true,
        ConvertFrom::Supervisord | ConvertFrom::Procfile | ConvertFrom::Compose | ConvertFrom::Systemd => false,
    }
}

/// The file with those that it brings in; `above` are those that have brought it in.
fn with_more(
    format: ConvertFrom,
    mut source: Source,
    path: &Path,
    above: &mut Vec<PathBuf>,
    notes: &mut Conversion,
) -> Result<Source, Error> {
    match format {
        ConvertFrom::Supervisord => {
            for (place, pattern) in supervisord::includes(&source)? {
                let found = if text::refers(&pattern) { None } else { sources::matching(&source.dir, &pattern) };
                match found.as_deref() {
                    None => notes.lost(&place, "[include] files", "this pattern is not followed; give the files, too"),
                    Some([]) => notes.remark(&place, "[include] files", "there is no such file here"),
                    Some(found) => {
                        for path in found {
                            source.more.push(sources::file(path)?);
                        }
                    }
                }
            }
        }
        ConvertFrom::Systemd => {
            for path in sources::drop_ins(path) {
                source.more.push(sources::file(&path)?);
            }
        }
        ConvertFrom::Compose => {
            for (name, text) in compose::beside(&source) {
                if source.dir.join(name).exists() {
                    notes.lost(&source.place(0), name, text);
                }
            }
            for (place, included) in compose::included(&source)? {
                match included {
                    compose::Included::Not(why) => notes.lost(&place, "include", why),
                    compose::Included::File(name) => {
                        let path = source.dir.join(name);
                        above.push(source.dir.join(source.base()));
                        if above.contains(&path) || above.len() > MOST_INCLUDES {
                            return Err(place.error("include: it includes itself, or too many"));
                        }
                        let more = sources::file(&path)?;
                        source.more.push(with_more(format, more, &path, above, notes)?);
                        above.pop();
                    }
                }
            }
        }
        ConvertFrom::Procfile => {
            let (grade, text) = procfile::env_file(&source);
            notes.note(grade, &source.place(0), ".env", text);
        }
        ConvertFrom::S6 | ConvertFrom::Runit => {}
    }
    Ok(source)
}
