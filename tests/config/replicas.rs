//! One file, several processes.

use std::sync::Arc;

use ncolony::config::Scan;
use ncolony::model::{Name, Replica};

use super::directory::{Rig, names, spec};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn summaries(scan: &Scan) -> Vec<&str> {
    scan.errors.iter().map(|error| error.summary.as_str()).collect()
}

#[test]
fn a_file_with_replicas_describes_numbered_processes() {
    let mut rig = Rig::new();
    rig.write("web.yaml", "args: [a]\nreplicas: 3\n");
    rig.write("db.yaml", "args: [b]\n");
    rig.write("one.yaml", "args: [c]\nreplicas: 1\n");
    rig.write("none.yaml", "args: [d]\nreplicas: 0\n");
    let scan = rig.scan();
    assert_eq!(names(&scan), ["db", "one-0", "web-0", "web-1", "web-2"]);
    assert_eq!((scan.files, scan.errors.len()), (4, 0));
    let last = spec(&scan, "web-2");
    assert_eq!(last.replica, Some(Replica { set: name("web"), index: 2, of: 3 }));
    assert_eq!(last.birth.replica, Some(2));
    assert_eq!(spec(&scan, "db").birth.replica, None);
    assert_eq!(rig.directory.file_of(&name("web-1")), Some("web.yaml"));
    assert_eq!(rig.directory.file_of(&name("db")), Some("db.yaml"));
    let again = rig.scan_after(600);
    assert!(!again.changed && Arc::ptr_eq(&scan.processes, &again.processes));
}

#[test]
fn scaling_gives_nobody_a_new_birth() {
    let mut rig = Rig::new();
    let scaled = |rig: &mut Rig, count: u32| {
        rig.write("web.yaml", format!("args: [a]\nreplicas: {count}\n"));
        rig.scan()
    };
    let (one, three) = (scaled(&mut rig, 1), scaled(&mut rig, 3));
    assert_eq!(names(&three), ["web-0", "web-1", "web-2"]);
    let two = scaled(&mut rig, 2);
    assert_eq!(names(&two), ["web-0", "web-1"]);
    let born = [&one, &three, &two].map(|scan| spec(scan, "web-0").born);
    assert_eq!(born, [born[0]; 3], "the file's text is no reason, though the child sees it");
    assert_ne!(spec(&one, "web-0").whole, spec(&two, "web-0").whole);
    assert_ne!(spec(&two, "web-0").born, spec(&two, "web-1").born);
    rig.write("web.yaml", "args: [b]\nreplicas: 2\n");
    assert_ne!(spec(&rig.scan(), "web-1").born, spec(&two, "web-1").born);
    rig.write("web.yaml", "args: [a]\n");
    let plain = rig.scan();
    assert_eq!(names(&plain), ["web"]);
}

#[test]
fn an_edit_that_is_none_leaves_every_replica_the_same_thing() {
    let mut rig = Rig::new();
    rig.write("web.yaml", "args: [a]\nreplicas: 3\n");
    let first = rig.scan();
    rig.write("web.yaml", "args: [a]\nreplicas: 3 # as before\n");
    let second = rig.scan();
    for name in ["web-0", "web-1", "web-2"] {
        assert!(Arc::ptr_eq(&first.processes[name], &second.processes[name]), "{name}");
    }
}

#[test]
fn a_replica_and_a_file_of_its_name_are_an_error_of_both() {
    let mut rig = Rig::new();
    rig.write("web-1.yaml", "args: [b]\n");
    let before = rig.scan();
    rig.write("web.yaml", "args: [a]\nreplicas: 3\n");
    let scan = rig.scan();
    let both = "the replicas of web.yaml and web-1.yaml describe the same process, web-1";
    assert_eq!(summaries(&scan), [format!("web.yaml: {both}"), format!("web-1.yaml: {both}")]);
    assert_eq!(names(&scan), ["web-1"], "the running one stays");
    assert!(Arc::ptr_eq(&before.processes["web-1"], &scan.processes["web-1"]));
    assert!(rig.directory.error_of(&name("web")).is_some() && rig.directory.error_of(&name("web-1")).is_some());
    // The edit of neither takes effect.
    rig.write("web-1.yaml", "args: [edited]\n");
    assert!(!rig.scan().changed);
    rig.write("web.yaml", "args: [a]\nreplicas: 1\n");
    let mended = rig.scan();
    assert_eq!(names(&mended), ["web-0", "web-1"]);
    assert!(mended.errors.is_empty());
    assert_eq!(spec(&mended, "web-1").birth.argv, ["edited"]);
    // And scaled up again: the one stays in force, and so does the other.
    rig.write("web.yaml", "args: [a]\nreplicas: 2\n");
    let scan = rig.scan();
    assert_eq!((names(&scan), scan.errors.len()), (vec!["web-0", "web-1"], 2));
    assert_eq!(spec(&scan, "web-1").replica, None);
}

#[test]
fn what_is_in_force_keeps_its_name_though_its_file_turns_bad() {
    let mut rig = Rig::new();
    rig.write("web.yaml", "args: [a]\nreplicas: 2\n");
    rig.scan();
    rig.write("web.yaml", "args: 7\n");
    rig.write("web-0.yaml", "args: [b]\n");
    let scan = rig.scan();
    assert_eq!(names(&scan), ["web-0", "web-1"]);
    assert!(spec(&scan, "web-0").replica.is_some(), "the running one stays");
    assert_eq!(scan.errors.len(), 2, "{:?}", scan.errors);
    assert!(rig.directory.error_of(&name("web-0")).is_some_and(|error| error.contains("web.yaml:1:7: args")));
    rig.remove("web.yaml");
    let scan = rig.scan();
    assert_eq!(spec(&scan, "web-0").replica, None, "what is missing gives way at once");
    assert!(scan.errors.is_empty(), "{:?}", scan.errors);
    assert_eq!(names(&rig.scan_after(600)), ["web-0"]);
}

#[test]
fn names_that_would_be_too_long_are_refused() {
    let mut rig = Rig::new();
    let (fits, long) = ("x".repeat(249), "y".repeat(250));
    // Without an ending: no file's name has more than 255 bytes.
    rig.write(&fits, "args: [a]\nreplicas: 1000\n");
    rig.write(&long, "args: [a]\nreplicas: 1000\n");
    let scan = rig.scan();
    assert_eq!(scan.processes.len(), 1000);
    assert_eq!(summaries(&scan), [format!("{long}: its replicas' names are longer than 253 bytes")]);
}
