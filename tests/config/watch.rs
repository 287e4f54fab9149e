//! Real inotify. A hint is waited for with a generous limit; that none comes is shown by one that comes after.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ncolony::watch::Watch;
use tempfile::TempDir;

struct Rig {
    root: TempDir,
    dirs: Vec<PathBuf>,
    watch: Watch,
    hints: Receiver<usize>,
}

impl Rig {
    /// Watches two directories: `a`, which exists, and `b`, which may.
    fn new(with_b: bool) -> Rig {
        let root = TempDir::new().expect("a directory");
        let dirs = vec![root.path().join("a"), root.path().join("b")];
        fs::create_dir(&dirs[0]).expect("a directory");
        if with_b {
            fs::create_dir(&dirs[1]).expect("a directory");
        }
        let (sender, hints) = channel();
        let watch = Watch::start(&dirs, move |dir, _| {
            // Once the test is over, nobody listens.
            let _ = sender.send(dir);
        })
        .expect("inotify");
        Rig { root, dirs, watch, hints }
    }

    fn expect(&self, dir: usize) {
        while self.hints.recv_timeout(Duration::from_secs(10)).expect("a hint") != dir {}
    }

    /// Everything that has been hinted at until now. The kernel keeps the order, and a file that is renamed in from
    /// elsewhere makes one event and no more: when `b` is hinted at, all before has been.
    fn before_sentinel(&self) -> Vec<usize> {
        let outside = self.root.path().join("outside");
        fs::write(&outside, "").expect("a file");
        fs::rename(&outside, self.dirs[1].join("sentinel")).expect("a rename");
        let hints = || self.hints.recv_timeout(Duration::from_secs(10)).expect("a hint");
        std::iter::repeat_with(hints).take_while(|dir| *dir != 1).collect()
    }
}

#[test]
fn a_file_that_is_renamed_in_gives_a_hint() {
    let rig = Rig::new(true);
    let outside = rig.root.path().join("web.new");
    fs::write(&outside, "x").expect("a file");
    fs::rename(&outside, rig.dirs[0].join("web")).expect("a rename");
    rig.expect(0);
    fs::remove_file(rig.dirs[0].join("web")).expect("the file");
    rig.expect(0);
    fs::write(rig.dirs[1].join("x"), "x").expect("a file");
    rig.expect(1);
    assert!(rig.watch.is_active());
    assert_eq!(rig.watch.overflows(), 0);
}

#[test]
fn looking_gives_no_hint() {
    let rig = Rig::new(true);
    fs::write(rig.dirs[0].join("web"), "x").expect("a file");
    assert!(rig.before_sentinel().contains(&0));
    for _ in 0..20 {
        assert_eq!(fs::read_dir(&rig.dirs[0]).expect("the directory").count(), 1);
        assert_eq!(fs::read(rig.dirs[0].join("web")).expect("the file"), b"x");
    }
    assert_eq!(rig.before_sentinel(), [0; 0]);
}

#[test]
fn a_directory_that_is_replaced_is_watched_again_after_a_refresh() {
    let mut rig = Rig::new(true);
    fs::rename(&rig.dirs[0], rig.root.path().join("aside")).expect("a rename");
    fs::create_dir(&rig.dirs[0]).expect("a directory");
    rig.watch.refresh();
    assert!(rig.watch.is_active());
    rig.before_sentinel();
    fs::write(rig.dirs[0].join("web"), "x").expect("a file");
    assert!(rig.before_sentinel().contains(&0));
    fs::write(rig.root.path().join("aside/web"), "x").expect("a file");
    assert_eq!(rig.before_sentinel(), [0; 0], "the old one is let go");
}

#[test]
fn a_directory_that_is_removed_and_made_again_is_watched_again() {
    let mut rig = Rig::new(true);
    for _ in 0..3 {
        // The new one often has the inode of the old one.
        fs::remove_dir(&rig.dirs[0]).expect("the directory");
        rig.expect(0);
        fs::create_dir(&rig.dirs[0]).expect("a directory");
        rig.watch.refresh();
        rig.before_sentinel();
        fs::write(rig.dirs[0].join("web"), "x").expect("a file");
        assert!(rig.before_sentinel().contains(&0));
        fs::remove_file(rig.dirs[0].join("web")).expect("the file");
    }
}

#[test]
fn a_missing_directory_is_watched_when_it_appears() {
    let mut rig = Rig::new(false);
    assert!(rig.watch.is_active(), "nothing is missed of what is not there");
    fs::create_dir(&rig.dirs[1]).expect("a directory");
    rig.watch.refresh();
    fs::write(rig.dirs[1].join("web"), "x").expect("a file");
    rig.expect(1);
}

/// Set for the copy of this program that runs where inotify is refused: what the error must name.
const REFUSED: &str = "NCOLONY_TEST_INOTIFY_REFUSED";

#[test]
fn limits_that_are_reached_are_named() {
    if let Ok(expected) = std::env::var(REFUSED) {
        return refused(&expected);
    }
    for (limit, name) in [("max_inotify_instances", "max_user_instances"), ("max_inotify_watches", "max_user_watches")]
    {
        let test = std::env::current_exe().expect("this program");
        let script = format!(
            "echo 0 > /proc/sys/user/{limit} || exit 77; exec \"$0\" --exact watch::limits_that_are_reached_are_named"
        );
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", &script])
            .arg(test)
            .env(REFUSED, name)
            .output();
        match output {
            Ok(output) if output.status.success() => {}
            Ok(output) if output.status.code() == Some(101) => {
                panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
            }
            other => crate::needs::skip(&format!("no user namespace with limits of its own here: {other:?}")),
        }
    }
}

fn refused(expected: &str) {
    let root = TempDir::new().expect("a directory");
    let said = match Watch::start(&[root.path().to_path_buf()], |_, _| {}) {
        Err(error) => error.to_string(),
        Ok(watch) => {
            assert!(!watch.is_active());
            watch.trouble().map(ToString::to_string).unwrap_or_default()
        }
    };
    assert!(said.contains(&format!("fs.inotify.{expected}")) && said.contains("seen at the tick"), "{said}");
}
