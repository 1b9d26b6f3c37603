//! What probes have in common: features and samples in, predictions out.

mod across;
mod bridge;
mod fit;
mod options;
mod told;

pub(super) use across::Probing;
use fit::TOLD;
pub(super) use fit::{AT_HOME, Fit, Fitting, matrix};
pub(super) use options::Choosing;
pub(super) use told::told;

use crate::base::language::{Count, Share};
use crate::base::{Located, Place, Problem, Seed, Target};

use crate::onnx::footprint::Footprint;

use super::class_weights::ClassWeights;
use super::data::{OpenDataset, Sample};
use super::names::Reference;
use super::site::{Arm, Beside, ClassifierOffer, FeaturesOffer, Input, Offers, Runs, Site};
use super::targets::needs_one_of;

/// The features that a stage reads: one layer of an `extract`.
pub(super) struct Layer {
    pub(super) offer: FeaturesOffer,
    pub(super) port: String,
}

/// The port at which a probe gets its features.
pub(super) const FEATURES: &str = "features";

/// Probes that know what each training item would be given by a fit without it.
const CLOSED_FORMS: [&str; 2] = ["knn", "ridge"];

/// Probes that end as one linear layer; `svm` does with a linear kernel.
const LINEAR: [&str; 5] = ["lda", "linear_probe", "nearest_mean", "ridge", "svm"];

/// Probes of classes only.
pub(super) const CLASSES: &[Target] = &[Target::Classes];
/// Probes of classes and labels.
pub(super) const LABELS: &[Target] = &[Target::Classes, Target::Labels];
/// Probes of whatever there is.
pub(super) const ANYTHING: &[Target] = &[Target::Classes, Target::Labels, Target::Values];

/// What a stage asks for that may not fit the items.
#[derive(Clone, Copy)]
pub(super) struct Weighed<'a> {
    /// How its setting is chosen.
    pub(super) choosing: &'a Choosing,
    /// Weights of classes, where it has any.
    pub(super) class_weights: Option<&'a Located<ClassWeights>>,
}

/// The same of a stage that reads features.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Where it learns, and how its setting is chosen.
    pub(super) probing: &'a Probing,
    /// Weights of classes, where it has any.
    pub(super) class_weights: Option<&'a Located<ClassWeights>>,
}

impl<'a> Asked<'a> {
    /// Without weights.
    pub(super) fn plain(probing: &'a Probing) -> Self {
        Self { probing, class_weights: None }
    }

    fn weighed(self) -> Weighed<'a> {
        Weighed { choosing: self.probing, class_weights: self.class_weights }
    }
}

/// Plans a stage that fits something on a layer's features: a node for each seed that has features or
/// training items of its own, or one for all.
pub(super) fn fits_on_features(
    word: &str,
    tells: &[Target],
    features: &Located<Reference>,
    asked: Asked<'_>,
    job: impl Fn(Sample) -> Fit,
    site: &mut Site,
) -> Option<Offers> {
    let probing = asked.probing;
    let told = layer(features, site)?;
    let data = told.offer.data.clone();
    fits_target(word, tells, asked.weighed(), &data, features.place, site)?;
    let other = probing.learns(&told, site)?.0;
    let learnt = other.as_ref().map_or(&told, |other| &other.layer);
    let of = probing.train_on.as_ref().filter(|_| other.is_some()).unwrap_or(features);
    let source = learnt.offer.data.clone();
    let (size, noise) = (probing.train_size.as_ref(), &probing.label_noise);
    let differ = told.differs()
        || learnt.differs()
        || noise.get() > 0.0
        || source.is_drawn(size.map(|size| size.0))
        || data.is_drawn(None);
    let first = site.seeds.first().copied();
    let effort = job(sample(site, &source, size, first)?).effort_on(learnt.macs());
    let runs = site.for_seeds(differ, |site, position, seed| {
        let taught = sample(site, &source, size, seed)?;
        let taught = noisy(site, taught, noise, seed)?;
        let mut inputs = vec![learnt.input(FEATURES, position)];
        let mut fit = Fit { of: of.to_string(), ..job(taught) };
        if let Some(other) = &other {
            let spoken_of = sample(site, &data, None, seed)?;
            fit.elsewhere = Some(other.elsewhere(spoken_of, &probing.adapt));
            inputs.push(told.input(TOLD, position));
        }
        Some(site.add("", seed, fit, inputs))
    })?;
    let size = LINEAR.contains(&word).then(|| told.with_linear(&data)).flatten();
    let arm = Arm { kind: word.to_owned(), effort, size, ..probing.arm(&told, other.as_ref()) };
    let beside = other.is_some().then(|| (Beside::AT_HOME, runs.clone()));
    let classifier = ClassifierOffer { data, runs, arm, beside };
    Some(Offers { classifier: Some(classifier), ..Offers::default() })
}

