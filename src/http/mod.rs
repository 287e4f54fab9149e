//! The status server: read-only, one port, no secrets.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | a page for people, kept fresh by its script |
//! | `/colony.json` | what that page polls |
//! | `/metrics` | Prometheus text format 0.0.4 |
//! | `/healthz`, `/readyz` | 200 when the colony is ready, else 503 and why |
//! | `/livez` | 200 when the monitor's own loop is at work, else 503 |
//! | `/startupz` | 200 when every gating process has started, else 503 and why |
//! | `/healthz/NAME` and so on | one check alone |
//!
//! Every answer is made from a [`Snapshot`](crate::model::Snapshot) that the loop hands out when asked, the page's also
//! from the last [events](crate::model::Event): a loop that is stuck cannot look healthy. The health paths take `?verbose` and `?exclude=NAME` as kube-apiserver does.
//!
//! A connection carries one request. It has five seconds for the request's head and ten for everything; when 64 are
//! open and one more comes, the oldest that has not asked anything yet makes room. So half-open connections, however
//! many, cost 64 descriptors and never a probe.

mod api;
mod ask;
mod bind;
mod colony;
mod connections;
mod exposition;
mod families;
mod health;
mod metrics;
mod monitor;
mod page;
mod pieces;
mod query;
mod routes;
#[cfg(test)]
mod sample;
mod server;
mod socket;
mod stream;
mod verdict;
mod wire;

use std::time::Duration;

// By the names that these rooms have in the monitor.
use ncolony_cli as cli;
use ncolony_failpoint as failpoint;
use ncolony_model as model;

pub use ask::{Ask, Question, Stuck};
pub use bind::bind;
pub use server::{MOST_LOCAL, serve};
pub use socket::{SOCKET, Socket};
pub use verdict::complaints;

/// How old the loop's last full look may be, when it looks every `tick`: three ticks, but at least ten seconds.
pub fn fresh(tick: Duration) -> Duration {
    tick.saturating_mul(3).max(Duration::from_secs(10))
}
