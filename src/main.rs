//! The binary: parse, dispatch, turn an error into an exit status.

fn main() {}
