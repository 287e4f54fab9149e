//! The house's rules, read off `src/`: who may import whom, what the pure core may not name, and where the dangerous
//! things live. Every violation is printed with the sentence that explains its rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room and what it may import.
const ROOMS: &[(&str, &[&str])] = &[
    // The ground floor: nouns.
    ("model", &[]),
    ("cli", &[]),
    ("tls", &[]),
    ("watch", &[]),
    ("failpoint", &[]),
    // The pure core.
    ("reconcile", &["model"]),
    // The rooms that do things, none of which knows another.
    ("config", &["model"]),
    ("messages", &["model"]),
    ("process", &["model"]),
    ("health", &["model", "tls"]),
    ("http", &["model", "cli", "failpoint"]),
    ("output", &["model"]),
    // Where they are joined.
    (
        "supervisor",
        &[
            "model",
            "cli",
            "watch",
            "failpoint",
            "reconcile",
            "config",
            "messages",
            "process",
            "health",
            "http",
            "output",
        ],
    ),
    (
        "commands",
        &[
            "model",
            "cli",
            "watch",
            "failpoint",
            "reconcile",
            "config",
            "messages",
            "process",
            "health",
            "http",
            "output",
            "supervisor",
        ],
    ),
];

const LAYERS: &str = "imports go downwards only, and rooms on one floor do not know each other: supervisor joins them";
const PURE: &str =
    "reconcile and model decide from what they are given: no clock, no file, no process, no async, no log";
const UNSAFE: &str = "unsafe code lives in src/process/sys alone, where every block is argued for";
const OWNER: &str = "one owner starts, signals and waits for processes, src/process: a second waiter would steal exits";
const PANIC: &str =
    "nothing that a file, a message or a process does may end the monitor: errors are values, not panics";
const FEATURE: &str = "tokio's process feature waits for children on its own: it stays off";

/// What the pure rooms may not name.
const IMPURE: &[&str] = &[
    "tokio",
    "nix",
    "libc",
    "hyper",
    "notify",
    "tracing",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime::now",
    "SystemTime::now",
];
/// What nobody but `process` may name.
const OWNED: &[&str] = &[
    "std::process::Command",
    "std::process::Child",
    "std::process::Stdio",
    "std::os::unix::process::CommandExt",
    "tokio::process",
    "nix::sys::wait",
    "nix::sys::signal::kill",
    "nix::sys::signal::killpg",
    "nix::unistd::fork",
    "nix::unistd::execv",
    "nix::unistd::execve",
    "nix::spawn",
    "libc::fork",
    "libc::vfork",
    "libc::clone",
    "libc::clone3",
    "libc::SYS_clone",
    "libc::SYS_clone3",
    "libc::execve",
    "libc::posix_spawn",
    "libc::kill",
    "libc::killpg",
    "libc::wait",
    "libc::waitpid",
    "libc::waitid",
    "libc::wait4",
    "libc::SYS_pidfd_send_signal",
    "libc::prctl",
];

/// The folder that a rule of one folder excepts.
const UNSAFE_AT: &str = "process/sys/";
/// The file that a rule of one file excepts.
const PANIC_AT: &str = "failpoint/mod.rs";
/// A file longer than this is worth a look; no rule.
const LONG: usize = 300;

// --- The text: tokens without comments, literals and tests -------------------------------------------------------------

/// A word, or one character of punctuation (`::` is one, too), and its line.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// The tokens of a Rust text. Comments are left out; literals become an empty token.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let (kind, length) = lex(rest);
        match kind {
            Lexeme::Blank => {}
            Lexeme::Literal => out.push(Token { text: String::new(), line }),
            Lexeme::Token => out.push(Token { text: rest[..length].iter().collect(), line }),
        }
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    out
}

enum Lexeme {
    Blank,
    Literal,
    Token,
}

