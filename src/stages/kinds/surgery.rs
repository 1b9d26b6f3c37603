//! What `fine_tune` does to a body before it is trained: which weights it starts with, which of its
//! parameters learn.

use std::sync::Arc;

use crate::base::{Located, Place, Problem, Seed};
use crate::onnx::control::Control;
use crate::onnx::freeze::{groups, still_until};
use crate::onnx::graph::{Graph, Port};
use crate::onnx::parameters::{Parameter, parameters};
use crate::onnx::tune::{Lora, Tune};
use crate::onnx::{init, lora, lsuv, macs};
use crate::train::Unfreeze;

use super::super::data::OpenDataset;
use super::super::model::{BaseModel, Batch, ModelPart, Source, Tells};
use super::super::probing::sample;
use super::super::site::{Manner, Runs, Site};
use super::super::training::{HeadInit, Network, Scratch, Training, Tuning};
use super::fine_tune::{Depth, FineTune, Init};
use super::resolved;

/// The weights that a body starts with.
pub(super) struct Start {
    /// Whether some are drawn.
    random: bool,
    /// The tensor up to which weights are the source's where the rest is drawn.
    kept: Option<String>,
    /// What stays of the source's weights where all are drawn, if anything.
    control: Option<Control>,
}

/// A stretch of a body from the input on, perhaps empty.
pub(super) struct Stretch {
    /// The tensor it ends in.
    pub(super) end: Option<String>,
}

impl Stretch {
    fn to(tensor: String) -> Self {
        Self { end: Some(tensor) }
    }
}

/// A model whose random weights are scaled, if they need to be.
pub(super) struct Scaled(pub(super) Option<Arc<BaseModel>>);

impl Start {
    /// The word for where the weights start.
    pub(super) fn word(&self) -> &'static str {
        match (self.is_scratch(), self.control) {
            (false, _) => Init::Pretrained.word(),
            (true, None) => Init::Random.word(),
            (true, Some(control)) => control.word(),
        }
    }

    /// Whether all weights are random.
    pub(super) fn is_scratch(&self) -> bool {
        self.random && self.kept.is_none()
    }

    /// The model as a seed starts with it.
    pub(super) fn part(&self, base: &Arc<BaseModel>, seed: Seed) -> ModelPart {
        let random = self.random.then_some(seed);
        ModelPart { base: Arc::clone(base), random, kept: self.kept.clone(), control: self.control }
    }

    /// How much of the source's weights it starts with; nothing if that is all and nobody said so.
    pub(super) fn depth(&self, written: &Located<Depth>) -> Option<String> {
        let is_said = !self.random && written.place != Place::default();
        (self.kept.is_some() || is_said).then(|| written.word())
    }

    /// Float constants of the body that are no parameters and thus stay the source's.
    pub(super) fn untouched(&self, base: &BaseModel, head_at: &str) -> Vec<String> {
        let body = || base.graph.part(&base.graph.inputs, &[Port::named(head_at)]);
        if self.random { init::untouched(&body()) } else { vec![] }
    }
}

impl FineTune {
    /// How it uses its source.
    pub(super) fn manner(
        &self,
        training: &Training,
        base: &BaseModel,
        head_at: &str,
        frozen: Option<&str>,
    ) -> Manner {
        let still = frozen.map_or(0.0, |until| share_below(&base.graph, head_at, until));
        let slower = training.decay_per_group.is_some() || training.lowest_lr.is_some();
        let first = training.head_init.value == HeadInit::Probe;
        let later = training.unfreeze.value != Unfreeze::AtOnce;
        Manner {
            layer: None,
            frozen: Some(still),
            gentle: self.body_lr.get() < 1.0 || slower || first || later,
            cut: self.head.is_some(),
        }
    }

