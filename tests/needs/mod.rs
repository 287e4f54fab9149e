//! What a test takes from the machine, and what becomes of it where that is not there: it is skipped, loudly, or, where
//! NCOLONY_TESTS_MUST_RUN is set, which CI does, it fails.
#![allow(dead_code, reason = "no program of the tests needs all of it")]

use std::io::{Write as _, stderr};
use std::process::Command;

/// Says that a test cannot have what it needs; `why` says what that is.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("NCOLONY_TESTS_MUST_RUN").is_none(), "{why}");
    say_skipped(why);
}

/// The same where CI can have it no more than anybody else.
pub(crate) fn say_skipped(why: &str) {
    // Not by `eprintln!`: cargo shows what that says of tests that fail, and one that returns has passed.
    let _ = writeln!(stderr(), "SKIPPED: {why}");
}

/// Whether a test can have what it needs.
pub(crate) fn can(what: &str, have: bool) -> bool {
    if !have {
        skip(&format!("this test needs {what}"));
    }
    have
}

/// Whether promtool is there.
pub(crate) fn has_promtool() -> bool {
    let have = Command::new("promtool").arg("--version").output().is_ok();
    can("promtool (Debian's package prometheus has it)", have)
}
