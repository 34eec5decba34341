//! What a photovoltaic generator makes of the sun, in the mean over the weather.

use std::f64::consts::{PI, TAU};

use super::shape::YEAR;

/// Watt-hours that a watt of peak power yields in a year: near 1000 in Central Europe.
pub(crate) const FULL_LOAD_HOURS: f64 = 980.0;
/// Slope of the modules in degrees; they face the equator.
const SLOPE: f64 = 30.0;
/// Hours from midnight of standard time to the highest sun: a quarter past twelve, in the west of a time zone.
const NOON: f64 = 12.25;

/// Power (of an arbitrary unit) at a part of the year and an hour of the day, at a latitude in degrees.
///
/// Declination after Cooper, the beam through the air mass as 0.7 to the power of its 0.678th (Meinel), a tenth of it
/// diffuse, and a sky that is clearer in summer.
pub(crate) fn power(latitude: f64, of_year: f64, hour: f64) -> f64 {
    let day = of_year * YEAR;
    let declination = 23.45_f64.to_radians() * (TAU * (284.0 + day) / 365.0).sin();
    let hour_angle = (hour - NOON) * PI / 12.0;
    let height =
        |latitude: f64| latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
    let (here, slope) = (latitude.to_radians(), SLOPE.to_radians());
    let elevation = height(here);
    // The sun is behind hills and houses near the horizon.
    if elevation < 0.03 {
        return 0.0;
    }
    let beam = 0.7_f64.powf((1.0 / elevation).powf(0.678));
    let incidence = height(here - slope * here.signum()).max(0.0);
    // The longest day of the north is near day 172, that of the south half a year later.
    let summer = (TAU * (day - 172.0) / YEAR).cos() * here.signum();
    beam * (incidence + 0.1) * (0.55 + 0.15 * summer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_month(latitude: f64, month: usize) -> f64 {
        let of_year = (month as f64 + 0.5) / 12.0;
        (0..96).map(|quarter| power(latitude, of_year, f64::from(quarter) / 4.0)).sum()
    }

    #[test]
    fn the_year_of_a_generator_is_that_of_its_latitude() {
        let year: f64 = (0..12).map(|month| of_month(50.0, month)).sum();
        // In Germany, May to July make a bit over a third of a year's yield, November to January less than a tenth.
        let summer: f64 = (4..7).map(|month| of_month(50.0, month)).sum::<f64>() / year;
        let winter = [10, 11, 0].map(|month| of_month(50.0, month)).iter().sum::<f64>() / year;
        assert!((0.33..0.42).contains(&summer), "{summer}");
        assert!((0.04..0.10).contains(&winter), "{winter}");
        // Nearer to the equator the year is more even, and in the south it is the other way round.
        assert!(of_month(25.0, 5) / of_month(25.0, 11) < of_month(50.0, 5) / of_month(50.0, 11));
        assert!(of_month(-35.0, 11) > of_month(-35.0, 5));
    }

    #[test]
    fn the_sun_shines_by_day() {
        for (of_year, dark) in [(0.97, [7.5, 16.75]), (0.47, [3.75, 20.75])] {
            assert!(power(50.0, of_year, dark[0]).abs() < 1e-12, "{of_year}");
            assert!(power(50.0, of_year, dark[1]).abs() < 1e-12, "{of_year}");
            assert!(power(50.0, of_year, 12.0) > 0.0);
        }
    }
}
