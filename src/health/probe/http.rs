//! `httpGet`, as the kubelet has it (`pkg/probe/http/http.go`): a status from 200 to 399 is success; redirections are
//! followed on the same host, and one that leads away is a success with a warning. One thing is added: of the body of a
//! failure the beginning is shown.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Outcome;
use crate::health::Resolver;
use crate::health::dial::{DialError, authority, connect};
use crate::health::http::{Head, Line, Location, OverHttps, PROBER, Target, Tls, host_header, request, send};
use crate::health::inbox::Inbox;
use crate::model::{HttpGet, shown};

/// What is read of a body; the kubelet reads as much.
const BODY: usize = 10 * 1024;
/// What is shown of it.
const SHOWN: usize = 200;
/// Go's client follows as many redirections.
const MOST_REDIRECTIONS: usize = 10;

/// `httpGet`: whether the answer is one that says that all is well.
///
/// # Errors
/// It, or what it redirects to, is asked for by HTTPS, and that is not for this process.
pub async fn http_get(resolver: &Resolver, what: &HttpGet, limit: Duration, tls: Tls) -> Result<Outcome, OverHttps> {
    let probe = Probe::new(resolver, what, limit, tls);
    timeout_at(probe.until, probe.follow()).await.unwrap_or_else(|_| Ok(Outcome::Failure(probe.too_late(limit))))
}

/// NColony's check: any answer will do, and is the process's word that it lives. No redirection is followed.
///
/// # Errors
/// It is asked for by HTTPS, and that is not for this process.
pub async fn any_answer(resolver: &Resolver, what: &HttpGet, limit: Duration, tls: Tls) -> Result<Outcome, OverHttps> {
    let probe = Probe::new(resolver, what, limit, tls);
    let target = Target::of(what);
    match timeout_at(probe.until, probe.ask(&target, probe.host(&target, true))).await {
        Ok(Ok(_)) => Ok(Outcome::Success),
        Ok(Err(known)) => known,
        Err(_) => Ok(Outcome::Failure(probe.too_late(limit))),
    }
}

/// One probe under way.
struct Probe<'a> {
    resolver: &'a Resolver,
    what: &'a HttpGet,
    until: Instant,
    tls: Tls,
    stage: Cell<Stage>,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Stage {
    Connection,
    Answer,
    Body,
}

impl Probe<'_> {
    fn new<'a>(resolver: &'a Resolver, what: &'a HttpGet, limit: Duration, tls: Tls) -> Probe<'a> {
        Probe { resolver, what, until: Instant::now() + limit, tls, stage: Cell::new(Stage::Connection) }
    }

    async fn follow(&self) -> Result<Outcome, OverHttps> {
        let mut target = Target::of(self.what);
        let mut keeps_host = true;
        for _ in 0..=MOST_REDIRECTIONS {
            let (head, inbox) = match self.ask(&target, self.host(&target, keeps_host)).await {
                Ok(answered) => answered,
                Err(known) => return known,
            };
            let location = head.location.as_deref().filter(|_| head.is_redirection());
            match location.map(|location| (location, target.follow(location))) {
                Some((_, Some(Location::Here { target: next, is_relative }))) => {
                    target = next;
                    keeps_host &= is_relative;
                }
                Some((location, None)) => {
                    let location = shown(location.as_bytes(), SHOWN);
                    return Ok(Outcome::Failure(format!("failed to parse Location header \"{location}\"")));
                }
                Some((_, Some(Location::Away))) | None => return Ok(self.judge(&head, inbox).await),
            }
        }
        Ok(Outcome::Failure(format!("stopped after {MOST_REDIRECTIONS} redirects")))
    }

    /// Asks for this, and waits for the head of the answer; or says what the probe comes to without one.
    async fn ask(&self, target: &Target, host: String) -> Result<(Head, Inbox<Line>), Result<Outcome, OverHttps>> {
        self.tls.allows(target.scheme).map_err(Err)?;
        self.stage.set(Stage::Connection);
        let stream = connect(self.resolver, &target.host, target.port, self.until).await;
        let stream = stream.map_err(|error| Ok(outcome(error)))?;
        self.stage.set(Stage::Answer);
        let asked = request(self.what, &target.path, &host, PROBER);
        let mut inbox = send(stream, target, asked).await.map_err(|error| Ok(outcome(error)))?;
        let head = Head::read(&mut inbox).await.map_err(|why| Ok(Outcome::Failure(why)))?;
        Ok((head, inbox))
    }

    async fn judge(&self, head: &Head, mut inbox: Inbox<Line>) -> Outcome {
        self.stage.set(Stage::Body);
        let body = head.body(&mut inbox, BODY).await;
        match (head.status, body) {
            (200..300, Ok(_)) => Outcome::Success,
            (300..400, Ok(body)) => {
                Outcome::Warning(format!("Probe terminated redirects, Response body: {}", shown(&body, SHOWN)))
            }
            (200..400, Err(why)) => Outcome::Failure(why),
            (status, body) => {
                // Of a failure, the body is not what matters.
                let body = body.unwrap_or_default();
                let separator = if body.is_empty() { "" } else { ": " };
                let body = shown(body.trim_ascii(), SHOWN);
                Outcome::Failure(format!("HTTP probe failed with statuscode: {status}{separator}{body}"))
            }
        }
    }

    /// The `Host` of a request: as in Go's client the file's own as long as nobody named another host.
    fn host(&self, target: &Target, keeps_host: bool) -> String {
        let own = host_header(self.what).filter(|_| keeps_host).map(str::to_string);
        own.unwrap_or_else(|| authority(&target.host, target.port))
    }

    fn too_late(&self, limit: Duration) -> String {
        format!("{} within {} s", self.stage.get(), limit.as_secs_f64())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Connection => "no connection",
            Stage::Answer => "no answer",
            Stage::Body => "no end of the answer",
        })
    }
}

fn outcome(error: DialError) -> Outcome {
    match error {
        DialError::Refused(why) => Outcome::Failure(why),
        DialError::Unable(why) => Outcome::Unknown(why),
    }
}
