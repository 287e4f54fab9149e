use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of a process: the stem of its file. Parsed once, valid ever after.
///
/// 1 to 253 bytes (a DNS subdomain's length, as Kubernetes has it), no `/`, no control characters, no leading `.`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Arc<str>);

/// Why a text is no [`Name`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It is longer than 253 bytes.
    TooLong,
    /// It starts with `.`, as hidden files do.
    Hidden,
    /// It holds this character, which no name may.
    Forbidden(char),
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 253;

    /// Parses a name.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(NameError::TooLong);
        }
        if text.starts_with('.') {
            return Err(NameError::Hidden);
        }
        match text.chars().find(|c| *c == '/' || c.is_control()) {
            Some(c) => Err(NameError::Forbidden(c)),
            None => Ok(Name(text.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("a name needs at least one character"),
            NameError::TooLong => write!(f, "a name has at most {} bytes", Name::MAX_BYTES),
            NameError::Hidden => f.write_str("a name does not start with \".\""),
            NameError::Forbidden(c) => write!(f, "a name does not contain {c:?}"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::{Name, NameError};

    #[test]
    fn names_are_parsed_by_their_rules() {
        let rows: &[(&str, Result<(), NameError>)] = &[
            ("web", Ok(())),
            ("web-1.blue_green", Ok(())),
            ("größe", Ok(())),
            ("a name with spaces", Ok(())),
            ("", Err(NameError::Empty)),
            (".web", Err(NameError::Hidden)),
            ("..", Err(NameError::Hidden)),
            ("a/b", Err(NameError::Forbidden('/'))),
            ("a\nb", Err(NameError::Forbidden('\n'))),
            ("a\u{1b}[31m", Err(NameError::Forbidden('\u{1b}'))),
        ];
        for (text, expected) in rows {
            assert_eq!(Name::parse(text).map(|_| ()), *expected, "{text:?}");
        }
        assert!(Name::parse(&"x".repeat(253)).is_ok());
        assert_eq!(Name::parse(&"x".repeat(254)), Err(NameError::TooLong));
    }
}
