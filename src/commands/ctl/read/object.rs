//! What the monitor's objects say, by the places where it stands.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::paint::Tint;
use crate::model::Span;

/// What stands at a place, such as `/status/pid`; empty where that is no text.
pub(in crate::ctl) fn text<'a>(object: &'a Value, place: &str) -> &'a str {
    object.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// The number there, if there is one.
pub(in crate::ctl) fn number(object: &Value, place: &str) -> Option<f64> {
    object.pointer(place).and_then(Value::as_f64)
}

/// Whether it says that something is so.
pub(in crate::ctl) fn holds(object: &Value, place: &str) -> bool {
    object.pointer(place) == Some(&Value::Bool(true))
}

/// What is in the list there.
pub(in crate::ctl) fn list<'a>(object: &'a Value, place: &str) -> &'a [Value] {
    object.pointer(place).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A process's name.
pub(in crate::ctl) fn name(process: &Value) -> &str {
    text(process, "/metadata/name")
}

/// The name of the file with replicas of which it is one.
pub(in crate::ctl) fn set(process: &Value) -> &str {
    text(process, "/spec/replica/set")
}

/// In one word: why it does not run, or that it does. Of a schedule that waits for its time, also how the last run failed.
pub(super) fn status(process: &Value) -> String {
    let [reason, phase, end] =
        ["/status/reason", "/status/phase", "/status/lastState/reason"].map(|place| text(process, place));
    match (reason, end) {
        ("Scheduled", "" | "Completed" | "Stopped") => reason.to_string(),
        ("Scheduled", failure) => format!("{reason}:{failure}"),
        ("", _) if phase.is_empty() => "Unknown".to_string(),
        ("", _) => phase.to_string(),
        (reason, _) => reason.to_string(),
    }
}

/// Whether its status wants to be looked at.
pub(super) fn tint(process: &Value) -> Tint {
    match (text(process, "/status/reason"), holds(process, "/status/ready")) {
        ("Scheduled", _) if status(process) != "Scheduled" => Tint::Trouble,
        (_, true) | ("Scheduled" | "Suspended", _) => Tint::Plain,
        ("" | "DependencyNotReady" | "Terminating" | "Stopped", false) => Tint::Warning,
        (_, false) => Tint::Trouble,
    }
}

/// Seconds since 1970, now.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The time there, in seconds since 1970.
pub(in crate::ctl) fn time(object: &Value, place: &str) -> Option<f64> {
    seconds(text(object, place))
}

/// How long ago the time there was.
pub(super) fn ago(object: &Value, place: &str, now: f64) -> Option<Span> {
    seconds(text(object, place)).map(|then| Span(now - then))
}

/// How long it is until then, in whole seconds that have begun.
pub(super) fn until(object: &Value, place: &str, now: f64) -> Option<Span> {
    seconds(text(object, place)).map(|then| Span((then - now).ceil()))
}

/// Seconds since 1970 of a time in UTC as RFC 3339 has it.
fn seconds(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let mut part = || date.next()?.ok();
    let (year, month, day) = (part()?, part()?, part()?);
    let mut time = time.split(':').map(str::parse::<f64>);
    let mut part = || time.next()?.ok();
    let (hours, minutes, seconds) = (part()?, part()?, part()?);
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days as f64 * 86_400.0 + hours * 3600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ago, seconds, status, until};

    #[test]
    fn times_are_read_as_they_are_written() {
        let rows = [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2000-02-29T00:00:00.5Z", Some(951_782_400.5)),
            ("2026-11-22T20:15:38.000000Z", Some(1_795_378_538.0)),
            ("2100-02-28T23:59:59Z", Some(4_107_542_399.0)),
            ("", None),
            ("yesterday", None),
            ("2026-11-22 20:15:38", None),
        ];
        for (text, expected) in rows {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn spans_are_counted_from_now() {
        let object = json!({"then": "1970-01-01T00:01:40Z"});
        assert_eq!(ago(&object, "/then", 400.0).map(|span| span.to_string()).as_deref(), Some("5m"));
        assert_eq!(until(&object, "/then", 96.5).map(|span| span.to_string()).as_deref(), Some("4s"));
        assert!(ago(&object, "/when", 0.0).is_none());
    }

    #[test]
    fn the_reason_comes_before_the_phase() {
        assert_eq!(status(&json!({"status": {"phase": "Waiting", "reason": "Suspended"}})), "Suspended");
        assert_eq!(status(&json!({"status": {"phase": "Running"}})), "Running");
        assert_eq!(status(&json!({})), "Unknown");
        let job = |end: &str| status(&json!({"status": {"reason": "Scheduled", "lastState": {"reason": end}}}));
        assert_eq!(["", "Completed", "Stopped", "OOMKilled"].map(job)[2..], ["Scheduled", "Scheduled:OOMKilled"]);
    }
}
