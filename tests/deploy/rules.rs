//! The rules of kube-linter, kube-score, polaris and trivy that no checker at hand knows, on every pod that is made.
//! Left out, with the reason where it is left out: a priority class, and an image's digest, which are the user's.

use serde_json::{Value, json};

use crate::trees::{TREES, containers, items, objects, of_kind, pod, text};

/// What is wrong with a tree.
fn faults(tree: &str, objects: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for object in objects {
        let name = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        let mut hold = |is_kept: bool, rule: &str| {
            if !is_kept {
                faults.push(format!("{name}: {rule}"));
            }
        };
        let namespace = &object["metadata"]["namespace"];
        hold(object["kind"] == "Namespace" || !["", "default"].contains(&text(namespace)), "no namespace of its own");
        if let Some(pod) = pod(object) {
            let is_job = object["kind"] == "Job";
            hold_pod(tree, pod, objects, &mut hold);
            containers(pod).for_each(|container| hold_container(tree, container, is_job, &mut hold));
            hold_around(object, pod, objects, &mut hold);
        }
        if object["kind"] == "Deployment" {
            hold_deployment(tree, object, &mut hold);
        }
        if object["kind"] == "Service" {
            let deployments = of_kind(objects, "Deployment").filter_map(pod);
            let pods: Vec<&Value> = deployments.filter(|pod| selects(&object["spec"]["selector"], pod)).collect();
            hold(object["spec"]["type"] == "ClusterIP", "open to the outside");
            let is_there = |port: &Value| {
                let names = |pod: &&Value| {
                    containers(pod).flat_map(|one| items(&one["ports"])).any(|its| its["name"] == port["targetPort"])
                };
                pods.iter().any(names)
            };
            hold(items(&object["spec"]["ports"]).all(is_there), "a port that no pod has");
        }
    }
    faults
}

fn hold_pod(tree: &str, pod: &Value, objects: &[Value], hold: &mut dyn FnMut(bool, &str)) {
    let spec = &pod["spec"];
    for key in ["hostPID", "hostIPC", "hostNetwork", "hostAliases", "serviceAccount", "nodeName"] {
        hold(spec[key].is_null(), key);
    }
    let account = text(&spec["serviceAccountName"]);
    let has_account = of_kind(objects, "ServiceAccount")
        .any(|one| one["metadata"]["name"] == account && one["automountServiceAccountToken"] == false);
    hold(has_account, "no account of its own");
    hold(spec["automountServiceAccountToken"] == false, "a token");
    hold(spec["enableServiceLinks"] == false, "the variables of services");
    hold_identity(tree, &spec["securityContext"], hold);
    hold(spec["securityContext"]["fsGroup"].is_u64(), "no fsGroup, so its volumes may not be writable");
    for volume in items(&spec["volumes"]) {
        hold(volume["hostPath"].is_null(), "hostPath");
        let memory = &volume["emptyDir"];
        hold(memory.is_null() || memory["sizeLimit"].is_string(), "a volume without an end");
        hold(volume["configMap"].is_null() || volume["configMap"]["defaultMode"] == 0o444, "the mode of a ConfigMap");
    }
    for key in ["app.kubernetes.io/name", "app.kubernetes.io/instance"] {
        hold(pod["metadata"]["labels"][key].is_string(), key);
    }
}

