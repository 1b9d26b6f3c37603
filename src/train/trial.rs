//! One training: a model, a learning rate, a seed.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::autodiff::Optimiser;
use crate::base::Seed;
use crate::onnx::runtime::{RuntimeError, Session, Tensor};

use super::batches::Batches;
use super::budget::{Budget, Looks};
use super::examples::Examples;
use super::monitor::Monitor;
use super::prepared::{Prepared, Workshop};
use super::schedule::Schedule;

/// How to train.
pub struct Settings<'a> {
    /// Learning rate of the head.
    pub rate: f64,
    /// Over time.
    pub schedule: &'a Schedule,
    /// How weights follow gradients; the one the graphs were prepared with.
    pub optimiser: &'a Optimiser,
    /// How long.
    pub budget: Budget,
    /// Which weights are the best.
    pub monitor: &'a Monitor,
    /// Draws the order of batches.
    pub seed: Seed,
    /// Threads of a session.
    pub threads: usize,
}

/// Where a training starts.
pub struct Start {
    /// Weights that learn, as one vector.
    pub weights: Vec<f32>,
    /// Running statistics, as one vector.
    pub statistics: Vec<f32>,
}

/// One look at the val part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Mean training loss since the look before; of the first batch at the start.
    pub train_loss: Option<f64>,
    /// Weighted mean cross-entropy on val.
    pub val_loss: f64,
    /// Share of val items predicted right.
    pub val_accuracy: f64,
    /// Mean over classes of the share predicted right.
    pub val_balanced_accuracy: f64,
    /// Learning rate of the next step.
    pub rate: f64,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The best weights.
    pub weights: Vec<f32>,
    /// Statistics that go with them.
    pub statistics: Vec<f32>,
    /// The look at which those were found.
    pub best: Point,
    /// Steps done.
    pub stopped_at: usize,
    /// Steps allowed.
    pub total: usize,
    /// Every look.
    pub curve: Vec<Point>,
    /// Seconds of the steps that the runtime computed; the rest is the loop's own.
    pub computing: f64,
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The loss is no number any more.
    #[error("the loss became {loss} at step {step}")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// What it became.
        loss: f32,
    },
    /// Someone asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Hears of progress; `false` stops the training.
pub type Watch<'a> = &'a dyn Fn(usize, usize, &str) -> bool;

/// Trains, looks at val, keeps the best.
pub fn train(
    workshop: &Workshop,
    prepared: &Prepared,
    examples: &Examples<'_>,
    settings: &Settings<'_>,
    start: Start,
    watch: Watch<'_>,
) -> Result<Trained, TrainError> {
    let per_epoch = Batches::per_epoch(examples.train.len(), prepared.batch);
    let total = settings.budget.steps(per_epoch);
    let looks = Looks::over(total, per_epoch);
    let mut training = Training {
        session: workshop.session(&prepared.train, settings.threads)?,
        scoring: workshop.session(&prepared.score, settings.threads)?,
        prepared,
        examples,
        settings,
        total,
        moving: moving(prepared, settings.optimiser, start)?,
        curve: vec![],
        best: None,
        losses: vec![],
        computing: Duration::ZERO,
    };
    let mut batches = Batches::new(examples.train, prepared.batch, settings.seed);
    let mut step = 0;
    let mut patience = 0;
    training.look(step)?;
    while step < total {
        training.step(step, batches.next())?;
        step += 1;
        if looks.at(step) {
            let better = training.look(step)?;
            if better {
                patience = 0;
            } else if looks.counts_for_patience(step) {
                patience += 1;
            }
            let val = training.curve.last().map_or(f64::NAN, |point| point.val_loss);
            if !watch(step, total, &format!("val loss {val:.4}")) {
                return Err(TrainError::Interrupted);
            }
            if settings.budget.patience > 0 && patience >= settings.budget.patience {
                break;
            }
        } else if !watch(step, total, "") {
            return Err(TrainError::Interrupted);
        }
    }
    training.finish(step)
}

