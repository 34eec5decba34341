//! Fairness between plans: whoever has had least of its share comes next.

use std::collections::BTreeMap;

use crate::{operation::Priority, plan::PlanId};

/// What each plan has had, in turns divided by its share.
#[derive(Debug, Default)]
pub(super) struct Shares {
    had: BTreeMap<PlanId, f64>,
}

const fn weight(priority: Priority) -> f64 {
    match priority {
        Priority::Low => 1.0,
        Priority::Normal => 2.0,
        Priority::High => 4.0,
    }
}

impl Shares {
    /// Which of the plans that have work comes next. A plan that had no work for a while gets no more for it.
    pub(super) fn next<'a>(&mut self, ready: impl Iterator<Item = (&'a PlanId, Priority)>) -> Option<PlanId> {
        let ready: Vec<_> = ready.collect();
        let least = ready.iter().filter_map(|(id, _)| self.had.get(*id).copied()).fold(f64::INFINITY, f64::min);
        let floor = if least.is_finite() { least } else { 0.0 };
        // Those without work fall out, and come back at the level of the least of the others.
        self.had.retain(|known, _| ready.iter().any(|(id, _)| *id == known));
        for (id, _) in &ready {
            self.had.entry((*id).clone()).or_insert(floor);
        }
        let had = |id: &PlanId| self.had.get(id).copied().unwrap_or(floor);
        let (id, priority) = ready.iter().min_by(|(one, _), (other, _)| had(one).total_cmp(&had(other)))?;
        if let Some(had) = self.had.get_mut(*id) {
            *had += 1.0 / weight(*priority);
        }
        Some((*id).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(shares: &mut Shares, plans: &[(PlanId, Priority)], count: usize) -> Vec<usize> {
        let mut had = vec![0; plans.len()];
        for _ in 0..count {
            let next = shares.next(plans.iter().map(|(id, priority)| (id, *priority))).unwrap();
            had[plans.iter().position(|(id, _)| *id == next).unwrap()] += 1;
        }
        had
    }

    #[test]
    fn plans_have_turns_by_their_priority_and_saved_none_while_they_had_no_work() {
        let plan = |name: &str, priority| (name.parse::<PlanId>().unwrap(), priority);
        let plans = [plan("a", Priority::High), plan("b", Priority::Normal), plan("c", Priority::Low)];
        let mut shares = Shares::default();
        assert_eq!(turns(&mut shares, &plans[..1], 100), [100]);
        let had = turns(&mut shares, &plans, 70);
        assert!((38..=42).contains(&had[0]) && (18..=22).contains(&had[1]) && (9..=12).contains(&had[2]), "{had:?}");
        assert_eq!(shares.next(std::iter::empty()), None);
    }
}
