//! A mixture of Gaussians with a variance for each feature, by expectation and maximisation from a
//! start by k-means.

use ndarray::{Array1, Array2, Axis, Zip};

use crate::base::{Seed, Stream};

/// Steps of k-means at most.
const MOST_MOVES: usize = 20;
/// Steps of expectation and maximisation at most.
const MOST_STEPS: usize = 100;
/// Change of the mean log likelihood at which it stops.
const TOLERANCE: f64 = 1e-3;
/// Added to each variance.
const FLOOR: f64 = 1e-6;

/// Probabilities of so many components for each item: items × components.
pub(super) fn posteriors(x: &Array2<f64>, components: usize, seed: Seed) -> Array2<f64> {
    let mut stream = seed.stream("transferability", "mixture");
    let squares = x * x;
    let centres = moved(x, starts(x, components, &mut stream));
    let mut chances = one_hot(&nearest(x, &centres), components);
    let mut before = f64::NEG_INFINITY;
    for _ in 0..MOST_STEPS {
        let mixture = Mixture::of(x, &squares, &chances);
        let likelihood;
        (chances, likelihood) = mixture.chances(x, &squares);
        if (likelihood - before).abs() < TOLERANCE {
            break;
        }
        before = likelihood;
    }
    chances
}

struct Mixture {
    log_weights: Array1<f64>,
    means: Array2<f64>,
    variances: Array2<f64>,
}

impl Mixture {
    /// The likeliest for such chances.
    fn of(x: &Array2<f64>, squares: &Array2<f64>, chances: &Array2<f64>) -> Self {
        let mass = chances.sum_axis(Axis(0)) + 10.0 * f64::EPSILON;
        let column = mass.view().insert_axis(Axis(1));
        let means = chances.t().dot(x) / column;
        let mut variances = chances.t().dot(squares) / column;
        let lower = |variance: &mut f64, &mean: &f64| {
            *variance = (*variance - mean * mean).max(0.0) + FLOOR;
        };
        Zip::from(&mut variances).and(&means).for_each(lower);
        let log_weights = (mass / x.nrows() as f64).mapv(f64::ln);
        Self { log_weights, means, variances }
    }

    /// Chances of each component for each item, and the mean log likelihood.
    fn chances(&self, x: &Array2<f64>, squares: &Array2<f64>) -> (Array2<f64>, f64) {
        let precisions = self.variances.mapv(f64::recip);
        let scaled = &self.means * &precisions;
        let fixed = (&self.means * &scaled).sum_axis(Axis(1))
            + self
                .variances
                .mapv(|variance| (std::f64::consts::TAU * variance).ln())
                .sum_axis(Axis(1));
        let mut chances = x.dot(&scaled.t()) - squares.dot(&precisions.t()) * 0.5;
        chances += &(&self.log_weights - &(fixed * 0.5));
        let mut total = 0.0;
        for mut row in chances.rows_mut() {
            let most = row.fold(f64::NEG_INFINITY, |most, value| most.max(*value));
            row.mapv_inplace(|value| (value - most).exp());
            let sum = row.sum();
            row /= sum;
            total += most + sum.ln();
        }
        (chances, total / x.nrows() as f64)
    }
}

/// Squared distance.
fn far(a: ndarray::ArrayView1<'_, f64>, b: ndarray::ArrayView1<'_, f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Items as centres, each drawn by its squared distance from those before (k-means++).
fn starts(x: &Array2<f64>, count: usize, stream: &mut Stream) -> Array2<f64> {
    let mut chosen = vec![stream.below(x.nrows())];
    let mut distances: Vec<f64> = vec![f64::INFINITY; x.nrows()];
    while chosen.len() < count {
        let last = x.row(chosen[chosen.len() - 1]);
        for (distance, row) in distances.iter_mut().zip(x.rows()) {
            *distance = distance.min(far(row, last));
        }
        let total: f64 = distances.iter().sum();
        let mut left = stream.uniform() * total;
        let hit = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        // All items are centres already, or rounding left something over.
        chosen.push(hit.unwrap_or_else(|| stream.below(x.nrows())));
    }
    x.select(Axis(0), &chosen)
}

/// The nearest centre of each item.
fn nearest(x: &Array2<f64>, centres: &Array2<f64>) -> Vec<usize> {
    let half = centres.map_axis(Axis(1), |row| 0.5 * row.dot(&row));
    let close = x.dot(&centres.t()) - &half;
    let best = |row: ndarray::ArrayView1<'_, f64>| {
        let better = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
        (0..row.len()).reduce(better).unwrap_or_default()
    };
    close.rows().into_iter().map(best).collect()
}

/// Centres moved to the means of the items nearest to them, until none changes.
fn moved(x: &Array2<f64>, mut centres: Array2<f64>) -> Array2<f64> {
    let mut before = vec![];
    for _ in 0..MOST_MOVES {
        let now = nearest(x, &centres);
        if now == before {
            break;
        }
        let mut sums = Array2::<f64>::zeros(centres.dim());
        let mut counts = vec![0_usize; centres.nrows()];
        for (row, &centre) in x.rows().into_iter().zip(&now) {
            let mut sum = sums.row_mut(centre);
            sum += &row;
            counts[centre] += 1;
        }
        // A centre that has lost all its items stays where it is.
        for (centre, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            centres.row_mut(centre).assign(&(&sums.row(centre) / count as f64));
        }
        before = now;
    }
    centres
}

fn one_hot(chosen: &[usize], count: usize) -> Array2<f64> {
    let mut rows = Array2::zeros((chosen.len(), count));
    chosen.iter().enumerate().for_each(|(row, &at)| rows[[row, at]] = 1.0);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, clusters};

    #[test]
    fn clusters_that_are_far_apart_are_told_apart() {
        let (features, labels) = clusters((300, 4, 3), 20.0, 2);
        let chances = posteriors(&features, 3, Seed(0));
        for row in chances.rows() {
            assert_close(row.sum(), 1.0, 1e-12);
        }
        let component =
            |item: usize| (0..3).max_by(|&a, &b| chances[[item, a]].total_cmp(&chances[[item, b]]));
        for (item, &label) in labels.iter().enumerate() {
            assert_eq!(component(item), component(label), "item {item}");
        }
    }

    #[test]
    fn means_variances_and_weights_are_recovered() {
        let (features, _) = clusters((4000, 2, 2), 10.0, 3);
        let chances = posteriors(&features, 2, Seed(1));
        let mixture = Mixture::of(&features, &(&features * &features), &chances);
        for variance in &mixture.variances {
            assert_close(*variance, 1.0, 0.15);
        }
        assert_close(mixture.log_weights[0], 0.5_f64.ln(), 0.05);
    }

    #[test]
    fn more_components_than_different_items_leave_only_numbers() {
        let items = Array2::from_shape_fn((12, 2), |(row, _)| (row % 2) as f64);
        assert!(posteriors(&items, 6, Seed(0)).iter().all(|chance| chance.is_finite()));
    }
}