    /// The tensor that a stretch of the body ends in; nothing if it is no layer.
    pub(super) fn until(
        &self,
        depth: &Located<Depth>,
        base: &BaseModel,
        head_at: &str,
        site: &mut Site,
    ) -> Option<Stretch> {
        match &depth.value {
            Depth::None => Some(Stretch { end: None }),
            Depth::All => Some(Stretch::to(head_at.to_owned())),
            Depth::Layer(layer) => {
                let until = resolved(base, depth.place, layer, site)?;
                if until == head_at || base.graph.leads_to(&until, head_at) {
                    return Some(Stretch::to(until));
                }
                let message = format!("`{layer}` does not lead to the head, on `{head_at}`");
                let help = match depth.place == self.freeze.place {
                    true => "freeze up to a layer below the head, or `all`",
                    false => "name a layer below the head, or `all`",
                };
                site.problem(Problem::at(depth.place, message).help(help));
                None
            }
            Depth::Groups(count) => {
                let groups = groups(&base.graph, head_at);
                if let Some(group) = groups.get(count - 1) {
                    return Some(Stretch::to(group.end.clone()));
                }
                let message = format!("`{}` has {} layer groups", base.name, groups.len());
                let ends: Vec<String> = groups.iter().map(|g| format!("`{}`", g.end)).collect();
                let help = format!("they end in {}", ends.join(", "));
                site.problem(Problem::at(depth.place, message).help(help));
                None
            }
        }
    }

    /// Which weights the body starts with.
    pub(super) fn start(&self, base: &BaseModel, head_at: &str, site: &mut Site) -> Option<Start> {
        let depth = &self.transfer_depth;
        if self.init != Init::Pretrained {
            if depth.place == Place::default() {
                return Some(Start { random: true, kept: None, control: self.init.control() });
            }
            let init = self.init.word();
            let message = format!("both `init: {init}` and `transfer_depth` are given");
            let help = "keep one of them: `transfer_depth: none` draws all weights, too";
            site.problem(Problem::at(depth.place, message).help(help));
            return None;
        }
        let kept = self.until(depth, base, head_at, site)?.end;
        let all = kept.as_deref() == Some(head_at);
        Some(Start { random: !all, kept: kept.filter(|_| !all), control: None })
    }

    /// A model whose random weights are scaled on training items, where plain draws would explode.
    pub(super) fn scaled(
        &self,
        start: &Start,
        base: &Arc<BaseModel>,
        data: &Arc<OpenDataset>,
        head_at: &str,
        site: &mut Site,
    ) -> Option<Scaled> {
        let fixed = matches!(base.batch, Batch::Fixed { .. });
        let images = base.input.image().is_some();
        if !start.random
            || start.control.is_some()
            || fixed
            || !images
            || !lsuv::bn_folded(&base.graph)
        {
            return Some(Scaled(None));
        }
        let size = self.training.train_size.as_ref();
        let seeds = site.seeds.clone();
        let samples = seeds
            .into_iter()
            .map(|seed| sample(site, data, size, Some(seed)).map(|sample| (seed, sample)));
        let samples = samples.collect::<Option<Vec<_>>>()?;
        let cost = macs::forward_macs(&base.graph, &base.seen, base.items());
        let kept = start.kept.as_deref();
        Some(Scaled(Some(Scratch::planned(base, kept, head_at, &samples, cost, site))))
    }

    /// Which parameters learn; something must, unless all is frozen.
    pub(super) fn tuning(
        &self,
        body: &Graph,
        base: &BaseModel,
        head_at: &str,
        frozen: Option<&str>,
        site: &mut Site,
    ) -> Option<Tuning> {
        let part = body.part(&body.inputs, &[Port::named(head_at)]);
        let tune = self.tune.value.clone();
        if let Tune::Lora(low_rank) = &tune {
            let mut adapted = self.adapted(low_rank, &part, base, site)?;
            let below = frozen.map(|tensor| part.ancestors([tensor])).unwrap_or_default();
            let is_below =
                |output: &str| below.iter().any(|&index| part.nodes[index].output() == output);
            adapted.retain(|output| !is_below(output));
            return Some(Tuning { tune, adapted });
        }
        let trained = parameters(&part).into_iter().filter(|p| p.role.is_trained());
        if trained.into_iter().any(|p| tune.learns(&part, &p)) {
            return Some(Tuning { tune, adapted: vec![] });
        }
        let what = if tune == Tune::Norms { "normalisations" } else { "biases" };
        let message = format!("`{}` has no {what} that could learn", base.name);
        let other = if tune == Tune::Norms {
            "they may have been folded into its weights; take `biases` or `all`"
        } else {
            "take `all`"
        };
        site.problem(Problem::at(self.tune.place, message).help(other));
        None
    }

