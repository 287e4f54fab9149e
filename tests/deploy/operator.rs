//! The two kinds of the Prometheus operator, whose schemas no validator at hand has, and the dashboard for Grafana's sidecar.

use serde_json::Value;

use crate::trees::{containers, items, objects, of_kind, pod, text};

fn production() -> Option<Vec<Value>> {
    objects("overlays/production")
}

/// The names of an object's fields.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flat_map(|map| map.keys().map(String::as_str)).collect()
}

/// Whether a text is a duration as the operator has it: `30s`, `1m30s`.
fn is_duration(value: &Value) -> bool {
    let rest = text(value).trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text(value).len() && ["ms", "s", "m", "h", "d"].contains(&rest)
}

#[test]
fn the_pod_monitor_selects_the_pods_and_scrapes_a_port_that_they_have() {
    let Some(objects) = production() else { return };
    let monitors: Vec<&Value> = of_kind(&objects, "PodMonitor").collect();
    assert_eq!(monitors.len(), 1);
    let (monitor, spec) = (monitors[0], &monitors[0]["spec"]);
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(keys(monitor), ["apiVersion", "kind", "metadata", "spec"]);
    let known = ["jobLabel", "namespaceSelector", "podMetricsEndpoints", "podTargetLabels", "sampleLimit", "selector"];
    assert!(keys(spec).iter().all(|key| known.contains(key)), "{:?}", keys(spec));
    let pods: Vec<&Value> = of_kind(&objects, "Deployment").filter_map(pod).collect();
    let wanted = spec["selector"]["matchLabels"].as_object().expect("labels");
    let labels = &pods[0]["metadata"]["labels"];
    assert!(!wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value), "{wanted:?} {labels}");
    assert!(items(&spec["podTargetLabels"]).all(|label| labels[text(label)].is_string()));
    // Of its own namespace, unless it says otherwise.
    assert_eq!(
        monitor["metadata"]["namespace"],
        of_kind(&objects, "Deployment").next().expect("one")["metadata"]["namespace"]
    );
    for endpoint in items(&spec["podMetricsEndpoints"]) {
        let known = ["port", "path", "scheme", "interval", "scrapeTimeout"];
        assert!(keys(endpoint).iter().all(|key| known.contains(key)), "{endpoint}");
        let mut ports = containers(pods[0]).flat_map(|container| items(&container["ports"]));
        let port = ports.find(|port| port["name"] == endpoint["port"]).expect("the port");
        assert_eq!(port["containerPort"], 9620);
        assert_eq!((text(&endpoint["path"]), text(&endpoint["scheme"])), ("/metrics", "http"));
        assert!(is_duration(&endpoint["interval"]) && is_duration(&endpoint["scrapeTimeout"]), "{endpoint}");
    }
}

// `tests/rules.rs` holds the rules themselves to promtool.
#[test]
fn the_rules_are_those_that_are_tested_as_the_operator_takes_them() {
    let Some(objects) = production() else { return };
    let rules: Vec<&Value> = of_kind(&objects, "PrometheusRule").collect();
    assert_eq!(rules.len(), 1);
    let source = include_str!("../../deploy/components/monitoring/prometheus-rules.yaml");
    let source: Value = serde_yaml::from_str(source).expect("as it is tested");
    assert_eq!(rules[0]["spec"], source["spec"]);
    assert_eq!(rules[0]["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(keys(&rules[0]["spec"]), ["groups"]);
    for group in items(&rules[0]["spec"]["groups"]) {
        assert!(
            keys(group).iter().all(|key| ["name", "interval", "labels", "rules"].contains(key)),
            "{:?}",
            keys(group)
        );
        for rule in items(&group["rules"]) {
            let known = ["alert", "annotations", "expr", "for", "keep_firing_for", "labels", "record"];
            assert!(keys(rule).iter().all(|key| known.contains(key)), "{:?}", keys(rule));
            assert!(rule["for"].is_null() || is_duration(&rule["for"]), "{rule}");
        }
    }
}

#[test]
fn the_dashboard_is_the_one_that_is_tested_with_the_label_that_a_sidecar_looks_for() {
    let Some(objects) = production() else { return };
    let mut maps = of_kind(&objects, "ConfigMap");
    let map = maps.find(|map| map["metadata"]["name"] == "ncolony-dashboard").expect("the dashboard");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let shipped: Value = serde_json::from_str(include_str!("../../dashboards/ncolony.json")).expect("JSON");
    let rendered: Value = serde_json::from_str(text(&map["data"]["ncolony.json"])).expect("JSON");
    assert_eq!(rendered, shipped);
    // What `kubectl apply` notes in an annotation has a limit.
    assert!(text(&map["data"]["ncolony.json"]).len() < 250_000);
}
