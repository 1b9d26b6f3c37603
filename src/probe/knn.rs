//! The k nearest training items: found by one pass of products in 32 bits that can lose none of
//! them, put in order by their distances in 64 bits.

#![allow(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, CowArray, Ix2, s};

use super::products::{dot, squared_distance};
use super::threads::each_part;
use super::unfit::{Unfit, check_features, check_labels, check_targets, check_width};

/// How far items are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// The length of the difference.
    L2,
    /// 1 − the cosine of the angle; an item of zeros is at 1 from all.
    Cosine,
}

/// What neighbours say of an item's class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Votes {
    /// Each the same.
    Majority,
    /// By softmax of similarity / τ over the k neighbours, as in DINO's evaluation (τ = 0.07).
    /// Similarity is the cosine, or the negative distance for L2.
    Weighted(f64),
}

/// Training items that neighbours are looked for among.
#[derive(Clone, Debug)]
pub struct Neighbours<'a> {
    distance: Distance,
    /// Items × features; of length 1 for cosine.
    items: CowArray<'a, f64, Ix2>,
    /// Subtracted before items are rounded to 32 bits; nothing for cosine.
    centre: Array1<f64>,
    /// What the largest item is divided by before it is rounded.
    scale: f64,
    /// Items × features, centred, scaled and rounded.
    rounded: Array2<f32>,
    /// Squared lengths of what was rounded; zero for cosine.
    squares: Vec<f32>,
}

/// The neighbours of some items, the nearest first; of two as near the one that comes first in
/// training.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// Items × neighbours: rows of the training matrix.
    pub neighbours: Array2<usize>,
    /// Items × neighbours: how far they are.
    pub distances: Array2<f64>,
    distance: Distance,
}

/// What neighbours say of some items.
#[derive(Clone, Debug, PartialEq)]
pub struct Voted {
    /// Items × classes; rows sum to 1.
    pub probabilities: Array2<f64>,
    /// The class of most votes; of several with as many the one of the nearest item.
    pub predicted: Vec<usize>,
}

/// Items that are looked up together.
const QUERIES: usize = 256;
/// Training items that are multiplied together.
const ITEMS: usize = 1024;
/// Rounding of 32 bits.
const UNIT: f32 = f32::EPSILON / 2.0;

