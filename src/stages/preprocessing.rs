//! Whether a model's input rule is the one it was trained with. A wrong one (0 to 255 for a model
//! that wants 0 to 1, a mean left out) fails nowhere; it makes features worse. So a pretrained
//! model is shown a few items under its declared rule and under the usual others, and a warning
//! tells when another fits clearly better. Nothing else depends on it.
//!
//! **Models with `BatchNormalization`** hold the mean and variance of what entered each such layer
//! in training. The distance of a layer is the median over channels of the Kullback–Leibler
//! divergence from the Gaussian of what enters now to the one stored; that of a rule is the
//! geometric mean of the mean over the first three layers and the median over the first half (first
//! layers see pixels, later ones tell whether the whole still works).
//!
//! **Other models** are judged by their own scores: the mutual information between items and
//! predicted classes, as a share of its largest value. It is high where a model tells items apart
//! with confidence. Larger inputs raise it whatever the model, so only two things are told: that the
//! model says the same of every item and would not with values 255 times as large, and that smaller
//! or equal inputs make it far surer.
//!
//! What was found on real models, each with photographs or digits as it was trained on:
//!
//! | declared instead of the right rule | with `BatchNormalization` | without |
//! |---|---|---|
//! | 0 to 255 for 0 to 1 or normalised | told | told if scores get worse by it |
//! | divided by 255 twice | told | told |
//! | 0 to 1 for −1 to 1 or mean and std | told | not told |
//! | mean and std for −1 to 1, or the reverse | mostly told | told if scores get worse by it |
//! | red and blue swapped | not told | not told |
//! | a mean or std that is slightly off | not told | not told |

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::language::Above0;
use crate::data::{ChannelOrder, InputRule, Pixels, Samples, Values};
use crate::onnx::graph::{Graph, Node, Port};
use crate::onnx::runtime::Tensor;
use crate::onnx::{batch, head, macs, proto};

use super::data::OpenDataset;
use super::job::{Context, Cores, Failure, Job, Outputs};
use super::kinds::fitted;
use super::model::{BaseModel, ModelPart, Source};
use super::site::Site;

/// Compares input rules for a model and a data set.
#[derive(Clone, Debug)]
pub(super) struct Preprocessing {
    data: Arc<OpenDataset>,
    model: ModelPart,
}

/// Items that are looked at, at most.
const ITEMS: usize = 32;
/// Items that are looked at, at least, however large the model is.
const FEW: usize = 8;
/// Multiply–accumulates that a rule may cost.
const BUDGET: u64 = 1_000_000_000;
/// Items in a batch.
const BATCH: usize = 8;

impl Preprocessing {
    /// Adds the node for a pretrained model from a file and a data set; once for each pair.
    pub(super) fn check(base: &Arc<BaseModel>, data: &Arc<OpenDataset>, site: &mut Site) {
        if matches!(base.source, Source::Made(_)) {
            return;
        }
        let label = format!("preprocessing of {} on {}", base.name, data.name);
        let model = ModelPart { base: Arc::clone(base), random: None };
        site.shared(&label, None, Self { data: Arc::clone(data), model }, vec![]);
    }

    fn rule(&self) -> &InputRule {
        &self.model.base.input
    }

    /// Pixels of items that lie evenly over the data set.
    fn pixels(&self) -> Result<Vec<Pixels>, Failure> {
        let base = &self.model.base;
        let cost = macs::forward_macs(&base.graph, &base.seen, base.items()).max(1);
        let affordable = usize::try_from(BUDGET / cost).unwrap_or(ITEMS);
        let count = self.data.dataset.items().len();
        let looked_at = affordable.clamp(FEW, ITEMS).min(count);
        (0..looked_at)
            .map(|index| fitted(&self.data, index * count / looked_at, self.rule()))
            .collect()
    }

    /// The warning, if another rule fits clearly better.
    fn compare(&self, context: &Context<'_>) -> Result<Option<String>, Failure> {
        let pixels = self.pixels()?;
        let graph = self.model.load(context)?;
        let eye = Eye::of(&graph, self.model.base.output.as_deref());
        let rules = others(self.rule(), &pixels);
        let mut fits = Vec::new();
        for rule in std::iter::once(self.rule()).chain(&rules) {
            context.go_on()?;
            fits.push(eye.fit(rule, &pixels, context)?);
        }
        let (declared, others) = fits.split_first().ok_or_else(|| Failure::new("compare"))?;
        Ok(match eye {
            Eye::Norms(..) => further(*declared, others, &rules),
            Eye::Scores(_) => surer(self.rule(), *declared, others, &rules),
        })
    }
}

