//! From a method, a path, a query and a snapshot to an answer. Nothing here waits or reads a clock.

use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Response, StatusCode};
use prometheus::Registry;

use super::colony::Colony;
use super::metrics::{self, Exposition};
use super::pieces::Pieces;
use super::query::Query;
use super::stream::Stream;
use super::verdict::{self, Finding};
use super::{Stuck, health, page, query};
use crate::model::{EventsAsked, ProcessEvent, Snapshot};

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// So many events of the colony are shown to people: what fits below its processes.
const SHOWN_EVENTS: usize = 20;

/// What there is to be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Page,
    Colony,
    Metrics,
    Healthz,
    Readyz,
    Livez,
    Startupz,
}

/// A request that has an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub(super) route: Route,
    /// One check alone, as in `/healthz/web`.
    pub(super) check: Option<String>,
}

/// An answer, but for what HTTP adds to it.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) content: Content,
}

/// What an answer says.
pub(super) enum Content {
    Text(String),
    /// What is made as it is sent.
    Metrics(Box<Exposition>),
    /// The same, line by line.
    Stream(Stream),
    /// The same, until whoever listens has gone.
    Endless(Stream),
}

/// What an answer says, as HTTP has it.
pub(super) type Body = Either<Full<Bytes>, Pieces>;

impl Route {
    pub(super) const ALL: [Route; 7] =
        [Route::Page, Route::Colony, Route::Metrics, Route::Healthz, Route::Readyz, Route::Livez, Route::Startupz];

    /// Its path; also the value of the label `path`.
    pub(super) fn path(self) -> &'static str {
        match self {
            Route::Page => "/",
            Route::Colony => "/colony.json",
            Route::Metrics => "/metrics",
            Route::Healthz => "/healthz",
            Route::Readyz => "/readyz",
            Route::Livez => "/livez",
            Route::Startupz => "/startupz",
        }
    }

    /// Which events it shows, if it shows any.
    pub(super) fn shown_events(self) -> Option<EventsAsked> {
        match self {
            Route::Page | Route::Colony => Some(EventsAsked { of: None, newest: SHOWN_EVENTS }),
            Route::Metrics | Route::Healthz | Route::Readyz | Route::Livez | Route::Startupz => None,
        }
    }

    /// Whether the answer's size grows with the colony even while all is well.
    pub(super) fn is_large(self) -> bool {
        !self.has_checks()
    }

    /// Whether it answers with checks, each of which can be asked for alone.
    fn has_checks(self) -> bool {
        match self {
            Route::Page | Route::Colony | Route::Metrics => false,
            Route::Healthz | Route::Readyz | Route::Livez | Route::Startupz => true,
        }
    }
}

/// What is asked for; else the refusal, with the value of the label `path` for it.
pub(super) fn find(method: &Method, path: &str) -> Result<Wanted, (&'static str, Reply)> {
    let Some(wanted) = Route::ALL.into_iter().find_map(|route| wanted(route, path)) else {
        return Err(("other", not_found()));
    };
    if method == Method::GET || method == Method::HEAD {
        return Ok(wanted);
    }
    let body = "only GET and HEAD are answered here\n".to_string();
    Err((wanted.route.path(), text(StatusCode::METHOD_NOT_ALLOWED, body)))
}

/// What is asked for, if it is by this route.
fn wanted(route: Route, path: &str) -> Option<Wanted> {
    match path.strip_prefix(route.path())? {
        "" => Some(Wanted { route, check: None }),
        rest => {
            let name = rest.strip_prefix('/').filter(|name| route.has_checks() && !name.is_empty())?;
            Some(Wanted { route, check: Some(query::decode_path(name)) })
        }
    }
}

fn not_found() -> Reply {
    let mut body = "no such path; there are:\n".to_string();
    for route in Route::ALL {
        body.push_str(route.path());
        body.push_str(if route.has_checks() { "[/NAME]\n" } else { "\n" });
    }
    text(StatusCode::NOT_FOUND, body)
}

fn text(status: StatusCode, body: String) -> Reply {
    Reply { status, content_type: TEXT, content: Content::Text(body) }
}

