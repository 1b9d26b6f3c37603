//! Proxy A-distance (Ben-David et al. 2007): how well a classifier tells two domains apart.

use ndarray::{Array1, Array2, Axis, s};

use super::{MOST_ITEMS, Samples, pooled};
use crate::base::Seed;
use crate::stats::Direction;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{Cholesky, Keep, each_part, principal};
use crate::transferability::score::{Change, Needs, Number, Score};

/// Error of a domain classifier as a distance.
pub(in super::super) struct ProxyA;

/// Components kept.
const COMPONENTS: usize = 50;
/// Parts of the items, each judged by a classifier of the others.
const FOLDS: usize = 5;
/// Inverse strength of the penalty.
const COST: f64 = 1.0;

impl Score for ProxyA {
    fn name(&self) -> &'static str {
        "proxy_a"
    }

    fn description(&self) -> &'static str {
        "2 (1 − 2 error) of a logistic classifier of domains on at most 50 principal components, \
         from 0 to 2: of inputs, not of domains alone, as other classes raise it too (Ben-David \
         2007)"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn needs(&self) -> Needs {
        Needs::Other
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        let samples = Samples::draw(items, MOST_ITEMS)?;
        let number = samples.measure("proxy_a", |x, y| {
            let both = pooled(x, y);
            if !both.iter().map(|value| value * value).sum::<f64>().is_finite() {
                return Err(Refusal::TooLarge);
            }
            let both = match both.ncols() {
                0..=COMPONENTS => crate::transferability::matrix::centred(both.view()),
                _ => principal(both.view(), Keep::Most(COMPONENTS), items.threads),
            };
            let error = error(&both, x.nrows(), items.seed, items.threads)?;
            Ok((2.0 * (1.0 - 2.0 * error)).clamp(0.0, 2.0))
        })?;
        Ok(vec![number])
    }
}

/// Share of the items, the first so many of one domain, whose domain a classifier of the other
/// folds does not tell.
fn error(both: &Array2<f64>, first: usize, seed: Seed, threads: usize) -> Result<f64, Refusal> {
    let mut fold = vec![0; both.nrows()];
    for (domain, range) in [("first", 0..first), ("second", first..both.nrows())] {
        let mut rows: Vec<usize> = range.collect();
        seed.stream("folds of domains", domain).shuffle(&mut rows);
        rows.iter().enumerate().for_each(|(at, &row)| fold[row] = at % FOLDS);
    }
    let side = |row: usize| if row < first { 1.0 } else { -1.0 };
    let wrong = each_part(threads, 0..FOLDS, |_, held_out| {
        let (held, kept): (Vec<usize>, Vec<usize>) =
            (0..both.nrows()).partition(|&row| fold[row] == held_out);
        let sides: Vec<f64> = kept.iter().map(|&row| side(row)).collect();
        let weights = logistic(&both.select(Axis(0), &kept), &sides)?;
        let (slopes, bias) = (weights.slice(s![..both.ncols()]), weights[both.ncols()]);
        let is_wrong = |&&row: &&usize| (both.row(row).dot(&slopes) + bias) * side(row) <= 0.0;
        Some(held.iter().filter(is_wrong).count())
    });
    let wrong = wrong.into_iter().sum::<Option<usize>>();
    let wrong = wrong.ok_or(Refusal::NoValue("the classifier of domains came to no end"))?;
    Ok(wrong as f64 / both.nrows() as f64)
}

/// Steps of Newton's method at most.
const MOST_STEPS: usize = 100;

