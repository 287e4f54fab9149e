//! `ncolony ctl add`

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::error::Error;
use super::exact::{Merged, Raws};
use super::{files, json, steps};
use crate::cli::AddArgs;
use crate::config::{self, Defaults};
use crate::messages::sync_directory;

/// Writes the file of a process. It is called NAME, as NColony's is.
pub(super) fn add(dir: &Path, args: &AddArgs) -> Result<(), Error> {
    let name = files::bare(args.name.get());
    let text = text(args)?;
    validate(name, &text)?;
    files::directory(dir, "--config")?;
    let path = dir.join(name);
    if let Some(other) = files::of(dir, name)?.into_iter().find(|found| *found != path) {
        return Err(Error::OtherFile { name: name.to_string(), path: other });
    }
    let written = steps::publish(dir, &path, text.as_bytes()).and_then(|()| sync_directory(dir));
    written.map_err(|source| Error::Write { path, source })
}

/// Looks whether the monitor would take a file of this name and text: by the monitor's own code.
fn validate(name: &str, text: &str) -> Result<(), Error> {
    files::name(name)?;
    match config::parse(name, text.as_bytes(), &Defaults::STANDARD) {
        Ok(_) => Ok(()),
        Err(diagnostics) => Err(Error::Refused(diagnostics)),
    }
}

/// The process file's text: NColony's keys in NColony's order, those that were not given left out, then ours and the
/// extras.
fn text(args: &AddArgs) -> Result<String, Error> {
    if args.cmd.is_empty() {
        return Err(Error::NoCommand);
    }
    let argv: Vec<&String> = [&args.cmd].into_iter().chain(&args.args).collect();
    let mut keys = Map::new();
    keys.insert("args".to_string(), json!(argv));
    if !args.env.is_empty() {
        keys.insert("env".to_string(), Value::Object(environment(&args.env)?));
    }
    if let Some(uid) = args.uid {
        keys.insert("uid".to_string(), json!(uid));
    }
    if let Some(gid) = args.gid {
        keys.insert("gid".to_string(), json!(gid));
    }
    if let Some(bad) = args.env_inherit.iter().find(|name| name.is_empty() || name.contains('=')) {
        return Err(Error::EnvInherit(bad.clone()));
    }
    if !args.env_inherit.is_empty() {
        keys.insert("env_inherit".to_string(), json!(args.env_inherit));
    }
    if !args.groups.is_empty() {
        keys.insert("group".to_string(), json!(args.groups));
    }
    for (key, value) in [("restartPolicy", &args.restart_policy), ("schedule", &args.schedule)] {
        keys.extend(value.iter().map(|value| (key.to_string(), json!(value))));
    }
    let mut raws = Raws::new();
    if let Some(path) = &args.extras {
        let extras;
        (extras, raws) = read(path)?;
        keys.extend(extras);
    }
    Ok(json::text(&Merged { keys: &keys, raws }))
}

fn environment(pairs: &[String]) -> Result<Map<String, Value>, Error> {
    let mut env = Map::new();
    for pair in pairs {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => env.insert(name.to_string(), json!(value)),
            Some(_) | None => return Err(Error::Env(pair.clone())),
        };
    }
    Ok(env)
}

