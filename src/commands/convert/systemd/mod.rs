//! systemd's units: services, and the timers that start them.

mod calendar;
mod capabilities;
mod exec;
mod limits;
mod restart;
mod service;
mod settings;
mod timer;
mod unit;

use super::conversion::{Conversion, Error};
use super::sources::Source;
use unit::Unit;

pub(super) fn read(sources: &[Source]) -> Result<Conversion, Error> {
    let units: Vec<Unit> = sources.iter().map(Unit::parse).collect::<Result<_, _>>()?;
    let mut conversion = Conversion::default();
    let has = |unit: &Unit, section: &str| unit.settings.iter().any(|setting| setting.section == section);
    let (services, others): (Vec<&Unit>, Vec<&Unit>) =
        units.iter().partition(|unit| unit.name.ends_with(".service") || has(unit, "Service"));
    for unit in &services {
        conversion.processes.push(service::service(unit, &services)?);
    }
    // Who must be up before whom is said on either side.
    for unit in &services {
        for setting in unit.all("Before") {
            service::before(unit, setting, &services, &mut conversion.processes);
        }
    }
    for unit in others {
        if unit.name.ends_with(".timer") || has(unit, "Timer") {
            timer::timer(unit, &mut conversion)?;
        } else {
            return Err(unit.place.error("no process comes of it: it has no [Service] and no [Timer]"));
        }
    }
    Ok(conversion)
}
