//! Who may command a monitor that runs as root. Needs root to show; says so and passes otherwise.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use ncolony::config::{Directory, News, Scan, Trust};
use ncolony::model::Moment;
use tempfile::TempDir;

use super::DEFAULTS;
use super::directory::names;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A tight directory with one good file, or `None` where we are not root.
fn rig() -> Option<TempDir> {
    if !nix::unistd::geteuid().is_root() {
        crate::needs::skip("only root can give files away");
        return None;
    }
    let dir = TempDir::new().expect("a directory");
    mode(dir.path(), 0o755);
    fs::write(dir.path().join("web"), "args: [a]").expect("a file");
    mode(&dir.path().join("web"), 0o644);
    Some(dir)
}

fn scan(dir: &Path, uids: &[u32]) -> Scan {
    Directory::new(dir, DEFAULTS, Trust { enforce: true, uids: uids.to_vec() }).scan(Moment::ZERO)
}

fn refusal(scan: &Scan) -> &str {
    assert!(scan.processes.is_empty(), "taken");
    scan.errors.first().map_or("", |error| &error.summary)
}

#[test]
fn roots_own_tight_files_are_taken() {
    let Some(dir) = rig() else { return };
    assert_eq!(names(&scan(dir.path(), &[])), ["web"]);
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let Some(dir) = rig() else { return };
    for bits in [0o646, 0o664, 0o666] {
        mode(&dir.path().join("web"), bits);
        let scan = scan(dir.path(), &[]);
        assert!(refusal(&scan).starts_with("web: it can be written by others; \"chmod go-w\" it"), "{scan:?}");
    }
}

#[test]
fn a_file_of_another_user_is_refused_unless_trusted() {
    let Some(dir) = rig() else { return };
    chown(dir.path().join("web"), Some(1234), None).expect("a new owner");
    assert!(refusal(&scan(dir.path(), &[])).contains("it belongs to user 1234"));
    assert!(refusal(&scan(dir.path(), &[1])).contains("--trusted-uid 1234"));
    assert_eq!(names(&scan(dir.path(), &[1, 1234])), ["web"]);
}

#[test]
fn a_directory_that_others_can_write_is_refused_sticky_or_not() {
    let Some(dir) = rig() else { return };
    for bits in [0o777, 0o1777, 0o775] {
        mode(dir.path(), bits);
        assert!(refusal(&scan(dir.path(), &[])).starts_with("web: its directory can be written by others"));
    }
    let mut insecure = Directory::new(dir.path(), DEFAULTS, Trust::default());
    assert_eq!(names(&insecure.scan(Moment::ZERO)), ["web"]);
}

#[test]
fn a_directory_that_is_mended_or_spoilt_is_judged_anew() {
    let Some(dir) = rig() else { return };
    let mut directory = Directory::new(dir.path(), DEFAULTS, Trust { enforce: true, uids: Vec::new() });
    mode(dir.path(), 0o777);
    assert!(directory.scan(Moment::ZERO).processes.is_empty());
    mode(dir.path(), 0o755);
    assert_eq!(names(&directory.scan(Moment::ZERO)), ["web"]);
    mode(dir.path(), 0o777);
    let spoilt = directory.scan(Moment::ZERO);
    assert_eq!((names(&spoilt), spoilt.errors.len()), (vec!["web"], 1), "what runs stays");
}

#[test]
fn a_directory_that_is_not_trusted_is_told_once_and_not_once_a_file() {
    let Some(dir) = rig() else { return };
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), "args: [a]").expect("a file");
    }
    fs::write(dir.path().join("bad"), "args: 1").expect("a file");
    mode(dir.path(), 0o777);
    let mut directory = Directory::new(dir.path(), DEFAULTS, Trust { enforce: true, uids: Vec::new() });
    let spoilt = directory.scan(Moment::ZERO);
    assert!(matches!(&spoilt.news[..], [News::Distrusted(why)] if why.contains("written by others")), "{spoilt:?}");
    assert_eq!(spoilt.errors.len(), 5, "each is refused all the same");
    assert_eq!(directory.scan(Moment::ZERO).news, []);
    mode(dir.path(), 0o755);
    let mended = directory.scan(Moment::ZERO);
    let bad = |news: &News| matches!(news, News::Refused { name, .. } if name.as_str() == "bad");
    assert!(matches!(&mended.news[..], [News::Trusted, told] if bad(told)), "{mended:?}");
}

#[test]
fn a_link_is_judged_by_where_it_leads() {
    let Some(dir) = rig() else { return };
    let elsewhere = TempDir::new().expect("a directory");
    mode(elsewhere.path(), 0o755);
    let target = elsewhere.path().join("target");
    fs::write(&target, "args: [b]").expect("a file");
    mode(&target, 0o644);
    fs::remove_file(dir.path().join("web")).expect("the file");
    symlink(&target, dir.path().join("web")).expect("a link");
    assert_eq!(names(&scan(dir.path(), &[])), ["web"]);
    mode(elsewhere.path(), 0o777);
    assert!(refusal(&scan(dir.path(), &[])).contains("the directory that its link leads to can be written by others"));
    mode(elsewhere.path(), 0o755);
    chown(&target, Some(1234), None).expect("a new owner");
    assert!(refusal(&scan(dir.path(), &[])).contains("it belongs to user 1234"));
}
