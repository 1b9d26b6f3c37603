//! CORAL (Sun and Saenko 2016): how far two covariances are apart.

use ndarray::ArrayView2;

use super::{MOST_ITEMS, Samples, covariance};
use crate::stats::Direction;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::score::{Change, Needs, Number, Score};

/// Distance of covariances.
pub(in super::super) struct Coral;

impl Score for Coral {
    fn name(&self) -> &'static str {
        "coral"
    }

    fn description(&self) -> &'static str {
        "squared distance of the covariances of two domains over 4 D², from 0; blind to means \
         (Sun 2016)"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn needs(&self) -> Needs {
        Needs::Other
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        let samples = Samples::draw(items, MOST_ITEMS)?;
        let number = samples.measure("coral", |x, y| Ok(coral(x, y, items.threads)))?;
        Ok(vec![number])
    }
}

/// ‖C₁ − C₂‖² / (4 D²).
fn coral(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>, threads: usize) -> f64 {
    let features = x.ncols() as f64;
    let difference = covariance(x, threads) - covariance(y, threads);
    difference.iter().map(|value| value * value).sum::<f64>() / (4.0 * features * features)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, domains};

    #[test]
    fn two_small_domains_have_the_known_distance() {
        let (here, there) = domains();
        assert_close(coral(here.view(), there.view(), 1), 0.023_090_28, 1e-8);
        assert_close(16.0 * coral(here.view(), there.view(), 1), 0.369_444_44, 1e-8);
    }
}
