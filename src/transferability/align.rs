//! Features of a source brought nearer to those of a target, of which no labels are known.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use thiserror::Error;

use super::matrix::{centred, eigen, product, with_itself};

/// Why two domains cannot be aligned.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unalignable {
    /// A matrix of so many features by themselves would be too large.
    #[error("{features} features are more than the {most} that covariances are computed of")]
    TooWide {
        /// How many there are.
        features: usize,
        /// How many there may be.
        most: usize,
    },
    /// A subspace of so many dimensions does not exist.
    #[error("the training items of the {domain} reach {rank} dimensions, not {wanted}")]
    TooFlat {
        /// Source or target.
        domain: &'static str,
        /// How many dimensions there are.
        rank: usize,
        /// How many are asked for.
        wanted: usize,
    },
    /// One item has no covariance.
    #[error("fewer than two items have no covariance")]
    TooFew,
}

/// Features whose covariance is computed, at most: beyond, decompositions take minutes.
const MOST_FEATURES: usize = 4096;

/// What becomes of the features of either domain: less `mean`, times `matrix`.
#[derive(Clone, Debug)]
pub struct Alignment {
    source: Map,
    target: Map,
}

#[derive(Clone, Debug)]
struct Map {
    /// Taken off first; nothing if features stay where they are.
    mean: Option<Array1<f64>>,
    /// Features × features that come out; nothing if they stay as they are.
    matrix: Option<Array2<f64>>,
}

impl Map {
    const NOTHING: Self = Self { mean: None, matrix: None };

    fn of(&self, mut features: Array2<f64>, threads: usize) -> Array2<f64> {
        if let Some(mean) = &self.mean {
            features -= mean;
        }
        match &self.matrix {
            Some(matrix) => product(features.view(), matrix.view(), threads),
            None => features,
        }
    }
}

impl Alignment {
    /// CORAL (Sun, Feng and Saenko 2016): source features get the target's covariance,
    /// `X (C_s + I)^(−1/2) (C_t + I)^(1/2)` with covariances of divisor n − 1; the target's stay.
    /// Both are items × the same features; means are not touched.
    pub fn coral(
        source: ArrayView2<'_, f64>,
        target: ArrayView2<'_, f64>,
        threads: usize,
    ) -> Result<Self, Unalignable> {
        let features = source.ncols();
        if features > MOST_FEATURES {
            return Err(Unalignable::TooWide { features, most: MOST_FEATURES });
        }
        if source.nrows().min(target.nrows()) < 2 {
            return Err(Unalignable::TooFew);
        }
        let white = power(source, -0.5, threads);
        let coloured = power(target, 0.5, threads);
        let matrix = Some(product(white.view(), coloured.view(), threads));
        Ok(Self { source: Map { mean: None, matrix }, target: Map::NOTHING })
    }

    /// Subspace alignment (Fernando et al. 2013): both domains in so many of their own principal
    /// components, the source's turned onto the target's: `X_s P_s P_sᵀ P_t` and
    /// `X_t P_t`, each centred by its own mean.
    pub fn subspace(
        source: ArrayView2<'_, f64>,
        target: ArrayView2<'_, f64>,
        dimensions: usize,
        threads: usize,
    ) -> Result<Self, Unalignable> {
        let of_source = axes("source", source, dimensions, threads)?;
        let of_target = axes("target", target, dimensions, threads)?;
        let turn = product(of_source.t(), of_target.view(), threads);
        let matrix = product(of_source.view(), turn.view(), threads);
        Ok(Self {
            source: Map { mean: source.mean_axis(Axis(0)), matrix: Some(matrix) },
            target: Map { mean: target.mean_axis(Axis(0)), matrix: Some(of_target) },
        })
    }

    /// What becomes of features of the source.
    pub fn of_source(&self, features: Array2<f64>, threads: usize) -> Array2<f64> {
        self.source.of(features, threads)
    }

    /// What becomes of features of the target.
    pub fn of_target(&self, features: Array2<f64>, threads: usize) -> Array2<f64> {
        self.target.of(features, threads)
    }
}

/// (C + I) to a power.
fn power(items: ArrayView2<'_, f64>, exponent: f64, threads: usize) -> Array2<f64> {
    let centred = centred(items);
    let mut matrix = with_itself(centred.t(), threads) / (items.nrows() as f64 - 1.0);
    matrix.diag_mut().mapv_inplace(|value| value + 1.0);
    let size = matrix.nrows();
    let (values, axes) = eigen(matrix, &Array2::eye(size), threads);
    let mut scaled = axes.clone();
    for (mut row, value) in scaled.rows_mut().into_iter().zip(&values) {
        // A covariance has no eigenvalue below 0, whatever rounding says.
        row *= value.max(1.0).powf(exponent);
    }
    product(axes.t(), scaled.view(), threads)
}

