//! HTTP/1.1 as a client of one request a connection: what is written, and what is read of the answer, in bounded memory
//! whatever comes. How long it may take is the caller's to say: every future here may be dropped at any time.

mod body;
mod head;
mod line;
mod location;
mod request;

pub(super) use head::Head;
pub(super) use line::{Line, send};
pub use line::{OverHttps, Tls};
pub(super) use location::{Location, Target};
pub(super) use request::{PROBER, STOPPER, host_header, request};

use super::inbox::Broken;
