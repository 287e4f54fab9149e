//! `httpGet`: one GET request, of which only the answer's status counts. It runs on the loop's runtime as the status server
//! does, and never makes the loop wait.

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

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
}

/// The most bytes of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;
/// What is read of an answer's body, so that an honest server can finish its sentence: so many bytes, so long. The kubelet
/// reads as many.
const BODY_BYTES: usize = 10 * 1024;
const BODY_LIMIT: Duration = Duration::from_secs(1);

/// Asks, and says which status was answered, if it is one from 200 to 399. Redirections are not followed.
///
/// # Errors
/// Everything else.
pub async fn http_get(what: &HttpGet, limit: Duration) -> Result<u16, GetError> {
    timeout(limit, exchange(what)).await.unwrap_or(Err(GetError::Silent(limit)))
}

async fn exchange(what: &HttpGet) -> Result<u16, GetError> {
    let cannot_connect = |error| GetError::Broken(format!("cannot connect to {}: {error}", authority(what)));
    let stream = TcpStream::connect((what.host.as_str(), what.port)).await.map_err(cannot_connect)?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with this function, however that ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request(what)?).await.map_err(broken)?;
    let status = answer.status().as_u16();
    // Neither a body that never ends nor one that breaks off changes what was answered.
    let _ = timeout(BODY_LIMIT, pass_over(answer.into_body())).await;
    if (200..400).contains(&status) { Ok(status) } else { Err(GetError::Status(status)) }
}

fn request(what: &HttpGet) -> Result<Request<Empty<Bytes>>, GetError> {
    let unfit = |error: hyper::http::Error| GetError::Broken(format!("cannot make the request: {error}"));
    let request = Request::builder().method(Method::GET).uri(&what.path).body(Empty::new());
    let mut request = request.map_err(unfit)?;
    let headers = request.headers_mut();
    for (name, value) in &what.headers {
        let name = HeaderName::try_from(name).map_err(|error| unfit(error.into()))?;
        headers.append(name, HeaderValue::try_from(value).map_err(|error| unfit(error.into()))?);
    }
    let host = HeaderValue::try_from(authority(what)).map_err(|error| unfit(error.into()))?;
    let ours = concat!("ncolony/", env!("CARGO_PKG_VERSION"));
    // What the file says wins, as in a Pod.
    headers.entry(HOST).or_insert(host);
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(ours));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

fn authority(what: &HttpGet) -> String {
    match what.host.contains(':') {
        true => format!("[{}]:{}", what.host, what.port),
        false => format!("{}:{}", what.host, what.port),
    }
}

async fn pass_over(mut body: Incoming) {
    let mut left = BODY_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

fn broken(error: hyper::Error) -> GetError {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    GetError::Broken(format!("{error}{cause}"))
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Status(status) => write!(f, "the answer was status {status}"),
            GetError::Silent(limit) => write!(f, "no answer within {:.1} s", limit.as_secs_f64()),
            GetError::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for GetError {}