impl<'a> Neighbours<'a> {
    /// Prepares training items (items × features).
    pub fn new(
        train: impl Into<CowArray<'a, f64, Ix2>>,
        distance: Distance,
    ) -> Result<Self, Unfit> {
        let train = train.into();
        check_features(&train.view())?;
        let items = prepared(train, distance);
        let centre = match distance {
            Distance::L2 => items.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(0)),
            Distance::Cosine => Array1::zeros(items.ncols()),
        };
        let zeros = vec![0.0; items.ncols()];
        let from = centre.as_slice().unwrap_or(&zeros);
        let rows = || items.rows().into_iter().map(|row| row.to_slice().unwrap_or(&zeros));
        let squares: Vec<f64> = rows().map(|row| squared_distance(row, from)).collect();
        let scale = squares.iter().copied().fold(0.0, f64::max).sqrt();
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let mut rounded = Array2::zeros(items.dim());
        for (row, mut into) in rows().zip(rounded.rows_mut()) {
            for ((into, value), centre) in into.iter_mut().zip(row).zip(from) {
                *into = ((value - centre) / scale) as f32;
            }
        }
        let squares = match distance {
            Distance::L2 => squares.iter().map(|s| (s / scale / scale) as f32).collect(),
            Distance::Cosine => vec![0.0; items.nrows()],
        };
        Ok(Self { distance, items, centre, scale, rounded, squares })
    }

    /// The `k` nearest of each item (items × features), or all where there are fewer.
    pub fn nearest(
        &self,
        items: ArrayView2<'_, f64>,
        k: usize,
        threads: usize,
    ) -> Result<Nearest, Unfit> {
        check_width(&items, self.items.ncols())?;
        check_count(k)?;
        let items = prepared(items.into(), self.distance);
        Ok(self.search(&items.view(), k.min(self.items.nrows()), false, threads))
    }

    /// The `k` nearest of each training item among the others.
    pub fn leave_one_out(&self, k: usize, threads: usize) -> Result<Nearest, Unfit> {
        check_count(k)?;
        match self.items.nrows() {
            1 => Err(Unfit::OneItem),
            items => Ok(self.search(&self.items.view(), k.min(items - 1), true, threads)),
        }
    }

    fn search(
        &self,
        items: &ArrayView2<'_, f64>,
        k: usize,
        skip_itself: bool,
        threads: usize,
    ) -> Nearest {
        let mut neighbours = Array2::zeros((items.nrows(), k));
        let mut distances = Array2::zeros((items.nrows(), k));
        let parts = items
            .axis_chunks_iter(Axis(0), QUERIES)
            .zip(neighbours.axis_chunks_iter_mut(Axis(0), QUERIES))
            .zip(distances.axis_chunks_iter_mut(Axis(0), QUERIES))
            .enumerate()
            .map(|(part, ((items, neighbours), distances))| Block {
                first: skip_itself.then_some(part * QUERIES),
                items,
                neighbours,
                distances,
            });
        each_part(threads, parts, |_, block| self.fill(block));
        Nearest { neighbours, distances, distance: self.distance }
    }

    /// Finds the neighbours of one block.
    fn fill(&self, mut block: Block<'_>) {
        let k = block.neighbours.ncols();
        let mut lengths = vec![0.0; block.items.nrows()];
        let queries = self.directions(&block.items, &mut lengths);
        let mut nearest: Vec<Candidates> = lengths
            .iter()
            .enumerate()
            .map(|(row, &length)| {
                let itself = block.first.map(|first| first + row);
                Candidates::new(k, self.error(length), itself)
            })
            .collect();
        let mut products = Array2::zeros((block.items.nrows(), ITEMS.min(self.items.nrows())));
        for first in (0..self.items.nrows()).step_by(ITEMS) {
            let count = ITEMS.min(self.items.nrows() - first);
            let mut products = products.slice_mut(s![.., ..count]);
            let items = self.rounded.slice(s![first..first + count, ..]);
            ndarray::linalg::general_mat_mul(1.0, &queries, &items.t(), 0.0, &mut products);
            let squares = &self.squares[first..first + count];
            for (row, nearest) in nearest.iter_mut().enumerate() {
                let products = products.row(row);
                let products = products.as_slice().unwrap_or(&[]);
                nearest.see(first, squares, products, 2.0 * lengths[row]);
            }
        }
        for (row, candidates) in nearest.into_iter().enumerate() {
            self.order(&mut block, row, candidates);
        }
    }

    /// Items of length 1, centred and rounded, and the lengths they had in units of the scale.
    fn directions(&self, items: &ArrayView2<'_, f64>, lengths: &mut [f32]) -> Array2<f32> {
        let mut rounded = Array2::zeros(items.dim());
        let rows = items.rows().into_iter().zip(rounded.rows_mut());
        for ((item, mut rounded), into) in rows.zip(lengths) {
            let centred = &item - &self.centre;
            let length = centred.dot(&centred).sqrt();
            if length > 0.0 {
                rounded.zip_mut_with(&centred, |into, value| *into = (value / length) as f32);
            }
            // From here on all distances are the same in 64 bits.
            *into = (length / self.scale).min(1e18) as f32;
        }
        rounded
    }

    /// How far a value of 32 bits may be from the true one, in units of it: |y|² − 2|x| x̂·y with
    /// |y| ≤ 1. A product of d terms errs by d + 2 roundings at most in any order of its sum. What 64
    /// bits cannot tell apart is added, so that they have the last word.
    fn error(&self, length: f32) -> f32 {
        let terms = self.items.ncols() as f32 + 8.0;
        let in_64_bits = terms * f64::EPSILON as f32 * (length + 1.0) * (length + 1.0);
        2.5 * UNIT * (terms * length + 4.0) + in_64_bits + 1e-36
    }

    /// Puts candidates in order by their distances in 64 bits.
    fn order(&self, block: &mut Block<'_>, row: usize, candidates: Candidates) {
        let item = block.items.row(row);
        let item = item.as_slice().unwrap_or(&[]);
        let mut exact: Vec<(f64, usize)> = candidates
            .finish()
            .map(|index| {
                let other = self.items.row(index);
                let other = other.as_slice().unwrap_or(&[]);
                let distance = match self.distance {
                    Distance::L2 => squared_distance(item, other).sqrt(),
                    Distance::Cosine => 1.0 - dot(item, other),
                };
                (distance, index)
            })
            .collect();
        let before = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        exact.sort_unstable_by(before);
        for (place, (distance, index)) in
            exact.into_iter().take(block.neighbours.ncols()).enumerate()
        {
            block.neighbours[[row, place]] = index;
            block.distances[[row, place]] = distance;
        }
    }
}

