//! What the kernel's files tell of cgroups. What cannot be read is nothing known.

use std::path::{Path, PathBuf};

use libc::pid_t;

/// Which of a process's cgroups.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hierarchy {
    /// That of v2.
    Unified,
    /// That of v1 that has the memory controller.
    Memory,
}

/// Where a cgroup of a process is, by its /proc/PID/cgroup and mountinfo.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Where it may be seen: by a mount each, in mountinfo's order.
    pub(super) dirs: Vec<PathBuf>,
    /// Whether it is the root of what this process can see of cgroups.
    pub(super) is_root: bool,
}

/// # Errors
/// Why it has no such place, in words.
pub(super) fn place(cgroup: &str, mountinfo: &str, hierarchy: Hierarchy) -> Result<Place, &'static str> {
    let (none, not_mounted) = match hierarchy {
        Hierarchy::Unified => ("this kernel has no cgroup v2", "no cgroup v2 is mounted"),
        Hierarchy::Memory => ("memory is not in cgroup v1", "the cgroup v1 of memory is not mounted"),
    };
    let path = cgroup.lines().find_map(|line| hierarchy.path(line)).ok_or(none)?;
    // The kernel adds it to that of a cgroup that was removed, and puts `/..` before what is outside of the namespace.
    if path.ends_with(" (deleted)") || !path.starts_with('/') || path.split('/').any(|step| step == "..") {
        return Err("its cgroup cannot be seen from here");
    }
    let dirs: Vec<PathBuf> = mountinfo.lines().filter_map(|line| seen_through(line, path, hierarchy)).collect();
    if dirs.is_empty() {
        return Err(not_mounted);
    }
    Ok(Place { dirs, is_root: path == "/" })
}

impl Hierarchy {
    /// The path in a line of /proc/PID/cgroup: number, controllers, path.
    fn path(self, line: &str) -> Option<&str> {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = match self {
            Hierarchy::Unified => line.starts_with("0::"),
            Hierarchy::Memory => controllers.split(',').any(|controller| controller == "memory"),
        };
        is_it.then_some(path)
    }

    /// Whether a mount is of it, by type, source and options.
    fn is_shown_by(self, mount: &str) -> bool {
        let mut fields = mount.split(' ');
        let (kind, options) = (fields.next(), fields.nth(1).unwrap_or_default());
        match self {
            Hierarchy::Unified => kind == Some("cgroup2"),
            Hierarchy::Memory => kind == Some("cgroup") && options.split(',').any(|option| option == "memory"),
        }
    }
}

/// Where this mount, if it is one of the hierarchy, shows a path.
fn seen_through(mount: &str, path: &str, hierarchy: Hierarchy) -> Option<PathBuf> {
    // Six fields, any number of further ones, a dash, the type of the file system.
    let (before, after) = mount.split_once(" - ")?;
    if !hierarchy.is_shown_by(after) {
        return None;
    }
    let mut fields = before.split(' ').skip(3);
    let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let below = Path::new(path).strip_prefix(&root).ok()?;
    Some(if below.as_os_str().is_empty() { point.into() } else { Path::new(&point).join(below) })
}

