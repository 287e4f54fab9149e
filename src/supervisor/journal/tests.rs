use std::fs;

use super::{Journal, Taken, parse};
use crate::model::{Incarnation, Name};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn write_start(journal: &mut Journal, text: &str, pid: u32) -> Incarnation {
    let run = Incarnation::new(journal.next);
    journal.next = journal.next.saturating_add(1);
    let announce = journal.announce(run, &name(text)).expect("writable");
    let (pid_at, born_at) = (announce.pid.clone(), announce.born.clone());
    announce.line[pid_at].copy_from_slice(format!("{pid:010}").as_bytes());
    announce.line[born_at].copy_from_slice(format!("{:020}", 77).as_bytes());
    std::io::Write::write_all(&mut fs::File::from(announce.to.try_clone_to_owned().expect("dup")), announce.line)
        .expect("write");
    journal.announced();
    run
}

fn refresh(journal: &mut Journal) {
    journal.refresh(Incarnation::new(journal.next), std::iter::empty());
}

#[test]
fn what_ran_is_remembered_and_what_ended_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(dir.path()).expect("free");
    let web = write_start(&mut journal, "web server", 41);
    let db = write_start(&mut journal, "db", 42);
    journal.ended(web);
    assert_eq!(journal.trouble(), None);
    let colony = journal.colony;
    drop(journal);

    let journal = Journal::open(dir.path()).expect("free again");
    assert_eq!(journal.colony, colony);
    let [(found, past)] = &journal.remembered[..] else { panic!("{:?}", journal.remembered) };
    assert_eq!((found, past.run, past.pid, past.born), (&name("db"), db, 42, 77));
    assert!(journal.next.get() > db.get());
}

#[test]
fn a_second_monitor_is_told_the_firsts_pid() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Journal::open(dir.path()).expect("free");
    let Err(Taken::By(pid)) = Journal::open(dir.path()) else { panic!("two monitors in one place") };
    assert_eq!(pid, std::process::id().to_string());
    drop(first);
    assert!(Journal::open(dir.path()).is_ok());
}

#[test]
fn a_journal_torn_at_any_byte_is_read_as_far_as_it_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(dir.path()).expect("free");
    write_start(&mut journal, "a", 41);
    write_start(&mut journal, "b", 42);
    let whole = fs::read(dir.path().join("journal")).expect("it is there");
    for cut in 0..whole.len() {
        let mut torn = whole[..cut].to_vec();
        assert!(parse(&torn).running.len() <= 2);
        // What is written after the tear is whole.
        torn.extend_from_slice(b"\n+ 00000000000000000009 0000000043 00000000000000000077 c\n");
        assert!(parse(&torn).running.values().any(|(found, _)| *found == name("c")), "cut at {cut}");
    }
}

#[test]
fn a_journal_of_another_boot_means_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(dir.path()).expect("free");
    write_start(&mut journal, "a", 41);
    drop(journal);
    let path = dir.path().join("journal");
    let text = fs::read_to_string(&path).expect("it is there").replace(" boot ", " boot x");
    fs::write(&path, text).expect("write");
    assert_eq!(Journal::open(dir.path()).expect("free").remembered, []);
}

#[test]
fn no_number_is_given_twice_however_often_the_monitor_dies() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(dir.path()).expect("free");
    let web = write_start(&mut journal, "web", 41);
    journal.ended(web);
    for _ in 0..3 {
        drop(journal);
        journal = Journal::open(dir.path()).expect("free again");
        assert!(journal.next.get() > web.get());
    }
}

#[test]
fn a_journal_that_was_removed_is_put_there_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let mut journal = Journal::open(&state).expect("free");
    let web = write_start(&mut journal, "web", 41);
    fs::remove_file(state.join("journal")).expect("it is there");
    refresh(&mut journal);
    assert_eq!(journal.trouble(), None);
    fs::remove_dir_all(&state).expect("it is there");
    refresh(&mut journal);
    assert_eq!(journal.trouble(), None);
    assert!(matches!(Journal::open(&state), Err(Taken::By(_))), "its lock is held again, too");
    drop(journal);
    let journal = Journal::open(&state).expect("free again");
    assert_eq!(journal.remembered.iter().map(|(_, past)| past.run).collect::<Vec<_>>(), [web]);
}

#[test]
fn a_directory_above_that_was_removed_is_not_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let above = dir.path().join("messages");
    let mut journal = Journal::open(&above.join("state")).expect("free");
    fs::remove_dir_all(&above).expect("it is there");
    refresh(&mut journal);
    assert!(journal.trouble().is_some_and(|text| text.contains("is gone")), "{:?}", journal.trouble());
    assert!(!above.exists());
    fs::create_dir(&above).expect("a directory");
    refresh(&mut journal);
    assert_eq!(journal.trouble(), None);
}

#[test]
fn without_a_writable_place_it_says_so_and_remembers_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("write");
    let mut journal = Journal::open(&file.join("below")).expect("free");
    assert!(journal.trouble().is_some_and(|text| text.contains("kill -9")));
    assert!(journal.announce(Incarnation::new(journal.next), &name("a")).is_none());
}

#[test]
fn one_that_could_not_be_begun_is_begun_when_it_can_be_with_all_that_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    fs::write(&state, "").expect("write");
    let mut journal = Journal::open(&state).expect("free");
    let said = journal.trouble().map(str::to_string);
    refresh(&mut journal);
    assert!(said.is_some() && journal.trouble() == said.as_deref(), "{said:?} {:?}", journal.trouble());
    fs::remove_file(&state).expect("it is there");
    let run = |number: u64| Incarnation::new(number.try_into().expect("not 0"));
    let left = [(run(3), name("web"), Some(41)), (run(5), name("rest"), None)];
    journal.refresh(run(8), left.into_iter());
    assert_eq!(journal.trouble(), None);
    journal.next = 8.try_into().expect("not 0");
    assert_eq!(write_start(&mut journal, "later", 43), run(8));
    journal.ended(run(5));
    let colony = journal.colony;
    drop(journal);
    let journal = Journal::open(&state).expect("free again");
    assert_eq!((journal.colony, journal.next.get()), (colony, 9));
    let found: Vec<_> = journal.remembered.iter().map(|(name, past)| (name.as_str(), past.run, past.pid)).collect();
    assert_eq!(found, [("web", run(3), 41), ("later", run(8), 43)]);
    assert!(journal.remembered.iter().all(|(_, past)| past.born > 0));
}

#[test]
fn a_long_life_does_not_make_a_long_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(dir.path()).expect("free");
    let stays = write_start(&mut journal, "stays", 41);
    for pid in 0..30_000 {
        let run = write_start(&mut journal, "comes-and-goes", 100 + pid);
        journal.ended(run);
    }
    let len = fs::metadata(dir.path().join("journal")).expect("it is there").len();
    assert!(len <= super::COMPACT_AT + 4096, "{len} bytes");
    drop(journal);
    let journal = Journal::open(dir.path()).expect("free");
    assert_eq!(journal.remembered.iter().map(|(_, past)| past.run).collect::<Vec<_>>(), [stays]);
}
