//! Probabilities from scores, learnt on items that were not trained on.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use super::softmax::log_softmax;
use super::unfit::{Unfit, check_labels, check_length};

/// Scores of items by fits that did not see them: the only thing a calibration is learnt from.
/// Made from folds held out in turn ([`super::folds::Folds::held_out`]) or from another part.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut(Array2<f64>);

/// The probability that a score means yes: 1 / (1 + exp(slope · score + offset)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmoid {
    /// Below 0 where higher scores mean yes.
    pub slope: f64,
    /// Added.
    pub offset: f64,
}

/// One sigmoid for each column of scores; none for a column that no fit gave scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Sigmoids(Vec<Option<Sigmoid>>);

/// What logits are divided by before softmax.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// T.
    pub value: f64,
    /// Whether the best T lies at an end of e^-3 .. e^3, or beyond it.
    pub at_edge: bool,
}

impl HeldOut {
    /// Scores (items × classes) of a part that no fit has seen. Minus infinity says that a class
    /// was not in training.
    pub fn of_other_part(scores: Array2<f64>) -> Result<Self, Unfit> {
        for ((row, column), value) in scores.indexed_iter() {
            if value.is_nan() || *value == f64::INFINITY {
                return Err(Unfit::NotFinite { row, column, value: value.to_string() });
            }
        }
        Ok(Self(scores))
    }

    /// Items × classes.
    pub fn scores(&self) -> ArrayView2<'_, f64> {
        self.0.view()
    }
}

/// Steps of Newton's method at most; from its start it takes about ten.
const MOST_STEPS: usize = 100;
/// The shortest step that is tried.
const SHORTEST_STEP: f64 = 1e-10;

