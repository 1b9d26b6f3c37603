//! Page's test of a trend over blocks: do values rise, or fall, with what orders their columns?

use std::collections::BTreeMap;

use super::kendall::every_order;
use super::normal;
use super::ranks::midranks;

/// Up to so many columns and blocks, every order of every block is counted.
const FEW_COLUMNS: usize = 7;
/// See [`FEW_COLUMNS`].
const FEW_BLOCKS: usize = 20;

/// Page's test (1963): values are ranked within each block, and L sums over blocks the products of
/// these ranks with the ranks of the columns. Blocks need nothing in common but their columns, so
/// that seeds which are all hard or all easy say as much as others. Equal values share the mean of
/// their ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Page {
    /// How many blocks.
    pub blocks: usize,
    /// L; the larger, the more values rise.
    pub l: f64,
    /// The chance of an L at least as large if order had no meaning within blocks.
    pub p_rises: f64,
    /// The chance of an L at most as large.
    pub p_falls: f64,
    /// Whether these are exact; else those of a normal distribution.
    pub is_exact: bool,
    /// Whether values fall rather than rise; nothing if they do neither.
    pub falls: Option<bool>,
}

impl Page {
    /// Of blocks with a value for each column; `columns` says what orders these. Nothing of fewer
    /// than three columns or two blocks, of blocks of other lengths, and where either is all the
    /// same.
    #[must_use]
    pub fn of(columns: &[f64], blocks: &[Vec<f64>]) -> Option<Self> {
        let fits = blocks.iter().all(|block| block.len() == columns.len());
        if columns.len() < 3 || blocks.len() < 2 || !fits {
            return None;
        }
        // Halves become whole numbers, so that sums are equal where they should be.
        let doubled =
            |values: &[f64]| midranks(values).0.iter().map(|rank| (2.0 * rank) as i64).collect();
        let order: Vec<i64> = doubled(columns);
        let ranks: Vec<Vec<i64>> = blocks.iter().map(|block| doubled(block)).collect();
        let seen: i64 = ranks.iter().map(|ranks| products(&order, ranks)).sum();
        let variance: f64 = ranks.iter().map(|ranks| variance(&order, ranks)).sum();
        if variance <= 0.0 {
            return None;
        }
        let k = columns.len();
        let mean = (blocks.len() * k * (k + 1).pow(2)) as i64;
        let is_exact = columns.len() <= FEW_COLUMNS && blocks.len() <= FEW_BLOCKS;
        let (p_rises, p_falls) = match is_exact {
            true => shares(&order, &ranks, seen),
            false => {
                let z = (seen - mean) as f64 / variance.sqrt();
                (normal::cdf(-z), normal::cdf(z))
            }
        };
        let falls = (seen != mean).then_some(seen < mean);
        let (blocks, l) = (blocks.len(), seen as f64 / 4.0);
        Some(Self { blocks, l, p_rises, p_falls, is_exact, falls })
    }

    /// Two-sided p-value of "no trend": twice the smaller chance.
    #[must_use]
    pub fn p(&self) -> f64 {
        (2.0 * self.p_rises.min(self.p_falls)).min(1.0)
    }
}

fn products(order: &[i64], ranks: &[i64]) -> i64 {
    order.iter().zip(ranks).map(|(x, rank)| x * rank).sum()
}

/// Variance of the sum of products over all orders of a block.
fn variance(order: &[i64], ranks: &[i64]) -> f64 {
    let k = order.len() as f64;
    let squares = |values: &[i64]| {
        values.iter().map(|value| (*value as f64 - (k + 1.0)).powi(2)).sum::<f64>()
    };
    squares(order) * squares(ranks) / (k - 1.0)
}

