//! The whole, seen from outside: the real binary, real files, real processes, real sockets.

mod born;
mod config_dir;
mod copies;
mod crash;
mod credentials;
mod demo;
mod descendants;
mod endings;
mod exits;
mod health;
mod heartbeat;
mod hooks;
mod lifecycle;
mod limits;
mod logs;
mod mistakes;
mod orders;
mod original;
mod panics;
mod pid1;
mod requests;
mod sandbox;
mod schedule;
mod servers;
mod shutdown;
mod support;
