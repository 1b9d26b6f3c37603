//! `cluster`: groups of features found without labels, and how far they are the classes.

use std::sync::Arc;

use ndarray::Array2;
use serde_json::{Value as Json, json};

use crate::base::language::{Count, keys};
use crate::base::{Located, Problem, Seed};
use crate::data::Part;
use crate::probe::{Clusters, Normalise, Scaler, Search, matched};

use super::super::artifacts::{ArrayRows, Predictions};
use super::super::data::Sample;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::names::Reference;
use super::super::probing::{CLASSES, FEATURES, Layer, layer, matrix, sample, told};
use super::super::site::{Arm, Beside, ClassifierOffer, Offers, Setting, Site};
use super::super::targets::needs_one_of;
use super::Kind;

keys! {
    /// Groups the features of the training items by k-means, without labels: as many groups as there
    /// are classes. Every group is then called by the class that makes as many items as possible
    /// right, one class each, by labels of items held out: test items by their own, all others by
    /// those of val. `nmi` and `ari` compare groups whatever they are called. The same is done with
    /// features of random weights: what is gained over these is what the source knows.
    pub struct Cluster {
        /// The features, as in `codes.gap`.
        features: Located<Reference>,
        /// The same layer of the model with random weights, from an `extract` with `init: random`.
        random: Located<Reference>,
        /// How features are scaled; learnt from the training items alone.
        normalize: Normalise = Normalise::Standard,
        /// How often the search is begun anew; the narrowest groups are kept.
        restarts: Count = Count(10),
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
    }
}

/// The port of features of random weights, and of what they say.
const RANDOM: &str = "random";

impl Kind for Cluster {
    const WORD: &'static str = "cluster";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.features, &self.random]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let (own, random) = (layer(&self.features, site), layer(&self.random, site));
        let (own, random) = (own?, random?);
        let data = Arc::clone(&own.offer.data);
        needs_one_of(CLASSES, Self::WORD, &data, self.features.place, site)?;
        self.is_twin(&own, &random, site)?;
        let size = self.train_size.as_ref();
        // First centres are drawn, so every seed has groups of its own.
        let runs = site.for_seeds(true, |site, position, seed| {
            let sample = sample(site, &data, size, seed)?;
            let inputs = [(FEATURES, &own), (RANDOM, &random)];
            let inputs = inputs.map(|(port, layer)| layer.input(port, position)).to_vec();
            let (normalize, restarts) = (self.normalize.clone(), self.restarts.0);
            let job = Groups { sample, normalize, restarts, seed: seed.unwrap_or(Seed(0)) };
            Some(site.add("", seed, job, inputs))
        })?;
        let arm = Arm {
            kind: Self::WORD.to_owned(),
            source: own.offer.base.clone(),
            target: data.name.clone(),
            freeze: own.offer.base.is_some().then(|| "all".to_owned()),
            random: own.offer.random,
            setting: Some(Setting::Unsupervised),
            macs: own.offer.macs.get(&own.port).copied(),
            ..Arm::default()
        };
        let beside = Beside { port: RANDOM, own: "on_random", between: "gain", is_gain: true };
        let beside = Some((beside, runs.clone()));
        let classifier = ClassifierOffer { data, runs, arm, beside };
        Some(Offers { classifier: Some(classifier), ..Offers::default() })
    }
}

impl Cluster {
    /// Only what differs in the weights alone says what these know.
    fn is_twin(&self, own: &Layer, random: &Layer, site: &mut Site) -> Option<()> {
        let layer =
            |of: &Layer| (of.offer.data.name.clone(), of.offer.base.clone(), of.port.clone());
        if random.offer.random && layer(own) == layer(random) {
            return Some(());
        }
        let message = format!(
            "`{}` is not the same layer of the same model for the same data set with `init: random`",
            self.random.value
        );
        let help = "name what an `extract` with `init: random` gives";
        site.problem(Problem::at(self.random.place, message).help(help));
        None
    }
}

