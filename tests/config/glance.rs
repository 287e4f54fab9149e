//! Looks at what was heard of alone. That it was alone is told by another file, which is new as well, and not seen.

use std::ffi::CString;
use std::fs;

use ncolony::config::Scan;
use ncolony::model::Moment;

use super::directory::{Rig, names, spec};

impl Rig {
    fn glance(&mut self, entries: &[&str]) -> Scan {
        let entries: Vec<CString> = entries.iter().map(|entry| CString::new(*entry).expect("no NUL")).collect();
        self.directory.glance(&entries, Moment::from_nanos(2_000_000_000))
    }
}

/// One process is known, and another file is there that nobody has heard of.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.write("known", "args: [a]");
    assert_eq!(names(&rig.scan()), ["known"]);
    rig.write("unheard", "args: [a]");
    rig
}

#[test]
fn a_good_file_is_enough() {
    let mut rig = rig();
    rig.write("web.yaml", "args: [a]");
    let scan = rig.glance(&["web.yaml"]);
    assert!(scan.changed && scan.news.is_empty() && scan.errors.is_empty(), "{:?}", scan.news);
    assert_eq!(names(&scan), ["known", "web"]);
    rig.write("web.yaml", "args: [a, longer]");
    let edited = rig.glance(&["web.yaml"]);
    assert_ne!(spec(&edited, "web"), spec(&scan, "web"));
    assert!(!rig.glance(&["web.yaml"]).changed, "nothing has happened since");
    assert_eq!(names(&rig.scan()), ["known", "unheard", "web"], "a look at everything sees everything");
}

#[test]
fn what_is_not_enough_makes_it_a_look_at_everything() {
    type Row = (&'static str, &'static [&'static str], fn(&Rig), &'static [&'static str], &'static [&'static str]);
    let rows: [Row; 9] = [
        ("a bad file", &["web"], |rig| rig.write("web", "args: 3"), &["known", "unheard"], &["web"]),
        (
            "a warning",
            &["web"],
            |rig| rig.write("web", "args: [a]\nreadinesProbe: x"),
            &["known", "unheard", "web"],
            &[],
        ),
        (
            "one that names another",
            &["web"],
            |rig| rig.write("web", "args: [a]\ndependsOn: [unheard]"),
            &["known", "unheard", "web"],
            &[],
        ),
        ("a name that is none", &["a\tb"], |rig| rig.write("a\tb", "args: [a]"), &["known", "unheard"], &[]),
        ("nothing", &["gone"], |_| {}, &["known", "unheard"], &[]),
        ("a removed one", &["known"], |rig| rig.remove("known"), &["known", "unheard"], &[]),
        ("a directory", &["web"], |rig| fs::create_dir(rig.dir.join("web")).expect("one"), &["known", "unheard"], &[]),
        (
            "a good one and a bad one",
            &["web", "bad"],
            |rig| {
                rig.write("web", "args: [a]");
                rig.write("bad", "{");
            },
            &["known", "unheard", "web"],
            &["bad"],
        ),
        (
            "another directory",
            &["web"],
            |rig| {
                fs::rename(&rig.dir, rig.dir.with_extension("old")).expect("a rename");
                fs::create_dir(&rig.dir).expect("a directory");
                for file in ["known", "unheard", "web"] {
                    rig.write(file, "args: [a]");
                }
            },
            &["known", "unheard", "web"],
            &[],
        ),
    ];
    for (what, entries, change, processes, errors) in rows {
        let mut rig = rig();
        change(&rig);
        let scan = rig.glance(entries);
        assert_eq!(names(&scan), processes, "{what}");
        assert_eq!(scan.errors.iter().map(|error| error.file.as_str()).collect::<Vec<_>>(), errors, "{what}");
        let again = rig.scan();
        assert!(!again.changed && again.news.is_empty(), "{what}: {:?}", again.news);
    }
}

#[test]
fn two_files_of_one_name_are_refused_whichever_is_heard_of() {
    let mut rig = rig();
    rig.write("known.json", r#"{"args": ["b"]}"#);
    let scan = rig.glance(&["known.json"]);
    assert_eq!(scan.errors.len(), 2, "{:?}", scan.errors);
    assert!(names(&scan).contains(&"known"), "the last good version stays");
}

#[test]
fn a_directory_that_was_never_looked_at_is_looked_at_whole() {
    let mut rig = Rig::new();
    rig.write("one", "args: [a]");
    rig.write("two", "args: [a]");
    assert_eq!(names(&rig.glance(&["two"])), ["one", "two"]);
}
