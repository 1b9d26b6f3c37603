//! The error over the number of training items as a power law.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `err(n) = a + b n^-c`: the error that no number of items takes away, and how fast the rest falls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerLaw {
    /// What is left at infinitely many items, >= 0, in the unit of the error.
    pub a: f64,
    /// What is above that at one item, > 0.
    pub b: f64,
    /// How fast it falls, in \[0.05, 2\].
    pub c: f64,
}

/// The mean error at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizePoint {
    /// Training items.
    pub n: f64,
    /// Mean error over seeds, >= 0.
    pub error: f64,
    /// How much it counts: one over the variance of the mean.
    pub weight: f64,
}

/// Why there is no power law.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoFit {
    /// A curve of fewer than three sizes is no curve.
    #[error("{0} sizes, but a power law needs 3")]
    TooFewSizes(usize),
    /// There is nothing that could fall.
    #[error("the error is 0 at all sizes but one")]
    NoError,
    /// An error is no number, or below 0.
    #[error("an error is no number from 0 on")]
    NoNumber,
}

/// Least and greatest exponent.
const EXPONENTS: (f64, f64) = (0.05, 2.0);
/// Values of `a` that are tried before the best is polished.
const GRID: usize = 100;
/// With fewer sizes than this, nothing is left at infinity.
const SIZES_FOR_REST: usize = 4;
const SIZES: usize = 3;

impl PowerLaw {
    /// The error at a size.
    #[must_use]
    pub fn at(&self, n: f64) -> f64 {
        self.a + self.b * n.powf(-self.c)
    }

    /// The size with this error; none if no size has so small a one.
    #[must_use]
    pub fn size_for(&self, error: f64) -> Option<f64> {
        (error > self.a).then(|| ((error - self.a) / self.b).powf(-1.0 / self.c))
    }

    /// Whether the exponent lies at an end of what is allowed, so that the form does not fit.
    #[must_use]
    pub fn is_at_bound(&self) -> bool {
        self.c <= EXPONENTS.0 || self.c >= EXPONENTS.1
    }

    /// The law with the least weighted squares of `err(n)`: for each `a` of a grid on 0 to .999 of the
    /// smallest error, a line through `ln(err - a)` over `ln n` with weights `w (err - a)²`; the best
    /// of these is polished by damped Gauss–Newton steps on all three. With fewer than 4 sizes `a` is
    /// 0.
    ///
    /// # Errors
    /// With fewer than 3 sizes, and where errors are 0 or no numbers.
    pub fn fit(points: &[SizePoint]) -> Result<Self, NoFit> {
        let proper = |point: &SizePoint| point.error >= 0.0 && point.error.is_finite();
        if points.len() < SIZES {
            return Err(NoFit::TooFewSizes(points.len()));
        }
        if !points.iter().all(proper) {
            return Err(NoFit::NoNumber);
        }
        let least = points.iter().map(|point| point.error).fold(f64::INFINITY, f64::min);
        let has_rest = points.len() >= SIZES_FOR_REST;
        let steps = if has_rest && least > 0.0 { GRID } else { 0 };
        let rest = |step: usize| 0.999 * least * step as f64 / steps.max(1) as f64;
        let lines = (0..=steps).filter_map(|step| line(points, rest(step)));
        let best =
            lines.min_by(|one, other| squares(points, one).total_cmp(&squares(points, other)));
        best.map(|law| polished(points, law, has_rest)).ok_or(NoFit::NoError)
    }
}

fn squares(points: &[SizePoint], law: &PowerLaw) -> f64 {
    points.iter().map(|p| p.weight * (p.error - law.at(p.n)).powi(2)).sum()
}