    /// Outputs of the nodes that get low-rank additions, frozen or not.
    fn adapted(
        &self,
        low_rank: &Lora,
        part: &Graph,
        base: &BaseModel,
        site: &mut Site,
    ) -> Option<Vec<String>> {
        let known = lora::targets(part);
        if known.is_empty() {
            let message = format!(
                "`{}` has no `MatMul` or `Gemm` with a matrix of its own below the head",
                base.name
            );
            let help = "low-rank additions need one; take `biases`, `norms` or `all`";
            site.problem(Problem::at(self.tune.place, message).help(help));
            return None;
        }
        let Some(words) = &low_rank.on else { return Some(known) };
        let mut chosen: Vec<String> = Vec::new();
        let mut complete = true;
        for word in &words.0 {
            let name = base.aliases.get(&word.0).unwrap_or(&word.0);
            let mut found = known.iter().filter(|output| lora::is_named(part, output, name));
            if let Some(first) = found.next() {
                chosen.extend(std::iter::once(first).chain(found).cloned());
                continue;
            }
            let message = format!("`{}` of `{}` has no matrix of its own", word.0, base.name);
            let names = known.iter().map(String::as_str);
            site.problem(Problem::at(word.place, message).or_else_one_of(&word.0, names));
            complete = false;
        }
        let in_order = known.into_iter().filter(|output| chosen.contains(output)).collect();
        complete.then_some(in_order)
    }
}

/// Where training may start: what is frozen, or farther up if nothing below learns either, so that
/// it is computed once for each item.
pub(super) fn lowest_still(
    body: &Graph,
    head_at: &str,
    frozen: Option<String>,
    tuning: &Tuning,
) -> Option<String> {
    if tuning.tune == Tune::All {
        return frozen;
    }
    let weights: Vec<String> =
        tuning.adapted.iter().filter_map(|output| lora::weight(body, output)).collect();
    let below = frozen.as_deref().map(|tensor| body.ancestors([tensor])).unwrap_or_default();
    let learns = |p: &Parameter| {
        !below.contains(&p.node) && (weights.contains(&p.name) || tuning.tune.learns(body, p))
    };
    let still = still_until(body, head_at, &learns);
    match (frozen, still) {
        (Some(frozen), Some(still)) if still != frozen && body.leads_to(&still, &frozen) => {
            Some(frozen)
        }
        (frozen, still) => still.or(frozen),
    }
}

/// The model that a stage trains, as the base of others.
pub(super) fn trained(
    network: &Network,
    base: &BaseModel,
    data: &OpenDataset,
    runs: &Runs,
    site: &Site,
) -> Arc<BaseModel> {
    let graph = network.base().clone();
    let mut seen = base.seen.clone();
    for node in &graph.nodes {
        // What was seen of the source's output is of as many classes as the source has.
        let is_head = node.input(1) == Some(network.head().0);
        if seen.shapes.contains_key(node.output()) && !is_head {
            continue;
        }
        let input = node.input(0).and_then(|name| seen.shapes.get(name)).cloned();
        let Some([items, features, ..]) = input.as_deref() else { continue };
        // A new head averages over space, flattens and multiplies.
        let shape = match node.op.as_str() {
            "GlobalAveragePool" => vec![*items, *features, 1, 1],
            "Flatten" => vec![*items, *features],
            "Gemm" => {
                let weight = node.input(1).and_then(|name| graph.initializers.get(name));
                vec![*items, weight.map_or(0, |weight| weight.dims[0])]
            }
            _ => continue,
        };
        seen.shapes.insert(node.output().to_owned(), shape);
    }
    Arc::new(BaseModel {
        name: site.stage.clone(),
        source: Source::Made(runs.clone()),
        graph,
        output: None,
        seen,
        tells: Some(Tells::of(data)),
        origin: None,
        ..base.clone()
    })
}
/// The share of the layer groups of a body whose weights all lie below a tensor. What follows the
/// weights of a group (a pooling, say) may lie above it.
fn share_below(graph: &Graph, head_at: &str, until: &str) -> f64 {
    let below = graph.ancestors([until]);
    let all = parameters(graph).into_iter().filter(|parameter| parameter.role.is_trained());
    let mut left: Vec<usize> = all.map(|parameter| parameter.node).collect();
    let (mut still, mut count) = (0_u32, 0_u32);
    for group in groups(graph, head_at) {
        let own = graph.ancestors([group.end.as_str()]);
        let (here, above): (Vec<usize>, Vec<usize>) =
            left.into_iter().partition(|node| own.contains(node));
        left = above;
        count += 1;
        still += u32::from(here.iter().all(|node| below.contains(node)));
    }
    f64::from(still) / f64::from(count.max(1))
}
