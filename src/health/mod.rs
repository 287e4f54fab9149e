//! Whether processes that run are well.

mod beat;
mod dial;
mod h2;
mod http;
pub mod https;
mod inbox;
pub mod notify;
mod own_heart;
mod probe;
mod resolver;
mod stat;
mod stop_get;

pub use beat::{Beats, Heart, Listener, Look, Seen};
pub use http::{OverHttps, Tls};
pub use own_heart::{Heartless, OwnHeart};
pub use probe::{Outcome, any_answer, grpc, http_get, tcp_socket};
pub use resolver::Resolver;
pub use stat::Stat;
pub use stop_get::{GetError, stop_get};
