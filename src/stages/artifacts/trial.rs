//! What one training leaves.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::curves::{Look, Rise};
use crate::store::{ArtifactRef, Store};
use crate::train::Point;

use super::super::job::Failure;

/// One training, at one learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// The learning rate.
    pub rate: f64,
    /// What came out.
    pub outcome: Outcome,
}

/// What came out of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Weights.
    Trained {
        /// The look at val at which they were found.
        best: Point,
        /// Steps done.
        stopped_at: usize,
        /// Steps allowed.
        total: usize,
        /// Every look at val.
        curve: Vec<Point>,
    },
    /// The loss was no number any more.
    Diverged {
        /// The step at which, from 1.
        step: usize,
        /// What it became.
        loss: String,
    },
}

/// How far the weights of one layer group came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The tensor that the group ends in; `head` for the head.
    pub layer: String,
    /// The first of its weights.
    pub first: String,
    /// Numbers in it.
    pub parameters: usize,
    /// ‖w₀‖: the norm of the weights at the start.
    pub start: f64,
    /// ‖w − w₀‖: the norm of their change.
    pub moved: f64,
}

impl TrialResult {
    /// The look at val of the best weights, unless it diverged.
    pub fn best(&self) -> Option<&Point> {
        match &self.outcome {
            Outcome::Trained { best, .. } => Some(best),
            Outcome::Diverged { .. } => None,
        }
    }

    /// Every look at val; none if it diverged.
    pub fn curve(&self) -> &[Point] {
        match &self.outcome {
            Outcome::Trained { curve, .. } => curve,
            Outcome::Diverged { .. } => &[],
        }
    }

    /// How it rises; nothing where there are too few looks, or one has no score.
    pub fn rise(&self) -> Option<Rise> {
        let look = |point: &Point| {
            let score = point.val_balanced_accuracy.or(point.val_score)?;
            Some(Look { step: point.step as f64, score })
        };
        self.curve().iter().map(look).collect::<Option<Vec<_>>>().and_then(Rise::new)
    }
}

/// Stores named vectors.
pub fn write_vectors(store: &Store, vectors: &[(&str, &[f32])]) -> Result<ArtifactRef, Failure> {
    let broken =
        |error: safetensors::SafeTensorError| Failure::new(format!("write weights: {error}"));
    let views: Result<Vec<_>, _> = vectors
        .iter()
        .map(|(name, values)| {
            let bytes = bytemuck::cast_slice(values);
            TensorView::new(Dtype::F32, vec![values.len()], bytes).map(|view| (*name, view))
        })
        .collect();
    let bytes = safetensors::serialize(views.map_err(broken)?, None).map_err(broken)?;
    Ok(store.put("weights", &bytes)?)
}

/// Reads a named vector.
pub fn read_vectors(bytes: &[u8], name: &str) -> Result<Vec<f32>, Failure> {
    let broken =
        |error: safetensors::SafeTensorError| Failure::new(format!("read weights: {error}"));
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let view = file.tensor(name).map_err(broken)?;
    let read = |piece: &[u8]| f32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]);
    Ok(view.data().chunks_exact(4).map(read).collect())
}
