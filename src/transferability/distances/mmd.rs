//! Squared maximum mean discrepancy (Gretton et al. 2012) with a Gaussian kernel as wide as the
//! median distance, and its permutation test.

use ndarray::{Array2, ArrayView2, Axis};

use super::{Samples, pooled};
use crate::base::Seed;
use crate::stats::Direction;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{each_part, product, with_itself};
use crate::transferability::score::{Change, Needs, Number, Score};

/// Maximum mean discrepancy.
pub(in super::super) struct Mmd;

/// Items of each domain: the kernel has the square of their sum.
const MOST_ITEMS: usize = 1000;
/// Exchanges of domains.
const PERMUTATIONS: usize = 500;

impl Score for Mmd {
    fn name(&self) -> &'static str {
        "mmd"
    }

    fn description(&self) -> &'static str {
        "squared maximum mean discrepancy of two domains without bias, at most 1,000 items of \
         each, about 0 or below for one domain; p by 500 permutations (Gretton 2012)"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn needs(&self) -> Needs {
        Needs::Other
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        let samples = Samples::draw(items, MOST_ITEMS)?;
        let number = samples
            .measure("mmd", |x, y| Ok(Kernel::at_median(x, y, items.threads)?.discrepancy()))?;
        let kernel = Kernel::at_median(samples.here.view(), samples.there.view(), items.threads)?;
        let p = Some(kernel.p(items.seed, items.threads));
        Ok(vec![Number { p, ..number }])
    }
}

/// exp(−d² / 2σ²) of all pairs of pooled items, those of the first domain first.
struct Kernel {
    pairs: Array2<f64>,
    first: usize,
}

/// Squared distances of all pairs.
fn distances(pooled: ArrayView2<'_, f64>, threads: usize) -> Array2<f64> {
    // Around the middle of all, where differences of squares keep their digits.
    let pooled = crate::transferability::matrix::centred(pooled);
    let mut pairs = with_itself(pooled.view(), threads);
    let squares = pairs.diag().to_owned();
    for (i, mut row) in pairs.rows_mut().into_iter().enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            let far = (squares[i] + squares[j] - 2.0 * *value).max(0.0);
            *value = if i == j { 0.0 } else { far };
        }
    }
    pairs
}

/// The median distance of two different items.
fn median(distances: &Array2<f64>) -> f64 {
    let rows = distances.rows().into_iter().enumerate();
    let mut below: Vec<f64> = rows.flat_map(|(i, row)| row.to_vec().into_iter().take(i)).collect();
    let middle = below.len() / 2;
    let is_even = below.len().is_multiple_of(2);
    let (before, upper, _) = below.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = upper.sqrt();
    let lower = before.iter().copied().max_by(f64::total_cmp).map_or(upper, f64::sqrt);
    if is_even { 0.5 * (lower + upper) } else { upper }
}

impl Kernel {
    fn new(distances: Array2<f64>, first: usize, width: f64) -> Self {
        let pairs = distances.mapv_into(|far| (-far / (2.0 * width * width)).exp());
        Self { pairs, first }
    }

    fn at_median(
        x: ArrayView2<'_, f64>,
        y: ArrayView2<'_, f64>,
        threads: usize,
    ) -> Result<Self, Refusal> {
        let distances = distances(pooled(x, y).view(), threads);
        let width = median(&distances);
        if !width.is_finite() {
            return Err(Refusal::TooLarge);
        }
        if width == 0.0 {
            return Err(Refusal::NoValue("half of all pairs of items are equal"));
        }
        Ok(Self::new(distances, x.nrows(), width))
    }

    /// Without bias, from the sums over all pairs, pairs with the first domain, and pairs in it.
    fn unbiased(&self, all: f64, with_first: f64, in_first: f64) -> f64 {
        let (m, n) = (self.first as f64, (self.pairs.nrows() - self.first) as f64);
        let in_second = all - 2.0 * with_first + in_first;
        (in_first - m) / (m * (m - 1.0)) + (in_second - n) / (n * (n - 1.0))
            - 2.0 * (with_first - in_first) / (m * n)
    }

