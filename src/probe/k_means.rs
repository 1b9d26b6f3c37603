//! k-means: groups of items found without any label.

#![allow(clippy::needless_pass_by_value, reason = "a view of an array is a reference itself")]

use ndarray::{Array2, ArrayView2, Axis};

use super::products::squared_distance;
use super::threads::each_part;
use crate::base::{Seed, Stream};

/// Centres of groups.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// Clusters × features.
    centres: Array2<f64>,
    /// Sum of squared distances of all items to the nearest centre.
    inertia: f64,
}

/// How groups are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// How many groups there are.
    pub clusters: usize,
    /// How often it is begun anew; the narrowest groups are kept, the first of equals.
    pub restarts: usize,
    /// Names the draws of the first centres.
    pub seed: Seed,
    /// How many threads may work; the result does not depend on it.
    pub threads: usize,
}

/// Steps of one search at most; most end after a few dozen.
const MOST_STEPS: usize = 300;
/// Items that a thread takes at a time.
const PIECE: usize = 256;

impl Clusters {
    /// Lloyd's steps from centres that are drawn far from each other (k-means++; Arthur and
    /// Vassilvitskii 2007). There must be at least as many items as groups.
    pub fn find(items: ArrayView2<'_, f64>, search: Search) -> Self {
        let begun = |restart: usize| {
            let mut stream = search.seed.stream("k-means", &format!("restart {restart}"));
            let centres = spread_out(items, search.clusters, &mut stream, search.threads);
            Self::from(items, centres, search.threads)
        };
        let first = begun(0);
        (1..search.restarts)
            .map(begun)
            .fold(first, |best, found| if found.inertia < best.inertia { found } else { best })
    }

    /// Lloyd's steps from these centres: each item to the nearest, each centre to the middle of its
    /// items, until nothing moves. A centre that loses all of its items goes to the item that is
    /// furthest from its own.
    fn from(items: ArrayView2<'_, f64>, mut centres: Array2<f64>, threads: usize) -> Self {
        let mut nearest = Vec::new();
        for _ in 0..MOST_STEPS {
            let found = assigned(items, &centres, threads);
            if found == nearest {
                break;
            }
            nearest = found;
            centres = middles(items, nearest.clone(), &centres);
        }
        let inertia = assigned(items, &centres, threads).iter().map(|(_, distance)| distance).sum();
        Self { centres, inertia }
    }

    /// Squared distances of items to each centre: items × clusters.
    pub fn distances(&self, items: ArrayView2<'_, f64>, threads: usize) -> Array2<f64> {
        let rows = each_part(threads, items.axis_chunks_iter(Axis(0), PIECE), |_, piece| {
            let row = |item: ndarray::ArrayView1<'_, f64>| {
                let item = item.to_vec();
                self.centres
                    .rows()
                    .into_iter()
                    .map(move |centre| apart(&item, centre))
                    .collect::<Vec<_>>()
            };
            piece.rows().into_iter().flat_map(row).collect::<Vec<f64>>()
        });
        let shape = (items.nrows(), self.centres.nrows());
        Array2::from_shape_vec(shape, rows.concat()).unwrap_or_else(|_| Array2::zeros(shape))
    }
}

fn apart(item: &[f64], centre: ndarray::ArrayView1<'_, f64>) -> f64 {
    match centre.as_slice() {
        Some(centre) => squared_distance(item, centre),
        None => squared_distance(item, &centre.to_vec()),
    }
}

/// The nearest centre of each item, the first of equals, and how far it is, squared.
fn assigned(
    items: ArrayView2<'_, f64>,
    centres: &Array2<f64>,
    threads: usize,
) -> Vec<(usize, f64)> {
    let pieces = each_part(threads, items.axis_chunks_iter(Axis(0), PIECE), |_, piece| {
        let nearest = |item: ndarray::ArrayView1<'_, f64>| {
            let item = item.to_vec();
            let mut best = (0, f64::INFINITY);
            for (cluster, centre) in centres.rows().into_iter().enumerate() {
                let distance = apart(&item, centre);
                if distance < best.1 {
                    best = (cluster, distance);
                }
            }
            best
        };
        piece.rows().into_iter().map(nearest).collect::<Vec<_>>()
    });
    pieces.concat()
}