impl Sigmoid {
    /// Platt's fit of scores to answers with smoothed targets, by Newton's method with the
    /// safeguards of Lin, Lin and Weng (2007). Scores of minus infinity are passed over.
    pub fn fit(points: &[(f64, bool)]) -> Result<Self, Unfit> {
        let known = || points.iter().filter(|(score, _)| score.is_finite());
        let yes = known().filter(|(_, answer)| *answer).count() as f64;
        let no = known().count() as f64 - yes;
        if yes + no <= 0.0 {
            return Err(Unfit::NoItems);
        }
        // The scale of the scores does not change the fit, only how well it is computed.
        let largest = known().fold(0.0_f64, |most, (score, _)| most.max(score.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let target = |answer: bool| match answer {
            true => (yes + 1.0) / (yes + 2.0),
            false => 1.0 / (no + 2.0),
        };
        let points = known().map(|&(score, answer)| (score / scale, target(answer))).collect();
        let mut fit = Platt { points, slope: 0.0, offset: ((no + 1.0) / (yes + 1.0)).ln() };
        for _ in 0..MOST_STEPS {
            if !fit.step() {
                break;
            }
        }
        Ok(Self { slope: fit.slope / scale, offset: fit.offset })
    }

    /// The probability; 0 for a score of minus infinity.
    pub fn probability(&self, score: f64) -> f64 {
        match score.is_finite() {
            true => sigmoid(self.slope * score + self.offset),
            false => 0.0,
        }
    }
}

/// A fit on its way.
struct Platt {
    /// Scores and targets.
    points: Vec<(f64, f64)>,
    slope: f64,
    offset: f64,
}

impl Platt {
    fn loss(&self, slope: f64, offset: f64) -> f64 {
        let losses = self.points.iter().map(|(score, target)| {
            let value = slope * score + offset;
            // ln(1 + exp(value)) − (1 − target) · value, without overflow.
            value.max(0.0) + (-value.abs()).exp().ln_1p() - (1.0 - target) * value
        });
        losses.sum()
    }

    /// One step of Newton's method; false if it was the last.
    fn step(&mut self) -> bool {
        let (mut h11, mut h22, mut h21, mut g1, mut g2) = (1e-12, 1e-12, 0.0, 0.0, 0.0);
        for (score, target) in &self.points {
            let p = sigmoid(self.slope * score + self.offset);
            let curvature = p * (1.0 - p);
            h11 += score * score * curvature;
            h22 += curvature;
            h21 += score * curvature;
            g1 += score * (target - p);
            g2 += target - p;
        }
        if g1.abs().max(g2.abs()) < 1e-11 * self.points.len() as f64 {
            return false;
        }
        let determinant = h11 * h22 - h21 * h21;
        let slope = -(h22 * g1 - h21 * g2) / determinant;
        let offset = -(h11 * g2 - h21 * g1) / determinant;
        let downhill = g1 * slope + g2 * offset;
        let before = self.loss(self.slope, self.offset);
        let mut length = 1.0;
        while length >= SHORTEST_STEP {
            let (next, moved) = (self.slope + length * slope, self.offset + length * offset);
            if self.loss(next, moved) < before + 1e-4 * length * downhill {
                (self.slope, self.offset) = (next, moved);
                return true;
            }
            length /= 2.0;
        }
        false
    }
}

/// 1 / (1 + exp(value)) without overflow.
fn sigmoid(value: f64) -> f64 {
    match value >= 0.0 {
        true => (-value).exp() / (1.0 + (-value).exp()),
        false => 1.0 / (1.0 + value.exp()),
    }
}

impl Sigmoids {
    /// One against the rest for each class.
    pub fn of_classes(held_out: &HeldOut, labels: &[usize]) -> Result<Self, Unfit> {
        let scores = held_out.scores();
        check_labels(labels, scores.ncols(), scores.nrows())?;
        Self::fit(&scores, |row, class| Some(labels[row] == class))
    }

    /// Each label by itself, where an item may have several (items × labels: 1 where an item has
    /// the label, 0 where not, NaN where nobody knows).
    pub fn of_labels(held_out: &HeldOut, known: &ArrayView2<'_, f64>) -> Result<Self, Unfit> {
        let scores = held_out.scores();
        check_length("rows of labels", known.nrows(), scores.nrows())?;
        if known.ncols() != scores.ncols() {
            return Err(Unfit::Width { found: known.ncols(), expected: scores.ncols() });
        }
        Self::fit(&scores, |row, column| {
            let label = known[[row, column]];
            (!label.is_nan()).then_some(label > 0.5)
        })
    }

    fn fit(
        scores: &ArrayView2<'_, f64>,
        answer: impl Fn(usize, usize) -> Option<bool>,
    ) -> Result<Self, Unfit> {
        let column = |(column, scores): (usize, ArrayView1<'_, f64>)| {
            let points: Vec<(f64, bool)> = scores
                .iter()
                .enumerate()
                .filter(|(_, score)| score.is_finite())
                .filter_map(|(row, &score)| Some((score, answer(row, column)?)))
                .collect();
            (!points.is_empty()).then(|| Sigmoid::fit(&points)).transpose()
        };
        let columns = scores.columns().into_iter().enumerate();
        Ok(Self(columns.map(column).collect::<Result<_, _>>()?))
    }

    /// The probability of each column by itself (items × columns).
    pub fn of_each(&self, scores: &ArrayView2<'_, f64>) -> Result<Array2<f64>, Unfit> {
        if scores.ncols() != self.0.len() {
            return Err(Unfit::Width { found: scores.ncols(), expected: self.0.len() });
        }
        Ok(Array2::from_shape_fn(scores.dim(), |(row, column)| {
            self.0[column].map_or(0.0, |sigmoid| sigmoid.probability(scores[[row, column]]))
        }))
    }

    /// Probabilities of classes, each row divided by its sum; where all are 0, those of all classes
    /// that were in training alike.
    pub fn of_one(&self, scores: &ArrayView2<'_, f64>) -> Result<Array2<f64>, Unfit> {
        let mut probabilities = self.of_each(scores)?;
        let known = self.0.iter().filter(|sigmoid| sigmoid.is_some()).count().max(1) as f64;
        for mut row in probabilities.rows_mut() {
            let total = row.sum();
            match total > 0.0 {
                true => row /= total,
                false => row.iter_mut().zip(&self.0).for_each(|(value, sigmoid)| {
                    *value = f64::from(u8::from(sigmoid.is_some())) / known;
                }),
            }
        }
        Ok(probabilities)
    }
}

impl Temperature {
    /// The T of least log-loss of softmax(scores / T) within e^-3 .. e^3 (Guo et al. 2017). Items
    /// whose class was in no training are passed over.
    pub fn fit(held_out: &HeldOut, labels: &[usize]) -> Result<Self, Unfit> {
        let scores = held_out.scores();
        check_labels(labels, scores.ncols(), scores.nrows())?;
        let known: Vec<(ArrayView1<'_, f64>, usize)> = scores
            .axis_iter(Axis(0))
            .zip(labels.iter().copied())
            .filter(|(row, label)| row[*label].is_finite())
            .collect();
        if known.is_empty() {
            return Err(Unfit::NoItems);
        }
        // The loss is convex in 1/T: its slope changes sign once.
        let slope = |inverse: f64| {
            known.iter().map(|(row, label)| mean_score(row, inverse) - row[*label]).sum::<f64>()
        };
        let (mut cold, mut hot) = (3.0, -3.0);
        for (end, beyond) in
            [(cold, slope(f64::exp(cold)) <= 0.0), (hot, slope(f64::exp(hot)) >= 0.0)]
        {
            if beyond {
                return Ok(Self { value: f64::exp(-end), at_edge: true });
            }
        }
        for _ in 0..60 {
            let middle = f64::midpoint(cold, hot);
            match slope(middle.exp()) > 0.0 {
                true => cold = middle,
                false => hot = middle,
            }
        }
        Ok(Self { value: (-f64::midpoint(cold, hot)).exp(), at_edge: false })
    }

    /// Logarithms of softmax(scores / T), items × classes.
    pub fn log_probabilities(&self, scores: &ArrayView2<'_, f64>) -> Array2<f64> {
        let mut scaled = scores.mapv(|score| score / self.value);
        log_softmax(&mut scaled);
        scaled
    }
}

/// Mean of the scores under softmax(scores · inverse).
fn mean_score(row: &ArrayView1<'_, f64>, inverse: f64) -> f64 {
    let most = row.fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    let (mut sum, mut total) = (0.0, 0.0);
    for &score in row.iter().filter(|score| score.is_finite()) {
        let weight = ((score - most) * inverse).exp();
        sum += weight * (score - most);
        total += weight;
    }
    most + sum / total
}

#[cfg(test)]
#[path = "calibration/tests.rs"]
mod tests;