    fn discrepancy(&self) -> f64 {
        let rows = self.pairs.sum_axis(Axis(1));
        let members = Array2::from_shape_fn((rows.len(), 1), |(row, _)| {
            f64::from(u8::from(row < self.first))
        });
        self.of_members(&members, &rows.to_vec(), 1)[0]
    }

    /// The discrepancy for each column of members of the first domain.
    fn of_members(&self, members: &Array2<f64>, rows: &[f64], threads: usize) -> Vec<f64> {
        let sums = product(self.pairs.view(), members.view(), threads);
        let all: f64 = rows.iter().sum();
        let columns = members.columns().into_iter().zip(sums.columns());
        let value =
            |(member, sum): (ndarray::ArrayView1<'_, f64>, ndarray::ArrayView1<'_, f64>)| {
                let with: f64 = member.iter().zip(rows).map(|(member, row)| member * row).sum();
                self.unbiased(all, with, member.dot(&sum))
            };
        columns.map(value).collect()
    }

    /// How likely so large a discrepancy is if domains were exchanged at random.
    fn p(&self, seed: Seed, threads: usize) -> f64 {
        let size = self.pairs.nrows();
        let rows = self.pairs.sum_axis(Axis(1)).to_vec();
        let observed = self.discrepancy();
        let draws: Vec<usize> = (0..PERMUTATIONS).collect();
        let parts: Vec<&[usize]> = draws.chunks(50).collect();
        let larger = each_part(threads, parts, |_, part| {
            let mut members = Array2::zeros((size, part.len()));
            for (column, draw) in part.iter().enumerate() {
                let mut order: Vec<usize> = (0..size).collect();
                seed.stream("mmd permutation", &draw.to_string()).shuffle(&mut order);
                order[..self.first].iter().for_each(|&row| members[[row, column]] = 1.0);
            }
            let values = self.of_members(&members, &rows, 1);
            values.iter().filter(|value| **value >= observed - 1e-12).count()
        });
        (1 + larger.iter().sum::<usize>()) as f64 / (1 + PERMUTATIONS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, clusters, domains};

    fn biased(kernel: &Kernel) -> f64 {
        let (m, size) = (kernel.first, kernel.pairs.nrows());
        let n = size - m;
        let sign = |row: usize| if row < m { 1.0 / m as f64 } else { -1.0 / n as f64 };
        kernel.pairs.indexed_iter().map(|((i, j), k)| sign(i) * sign(j) * k).sum()
    }

    #[test]
    fn two_small_domains_have_the_known_discrepancy() {
        let (here, there) = domains();
        let distances = distances(pooled(here.view(), there.view()).view(), 1);
        assert_close(median(&distances), 2.118_033_99, 1e-8);
        let kernel = Kernel::at_median(here.view(), there.view(), 1).unwrap();
        assert_close(kernel.discrepancy(), 0.673_875_60, 1e-8);
        assert_close(biased(&kernel), 0.766_448_69, 1e-8);
        let kernel = Kernel::new(distances, 5, 1.0);
        assert_close(kernel.discrepancy(), 0.639_389_50, 1e-8);
        assert_close(biased(&kernel), 0.902_111_44, 1e-8);
    }

    #[test]
    fn a_domain_and_itself_are_less_than_nothing_apart() {
        let (here, _) = domains();
        let distances = distances(pooled(here.view(), here.view()).view(), 1);
        // As wide as for the two domains above.
        let known = Kernel::new(distances, 5, 2.118_033_988_75).discrepancy();
        assert_close(known, -0.076_549_27, 1e-8);
        assert!(Kernel::at_median(here.view(), here.view(), 1).unwrap().discrepancy() < 0.0);
    }

    #[test]
    fn the_test_finds_another_domain_and_not_the_same() {
        let (x, _) = clusters((60, 3, 1), 0.0, 1);
        let (y, _) = clusters((60, 3, 1), 0.0, 2);
        let p = |y: &Array2<f64>| Kernel::at_median(x.view(), y.view(), 1).unwrap().p(Seed(0), 2);
        assert_close(p(&(&y + 2.0)), 1.0 / 501.0, 1e-12);
        assert!(p(&y) > 0.05);
    }
}