impl Job for Preprocessing {
    fn kind(&self) -> &'static str {
        "preprocessing"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "dataset": self.data.fingerprint()?,
            "model": self.model.key(),
            "input": self.rule(),
            "output": self.model.base.output,
        }))
    }

    fn computes(&self) -> bool {
        true
    }

    fn cores(&self) -> Cores {
        Cores::One
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let compared = self.compare(context);
        context.go_on()?;
        Ok(match compared {
            Ok(warning) => {
                let mut outputs = Outputs::default().fact("fits", warning.is_none());
                outputs.warnings.extend(warning);
                outputs
            }
            // Whoever needs the model or the items will tell.
            Err(failure) => Outputs::default().fact("not_compared", failure.to_string()),
        })
    }
}

/// What a model is judged by.
enum Eye {
    /// The model up to its first normalisations, with what these have stored of their inputs.
    Norms(Graph, Vec<Stored>),
    /// The model up to its scores.
    Scores(Graph),
}

/// What a `BatchNormalization` has stored.
struct Stored {
    mean: Vec<f32>,
    variance: Vec<f32>,
    epsilon: f64,
}

impl Eye {
    fn of(graph: &Graph, output: Option<&str>) -> Self {
        let data = |node: &&Node| {
            let reads = node.input(0).is_some_and(|x| !head::depends_on_no_input(graph, x));
            node.op == "BatchNormalization" && reads
        };
        let norms: Vec<&Node> = graph.nodes.iter().filter(data).collect();
        let first = norms.len().div_ceil(2).max(norms.len().min(FIRST));
        let mut ports = Vec::new();
        let mut stored = Vec::new();
        for node in norms.into_iter().take(first) {
            if let (Some(x), Some(found)) = (node.input(0), Stored::of(graph, node)) {
                ports.push(Port::named(x));
                stored.push(found);
            }
        }
        if stored.is_empty() {
            let wanted = |port: &&Port| output.is_none_or(|name| port.name == name);
            let scores = graph.outputs.iter().find(wanted).cloned();
            return Self::Scores(
                graph.part(&graph.inputs, &scores.into_iter().collect::<Vec<_>>()),
            );
        }
        Self::Norms(graph.part(&graph.inputs, &ports), stored)
    }

    fn graph(&self) -> &Graph {
        match self {
            Self::Norms(graph, _) | Self::Scores(graph) => graph,
        }
    }

    /// How well a rule fits: a distance (smaller is better) or a share of information (larger is).
    fn fit(
        &self,
        rule: &InputRule,
        pixels: &[Pixels],
        context: &Context<'_>,
    ) -> Result<f64, Failure> {
        let graph = self.graph();
        let size = batch::fixed(graph);
        let mut session = context.workshop.session(&proto::encode(graph), 1)?;
        let mut outputs = Vec::new();
        for items in pixels.chunks(size.unwrap_or(BATCH)) {
            let rows = size.unwrap_or(items.len());
            let mut values = vec![0.0; rows * rule.length()];
            for (index, row) in values.chunks_exact_mut(rule.length()).enumerate() {
                // A batch that is fixed is filled up with its last item.
                let item = &items[index.min(items.len() - 1)];
                rule.normalise(item.samples.as_slice(), row);
            }
            let dims = [&[rows], &rule.item()[..]].concat();
            outputs.push((items.len(), session.run(&[&Tensor::f32(&dims, values)?])?));
        }
        Ok(match self {
            Self::Norms(_, stored) => distance(stored, &outputs),
            Self::Scores(_) => information(&outputs),
        })
    }
}

impl Stored {
    fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let constant = |position: usize| -> Option<Vec<f32>> {
            Some(graph.initializers.get(node.input(position)?)?.floats()?.to_vec())
        };
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        Some(Self { mean: constant(3)?, variance: constant(4)?, epsilon })
    }
}

/// Outputs of a batch, with how many of its rows are items.
type Batch = (usize, Vec<Tensor>);

/// Layers that see little but pixels.
const FIRST: usize = 3;

