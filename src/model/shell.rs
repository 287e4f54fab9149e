//! What a shell takes for one word.

/// The text as one word of a shell's command line, as it is where nothing in it means anything to a shell.
pub fn shell_word(text: &str) -> String {
    let is_tame = |c: char| c.is_ascii_alphanumeric() || "_-./=:@%+,".contains(c);
    match !text.is_empty() && text.chars().all(is_tame) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn what_a_shell_would_part_or_expand_is_quoted() {
        let rows =
            [("web-0.a", "web-0.a"), ("", "''"), ("my web", "'my web'"), ("it's $5", "'it'\\''s $5'"), ("ß", "'ß'")];
        for (text, expected) in rows {
            assert_eq!(shell_word(text), expected, "{text:?}");
        }
    }
}
