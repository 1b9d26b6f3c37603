//! `evaluate`: scores of predictions on one part.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::base::language::{Word, choice, keys};
use crate::base::{Located, Problem, Target};
use crate::data;
use crate::stats::{
    Columns, Confusion, Judged, Measure, Measured, PerClass, Predictions as Classified, per_class,
    with_both,
};

use super::super::artifacts::{ClassScore, Evaluation, Predictions, Score, put_json};
use super::super::data::OpenDataset;
use super::super::job::{Context, Failure, Job, Outputs};
use super::super::names::{Reference, full_name};
use super::super::site::{
    Beside, Input, Offers, Planned, Runs, ScoredArm, ScoresOffer, Setting, Site,
};
use super::Kind;

keys! {
    /// Scores the predictions of stages on one part: of classes, with sensitivity and specificity of
    /// each and the confusion table; of several labels, `auroc`, `average_precision`, `log_loss` and
    /// `brier`, each also label by label, and how many `labels` some items have and others have not;
    /// of numbers, `r2`, `rmse`, `mse` and `mae`.
    pub struct Evaluate {
        /// The stages; the name of a stage with a matrix means all its combinations.
        of: Located<Vec<Located<Reference>>>,
        /// The part.
        split: PartWord = PartWord::Test,
        /// The metrics. If not said, those that fit what is predicted; of classes, all but
        /// `average_precision`, `kappa`, `kappa_linear`, `kappa_quadratic` and `mcc`; `nmi` and `ari`
        /// of groups alone.
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
        let mut unfit = BTreeSet::new();
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
                let Some(metrics) = &metrics else { continue };
                match self.arm(&planned, metrics, &mut unfit, site) {
                    Some(arm) => arms.push(arm),
                    None => complete = false,
                }
            }
        }
        let whole = complete && metrics.is_some();
        let scores = ScoresOffer { arms, part: self.split.part() };
        whole.then(|| Offers { scores: Some(scores), ..Offers::default() })
    }
}

impl Evaluate {
    /// The metrics that are asked for, whatever they are of; none if nobody asks.
    fn metrics(&self, site: &mut Site) -> Option<Vec<&'static str>> {
        let mut found = Some(vec![]);
        for word in self.metrics.iter().flatten() {
            match (Measure::named(&word.0), &mut found) {
                (Some(metric), Some(list)) => list.push(metric.name()),
                (Some(_), None) => {}
                (None, _) => {
                    let message = format!("no metric is called `{}`", word.0);
                    let known = all_names();
                    site.problem(Problem::at(word.place, message).or_else_one_of(&word.0, known));
                    found = None;
                }
            }
        }
        found
    }

    /// Those of the metrics asked for that an arm can be judged by; the usual ones if nobody asks.
    /// Data sets that fit none are told once.
    fn fitting(
        &self,
        data: &OpenDataset,
        asked: &[&'static str],
        unfit: &mut BTreeSet<String>,
        site: &mut Site,
    ) -> Option<Vec<&'static str>> {
        let target = data.dataset.target();
        let all = Measure::all(target);
        if self.metrics.is_none() {
            let usual = all.iter().filter(|measure| measure.is_usual());
            return Some(usual.map(Measure::name).collect());
        }
        let fits = |name: &&&str| Measure::find(name, target).is_some();
        let fitting: Vec<&str> = asked.iter().filter(fits).copied().collect();
        if fitting.is_empty() && !asked.is_empty() {
            if !unfit.insert(data.name.clone()) {
                return None;
            }
            let place = self.metrics.iter().flatten().next().map_or(self.of.place, |m| m.place);
            let items = format!("items of `{}` have {}", data.name, target.told());
            let known: Vec<String> =
                all.iter().map(|known| format!("`{}`", known.name())).collect();
            site.problem(
                Problem::at(place, format!("{items}, which no metric asked for can judge"))
                    .help(format!("ask for {}", known.join(", "))),
            );
            return None;
        }
        Some(fitting)
    }

    fn arm(
        &self,
        planned: &Planned,
        asked: &[&'static str],
        unfit: &mut BTreeSet<String>,
        site: &mut Site,
    ) -> Option<ScoredArm> {
        let offer = planned.offers.as_ref()?.classifier.clone()?;
        let mut metrics = self.fitting(&offer.data, asked, unfit, site)?;
        if self.metrics.is_none() && offer.arm.setting == Some(Setting::Unsupervised) {
            metrics.extend(OF_GROUPS);
        }
        let name = full_name(&planned.stage, &planned.axes);
        let differ = |runs: &Runs| runs.differ();
        let others_differ = offer.beside.as_ref().is_some_and(|(_, runs)| differ(runs));
        let runs =
            site.for_seeds(offer.runs.differ() || others_differ, |site, position, seed| {
                let (part, metrics) = (self.split.part(), metrics.clone());
                let beside = offer.beside.as_ref().map(|(beside, _)| *beside);
                let others = offer
                    .beside
                    .as_ref()
                    .map(|(beside, runs)| Input::new(BESIDE, runs.of(position), beside.port));
                let own = Input::new("predictions", offer.runs.of(position), "predictions");
                let inputs = std::iter::once(own).chain(others).collect();
                Some(site.add(&format!("of {name}"), seed, Judge { part, metrics, beside }, inputs))
            })?;
        Some(ScoredArm {
            stage: planned.stage.clone(),
            axes: planned.axes.clone(),
            runs,
            predictions: offer.runs,
            data: offer.data,
            arm: offer.arm,
        })
    }
}

