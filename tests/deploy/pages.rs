//! The pages below `deploy/` are held to what they name.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory as _;
use ncolony::cli::Cli;

use crate::trees::{TREES, containers, items, objects, pod, text};

const POD: &str = include_str!("../../deploy/README.md");
const MIGRATION: &str = include_str!("../../deploy/migration.md");

/// What stands between backticks, in code alone.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The keys that process files may have, as the parser has them.
fn keys() -> BTreeSet<&'static str> {
    let list = include_str!("../../src/config/schema.rs");
    let list = list.split_once("const OURS: &[&str] = &[").expect("the list of keys").1;
    let list = list.split_once(']').expect("its end").0;
    list.split('"').skip(1).step_by(2).collect()
}

/// The rows of all tables, each as its cells.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
}

fn is_program(word: &str) -> bool {
    let command = Cli::command();
    word.strip_prefix("ncolony ").is_some_and(|name| command.find_subcommand(name).is_some())
}

fn is_flag(word: &str) -> bool {
    let command = Cli::command();
    let run = command.find_subcommand("run").expect("a program");
    word.strip_prefix("--").is_some_and(|name| run.get_arguments().any(|arg| arg.get_long() == Some(name)))
}

#[test]
fn what_takes_a_things_place_is_a_key_a_flag_or_a_program() {
    let keys = keys();
    let mut seen = 0;
    for row in rows(MIGRATION).filter(|row| row.get(1).is_some_and(|here| *here != "here")) {
        assert!(row.len() >= 2 && (row[1] == "–" || words(row[1]).next().is_some()), "{row:?}");
        for word in words(row[1]) {
            // `lifecycle.stopSignal`, `suspend: true`, `ncolony.beatcheck`
            let key = word.split([':', ' ']).next().unwrap_or_default();
            let is_key = keys.contains(key) || keys.contains(key.split('.').next().unwrap_or_default());
            assert!(is_key || is_flag(word) || is_program(word), "{word} is none: {row:?}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let mut seen = 0;
    for test in words(POD).filter_map(|word| word.strip_prefix("podman::")) {
        let (module, name) = test.split_once("::").expect("a module and a test");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/podman/{module}.rs"));
        let source = std::fs::read_to_string(file).expect("the module");
        assert!(source.contains(&format!("fn {name}()")), "{test}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn every_path_that_a_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named =
        |word: &&str| word.starts_with("deploy/") || word.starts_with("overlays/") || word.starts_with("components/");
    let all = words(POD).flat_map(|word| word.split([' ', '\n'])).chain(POD.split([' ', '\n']));
    let mut seen = BTreeSet::new();
    for path in all.filter(named) {
        let path = path.trim_end_matches(['.', ',', ';', '`', ':']).trim_end_matches('/');
        assert!(root.join(path).exists() || root.join("deploy").join(path).exists(), "there is no {path}");
        seen.insert(path);
    }
    assert!(seen.len() > 6, "{seen:?}");
    // And each folder has its row.
    for entry in std::fs::read_dir(root.join("deploy")).expect("a directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_told = rows(POD).any(|row| row[0].trim_start_matches('`').starts_with(&name));
        assert!(is_told || ["README.md", "migration.md", "image"].contains(&name.as_str()), "no row for {name}");
    }
}

#[test]
fn the_flags_of_the_page_and_of_the_manifests_are_flags() {
    // Without the blocks of commands, which are others' too.
    let prose: String = POD.split("```").step_by(2).collect();
    let theirs = ["--test"];
    for word in words(&prose).flat_map(|word| word.split(' ')).filter(|word| word.starts_with("--")) {
        assert!(is_flag(word) || theirs.contains(&word), "{word}");
    }
    let mut seen = 0;
    for (tree, _) in TREES {
        let Some(objects) = objects(tree) else { return };
        for container in objects.iter().filter_map(pod).flat_map(containers) {
            let args: Vec<&str> = items(&container["args"]).map(text).collect();
            let line = ["ncolony"].iter().chain(&args);
            assert!(Cli::command().try_get_matches_from(line).is_ok(), "{tree}: {args:?}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}
