//! The process files in the manifests: that ncolony takes them, that a pod has the time that they need for its end, and that
//! its ConfigMaps are those that it mounts.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::trees::{TREES, containers, items, objects, of_kind, pod, text};

/// The container's process files: names and texts.
fn files<'a>(pod: &'a Value, container: &'a Value, objects: &'a [Value]) -> Vec<(&'a str, &'a str)> {
    let mut mounts = items(&container["volumeMounts"]);
    let mount = mounts.find(|mount| mount["mountPath"] == "/etc/ncolony/processes").expect("process files");
    let mut volumes = items(&pod["spec"]["volumes"]);
    let volume = volumes.find(|volume| volume["name"] == mount["name"]).expect("its volume");
    let map = &volume["configMap"]["name"];
    let map = of_kind(objects, "ConfigMap").find(|one| one["metadata"]["name"] == *map).expect("its ConfigMap");
    let data = map["data"].as_object().expect("files");
    data.iter().map(|(name, text)| (name.as_str(), text.as_str().expect("a text"))).collect()
}

/// The seconds of a flag, `--drain=5`.
fn seconds(container: &Value, flag: &str) -> Option<f64> {
    items(&container["args"]).find_map(|arg| text(arg).strip_prefix(flag)?.strip_prefix('=')?.parse().ok())
}

/// The longest chain of graces from a process to those that it depends on, which are stopped after it.
fn chain(name: &str, specs: &[(String, Value)]) -> f64 {
    let spec = &specs.iter().find(|(one, _)| one == name).unwrap_or_else(|| panic!("no {name}")).1;
    let after = items(&spec["dependsOn"]).map(|one| one.as_str().unwrap_or_else(|| text(&one["name"])));
    let after = after.map(|one| chain(one, specs)).fold(0.0, f64::max);
    spec["terminationGracePeriodSeconds"].as_f64().unwrap_or(5.0) + after
}

#[test]
fn ncolony_takes_every_process_file_without_a_warning() {
    for (tree, _) in TREES {
        let Some(objects) = objects(tree) else { return };
        for pod in objects.iter().filter_map(pod) {
            for container in containers(pod) {
                let dir = tempfile::tempdir().expect("a directory");
                for (name, text) in files(pod, container, &objects) {
                    fs::write(dir.path().join(name), text).expect("a file");
                }
                let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
                let output = command.arg("check").arg(dir.path()).output().expect("it runs");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && !said.contains("warning"), "{tree}: {said}");
            }
        }
    }
}

#[test]
fn ncolony_ends_by_itself_before_the_kubelet_would_end_it_and_no_grace_is_cut() {
    for (tree, _) in TREES {
        let Some(objects) = objects(tree) else { return };
        for pod in objects.iter().filter_map(pod) {
            let grace = pod["spec"]["terminationGracePeriodSeconds"].as_f64().expect("a number");
            let limit_of = |container: &Value| seconds(container, "--shutdown-timeout").expect("a limit");
            // A native sidecar is told to end when the others have ended. What not even SIGKILL ends at once has a second
            // more, and the runtime has some work to do.
            let all: f64 = containers(pod).map(limit_of).sum();
            assert!(all + 2.0 <= grace, "{tree}: {all} of {grace}");
            for container in containers(pod) {
                let limit = limit_of(container);
                let parse = |(name, text): &(&str, &str)| {
                    let name = name.split('.').next().expect("a name").to_string();
                    (name, serde_yaml::from_str::<Value>(text).expect("as it was checked"))
                };
                let specs: Vec<(String, Value)> = files(pod, container, &objects).iter().map(parse).collect();
                let longest = specs.iter().map(|(name, _)| chain(name, &specs)).fold(0.0, f64::max);
                let needed = seconds(container, "--drain").unwrap_or(0.0) + longest;
                // The last tenth is for what they leave behind.
                assert!(needed <= limit * 0.9, "{tree}: {needed} of {limit}");
            }
        }
    }
}

#[test]
fn an_edit_of_a_live_config_map_is_no_rollout() {
    for (tree, _) in TREES {
        let Some(objects) = objects(tree) else { return };
        for map in of_kind(&objects, "ConfigMap") {
            let name = text(&map["metadata"]["name"]);
            // A hash is ten letters and figures.
            let is_hashed = name
                .rsplit('-')
                .next()
                .is_some_and(|last| last.len() == 10 && last.contains(|c: char| c.is_ascii_digit()));
            assert_eq!(is_hashed, tree == "job", "{tree}: {name}");
        }
    }
}
