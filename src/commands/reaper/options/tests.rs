use std::ffi::{OsStr, OsString};

use super::{Guise, Misuse, Options, Task, parse};

fn parsed(guise: Guise, words: &[&str], level: Option<&str>) -> Result<Task, Misuse> {
    let variable = |name: &str| level.filter(|_| name == "TINI_VERBOSITY").map(OsString::from);
    parse(guise, words.iter().map(OsString::from), variable)
}

fn options(guise: Guise, words: &[&str], level: Option<&str>) -> Options {
    match parsed(guise, words, level) {
        Ok(Task::Run(options)) => *options,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn a_verbosity_of_tini_that_is_no_number_is_0_as_atoi_has_it() {
    let rows = [
        (None, 1),
        (Some("3"), 3),
        (Some(" +2x"), 2),
        (Some(""), 0),
        (Some("high"), 0),
        (Some("-1"), 0),
        (Some("99999999999999999999"), 255),
    ];
    for (level, expected) in rows {
        assert_eq!(options(Guise::Tini, &["true"], level).verbosity, expected, "{level:?}");
    }
    // It is tini's alone.
    assert_eq!(options(Guise::Catatonit, &["true"], Some("3")).verbosity, 1);
}

#[test]
fn the_license_is_under_the_letters_of_tini_and_of_catatonit() {
    for letter in ["-l", "-L", "--license"] {
        assert_eq!(parsed(Guise::Catatonit, &[letter], None), Ok(Task::License), "{letter}");
    }
}

#[test]
fn a_guise_is_what_releases_and_engines_name_it() {
    let rows = [
        ("/usr/bin/tini", Some(Guise::Tini)),
        ("tini-static", Some(Guise::Tini)),
        ("/tini-amd64", Some(Guise::Tini)),
        ("tini-static-arm64", Some(Guise::Tini)),
        ("docker-init", Some(Guise::Tini)),
        ("dumb-init", Some(Guise::DumbInit)),
        ("/usr/libexec/podman/catatonit", Some(Guise::Catatonit)),
        ("podman-init", Some(Guise::Catatonit)),
        ("ncolony-reaper", Some(Guise::Ncolony)),
        ("tiniest", None),
        ("ncolony", None),
    ];
    for (name, expected) in rows {
        assert_eq!(Guise::of(OsStr::new(name)), expected, "{name}");
    }
}

fn command(guise: Guise, words: &[&str]) -> Vec<String> {
    options(guise, words, None).command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

// tini.c and catatonit.c call getopt(3), which permutes; dumb-init.c asks it not to.
#[test]
fn options_behind_the_programs_name_are_taken_up_to_two_dashes_where_getopt_takes_them() {
    for guise in [Guise::Tini, Guise::Catatonit] {
        assert_eq!(command(guise, &["-g", "sh", "--", "-c", "exit 5"]), ["sh", "-c", "exit 5"]);
        assert_eq!(command(guise, &["git", "log", "--", "-g"]), ["git", "log", "-g"]);
        assert_eq!(options(guise, &["sh", "-g", "--", "x"], None), options(guise, &["-g", "sh", "x"], None));
        assert!(parsed(guise, &["sh", "-z", "--", "x"], None).is_err());
        // An error there.
        assert_eq!(command(guise, &["sh", "-c", "exit 5"]), ["sh", "-c", "exit 5"]);
        assert_eq!(command(guise, &["--", "git", "log", "--", "x"]), ["git", "log", "--", "x"]);
    }
    for guise in [Guise::Ncolony, Guise::DumbInit] {
        assert_eq!(command(guise, &["sh", "--", "-c", "exit 5"]), ["sh", "--", "-c", "exit 5"]);
    }
    let strict = |name: &str| (name == "POSIXLY_CORRECT").then(|| OsString::from("1"));
    let Ok(Task::Run(found)) = parse(Guise::Tini, ["sh", "--", "x"].map(OsString::from), strict) else {
        panic!("a run")
    };
    assert_eq!(found.command.len(), 3);
}

#[test]
fn a_word_may_be_cut_short_as_long_as_it_is_one_options() {
    let whole = options(Guise::DumbInit, &["--rewrite", "15:2", "--single-child", "true"], None);
    assert_eq!(options(Guise::DumbInit, &["--rewr", "15:2", "--single", "true"], None), whole);
    assert_eq!(options(Guise::DumbInit, &["--rewr=15:2", "--single", "true"], None), whole);
    assert_eq!(parsed(Guise::Catatonit, &["--lic"], None), Ok(Task::License));
    let Err(Misuse(told)) = parsed(Guise::DumbInit, &["--s", "true"], None) else { panic!("which one?") };
    assert_eq!(told, "unknown option --s");
}
