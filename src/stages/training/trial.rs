//! One training at one learning rate.

use serde_json::{Value as Json, json};

use crate::store::Laps;
use crate::train::{self, TrainError, Trained};

use super::super::artifacts::{Outcome, TrialResult, get_json, put_json, write_vectors};
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::range_test::CURVE;
use super::{Rate, Task};

/// One training.
pub(super) struct Trial {
    pub(super) task: Task,
    pub(super) rate: Rate,
}

/// Name of the vector of weights.
pub(super) const WEIGHTS: &str = "weights";
/// Name of the vector of running statistics.
pub(super) const STATISTICS: &str = "statistics";

impl Job for Trial {
    fn kind(&self) -> &'static str {
        "trial"
    }

    /// 1: first. 2: tables, normalisations and tokens of encoders learn; shapes are constants.
    fn version(&self) -> u32 {
        2
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let mut task = self.task.key()?;
        // The other rates of the list do not change this one.
        task["training"]["lr"] = Json::Null;
        let rate = match self.rate {
            Rate::Known(rate) => json!(rate),
            Rate::Tested => Json::Null,
        };
        Ok(json!({ "task": task, "rate": rate }))
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
        let phases = task.prepare(&network, context)?;
        let prepared = phases.last().ok_or_else(|| Failure::new("prepare any phase"))?;
        let sources = task.open(context)?;
        let known = task.known();
        let examples = task.examples(&sources, &known);
        let rate = self.rate(context)?;
        let settings = task.settings(rate, context.cores);
        let start = task.start(&network, prepared);
        let watch = |done: usize, total: usize, note: &str| {
            (context.progress)(done, total, note);
            !context.stopped()
        };
        let workshop = context.workshop;
        let trained = train::train(workshop, &phases, &examples, &settings, start, context, &watch);
        Self::outputs(rate, trained, context)
    }
}

impl Trial {
    fn rate(&self, context: &Context<'_>) -> Result<f64, Failure> {
        match self.rate {
            Rate::Known(rate) => Ok(rate),
            Rate::Tested => {
                let test: train::RangeTest = get_json(context, CURVE)?;
                test.rate.ok_or_else(|| Failure::new("find a learning rate in the range test"))
            }
        }
    }

    /// What is kept of a training; one that diverged is a result too.
    fn outputs(
        rate: f64,
        trained: Result<Trained, TrainError>,
        context: &Context<'_>,
    ) -> Result<Outputs, Failure> {
        let (outcome, weights, statistics, laps, earlier) = match trained {
            Ok(trained) => {
                let outcome = Outcome::Trained {
                    best: trained.best,
                    stopped_at: trained.stopped_at,
                    total: trained.total,
                    curve: trained.curve,
                };
                (outcome, trained.weights, trained.statistics, trained.laps, trained.earlier)
            }
            Err(TrainError::Diverged { step, loss }) => {
                let outcome = Outcome::Diverged { step, loss: loss.to_string() };
                (outcome, vec![], vec![], Laps::default(), None)
            }
            Err(TrainError::Interrupted) => return Err(Failure::Interrupted),
            Err(TrainError::Runtime(error)) => return Err(error.into()),
        };
        let vectors = [(WEIGHTS, weights.as_slice()), (STATISTICS, statistics.as_slice())];
        let result = TrialResult { rate, outcome };
        let mut outputs = Outputs::default()
            .with("weights", write_vectors(context.store, &vectors)?)
            .with("result", put_json(context.store, "trial", &result)?);
        if !laps.seconds.is_empty() {
            outputs = outputs.fact(Laps::FACT, json!(laps));
        }
        outputs.earlier = earlier;
        if let Outcome::Diverged { step, loss } = &result.outcome {
            outputs
                .warnings
                .push(format!("diverged at lr {rate}: the loss was {loss} at step {step}"));
        }
        Ok(outputs)
    }
}
