//! Classes told apart: two by two as LIBSVM does, or each from the rest.

use ndarray::{Array2, ArrayView2};

use super::Settings;
use super::machine::Machine;
use super::smo::{Start, Task, Variable, solve};
use crate::probe::gram::Gram;
use crate::probe::newton::Stop;
use crate::probe::threads;

/// What is told from what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Among {
    /// Each two classes.
    #[default]
    Pairs,
    /// Each class from all others.
    Rest,
}

/// One training set for one cost after another; each fit starts where the last one ended.
#[derive(Debug)]
pub struct ClassifierPath<'a> {
    gram: &'a Gram,
    sides: Vec<Side>,
    /// Where each machine's next fit starts.
    last: Vec<Option<Start>>,
    present: Vec<usize>,
    classes: usize,
    among: Among,
    settings: Settings,
    threads: usize,
}

/// Items of one machine, each with its cost and the sign of its side.
#[derive(Debug)]
struct Side {
    items: Vec<(usize, f64)>,
    /// The class if positive, and if negative.
    classes: (usize, Option<usize>),
}

impl<'a> ClassifierPath<'a> {
    /// `rows` of `gram` are trained on; `labels` are theirs. `weights` are what the cost is
    /// multiplied by for items of each class, above zero.
    pub fn new(
        gram: &'a Gram,
        rows: &[usize],
        labels: &[usize],
        weights: &[f64],
        among: Among,
        threads: usize,
    ) -> Self {
        let mut present = labels.to_vec();
        present.sort_unstable();
        present.dedup();
        let of = |class: usize, sign: f64| {
            let own = rows.iter().zip(labels).filter(move |(_, label)| **label == class);
            own.map(move |(row, _)| (*row, sign * weights[class]))
        };
        let sides = match among {
            Among::Pairs => pairs(&present)
                .map(|(a, b)| Side {
                    items: of(a, 1.0).chain(of(b, -1.0)).collect(),
                    classes: (a, Some(b)),
                })
                .collect(),
            Among::Rest => present
                .iter()
                .map(|&class| {
                    let sign = |label: usize| if label == class { 1.0 } else { -1.0 };
                    let signed = |label: &usize| sign(*label) * weights[*label];
                    let items = rows.iter().zip(labels).map(|(row, l)| (*row, signed(l)));
                    Side { items: items.collect(), classes: (class, None) }
                })
                .collect(),
        };
        Self::with(gram, sides, present, weights.len(), among, threads)
    }

    /// Each column of `targets` (rows × columns) by itself, its unknown targets left out.
    pub fn of_columns(
        gram: &'a Gram,
        rows: &[usize],
        targets: &ArrayView2<'_, Option<bool>>,
        threads: usize,
    ) -> Self {
        let sides = targets.columns().into_iter().enumerate().map(|(column, targets)| {
            let known = rows
                .iter()
                .zip(targets)
                .filter_map(|(row, target)| target.map(|yes| (*row, if yes { 1.0 } else { -1.0 })));
            Side { items: known.collect(), classes: (column, None) }
        });
        let columns = targets.ncols();
        Self::with(gram, sides.collect(), (0..columns).collect(), columns, Among::Rest, threads)
    }

    fn with(
        gram: &'a Gram,
        sides: Vec<Side>,
        present: Vec<usize>,
        classes: usize,
        among: Among,
        threads: usize,
    ) -> Self {
        let last = sides.iter().map(|_| None).collect();
        let settings = Settings::default();
        Self { gram, sides, last, present, classes, among, settings, threads }
    }

    /// The same with other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Fits for a cost above zero.
    pub fn fit(&mut self, cost: f64) -> Classifier {
        let (gram, settings) = (self.gram, self.settings);
        let work = |_: usize, (side, last): (&Side, &mut Option<Start>)| {
            let task = task(side, last.as_ref(), cost, settings);
            let solution = solve(gram, &task);
            let machine = Machine::new(&task, &solution);
            *last = Some(solution.start(&task, cost));
            machine
        };
        let parts = self.sides.iter().zip(&mut self.last);
        let machines = threads::each_part(self.threads, parts, work);
        Classifier {
            machines,
            told: self.sides.iter().map(|side| side.classes).collect(),
            present: self.present.clone(),
            classes: self.classes,
            among: self.among,
        }
    }
}

/// All pairs of classes, the lower first.
fn pairs(present: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let after = |at: usize| present[at + 1..].iter();
    (0..present.len()).flat_map(move |at| after(at).map(move |b| (present[at], *b)))
}

