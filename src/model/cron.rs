//! A cron expression: five fields, as a CronJob has them, and the days and minutes that they mean.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use jiff::civil::{Date, DateTime};

use super::nearest;

/// When something is to be run, on a clock without a place: minute, hour, day of month, month, day of week.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cron {
    /// A set of numbers for each field, as bits; Sunday is 0.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the hours are as on every day's clock face: `*`, `*/2`, or all 24 of them.
    pub(super) every_hour: bool,
    /// Whether one of the two fields for days is enough: neither of them is `*`.
    either_day: bool,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CronError {
    /// Where in the text, in bytes.
    pub place: Range<usize>,
    /// What was expected.
    pub message: String,
    /// What may have been meant.
    pub help: Option<String>,
}

struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const FIELDS: [Field; 5] = [
    Field { name: "a minute, 0 to 59", range: 0..=59, words: &[] },
    Field { name: "an hour, 0 to 23", range: 0..=23, words: &[] },
    Field { name: "a day of the month, 1 to 31", range: 1..=31, words: &[] },
    Field { name: "a month, 1 to 12 or JAN to DEC", range: 1..=12, words: &MONTHS },
    // Both 0 and 7 are Sunday.
    Field { name: "a day of the week, 0 to 7 or SUN to SAT", range: 0..=7, words: &WEEKDAYS },
];
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
/// No expression that has a day at all goes longer without: from one 29 February to the next across 2100.
const LONGEST: i16 = 8;

/// The numbers of one field, and whether it begins with a star, or is one.
struct Numbers {
    bits: u64,
    begins_with_star: bool,
    is_star: bool,
}

impl Cron {
    /// Reads five fields, or a nickname such as `@daily`.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        if text.trim_start().starts_with('@') {
            return nickname(text);
        }
        let places = fields_of(text);
        if places.len() != FIELDS.len() {
            return Err(wrong_count(text, &places));
        }
        let mut numbers = Vec::new();
        for (field, place) in FIELDS.iter().zip(&places) {
            numbers.push(field.numbers(text, place.clone())?);
        }
        let [minutes, hours, days, months, weekdays] = &numbers[..] else { return Err(wrong_count(text, &places)) };
        let sunday = weekdays.bits >> 7;
        let cron = Cron {
            minutes: minutes.bits,
            hours: hours.bits,
            days: days.bits,
            months: months.bits,
            weekdays: (weekdays.bits | sunday) & 0x7f,
            every_hour: hours.begins_with_star || hours.bits.count_ones() == 24,
            either_day: !days.is_star && !weekdays.is_star,
        };
        if cron.at_or_after(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)).is_none() {
            return Err(CronError {
                place: places[2].start..places[3].end,
                message: "this day never comes: no month that is named here has so many days".into(),
                help: Some("28 is in every month; for the last day of each, run on 28-31 and look at the date".into()),
            });
        }
        Ok(cron)
    }

    /// The first minute at or after `from` that the expression means.
    pub(super) fn at_or_after(&self, from: DateTime) -> Option<DateTime> {
        let today = from.date();
        if self.has_day(today)
            && let Some((hour, minute)) = self.time_at_or_after(from.hour(), from.minute())
        {
            return Some(today.at(hour, minute, 0, 0));
        }
        let day = self.day_at_or_after(today.tomorrow().ok()?)?;
        let (hour, minute) = self.time_at_or_after(0, 0)?;
        Some(day.at(hour, minute, 0, 0))
    }

    fn day_at_or_after(&self, from: Date) -> Option<Date> {
        let mut day = from;
        while day.year() <= from.year() + LONGEST {
            if self.has_day(day) {
                return Some(day);
            }
            let has_month = has(self.months, day.month());
            day = if has_month { day } else { day.last_of_month() }.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, day: Date) -> bool {
        let by_number = has(self.days, day.day());
        let by_name = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let is_day = if self.either_day { by_number || by_name } else { by_number && by_name };
        has(self.months, day.month()) && is_day
    }

    fn time_at_or_after(&self, hour: i8, minute: i8) -> Option<(i8, i8)> {
        if has(self.hours, hour)
            && let Some(minute) = first(self.minutes, minute)
        {
            return Some((hour, minute));
        }
        Some((first(self.hours, hour + 1)?, first(self.minutes, 0)?))
    }
}

fn has(bits: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| bits.checked_shr(number).unwrap_or(0) & 1 == 1)
}

/// The least number in the set that is at least this.
fn first(bits: u64, least: i8) -> Option<i8> {
    (least..64).find(|number| has(bits, *number))
}

fn fields_of(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut start = None;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        match (letter.is_whitespace(), start) {
            (true, Some(from)) => {
                places.push(from..at);
                start = None;
            }
            (false, None) => start = Some(at),
            (true, None) | (false, Some(_)) => {}
        }
    }
    places
}