/// The answer that a snapshot gives, and the events that the route [`shows`](Route::shown_events). `fresh` is how old the loop's last full look may be.
pub(super) fn answer(
    wanted: &Wanted,
    query: Option<&str>,
    snapshot: Snapshot,
    events: &[ProcessEvent],
    fresh: Duration,
    registry: &Registry,
) -> Reply {
    let ok = |content_type, content| Reply { status: StatusCode::OK, content_type, content };
    let checked = |findings| checked(wanted, findings, query);
    match wanted.route {
        Route::Page => ok(HTML, Content::Text(page::render(&Colony::of(&snapshot, events, fresh)))),
        Route::Colony => ok(JSON, Content::Text(Colony::of(&snapshot, events, fresh).to_json())),
        Route::Metrics => {
            ok(metrics::CONTENT_TYPE, Content::Metrics(Box::new(Exposition::new(snapshot, registry.clone()))))
        }
        Route::Healthz | Route::Readyz => match wanted.check.as_deref() {
            Some(name) => checked(verdict::ready_one(&snapshot, fresh, name)),
            None => checked(verdict::ready(&snapshot, fresh)),
        },
        Route::Livez => checked(named(verdict::live(&snapshot, fresh), wanted)),
        Route::Startupz => checked(named(verdict::started(&snapshot, fresh), wanted)),
    }
}

/// The check that is asked for, or all.
fn named<'a>(findings: Vec<Finding<'a>>, wanted: &Wanted) -> Vec<Finding<'a>> {
    let is_wanted = |finding: &Finding<'_>| wanted.check.as_deref().is_none_or(|name| finding.name == name);
    findings.into_iter().filter(is_wanted).collect()
}

fn checked(wanted: &Wanted, findings: Vec<Finding<'_>>, query: Option<&str>) -> Reply {
    if let (Some(name), true) = (&wanted.check, findings.is_empty()) {
        let body = format!("no process and no check is called \"{}\"\n", health::OneLine(name));
        return text(StatusCode::NOT_FOUND, body);
    }
    let (passed, body) = health::report(&wanted.route.path()[1..], &findings, &Query::parse(query));
    let status = if passed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    text(status, body)
}

/// The answer where the loop gives none.
pub(super) fn stuck(route: Route, stuck: Stuck) -> Reply {
    let body = match route {
        Route::Healthz | Route::Readyz | Route::Livez | Route::Startupz => {
            format!("[-]ping failed: {stuck}\n{} check failed\n", &route.path()[1..])
        }
        Route::Page | Route::Colony | Route::Metrics => format!("{stuck}\n"),
    };
    text(StatusCode::SERVICE_UNAVAILABLE, body)
}

