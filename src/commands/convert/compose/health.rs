//! `healthcheck`: whether a process is ready. As with compose, none is restarted for it.

use super::super::conversion::Error;
use super::super::text;
use super::item::Item;
use super::reading::Reading;

/// What holds for a healthcheck that does not say, in seconds.
const INTERVAL: f64 = 30.0;
const TIMEOUT: f64 = 30.0;
const RETRIES: i64 = 3;
/// The shortest period of a probe.
const SHORTEST: f64 = 0.05;

pub(super) fn healthcheck(item: &Item<'_>, reading: &mut Reading) -> Result<(), Error> {
    let parts = item.entries()?;
    let (mut command, mut is_off) = (None, false);
    let (mut interval, mut timeout, mut retries) = (INTERVAL, TIMEOUT, RETRIES);
    for part in parts.iter().filter(|part| !part.is_null()) {
        match part.key {
            "test" => match test(part, reading)? {
                Some(words) => command = Some(words),
                None => is_off = true,
            },
            "disable" => is_off |= reading.is_true(part)?,
            "interval" => interval = positive(reading.span(part)?).unwrap_or(INTERVAL),
            "timeout" => timeout = positive(reading.span(part)?).unwrap_or(TIMEOUT),
            "retries" => retries = reading.whole(part)?.filter(|retries| *retries > 0).unwrap_or(RETRIES),
            "start_period" => {
                // Looked at, so that what is no span is told.
                reading.span(part)?;
                reading.remark(part, "a process is not ready before the first success, however often it fails");
            }
            "start_interval" => {
                reading.span(part)?;
                reading.lost(part, "a probe has one pace, readinessProbe.periodSeconds");
            }
            _ => reading.lost(part, "compose knows no such setting; is it misspelt?"),
        }
    }
    if is_off {
        return Ok(());
    }
    let Some(command) = command else {
        reading.lost(item, "its test is the image's, which is not known here; write it as a readinessProbe");
        return Ok(());
    };
    reading.remark(item, "it is a readinessProbe: no run is ended for it; livenessProbe would do that");
    let process = &mut reading.process;
    process.set("readinessProbe.exec.command", command);
    process.set("readinessProbe.periodSeconds", text::seconds(interval.max(SHORTEST)));
    process.set("readinessProbe.timeoutSeconds", text::seconds(timeout.max(SHORTEST)));
    process.set("readinessProbe.failureThreshold", retries);
    Ok(())
}

/// 0 is what holds for who does not say.
fn positive(span: Option<f64>) -> Option<f64> {
    span.filter(|seconds| *seconds > 0.0)
}

/// The command; `None`: there is to be no check.
fn test(item: &Item<'_>, reading: &mut Reading) -> Result<Option<Vec<String>>, Error> {
    let shell = |line: String| vec!["/bin/sh".to_string(), "-c".to_string(), text::in_shell(&line)];
    if !item.is_list() {
        let line = reading.text(item)?;
        return Ok(Some(shell(line)));
    }
    let mut words = Vec::new();
    for word in item.items()? {
        words.push(reading.text(&word)?);
    }
    let wrong = || item.error("expected NONE, or CMD or CMD-SHELL with a command behind it");
    if words.is_empty() {
        return Err(wrong());
    }
    let kind = words.remove(0);
    match kind.as_str() {
        "NONE" => Ok(None),
        "CMD" if !words.is_empty() => Ok(Some(reading.by_shell(item, words))),
        // What stands behind the line are arguments of the shell, which expands nothing in them.
        "CMD-SHELL" if !words.is_empty() && !words[1..].iter().any(|word| text::refers(word)) => {
            let mut command = shell(words.remove(0));
            command.extend(words);
            Ok(Some(command))
        }
        _ => Err(wrong()),
    }
}
