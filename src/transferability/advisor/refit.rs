//! Probabilities of negative transfer learnt from what came of earlier advice.

use std::collections::BTreeSet;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::super::matrix::Cholesky;
use super::isotonic::{isotonic, mapped};
use super::sigmoid;

/// What came of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Digest of the target's data, so that no target learns from itself.
    pub target: String,
    /// Training items for each class.
    pub items_for_class: f64,
    /// How much the source was of use, from 0 to 1.
    pub similarity: f64,
    /// Share of the layer groups that was frozen.
    pub frozen: f64,
    /// Whether the verdict was negative.
    pub negative: bool,
}

/// Fewer rows than these teach nothing.
pub const LEAST_ROWS: usize = 30;
/// From so many rows on, probabilities are brought to what came of those of other targets.
const MANY_ROWS: usize = 200;
/// Inverse strength of the penalty on weights; the intercept has none.
const C: f64 = 1.0;
/// Newton steps at most; a penalised logistic regression needs a handful.
const STEPS: usize = 50;

/// A fitted probability of negative transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// Weights of intercept, log₁₀(n/C), similarity, frozen share and the products of each two.
    pub weights: Vec<f64>,
    /// How many rows it was fitted on.
    pub rows: usize,
    /// Points that probabilities are mapped along afterwards; none of fewer than 200 rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<(f64, f64)>,
}

impl Chance {
    /// P(negative).
    pub fn of(&self, items_for_class: f64, similarity: f64, frozen: f64) -> f64 {
        let x = features(items_for_class, similarity, frozen);
        mapped(&self.points, sigmoid(x.iter().zip(&self.weights).map(|(x, w)| x * w).sum()))
    }
}

/// Centred where studies lie, so that the penalty does not push towards one end.
fn features(items_for_class: f64, similarity: f64, frozen: f64) -> [f64; 7] {
    let size = items_for_class.max(1e-3).log10() - 200_f64.log10();
    let (alike, frozen) = (similarity - 0.5, frozen - 0.5);
    [1.0, size, alike, frozen, size * alike, size * frozen, alike * frozen]
}

/// Logistic regression of "the verdict was negative" with an L2 penalty (C = 1), on all rows but
/// those of the target `without`. Nothing of fewer than [`LEAST_ROWS`], or where all came out the same.
pub fn refit(rows: &[Outcome], without: &str) -> Option<Chance> {
    let rows: Vec<&Outcome> = rows.iter().filter(|row| row.target != without).collect();
    let negative = rows.iter().filter(|row| row.negative).count();
    if rows.len() < LEAST_ROWS || negative == 0 || negative == rows.len() {
        return None;
    }
    let weights = fitted(&rows)?;
    let points = if rows.len() < MANY_ROWS { vec![] } else { isotonic(&held_out(&rows)?) };
    Some(Chance { weights, rows: rows.len(), points })
}

fn fitted(rows: &[&Outcome]) -> Option<Vec<f64>> {
    let of = |row: &&Outcome| features(row.items_for_class, row.similarity, row.frozen);
    let x: Vec<[f64; 7]> = rows.iter().map(of).collect();
    logistic(&x, &rows.iter().map(|row| came(row)).collect::<Vec<_>>())
}

fn came(row: &Outcome) -> f64 {
    f64::from(u8::from(row.negative))
}

/// Each row's probability by a fit without its target, with what came of it.
fn held_out(rows: &[&Outcome]) -> Option<Vec<(f64, f64)>> {
    let targets: BTreeSet<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    let mut told = Vec::with_capacity(rows.len());
    for target in targets {
        let (own, others): (Vec<&Outcome>, Vec<&Outcome>) =
            rows.iter().partition(|row| row.target == target);
        let chance = Chance { weights: fitted(&others)?, rows: others.len(), points: vec![] };
        let of = |row: &Outcome| chance.of(row.items_for_class, row.similarity, row.frozen);
        told.extend(own.into_iter().map(|row| (of(row), came(row))));
    }
    Some(told)
}

/// Newton's method on the penalised likelihood, halving steps that make it worse.
fn logistic(x: &[[f64; 7]], y: &[f64]) -> Option<Vec<f64>> {
    let mut weights = Array1::<f64>::zeros(7);
    let mut lost = loss(x, y, &weights);
    for _ in 0..STEPS {
        let step = step(x, y, &weights)?;
        let mut share = 1.0;
        let next = loop {
            let next = &weights - &(share * &step);
            let value = loss(x, y, &next);
            if value <= lost || share < 1e-9 {
                break (next, value);
            }
            share *= 0.5;
        };
        let gained = lost - next.1;
        (weights, lost) = next;
        if gained < 1e-12 {
            break;
        }
    }
    weights.iter().all(|weight| weight.is_finite()).then(|| weights.to_vec())
}

