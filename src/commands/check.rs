//! `ncolony check`: the monitor's own reader, without a monitor.

use std::io::{Write as _, stderr};
use std::path::Path;
use std::process::ExitCode;

use super::printed::print;
use crate::cli::CheckArgs;
use crate::config::{self, Defaults, Diagnostic, Directory, News, Severity, Trust};
use crate::model::Moment;

/// What was found.
struct Verdict {
    good: usize,
    bad: usize,
}

/// Judges the files of a directory, or one file; says on stderr what is wrong and on stdout how many are good.
/// 0 if all are, else 1. Whose a directory's files may be, `trust` says.
pub fn run(args: &CheckArgs, trust: &Trust) -> ExitCode {
    let checked = if args.path.is_dir() { check_directory(&args.path, trust) } else { check_file(&args.path) };
    let Verdict { good, bad } = match checked {
        Ok(verdict) => verdict,
        Err(message) => {
            tell(&format!("ncolony: {message}"));
            return ExitCode::FAILURE;
        }
    };
    let files = |count: usize| if count == 1 { "process file is" } else { "process files are" };
    let all = good + bad;
    let summary = match bad {
        0 if all == 0 => format!("no process files in {}", args.path.display()),
        0 => format!("{all} {} good", files(all)),
        1 => format!("1 of {all} process files is bad"),
        bad => format!("{bad} of {all} process files are bad"),
    };
    let printed = print(&format!("{summary}\n"));
    if bad == 0 { printed } else { ExitCode::FAILURE }
}

fn check_directory(path: &Path, trust: &Trust) -> Result<Verdict, String> {
    let mut directory = Directory::new(path, Defaults::STANDARD, trust.clone());
    let scan = directory.scan(Moment::ZERO);
    if let Some(error) = scan.dir_error {
        return Err(error);
    }
    // What is told of only after it has lasted, such as a link to nothing, is told of here.
    let again = directory.scan(Moment::NEVER);
    for news in scan.news.into_iter().chain(again.news) {
        match news {
            News::Refused { diagnostics, .. } | News::Warned { diagnostics, .. } => show(diagnostics, path),
            News::Mended { .. }
            | News::Ignored { .. }
            | News::Unlisted(_)
            | News::Listed
            | News::Distrusted(_)
            | News::Trusted => tell(&format!("{news}\n")),
        }
    }
    Ok(Verdict { good: scan.files, bad: scan.errors.len() })
}

fn check_file(path: &Path) -> Result<Verdict, String> {
    let diagnostics = config::check_file(path, &Defaults::STANDARD)?;
    let is_bad = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    show(diagnostics, path.parent().unwrap_or(Path::new("")));
    Ok(Verdict { good: usize::from(!is_bad), bad: usize::from(is_bad) })
}

/// Prints diagnostics with the files' names as they are found from here.
fn show(diagnostics: Vec<Diagnostic>, dir: &Path) {
    for diagnostic in diagnostics {
        let file = dir.join(&diagnostic.file).display().to_string();
        tell(&format!("{}\n", Diagnostic { file, ..diagnostic }));
    }
}

fn tell(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}
