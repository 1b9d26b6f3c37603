//! The work of scoring one layer's features before anything is trained on them.

use std::collections::BTreeSet;
use std::time::Instant;

use ndarray::{Array2, Axis};
use serde_json::{Value as Json, json};

use crate::base::{Seed, Target};
use crate::stats::Direction;
use crate::transferability::{Items, Number, Refusal, Score, score};

use super::artifacts::{ArrayRows, Estimate, Estimates, put_json};
use super::data::Sample;
use super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::probing::{FEATURES, matrix};

/// The port of what the source's head says.
pub(super) const SOURCE: &str = "source";
/// The port of the other domain's features.
pub(super) const OTHER: &str = "other";
/// Where the scores come out.
const ESTIMATES: &str = "estimates";

/// Scores of one layer's features.
pub(super) struct EstimateJob {
    pub(super) sample: Sample,
    /// Whether the source's head is read.
    pub(super) has_source: bool,
    /// The other domain, if one is read.
    pub(super) other: Option<Sample>,
    pub(super) scores: Vec<&'static str>,
    /// Names the draws of items.
    pub(super) seed: Seed,
}

impl Job for EstimateJob {
    fn kind(&self) -> &'static str {
        "transferability"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let mut parameters = json!({
            "sample": self.sample.key()?,
            "source": self.has_source,
            "other": self.other.as_ref().map(Sample::key).transpose()?,
            "scores": self.scores,
            "seed": self.seed,
        });
        if self.target() != Target::Classes {
            parameters["of"] = json!(self.target());
        }
        Ok(parameters)
    }

    fn cores(&self) -> Cores {
        Cores::Share
    }

    fn expected(&self, _speed: Speed) -> f64 {
        1e-3 * self.sample.train.len() as f64
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let train = &self.known();
        let features = matrix(&ArrayRows::open(context.bytes(FEATURES)?)?, train);
        let source = match self.has_source {
            true => Some(probabilities(matrix(&ArrayRows::open(context.bytes(SOURCE)?)?, train))),
            false => None,
        };
        let other = match &self.other {
            Some(other) => Some(matrix(&ArrayRows::open(context.bytes(OTHER)?)?, &other.train)),
            None => None,
        };
        let refused = |refusal: Refusal| self.failure(&refusal);
        let mut items = self.items(&features, train).map_err(refused)?;
        if let Some(source) = &source {
            items = items.with_source(source.view()).map_err(refused)?;
        }
        if let Some(other) = &other {
            items = items.with_other(other.view()).map_err(refused)?;
        }
        let items = items.with_seed(self.seed).on_threads(context.cores);
        self.scored(&items, train, features.ncols(), context)
    }
}

impl EstimateJob {
    fn target(&self) -> Target {
        self.sample.data.dataset.target()
    }

    /// Training items of which everything is known.
    fn known(&self) -> Vec<usize> {
        let items = self.sample.data.dataset.items();
        let is_known = |item: &usize| items[*item].values.iter().all(Option::is_some);
        let train = self.sample.train.iter().copied();
        match self.target() {
            Target::Classes => train.collect(),
            Target::Labels | Target::Values => train.filter(is_known).collect(),
        }
    }