/// Weights, the bias last, of least C Σ v ln(1 + exp(−s z)) + ½ ‖w‖², with domains v weighted
/// alike; by Newton's method.
fn logistic(x: &Array2<f64>, sides: &[f64]) -> Option<Array1<f64>> {
    let (count, features) = x.dim();
    let mut wide = Array2::ones((count, features + 1));
    wide.slice_mut(s![.., ..features]).assign(x);
    let ones = sides.iter().filter(|side| **side > 0.0).count() as f64;
    let share = |side: f64| if side > 0.0 { ones } else { count as f64 - ones };
    let cost: Vec<f64> = sides.iter().map(|&s| COST * count as f64 / (2.0 * share(s))).collect();
    let loss = |weights: &Array1<f64>| {
        let margins = wide.dot(weights);
        let each = margins.iter().zip(sides).zip(&cost);
        let data: f64 = each.map(|((z, s), v)| v * softplus(-s * z)).sum();
        let slopes = weights.slice(s![..features]);
        data + 0.5 * slopes.dot(&slopes)
    };
    let mut weights = Array1::zeros(features + 1);
    let mut now = loss(&weights);
    for _ in 0..MOST_STEPS {
        let step = newton(&wide, sides, &cost, &weights)?;
        let mut length = 1.0;
        let next = loop {
            let tried = &weights - &(&step * length);
            let loss = loss(&tried);
            if loss <= now || length < 1e-8 {
                weights = tried;
                break loss;
            }
            length *= 0.5;
        };
        if now - next <= 1e-10 * now.abs() {
            break;
        }
        now = next;
    }
    weights.iter().all(|weight| weight.is_finite()).then_some(weights)
}

/// H⁻¹ g.
fn newton(
    wide: &Array2<f64>,
    sides: &[f64],
    cost: &[f64],
    weights: &Array1<f64>,
) -> Option<Array1<f64>> {
    let last = weights.len() - 1;
    let margins = wide.dot(weights);
    let chance = |row: usize| 1.0 / (1.0 + (sides[row] * margins[row]).exp());
    let slopes: Array1<f64> =
        (0..sides.len()).map(|row| -sides[row] * cost[row] * chance(row)).collect();
    let mut gradient = wide.t().dot(&slopes) + weights;
    gradient[last] -= weights[last];
    let mut curved = wide.clone();
    for (row, mut values) in curved.rows_mut().into_iter().enumerate() {
        values *= cost[row] * chance(row) * (1.0 - chance(row));
    }
    let mut hessian = wide.t().dot(&curved);
    hessian.diag_mut().mapv_inplace(|value| value + 1.0);
    // The bias has no penalty, only enough to keep it from running away.
    hessian[[last, last]] += 1e-8 - 1.0;
    let hessian = hessian.as_standard_layout().into_owned();
    let solved = Cholesky::of(hessian)?.solve(gradient.insert_axis(Axis(1)));
    Some(solved.column(0).to_owned())
}

/// ln(1 + exp(x)) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayView2;

    use super::*;
    use crate::transferability::testing::{assert_close, clusters, first_digits};

    fn distance(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> f64 {
        let error = error(&pooled(x, y), x.nrows(), Seed(0), 2).unwrap();
        (2.0 * (1.0 - 2.0 * error)).clamp(0.0, 2.0)
    }

    /// The table's folds are not known: a percent of the items either way.
    #[test]
    fn digits_are_as_far_apart_as_the_table_has_it() {
        let (features, labels) = first_digits(1000);
        let those = |low: bool| -> Vec<usize> {
            (0..1000).filter(|&item| (labels[item] < 5) == low).collect()
        };
        let (low, high) = (those(true), those(false));
        let low = features.select(Axis(0), &low);
        let high = features.select(Axis(0), &high);
        assert_close(distance(low.view(), high.view()), 1.616, 0.04);
        assert_close(distance(features.view(), (1.0 - &features).view()), 2.0, 1e-12);
        let halves = (features.slice(s![..500, ..]), features.slice(s![500.., ..]));
        assert_close(distance(halves.0, halves.1), 0.696, 0.08);
    }

    #[test]
    fn the_classifier_is_where_its_gradient_vanishes() {
        let (x, labels) = clusters((80, 3, 2), 1.0, 5);
        let sides: Vec<f64> = labels.iter().map(|&l| if l == 0 { 1.0 } else { -1.0 }).collect();
        let weights = logistic(&x, &sides).unwrap();
        for feature in 0..4 {
            let slope = (0..80).map(|row| {
                let margin = x.row(row).dot(&weights.slice(s![..3])) + weights[3];
                let value = if feature < 3 { x[[row, feature]] } else { 1.0 };
                -sides[row] * value / (1.0 + (sides[row] * margin).exp())
            });
            let penalty = if feature < 3 { weights[feature] } else { 0.0 };
            assert_close(slope.sum::<f64>() + penalty, 0.0, 1e-4);
        }
    }
}
