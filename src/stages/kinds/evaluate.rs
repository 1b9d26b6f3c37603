//! `evaluate`: scores of predictions on one part.

use serde_json::{Value as Json, json};

use crate::base::language::{Word, choice, keys};
use crate::base::{Located, Problem};
use crate::data;
use crate::stats::{Confusion, METRICS, Measured, Metric, PerClass, metric, per_class};

use super::super::artifacts::{ClassScore, Evaluation, Predictions, Score, put_json};
use super::super::job::{Context, Failure, Job, Outputs};
use super::super::names::{Reference, full_name};
use super::super::site::{Input, Offers, Planned, ScoredArm, ScoresOffer, Site};
use super::Kind;

keys! {
    /// Scores the predictions of stages on one part, with sensitivity and specificity of each
    /// class and the confusion table.
    pub struct Evaluate {
        /// The stages; the name of a stage with a matrix means all its combinations.
        of: Located<Vec<Located<Reference>>>,
        /// The part.
        split: PartWord = PartWord::Test,
        /// The metrics; all of them if not said.
        metrics: Option<Vec<Located<Word>>> = None,
    }
}

choice! {
    /// A part of a split.
    pub enum PartWord {
        /// Trained on.
        "train" => Train,
        /// Chose between settings.
        "val" => Val,
        /// Looked at last.
        "test" => Test,
    }
}

impl PartWord {
    fn part(&self) -> data::Part {
        match self {
            Self::Train => data::Part::Train,
            Self::Val => data::Part::Val,
            Self::Test => data::Part::Test,
        }
    }
}

impl Kind for Evaluate {
    const WORD: &'static str = "evaluate";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.of.value.iter().collect()
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let metrics = self.metrics(site);
        let mut arms: Vec<ScoredArm> = Vec::new();
        let mut complete = !self.of.value.is_empty();
        if self.of.value.is_empty() {
            let help = "list the stages whose predictions are scored";
            site.problem(Problem::at(self.of.place, "`evaluate` scores no stage").help(help));
        }
        for reference in &self.of.value {
            let Some(matching) = site.matching(reference) else {
                complete = false;
                continue;
            };
            for planned in matching {
                let Some(offers) = &planned.offers else {
                    complete = false;
                    continue;
                };
                if offers.classifier.is_none() {
                    let message = format!("`{}` makes no predictions", reference.value);
                    site.problem(Problem::at(reference.place, message));
                    complete = false;
                    continue;
                }
                let name = full_name(&planned.stage, &planned.axes);
                if arms.iter().any(|arm| arm.name() == name) {
                    let message = format!("`{name}` is scored twice");
                    let help = "name each stage once; a name without axes means all of them";
                    site.problem(Problem::at(reference.place, message).help(help));
                    complete = false;
                    continue;
                }
                let metrics = metrics.clone().unwrap_or_default();
                arms.extend(self.arm(&planned, &metrics, site));
            }
        }
        let whole = complete && metrics.is_some();
        let scores = ScoresOffer { arms, part: self.split.part() };
        whole.then(|| Offers { scores: Some(scores), ..Offers::default() })
    }
}

impl Evaluate {
    fn metrics(&self, site: &mut Site) -> Option<Vec<&'static str>> {
        let all = || METRICS.iter().map(|metric| metric.name());
        let Some(words) = &self.metrics else { return Some(all().collect()) };
        let mut found = Some(vec![]);
        for word in words {
            match (metric(&word.0), &mut found) {
                (Some(metric), Some(list)) => list.push(metric.name()),
                (Some(_), None) => {}
                (None, _) => {
                    let message = format!("no metric is called `{}`", word.0);
                    let known: Vec<&str> = all().collect();
                    site.problem(Problem::at(word.place, message).or_else_one_of(&word.0, known));
                    found = None;
                }
            }
        }
        found
    }

    fn arm(
        &self,
        planned: &Planned,
        metrics: &[&'static str],
        site: &mut Site,
    ) -> Option<ScoredArm> {
        let offer = planned.offers.as_ref()?.classifier.clone()?;
        let name = full_name(&planned.stage, &planned.axes);
        let runs = site.for_seeds(offer.runs.differ(), |site, position, seed| {
            let job = Judge { part: self.split.part(), metrics: metrics.to_vec() };
            let input = Input::new("predictions", offer.runs.of(position), "predictions");
            Some(site.add(&format!("of {name}"), seed, job, vec![input]))
        })?;
        Some(ScoredArm {
            stage: planned.stage.clone(),
            axes: planned.axes.clone(),
            runs,
            data: offer.data,
            arm: offer.arm,
        })
    }
}

struct Judge {
    part: data::Part,
    metrics: Vec<&'static str>,
}

impl Job for Judge {
    fn kind(&self) -> &'static str {
        "evaluate"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({ "part": self.part.name(), "metrics": self.metrics }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let predictions = Predictions::load(&context.bytes("predictions")?)?.of(self.part);
        let evaluation = self.evaluate(&predictions)?;
        Ok(Outputs::default()
            .with("scores", put_json(context.store, "scores", &evaluation)?)
            .with("items", predictions.save(context.store)?))
    }
}

impl Judge {
    fn evaluate(&self, predictions: &Predictions) -> Result<Evaluation, Failure> {
        let view = predictions.view()?;
        let known = self.metrics.iter().filter_map(|name| metric(name));
        let mut scores: Vec<Score> = known
            .map(|metric: &dyn Metric| Score::new(metric.name(), None, &metric.value(&view)))
            .collect();
        let confusion = Confusion::of(&view);
        let name = |class: usize| predictions.classes[class].as_str();
        for PerClass { class, sensitivity, specificity, .. } in per_class(&confusion) {
            let pairs: [(&str, &Measured); 2] =
                [("sensitivity", &sensitivity), ("specificity", &specificity)];
            scores
                .extend(pairs.map(|(metric, value)| Score::new(metric, Some(name(class)), value)));
        }
        let classes = 0..predictions.classes.len();
        let cells = classes.clone().flat_map(|truth| classes.clone().map(move |p| (truth, p)));
        let cell = |(truth, predicted): (usize, usize)| ClassScore {
            truth: name(truth).to_owned(),
            predicted: name(predicted).to_owned(),
            count: confusion.counts()[[truth, predicted]],
        };
        Ok(Evaluation {
            part: self.part.name().to_owned(),
            items: predictions.ids.len(),
            scores,
            confusion: cells.map(cell).collect(),
        })
    }
}
