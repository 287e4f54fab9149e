//! Whether processes that run are well.

mod beat;
mod http_get;
mod stat;

pub use beat::{Beats, Look, Seen};
pub use http_get::{GetError, http_get};
pub use stat::Stat;
