//! What a run's environment and arguments are made of, and how: values, files, what the monitor has, and references.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::expand;

/// Variables by name; bytes, as the kernel has them.
pub type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

/// MAX_ARG_STRLEN of execve(2): the longest argument or variable, its closing NUL included.
pub const MAX_ONE: usize = 128 * 1024;
/// The most that execve(2) takes of all of them together under the usual stack limit of 8 MiB.
pub const MAX_ALL: usize = 2 * 1024 * 1024;

/// One of `env`: its name, which is not empty and holds no `=` and no NUL, and its value.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The value.
    pub value: EnvValue,
}

/// Where a variable's value is from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum EnvValue {
    /// The process file.
    Text(String),
    /// A file of its own, read at each start (`valueFrom`).
    File(EnvFile),
}

/// A file that is read at each start.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct EnvFile {
    /// Which; absolute.
    pub path: PathBuf,
    /// Whether it may be missing.
    pub optional: bool,
}

/// One of `envFrom`: a file of `KEY=VALUE` lines.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct EnvFrom {
    /// Which.
    pub file: EnvFile,
    /// What is put before each name.
    pub prefix: String,
}

/// One of `env_inherit`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Inherited {
    /// This variable, which wins over `env`, and is empty where the monitor has none.
    Name(String),
    /// Those that match; `env` wins over them.
    Glob(String),
}

/// Whether `$(VAR)` is expanded.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum References {
    /// It is two brackets and a dollar: NColony's files, which have no `command`.
    #[default]
    Kept,
    /// As in a Pod.
    Expanded,
}

/// The value of a variable as it was found.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A text, in which there may be references.
    Text(&'a str),
    /// A file's bytes, in which there are none.
    Bytes(&'a [u8]),
    /// Nothing that is known here.
    Unknown,
}

/// Longer than the kernel takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TooLong {
    /// This one.
    One,
    /// All together.
    All,
}

impl Inherited {
    /// A name in which `*` or `?` stands is a glob.
    pub fn parse(text: &str) -> Inherited {
        if text.contains(['*', '?']) { Inherited::Glob(text.to_string()) } else { Inherited::Name(text.to_string()) }
    }

    /// Whether a variable of the monitor's is meant. Globs pass over what is about the monitor itself: its own flags and
    /// marks, and what its supervisor, such as systemd, has told it.
    pub fn takes(&self, name: &[u8]) -> bool {
        const OWN: [&[u8]; 6] =
            [b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID", b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_FDNAMES"];
        match self {
            Inherited::Name(own) => own.as_bytes() == name,
            Inherited::Glob(glob) => {
                !name.starts_with(b"NCOLONY_") && !OWN.contains(&name) && matches(glob.as_bytes(), name)
            }
        }
    }
}

/// Whether a glob means a name: `*` is any bytes, `?` one.
pub fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and what it has taken.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        if glob.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
        } else if glob.get(at).is_some_and(|byte| *byte == b'?' || *byte == name[read]) {
            (at, read) = (at + 1, read + 1);
        } else if let Some((place, taken)) = star {
            star = Some((place, taken + 1));
            (at, read) = (place + 1, taken + 1);
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
}

/// Makes an environment and an argv of their parts, within the kernel's limits.
#[derive(Debug)]
pub struct Composer {
    references: References,
    known: Variables,
    /// Those that `env` does not change.
    fixed: BTreeSet<Vec<u8>>,
    sum: usize,
}

impl Composer {
    /// An empty one.
    pub fn new(references: References) -> Composer {
        Composer { references, known: Variables::new(), fixed: BTreeSet::new(), sum: 0 }
    }

