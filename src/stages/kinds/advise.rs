//! `advise`: which arm should be trained, said before any is.

use std::sync::Arc;

use crate::base::language::{Amount, Count, OneOrMore, choice, keys};
use crate::base::{Located, Place, Problem, Seed, Target};
use crate::data::{InputRule, Size};
use crate::transferability::advisor::{Likeness, Way, refit};

use super::super::advice::{
    AdviseJob, Budget as Most, Contender, MEASURES, Measuring, RANDOM, SourceModel, port,
};
use super::super::data::OpenDataset;
use super::super::names::{Reference, full_name};
use super::super::probing::{FEATURES, sample};
use super::super::site::{
    AdviceOffer, Arm, Estimated, EstimatesOffer, Input, LayerOffer, Offers, Runs, Site,
};
use super::super::training::Pixelate;
use super::Kind;

keys! {
    /// Says which arm should be trained, before any of them is: from how much data there is and how
    /// much the source's features are of use for its labels, an order of the arms, how likely each
    /// hurts, and the layer that a probe should read. What it says is kept with its digest and its
    /// time, and told from what came of it at the end.
    pub struct Advise {
        /// The `transferability` stages, which name the layers. With `random` or `source` they tell
        /// more of how similar the source is.
        of: OneOrMore<Located<Reference>>,
        /// The arms that could be trained; the name of a stage with a matrix means all its
        /// combinations.
        arms: OneOrMore<Located<Reference>>,
        /// How similar you take the sources to be before anything is measured. It decides nothing, and
        /// is told beside what is measured and what came of it.
        believed: Option<Belief> = None,
        /// What an arm may cost; arms that cost more are not advised.
        budget: Option<Budget> = None,
        /// Where probabilities come from.
        probabilities: Probabilities = Probabilities::Auto,
    }
}

keys! {
    /// What an arm may cost.
    pub struct Budget {
        /// Multiply–accumulates of one prediction at most, as in `10 M`.
        macs: Option<Amount> = None,
        /// Parameters at most, where they are known: those of whole networks, not of probes.
        parameters: Option<Amount> = None,
    }
}

choice! {
    /// How similar a source is taken to be.
    pub enum Belief {
        /// Its features will be of much use.
        "similar" => Similar,
        /// They will be of some use.
        "partly" => Partly,
        /// They will hardly be of use.
        "different" => Different,
    }
}

impl Belief {
    /// The word for it, as measurements have it.
    fn word(&self) -> &'static str {
        match self {
            Self::Similar => Likeness::Similar.word(),
            Self::Partly => Likeness::Partly.word(),
            Self::Different => Likeness::Different.word(),
        }
    }
}

choice! {
    /// Where probabilities come from.
    pub enum Probabilities {
        /// From what came of earlier advice in this store, once it holds 30 outcomes for other
        /// targets; else from the table.
        "auto" => Auto,
        /// From a table of textbook cases, whatever came of earlier advice.
        "table" => Table,
    }
}

/// A source model with its layers, the lowest first.
struct Model {
    base: String,
    layers: Vec<Estimated>,
}

/// Pixels that neighbours are sought among are of this size.
const PIXELS: Size = Size { height: 16, width: 16 };

impl Kind for Advise {
    const WORD: &'static str = "advise";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.of.0.iter().chain(&self.arms.0).collect()
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let estimates = self.estimates(site);
        let arms = self.contenders(site);
        let (estimates, arms) = (estimates?, arms?);
        let models = models(&estimates);
        let data = Arc::clone(&models.first()?.layers.first()?.layer.features.data);
        self.fits(&data, &models, &arms, site)?;
        let size = estimates.first()?.train_size.as_ref();
        let mut inputs = Vec::new();
        let pixels = pixels(&data, size, &mut inputs, site)?;
        let mut sources = Vec::new();
        for (index, model) in models.iter().enumerate() {
            sources.push(measured(index, model, size, &mut inputs, site)?);
        }
        let budget = self.budget.as_ref().map_or(Most::default(), |budget| Most {
            macs: budget.macs.map(|count| count.0),
            parameters: budget.parameters.map(|count| count.0),
        });
        let contenders = arms.iter().map(|(_, arm)| contender(arm, &models)).collect();
        let chance = match self.probabilities {
            Probabilities::Table => None,
            Probabilities::Auto if site.outcomes.is_empty() => None,
            Probabilities::Auto => refit(&site.outcomes, &data.fingerprint().ok()?.to_string()),
        };
        if let Some(chance) = &chance {
            let rows = chance.rows;
            site.note(format!("{}: probabilities are learnt from {rows} outcomes", site.stage));
        }
        let target = data.name.clone();
        let believed = self.believed.as_ref().map(Belief::word);
        let job = AdviseJob { data, models: sources, arms: contenders, pixels, budget, chance };
        let node = site.add("", None, job, inputs);
        let layers = |model: &Model| {
            let names = model.layers.iter().map(|layer| layer.features.clone());
            names.collect::<Vec<_>>()
        };
        let models = models.iter().map(|m| (m.base.clone(), layers(m))).collect();
        let places = arms.iter().map(|(name, _)| self.place_of(name)).collect();
        Some(Offers {
            verdict_of: arms.into_iter().map(|(name, _)| name).collect(),
            advice: Some(AdviceOffer { target, node, models, believed, places }),
            ..Offers::default()
        })
    }
}

