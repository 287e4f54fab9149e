//! The end of what a program leaves behind: asked, then killed, in bounded time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Reaper;
use crate::model::Signal;
use crate::process::solo;

/// The longest that is waited for the effect of SIGKILL: what hangs in the kernel may never end.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// How often to look for children that have come to us since.
const PEEK: Duration = Duration::from_millis(20);

impl Reaper<'_> {
    /// What is left is asked to end, and so is what comes to us as that ends; after its grace all of it is killed.
    pub(super) fn end_the_rest(&mut self) {
        self.reap();
        if !self.solo.has_children() {
            return;
        }
        self.tell(2, format_args!("what the program has left is asked to end"));
        if self.ask_until(Instant::now() + self.options.grace) {
            return;
        }
        self.tell(1, format_args!("what the program has left does not end, and is killed"));
        let until = Instant::now() + KILL_LIMIT;
        while self.solo.has_children() && Instant::now() < until {
            self.solo.send_to_children(Signal::KILL);
            let _ = solo::next_signal(Some(PEEK));
            self.reap();
        }
    }

    /// Whether all of it has ended by then. Whoever asks us to end meanwhile is in a hurry.
    fn ask_until(&mut self, until: Instant) -> bool {
        let mut asked = HashSet::new();
        loop {
            self.solo.ask_children(&mut asked);
            match solo::next_signal(Some(PEEK)) {
                Some(signal) if super::ASKS_TO_END.contains(&signal) => return false,
                Some(_) | None => {}
            }
            self.reap();
            if !self.solo.has_children() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }
}
