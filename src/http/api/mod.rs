//! What the control program reads, over the Unix socket alone: JSON, by GET, version 1. Nothing can be changed through it.
//!
//! | path | answer | parameters |
//! | --- | --- | --- |
//! | `/v1/version` | `Version`: the monitor | |
//! | `/v1/processes` | `List` of `Process` | `watch`, `usage`, `brief` |
//! | `/v1/processes/NAME` | `Process` | `watch`, `usage` |
//! | `/v1/processes/NAME/log` | the lines that it has printed, as text | `tailLines`, `sinceSeconds`, `follow`, `previous`, `timestamps` |
//! | `/v1/events` | `List` of `Event`, the last at the end | `watch`, `process` |
//! | `/v1/verdict` | `Verdict`: whether a message of this text would be obeyed now; nothing is done | `message` |
//!
//! Every object has `kind` and `apiVersion`, `ncolony/v1`; whoever finds another one there is too old to read it. A `List`
//! has `items`; one of processes has `takenAt`, and `sampledAt`, when it was looked at what they use. What cannot be answered is a `Status`, with `status` (`Failure`), `reason`, `message` and `code`. Times are RFC 3339 in UTC, spans
//! numbers of seconds. What there is nothing to say of is left out, but for lists, numbers and truths. Keys may be added.
//!
//! With `usage=true` it may be looked anew at what processes use, which takes up to a second. `brief=true` leaves out what no
//! table shows.
//!
//! With `watch=true` the answer does not end, and is one object a line: `{"type", "object"}`, of type `ADDED`, `MODIFIED` or
//! `DELETED`; what there is at first is `ADDED`. Changes of what changes all the time (`nextStartAt`, `schedule`, `heartbeat`, `probes`, `output`,
//! `usage`) are told with the next other one. With `follow=true` a log goes on with the next run's, until the process is gone;
//! without it, its last line may be one that has not ended yet.
//!
//! A `Process`:
//!
//! - `kind`, `apiVersion`, `metadata`: `name`, `generation`, `file`, `groups`
//! - `spec`: `command`, `restartPolicy`, `suspend`, `readinessGate`, `essential`, `backoff` (`thresholdSeconds`),
//!   `terminationGracePeriodSeconds`, `dependsOn` (`name`, `condition`), `replica` (`set`, `index`, `of`), `schedule`, `output`, `probes` (`type`, `handler` and the kubelet's
//!   numbers)
//! - `status`: `observedGeneration`; `phase` (`Waiting`, `Running`, `Terminating`, `Terminated`); `state`, the metrics' word for
//!   it; `reason`, `message`; `waitsFor` (`name`, `message`), what it depends on that is not as it must be, the first 20;
//!   `says`, its own words; `ready`, `started`, `desired`; `pid`, `startedAt`, `starts`, `restarts`
//!   (of a schedule, only those that tried a failed run again), `lastRestartAt`, `startFailures`, `kills`, `nextStartAt`, `ending` (`beganAt`, `killAt`), `user`, `schedule` (`lastScheduledAt`, `lastSuccessAt`, `missed`),
//!   `lastState` (`reason`, `message`, `exitCode`, `signal`, `finishedAt`, `lastedSeconds`), `fileError`, `conditions` (`type`:
//!   `Ready`, `Started`, `Updated`, `ConfigValid`; `status`: `True`, `False`; `reason`, `message`), `heartbeat` (`lastBeatAt`,
//!   `timeoutSeconds`, `misses`), `probes` (`type`, `result`, `message`, `error`, `failingSince`, `nextAt`, `successful`, `failed`,
//!   `unknown`), `output` (`bytes`, `droppedBytes`), `usage` (`cpuSeconds`, `residentBytes`, `threads`, `openFds`)
//!
//! An `Event`: `process`, `type`, `reason`, `message`, `count`, `firstAt`, `lastAt`. A `Version`: `version`, `pid`, `phase`,
//! `startedAt`, `takenAt`, `config` (`directory`, `generation`, `loadedAt`, `error`, `refused`: `file`, `message`; `empty`, the names of
//! files without replicas; `trustedUids`, the users besides root whose files are taken, where others' are not). A `Verdict`:
//! `message`, why it would be refused.

mod json;
mod object;
mod tell;

use hyper::{Method, StatusCode};

use super::query;
use super::routes::{Content, Reply};
use super::socket::Peer;
use super::{Ask, Stuck};
use crate::model::Name;

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Wanted {
    Version,
    Processes(Option<Name>),
    Log(Name),
    Events,
    Verdict,
}

/// How it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Parameters {
    watch: bool,
    usage: bool,
    brief: bool,
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail: Option<usize>,
    since: Option<f64>,
    process: Option<Name>,
    message: Option<String>,
}