impl Advise {
    /// The scores that are read, all for one target.
    fn estimates(&self, site: &mut Site) -> Option<Vec<EstimatesOffer>> {
        let mut found: Vec<EstimatesOffer> = Vec::new();
        let mut complete = true;
        for reference in &self.of.0 {
            for planned in site.matching(reference)? {
                let Some(offers) = planned.offers else {
                    complete = false;
                    continue;
                };
                let problem = match (offers.estimates, found.first()) {
                    (Some(offer), Some(first)) if offer.target != first.target => {
                        let (here, there) = (&offer.target, &first.target);
                        format!("`{}` scores for `{here}`, not for `{there}`", reference.value)
                    }
                    (Some(offer), _) => {
                        found.push(offer);
                        continue;
                    }
                    (None, _) => format!("`{}` has no scores before training", reference.value),
                };
                let help = "name `transferability` stages of one target";
                site.problem(Problem::at(reference.place, problem).help(help));
                complete = false;
            }
        }
        complete.then_some(found)
    }

    /// The arms by name.
    fn contenders(&self, site: &mut Site) -> Option<Vec<(String, Arm)>> {
        let mut arms: Vec<(String, Arm)> = Vec::new();
        let mut complete = true;
        for reference in &self.arms.0 {
            let Some(matching) = site.matching(reference) else {
                complete = false;
                continue;
            };
            for planned in matching {
                let name = full_name(&planned.stage, &planned.axes);
                let Some(offers) = planned.offers else {
                    complete = false;
                    continue;
                };
                let is_twice = arms.iter().any(|(known, _)| *known == name);
                let message = match offers.classifier {
                    Some(_) if is_twice => format!("`{name}` is named twice"),
                    Some(classifier) => {
                        arms.push((name, classifier.arm));
                        continue;
                    }
                    None => format!("`{name}` makes no predictions"),
                };
                let help = "arms are stages that are trained, each named once";
                site.problem(Problem::at(reference.place, message).help(help));
                complete = false;
            }
        }
        complete.then_some(arms)
    }

    /// Tells what cannot be advised on.
    fn fits(
        &self,
        data: &OpenDataset,
        models: &[Model],
        arms: &[(String, Arm)],
        site: &mut Site,
    ) -> Option<()> {
        let mut problems = Vec::new();
        let of = self.of.0[0].place;
        if data.dataset.target() != Target::Classes {
            let has = data.dataset.target().told();
            let message = format!("items of `{}` have {has}, but advice is for classes", data.name);
            let help = "leave this stage away";
            problems.push(Problem::at(of, message).help(help));
        }
        let is_known = data.has_pixels().is_ok()
            || models.iter().all(|m| m.layers.last().is_some_and(|l| l.random_layer.is_some()));
        if !is_known {
            let message = "nothing tells how similar the source is";
            let help = "give `random:` to the `transferability` stage";
            problems.push(Problem::at(of, message).help(help));
        }
        for (name, arm) in arms.iter().filter(|(_, arm)| arm.target != data.name) {
            let message = format!("`{name}` learns `{}`, not `{}`", arm.target, data.name);
            let help = "advise on arms of one target at a time";
            problems.push(Problem::at(self.place_of(name), message).help(help));
        }
        let fits = problems.is_empty();
        for problem in problems {
            site.problem(problem);
        }
        fits.then_some(())
    }

    fn place_of(&self, name: &str) -> Place {
        let stage = name.split('[').next().unwrap_or_default();
        let found = self.arms.0.iter().find(|reference| reference.stage == stage);
        found.map_or(self.arms.0[0].place, |reference| reference.place)
    }
}