/// The extras, and what each is in the file's own words.
fn read(path: &PathBuf) -> Result<(Map<String, Value>, Raws), Error> {
    let text = fs::read(path).map_err(|source| Error::Extras { path: path.clone(), source })?;
    let syntax = |source| Error::ExtrasSyntax { path: path.clone(), source };
    match serde_json::from_slice(&text).map_err(syntax)? {
        Value::Object(keys) => Ok((keys, serde_json::from_slice(&text).map_err(syntax)?)),
        _ => Err(Error::ExtrasShape { path: path.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::text;
    use crate::cli::{Cli, Command, CtlVerb};

    fn of(line: &[&str]) -> Result<String, String> {
        let cli = Cli::try_parse_from(["ncolony", "ctl", "add"].iter().chain(line)).expect("a command line");
        let Command::Ctl(ctl) = cli.command else { panic!("ctl") };
        let CtlVerb::Add(add) = ctl.verb else { panic!("add") };
        text(&add).map_err(|error| error.to_string())
    }

    #[test]
    fn the_text_has_the_keys_that_were_given_in_ncolonys_order() {
        assert_eq!(of(&["web", "--cmd", "true"]).as_deref(), Ok(r#"{"args": ["true"]}"#));
        let line = "web --env-inherit HOME --gid 2 --uid 1 --env A=b=c --env E= --arg -x --cmd sh --arg y";
        let line: Vec<&str> = line.split(' ').collect();
        let expected = concat!(
            r#"{"args": ["sh", "-x", "y"], "env": {"A": "b=c", "E": ""}, "uid": 1, "gid": 2, "#,
            r#""env_inherit": ["HOME"]}"#
        );
        assert_eq!(of(&line).as_deref(), Ok(expected));
        let line =
            ["nightly", "--schedule", "0 3 * * *", "--cmd", "sh", "--restart-policy", "OnFailure", "--group", "a"];
        let line = [&line[..], &["--group", "b", "--g", "7"]].concat();
        let expected = concat!(
            r#"{"args": ["sh"], "gid": 7, "group": ["a", "b"], "restartPolicy": "OnFailure", "#,
            r#""schedule": "0 3 * * *"}"#
        );
        assert_eq!(of(&line).as_deref(), Ok(expected));
    }

    #[test]
    fn extras_win_and_are_written_as_python_writes_them() {
        let extras = tempfile::NamedTempFile::new().expect("a file");
        let of = |text: &str| {
            std::fs::write(extras.path(), text).expect("extras");
            let path = extras.path().display().to_string();
            of(&["web", "--cmd", "true", "--uid", "7", "--extras", &path]).expect("a text")
        };
        let made = of(r#"{"a" :[1,{"b":2.50}],  "uid":8, "a":{"c" : [ ]}, "d":-0.5}"#);
        assert_eq!(made, r#"{"args": ["true"], "uid": 8, "a": {"c": []}, "d": -0.5}"#);
        assert_eq!(of("{}"), r#"{"args": ["true"], "uid": 7}"#);
    }

    #[test]
    fn extras_keep_the_numbers_that_no_64_bits_hold() {
        let extras = tempfile::NamedTempFile::new().expect("a file");
        let text =
            r#"{"n": 123456789012345678901234567890, "l": [{"m": -123456789012345678901}, 1e3, 18446744073709551615]}"#;
        std::fs::write(extras.path(), text).expect("extras");
        let made = of(&["web", "--cmd", "true", "--extras", &extras.path().display().to_string()]);
        let expected = concat!(
            r#"{"args": ["true"], "n": 123456789012345678901234567890, "#,
            r#""l": [{"m": -123456789012345678901}, 1000.0, 18446744073709551615]}"#
        );
        assert_eq!(made.as_deref(), Ok(expected));
    }

    #[test]
    fn arguments_that_cannot_be_meant_are_refused() {
        let rows: &[(&[&str], &str)] = &[
            (&["--env", "A"], "--env \"A\" is not NAME=VALUE"),
            (&["--env", "=b"], "--env \"=b\" is not NAME=VALUE"),
            (&["--env-inherit", ""], "--env-inherit \"\" is not the name of a variable"),
            (&["--env-inherit", "A=b"], "--env-inherit \"A=b\" is not the name of a variable"),
            (&["--extras", "/dev/null"], "--extras /dev/null is not JSON"),
            (&["--extras", "/nowhere"], "cannot read --extras /nowhere"),
        ];
        for (line, expected) in rows {
            let line = [&["web", "--cmd", "true"], *line].concat();
            assert_eq!(of(&line), Err(expected.to_string()));
        }
        assert_eq!(of(&["web", "--cmd", ""]), Err("--cmd is empty".to_string()));
    }
}
