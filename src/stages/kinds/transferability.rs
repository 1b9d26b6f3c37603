//! `transferability`: scores of features before anything is trained on them.

use crate::base::language::{Count, OneOrMore, Word, keys};
use crate::base::{Located, Problem, Seed};
use crate::transferability::{Needs, SCORES, score};

use super::super::data::Sample;
use super::super::estimate::{EstimateJob, OTHER, SOURCE};
use super::super::names::Reference;
use super::super::probing::{FEATURES, Layer, layer, sample};
use super::super::site::{Estimated, EstimatesOffer, Input, LayerOffer, Offers, Runs, Site};
use super::Kind;

keys! {
    /// Scores features of base models on the training items alone, before anything is trained for
    /// that target: how well they may serve its labels, and how far another data set is away. What
    /// it says is kept with its digest and its time.
    pub struct Transferability {
        /// The features, as in `codes.gap`: several are scored each for itself.
        of: OneOrMore<Located<Reference>>,
        /// The same layers of the models with random weights, in the order of `of`: what an
        /// `extract` with `init: random` gives. Only the difference to these can be compared
        /// between layers of different sizes.
        random: Option<OneOrMore<Located<Reference>>> = None,
        /// What the heads of the sources say of the same items, in the order of `of`: layers of
        /// logits or probabilities. `nce` and `leep` are computed from them.
        source: Option<OneOrMore<Located<Reference>>> = None,
        /// The same layers for another data set, in the order of `of`: distances between domains
        /// are computed from them.
        other: Option<OneOrMore<Located<Reference>>> = None,
        /// The scores: `nce`, `leep`, `n_leep`, `log_me`, `h_score`, `trans_rate`, `gbc`, `sfda`,
        /// `parc`, `neighbours`, `cka`, and the distances `proxy_a`, `mmd`, `frechet`, `coral`,
        /// `sliced_wasserstein`; all that can be computed if not said. Of several labels `log_me`,
        /// `parc`, `neighbours`, `cka` and the distances, of numbers these but `parc`; items of which
        /// something is not known are left out.
        scores: Option<Vec<Located<Word>>> = None,
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
    }
}

/// What is read beside the features of one layer.
struct Beside {
    random: Option<Layer>,
    source: Option<Layer>,
    other: Option<Layer>,
}

impl Kind for Transferability {
    const WORD: &'static str = "transferability";

    fn references(&self) -> Vec<&Located<Reference>> {
        let beside = [&self.random, &self.source, &self.other];
        let beside = beside.into_iter().flatten().flat_map(|list| &list.0);
        self.of.0.iter().chain(beside).collect()
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let scores = self.scores(site);
        let of = layers(&self.of, site);
        let random = self.paired("random", self.random.as_ref(), site);
        let source = self.paired("source", self.source.as_ref(), site);
        let other = self.paired("other", self.other.as_ref(), site);
        let of = of?;
        let scores = self.fitting(scores?, &of[0], site)?;
        let (mut random, mut source, mut other) =
            (random?.into_iter(), source?.into_iter(), other?.into_iter());
        let mut features = Vec::new();
        for (layer, written) in of.iter().zip(&self.of.0) {
            let beside =
                Beside { random: random.next(), source: source.next(), other: other.next() };
            self.fits(layer, &of[0], &beside, written, site)?;
            features.push(self.estimated(layer, &beside, written, &scores, site)?);
        }
        let target = of[0].offer.data.name.clone();
        let train_size = self.train_size.clone();
        let estimates = Some(EstimatesOffer { target, train_size, features });
        Some(Offers { estimates, ..Offers::default() })
    }
}