/// How far what enters the normalisations is from what they have stored.
fn distance(stored: &[Stored], batches: &[Batch]) -> f64 {
    let of_layer = |(layer, stored): (usize, &Stored)| {
        let channels = stored.mean.len();
        let mut sums = vec![(0.0_f64, 0.0_f64); channels];
        let mut count = 0.0;
        for (items, outputs) in batches {
            let dims = outputs[layer].dims();
            let Some(values) = outputs[layer].floats() else { continue };
            if dims.len() < 2 || dims[1] != channels {
                return f64::NAN;
            }
            let plane: usize = dims[2..].iter().product();
            count += (items * plane) as f64;
            let maps = values.chunks_exact(plane.max(1)).take(items * channels);
            for (index, map) in maps.enumerate() {
                let sum = &mut sums[index % channels];
                for value in map.iter().map(|value| f64::from(*value)) {
                    *sum = (sum.0 + value, sum.1 + value * value);
                }
            }
        }
        let divergences = sums.iter().enumerate().map(|(channel, (sum, squares))| {
            let mean = sum / count;
            let now = (mean, (squares / count - mean * mean).max(0.0) + stored.epsilon);
            let variance = f64::from(stored.variance[channel]) + stored.epsilon;
            divergence(now, (f64::from(stored.mean[channel]), variance))
        });
        median(divergences.collect())
    };
    let layers: Vec<f64> = stored.iter().enumerate().map(of_layer).collect();
    let first = &layers[..layers.len().min(FIRST)];
    let first = first.iter().sum::<f64>() / first.len() as f64;
    (first * median(layers)).sqrt()
}

