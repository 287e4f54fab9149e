//! The whole, seen from outside: the real binary, real files, real processes, real sockets.

mod descendants;
mod exits;
mod lifecycle;
mod support;
