//! Who is hurt? The verdict on each class, group or value of a column by itself.

use std::collections::BTreeMap;

use ndarray::{ArrayRef2, Axis};
use serde::{Deserialize, Serialize};

use super::benjamini_hochberg::benjamini_hochberg;
use super::evidence::Evidence;
use super::two_way::TwoWay;
use super::units::{UnitsError, units};
use super::verdict::{Comparison, Numbers, Verdict, judge};

/// A column with more values than this is no grouping but a measurement or a name.
pub const MAX_SUBGROUPS: usize = 20;

/// Items that share a value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subgroup {
    /// The column, such as `label` or `hospital`.
    pub column: String,
    /// What its items have there.
    pub value: String,
    /// Positions of the items, ascending.
    pub items: Vec<usize>,
}

impl Subgroup {
    /// Splits the items by a column, in the order of its values; items without one are left out.
    ///
    /// Nothing for a column of one value, which is everybody, and for one of more than
    /// [`MAX_SUBGROUPS`].
    pub fn by_column<'a>(
        column: &str,
        cells: impl IntoIterator<Item = Option<&'a str>>,
    ) -> Vec<Self> {
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (item, cell) in cells.into_iter().enumerate() {
            if let Some(value) = cell {
                members.entry(value).or_default().push(item);
            }
        }
        if !(2..=MAX_SUBGROUPS).contains(&members.len()) {
            return Vec::new();
        }
        let named = |(value, items): (&str, Vec<usize>)| Self {
            column: column.to_owned(),
            value: value.to_owned(),
            items,
        };
        members.into_iter().map(named).collect()
    }
}

/// What may be said of one subgroup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubgroupVerdict {
    /// The column.
    pub column: String,
    /// The value.
    pub value: String,
    /// Items of the subgroup.
    pub items: usize,
    /// The verdict; its p-values are corrected over all subgroups by Holm's method.
    pub verdict: Verdict,
    /// p-value of "not worse than -eps", corrected by Benjamini and Hochberg's: among the subgroups
    /// where it is at most q, a share of at most q is expected not to be hurt.
    pub q_neg_bh: Option<f64>,
    /// p-value of "not better than eps", corrected likewise.
    pub q_pos_bh: Option<f64>,
}

/// Judges differences (seeds × items, arm minus baseline, positive meaning better) within each
/// subgroup. `groups` are those of [`units`]; `whole` says of all items what also holds of each part:
/// its sizes are replaced, its reasons stand.
///
/// # Errors
/// When `groups` has not one entry for each item.
pub fn subgroups(
    d: &ArrayRef2<f64>,
    groups: Option<&[usize]>,
    parts: &[Subgroup],
    whole: &Comparison,
) -> Result<Vec<SubgroupVerdict>, UnitsError> {
    let compare = |part: &Subgroup| -> Result<Comparison, UnitsError> {
        let own = d.select(Axis(1), &part.items);
        let own_groups: Option<Vec<usize>> =
            groups.map(|groups| part.items.iter().map(|&item| groups[item]).collect());
        let collapsed = units(&own, own_groups.as_deref())?;
        Ok(Comparison {
            evidence: TwoWay::of(&collapsed).map(Evidence::from),
            units: collapsed.ncols(),
            ..whole.clone()
        })
    };
    // Told here, since each part picks its own groups.
    units(d, groups)?;
    let compared: Vec<Comparison> = parts.iter().map(compare).collect::<Result<_, _>>()?;
    Ok(judged_together(parts, &compared))
}

/// One verdict for each subgroup from its comparison, whichever test decides it; corrected over all
/// of them.
#[must_use]
pub fn judged_together(parts: &[Subgroup], compared: &[Comparison]) -> Vec<SubgroupVerdict> {
    let verdicts = judge(compared);
    let screened = screened(&verdicts).into_iter();
    let told = parts.iter().zip(&verdicts).zip(screened);
    let told = told.map(|((part, verdict), [hurt, helped])| SubgroupVerdict {
        column: part.column.clone(),
        value: part.value.clone(),
        items: part.items.len(),
        verdict: verdict.clone(),
        q_neg_bh: hurt,
        q_pos_bh: helped,
    });
    told.collect()
}