/// Not root, by number, and no calls but the usual.
fn hold_identity(tree: &str, context: &Value, hold: &mut dyn FnMut(bool, &str)) {
    if tree == "root" {
        return hold(context["runAsUser"] == 0, "the component is for root");
    }
    hold(context["runAsNonRoot"] == true, "runAsNonRoot");
    for key in ["runAsUser", "runAsGroup"] {
        hold(context[key].as_u64().is_some_and(|id| id > 10_000), key);
    }
    hold(context["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile");
}

fn hold_container(tree: &str, container: &Value, is_job: bool, hold: &mut dyn FnMut(bool, &str)) {
    let image = text(&container["image"]);
    let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    hold(tag.is_some_and(|tag| tag != "latest"), "an image without a tag");
    // What is loaded into the nodes by hand cannot be pulled.
    let policy = if image.starts_with("localhost/") { "IfNotPresent" } else { "Always" };
    hold(container["imagePullPolicy"] == policy, "imagePullPolicy");
    hold(container["env"].is_null() && container["envFrom"].is_null(), "variables, which no process would have");
    for part in ["requests", "limits"] {
        for key in ["cpu", "memory", "ephemeral-storage"] {
            hold(container["resources"][part][key].is_string(), &format!("resources.{part}.{key}"));
        }
    }
    let context = &container["securityContext"];
    hold_identity(tree, context, hold);
    hold(context["privileged"] == false, "privileged");
    hold(context["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation");
    hold(context["readOnlyRootFilesystem"] == true, "readOnlyRootFilesystem");
    hold(context["capabilities"]["drop"] == json!(["ALL"]), "capabilities.drop");
    let added = if tree == "root" { json!(["SETUID", "SETGID", "KILL"]) } else { Value::Null };
    hold(context["capabilities"]["add"] == added, "capabilities.add");
    hold(context["procMount"].is_null(), "procMount");
    hold(container["terminationMessagePolicy"] == "File", "terminationMessagePolicy");
    let ports: Vec<&Value> = items(&container["ports"]).collect();
    for port in &ports {
        hold(port["containerPort"].as_u64().is_some_and(|port| port >= 1024), "a port that only root may have");
        hold(port["hostPort"].is_null() && port["name"].is_string(), "a port of the host's, or without a name");
    }
    let (live, ready) = (&container["livenessProbe"], &container["readinessProbe"]);
    hold(live["httpGet"]["path"] == "/livez", "livenessProbe: only the loop itself may cost the container");
    hold(is_job || ready["httpGet"]["path"] == "/readyz", "readinessProbe");
    for probe in [live, ready, &container["startupProbe"]].into_iter().filter(|probe| !probe.is_null()) {
        hold(
            ports.iter().any(|port| port["name"] == probe["httpGet"]["port"]),
            "a probe of a port that is not declared",
        );
        hold(probe["timeoutSeconds"].as_u64().is_some_and(|seconds| seconds > 1), "a probe with little time");
    }
    for mount in items(&container["volumeMounts"]) {
        hold(mount["subPath"].is_null(), "subPath: it would never change");
        let is_files = mount["mountPath"] == "/etc/ncolony/processes";
        hold(!is_files || mount["readOnly"] == true, "process files that can be written");
    }
}

fn selects(selector: &Value, pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    selector
        .as_object()
        .is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value))
}

