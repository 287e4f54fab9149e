//! ncolony runs and heals a colony of processes inside a container: the kubelet's job, one level down.
//!
//! *Facts* come in from one process table and two directories; a pure function turns (desired, observed, now) into a
//! *plan*; one loop executes the plan, and every executed action becomes a fact. Wake-ups carry no information. Time,
//! pids and files exist only at the edge.

pub mod config;
pub mod health;
pub mod messages;
pub mod output;
pub mod process;
pub mod supervisor;
pub mod watch;

// Packages of their own: what is to be built small apart from what is to be quick, and the pure core apart from all that
// could make it impure.
pub use ncolony_cli as cli;
pub use ncolony_failpoint as failpoint;
pub use ncolony_http as http;
pub use ncolony_model as model;
pub use ncolony_reconcile as reconcile;
pub(crate) use ncolony_tls as tls;
