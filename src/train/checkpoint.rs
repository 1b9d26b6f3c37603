//! A training that is not done yet, as bytes: whoever reads them goes on as if nothing had happened.

use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::store::{Laps, Spent};

use super::look::Point;

/// Where the bytes of a training that is not done yet are kept, and who counts what it uses.
pub trait Draft {
    /// What was kept last, whole, or nothing.
    fn read(&self) -> Option<Vec<u8>>;

    /// Keeps these bytes instead; that they could not be kept harms nobody.
    fn write(&self, bytes: &[u8]);

    /// Time that must pass before anything is kept at all.
    fn patience(&self) -> Duration {
        Duration::from_millis(500)
    }

    /// What it has used since its work began; nothing where nobody counts.
    fn spent(&self) -> Option<Spent> {
        None
    }
}

/// Nothing is kept.
pub struct NoDraft;

impl Draft for NoDraft {
    fn read(&self) -> Option<Vec<u8>> {
        None
    }

    fn write(&self, _: &[u8]) {}
}

/// All that a training knows after a look at val. What is drawn at a step is drawn from streams of
/// its own, so the number of steps done is all there is to know of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checkpoint {
    /// Steps done.
    pub(super) step: usize,
    /// Looks without anything better.
    pub(super) patience: usize,
    /// Every look so far.
    pub(super) curve: Vec<Point>,
    /// What had been used at each.
    pub(super) laps: Laps,
    /// What the next step takes over: weights, optimiser state, statistics.
    pub(super) moving: Vec<Vec<f32>>,
    /// The best so far.
    pub(super) best: Option<Best>,
}

/// The best weights so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Best {
    pub(super) point: Point,
    pub(super) weights: Vec<f32>,
    pub(super) statistics: Vec<f32>,
}

/// What of it is no vector.
#[derive(Serialize, Deserialize)]
struct Header {
    step: usize,
    patience: usize,
    curve: Vec<Point>,
    /// Drafts of earlier versions have none.
    #[serde(default)]
    laps: Laps,
    moving: usize,
    best: Option<Point>,
}

/// Where the header stands in the file.
const HEADER: &str = "training";

impl Checkpoint {
    /// As bytes; nothing if that cannot be done.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let header = Header {
            step: self.step,
            patience: self.patience,
            curve: self.curve.clone(),
            laps: self.laps.clone(),
            moving: self.moving.len(),
            best: self.best.as_ref().map(|best| best.point),
        };
        let text = serde_json::to_string(&header).ok()?;
        let mut vectors: Vec<(String, &[f32])> = Vec::new();
        for (index, vector) in self.moving.iter().enumerate() {
            vectors.push((format!("moving_{index}"), vector));
        }
        if let Some(best) = &self.best {
            vectors.push(("best_weights".to_owned(), &best.weights));
            vectors.push(("best_statistics".to_owned(), &best.statistics));
        }
        let views: Option<Vec<_>> = vectors
            .iter()
            .map(|(name, values)| {
                let bytes = bytemuck::cast_slice(values);
                Some((name, TensorView::new(Dtype::F32, vec![values.len()], bytes).ok()?))
            })
            .collect();
        safetensors::serialize(views?, Some([(HEADER.to_owned(), text)].into())).ok()
    }

    /// From bytes; nothing if they are not what [`Self::to_bytes`] made.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
        let header = metadata.metadata().as_ref()?.get(HEADER)?;
        let header: Header = serde_json::from_str(header).ok()?;
        let file = SafeTensors::deserialize(bytes).ok()?;
        let vector = |name: &str| -> Option<Vec<f32>> {
            let read = |piece: &[u8]| f32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]);
            Some(file.tensor(name).ok()?.data().chunks_exact(4).map(read).collect())
        };
        let moving: Option<Vec<_>> =
            (0..header.moving).map(|index| vector(&format!("moving_{index}"))).collect();
        let best = match header.best {
            None => None,
            Some(point) => Some(Best {
                point,
                weights: vector("best_weights")?,
                statistics: vector("best_statistics")?,
            }),
        };
        Some(Self {
            step: header.step,
            patience: header.patience,
            curve: header.curve,
            laps: header.laps,
            moving: moving?,
            best,
        })
    }
}

/// Decides when it is time to keep a checkpoint: not so often that it costs more than a twentieth
/// of the time. What is kept when never changes a result.
pub(super) struct Pace {
    last: Instant,
    wait: Duration,
}

/// Time between checkpoints, in times of what one costs.
const RARELY: u32 = 20;

impl Pace {
    /// Nothing is kept before this much time has passed.
    pub(super) fn new(wait: Duration) -> Self {
        Self { last: Instant::now(), wait }
    }

    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= self.wait
    }

    /// Keeps what is due.
    pub(super) fn keep(&mut self, keep: impl FnOnce()) {
        let started = Instant::now();
        keep();
        self.wait = started.elapsed() * RARELY;
        self.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_bit_for_bit() {
        let point = |step: usize| Point {
            step,
            train_loss: Some(0.1 + 0.2),
            val_loss: 1.0 / 3.0,
            val_accuracy: Some(0.7),
            val_balanced_accuracy: Some(2.0 / 3.0),
            val_score: None,
            rate: 1e-3_f64.powf(1.1),
        };
        let checkpoint = Checkpoint {
            step: 12,
            patience: 3,
            curve: vec![point(0), point(12)],
            laps: Laps {
                seconds: vec![0.1, 0.1 + 0.2],
                joules: vec![None, Some(1.0 / 3.0)],
                source: Some("powercap".to_owned()),
                ..Laps::default()
            },
            moving: vec![vec![1.0, f32::MIN_POSITIVE, -0.0], vec![0.1; 3], vec![]],
            best: Some(Best { point: point(6), weights: vec![0.3; 3], statistics: vec![] }),
        };
        let bytes = checkpoint.to_bytes().unwrap();
        assert_eq!(Checkpoint::from_bytes(&bytes), Some(checkpoint));
        assert_eq!(Checkpoint::from_bytes(&bytes[..bytes.len() - 1]), None);
    }
}