/// The shares of all orders of all blocks whose sum is at least, and at most, the one seen.
fn shares(order: &[i64], blocks: &[Vec<i64>], seen: i64) -> (f64, f64) {
    let mut sums = BTreeMap::from([(0_i64, 1.0)]);
    for ranks in blocks {
        let mut own: BTreeMap<i64, f64> = BTreeMap::new();
        let mut count = 0.0;
        let mut places: Vec<usize> = (0..ranks.len()).collect();
        every_order(&mut places, 0, &mut |places| {
            let sum = order.iter().zip(places).map(|(x, &place)| x * ranks[place]).sum();
            *own.entry(sum).or_default() += 1.0;
            count += 1.0;
        });
        let mut next: BTreeMap<i64, f64> = BTreeMap::new();
        for (sum, share) in &sums {
            for (more, orders) in &own {
                *next.entry(sum + more).or_default() += share * orders / count;
            }
        }
        sums = next;
    }
    let rises = sums.range(seen..).map(|(_, share)| share).sum();
    (rises, sums.range(..=seen).map(|(_, share)| share).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    const FOUR: [f64; 4] = [1.0, 2.0, 3.0, 4.0];

    #[test]
    fn chances_are_those_of_scipy() {
        let blocks = vec![FOUR.to_vec(), vec![1.0, 3.0, 2.0, 4.0], vec![2.0, 1.0, 3.0, 4.0]];
        let found = Page::of(&FOUR, &blocks).unwrap();
        assert_close(found.l, 88.0, 0.0);
        assert_close(found.p_rises, 0.002_893_518_518_518_518_4, 1e-15);
        let six: [[f64; 6]; 5] = [
            [1.0, 3.0, 2.0, 5.0, 4.0, 6.0],
            [2.0, 1.0, 4.0, 3.0, 6.0, 5.0],
            [3.0, 1.0, 2.0, 4.0, 5.0, 6.0],
            [1.0, 2.0, 4.0, 3.0, 5.0, 6.0],
            [6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
        ];
        let blocks: Vec<Vec<f64>> = six.iter().map(|block| block.to_vec()).collect();
        let found = Page::of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], &blocks).unwrap();
        assert_close(found.l, 411.0, 0.0);
        assert_close(found.p_rises, 0.005_953_033_972_001_141, 1e-13);
        assert!(found.is_exact && found.falls == Some(false));
    }

    #[test]
    fn many_blocks_have_the_normal_distribution_of_scipy() {
        // Each block seven times: L is 88 · 7, its mean 75 · 7, its variance 25 · 7.
        let three = [FOUR.to_vec(), vec![1.0, 3.0, 2.0, 4.0], vec![2.0, 1.0, 3.0, 4.0]];
        let blocks: Vec<Vec<f64>> = three.iter().cycle().take(21).cloned().collect();
        let found = Page::of(&FOUR, &blocks).unwrap();
        assert!(!found.is_exact);
        assert_close(found.p_rises, normal::cdf(-91.0 / 175_f64.sqrt()), 1e-15);
    }

    #[test]
    fn what_falls_in_every_block_falls_and_what_is_flat_does_neither() {
        let falling = Page::of(&FOUR, &vec![vec![0.4, 0.3, 0.2, 0.1]; 3]).unwrap();
        assert_close(falling.p_falls, 24_f64.powi(-3), 1e-15);
        assert_close(falling.p(), 2.0 * 24_f64.powi(-3), 1e-15);
        assert_eq!(falling.falls, Some(true));
        let both = vec![FOUR.to_vec(), vec![4.0, 3.0, 2.0, 1.0]];
        let flat = Page::of(&FOUR, &both).unwrap();
        assert_eq!(flat.falls, None);
        assert_close(flat.p(), 1.0, 0.0);
    }

    #[test]
    fn equal_values_and_equal_columns_share_ranks() {
        // Of two columns that are equal, and a third: the order of the first two has no meaning.
        let found = Page::of(&[1.0, 1.0, 2.0], &vec![vec![1.0, 2.0, 3.0]; 2]).unwrap();
        assert_close(found.p_rises, 1.0 / 9.0, 1e-15);
        let tied = Page::of(&[1.0, 2.0, 3.0], &vec![vec![1.0, 1.0, 2.0]; 2]).unwrap();
        assert_close(tied.p_rises, 1.0 / 9.0, 1e-15);
    }

    #[test]
    fn too_little_has_no_trend() {
        assert_eq!(Page::of(&FOUR, &[FOUR.to_vec()]), None);
        assert_eq!(Page::of(&[1.0, 2.0], &vec![vec![1.0, 2.0]; 3]), None);
        assert_eq!(Page::of(&FOUR, &vec![vec![1.0; 4]; 3]), None);
        assert_eq!(Page::of(&[1.0; 4], &vec![FOUR.to_vec(); 3]), None);
        assert_eq!(Page::of(&FOUR, &[FOUR.to_vec(), vec![1.0]]), None);
    }
}
