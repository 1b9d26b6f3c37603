//! A linear probe as the start of a head: fitted on the features that the head reads.

use ndarray::Array2;
use serde_json::{Value as Json, json};

use crate::base::language::defaults;
use crate::onnx::tensor::Tensor;
use crate::probe::{Grid, Named};

use super::super::artifacts::{ArrayRows, read_vectors, write_vectors};
use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::job::{Context, Failure, Job, Outputs, Speed};
use super::super::probing::{FEATURES, Fit, Fitting};
use super::Network;

/// Fits the probe.
pub(super) struct ProbeHead {
    pub(super) sample: Sample,
    pub(super) class_weights: ClassWeights,
}

/// The port at which a training gets it.
pub(super) const HEAD: &str = "head";
/// Name of the weights, classes × features, and of the biases.
const VECTORS: [&str; 2] = ["weight", "bias"];

impl Job for ProbeHead {
    fn kind(&self) -> &'static str {
        "probe_head"
    }

    /// 1: first. 2: another solver.
    fn version(&self) -> u32 {
        3
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({ "sample": self.sample.key()?, "class_weights": self.class_weights }))
    }

    fn expected(&self, _speed: Speed) -> f64 {
        1e-3 * self.sample.train.len() as f64
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let rows = ArrayRows::open(context.bytes(FEATURES)?)?;
        let grid = Grid::Named(Named::Default);
        let fit = Fit::logistic(self.kind(), self.sample.clone(), &grid, &defaults());
        let Fitting { scaler, selected, .. } = fit.on(&rows, context)?;
        let linear = selected.fitted.linear().map(|linear| scaler.unscaled(linear));
        let (weights, mut biases) =
            linear.ok_or_else(|| Failure::new("fit a probe as head: it is not linear"))?;
        // A weighted loss teaches the weighted prior: p · w, which is ln w on the scores.
        for (bias, weight) in biases.iter_mut().zip(self.class_weights.of(&self.sample)) {
            *bias += weight.ln();
        }
        let flat = |values: &mut dyn Iterator<Item = f64>| -> Vec<f32> {
            values.map(|value| value as f32).collect()
        };
        let weights: Array2<f64> = weights.reversed_axes();
        let weights = flat(&mut weights.iter().copied());
        let biases = flat(&mut biases.iter().copied());
        let vectors = [(VECTORS[0], weights.as_slice()), (VECTORS[1], biases.as_slice())];
        Ok(Outputs::default()
            .with(HEAD, write_vectors(context.store, &vectors)?)
            .fact("c", selected.choice.as_ref().map(|choice| choice.value))
            .fact("val", selected.choice.as_ref().map(|choice| choice.seen)))
    }
}

/// Puts the probe on as a network's head.
pub(super) fn put_on(network: &mut Network, context: &Context<'_>) -> Result<(), Failure> {
    let bytes = context.bytes(HEAD)?;
    let (weight, bias) = network.head();
    let names = [weight.to_owned(), bias.to_owned()];
    for (name, vector) in names.iter().zip(VECTORS) {
        let values = read_vectors(&bytes, vector)?;
        let Some(tensor) = network.graph.initializers.get_mut(name) else { continue };
        if tensor.len() != values.len() {
            let message =
                format!("put on a head of {} weights: a probe has {}", tensor.len(), values.len());
            return Err(Failure::new(message));
        }
        *tensor = Tensor::f32(&tensor.dims.clone(), values);
    }
    Ok(())
}
