//! Dual coordinate descent for the plain hinge: min over 0 ≤ α ≤ C of ½ ‖Σ αᵢ yᵢ xᵢ‖² − Σ αᵢ, one αᵢ
//! at a time, with those left aside that seem to stay at a bound (Hsieh et al. 2008).
//!
//! A free bias is Σ αᵢ yᵢ = 0. It is reached by the proximal point method: the bias is penalised by
//! its distance from where it was last, which is a penalised bias with a shift, until it stays.

use ndarray::{Array2, ArrayView2};

use crate::base::Seed;
use crate::probe::newton::Stop;

use super::Settings;

/// Features of one training set, row by row.
#[derive(Debug)]
pub(super) struct Hinge {
    features: Array2<f64>,
    /// ‖xᵢ‖²
    squares: Vec<f64>,
    penalised: bool,
}

/// One column, with the multipliers of the last fit.
#[derive(Debug)]
pub(super) struct Column {
    /// Weight with the sign of y; 0 where y is not known.
    signed: Vec<f64>,
    multipliers: Vec<f64>,
    cost: f64,
    bias: f64,
}

/// A fit of one column.
pub(super) struct Reached {
    pub(super) weights: Vec<f64>,
    pub(super) bias: f64,
    pub(super) objective: f64,
    pub(super) gap: f64,
    pub(super) rounds: usize,
    pub(super) stop: Stop,
}

/// Proximal steps of a free bias at most.
const MOST_SHIFTS: usize = 200;

impl Column {
    pub(super) fn new(signed: Vec<f64>) -> Self {
        Self { multipliers: vec![0.0; signed.len()], signed, cost: 1.0, bias: 0.0 }
    }
}

/// One descent: what changes while it runs.
struct Descent<'a> {
    hinge: &'a Hinge,
    signed: &'a [f64],
    cost: f64,
    multipliers: Vec<f64>,
    weights: Vec<f64>,
    /// Σ αᵢ yᵢ
    balance: f64,
    /// Squared length of the appended feature.
    scale: f64,
    /// Where a free bias was last.
    shift: f64,
    rounds: usize,
}

impl Hinge {
    pub(super) fn new(features: &ArrayView2<'_, f64>, penalised: bool) -> Self {
        let features = features.as_standard_layout().into_owned();
        let squares = features.rows().into_iter().map(|row| row.dot(&row)).collect();
        Self { features, squares, penalised }
    }

    pub(super) fn width(&self) -> usize {
        self.features.ncols()
    }

    fn row(&self, item: usize) -> &[f64] {
        let width = self.width();
        self.features.as_slice().map_or(&[], |values| &values[item * width..][..width])
    }

    pub(super) fn fit(&self, column: &mut Column, cost: f64, settings: &Settings) -> Reached {
        // Multipliers at a bound stay there when the bound moves.
        let factor = cost / column.cost;
        let multipliers = column.multipliers.iter().map(|value| value * factor).collect();
        let mean = self.squares.iter().sum::<f64>() / self.squares.len().max(1) as f64;
        let mut descent = Descent {
            hinge: self,
            signed: &column.signed,
            cost,
            multipliers,
            weights: vec![0.0; self.width()],
            balance: 0.0,
            scale: if self.penalised { 1.0 } else { mean.max(f64::MIN_POSITIVE) },
            shift: if self.penalised { 0.0 } else { column.bias },
            rounds: 0,
        };
        descent.gather();
        let stop = descent.run(settings);
        column.bias = descent.bias();
        column.cost = cost;
        let reached = descent.reached(stop);
        column.multipliers = descent.multipliers;
        reached
    }
}

