//! Fits of one training set for one cost after another.

use ndarray::{Array1, Array2, ArrayView2};

use crate::probe::narrow::Narrow;
use crate::probe::packed::{Columns, Packed};

use super::Stop;
use super::approximation::Approximation;
use super::link::Link;
use super::minimise::minimise;
use super::problem::{Point, Problem};

/// When a fit is good enough: its gradient is below `tolerance`, and what J can still fall by is
/// about a thousandth of that as a share of J.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tolerance: f64,
    /// Rounds over the features at most.
    pub(crate) most_rounds: usize,
    /// What a column's gradient is measured in, for a cost of 1.
    pub(crate) units: Units,
}

/// What gradients are measured in.
#[derive(Clone, Debug)]
pub(crate) enum Units {
    /// ‖∇J‖∞ in units of C × the weights of the items.
    Items(Vec<f64>),
    /// ‖∇J‖₂ in units of what it is at zero, times a share of each column.
    Start(Vec<f64>),
}

impl Asked {
    /// The size of a gradient, of each column.
    pub(super) fn sizes(&self, problem: &Problem, gradient: &[f64], cost: f64) -> Vec<f64> {
        let (sizes, units) = match &self.units {
            Units::Items(units) => (problem.largest(gradient), units),
            Units::Start(units) => {
                let squares = problem.dots(gradient, gradient);
                (squares.into_iter().map(f64::sqrt).collect(), units)
            }
        };
        let unit = |at: usize| (cost * units.get(at).unwrap_or(&1.0)).max(f64::MIN_POSITIVE);
        sizes.iter().enumerate().map(|(at, size)| size / unit(at)).collect()
    }
}

/// A fit for one cost.
pub(crate) struct Reached {
    /// Features × columns.
    pub(crate) weights: Array2<f64>,
    pub(crate) biases: Array1<f64>,
    /// J of each column; of columns that meet in one loss, the same for all.
    pub(crate) objectives: Vec<f64>,
    /// ‖W‖² of each column, or of all.
    pub(crate) norms: Vec<f64>,
    /// Of each column, in the units of what was asked.
    pub(crate) gradients: Vec<f64>,
    /// Of each column: ½ ‖∇J by W‖² + |b ∇J by b|, a bound on what a squared hinge can still gain.
    pub(crate) gaps: Vec<f64>,
    pub(crate) rounds: usize,
    pub(crate) steps: usize,
    pub(crate) stops: Vec<Stop>,
}

/// One training set, and what earlier fits of it taught.
#[derive(Debug)]
pub(crate) struct Path {
    problem: Problem,
    asked: Asked,
    approximation: Approximation,
    /// The last fit with its cost, and the one before.
    last: Option<(f64, Point)>,
    before: Option<(f64, Vec<f64>)>,
}

impl Path {
    /// `features` are items × features; there are as many columns as `link` has.
    pub(crate) fn new(
        features: &ArrayView2<'_, f64>,
        columns: usize,
        link: Link,
        penalised_bias: bool,
        threads: usize,
    ) -> Self {
        let features = Packed::new(features, true, threads);
        let units = Units::Items(link.weights(columns));
        let columns = Columns::new(columns);
        let narrow = Narrow::new(&features, threads);
        let problem = Problem { features, narrow, columns, link, penalised_bias, threads };
        let asked = Asked { tolerance: 1e-4, most_rounds: 1000, units };
        let approximation = Approximation::default();
        Self { problem, asked, approximation, last: None, before: None }
    }

    pub(crate) fn ask(&mut self, tolerance: f64, most_rounds: usize) {
        self.asked.tolerance = tolerance;
        self.asked.most_rounds = most_rounds;
    }

    /// Measures each column's gradient by its share of what it is at zero, as liblinear does.
    pub(crate) fn measure_from_start(&mut self, shares: &[f64]) {
        let start = self.problem.at(vec![0.0; self.problem.length()]);
        let squares = self.problem.dots(&start.slope, &start.slope);
        let units = squares.iter().zip(shares).map(|(square, share)| square.sqrt() * share);
        self.asked.units = Units::Start(units.collect());
        self.last = Some((0.0, start));
    }

    /// Fits for a cost above zero.
    pub(crate) fn fit(&mut self, cost: f64) -> Reached {
        let (start, rounds) = self.start(cost);
        let mut end = minimise(&self.problem, cost, start, &mut self.approximation, &self.asked);
        end.rounds += rounds - 1;
        let used = self.problem.columns.used;
        let (weights, biases) = self.weights(&end.point.values);
        let of_used = |mut values: Vec<f64>| {
            values.truncate(used);
            values
        };
        end.stops.truncate(used);
        let reached = Reached {
            weights,
            biases,
            objectives: of_used(end.point.objectives(cost)),
            norms: of_used(end.point.norms.clone()),
            gradients: of_used(end.gradients),
            gaps: of_used(self.gaps(&end.point, cost)),
            rounds: end.rounds,
            steps: end.steps,
            stops: end.stops,
        };
        let last = self.last.replace((cost, end.point));
        self.before = last.map(|(cost, point)| (cost, point.values));
        reached
    }

    /// Where a fit starts, and how many rounds it took to find out.
    fn start(&mut self, cost: f64) -> (Point, usize) {
        let Some((last_cost, last)) = self.last.take() else {
            return (self.problem.at(vec![0.0; self.problem.length()]), 1);
        };
        let ahead = self.before.as_ref().and_then(|(before_cost, before)| {
            let share = (cost / last_cost).ln() / (last_cost / before_cost).ln();
            (share.is_finite() && share > 0.0 && share < 3.0).then(|| {
                let pairs = last.values.iter().zip(before);
                let values = pairs.map(|(last, before)| share.mul_add(last - before, *last));
                self.problem.at(values.collect())
            })
        });
        let rounds = usize::from(ahead.is_some());
        let total = |point: &Point| point.objectives(cost).iter().sum::<f64>();
        let better = ahead.filter(|point| total(point) < total(&last));
        let start = better.unwrap_or_else(|| last.clone());
        self.last = Some((last_cost, last));
        (start, rounds)
    }

    fn weights(&self, values: &[f64]) -> (Array2<f64>, Array1<f64>) {
        let (width, columns) = (self.problem.features.width(), self.problem.columns);
        let value = |feature, column| values[columns.at(width, feature, column)];
        let weights = Array2::from_shape_fn((width - 1, columns.used), |(f, c)| value(f, c));
        let biases = Array1::from_shape_fn(columns.used, |column| value(width - 1, column));
        (weights, biases)
    }

    fn gaps(&self, point: &Point, cost: f64) -> Vec<f64> {
        let problem = &self.problem;
        let gradient = problem.gradient(point, cost);
        let of_weights = problem.penalised(&gradient);
        let squares = problem.dots(&of_weights, &of_weights);
        let biases: Vec<f64> =
            gradient.iter().zip(&of_weights).map(|(all, weights)| all - weights).collect();
        let products = problem.dots(&biases, &point.values);
        squares
            .iter()
            .zip(&products)
            .map(|(square, product)| 0.5 * square + product.abs())
            .collect()
    }
}
