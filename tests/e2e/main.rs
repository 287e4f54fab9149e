//! The whole, seen from outside: the real binary, real files, real processes, real sockets.

mod copies;
mod crash;
mod descendants;
mod exits;
mod lifecycle;
mod support;
