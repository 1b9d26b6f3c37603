//! Where a probe's probabilities come from.

use ndarray::{Array2, ArrayView2};

use crate::base::language::choice;

use super::ProbeError;
use super::calibration::{HeldOut, Sigmoids, Temperature};
use super::pool::Targets;

choice! {
    /// Where probabilities come from. None of these changes what is predicted.
    pub enum Probabilities {
        /// From the probe itself where it has any, else as with `platt`.
        "auto" => Auto,
        /// From the probe itself, or there are none.
        "own" => Own,
        /// A sigmoid of each class's score, fitted on items held out (Platt 1999), made to sum to 1.
        "platt" => Platt,
        /// Softmax of all scores divided by one temperature, fitted on items held out (Guo et al.
        /// 2017).
        "temperature" => Temperature,
    }
}

/// Probabilities of scores.
#[derive(Clone, Debug)]
pub enum Calibrator {
    /// Classes exclude each other.
    OfOne(Sigmoids),
    /// Labels do not.
    OfEach(Sigmoids),
    /// By one temperature.
    Temperature(Temperature),
}

impl Probabilities {
    /// What makes probabilities of scores, learnt on items held out; nothing if the probe's own are
    /// taken, or if there is nothing to learn from.
    pub fn calibrator(
        &self,
        has_own: bool,
        held_scores: &Array2<f64>,
        held: &Targets,
    ) -> Result<Option<Calibrator>, ProbeError> {
        let wanted = match self {
            Self::Auto if has_own => return Ok(None),
            Self::Own => return Ok(None),
            Self::Auto => &Self::Platt,
            named => named,
        };
        if held_scores.is_empty() {
            return Ok(None);
        }
        let held_out = HeldOut::of_other_part(held_scores.clone())?;
        Ok(match (wanted, held) {
            (_, Targets::Values(_)) => None,
            (Self::Temperature, Targets::Classes { labels, .. }) => {
                Some(Calibrator::Temperature(Temperature::fit(&held_out, labels)?))
            }
            (_, Targets::Classes { labels, .. }) => {
                Some(Calibrator::OfOne(Sigmoids::of_classes(&held_out, labels)?))
            }
            (_, Targets::Labels(known)) => {
                Some(Calibrator::OfEach(Sigmoids::of_labels(&held_out, &known.view())?))
            }
        })
    }
}

impl Calibrator {
    /// Items × columns.
    pub fn probabilities(&self, scores: &ArrayView2<'_, f64>) -> Result<Array2<f64>, ProbeError> {
        Ok(match self {
            Self::OfOne(sigmoids) => sigmoids.of_one(scores)?,
            Self::OfEach(sigmoids) => sigmoids.of_each(scores)?,
            Self::Temperature(temperature) => temperature.log_probabilities(scores).mapv(f64::exp),
        })
    }
}
