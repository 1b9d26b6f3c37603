//! Losses and their gradients with respect to the scores; what scores mean under each.

use crate::base::language::{Above0, choice, keys};

use super::tape::{Tape, Var};

choice! {
    /// What training makes small.
    pub enum Loss {
        /// Softmax cross-entropy: classes exclude each other.
        "cross_entropy" => CrossEntropy,
        /// Sigmoid cross-entropy of each class against all others, averaged over classes.
        "binary_cross_entropy" => BinaryCrossEntropy,
        /// Squared distance of the scores to 1 for an item's class and 0 for the others, averaged
        /// over classes. Such scores are no probabilities.
        "squared_error" => SquaredError,
        /// Like `squared_error`, but linear where a score is far off. Such scores are no
        /// probabilities.
        "huber" => Huber(Huber),
    }
}

keys! {
    /// Squared near the target, linear far from it (Huber 1964).
    pub struct Huber {
        /// The distance from which on it is linear.
        delta: Above0 = Above0::ONE,
    }
}

/// What makes probabilities of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Softmax over classes.
    Softmax,
    /// A sigmoid for each class; of several that exclude each other, divided by their sum.
    Sigmoid,
    /// Nothing: they are estimates of the targets.
    None,
}

impl Loss {
    /// What makes probabilities of scores trained with it.
    pub fn link(&self) -> Link {
        match self {
            Self::CrossEntropy => Link::Softmax,
            Self::BinaryCrossEntropy => Link::Sigmoid,
            Self::SquaredError | Self::Huber(_) => Link::None,
        }
    }

    /// The word it is written with.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::BinaryCrossEntropy => "binary_cross_entropy",
            Self::SquaredError => "squared_error",
            Self::Huber(_) => "huber",
        }
    }

    /// The loss of one item of class `label`, as the graph has it for a target of 1 at its class.
    pub fn of_label(&self, scores: &[f32], label: usize) -> f64 {
        if *self == Self::CrossEntropy {
            return cross_entropy_of(scores, label);
        }
        let each = scores.iter().enumerate().map(|(class, score)| {
            self.of_score(f64::from(*score), f64::from(u8::from(class == label)))
        });
        each.sum::<f64>() / scores.len() as f64
    }

    /// The loss of one score by itself. Not of [`Loss::CrossEntropy`], which knows none.
    pub fn of_score(&self, score: f64, target: f64) -> f64 {
        match self {
            Self::BinaryCrossEntropy => {
                score.max(0.0) - score * target + (-score.abs()).exp().ln_1p()
            }
            Self::Huber(huber) => {
                let error = score - target;
                let near = error.clamp(-huber.delta.get(), huber.delta.get());
                near * (error - 0.5 * near)
            }
            Self::SquaredError | Self::CrossEntropy => (score - target).powi(2),
        }
    }

    /// Emits `Σᵢ sᵢ · lᵢ` (shape [1]) and its gradient with respect to the scores, where sᵢ is the
    /// share of an item (items × 1) and lᵢ its loss. Where each score has a share of its own (items ×
    /// classes), `Σ s · l` over scores; not under [`Loss::CrossEntropy`].
    ///
    /// `targets` is items × classes and may be soft; under [`Loss::CrossEntropy`] a row sums to 1.
    pub(super) fn emit(
        &self,
        scores: &Var,
        targets: &Var,
        share: &Var,
        tape: &mut Tape,
    ) -> (Var, Var) {
        let (each, slope, factor) = match self {
            Self::CrossEntropy => return cross_entropy(scores, targets, share, tape),
            Self::BinaryCrossEntropy => binary_cross_entropy(scores, targets, tape),
            Self::SquaredError => squared_error(scores, targets, tape),
            Self::Huber(huber) => huber_loss(scores, targets, huber.delta.get() as f32, tape),
        };
        // The mean over the classes that have one share, as a factor on it.
        let classes = (scores.dims()[1] / share.dims()[1]) as f32;
        let of_loss = tape.scale(share, 1.0 / classes);
        let of_slope = tape.scale(share, factor / classes);
        let weighted = tape.mul(&each, &of_loss);
        let sum = tape.reduce_sum(&weighted, &[0, 1]);
        let loss = tape.reshape(&sum, &[1]);
        (loss, tape.mul(&slope, &of_slope))
    }
}

/// The share of each item in the loss, wᵢ / Σ w, as items × 1; or of each of several scores.
pub(super) fn shares(weights: &Var, scores: usize, tape: &mut Tape) -> Var {
    let total = tape.reduce_sum(weights, &[0]);
    let share = tape.div(weights, &total);
    tape.reshape(&share, &[weights.dims()[0] / scores, scores])
}

/// −ln softmax(scores)[label]
fn cross_entropy_of(scores: &[f32], label: usize) -> f64 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - most).exp()).sum();
    sum.ln() - f64::from(scores[label] - most)
}

/// Softmax cross-entropy:
///
/// `loss = Σᵢ sᵢ · (−Σ_c t_ic ln p_ic)`, with p = softmax(scores); its gradient is (p − t) · sᵢ.
fn cross_entropy(scores: &Var, targets: &Var, share: &Var, tape: &mut Tape) -> (Var, Var) {
    let log_p = tape.log_softmax(scores, 1);
    let p = tape.unary("Exp", &log_p);
    let log_likelihood = tape.mul(targets, &log_p);
    let weighted = tape.mul(&log_likelihood, share);
    let sum = tape.reduce_sum(&weighted, &[0, 1]);
    let sum = tape.reshape(&sum, &[1]);
    let loss = tape.neg(&sum);
    let error = tape.sub(&p, targets);
    let gradient = tape.mul(&error, share);
    (loss, gradient)
}

/// max(s, 0) − s t + ln(1 + exp(−|s|)), which no score makes overflow; the slope is σ(s) − t.
fn binary_cross_entropy(scores: &Var, targets: &Var, tape: &mut Tape) -> (Var, Var, f32) {
    let positive = tape.unary("Relu", scores);
    let product = tape.mul(scores, targets);
    let linear = tape.sub(&positive, &product);
    let size = tape.unary("Abs", scores);
    let below = tape.neg(&size);
    let exp = tape.unary("Exp", &below);
    let one = tape.number(1.0);
    let sum = tape.add(&exp, &one);
    let curved = tape.unary("Log", &sum);
    let each = tape.add(&linear, &curved);
    let p = tape.unary("Sigmoid", scores);
    (each, tape.sub(&p, targets), 1.0)
}

/// (s − t)²; the slope is 2 (s − t).
fn squared_error(scores: &Var, targets: &Var, tape: &mut Tape) -> (Var, Var, f32) {
    let error = tape.sub(scores, targets);
    (tape.mul(&error, &error), error, 2.0)
}

/// With e = s − t and c = e kept within ±δ: c · (e − c/2), which is e²/2 near 0 and
/// δ (|e| − δ/2) beyond; the slope is c.
fn huber_loss(scores: &Var, targets: &Var, delta: f32, tape: &mut Tape) -> (Var, Var, f32) {
    let error = tape.sub(scores, targets);
    let (most, least) = (tape.number(delta), tape.number(-delta));
    let dims = error.dims().to_vec();
    let near = tape.op("Min", &[&error, &most], &[], &dims);
    let near = tape.op("Max", &[&near, &least], &[], &dims);
    let half = tape.scale(&near, 0.5);
    let rest = tape.sub(&error, &half);
    (tape.mul(&near, &rest), near, 1.0)
}

#[cfg(test)]
mod tests;
