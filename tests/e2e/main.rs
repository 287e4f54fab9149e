//! The whole, seen from outside: the real binary, real files, real processes, real sockets.

mod lifecycle;
mod mistakes;
mod original;
mod servers;
mod support;
