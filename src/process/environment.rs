//! A run's environment and arguments, put together at its start: what is inherited, read from files, and written.

use super::env_file::{self, Allowance, Unreadable};
use crate::model::{
    Birth, Composer, EnvFile, EnvValue, Found, Inherited, MAX_ALL, MAX_ONE, StartError, Step, TooLong, Variable,
    Variables,
};

/// What execve(2) gets.
#[derive(Debug)]
pub(super) struct Composed {
    pub argv: Vec<Vec<u8>>,
    pub env: Variables,
}

/// From the weakest to the strongest: globs, `envFrom`, `env`, inherited names, and `ours`. A reference sees what is above
/// it in `env`, and all of the others.
///
/// # Errors
/// A file that cannot be read or understood, and what the kernel would find too long.
pub(super) fn compose(birth: &Birth, ours: &[(&str, &str)], monitors: &Variables) -> Result<Composed, StartError> {
    let mut composer = Composer::new(birth.references);
    let mut allowance = Allowance::default();
    for (name, value) in ours {
        fits(name, composer.fix(name.as_bytes().to_vec(), value.as_bytes().to_vec()))?;
    }
    inherit(&mut composer, &birth.env_inherit, monitors)?;
    for from in &birth.env_from {
        let Some(bytes) = read("envFrom", &from.file, &mut allowance)? else { continue };
        let lines = env_file::lines(&bytes).map_err(|(line, why)| {
            refusal(format!("cannot take its envFrom from {}:{line}: {why}", from.file.path.display()))
        })?;
        for (name, value) in lines {
            let name = [from.prefix.as_bytes(), name].concat();
            fits(&String::from_utf8_lossy(&name), composer.set(name.clone(), value.to_vec()))?;
        }
    }
    for Variable { name, value } in &birth.env {
        match value {
            EnvValue::Text(text) => fits(name, composer.add(name, Found::Text(text)))?,
            EnvValue::File(file) => {
                // As in a Pod, what is optional and missing is as if it were not written.
                if let Some(bytes) = read(&format!("env.{name}"), file, &mut allowance)? {
                    fits(name, composer.add(name, Found::Bytes(env_file::value(&bytes))))?;
                }
            }
        }
    }
    let argument = |text: &String| composer.argument(text).map_err(|too_long| long("an argument", too_long));
    let argv = birth.argv.iter().map(argument).collect::<Result<_, _>>()?;
    Ok(Composed { argv, env: composer.finish() })
}

fn inherit(composer: &mut Composer, inherited: &[Inherited], monitors: &Variables) -> Result<(), StartError> {
    for one in inherited {
        match one {
            // As in NColony: what is inherited wins, and an unset one becomes the empty string.
            Inherited::Name(name) => {
                let value = monitors.get(name.as_bytes()).cloned().unwrap_or_default();
                fits(name, composer.fix(name.as_bytes().to_vec(), value))?;
            }
            Inherited::Glob(_) => {
                for (name, value) in monitors.iter().filter(|(name, _)| one.takes(name)) {
                    fits(&String::from_utf8_lossy(name), composer.set(name.clone(), value.clone()))?;
                }
            }
        }
    }
    Ok(())
}

/// A file's bytes; `None` where it is optional and not there.
fn read(what: &str, file: &EnvFile, allowance: &mut Allowance) -> Result<Option<Vec<u8>>, StartError> {
    let path = file.path.display();
    match env_file::read(&file.path, allowance) {
        Ok(Some(bytes)) => Ok(Some(bytes)),
        Ok(None) if file.optional => Ok(None),
        Ok(None) => Err(refusal(format!("cannot take its {what} from {path}: there is no such file"))),
        Err(Unreadable { errno, why }) => {
            Err(StartError { errno, ..refusal(format!("cannot take its {what} from {path}: {why}")) })
        }
    }
}

fn fits(name: &str, added: Result<(), TooLong>) -> Result<(), StartError> {
    added.map_err(|too_long| long(&format!("the variable {name}"), too_long))
}

fn long(what: &str, too_long: TooLong) -> StartError {
    refusal(match too_long {
        TooLong::One => format!("{what} is longer than the kernel's limit of {MAX_ONE} bytes (MAX_ARG_STRLEN)"),
        TooLong::All => {
            format!("with {what}, arguments and environment are longer than the kernel's limit of {MAX_ALL} bytes")
        }
    })
}

