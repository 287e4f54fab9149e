//! The Prometheus text format, version 0.0.4, written by hand: tables of families, each with a function that writes the
//! samples of one thing. At a thousand processes that is fifty thousand lines a scrape, so nothing is allocated for one.

use std::io::Write as _;

use crate::model::Wall;

/// What a family is called and what it says of one thing.
pub(super) struct Family<T> {
    head: Head,
    samples: fn(&mut Samples<'_>, &T),
}

struct Head {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

/// A family of counters. `samples` may write none.
pub(super) const fn counter<T>(name: &'static str, help: &'static str, samples: fn(&mut Samples<'_>, &T)) -> Family<T> {
    Family { head: Head { name, kind: "counter", help }, samples }
}

/// A family of gauges. `samples` may write none.
pub(super) const fn gauge<T>(name: &'static str, help: &'static str, samples: fn(&mut Samples<'_>, &T)) -> Family<T> {
    Family { head: Head { name, kind: "gauge", help }, samples }
}

/// A family of summaries without quantiles: each sample is [`Samples::of`] its `_sum` or its `_count`.
pub(super) const fn summary<T>(name: &'static str, help: &'static str, samples: fn(&mut Samples<'_>, &T)) -> Family<T> {
    Family { head: Head { name, kind: "summary", help }, samples }
}

impl<T> Family<T> {
    /// Appends what the family says of a thing. `subject` is its label as [`subject`] makes it, or [`COLONY`]; `is_headed`
    /// says whether the family has been mentioned, which a family without samples is not.
    pub(super) fn write(&self, text: &mut Vec<u8>, is_headed: &mut bool, subject: &[u8], thing: &T) {
        let head = &self.head;
        (self.samples)(&mut Samples { text, head, subject, is_headed, is_begun: false, suffix: "" }, thing);
    }
}

/// Where the samples of one thing go: any labels, then the value.
pub(super) struct Samples<'a> {
    text: &'a mut Vec<u8>,
    head: &'a Head,
    subject: &'a [u8],
    is_headed: &'a mut bool,
    /// Whether a line has been begun that has no value yet.
    is_begun: bool,
    /// What of the family the sample is whose value comes next.
    suffix: &'static str,
}

impl Samples<'_> {
    /// One more label of the sample whose value comes next.
    pub(super) fn with(&mut self, key: &str, value: &str) -> &mut Self {
        self.begin();
        if self.text.last() != Some(&b'{') {
            self.text.push(b',');
        }
        push_label(self.text, key, value);
        self
    }

    /// The sample whose value comes next is this of its family. To be called before any label.
    pub(super) fn of(&mut self, suffix: &'static str) -> &mut Self {
        self.suffix = suffix;
        self
    }

    /// A sample that is a whole number.
    pub(super) fn count(&mut self, value: u64) {
        self.end_labels();
        match value {
            // Most are so small.
            digit @ 0..10 => self.text.extend_from_slice(&[b'0' + digit as u8, b'\n']),
            value => {
                push_whole(self.text, value);
                self.text.push(b'\n');
            }
        }
    }

    /// A sample that is 0 or 1.
    pub(super) fn flag(&mut self, value: bool) {
        self.count(u64::from(value));
    }

    /// A sample that is a moment, in seconds since 1970; none if there was no such moment.
    pub(super) fn time(&mut self, value: Option<Wall>) {
        let Some(wall) = value else { return };
        self.micros(wall.as_nanos() / 1000);
    }

    /// A sample in seconds, which is given in microseconds.
    pub(super) fn micros(&mut self, value: u64) {
        self.end_labels();
        push_whole(self.text, value / 1_000_000);
        push_fraction(self.text, value % 1_000_000);
        self.text.push(b'\n');
    }

    /// A sample that is a number; none if there is none.
    pub(super) fn real(&mut self, value: Option<f64>) {
        let Some(value) = value else { return };
        self.end_labels();
        push_real(self.text, value);
        self.text.push(b'\n');
    }

    fn begin(&mut self) {
        if self.is_begun {
            return;
        }
        if !std::mem::replace(self.is_headed, true) {
            self.mention();
        }
        self.is_begun = true;
        self.text.extend_from_slice(self.head.name.as_bytes());
        if !self.suffix.is_empty() {
            self.text.extend_from_slice(std::mem::take(&mut self.suffix).as_bytes());
        }
        self.text.extend_from_slice(self.subject);
    }

    /// Once a family, where the others are once a sample.
    #[cold]
    fn mention(&mut self) {
        let Head { name, kind, help } = *self.head;
        let header = ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"];
        header.iter().for_each(|part| self.text.extend_from_slice(part.as_bytes()));
    }

    fn end_labels(&mut self) {
        self.begin();
        self.is_begun = false;
        match self.text.last_mut() {
            Some(open @ b'{') => *open = b' ',
            Some(_) | None => self.text.extend_from_slice(b"} "),
        }
    }
}

/// What samples of the colony as a whole begin with after their name.
pub(super) const COLONY: &[u8] = b"{";

/// What samples of one thing begin with after their name: a label, its value escaped.
pub(super) fn subject(key: &str, value: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(key.len() + value.len() + 4);
    text.push(b'{');
    push_label(&mut text, key, value);
    text
}

fn push_label(text: &mut Vec<u8>, key: &str, value: &str) {
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"=\"");
    let is_plain = |byte: &u8| !matches!(byte, b'\\' | b'"' | b'\n');
    if value.as_bytes().iter().all(is_plain) {
        text.extend_from_slice(value.as_bytes());
        return text.push(b'"');
    }
    for piece in value.as_bytes().split_inclusive(|byte| !is_plain(byte)) {
        let (plain, escape): (&[u8], &[u8]) = match piece {
            [plain @ .., b'\\'] => (plain, b"\\\\"),
            [plain @ .., b'"'] => (plain, b"\\\""),
            [plain @ .., b'\n'] => (plain, b"\\n"),
            plain => (plain, b""),
        };
        text.extend_from_slice(plain);
        text.extend_from_slice(escape);
    }
    text.push(b'"');
}

/// Not by `write!`, which takes four times as long.
fn push_whole(text: &mut Vec<u8>, mut value: u64) {
    if value < 10 {
        return text.push(b'0' + value as u8);
    }
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] += (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

/// So many millionths, without zeros at the end.
fn push_fraction(text: &mut Vec<u8>, millionths: u64) {
    if millionths == 0 {
        return;
    }
    let mut digits = millionths;
    let mut width = 6;
    while digits.is_multiple_of(10) {
        digits /= 10;
        width -= 1;
    }
    // Writing to memory does not fail.
    let _ = write!(text, ".{digits:0width$}");
}

/// A number as Go's parser wants it.
fn push_real(text: &mut Vec<u8>, value: f64) {
    /// All integers up to here are exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let _ = match value {
        whole if whole.fract() == 0.0 && (0.0..EXACT).contains(&whole) => return push_whole(text, whole as u64),
        nan if nan.is_nan() => write!(text, "NaN"),
        f64::INFINITY => write!(text, "+Inf"),
        f64::NEG_INFINITY => write!(text, "-Inf"),
        other => write!(text, "{other}"),
    };
}

#[cfg(test)]
mod tests {
    use super::{COLONY, Family, counter, gauge, push_fraction, push_real, push_whole, subject, summary};
    use crate::model::Wall;