    /// Adds a variable that later ones may replace.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn set(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), TooLong> {
        if self.fixed.contains(&name) {
            return Ok(());
        }
        self.charge(name.len() + 1 + value.len())?;
        self.known.insert(name, value);
        Ok(())
    }

    /// Adds a variable that none of `env` replaces.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn fix(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), TooLong> {
        self.set(name.clone(), value)?;
        self.fixed.insert(name);
        Ok(())
    }

    /// Adds one of `env`; it sees those above it.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn add(&mut self, name: &str, found: Found<'_>) -> Result<(), TooLong> {
        let value = match found {
            Found::Text(text) => self.resolved(text)?,
            Found::Bytes(bytes) => bytes.to_vec(),
            Found::Unknown => {
                if !self.fixed.contains(name.as_bytes()) {
                    self.known.remove(name.as_bytes());
                }
                return Ok(());
            }
        };
        self.set(name.as_bytes().to_vec(), value)
    }

    /// One of the arguments.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn argument(&mut self, text: &str) -> Result<Vec<u8>, TooLong> {
        let argument = self.resolved(text)?;
        self.charge(argument.len())?;
        Ok(argument)
    }

    /// The environment.
    pub fn finish(self) -> Variables {
        self.known
    }

    fn resolved(&self, text: &str) -> Result<Vec<u8>, TooLong> {
        match self.references {
            References::Kept => Ok(text.as_bytes().to_vec()),
            References::Expanded => {
                let lookup = |name: &str| self.known.get(name.as_bytes()).map(Vec::as_slice);
                expand(text, MAX_ONE, lookup).ok_or(TooLong::One)
            }
        }
    }

    /// At once, not in the end: what references make of a small file does not fit into memory.
    fn charge(&mut self, bytes: usize) -> Result<(), TooLong> {
        // Each has a NUL and a pointer.
        self.sum += bytes + 1 + size_of::<usize>();
        match (bytes >= MAX_ONE, self.sum > MAX_ALL) {
            (true, _) => Err(TooLong::One),
            (false, true) => Err(TooLong::All),
            (false, false) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Composer, Found, Inherited, MAX_ONE, References, TooLong};

    #[test]
    fn globs_take_what_they_match_and_nothing_that_is_about_the_monitor() {
        let rows = [
            ("AWS_*", "AWS_REGION", true),
            ("AWS_*", "AWS_", true),
            ("AWS_*", "AWS", false),
            ("*", "HOME", true),
            ("*", "", true),
            ("*_KEY", "A_KEY_KEY", true),
            ("*_KEY", "A_KEY_", false),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("*A*B*", "xAxAxBx", true),
            ("**", "A", true),
            ("HOME", "HOME", true),
            ("HOME", "HOMER", false),
            ("*", "NCOLONY_RUN_KILLTIME", false),
            ("NCOLONY_*", "NCOLONY_NAME", false),
            ("*", "NOTIFY_SOCKET", false),
            ("LISTEN_*", "LISTEN_FDS", false),
            ("NOTIFY_SOCKET", "NOTIFY_SOCKET", true),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(Inherited::parse(pattern).takes(name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    fn composed(references: References) -> (Vec<String>, Vec<(String, String)>) {
        let mut composer = Composer::new(references);
        let bytes = |text: &str| text.as_bytes().to_vec();
        composer.set(bytes("GLOB"), bytes("g")).expect("it fits");
        composer.set(bytes("FILE"), bytes("$(GLOB)")).expect("it fits");
        composer.fix(bytes("NAMED"), bytes("n")).expect("it fits");
        let env = [
            ("EARLY", Found::Text("$(LATE)")),
            ("GLOB", Found::Text("$(GLOB):g2")),
            ("BOTH", Found::Text("$(GLOB) $(FILE) $(NAMED) $$(FILE)")),
            ("SECRET", Found::Bytes(b"$(GLOB)")),
            ("SEES", Found::Text("[$(SECRET)]")),
            ("NAMED", Found::Text("from the file")),
            ("LATE", Found::Text("1")),
            ("LATE", Found::Text("2")),
            ("GONE", Found::Unknown),
        ];
        for (name, found) in env {
            composer.add(name, found).expect("it fits");
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let argv = ["$(LATE)", "$(GONE)", "$(NAMED)"].map(|text| composer.argument(text).expect("it fits"));
        let env = composer.finish().into_iter().map(|(name, value)| (text(name), text(value)));
        (argv.into_iter().map(text).collect(), env.collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_value_sees_what_stands_above_it_and_later_ones_win() {
        let (argv, env) = composed(References::Expanded);
        assert_eq!(argv, ["2", "$(GONE)", "n"]);
        let expected = [
            ("BOTH", "g:g2 $(GLOB) n $(FILE)"),
            ("EARLY", "$(LATE)"),
            ("FILE", "$(GLOB)"),
            ("GLOB", "g:g2"),
            ("LATE", "2"),
            ("NAMED", "n"),
            ("SECRET", "$(GLOB)"),
            ("SEES", "[$(GLOB)]"),
        ];
        assert_eq!(env, pairs(&expected));
    }

    #[test]
    fn without_a_command_a_reference_is_a_text_like_any_other() {
        let (argv, env) = composed(References::Kept);
        assert_eq!(argv, ["$(LATE)", "$(GONE)", "$(NAMED)"]);
        assert!(env.contains(&("SEES".to_string(), "[$(SECRET)]".to_string())), "{env:?}");
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused() {
        let mut composer = Composer::new(References::Expanded);
        let long = "x".repeat(MAX_ONE - 3);
        assert_eq!(composer.add("A", Found::Text(&long)), Ok(()));
        assert_eq!(composer.add("AB", Found::Text(&long)), Err(TooLong::One));
        assert_eq!(composer.argument("$(A)$(A)"), Err(TooLong::One));
        let found = (0..20).map(|_| composer.argument("$(A)")).find_map(Result::err);
        assert_eq!(found, Some(TooLong::All));
    }
}