fn refusal(what: String) -> StartError {
    StartError { step: Step::Environment, errno: 0, what }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::compose;
    use crate::model::{Birth, EnvFile, EnvFrom, EnvValue, Inherited, References, StartError, Variable};

    type Texts = (Vec<String>, Vec<(String, String)>);

    fn composed(birth: &Birth) -> Result<Texts, StartError> {
        let monitors = [("HOME", "/root"), ("AWS_A", "a"), ("AWS_B", "b"), ("NCOLONY_RUN_CONFIG", "/c"), ("PORT", "1")];
        let monitors = monitors.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let composed = compose(birth, &[("NCOLONY_NAME", "web")], &monitors.into_iter().collect())?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let env = composed.env.into_iter().map(|(name, value)| (text(name), text(value))).collect();
        Ok((composed.argv.into_iter().map(text).collect(), env))
    }

    fn file(path: &Path) -> EnvFile {
        EnvFile { path: path.to_path_buf(), optional: false }
    }

    fn text(name: &str, value: &str) -> Variable {
        Variable { name: name.into(), value: EnvValue::Text(value.into()) }
    }

    #[test]
    fn each_source_has_its_rank() {
        let dir = tempfile::tempdir().expect("a directory");
        let (lines, secret) = (dir.path().join("lines"), dir.path().join("secret"));
        fs::write(&lines, "AWS_A=file\nFROM=$(HOME)\nHOME=file\nBOTH=file\n").expect("writable");
        fs::write(&secret, "s3cret\n\n").expect("writable");
        let missing = EnvFile { path: dir.path().join("missing"), optional: true };
        let birth = Birth {
            argv: ["$(TOKEN)", "$(NCOLONY_NAME)", "$(P_FROM)", "$(PORT)"].map(String::from).to_vec(),
            references: References::Expanded,
            env: vec![
                text("BOTH", "$(AWS_A)$(AWS_B)"),
                Variable { name: "TOKEN".into(), value: EnvValue::File(file(&secret)) },
                Variable { name: "AWS_B".into(), value: EnvValue::File(missing.clone()) },
                text("HOME", "env"),
                text("NCOLONY_NAME", "env"),
            ],
            env_from: vec![
                EnvFrom { file: file(&lines), prefix: String::new() },
                EnvFrom { file: file(&lines), prefix: "P_".into() },
                EnvFrom { file: missing, prefix: String::new() },
            ],
            env_inherit: ["AWS_*", "HOME", "UNSET", "NOTHING_*"].map(Inherited::parse).to_vec(),
            ..Birth::default()
        };
        let (argv, env) = composed(&birth).expect("it can be");
        assert_eq!(argv, ["s3cret", "web", "$(HOME)", "$(PORT)"]);
        let expected = [
            ("AWS_A", "file"),
            ("AWS_B", "b"),
            ("BOTH", "fileb"),
            ("FROM", "$(HOME)"),
            ("HOME", "/root"),
            ("NCOLONY_NAME", "web"),
            ("P_AWS_A", "file"),
            ("P_BOTH", "file"),
            ("P_FROM", "$(HOME)"),
            ("P_HOME", "file"),
            ("TOKEN", "s3cret"),
            ("UNSET", ""),
        ];
        assert_eq!(env, expected.map(|(name, value)| (name.to_string(), value.to_string())));
    }

    #[test]
    fn a_file_that_is_missing_or_not_as_it_should_be_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("bad"), "A=1\n\nB C=2\n").expect("writable");
        fs::write(path("long"), vec![b'x'; 200 * 1024]).expect("writable");
        let rows = [
            ("missing", "cannot take its envFrom from DIR/missing: there is no such file"),
            ("bad", "cannot take its envFrom from DIR/bad:3: a variable's name holds no blank"),
            (".", "cannot take its envFrom from DIR/.: it is a directory, not a regular file"),
        ];
        let told = |birth: &Birth| {
            composed(birth).expect_err("it cannot be").what.replace(&*dir.path().to_string_lossy(), "DIR")
        };
        for (name, expected) in rows {
            let from = EnvFrom { file: file(&path(name)), prefix: String::new() };
            assert_eq!(told(&Birth { env_from: vec![from], ..Birth::default() }), expected);
        }
        let value = Variable { name: "TOKEN".into(), value: EnvValue::File(file(&path("long"))) };
        let expected = "the variable TOKEN is longer than the kernel's limit of 131072 bytes (MAX_ARG_STRLEN)";
        assert_eq!(told(&Birth { env: vec![value], ..Birth::default() }), expected);
    }
}
