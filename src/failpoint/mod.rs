//! Places where a test makes things go wrong that cannot be brought about from outside: a panic, a stop in the midst of
//! something. They exist only in builds with debug assertions; `.ci/run` sees to it that the release has none.
//!
//! `NCOLONY_FAILPOINT=PLACE:ACTION:FILE` arms one: it goes off when it is reached and FILE exists. ACTION is `panic`;
//! `slow`, which takes 0.6 s; or `hang`: then FILE is removed, as a sign, and the thread goes no further.

/// A place of that name.
#[cfg(debug_assertions)]
#[track_caller]
pub fn reach(place: &str) {
    use std::sync::LazyLock;
    static ARMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("NCOLONY_FAILPOINT").ok());
    let Some((armed, rest)) = ARMED.as_deref().and_then(|armed| armed.split_once(':')) else { return };
    let Some((action, file)) = rest.split_once(':') else { return };
    if armed != place || !std::path::Path::new(file).exists() {
        return;
    }
    match action {
        "hang" => loop {
            let _ = std::fs::remove_file(file);
            std::thread::park();
        },
        "slow" => std::thread::sleep(std::time::Duration::from_millis(600)),
        _ => panic!("a test asked for this"),
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reach(_: &str) {}
