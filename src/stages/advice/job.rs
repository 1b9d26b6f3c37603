//! From what was measured to advice.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::numbers::mean_if_any;
use crate::transferability::advisor::{
    Candidate, Case, Chance, Likeness, Size, Way, predicted_layer, rank, similarity,
};

use super::super::artifacts::{
    Advice, Advised, Estimate, Estimates, Evidence, Measured, get_json, put_json,
};
use super::super::data::OpenDataset;
use super::super::job::{Context, Failure, Job, Outputs};
use super::ADVICE;

/// What is measured of each seed, and how often: ports of a source model's layers.
#[derive(Clone, Debug)]
pub(in super::super) struct SourceModel {
    /// For each layer, the lowest first: how many nodes measured it, and how many scored it.
    pub(in super::super) layers: Vec<(usize, usize)>,
}

/// An arm that could be advised.
#[derive(Clone, Debug)]
pub(in super::super) struct Contender {
    pub(in super::super) way: Way,
    /// Its source, by position.
    pub(in super::super) model: Option<usize>,
    /// Multiply–accumulates of one prediction, and parameters, where they are known.
    pub(in super::super) macs: Option<u64>,
    pub(in super::super) parameters: Option<usize>,
}

/// What an arm may cost.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Budget {
    pub(in super::super) macs: Option<u64>,
    pub(in super::super) parameters: Option<u64>,
}

/// The advice on all arms for one target.
pub(in super::super) struct AdviseJob {
    pub(in super::super) data: Arc<OpenDataset>,
    pub(in super::super) models: Vec<SourceModel>,
    pub(in super::super) arms: Vec<Contender>,
    /// How many nodes measured pixels.
    pub(in super::super) pixels: usize,
    pub(in super::super) budget: Budget,
    /// Probabilities learnt from earlier outcomes.
    pub(in super::super) chance: Option<Chance>,
}

/// The port of what one node says of a layer.
pub(in super::super) fn port(what: &str, model: usize, layer: usize, node: usize) -> String {
    format!("{what}_{model}_{layer}_{node}")
}

impl Job for AdviseJob {
    fn kind(&self) -> &'static str {
        "advise"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let models: Vec<_> = self.models.iter().map(|model| &model.layers).collect();
        let arm = |arm: &Contender| json!([arm.way, arm.model, arm.macs, arm.parameters]);
        Ok(json!({
            "dataset": self.data.fingerprint()?,
            "models": models,
            "arms": self.arms.iter().map(arm).collect::<Vec<_>>(),
            "pixels": self.pixels,
            "budget": [self.budget.macs, self.budget.parameters],
            "chance": self.chance,
        }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let pixels = self.pixels(context)?;
        let models: Vec<Evidence> = (0..self.models.len())
            .map(|model| self.evidence(model, pixels, context))
            .collect::<Result<_, _>>()?;
        let candidates: Vec<Candidate> =
            self.arms.iter().map(|arm| self.candidate(arm, &models)).collect();
        let ranked = rank(&candidates);
        let arms: Vec<Advised> = self
            .arms
            .iter()
            .zip(&candidates)
            .enumerate()
            .map(|(index, (arm, candidate))| Advised {
                way: arm.way,
                model: arm.model,
                p_neg: self.p_neg(arm, &models),
                struck: candidate.struck.clone(),
                can: ranked.iter().any(|ranked| ranked.candidate == index && ranked.can),
            })
            .collect();
        let advice = Advice {
            target: self.data.fingerprint()?.to_string(),
            p_best_is_scratch: p_best_is_scratch(&arms),
            ranking: ranked.iter().map(|ranked| ranked.candidate).collect(),
            learnt_from: self.chance.as_ref().map(|chance| chance.rows),
            models,
            arms,
        };
        // When it stood is no part of what it is.
        Ok(Outputs::default()
            .with(ADVICE, put_json(context.store, ADVICE, &advice)?)
            .fact("sealed", jiff::Timestamp::now().to_string()))
    }
}

impl AdviseJob {
    /// Accuracy of nearest neighbours among pixels, mean over seeds.
    fn pixels(&self, context: &Context<'_>) -> Result<Option<f64>, Failure> {
        let read = |node: usize| get_json::<Measured>(context, &format!("pixels_{node}"));
        let all: Vec<Measured> = (0..self.pixels).map(read).collect::<Result<_, _>>()?;
        Ok(mean(all.iter().map(|one| one.measures.neighbours)))
    }

