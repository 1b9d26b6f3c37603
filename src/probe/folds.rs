//! Parts of items that are held out in turn.

use super::ProbeError;
use super::pool::Targets;
use crate::base::Seed;

/// Positions of the items of each fold.
pub fn folds(
    targets: &Targets,
    _groups: &[usize],
    count: usize,
    _seed: Seed,
) -> Result<Vec<Vec<usize>>, ProbeError> {
    let Targets::Classes { labels, .. } = targets else {
        return Err(ProbeError::OtherTargets("folds are drawn by class"));
    };
    let mut folds = vec![vec![]; count];
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&item| labels[item]);
    order.iter().enumerate().for_each(|(position, &item)| folds[position % count].push(item));
    Ok(folds)
}
