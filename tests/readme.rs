//! The README is held to what it names: keys, flags, messages, metrics, headings and tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use ncolony::cli::Cli;
use ncolony::model::{Reason, Request};

const README: &str = include_str!("../README.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands between backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the table whose head is this, each as its cells.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let mut lines = README.lines().skip_while(|line| *line != head);
    assert_eq!(lines.next(), Some(head), "the README has no such table");
    // A `\|` is text.
    let cells = |line: &'static str| {
        let bounds: Vec<usize> = line
            .match_indices('|')
            .map(|(at, _)| at)
            .filter(|at| *at == 0 || line.as_bytes()[at - 1] != b'\\')
            .collect();
        bounds.windows(2).map(|pair| line[pair[0] + 1..pair[1]].trim()).collect::<Vec<_>>()
    };
    lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The words of the first column, each of which stands there once.
fn first_column(head: &str) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    for row in table(head) {
        for word in words(row[0]) {
            assert!(seen.insert(word) || row[0].contains(": `"), "{word} has two rows below {head:?}");
        }
    }
    seen
}

/// The keys that process files may have, as the parser has them.
fn keys() -> Vec<String> {
    let schema = fs::read_to_string(root().join("src/config/schema.rs")).expect("the schema");
    let list = schema.split_once("const OURS: &[&str] = &[").expect("the list of keys").1;
    let list = list.split_once(']').expect("its end").0;
    list.split('"').skip(1).step_by(2).map(str::to_string).collect()
}

/// Whether a file of the sources has a test of this name.
fn has_test(file: &Path, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(file) else { return false };
    let Some((before, _)) = text.split_once(&format!("fn {name}()")) else { return false };
    // What stands right above it: its attributes and comments.
    let mut above =
        before.rsplit('\n').skip(1).map(str::trim).take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    above.any(|line| line == "#[test]")
}

/// Where a module may be.
fn places(module: &str) -> Vec<PathBuf> {
    let path = module.replace("::", "/");
    ["src", "tests"]
        .iter()
        .flat_map(|base| {
            [format!("{base}/{path}.rs"), format!("{base}/{path}/mod.rs"), format!("{base}/{path}/main.rs")]
        })
        .map(|file| root().join(file))
        .filter(|file| file.is_file())
        .collect()
}

/// Whether there is a test, a module with tests, or a file of tests that is called this.
fn exists(test: &str) -> bool {
    if test.contains('/') {
        return root().join(test).exists();
    }
    let with_tests = |file: &PathBuf| {
        fs::read_to_string(file).is_ok_and(|text| text.contains("#[test]") || text.contains("mod tests;"))
    };
    let is_module = places(test).iter().any(with_tests);
    let is_test =
        || test.rsplit_once("::").is_some_and(|(module, name)| places(module).iter().any(|file| has_test(file, name)));
    is_module || is_test()
}

#[test]
fn every_key_is_explained_once_and_shown_by_tests() {
    let explained = first_column("| key | default | meaning |");
    let shown = first_column("| key | shown by |");
    let keys = keys();
    assert!(keys.len() > 30, "{keys:?}");
    for key in &keys {
        let within = format!("{key}.");
        assert!(
            explained.iter().any(|word| word == key || word.starts_with(&within)),
            "the README does not explain {key}"
        );
        assert!(shown.contains(key.as_str()), "the README does not say which test shows {key}");
    }
    // And no others, but what is part of one.
    for word in explained {
        let key = keys.iter().find(|key| word == **key || word.starts_with(&format!("{key}.")));
        assert!(key.is_some(), "the README explains {word}, which is no key");
    }
}

#[test]
fn a_mistake_in_every_key_is_in_a_golden_file() {
    let files = fs::read_dir(root().join("tests/fixtures/bad")).expect("the fixtures").flatten();
    let told = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "expected"));
    let told: String = told.map(|path| fs::read_to_string(path).expect("a text")).collect();
    // FILE:LINE:COLUMN: KEY, and what is wrong with it or a part of it.
    let first =
        |line: &'_ str| line.splitn(4, ':').nth(3).map(|rest| rest.trim().trim_start_matches("warning: ").to_string());
    let heads: Vec<String> = told.lines().filter_map(first).collect();
    for key in keys() {
        let is_of_it =
            |head: &String| head.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with([':', '.', '[']));
        assert!(heads.iter().any(is_of_it), "no golden file has a mistake in {key}");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    for head in ["| key | shown by |", "| promise | shown by |"] {
        let rows = table(head);
        assert!(rows.len() > 10, "{head}");
        for row in rows {
            let tests: Vec<&str> = words(row[1]).collect();
            assert!(!tests.is_empty(), "nothing shows {}", row[0]);
            for test in tests {
                assert!(exists(test), "{}: there is no {test}", row[0]);
            }
        }
    }
    for none in ["e2e::nothing", "e2e::born::nothing", "tests/nothing.rs", "model::spec"] {
        assert!(!exists(none), "{none}");
    }
}

