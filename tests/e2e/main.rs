//! The whole, seen from outside: the real binary, real files, real processes, real sockets.

mod copies;
mod crash;
mod credentials;
mod descendants;
mod exits;
mod lifecycle;
mod pid1;
mod requests;
mod sandbox;
mod shutdown;
mod support;