/// Items that are looked up together, and where what is found goes.
struct Block<'a> {
    /// Row of the first item among those of training, if it is one of them.
    first: Option<usize>,
    items: ArrayView2<'a, f64>,
    neighbours: ArrayViewMut2<'a, usize>,
    distances: ArrayViewMut2<'a, f64>,
}

/// Training items that may be among the k nearest of an item.
struct Candidates {
    k: usize,
    /// Twice the error of a value.
    window: f32,
    itself: Option<usize>,
    /// Above it no value can belong to one of the nearest.
    limit: f32,
    /// Values and rows.
    found: Vec<(f32, usize)>,
    /// How many there may be before some are thrown out.
    most: usize,
}

impl Candidates {
    fn new(k: usize, error: f32, itself: Option<usize>) -> Self {
        let most = 2 * k + 64;
        let found = Vec::with_capacity(most + 1);
        Self { k, window: 2.0 * error, itself, limit: f32::INFINITY, found, most }
    }

    /// Looks at training items from the row `first` on, of which the products are given.
    fn see(&mut self, first: usize, squares: &[f32], products: &[f32], twice: f32) {
        const STEP: usize = 32;
        let steps = squares.chunks(STEP).zip(products.chunks(STEP)).enumerate();
        for (step, (squares, products)) in steps {
            let mut values = [f32::INFINITY; STEP];
            let mut least = f32::INFINITY;
            for ((value, square), product) in values.iter_mut().zip(squares).zip(products) {
                *value = square - twice * product;
                least = if *value < least { *value } else { least };
            }
            if least <= self.limit {
                self.keep(first + step * STEP, &values[..squares.len()]);
            }
        }
    }

    #[inline(never)]
    fn keep(&mut self, first: usize, values: &[f32]) {
        for (row, &value) in values.iter().enumerate() {
            if value <= self.limit && self.itself != Some(first + row) {
                self.found.push((value, first + row));
                if self.found.len() > self.most {
                    self.prune();
                }
            }
        }
    }

    /// Throws out what cannot be among the nearest.
    fn prune(&mut self) {
        if self.found.len() <= self.k {
            return;
        }
        let (_, last, _) =
            self.found.select_nth_unstable_by(self.k - 1, |a, b| a.0.total_cmp(&b.0));
        self.limit = last.0 + self.window;
        let limit = self.limit;
        self.found.retain(|(value, _)| *value <= limit);
        // Where nothing goes, room is made for twice as many.
        self.most = self.most.max(2 * self.found.len());
    }

    fn finish(mut self) -> impl Iterator<Item = usize> {
        self.prune();
        self.found.into_iter().map(|(_, row)| row)
    }
}

