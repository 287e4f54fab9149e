//! sd_notify(3), the receiving side: what processes say of themselves.
//!
//! Each run has a socket of its own, made before it starts and closed with it, so that what is said is said of that run
//! and no other. Who says it is told by the kernel (SCM_CREDENTIALS); whether that is one of the run's own is for the owner
//! of processes to judge.
//!
//! The socket has a name in the file system, in the state directory, since many a client knows no other. Whoever runs as
//! another user than the monitor, and may not go through the directories above it, gets an abstract name, for which no
//! permission is needed, and so does everybody where no socket can be made there. Neither name is a secret (/proc/net/unix
//! shows both), nor need be.

mod closing;
mod message;
mod receive;
mod sockets;

pub use closing::Descriptors;
pub use message::{Message, Refused, Said, Stage, Watchdog};
pub use receive::Sender;
pub use sockets::{Drained, Heard, Owner, Sockets};
