use std::fmt;

/// A span of seconds as kubectl prints it: two units at most, and the smaller one only while it says something.
pub struct Span(pub f64);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below zero and NaN become 0, which is right where a wall clock was set back.
        let seconds = self.0 as u64;
        let (unit, letter, part, part_letter) = match seconds {
            0..=119 => return write!(f, "{seconds}s"),
            120..600 => (MINUTE, 'm', 1, 's'),
            600..10_800 => return write!(f, "{}m", seconds / MINUTE),
            10_800..28_800 => (HOUR, 'h', MINUTE, 'm'),
            28_800..172_800 => return write!(f, "{}h", seconds / HOUR),
            172_800..691_200 => (DAY, 'd', HOUR, 'h'),
            691_200..63_072_000 => return write!(f, "{}d", seconds / DAY),
            63_072_000.. => (YEAR, 'y', DAY, 'd'),
        };
        match seconds % unit / part {
            0 => write!(f, "{}{letter}", seconds / unit),
            rest => write!(f, "{}{letter}{rest}{part_letter}", seconds / unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans_read_as_in_kubectl() {
        let rows: &[(f64, &str)] = &[
            (-5.0, "0s"),
            (f64::NAN, "0s"),
            (0.9, "0s"),
            (119.9, "119s"),
            (120.0, "2m"),
            (150.0, "2m30s"),
            (600.0, "10m"),
            (10_799.0, "179m"),
            (10_800.0, "3h"),
            (12_000.0, "3h20m"),
            (28_800.0, "8h"),
            (172_799.0, "47h"),
            (172_800.0, "2d"),
            (180_000.0, "2d2h"),
            (691_200.0, "8d"),
            (63_072_000.0, "2y"),
            (64_000_000.0, "2y10d"),
        ];
        for (seconds, expected) in rows {
            assert_eq!(Span(*seconds).to_string(), *expected, "{seconds}");
        }
        assert!(Span(f64::INFINITY).to_string().ends_with('d'));
    }
}
