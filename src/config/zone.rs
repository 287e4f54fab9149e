//! Time zones by name, from the system's database or the one that is built in.

use jiff::tz::{TimeZone, TimeZoneDatabase, db};

use crate::model::nearest;

/// The zone of this name, as the tz database has it.
///
/// # Errors
/// The name that may have been meant.
pub(super) fn named(name: &str) -> Result<TimeZone, Option<String>> {
    let found = db().get(name).or_else(|_| TimeZoneDatabase::bundled().get(name));
    found.map_err(|_| {
        let bundled = TimeZoneDatabase::bundled();
        let known: Vec<String> = bundled.available().map(|name| name.as_str().to_string()).collect();
        // A city alone is meant for its zone.
        let city =
            known.iter().find(|zone| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name)));
        city.cloned().or_else(|| nearest(name, known.iter().map(String::as_str)).map(str::to_string))
    })
}

/// The monitor's own, by `TZ` or `/etc/localtime`; UTC where neither says anything.
pub(super) fn local() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}