/// Names of all metrics, each once.
fn all_names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for target in [Target::Classes, Target::Labels, Target::Values] {
        for measure in Measure::all(target) {
            if !names.contains(&measure.name()) {
                names.push(measure.name());
            }
        }
    }
    names
}

/// What is told of groups, whatever they are called.
const OF_GROUPS: [&str; 2] = ["nmi", "ari"];

/// The port of predictions beside those of an arm.
const BESIDE: &str = "beside";

struct Judge {
    part: data::Part,
    metrics: Vec<&'static str>,
    beside: Option<Beside>,
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
        let mut key = json!({ "part": self.part.name(), "metrics": self.metrics });
        if let Some(beside) = self.beside {
            key["beside"] = json!(beside);
        }
        Ok(key)
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let predictions = Predictions::load(&context.bytes("predictions")?)?.of(self.part);
        let mut evaluation = self.evaluate(&predictions)?;
        if let Some(beside) = self.beside {
            let others = Predictions::load(&context.bytes(BESIDE)?)?.of(self.part);
            evaluation.scores.extend(self.between(beside, &predictions, &others)?);
        }
        Ok(Outputs::default()
            .with("scores", put_json(context.store, "scores", &evaluation)?)
            .with("items", predictions.save(context.store)?))
    }
}

impl Judge {
    fn evaluate(&self, predictions: &Predictions) -> Result<Evaluation, Failure> {
        let judged = predictions.judged()?;
        let mut scores: Vec<Score> = self
            .measures(predictions.target)
            .map(|measure| Score::new(measure.name(), None, &measure.value(&judged)))
            .collect();
        let confusion = match &judged {
            Judged::Classes(view) => Self::of_classes(view, predictions, &mut scores),
            Judged::Columns(columns) => {
                self.of_columns(columns, predictions, &mut scores);
                vec![]
            }
        };
        Ok(Evaluation {
            part: self.part.name().to_owned(),
            items: predictions.ids.len(),
            scores,
            confusion,
        })
    }

    /// What is scored beside an arm, and how much better or worse the arm is than that.
    fn between(
        &self,
        beside: Beside,
        own: &Predictions,
        others: &Predictions,
    ) -> Result<Vec<Score>, Failure> {
        let (own_view, others_view) = (own.judged()?, others.judged()?);
        let mut scores = Vec::new();
        for measure in self.measures(own.target) {
            let (mine, theirs) = (measure.value(&own_view), measure.value(&others_view));
            let sign = measure.direction().sign() * if beside.is_gain { 1.0 } else { -1.0 };
            let between = match (mine.value(), theirs.value()) {
                (Some(mine), Some(theirs)) => Measured::Defined(sign * (mine - theirs)),
                (None, _) => mine.clone(),
                (_, None) => theirs.clone(),
            };
            let name = |word: &str| format!("{}_{word}", measure.name());
            scores.push(Score::new(&name(beside.own), None, &theirs));
            scores.push(Score::new(&name(beside.between), None, &between));
        }
        Ok(scores)
    }

    fn measures(&self, target: Target) -> impl Iterator<Item = Measure> {
        self.metrics.iter().filter_map(move |name| Measure::find(name, target))
    }

    /// Adds what is said of each label or number, and on how many labels means rest.
    fn of_columns(
        &self,
        columns: &Columns<'_>,
        predictions: &Predictions,
        scores: &mut Vec<Score>,
    ) {
        let target = columns.target();
        if target == Target::Labels {
            let count = Measured::Defined(with_both(columns) as f64);
            scores.push(Score::new("labels", None, &count));
        }
        if columns.count() == 1 {
            return;
        }
        for (index, name) in predictions.classes.iter().enumerate() {
            let column = columns.column(index);
            for measure in self.measures(target) {
                let Measure::Column(metric) = measure else { continue };
                scores.push(Score::new(metric.name(), Some(name), &metric.column(&column)));
            }
        }
    }

    /// Adds sensitivity and specificity of each class; tells the confusion table.
    fn of_classes(
        view: &Classified<'_>,
        predictions: &Predictions,
        scores: &mut Vec<Score>,
    ) -> Vec<ClassScore> {
        let confusion = Confusion::of(view);
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
        cells.map(cell).collect()
    }
}