#[test]
fn every_flag_has_its_row_and_its_default() {
    let command = Cli::command();
    let run = command.find_subcommand("run").expect("a program");
    let rows = table("| flag of `ncolony run` | default | meaning |");
    for flag in run.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?))) {
        let (arg, name) = flag;
        let long = format!("--{name}");
        let named = |row: &&Vec<&str>| words(row[0]).any(|word| word.split(' ').next() == Some(long.as_str()));
        let row = rows.iter().find(named).unwrap_or_else(|| panic!("no row for {long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        assert!(short.is_none_or(|short| words(row[0]).any(|word| word == short)), "{long} can be shorter");
        let default =
            arg.get_default_values().first().and_then(|value| value.to_str()).filter(|value| *value != "false");
        if let Some(default) = default {
            assert_eq!(row[1].trim_matches('`'), default, "the default of {long}");
        }
        let variable = format!("NCOLONY_RUN_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(arg.get_env().and_then(|value| value.to_str()), Some(variable.as_str()), "{long}");
    }
}

#[test]
fn every_message_and_verb_is_explained() {
    let rows = table("| message | what it does |");
    let messages: Vec<&str> = rows.iter().flat_map(|row| words(row[0])).collect();
    for kind in Request::KINDS {
        let start = format!("{{\"type\": \"{kind}\"");
        assert!(messages.iter().any(|text| text.starts_with(&start)), "{kind}");
    }
    let command = Cli::command();
    for verb in command.find_subcommand("ctl").expect("a program").get_subcommands() {
        let said = format!("$ ncolony ctl --config DIR --messages DIR {}", verb.get_name());
        assert!(README.lines().any(|line| line.starts_with(&said)), "{said}");
    }
}

/// The metrics that the sources name: what is between quotes and looks like one.
fn metrics() -> BTreeSet<String> {
    let files = ["families.rs", "monitor.rs", "server.rs"].map(|file| root().join("src/http").join(file));
    let files = files.into_iter().chain([root().join("src/supervisor/meters.rs")]);
    let sources: String = files.map(|file| fs::read_to_string(file).expect("a source")).collect();
    let is_name = |word: &&str| {
        let is_ours = word.starts_with("ncolony_") || word.starts_with("process_");
        is_ours && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    sources.split('"').filter(is_name).map(str::to_string).collect()
}

#[test]
fn every_metric_is_explained_once() {
    let explained: BTreeSet<String> =
        first_column("| metric | labels | meaning |").into_iter().map(str::to_string).collect();
    assert!(explained.len() > 50, "{explained:?}");
    assert_eq!(explained, metrics());
}

#[test]
fn every_event_is_explained_with_its_type() {
    let rows = table("| event | type | when |");
    let explained: Vec<(&str, &str)> = rows.iter().flat_map(|row| words(row[0]).map(|word| (word, row[1]))).collect();
    let mut events = Reason::ALL.map(|reason| (reason.as_str(), reason.kind().as_str())).to_vec();
    events.sort_by_key(|(word, _)| explained.iter().position(|(explained, _)| explained == word));
    assert_eq!(explained, events);
}

#[test]
fn every_field_of_the_log_as_json_is_explained() {
    let mut fields = BTreeSet::from(["time", "level", "message"].map(str::to_string));
    for file in sources(&root().join("src")) {
        let text = fs::read_to_string(&file).expect("a source");
        for (at, _) in text.match_indices("tracing::") {
            // What stands between the macro's parenthesis and the message: `process = %name, pid, %error`.
            let Some((level, rest)) = text[at + "tracing::".len()..].split_once("!(") else { continue };
            if ["debug", "info", "warn", "error"].contains(&level) {
                let named = rest.split('"').next().unwrap_or_default().split(',');
                let named = named.filter_map(|field| field.split('=').next()).map(|name| name.trim().trim_matches('%'));
                fields.extend(named.filter(|name| !name.is_empty()).map(str::to_string));
            }
        }
    }
    let explained: BTreeSet<String> =
        first_column("| field | in | meaning |").into_iter().map(str::to_string).collect();
    assert_eq!(explained, fields);
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn every_metric_and_every_link_leads_somewhere() {
    let metrics = metrics();
    for text in words(README) {
        let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
        for name in text.split(|c: char| !is_of_name(c)).filter(|name| name.starts_with("ncolony_")) {
            assert!(metrics.contains(name), "there is no metric {name}");
        }
    }
    let anchors: BTreeSet<String> = README.lines().filter(|line| line.starts_with("##")).map(anchor).collect();
    let links: Vec<&str> = README.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(!links.is_empty());
    for link in links {
        assert!(anchors.contains(link), "no heading is called #{link}");
    }
}

/// What GitHub calls a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