/// The first principal axes, features × axes; from pairs of items where there are fewer of these than
/// of features.
fn axes(
    domain: &'static str,
    items: ArrayView2<'_, f64>,
    wanted: usize,
    threads: usize,
) -> Result<Array2<f64>, Unalignable> {
    let centred = centred(items);
    let (count, features) = centred.dim();
    let of_features = features <= count;
    if features.min(count) > MOST_FEATURES {
        return Err(Unalignable::TooWide { features, most: MOST_FEATURES });
    }
    let gram = match of_features {
        true => with_itself(centred.t(), threads),
        false => with_itself(centred.view(), threads),
    };
    let size = gram.nrows();
    let (values, vectors) = eigen(gram, &Array2::eye(size), threads);
    let largest = values.first().copied().unwrap_or_default();
    let rank = values.iter().take_while(|value| **value > 1e-12 * largest).count();
    if rank < wanted {
        return Err(Unalignable::TooFlat { domain, rank, wanted });
    }
    let vectors = vectors.slice(s![..wanted, ..]);
    if of_features {
        return Ok(vectors.t().as_standard_layout().into_owned());
    }
    let mut axes = product(centred.t(), vectors.t(), threads);
    for (mut axis, value) in axes.columns_mut().into_iter().zip(&values) {
        axis /= value.sqrt();
    }
    Ok(axes)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, digits};
    use super::*;

    /// The third row of pixels of sixty digits, and the fourth of fifty others.
    fn rows_of_pixels() -> (Array2<f64>, Array2<f64>) {
        let (all, _) = digits();
        let source = all.slice(s![..60, 16..24]).to_owned();
        (source, all.slice(s![100..150, 24..32]).to_owned())
    }

    #[test]
    fn coral_is_what_numpy_computes() {
        let (source, target) = rows_of_pixels();
        let alignment = Alignment::coral(source.view(), target.view(), 2).unwrap();
        let found = alignment.of_source(source, 2);
        for (column, expected) in [
            0.0,
            0.205_568_18,
            0.966_864_42,
            0.126_035_01,
            -0.005_934_32,
            0.725_588_71,
            0.519_057_01,
            0.0,
        ]
        .into_iter()
        .enumerate()
        {
            assert_close(found[[0, column]], expected, 1e-8);
        }
        assert_close(found.sum(), 142.467_814_186_749_54, 1e-9);
        assert_close(found.mapv(|v| v * v).sum(), 106.313_413_106_521_5, 1e-9);
        let same = alignment.of_target(target.clone(), 1);
        assert_eq!(same, target);
    }

    #[test]
    fn aligned_features_of_the_same_domain_stay_what_they_are() {
        let (source, _) = rows_of_pixels();
        let alignment = Alignment::coral(source.view(), source.view(), 1).unwrap();
        let found = alignment.of_source(source.clone(), 1);
        assert!((&found - &source).iter().all(|d| d.abs() < 1e-12));
    }

    /// Products of items, as axes may point either way.
    fn products(source: &Array2<f64>, target: &Array2<f64>) -> [f64; 5] {
        let between = source.dot(&target.t());
        [
            between[[0, 0]],
            between[[1, 7]],
            source.row(0).dot(&source.row(5)),
            target.row(0).dot(&target.row(3)),
            between.mapv(|v| v * v).sum(),
        ]
    }

    #[track_caller]
    fn assert_subspaces(
        source: &Array2<f64>,
        target: &Array2<f64>,
        dimensions: usize,
        expected: [f64; 5],
    ) {
        let aligned = Alignment::subspace(source.view(), target.view(), dimensions, 2).unwrap();
        let source = aligned.of_source(source.clone(), 2);
        let target = aligned.of_target(target.clone(), 2);
        assert_eq!((source.ncols(), target.ncols()), (dimensions, dimensions));
        for (found, expected) in products(&source, &target).into_iter().zip(expected) {
            assert_close(found, expected, 1e-9);
        }
    }

    #[test]
    fn subspaces_are_those_of_scikit_learn() {
        let (source, target) = rows_of_pixels();
        let expected = [
            0.433_143_713_709_147_1,
            0.341_584_685_191_414_1,
            -0.331_181_640_080_511_2,
            -0.458_373_783_702_686_8,
            267.282_363_451_401_64,
        ];
        assert_subspaces(&source, &target, 3, expected);
        // Fewer items than features.
        let (all, _) = digits();
        let (source, target) = (all.slice(s![..10, ..]), all.slice(s![100..112, ..]));
        let expected = [
            -0.013_639_491_040_716_822,
            1.180_220_059_970_093_2,
            0.792_932_918_779_460_8,
            -2.488_553_747_467_247_7,
            119.576_765_363_977_64,
        ];
        assert_subspaces(&source.to_owned(), &target.to_owned(), 4, expected);
    }

    #[test]
    fn more_dimensions_than_there_are_do_not_exist() {
        let (source, target) = rows_of_pixels();
        let refused = Alignment::subspace(source.view(), target.view(), 8, 1).unwrap_err();
        let expected = "the training items of the source reach 6 dimensions, not 8";
        assert_eq!(refused.to_string(), expected);
        let refused = Alignment::coral(source.slice(s![..1, ..]), target.view(), 1).unwrap_err();
        assert_eq!(refused, Unalignable::TooFew);
    }
}
