//! What probes have in common: features and samples in, predictions out.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView1};
use serde_json::Value as Json;

use crate::base::language::Count;
use crate::base::{Located, Problem, Seed, Target};
use crate::probe::{
    Choice, Classifier, Grid, Labelled, Normalise, ProbeError, Scaler, Selected, select,
};
use crate::train::Rows as _;

use super::artifacts::{ArrayRows, Predictions, Selection};
use super::class_weights::ClassWeights;
use super::data::{OpenDataset, Sample};
use super::job::{Context, Failure, Job, Outputs};
use super::names::Reference;
use super::probabilities::best;
use super::site::{Arm, ClassifierOffer, FeaturesOffer, Input, Offers, Runs, Site};
use super::targets::needs_classes;

/// The features that a stage reads: one layer of an `extract`.
struct Layer {
    offer: FeaturesOffer,
    port: String,
}

/// The port at which a probe gets its features.
pub(super) const FEATURES: &str = "features";

/// Plans a stage that fits something on a layer's features: a node for each seed that has features or
/// training items of its own, or one for all.
pub(super) fn fits_on_features<J: Job + 'static>(
    word: &str,
    features: &Located<Reference>,
    train_size: Option<&Located<Count>>,
    job: impl Fn(Sample) -> J,
    site: &mut Site,
) -> Option<Offers> {
    let layer = layer(features, site)?;
    let data = layer.offer.data.clone();
    needs_classes(word, &data, features.place, site)?;
    let differ = layer.differs() || data.is_drawn(train_size.map(|size| size.0));
    let runs = site.for_seeds(differ, |site, position, seed| {
        let sample = sample(site, &data, train_size, seed)?;
        Some(site.add("", seed, job(sample), vec![layer.input(position)]))
    })?;
    let arm = Arm {
        kind: word.to_owned(),
        source: Some(layer.offer.base.clone()),
        target: data.name.clone(),
        freeze: Some("all".to_owned()),
        macs: layer.offer.macs.get(&layer.port).copied(),
        ..Arm::default()
    };
    Some(Offers { classifier: Some(ClassifierOffer { data, runs, arm }), ..Offers::default() })
}

/// Finds the layer that a reference names.
fn layer(reference: &Located<Reference>, site: &mut Site) -> Option<Layer> {
    let planned = site.one(reference)?;
    let Some(offer) = planned.offers?.features else {
        let message = format!("`{}` has no features", reference.stage);
        let help = "features come from an `extract` stage, as in `codes.gap`";
        site.problem(Problem::at(reference.place, message).help(help));
        return None;
    };
    let names: Vec<&str> = offer.layers.keys().map(String::as_str).collect();
    let port = match (&reference.layer, &names[..]) {
        (Some(layer), _) if offer.layers.contains_key(layer) => offer.layers[layer].clone(),
        (None, [only]) => offer.layers[*only].clone(),
        (layer, _) => {
            let wanted = layer.as_deref().unwrap_or_default();
            let message = match layer {
                Some(layer) => format!("`{}` does not extract `{layer}`", reference.stage),
                None => format!("`{}` extracts several layers; choose one", reference.stage),
            };
            let problem = Problem::at(reference.place, message);
            let known: Vec<String> =
                names.iter().map(|name| format!("{}.{name}", reference.stage)).collect();
            let known = known.iter().map(String::as_str).collect::<Vec<_>>();
            let word = format!("{}.{wanted}", reference.stage);
            site.problem(problem.or_else_one_of(&word, known));
            return None;
        }
    };
    Some(Layer { offer, port })
}

impl Layer {
    /// The input of a node of this seed.
    fn input(&self, seed: usize) -> Input {
        Input::new(FEATURES, self.offer.runs.of(seed), &self.port)
    }

    /// Whether features differ between seeds.
    fn differs(&self) -> bool {
        matches!(self.offer.runs, Runs::Each(_))
    }
}

/// The sample of a node, or a problem at the data set's size.
pub(super) fn sample(
    site: &mut Site,
    data: &std::sync::Arc<OpenDataset>,
    train_size: Option<&Located<Count>>,
    seed: Option<Seed>,
) -> Option<Sample> {
    let size = train_size.map(|size| size.0);
    match Sample::draw(data, size, seed.unwrap_or(Seed(0))) {
        Ok(sample) => {
            for note in &sample.split.notes {
                site.note(format!("{}: {note}", data.name));
            }
            Some(sample)
        }
        Err(error) => {
            let place = train_size.map_or(site.place, |size| size.place);
            let message = format!("data set `{}`: {}", data.name, error.message);
            site.problem(Problem::at(place, message).help(error.help));
            None
        }
    }
}

/// Rows of an array as a matrix.
pub(super) fn matrix(rows: &ArrayRows, items: &[usize]) -> Array2<f64> {
    let mut row = vec![0.0_f32; rows.length()];
    let mut matrix = Array2::zeros((items.len(), row.len()));
    for (mut target, &item) in matrix.rows_mut().into_iter().zip(items) {
        rows.copy(item, &mut row);
        target.assign(&ArrayView1::from(&row).mapv(f64::from));
    }
    matrix
}

/// Gives the features of items, one row for each.
pub(super) type FeaturesOf<'a> = dyn Fn(&[usize]) -> Result<Array2<f64>, Failure> + 'a;

/// A probe to fit on features.
pub(super) struct Probe<'a, F> {
    pub(super) sample: &'a Sample,
    pub(super) grid: &'a Grid,
    pub(super) normalise: &'a Normalise,
    pub(super) class_weights: &'a ClassWeights,
    pub(super) fit: F,
}

