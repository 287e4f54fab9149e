//! `resources`: what all processes of a run together may use, in a Pod's words.

use crate::config::node::{Entry, Node, Value};
use crate::config::report::{Path, Report};
use crate::model::Limits;

use super::super::decode::a_kind;

/// `resources.limits`
pub(in crate::config) fn limits(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> Limits {
    let mut limits = Limits::default();
    for entry in report.map(path, &entry.node, "a map with the key \"limits\"").unwrap_or_default() {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "limits" => limits = each(report, path, &entry.node),
            "requests" | "claims" => {
                let message = "this is for the scheduler that places the Pod, and does nothing here";
                report.warning(path, entry.key_span, message, Some("what is kept here is \"limits\"".into()));
            }
            _ => report.unknown_key(path, entry, &["limits"]),
        }
    }
    limits
}

fn each(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Limits {
    let mut limits = Limits::default();
    for entry in report.map(path, node, "a map with the keys memory and cpu").unwrap_or_default() {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "memory" => limits.memory = quantity(report, path, &entry.node, &MEMORY),
            "cpu" => limits.cpu = quantity(report, path, &entry.node, &CPU),
            key if is_of_a_pod(key) => {
                report.warning(path, entry.key_span, "this limit is not kept here; only memory and cpu are", None);
            }
            _ => report.unknown_key(path, entry, &["memory", "cpu"]),
        }
    }
    limits
}

/// Other resources that a Pod may limit: the node's storage and pages, and devices, whose names have a domain.
fn is_of_a_pod(key: &str) -> bool {
    key == "ephemeral-storage" || key.starts_with("hugepages-") || key.contains('/')
}

/// A kind of quantity: what it is counted in here, and what makes sense.
struct Measure {
    /// How many of what it is counted in are one of its own unit.
    scale: u128,
    least: u64,
    most: u64,
    expected: &'static str,
    range: &'static str,
    meant: fn(&str, &str) -> Option<String>,
}

/// Bytes. No program starts in less than a few MiB, and who writes less forgot the unit.
const MEMORY: Measure = Measure {
    scale: 1,
    least: 4 << 20,
    most: i64::MAX as u64,
    expected: "an amount of memory, such as 128Mi, 1.5Gi or 100M",
    range: "out of range, expected at least 4Mi, and less than 8Ei",
    meant: memory_meant,
};

/// Thousandths of a processor, the finest that Kubernetes knows.
const CPU: Measure = Measure {
    scale: 1000,
    least: 1,
    most: 1_000_000_000,
    expected: "an amount of cpu, such as 500m, 0.5 or 2",
    range: "out of range, expected at least 1m, a thousandth of a processor, and at most 1000k",
    meant: cpu_meant,
};

fn quantity(report: &mut Report<'_>, path: &Path<'_>, node: &Node, measure: &Measure) -> Option<u64> {
    let text: &str = match &node.value {
        Value::Number(text) => text,
        Value::Text(text) | Value::Odd(text) => text,
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
            let message = format!("expected {}, found {}", measure.expected, a_kind(&node.value));
            report.error(path, node.span, message);
            return None;
        }
    };
    let amount = amount(text, measure.scale);
    if let Some(amount) = amount.filter(|amount| (measure.least..=measure.most).contains(amount)) {
        return Some(amount);
    }
    let message = match amount {
        Some(_) => measure.range.to_string(),
        None => format!("expected {}", measure.expected),
    };
    let (number, unit) = split(text);
    match (measure.meant)(number, unit.trim()) {
        Some(meant) => report.error_with_help(path, node.span, message, format!("did you mean {meant}?")),
        None => report.error(path, node.span, message),
    }
    None
}

/// A quantity of Kubernetes, `scale` to its unit, rounded up as Kubernetes does; what is too large is the largest.
fn amount(text: &str, scale: u128) -> Option<u64> {
    let (number, suffix) = split(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (times, parts) = match SUFFIXES.iter().find(|(known, ..)| *known == suffix) {
        Some((_, times, parts)) => (*times, *parts),
        None => power_of_ten(suffix)?,
    };
    // More digits behind the point than that tell nothing: there is no smaller unit.
    let fraction = fraction.get(..fraction.len().min(12))?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let digits: u128 = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u128::MAX) };
    let parts = parts.saturating_mul(10u128.pow(fraction.len() as u32));
    let amount = digits.saturating_mul(times).saturating_mul(scale).div_ceil(parts);
    Some(u64::try_from(amount).unwrap_or(u64::MAX))
}

/// The digits, with a point if there is one, and what follows.
fn split(text: &str) -> (&str, &str) {
    let mut point = false;
    let end = text.find(|c: char| {
        let is_first_point = c == '.' && !std::mem::replace(&mut point, true);
        !c.is_ascii_digit() && !is_first_point
    });
    text.split_at(end.unwrap_or(text.len()))
}