fn along(row: &[f64; 7], weights: &Array1<f64>) -> f64 {
    row.iter().zip(weights).map(|(x, w)| x * w).sum()
}

fn loss(x: &[[f64; 7]], y: &[f64], weights: &Array1<f64>) -> f64 {
    let of = |(row, y): (&[f64; 7], &f64)| {
        let z = along(row, weights);
        z.max(0.0) - z * y + (-z.abs()).exp().ln_1p()
    };
    let penalty: f64 = weights.iter().skip(1).map(|w| w * w).sum();
    x.iter().zip(y).map(of).sum::<f64>() + penalty / (2.0 * C)
}

/// H⁻¹ g.
fn step(x: &[[f64; 7]], y: &[f64], weights: &Array1<f64>) -> Option<Array1<f64>> {
    let (mut gradient, mut hessian) = (Array2::zeros((7, 1)), Array2::zeros((7, 7)));
    for (row, y) in x.iter().zip(y) {
        let p = sigmoid(along(row, weights));
        for i in 0..7 {
            gradient[[i, 0]] += (p - y) * row[i];
            for j in 0..7 {
                hessian[[i, j]] += p * (1.0 - p) * row[i] * row[j];
            }
        }
    }
    for i in 1..7 {
        gradient[[i, 0]] += weights[i] / C;
        hessian[[i, i]] += 1.0 / C;
    }
    Some(Cholesky::of(hessian)?.solve(gradient).column(0).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    /// Sources that are of little use hurt the more, the more is frozen.
    fn rows(count: usize) -> Vec<Outcome> {
        let mut stream = Seed(4).stream("test", "outcomes");
        let mut row = |index: usize| {
            let (similarity, frozen) = (stream.uniform(), stream.uniform());
            let chance = sigmoid(4.0 * (0.5 - similarity) + 3.0 * (frozen - 0.5));
            Outcome {
                target: format!("target {}", index % 7),
                items_for_class: 20.0 * 10_f64.powf(2.0 * stream.uniform()),
                similarity,
                frozen,
                negative: stream.uniform() < chance,
            }
        };
        (0..count).map(&mut row).collect()
    }

    #[test]
    fn many_rows_teach_what_they_were_drawn_by() {
        let fitted = refit(&rows(2000), "").unwrap();
        let bad = fitted.of(200.0, 0.0, 1.0);
        let good = fitted.of(200.0, 1.0, 0.0);
        assert!((bad - 0.97).abs() < 0.05 && (good - 0.03).abs() < 0.05, "{bad} {good}");
        assert_eq!(fitted.rows, 2000);
    }

    #[test]
    fn many_rows_bring_probabilities_to_what_came_of_them() {
        assert!(refit(&rows(199), "").unwrap().points.is_empty());
        // What is certain from a threshold on is no logistic curve.
        let step = |row: Outcome| Outcome { negative: row.similarity < 0.25, ..row };
        let all: Vec<Outcome> = rows(600).into_iter().map(step).collect();
        let with = refit(&all, "").unwrap();
        let without = Chance { points: vec![], ..with.clone() };
        let error = |chance: &Chance| {
            let of = |row: &Outcome| chance.of(row.items_for_class, row.similarity, row.frozen);
            all.iter().map(|row| (of(row) - came(row)).powi(2)).sum::<f64>()
        };
        assert!(error(&with) < 0.9 * error(&without), "{} {}", error(&with), error(&without));
        assert!(with.points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{:?}", with.points);
    }

    #[test]
    fn few_rows_and_one_outcome_teach_nothing() {
        let all = rows(200);
        assert_eq!(refit(&all[..29], ""), None);
        let same: Vec<Outcome> =
            all.iter().map(|row| Outcome { negative: false, ..row.clone() }).collect();
        assert_eq!(refit(&same, ""), None);
    }

    #[test]
    fn a_target_does_not_learn_from_itself() {
        let all = rows(70);
        let others: Vec<Outcome> =
            all.iter().filter(|row| row.target != "target 3").cloned().collect();
        assert_eq!(refit(&all, "target 3"), refit(&others, ""));
        assert_eq!(refit(&all, "target 3").unwrap().rows, 60);
    }

    /// At the optimum the gradient is zero: the penalty balances what is left.
    #[test]
    fn the_fit_is_the_optimum() {
        let all = rows(100);
        let fitted = refit(&all, "").unwrap();
        let x: Vec<[f64; 7]> = all
            .iter()
            .map(|row| features(row.items_for_class, row.similarity, row.frozen))
            .collect();
        let y: Vec<f64> = all.iter().map(|row| f64::from(u8::from(row.negative))).collect();
        let step = step(&x, &y, &Array1::from(fitted.weights)).unwrap();
        assert!(step.iter().all(|step| step.abs() < 1e-5), "{step}");
    }
}
