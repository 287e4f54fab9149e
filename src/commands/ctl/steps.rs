//! What is to be done to process files: planned as a whole, judged by the monitor's own code, and only then carried out.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process;

use super::error::Error;
use super::files;
use super::sources::Source;
use crate::config::{self, AmendError, Change, Defaults, Diagnostic, Trust};
use crate::messages::{publish_over, sync_directory};
use crate::model::Name;

/// One file that is to be written.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: Name,
    /// Where the process is described now.
    pub(super) old: Option<PathBuf>,
    /// Where it is to be.
    pub(super) new: PathBuf,
    pub(super) before: Vec<u8>,
    pub(super) text: Vec<u8>,
}

/// What a step comes to, in kubectl's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    Created,
    Configured,
    Unchanged,
}

impl Deed {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Deed::Created => "created",
            Deed::Configured => "configured",
            Deed::Unchanged => "unchanged",
        }
    }
}

impl Step {
    pub(super) fn deed(&self) -> Deed {
        match &self.old {
            None => Deed::Created,
            Some(old) if *old == self.new && self.before == self.text => Deed::Unchanged,
            Some(_) => Deed::Configured,
        }
    }

    /// Writes the file. There is one of its process at every moment, and it is whole.
    fn carry_out(&self, dir: &Path) -> Result<(), Error> {
        let failed = |path: &Path, source| Error::Write { path: path.to_path_buf(), source };
        let path = self.old.as_ref().unwrap_or(&self.new);
        publish(dir, path, &self.text).map_err(|source| failed(path, source))?;
        if *path != self.new {
            // Its name tells JSON from YAML to people; the monitor looks at the text.
            fs::rename(path, &self.new).map_err(|source| failed(&self.new, source))?;
        }
        Ok(())
    }
}

/// Writes a process file, which is replaced as a whole or left as it is.
pub(super) fn publish(dir: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    // Hidden, so that two at once do not meet, and no name is too long for it.
    let beside = dir.join(format!(".ncolony.{}.new", process::id()));
    let mode = mode(path);
    match publish_over(path, &beside, text, mode) {
        // Of one with our pid that was killed before it was done.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&beside)?;
            publish_over(path, &beside, text, mode)
        }
        done => done,
    }
}

/// With which mode a file is written. Whoever has closed it to others meant it.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode() & 0o777)
}

/// The steps that make the directory hold these files.
pub(super) fn of_sources(dir: &Path, sources: Vec<Source>) -> Result<Vec<Step>, Error> {
    let step = |source: Source| {
        let old = files::one_of(dir, source.name.as_str())?;
        let before = old.as_deref().map(files::read).transpose()?.unwrap_or_default();
        let new = dir.join(&source.file);
        own(Step { name: source.name, old, new, before, text: source.text })
    };
    sources.into_iter().map(step).collect()
}

/// The step that sets a key of a process's file to a value, and leaves all else in it as it is.
pub(super) fn of_key(dir: &Path, name: &Name, (key, value): (&'static str, &str)) -> Result<Step, Error> {
    let Some(path) = files::one_of(dir, name.as_str())? else {
        return Err(files::unknown(dir, name.as_str()));
    };
    let before = files::read(&path)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let text = match is_so(&file, &before, key, value) {
        true => before.clone(),
        false => match config::amend(&file, &before, (key, value), &Defaults::STANDARD) {
            Ok(text) => text.into_bytes(),
            Err(AmendError::Refused(told)) => return Err(Error::Refused(told)),
            Err(AmendError::Entangled) => {
                return Err(Error::Entangled { path, key, value: value.to_string() });
            }
        },
    };
    own(Step { name: name.clone(), old: Some(path.clone()), new: path, before, text })
}

/// Whether the file says so already, if only by its silence.
fn is_so(file: &str, text: &[u8], key: &str, value: &str) -> bool {
    config::parse(file, text, &Defaults::STANDARD).is_ok_and(|manifest| match key {
        "suspend" => manifest.spec.suspend.to_string() == value,
        _ => manifest.replicas.map_or("1".to_string(), |replicas| replicas.to_string()) == value,
    })
}

/// What is behind a link is somebody else's file, which would be cut off.
fn own(step: Step) -> Result<Step, Error> {
    let target = step.old.as_ref().and_then(|old| fs::read_link(old).ok());
    match (target, step.deed()) {
        (Some(target), Deed::Created | Deed::Configured) => Err(Error::Link { path: step.new, target }),
        (_, _) => Ok(step),
    }
}

/// Looks whether the monitor would take all of it, beside what is there; says what it would warn of.
pub(super) fn rehearse(dir: &Path, steps: &[Step]) -> Result<(), Error> {
    let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let moves: Vec<(Option<String>, String, &[u8])> =
        steps.iter().map(|step| (step.old.as_deref().map(file), file(&step.new), &*step.text)).collect();
    let gone = moves.iter().filter_map(|(old, new, _)| old.as_deref().filter(|old| old != new));
    let gone = gone.map(|file| Change { file, text: None });
    let come = moves.iter().map(|(_, new, text)| Change { file: new, text: Some(text) });
    let changes: Vec<Change> = gone.chain(come).collect();
    let told = config::rehearse(dir, &changes, &Defaults::STANDARD).map_err(Error::Unlisted)?;
    // First, as an unknown key may be why another is missing.
    for diagnostic in told.warned {
        super::note(&diagnostic.to_string());
    }
    match told.refused.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(told.refused)),
    }
}

/// Looks whether the monitor would take files there that whoever this is writes.
pub(super) fn trusted(dir: &Path, steps: &[Step], trust: &Trust) -> Result<(), Error> {
    let uid = nix::unistd::geteuid().as_raw();
    let of = |step: &Step| {
        let path = step.old.as_ref().unwrap_or(&step.new);
        let why = trust.of_writing(dir, uid, mode(path)).err()?;
        Some(Diagnostic::of_file(&step.new.file_name().unwrap_or_default().to_string_lossy(), why))
    };
    let refused: Vec<Diagnostic> = steps.iter().filter_map(of).collect();
    if refused.is_empty() { Ok(()) } else { Err(Error::Refused(refused)) }
}

/// Carries the steps out, and says of each what it was, by `word` if it changed something.
pub(super) fn carry_out(dir: &Path, steps: &[Step], word: Option<&str>, is_dry: bool) -> Result<(), Error> {
    for step in steps {
        let deed = step.deed();
        if !is_dry && deed != Deed::Unchanged {
            step.carry_out(dir)?;
        }
        let word = word.filter(|_| deed != Deed::Unchanged).unwrap_or(deed.as_str());
        super::say(&step.name, word, is_dry);
    }
    if is_dry {
        return Ok(());
    }
    sync_directory(dir).map_err(|source| Error::Write { path: dir.to_path_buf(), source })
}