    /// Features with what is told of their items.
    fn items<'a>(&self, features: &'a Array2<f64>, train: &[usize]) -> Result<Items<'a>, Refusal> {
        let dataset = &self.sample.data.dataset;
        if self.target() == Target::Classes {
            let labels = dataset.labels();
            let labels: Vec<usize> = train.iter().map(|&item| labels[item]).collect();
            return Items::new(features.view(), &labels);
        }
        let shape = (train.len(), dataset.names().len());
        let columns = Array2::from_shape_fn(shape, |(row, column)| {
            dataset.items()[train[row]].values[column].unwrap_or(f64::NAN)
        });
        Items::of_columns(features.view(), columns.view(), self.target())
    }

    fn scored(
        &self,
        items: &Items<'_>,
        train: &[usize],
        features: usize,
        context: &Context<'_>,
    ) -> Result<Outputs, Failure> {
        let mut rows = Vec::new();
        let mut seconds = serde_json::Map::new();
        for (done, name) in self.scores.iter().enumerate() {
            context.go_on()?;
            (context.progress)(done, self.scores.len(), name);
            let Some(score) = score(name) else { continue };
            let began = Instant::now();
            rows.extend(estimated(score, items));
            seconds.insert((*name).to_owned(), json!(began.elapsed().as_secs_f64()));
        }
        let dataset = &self.sample.data.dataset;
        let classes = match self.target() {
            Target::Classes => {
                let labels = dataset.labels();
                train.iter().map(|&item| labels[item]).collect::<BTreeSet<_>>().len()
            }
            Target::Labels | Target::Values => dataset.names().len(),
        };
        let items = train.len();
        let estimates = Estimates { items, features, classes, rows };
        // When they stood and how long they took is no part of what they are.
        Ok(Outputs::default()
            .with(ESTIMATES, put_json(context.store, ESTIMATES, &estimates)?)
            .fact("seconds", seconds)
            .fact("sealed", jiff::Timestamp::now().to_string()))
    }

    fn failure(&self, refusal: &Refusal) -> Failure {
        let help = "check the model's input rule, or choose another layer";
        match refusal {
            Refusal::NotFinite { what, row, column, value } => {
                let items = self.sample.data.dataset.items();
                let id = self.known().get(*row).map_or("", |&item| items[item].id.as_str());
                let other = self.other.as_ref().filter(|_| what.ends_with("domain"));
                let id = other.map_or(id, |other| {
                    let item = other.train.get(*row);
                    item.map_or("", |&item| other.data.dataset.items()[item].id.as_str())
                });
                let message = format!("score: {what}: value {column} of `{id}` is {value}");
                Failure::with_help(message, help)
            }
            other => Failure::with_help(format!("score: {other}"), help),
        }
    }
}

/// The rows of a score; one that says why there is none, if there is none.
fn estimated(score: &dyn Score, items: &Items<'_>) -> Vec<Estimate> {
    let row = |name: &str| Estimate {
        family: score.name().to_owned(),
        score: name.to_owned(),
        higher_is_better: score.direction() == Direction::HigherIsBetter,
        value: None,
        deviation: None,
        p: None,
        null: None,
        remark: None,
    };
    let of_number = |number: Number| Estimate {
        value: Some(number.value),
        deviation: number.deviation,
        p: number.p,
        null: number.null,
        remark: number.warning.map(str::to_owned),
        ..row(number.name)
    };
    match score.numbers(items) {
        Ok(numbers) => numbers.into_iter().map(of_number).collect(),
        Err(refusal) => {
            vec![Estimate { remark: Some(refusal.to_string()), ..row(score.name()) }]
        }
    }
}

/// Rows as probabilities: as they are if all of them are, else their softmax.
pub(super) fn probabilities(mut rows: Array2<f64>) -> Array2<f64> {
    let fits = |row: ndarray::ArrayView1<'_, f64>| {
        row.iter().all(|value| *value >= 0.0) && (row.sum() - 1.0).abs() < 1e-4
    };
    if !rows.axis_iter(Axis(0)).all(fits) {
        for mut row in rows.rows_mut() {
            let most = row.fold(f64::NEG_INFINITY, |most, value| most.max(*value));
            row.mapv_inplace(|value| (value - most).exp());
        }
    }
    for mut row in rows.rows_mut() {
        let total = row.sum();
        row /= total;
    }
    rows
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn logits_are_made_probabilities_and_probabilities_stay() {
        let known = array![[0.25, 0.75], [1.0, 0.0]];
        assert_eq!(probabilities(known.clone()), known);
        let made = probabilities(array![[0.0, 3_f64.ln()], [1000.0, 0.0]]);
        assert!((&made - &known).iter().all(|d| d.abs() < 1e-12), "{made}");
    }
}
