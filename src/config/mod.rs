//! The directory of process files: from bytes to what is desired, one file at a time, so that a bad one hurts only itself.
//!
//! [`Directory::scan`] looks and says what is desired; [`parse`] judges one text. A text becomes a tree of places
//! (`json`, `yaml`), the tree becomes typed values (`manifest`, by way of `decode`), and everything wrong with it a [`Diagnostic`].

mod amend;
mod birth;
mod checks;
mod decode;
mod diagnostic;
mod directory;
#[cfg(test)]
mod edits;
mod entries;
mod file;
mod foreign;
mod graph;
mod json;
mod keys;
mod lists;
mod manifest;
mod news;
mod node;
mod rehearsal;
mod replicas;
mod report;
mod schema;
mod slots;
mod text;
mod words;
mod yaml;
mod zone;

pub use amend::{AmendError, amend};
pub use checks::{Asked, Check, CheckKind, CheckList};
pub use diagnostic::{Diagnostic, Excerpt, Place, Severity};
pub use directory::{Directory, Scan, check_file};
pub use file::Trust;
pub use foreign::{Tree, TreeEntry, TreeValue, read_yaml};
pub use manifest::{Defaults, MAX_FILE, Manifest, parse};
pub use news::News;
pub use rehearsal::{Change, Rehearsal, rehearse};
pub use words::{Explained, explain, paths, schema};
