//! `OnCalendar` as a cron expression, where one says the same.

use crate::model::Cron;

/// The expression, and its time zone; `None`: cron cannot say it.
pub(super) fn cron(text: &str) -> Option<(String, Option<String>)> {
    let named = match text {
        "minutely" => "* * * * *",
        "hourly" => "0 * * * *",
        "daily" => "0 0 * * *",
        "weekly" => "0 0 * * MON",
        "monthly" => "0 0 1 * *",
        "quarterly" => "0 0 1 1,4,7,10 *",
        "semiannually" => "0 0 1 1,7 *",
        "yearly" | "annually" => "0 0 1 1 *",
        _ => "",
    };
    if !named.is_empty() {
        return Some((named.to_string(), None));
    }
    let (mut days, mut date, mut time, mut zone) = (None, None, None, None);
    for word in text.split_whitespace() {
        if word.contains(':') && time.is_none() {
            time = Some(word);
        } else if (word == "UTC" || word.contains('/') && word.starts_with(|c: char| c.is_ascii_uppercase()))
            && zone.is_none()
        {
            zone = Some(word.to_string());
        } else if word.contains('-') && date.is_none() {
            date = Some(word);
        } else if word.starts_with(|c: char| c.is_ascii_alphabetic()) && days.is_none() {
            days = Some(word);
        } else {
            return None;
        }
    }
    let (month, day) = months(date.unwrap_or("*-*-*"))?;
    let weekday = days.map_or(Some("*".to_string()), weekdays)?;
    // Both must be so there, and either here.
    if day != "*" && weekday != "*" {
        return None;
    }
    let mut parts = time.unwrap_or("0:0").split(':');
    let (hour, minute) = (field(parts.next()?, 23)?, field(parts.next()?, 59)?);
    let seconds_are_zero = parts.next().is_none_or(|seconds| seconds.bytes().all(|byte| matches!(byte, b'0' | b'.')));
    let expression = format!("{minute} {hour} {day} {month} {weekday}");
    let is_said = seconds_are_zero && parts.next().is_none() && Cron::parse(&expression).is_ok();
    is_said.then_some((expression, zone))
}

fn months(date: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = date.split('-').collect();
    let (month, day) = match parts[..] {
        ["*", month, day] | [month, day] => (month, day),
        _ => return None,
    };
    Some((field(month, 12)?, field(day, 31)?))
}

fn weekdays(text: &str) -> Option<String> {
    const DAYS: [&str; 7] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let day = |name: &str| {
        let name = name.to_ascii_uppercase();
        DAYS.iter().position(|day| *day == name || day[..3] == name)
    };
    let one = |part: &str| match part.split_once("..") {
        Some((from, to)) => {
            let (from, to) = (day(from)?, day(to)?);
            (from <= to).then(|| format!("{}-{}", &DAYS[from][..3], &DAYS[to][..3]))
        }
        None => Some(DAYS[day(part)?][..3].to_string()),
    };
    let parts: Option<Vec<String>> = text.trim_end_matches(',').split(',').map(one).collect();
    Some(parts?.join(","))
}

/// `*`, `5`, `1,2`, `1..5`, `0/15`, `*/15`
fn field(text: &str, most: u32) -> Option<String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= most);
    let one = |part: &str| -> Option<String> {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let range = match (range.split_once(".."), step) {
            (Some((from, to)), _) => format!("{}-{}", number(from)?, number(to)?),
            (None, _) if range == "*" => "*".to_string(),
            (None, Some(_)) if number(range)? == 0 && most != 12 && most != 31 => "*".to_string(),
            (None, Some(_)) => format!("{}-{most}", number(range)?),
            (None, None) => number(range)?.to_string(),
        };
        match step {
            Some(step) => Some(format!("{range}/{}", number(step).filter(|step| *step > 0)?)),
            None => Some(range),
        }
    };
    let parts: Option<Vec<String>> = text.split(',').map(one).collect();
    Some(parts?.join(","))
}

#[cfg(test)]
mod tests {
    use super::{Cron, cron};

    #[test]
    fn what_cron_can_say_is_said_and_nothing_else() {
        type Said = Option<(&'static str, Option<&'static str>)>;
        let rows: &[(&str, Said)] = &[
            ("daily", Some(("0 0 * * *", None))),
            ("weekly", Some(("0 0 * * MON", None))),
            ("*-*-* 02:30:00", Some(("30 2 * * *", None))),
            ("02:30", Some(("30 2 * * *", None))),
            ("Mon..Fri *-*-* 6,18:00", Some(("0 6,18 * * MON-FRI", None))),
            ("Sun,Wednesday 4:00 Europe/Berlin", Some(("0 4 * * SUN,WED", Some("Europe/Berlin")))),
            ("*-*-01 00:00:00 UTC", Some(("0 0 1 * *", Some("UTC")))),
            ("*:0/15", Some(("*/15 * * * *", None))),
            ("*:5/20", Some(("5-59/20 * * * *", None))),
            ("*-1..6/2-* 3:07", Some(("7 3 * 1-6/2 *", None))),
            ("Sat", Some(("0 0 * * SAT", None))),
            // Both a weekday and a day of the month; seconds; years; last days; what is no time.
            ("Mon *-*-1 00:00", None),
            ("*:*:30", None),
            ("2026-01-01 00:00", None),
            ("*-*~1 00:00", None),
            ("*-13-* 00:00", None),
            ("soon", None),
            ("MONDAY..sun", Some(("0 0 * * MON-SUN", None))),
            ("Fri..Mon", None),
            ("Mond", None),
            ("Monster", None),
            ("*-02-29", Some(("0 0 29 2 *", None))),
            // There is no such day.
            ("*-02-30", None),
        ];
        for (text, expected) in rows {
            let found = cron(text);
            let shown = found.as_ref().map(|(cron, zone)| (cron.as_str(), zone.as_deref()));
            assert_eq!(shown, *expected, "{text}");
            if let Some((expression, _)) = found {
                assert!(Cron::parse(&expression).is_ok(), "{expression}");
            }
        }
    }
}
