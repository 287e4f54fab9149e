//! Timers: when a service is started.

use super::super::conversion::{Conversion, Error, Grade};
use super::super::text;
use super::calendar;
use super::restart;
use super::unit::Unit;

const MISSED: &str = "one run makes up for those that were missed, and without Persistent=yes systemd makes up for none; \
                      startingDeadlineSeconds limits it";

/// Gives the service of a timer its schedule.
pub(super) fn timer(unit: &Unit, conversion: &mut Conversion) -> Result<(), Error> {
    let named = unit.get("Unit").map_or_else(|| format!("{}.service", unit.stem()), |setting| setting.value.clone());
    let name = named.strip_suffix(".service").unwrap_or(&named);
    let Some(process) = conversion.processes.iter_mut().find(|process| process.name == name) else {
        return Err(unit.place.error(format!("it starts {named}, which is not given; give both together")));
    };
    for setting in &unit.settings {
        let (key, place) = (setting.key.as_str(), &setting.place);
        let has_schedule = process.has("schedule");
        let mut note = |grade: Grade, text: &str| process.note_at(grade, place, key, text);
        match key {
            "OnCalendar" => match calendar::cron(&setting.value) {
                Some(_) if has_schedule => note(Grade::Lost, "a second time; there is one schedule for a process"),
                Some((cron, zone)) => {
                    process.set("schedule", cron);
                    zone.into_iter().for_each(|zone| process.set("timeZone", zone));
                }
                None => note(Grade::Lost, "a cron expression cannot say this; write the schedule that comes nearest"),
            },
            "OnUnitActiveSec" | "OnUnitInactiveSec" => match text::span(&setting.value, 1.0) {
                Some(seconds) if seconds > 0.0 && !has_schedule => {
                    process.set("schedule.every", text::seconds(seconds));
                    let text = "it counts from one start to the next, and the first run is at once";
                    process.note_at(Grade::Remark, place, key, text);
                }
                Some(_) => note(Grade::Lost, "a second time; there is one schedule for a process"),
                None => return Err(setting.error("expected a span of time")),
            },
            "OnBootSec" | "OnStartupSec" | "OnActiveSec" => {
                note(Grade::Lost, "a schedule has no delay of its own before the first run");
            }
            "Persistent" => note(Grade::Remark, MISSED),
            "AccuracySec" => note(Grade::Remark, "runs begin at their time"),
            "RandomizedDelaySec" | "FixedRandomDelay" | "RandomizedOffsetSec" => {
                note(Grade::Lost, "runs begin at their time; let the command sleep before it, if it must");
            }
            "Unit" => {}
            "Description" | "Documentation" => {}
            "WantedBy" | "RequiredBy" | "Also" => note(Grade::Remark, super::settings::INSTALL),
            key if key.starts_with("X-") => note(Grade::Remark, super::settings::PASSED_OVER),
            _ => note(Grade::Lost, "a schedule has nothing of this kind"),
        }
    }
    if process.word("schedule").is_some() && unit.get("Persistent").is_none() {
        process.note_at(Grade::Remark, &unit.place, "Persistent", MISSED);
    }
    if process.has("schedule") {
        restart::timed(process);
    } else {
        process.set("suspend", true);
        process.note_at(Grade::Lost, &unit.place, "", "no schedule came of it, so the process is suspended");
    }
    Ok(())
}