/// The middle of the items of each centre.
fn middles(
    items: ArrayView2<'_, f64>,
    mut nearest: Vec<(usize, f64)>,
    centres: &Array2<f64>,
) -> Array2<f64> {
    let count = |nearest: &[(usize, f64)], cluster: usize| {
        nearest.iter().filter(|(own, _)| *own == cluster).count()
    };
    for cluster in 0..centres.nrows() {
        if count(&nearest, cluster) == 0 {
            let mut furthest = 0;
            for (item, (own, distance)) in nearest.iter().enumerate() {
                if *distance > nearest[furthest].1 && count(&nearest, *own) > 1 {
                    furthest = item;
                }
            }
            nearest[furthest] = (cluster, 0.0);
        }
    }
    let mut middles = Array2::<f64>::zeros(centres.dim());
    let mut counts = vec![0.0; centres.nrows()];
    for (item, (cluster, _)) in items.rows().into_iter().zip(&nearest) {
        let mut middle = middles.row_mut(*cluster);
        middle += &item;
        counts[*cluster] += 1.0;
    }
    for (cluster, mut middle) in middles.rows_mut().into_iter().enumerate() {
        match counts[cluster] > 0.0 {
            true => middle /= counts[cluster],
            false => middle.assign(&centres.row(cluster)),
        }
    }
    middles
}

/// Items drawn as centres: the first evenly, each further one by its squared distance to the nearest
/// drawn so far.
fn spread_out(
    items: ArrayView2<'_, f64>,
    clusters: usize,
    stream: &mut Stream,
    threads: usize,
) -> Array2<f64> {
    let mut drawn = vec![stream.below(items.nrows())];
    let mut distances = vec![f64::INFINITY; items.nrows()];
    while drawn.len() < clusters {
        let last = items.select(Axis(0), &drawn[drawn.len() - 1..]);
        for (distance, (_, fresh)) in distances.iter_mut().zip(assigned(items, &last, threads)) {
            *distance = distance.min(fresh);
        }
        drawn.push(weighted(&distances, stream));
    }
    items.select(Axis(0), &drawn)
}

/// A position drawn in proportion to weights; an even draw if all are 0.
fn weighted(weights: &[f64], stream: &mut Stream) -> usize {
    let total: f64 = weights.iter().sum();
    let mut left = stream.uniform() * total;
    if total <= 0.0 {
        return stream.below(weights.len());
    }
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    weights.iter().rposition(|weight| *weight > 0.0).unwrap_or_default()
}

