//! The rendered manifests under `podman kube play`; this test is the kubelet that asks the probes.

use std::fs;
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
    /// the port 0, and publishes through a bridge alone. Volumes get names of their own: to it two pods' emptyDirs of one name
    /// are one. Everything else is as rendered.
    fn play(tree: &str, image: &str) -> Option<Played> {
        let (engine, objects) = (engine()?, objects(tree)?);
        let source = objects.iter().find(|object| pod(object).is_some()).expect("a pod");
        let rendered = pod(source).expect("as found");
        let container = containers(rendered).next().expect("a container").clone();
        let name = format!("{tree}-{}", std::process::id()).replace('/', "-");
        let mut spec = rendered["spec"].clone();
        for playing in spec["containers"].as_array_mut().expect("a list") {
            playing["image"] = image.into();
            playing["imagePullPolicy"] = "Never".into();
            own(&mut playing["volumeMounts"], &name);
            playing.as_object_mut().expect("an object").remove("ports");
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(port) = playing.pointer_mut(&format!("/{probe}/httpGet/port")) {
                    *port = 9620.into();
                }
            }
        }
        own(&mut spec["volumes"], &name);
        // It knows Deployments and Pods, and no Jobs.
        let played = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        let parts = of_kind(&objects, "ConfigMap").chain([&played]).map(Value::to_string).collect::<Vec<_>>();
        let dir = tempfile::tempdir().expect("a directory");
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
        let mut ports = items(&self.container["ports"]);
        let port = ports.find(|port| port["name"] == get["port"]).expect("a port of that name");
        let port = port["containerPort"].as_u64().expect("a number");
        self.get(port, text(&get["path"])).is_some()
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

/// Puts a pod's name before those of its volumes.
fn own(list: &mut Value, pod: &str) {
    for one in list.as_array_mut().into_iter().flatten() {
        one["name"] = format!("{pod}-{}", text(&one["name"])).into();
    }
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
