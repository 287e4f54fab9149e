//! Real directories, looked at again and again.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ncolony::config::{Directory, News, Scan, Trust};
use ncolony::model::{Moment, Name, ProcessSpec};
use tempfile::TempDir;

use super::DEFAULTS;

/// A directory under test, and a clock of its own.
pub(crate) struct Rig {
    _root: TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) directory: Directory,
    now: Moment,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        let root = TempDir::new().expect("a directory");
        let dir = root.path().join("processes");
        fs::create_dir(&dir).expect("a directory");
        let directory = Directory::new(&dir, DEFAULTS, Trust::default());
        Rig { _root: root, dir, directory, now: Moment::from_nanos(1_000_000_000) }
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        fs::write(self.dir.join(file), text).expect("a file");
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.dir.join(file)).expect("a file");
    }

    pub(crate) fn scan(&mut self) -> Scan {
        self.directory.scan(self.now)
    }

    pub(crate) fn scan_after(&mut self, millis: u64) -> Scan {
        self.now = self.now + Duration::from_millis(millis);
        self.scan()
    }

    /// Two looks, as far apart as an absence must last.
    pub(crate) fn settled(&mut self) -> Scan {
        self.scan();
        self.scan_after(500)
    }
}

pub(crate) fn names(scan: &Scan) -> Vec<&str> {
    scan.processes.keys().map(Name::as_str).collect()
}

pub(crate) fn spec(scan: &Scan, name: &str) -> Arc<ProcessSpec> {
    Arc::clone(&scan.processes[name])
}

