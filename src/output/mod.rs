//! Captured output: what the processes print becomes lines of the monitor's own output, and never makes it wait.
//!
//! [`Capture`] reads the pipes of all processes through one epoll instance. [`Sink`] is the way out to the monitor's
//! stdout and stderr: a bounded buffer and a writing thread for each, so that whoever does not read them stops the
//! children that print (or, with `onFull: drop`, their lines), and nothing else.
//!
//! How a line looks is in `render` and `escape`; where a line ends, and what becomes of a very long one, in `lines`.

mod answer;
mod capture;
mod escape;
mod lines;
mod log;
mod outlet;
mod pipe;
mod render;
mod sink;
mod tail;

pub use crate::model::utc;
pub use capture::{Capture, Counts, Drained, Stdio};
pub use log::Room;
pub use outlet::Note;
pub use sink::{LogWriter, Sink};
