//! The course of a training: which layer groups learn from which step on, and how fast.

use crate::base::language::{Above0, Count, choice, keys};

use super::schedule::Schedule;

choice! {
    /// When layer groups begin to learn. A group that does not learn yet is as if frozen: no step,
    /// no momentum, no decay, and its normalisations keep their statistics.
    pub enum Unfreeze {
        /// All at once.
        "at_once" => AtOnce,
        /// In the first epoch the head alone, then one more layer group from the top each epoch
        /// (Howard & Ruder 2018). Patience counts only once all of them learn.
        "gradual" => Gradual(Gradual),
        /// First the head alone, then everything.
        "head_first" => HeadFirst(HeadFirst),
    }
}

keys! {
    /// One more layer group at a time.
    pub struct Gradual {
        /// Epochs until the next group begins.
        epochs: Count = Count(1),
    }
}

keys! {
    /// The head alone, then everything.
    pub struct HeadFirst {
        /// Epochs in which the head learns alone; they are part of the whole length.
        epochs: Count = Count(1),
        /// Factor on the learning rate while it does.
        lr: Above0 = Above0::ONE,
        /// How the learning rate changes while it does; the training's own schedule then runs over
        /// the rest.
        schedule: Schedule = Schedule::Constant,
    }
}

impl Unfreeze {
    /// The head alone for some epochs, at its rate times `lr` and by a schedule of its own.
    ///
    /// # Panics
    /// If `lr` is not above 0.
    pub fn head_first(epochs: usize, lr: f64, schedule: Schedule) -> Self {
        let lr = Above0::new(lr).expect("above 0");
        Self::HeadFirst(HeadFirst { epochs: Count(epochs), lr, schedule })
    }

    /// The cohort of a parameter so many layer groups below the head: cohorts begin one after the
    /// other.
    pub fn cohort(&self, depth: usize) -> usize {
        match self {
            Self::AtOnce => 0,
            Self::Gradual(_) => depth,
            Self::HeadFirst(_) => depth.min(1),
        }
    }

    /// Epochs before everything learns, given the number of cohorts.
    pub fn epochs(&self, cohorts: usize) -> usize {
        match self {
            Self::AtOnce => 0,
            Self::Gradual(gradual) => gradual.epochs.0 * (cohorts.max(1) - 1),
            Self::HeadFirst(head) => head.epochs.0,
        }
    }
}

/// A stretch of training in which the same cohorts learn.
#[derive(Clone, Debug, PartialEq)]
struct Phase {
    /// Its first step.
    start: usize,
    /// Cohorts that learn: those before this one.
    learning: usize,
    /// Factor on the learning rate.
    rate: f64,
    schedule: Schedule,
    /// The steps that the schedule runs over.
    over: std::ops::Range<usize>,
}

/// The course of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    phases: Vec<Phase>,
}

impl Course {
    /// The course over `total` steps, `per_epoch` of which are an epoch, of a network whose
    /// parameters are in `cohorts` cohorts.
    pub fn new(
        schedule: &Schedule,
        unfreeze: &Unfreeze,
        cohorts: usize,
        per_epoch: usize,
        total: usize,
    ) -> Self {
        let phase = |start: usize, learning: usize, over| Phase {
            start,
            learning,
            rate: 1.0,
            schedule: schedule.clone(),
            over,
        };
        let mut phases = match unfreeze {
            Unfreeze::AtOnce => vec![phase(0, cohorts, 0..total)],
            Unfreeze::Gradual(gradual) => {
                let every = gradual.epochs.0 * per_epoch;
                (0..cohorts.max(1)).map(|k| phase(k * every, k + 1, 0..total)).collect()
            }
            Unfreeze::HeadFirst(first) => {
                let end = (first.epochs.0 * per_epoch).min(total);
                let alone = Phase {
                    rate: first.lr.get(),
                    schedule: first.schedule.clone(),
                    ..phase(0, 1, 0..end)
                };
                vec![alone, phase(end, cohorts, end..total)]
            }
        };
        // What would begin after the end never begins.
        phases.retain(|phase| phase.start < total || phase.start == 0);
        Self { phases }
    }

    /// Number of phases, each with a step graph of its own.
    pub fn phases(&self) -> usize {
        self.phases.len()
    }

    /// Cohorts that learn in a phase.
    pub fn learning(&self, phase: usize) -> usize {
        self.phases[phase].learning
    }

    /// The phase of a step, from 0.
    pub(super) fn phase(&self, step: usize) -> usize {
        self.phases.partition_point(|phase| phase.start <= step).saturating_sub(1)
    }

    /// The factor on the learning rate at a step.
    pub(super) fn factor(&self, step: usize) -> f64 {
        let phase = &self.phases[self.phase(step)];
        let (since, length) = (step.saturating_sub(phase.over.start), phase.over.len());
        phase.rate * phase.schedule.factor(since, length)
    }

    /// Steps that a cohort will have learnt for when this step is done.
    pub(super) fn learnt(&self, cohort: usize, step: usize) -> usize {
        let first = self.phases.iter().find(|phase| phase.learning > cohort);
        (step + 1).saturating_sub(first.map_or(0, |phase| phase.start)).max(1)
    }

    /// Whether nothing is left that begins later.
    pub(super) fn all_learn(&self, step: usize) -> bool {
        self.phase(step) + 1 == self.phases.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::defaults;

    fn learning(course: &Course, steps: std::ops::Range<usize>) -> Vec<usize> {
        steps.map(|step| course.learning(course.phase(step))).collect()
    }

    #[test]
    fn gradual_unfreezing_adds_one_group_an_epoch() {
        // Epoch e trains the top e groups: never three in the second.
        let unfreeze = Unfreeze::Gradual(defaults());
        let course = Course::new(&Schedule::Constant, &unfreeze, 4, 3, 18);
        let expected = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4];
        assert_eq!(learning(&course, 0..18), expected);
        assert_eq!(unfreeze.epochs(4), 3);
        assert!(!course.all_learn(8) && course.all_learn(9));
        let learnt: Vec<usize> = (0..4).map(|cohort| course.learnt(cohort, 9)).collect();
        assert_eq!(learnt, [10, 7, 4, 1]);
    }

    #[test]
    fn groups_whose_time_never_comes_stay_frozen() {
        let unfreeze = Unfreeze::Gradual(Gradual { epochs: Count(2) });
        let course = Course::new(&Schedule::Constant, &unfreeze, 5, 2, 6);
        assert_eq!(learning(&course, 0..6), [1, 1, 1, 1, 2, 2]);
        assert_eq!(course.phases(), 2);
    }

    #[test]
    fn the_head_learns_alone_at_its_own_rate() {
        let first = HeadFirst { lr: Above0::new(2.0).unwrap(), ..defaults() };
        let schedule = Schedule::Linear(defaults());
        let course = Course::new(&schedule, &Unfreeze::HeadFirst(first), 2, 4, 12);
        assert_eq!(learning(&course, 0..12)[..5], [1, 1, 1, 1, 2]);
        let factors: Vec<f64> = [0, 3, 4, 8].map(|step| course.factor(step)).to_vec();
        assert_eq!(factors, [2.0, 2.0, 1.0, 0.5]);
    }

    #[test]
    fn a_course_without_phases_is_its_schedule() {
        let schedule = Schedule::Cosine(defaults());
        let course = Course::new(&schedule, &Unfreeze::AtOnce, 1, 4, 12);
        for step in 0..=12 {
            assert_eq!(course.factor(step).to_bits(), schedule.factor(step, 12).to_bits());
        }
        assert_eq!(course.learnt(0, 0), 1);
    }
}
