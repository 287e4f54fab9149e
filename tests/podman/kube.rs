//! The rendered manifests under `podman kube play`; this test is the kubelet that asks the probes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::engine::{Engine, WITH_SHELL, engine};
use crate::support::{status, wait_for, wait_until};
use crate::trees::{containers, items, objects, of_kind, pod, text};

/// A pod that plays, and is taken down at the end.
struct Played {
    engine: &'static Engine,
    dir: tempfile::TempDir,
    /// Of its container.
    name: String,
    /// As it was rendered.
    container: Value,
    grace: u64,
}

impl Played {
    /// Plays what a tree renders. Names of ports are resolved, and the ports not published: this podman gives a probe by name
    /// the port 0, and publishes through a bridge alone. An emptyDir is root's and everybody's, as a kubelet makes it and
    /// podman does not. ConfigMaps get names of their own: to it what two of one name hold is one. A sidecar begins beside the
    /// others: to it a container that begins before them has to end before them, too. Everything else is as rendered.
    fn play(tree: &str, image: &str) -> Option<Played> {
        Played::play_with(tree, image, &[])
    }

    /// The same with these process files, too.
    fn play_with(tree: &str, image: &str, files: &[(&str, Value)]) -> Option<Played> {
        let (engine, mut objects) = (engine()?, objects(tree)?);
        for (name, text) in files {
            let map = objects.iter_mut().find(|object| object["kind"] == "ConfigMap").expect("process files");
            map["data"][name] = text.to_string().into();
        }
        let source = objects.iter().find(|object| pod(object).is_some()).expect("a pod");
        let rendered = pod(source).expect("as found");
        let container = containers(rendered).next().expect("a container").clone();
        let name = format!("{tree}-{}", std::process::id()).replace('/', "-");
        let mut spec = rendered["spec"].clone();
        let sidecars = spec.as_object_mut().expect("an object").remove("initContainers").unwrap_or(json!([]));
        for mut sidecar in sidecars.as_array().expect("a list").iter().rev().cloned() {
            let policy = sidecar.as_object_mut().expect("an object").remove("restartPolicy");
            assert_eq!(policy, Some(json!("Always")), "what makes it a sidecar");
            spec["containers"].as_array_mut().expect("a list").insert(0, sidecar);
        }
        for playing in spec["containers"].as_array_mut().expect("a list") {
            playing["image"] = image.into();
            playing["imagePullPolicy"] = "Never".into();
            let ports = playing.as_object_mut().expect("an object").remove("ports").unwrap_or_default();
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(port) = playing.pointer_mut(&format!("/{probe}/httpGet/port")) {
                    *port = number(&ports, port).into();
                }
            }
        }
        let dir = tempfile::tempdir().expect("a directory");
        for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
            if volume.as_object_mut().is_some_and(|volume| volume.remove("emptyDir").is_some()) {
                let path = dir.path().join(text(&volume["name"]));
                fs::create_dir(&path).expect("a directory");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o2777)).expect("its mode");
                volume["hostPath"] = json!({"path": path, "type": "Directory"});
            }
            if let Some(map) = volume.pointer_mut("/configMap/name") {
                *map = format!("{name}-{}", text(map)).into();
            }
        }
        let maps = of_kind(&objects, "ConfigMap").cloned().map(|mut map| {
            map["metadata"]["name"] = format!("{name}-{}", text(&map["metadata"]["name"])).into();
            map
        });
        // It knows Deployments and Pods, and no Jobs.
        let played = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        let parts = maps.chain([played]).map(|part| part.to_string()).collect::<Vec<_>>();
        let file = dir.path().join("pod.yaml");
        fs::write(&file, parts.join("\n---\n")).expect("a file");
        engine.say(&["kube", "play", "--network=none", &file.display().to_string()]);
        let grace = rendered["spec"]["terminationGracePeriodSeconds"].as_u64().expect("a number");
        let name = format!("{name}-{}", text(&container["name"]));
        Some(Played { engine, dir, name, container, grace })
    }

    fn inspect(&self, field: &str) -> String {
        self.engine.say(&["inspect", "--format", &format!("{{{{{field}}}}}"), &self.name])
    }

    /// Whether one of the manifest's probes succeeds now.
    fn probe(&self, kind: &str) -> bool {
        let get = &self.container[kind]["httpGet"];
        self.get(number(&self.container["ports"], &get["port"]), text(&get["path"])).is_some()
    }

    /// What its network answers to a GET, if that is a success.
    fn get(&self, port: u64, path: &str) -> Option<String> {
        let network = format!("--net=/proc/{}/ns/net", self.inspect(".State.Pid"));
        let url = format!("http://127.0.0.1:{port}{path}");
        let words = [network.as_str(), "busybox", "wget", "-q", "-O", "-", &url];
        let output = Command::new("nsenter").args(words).output().expect("util-linux is there");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The manifest's grace is enough for its end, which is a success.
    fn ends_within_its_grace(&self) {
        let began = Instant::now();
        self.engine.podman(&["stop", "--time", &self.grace.to_string(), &self.name]);
        assert!(began.elapsed().as_secs() < self.grace, "the runtime had to kill it: {}", self.log());
        assert_eq!(self.inspect(".State.ExitCode"), "0", "{}", self.log());
    }

    fn log(&self) -> String {
        let log = self.engine.podman(&["logs", &self.name]);
        String::from_utf8_lossy(&log.stdout).into_owned() + &String::from_utf8_lossy(&log.stderr)
    }

    /// Whether a command inside succeeds.
    fn exec(&self, words: &[&str]) -> bool {
        let args: Vec<&str> = ["exec", &self.name].into_iter().chain(words.iter().copied()).collect();
        self.engine.podman(&args).status.success()
    }

    fn wait_probe(&self, kind: &str, expected: bool) {
        let came = wait_until(kind, || (self.probe(kind) == expected).then_some(()));
        assert!(came.is_some(), "{kind} is not {expected}: {:?}\n{}", self.get(9620, "/colony.json"), self.log());
    }
}

