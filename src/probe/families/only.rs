//! A path with one stop: probes without a number to choose.

use ndarray::Array2;

use super::super::ProbeError;
use super::super::family::{Fitted, Path};
use super::super::pool::Pool;

/// The only fit there is.
pub(super) struct Only<'a, M> {
    pub(super) pool: &'a Pool,
    pub(super) model: M,
}

impl<M: Fitted + Clone + 'static> Path for Only<'_, M> {
    fn fit(&mut self, _value: f64) -> Result<(), ProbeError> {
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        self.model.scores(self.pool.rows(rows).view())
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        Box::new(self.model.clone())
    }
}
