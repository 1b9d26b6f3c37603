//! One training: a model, a learning rate, a seed.

use std::sync::Arc;

use thiserror::Error;

use crate::autodiff::{Loss, Optimiser};
use crate::base::Seed;
use crate::onnx::runtime::{RuntimeError, Tensor};
use crate::store::{Laps, Spent};

use super::batches::Batches;
use super::budget::{Budget, Looks};
use super::checkpoint::{Best, Checkpoint, Draft, Pace};
use super::course::{Course, Unfreeze};
use super::examples::Examples;
use super::laps::Counting;
use super::look::{Point, Seen, run_scores};
use super::mixing::Mixing;
use super::monitor::Monitor;
use super::prepared::{Loan, Prepared, Workshop};
use super::schedule::Schedule;
use super::stepping::Stepping;

/// How to train.
pub struct Settings<'a> {
    /// Learning rate of the head.
    pub rate: f64,
    /// Over time.
    pub schedule: &'a Schedule,
    /// When layer groups begin to learn.
    pub unfreeze: &'a Unfreeze,
    /// How weights follow gradients; the one the graphs were prepared with.
    pub optimiser: &'a Optimiser,
    /// What is made small; the one the graphs were prepared with.
    pub loss: &'a Loss,
    /// How targets and inputs are softened.
    pub mixing: Mixing,
    /// Items in a step, which may come in pieces.
    pub batch: usize,
    /// How long.
    pub budget: Budget,
    /// Which weights are the best.
    pub monitor: &'a Monitor,
    /// Draws the order of batches.
    pub seed: Seed,
    /// Threads of a session.
    pub threads: usize,
}

impl Settings<'_> {
    /// Steps of an epoch.
    fn per_epoch(&self, examples: &Examples<'_>) -> usize {
        Batches::per_epoch(examples.open.train().len(), self.batch)
    }

    /// The course over all steps of a network whose parameters are in so many cohorts.
    fn course(&self, examples: &Examples<'_>, cohorts: usize) -> Course {
        let per_epoch = self.per_epoch(examples);
        let total = self.budget.steps(per_epoch);
        Course::new(self.schedule, self.unfreeze, cohorts, per_epoch, total)
    }
}

/// Where a training starts.
pub struct Start {
    /// Weights that learn, as one vector.
    pub weights: Vec<f32>,
    /// Running statistics, as one vector.
    pub statistics: Vec<f32>,
    /// Where weights are pulled to, as one vector; of no length if they are not.
    pub anchor: Vec<f32>,
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
    /// What had been used at each; empty where nobody counted.
    pub laps: Laps,
    /// What earlier runs had used on it that were interrupted.
    pub earlier: Option<Spent>,
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

/// Trains, looks at val, keeps the best. `phases` are the step graphs of each phase of the course;
/// the last one's has everything that learns. A training of which `draft` knows goes on where that
/// was written.
pub fn train(
    workshop: &Workshop,
    phases: &[Arc<Prepared>],
    examples: &Examples<'_>,
    settings: &Settings<'_>,
    start: Start,
    draft: &dyn Draft,
    watch: Watch<'_>,
) -> Result<Trained, TrainError> {
    let mut training = Training::new(workshop, phases, examples, settings, start, draft)?;
    let (total, per_epoch) = (training.total, settings.per_epoch(examples));
    let looks = Looks::over(total, per_epoch);
    let mut batches = Batches::new(examples.open.train(), settings.batch, settings.seed);
    let mut pace = Pace::new(draft.patience());
    match draft.read().as_deref().and_then(Checkpoint::from_bytes) {
        Some(checkpoint) => training.take_up(checkpoint, &mut batches)?,
        None => _ = training.look()?,
    }
    while training.step < total && !training.is_out_of_patience() {
        training.advance(batches.next())?;
        let step = training.step;
        let mut note = String::new();
        if looks.at(step) {
            let better = training.look()?;
            training.count(better, looks.counts_for_patience(step));
            let val = training.curve.last().map_or(f64::NAN, |point| point.val_loss);
            note = format!("val loss {val:.4}");
            if step < total && pace.is_due() {
                pace.keep(|| {
                    if let Some(bytes) = training.checkpoint().to_bytes() {
                        draft.write(&bytes);
                    }
                });
            }
        }
        if !watch(step, total, &note) {
            return Err(TrainError::Interrupted);
        }
    }
    training.finish()
}

struct Training<'a> {
    stepping: Stepping<'a>,
    scoring: Loan<'a>,
    prepared: &'a Prepared,
    examples: &'a Examples<'a>,
    settings: &'a Settings<'a>,
    draft: &'a dyn Draft,
    course: Course,
    total: usize,
    step: usize,
    patience: usize,
    moving: Vec<Tensor>,
    curve: Vec<Point>,
    counting: Counting,
    best: Option<Best>,
    losses: Vec<f64>,
}

