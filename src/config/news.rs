//! What is said once, when it comes to be so.

use std::fmt;

use crate::model::Name;

use super::diagnostic::Diagnostic;

/// Something that was not so at the scan before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// The file of this process, or its files, are refused.
    Refused {
        /// The process.
        name: Name,
        /// Why; warnings may be among them.
        diagnostics: Vec<Diagnostic>,
        /// Whether an earlier version is in force.
        in_force: bool,
    },
    /// The file of this process is taken, but its writer may want to know something.
    Warned {
        /// The process.
        name: Name,
        /// What.
        diagnostics: Vec<Diagnostic>,
    },
    /// A file that was refused is good.
    Mended {
        /// The process.
        name: Name,
    },
    /// An entry is no process file.
    Ignored {
        /// Its name, escaped.
        entry: String,
        /// Why.
        why: String,
    },
    /// Who can write the directory is not to be trusted with all that it can do; why. Every file in it is refused.
    Distrusted(String),
    /// The directory is trusted again.
    Trusted,
    /// The directory cannot be used; why.
    Unlisted(String),
    /// The directory can be used again.
    Listed,
}

/// With `#`, all of it is one line, for logs that are collected by the line: without the lines of the files.
impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            News::Refused { name, diagnostics, in_force } => {
                tell_all(diagnostics, f)?;
                f.write_str(separator(f))?;
                match in_force {
                    true => write!(f, "the last good version of {name} stays in force"),
                    false => write!(f, "{name} is not started until this is mended"),
                }
            }
            News::Warned { name: _, diagnostics } => tell_all(diagnostics, f),
            News::Mended { name } => write!(f, "the file of {name} is good again"),
            News::Ignored { entry, why } => write!(f, "\"{entry}\" is passed over: {why}"),
            News::Distrusted(why) => write!(f, "no process file is taken: {why}; everything stays as it is"),
            News::Trusted => f.write_str("the directory of process files is trusted again"),
            News::Unlisted(why) => write!(f, "{why}; everything stays as it is"),
            News::Listed => f.write_str("the directory of process files can be read again"),
        }
    }
}

fn tell_all(diagnostics: &[Diagnostic], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { separator(f) })?;
        match f.alternate() {
            true => f.write_str(&diagnostic.line())?,
            false => write!(f, "{diagnostic}")?,
        }
    }
    Ok(())
}

fn separator(f: &fmt::Formatter<'_>) -> &'static str {
    if f.alternate() { "; " } else { "\n" }
}

#[cfg(test)]
mod tests {
    use super::News;
    use crate::config::diagnostic::Diagnostic;
    use crate::model::Name;

    #[test]
    fn news_of_a_file_can_be_told_in_one_line() {
        let helped =
            Diagnostic { help: Some("did you mean \"b\"?".to_string()), ..Diagnostic::of_file("a.yaml", "no") };
        let diagnostics = vec![helped, Diagnostic::of_file("a.yaml", "never")];
        let news = News::Refused { name: Name::parse("a").expect("a name"), diagnostics, in_force: false };
        assert_eq!(
            format!("{news:#}"),
            "a.yaml: no (did you mean \"b\"?); a.yaml: never; a is not started until this is mended"
        );
        let told = "a.yaml: no\nhelp: did you mean \"b\"?\na.yaml: never\na is not started until this is mended";
        assert_eq!(news.to_string(), told);
    }
}