/// What a step takes over from the one before, in the order of the graph's outputs after the
/// loss: weights, optimiser state, statistics.
fn moving(
    prepared: &Prepared,
    optimiser: &Optimiser,
    start: Start,
) -> Result<Vec<Tensor>, RuntimeError> {
    let vector = |values: Vec<f32>| Tensor::f32(&[values.len()], values);
    let mut moving = vec![vector(start.weights)?];
    for _ in optimiser.state() {
        moving.push(vector(vec![0.0; prepared.weights.len()])?);
    }
    if !prepared.statistics.is_empty() {
        moving.push(vector(start.statistics)?);
    }
    Ok(moving)
}

struct Training<'a, S> {
    session: S,
    scoring: S,
    prepared: &'a Prepared,
    examples: &'a Examples<'a>,
    settings: &'a Settings<'a>,
    total: usize,
    moving: Vec<Tensor>,
    curve: Vec<Point>,
    best: Option<Best>,
    losses: Vec<f64>,
    computing: Duration,
}

struct Best {
    point: Point,
    weights: Vec<f32>,
    statistics: Vec<f32>,
}

impl<S: std::ops::DerefMut<Target = Session>> Training<'_, S> {
    fn rate(&self, step: usize) -> f64 {
        self.settings.rate * self.settings.schedule.factor(step, self.total)
    }

    fn step(&mut self, step: usize, items: &[usize]) -> Result<(), TrainError> {
        let batch = self.prepared.batch;
        let mut fed: Vec<Tensor> = Vec::new();
        for (source, port) in self.prepared.cuts.iter().enumerate() {
            let values = self.examples.gather(source, items, batch);
            fed.push(Tensor::f32(&port.dims, values)?);
        }
        let (targets, weights) = self.targets(items)?;
        let number = |value: f32| Tensor::f32(&[1], vec![value]);
        let rate = number(self.rate(step) as f32)?;
        let corrections: Vec<Tensor> = self
            .settings
            .optimiser
            .corrections(step + 1)
            .into_iter()
            .map(number)
            .collect::<Result<_, _>>()?;
        let inputs: Vec<&Tensor> = fed
            .iter()
            .chain([&targets, &weights])
            .chain(&self.moving)
            .chain(std::iter::once(&rate))
            .chain(&corrections)
            .collect();
        let started = Instant::now();
        let mut outputs = self.session.run(&inputs)?;
        self.computing += started.elapsed();
        let loss = outputs.remove(0).floats().and_then(|loss| loss.first().copied());
        let loss = loss.unwrap_or(f32::NAN);
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step: step + 1, loss });
        }
        self.losses.push(f64::from(loss));
        self.moving = outputs;
        Ok(())
    }

    /// One-hot targets and a weight for each item.
    fn targets(&self, items: &[usize]) -> Result<(Tensor, Tensor), RuntimeError> {
        let (batch, classes) = (self.prepared.batch, self.prepared.classes);
        let mut targets = vec![0.0; batch * classes];
        let mut weights = vec![0.0; batch];
        for (row, &item) in items.iter().enumerate() {
            let label = self.examples.labels[item];
            targets[row * classes + label] = 1.0;
            weights[row] = self.examples.class_weights[label] as f32;
        }
        Ok((Tensor::f32(&[batch, classes], targets)?, Tensor::f32(&[batch], weights)?))
    }

    /// Looks at val; tells whether it was never better.
    fn look(&mut self, step: usize) -> Result<bool, TrainError> {
        let weights = &self.moving[0];
        let statistics = self.moving.get(1 + self.settings.optimiser.state().len());
        let (prepared, examples, val) = (self.prepared, self.examples, self.examples.val);
        let scores = run_scores(&mut self.scoring, prepared, examples, val, weights, statistics)?;
        let seen = Seen::of(&scores, val, examples, prepared.classes);
        if !seen.loss.is_finite() {
            return Err(TrainError::Diverged { step, loss: seen.loss as f32 });
        }
        let losses = std::mem::take(&mut self.losses);
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        let point = Point {
            step,
            train_loss: (!losses.is_empty()).then_some(mean),
            val_loss: seen.loss,
            val_accuracy: seen.accuracy,
            val_balanced_accuracy: seen.balanced_accuracy,
            rate: self.rate(step),
        };
        self.curve.push(point);
        // What has not been trained at all is no candidate, unless nothing is to be trained.
        let monitor = self.settings.monitor;
        let better =
            self.best.as_ref().is_none_or(|best| monitor.compare(&point, &best.point).is_gt());
        if better && (step > 0 || self.total == 0) {
            let plain = |t: &Tensor| t.floats().map(<[f32]>::to_vec).unwrap_or_default();
            self.best = Some(Best {
                point,
                weights: plain(weights),
                statistics: statistics.map(plain).unwrap_or_default(),
            });
        }
        Ok(better)
    }

    fn finish(self, stopped_at: usize) -> Result<Trained, TrainError> {
        let best = self.best.ok_or(TrainError::Diverged { step: stopped_at, loss: f32::NAN })?;
        Ok(Trained {
            weights: best.weights,
            statistics: best.statistics,
            best: best.point,
            stopped_at,
            total: self.total,
            curve: self.curve,
            computing: self.computing.as_secs_f64(),
        })
    }
}

