//! What a service may use: the limits of its cgroup, and those of each process of its.

use serde_json::{Value, json};

use super::super::conversion::{Error, Grade, Process};
use super::super::text;
use super::unit::Setting;

/// `MemoryMax`
pub(super) fn memory(setting: &Setting, value: &str, process: &mut Process) {
    let lost = match text::memory(value) {
        _ if value == "infinity" => return,
        Some(amount) => return process.set("resources.limits.memory", amount),
        None if value.ends_with('%') => "a share of the machine's memory; write an amount in resources.limits.memory",
        None => "this is no amount of memory to run in; write one in resources.limits.memory",
    };
    process.note_at(Grade::Lost, &setting.place, &setting.key, lost);
}

/// `CPUQuota`
pub(super) fn cpu(setting: &Setting, value: &str, process: &mut Process) -> Result<(), Error> {
    let percent = value.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
    let percent = percent.filter(|percent| *percent > 0.0).ok_or_else(|| setting.error("expected a percentage"))?;
    process.set("resources.limits.cpu", format!("{:.0}m", percent * 10.0));
    Ok(())
}

/// `LimitNOFILE=1024:4096`
pub(super) fn of_a_process(setting: &Setting, value: &str, process: &mut Process) {
    let name = setting.key["Limit".len()..].to_ascii_lowercase();
    if name == "locks" {
        process.note_at(
            Grade::Lost,
            &setting.place,
            &setting.key,
            "a run's processes are told by it, and Linux does not keep it",
        );
        return;
    }
    let bound = |text: &str| -> Option<Value> {
        let number = match name.as_str() {
            _ if text == "infinity" => return Some("unlimited".into()),
            "cpu" => text::span(text, 1.0)?.ceil() as u64,
            "rttime" => (text::span(text, 1e-6)? * 1e6).ceil() as u64,
            // A nice value has its sign; the kernel counts down from 20.
            "nice" if text.starts_with(['+', '-']) => u64::try_from(20 - text.parse::<i64>().ok()?).ok()?,
            _ => amount(text)?,
        };
        Some(number.into())
    };
    let limit = match value.split_once(':') {
        Some((soft, hard)) => bound(soft).zip(bound(hard)).map(|(soft, hard)| json!({"soft": soft, "hard": hard})),
        None => bound(value),
    };
    match limit {
        Some(limit) => process.set(&format!("rlimits.{name}"), limit),
        None => {
            let text = "this is neither a number nor infinity nor SOFT:HARD; write the limit in rlimits";
            process.note_at(Grade::Lost, &setting.place, &setting.key, text);
        }
    }
}

/// A number, which may have a unit of 1024.
fn amount(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let power = match unit.len() {
        0 => 0,
        _ => ["B", "K", "M", "G", "T", "P", "E"].iter().position(|known| *known == unit)?,
    };
    let scale = 1u64 << (10 * power);
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(scale),
        Err(_) => number.parse::<f64>().ok().map(|number| (number * scale as f64) as u64),
    }
}