/// Finds groups and calls them by classes.
struct Groups {
    sample: Sample,
    normalize: Normalise,
    restarts: usize,
    seed: Seed,
}

impl Job for Groups {
    fn kind(&self) -> &'static str {
        "cluster"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "sample": self.sample.key()?,
            "normalize": self.normalize,
            "restarts": self.restarts,
            "seed": self.seed,
        }))
    }

    fn cores(&self) -> Cores {
        Cores::Share
    }

    fn expected(&self, _speed: Speed) -> f64 {
        1e-4 * (self.sample.train.len() * self.restarts) as f64
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let own = self.grouped(FEATURES, context)?;
        let random = self.grouped(RANDOM, context)?;
        Ok(Outputs::default()
            .with("predictions", own.save(context.store)?)
            .with(RANDOM, random.save(context.store)?)
            .fact("grouped", self.sample.train.len()))
    }
}

impl Groups {
    /// Groups of the features at a port, called by classes.
    fn grouped(&self, port: &str, context: &Context<'_>) -> Result<Predictions, Failure> {
        context.go_on()?;
        let rows = ArrayRows::open(context.bytes(port)?)?;
        let train = matrix(&rows, &self.sample.train);
        let scaler = Scaler::of_parts(&self.normalize, &train.view(), &rows.blocks());
        let everyone: Vec<usize> = self.sample.everyone().iter().map(|(item, _)| *item).collect();
        let features = scaler.apply(matrix(&rows, &everyone));
        self.finite(&features, &everyone)?;
        let search = Search {
            clusters: self.sample.data.classes(),
            restarts: self.restarts,
            seed: self.seed,
            threads: context.cores,
        };
        let train = features.slice(ndarray::s![..self.sample.train.len(), ..]);
        let found = Clusters::find(train, search);
        let distances = found.distances(features.view(), context.cores);
        let scores = self.named(&distances);
        let why = "groups have no probabilities";
        Ok(Predictions { trained_on: 0, ..told(&self.sample, scores, Some(why)) })
    }

    /// Scores of classes, higher for nearer groups: columns in the order of the classes that groups
    /// are called by. No label of a training item is read.
    fn named(&self, distances: &Array2<f64>) -> Array2<f64> {
        let everyone = self.sample.everyone();
        let labels = self.sample.data.dataset.labels();
        let classes = self.sample.data.classes();
        let nearest = |row: usize| {
            let row = distances.row(row);
            (0..classes)
                .fold(0, |best, cluster| if row[cluster] < row[best] { cluster } else { best })
        };
        let names_by = |judge: Part| {
            let mut counts = Array2::<usize>::zeros((classes, classes));
            let held = everyone.iter().enumerate().filter(|(_, (_, part))| *part == judge);
            held.for_each(|(row, (item, _))| counts[[nearest(row), labels[*item]]] += 1);
            matched(&counts)
        };
        let (by_val, by_test) = (names_by(Part::Val), names_by(Part::Test));
        let mut scores = Array2::zeros(distances.dim());
        for (row, (_, part)) in everyone.iter().enumerate() {
            let names = if *part == Part::Test { &by_test } else { &by_val };
            for (cluster, &class) in names.iter().enumerate() {
                scores[[row, class]] = -distances[[row, cluster]];
            }
        }
        scores
    }

    /// Refuses features that are no numbers.
    fn finite(&self, features: &Array2<f64>, items: &[usize]) -> Result<(), Failure> {
        let bad = features.indexed_iter().find(|(_, value)| !value.is_finite());
        let Some(((row, column), value)) = bad else { return Ok(()) };
        let id = &self.sample.data.dataset.items()[items[row]].id;
        Err(Failure::with_help(
            format!("find groups: feature {column} of `{id}` is {value}"),
            "check the model's input rule, or choose another layer",
        ))
    }
}