    fn text<T>(family: &Family<T>, subject: &[u8], things: &[T]) -> String {
        let (mut text, mut is_headed) = (Vec::new(), false);
        things.iter().for_each(|thing| family.write(&mut text, &mut is_headed, subject, thing));
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn a_summary_has_a_sum_and_a_count() {
        let family = summary::<u64>("s_seconds", "S.", |samples, count| {
            samples.of("_sum").with("kind", "x").micros(*count * 500_000);
            samples.of("_count").with("kind", "x").count(*count);
        });
        let expected = "# HELP s_seconds S.\n# TYPE s_seconds summary\ns_seconds_sum{kind=\"x\"} 1.5\n\
                        s_seconds_count{kind=\"x\"} 3\n";
        assert_eq!(text(&family, COLONY, &[3]), expected);
    }

    // W09
    #[test]
    fn label_values_are_escaped() {
        assert_eq!(subject("process", "a\"b\\c\nd}größe\""), "{process=\"a\\\"b\\\\c\\nd}größe\\\"\"".as_bytes());
        assert_eq!(subject("process", ""), b"{process=\"\"");
    }

    #[test]
    fn numbers_are_printed_as_go_parses_them() {
        let rows: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (-1.5, "-1.5"),
            (-2.0, "-2"),
            (1_790_000_600.25, "1790000600.25"),
            (1e21, "1000000000000000000000"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in rows {
            let mut text = Vec::new();
            push_real(&mut text, *value);
            assert_eq!(text, expected.as_bytes());
        }
        for value in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut text = Vec::new();
            push_whole(&mut text, value);
            assert_eq!(text, value.to_string().as_bytes());
        }
        for (millionths, expected) in [(0, ""), (1, ".000001"), (250_000, ".25"), (999_999, ".999999"), (50, ".00005")]
        {
            let mut text = Vec::new();
            push_fraction(&mut text, millionths);
            assert_eq!(text, expected.as_bytes());
        }
    }

    #[test]
    fn a_family_without_samples_is_not_mentioned() {
        let nothing = gauge::<Option<Wall>>("a", "A.", |samples, at| samples.time(*at));
        assert_eq!(text(&nothing, COLONY, &[None, None]), "");
        let at = Some(Wall::from_nanos(1_500_000_000));
        assert_eq!(text(&nothing, COLONY, &[None, at]), "# HELP a A.\n# TYPE a gauge\na 1.5\n");
    }

    #[test]
    fn labels_are_the_subjects_and_those_of_the_sample() {
        let family = counter::<u64>("c_total", "C.", |samples, count| {
            samples.with("mode", "us\"er").with("n", "1").count(*count);
            samples.count(*count + 1);
        });
        let header = "# HELP c_total C.\n# TYPE c_total counter\n";
        let bare = "c_total{mode=\"us\\\"er\",n=\"1\"} 3\nc_total 4\n";
        assert_eq!(text(&family, COLONY, &[3]), format!("{header}{bare}"));
        let own = "c_total{process=\"web\",mode=\"us\\\"er\",n=\"1\"} 3\nc_total{process=\"web\"} 4\n";
        assert_eq!(text(&family, &subject("process", "web"), &[3]), format!("{header}{own}"));
    }
}