/// `e9`, `E-3`
fn power_of_ten(suffix: &str) -> Option<(u128, u128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    // Beyond that all is too large, or nothing.
    let power = 10u128.pow(exponent.unsigned_abs().min(27));
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

/// Kubernetes' suffixes: so many times the unit, or the unit in so many parts.
const SUFFIXES: [(&str, u128, u128); 16] = [
    ("", 1, 1),
    ("n", 1, 1_000_000_000),
    ("u", 1, 1_000_000),
    ("m", 1, 1000),
    ("k", 1000, 1),
    ("M", 1_000_000, 1),
    ("G", 1_000_000_000, 1),
    ("T", 1_000_000_000_000, 1),
    ("P", 1_000_000_000_000_000, 1),
    ("E", 1_000_000_000_000_000_000, 1),
    ("Ki", 1 << 10, 1),
    ("Mi", 1 << 20, 1),
    ("Gi", 1 << 30, 1),
    ("Ti", 1 << 40, 1),
    ("Pi", 1 << 50, 1),
    ("Ei", 1 << 60, 1),
];

/// `128MB`, `128 mb` and `128m` are 128M, `1gib` is 1Gi, and a bare 128 was meant to have a unit.
fn memory_meant(number: &str, unit: &str) -> Option<String> {
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix("ytes").unwrap_or(&unit);
    let suffix = match unit.strip_suffix('b').unwrap_or(unit) {
        "" if !unit.is_empty() => "",
        "" => return Some(format!("{number}Mi")).filter(|meant| is_sound(meant, &MEMORY)),
        "k" => "k",
        "m" => "M",
        "g" => "G",
        "t" => "T",
        "ki" => "Ki",
        "mi" => "Mi",
        "gi" => "Gi",
        "ti" => "Ti",
        _ => return None,
    };
    Some(format!("{number}{suffix}")).filter(|meant| is_sound(meant, &MEMORY))
}

/// `500M` and `500 mcpu` are 500m, `50%` is 500m, and `2 cores` are 2.
fn cpu_meant(number: &str, unit: &str) -> Option<String> {
    let unit = unit.to_ascii_lowercase();
    let meant = match unit.as_str() {
        "%" if !number.contains('.') => format!("{number}0m"),
        "cpu" | "cpus" | "core" | "cores" => number.to_string(),
        _ if unit.starts_with('m') => format!("{number}m"),
        _ => return None,
    };
    Some(meant).filter(|meant| is_sound(meant, &CPU))
}

fn is_sound(meant: &str, measure: &Measure) -> bool {
    amount(meant, measure.scale).is_some_and(|amount| (measure.least..=measure.most).contains(&amount))
}

#[cfg(test)]
mod tests {
    use super::{CPU, MEMORY, amount, cpu_meant, memory_meant, split};

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        let rows: &[(&str, Option<u64>, Option<u64>)] = &[
            // text, as memory in bytes, as cpu in thousandths
            ("128Mi", Some(134_217_728), Some(134_217_728_000)),
            ("1.5Gi", Some(1_610_612_736), Some(1_610_612_736_000)),
            ("100M", Some(100_000_000), Some(100_000_000_000)),
            ("1e9", Some(1_000_000_000), Some(1_000_000_000_000)),
            ("1E3", Some(1000), Some(1_000_000)),
            ("5e-1", Some(1), Some(500)),
            ("1E", Some(1_000_000_000_000_000_000), Some(u64::MAX)),
            ("64k", Some(64_000), Some(64_000_000)),
            ("500m", Some(1), Some(500)),
            ("0.5", Some(1), Some(500)),
            (".5", Some(1), Some(500)),
            ("2.", Some(2), Some(2000)),
            ("2", Some(2), Some(2000)),
            ("0", Some(0), Some(0)),
            ("0.0001", Some(1), Some(1)),
            ("1500u", Some(1), Some(2)),
            ("99999999999999999999999999999999999999999999", Some(u64::MAX), Some(u64::MAX)),
            ("1e99", Some(u64::MAX), Some(u64::MAX)),
            ("0.00000000000000000000000001Gi", Some(0), Some(0)),
            ("", None, None),
            (".", None, None),
            ("Mi", None, None),
            ("-1", None, None),
            ("+1", None, None),
            ("1.2.3", None, None),
            ("128MB", None, None),
            ("128 Mi", None, None),
            ("1K", None, None),
            ("1e", None, None),
            ("1ee3", None, None),
            ("1e99999999999", None, None),
            ("١", None, None),
        ];
        for (text, memory, cpu) in rows {
            assert_eq!(amount(text, MEMORY.scale), *memory, "{text:?} as memory");
            assert_eq!(amount(text, CPU.scale), *cpu, "{text:?} as cpu");
        }
    }

    #[test]
    fn a_quantity_that_is_none_is_guessed_at() {
        let rows: &[(&str, Option<&str>, Option<&str>)] = &[
            // text, what it means as memory and as cpu
            ("128MB", Some("128M"), Some("128m")),
            ("128mb", Some("128M"), Some("128m")),
            ("128m", Some("128M"), Some("128m")),
            ("128 MiB", Some("128Mi"), Some("128m")),
            ("128", Some("128Mi"), None),
            ("1gb", Some("1G"), None),
            ("1.5GIB", Some("1.5Gi"), None),
            ("134217728 bytes", Some("134217728"), None),
            ("8192K", Some("8192k"), None),
            ("500M", Some("500M"), Some("500m")),
            ("500mcpu", None, Some("500m")),
            ("50%", None, Some("500m")),
            ("2 cores", None, Some("2")),
            ("lots", None, None),
            ("-1", None, None),
        ];
        for (text, memory, cpu) in rows {
            let (number, unit) = split(text);
            assert_eq!(memory_meant(number, unit.trim()).as_deref(), *memory, "{text:?} as memory");
            assert_eq!(cpu_meant(number, unit.trim()).as_deref(), *cpu, "{text:?} as cpu");
        }
    }
}
