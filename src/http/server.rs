use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::Ask;
use super::connections::{Asked, Connections};
use super::routes::{self, Body, Reply, Route, Wanted};
use crate::failpoint;

/// The most connections that are open at once.
pub(super) const MOST: usize = 64;
/// From the connection to the end of the request's head.
pub(super) const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// From the connection to the last byte of the answer.
pub(super) const WHOLE_LIMIT: Duration = Duration::from_secs(10);
/// What is given to the answers under way at shutdown.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);
/// The pause after an `accept` that failed and will fail again, for the want of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The least time between two warnings of that.
const WARN_PAUSE: Duration = Duration::from_secs(60);
/// The most answers of a size that grows with the colony that are held in memory at once.
const MOST_LARGE: usize = 4;
/// The most bytes and fields of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;

/// What every request's answer is made from.
struct Site {
    ask: Ask,
    registry: Registry,
    fresh: Duration,
    requests: IntCounterVec,
    large: Arc<Semaphore>,
}

/// Answers requests until `shutdown` is ready, and then within a second.
///
/// `registry` is shown by `/metrics` beside what a snapshot tells, and gets `ncolony_http_requests_total`. `fresh` is
/// how old the loop's last full look may be ([`fresh`](super::fresh)). Without listeners it only waits for `shutdown`.
pub async fn serve(
    listeners: Vec<TcpListener>,
    ask: Ask,
    registry: Registry,
    fresh: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let requests = request_counter(&registry);
    let site = Arc::new(Site { ask, registry, fresh, requests, large: Arc::new(Semaphore::new(MOST_LARGE)) });
    let mut connections = Connections::new(MOST);
    let mut shutdown = pin!(shutdown);
    let mut warned = None;
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = connections.ended() => {}
            accepted = accept(&listeners) => match accepted {
                Ok(stream) => {
                    let asked = Asked::default();
                    connections.admit(asked.clone(), connection(stream, asked, Arc::clone(&site))).await;
                }
                // Of no meaning for the next: the other side was gone before we had a look.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                Err(error) => {
                    warn_of(&error, &mut warned);
                    if !connections.shrink().await {
                        connections.close_one();
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            },
        }
    }
    drop(listeners);
    connections.drain(DRAIN_LIMIT).await;
}

fn request_counter(registry: &Registry) -> IntCounterVec {
    let options = Opts::new("ncolony_http_requests_total", "Requests to the status server.");
    let requests = IntCounterVec::new(options, &["path", "code"]).expect("the name and the labels are good ones");
    for path in Route::ALL.map(Route::path) {
        requests.with_label_values(&[path, "200"]);
    }
    if let Err(error) = registry.register(Box::new(requests.clone())) {
        tracing::warn!(%error, "requests to the status server are not counted in /metrics");
    }
    requests
}

/// Says so once a minute at most.
fn warn_of(error: &io::Error, warned: &mut Option<Instant>) {
    if warned.is_none_or(|at| at.elapsed() >= WARN_PAUSE) {
        *warned = Some(Instant::now());
        tracing::warn!(%error, "cannot accept connections to the status server");
    }
}

/// The next connection of any of the listeners; for ever if there are none.
async fn accept(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    })
    .await
}

/// One request and its answer.
async fn connection(stream: TcpStream, asked: Asked, site: Arc<Site>) {
    // Else the kernel keeps each piece of a large answer until the one before has arrived.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection to the status server may be slow");
    }
    // Kept by the service, which lives as long as the connection: until the last byte has left.
    let seat = Arc::new(OnceLock::new());
    let service = service_fn(|request| {
        asked.set();
        let (site, seat) = (Arc::clone(&site), Arc::clone(&seat));
        async move { Ok::<_, Infallible>(respond(&site, &seat, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        // A scraper comes back after more than any idle limit that we would grant; so none waits for it.
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(WHOLE_LIMIT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the status server ended early"),
        Err(_) => tracing::debug!("a connection to the status server took too long"),
    }
}

async fn respond(site: &Site, seat: &OnceLock<OwnedSemaphorePermit>, request: &Request<Incoming>) -> Response<Body> {
    failpoint::reach("http");
    let (label, reply) = match routes::find(request.method(), request.uri().path()) {
        Ok(wanted) => (wanted.route.path(), answer(site, seat, &wanted, request.uri().query()).await),
        Err((label, refusal)) => (label, refusal),
    };
    site.requests.with_label_values(&[label, reply.status.as_str()]).inc();
    reply.into_response()
}

async fn answer(site: &Site, seat: &OnceLock<OwnedSemaphorePermit>, wanted: &Wanted, query: Option<&str>) -> Reply {
    if wanted.route.is_large()
        && let Ok(permit) = Arc::clone(&site.large).acquire_owned().await
    {
        // The connection's one request has come, so the seat was empty.
        let _ = seat.set(permit);
    }
    let seen = async {
        let events = match wanted.route.shown_events() {
            Some(asked) => site.ask.events(asked).await?,
            None => Vec::new(),
        };
        let snapshot = match wanted.route {
            Route::Metrics => site.ask.usage().await?,
            Route::Page | Route::Colony | Route::Healthz | Route::Readyz | Route::Livez | Route::Startupz => {
                site.ask.snapshot().await?
            }
        };
        Ok((snapshot, events))
    };
    match seen.await {
        Ok((snapshot, events)) => routes::answer(wanted, query, snapshot, &events, site.fresh, &site.registry),
        Err(stuck) => routes::stuck(wanted.route, stuck),
    }
}
