//! The messages directory: a file per request, deleted once it was acted on.
//!
//! [`Inbox`] reads it, [`write()`] puts a request there. Files are taken in the order of their last write, then of their
//! names; each is acted on once, also where it cannot be deleted. A file that is no message is renamed to
//! `.rejected-NAME` beside the others. Names that start with `.` or end in `.new`, `~`, `.bak`, `.swp` or `.tmp` are
//! passed over.
//!
//! ```no_run
//! # use std::path::Path;
//! # use ncolony::messages::Inbox;
//! # use ncolony::model::Moment;
//! # let (now, is_known) = (Moment::ZERO, true);
//! let mut inbox = Inbox::open(Path::new("/run/ncolony/messages"));
//! inbox.list(); // at each hint that something has changed, and at each tick
//! let work = inbox.work(now, 64); // at most 64 files; again while `work.more`
//! for message in &work.handled {
//!     if message.stale || is_known {
//!         inbox.done(message);
//!     } else {
//!         inbox.reject(message, "no such process");
//!     }
//! }
//! ```

mod aside;
mod claimed;
mod directory;
mod inbox;
mod parse;
mod remembered;
mod work;
mod write;

pub use claimed::is_claimed;
pub use inbox::Inbox;
pub use parse::request;
pub use work::{Delivered, Rejected, Work};
pub use write::{Error, text, write};

/// Where a monitor keeps its state below this directory, unless it is told otherwise.
pub const STATE: &str = ".ncolony";

pub use write::{publish_over, sync_directory};
