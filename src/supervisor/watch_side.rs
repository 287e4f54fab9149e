//! The watch's side of the loop: on both directories where it can be had, tried for again at every tick where not.

use std::error::Error as _;

use crate::model::WatchView;
use crate::watch::{Watch, WatchError};

/// Begins a watch.
pub(super) type Start = Box<dyn Fn() -> Result<Watch, WatchError>>;

/// The watch, if there is one.
pub(super) struct WatchSide {
    /// `None`: none is wanted.
    start: Option<Start>,
    watch: Option<Watch>,
    trouble: Option<String>,
}

impl WatchSide {
    /// Begins. Without a `start` there is never a watch, and that is no trouble.
    pub(super) fn new(start: Option<Start>) -> WatchSide {
        let mut side = WatchSide { start, watch: None, trouble: None };
        side.refresh();
        side
    }

    /// Sees to it that the directories are watched. What is wrong is said when it comes to be so.
    pub(super) fn refresh(&mut self) {
        let Some(start) = &self.start else { return };
        let error = match &mut self.watch {
            Some(watch) => {
                watch.refresh();
                watch.trouble().map(told)
            }
            None => match start() {
                Ok(watch) => self.watch.insert(watch).trouble().map(told),
                Err(error) => Some(told(&error)),
            },
        };
        if error != self.trouble {
            match &error {
                Some(error) => tracing::warn!("{error}"),
                None => tracing::info!("the directories are watched again"),
            }
            self.trouble = error;
        }
    }

    /// Gives the watch up: nothing is to be heard of the directories any more.
    pub(super) fn end(&mut self) {
        (self.start, self.watch) = (None, None);
    }

    /// As outsiders see it.
    pub(super) fn view(&self) -> WatchView {
        WatchView { active: self.watch.as_ref().is_some_and(Watch::is_active) }
    }

    /// Why there is no watch on one of the directories, or on both.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// See [`Watch::overflows`].
    pub(super) fn overflows(&self) -> u64 {
        self.watch.as_ref().map_or(0, Watch::overflows)
    }
}

fn told(error: &WatchError) -> String {
    match error.source() {
        Some(source) => format!("{error} ({source})"),
        None => error.to_string(),
    }
}
