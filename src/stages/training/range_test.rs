//! A learning-rate range test before a training.

use serde_json::Value as Json;

use crate::train::{self, TrainError};

use super::super::artifacts::put_json;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::Task;

/// Finds a learning rate.
pub(super) struct RangeTest {
    pub(super) task: Task,
}

/// The port of the curve.
pub(super) const CURVE: &str = "range";

impl Job for RangeTest {
    fn kind(&self) -> &'static str {
        "lr_range_test"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        self.task.key()
    }

    fn computes(&self) -> bool {
        true
    }

    fn trains(&self) -> bool {
        true
    }

    fn cores(&self) -> Cores {
        Cores::Share
    }

    fn expected(&self, speed: Speed) -> f64 {
        super::SESSIONS + speed.seconds(300 * self.task.batch(), self.task.macs)
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let task = &self.task;
        let network = task.recipe.build(task.seed, context)?;
        let prepared = &task.prepare_whole(&network, context)?;
        let sources = task.open(context)?;
        let known = task.known();
        let examples = task.examples(&sources, &known);
        let settings = task.settings(1.0, context.cores);
        let start = task.start(&network, prepared);
        let watch = |done: usize, total: usize, note: &str| {
            (context.progress)(done, total, note);
            !context.stopped()
        };
        let found =
            train::range_test(context.workshop, prepared, &examples, &settings, start, &watch);
        let found = found.map_err(|error| match error {
            TrainError::Interrupted => Failure::Interrupted,
            TrainError::Runtime(error) => error.into(),
            diverged @ TrainError::Diverged { .. } => Failure::new(diverged.to_string()),
        })?;
        let Some(rate) = found.rate else {
            return Err(Failure::with_help(
                "find a learning rate: the first loss was no number",
                "check the model's input rule and weights",
            ));
        };
        Ok(Outputs::default().with(CURVE, put_json(context.store, CURVE, &found)?).fact("lr", rate))
    }
}