impl Nearest {
    /// What the `k` nearest say of the class of each item; `labels` are those of the training
    /// items. `k` may be anything up to what was looked for, so several cost one search.
    pub fn vote(
        &self,
        labels: &[usize],
        classes: usize,
        k: usize,
        votes: Votes,
    ) -> Result<Voted, Unfit> {
        check_labels(labels, classes, labels.len())?;
        let weights = self.weights(k, votes)?;
        let mut probabilities = Array2::zeros((weights.nrows(), classes));
        let mut predicted = Vec::with_capacity(weights.nrows());
        let rows = self.neighbours.rows().into_iter().zip(weights.rows());
        for ((neighbours, weights), mut votes) in rows.zip(probabilities.rows_mut()) {
            for (&neighbour, weight) in neighbours.iter().zip(weights) {
                votes[labels[neighbour]] += weight;
            }
            let most = votes.fold(0.0_f64, |a, b| a.max(*b));
            // Shares that are sums of the same numbers in another order count as equal.
            let winner = neighbours
                .iter()
                .map(|&neighbour| labels[neighbour])
                .find(|&label| votes[label] >= most * (1.0 - 1e-12));
            predicted.push(winner.unwrap_or(0));
        }
        Ok(Voted { probabilities, predicted })
    }

    /// Means of the targets (training items × targets) of the `k` nearest: a regression, or shares
    /// where each target is 0 or 1.
    pub fn mean(
        &self,
        targets: ArrayView2<'_, f64>,
        k: usize,
        votes: Votes,
    ) -> Result<Array2<f64>, Unfit> {
        check_targets(&targets, targets.nrows())?;
        let weights = self.weights(k, votes)?;
        let mut means = Array2::zeros((weights.nrows(), targets.ncols()));
        let rows = self.neighbours.rows().into_iter().zip(weights.rows());
        for ((neighbours, weights), mut mean) in rows.zip(means.rows_mut()) {
            for (&neighbour, &weight) in neighbours.iter().zip(weights) {
                mean.scaled_add(weight, &targets.row(neighbour));
            }
        }
        Ok(means)
    }

    /// Weights of the `k` nearest of each item; each row sums to 1.
    fn weights(&self, k: usize, votes: Votes) -> Result<Array2<f64>, Unfit> {
        check_count(k)?;
        let k = k.min(self.neighbours.ncols());
        let mut weights = Array2::from_elem((self.neighbours.nrows(), k), 1.0 / k as f64);
        let Votes::Weighted(temperature) = votes else { return Ok(weights) };
        check_temperature(temperature)?;
        for (mut weights, distances) in weights.rows_mut().into_iter().zip(self.distances.rows()) {
            let nearest = distances[0];
            weights.zip_mut_with(&distances.slice(s![..k]), |weight, distance| {
                *weight = ((nearest - distance) / temperature).exp();
            });
            let total = weights.sum();
            weights /= total;
        }
        Ok(weights)
    }
}

fn check_count(k: usize) -> Result<(), Unfit> {
    match k {
        0 => Err(Unfit::Setting { name: "k", value: "0".to_owned(), range: "must be 1 or more" }),
        _ => Ok(()),
    }
}

fn check_temperature(value: f64) -> Result<(), Unfit> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(Unfit::Setting {
            name: "temperature",
            value: value.to_string(),
            range: "must be above 0",
        }),
    }
}

/// Items as they are compared: of length 1 for cosine.
fn prepared(items: CowArray<'_, f64, Ix2>, distance: Distance) -> CowArray<'_, f64, Ix2> {
    let items = match items.is_standard_layout() {
        true => items,
        false => CowArray::from(items.as_standard_layout().into_owned()),
    };
    if distance == Distance::L2 {
        return items;
    }
    let mut items = items.into_owned();
    for mut row in items.rows_mut() {
        // Divided by the largest first, so that no square leaves the range of numbers.
        let largest = row.fold(0.0_f64, |a, b| a.max(b.abs()));
        if largest > 0.0 {
            row /= largest;
            let length = row.dot(&row).sqrt();
            row /= length;
        }
    }
    CowArray::from(items)
}

#[cfg(test)]
#[path = "knn/tests.rs"]
mod tests;
