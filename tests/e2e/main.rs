//! The whole, seen from outside: the real binary, real files, real processes, real sockets.

mod config_dir;
mod heartbeat;
mod lifecycle;
mod schedule;
mod support;
