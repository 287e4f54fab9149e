//! `ncolony check`, by its exit status.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use ncolony::cli::CheckArgs;
use ncolony::config::Trust;
use ncolony_commands::check;
use tempfile::TempDir;

fn run(path: &Path) -> bool {
    let code = check::run(&CheckArgs { path: path.to_path_buf() }, &Trust::default());
    // ExitCode has no equality of its own.
    format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
}

#[test]
fn good_directories_and_files_pass() {
    let dir = TempDir::new().expect("a directory");
    assert!(run(dir.path()), "an empty one is no mistake");
    fs::write(dir.path().join("web.yaml"), "args: [a]\nworking_dir: only a warning").expect("a file");
    assert!(run(dir.path()));
    assert!(run(&dir.path().join("web.yaml")));
}

#[test]
fn one_bad_file_fails() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("good"), "args: [a]").expect("a file");
    fs::write(dir.path().join("bad"), "args: a").expect("a file");
    assert!(!run(dir.path()));
    assert!(!run(&dir.path().join("bad")));
    assert!(run(&dir.path().join("good")));
}

#[test]
fn what_files_say_of_each_other_is_found_in_a_directory_alone() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("web"), "args: [a]\ndependsOn: [db]").expect("a file");
    assert!(!run(dir.path()), "an unknown name");
    assert!(run(&dir.path().join("web")), "who is to know");
    fs::write(dir.path().join("db"), "args: [a]\ndependsOn: [web]").expect("a file");
    assert!(!run(dir.path()), "a circle");
    fs::write(dir.path().join("db"), "args: [a]").expect("a file");
    assert!(run(dir.path()));
    fs::write(dir.path().join("web"), "args: [a]\ndependsOn: [web]").expect("a file");
    assert!(!run(&dir.path().join("web")), "that one can be told of a file alone");
}

#[test]
fn a_path_that_leads_nowhere_fails() {
    let dir = TempDir::new().expect("a directory");
    assert!(!run(&dir.path().join("missing")));
    assert!(!run(&dir.path().join("missing/file")));
}
