//! Division of a training part into folds: each class as evenly as can be, no group in two folds.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::base::{Seed, Stream};

use super::calibration::HeldOut;
use super::unfit::{Unfit, check_labels, check_length};

/// What is to be spread evenly.
#[derive(Clone, Copy, Debug)]
pub enum Strata<'a> {
    /// One class for each item.
    Classes {
        /// The class of each item.
        labels: &'a [usize],
        /// Number of classes.
        classes: usize,
    },
    /// Any number of labels for each item (items × labels: 1 where an item has the label; 0 or NaN
    /// where not or unknown).
    Labels(ArrayView2<'a, f64>),
    /// Numbers for each item (items × numbers): the quantiles of each are spread.
    Values(ArrayView2<'a, f64>),
}

/// Folds of a training part.
#[derive(Clone, Debug, PartialEq)]
pub struct Folds {
    of: Vec<usize>,
    count: usize,
    notes: Vec<String>,
}

/// Bins of quantiles at most.
const BINS: usize = 10;

impl Folds {
    /// Divides items into `count` folds, or into as many as there are items or groups. The same
    /// seed gives the same folds.
    ///
    /// Without groups each class has as many items in one fold as in another, but for one.
    pub fn new(
        strata: Strata<'_>,
        groups: Option<&[usize]>,
        count: usize,
        seed: Seed,
    ) -> Result<Self, Unfit> {
        let labels = Labels::of(strata, count)?;
        let items = labels.of.len();
        if let Some(groups) = groups {
            check_length("groups", groups.len(), items)?;
        }
        let units = units(items, groups);
        let what = if groups.is_some() { "groups" } else { "items" };
        let mut notes = vec![];
        let folds = number(count, units.len(), what, &mut notes)?;
        let mut stream = seed.stream("folds", &folds.to_string());
        let of = match groups.is_none() && labels.one_each {
            true => dealt(&labels, folds, &mut stream),
            false => Spread::new(&labels, &units, folds).run(&mut stream),
        };
        notes.extend(labels.notes(&of, folds));
        Ok(Self { of, count: folds, notes })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The fold of each item.
    pub fn of(&self) -> &[usize] {
        &self.of
    }

    /// What a person should know of them.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Rows of each fold, ascending.
    pub fn held(&self) -> Vec<Vec<usize>> {
        let mut held = vec![vec![]; self.count];
        self.of.iter().enumerate().for_each(|(row, &fold)| held[fold].push(row));
        held
    }

    /// Rows that are trained on while a fold is held out, and rows of the fold.
    pub fn parts(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        (0..self.of.len()).partition(|&row| self.of[row] != fold)
    }

    /// Scores of every item by the fit that did not see it. `scores` gets the rows to train on and
    /// the rows to score, and gives one row of `width` scores for each of the latter.
    pub fn held_out<E: From<Unfit>>(
        &self,
        width: usize,
        mut scores: impl FnMut(&[usize], &[usize]) -> Result<Array2<f64>, E>,
    ) -> Result<HeldOut, E> {
        let mut all = Array2::from_elem((self.of.len(), width), f64::NEG_INFINITY);
        for fold in 0..self.count {
            let (train, held) = self.parts(fold);
            let found = scores(&train, &held)?;
            check_length("rows of scores", found.nrows(), held.len())?;
            if found.ncols() != width {
                return Err(Unfit::Width { found: found.ncols(), expected: width }.into());
            }
            for (row, scores) in held.into_iter().zip(found.rows()) {
                all.row_mut(row).assign(&scores);
            }
        }
        Ok(HeldOut::of_other_part(all)?)
    }
}

/// How many folds there can be.
fn number(
    wanted: usize,
    units: usize,
    what: &'static str,
    notes: &mut Vec<String>,
) -> Result<usize, Unfit> {
    if wanted < 2 {
        let range = "must be 2 or more";
        return Err(Unfit::Setting { name: "folds", value: wanted.to_string(), range });
    }
    if units < 2 {
        return Err(Unfit::NoFolds { units, what });
    }
    if units < wanted {
        notes.push(format!("{units} {what} make {units} folds, not {wanted}"));
    }
    Ok(wanted.min(units))
}

/// Items that stay together, the groups in the order of their numbers.
fn units(items: usize, groups: Option<&[usize]>) -> Vec<Vec<usize>> {
    let Some(groups) = groups else { return (0..items).map(|row| vec![row]).collect() };
    let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, &group) in groups.iter().enumerate() {
        rows.entry(group).or_default().push(row);
    }
    rows.into_values().collect()
}

/// What each item counts as.
struct Labels {
    of: Vec<Vec<usize>>,
    count: usize,
    one_each: bool,
    /// What a label is called; nothing where that would say nothing.
    word: Option<&'static str>,
    /// Labels a person knows; the one beyond says that an item has none.
    known: usize,
}

impl Labels {
    fn of(strata: Strata<'_>, folds: usize) -> Result<Self, Unfit> {
        match strata {
            Strata::Classes { labels, classes } => {
                check_labels(labels, classes, labels.len())?;
                let of = labels.iter().map(|&label| vec![label]).collect();
                let word = Some("class");
                Ok(Self { of, count: classes, one_each: true, word, known: classes })
            }
            Strata::Labels(known) => {
                let count = known.ncols();
                let of = known.axis_iter(Axis(0)).map(|row| {
                    let own: Vec<usize> = (0..count).filter(|&label| row[label] > 0.5).collect();
                    if own.is_empty() { vec![count] } else { own }
                });
                let (of, word) = (of.collect(), Some("label"));
                Ok(Self { of, count: count + 1, one_each: false, word, known: count })
            }
            Strata::Values(values) => {
                let mut of = vec![vec![]; values.nrows()];
                for (column, values) in values.axis_iter(Axis(1)).enumerate() {
                    let bins = quantiles(&values, column, folds)?;
                    of.iter_mut().zip(bins).for_each(|(of, bin)| of.push(column * BINS + bin));
                }
                let count = BINS * values.ncols();
                Ok(Self { of, count, one_each: values.ncols() == 1, word: None, known: 0 })
            }
        }
    }

    /// Labels that are missing somewhere.
    fn notes(&self, of: &[usize], folds: usize) -> Vec<String> {
        let Some(word) = self.word else { return vec![] };
        let mut counts = vec![vec![0; folds]; self.count];
        for (labels, &fold) in self.of.iter().zip(of) {
            for &label in labels {
                counts[label][fold] += 1;
            }
        }
        let mut notes = vec![];
        for (label, counts) in counts.iter().enumerate().take(self.known) {
            let without = counts.iter().filter(|count| **count == 0).count();
            let items: usize = counts.iter().sum();
            if without + 1 == folds {
                notes.push(format!(
                    "{word} {label} has all of its {items} items in one fold: while that is held \
                     out nothing is learnt of it"
                ));
            } else if without > 0 && items > 0 {
                notes.push(format!(
                    "{word} {label} has {items} items: {without} of {folds} folds have none of it"
                ));
            }
        }
        notes
    }
}

/// The quantile of each value, by rank.
fn quantiles(
    values: &ArrayView1<'_, f64>,
    column: usize,
    folds: usize,
) -> Result<Vec<usize>, Unfit> {
    if let Some(row) = values.iter().position(|value| !value.is_finite()) {
        let value = values[row].to_string();
        return Err(Unfit::NotFiniteTarget { row, column, value });
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let bins = (values.len() / folds.max(1)).clamp(1, BINS);
    let mut of = vec![0; values.len()];
    for (rank, row) in order.into_iter().enumerate() {
        of[row] = rank * bins / values.len();
    }
    Ok(of)
}

/// Shuffles the items of each label and deals them out, going on where the label before ended.
fn dealt(labels: &Labels, folds: usize, stream: &mut Stream) -> Vec<usize> {
    let mut rows = vec![vec![]; labels.count];
    for (row, own) in labels.of.iter().enumerate() {
        rows[own[0]].push(row);
    }
    let mut of = vec![0; labels.of.len()];
    let mut next = 0;
    for mut rows in rows {
        stream.shuffle(&mut rows);
        for row in rows {
            of[row] = next % folds;
            next += 1;
        }
    }
    of
}

/// Iterative stratification (Sechidis et al. 2011) of units that may hold several items: the rarest
/// label first, each unit to the fold that lacks it most; afterwards single units move as long as
/// that makes the folds more even.
struct Spread<'a> {
    units: &'a [Vec<usize>],
    /// Labels of each unit and how many of its items have them.
    labels: Vec<BTreeMap<usize, f64>>,
    totals: Vec<f64>,
    items: f64,
    folds: usize,
    /// Folds × labels.
    have: Array2<f64>,
    sizes: Vec<f64>,
    /// Units of each fold.
    filled: Vec<usize>,
    of: Vec<Option<usize>>,
}

impl<'a> Spread<'a> {
    fn new(labels: &Labels, units: &'a [Vec<usize>], folds: usize) -> Self {
        let count = |unit: &Vec<usize>| {
            let mut counts = BTreeMap::new();
            for label in unit.iter().flat_map(|&row| &labels.of[row]) {
                *counts.entry(*label).or_insert(0.0) += 1.0;
            }
            counts
        };
        let of_units: Vec<BTreeMap<usize, f64>> = units.iter().map(count).collect();
        let mut totals = vec![0.0; labels.count];
        for (label, count) in of_units.iter().flatten() {
            totals[*label] += count;
        }
        Self {
            units,
            labels: of_units,
            totals,
            items: labels.of.len() as f64,
            folds,
            have: Array2::zeros((folds, labels.count)),
            sizes: vec![0.0; folds],
            filled: vec![0; folds],
            of: vec![None; units.len()],
        }
    }

    fn run(mut self, stream: &mut Stream) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        stream.shuffle(&mut order);
        let mut left = self.totals.clone();
        while let Some(label) = rarest(&left) {
            let mut holders: Vec<usize> = order
                .iter()
                .copied()
                .filter(|&unit| self.of[unit].is_none() && self.labels[unit].contains_key(&label))
                .collect();
            holders.sort_by(|&a, &b| {
                let size = |unit: usize| (self.labels[unit][&label], self.units[unit].len() as f64);
                let (a, b) = (size(a), size(b));
                b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
            });
            for unit in holders {
                self.put(unit, self.neediest(label));
                for (label, count) in &self.labels[unit] {
                    left[*label] -= count;
                }
            }
            left[label] = 0.0;
        }
        self.even_out(&order);
        let mut of = vec![0; self.items as usize];
        for (unit, fold) in self.units.iter().zip(&self.of) {
            for &row in unit {
                of[row] = fold.unwrap_or(0);
            }
        }
        of
    }

    /// The fold that lacks most of a label; of several the smallest.
    fn neediest(&self, label: usize) -> usize {
        let need = |fold: usize| (self.have[[fold, label]], self.sizes[fold]);
        let less = |a: usize, b: usize| {
            let (a, b) = (need(a), need(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).is_lt()
        };
        (1..self.folds).fold(0, |best, fold| if less(fold, best) { fold } else { best })
    }

    fn put(&mut self, unit: usize, fold: usize) {
        self.change(unit, fold, 1.0);
        self.filled[fold] += 1;
        self.of[unit] = Some(fold);
    }

    fn change(&mut self, unit: usize, fold: usize, sign: f64) {
        for (label, count) in &self.labels[unit] {
            self.have[[fold, *label]] += sign * count;
        }
        self.sizes[fold] += sign * self.units[unit].len() as f64;
    }

    /// What putting a unit into a fold, where it is not, adds to the unevenness: squared counts,
    /// divided by totals.
    fn cost(&self, unit: usize, fold: usize) -> f64 {
        let added = |have: f64, count: f64, total: f64| count * (2.0 * have + count) / total;
        let labels = self.labels[unit]
            .iter()
            .map(|(label, count)| added(self.have[[fold, *label]], *count, self.totals[*label]));
        labels.sum::<f64>() + added(self.sizes[fold], self.units[unit].len() as f64, self.items)
    }

    fn even_out(&mut self, order: &[usize]) {
        for _ in 0..10 {
            let mut moved = false;
            for &unit in order {
                let Some(from) = self.of[unit] else { continue };
                if self.filled[from] == 1 {
                    continue;
                }
                self.change(unit, from, -1.0);
                self.filled[from] -= 1;
                let costs: Vec<f64> = (0..self.folds).map(|fold| self.cost(unit, fold)).collect();
                let better = |best: usize, fold: usize| {
                    if costs[fold] < costs[best] - 1e-9 { fold } else { best }
                };
                let to = (0..self.folds).fold(from, better);
                moved |= to != from;
                self.put(unit, to);
            }
            if !moved {
                break;
            }
        }
    }
}

/// The label with the fewest items left.
fn rarest(left: &[f64]) -> Option<usize> {
    let some = left.iter().enumerate().filter(|(_, left)| **left > 0.0);
    some.min_by(|a, b| a.1.total_cmp(b.1)).map(|(label, _)| label)
}

#[cfg(test)]
#[path = "folds/tests.rs"]
mod tests;
