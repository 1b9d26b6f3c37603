//! Whether the best of a list stands at its end, so that a better value may lie beyond.

/// What each value of a list gave on val, ascending; lower is better, nothing where it failed.
type Curve = [(f64, Option<f64>)];

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Before its smallest value.
    Below,
    /// After its largest value.
    Above,
}

/// The end at which the best value stands, given what each gave in each seed. Where all seeds tried
/// the same values, the best is that of the mean over seeds, in which a failure counts as infinitely
/// bad. Where a list grew in some seeds alone, as those of probes do, it is the end at which more
/// than half of the seeds have their own best.
pub fn edge(curves: &[&Curve]) -> Option<End> {
    let first = curves.first()?;
    if curves.iter().any(|curve| curve.len() < 2) {
        return None;
    }
    let values = |curve: &Curve| -> Vec<u64> { curve.iter().map(|it| it.0.to_bits()).collect() };
    let own = values(first);
    if curves.iter().all(|curve| values(curve) == own) {
        let mean = |index: usize| {
            let seen = curves.iter().map(|curve| curve[index].1.unwrap_or(f64::INFINITY));
            seen.sum::<f64>() / curves.len() as f64
        };
        return of_best(first.len(), mean);
    }
    let each: Vec<Option<End>> = curves
        .iter()
        .map(|curve| of_best(curve.len(), |index| curve[index].1.unwrap_or(f64::INFINITY)))
        .collect();
    let most = |end: End| 2 * each.iter().filter(|it| **it == Some(end)).count() > each.len();
    [End::Below, End::Above].into_iter().find(|end| most(*end))
}

/// The end at which the smallest of so many errors stands, the first of equals.
fn of_best(count: usize, error: impl Fn(usize) -> f64) -> Option<End> {
    let best = (0..count).min_by(|a, b| error(*a).total_cmp(&error(*b)))?;
    match best {
        0 => Some(End::Below),
        last if last + 1 == count => Some(End::Above),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(errors: &[f64]) -> Vec<(f64, Option<f64>)> {
        let value = |(index, error): (usize, &f64)| {
            (10_f64.powi(index as i32), Some(*error).filter(|error| error.is_finite()))
        };
        errors.iter().enumerate().map(value).collect()
    }

    fn end(curves: &[&[f64]]) -> Option<End> {
        let curves: Vec<Vec<(f64, Option<f64>)>> = curves.iter().map(|it| curve(it)).collect();
        edge(&curves.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn the_best_in_the_mean_over_seeds_tells_the_end() {
        assert_eq!(end(&[&[3.0, 1.0, 2.0]]), None);
        assert_eq!(end(&[&[3.0, 2.0, 1.0]]), Some(End::Above));
        assert_eq!(end(&[&[1.0, 2.0, 3.0]]), Some(End::Below));
        // One seed is for the last, the mean of both is not.
        assert_eq!(end(&[&[3.0, 2.0, 1.0], &[3.0, 0.0, 2.0]]), None);
        // What fails in one seed cannot be the best.
        let failed = f64::INFINITY;
        assert_eq!(end(&[&[3.0, 2.0, 1.0], &[3.0, 2.0, failed]]), None);
    }

    #[test]
    fn there_is_no_end_without_a_list() {
        assert_eq!(end(&[]), None);
        assert_eq!(end(&[&[1.0]]), None);
    }

    #[test]
    fn seeds_whose_lists_differ_are_counted() {
        let (grown, inside) = ([4.0, 3.0, 2.0, 1.0], [3.0, 1.0, 2.0]);
        assert_eq!(end(&[&grown, &grown, &inside]), Some(End::Above));
        assert_eq!(end(&[&grown, &inside, &inside]), None);
        assert_eq!(end(&[&grown, &inside]), None);
    }
}
