use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connections::{Asked, Connections};
use super::routes::{self, Content, Reply, Route, Wanted};
use super::socket::{self, LOOK, Peer, Socket};
use super::wire::Wire;
use super::{Ask, api};
use crate::failpoint;

/// The most connections that are open at once.
pub(super) const MOST: usize = 64;
/// The most connections that are open at once at the socket: one for each log that is followed.
pub const MOST_LOCAL: usize = 256;
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

/// Where a connection came in.
#[derive(Clone, Copy, Debug)]
enum Door {
    Port,
    Local(Peer),
}

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
/// how old the loop's last full look may be ([`fresh`](super::fresh)). Without listeners and socket it only waits for
/// `shutdown`. At the socket other things are answered, and to its owner alone.
pub async fn serve(
    listeners: Vec<TcpListener>,
    mut local: Option<Socket>,
    ask: Ask,
    registry: Registry,
    fresh: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let requests = request_counter(&registry);
    let site = Arc::new(Site { ask, registry, fresh, requests, large: Arc::new(Semaphore::new(MOST_LARGE)) });
    let mut connections = Connections::new(MOST);
    let mut locals = Connections::new(MOST_LOCAL);
    let mut shutdown = pin!(shutdown);
    let mut warned = None;
    let mut look_at = Instant::now() + LOOK;
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = connections.ended() => {}
            () = locals.ended() => {}
            () = sleep_until(look_at), if local.is_some() => {
                local.iter_mut().for_each(Socket::renew);
                look_at = Instant::now() + LOOK;
            }
            accepted = accept(&listeners, local.as_ref()) => match accepted {
                Ok((wire, door)) => {
                    let (asked, site) = (Asked::default(), Arc::clone(&site));
                    let which = match door {
                        Door::Port => &mut connections,
                        Door::Local(_) => &mut locals,
                    };
                    which.admit(asked.clone(), connection(wire, door, asked, site)).await;
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
    drop((listeners, local));
    tokio::join!(connections.drain(DRAIN_LIMIT), locals.drain(DRAIN_LIMIT));
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

/// The next connection, and where it came in; for ever if there is nowhere.
async fn accept(listeners: &[TcpListener], local: Option<&Socket>) -> io::Result<(Wire, Door)> {
    let of_socket = async {
        match local {
            Some(socket) => socket.accept().await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        stream = accept_tcp(listeners) => stream.map(|stream| (Wire::Tcp(stream), Door::Port)),
        stream = of_socket => stream.map(|stream| {
            let peer = socket::peer(&stream);
            (Wire::Unix(stream), Door::Local(peer))
        }),
    }
}

async fn accept_tcp(listeners: &[TcpListener]) -> io::Result<TcpStream> {
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
async fn connection(wire: Wire, door: Door, asked: Asked, site: Arc<Site>) {
    // Else the kernel keeps each piece of a large answer until the one before has arrived.
    if let Wire::Tcp(stream) = &wire
        && let Err(error) = stream.set_nodelay(true)
    {
        tracing::debug!(%error, "a connection to the status server may be slow");
    }
    let goes_on = Arc::new(AtomicBool::new(false));
    // Kept by the service, which lives as long as the connection: until the last byte has left.
    let seat = Arc::new(OnceLock::new());
    let service = service_fn(|request| {
        asked.set();
        let (site, seat) = (Arc::clone(&site), Arc::clone(&seat));
        let (asked, goes_on) = (asked.clone(), Arc::clone(&goes_on));
        async move {
            let reply = match door {
                Door::Port => respond(&site, &seat, &request).await,
                Door::Local(peer) => {
                    let uri = request.uri();
                    api::answer(&site.ask, peer, request.method(), uri.path(), uri.query()).await
                }
            };
            if let Content::Endless(_) = reply.content {
                asked.has_no_end();
                goes_on.store(true, Ordering::Relaxed);
            }
            Ok::<_, Infallible>(reply.into_response())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        // A scraper comes back after more than any idle limit that we would grant; so none waits for it.
        .keep_alive(false)
        // At the socket, who closes his side has gone: else one who follows what says nothing would be kept for ever.
        .half_close(matches!(door, Door::Port))
        .serve_connection(TokioIo::new(wire), service);
    let mut connection = pin!(connection);
    let outcome = match timeout(WHOLE_LIMIT, &mut connection).await {
        Err(_) if goes_on.load(Ordering::Relaxed) => Ok(connection.await),
        outcome => outcome,
    };
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the status server ended early"),
        Err(_) => tracing::debug!("a connection to the status server took too long"),
    }
}

async fn respond(site: &Site, seat: &OnceLock<OwnedSemaphorePermit>, request: &Request<Incoming>) -> Reply {
    failpoint::reach("http");
    let (label, reply) = match routes::find(request.method(), request.uri().path()) {
        Ok(wanted) => (wanted.route.path(), answer(site, seat, &wanted, request.uri().query()).await),
        Err((label, refusal)) => (label, refusal),
    };
    site.requests.with_label_values(&[label, reply.status.as_str()]).inc();
    reply
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
