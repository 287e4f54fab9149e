//! The manifests of `deploy/`: rendered, held to Kubernetes' schemas, to checkov, and to rules of our own.

mod files;
#[path = "../needs/mod.rs"]
mod needs;
mod operator;
mod pages;
mod rules;
mod trees;

use std::fs;
use std::path::{Path, PathBuf};

use crate::trees::{TREES, rendered, tool};

/// The newest version whose schemas the validator has.
const NEWEST: u32 = 37;

#[test]
fn every_tree_is_valid_for_the_oldest_kubernetes_that_knows_what_it_uses_and_for_the_newest() {
    for (tree, oldest) in TREES {
        let Some(text) = rendered(tree) else { return };
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("a file");
        for version in [oldest, NEWEST] {
            let mut command = tool("kubernetes-validate").expect("as kubectl");
            command.args(["--strict", "--no-warn", "-k", &format!("1.{version}")]).arg(file.path());
            let output = command.output().expect("it is there");
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("INFO"), "{tree}, 1.{version}: {said}");
        }
    }
}

#[test]
fn checkov_finds_nothing() {
    // It passes over what is hidden, as tempfile's own names are.
    let dir = tempfile::Builder::new().prefix("checkov").tempdir().expect("a directory");
    for (tree, _) in TREES {
        let Some(text) = rendered(tree) else { return };
        fs::write(dir.path().join(format!("{}.yaml", tree.replace('/', "-"))), text).expect("a file");
    }
    let mut command = tool("checkov").expect("as kubectl");
    command.args(["--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "--directory"]);
    let output = command.arg(dir.path()).output().expect("it is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("Failed checks: 0"), "{said}");
}

#[test]
fn hadolint_finds_nothing() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for file in ["Containerfile", "example/Containerfile"] {
        let Some(mut command) = tool("hadolint") else { return };
        let output = command.arg(deploy.join(file)).output().expect("it is there");
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// All files below a directory.
fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

#[test]
fn what_the_sources_include_is_let_into_the_build_of_the_image() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignore = fs::read_to_string(root.join(".dockerignore")).expect("it is there");
    let let_in: Vec<PathBuf> = ignore.lines().filter_map(|line| Some(root.join(line.strip_prefix('!')?))).collect();
    let mut seen = 0;
    for source in below(&root.join("src")).iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let text = fs::read_to_string(source).expect("a source");
        for included in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let path = source.with_file_name(included).canonicalize().expect("it is there");
            assert!(let_in.iter().any(|let_in| path.starts_with(let_in)), "{} is not let in", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_images_version_is_the_crates() {
    let file = include_str!("../../deploy/Containerfile");
    let expected = format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(file.contains(&expected), "{expected}");
}
