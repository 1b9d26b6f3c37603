//! Each step of Newton's method solves ∇²J · s = −∇J by preconditioned conjugate gradients, as
//! exactly as it pays (Nocedal and Wright, Numerical Optimization, chapter 7).

use super::Stop;
use super::approximation::Approximation;
use super::path::Asked;
use super::problem::{Point, Problem};

/// Gradient that a step may leave at most where it is too large, as a share of what it was.
const LOOSE: f64 = 0.1;
/// The least that a step leaves; what is not quadratic in J leaves more.
const TIGHT: f64 = 0.02;
/// What J can still fall by in the end, as a share of it and of the tolerance.
const SHARE: f64 = 1e-3;
/// How far below that a step aims.
const AHEAD: f64 = 0.05;
/// Halvings of a step at most.
const HALVINGS: usize = 40;
/// Share of the promised decrease that a step must bring.
const PROMISED: f64 = 1e-4;

/// Where a fit ended.
pub(super) struct End {
    pub(super) point: Point,
    /// Of each column, in units of what was asked for.
    pub(super) gradients: Vec<f64>,
    pub(super) rounds: usize,
    pub(super) steps: usize,
    pub(super) stops: Vec<Stop>,
}

/// Minimises J for a cost from a point on.
pub(super) fn minimise(
    problem: &Problem,
    cost: f64,
    point: Point,
    approximation: &mut Approximation,
    asked: &Asked,
) -> End {
    let mut open = vec![None; problem.columns.padded()];
    open[problem.columns.used..].fill(Some(Stop::Converged));
    let mut descent = Descent { problem, cost, asked, point, stops: open, rounds: 1 };
    let mut steps = 0;
    loop {
        let mut gradient = problem.gradient(&descent.point, cost);
        let gradients = asked.sizes(problem, &gradient, cost);
        descent.close(&gradients, &vec![f64::INFINITY; gradients.len()]);
        if descent.is_over() {
            return descent.end(gradients, steps);
        }
        approximation.prepare(problem, &descent.point, cost);
        let mut scaled = approximation.apply(problem, &gradient);
        // Half of this is about what J can still fall by.
        let slack = approximation.slack.max(1.0);
        let left = problem.dots(&gradient, &scaled).into_iter().map(|left| slack * left);
        let left: Vec<f64> = left.collect();
        descent.close(&gradients, &left);
        if descent.is_over() {
            return descent.end(gradients, steps);
        }
        let open: Vec<f64> = descent.open();
        problem.keep(&open, &mut gradient);
        problem.keep(&open, &mut scaled);
        let before = descent.rounds;
        let wanted = descent.wanted(&gradients, slack);
        let step = descent.direction(approximation, &gradient, &scaled, &wanted);
        approximation.learn(descent.rounds - before, step.reduction, step.slack);
        descent.search(&step.values, &problem.dots(&gradient, &step.values));
        steps += 1;
    }
}

/// What a step may leave.
struct Wanted {
    left: f64,
    /// Of what there was.
    share: f64,
}

impl Wanted {
    fn of(&self, size: f64) -> f64 {
        self.left.min(self.share * size).max(TIGHT * TIGHT * size)
    }
}

/// A step of Newton's method.
struct Step {
    values: Vec<f64>,
    /// By how much at most the curvature along the way was smaller than approximated.
    slack: f64,
    /// By what factor it brought down what is left, in the measure of the approximate inverse.
    reduction: f64,
}

/// A descent, of which some columns may have reached their end.
struct Descent<'a> {
    problem: &'a Problem,
    cost: f64,
    asked: &'a Asked,
    point: Point,
    stops: Vec<Option<Stop>>,
    rounds: usize,
}

