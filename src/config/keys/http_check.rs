//! `ncolony.httpcheck`

use std::time::Duration;

use hyper::Uri;

use crate::config::decode::Least;
use crate::config::node::Node;
use crate::config::report::{Path, Report};
use crate::model::{HttpGet, Probe, ProbeHandler, ProbeKind, Scheme};

use super::born;

/// `ncolony.httpcheck`, of which NColony wants all five keys: any answer is a good one, and more than `maxBad` bad ones in a
/// row end the run.
pub(in crate::config) fn http_check(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Probe> {
    const KEYS: [&str; 5] = ["url", "period", "timeout", "maxBad", "grace"];
    let entries = report.map(path, node, "a map with url, period, timeout, maxBad and grace")?;
    let (mut url, mut period, mut timeout, mut max_bad, mut grace) = (None, None, None, None, None);
    for entry in entries {
        let (path, node) = (&path.key(&entry.key), &entry.node);
        match entry.key.as_str() {
            "url" => url = asked(report, path, node),
            "period" => period = report.seconds(path, node, Least::Twentieth),
            "timeout" => timeout = report.seconds(path, node, Least::Millisecond),
            // One more than that ends the run: the sum is to fit.
            "maxBad" => max_bad = born::whole::<u32>(report, path, node, (0, i64::from(i32::MAX))),
            // In periods, as beatcheck has it.
            "grace" => grace = report.number(path, node, 0.0, 1e6, "periods"),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    let missing: Vec<&str> = KEYS.into_iter().filter(|key| !node.has_key(key)).collect();
    if !missing.is_empty() {
        report.error(path, node.span, format!("missing: {}", missing.join(", ")));
    }
    let (period, grace): (Duration, f64) = (period?, grace?);
    Some(Probe {
        kind: ProbeKind::HttpCheck,
        handler: ProbeHandler::AnyAnswer(url?),
        initial_delay: Duration::try_from_secs_f64(period.as_secs_f64() * grace).unwrap_or(Duration::MAX),
        period,
        timeout: timeout?.min(period),
        success_threshold: 1,
        failure_threshold: max_bad? + 1,
        grace: None,
    })
}

fn asked(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<HttpGet> {
    let text = report.text(path, node)?;
    let get = text.parse::<Uri>().ok().as_ref().and_then(get);
    if get.is_none() {
        let message = "expected a URL, http://HOST:PORT/PATH or https://HOST:PORT/PATH, without user and password";
        report.error(path, node.span, message);
    }
    get
}

fn get(uri: &Uri) -> Option<HttpGet> {
    let scheme = Scheme::parse(uri.scheme_str()?)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    // A port that is none is no port to `Uri`.
    let is_whole = authority.port().is_some() || authority.as_str() == authority.host();
    let port = authority.port().map_or(Some(scheme.port()), |port| Some(port.as_u16()).filter(|port| *port > 0));
    let host = authority.host().trim_matches(['[', ']']);
    Some(HttpGet {
        scheme,
        host: Some(host).filter(|host| is_whole && !host.is_empty())?.to_string(),
        port: port?,
        path: uri.path().to_string() + &uri.query().map(|query| format!("?{query}")).unwrap_or_default(),
        headers: Vec::new(),
    })
}
