//! The Prometheus text format, version 0.0.4, written by hand: a family at a time, into one string.

use std::fmt::{self, Display, Formatter, Write as _};

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// What a family is called and what it says of one thing; `None`: nothing.
pub(super) struct Family<T> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) value: fn(&T) -> Option<f64>,
}

/// An exposition that grows.
pub(super) struct Exposition(pub(super) String);

impl Exposition {
    /// Writes a family, unless it has no samples. `samples` are labels (without braces) and values.
    pub(super) fn family<L: Display>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        for (index, (labels, value)) in samples.into_iter().enumerate() {
            if index == 0 {
                self.header(name, kind, help);
            }
            // Writing to a String does not fail.
            let _ = writeln!(self.0, "{name}{{{labels}}} {}", Number(value));
        }
    }

    /// Writes a family with one sample and no labels, if there is a value.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.header(name, kind, help);
            let _ = writeln!(self.0, "{name} {}", Number(value));
        }
    }

    fn header(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// One label, its value escaped.
pub(super) fn label(key: &str, value: &str) -> String {
    let mut text = String::with_capacity(key.len() + value.len() + 3);
    text.push_str(key);
    text.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Labels and one more, whose value needs no escaping.
pub(super) struct With<'a>(pub(super) &'a str, pub(super) &'static str, pub(super) &'static str);

impl Display for With<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let With(labels, key, value) = self;
        write!(f, "{labels},{key}=\"{value}\"")
    }
}

/// A number as Go's parser wants it.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        /// All integers up to here are exact, and quicker to print as such.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.0 {
            n if n.fract() == 0.0 && n.abs() < EXACT => write!(f, "{}", n as i64),
            n if n.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            n => write!(f, "{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exposition, Kind, Number, label};

    // W09
    #[test]
    fn label_values_are_escaped() {
        assert_eq!(label("process", "a\"b\\c\nd}größe"), "process=\"a\\\"b\\\\c\\nd}größe\"");
    }

    #[test]
    fn numbers_are_printed_as_go_parses_them() {
        let rows: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (-1.5, "-1.5"),
            (1_790_000_600.25, "1790000600.25"),
            (1e21, "1000000000000000000000"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in rows {
            assert_eq!(Number(*value).to_string(), *expected);
        }
    }

    #[test]
    fn a_family_without_samples_is_not_mentioned() {
        let mut exposition = Exposition(String::new());
        exposition.family("a", Kind::Gauge, "A.", Vec::<(String, f64)>::new());
        exposition.single("b", Kind::Counter, "B.", None);
        assert_eq!(exposition.0, "");
        exposition.single("c_total", Kind::Counter, "C.", Some(1.0));
        assert_eq!(exposition.0, "# HELP c_total C.\n# TYPE c_total counter\nc_total 1\n");
    }
}