/// The best law with this `a`, as far as logarithms tell; none unless two sizes are above it.
fn line(points: &[SizePoint], a: f64) -> Option<PowerLaw> {
    let above: Vec<(f64, f64, f64)> = points
        .iter()
        .filter(|point| point.error > a)
        .map(|p| (p.n.ln(), (p.error - a).ln(), p.weight * (p.error - a).powi(2)))
        .collect();
    let whole: f64 = above.iter().map(|(.., w)| w).sum();
    if above.len() < 2 || whole <= 0.0 {
        return None;
    }
    let x_mean = above.iter().map(|(x, _, w)| w * x).sum::<f64>() / whole;
    let y_mean = above.iter().map(|(_, y, w)| w * y).sum::<f64>() / whole;
    let xx: f64 = above.iter().map(|(x, _, w)| w * (x - x_mean).powi(2)).sum();
    let xy: f64 = above.iter().map(|(x, y, w)| w * (x - x_mean) * (y - y_mean)).sum();
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    let c = (-slope).clamp(EXPONENTS.0, EXPONENTS.1);
    Some(PowerLaw { a, b: (y_mean + c * x_mean).exp(), c })
}

/// Damped Gauss–Newton steps on `a`, `ln b` and `c` (Levenberg 1944, Marquardt 1963), kept within
/// what is allowed; only steps that make the squares smaller are taken.
fn polished(points: &[SizePoint], start: PowerLaw, has_rest: bool) -> PowerLaw {
    let (mut law, mut damping) = (start, 1e-3);
    for _ in 0..200 {
        let Some(next) = step(points, &law, damping, has_rest) else { break };
        let (before, after) = (squares(points, &law), squares(points, &next));
        if after < before {
            law = next;
            damping = (damping / 10.0).max(1e-15);
        } else if damping > 1e10 || next == law {
            break;
        } else {
            damping *= 10.0;
        }
    }
    law
}

fn step(points: &[SizePoint], law: &PowerLaw, damping: f64, has_rest: bool) -> Option<PowerLaw> {
    let (mut matrix, mut gradient) = ([[0.0; 3]; 3], [0.0; 3]);
    for point in points {
        let falling = law.b * point.n.powf(-law.c);
        let slopes = [1.0, falling, -falling * point.n.ln()];
        let off = point.error - law.at(point.n);
        for row in 0..3 {
            gradient[row] += point.weight * slopes[row] * off;
            for column in 0..3 {
                matrix[row][column] += point.weight * slopes[row] * slopes[column];
            }
        }
    }
    let (least, most) = EXPONENTS;
    let stands = [
        !has_rest || (law.a <= 0.0 && gradient[0] <= 0.0),
        false,
        (law.c <= least && gradient[2] <= 0.0) || (law.c >= most && gradient[2] >= 0.0),
    ];
    for at in 0..3 {
        if stands[at] {
            (0..3).for_each(|other| (matrix[at][other], matrix[other][at]) = (0.0, 0.0));
            (matrix[at][at], gradient[at]) = (1.0, 0.0);
        }
        matrix[at][at] *= 1.0 + damping;
    }
    let [a, ln_b, c] = solved(matrix, gradient)?;
    Some(PowerLaw {
        a: (law.a + a).max(0.0),
        b: law.b * ln_b.exp(),
        c: (law.c + c).clamp(least, most),
    })
    .filter(|next| next.b.is_finite() && next.b > 0.0)
}

