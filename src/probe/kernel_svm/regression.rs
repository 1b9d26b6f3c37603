//! ε-support vector regression: what lies within ε of its target costs nothing.

use super::Settings;
use super::machine::Machine;
use super::smo::{Start, Task, Variable, solve};
use crate::probe::gram::Gram;

/// One training set for one cost after another; each fit starts where the last one ended.
#[derive(Debug)]
pub struct RegressionPath<'a> {
    gram: &'a Gram,
    /// Rows with their targets.
    items: Vec<(usize, f64)>,
    /// How far a value may be off.
    width: f64,
    last: Option<Start>,
    settings: Settings,
}

/// A fitted regression.
pub type Regression = Machine;

impl<'a> RegressionPath<'a> {
    /// `rows` of `gram` are trained on; `targets` are theirs, `width` is ε.
    pub fn new(gram: &'a Gram, rows: &[usize], targets: &[f64], width: f64) -> Self {
        let items = rows.iter().copied().zip(targets.iter().copied()).collect();
        Self { gram, items, width, last: None, settings: Settings::default() }
    }

    /// The same with other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Fits for a cost above zero.
    pub fn fit(&mut self, cost: f64) -> Regression {
        let task = self.task(cost);
        let solution = solve(self.gram, &task);
        let machine = Machine::new(&task, &solution);
        self.last = Some(solution.start(&task, cost));
        machine
    }

    fn task(&self, cost: f64) -> Task {
        // Each item has a multiplier for what lies above its value and one for what lies below.
        let sides = [(-self.width, 0.0, cost), (self.width, -cost, 0.0)];
        let count = self.items.len();
        let start = Start::of(self.last.as_ref(), cost);
        let variable = |at: usize| {
            let (width, lower, upper) = sides[at / count];
            let (item, target) = self.items[at % count];
            let value = start(at).clamp(lower, upper);
            Variable { item, target: target + width, lower, upper, value }
        };
        Task {
            variables: (0..2 * count).map(variable).collect(),
            tolerance: self.settings.tolerance,
            most_steps: self.settings.most_steps,
        }
    }
}