/// The class of each cluster if each gets one of its own and as many items as possible are right:
/// the assignment problem by shortest augmenting paths (Kuhn 1955; Jonker and Volgenant 1987).
/// `counts` is clusters × classes, as many of the one as of the other.
pub fn matched(counts: &Array2<usize>) -> Vec<usize> {
    let size = counts.nrows();
    debug_assert_eq!(size, counts.ncols());
    let most = counts.iter().copied().max().unwrap_or_default() as f64;
    let cost = |row: usize, column: usize| most - counts[[row - 1, column - 1]] as f64;
    // Rows and columns are counted from 1; 0 is the row that is being placed.
    let (mut of_row, mut of_column) = (vec![0.0; size + 1], vec![0.0; size + 1]);
    let mut row_at = vec![0_usize; size + 1];
    for row in 1..=size {
        row_at[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; size + 1];
        let mut before = vec![0_usize; size + 1];
        let mut used = vec![false; size + 1];
        while row_at[column] != 0 {
            used[column] = true;
            let here = row_at[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for other in (1..=size).filter(|&other| !used[other]) {
                let reduced = cost(here, other) - of_row[here] - of_column[other];
                if reduced < least[other] {
                    (least[other], before[other]) = (reduced, column);
                }
                if least[other] < step {
                    (step, next) = (least[other], other);
                }
            }
            for other in 0..=size {
                if used[other] {
                    of_row[row_at[other]] += step;
                    of_column[other] -= step;
                } else {
                    least[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_at[column] = row_at[before[column]];
            column = before[column];
        }
    }
    let mut classes = vec![0; size];
    (1..=size).for_each(|column| classes[row_at[column] - 1] = column - 1);
    classes
}

#[cfg(test)]
mod tests {
    use ndarray::{array, s};

    use super::super::testing::{Digits, normal};
    use super::*;

    fn digits() -> (Array2<f64>, Vec<usize>) {
        let Digits { features, labels } = Digits::read();
        (features.slice(s![..500, ..]).to_owned(), labels[..500].to_vec())
    }

    fn clusters_of(found: &Clusters, items: &Array2<f64>) -> Vec<usize> {
        assigned(items.view(), &found.centres, 1).into_iter().map(|(cluster, _)| cluster).collect()
    }

    #[test]
    fn steps_from_given_centres_end_where_scikit_learn_does() {
        let (items, labels) = digits();
        let found = Clusters::from(items.view(), items.slice(s![..10, ..]).to_owned(), 2);
        assert!((found.inertia - 1_137.909_982_442_781_3).abs() < 1e-8, "{}", found.inertia);
        let clusters = clusters_of(&found, &items);
        let mut sizes = [0; 10];
        for &cluster in &clusters {
            sizes[cluster] += 1;
        }
        assert_eq!(sizes, [52, 39, 17, 40, 49, 99, 50, 62, 50, 42]);
        let mut counts = Array2::zeros((10, 10));
        clusters.iter().zip(&labels).for_each(|(&cluster, &label)| counts[[cluster, label]] += 1);
        let classes = matched(&counts);
        assert_eq!(classes, [0, 1, 9, 2, 4, 3, 6, 7, 8, 5]);
        let right: usize = classes.iter().enumerate().map(|(c, &class)| counts[[c, class]]).sum();
        assert_eq!(right, 406);
    }

    #[test]
    fn restarts_find_groups_as_narrow_as_scikit_learns() {
        let (items, _) = digits();
        let search = Search { clusters: 10, restarts: 10, seed: Seed(0), threads: 2 };
        let found = Clusters::find(items.view(), search);
        // Its five best of ten lie between 1116.5 and 1119.8.
        assert!(found.inertia < 1123.0, "{}", found.inertia);
        let alone = Clusters::find(items.view(), Search { threads: 1, ..search });
        assert_eq!(alone.inertia.to_bits(), found.inertia.to_bits());
        assert_ne!(
            Clusters::find(items.view(), Search { seed: Seed(1), ..search }).centres,
            found.centres
        );
    }

    #[test]
    fn groups_that_lie_apart_are_found_and_none_stays_empty() {
        let mut items = normal(3, 60, 2) * 0.1;
        items.slice_mut(s![..20, 0]).mapv_inplace(|v| v + 9.0);
        items.slice_mut(s![20..40, 1]).mapv_inplace(|v| v + 9.0);
        let search = Search { clusters: 3, restarts: 3, seed: Seed(2), threads: 1 };
        let clusters = clusters_of(&Clusters::find(items.view(), search), &items);
        for group in [0..20, 20..40, 40..60] {
            let of_group = &clusters[group];
            assert!(of_group.iter().all(|cluster| *cluster == of_group[0]), "{clusters:?}");
        }
        // Two centres on one spot: one of them has no items at first.
        let same = array![[9.0, 0.0], [0.0, 9.0], [0.0, 9.0]];
        let clusters = clusters_of(&Clusters::from(items.view(), same, 1), &items);
        assert!((0..3).all(|cluster| clusters.contains(&cluster)), "{clusters:?}");
        // Items that are all the same have no groups, and that is no failure.
        let found = Clusters::find(Array2::ones((5, 2)).view(), search);
        assert!(found.inertia.abs() < 1e-12);
    }

    #[test]
    fn clusters_are_matched_as_well_as_can_be() {
        let counts = array![
            [7, 53, 183, 439, 863],
            [497, 383, 563, 79, 973],
            [287, 63, 343, 169, 583],
            [627, 343, 773, 959, 943],
            [767, 473, 103, 699, 303]
        ];
        assert_eq!(matched(&counts), [4, 1, 2, 3, 0]);
        assert_eq!(matched(&array![[3]]), [0]);
    }
}