/// Blanks and the like are shown as a backslash and three octal digits.
fn unescaped(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let code =
            code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| u8::from_str_radix(code, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a list such as cgroup.controllers' has this word.
pub(super) fn lists(text: &str, word: &str) -> bool {
    text.split_ascii_whitespace().any(|listed| listed == word)
}

/// The pids of cgroup.procs; 0 stands for who cannot be seen from here.
pub(super) fn pids(text: &str) -> Vec<pid_t> {
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// A number of a file like memory.events, by its name.
pub(super) fn count(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// What cpu.max is given for so many thousandths of a processor: microseconds in each period. The kernel takes no fewer
/// than a thousand, and so does the kubelet.
pub(super) fn cpu_max(thousandths: u64) -> String {
    const PERIOD: u64 = 100_000;
    let quota = thousandths.saturating_mul(PERIOD / 1000).max(1000);
    format!("{quota} {PERIOD}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Hierarchy, Place, count, cpu_max, lists, pids, place};

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const UNIFIED: &str = "\
29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate
";
    const CONTAINER: &str = "\
1234 1233 0:26 /kubepods.slice/pod1/abc /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
1300 1233 0:26 /kubepods.slice/pod1/abc/x /mnt/with\\040blank rw shared:1 master:2 - cgroup2 cgroup rw
";

    fn at(dirs: &[&str], is_root: bool) -> Result<Place, &'static str> {
        Ok(Place { dirs: dirs.iter().map(PathBuf::from).collect(), is_root })
    }

    #[test]
    fn the_place_of_a_cgroup_is_found_through_the_mounts_that_show_it() {
        let hidden = Err("its cgroup cannot be seen from here");
        let not_mounted = Err("no cgroup v2 is mounted");
        let rows: &[(&str, &str, Result<Place, &'static str>)] = &[
            ("4:memory:/a\n1:cpu:/\n0::/\n", HYBRID, at(&["/sys/fs/cgroup/unified"], true)),
            ("0::/system.slice/colony.service\n", UNIFIED, at(&["/sys/fs/cgroup/system.slice/colony.service"], false)),
            // A namespace of cgroups of its own: what it sees begins at its root.
            ("0::/\n", UNIFIED, at(&["/sys/fs/cgroup"], true)),
            ("0::/ncolony-monitor\n", UNIFIED, at(&["/sys/fs/cgroup/ncolony-monitor"], false)),
            // The host's namespace, and a mount of the container's part.
            ("0::/kubepods.slice/pod1/abc\n", CONTAINER, at(&["/sys/fs/cgroup"], false)),
            ("0::/kubepods.slice/pod1/abc/x/y\n", CONTAINER, at(&["/sys/fs/cgroup/x/y", "/mnt/with blank/y"], false)),
            ("0::/kubepods.slice/pod1/abcd\n", CONTAINER, not_mounted.clone()),
            ("0::/with:colon and blank\n", UNIFIED, at(&["/sys/fs/cgroup/with:colon and blank"], false)),
            ("0::/../other\n", UNIFIED, hidden.clone()),
            ("0::/gone (deleted)\n", UNIFIED, hidden.clone()),
            ("0::\n", UNIFIED, hidden),
            ("1:memory:/a\n", UNIFIED, Err("this kernel has no cgroup v2")),
            ("", "", Err("this kernel has no cgroup v2")),
            ("0::/\n", "", not_mounted.clone()),
            ("0::/\n", "nonsense - cgroup2\n - \n", not_mounted.clone()),
            ("0::/\n", &UNIFIED[..30], not_mounted),
        ];
        for (cgroup, mountinfo, expected) in rows {
            assert_eq!(place(cgroup, mountinfo, Hierarchy::Unified), *expected, "{cgroup:?}");
        }
    }

    #[test]
    fn the_place_of_memory_in_v1_is_found_as_well() {
        let both = "35 31 0:32 / /sys/fs/cgroup/both rw - cgroup cgroup rw,cpu,memory\n";
        let part = "35 31 0:32 /docker/a /sys/fs/cgroup/memory ro - cgroup memory rw,memory\n";
        let none = Err("memory is not in cgroup v1");
        let rows: &[(&str, &str, Result<Place, &'static str>)] = &[
            ("9:name=systemd:/\n4:memory:/a/b\n0::/\n", HYBRID, at(&["/sys/fs/cgroup/memory/a/b"], false)),
            ("4:cpu,memory:/\n", both, at(&["/sys/fs/cgroup/both"], true)),
            ("4:memory:/docker/a\n", part, at(&["/sys/fs/cgroup/memory"], false)),
            ("4:memory:/a\n", UNIFIED, Err("the cgroup v1 of memory is not mounted")),
            ("4:memory:/../a\n", HYBRID, Err("its cgroup cannot be seen from here")),
            ("0::/\n1:name=memory:/\n", HYBRID, none.clone()),
            ("memory\n4:\n", HYBRID, none),
        ];
        for (cgroup, mountinfo, expected) in rows {
            assert_eq!(place(cgroup, mountinfo, Hierarchy::Memory), *expected, "{cgroup:?}");
        }
    }

    #[test]
    fn counts_lists_and_pids_are_read_as_far_as_they_are_such() {
        let events = "low 0\nhigh 0\nmax 14\noom 2\noom_kill 3\noom_group_kill 1\n";
        let rows = [("oom_kill", Some(3)), ("oom", Some(2)), ("oom_group_kill", Some(1)), ("kill", None), ("o", None)];
        for (name, expected) in rows {
            assert_eq!(count(events, name), expected, "{name}");
        }
        assert_eq!(count("oom_kill x\n", "oom_kill"), None);
        assert_eq!(count("oom_kill", "oom_kill"), None);
        assert!(lists("cpuset cpu io memory hugetlb pids\n", "memory"));
        assert!(!lists("cpuset hugetlb\n", "cpu"));
        assert_eq!(pids("1\n0\n77\nx\n"), [1, 0, 77]);
        assert_eq!(pids(""), [0i32; 0]);
    }

    #[test]
    fn cpu_is_given_as_time_in_each_period() {
        let rows = [(500, "50000 100000"), (2000, "200000 100000"), (10, "1000 100000"), (1, "1000 100000")];
        for (thousandths, expected) in rows {
            assert_eq!(cpu_max(thousandths), expected);
        }
    }
}