/// Three equations by Gaussian elimination with pivots; none if they are not independent.
fn solved(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3)
            .max_by(|&i, &j| matrix[i][column].abs().total_cmp(&matrix[j][column].abs()))?;
        if matrix[pivot][column] == 0.0 || !matrix[pivot][column].is_finite() {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let above = matrix[column];
        for row in column + 1..3 {
            let factor = matrix[row][column] / above[column];
            matrix[row].iter_mut().zip(above).for_each(|(cell, above)| *cell -= factor * above);
            right[row] -= factor * right[column];
        }
    }
    for row in (0..3).rev() {
        for at in row + 1..3 {
            right[row] -= matrix[row][at] * right[at];
        }
        right[row] /= matrix[row][row];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES_OF_SIX: [f64; 6] = [25.0, 50.0, 100.0, 200.0, 400.0, 800.0];

    fn points(law: PowerLaw, sizes: &[f64]) -> Vec<SizePoint> {
        sizes.iter().map(|&n| SizePoint { n, error: law.at(n), weight: 1.0 }).collect()
    }

    fn assert_like(found: PowerLaw, law: PowerLaw, tolerance: f64) {
        let off = [found.a - law.a, found.b - law.b, found.c - law.c];
        assert!(off.iter().all(|off| off.abs() < tolerance), "{found:?} is not {law:?}");
    }

    const SCRATCH: PowerLaw = PowerLaw { a: 0.05, b: 2.0, c: 0.6 };
    const TRANSFER: PowerLaw = PowerLaw { a: 0.09, b: 0.45, c: 0.4 };

    #[test]
    fn errors_of_two_laws_come_out_as_printed() {
        let printed = |law: PowerLaw| SIZES_OF_SIX.map(|n| (law.at(n) * 1e4).round() as u32);
        assert_eq!(printed(SCRATCH), [3399, 2413, 1762, 1333, 1049, 862]);
        assert_eq!(printed(TRANSFER), [2142, 1841, 1613, 1441, 1310, 1210]);
    }

    #[test]
    fn laws_without_noise_are_found_again() {
        for law in [SCRATCH, TRANSFER, PowerLaw { a: 0.0, b: 1.0, c: 0.5 }] {
            assert_like(PowerLaw::fit(&points(law, &SIZES_OF_SIX)).unwrap(), law, 1e-8);
        }
    }

    #[test]
    fn three_sizes_leave_no_rest_and_two_are_refused() {
        let law = PowerLaw { a: 0.0, b: 2.0, c: 0.3 };
        assert_like(PowerLaw::fit(&points(law, &SIZES_OF_SIX[..3])).unwrap(), law, 1e-8);
        assert!(PowerLaw::fit(&points(SCRATCH, &SIZES_OF_SIX[..3])).unwrap().a <= 0.0);
        let refused = PowerLaw::fit(&points(law, &SIZES_OF_SIX[..2]));
        assert_eq!(refused, Err(NoFit::TooFewSizes(2)));
    }

    #[test]
    fn an_exponent_stays_within_its_bounds_and_says_so() {
        let rising: Vec<SizePoint> = [0.1, 0.12, 0.15, 0.2]
            .iter()
            .zip(SIZES_OF_SIX)
            .map(|(&error, n)| SizePoint { n, error, weight: 1.0 })
            .collect();
        let law = PowerLaw::fit(&rising).unwrap();
        assert!(law.is_at_bound() && law.a >= 0.0 && law.b > 0.0, "{law:?}");
        assert!(!SCRATCH.is_at_bound());
    }

    #[test]
    fn what_counts_more_is_met_more_closely() {
        let off_at_the_end = |weight: f64| {
            let mut points = points(SCRATCH, &SIZES_OF_SIX);
            points[2].error += 0.05;
            points[5].error += 0.02;
            points[5].weight = weight;
            let law = PowerLaw::fit(&points).unwrap();
            (law.at(800.0) - points[5].error).abs()
        };
        assert!(off_at_the_end(100.0) < off_at_the_end(0.01));
    }

    #[test]
    fn no_error_at_a_size_is_met_and_no_error_anywhere_is_told() {
        let mut points = points(SCRATCH, &SIZES_OF_SIX);
        points[5].error = 0.0;
        assert!(PowerLaw::fit(&points).unwrap().at(800.0) < 0.12);
        for point in &mut points {
            point.error = 0.0;
        }
        assert_eq!(PowerLaw::fit(&points), Err(NoFit::NoError));
        points[0].error = f64::NAN;
        assert_eq!(PowerLaw::fit(&points), Err(NoFit::NoNumber));
    }

    #[test]
    fn the_size_for_an_error_is_where_the_error_is_and_there_may_be_none() {
        for n in SIZES_OF_SIX {
            let size = SCRATCH.size_for(SCRATCH.at(n)).unwrap();
            assert!((size / n - 1.0).abs() < 1e-12);
        }
        assert_eq!(SCRATCH.size_for(0.05), None);
    }
}
