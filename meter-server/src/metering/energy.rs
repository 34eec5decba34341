//! Energies of the four quadrants, without loss.

use super::PHASES;

/// Energies are counted in thousandths of a watt-second (var-second, volt-ampere-second): so many are a watt-hour.
pub const MILLIJOULES_PER_WATT_HOUR: u64 = 3_600_000;

/// Energies of one phase, or of all, in mWs, mvars and mVAs. None of them ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Energy {
    /// Active energy imported.
    pub active_import: u64,
    /// Active energy exported.
    pub active_export: u64,
    /// Reactive energy by quadrant, I to IV.
    pub reactive: [u64; 4],
    /// Apparent energy while importing.
    pub apparent_import: u64,
    /// Apparent energy while exporting.
    pub apparent_export: u64,
}

/// What is left below a whole unit.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    active: [f64; 2],
    reactive: [f64; 4],
    apparent: [f64; 2],
}

/// Adds `value` (not negative) with what was left before; keeps what is left now.
fn count(register: &mut u64, rest: &mut f64, value: f64) {
    let whole = libm::floor((value + *rest).max(0.0));
    *rest = value + *rest - whole;
    // A saturating conversion; the register of 100 kW overflows after five thousand years.
    *register = register.saturating_add(whole as u64);
}

impl Energy {
    fn add(&mut self, rest: &mut Rest, active: f64, reactive: f64, apparent: f64) {
        let [import, export] = &mut rest.active;
        let [import_apparent, export_apparent] = &mut rest.apparent;
        if active >= 0.0 {
            count(&mut self.active_import, import, active);
            count(&mut self.apparent_import, import_apparent, apparent);
        } else {
            count(&mut self.active_export, export, -active);
            count(&mut self.apparent_export, export_apparent, apparent);
        }
        let ([i, ii, iii, iv], [ri, rii, riii, riv]) = (&mut self.reactive, &mut rest.reactive);
        match (active >= 0.0, reactive >= 0.0) {
            (true, true) => count(i, ri, reactive),
            (false, true) => count(ii, rii, reactive),
            (false, false) => count(iii, riii, -reactive),
            (true, false) => count(iv, riv, -reactive),
        }
    }
}

/// Energies of each phase and of all.
///
/// The quadrant of an interval is that of its energy: by phase for the phases, by the sum of the phases for the total,
/// so that a phase that exports while the others import does not show in the total (net metering over the phases).
#[derive(Clone, Copy, Debug, Default)]
pub struct Energies {
    phases: [Energy; PHASES],
    total: Energy,
    rests: [Rest; PHASES],
    total_rest: Rest,
}

impl Energies {
    /// Energies of one phase.
    #[must_use]
    pub fn phase(&self, phase: usize) -> Option<&Energy> {
        self.phases.get(phase)
    }

    /// Energies of the sum of the phases.
    #[must_use]
    pub const fn total(&self) -> &Energy {
        &self.total
    }

    /// Adds an interval: active, reactive and apparent energy of each phase in mWs.
    pub(super) fn add(&mut self, interval: [(f64, f64, f64); PHASES]) {
        let mut sum = (0.0, 0.0, 0.0);
        for ((energy, rest), (active, reactive, apparent)) in self.phases.iter_mut().zip(&mut self.rests).zip(interval)
        {
            energy.add(rest, active, reactive, apparent);
            sum = (sum.0 + active, sum.1 + reactive, sum.2 + apparent);
        }
        self.total.add(&mut self.total_rest, sum.0, sum.1, sum.2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_below_a_unit_and_quadrants_are_kept_apart() {
        let mut energies = Energies::default();
        for _ in 0..1_000 {
            energies.add([(0.25, 0.125, 0.5), (-0.25, 0.125, 0.5), (-0.5, -0.25, 1.0)]);
        }
        let phase = |phase| *energies.phase(phase).unwrap();
        assert_eq!(
            phase(0),
            Energy { active_import: 250, reactive: [125, 0, 0, 0], apparent_import: 500, ..Energy::default() }
        );
        assert_eq!(
            phase(1),
            Energy { active_export: 250, reactive: [0, 125, 0, 0], apparent_export: 500, ..Energy::default() }
        );
        assert_eq!(
            phase(2),
            Energy { active_export: 500, reactive: [0, 0, 250, 0], apparent_export: 1000, ..Energy::default() }
        );
        // The sum exports; its reactive energies cancel.
        assert_eq!(*energies.total(), Energy { active_export: 500, apparent_export: 2000, ..Energy::default() });
        assert_eq!(energies.phase(3), None);
    }
}