/// The p-values of "not worse than -eps" and "not better than eps" of some verdicts, corrected
/// together by Benjamini and Hochberg's method; none of a verdict without numbers.
#[must_use]
pub fn screened(verdicts: &[Verdict]) -> Vec<[Option<f64>; 2]> {
    let corrected = |side: fn(&Numbers) -> f64| {
        let p = |verdict: &Verdict| verdict.numbers.as_ref().map_or(f64::NAN, |n| 1.0 - side(n));
        benjamini_hochberg(&verdicts.iter().map(p).collect::<Vec<f64>>())
    };
    let known = |q: f64| (!q.is_nan()).then_some(q);
    let (hurt, helped) = (corrected(|n| n.p_neg), corrected(|n| n.p_pos));
    hurt.into_iter().zip(helped).map(|(hurt, helped)| [known(hurt), known(helped)]).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::stats::testing::{Draws, assert_close};
    use crate::stats::{Class, Decider};

    fn whole(d: &Array2<f64>) -> Comparison {
        Comparison {
            family: "arm".to_owned(),
            decider: Decider::TwoWay,
            evidence: TwoWay::of(d).map(Evidence::from),
            look: None,
            eps: 0.01,
            seeds: d.nrows(),
            units: d.ncols(),
            missing_seeds: 0,
            reasons: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// Every third item is hurt, and the others gain as much together.
    fn uneven() -> (Array2<f64>, Vec<Subgroup>) {
        let mut draws = Draws::seeded(9);
        let effect = |item: usize| if item.is_multiple_of(3) { -0.3 } else { 0.15 };
        let d = Array2::from_shape_fn((5, 600), |(_, item)| effect(item) + 0.3 * draws.normal());
        let sites = ["north", "south", "west"];
        let parts = Subgroup::by_column("site", (0..600).map(|item| Some(sites[item % 3])));
        (d, parts)
    }

    #[test]
    fn a_mean_of_nothing_hides_who_is_hurt() {
        let (d, parts) = uneven();
        assert_eq!(judge(&[whole(&d)])[0].class, Class::Inconclusive);
        let found = subgroups(&d, None, &parts, &whole(&d)).unwrap();
        let told: Vec<(&str, Class)> =
            found.iter().map(|part| (part.value.as_str(), part.verdict.class)).collect();
        assert_eq!(
            told,
            [("north", Class::Negative), ("south", Class::Positive), ("west", Class::Positive)]
        );
    }

    #[test]
    fn subgroups_are_corrected_together() {
        let (d, parts) = uneven();
        let all = subgroups(&d, None, &parts, &whole(&d)).unwrap();
        let alone = subgroups(&d, None, &parts[..1], &whole(&d)).unwrap();
        let holm = |found: &SubgroupVerdict| found.verdict.numbers.unwrap().q_neg_holm;
        assert_close(holm(&all[0]), 3.0 * holm(&alone[0]), 1e-12);
        assert_close(all[0].q_neg_bh.unwrap(), 3.0 * alone[0].q_neg_bh.unwrap(), 1e-12);
        assert!(all[1].q_pos_bh.unwrap() <= all[1].verdict.numbers.unwrap().q_pos_holm);
    }

    #[test]
    fn a_small_subgroup_is_told_and_not_judged() {
        let (d, _) = uneven();
        let cells = (0..600).map(|item| Some(if item < 21 { "few" } else { "many" }));
        let parts = Subgroup::by_column("size", cells);
        let found = subgroups(&d, None, &parts, &whole(&d)).unwrap();
        assert_eq!(found[0].items, 21);
        assert_eq!(found[0].verdict.reason().as_deref(), Some("too_few_units"));
        let single = [Subgroup { items: vec![4], ..parts[0].clone() }];
        let found = subgroups(&d, None, &single, &whole(&d)).unwrap();
        assert_eq!((found[0].verdict.numbers, found[0].q_neg_bh), (None, None));
    }

    #[test]
    fn groups_count_once_within_a_subgroup_too() {
        let (d, parts) = uneven();
        let patients: Vec<usize> = (0..600).map(|item| item / 6).collect();
        let found = subgroups(&d, Some(&patients), &parts, &whole(&d)).unwrap();
        assert_eq!((found[0].items, found[0].verdict.units), (200, 100));
        assert!(subgroups(&d, Some(&patients[1..]), &parts, &whole(&d)).is_err());
    }

    #[test]
    fn only_a_column_of_a_few_values_makes_subgroups() {
        let count = |values: usize| {
            let names: Vec<String> = (0..100).map(|item| (item % values).to_string()).collect();
            Subgroup::by_column("age", names.iter().map(|name| Some(name.as_str()))).len()
        };
        assert_eq!([count(1), count(2), count(20), count(21)], [0, 2, 20, 0]);
        let found = Subgroup::by_column("site", [Some("a"), None, Some("b"), Some("a")]);
        assert_eq!(found[0].items, [0, 3]);
        assert_eq!(found[1].items, [2]);
    }
}
