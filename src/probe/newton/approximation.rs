//! The approximate inverse of the second derivatives, which is kept along a path: first one for all
//! columns, of their mean curvature, and where steps take long one for each column.

use ndarray::Array2;

use crate::probe::cholesky::Cholesky;
use crate::probe::packed::Columns;
use crate::probe::threads;

use super::problem::{Point, Problem};

/// Curvatures with their factors.
#[derive(Debug, Default)]
pub(super) struct Approximation {
    /// None yet, one for all columns, or one for each.
    curvatures: Vec<Array2<f64>>,
    factors: Vec<Option<Cholesky>>,
    /// The cost that the factors are made for.
    cost: f64,
    by_column: bool,
    /// Rounds of the last step that used it.
    pub(super) rounds: usize,
    /// By how much it overstated the curvature then.
    pub(super) slack: f64,
}

/// Rounds in a step above which curvatures are measured anew.
const TIRED: usize = 9;
/// The same of those of columns, which take longer.
const TIRED_OF_COLUMNS: usize = 30;
/// Values of all curvatures of columns at most: 512 MiB, and as much for their factors.
const MOST_VALUES: usize = 64 << 20;

impl Approximation {
    /// Makes it fit for a step from a point.
    pub(super) fn prepare(&mut self, problem: &Problem, point: &Point, cost: f64) {
        let tired = if self.by_column { TIRED_OF_COLUMNS } else { TIRED };
        if self.curvatures.is_empty() || self.rounds > tired {
            self.measure(problem, point);
            self.factors.clear();
        }
        if self.factors.is_empty() || self.cost.total_cmp(&cost).is_ne() {
            let factor = |curvature| problem.inverse(curvature, cost);
            self.factors = self.curvatures.iter().map(factor).collect();
            self.cost = cost;
        }
        self.rounds = 0;
    }

    fn measure(&mut self, problem: &Problem, point: &Point) {
        let (width, used) = (problem.features.width(), problem.columns.used);
        let fits = used > 1 && used * width * width <= MOST_VALUES;
        if fits && (self.by_column || self.rounds > TIRED_OF_COLUMNS) {
            let items: Vec<_> =
                (0..used).map(|column| problem.curved_items(point, Some(column))).collect();
            let count: usize = items.iter().map(Vec::len).sum();
            // Multiplications, of which a product of whole matrices does two in the time of one.
            let price = width * width * (count / 2 + used * width / 6) / 2;
            let round = 2 * problem.features.items() * width * problem.columns.padded();
            self.by_column |= price < self.rounds * round;
            if self.by_column {
                self.curvatures.clear();
                self.curvatures.extend(items.iter().map(|items| problem.curvature(items)));
                return;
            }
        }
        self.curvatures = vec![problem.curvature(&problem.curved_items(point, None))];
    }

    /// The inverse times values.
    pub(super) fn apply(&self, problem: &Problem, values: &[f64]) -> Vec<f64> {
        match self.factors.as_slice() {
            [Some(factor)] if !self.by_column => {
                let mut values = values.to_vec();
                factor.solve(problem.columns, &mut values, problem.threads);
                values
            }
            factors if self.by_column => apply_by_column(problem, factors, values),
            _ => values.to_vec(),
        }
    }
}

fn apply_by_column(problem: &Problem, factors: &[Option<Cholesky>], values: &[f64]) -> Vec<f64> {
    let (width, columns) = (problem.features.width(), problem.columns);
    let one = Columns::new(1);
    let mut solved = values.to_vec();
    let work = |column: usize, factor: &Option<Cholesky>| {
        let mut values: Vec<f64> = vec![0.0; one.length(width)];
        for feature in 0..width {
            values[one.at(width, feature, 0)] = solved[columns.at(width, feature, column)];
        }
        if let Some(factor) = factor {
            factor.solve(one, &mut values, 1);
        }
        values
    };
    let parts = threads::each_part(problem.threads, factors, work);
    for (column, values) in parts.iter().enumerate() {
        for feature in 0..width {
            solved[columns.at(width, feature, column)] = values[one.at(width, feature, 0)];
        }
    }
    problem.balance(&mut solved);
    solved
}