fn said(scan: &Scan) -> Vec<String> {
    scan.news.iter().map(|news| news.to_string().lines().next().unwrap_or_default().to_string()).collect()
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

#[test]
fn files_become_processes_and_nothing_is_said_of_good_ones() {
    let mut rig = Rig::new();
    rig.write("web", r#"{"args": ["a"]}"#);
    rig.write("db.json", r#"{"args": ["b"]}"#);
    rig.write("cache.yaml", "args: [c]");
    rig.write("job.yml", "args: [d]");
    rig.write("v1.2", "args: [e]");
    let scan = rig.scan();
    assert_eq!(names(&scan), ["cache", "db", "job", "v1.2", "web"]);
    assert!(scan.changed && scan.news.is_empty() && scan.errors.is_empty() && scan.rescan_at.is_none());
    assert_eq!(rig.directory.file_of(&name("db")), Some("db.json"));
    let again = rig.scan();
    assert!(!again.changed && again.news.is_empty());
    assert!(Arc::ptr_eq(&scan.processes, &again.processes));
}

// C01, C26
#[test]
fn a_bad_file_hurts_only_itself() {
    let mut rig = Rig::new();
    rig.write("good", "args: [a]");
    rig.write("bad", "args: 3");
    let scan = rig.scan();
    assert_eq!(names(&scan), ["good"]);
    assert_eq!(said(&scan), ["bad:1:7: args: expected a list of texts, found a number"]);
    assert_eq!((scan.errors[0].file.as_str(), scan.errors.len()), ("bad", 1));
    assert!(scan.news[0].to_string().ends_with("\nbad is not started until this is mended"));
    let again = rig.scan();
    assert!(again.news.is_empty(), "said once");
    assert_eq!(again.errors, scan.errors, "and still so");
    assert!(rig.directory.error_of(&name("bad")).is_some_and(|error| error.starts_with("bad:1:7")));
}

// C01
#[test]
fn a_file_that_turns_bad_keeps_its_last_good_version() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    let good = spec(&rig.scan(), "web");
    rig.write("web", "args: [a");
    let scan = rig.scan();
    assert!(!scan.changed && Arc::ptr_eq(&spec(&scan, "web"), &good));
    assert!(scan.news[0].to_string().ends_with("\nthe last good version of web stays in force"));
    rig.write("web", "args: [a]");
    let scan = rig.scan();
    assert!(!scan.changed && Arc::ptr_eq(&spec(&scan, "web"), &good), "mended to what it was: nothing to restart");
    assert_eq!(scan.news, [News::Mended { name: name("web") }]);
    assert!(scan.errors.is_empty());
}

// C02
#[test]
fn a_half_written_file_is_taken_when_it_is_whole() {
    let mut rig = Rig::new();
    rig.write("web", r#"{"args": ["a"]}"#);
    let old = spec(&rig.scan(), "web");
    for part in ["", r#"{"ar"#, r#"{"args": ["b""#] {
        rig.write("web", part);
        assert!(Arc::ptr_eq(&spec(&rig.scan(), "web"), &old), "{part}");
    }
    rig.write("web", r#"{"args": ["b"]}"#);
    let scan = rig.scan();
    assert!(scan.changed);
    assert_eq!(spec(&scan, "web").birth.argv, ["b"]);
}

// L17
#[test]
fn an_edit_changes_one_process_and_leaves_the_others_the_same() {
    let mut rig = Rig::new();
    rig.write("a", "args: [a]");
    rig.write("b", "args: [b]");
    let before = rig.scan();
    rig.write("a", "args: [x]");
    let after = rig.scan();
    assert!(after.changed);
    assert!(Arc::ptr_eq(&spec(&before, "b"), &spec(&after, "b")));
    assert_ne!(spec(&before, "a").born, spec(&after, "a").born);
}

// C15
#[test]
fn an_absence_counts_only_when_it_lasts() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    let good = spec(&rig.scan(), "web");
    rig.remove("web");
    let scan = rig.scan();
    assert!(!scan.changed && names(&scan) == ["web"]);
    let at = scan.rescan_at.expect("another look");
    assert_eq!(at.since(rig.now), Duration::from_millis(500));
    assert_eq!(rig.scan_after(300).rescan_at, Some(at), "a look in between does not put it off");
    rig.write("web", "args: [a]");
    let scan = rig.scan();
    assert!(!scan.changed && scan.rescan_at.is_none() && Arc::ptr_eq(&spec(&scan, "web"), &good), "written anew");
    rig.remove("web");
    let scan = rig.settled();
    assert!(scan.changed && scan.processes.is_empty() && scan.rescan_at.is_none());
}

// C11
#[test]
fn a_config_map_is_swapped_as_one_change() {
    let mut rig = Rig::new();
    let dir = rig.dir.clone();
    let publish = |stamp: &str, files: &[(&str, &str)]| {
        let target = dir.join(format!("..{stamp}"));
        fs::create_dir(&target).expect("a directory");
        files.iter().for_each(|(file, text)| fs::write(target.join(file), text).expect("a file"));
        let _ = fs::remove_file(dir.join("..data_tmp"));
        symlink(format!("..{stamp}"), dir.join("..data_tmp")).expect("a link");
        for (file, _) in files {
            let _ = symlink(format!("..data/{file}"), dir.join(file));
        }
    };
    publish("2026_01", &[("web.json", r#"{"args": ["a"]}"#), ("db.json", r#"{"args": ["b"]}"#)]);
    let scan = rig.settled();
    assert!(scan.processes.is_empty() && scan.news.is_empty(), "links that lead nowhere yet: {:?}", scan.news);
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).expect("a rename");
    let first = rig.scan();
    assert_eq!(names(&first), ["db", "web"]);

    publish("2026_02", &[("web.json", r#"{"args": ["a", "x"]}"#), ("new.json", r#"{"args": ["c"]}"#)]);
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).expect("a rename");
    fs::remove_dir_all(dir.join("..2026_01")).expect("the old one");
    let second = rig.scan();
    assert_eq!(names(&second), ["db", "new", "web"], "a dangling link is an absence, and must last");
    assert_eq!(spec(&second, "web").birth.argv, ["a", "x"]);
    fs::remove_file(dir.join("db.json")).expect("the link");
    let third = rig.scan_after(500);
    assert_eq!(names(&third), ["new", "web"]);
    assert!(Arc::ptr_eq(&spec(&second, "web"), &spec(&third, "web")));
    assert!(second.news.is_empty() && third.news.is_empty());
}

// C12
#[test]
fn droppings_of_editors_and_tools_are_passed_over_in_silence() {
    let mut rig = Rig::new();
    for file in
        ["web.new", "web~", ".web.swp", "web.bak", "web.swp", "web.tmp", ".hidden", "..data", ".#web", "web.json~"]
    {
        rig.write(file, "args: [a]");
    }
    let scan = rig.settled();
    assert!(scan.processes.is_empty() && scan.news.is_empty() && scan.errors.is_empty());
}

// C19
#[test]
fn names_that_no_process_can_have_are_told_once_and_escaped() {
    let mut rig = Rig::new();
    rig.write("a\nb", "args: [a]");
    rig.write("a\u{1b}[31mb", "args: [a]");
    fs::write(rig.dir.join(OsStr::from_bytes(b"\xff\xfe")), "args: [a]").expect("a file");
    rig.write(&"x".repeat(255), "args: [a]");
    let scan = rig.scan();
    let mut said = said(&scan);
    said.sort();
    assert_eq!(said.len(), 4);
    assert!(scan.processes.is_empty() && scan.errors.is_empty());
    assert!(said[0].starts_with("\"\\xff\\xfe\" is passed over: its name is not UTF-8"), "{said:?}");
    assert!(said.iter().all(|line| !line.contains(char::is_control)), "{said:?}");
    assert!(rig.scan().news.is_empty());
}

// C09
#[test]
fn a_sub_directory_is_told_once() {
    let mut rig = Rig::new();
    fs::create_dir(rig.dir.join("sub")).expect("a directory");
    symlink("sub", rig.dir.join("link")).expect("a link");
    let mut lines = said(&rig.scan());
    lines.sort();
    assert_eq!(lines, ["\"link\" is passed over: it is a directory", "\"sub\" is passed over: it is a directory"]);
    let scan = rig.scan();
    assert!(scan.news.is_empty() && scan.errors.is_empty());
}

#[test]
fn two_files_of_one_name_are_both_refused_and_what_runs_stays() {
    let mut rig = Rig::new();
    rig.write("web.json", r#"{"args": ["a"]}"#);
    let good = spec(&rig.scan(), "web");
    rig.write("web.yaml", "args: [b]");
    let scan = rig.scan();
    assert!(!scan.changed && Arc::ptr_eq(&spec(&scan, "web"), &good));
    let files: Vec<&str> = scan.errors.iter().map(|error| error.file.as_str()).collect();
    assert_eq!(files, ["web.json", "web.yaml"]);
    assert_eq!(said(&scan), ["web.json: web.json and web.yaml describe the same process, web"]);
    rig.remove("web.json");
    let scan = rig.scan();
    assert_eq!(spec(&scan, "web").birth.argv, ["b"]);
    assert_eq!((scan.errors.len(), scan.rescan_at), (0, None), "the name was never absent");
    assert_eq!(rig.directory.file_of(&name("web")), Some("web.yaml"));
}

// C23
#[test]
fn a_touch_is_no_change() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    let before = rig.scan();
    let file = fs::File::open(rig.dir.join("web")).expect("the file");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("a touch");
    let after = rig.scan();
    assert!(!after.changed && Arc::ptr_eq(&before.processes, &after.processes));
}

// C23
#[test]
fn new_content_of_the_same_size_and_time_is_seen() {
    let mut rig = Rig::new();
    let path = rig.dir.join("web");
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for (text, first) in [("args: [a]", "a"), ("args: [b]", "b"), ("args: [c]", "c")] {
        fs::write(&path, text).expect("a file");
        fs::File::options().write(true).open(&path).expect("the file").set_modified(old).expect("a time");
        assert_eq!(spec(&rig.scan(), "web").birth.argv, [first]);
    }
}

// C14
#[test]
fn a_directory_that_cannot_be_listed_is_not_an_empty_one() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    let before = rig.scan();
    let aside = rig.dir.with_extension("aside");
    fs::rename(&rig.dir, &aside).expect("a rename");
    for _ in 0..3 {
        let scan = rig.scan_after(1000);
        assert!(!scan.changed && Arc::ptr_eq(&before.processes, &scan.processes));
        assert!(scan.dir_error.is_some_and(|error| error.contains("cannot open")));
        assert_eq!(scan.rescan_at, None);
    }
    fs::write(&rig.dir, "no directory").expect("a file");
    let scan = rig.scan();
    assert!(scan.dir_error.is_some() && names(&scan) == ["web"]);
    fs::remove_file(&rig.dir).expect("the file");
    fs::rename(&aside, &rig.dir).expect("a rename");
    let scan = rig.scan();
    assert_eq!((scan.dir_error, scan.news), (None, vec![News::Listed]));
    assert!(!scan.changed);
}

// C14
#[test]
fn an_empty_directory_in_the_place_of_ours_is_taken_for_an_unmounted_one() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    rig.scan();
    let aside = rig.dir.with_extension("aside");
    fs::rename(&rig.dir, &aside).expect("a rename");
    fs::create_dir(&rig.dir).expect("a directory");
    for _ in 0..3 {
        let scan = rig.scan_after(1000);
        assert!(names(&scan) == ["web"] && scan.dir_error.is_some_and(|error| error.ends_with("unmounted?")));
    }
    rig.write("db", "args: [b]");
    let scan = rig.settled();
    assert_eq!((names(&scan), &scan.dir_error), (vec!["db"], &None), "a directory with files is a new desired state");
}

// C14
#[test]
fn a_directory_that_was_away_and_came_back_empty_stops_nothing() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    rig.scan();
    fs::remove_dir_all(&rig.dir).expect("ours");
    assert!(rig.scan().dir_error.is_some());
    // Often with the very inode of the old one.
    fs::create_dir(&rig.dir).expect("a directory");
    for _ in 0..3 {
        let scan = rig.scan_after(1000);
        assert!(names(&scan) == ["web"] && scan.dir_error.is_some());
    }
}

#[test]
fn the_last_file_may_be_removed_from_a_directory_that_stays() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    rig.scan();
    rig.remove("web");
    let scan = rig.settled();
    assert!(scan.processes.is_empty() && scan.dir_error.is_none());
}

#[test]
fn a_missing_directory_at_the_start_is_an_error_and_no_processes() {
    let mut rig = Rig::new();
    fs::remove_dir(&rig.dir).expect("ours");
    let scan = rig.scan();
    assert!(scan.processes.is_empty() && scan.dir_error.is_some());
    fs::create_dir(&rig.dir).expect("a directory");
    assert_eq!(rig.scan().dir_error, None);
    rig.write("web", "args: [a]");
    assert_eq!(names(&rig.scan()), ["web"]);
}

// C14
#[test]
fn an_absence_is_not_counted_while_the_directory_is_away() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    rig.write("db", "args: [b]");
    rig.scan();
    rig.remove("web");
    assert!(rig.scan().rescan_at.is_some());
    let aside = rig.dir.with_extension("aside");
    fs::rename(&rig.dir, &aside).expect("a rename");
    assert_eq!(rig.scan_after(1000).rescan_at, None);
    fs::rename(&aside, &rig.dir).expect("a rename");
    assert_eq!(names(&rig.scan()), ["db", "web"], "seen missing once since it is back");
    assert_eq!(names(&rig.scan_after(500)), ["db"]);
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_last_good_version() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    let before = rig.scan();
    rig.remove("web");
    // Not ENOENT, and not even root gets past it: a path below a regular file.
    fs::write(rig.dir.join(".plain"), "").expect("a file");
    symlink(".plain/x", rig.dir.join("web")).expect("a link");
    for _ in 0..2 {
        let scan = rig.scan_after(1000);
        assert!(Arc::ptr_eq(&before.processes, &scan.processes));
        assert_eq!(scan.errors[0].summary, "web: cannot be examined: Not a directory");
    }
}

// C10
#[test]
fn a_loop_of_links_is_an_absence() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]");
    rig.scan();
    rig.remove("web");
    symlink("web", rig.dir.join("web")).expect("a link");
    let scan = rig.settled();
    assert!(scan.processes.is_empty() && scan.errors.is_empty());
}

// C20
#[test]
fn five_thousand_files_are_taken_and_cost_little_when_nothing_changes() {
    let mut rig = Rig::new();
    for n in 0..5000 {
        rig.write(&format!("p{n}"), format!("{{\"args\": [\"sleep\", \"{n}\"]}}"));
    }
    let scan = rig.scan();
    assert_eq!(scan.processes.len(), 5000);
    // Until their timestamps are old enough to be believed, they are read.
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        assert!(!rig.scan().changed);
    }
    let spent = (0..5).map(|_| {
        let began = std::time::Instant::now();
        assert!(!rig.scan().changed);
        began.elapsed()
    });
    let best = spent.min().expect("five looks");
    println!("5,000 unchanged files: {best:?}");
    assert!(best < Duration::from_millis(250), "{best:?}");
    fs::write(Path::new(&rig.dir).join("p17"), r#"{"args": ["other"]}"#).expect("a file");
    assert!(rig.scan().changed);
}