impl<'a> Training<'a> {
    fn new(
        workshop: &'a Workshop,
        phases: &'a [Arc<Prepared>],
        examples: &'a Examples<'a>,
        settings: &'a Settings<'a>,
        start: Start,
        draft: &'a dyn Draft,
    ) -> Result<Self, TrainError> {
        let prepared = phases.last().expect("a course has at least one phase");
        let stepping = Stepping::new(workshop, phases, settings, &start)?;
        Ok(Self {
            stepping,
            scoring: workshop.session(&prepared.score, settings.threads)?,
            prepared,
            examples,
            settings,
            draft,
            course: settings.course(examples, prepared.weights.cohort_count()),
            total: settings.budget.steps(settings.per_epoch(examples)),
            step: 0,
            patience: 0,
            moving: moving(prepared, settings.optimiser, start)?,
            curve: vec![],
            counting: Counting::new(),
            best: None,
            losses: vec![],
        })
    }

    /// Goes on from a checkpoint: batches that were met are passed over.
    fn take_up(
        &mut self,
        checkpoint: Checkpoint,
        batches: &mut Batches<'_>,
    ) -> Result<(), TrainError> {
        for _ in 0..checkpoint.step {
            batches.next();
        }
        let vector = |values: Vec<f32>| Tensor::f32(&[values.len()], values);
        self.moving = checkpoint.moving.into_iter().map(vector).collect::<Result<_, _>>()?;
        self.step = checkpoint.step;
        self.patience = checkpoint.patience;
        self.counting = Counting::after(checkpoint.laps, checkpoint.curve.len());
        self.curve = checkpoint.curve;
        self.best = checkpoint.best;
        Ok(())
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            step: self.step,
            patience: self.patience,
            curve: self.curve.clone(),
            laps: self.counting.laps().clone(),
            moving: self.moving.iter().map(plain).collect(),
            best: self.best.clone(),
        }
    }

    fn rate(&self, step: usize) -> f64 {
        self.settings.rate * self.course.factor(step)
    }

    fn advance(&mut self, items: &[usize]) -> Result<(), TrainError> {
        let rate = self.rate(self.step);
        let at = (self.step, &self.course, rate as f32);
        let loss = self.stepping.step(self.examples, items, at, &mut self.moving)?;
        self.step += 1;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step: self.step, loss });
        }
        self.losses.push(f64::from(loss));
        Ok(())
    }

    fn count(&mut self, better: bool, counts: bool) {
        if better {
            self.patience = 0;
        } else if counts && self.course.all_learn(self.step) {
            self.patience += 1;
        }
    }

    fn is_out_of_patience(&self) -> bool {
        let most = self.settings.budget.patience;
        most > 0 && self.patience >= most
    }

    /// Looks at val; tells whether it was never better.
    fn look(&mut self) -> Result<bool, TrainError> {
        let step = self.step;
        let weights = &self.moving[0];
        let statistics = self.moving.get(1 + self.settings.optimiser.state().len());
        let (prepared, examples, val) = (self.prepared, self.examples, self.examples.open.val());
        let scores = run_scores(&mut self.scoring, prepared, examples, val, weights, statistics)?;
        let seen = Seen::of(&scores, val, examples, (self.settings.loss, prepared.classes));
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
            val_score: seen.score,
            rate: self.rate(step),
        };
        self.curve.push(point);
        if let Some(spent) = self.draft.spent() {
            self.counting.look(spent);
        }
        // What has not been trained at all is no candidate, unless nothing is to be trained.
        let monitor = self.settings.monitor;
        let better =
            self.best.as_ref().is_none_or(|best| monitor.compare(&point, &best.point).is_gt());
        if better && (step > 0 || self.total == 0) {
            self.best = Some(Best {
                point,
                weights: plain(weights),
                statistics: statistics.map(plain).unwrap_or_default(),
            });
        }
        Ok(better)
    }

    fn finish(self) -> Result<Trained, TrainError> {
        let best = self.best.ok_or(TrainError::Diverged { step: self.step, loss: f32::NAN })?;
        Ok(Trained {
            weights: best.weights,
            statistics: best.statistics,
            best: best.point,
            stopped_at: self.step,
            total: self.total,
            laps: self.counting.laps().clone(),
            earlier: self.counting.earlier(),
            curve: self.curve,
            computing: self.stepping.computing.as_secs_f64(),
        })
    }
}

fn plain(tensor: &Tensor) -> Vec<f32> {
    tensor.floats().map(<[f32]>::to_vec).unwrap_or_default()
}

/// What a step takes over from the one before, in the order of the graph's outputs after the
/// loss: weights, optimiser state, statistics.
pub(super) fn moving(
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

#[cfg(test)]
mod tests;
