//! Whether processes that run are well.

mod beat;
mod stat;

pub use beat::{Beats, Look, Seen};
pub use stat::Stat;
