//! What a score costs, with its derivatives.

/// Losses of scores, with the targets that are to be met.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// One class of several: −w ln softmax. The column of each item's class, and what the item
    /// weighs.
    Softmax(Vec<(usize, f64)>),
    /// Each column by itself: w ln(1 + exp(−y·score)). The weight with the sign of y for items ×
    /// columns, 0 where y is not known.
    Sigmoid(Vec<f64>),
    /// Each column by itself: w max(0, 1 − y·score)².
    SquaredHinge(Vec<f64>),
}

impl Link {
    /// Whether columns meet in one loss.
    pub(super) fn is_joint(&self) -> bool {
        matches!(self, Self::Softmax(_))
    }

    /// What the items of each column weigh together.
    pub(super) fn weights(&self, columns: usize) -> Vec<f64> {
        match self {
            Self::Softmax(labels) => vec![labels.iter().map(|(_, weight)| weight).sum(); columns],
            Self::Sigmoid(signed) | Self::SquaredHinge(signed) => {
                let column = |at| signed.iter().skip(at).step_by(columns.max(1));
                (0..columns).map(|at| column(at).map(|signed| signed.abs()).sum()).collect()
            }
        }
    }

    /// An item's loss is added to its columns' `losses` (those that meet: to the first). Its scores
    /// become the derivatives of the loss by them; `shares` become what the second derivatives are
    /// made of.
    pub(super) fn meet(
        &self,
        item: usize,
        scores: &mut [f64],
        shares: &mut [f64],
        losses: &mut [f64],
    ) {
        let columns = shares.len();
        let scores = &mut scores[..columns];
        let signed = |signed: &[f64], at: usize| signed[item * columns + at];
        match self {
            Self::Softmax(labels) => losses[0] += softmax(labels[item], scores, shares),
            Self::Sigmoid(signs) => {
                for at in 0..columns {
                    let weight = signed(signs, at);
                    let margin = scores[at] * weight.signum();
                    let small = (-margin.abs()).exp();
                    let wrong = if margin > 0.0 { small } else { 1.0 } / (1.0 + small);
                    scores[at] = -weight * wrong;
                    shares[at] = weight.abs() * small / ((1.0 + small) * (1.0 + small));
                    losses[at] += weight.abs() * (small.ln_1p() + (-margin).max(0.0));
                }
            }
            Self::SquaredHinge(signs) => {
                for at in 0..columns {
                    let weight = signed(signs, at);
                    let short = (1.0 - scores[at] * weight.signum()).max(0.0);
                    scores[at] = -2.0 * weight * short;
                    shares[at] = if short > 0.0 { 2.0 * weight.abs() } else { 0.0 };
                    losses[at] += weight.abs() * short * short;
                }
            }
        }
    }

    /// Second derivatives of an item's loss times a direction's scores, in place.
    pub(super) fn curve(&self, item: usize, scores: &mut [f64], shares: &[f64]) {
        let scores = &mut scores[..shares.len()];
        match self {
            Self::Softmax(labels) => {
                let mean: f64 = scores.iter().zip(shares).map(|(z, p)| z * p).sum();
                let weight = labels[item].1;
                scores.iter_mut().zip(shares).for_each(|(z, p)| *z = weight * p * (*z - mean));
            }
            Self::Sigmoid(_) | Self::SquaredHinge(_) => {
                scores.iter_mut().zip(shares).for_each(|(z, w)| *z *= w);
            }
        }
    }

    /// Curvature of an item's loss along one column's score.
    pub(super) fn curvature_of(&self, item: usize, column: usize, shares: &[f64]) -> f64 {
        match self {
            Self::Softmax(labels) => labels[item].1 * shares[column] * (1.0 - shares[column]),
            Self::Sigmoid(_) | Self::SquaredHinge(_) => shares[column],
        }
    }

    /// Mean curvature of an item's loss over the directions in which it can have one.
    pub(super) fn curvature(&self, item: usize, shares: &[f64]) -> f64 {
        let columns = shares.len();
        match self {
            Self::Softmax(labels) => {
                let sum: f64 = shares.iter().map(|p| p * (1.0 - p)).sum();
                labels[item].1 * sum / columns.saturating_sub(1).max(1) as f64
            }
            Self::Sigmoid(_) | Self::SquaredHinge(_) => {
                shares.iter().sum::<f64>() / columns.max(1) as f64
            }
        }
    }
}

fn softmax((label, weight): (usize, f64), scores: &mut [f64], shares: &mut [f64]) -> f64 {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let own = scores[label] - most;
    let mut sum = 0.0;
    for (share, score) in shares.iter_mut().zip(&*scores) {
        *share = (score - most).exp();
        sum += *share;
    }
    let mut others = 0.0;
    for (at, (share, score)) in shares.iter_mut().zip(scores.iter_mut()).enumerate() {
        *share /= sum;
        *score = weight * *share;
        others += if at == label { 0.0 } else { *share };
    }
    // 1 − p as the sum of the others, which keeps its digits where p is near 1.
    scores[label] = -weight * others;
    weight * (sum.ln() - own)
}
