//! Time zones by name, from the system's database or the one that is built in.

use std::env;

use jiff::tz::{TimeZone, db};

use crate::model::{Zones, nearest};

/// The zone of this name, as the tz database has it.
///
/// # Errors
/// The name that may have been meant.
pub(super) fn named(name: &str) -> Result<TimeZone, Option<String>> {
    if let Ok(zone) = db().get(name) {
        return Ok(zone);
    }
    let zones = Zones::inflate();
    zones.get(name).ok_or_else(|| {
        // A city alone is meant for its zone.
        let mut known = zones.names();
        let city = known.find(|zone| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name)));
        city.or_else(|| nearest(name, zones.names())).map(str::to_string)
    })
}

/// The monitor's own, by `TZ` or `/etc/localtime`; UTC where neither says anything.
pub(super) fn local() -> TimeZone {
    TimeZone::try_system().unwrap_or_else(|_| built_in(env::var("TZ").ok().as_deref()))
}

/// What `TZ` names, where the system has no database.
fn built_in(named: Option<&str>) -> TimeZone {
    let zone = named.and_then(|name| Zones::inflate().get(name.trim_start_matches(':')));
    zone.unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::built_in;

    #[test]
    fn the_monitors_own_zone_is_found_where_the_system_has_no_database() {
        for (named, zone) in [
            (Some("Europe/Berlin"), Some("Europe/Berlin")),
            (Some(":Europe/Berlin"), Some("Europe/Berlin")),
            (Some("Nowhere/City"), Some("UTC")),
            (None, Some("UTC")),
        ] {
            assert_eq!(built_in(named).iana_name(), zone, "{named:?}");
        }
    }
}
