//! The whole, seen from outside: the real binary, real files, real processes, real sockets.

mod copies;
mod crash;
mod lifecycle;
mod requests;
mod shutdown;
mod support;
