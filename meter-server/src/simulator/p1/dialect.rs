//! The lines of each dialect, in its order.
//!
//! Numbers and codes are those of the companions of DSMR 5.0.2, e-MUCS 1.7 and Luxembourg 1.1.3, and of the captured
//! telegrams of a Sagemcom T210-D-r, which prints no M-Bus devices.

use dlms::p1::EncodeError;

use super::P1Dialect;
use super::page::Page;
use crate::simulator::meter::Meter;

/// What stands behind the slash: three letters, the rate's digit, and the meter.
pub(super) fn identification(dialect: P1Dialect, meter: &Meter) -> String {
    let maker: String = meter.identity().logical_device_name.chars().take(3).collect();
    match dialect {
        P1Dialect::Emucs => format!("FLU5\\{}_A", meter.identity().serial),
        P1Dialect::Luxembourg => format!("Lux5\\{}_M", meter.identity().serial),
        P1Dialect::Austria => format!("EST5\\{}_A", meter.identity().serial),
        _ => format!("{maker}5\\2M550T"),
    }
}

pub(super) fn lines(dialect: P1Dialect, page: &mut Page<'_, '_>) -> Result<(), EncodeError> {
    match dialect {
        P1Dialect::Emucs => emucs(page),
        P1Dialect::Luxembourg => luxembourg(page),
        P1Dialect::Austria => austria(page),
        // Those that push lists have no telegrams.
        _ => dsmr5(page),
    }
}

fn powers_of_phases(page: &mut Page<'_, '_>, groups: &[u8]) -> Result<(), EncodeError> {
    groups.iter().try_for_each(|c| page.power(*c))
}

fn sags_and_swells(page: &mut Page<'_, '_>) -> Result<(), EncodeError> {
    [32, 36].into_iter().try_for_each(|d| [32, 52, 72].into_iter().try_for_each(|c| page.count([1, 0, c, d, 0])))
}

fn dsmr5(page: &mut Page<'_, '_>) -> Result<(), EncodeError> {
    page.text([1, 3, 0, 2, 8], "50")?;
    page.time()?;
    page.serial([0, 0, 96, 1, 1])?;
    for (c, e) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        page.energy(c, e)?;
    }
    page.tariff()?;
    page.power(1)?;
    page.power(2)?;
    page.count([0, 0, 96, 7, 21])?;
    page.count([0, 0, 96, 7, 9])?;
    page.failure_log()?;
    sags_and_swells(page)?;
    page.message(0)?;
    page.voltages()?;
    page.currents(3, 0)?;
    powers_of_phases(page, &[21, 41, 61, 22, 42, 62])?;
    page.mbus_devices(0, 1, false)
}

fn emucs(page: &mut Page<'_, '_>) -> Result<(), EncodeError> {
    page.text([0, 0, 96, 1, 4], "50217")?;
    page.serial([0, 0, 96, 1, 1])?;
    page.time()?;
    for (c, e) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        page.energy(c, e)?;
    }
    page.demand()?;
    page.tariff()?;
    page.power(1)?;
    page.power(2)?;
    powers_of_phases(page, &[21, 41, 61, 22, 42, 62])?;
    page.voltages()?;
    page.currents(5, 2)?;
    page.switch()?;
    page.text([0, 0, 17, 0, 0], "999.9*kW")?;
    page.text([1, 0, 31, 4, 0], "999*A")?;
    page.message(0)?;
    // Gas is not temperature corrected there: value group E is 3.
    page.mbus_devices(1, 3, true)
}

fn luxembourg(page: &mut Page<'_, '_>) -> Result<(), EncodeError> {
    page.text([1, 3, 0, 2, 8], "42")?;
    page.time()?;
    page.device_name()?;
    for c in [1, 2, 3, 4] {
        page.energy(c, 0)?;
    }
    for c in [1, 2, 3, 4] {
        page.power(c)?;
    }
    page.text([0, 0, 17, 0, 0], "069.0*kVA")?;
    page.power(9)?;
    page.power(10)?;
    page.switch()?;
    page.count([0, 0, 96, 7, 21])?;
    sags_and_swells(page)?;
    for e in [0, 2, 3, 4, 5] {
        page.message(e)?;
    }
    page.voltages()?;
    page.currents(3, 0)?;
    powers_of_phases(page, &[21, 41, 61, 22, 42, 62, 23, 43, 63, 24, 44, 64])?;
    page.mbus_devices(0, 1, true)
}

fn austria(page: &mut Page<'_, '_>) -> Result<(), EncodeError> {
    page.text([1, 3, 0, 2, 8], "50")?;
    page.time()?;
    for c in [1, 2, 3, 4] {
        for e in 0..=2 {
            page.whole_energy(c, e)?;
        }
        page.whole_power(c)?;
    }
    Ok(())
}
