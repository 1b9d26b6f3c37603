//! The approximate inverse of the second derivatives, which is kept along a path: first one for all
//! columns, of their mean curvature, and where steps take long one for each column.
//!
//! It is made anew when the rounds that its age has cost are worth what that takes: whatever comes
//! after, no more than twice the work is done that foresight would have done.

use ndarray::Array2;

use crate::kernels::lanes::LANES;
use crate::probe::narrow::{Layout, Triangle};
use crate::probe::threads;

use super::problem::{Point, Problem};

/// Curvatures with their factors.
#[derive(Debug, Default)]
pub(super) struct Approximation {
    /// None yet, one for all columns, or one for each.
    curvatures: Vec<Array2<f32>>,
    factors: Vec<Option<Triangle>>,
    /// The cost that the factors are made for, and the one they were used for last.
    cost: f64,
    used_for: f64,
    /// The cost that curvatures were measured at.
    measured_at: f64,
    by_column: bool,
    /// Rounds of the last step that used it.
    rounds: usize,
    /// Rounds for each e-fold of what a step leaves, while the curvature was fresh.
    fresh: Option<f64>,
    /// Rounds that another cost has cost since the factors were made.
    lost_to_cost: f64,
    /// Rounds that the curvature's age has cost.
    lost_to_age: f64,
    /// Items of all curvatures.
    items: usize,
    /// By how much it overstated the curvature in the last steps.
    pub(super) slack: f64,
}

/// Rounds in a step above which each column gets a curvature of its own.
const TIRED: usize = 30;
/// Values of all curvatures of columns at most: 256 MiB, and half as much for their factors.
const MOST_VALUES: usize = 64 << 20;
/// Costs that factors serve are apart by less.
const APART: f64 = 16.0;
/// Costs that a curvature serves are apart by less: what it overstates is not always seen.
const OLD: f64 = 100.0;
/// Time of a multiplication in a factorisation and in a round, in those of a product of matrices.
const OF_FACTOR: f64 = 3.0;
const OF_ROUND: f64 = 1.2;

/// What counts of an overstatement after another step.
const REMEMBERED: f64 = 0.9;

/// What work takes, in multiplications of a product of matrices.
struct Prices<'a>(&'a Problem);

impl Prices<'_> {
    fn width(&self) -> f64 {
        self.0.features.width() as f64
    }

    fn round(&self) -> f64 {
        let both = 2.0 * self.0.features.items() as f64 + self.width();
        OF_ROUND * both * self.width() * self.0.columns.used as f64
    }

    fn factors(&self, count: usize) -> f64 {
        OF_FACTOR * count as f64 * self.width().powi(3) / 6.0
    }

    fn curvatures(&self, items: usize) -> f64 {
        items as f64 * self.width().powi(2) / 2.0
    }
}

impl Approximation {
    /// Makes it fit for a step from a point.
    pub(super) fn prepare(&mut self, problem: &Problem, point: &Point, cost: f64) {
        let prices = Prices(problem);
        let factors = prices.factors(self.curvatures.len());
        let all = prices.curvatures(self.items) + factors;
        let is_old = apart(cost, self.measured_at) > OLD;
        if self.curvatures.is_empty() || is_old || self.lost_to_age * prices.round() > all {
            self.measure(problem, point);
            self.measured_at = cost;
            self.factors.clear();
        }
        let is_far = apart(cost, self.cost) > APART;
        if self.factors.is_empty() || is_far || self.lost_to_cost * prices.round() > factors {
            let factor = |curvature| problem.inverse(curvature, cost);
            self.factors = self.curvatures.iter().map(factor).collect();
            self.cost = cost;
            self.lost_to_cost = 0.0;
        }
        self.used_for = cost;
    }

    /// Learns from a step how long it took, by what factor it brought down what was left, and by how
    /// much at most the curvature along its way was overstated.
    pub(super) fn learn(&mut self, rounds: usize, reduction: f64, slack: f64) {
        // Short steps see little of it.
        self.slack = slack.max(REMEMBERED * self.slack);
        self.rounds = rounds;
        let idle = rounds as f64 * (1.0 - apart(self.used_for, self.cost).sqrt().recip());
        self.lost_to_cost += idle;
        let needed = rounds as f64 - idle;
        let folds = reduction.max(f64::MIN_POSITIVE).ln().max(1.0);
        let fresh = *self.fresh.get_or_insert(needed / folds);
        self.lost_to_age += (needed - fresh * folds).max(0.0);
    }

    fn measure(&mut self, problem: &Problem, point: &Point) {
        (self.fresh, self.lost_to_age) = (None, 0.0);
        let (width, used) = (problem.features.width(), problem.columns.used);
        let fits = used > 1 && used * width * width <= MOST_VALUES;
        if fits && (self.by_column || self.rounds > TIRED) {
            let items: Vec<_> =
                (0..used).map(|column| problem.curved_items(point, Some(column))).collect();
            let count = items.iter().map(Vec::len).sum();
            let prices = Prices(problem);
            let price = prices.curvatures(count) + prices.factors(used);
            self.by_column |= price < self.rounds as f64 * prices.round();
            if self.by_column {
                self.items = count;
                self.curvatures.clear();
                self.curvatures.extend(items.iter().map(|items| problem.curvature(items)));
                return;
            }
        }
        let items = problem.curved_items(point, None);
        self.items = items.len();
        self.curvatures = vec![problem.curvature(&items)];
    }

    /// The inverse times values.
    pub(super) fn apply(&self, problem: &Problem, values: &[f64]) -> Vec<f64> {
        match self.factors.as_slice() {
            [Some(factor)] if !self.by_column => {
                let layout = problem.layout();
                let (mut values, scale) = problem.narrowed(values);
                factor.solve(layout, &mut values, problem.threads);
                problem.widened(&values, factor.factor() / scale)
            }
            factors if self.by_column => apply_by_column(problem, factors, values),
            _ => values.to_vec(),
        }
    }
}

/// By what factor two costs are apart.
fn apart(a: f64, b: f64) -> f64 {
    if a > b { a / b } else { b / a }
}

fn apply_by_column(problem: &Problem, factors: &[Option<Triangle>], values: &[f64]) -> Vec<f64> {
    let (width, columns) = (problem.features.width(), problem.columns);
    let (layout, one) = (problem.layout(), Layout::new(1, width));
    let (narrow, scale) = problem.narrowed(values);
    let work = |column: usize, factor: &Option<Triangle>| {
        let factor = factor.as_ref()?;
        let mut values = one.zeros();
        for feature in 0..width {
            let (eight, lane) = layout.at(feature, column);
            values[feature / LANES][feature % LANES] = narrow[eight][lane];
        }
        factor.solve(one, &mut values, 1);
        Some((values, factor.factor()))
    };
    let parts = threads::each_part(problem.threads, factors, work);
    let mut solved = values.to_vec();
    for (column, part) in parts.iter().enumerate() {
        let Some((values, factor)) = part else { continue };
        let factor = factor / scale;
        for feature in 0..width {
            let value = f64::from(values[feature / LANES][feature % LANES]);
            solved[columns.at(width, feature, column)] = factor * value;
        }
    }
    problem.balance(&mut solved);
    solved
}