/// What the text begins with, and how many characters of it.
fn lex(rest: &[char]) -> (Lexeme, usize) {
    let starts = |text: &str| text.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c));
    let until = |from: usize, end: &dyn Fn(usize) -> bool| (from..rest.len()).find(|at| end(*at)).unwrap_or(rest.len());
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    if starts("//") {
        return (Lexeme::Blank, until(2, &|at| rest[at] == '\n'));
    }
    if starts("/*") {
        return (Lexeme::Blank, comment(rest));
    }
    if let Some(length) = raw_string(rest) {
        return (Lexeme::Literal, length);
    }
    let prefix = usize::from((starts("b\"") || starts("c\"") || starts("b'")) && rest.len() > 1);
    if rest[prefix] == '"' {
        return (Lexeme::Literal, prefix + quoted(&rest[prefix..], '"'));
    }
    if rest[prefix] == '\'' {
        // A lifetime has no closing quote after its first character.
        let is_char = rest.get(prefix + 1) == Some(&'\\') || rest.get(prefix + 2) == Some(&'\'');
        return match is_char {
            true => (Lexeme::Literal, prefix + quoted(&rest[prefix..], '\'')),
            false => (Lexeme::Blank, until(1, &|at| !is_word(&rest[at]))),
        };
    }
    match rest[0] {
        c if c.is_whitespace() => (Lexeme::Blank, 1),
        c if is_word(&c) => (Lexeme::Token, until(1, &|at| !is_word(&rest[at]))),
        _ if starts("::") => (Lexeme::Token, 2),
        _ => (Lexeme::Token, 1),
    }
}

/// Block comments nest.
fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string(rest: &[char]) -> Option<usize> {
    let letters = rest.iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    if letters == 0 || letters > 2 || rest[letters - 1] != 'r' {
        return None;
    }
    let hashes = rest[letters..].iter().take_while(|c| **c == '#').count();
    let open = letters + hashes;
    if rest.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| rest[at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    let close = (open + 1..rest.len()).find(|at| closes(*at))?;
    Some(close + 1 + hashes)
}

/// Takes out what is for tests only: the item after `#[cfg(test)]`. Returns the names of the modules so declared whose
/// text is in files of their own.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut out, mut files, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        let is_mark =
            MARK.iter().enumerate().all(|(index, mark)| tokens.get(at + index).is_some_and(|t| t.text == *mark));
        if !is_mark {
            out.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let item = &tokens[at + MARK.len()..];
        let end = item.iter().position(|token| token.text == ";" || token.text == "{").unwrap_or(item.len());
        at += MARK.len() + end;
        match item.get(end).map(|token| token.text.as_str()) {
            Some("{") => at += braces(&tokens[at..]),
            Some(_) | None => {
                let name = item[..end].windows(2).find(|pair| pair[0].text == "mod").map(|pair| pair[1].text.clone());
                files.extend(name);
                at += 1;
            }
        }
    }
    (out, files)
}

/// The length of the block that begins here.
fn braces(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

// --- The paths that a text names ----------------------------------------------------------------------------------------

/// A path that is named, `crate::model::Name` or `tokio`, and its line.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Named {
    path: Vec<String>,
    line: usize,
}

