use super::{ENTRY, Logs, MARK, Room, STEP, Stream, TOLD};
use crate::model::{LogAsked, LogFrom, LogPlace, LogRun, Name, Wall};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn logs(each: usize, all: usize) -> Logs {
    Logs::new(Room { each, all })
}

fn say(logs: &mut Logs, process: &str, run: u64, second: u64, text: &str) {
    logs.push(&name(process), Some(run), Stream::Out, Wall::from_secs(second), text.as_bytes());
}

fn asked(process: &str, run: LogRun, from: LogFrom) -> LogAsked {
    LogAsked { process: name(process), run, from }
}

fn last(lines: Option<usize>, since: Option<u64>) -> LogFrom {
    LogFrom::Last { lines, since: since.map(Wall::from_secs) }
}

fn told(logs: &Logs, process: &str, run: LogRun, from: LogFrom) -> Vec<String> {
    logs.told(&asked(process, run, from)).lines.into_iter().map(|line| line.text).collect()
}

/// What is counted is what is there.
fn audit(logs: &Logs) {
    let held: usize = logs.by_name.values().map(|log| log.held() + ENTRY).sum();
    assert_eq!(logs.held, held);
}

#[test]
fn the_last_lines_are_told_by_number_and_by_time() {
    use LogRun::Present;
    let mut logs = logs(4096, 65536);
    say(&mut logs, "web", 1, 10, "one\ntwo\n");
    say(&mut logs, "web", 1, 20, "three\r\n");
    say(&mut logs, "web", 1, 30, "fo\x1bur\n\n");
    let rows: [(LogFrom, &[&str]); 8] = [
        (last(None, None), &["one", "two", "three", "fo\\x1bur", ""]),
        (last(Some(0), None), &[]),
        (last(Some(1), None), &[""]),
        (last(Some(3), None), &["three", "fo\\x1bur", ""]),
        (last(Some(9), None), &["one", "two", "three", "fo\\x1bur", ""]),
        (last(None, Some(20)), &["three", "fo\\x1bur", ""]),
        (last(None, Some(31)), &[]),
        (last(Some(1), Some(10)), &[""]),
    ];
    for (from, expected) in rows {
        assert_eq!(told(&logs, "web", Present, from), expected, "{from:?}");
    }
    assert!(told(&logs, "nobody", Present, last(None, None)).is_empty());
    let times: Vec<u64> = logs
        .told(&asked("web", Present, last(None, None)))
        .lines
        .iter()
        .map(|line| line.at.as_nanos() / 1_000_000_000)
        .collect();
    assert_eq!(times, [10, 10, 20, 30, 30]);
}

#[test]
fn the_previous_runs_lines_are_kept_beside_and_no_older_ones() {
    let mut logs = logs(4096, 65536);
    say(&mut logs, "web", 1, 1, "first\n");
    say(&mut logs, "web", 2, 2, "second\n");
    assert_eq!(told(&logs, "web", LogRun::Previous, last(None, None)), ["first"]);
    // A run that has not said anything is a run, too.
    logs.begin(&name("web"), 3);
    assert!(told(&logs, "web", LogRun::Present, last(None, None)).is_empty());
    assert_eq!(told(&logs, "web", LogRun::Previous, last(None, None)), ["second"]);
    say(&mut logs, "web", 2, 3, "late\n");
    say(&mut logs, "web", 1, 3, "too late\n");
    logs.push(&name("web"), None, Stream::Out, Wall::from_secs(3), b"a hook\n");
    assert_eq!(told(&logs, "web", LogRun::Previous, last(None, None)), ["second", "late"]);
    assert_eq!(told(&logs, "web", LogRun::Present, last(None, None)), ["a hook"]);
    logs.forget(&name("web"));
    assert_eq!(logs.held, 0);
}

#[test]
fn who_follows_is_told_each_line_once_across_runs() {
    let mut logs = logs(4096, 65536);
    let mut place = LogPlace::default();
    let mut follow = |logs: &Logs| {
        let told = logs.told(&asked("web", LogRun::Present, LogFrom::After(place)));
        place = told.next;
        (told.lines.into_iter().map(|line| line.text).collect::<Vec<_>>(), told.skipped)
    };
    assert_eq!(follow(&logs), (vec![], 0));
    say(&mut logs, "web", 1, 1, "a\nb\n");
    assert_eq!(follow(&logs), (vec!["a".into(), "b".into()], 0));
    assert_eq!(follow(&logs), (vec![], 0));
    say(&mut logs, "web", 1, 2, "c\n");
    say(&mut logs, "web", 2, 3, "d\n");
    assert_eq!(follow(&logs), (vec!["c".into()], 0));
    assert_eq!(follow(&logs), (vec!["d".into()], 0));
    say(&mut logs, "web", 2, 4, &"0123456789\n".repeat(1000));
    let (lines, skipped) = follow(&logs);
    assert!(skipped > 6000 && !lines.is_empty(), "{skipped}");
    assert_eq!(skipped + lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>(), 11_000);
}

