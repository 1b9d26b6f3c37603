//! The loss and its gradient with respect to the scores.

use super::tape::{Dialect, Tape, Var};

/// Softmax cross-entropy, averaged with a weight per item:
///
/// `loss = Σᵢ wᵢ · (−Σ_c t_ic ln p_ic) / Σᵢ wᵢ`, with p = softmax(scores).
///
/// `targets` is items × classes (one-hot or soft), `weights` has one value per item. Returns the
/// loss (shape [1]) and its gradient, (p − t) · wᵢ / Σ w.
pub(super) fn cross_entropy(
    scores: &Var,
    targets: &Var,
    weights: &Var,
    tape: &mut Tape,
) -> (Var, Var) {
    let items = scores.dims()[0];
    let log_p = log_softmax(scores, tape);
    let p = tape.unary("Exp", &log_p);
    let total = tape.reduce_sum(weights, &[0]);
    let share = tape.div(weights, &total);
    let share = tape.reshape(&share, &[items, 1]);
    let log_likelihood = tape.mul(targets, &log_p);
    let weighted = tape.mul(&log_likelihood, &share);
    let sum = tape.reduce_sum(&weighted, &[0, 1]);
    let sum = tape.reshape(&sum, &[1]);
    let loss = tape.neg(&sum);
    let error = tape.sub(&p, targets);
    let gradient = tape.mul(&error, &share);
    (loss, gradient)
}

/// ln softmax of each row. The embedded backend's own operator takes the logarithm of a softmax, which
/// is ln 0 as soon as scores differ by a hundred; there it is written out: x − max − ln Σ exp(x − max).
fn log_softmax(scores: &Var, tape: &mut Tape) -> Var {
    if tape.dialect() != Dialect::Embedded {
        return tape.op("LogSoftmax", &[scores], &[("axis", 1_i64.into())], scores.dims());
    }
    let most = tape.reduce_max(scores, &[1]);
    let below = tape.sub(scores, &most);
    let exp = tape.unary("Exp", &below);
    let sum = tape.reduce_sum(&exp, &[1]);
    let ln = tape.unary("Log", &sum);
    tape.sub(&below, &ln)
}
