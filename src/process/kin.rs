//! What is left of a run.

use libc::pid_t;

use crate::model::{Exit, Incarnation};

/// What is left of a run.
pub(super) struct Kin {
    /// What we have started.
    pub(super) pid: pid_t,
    pub(super) first: First,
    pub(super) main: Main,
    /// Descendants that had left the group when last looked at: pid and start time.
    pub(super) escaped: Vec<(pid_t, u64)>,
    /// The user that it was started as.
    pub(super) uid: u32,
    /// Where it says what it has to say, if anywhere.
    pub(super) socket: Option<String>,
}

pub(super) enum First {
    /// Our child, not collected yet.
    Child,
    /// Collected; the flag says whether its group had a member at every look since. Once it had none, its number may be
    /// anybody's.
    Gone(bool),
}

/// Which process is a run's main one.
pub(super) enum Main {
    /// The first.
    First,
    /// The one that is called so since.
    Heir,
    /// None: it has ended.
    Over,
}

/// A run has lost one of its processes, with which perhaps it has ended.
pub(super) struct Loss {
    pub(super) run: Incarnation,
    pub(super) who: Who,
    pub(super) exit: Exit,
}

#[derive(Clone, Copy)]
pub(super) enum Who {
    First,
    Heir,
}

impl Kin {
    /// The process that was started, while it lives.
    pub(super) fn living(&self) -> Option<pid_t> {
        match self.first {
            First::Child => Some(self.pid),
            First::Gone(_) => None,
        }
    }

    /// One of its processes has ended. Says whether it was the main one.
    pub(super) fn loses(&mut self, who: Who) -> bool {
        let is_main = match (who, &self.main) {
            (Who::First, Main::First) | (Who::Heir, Main::Heir) => true,
            (Who::First, Main::Heir | Main::Over) | (Who::Heir, Main::First | Main::Over) => false,
        };
        if let (Who::First, First::Child) = (who, &self.first) {
            // Only where the main process has ended is the number looked after.
            self.first = First::Gone(matches!(self.main, Main::First | Main::Over));
        }
        if is_main {
            self.main = Main::Over;
        }
        is_main
    }
}