    fn evidence(
        &self,
        model: usize,
        pixels: Option<f64>,
        context: &Context<'_>,
    ) -> Result<Evidence, Failure> {
        let mut layers = Vec::new();
        for (layer, &(measured, scored)) in self.models[model].layers.iter().enumerate() {
            let measured: Vec<Measured> = (0..measured)
                .map(|node| get_json(context, &port("measured", model, layer, node)))
                .collect::<Result<_, _>>()?;
            let scored: Vec<Estimates> = (0..scored)
                .map(|node| get_json(context, &port("estimated", model, layer, node)))
                .collect::<Result<_, _>>()?;
            layers.push((measured, scored));
        }
        let none = || Failure::new("advise: no layer was measured");
        let (measured, scored) = layers.last().ok_or_else(none)?;
        let first = measured.first().ok_or_else(none)?;
        let count = |of: fn(&Measured) -> usize| {
            mean(measured.iter().map(|one| Some(of(one) as f64))).unwrap_or_default()
        };
        let neighbours = mean(measured.iter().map(|one| one.measures.neighbours));
        let lift = neighbours.zip(pixels).filter(|(_, pixels)| *pixels < 1.0);
        let lift = lift.map(|(own, pixels)| (own - pixels) / (1.0 - pixels));
        let log_me = log_me(measured);
        let leep_share = layers.iter().rev().find_map(|(_, all)| value(all, "leep_share"));
        let gain = log_me.map(|(own, random)| own - random);
        let similarity = similarity(leep_share, lift, gain).ok_or_else(|| {
            let help = "give `random` or `source` to the `transferability` stage";
            Failure::with_help("advise: nothing is known of how similar the source is", help)
        })?;
        let errors: Vec<Option<f64>> = layers
            .iter()
            .map(|(all, _)| mean(all.iter().map(|one| one.measures.ridge_error)))
            .collect();
        let items = count(|one| one.items);
        let classes = measured.iter().map(|one| one.classes).max().unwrap_or_default();
        let case = Case { size: Size::of(items, classes), likeness: Likeness::of(similarity) };
        Ok(Evidence {
            items,
            classes,
            least_class: count(|one| one.least_class),
            features: first.features,
            leep_share,
            log_me,
            neighbours,
            neighbours_of_pixels: pixels,
            lift,
            layer: predicted_layer(case, &errors),
            errors,
            log_me_of_layers: layers.iter().map(gain_of).collect(),
            proxy_a: value(scored, "proxy_a").map(|v| (v, of(scored, "proxy_a", |e| e.null))),
            mmd: value(scored, "mmd")
                .map(|v| (v, of(scored, "mmd", |e| e.null), of(scored, "mmd", |e| e.p))),
            similarity,
            case,
        })
    }

    fn candidate(&self, arm: &Contender, models: &[Evidence]) -> Candidate {
        let evidence = arm.model.map(|model| &models[model]);
        Candidate {
            way: arm.way,
            case: evidence.map(|evidence| evidence.case),
            similarity: evidence.map_or(0.0, |evidence| evidence.similarity),
            layer: evidence
                .and_then(|evidence| evidence.layer.or(evidence.errors.len().checked_sub(1))),
            layers: evidence.map_or(0, |evidence| evidence.errors.len()),
            struck: self.budget.struck(arm),
        }
    }

    /// P(negative) as the record or the table has it; nothing for what transfers nothing.
    fn p_neg(&self, arm: &Contender, models: &[Evidence]) -> Option<f64> {
        let (frozen, evidence) = (arm.way.frozen()?, &models[arm.model?]);
        Some(match &self.chance {
            Some(chance) => {
                let for_class = evidence.items / evidence.classes.max(1) as f64;
                chance.of(for_class, evidence.similarity, frozen)
            }
            None => evidence.case.chance(frozen),
        })
    }
}

impl Budget {
    /// Why an arm is too large; nothing if it fits, or its size is not known.
    fn struck(self, arm: &Contender) -> Option<String> {
        let most = |most: Option<u64>, is: Option<u64>, what: &str| {
            let (most, is) = (most?, is?);
            (is > most).then(|| format!("{is} {what} are more than {most}"))
        };
        let macs = most(self.macs, arm.macs, "multiply–accumulates");
        let parameters = arm.parameters.map(|count| count as u64);
        macs.or_else(|| most(self.parameters, parameters, "parameters"))
    }
}

/// No transfer beats scratch at least where the safest one does not: an upper bound, as arms are
/// right and wrong together.
fn p_best_is_scratch(arms: &[Advised]) -> Option<f64> {
    let has_scratch = arms.iter().any(|arm| arm.way == Way::Scratch && arm.can);
    let chances = arms.iter().filter(|arm| arm.can).filter_map(|arm| arm.p_neg);
    if has_scratch { chances.min_by(f64::total_cmp) } else { None }
}

/// The mean of what is known of all; nothing if it is not known of one.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = values.collect::<Option<_>>()?;
    mean_if_any(&known)
}

fn log_me(measured: &[Measured]) -> Option<(f64, f64)> {
    let of = |side: fn((f64, f64)) -> f64| {
        mean(measured.iter().map(|one| one.measures.log_me.map(side)))
    };
    Some((of(|both| both.0)?, of(|both| both.1)?))
}

/// `LogME` of a layer, less that on random weights where there are any.
fn gain_of((measured, scored): &(Vec<Measured>, Vec<Estimates>)) -> Option<f64> {
    let gain = log_me(measured).map(|(own, random)| own - random);
    gain.or_else(|| value(scored, "log_me"))
}

fn value(scored: &[Estimates], name: &str) -> Option<f64> {
    of(scored, name, |estimate| estimate.value)
}

fn of(scored: &[Estimates], name: &str, number: fn(&Estimate) -> Option<f64>) -> Option<f64> {
    let find = |all: &Estimates| number(all.rows.iter().find(|row| row.score == name)?);
    mean(scored.iter().map(find))
}