#[test]
fn streams_do_not_go_on_in_each_others_lines() {
    let mut logs = logs(4096, 65536);
    for (stream, text) in [(Stream::Out, "half"), (Stream::Err, "other\n"), (Stream::Out, "rest\n")] {
        logs.push(&name("web"), Some(1), stream, Wall::from_secs(1), text.as_bytes());
    }
    assert_eq!(told(&logs, "web", LogRun::Present, last(None, None)), ["half", "other", "rest"]);
}

#[test]
fn no_more_is_held_than_there_is_room_for_whatever_is_printed() {
    let (each, all) = (8192, 65536);
    let mut logs = logs(each, all);
    for round in 0..400_u64 {
        for process in 0..20_u64 {
            let text = match (process + round) % 4 {
                0 => "x\n".repeat(20_000),
                1 => "y\n".to_string(),
                2 => "long ".repeat(100) + "\n",
                _ => "no end".to_string(),
            };
            say(&mut logs, &format!("p{process}"), round / 100 + 1, round * 20 + process, &text);
            audit(&logs);
            assert!(logs.held <= all, "{}", logs.held);
        }
    }
    for log in logs.by_name.values() {
        for ring in [&log.present, &log.previous] {
            assert!(ring.held() <= each + STEP + 2 * MARK, "{}", ring.held());
        }
    }
}

#[test]
fn who_floods_leaves_the_others_what_they_have() {
    let mut logs = logs(64 * 1024, 64 * 1024);
    for process in 0..9 {
        say(&mut logs, &format!("quiet{process}"), 1, 1, "I said something once\n");
    }
    for second in 0..1000 {
        say(&mut logs, "loud", 1, second, &"noise\n".repeat(1000));
    }
    say(&mut logs, "new", 1, 2000, &"news\n".repeat(200));
    for process in 0..9 {
        let kept = told(&logs, &format!("quiet{process}"), LogRun::Present, last(None, None));
        assert_eq!(kept, ["I said something once"]);
    }
    assert_eq!(told(&logs, "new", LogRun::Present, last(None, None)).len(), 200);
    assert!(told(&logs, "loud", LogRun::Present, last(None, None)).len() > 5000);
    audit(&logs);
}

#[test]
fn a_long_log_is_told_piece_by_piece() {
    let mut logs = logs(1 << 20, 1 << 20);
    let text: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    say(&mut logs, "web", 1, 1, &text);
    let mut told = logs.told(&asked("web", LogRun::Present, last(None, None)));
    let mut all = String::new();
    loop {
        let bytes: usize = told.lines.iter().map(|line| line.text.len() + 1).sum();
        assert!(bytes <= TOLD);
        all.extend(told.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]));
        if told.next >= told.end {
            break;
        }
        told = logs.told(&asked("web", LogRun::Present, LogFrom::After(told.next)));
    }
    assert_eq!(all, text);
}

#[test]
fn where_nothing_is_to_be_kept_nothing_is() {
    for (each, all) in [(0, 4096), (4096, 0)] {
        let mut logs = logs(each, all);
        say(&mut logs, "web", 1, 1, "a\n");
        assert_eq!(logs.held, 0);
    }
}

#[test]
fn in_a_crowd_each_has_its_last_lines() {
    let mut logs = logs(16 * 1024, 1 << 20);
    for line in 0..20 {
        for process in 0..1000 {
            say(&mut logs, &format!("p{process}"), 1, line, &format!("this is line {line} of something\n"));
        }
    }
    assert!(logs.held <= 1 << 20);
    for process in 0..1000 {
        let kept = told(&logs, &format!("p{process}"), LogRun::Present, last(None, None));
        assert!(kept.len() >= 5, "{process}: {kept:?}");
        assert_eq!(kept.last().map(String::as_str), Some("this is line 19 of something"));
    }
    audit(&logs);
}
