//! What an inbox hands out.

use std::ffi::CString;

use super::directory::Ident;
#[cfg(doc)]
use super::inbox::Inbox;
use crate::model::{Moment, Request};

/// What one call of [`Inbox::work`] did.
#[derive(Debug, Default)]
pub struct Work {
    /// Messages to act on, in order. Each is to be given to [`Inbox::done`] or [`Inbox::reject`].
    pub handled: Vec<Delivered>,
    /// Files that are no messages; set aside already.
    pub rejected: Vec<Rejected>,
    /// What is worth a line in the log, once: foreign files, unreadable ones.
    pub notices: Vec<String>,
    /// Whether there is more to do now.
    pub more: bool,
    /// When to call again though nothing is heard: a half-written message is waited for.
    pub retry_at: Option<Moment>,
}

/// A message.
#[derive(Debug)]
pub struct Delivered {
    /// Its file, as a log may show it.
    pub file: String,
    /// What it asks for.
    pub request: Request,
    /// It was there before us: what it asks for is done by our having started everything just now.
    pub stale: bool,
    /// When it was first seen: not before it was sent, whatever the wall clock says. A half-written one counts from when
    /// it was whole.
    pub found: Moment,
    pub(super) name: CString,
    pub(super) ident: Ident,
}

/// A file that was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejected {
    /// The file, as a log may show it.
    pub file: String,
    /// Why, and what could not be done about it. Nothing of its text, unless the caller of [`Inbox::reject`] said so.
    pub reason: String,
}
