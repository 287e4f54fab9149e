//! The kustomizations of `deploy/`, as a cluster would get them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::needs::can;

/// Each, and the oldest minor version of Kubernetes 1 that knows all that it uses: unhealthyPodEvictionPolicy came with 1.26,
/// sidecars with 1.28. Newer than 24, which is older than what the validator has.
pub(crate) const TREES: [(&str, u32); 6] =
    [("base", 26), ("overlays/demo", 26), ("overlays/production", 26), ("job", 25), ("sidecar", 28), ("root", 26)];

/// A program of the environment in which kubectl, the validators and hadolint are.
pub(crate) fn tool(name: &str) -> Option<Command> {
    let dir = std::env::var_os("NCOLONY_MANIFESTS").unwrap_or_default();
    let path = Path::new(&dir).join(name);
    let what =
        "kubectl, kubernetes-validate, checkov and hadolint, all of PyPI's, whose directory is in NCOLONY_MANIFESTS";
    can(what, path.is_file()).then(|| Command::new(path))
}

/// What `kubectl kustomize` makes of one.
pub(crate) fn rendered(tree: &str) -> Option<String> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let mut dir = deploy.join(tree);
    // The component for root needs something to be a component of. A kustomization names others by relative paths alone.
    let above = tempfile::tempdir().expect("a directory");
    if tree == "root" {
        dir = above.path().to_path_buf();
        let up = "../".repeat(dir.components().count() - 1);
        let path = |below: &str| format!("{up}{}/{below}", deploy.display().to_string().trim_start_matches('/'));
        let text = format!("resources: [{:?}]\ncomponents: [{:?}]\n", path("base"), path("components/root"));
        std::fs::write(dir.join("kustomization.yaml"), text).expect("a file");
    }
    let output = tool("kubectl")?.arg("kustomize").arg(&dir).output().expect("it is there");
    assert!(output.status.success(), "{tree}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("a text"))
}

/// The same as objects.
pub(crate) fn objects(tree: &str) -> Option<Vec<Value>> {
    let text = rendered(tree)?;
    let parse = |part: &str| serde_yaml::from_str(part).unwrap_or_else(|error| panic!("{tree}: {error}\n{part}"));
    Some(text.split("\n---\n").map(parse).collect())
}

/// The elements of a list, or nothing.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A text, or nothing.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The objects of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

/// The pod that an object makes, if it makes one: its metadata and spec.
pub(crate) fn pod(object: &Value) -> Option<&Value> {
    ["Deployment", "Job"].contains(&text(&object["kind"])).then(|| &object["spec"]["template"])
}

/// A pod's containers, those that begin first among them.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    items(&pod["spec"]["initContainers"]).chain(items(&pod["spec"]["containers"]))
}
