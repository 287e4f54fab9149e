//! What a process has printed, as it is asked for and told. It is kept in bounded memory: what is oldest goes first.

use super::{Name, Wall};

/// Which lines of a process are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogAsked {
    /// Whose.
    pub process: Name,
    /// Of which of its runs.
    pub run: LogRun,
    /// From where on.
    pub from: LogFrom,
}

/// Of which run lines are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogRun {
    /// The one that goes on, or that was the last.
    Present,
    /// The one before it.
    Previous,
}

/// Where lines begin that are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFrom {
    /// The last of those that are kept.
    Last {
        /// So many at most.
        lines: Option<usize>,
        /// Only those that came at that time or later.
        since: Option<Wall>,
    },
    /// Behind what was told before, in this run and in the one after it.
    After(LogPlace),
}

/// A place in what a process has printed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct LogPlace {
    /// The number of the run.
    pub run: u64,
    /// How many bytes of it come before.
    pub offset: u64,
}

/// A line, or a piece of one that is very long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    /// When it was read.
    pub at: Wall,
    /// What it says, without its end. What is no text is shown as `\xNN`.
    pub text: String,
}

/// What is told of a log: as much as is told at a time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogTold {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// What has come of lines that have not ended, of each stream: it is no part of the log before they do.
    pub unfinished: Vec<LogLine>,
    /// How many bytes came before them that are kept no more: they were written faster than they were asked for.
    pub skipped: u64,
    /// Where they end.
    pub next: LogPlace,
    /// Where the log ends by now.
    pub end: LogPlace,
}

/// The answer to [`LogAsked`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogAnswer {
    /// There is no process of this name.
    NoProcess,
    /// What it prints goes to the monitor's own descriptors, past the monitor (`output: inherit`).
    NotCaptured,
    /// This much.
    Told(LogTold),
}
