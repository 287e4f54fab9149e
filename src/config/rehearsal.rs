//! What the monitor would say of a directory if some of its files were others: judged by its own code, and nothing written.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::path::Path;

use crate::model::Moment;

use super::diagnostic::{Diagnostic, Severity};
use super::directory;
use super::entries::Entries;
use super::file::Trust;
use super::manifest::Defaults;
use super::news::News;
use super::slots::Slots;

/// A file that is to be another.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Its name in the directory.
    pub file: &'a str,
    /// What it is to hold; `None`: it is to go.
    pub text: Option<&'a [u8]>,
}

/// What would be said of what is written, and of other files that is not said now.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// Why files would be refused: those that are written, and others that were good.
    pub refused: Vec<Diagnostic>,
    /// What their writers may want to know.
    pub warned: Vec<Diagnostic>,
}

/// Judges the directory as it would be. What is wrong already with files that are not written is not repeated.
///
/// # Errors
/// The directory cannot be listed; why.
pub fn rehearse(dir: &Path, changes: &[Change<'_>], defaults: &Defaults) -> Result<Rehearsal, String> {
    let listing = directory::list(dir)?;
    let mut entries = Entries::new(*defaults, Trust::default());
    entries.look(listing.dir.as_fd(), &listing.names, Moment::ZERO, &mut Vec::new());
    let before = said(&entries);
    for change in changes {
        entries.suppose(change.file, change.text);
    }
    let mut rehearsal = Rehearsal::default();
    // Which name is nearest may change by another's file.
    let about = |told: &Diagnostic| (told.file.clone(), told.place, told.what.clone(), told.message.clone());
    let known: Vec<_> = before.iter().map(about).collect();
    let after = said(&entries);
    // Whoever writes a file asks whether it is taken: if not, all is said of it, even if none of it is new.
    let is_written = |file: &str| changes.iter().any(|change| change.text.is_some() && change.file == file);
    let asked: BTreeSet<String> = after
        .iter()
        .filter(|told| told.severity == Severity::Error && is_written(&told.file))
        .map(|told| told.file.clone())
        .collect();
    let is_news = |told: &Diagnostic| asked.contains(&told.file) || !known.contains(&about(told));
    for diagnostic in after.into_iter().filter(is_news) {
        match diagnostic.severity {
            Severity::Error => rehearsal.refused.push(diagnostic),
            Severity::Warning => rehearsal.warned.push(diagnostic),
        }
    }
    Ok(rehearsal)
}

/// All that there is to say of files, as to a monitor that sees them for the first time.
fn said(entries: &Entries) -> Vec<Diagnostic> {
    let mut news = Vec::new();
    Slots::default().settle(entries.files(), None, Moment::ZERO, &mut news);
    let mut said = Vec::new();
    for news in news {
        match news {
            News::Refused { diagnostics, .. } | News::Warned { diagnostics, .. } => said.extend(diagnostics),
            News::Mended { .. }
            | News::Ignored { .. }
            | News::Distrusted(_)
            | News::Trusted
            | News::Unlisted(_)
            | News::Listed => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Change, Rehearsal, rehearse};
    use crate::config::Defaults;

    fn tried(files: &[(&str, &str)], changes: &[(&str, Option<&str>)]) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().expect("a directory");
        for (file, text) in files {
            fs::write(dir.path().join(file), text).expect("a file");
        }
        let changes: Vec<Change> =
            changes.iter().map(|(file, text)| Change { file, text: text.map(str::as_bytes) }).collect();
        let Rehearsal { refused, warned } = rehearse(dir.path(), &changes, &Defaults::STANDARD).expect("a directory");
        assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), files.len(), "nothing is written");
        let lines = |told: Vec<super::Diagnostic>| told.iter().map(super::Diagnostic::summary).collect();
        (lines(refused), lines(warned))
    }

    #[test]
    fn what_a_change_would_break_is_told_also_in_files_that_it_leaves_alone() {
        let files = [("web.yaml", "args: [a]\ndependsOn: [db]\n"), ("db", "args: [b]"), ("bad", "args: b")];
        assert_eq!(tried(&files, &[("db", Some("args: [c]"))]), (vec![], vec![]), "what is wrong is so already");
        let (refused, _) = tried(&files, &[("db", None)]);
        assert_eq!(refused, ["web.yaml:2:13: dependsOn[0]: no process file describes \"db\""]);
        assert_eq!(tried(&files, &[("db", None), ("web.yaml", None)]), (vec![], vec![]));
        let (refused, _) = tried(&files, &[("db", Some("args: [b]\ndependsOn: [web]"))]);
        assert_eq!(refused.len(), 2, "both are in the circle: {refused:?}");
        let (refused, _) = tried(&files, &[("db-0", Some("args: [b]")), ("db", Some("args: [b]\nreplicas: 1"))]);
        assert!(refused.iter().any(|line| line.contains("describe the same process, db-0")), "{refused:?}");
        let (refused, _) = tried(&files, &[("db.json", Some("{\"args\": [\"b\"]}"))]);
        assert!(refused.iter().any(|line| line.contains("db and db.json describe the same process")), "{refused:?}");
    }

    #[test]
    fn warnings_are_told_apart_and_a_new_file_is_one_of_all() {
        let (refused, warned) = tried(&[("db", "args: [b]")], &[("web", Some("args: [a]\ndependsOn: [db]\narsg: 1"))]);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(warned, ["web:3:1: warning: unknown key \"arsg\", taken for one of the application's own"]);
    }

    #[test]
    fn a_file_that_is_written_as_it_is_is_refused_as_before() {
        let files = [("bad", "args: b"), ("web", "args: [a]\ndependsOn: [dc]"), ("good", "args: [a]\narsg: 1")];
        for (file, text) in &files[..2] {
            assert_eq!(tried(&files, &[(file, Some(text))]).0.len(), 1, "{file}");
        }
        assert_eq!(tried(&files, &[("good", Some(files[2].1))]), (vec![], vec![]), "a warning is not repeated");
    }

    #[test]
    fn a_directory_that_is_none_is_an_error() {
        let told = rehearse(std::path::Path::new("/nowhere"), &[], &Defaults::STANDARD).expect_err("no directory");
        assert!(told.starts_with("cannot open /nowhere"), "{told}");
    }

    #[test]
    fn what_is_wrong_already_is_not_repeated_where_another_name_is_nearest() {
        let files = [("web.yaml", "args: [a]\ndependsOn: [db]\n"), ("dba", "args: [a]\n")];
        assert_eq!(tried(&files, &[("dba", None)]), (vec![], vec![]));
    }
}