impl Descent<'_> {
    fn is_over(&self) -> bool {
        self.stops.iter().all(Option::is_some)
    }

    fn end(self, gradients: Vec<f64>, steps: usize) -> End {
        let stops = self.stops.into_iter().flatten().collect();
        End { point: self.point, gradients, rounds: self.rounds, steps, stops }
    }

    /// 1 for columns that go on, 0 for others.
    fn open(&self) -> Vec<f64> {
        self.stops.iter().map(|stop| f64::from(u8::from(stop.is_none()))).collect()
    }

    /// Ends columns that are good enough, or all if the cap is reached.
    fn close(&mut self, gradients: &[f64], left: &[f64]) {
        let asked = self.asked;
        let objectives = self.point.objectives(self.cost);
        let capped = self.rounds >= asked.most_rounds;
        for (column, stop) in self.stops.iter_mut().enumerate().filter(|(_, s)| s.is_none()) {
            let small = left[column] <= SHARE * asked.tolerance * objectives[column].abs();
            if gradients[column] <= 0.0 || (gradients[column] <= asked.tolerance && small) {
                *stop = Some(Stop::Converged);
            } else if capped {
                *stop = Some(Stop::Cap);
            }
        }
    }

    /// What a step may leave of each column, in the measure of the approximate inverse: what the fit
    /// may leave, but no less than can be hoped for, and little where the gradient is too large yet.
    fn wanted(&self, gradients: &[f64], slack: f64) -> Vec<Wanted> {
        let objectives = self.point.objectives(self.cost);
        let pairs = gradients.iter().zip(&objectives);
        pairs
            .map(|(gradient, objective)| Wanted {
                left: AHEAD * SHARE * self.asked.tolerance * objective.abs() / slack,
                share: if *gradient <= self.asked.tolerance { 1.0 } else { LOOSE * LOOSE },
            })
            .collect()
    }

    /// A step by conjugate gradients, of each column by itself.
    fn direction(
        &mut self,
        approximation: &Approximation,
        gradient: &[f64],
        scaled: &[f64],
        wanted: &[Wanted],
    ) -> Step {
        let problem = self.problem;
        let mut step = vec![0.0; gradient.len()];
        let mut residual: Vec<f64> = gradient.iter().map(|value| -value).collect();
        let mut toward: Vec<f64> = scaled.iter().map(|value| -value).collect();
        let mut sizes = problem.dots(gradient, scaled);
        let enough = sizes.iter().zip(wanted).map(|(size, wanted)| wanted.of(*size));
        let enough: Vec<f64> = enough.collect();
        let begun = sizes.clone();
        let (mut first, mut slack, mut reduction) = (true, 0.0_f64, 1.0_f64);
        let mut going: Vec<f64> = self.open();
        while first || self.rounds < self.asked.most_rounds {
            let curved = problem.curve(&self.point, self.cost, &toward);
            self.rounds += 1;
            let curvatures = problem.dots(&toward, &curved);
            let lengths: Vec<f64> = (0..sizes.len())
                .map(|at| match going[at] > 0.0 && curvatures[at] > 0.0 {
                    true => sizes[at] / curvatures[at],
                    false => 0.0,
                })
                .collect();
            slack = lengths.iter().copied().fold(slack, f64::max);
            problem.add(&lengths, &toward, &mut step);
            let back: Vec<f64> = lengths.iter().map(|length| -length).collect();
            problem.add(&back, &curved, &mut residual);
            let scaled = approximation.apply(problem, &residual);
            let next = problem.dots(&residual, &scaled);
            for at in 0..sizes.len() {
                if going[at] > 0.0 && next[at] > 0.0 {
                    reduction = reduction.max(begun[at] / next[at]);
                }
                if lengths[at] <= 0.0 || next[at] <= enough[at] || next[at].is_nan() {
                    going[at] = 0.0;
                }
            }
            if going.iter().all(|going| *going <= 0.0) {
                break;
            }
            let ratios: Vec<f64> = next.iter().zip(&sizes).map(|(a, b)| a / b).collect();
            let mut ahead = scaled;
            problem.keep(&going, &mut ahead);
            let ratios: Vec<f64> =
                ratios.iter().zip(&going).map(|(r, g)| if *g > 0.0 { *r } else { 0.0 }).collect();
            problem.add(&ratios, &toward, &mut ahead);
            toward = ahead;
            sizes = next;
            first = false;
        }
        Step { values: step, slack, reduction }
    }

    /// Goes along a step, which is shortened for each column until it brings what it promises.
    fn search(&mut self, step: &[f64], slopes: &[f64]) {
        let problem = self.problem;
        let before = self.point.objectives(self.cost);
        let mut lengths = self.open();
        for _ in 0..HALVINGS {
            let mut values = self.point.values.clone();
            problem.add(&lengths, step, &mut values);
            let next = problem.at(values);
            self.rounds += 1;
            let after = next.objectives(self.cost);
            let mut shortened = false;
            for at in 0..lengths.len() {
                let (change, promised) = (after[at] - before[at], lengths[at] * slopes[at]);
                if lengths[at] <= 0.0 || (change <= PROMISED * promised && change < 0.0) {
                    continue;
                }
                shortened = true;
                if -promised <= 4.0 * f64::EPSILON * before[at].abs() || promised >= 0.0 {
                    // Too small to be seen in J: the gradient tells.
                    if self.is_better(&next, at) {
                        shortened = false;
                    } else {
                        lengths[at] = 0.0;
                        self.stops[at] = Some(Stop::Rounding);
                    }
                } else {
                    lengths[at] *= 0.5;
                }
            }
            if !shortened {
                self.point = next;
                return;
            }
        }
        for (stop, length) in self.stops.iter_mut().zip(&lengths) {
            if *length > 0.0 {
                *stop = stop.or(Some(Stop::Rounding));
            }
        }
    }

    /// Whether a column's gradient is at most half of what it was.
    fn is_better(&self, next: &Point, column: usize) -> bool {
        let size = |point: &Point| {
            let gradient = self.problem.gradient(point, self.cost);
            self.problem.dots(&gradient, &gradient)[column]
        };
        size(next) < 0.25 * size(&self.point)
    }
}