/// All paths of a text, groups taken apart, each from its first segment; a first segment that a `use` of this text
/// brought in is replaced by what it stands for.
fn paths(tokens: &[Token]) -> Vec<Named> {
    let (mut found, mut uses, mut at) = (Vec::new(), BTreeMap::new(), 0);
    while at < tokens.len() {
        let is_use = tokens[at].text == "use";
        let begins = is_name(&tokens[at].text) && at.checked_sub(1).is_none_or(|before| tokens[before].text != ".");
        if is_use {
            let before = found.len();
            at = path(tokens, at + 1, &[], &mut found, Some(&mut uses));
            debug_assert!(found.len() >= before);
        } else if begins {
            at = path(tokens, at, &[], &mut found, None);
        } else {
            at += 1;
        }
    }
    for named in &mut found {
        if let Some(full) = uses.get(&named.path[0]) {
            named.path.splice(..1, full.iter().cloned());
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

type Uses = BTreeMap<String, Vec<String>>;

/// Reads the path, or group of paths, that begins at `at` below `above`; returns where it ends.
fn path(
    tokens: &[Token],
    mut at: usize,
    above: &[String],
    found: &mut Vec<Named>,
    mut uses: Option<&mut Uses>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut here = above.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    if text(at) == "::" {
        at += 1;
    }
    loop {
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                at = path(tokens, at, &here, found, uses.as_deref_mut());
                at += usize::from(text(at) == ",");
            }
            return at + 1;
        }
        if !is_name(text(at)) && text(at) != "*" {
            // Not a path that we know: go on after it.
            return at + 1;
        }
        if text(at) != "self" || here.is_empty() {
            here.push(text(at).to_string());
        }
        at += 1;
        // A generic argument list, `Vec::<u8>`, ends what is of interest.
        if text(at) != "::" || !(is_name(text(at + 1)) || matches!(text(at + 1), "{" | "*")) {
            break;
        }
        at += 1;
    }
    found.push(Named { path: here.clone(), line });
    if let Some(uses) = uses {
        let mut alias = here.last().cloned().unwrap_or_default();
        if text(at) == "as" {
            alias = text(at + 1).to_string();
            at += 2;
        }
        uses.insert(alias, here);
    }
    at
}

// --- The rules ----------------------------------------------------------------------------------------------------------

/// A file of `src/`: its path below it, and its text.
type Source = (String, String);

/// What is wrong with these files, one line each.
fn violations(sources: &[Source]) -> Vec<String> {
    let mut parsed = Vec::new();
    let mut for_tests: BTreeSet<String> = BTreeSet::new();
    for (file, text) in sources {
        let (tokens, modules) = without_tests(tokens(text));
        let inside = module_of(file).join("/");
        let below = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        for_tests.extend(modules.iter().map(|module| format!("{below}{module}")));
        parsed.push((file, tokens));
    }
    let is_for_tests = |file: &str| {
        let module = module_of(file).join("/");
        for_tests.iter().any(|test| module == *test || module.starts_with(&format!("{test}/")))
    };
    let real = parsed.iter().filter(|(file, _)| !is_for_tests(file));
    real.flat_map(|(file, tokens)| judge(file, tokens)).collect()
}

/// `["http", "routes"]` for `http/routes.rs`, `["http"]` for `http/mod.rs`, nothing for the root.
fn module_of(file: &str) -> Vec<&str> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    if matches!(stem, "lib" | "main") { Vec::new() } else { stem.split('/').collect() }
}

fn judge(file: &str, tokens: &[Token]) -> Vec<String> {
    let module = module_of(file);
    let room = module.first().copied();
    let mut wrong = Vec::new();
    let mut tell = |line: usize, what: String, why: &str| wrong.push(format!("src/{file}:{line}: {what}: {why}"));
    for named in paths(tokens) {
        let name = named.path.join("::");
        if let (Some(room), Some(target)) = (room, room_of(&named.path, &module)) {
            let allowed = ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed);
            match allowed {
                None => tell(1, format!("the room {room:?} is on no floor; add it to this test"), LAYERS),
                Some(allowed) if target != room && !allowed.contains(&target.as_str()) => {
                    tell(named.line, format!("{room} names {target} ({name})"), LAYERS);
                }
                Some(_) => {}
            }
        }
        if matches!(room, Some("reconcile" | "model")) && begins_with_one_of(&name, IMPURE) {
            tell(named.line, format!("names {name}"), PURE);
        }
        if room != Some("process") && begins_with_one_of(&name, OWNED) {
            tell(named.line, format!("names {name}"), OWNER);
        }
    }
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).map_or("", |token| token.text.as_str());
        match (token.text.as_str(), next) {
            ("unsafe", _) if !file.starts_with(UNSAFE_AT) => tell(token.line, "unsafe".into(), UNSAFE),
            ("unwrap", "(") => tell(token.line, "unwrap()".into(), PANIC),
            (word @ ("panic" | "todo" | "unimplemented"), "!") if file != PANIC_AT => {
                tell(token.line, format!("{word}!"), PANIC)
            }
            _ => {}
        }
    }
    wrong
}

/// The room that a path leads to, if it leads to one of this crate.
fn room_of(path: &[String], module: &[&str]) -> Option<String> {
    let is_room = |name: &String| ROOMS.iter().any(|(room, _)| room == name);
    let package = path.first()?.strip_prefix("ncolony_").map(str::to_string);
    if package.as_ref().is_some_and(is_room) {
        return package;
    }
    match path.first()?.as_str() {
        "crate" | "ncolony" => path.get(1).filter(|name| is_room(name)).cloned(),
        "super" => {
            let up = path.iter().take_while(|segment| *segment == "super").count();
            let left = module.len().checked_sub(up)?;
            if left > 0 { Some(module[0].to_string()) } else { path.get(up).filter(|name| is_room(name)).cloned() }
        }
        _ => None,
    }
}

