//! Cron expressions, good and bad.

use jiff::civil::DateTime;

use super::cron::Cron;

/// The first times from Thursday, 1 January 2026, as month-day hour:minute.
fn first(expression: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut at = DateTime::constant(2026, 1, 1, 0, 0, 0, 0);
    let mut found = Vec::new();
    while found.len() < count
        && let Some(next) = cron.at_or_after(at)
    {
        found.push(next.strftime("%m-%d %H:%M").to_string());
        at = next.checked_add(std::time::Duration::from_secs(60)).expect("within range");
    }
    found
}

#[test]
fn expressions_mean_what_a_cronjob_takes_them_for() {
    let rows: &[(&str, &[&str])] = &[
        ("* * * * *", &["01-01 00:00", "01-01 00:01"]),
        ("  5   4\t* * *  ", &["01-01 04:05", "01-02 04:05"]),
        ("*/20 * * * *", &["01-01 00:00", "01-01 00:20", "01-01 00:40", "01-01 01:00"]),
        ("10-30/10 0 * * *", &["01-01 00:10", "01-01 00:20", "01-01 00:30", "01-02 00:10"]),
        ("45/5 0 * * *", &["01-01 00:45", "01-01 00:50", "01-01 00:55", "01-02 00:45"]),
        ("0 0 1,15 * *", &["01-01 00:00", "01-15 00:00", "02-01 00:00"]),
        ("0 12 * feb-MAR mon", &["02-02 12:00", "02-09 12:00"]),
        ("0 0 * * 7", &["01-04 00:00", "01-11 00:00"]),
        ("0 0 * * 5-7", &["01-02 00:00", "01-03 00:00", "01-04 00:00", "01-09 00:00"]),
        ("0 0 * * FRI-SUN", &["01-02 00:00", "01-03 00:00", "01-04 00:00", "01-09 00:00"]),
        ("0 0 * * */2", &["01-01 00:00", "01-03 00:00", "01-04 00:00", "01-06 00:00"]),
        // Both fields for days: either is enough, unless one is a star.
        ("0 0 13 * FRI", &["01-02 00:00", "01-09 00:00", "01-13 00:00", "01-16 00:00"]),
        ("0 0 */10 * FRI", &["01-01 00:00", "01-02 00:00", "01-09 00:00", "01-11 00:00"]),
        ("0 0 ? * FRI", &["01-02 00:00", "01-09 00:00"]),
        ("0 0 31 * *", &["01-31 00:00", "03-31 00:00", "05-31 00:00"]),
        ("0 0 29 2 *", &["02-29 00:00"]),
        ("@hourly", &["01-01 00:00", "01-01 01:00"]),
        ("@daily", &["01-01 00:00", "01-02 00:00"]),
        ("@weekly", &["01-04 00:00", "01-11 00:00"]),
        ("@monthly", &["01-01 00:00", "02-01 00:00"]),
        ("@yearly", &["01-01 00:00", "01-01 00:00"]),
    ];
    for (expression, expected) in rows {
        assert_eq!(first(expression, expected.len()), *expected, "{expression}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let rows: &[(&str, &str, &str, &str)] = &[
        ("60 * * * *", "60", "expected a minute, 0 to 59", ""),
        ("0 24 * * *", "24", "expected an hour, 0 to 23", ""),
        ("0 0 0 * *", "0", "expected a day of the month, 1 to 31", ""),
        ("0 0 1 13 *", "13", "expected a month, 1 to 12 or JAN to DEC", ""),
        ("0 0 * * 8", "8", "expected a day of the week, 0 to 7 or SUN to SAT", ""),
        ("0 0 * FBE *", "FBE", "expected a month, 1 to 12 or JAN to DEC", "did you mean FEB?"),
        ("0 0 * * Monday", "Monday", "expected a day of the week, 0 to 7 or SUN to SAT", "did you mean MON?"),
        ("0 0 * * 5L", "5L", "expected a day of the week, 0 to 7 or SUN to SAT", ""),
        ("0 0 L * *", "L", "expected a day of the month, 1 to 31", ""),
        ("1,,2 * * * *", ",", "expected a minute, 0 to 59", ""),
        ("-5 * * * *", "-", "expected a minute, 0 to 59", ""),
        ("0 22-6 * * *", "22-6", "this range ends before it begins", "write the two parts, 22-23,0-6"),
        ("0 0 * * FRI-MON", "FRI-MON", "this range ends before it begins", "write the two parts, FRI-6,0-MON"),
        ("*/0 * * * *", "0", "expected a step after the \"/\", 1 to 59", ""),
        ("*/x * * * *", "x", "expected a step after the \"/\", 1 to 59", ""),
        ("0 0 30 2 *", "30 2", "this day never comes: no month that is named here has so many days", "28 is"),
        ("0 0 31 4,6,9,11 *", "31 4,6,9,11", "this day never comes: no month that is", "28 is"),
        ("0 0 * *", "0 0 * *", "expected five fields", ""),
        ("", "", "expected five fields, minute, hour, day of month, month and day of week, found 0", ""),
        (
            "0 0 0 * * *",
            "*",
            "expected five fields, minute, hour, day of month, month and day of week, found 6",
            "seco",
        ),
        ("TZ=UTC 0 0 * * *", "TZ=UTC", "expected five fields", "write the time zone as timeZone"),
        ("@dayly", "@dayly", "expected @hourly, @daily, @weekly, @monthly or @yearly", "did you mean @daily?"),
        ("@every 1h", "@every 1h", "expected @hourly", "write {every: SECONDS}"),
        ("@reboot", "@reboot", "expected @hourly", "a process without a schedule"),
        ("0 0 * * ünï", "ünï", "expected a day of the week", ""),
        ("9999999999999 * * * *", "9999999999999", "expected a minute", ""),
        ("*/99999999999999 * * * *", "99999999999999", "expected a step", ""),
    ];
    for (expression, place, message, help) in rows {
        let error = Cron::parse(expression).expect_err(expression);
        assert_eq!(&expression[error.place.clone()], *place, "{expression}: {error}");
        assert!(error.message.starts_with(message), "{expression}: {error}");
        match help.is_empty() {
            true => assert_eq!(error.help, None, "{expression}"),
            false => assert!(error.help.clone().is_some_and(|text| text.starts_with(help)), "{expression}: {error:?}"),
        }
    }
}