/// What the scores of val say.
struct Seen {
    loss: f64,
    accuracy: f64,
    balanced_accuracy: f64,
}

impl Seen {
    fn of(scores: &[f32], items: &[usize], examples: &Examples<'_>, classes: usize) -> Self {
        let (mut loss, mut weight_sum) = (0.0, 0.0);
        let mut right = vec![0.0; classes];
        let mut counts = vec![0.0; classes];
        for (row, &item) in scores.chunks_exact(classes).zip(items) {
            let label = examples.labels[item];
            let weight = examples.class_weights[label];
            loss += weight * cross_entropy(row, label);
            weight_sum += weight;
            counts[label] += 1.0;
            right[label] += f64::from(u8::from(best_class(row) == label));
        }
        let present: Vec<f64> =
            right.iter().zip(&counts).filter(|(_, n)| **n > 0.0).map(|(r, n)| r / n).collect();
        Self {
            loss: loss / weight_sum,
            accuracy: right.iter().sum::<f64>() / items.len() as f64,
            balanced_accuracy: present.iter().sum::<f64>() / present.len() as f64,
        }
    }
}

/// −ln softmax(scores)[label]
fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - most).exp()).sum();
    sum.ln() - f64::from(scores[label] - most)
}

/// The class with the highest score; the first of equals.
fn best_class(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

/// Scores of items with given weights, items × classes.
pub fn score(
    workshop: &Workshop,
    prepared: &Prepared,
    examples: &Examples<'_>,
    items: &[usize],
    weights: &[f32],
    statistics: &[f32],
    threads: usize,
) -> Result<Vec<f32>, RuntimeError> {
    let vector = |values: &[f32]| Tensor::f32(&[values.len()], values.to_vec());
    let statistics = match prepared.statistics.is_empty() {
        true => None,
        false => Some(vector(statistics)?),
    };
    let mut session = workshop.session(&prepared.score, threads)?;
    let weights = vector(weights)?;
    run_scores(&mut session, prepared, examples, items, &weights, statistics.as_ref())
}

fn run_scores(
    session: &mut Session,
    prepared: &Prepared,
    examples: &Examples<'_>,
    items: &[usize],
    weights: &Tensor,
    statistics: Option<&Tensor>,
) -> Result<Vec<f32>, RuntimeError> {
    let (batch, classes) = (prepared.batch, prepared.classes);
    let mut scores = Vec::with_capacity(items.len() * classes);
    for piece in items.chunks(batch) {
        let mut fed: Vec<Tensor> = Vec::new();
        for (source, port) in prepared.cuts.iter().enumerate() {
            fed.push(Tensor::f32(&port.dims, examples.gather(source, piece, batch))?);
        }
        let inputs: Vec<&Tensor> =
            fed.iter().chain(std::iter::once(weights)).chain(statistics).collect();
        let outputs = session.run(&inputs)?;
        let values = outputs[0].floats().unwrap_or_default();
        scores.extend_from_slice(&values[..(piece.len() * classes).min(values.len())]);
    }
    Ok(scores)
}

#[cfg(test)]
mod tests;
