//! What brings features of two data sets together for a probe that learns on the one and speaks of the
//! other.

use ndarray::Array2;

use crate::probe::Scaler;
use crate::train::Rows as _;
use crate::transferability::{Alignment, Unalignable};

use super::super::artifacts::ArrayRows;
use super::super::job::{Context, Failure};
use super::across::{Adapt, Elsewhere};
use super::fit::{Fit, Fitting, TOLD, matrix};

/// What becomes of features of two data sets, unscaled, before a probe that learns on the one and
/// speaks of the other.
pub(super) struct Bridge {
    /// Scales what is spoken of.
    pub(super) scaler: Scaler,
    pub(super) alignment: Option<Alignment>,
}

impl Fit {
    /// What brings the features that are learnt on and those that are spoken of together: from
    /// training items of both.
    pub(super) fn bridge(
        &self,
        elsewhere: &Elsewhere,
        rows: &ArrayRows,
        scaler: &Scaler,
        context: &Context<'_>,
    ) -> Result<Bridge, Failure> {
        let told = ArrayRows::open(context.bytes(TOLD)?)?;
        let (here, there) = (told.length(), rows.length());
        if here != there {
            let message = format!("fit: {here} features are spoken of, but {there} learnt on");
            let help = "both data sets need images of one size, or one `spatial`";
            return Err(Failure::with_help(message, help));
        }
        if elsewhere.adapt == Adapt::None {
            return Ok(Bridge { scaler: scaler.clone(), alignment: None });
        }
        let target = matrix(&told, &elsewhere.sample.train);
        let own = Scaler::of_parts(&self.choosing.normalize, &target.view(), &told.blocks());
        let target = own.apply(target);
        let source = scaler.apply(matrix(rows, &self.sample.train));
        self.finite(&source, &self.sample.train, &self.sample)?;
        self.finite(&target, &elsewhere.sample.train, &elsewhere.sample)?;
        let (source, target, threads) = (source.view(), target.view(), context.cores);
        let alignment = match &elsewhere.adapt {
            Adapt::Subspace(subspace) => {
                Alignment::subspace(source, target, subspace.dim.0, threads)
            }
            Adapt::None | Adapt::Coral => Alignment::coral(source, target, threads),
        };
        let alignment = alignment.map_err(|error| unalignable(&elsewhere.adapt, &error))?;
        Ok(Bridge { scaler: own, alignment: Some(alignment) })
    }
}

impl Fitting {
    /// Features of the data set that was learnt on, as the probe knows them.
    pub(super) fn of_learnt(&self, features: Array2<f64>, threads: usize) -> Array2<f64> {
        let features = self.scaler.apply(features);
        match self.bridge.as_ref().and_then(|bridge| bridge.alignment.as_ref()) {
            Some(alignment) => alignment.of_source(features, threads),
            None => features,
        }
    }

    /// The same of the data set that is spoken of.
    pub(super) fn of_told(&self, features: Array2<f64>, threads: usize) -> Array2<f64> {
        let Some(Bridge { scaler, alignment }) = &self.bridge else {
            return self.of_learnt(features, threads);
        };
        let features = scaler.apply(features);
        match alignment {
            Some(alignment) => alignment.of_target(features, threads),
            None => features,
        }
    }
}

/// In words of the file what two domains do not allow.
fn unalignable(adapt: &Adapt, error: &Unalignable) -> Failure {
    let help = match error {
        Unalignable::TooWide { .. } => "average maps to fewer positions, with `spatial: 1`",
        Unalignable::TooFlat { .. } => "take a smaller `dim`",
        Unalignable::TooFew => "train on more items",
    };
    Failure::with_help(format!("adapt by `{}`: {error}", adapt.word()), help)
}