fn begins_with_one_of(name: &str, prefixes: &[&str]) -> bool {
    prefixes
        .iter()
        .any(|prefix| name == *prefix || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::")))
}

/// What is wrong with a manifest: the workspace's says what there is of tokio, and the others take it as it is.
fn manifest_violations(manifest: &str) -> Vec<String> {
    let is_wrong = |line: &&str| {
        let is_on = ["\"process\"", "\"full\""].iter().any(|feature| line.contains(feature));
        line.contains("dependencies.tokio]") || (line.trim_start().starts_with("tokio") && is_on)
    };
    manifest.lines().filter(is_wrong).map(|line| format!("{line}: {FEATURE}")).collect()
}

// --- The tests ----------------------------------------------------------------------------------------------------------

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut sources, mut dirs) = (Vec::new(), vec![root.clone()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("src").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
                sources.push((file, fs::read_to_string(path).expect("UTF-8")));
            }
        }
    }
    sources.sort();
    sources
}

#[test]
fn the_source_keeps_the_rules_of_the_house() {
    let sources = sources();
    assert!(sources.len() > 50, "src/ was not found");
    for (file, text) in &sources {
        let lines = text.lines().count();
        if lines > LONG {
            println!("src/{file} has {lines} lines; a file of more than {LONG} is worth a look");
        }
    }
    let wrong = violations(&sources);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let rooms: BTreeSet<&str> = sources.iter().filter_map(|(file, _)| module_of(file).first().copied()).collect();
    for (room, _) in ROOMS {
        assert!(rooms.contains(room), "there is no room {room:?} any more; take it out of this test");
    }
}

#[test]
fn the_manifest_keeps_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rooms =
        ROOMS.iter().map(|(room, _)| root.join("src").join(room).join("Cargo.toml")).filter(|file| file.exists());
    let files: Vec<PathBuf> = [root.join("Cargo.toml"), root.join("src/Cargo.toml")].into_iter().chain(rooms).collect();
    assert!(files.len() > 6, "{files:?}");
    for file in files {
        let manifest = fs::read_to_string(&file).expect("it is there");
        assert_eq!(manifest_violations(&manifest), [""; 0], "{}", file.display());
    }
}

/// The rules' sentences that one made-up file breaks.
fn broken(file: &str, text: &str) -> Vec<String> {
    let sentence = |line: &String| {
        let rule = [LAYERS, PURE, UNSAFE, OWNER, PANIC].into_iter().find(|rule| line.ends_with(rule));
        rule.unwrap_or_else(|| panic!("no sentence in {line}")).to_string()
    };
    violations(&[(file.to_string(), text.to_string())]).iter().map(sentence).collect()
}