/// Measures pixels, if items have any; tells how many nodes do.
fn pixels(
    data: &Arc<OpenDataset>,
    size: Option<&Located<Count>>,
    inputs: &mut Vec<Input>,
    site: &mut Site,
) -> Option<usize> {
    if data.has_pixels().is_err() {
        return Some(0);
    }
    let rule = match (data.is_images, data.dataset.pixels(0)) {
        (true, _) | (false, Err(_)) => InputRule::plain(PIXELS, 1),
        (false, Ok(first)) => {
            let size = Size { height: first.height, width: first.width };
            InputRule::plain(size, first.channels)
        }
    };
    let node = Pixelate::shared(data, &rule, site);
    let runs = site.for_seeds(data.is_drawn(size.map(|size| size.0)), |site, _, seed| {
        let own = sample(site, data, size, seed)?;
        let job = Measuring { sample: own, has_random: false, seed: seed.unwrap_or(Seed(0)) };
        Some(site.add("of pixels", seed, job, vec![Input::new(FEATURES, node, "rows")]))
    })?;
    let nodes = runs.all();
    inputs.extend(
        nodes
            .iter()
            .enumerate()
            .map(|(index, node)| Input::new(&format!("pixels_{index}"), *node, MEASURES)),
    );
    Some(nodes.len())
}

/// Layers by their model, the lowest first: by the work up to them.
fn models(estimates: &[EstimatesOffer]) -> Vec<Model> {
    let mut models: Vec<Model> = Vec::new();
    for estimated in estimates.iter().flat_map(|offer| &offer.features) {
        let at = models.iter().position(|model| model.base == estimated.base);
        let at = at.unwrap_or_else(|| {
            models.push(Model { base: estimated.base.clone(), layers: vec![] });
            models.len() - 1
        });
        let layers = &mut models[at].layers;
        if layers.iter().all(|known| known.layer.port != estimated.layer.port) {
            layers.push(estimated.clone());
        }
    }
    let work = |layer: &Estimated| layer.layer.features.macs.get(&layer.layer.port).copied();
    for model in &mut models {
        model.layers.sort_by_key(work);
    }
    models
}

/// The nodes that measure the layers of a model, as inputs of the advice.
fn measured(
    index: usize,
    model: &Model,
    size: Option<&Located<Count>>,
    inputs: &mut Vec<Input>,
    site: &mut Site,
) -> Option<SourceModel> {
    let mut layers = Vec::new();
    for (position, layer) in model.layers.iter().enumerate() {
        let runs = measuring(layer, size, site)?.all();
        let mut read = |what: &str, nodes: &[_], output: &str| {
            inputs.extend(
                nodes
                    .iter()
                    .enumerate()
                    .map(|(k, node)| Input::new(&port(what, index, position, k), *node, output)),
            );
        };
        read("measured", &runs, MEASURES);
        let scored = layer.runs.all();
        read("estimated", &scored, "estimates");
        layers.push((runs.len(), scored.len()));
    }
    Some(SourceModel { layers })
}

fn measuring(layer: &Estimated, size: Option<&Located<Count>>, site: &mut Site) -> Option<Runs> {
    let data = Arc::clone(&layer.layer.features.data);
    let random = layer.random_layer.as_ref();
    let read = [Some(&layer.layer), random];
    let differ = data.is_drawn(size.map(|size| size.0))
        || read.iter().flatten().any(|layer| layer.features.runs.differ());
    site.for_seeds(differ, |site, position, seed| {
        let sample = sample(site, &data, size, seed)?;
        let has_random = random.is_some();
        let job = Measuring { sample, has_random, seed: seed.unwrap_or(Seed(0)) };
        let ports = [FEATURES, RANDOM].into_iter().zip(read);
        let input = |(port, layer): (&str, Option<&LayerOffer>)| {
            let layer = layer?;
            Some(Input::new(port, layer.features.runs.of(position), &layer.port))
        };
        let inputs = ports.filter_map(input).collect();
        Some(site.add(&format!("of {}", layer.features), seed, job, inputs))
    })
}

/// An arm as the advisor sees it.
fn contender(arm: &Arm, models: &[Model]) -> Contender {
    let model = arm.source.as_ref();
    let model = model.and_then(|base| models.iter().position(|model| model.base == *base));
    let frozen = arm.manner.frozen;
    let way = match (model, &arm.manner.layer, frozen) {
        (_, None, Some(frozen)) if arm.random && frozen <= 0.0 => Way::Scratch,
        _ if arm.random => Way::Other,
        (Some(model), Some(port), _) => {
            let layers = &models[model].layers;
            Way::Probe(layers.iter().position(|layer| layer.layer.port == *port))
        }
        (Some(_), None, Some(frozen)) => {
            Way::Tuned { frozen, gentle: arm.manner.gentle, cut: arm.manner.cut }
        }
        _ => Way::Other,
    };
    let model = model.filter(|_| !matches!(way, Way::Scratch | Way::Other));
    Contender { way, model, macs: arm.macs, parameters: arm.parameters }
}