fn task(side: &Side, last: Option<&Start>, cost: f64, settings: Settings) -> Task {
    let start = Start::of(last, cost);
    let variable = |(at, (item, weight)): (usize, &(usize, f64))| {
        let bound = cost * weight;
        let (lower, upper) = (bound.min(0.0), bound.max(0.0));
        let value = start(at).clamp(lower, upper);
        Variable { item: *item, target: weight.signum(), lower, upper, value }
    };
    let variables = side.items.iter().enumerate().map(variable).collect();
    Task { variables, tolerance: settings.tolerance, most_steps: settings.most_steps }
}

/// Machines for one cost.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// One for each pair (the lower class is positive), or for each class.
    pub machines: Vec<Machine>,
    /// Positive and negative class of each machine.
    told: Vec<(usize, Option<usize>)>,
    present: Vec<usize>,
    classes: usize,
    among: Among,
}

impl Classifier {
    /// Rows of the kernel matrix that support any machine, ascending.
    pub fn support(&self) -> Vec<usize> {
        let mut items: Vec<usize> =
            self.machines.iter().flat_map(|machine| machine.items.iter().copied()).collect();
        items.sort_unstable();
        items.dedup();
        items
    }

    /// The same, items named by their positions in `support` (ascending).
    #[must_use]
    pub fn among(mut self, support: &[usize]) -> Self {
        let machines = self.machines.into_iter();
        self.machines = machines.map(|machine| machine.among(support)).collect();
        self
    }

    /// The worst of what machines stopped for.
    pub fn stop(&self) -> Stop {
        self.machines.iter().map(|machine| machine.stop).max().unwrap_or(Stop::Converged)
    }

    /// Scores of rows of the kernel matrix: items × classes, −∞ for a class that was not in
    /// training. Of pairs: won comparisons plus less than a half for by how much, as scikit-learn's
    /// `decision_function_shape="ovr"`; of classes against the rest: the machines' values.
    pub fn scores_within(&self, gram: &Gram, rows: &[usize]) -> Array2<f64> {
        self.gathered(rows.len(), |machine, at| machine.of_row(gram, rows[at]))
    }

    /// Scores of other items from their kernel values with all items of the matrix (items × rows
    /// of the matrix; only the columns of `support` are read).
    pub fn scores(&self, kernel_values: &ArrayView2<'_, f64>) -> Array2<f64> {
        let of = |machine: &Machine, at: usize| machine.value(|item| kernel_values[[at, item]]);
        self.gathered(kernel_values.nrows(), of)
    }

    /// The classes LIBSVM would say of rows of the kernel matrix: most won comparisons, then the
    /// lowest class.
    pub fn votes_within(&self, gram: &Gram, rows: &[usize]) -> Vec<usize> {
        let vote = |row: &usize| self.vote(|machine| machine.of_row(gram, *row));
        rows.iter().map(vote).collect()
    }

    /// The same of other items, from their kernel values as for `scores`.
    pub fn votes(&self, kernel_values: &ArrayView2<'_, f64>) -> Vec<usize> {
        let vote = |at| self.vote(|machine| machine.value(|item| kernel_values[[at, item]]));
        (0..kernel_values.nrows()).map(vote).collect()
    }

    fn vote(&self, value: impl Fn(&Machine) -> f64) -> usize {
        let mut votes = vec![0_usize; self.classes];
        for (machine, told) in self.machines.iter().zip(&self.told) {
            if let Some(class) = if value(machine) > 0.0 { Some(told.0) } else { told.1 } {
                votes[class] += 1;
            }
        }
        let first = self.present.first().copied().unwrap_or(0);
        let more = |best, class| if votes[class] > votes[best] { class } else { best };
        self.present.iter().copied().fold(first, more)
    }

    fn gathered(&self, items: usize, value: impl Fn(&Machine, usize) -> f64) -> Array2<f64> {
        let mut scores = Array2::from_elem((items, self.classes), f64::NEG_INFINITY);
        for item in 0..items {
            let mut row = scores.row_mut(item);
            self.present.iter().for_each(|class| row[*class] = 0.0);
            let mut sums = vec![0.0; self.classes];
            for (machine, told) in self.machines.iter().zip(&self.told) {
                let value = value(machine, item);
                let (a, Some(b)) = *told else {
                    row[told.0] = value;
                    continue;
                };
                row[if value < 0.0 { b } else { a }] += 1.0;
                sums[a] += value;
                sums[b] -= value;
            }
            if self.among == Among::Pairs {
                for &class in &self.present {
                    row[class] += sums[class] / (3.0 * (sums[class].abs() + 1.0));
                }
            }
        }
        scores
    }
}