/// Kullback–Leibler divergence from one Gaussian (mean, variance) to another.
fn divergence(now: (f64, f64), stored: (f64, f64)) -> f64 {
    let apart = (now.0 - stored.0).powi(2);
    0.5 * ((stored.1 / now.1).ln() + (now.1 + apart) / stored.1 - 1.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// Mutual information between items and predicted classes, as a share of ln(classes).
fn information(batches: &[Batch]) -> f64 {
    let mut sum: Vec<f64> = Vec::new();
    let (mut entropies, mut items) = (0.0, 0);
    for (count, outputs) in batches {
        let Some(values) = outputs.first().and_then(Tensor::floats) else { return f64::NAN };
        let classes = values.len() / outputs[0].dims().first().copied().unwrap_or(1).max(1);
        if classes < 2 || (!sum.is_empty() && sum.len() != classes) {
            return f64::NAN;
        }
        sum.resize(classes, 0.0);
        for row in values.chunks_exact(classes).take(*count) {
            let shares = shares(row);
            entropies += entropy(&shares);
            sum.iter_mut().zip(&shares).for_each(|(sum, share)| *sum += share);
            items += 1;
        }
    }
    let items = f64::from(items);
    let mean: Vec<f64> = sum.iter().map(|sum| sum / items).collect();
    (entropy(&mean) - entropies / items) / (mean.len() as f64).ln()
}

/// Probabilities: the scores themselves if they are some, else their softmax.
fn shares(scores: &[f32]) -> Vec<f64> {
    let scores: Vec<f64> = scores.iter().map(|score| f64::from(*score)).collect();
    let total: f64 = scores.iter().sum();
    if (total - 1.0).abs() < 1e-3 && scores.iter().all(|score| *score >= 0.0) {
        return scores;
    }
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let total: f64 = raised.iter().sum();
    raised.iter().map(|value| value / total).collect()
}

fn entropy(shares: &[f64]) -> f64 {
    -shares.iter().filter(|share| **share > 0.0).map(|share| share * share.ln()).sum::<f64>()
}

/// The usual rules, and the usual slips from the declared one, that are other rules.
fn others(declared: &InputRule, pixels: &[Pixels]) -> Vec<InputRule> {
    let with = |scale: f64, mean: &[f64], std: &[f64]| {
        Above0::new(scale).map(|scale| InputRule {
            scale,
            mean: Values(mean.to_vec()),
            std: Values(std.to_vec()),
            ..declared.clone()
        })
    };
    let (mean, std) = (&declared.mean.0[..], &declared.std.0[..]);
    let scale = declared.scale.get();
    let mut rules = vec![with(scale * 255.0, mean, std), with(scale / 255.0, mean, std)];
    let are_bytes = pixels.iter().all(|item| matches!(item.samples, Samples::Bytes(_)));
    if are_bytes {
        rules.push(with(255.0, &[0.0], &[1.0]));
        rules.push(with(1.0, &[0.0], &[1.0]));
        rules.push(with(127.5, &[1.0], &[1.0]));
    }
    if are_bytes && declared.channels.0 == 3 {
        let (mut mean, mut std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let mut means = [123.0, 117.0, 104.0];
        if declared.order == ChannelOrder::Bgr {
            for list in [&mut mean, &mut std, &mut means] {
                list.reverse();
            }
        }
        rules.push(with(255.0, &mean, &std));
        rules.push(with(1.0, &means, &[1.0]));
    }
    let mut rules: Vec<InputRule> = rules.into_iter().flatten().collect();
    if pixels.iter().any(is_coloured) {
        rules.push(swapped(declared));
    }
    rules.retain(|rule| rule.order != declared.order || !is_same(rule, declared));
    rules
}

/// Red and blue the other way round.
fn swapped(rule: &InputRule) -> InputRule {
    let back = |values: &Values| Values(values.0.iter().rev().copied().collect());
    let order = match rule.order {
        ChannelOrder::Rgb => ChannelOrder::Bgr,
        ChannelOrder::Bgr => ChannelOrder::Rgb,
    };
    InputRule { order, mean: back(&rule.mean), std: back(&rule.std), ..rule.clone() }
}

/// Whether the channels of a pixel differ anywhere.
fn is_coloured(item: &Pixels) -> bool {
    item.channels == 3
        && match &item.samples {
            Samples::Bytes(values) => values.chunks_exact(3).any(|p| p[0] != p[1] || p[1] != p[2]),
            Samples::Floats(values) => {
                values.chunks_exact(3).any(|p| (p[0] - p[1]).abs() + (p[1] - p[2]).abs() > 0.0)
            }
        }
}

/// What a rule makes of 0 and of 255 in each channel.
fn ends(rule: &InputRule) -> Vec<(f64, f64)> {
    let at = |values: &Values, channel: usize| {
        values.0.get(channel).or(values.0.first()).copied().unwrap_or_default()
    };
    let end = |value: f64, channel: usize| {
        (value / rule.scale.get() - at(&rule.mean, channel)) / at(&rule.std, channel)
    };
    (0..rule.channels.0).map(|channel| (end(0.0, channel), end(255.0, channel))).collect()
}

/// Whether two rules differ by less than a twentieth of the range.
fn is_same(one: &InputRule, other: &InputRule) -> bool {
    ends(one).iter().zip(ends(other)).all(|(one, other)| {
        let near = (one.1 - one.0).abs() / 20.0;
        (one.0 - other.0).abs() <= near && (one.1 - other.1).abs() <= near
    })
}

/// How large inputs are: the range of a rule, averaged over channels.
fn range(rule: &InputRule) -> f64 {
    let ends = ends(rule);
    ends.iter().map(|(low, high)| (high - low).abs()).sum::<f64>() / ends.len() as f64
}

/// The warning of a model with normalisations. The right rule is at most 2.1 times as far as the
/// nearest other on the real models this was measured on, with data of another kind, and 3.7 times
/// where the nearest is far itself.
fn further(declared: f64, others: &[f64], rules: &[InputRule]) -> Option<String> {
    let (near, rule) = others
        .iter()
        .zip(rules)
        .filter(|(distance, _)| distance.is_finite())
        .min_by(|a, b| a.0.total_cmp(b.0))?;
    let times = declared / near;
    let is_clear = (times >= 3.0 && *near <= 0.3) || times >= 5.0;
    is_clear.then(|| {
        format!(
            "values as declared are {declared:.2} away from what its BatchNormalization layers saw \
             in training, and {near:.2} with another rule; if the model was trained so, write \
             `input: {}`",
            rule.written()
        )
    })
}

/// The warning of a model without normalisations.
fn surer(
    declared_rule: &InputRule,
    declared: f64,
    others: &[f64],
    rules: &[InputRule],
) -> Option<String> {
    let limit = range(declared_rule);
    let best = |is_meant: &dyn Fn(&InputRule) -> bool| {
        let meant = others.iter().zip(rules).filter(|(_, rule)| is_meant(rule));
        meant.filter(|(share, _)| share.is_finite()).max_by(|a, b| a.0.total_cmp(b.0))
    };
    let times_255 = |rule: &InputRule| (range(rule) / limit - 255.0).abs() < 1.0;
    if declared < 0.003
        && let Some((share, rule)) = best(&times_255)
        && *share >= 0.02
    {
        return Some(format!(
            "with values as declared the model says nearly the same of every item, but not with \
             values 255 times as large; if the model was trained so, write `input: {}`",
            rule.written()
        ));
    }
    let (share, rule) = best(&|rule| range(rule) <= 1.5 * limit)?;
    (*share >= 0.6 && *share >= 2.0 * declared).then(|| {
        format!(
            "the model is far surer of its classes with another rule ({share:.2} of all there is to \
             know, {declared:.2} as declared); if the model was trained so, write `input: {}`",
            rule.written()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Size;

    fn rule(scale: f64, mean: f64) -> InputRule {
        InputRule {
            scale: Above0::new(scale).unwrap(),
            mean: Values(vec![mean]),
            ..InputRule::plain(Size { height: 2, width: 2 }, 3)
        }
    }

    fn pixels(values: [u8; 12]) -> Vec<Pixels> {
        vec![Pixels { height: 2, width: 2, channels: 3, samples: Samples::Bytes(values.to_vec()) }]
    }

    #[test]
    fn the_divergence_of_gaussians_is_as_in_the_books() {
        assert!(divergence((1.5, 2.0), (1.5, 2.0)).abs() < 1e-12);
        // ½(ln(1/4) + 4 + 1 − 1) for N(1, 4) from N(0, 1).
        assert!((divergence((1.0, 4.0), (0.0, 1.0)) - 1.306_852_819).abs() < 1e-8);
    }

    #[test]
    fn rules_that_do_the_same_are_not_compared() {
        let halves = rule(127.5, 1.0);
        let told: Vec<String> =
            others(&halves, &pixels([9; 12])).iter().map(InputRule::written).collect();
        assert_eq!(
            told,
            [
                "{ size: 2, channels: 3, scale: 32512.5, mean: 1 }",
                "{ size: 2, channels: 3, scale: 0.5, mean: 1 }",
                "{ size: 2, channels: 3 }",
                "{ size: 2, channels: 3, scale: 1 }",
                "{ size: 2, channels: 3, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }",
                "{ size: 2, channels: 3, scale: 1, mean: [123, 117, 104] }",
            ]
        );
        assert_eq!(others(&rule(255.0, 0.0), &pixels([9; 12])).len(), 5);
    }

    #[test]
    fn red_and_blue_are_swapped_only_where_there_is_colour() {
        let mut coloured = [9; 12];
        coloured[4] = 8;
        let orders = |pixels: &[Pixels]| {
            let rules = others(&rule(1.0, 0.0), pixels);
            rules.iter().filter(|rule| rule.order == ChannelOrder::Bgr).count()
        };
        assert_eq!((orders(&pixels([9; 12])), orders(&pixels(coloured))), (0, 1));
    }

    #[test]
    fn a_warning_needs_a_rule_that_is_clearly_nearer() {
        let rules = [rule(255.0, 0.0), rule(1.0, 0.0)];
        assert_eq!(further(0.3, &[0.2, 0.15], &rules), None);
        assert_eq!(further(2.0, &[0.6, 9.0], &rules), None);
        assert!(further(0.9, &[0.2, 9.0], &rules).unwrap().contains("{ size: 2, channels: 3 }"));
        assert!(further(50.0, &[f64::NAN, 9.0], &rules).unwrap().contains("scale: 1 }"));
        assert_eq!(further(f64::NAN, &[0.1, 0.1], &rules), None);
    }

    #[test]
    fn larger_values_never_look_better_by_being_larger() {
        let declared = rule(255.0, 0.0);
        let rules = [rule(1.0, 0.0), rule(127.5, 1.0)];
        assert_eq!(surer(&declared, 0.2, &[0.9, 0.3], &rules), None);
        assert!(surer(&declared, 0.001, &[0.1, 0.001], &rules).unwrap().contains("255 times"));
        let large = rule(1.0, 0.0);
        assert!(surer(&large, 0.2, &[0.9], &[rule(255.0, 0.0)]).unwrap().contains("far surer"));
    }

    #[test]
    fn scores_become_probabilities_unless_they_are_some() {
        assert_eq!(shares(&[0.25, 0.75]), [0.25, 0.75]);
        let even = shares(&[3.0, 3.0]);
        assert_eq!(even, [0.5, 0.5]);
        assert!((entropy(&even) - 2.0_f64.ln()).abs() < 1e-12);
    }
}
