//! One training at one learning rate.

use serde_json::{Value as Json, json};

use crate::train::{self, Settings, Start, TrainError, Trained};

use super::super::artifacts::{Outcome, TrialResult, put_json, write_vectors};
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::Task;

/// One training.
pub(super) struct Trial {
    pub(super) task: Task,
    pub(super) rate: f64,
}

/// Name of the vector of weights.
pub(super) const WEIGHTS: &str = "weights";
/// Name of the vector of running statistics.
pub(super) const STATISTICS: &str = "statistics";

impl Job for Trial {
    fn kind(&self) -> &'static str {
        "trial"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let mut task = self.task.key()?;
        // The other rates of the list do not change this one.
        task["training"]["lr"] = Json::Null;
        Ok(json!({ "task": task, "rate": self.rate }))
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
        self.task.expected(speed)
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let task = &self.task;
        let network = task.recipe.build(task.seed, context)?;
        let prepared = task.prepare(&network, context)?;
        let sources = task.open(context)?;
        let labels = task.sample.data.dataset.labels();
        let class_weights = task.class_weights();
        let examples = task.examples(&sources, &labels, &class_weights);
        let settings = Settings {
            rate: self.rate,
            schedule: &task.training.schedule,
            optimiser: &task.training.optimizer,
            budget: task.training.budget(),
            monitor: &task.training.monitor,
            seed: task.seed,
            threads: context.cores,
        };
        let start = Start {
            weights: prepared.weights.gather(&network.graph),
            statistics: prepared.statistics.gather(&network.graph),
        };
        let watch = |done: usize, total: usize, note: &str| {
            (context.progress)(done, total, note);
            !context.stopped()
        };
        let trained =
            train::train(context.workshop, &prepared, &examples, &settings, start, &watch);
        self.outputs(trained, context)
    }
}

impl Trial {
    /// What is kept of a training; one that diverged is a result too.
    fn outputs(
        &self,
        trained: Result<Trained, TrainError>,
        context: &Context<'_>,
    ) -> Result<Outputs, Failure> {
        let (outcome, weights, statistics) = match trained {
            Ok(trained) => {
                let outcome = Outcome::Trained {
                    best: trained.best,
                    stopped_at: trained.stopped_at,
                    total: trained.total,
                    curve: trained.curve,
                };
                (outcome, trained.weights, trained.statistics)
            }
            Err(TrainError::Diverged { step, loss }) => {
                (Outcome::Diverged { step, loss: loss.to_string() }, vec![], vec![])
            }
            Err(TrainError::Interrupted) => return Err(Failure::Interrupted),
            Err(TrainError::Runtime(error)) => return Err(error.into()),
        };
        let vectors = [(WEIGHTS, weights.as_slice()), (STATISTICS, statistics.as_slice())];
        let result = TrialResult { rate: self.rate, outcome };
        let mut outputs = Outputs::default()
            .with("weights", write_vectors(context.store, &vectors)?)
            .with("result", put_json(context.store, "trial", &result)?);
        if let Outcome::Diverged { step, loss } = &result.outcome {
            let rate = self.rate;
            outputs
                .warnings
                .push(format!("diverged at lr {rate}: the loss was {loss} at step {step}"));
        }
        Ok(outputs)
    }
}
