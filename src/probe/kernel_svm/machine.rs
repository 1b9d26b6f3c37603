//! One machine: a weighted sum of kernel values.

use super::smo::{Solution, Task};
use crate::probe::gram::Gram;
use crate::probe::newton::Stop;

/// Σ cᵢ k(xᵢ, x) + b
#[derive(Clone, Debug)]
pub struct Machine {
    /// Rows of the kernel matrix that support it, ascending.
    pub items: Vec<usize>,
    /// What each of them counts.
    pub coefficients: Vec<f64>,
    /// b
    pub bias: f64,
    /// The dual's value, ½ β'Kβ − t'β; its negative is what the primal cannot go below.
    pub objective: f64,
    /// By how much the optimality conditions are violated.
    pub violation: f64,
    /// Pairs of multipliers that were moved.
    pub steps: usize,
    /// Why it stopped.
    pub stop: Stop,
}

impl Machine {
    /// Multipliers of one item are added.
    pub(super) fn new(task: &Task, solution: &Solution) -> Self {
        let values = task.variables.iter().zip(&solution.values);
        let mut terms: Vec<(usize, f64)> =
            values.map(|(variable, value)| (variable.item, *value)).collect();
        terms.sort_by_key(|(item, _)| *item);
        terms.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0.0 };
            same
        });
        terms.retain(|(_, value)| value.abs() > 0.0);
        Self {
            items: terms.iter().map(|(item, _)| *item).collect(),
            coefficients: terms.iter().map(|(_, value)| *value).collect(),
            bias: solution.bias,
            objective: solution.objective,
            violation: solution.violation,
            steps: solution.steps,
            stop: solution.stop,
        }
    }

    /// The same, its items named by their positions in `support` (ascending).
    #[must_use]
    pub fn among(mut self, support: &[usize]) -> Self {
        for item in &mut self.items {
            *item = support.partition_point(|known| known < item);
        }
        self
    }

    /// What it says of an item whose kernel values with the items of the matrix are `values`.
    pub fn value(&self, values: impl Fn(usize) -> f64) -> f64 {
        let terms = self.items.iter().zip(&self.coefficients);
        terms.map(|(item, coefficient)| coefficient * values(*item)).sum::<f64>() + self.bias
    }

    /// What it says of a row of the matrix.
    pub fn of_row(&self, gram: &Gram, item: usize) -> f64 {
        let row = gram.values(item);
        self.value(|item| f64::from(row[item]))
    }
}
