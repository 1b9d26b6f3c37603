//! The work of `direct`: scores of the source's classes become those of the target's.

use ndarray::Array2;
use serde_json::{Map, Value as Json, json};

use crate::autodiff::Link;
use crate::onnx::graph::Graph;
use crate::probe::LabelMap;

use super::super::super::artifacts::ArrayRows;
use super::super::super::data::Sample;
use super::super::super::estimate::probabilities;
use super::super::super::job::{Context, Failure, Job, Outputs};
use super::super::super::model::{ModelPart, metadata};
use super::super::super::probabilities::{
    link_of, log_probabilities, no_probabilities, shift_prior,
};
use super::super::super::probing::{FEATURES, matrix, told};

/// What classes of a source stand for, by position.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    /// Yet to be learnt from the training items.
    Learnt,
    /// Known.
    Given(LabelMap),
}

/// Says of everyone what a source's classifier says.
pub(super) struct Direct {
    pub(super) sample: Sample,
    /// The model, if it says itself how its scores become probabilities.
    pub(super) model: Option<ModelPart>,
    pub(super) map: Settled,
    /// What the source calls its classes, if that is known.
    pub(super) names: Option<Vec<String>>,
}

/// What a score of −∞ is written as: no probability in 64 bits is smaller.
const LEAST: f64 = f64::MIN_POSITIVE;

impl Job for Direct {
    fn kind(&self) -> &'static str {
        "direct"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let map = match &self.map {
            Settled::Learnt => json!("learnt"),
            Settled::Given(map) => json!(map.classes()),
        };
        Ok(json!({
            "sample": self.sample.key()?,
            "model": self.model.as_ref().map(ModelPart::key),
            "map": map,
        }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let rows = ArrayRows::open(context.bytes(FEATURES)?)?;
        let everyone: Vec<usize> = self.sample.everyone().iter().map(|(item, _)| *item).collect();
        let scores = matrix(&rows, &everyone);
        self.finite(&scores, &everyone)?;
        let carried = match &self.model {
            Some(model) => Some(model.load(context)?),
            None => None,
        };
        let link = carried.as_ref().map_or(Link::Softmax, link);
        let source = log_p(scores, carried.as_ref());
        let train = self.sample.train.len();
        let (map, trained_on) = match &self.map {
            Settled::Given(map) => (map.clone(), 0),
            Settled::Learnt => {
                let labels = self.sample.labels();
                let labels: Vec<usize> = self.sample.train.iter().map(|&i| labels[i]).collect();
                let seen = source.slice(ndarray::s![..train, ..]);
                (LabelMap::learnt(&seen, &labels, self.sample.data.classes()), train)
            }
        };
        let found = map.log_probabilities(&source.view());
        let mut told =
            told(&self.sample, found.mapv(|p| p.max(LEAST.ln())), no_probabilities(link));
        if told.probabilities.is_ok() {
            told.probabilities = Ok(found.mapv(f64::exp));
        }
        told.trained_on = trained_on;
        let mut outputs = Outputs::default()
            .with("predictions", told.save(context.store)?)
            .fact("trained_on", trained_on)
            .fact("map", self.words(&map));
        if matches!(self.map, Settled::Learnt) {
            outputs.warnings.extend(map.missing().into_iter().map(|class| {
                let name = &self.sample.data.dataset.classes()[class];
                format!("no class of the source stands for `{name}`, so it is never predicted")
            }));
        }
        Ok(outputs)
    }
}

impl Direct {
    /// Refuses scores that are no numbers.
    fn finite(&self, scores: &Array2<f64>, items: &[usize]) -> Result<(), Failure> {
        let bad = scores.indexed_iter().find(|(_, score)| !score.is_finite());
        let Some(((row, class), score)) = bad else { return Ok(()) };
        let id = &self.sample.data.dataset.items()[items[row]].id;
        Err(Failure::with_help(
            format!("map classes: score {class} of `{id}` is {score}"),
            "check the model's input rule, or choose another layer",
        ))
    }

    /// Classes of the target by those of the source, as they are called.
    fn words(&self, map: &LabelMap) -> Map<String, Json> {
        let name = |class: usize| match &self.names {
            Some(names) => names[class].clone(),
            None => class.to_string(),
        };
        let target = |class: usize| json!(self.sample.data.dataset.classes()[class]);
        let pairs = map.classes().iter().enumerate();
        pairs.filter_map(|(source, to)| Some((name(source), target((*to)?)))).collect()
    }
}

/// What makes probabilities of a model's scores.
fn link(graph: &Graph) -> Link {
    link_of(graph.metadata.get(metadata::LINK).map(String::as_str))
}

/// ln p of source classes: as a model of ours says it; of any other, scores are probabilities where
/// all of them look like it, else their softmax is. A loss without probabilities leaves no better
/// way to put the scores of several classes together.
fn log_p(scores: Array2<f64>, carried: Option<&Graph>) -> Array2<f64> {
    let ours = carried.filter(|graph| graph.metadata.contains_key(metadata::CLASSES));
    let Some(graph) = ours else { return probabilities(scores).mapv(f64::ln) };
    let known = match link(graph) {
        Link::None => Link::Softmax,
        link => link,
    };
    let log_p = log_probabilities(scores, known);
    let weights = graph.metadata.get(metadata::CLASS_WEIGHTS);
    match weights.and_then(|text| serde_json::from_str::<Vec<f64>>(text).ok()) {
        Some(weights) => shift_prior(&log_p, &weights).mapv(f64::ln),
        None => log_p,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn carrying(pairs: &[(&str, &str)]) -> Graph {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Graph { metadata: pairs.collect(), ..Graph::default() }
    }

    #[test]
    fn a_model_of_ours_says_how_its_scores_become_probabilities() {
        let close = |found: Array2<f64>, expected: Array2<f64>| {
            assert!((&found - &expected).iter().all(|d| d.abs() < 1e-12), "{found}");
        };
        let classes = (metadata::CLASSES, r#"["cat","dog"]"#);
        let scores = array![[0.0, 3_f64.ln()]];
        let softmax = log_p(scores.clone(), Some(&carrying(&[classes])));
        close(softmax.mapv(f64::exp), array![[0.25, 0.75]]);
        // Sigmoids give 1/2 and 3/4.
        let sigmoid = carrying(&[classes, (metadata::LINK, "sigmoid")]);
        close(log_p(scores.clone(), Some(&sigmoid)).mapv(f64::exp), array![[0.4, 0.6]]);
        // Weights of 1 and 3 have taught the second class three times too often.
        let weighted = carrying(&[classes, (metadata::CLASS_WEIGHTS, "[1, 3]")]);
        close(log_p(scores, Some(&weighted)).mapv(f64::exp), array![[0.5, 0.5]]);
        let foreign = log_p(array![[0.25, 0.75]], Some(&carrying(&[])));
        close(foreign.mapv(f64::exp), array![[0.25, 0.75]]);
    }
}
