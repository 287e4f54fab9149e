//! The cgroup in which the monitor itself is, a container's mostly: whether the kernel kills in it for want of memory. It
//! need not be writable for that, nor of v2.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use super::text::{self, Hierarchy};

/// Counts the kernel's kills.
pub(super) struct Around {
    /// memory.events, or what v1 has instead; `None` where memory is in no cgroup that can be seen. It is kept open, since
    /// what was killed waits for its replacement while it is read.
    file: Option<File>,
    /// Those that are accounted for.
    seen: u64,
    /// Those that there were at the last tick.
    at_tick: u64,
}

impl Around {
    /// Finds where the monitor is now.
    pub(super) fn find() -> Around {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let (cgroup, mountinfo) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
        let files = [(Hierarchy::Memory, "memory.oom_control"), (Hierarchy::Unified, "memory.events")];
        let found = files.into_iter().find_map(|(hierarchy, file)| {
            let dirs = text::place(&cgroup, &mountinfo, hierarchy).ok()?.dirs;
            let mut opened = dirs.into_iter().filter_map(|dir| File::open(dir.join(file)).ok());
            opened.find(|file| kills(file).is_some())
        });
        Around::of(found)
    }

    fn of(file: Option<File>) -> Around {
        let seen = file.as_ref().and_then(kills).unwrap_or(0);
        Around { file, seen, at_tick: seen }
    }

    /// Somebody has died of a SIGKILL that may have been the kernel's: whether there was one that is not accounted for.
    pub(super) fn has_killed(&mut self) -> bool {
        let killed = self.file.as_ref().and_then(kills).is_some_and(|kills| kills > self.seen);
        self.seen += u64::from(killed);
        killed
    }

    /// At each tick: kills up to the one before were of others, of a child, say, that its parent could do without. Not
    /// those since: who was killed may take its time to end.
    pub(super) fn forget(&mut self) {
        self.seen = self.seen.max(self.at_tick);
        self.at_tick = self.file.as_ref().and_then(kills).unwrap_or(self.at_tick);
    }
}

/// Read from its start, the kernel's file tells anew each time.
fn kills(file: &File) -> Option<u64> {
    let mut events = [0; 1024];
    let len = file.read_at(&mut events, 0).ok()?;
    text::count(std::str::from_utf8(&events[..len]).ok()?, "oom_kill")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::Around;

    #[test]
    fn each_kill_is_one_process_and_those_of_others_are_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("memory.events");
        let count = |kills: u64| fs::write(&file, format!("max 9\noom {kills}\noom_kill {kills}\n")).expect("a file");
        count(3);
        let mut around = Around::of(Some(File::open(&file).expect("it is there")));
        assert!(!around.has_killed(), "those from before are not ours");
        count(5);
        assert_eq!([around.has_killed(), around.has_killed(), around.has_killed()], [true, true, false]);
        count(6);
        around.forget();
        around.forget();
        assert!(!around.has_killed());
        fs::write(&file, "").expect("a file");
        around.forget();
        assert!(!around.has_killed());
        count(7);
        around.forget();
        assert!(around.has_killed(), "what cannot be read for a while, or is of this tick, is not forgotten");
    }

    #[test]
    fn where_nothing_can_be_seen_nobody_was_killed() {
        let mut around = Around::of(None);
        around.forget();
        assert!(!around.has_killed());
    }

    #[test]
    fn v1_has_its_count_elsewhere() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("memory.oom_control");
        fs::write(&file, "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n").expect("a file");
        let mut around = Around::of(Some(File::open(&file).expect("it is there")));
        fs::write(&file, "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n").expect("a file");
        assert!(around.has_killed());
    }
}