fn nickname(text: &str) -> Result<Cron, CronError> {
    let word = text.trim();
    if let Some((_, meaning)) = NICKNAMES.iter().find(|(name, _)| *name == word) {
        return Cron::parse(meaning);
    }
    let start = text.len() - text.trim_start().len();
    let help = match word.split_whitespace().next() {
        Some("@every") => Some("write {every: SECONDS}".to_string()),
        Some("@reboot") => Some("a process without a schedule, with restartPolicy: Never, runs once".to_string()),
        Some(_) | None => did_you_mean(word, NICKNAMES.iter().map(|(name, _)| *name)),
    };
    Err(CronError {
        place: start..start + word.len(),
        message: "expected @hourly, @daily, @weekly, @monthly or @yearly, or five fields".into(),
        help,
    })
}

fn wrong_count(text: &str, places: &[Range<usize>]) -> CronError {
    const EXPECTED: &str = "expected five fields, minute, hour, day of month, month and day of week, found";
    let count = places.len();
    let is_zone = text.starts_with("TZ=") || text.starts_with("CRON_TZ=");
    let help = match count {
        _ if is_zone => Some("write the time zone as timeZone, beside schedule".to_string()),
        6 => Some("seconds are not counted here: leave out the first field, or write {every: SECONDS}".to_string()),
        _ => None,
    };
    let place = match places.get(FIELDS.len()) {
        Some(_) if is_zone => places[0].clone(),
        Some(sixth) => sixth.start..places.last().map_or(sixth.end, |last| last.end),
        None => 0..text.len(),
    };
    CronError { place, message: format!("{EXPECTED} {count}"), help }
}

fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean {near}?"))
}

impl Field {
    /// `1,5-9,*/2`
    fn numbers(&self, text: &str, place: Range<usize>) -> Result<Numbers, CronError> {
        let mut bits = 0;
        let mut start = place.start;
        for item in text[place.clone()].split(',') {
            bits |= self.item(item, start)?;
            start += item.len() + 1;
        }
        let written = &text[place];
        let begins_with_star = written.starts_with(['*', '?']);
        // As with a CronJob, `*/2` is no star where the two fields for days are joined.
        let is_star = written.split(',').any(|item| matches!(item, "*" | "?" | "*/1" | "?/1"));
        Ok(Numbers { bits, begins_with_star, is_star })
    }

    /// `*`, `5`, `5-9`, each with `/2` or without.
    fn item(&self, item: &str, start: usize) -> Result<u64, CronError> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some((step, start + base.len() + 1))),
            None => (item, None),
        };
        let (min, max) = (*self.range.start(), *self.range.end());
        let (from, to) = match base.split_once('-') {
            _ if matches!(base, "*" | "?") => (min, if max == 7 { 6 } else { max }),
            Some((from, to)) => self.span(from, to, start)?,
            // `5/15` is `5-59/15`, as a CronJob has it.
            None if step.is_some() => (self.number(base, start)?, if max == 7 { 6 } else { max }),
            None => self.number(base, start).map(|number| (number, number))?,
        };
        let step = match step {
            None => 1,
            Some((text, at)) => text.parse().ok().filter(|step| (1..=max.max(1)).contains(step)).ok_or_else(|| {
                let message = format!("expected a step after the \"/\", 1 to {max}");
                CronError { place: at..at + text.len().max(1), message, help: None }
            })?,
        };
        Ok((from..=to).step_by(step as usize).fold(0, |bits, number| bits | 1 << number))
    }

    fn span(&self, from: &str, to: &str, start: usize) -> Result<(u32, u32), CronError> {
        let first = self.number(from, start)?;
        let mut last = self.number(to, start + from.len() + 1)?;
        let (min, max) = (*self.range.start(), *self.range.end());
        if last == 0 && max == 7 && first > 0 {
            last = 7;
        }
        if first > last {
            let rest = if last == min { to.to_string() } else { format!("{min}-{to}") };
            let end = if max == 7 { 6 } else { max };
            return Err(CronError {
                place: start..start + from.len() + 1 + to.len(),
                message: "this range ends before it begins".into(),
                help: Some(format!("write the two parts, {from}-{end},{rest}")),
            });
        }
        Ok((first, last))
    }

    fn number(&self, text: &str, start: usize) -> Result<u32, CronError> {
        let by_name = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let found = match by_name.and_then(|at| u32::try_from(at).ok()) {
            Some(at) => Some(at + u32::from(*self.range.start() == 1)),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        found.filter(|number| self.range.contains(number)).ok_or_else(|| CronError {
            place: start..start + text.len().max(1),
            message: format!("expected {}", self.name),
            help: did_you_mean(text.get(..3).unwrap_or(text), self.words.iter().copied())
                .filter(|_| text.chars().all(char::is_alphabetic)),
        })
    }
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CronError {}
