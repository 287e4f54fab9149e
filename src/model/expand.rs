//! `$(VAR)`, as the kubelet expands it in `command`, `args` and `env`.

/// Puts the values that `lookup` knows in place of `$(NAME)`. `$$` stands for `$`; an unknown reference stays as it is.
///
/// `None` when the result would be longer than `limit` bytes: references to references grow fast.
pub fn expand<'a>(text: &str, limit: usize, lookup: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        out.extend_from_slice(before.as_bytes());
        let closing = from.strip_prefix("$(").and_then(|inner| inner.split_once(')'));
        rest = if let Some(after) = from.strip_prefix("$$") {
            out.push(b'$');
            after
        } else if let Some((name, after)) = closing {
            match lookup(name) {
                Some(value) => out.extend_from_slice(value),
                None => out.extend_from_slice(format!("$({name})").as_bytes()),
            }
            after
        } else {
            out.push(b'$');
            &from[1..]
        };
        if out.len() > limit {
            return None;
        }
    }
    out.extend_from_slice(rest.as_bytes());
    (out.len() <= limit).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn references_expand_as_in_the_kubelet() {
        let lookup = |name: &str| -> Option<&[u8]> {
            match name {
                "A" => Some(b"1"),
                "B" => Some(b"$(A)"),
                "EMPTY" => Some(b""),
                _ => None,
            }
        };
        let rows = [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(B)", "$(A)"),
            ("[$(EMPTY)]", "[]"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$(A", "$(A"),
            ("$A $", "$A $"),
            ("$$", "$"),
            ("ü$(A)ü", "ü1ü"),
        ];
        for (text, expected) in rows {
            assert_eq!(expand(text, 100, lookup).as_deref(), Some(expected.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_result_over_the_limit_is_refused() {
        assert_eq!(expand("$(A)$(A)", 19, |_| Some(b"0123456789")), None);
        assert!(expand("$(A)$(A)", 20, |_| Some(b"0123456789")).is_some());
    }
}