#[test]
fn the_checker_bites() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("http/routes.rs", "use crate::process::Children;", &[LAYERS]),
        ("http/routes.rs", "use crate::{model::Name, process::{self, Children}};", &[LAYERS, LAYERS]),
        ("http/routes.rs", "fn f() { crate::output::utc(); }", &[LAYERS]),
        ("http/routes.rs", "use super::super::output;", &[LAYERS]),
        ("http/mod.rs", "use super::output::utc;", &[LAYERS]),
        ("watch.rs", "use super::supervisor;", &[LAYERS]),
        ("model/name.rs", "use crate::cli::Cli;", &[LAYERS]),
        ("reconcile/plan.rs", "use crate::watch::Watch;", &[LAYERS]),
        ("config/mod.rs", "fn f(x: ncolony::supervisor::Error) {}", &[LAYERS]),
        ("http/routes.rs", "use ncolony_reconcile::Plan;", &[LAYERS]),
        ("attic/mod.rs", "use crate::model::Name;", &[LAYERS]),
        ("reconcile/plan.rs", "use std::{fmt, fs};", &[PURE]),
        ("reconcile/plan.rs", "use std::time::Instant;\nfn f() {}", &[PURE]),
        ("reconcile/plan.rs", "fn f() { std::time::SystemTime::now(); }", &[PURE]),
        ("model/time.rs", "use std::time::SystemTime;\nfn f() { SystemTime::now(); }", &[PURE]),
        ("model/time.rs", "fn f() { tracing::info!(\"x\"); }", &[PURE]),
        ("http/mod.rs", "fn f() { unsafe { g() } }", &[UNSAFE]),
        ("process/mod.rs", "unsafe impl Send for X {}", &[UNSAFE]),
        ("supervisor/turn.rs", "use std::process::{Command, exit};", &[OWNER]),
        ("supervisor/turn.rs", "use std::process;\nfn f() { process::Command::new(\"x\"); }", &[OWNER]),
        ("supervisor/turn.rs", "use nix::sys::signal;\nfn f() { signal::kill(pid, None); }", &[OWNER]),
        ("supervisor/turn.rs", "use nix::sys::signal::kill as end;\nfn f() { end(pid, None); }", &[OWNER, OWNER]),
        ("http/mod.rs", "fn f() { nix::sys::wait::waitpid(None, None); }", &[OWNER]),
        ("main.rs", "fn f() { tokio::process::Command::new(\"x\"); }", &[OWNER]),
        ("http/mod.rs", "fn f() { x.unwrap(); }", &[PANIC]),
        ("http/mod.rs", "fn f() { panic!(\"x\") }", &[PANIC]),
        ("http/mod.rs", "fn f() -> u8 { todo!() }", &[PANIC]),
        ("http/mod.rs", "#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }\nfn f() { x.unwrap() }", &[PANIC]),
    ];
    for (file, text, rules) in rows {
        assert_eq!(broken(file, text), *rules, "{file}: {text}");
    }
}

#[test]
fn the_checker_lets_good_sources_be() {
    let rows = [
        ("http/routes.rs", "use crate::model::{Name, Snapshot};\nuse super::page;\nuse super::super::http::ask;"),
        ("supervisor/mod.rs", "use crate::{config, http, reconcile::Plan};\nuse std::process::exit;"),
        ("commands/ctl/add.rs", "use super::files;\nuse super::super::check;\nuse crate::supervisor;"),
        ("process/sys/child.rs", "unsafe fn f() { libc::fork(); nix::sys::signal::kill(pid, None); }"),
        ("model/time.rs", "use std::time::{Duration, SystemTime};\nfn f(at: SystemTime) {}"),
        ("http/mod.rs", "// crate::process, unsafe, unwrap()\n/* panic!() /* nested */ todo!() */\nfn f() {}"),
        (
            "http/mod.rs",
            "/// crate::process::Children\nfn f<'a>(x: &'a str) { g(\"x.unwrap() \\\" panic!()\", 'u', '\\'', b'{'); }",
        ),
        ("http/mod.rs", "fn f() { g(r#\"crate::process \" unsafe\"#); x.unwrap_or(1); x.expect_err(\"x\"); }"),
        ("reconcile/plan.rs", "#[cfg(test)]\nmod tests { use std::fs; fn f() { panic!() } }\n"),
        ("reconcile/plan.rs", "#[cfg(test)]\nuse std::fs;\nfn f() {}"),
        ("supervisor/signals.rs", "use nix::sys::signal::{SigSet, sigprocmask};\nfn kill() {}"),
    ];
    for (file, text) in rows {
        assert_eq!(broken(file, text), [""; 0], "{file}: {text}");
    }
    let modules =
        [("reconcile/mod.rs", "#[cfg(test)]\nmod sim;\nmod plan;"), ("reconcile/sim/laws.rs", "use std::fs;")];
    let modules = modules.map(|(file, text)| (file.to_string(), text.to_string()));
    assert_eq!(violations(&modules), [""; 0], "a module for tests may do what tests do");
}

#[test]
fn the_checker_bites_on_the_manifest() {
    let good = "tokio = { version = \"1\", features = [\"rt\", \"net\"] }";
    assert_eq!(manifest_violations(good), [""; 0]);
    for bad in [good.replace("net", "process"), good.replace("net", "full"), "[dependencies.tokio]".to_string()] {
        assert_eq!(manifest_violations(&bad).len(), 1, "{bad}");
    }
}
