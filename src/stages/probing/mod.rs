//! What probes have in common: features and samples in, predictions out.

mod fit;
mod options;
mod told;

pub(super) use fit::{Fit, Fitting, matrix};
pub(super) use options::Choosing;
pub(super) use told::told;

use crate::base::language::Count;
use crate::base::{Located, Place, Problem, Seed, Target};

use crate::onnx::footprint::Footprint;

use super::data::{OpenDataset, Sample};
use super::names::Reference;
use super::site::{Arm, ClassifierOffer, FeaturesOffer, Input, Offers, Runs, Site};
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

/// Plans a stage that fits something on a layer's features: a node for each seed that has features or
/// training items of its own, or one for all.
pub(super) fn fits_on_features(
    word: &str,
    tells: &[Target],
    features: &Located<Reference>,
    choosing: &Choosing,
    job: impl Fn(Sample) -> Fit,
    site: &mut Site,
) -> Option<Offers> {
    let layer = layer(features, site)?;
    let train_size = choosing.train_size.as_ref();
    let data = layer.offer.data.clone();
    fits_target(word, tells, choosing, &data, features.place, site)?;
    let differ = layer.differs() || data.is_drawn(train_size.map(|size| size.0));
    let runs = site.for_seeds(differ, |site, position, seed| {
        let sample = sample(site, &data, train_size, seed)?;
        let fit = Fit { of: features.to_string(), ..job(sample) };
        Some(site.add("", seed, fit, vec![layer.input(position)]))
    })?;
    let arm = Arm {
        kind: word.to_owned(),
        source: Some(layer.offer.base.clone()),
        target: data.name.clone(),
        freeze: Some("all".to_owned()),
        random: layer.offer.random,
        init: Some(layer.offer.init.to_owned()),
        macs: layer.offer.macs.get(&layer.port).copied(),
        size: LINEAR.contains(&word).then(|| layer.with_linear(&data)).flatten(),
        ..Arm::default()
    };
    Some(Offers { classifier: Some(ClassifierOffer { data, runs, arm }), ..Offers::default() })
}

/// Tells at once what a kind of probe cannot do with the items of a data set.
pub(super) fn fits_target(
    word: &str,
    tells: &[Target],
    choosing: &Choosing,
    data: &OpenDataset,
    place: Place,
    site: &mut Site,
) -> Option<()> {
    needs_one_of(tells, word, data, place, site)?;
    let no_closed_form =
        if CLOSED_FORMS.contains(&word) { None } else { choosing.needs_closed_form() };
    let problems: Vec<Problem> =
        no_closed_form.into_iter().chain(choosing.misfit(data.dataset.target())).collect();
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
    /// What the model needs up to here, with a linear layer on top.
    fn with_linear(&self, data: &OpenDataset) -> Option<Footprint> {
        let size = self.offer.sizes.get(&self.port)?;
        Some(size.body.with_linear(size.features, data.outputs()))
    }

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