impl Descent<'_> {
    /// Weights from multipliers.
    fn gather(&mut self) {
        for item in 0..self.multipliers.len() {
            let value = self.multipliers[item] * self.signed[item].signum();
            if self.multipliers[item] > 0.0 {
                add(value, self.hinge.row(item), &mut self.weights);
                self.balance += value;
            }
        }
    }

    fn bias(&self) -> f64 {
        self.scale.mul_add(self.balance, self.shift)
    }

    fn run(&mut self, settings: &Settings) -> Stop {
        if self.hinge.penalised {
            return self.descend(settings.tolerance, settings.most_rounds);
        }
        for _ in 0..MOST_SHIFTS {
            let stop = self.descend(settings.tolerance, settings.most_rounds);
            if stop == Stop::Cap || (self.scale * self.balance).abs() <= settings.tolerance {
                return stop;
            }
            self.shift = self.bias();
        }
        Stop::Cap
    }

    /// Descends until no multiplier violates its optimality condition by more than `tolerance`.
    fn descend(&mut self, tolerance: f64, most: usize) -> Stop {
        let known = (0..self.signed.len()).filter(|item| self.signed[*item].abs() > 0.0);
        let mut order: Vec<usize> = known.collect();
        let mut active = order.len();
        let mut stream = Seed(0).stream("dual coordinate descent", "order");
        let (mut least, mut most_before) = (f64::NEG_INFINITY, f64::INFINITY);
        while self.rounds < most {
            self.rounds += 1;
            for at in (1..active).rev() {
                order.swap(at, stream.below(at + 1));
            }
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            let mut at = 0;
            while at < active {
                let (gradient, bound) = self.condition(order[at]);
                let leaves = match bound {
                    Bound::Lower => gradient > most_before,
                    Bound::Upper => gradient < least,
                    Bound::None => false,
                };
                if leaves {
                    active -= 1;
                    order.swap(at, active);
                    continue;
                }
                let violation = match bound {
                    Bound::Lower => gradient.min(0.0),
                    Bound::Upper => gradient.max(0.0),
                    Bound::None => gradient,
                };
                low = low.min(violation);
                high = high.max(violation);
                if violation.abs() > 1e-14 {
                    self.step(order[at], gradient);
                }
                at += 1;
            }
            if high - low <= tolerance || active == 0 {
                if active == order.len() {
                    return Stop::Converged;
                }
                active = order.len();
                (least, most_before) = (f64::NEG_INFINITY, f64::INFINITY);
                continue;
            }
            most_before = if high <= 0.0 { f64::INFINITY } else { high };
            least = if low >= 0.0 { f64::NEG_INFINITY } else { low };
        }
        Stop::Cap
    }

    /// The dual's derivative by an item's multiplier, and at which bound that is.
    fn condition(&self, item: usize) -> (f64, Bound) {
        let score = dot(self.hinge.row(item), &self.weights) + self.bias();
        let gradient = self.signed[item].signum() * score - 1.0;
        let multiplier = self.multipliers[item];
        let bound = if multiplier <= 0.0 {
            Bound::Lower
        } else if multiplier >= self.cost * self.signed[item].abs() {
            Bound::Upper
        } else {
            Bound::None
        };
        (gradient, bound)
    }

    fn step(&mut self, item: usize, gradient: f64) {
        let curvature = (self.hinge.squares[item] + self.scale).max(f64::MIN_POSITIVE);
        let old = self.multipliers[item];
        let most = self.cost * self.signed[item].abs();
        let new = (old - gradient / curvature).clamp(0.0, most);
        let change = (new - old) * self.signed[item].signum();
        self.multipliers[item] = new;
        self.balance += change;
        add(change, self.hinge.row(item), &mut self.weights);
    }

    /// The fit, with J and how far it lies above the dual's value.
    fn reached(&self, stop: Stop) -> Reached {
        let bias = self.bias();
        let mut penalty = dot(&self.weights, &self.weights);
        if self.hinge.penalised {
            penalty += bias * bias;
        }
        let (mut losses, mut sum) = (0.0, 0.0);
        for (item, signed) in self.signed.iter().enumerate() {
            let score = dot(self.hinge.row(item), &self.weights) + bias;
            losses += signed.abs() * (1.0 - signed.signum() * score).max(0.0);
            sum += self.multipliers[item];
        }
        let objective = self.cost.mul_add(losses, 0.5 * penalty);
        // A free bias: what Σ αᵢ yᵢ lacks to 0 counts as if it cost its share of the bias.
        let unbalanced = if self.hinge.penalised { 0.0 } else { (self.balance * bias).abs() };
        let gap = (objective - (sum - 0.5 * penalty)).abs() + unbalanced;
        let (weights, rounds) = (self.weights.clone(), self.rounds);
        Reached { weights, bias, objective, gap, rounds, stop }
    }
}

/// Where a multiplier lies.
#[derive(Clone, Copy)]
enum Bound {
    Lower,
    Upper,
    None,
}

/// Σ aᵢ bᵢ in eight partial sums.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

fn add(factor: f64, values: &[f64], into: &mut [f64]) {
    into.iter_mut().zip(values).for_each(|(into, value)| *into += factor * value);
}
