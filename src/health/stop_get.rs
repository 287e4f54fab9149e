//! `httpGet` of a hook: one GET request, of which only the answer's status counts. It runs on the loop's runtime as the
//! status server does, and never makes the loop wait.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::Resolver;
use super::dial::{authority, connect};
use super::http::{Head, OverHttps, STOPPER, Target, Tls, host_header, request, send};
use crate::model::HttpGet;

/// Why a request was no success.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GetError {
    /// There was an answer, and its status is none from 200 to 399.
    Status(u16),
    /// There was none within this time.
    Silent(Duration),
    /// There was none, for this reason.
    Broken(String),
    /// It was not asked for.
    OverHttps,
}

/// What is read of an answer's body, so that an honest server can finish its sentence: so many bytes, so long. The kubelet
/// reads as many.
const BODY_BYTES: usize = 10 * 1024;
const BODY_LIMIT: Duration = Duration::from_secs(1);

/// Asks, and says which status was answered, if it is one from 200 to 399. Redirections are not followed.
///
/// # Errors
/// Everything else.
pub async fn stop_get(resolver: &Resolver, what: &HttpGet, limit: Duration, tls: Tls) -> Result<u16, GetError> {
    tls.allows(what.scheme).map_err(|OverHttps| GetError::OverHttps)?;
    let until = Instant::now() + limit;
    timeout_at(until, exchange(resolver, what, until)).await.unwrap_or(Err(GetError::Silent(limit)))
}

async fn exchange(resolver: &Resolver, what: &HttpGet, until: Instant) -> Result<u16, GetError> {
    let cannot_connect = |error: super::dial::DialError| GetError::Broken(error.to_string());
    let stream = connect(resolver, &what.host, what.port, until).await.map_err(cannot_connect)?;
    let host = host_header(what).map_or_else(|| authority(&what.host, what.port), str::to_string);
    let asked = request(what, &what.path, &host, STOPPER);
    let mut inbox = send(stream, &Target::of(what), asked).await.map_err(cannot_connect)?;
    let head = Head::read(&mut inbox).await.map_err(GetError::Broken)?;
    // Neither a body that never ends nor one that breaks off changes what was answered.
    let _ = timeout(BODY_LIMIT, head.body(&mut inbox, BODY_BYTES)).await;
    if (200..400).contains(&head.status) { Ok(head.status) } else { Err(GetError::Status(head.status)) }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Status(status) => write!(f, "the answer was status {status}"),
            GetError::Silent(limit) => write!(f, "no answer within {:.1} s", limit.as_secs_f64()),
            GetError::Broken(why) => f.write_str(why),
            GetError::OverHttps => f.write_str("it is asked for by HTTPS, which is not for this process"),
        }
    }
}

impl std::error::Error for GetError {}
