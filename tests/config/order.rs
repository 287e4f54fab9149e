//! What the files of a directory say of each other.

use std::sync::Arc;

use ncolony::config::{News, Scan};

use super::directory::{Rig, names, spec};

/// What is wrong, in full.
fn refused(scan: &Scan) -> Vec<String> {
    let told = scan.news.iter().filter_map(|news| match news {
        News::Refused { diagnostics, .. } => Some(diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>()),
        News::Warned { .. }
        | News::Mended { .. }
        | News::Ignored { .. }
        | News::Unlisted(_)
        | News::Listed
        | News::Distrusted(_)
        | News::Trusted => None,
    });
    told.flatten().collect()
}

#[test]
fn an_unknown_name_is_an_error_of_that_file_alone_until_it_is_known() {
    let mut rig = Rig::new();
    rig.write("web.json", r#"{"args": ["a"], "env": {"TOKEN": "hidden"}, "dependsOn": ["bd"]}"#);
    rig.write("front", "args: [a]\ndependsOn: [web]");
    rig.write("db", "args: [a]");
    let scan = rig.scan();
    assert_eq!(names(&scan), ["db", "front"]);
    let expected = concat!(
        "web.json:1:59: dependsOn[0]: no process file describes \"bd\"\n",
        "  1 | {\"args\": …, \"env\": {\"TOKEN\": …}, \"dependsOn\": [\"bd\"]}\n",
        "    |                                                ^^^^\n",
        "help: did you mean \"db\"?"
    );
    assert_eq!(refused(&scan), [expected]);
    assert!(rig.scan().news.is_empty(), "said once");
    rig.write("bd", "args: 3");
    let scan = rig.scan();
    assert_eq!(names(&scan), ["db", "front", "web"], "it is there, though nothing can be made of it");
    assert!(scan.news.iter().any(|news| matches!(news, News::Mended { name } if name.as_str() == "web")));
}

#[test]
fn who_loses_his_dependency_keeps_his_last_good_version() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]\ndependsOn: [db]");
    rig.write("db", "args: [a]");
    let before = spec(&rig.scan(), "web");
    rig.remove("db");
    let scan = rig.settled();
    assert_eq!(names(&scan), ["web"]);
    assert!(Arc::ptr_eq(&spec(&scan, "web"), &before));
    assert_eq!(scan.errors[0].summary, "web:2:13: dependsOn[0]: no process file describes \"db\"");
    rig.write("db", "args: [b]");
    let scan = rig.scan();
    assert!(scan.errors.is_empty() && Arc::ptr_eq(&spec(&scan, "web"), &before));
}

#[test]
fn who_closes_a_circle_is_told_all_of_it_and_stays_as_he_was() {
    let mut rig = Rig::new();
    rig.write("web", "args: [a]\ndependsOn: [cache, db]");
    rig.write("db", "args: [a]\ndependsOn: [disk]");
    rig.write("disk", "args: [a]");
    rig.write("cache", "args: [a]");
    let before = rig.scan();
    assert_eq!(names(&before), ["cache", "db", "disk", "web"]);
    rig.write("disk", "args: [a]\nrestartPolicy: Never\ndependsOn:\n- cache\n- name: web\n  condition: Started\n");
    let scan = rig.scan();
    assert!(!scan.changed);
    let expected = concat!(
        "disk:5:9: dependsOn[1]: a circle: disk depends on web, web on db, db on disk\n",
        "  5 | - name: web\n",
        "    |         ^^^\n",
        "help: take one of these dependencies out"
    );
    assert_eq!(refused(&scan), [expected]);
    // Another opens it: then it is good as it stands.
    rig.write("web", "args: [a]\ndependsOn: [cache]");
    let scan = rig.scan();
    assert!(scan.errors.is_empty() && scan.changed);
    assert_eq!(spec(&scan, "disk").depends_on.len(), 2);
}

#[test]
fn of_a_circle_that_is_all_new_no_file_is_taken_and_those_beside_it_are() {
    let mut rig = Rig::new();
    rig.write("a", "args: [a]\ndependsOn: [b]");
    rig.write("b", "args: [a]\ndependsOn: [a]");
    rig.write("c", "args: [a]\ndependsOn: [a]");
    let scan = rig.scan();
    assert_eq!(names(&scan), ["c"]);
    assert_eq!(scan.errors.len(), 2);
    rig.write("a", "args: [a]");
    assert_eq!(names(&rig.scan()), ["a", "b", "c"]);
}

#[test]
fn what_is_removed_one_after_the_other_goes_together() {
    let mut rig = Rig::new();
    for name in ["a", "b", "c"] {
        rig.write(name, "args: [a]");
    }
    rig.scan();
    rig.remove("a");
    rig.scan();
    rig.remove("b");
    assert_eq!(names(&rig.scan_after(10)), ["a", "b", "c"]);
    assert_eq!(names(&rig.scan_after(490)), ["a", "b", "c"], "a waits for b");
    assert_eq!(names(&rig.scan_after(10)), ["c"]);
}

#[test]
fn nothing_stays_longer_than_a_second_for_others_that_go() {
    let mut rig = Rig::new();
    for number in 0..9 {
        rig.write(&format!("p{number}"), "args: [a]");
    }
    rig.scan();
    for number in 0..5 {
        rig.remove(&format!("p{number}"));
        let scan = rig.scan_after(if number == 0 { 0 } else { 300 });
        assert_eq!(names(&scan).contains(&"p0"), number < 4, "{number}");
    }
}
