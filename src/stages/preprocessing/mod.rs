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
//! Measured on nine real models, each on two to four data sets, some of a kind the model never saw
//! (radiographs for a network of digits): pairs of model and data set where a mistake was told. The
//! right rule was told in none of the 26 pairs.
//!
//! | declared instead of the right rule | with `BatchNormalization` | without |
//! |---|---|---|
//! | values 255 times as large | 14 of 14 | 1 of 7 |
//! | values 255 times as small | 14 of 14 | 9 of 12 |
//! | 0 to 1, for any other normalisation | 11 of 11 | 1 of 6 |
//! | −1 to 1, for any other | 7 of 10 | 2 of 12 |
//! | mean and standard deviation, for −1 to 1 | 3 of 4 | |
//! | red and blue swapped (photographs) | 0 of 6 | 0 of 3 |
//!
//! Red and blue cannot be told from what a model says of images alone. With 46 photographs of as many
//! subjects, the entropy of what five classifiers say is lower in the right order for 46 % to 63 % of
//! them; Student's t over photographs is 3.8 for `MobileNet`, at most 1.5 for the others, and −1.5
//! for one, which is surer of swapped colours. Largest scores, margins and norms do no better for
//! these four. A test that finds `MobileNet`'s swap in half of all draws of 20 photographs (log-sum-
//! exp of the scores, t > 3) finds none of the others'. So nothing is told of it, but where the file
//! has an `example`, an image with the output it should give: there a swap makes a difference of at
//! least 0.014 of the outputs' range, for each of these photographs and models.

mod distance;
mod example;
mod rules;
mod warning;

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::data::{InputRule, Pixels};
use crate::onnx::graph::{Graph, Node, Port};
use crate::onnx::runtime::Tensor;
use crate::onnx::{batch, head, macs, proto};

use super::data::OpenDataset;
use super::job::{Context, Cores, Failure, Job, Outputs};
use super::kinds::fitted;
use super::model::{BaseModel, ModelPart, Source};
use super::site::Site;
use distance::{Batch, FIRST, Stored, distance, information};
use example::Shown;
use rules::others;
use warning::{further, surer};

/// Compares input rules for a model and a data set.
#[derive(Clone, Debug)]
pub(super) struct Preprocessing {
    data: Arc<OpenDataset>,
    model: ModelPart,
    rule: InputRule,
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
        let Some(rule) = base.input.image().filter(|_| !matches!(base.source, Source::Made(_)))
        else {
            return;
        };
        let rule = rule.clone();
        if let Some(example) = &base.example {
            let job = Shown {
                model: ModelPart::of(base),
                rule: rule.clone(),
                example: Arc::clone(example),
            };
            site.shared(&format!("example of {}", base.name), None, job, vec![]);
        }
        let label = format!("preprocessing of {} on {}", base.name, data.name);
        let model = ModelPart::of(base);
        site.shared(&label, None, Self { data: Arc::clone(data), model, rule }, vec![]);
    }

    fn rule(&self) -> &InputRule {
        &self.rule
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
            return Self::Scores(scores(graph, output));
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
        let outputs = outputs(self.graph(), rule, pixels, context)?;
        Ok(match self {
            Self::Norms(_, stored) => distance(stored, &outputs),
            Self::Scores(_) => information(&outputs),
        })
    }
}

/// The graph up to the output that the head ends in.
fn scores(graph: &Graph, output: Option<&str>) -> Graph {
    let wanted = |port: &&Port| output.is_none_or(|name| port.name == name);
    let scores = graph.outputs.iter().find(wanted).cloned();
    graph.part(&graph.inputs, &scores.into_iter().collect::<Vec<_>>())
}

/// What a graph says of items under a rule: how many are in each batch, and its outputs.
fn outputs(
    graph: &Graph,
    rule: &InputRule,
    pixels: &[Pixels],
    context: &Context<'_>,
) -> Result<Vec<Batch>, Failure> {
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
    Ok(outputs)
}
