//! `deploy`: how many there are, what each may use, and when one is started again.

use super::super::conversion::Error;
use super::super::text;
use super::item::Item;
use super::reading::Reading;

/// What `deploy` says of the same as a setting that stands beside it; it counts. Compose refuses two that differ.
pub(super) fn counterpart<'a>(setting: &Item<'_>, parts: &[Item<'a>]) -> Option<Item<'a>> {
    let way: &[&str] = match setting.path.as_str() {
        "mem_limit" => &["deploy", "resources", "limits", "memory"],
        "cpus" => &["deploy", "resources", "limits", "cpus"],
        "scale" => &["deploy", "replicas"],
        _ => return None,
    };
    let (mut parts, mut found) = (parts.to_vec(), None);
    for key in way {
        let part = parts.into_iter().find(|part| part.key == *key)?;
        parts = part.entries().unwrap_or_default();
        found = Some(part);
    }
    found.filter(|part| !part.is_null())
}

pub(super) fn deploy(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    for part in item.entries()?.iter().filter(|part| !part.is_null()) {
        match part.key {
            "replicas" => replicas(part, reading)?,
            "resources" => resources(part, reading)?,
            "restart_policy" => restart_policy(part, reading)?,
            "mode" if reading.plain(part)?.is_none_or(|mode| mode == "replicated") => {}
            "mode" => {
                reading.lost(part, "there is one machine; replicas say how many, and restartPolicy what a job is")
            }
            "labels" => reading.remark(part, super::settings::LABELS),
            "update_config" | "rollback_config" => {
                reading.lost(part, "an edit is rolled out one replica after the other, each when the last is ready");
            }
            _ => reading.lost(part, "there is one container, and no service of a cluster"),
        }
    }
    Ok(())
}

pub(super) fn replicas(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    match reading.whole(item)? {
        None | Some(1) => {}
        Some(0) => {
            reading.process.set("suspend", true);
            reading.remark(item, "none is to run; remove suspend to have one");
        }
        Some(count) if count > 1 => {
            reading.process.set("replicas", count);
            reading
                .remark(item, "they share one network: each can find its number in NCOLONY_NAME for a port of its own");
        }
        Some(_) => return Err(item.error("expected a number of replicas")),
    }
    Ok(())
}

fn resources(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    for part in item.entries()?.iter().filter(|part| !part.is_null()) {
        let is_limits = part.key == "limits";
        for limit in part.entries()?.iter().filter(|limit| !limit.is_null()) {
            match limit.key {
                "devices" | "generic_resources" => reading.lost(limit, super::settings::DEVICE),
                _ if !is_limits => reading.remark(limit, super::settings::RESERVED),
                "memory" => reading.memory(limit)?,
                "cpus" => reading.cpus(limit)?,
                _ => reading.lost(limit, super::settings::LIMIT),
            }
        }
    }
    Ok(())
}

/// It counts more than `restart`.
fn restart_policy(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    let mut policy = "Always";
    for part in item.entries()?.iter().filter(|part| !part.is_null()) {
        match part.key {
            "condition" => {
                policy = match reading.plain(part)?.as_deref() {
                    None | Some("any") => "Always",
                    Some("on-failure") => "OnFailure",
                    Some("none") => "Never",
                    Some(_) => return Err(part.error("expected none, on-failure or any")),
                }
            }
            "delay" => {
                if let Some(seconds) = reading.span(part)?.filter(|seconds| *seconds > 0.0) {
                    reading.process.set("backoff.initialSeconds", text::seconds(seconds));
                    reading.process.set("backoff.maxSeconds", text::seconds(seconds));
                    reading.remark(part, "a run of 10 s and more is followed at once; see backoff.thresholdSeconds");
                }
            }
            "max_attempts" => reading.lost(part, super::settings::ATTEMPTS),
            _ => reading.lost(part, "a run that was longer than backoff.thresholdSeconds counts as one that went well"),
        }
    }
    reading.process.set("restartPolicy", policy);
    Ok(())
}
