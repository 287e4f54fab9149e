//! `$VAR`, `${VAR}` and their kin, `$$`: what compose does with a text before it reads it.

use super::super::text;

/// A text, and what stood in it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Expanded {
    /// As [`text`] has it.
    pub(super) text: String,
    /// Those that it refers to.
    pub(super) variables: Vec<String>,
    /// Those in whose place the default stands, `${VAR:-default}`.
    pub(super) defaults: Vec<String>,
    /// Those that compose demands, `${VAR:?why}`.
    pub(super) demands: Vec<String>,
    /// Those whose being set would have brought in something, `${VAR:+this}`.
    pub(super) alternatives: Vec<String>,
}

pub(super) fn expand(text: &str) -> Result<Expanded, &'static str> {
    let mut expanded = Expanded::default();
    append(text, 0, &mut expanded)?;
    Ok(expanded)
}

fn append(text: &str, depth: usize, to: &mut Expanded) -> Result<(), &'static str> {
    // Defaults may hold defaults, and nobody says that they end.
    if depth > 16 {
        return Err("${…} within ${…}, more than 16 deep");
    }
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        to.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            to.text.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = closing(inner).ok_or("a ${ is never closed")?;
            braced(&inner[..end], depth, to)?;
            rest = &inner[end + 1..];
        } else {
            let name = name(rest);
            if name.is_empty() {
                to.text.push('$');
            } else {
                refer(name, to);
            }
            rest = &rest[name.len()..];
        }
    }
    to.text.push_str(rest);
    Ok(())
}

/// Where the brace is closed that is open here.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

fn braced(inner: &str, depth: usize, to: &mut Expanded) -> Result<(), &'static str> {
    let name = name(inner);
    if name.is_empty() {
        return Err("expected a variable's name behind ${; a $ itself is written $$");
    }
    let rest = &inner[name.len()..];
    let operator = rest.strip_prefix(':').unwrap_or(rest);
    match operator.chars().next() {
        None if rest.is_empty() => refer(name, to),
        // A reference is empty, too, where nobody sets the variable.
        Some('-') if operator.len() == 1 => refer(name, to),
        Some('-') => {
            to.defaults.push(name.to_string());
            append(&operator[1..], depth + 1, to)?;
        }
        Some('?') => {
            to.demands.push(name.to_string());
            refer(name, to);
        }
        Some('+') => to.alternatives.push(name.to_string()),
        _ => return Err("compose knows no such ${…}; a $ itself is written $$"),
    }
    Ok(())
}

fn refer(name: &str, to: &mut Expanded) {
    to.text.push_str(&text::variable(name));
    to.variables.push(name.to_string());
}

/// The name that a text begins with.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    if text::is_name(&text[..end]) { &text[..end] } else { "" }
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::convert::text::reference;

    #[test]
    fn variables_are_referred_to_and_defaults_written() {
        let rows = [
            ("a$b-${C}.", "a$(b)-$(C).", "b C", ""),
            ("$$HOME $${X} 5$ $1", "$$HOME $${X} 5$$ $$1", "", ""),
            ("${P:-80}/${Q-q}", "80/q", "", "P Q"),
            ("${P:-}/${Q-}", "$(P)/$(Q)", "P Q", ""),
            ("${A:-${B:-c}}${D:-$E}", "c$(E)", "E", "A B D"),
            ("${A:?must {be} so}!", "$(A) so}!", "A", ""),
            ("${A:+x}y", "y", "", ""),
        ];
        for (text, expected, variables, defaults) in rows {
            let expanded = expand(text).expect(text);
            assert_eq!(reference(&expanded.text), expected, "{text}");
            assert_eq!(expanded.variables.join(" "), variables, "{text}");
            assert_eq!(expanded.defaults.join(" "), defaults, "{text}");
        }
        for text in ["${A", "${}", "${1}", "${A/b/c}", "${A:b}", &"${A:-".repeat(20)] {
            assert!(expand(text).is_err(), "{text}");
        }
        assert!(expand(&format!("{}{}", "${A:-".repeat(20), "}".repeat(20))).is_err(), "deep");
    }
}
