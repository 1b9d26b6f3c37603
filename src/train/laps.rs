//! What a training had used at each of its looks at val, over all runs that worked on it.

use crate::store::{Energy, Laps, Spent};

/// Why what a run goes on from makes no sum.
const UNCOUNTED: &str = "the run that began it could not count";

/// Counts from look to look.
#[derive(Debug)]
pub(super) struct Counting {
    laps: Laps,
    /// What earlier runs had used by the look that this one goes on from.
    seconds: f64,
    joules: Option<f64>,
}

impl Counting {
    /// Nothing has been used yet.
    pub(super) fn new() -> Self {
        Self { laps: Laps::default(), seconds: 0.0, joules: Some(0.0) }
    }

    /// Goes on from what earlier runs had counted at these many looks.
    pub(super) fn after(laps: Laps, looks: usize) -> Self {
        match (laps.seconds.last(), laps.joules.last()) {
            (Some(&seconds), Some(&joules)) if laps.seconds.len() == looks => {
                Self { laps, seconds, joules }
            }
            // What is missing cannot be told by whoever goes on.
            _ => Self { laps: Laps::default(), seconds: 0.0, joules: None },
        }
    }

    /// What earlier runs had used; nothing where there were none, or nobody counted.
    pub(super) fn earlier(&self) -> Option<Spent> {
        let unknown = || self.laps.reason.clone().unwrap_or_else(|| UNCOUNTED.to_owned());
        let energy = self.joules.ok_or_else(unknown).map(|joules| Energy {
            joules,
            scope: self.laps.scope.clone().unwrap_or_default(),
            source: self.laps.source.clone().unwrap_or_default(),
        });
        (self.seconds > 0.0).then_some(Spent { seconds: self.seconds, energy })
    }

    /// What was counted so far.
    pub(super) fn laps(&self) -> &Laps {
        &self.laps
    }

    /// A look at val, at which the work of this run had used this.
    pub(super) fn look(&mut self, spent: Spent) {
        let laps = &mut self.laps;
        laps.seconds.push(self.seconds + spent.seconds);
        let joules = match (spent.energy, self.joules) {
            (Ok(energy), Some(before)) => {
                let is_same = laps.source.as_ref().is_none_or(|source| *source == energy.source);
                laps.scope = Some(match &laps.scope {
                    Some(scope) => Energy::scope_of_both(scope, &energy.scope),
                    None => energy.scope,
                });
                laps.source.get_or_insert(energy.source);
                match is_same {
                    true => Ok(before + energy.joules),
                    false => Err("what counts the energy changed meanwhile".to_owned()),
                }
            }
            (Ok(_), None) => Err(UNCOUNTED.to_owned()),
            (Err(reason), _) => Err(reason),
        };
        laps.joules.push(joules.as_ref().ok().copied());
        if let Err(reason) = joules {
            laps.reason.get_or_insert(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(joules: f64, scope: &str, source: &str) -> Energy {
        Energy { joules, scope: scope.to_owned(), source: source.to_owned() }
    }

    fn counted(mut counting: Counting, spent: Vec<(f64, Result<Energy, String>)>) -> Laps {
        for (seconds, energy) in spent {
            counting.look(Spent { seconds, energy });
        }
        counting.laps
    }

    #[test]
    fn whoever_goes_on_adds_to_what_was_counted_before() {
        let first = counted(
            Counting::new(),
            vec![
                (0.5, Ok(energy(4.0, "processors", "powercap"))),
                (1.0, Ok(energy(9.0, "processors, shared by cores", "powercap"))),
            ],
        );
        let then = vec![(0.25, Ok(energy(2.0, "processors, shared machine", "powercap")))];
        let going_on = Counting::after(first, 2);
        let earlier = going_on.earlier().unwrap();
        assert_eq!((earlier.seconds, earlier.energy.map(|energy| energy.joules)), (1.0, Ok(9.0)));
        let all = counted(going_on, then);
        assert_eq!(all.seconds, [0.5, 1.0, 1.25]);
        assert_eq!(all.joules, [Some(4.0), Some(9.0), Some(11.0)]);
        assert_eq!(all.scope.as_deref(), Some("processors, shared by cores, shared machine"));
        assert_eq!((all.source.as_deref(), all.reason), (Some("powercap"), None));
    }

    #[test]
    fn what_was_not_counted_is_not_known_and_says_why() {
        let short = || Err("too short for the GPU's counter".to_owned());
        let spent = vec![(0.1, short()), (2.0, Ok(energy(7.0, "GPU", "nvml")))];
        let laps = counted(Counting::new(), spent);
        assert_eq!(laps.joules, [None, Some(7.0)]);
        assert_eq!(laps.reason.as_deref(), Some("too short for the GPU's counter"));
        let broken = counted(Counting::new(), vec![(0.1, short())]);
        let then = vec![(1.0, Ok(energy(3.0, "GPU", "nvml")))];
        assert_eq!(counted(Counting::after(broken, 1), then).joules, [None, None]);
    }

    #[test]
    fn another_counter_is_not_added_to_the_first() {
        let spent = vec![
            (1.0, Ok(energy(5.0, "processors and GPU", "powercap+nvml"))),
            (2.0, Ok(energy(3.0, "processors", "powercap"))),
        ];
        let laps = counted(Counting::new(), spent);
        assert_eq!(laps.joules, [Some(5.0), None]);
        assert_eq!(laps.reason.as_deref(), Some("what counts the energy changed meanwhile"));
    }

    #[test]
    fn a_draft_without_counts_makes_none_up() {
        let then = vec![(1.0, Ok(energy(3.0, "processors", "powercap")))];
        let laps = counted(Counting::after(Laps::default(), 2), then);
        assert_eq!((laps.seconds.len(), laps.joules), (1, vec![None]));
        assert_eq!(Counting::after(Laps::default(), 2).earlier(), None);
        assert_eq!(Counting::new().earlier(), None);
    }
}
