/// What the health paths take after `?`, as kube-apiserver reads it.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Query {
    /// `verbose`, whatever its value.
    pub(super) verbose: bool,
    /// The values of `exclude`, each once, in their order.
    pub(super) exclude: Vec<String>,
}

impl Query {
    /// Reads a query string; what is not known is passed over.
    pub(super) fn parse(text: Option<&str>) -> Query {
        let mut query = Query::default();
        for (key, value) in pairs(text.unwrap_or_default()) {
            match key.as_str() {
                "verbose" => query.verbose = true,
                "exclude" if !query.exclude.contains(&value) => query.exclude.push(value),
                _ => {}
            }
        }
        query
    }
}

/// The parameters of a query string.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| (decode(key), decode(value)))
}

/// Decodes a part of a path: `%41`, but a `+` is one.
pub(super) fn decode_path(text: &str) -> String {
    percent_decoded(text, b'+')
}

/// The same of what HTML forms send, where a `+` is a space.
fn decode(text: &str) -> String {
    percent_decoded(text, b' ')
}

/// A `%` that starts no byte stands for itself.
fn percent_decoded(text: &str, plus: u8) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, used) = match (first, tail) {
            (b'+', _) => (plus, 1),
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                (_, None) | (None, _) => (b'%', 1),
            },
            (other, _) => (*other, 1),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn queries_are_read_as_forms() {
        let rows: &[(Option<&str>, bool, &[&str])] = &[
            (None, false, &[]),
            (Some(""), false, &[]),
            (Some("verbose"), true, &[]),
            (Some("verbose=false"), true, &[]),
            (Some("VERBOSE"), false, &[]),
            (Some("exclude=web"), false, &["web"]),
            (Some("exclude=web&verbose&exclude=db&exclude=web"), true, &["web", "db"]),
            (Some("exclude=a%20b"), false, &["a b"]),
            (Some("exclude=a+b"), false, &["a b"]),
            (Some("exclude=gr%C3%B6%c3%9fe"), false, &["größe"]),
            (Some("exclude=%"), false, &["%"]),
            (Some("exclude=%4"), false, &["%4"]),
            (Some("exclude=%zz%41"), false, &["%zzA"]),
            (Some("exclude=%ff"), false, &["\u{fffd}"]),
            (Some("exclude=a=b"), false, &["a=b"]),
            (Some("exclude"), false, &[""]),
            (Some("ex%63lude=web&&=&x"), false, &["web"]),
        ];
        for (text, verbose, exclude) in rows {
            let expected = Query { verbose: *verbose, exclude: exclude.iter().map(ToString::to_string).collect() };
            assert_eq!(Query::parse(*text), expected, "{text:?}");
        }
    }
}