impl Reply {
    /// The same as HTTP.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(match self.content {
            Content::Text(text) => Either::Left(Full::new(Bytes::from(text))),
            Content::Metrics(exposition) => Either::Right(Pieces::of(exposition)),
            Content::Stream(stream) | Content::Endless(stream) => Either::Right(Pieces::of_stream(stream)),
        });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, self.content_type);
        set(header::CACHE_CONTROL, "no-store");
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::CONTENT_SECURITY_POLICY, page::POLICY);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            set(header::ALLOW, "GET, HEAD");
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::{Method, StatusCode};
    use prometheus::Registry;

    use super::{Content, Reply, Route, answer, find, stuck};
    use crate::Stuck;
    use crate::model::{Phase, Snapshot};
    use crate::sample::{colony, process};

    fn get(route: Route, query: &str, snapshot: &Snapshot) -> Reply {
        ask(route.path(), query, snapshot)
    }

    fn ask(path: &str, query: &str, snapshot: &Snapshot) -> Reply {
        let wanted = find(&Method::GET, path).ok().expect("it has an answer");
        answer(&wanted, Some(query), snapshot.clone(), &[], Duration::from_secs(30), &Registry::new())
    }

    fn body(reply: Reply) -> String {
        match reply.content {
            Content::Text(text) => text,
            Content::Metrics(pieces) => pieces.map(|piece| String::from_utf8_lossy(&piece).into_owned()).collect(),
            Content::Stream(_) | Content::Endless(_) => panic!("the port has no streams"),
        }
    }

    #[test]
    fn paths_and_methods_are_told_apart() {
        type Found = Result<Route, (u16, &'static str)>;
        let rows: &[(Method, &str, Found)] = &[
            (Method::GET, "/", Ok(Route::Page)),
            (Method::HEAD, "/metrics", Ok(Route::Metrics)),
            (Method::GET, "/healthz", Ok(Route::Healthz)),
            (Method::GET, "/readyz", Ok(Route::Readyz)),
            (Method::GET, "/livez", Ok(Route::Livez)),
            (Method::GET, "/startupz", Ok(Route::Startupz)),
            (Method::GET, "/healthz/web", Ok(Route::Healthz)),
            (Method::POST, "/readyz/web", Err((405, "/readyz"))),
            (Method::GET, "/metrics/web", Err((404, "other"))),
            (Method::GET, "/healthzweb", Err((404, "other"))),
            (Method::GET, "/colony.json", Ok(Route::Colony)),
            (Method::POST, "/healthz", Err((405, "/healthz"))),
            (Method::OPTIONS, "/", Err((405, "/"))),
            (Method::GET, "/healthz/", Err((404, "other"))),
            (Method::GET, "//metrics", Err((404, "other"))),
            (Method::GET, "/Metrics", Err((404, "other"))),
            (Method::GET, "/../etc/passwd", Err((404, "other"))),
            (Method::DELETE, "/nowhere", Err((404, "other"))),
            (Method::GET, "", Err((404, "other"))),
            (Method::OPTIONS, "*", Err((404, "other"))),
        ];
        for (method, path, expected) in rows {
            let got =
                find(method, path).map(|wanted| wanted.route).map_err(|(label, reply)| (reply.status.as_u16(), label));
            assert_eq!(got, *expected, "{method} {path}");
        }
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let refusal = |method, path| find(&method, path).expect_err("it is refused").1;
        let missing = body(refusal(Method::GET, "/status"));
        for route in Route::ALL {
            let is_told = |line: &str| line.trim_end_matches("[/NAME]") == route.path();
            assert!(missing.lines().any(is_told), "{missing}");
        }
        let refused = refusal(Method::PUT, "/metrics");
        assert_eq!(refused.into_response().headers()["allow"], "GET, HEAD");
    }

    #[test]
    fn ready_and_live_differ_in_what_they_look_at() {
        let mut snapshot = colony(vec![process("web")]);
        snapshot.processes[0].ready = false;
        assert_eq!(get(Route::Healthz, "", &snapshot).status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body(get(Route::Readyz, "exclude=web", &snapshot)), "ok");
        let live = get(Route::Livez, "verbose", &snapshot);
        assert_eq!(live.status, StatusCode::OK);
        assert_eq!(body(live), "[+]ping ok\n[+]loop ok\nlivez check passed\n");
    }

    #[test]
    fn one_process_or_check_can_be_asked_for_alone() {
        let mut snapshot = colony(vec![process("web"), process("wörk er"), process("loop")]);
        snapshot.processes[1].ready = false;
        snapshot.processes[1].gate = false;
        let rows = [
            ("/healthz/web", 200, "ok"),
            ("/readyz/web", 200, "ok"),
            ("/healthz/w%C3%B6rk%20er", 503, "[-]wörk er failed: running\nhealthz check failed\n"),
            ("/healthz/reconcile", 200, "ok"),
            ("/livez/loop", 200, "ok"),
            ("/startupz/web", 200, "ok"),
            ("/livez/web", 404, "no process and no check is called \"web\"\n"),
            ("/healthz/w%0Aeb", 404, "no process and no check is called \"w eb\"\n"),
            ("/healthz/a+b", 404, "no process and no check is called \"a+b\"\n"),
        ];
        for (path, status, body) in rows {
            let reply = ask(path, "", &snapshot);
            assert_eq!((reply.status.as_u16(), self::body(reply).as_str()), (status, body), "{path}");
        }
        assert_eq!(get(Route::Healthz, "", &snapshot).status, StatusCode::OK, "it does not gate");
        snapshot.phase = Phase::ShuttingDown;
        let reply = ask("/healthz/web", "", &snapshot);
        let expected = "[-]shutdown failed: the monitor is shutting down\n[+]web ok\nhealthz check failed\n";
        assert_eq!((reply.status.as_u16(), body(reply).as_str()), (503, expected));
    }

    #[test]
    fn all_checks_are_listed_when_one_fails() {
        let mut snapshot = colony(vec![process("web")]);
        snapshot.phase = Phase::ShuttingDown;
        let reply = get(Route::Readyz, "", &snapshot);
        let expected = "[+]ping ok\n[+]loop ok\n[+]reconcile ok\n[-]shutdown failed: the monitor is shutting down\n\
                        [+]config ok\n[+]web ok\nreadyz check failed\n";
        assert_eq!(body(reply), expected);
    }

    #[test]
    fn the_types_are_those_that_clients_insist_on() {
        let snapshot = colony(vec![process("web")]);
        let rows = [
            (Route::Metrics, "text/plain; version=0.0.4; charset=utf-8"),
            (Route::Healthz, "text/plain; charset=utf-8"),
            (Route::Page, "text/html; charset=utf-8"),
            (Route::Colony, "application/json"),
        ];
        for (route, expected) in rows {
            let response = get(route, "", &snapshot).into_response();
            assert_eq!(response.headers()["content-type"], expected);
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }

    #[test]
    fn a_silent_loop_is_told_of_on_every_path() {
        for route in Route::ALL {
            let reply = stuck(route, Stuck::Silent);
            assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(body(reply).contains("the loop did not answer within 1 s"), "{route:?}");
        }
    }
}