/// Tells at once what a kind of probe cannot do with the items of a data set.
pub(super) fn fits_target(
    word: &str,
    tells: &[Target],
    asked: Weighed<'_>,
    data: &OpenDataset,
    place: Place,
    site: &mut Site,
) -> Option<()> {
    needs_one_of(tells, word, data, place, site)?;
    let no_closed_form =
        if CLOSED_FORMS.contains(&word) { None } else { asked.choosing.needs_closed_form() };
    let problems: Vec<Problem> = no_closed_form
        .or_else(|| asked.choosing.parts_groups(data))
        .into_iter()
        .chain(asked.choosing.misfit(data.dataset.target()))
        .chain(asked.class_weights.and_then(|said| ClassWeights::misfit(said, data)))
        .collect();
    let fits = problems.is_empty();
    for problem in problems {
        site.problem(problem);
    }
    fits.then_some(())
}

/// Finds the layer that a reference names.
pub(super) fn layer(reference: &Located<Reference>, site: &mut Site) -> Option<Layer> {
    let planned = site.one(reference)?;
    let Some(offer) = planned.offers?.features else {
        let message = format!("`{}` has no features", reference.stage);
        let help = "features come from an `extract`, `pixels` or `concat` stage, as in `codes.gap`";
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
    /// What the model needs up to here, with a linear layer on top.
    fn with_linear(&self, data: &OpenDataset) -> Option<Footprint> {
        let size = self.offer.sizes.get(&self.port)?;
        Some(size.body.with_linear(size.features, data.outputs()))
    }

    /// Multiply–accumulates of an item's features, if a model makes them.
    fn macs(&self) -> Option<u64> {
        self.offer.macs.get(&self.port).copied()
    }

    /// The input of a node of this seed.
    pub(super) fn input(&self, port: &str, seed: usize) -> Input {
        Input::new(port, self.offer.runs.of(seed), &self.port)
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

/// The sample with labels of training items told wrongly, or a problem where that cannot be.
pub(super) fn noisy(
    site: &mut Site,
    sample: Sample,
    share: &Located<Share>,
    seed: Option<Seed>,
) -> Option<Sample> {
    if share.get() <= 0.0 {
        return Some(sample);
    }
    let problem = |message: String| Problem::at(share.place, message);
    let (name, target) = (sample.data.name.clone(), sample.data.dataset.target());
    if target != Target::Classes {
        let message = format!(
            "`label_noise` makes classes wrong, but items of `{name}` have {}",
            target.told()
        );
        site.problem(problem(message).help("leave `label_noise` out"));
        return None;
    }
    let noisy = sample.with_label_noise(share.get(), seed.unwrap_or(Seed(0)));
    let told = |error: crate::data::SplitError| {
        problem(format!("data set `{name}`: {}", error.message)).help(error.help)
    };
    site.found.keep(noisy.map_err(told))
}

/// The share of labels that are told wrongly, as tables have it.
pub(super) fn told_noise(share: Share) -> Option<f64> {
    Some(share.get()).filter(|share| *share > 0.0)
}
