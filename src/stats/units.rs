//! Independent units: groups of items (one patient, one writer) count once.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayRef2};
use thiserror::Error;

/// The groups do not match the items.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{groups} groups for {items} items")]
pub struct UnitsError {
    groups: usize,
    items: usize,
}

/// One column for each independent unit: the items themselves, or the groups they belong to in
/// ascending order of group number.
///
/// Items of a group resemble each other, so that counting them one by one would promise more
/// certainty than there is. The question stays about items, though: a plain mean of group means
/// would weigh a patient of one image like a patient of fifty. With N items in G groups, `n_g`
/// items in group g, the total mean m and the sum `d_sg` of the group for seed s, a unit is
///
/// ```text
/// u_sg = m + (G / N) (d_sg - m n_g)
/// ```
///
/// The second term sums to zero over all groups, so that the mean over units is the mean over
/// items, for each seed too. For groups of one size it is `(G / N) d_sg`, the group's own mean. For
/// unequal groups it is the linearised ratio estimator (Cochran 1977, chapter 6), which is what
/// cluster-robust standard errors use: a large group is not an outlier merely for being large.
///
/// # Errors
/// When `groups` has not one entry for each column of `d`.
pub fn units(d: &ArrayRef2<f64>, groups: Option<&[usize]>) -> Result<Array2<f64>, UnitsError> {
    let Some(groups) = groups else {
        return Ok(d.to_owned());
    };
    if groups.len() != d.ncols() {
        return Err(UnitsError { groups: groups.len(), items: d.ncols() });
    }
    let columns = columns(groups);
    let share = columns.len() as f64 / groups.len() as f64;
    let mean = d.mean().unwrap_or_default();
    let mut units = Array2::from_elem((d.nrows(), columns.len()), mean);
    for (differences, mut row) in d.rows().into_iter().zip(units.rows_mut()) {
        for (&difference, group) in differences.iter().zip(groups) {
            row[columns[group]] += share * (difference - mean);
        }
    }
    Ok(units)
}

/// The column of each group number that occurs, ascending.
fn columns(groups: &[usize]) -> BTreeMap<usize, usize> {
    let mut columns: BTreeMap<usize, usize> = groups.iter().map(|&group| (group, 0)).collect();
    for (position, column) in columns.values_mut().enumerate() {
        *column = position;
    }
    columns
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array, concatenate};

    use super::*;
    use crate::stats::testing::{Draws, assert_close};
    use crate::stats::two_way::TwoWay;

    fn noise(seeds: usize, items: usize) -> Array2<f64> {
        let mut draws = Draws::seeded(7);
        Array2::from_shape_simple_fn((seeds, items), || 0.3 + draws.normal())
    }

    #[test]
    fn without_groups_each_item_is_a_unit() {
        let d = noise(2, 3);
        assert_eq!(units(&d, None), Ok(d));
    }

    #[test]
    fn groups_of_one_size_are_their_means_in_order() {
        let d = array![[1.0, 2.0, 3.0, 6.0]];
        let found = units(&d, Some(&[9, 4, 9, 4])).unwrap();
        assert_close(found[[0, 0]], 4.0, 1e-12);
        assert_close(found[[0, 1]], 2.0, 1e-12);
    }

    #[test]
    fn the_mean_of_units_is_the_mean_of_items_for_each_seed() {
        let d = noise(3, 10);
        let found = units(&d, Some(&[0, 0, 0, 0, 0, 1, 1, 2, 3, 3])).unwrap();
        assert_eq!(found.dim(), (3, 4));
        let (before, after) = (d.mean_axis(Axis(1)).unwrap(), found.mean_axis(Axis(1)).unwrap());
        for (&before, &after) in before.iter().zip(&after) {
            assert_close(after, before, 1e-12);
        }
    }

    #[test]
    fn a_large_group_is_no_outlier_for_being_large() {
        let d = Array2::from_elem((3, 10), 0.25);
        let groups = [0, 0, 0, 0, 0, 0, 0, 1, 2, 2];
        let found = TwoWay::of(&units(&d, Some(&groups)).unwrap()).unwrap();
        assert!(found.degenerate);
    }

    #[test]
    fn duplicating_every_item_does_not_shrink_the_error_when_grouped() {
        let d = noise(5, 30);
        let twice = concatenate![Axis(1), d, d];
        let groups: Vec<usize> = (0..30).chain(0..30).collect();
        let se = |d: &Array2<f64>| TwoWay::of(d).unwrap().se;
        assert_close(se(&units(&twice, Some(&groups)).unwrap()), se(&d), 1e-12);
        assert!(se(&twice) < se(&d));
    }

    #[test]
    fn a_group_is_needed_for_every_item() {
        let error = units(&noise(2, 3), Some(&[0, 1])).unwrap_err();
        assert_eq!(error.to_string(), "2 groups for 3 items");
    }
}
