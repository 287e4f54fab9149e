//! Messages that were refused: kept beside the others for who looks for them, but never many.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};

use nix::errno::Errno;

use super::directory::{Directory, FileTime};

/// So many are kept; the oldest are deleted, so that a flood of bad messages cannot fill the volume.
const KEPT: usize = 100;
/// What their names start with: a dot, so that every reader passes them over.
const PREFIX: &[u8] = b".rejected-";
/// The longest file name on Linux, in bytes.
const LONGEST_NAME: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Aside {
    kept: BTreeSet<(FileTime, CString)>,
    /// The last number that was given to one whose name was taken.
    number: u64,
}

impl Aside {
    /// A new listing begins: what is there is about to be told anew.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
    }

    /// If `name` is a message set aside, by us or a monitor before, it counts.
    pub(super) fn found(&mut self, directory: &Directory, name: &CStr) {
        if !name.to_bytes().starts_with(PREFIX) {
            return;
        }
        let Ok(entry) = directory.look_up(name) else { return };
        self.kept.insert((entry.changed, name.to_owned()));
        while self.kept.len() > KEPT
            && let Some((_, oldest)) = self.kept.pop_first()
        {
            // If it cannot be deleted, the next listing finds it, and it is tried again.
            let _ = directory.delete(&oldest);
        }
    }

    /// Renames `name` to `.rejected-NAME`, or `.rejected-NAME.2` and so on where that is taken.
    pub(super) fn put(&mut self, directory: &Directory, name: &CStr) -> Result<(), Errno> {
        let mut new = aside_name(name, None);
        let mut tries = 0;
        // Our own prefix: nobody else takes the name between the look and the renaming.
        while directory.look_up(&new).is_ok() && tries <= KEPT {
            self.number += 1;
            tries += 1;
            new = aside_name(name, Some(self.number));
        }
        directory.rename(name, &new)?;
        self.found(directory, &new);
        Ok(())
    }
}

fn aside_name(name: &CStr, number: Option<u64>) -> CString {
    let name = name.to_bytes();
    let suffix = number.map(|number| format!(".{number}")).unwrap_or_default();
    let mut room = name.len().min(LONGEST_NAME - PREFIX.len() - suffix.len());
    // Not in the middle of a character.
    while room < name.len() && room > 0 && name[room] & 0xc0 == 0x80 {
        room -= 1;
    }
    CString::new([PREFIX, &name[..room], suffix.as_bytes()].concat()).expect("no piece of it holds a NUL")
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::aside_name;

    #[test]
    fn names_are_cut_to_what_a_file_may_be_called() {
        let long = CString::new("ß".repeat(127)).expect("no NUL");
        assert_eq!(aside_name(c"m", None).as_c_str(), c".rejected-m");
        assert_eq!(aside_name(c"m", Some(7)).as_c_str(), c".rejected-m.7");
        for number in [None, Some(12), Some(123)] {
            let cut = aside_name(&long, number);
            assert!((253..=255).contains(&cut.as_bytes().len()), "{cut:?}");
            assert!(cut.to_str().is_ok(), "{cut:?}");
        }
    }
}