impl<F> Probe<'_, F> {
    /// Scales on train, chooses C on val, predicts everyone.
    pub(super) fn run<C: Classifier>(
        &self,
        features: &FeaturesOf<'_>,
        context: &Context<'_>,
    ) -> Result<Outputs, Failure>
    where
        F: Fn(&Labelled<'_>, f64, Option<&C>) -> Result<C, ProbeError>,
    {
        let all_labels = self.sample.data.dataset.labels();
        let labels = |items: &[usize]| items.iter().map(|&i| all_labels[i]).collect::<Vec<_>>();
        let train = features(&self.sample.train)?;
        let scaler = Scaler::fit(self.normalise, &train.view());
        let train = scaler.apply(train);
        let val = scaler.apply(features(&self.sample.split.val)?);
        let (train_labels, val_labels) =
            (labels(&self.sample.train), labels(&self.sample.split.val));
        let classes = self.sample.data.classes();
        let train = Labelled { features: train.view(), labels: &train_labels, classes };
        let val = Labelled { features: val.view(), labels: &val_labels, classes };
        let stop = || context.stopped();
        let selected = select(self.grid, &train, &val, &self.fit, &stop);
        context.go_on()?;
        let Selected { classifier, choice } = selected.map_err(|error| self.failure(&error))?;
        let everyone = self.sample.everyone();
        let items: Vec<usize> = everyone.iter().map(|(index, _)| *index).collect();
        let scores = classifier.scores(scaler.apply(features(&items)?).view());
        let no_probabilities = classifier.no_probabilities();
        let told = told(self.sample, scores, no_probabilities);
        let told = self.weighed(Predictions { selection: Some(selection(&choice)), ..told });
        let mut outputs = Outputs::default()
            .with("predictions", told.save(context.store)?)
            .fact("c", choice.cost)
            .fact("val", choice.val)
            .fact("trained_on", self.sample.train.len());
        if choice.at_edge {
            outputs = outputs.fact("grid_edge", true);
        }
        let failed = choice.curve.iter().filter(|(_, value)| value.is_none()).count();
        if failed > 0 {
            outputs.warnings.push(format!("{failed} values of `c` could not be fitted"));
        }
        Ok(outputs)
    }

    /// Decisions for which each class counts as it should. A classifier with probabilities p has
    /// learnt from items that count the same; deciding by p·w instead of p is what a cost of w for
    /// each item of a class asks for, and leaves the probabilities what they are. Distances have
    /// been learnt with the weights.
    fn weighed(&self, mut told: Predictions) -> Predictions {
        let is_even = *self.class_weights == ClassWeights::None;
        if is_even || told.probabilities.is_err() {
            return told;
        }
        let weights = self.class_weights.of(self.sample);
        for mut row in told.scores.rows_mut() {
            row.iter_mut().zip(&weights).for_each(|(score, weight)| *score += weight.ln());
            let total = row.fold(0.0, |sum, score| sum + score.exp()).ln();
            row -= total;
        }
        told.predicted = told.scores.rows().into_iter().map(|row| best(&row)).collect();
        told
    }

    fn failure(&self, error: &ProbeError) -> Failure {
        match error {
            ProbeError::NotFinite { row, column, value } => {
                let items = &self.sample.data.dataset.items();
                let id = self.sample.train.get(*row).map_or("", |&index| items[index].id.as_str());
                Failure::with_help(
                    format!("fit: feature {column} of `{id}` is {value}"),
                    "check the model's input rule, or choose another layer",
                )
            }
            other => Failure::new(format!("fit: {other}")),
        }
    }
}

fn selection(choice: &Choice) -> Selection {
    Selection { setting: "c".to_owned(), chosen: choice.cost, curve: choice.curve.clone() }
}

/// Predictions of everyone in a sample, from scores in the order of [`Sample::everyone`].
/// Scores that give probabilities are their logarithms.
pub(super) fn told(
    sample: &Sample,
    scores: Array2<f64>,
    no_probabilities: Option<&str>,
) -> Predictions {
    let dataset = &sample.data.dataset;
    let all_groups = dataset.groups();
    let everyone = sample.everyone();
    let items = || everyone.iter().map(|(index, _)| *index);
    let predicted = scores.rows().into_iter().map(|row| best(&row)).collect();
    let probabilities = match no_probabilities {
        Some(reason) => Err(reason.to_owned()),
        None => Ok(scores.mapv(f64::exp)),
    };
    let column = |(column, name): (usize, &String)| {
        let cells = items().map(|index| dataset.items()[index].cells[column].clone());
        (name.clone(), cells.collect())
    };
    Predictions {
        classes: dataset.classes().to_vec(),
        prior: sample.prior(),
        trained_on: sample.train.len(),
        ids: items().map(|index| dataset.items()[index].id.clone()).collect(),
        groups: items().map(|index| all_groups[index]).collect(),
        grouped: dataset.has_groups(),
        parts: everyone.iter().map(|(_, part)| *part).collect(),
        labels: items().map(|index| dataset.items()[index].label).collect(),
        predicted,
        target: Target::Classes,
        truths: Array2::default((0, 0)),
        scores,
        probabilities,
        selection: None,
        still_rising: None,
        facts: BTreeMap::<String, Json>::new(),
        columns: dataset.columns().iter().enumerate().map(column).collect(),
    }
}