/// Why there is no other answer.
struct Refusal(StatusCode, &'static str, String);

/// The answer to a request.
pub(super) async fn answer(ask: &Ask, peer: Peer, method: &Method, path: &str, query: Option<&str>) -> Reply {
    let outcome = match wanted(peer, method, path, query) {
        Ok((wanted, parameters)) => tell::answer(ask, wanted, parameters).await,
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok(reply) => reply,
        Err(Refusal(status, reason, message)) => {
            json(status, Content::Text(object::refusal(status.as_u16(), reason, &message) + "\n"))
        }
    }
}

fn json(status: StatusCode, content: Content) -> Reply {
    Reply { status, content_type: super::routes::JSON, content }
}

fn wanted(peer: Peer, method: &Method, path: &str, query: Option<&str>) -> Result<(Wanted, Parameters), Refusal> {
    if let Peer::Stranger(uid) = peer {
        let who = uid.map_or_else(|| "somebody".to_string(), |uid| format!("user {uid}"));
        let message = format!("{who} may not ask this monitor: only root and its own user may");
        return Err(Refusal(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    if method != Method::GET && method != Method::HEAD {
        let message = "nothing can be changed here; that is done by files, in the two directories".to_string();
        return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message));
    }
    Ok((resource(path)?, parameters(query)?))
}

fn resource(path: &str) -> Result<Wanted, Refusal> {
    let unknown = || {
        let message = format!("this monitor, ncolony {}, knows no path {path:?}", env!("CARGO_PKG_VERSION"));
        Refusal(StatusCode::NOT_FOUND, "UnknownPath", message)
    };
    let name = |text: &str| Name::parse(&query::decode_path(text)).map_err(|_| unknown());
    let rest = path.strip_prefix("/v1/").ok_or_else(unknown)?;
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        ["version"] => Ok(Wanted::Version),
        ["events"] => Ok(Wanted::Events),
        ["verdict"] => Ok(Wanted::Verdict),
        ["processes"] => Ok(Wanted::Processes(None)),
        ["processes", one] => Ok(Wanted::Processes(Some(name(one)?))),
        ["processes", one, "log"] => Ok(Wanted::Log(name(one)?)),
        _ => Err(unknown()),
    }
}

fn parameters(text: Option<&str>) -> Result<Parameters, Refusal> {
    let mut parameters = Parameters::default();
    for (key, value) in query::pairs(text.unwrap_or_default()) {
        let bad = |expected: &str| {
            Refusal(StatusCode::BAD_REQUEST, "BadRequest", format!("{key}={value}: expected {expected}"))
        };
        let truth = || match value.as_str() {
            "true" | "1" | "" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(bad("true or false")),
        };
        match key.as_str() {
            "watch" => parameters.watch = truth()?,
            "usage" => parameters.usage = truth()?,
            "brief" => parameters.brief = truth()?,
            "follow" => parameters.follow = truth()?,
            "previous" => parameters.previous = truth()?,
            "timestamps" => parameters.timestamps = truth()?,
            "tailLines" => parameters.tail = Some(value.parse().map_err(|_| bad("a number of lines"))?),
            "sinceSeconds" => {
                let seconds = value.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
                parameters.since = Some(seconds.ok_or_else(|| bad("a number of seconds"))?);
            }
            "process" => parameters.process = Some(Name::parse(&value).map_err(|_| bad("a process's name"))?),
            "message" => parameters.message = Some(value),
            _ => return Err(bad("no such parameter")),
        }
    }
    Ok(parameters)
}

impl Refusal {
    fn no_process(name: &Name) -> Refusal {
        Refusal(StatusCode::NOT_FOUND, "NotFound", format!("process {:?} not found", name.as_str()))
    }
}

impl From<Stuck> for Refusal {
    fn from(stuck: Stuck) -> Refusal {
        Refusal(StatusCode::SERVICE_UNAVAILABLE, "Stuck", stuck.to_string())
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::{Parameters, Wanted, parameters, resource, wanted};
    use crate::model::Name;
    use crate::socket::Peer;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn paths_are_told_apart() {
        let rows = [
            ("/v1/version", Some(Wanted::Version)),
            ("/v1/events", Some(Wanted::Events)),
            ("/v1/processes", Some(Wanted::Processes(None))),
            ("/v1/verdict", Some(Wanted::Verdict)),
            ("/v1/processes/w%C3%B6rk%20er", Some(Wanted::Processes(Some(name("wörk er"))))),
            ("/v1/processes/web/log", Some(Wanted::Log(name("web")))),
            ("/v1/processes/", None),
            ("/v1/processes/a%2Fb", None),
            ("/v1/processes/web/exec", None),
            ("/v2/processes", None),
            ("/metrics", None),
            ("/", None),
        ];
        for (path, expected) in rows {
            assert_eq!(resource(path).ok(), expected, "{path}");
        }
    }

    #[test]
    fn parameters_are_read_and_what_is_not_known_is_refused() {
        let read = parameters(Some("watch=true&tailLines=5&sinceSeconds=1.5&process=a%20b&follow")).ok();
        let expected = Parameters {
            watch: true,
            follow: true,
            tail: Some(5),
            since: Some(1.5),
            process: Some(name("a b")),
            ..Parameters::default()
        };
        assert_eq!(read, Some(expected));
        for bad in ["watch=maybe", "tailLines=-1", "sinceSeconds=NaN", "process=a/b", "color=red"] {
            assert!(parameters(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_changed_and_nothing_said_to_strangers() {
        let status = |peer, method| wanted(peer, &method, "/v1/version", None).err().map(|refusal| refusal.0.as_u16());
        assert_eq!(status(Peer::Trusted, Method::GET), None);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(status(Peer::Trusted, method), Some(405));
        }
        assert_eq!(status(Peer::Stranger(Some(1)), Method::GET), Some(403));
    }
}