impl Transferability {
    /// The scores that are wanted and can be computed.
    fn scores(&self, site: &mut Site) -> Option<Vec<&'static str>> {
        let can = |needs: Needs| match needs {
            Needs::Features => true,
            Needs::Source => self.source.is_some(),
            Needs::Other => self.other.is_some(),
        };
        let Some(words) = &self.scores else {
            let all = SCORES.iter().filter(|score| can(score.needs()));
            return Some(all.map(|score| score.name()).collect());
        };
        let mut found = Some(vec![]);
        for word in words {
            let problem = match score(&word.0) {
                Some(score) if can(score.needs()) => {
                    if let Some(list) = &mut found {
                        list.push(score.name());
                    }
                    continue;
                }
                Some(score) => {
                    let key = if score.needs() == Needs::Source { "source" } else { "other" };
                    let message = format!("`{}` is computed from `{key}`", word.0);
                    Problem::at(word.place, message).help(format!("write `{key}:` with a layer"))
                }
                None => {
                    let message = format!("no score is called `{}`", word.0);
                    let known: Vec<&str> = SCORES.iter().map(|score| score.name()).collect();
                    Problem::at(word.place, message).or_else_one_of(&word.0, known)
                }
            };
            site.problem(problem);
            found = None;
        }
        found
    }

    /// Those of the scores that can be told of what items have.
    fn fitting(
        &self,
        scores: Vec<&'static str>,
        layer: &Layer,
        site: &mut Site,
    ) -> Option<Vec<&'static str>> {
        let target = layer.offer.data.dataset.target();
        let tells = |name: &str| score(name).is_some_and(|score| score.tells().contains(&target));
        let Some(words) = &self.scores else {
            return Some(scores.into_iter().filter(|name| tells(name)).collect());
        };
        let unfit: Vec<_> = words.iter().filter(|word| !tells(&word.0)).collect();
        for word in &unfit {
            let (name, has) = (&layer.offer.data.name, target.told());
            let message = format!("`{}` is not for items of `{name}`, which have {has}", word.0);
            let known: Vec<String> = SCORES
                .iter()
                .filter(|score| tells(score.name()) && score.needs() == Needs::Features)
                .map(|score| format!("`{}`", score.name()))
                .collect();
            let help = format!("ask for {}", known.join(", "));
            site.problem(Problem::at(word.place, message).help(help));
        }
        unfit.is_empty().then_some(scores)
    }

    /// The layers of a key, one for each of `of`; none if it is not there.
    fn paired(
        &self,
        key: &str,
        list: Option<&OneOrMore<Located<Reference>>>,
        site: &mut Site,
    ) -> Option<Vec<Layer>> {
        let Some(list) = list else { return Some(vec![]) };
        let (here, there) = (self.of.0.len(), list.0.len());
        if here != there {
            let message = format!("`of` names {here} layers, but `{key}` names {there}");
            let help = "write one for each, in the same order";
            site.problem(Problem::at(list.0[0].place, message).help(help));
            return None;
        }
        layers(list, site)
    }

    /// Tells what cannot be compared.
    fn fits(
        &self,
        layer: &Layer,
        first: &Layer,
        beside: &Beside,
        written: &Located<Reference>,
        site: &mut Site,
    ) -> Option<()> {
        let same_data = |other: &Layer| other.offer.data.name == layer.offer.data.name;
        let same_layer =
            |other: &Layer| (&other.offer.base, &other.port) == (&layer.offer.base, &layer.port);
        let name = written.value.to_string();
        let problem = if !same_data(first) {
            Some(format!("`{name}` is of another data set than the first layer"))
        } else if self.of.0.iter().filter(|one| one.value == written.value).count() > 1 {
            Some(format!("`{name}` is scored twice"))
        } else if let Some(random) = &beside.random
            && !(random.offer.random && same_data(random) && same_layer(random))
        {
            Some(format!(
                "`random` beside `{name}` is not the same layer of the same model for the same \
                 data set with `init: random`"
            ))
        } else if beside.source.as_ref().is_some_and(|source| !same_data(source)) {
            Some(format!("`source` beside `{name}` is of another data set"))
        } else if beside.other.as_ref().is_some_and(|other| !same_layer(other)) {
            Some(format!("`other` beside `{name}` is not the same layer of the same model"))
        } else {
            None
        };
        let Some(message) = problem else { return Some(()) };
        site.problem(Problem::at(written.place, message).help(
            "features are compared item by item and feature by feature: name layers that have both",
        ));
        None
    }

    /// The nodes of one layer.
    fn estimated(
        &self,
        layer: &Layer,
        beside: &Beside,
        written: &Located<Reference>,
        scores: &[&'static str],
        site: &mut Site,
    ) -> Option<Estimated> {
        let name = written.value.to_string();
        let runs = self.nodes(&format!("of {name}"), layer, beside, scores, site)?;
        let random = match &beside.random {
            None => None,
            Some(random) => {
                let of_features = |name: &&&'static str| {
                    score(name).is_some_and(|score| score.needs() == Needs::Features)
                };
                let scores: Vec<&'static str> =
                    scores.iter().filter(|name| of_features(name)).copied().collect();
                let nothing = Beside { random: None, source: None, other: None };
                let role = format!("of {name} on random weights");
                Some(self.nodes(&role, random, &nothing, &scores, site)?)
            }
        };
        let offered =
            |layer: &Layer| LayerOffer { features: layer.offer.clone(), port: layer.port.clone() };
        Some(Estimated {
            features: name,
            base: layer.offer.base.clone().unwrap_or_default(),
            runs,
            random,
            layer: offered(layer),
            random_layer: beside.random.as_ref().map(offered),
        })
    }

    fn nodes(
        &self,
        role: &str,
        layer: &Layer,
        beside: &Beside,
        scores: &[&'static str],
        site: &mut Site,
    ) -> Option<Runs> {
        let data = layer.offer.data.clone();
        let size = self.train_size.as_ref();
        let read = [Some(layer), beside.source.as_ref(), beside.other.as_ref()];
        let differ = read.into_iter().flatten().any(|layer| layer.offer.runs.differ())
            || data.is_drawn(size.map(|size| size.0))
            || beside.other.as_ref().is_some_and(|other| other.offer.data.is_drawn(None));
        site.for_seeds(differ, |site, position, seed| {
            let own = sample(site, &data, size, seed)?;
            let other = match &beside.other {
                None => None,
                Some(other) => Some(sample(site, &other.offer.data, None, seed)?),
            };
            let ports = [FEATURES, SOURCE, OTHER].into_iter().zip(read);
            let input = |(port, layer): (&str, Option<&Layer>)| {
                let layer = layer?;
                Some(Input::new(port, layer.offer.runs.of(position), &layer.port))
            };
            let inputs = ports.filter_map(input).collect();
            Some(site.add(role, seed, job(own, beside, other, scores, seed), inputs))
        })
    }
}

fn layers(list: &OneOrMore<Located<Reference>>, site: &mut Site) -> Option<Vec<Layer>> {
    let layers: Vec<Option<Layer>> = list.0.iter().map(|one| layer(one, site)).collect();
    layers.into_iter().collect()
}

fn job(
    sample: Sample,
    beside: &Beside,
    other: Option<Sample>,
    scores: &[&'static str],
    seed: Option<Seed>,
) -> EstimateJob {
    let (has_source, scores) = (beside.source.is_some(), scores.to_vec());
    EstimateJob { sample, has_source, other, scores, seed: seed.unwrap_or(Seed(0)) }
}
