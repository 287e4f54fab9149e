//! The manifests of `deploy/`: rendered, held to Kubernetes' schemas, to checkov, and to rules of our own.

mod files;
#[path = "../needs/mod.rs"]
mod needs;
mod operator;
mod pages;
mod rules;
mod trees;

use std::fs;
use std::path::Path;

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

#[test]
fn the_images_version_is_the_crates() {
    let file = include_str!("../../deploy/Containerfile");
    let expected = format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(file.contains(&expected), "{expected}");
}