/// The number of the port that is called so.
fn number(ports: &Value, name: &Value) -> u64 {
    let port = items(ports).find(|port| port["name"] == *name).expect("a port of that name");
    port["containerPort"].as_u64().expect("a number")
}

impl Drop for Played {
    fn drop(&mut self) {
        self.engine.podman(&["kube", "down", &self.dir.path().join("pod.yaml").display().to_string()]);
    }
}

// Health tells the truth, and a child's trouble never fails the loop's.
#[test]
fn the_demo_plays_as_rendered_and_its_probes_tell_the_truth() {
    let Some(played) = Played::play("overlays/demo", WITH_SHELL) else { return };
    played.wait_probe("startupProbe", true);
    played.wait_probe("readinessProbe", true);
    assert!(played.probe("livenessProbe"));
    assert!(played.engine.podman(&["healthcheck", "run", &played.name]).status.success(), "podman's own probe");
    let pid: i32 = played.inspect(".State.Pid").parse().expect("a pid");
    assert!(status(pid, "Uid").is_some_and(|uid| uid.starts_with("65532")));
    assert_eq!(status(pid, "NoNewPrivs").as_deref(), Some("1"));
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status(pid, set).as_deref(), Some("0000000000000000"), "{set}");
    }
    assert_eq!(played.inspect(".HostConfig.ReadonlyRootfs"), "true");

    let ctl = ["/ncolony", "ctl", "--config=/etc/ncolony/processes", "--messages=/run/ncolony/messages"];
    assert!(played.exec(&[&ctl[..], &["stop", "web"]].concat()));
    played.wait_probe("readinessProbe", false);
    assert!(played.probe("livenessProbe"), "what a process does costs no container");
    assert!(played.exec(&[&ctl[..], &["start", "web"]].concat()));
    played.wait_probe("readinessProbe", true);

    played.ends_within_its_grace();
}

// It runs anywhere a pod runs: what every overlay is made from, and with a second colony in the pod.
#[test]
fn the_base_and_the_sidecar_play_as_rendered_and_end_within_their_grace() {
    for tree in ["base", "sidecar"] {
        let Some(played) = Played::play(tree, WITH_SHELL) else { return };
        for kind in ["startupProbe", "readinessProbe", "livenessProbe"] {
            played.wait_probe(kind, true);
        }
        played.ends_within_its_grace();
    }
}

// Law 9: exactly the user that was asked for; and no user but root commands what root runs.
#[test]
fn with_the_component_for_root_a_process_has_a_user_of_its_own_who_cannot_command_the_others() {
    let script = "id -u; touch /run/ncolony/messages/mine || echo refused; exec sleep 1000";
    let web = json!({"args": ["sh", "-c", script], "env_inherit": ["PATH"], "uid": 1234, "gid": 1234});
    let Some(played) = Played::play_with("root", WITH_SHELL, &[("web.json", web)]) else { return };
    for kind in ["startupProbe", "readinessProbe", "livenessProbe"] {
        played.wait_probe(kind, true);
    }
    let pid: i32 = played.inspect(".State.Pid").parse().expect("a pid");
    assert!(status(pid, "Uid").is_some_and(|uid| uid.starts_with("0\t")));
    let said = |text: &str| wait_until(text, || played.log().contains(text).then_some(())).is_some();
    for text in ["[web] 1234", "[web] refused", "now it is root's alone"] {
        assert!(said(text), "{text}: {}", played.log());
    }
    assert!(played.exec(&["/ncolony", "ctl", "restart", "web", "--wait"]), "root may: {}", played.log());
    played.ends_within_its_grace();
}

// The colony's end tells how it ended.
#[test]
fn the_job_plays_as_rendered_and_ends_with_success() {
    let Some(played) = Played::play("job", WITH_SHELL) else { return };
    wait_for("its end", || (played.inspect(".State.Running") == "false").then_some(()));
    let log = played.log();
    assert_eq!(played.inspect(".State.ExitCode"), "0", "{log}");
    assert!(log.contains("ending with status 0"), "{log}");
}

// What the example's author would see: nginx serves, the worker's heart beats, the job waits for its night.
#[test]
fn the_example_plays_as_production_has_it_on_its_own_image() {
    let Some(image) = engine().and_then(Engine::example) else { return };
    let Some(played) = Played::play("overlays/production", image) else { return };
    for kind in ["startupProbe", "readinessProbe", "livenessProbe"] {
        played.wait_probe(kind, true);
    }
    assert_eq!(played.get(8080, "/").as_deref(), Some("hello from the shop\n"));
    let metrics = played.get(9620, "/metrics").expect("metrics");
    for series in ["up{process=\"nginx\"}", "up{process=\"worker\"}", "heartbeat_timestamp_seconds{process=\"worker\"}"]
    {
        assert!(metrics.contains(&format!("ncolony_process_{series}")), "{series}: {metrics}");
    }
    let pid: i32 = played.inspect(".State.Pid").parse().expect("a pid");
    assert!(status(pid, "Uid").is_some_and(|uid| uid.starts_with("65532")));
    assert_eq!(status(pid, "CapBnd").as_deref(), Some("0000000000000000"));
    played.ends_within_its_grace();
    let log = played.log();
    // One object a line, the application's lines among them.
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
    assert!(log.contains("the last job is done") && log.contains("ended: nothing is left"), "{log}");
}