/// Whether a policy lets its pods ask the cluster's name server, which has none of their labels.
fn lets_names_be_looked_up(policy: &Value) -> bool {
    let peers = items(&policy["spec"]["egress"]).flat_map(|rule| items(&rule["to"]));
    let selectors: Vec<&Value> = peers.map(|peer| &peer["podSelector"]).filter(|one| !one.is_null()).collect();
    let name_server = json!({"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]});
    selectors.contains(&&name_server)
        && selectors.iter().all(|one| {
            let labels = one["matchLabels"].as_object();
            labels.is_none_or(|labels| !labels.keys().any(|label| label.starts_with("app.kubernetes.io/")))
        })
}

/// What has to be there for a pod.
fn hold_around(object: &Value, pod: &Value, objects: &[Value], hold: &mut dyn FnMut(bool, &str)) {
    let mut policies = of_kind(objects, "NetworkPolicy");
    let is_closed = |policy: &Value| {
        selects(&policy["spec"]["podSelector"]["matchLabels"], pod)
            && policy["spec"]["policyTypes"] == json!(["Ingress", "Egress"])
    };
    hold(policies.any(is_closed), "no NetworkPolicy");
    hold(of_kind(objects, "NetworkPolicy").all(lets_names_be_looked_up), "no names can be looked up");
    if object["kind"] == "Deployment" {
        let mut budgets = of_kind(objects, "PodDisruptionBudget");
        let is_good = |budget: &Value| {
            let spec = &budget["spec"];
            selects(&spec["selector"]["matchLabels"], pod)
                && spec["maxUnavailable"] == 1
                && spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        };
        hold(budgets.any(is_good), "no PodDisruptionBudget");
        hold(selects(&object["spec"]["selector"]["matchLabels"], pod), "selects other pods");
    }
}

fn hold_deployment(tree: &str, object: &Value, hold: &mut dyn FnMut(bool, &str)) {
    let spec = &object["spec"];
    let least = if tree == "overlays/demo" { 1 } else { 2 };
    hold(spec["replicas"].as_u64().is_some_and(|count| count >= least), "replicas");
    hold(spec["strategy"]["type"] == "RollingUpdate", "strategy");
    let pod = &spec["template"]["spec"];
    let apart = &pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    hold(selects(&apart["podAffinityTerm"]["labelSelector"]["matchLabels"], &spec["template"]), "podAntiAffinity");
    let spread = &pod["topologySpreadConstraints"][0];
    hold(selects(&spread["labelSelector"]["matchLabels"], &spec["template"]), "topologySpreadConstraints");
}

#[test]
fn every_pod_keeps_the_rules() {
    for (tree, _) in TREES {
        let Some(objects) = objects(tree) else { return };
        assert!(objects.iter().any(|object| pod(object).is_some()), "{tree}");
        let faults = faults(tree, &objects);
        assert!(faults.is_empty(), "{tree}: {faults:#?}");
    }
}

#[test]
fn the_rules_bite() {
    let Some(good) = objects("base") else { return };
    let rows = [
        ("Deployment", "/spec/replicas", json!(1), "replicas"),
        ("Deployment", "/spec/template/spec/containers/0/image", json!("ncolony"), "without a tag"),
        ("Deployment", "/spec/template/spec/containers/0/securityContext/runAsUser", json!(0), "runAsUser"),
        ("Deployment", "/spec/template/spec/containers/0/securityContext/capabilities/drop", json!([]), "drop"),
        (
            "Deployment",
            "/spec/template/spec/containers/0/livenessProbe/httpGet/path",
            json!("/healthz"),
            "livenessProbe",
        ),
        ("Deployment", "/spec/template/spec/containers/0/readinessProbe/httpGet/port", json!("none"), "not declared"),
        ("Deployment", "/spec/template/spec/containers/0/resources/limits/memory", json!(null), "limits.memory"),
        ("Deployment", "/spec/template/spec/containers/0/volumeMounts/0/readOnly", json!(false), "can be written"),
        ("Deployment", "/spec/template/spec/serviceAccountName", json!("default"), "account"),
        ("Deployment", "/spec/template/spec/enableServiceLinks", json!(true), "variables of services"),
        ("Deployment", "/spec/template/spec/volumes/1/emptyDir/sizeLimit", json!(null), "without an end"),
        ("Deployment", "/spec/template/metadata/labels", json!({}), "selects other pods"),
        ("Deployment", "/metadata/namespace", json!("default"), "namespace"),
        ("PodDisruptionBudget", "/spec/maxUnavailable", json!(0), "PodDisruptionBudget"),
        ("NetworkPolicy", "/spec/podSelector", json!({}), "NetworkPolicy"),
        ("Service", "/spec/ports/0/targetPort", json!("none"), "a port that no pod has"),
    ];
    for (kind, path, value, expected) in rows {
        let mut bad = good.clone();
        let object = bad.iter_mut().find(|object| object["kind"] == kind).expect("one of the kind");
        *object.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = value;
        let faults = faults("base", &bad);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{kind} {path}: {faults:?}");
    }
}
