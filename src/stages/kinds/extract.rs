//! `extract`: features of layers of a base model, one pass over the data set, cached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Value as Json, json};

use crate::base::language::{Count, OneOrMore, Read, Word, keys};
use crate::base::{Found, Located, Problem, Value, Written};
use crate::onnx::graph::Port;
use crate::onnx::layers::{NoLayer, candidates};
use crate::onnx::runtime::Tensor;
use crate::onnx::{batch, macs, proto};

use super::super::artifacts::{ArrayWriter, Element};
use super::super::data::OpenDataset;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::model::{BaseModel, ModelPart};
use super::super::names::{Name, Reference};
use super::super::preprocessing::Preprocessing;
use super::super::site::{FeaturesOffer, Input, Offers, Runs, Site};
use super::fine_tune::Init;
use super::{Kind, Views};

keys! {
    /// Runs a base model over a data set once and keeps features of layers.
    pub struct Extract {
        /// The base model, or a stage that makes one.
        model: Located<Reference>,
        /// The data set.
        dataset: Located<Name>,
        /// The layers: a tensor, a node, a scope with one exit, or an alias of the model.
        layers: OneOrMore<Located<Word>>,
        /// What becomes of maps of channels × height × width: `s` averages them to s × s, `all`
        /// keeps every value.
        spatial: Spatial = Spatial::Pooled(Count(1)),
        /// Where the model's weights start: with `random`, features of the same architecture that
        /// has learnt nothing, others for each seed.
        init: Init = Init::Pretrained,
    }
}

/// What becomes of maps over space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spatial {
    /// Averaged to this many rows and columns.
    Pooled(Count),
    /// Kept.
    All,
}

/// As it is read.
impl serde::Serialize for Spatial {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pooled(side) => serde::Serialize::serialize(side, serializer),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

impl Read for Spatial {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Text(word) if word == "all" => Some(Self::All),
            _ => Count::read(written, found).map(Self::Pooled),
        }
    }

    fn schema() -> Json {
        let all = json!({ "const": "all", "description": "Keeps every value." });
        json!({ "title": "a whole number of at least 1, or `all`", "oneOf": [Count::schema(), all] })
    }
}

impl Kind for Extract {
    const WORD: &'static str = "extract";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.model]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let base = site.model(&self.model);
        let data = site.dataset(&self.dataset);
        let (base, data) = (base?, data?);
        site.fitting(&data, &base.input, self.dataset.place)?;
        let mut tensors: Vec<String> = Vec::new();
        let mut ports = BTreeMap::new();
        let mut costs = BTreeMap::new();
        for layer in &self.layers.0 {
            let tensor = resolved(&base, layer.place, &layer.0, site)?;
            if base.graph.inputs.iter().any(|port| port.name == tensor) {
                let message = format!("`{}` is the model's input, not a layer", layer.0);
                let help = "features of pixels are what `pixel_linear` reads";
                site.problem(Problem::at(layer.place, message).help(help));
                return None;
            }
            let part = base.graph.part(&base.graph.inputs, &[Port::named(&tensor)]);
            costs.insert(tensor.clone(), macs::forward_macs(&part, &base.seen, base.items()));
            ports.insert(layer.0.clone(), tensor.clone());
            // Two names may stand for one tensor, which is handed out once.
            if !tensors.contains(&tensor) {
                tensors.push(tensor);
            }
        }
        Preprocessing::check(&base, &data, site);
        let spatial = match self.spatial {
            Spatial::All => None,
            Spatial::Pooled(side) => Some(side.0),
        };
        let macs = costs.values().copied().max().unwrap_or_default();
        let model = ModelPart::of(&base);
        let job = Pass { data: Arc::clone(&data), model, tensors, spatial, macs, views: None };
        let random = self.init == Init::Random;
        let runs = match random {
            false => {
                pass_runs(&job, site, |site, seed, inputs| site.add("", seed, job.clone(), inputs))?
            }
            true => site.for_seeds(true, |site, _, seed| {
                let mut job = job.clone();
                job.model.random = seed;
                Some(site.add("", seed, job, vec![]))
            })?,
        };
        let base = base.name.clone();
        let features = FeaturesOffer { data, runs, layers: ports, macs: costs, base, random };
        Some(Offers { features: Some(features), ..Offers::default() })
    }
}

/// The tensor of a layer, or a problem that lists candidates.
pub(in super::super) fn resolved(
    base: &BaseModel,
    place: crate::base::Place,
    layer: &str,
    site: &mut Site,
) -> Option<String> {
    let problem = match base.resolve(layer) {
        Ok(tensor) => return Some(tensor),
        Err(NoLayer::Unknown) => {
            let known = candidates(&base.graph);
            let known: Vec<&str> = base
                .aliases
                .keys()
                .map(String::as_str)
                .chain(known.iter().map(String::as_str))
                .collect();
            let message = format!("`{}` has no layer `{layer}`", base.name);
            Problem::at(place, message).or_else_one_of(layer, known)
        }
        Err(NoLayer::ManyExits(exits)) => {
            let message =
                format!("the scope `{layer}` of `{}` hands on several tensors", base.name);
            Problem::at(place, message).help(format!("choose one: {}", exits.join(", ")))
        }
    };
    site.problem(problem);
    None
}

/// Nodes of a pass: one, or one for each seed if the model is another for each.
pub(in super::super) fn pass_runs(
    job: &Pass,
    site: &mut Site,
    add: impl Fn(&mut Site, Option<crate::base::Seed>, Vec<Input>) -> super::super::site::NodeId,
) -> Option<Runs> {
    let differ = job.model.made_by().is_some_and(Runs::differ);
    site.for_seeds(differ, |site, position, seed| {
        Some(add(site, seed, job.model.input(position).into_iter().collect()))
    })
}

/// One pass of a model over a data set.
#[derive(Clone, Debug)]
pub(in super::super) struct Pass {
    pub(in super::super) data: Arc<OpenDataset>,
    pub(in super::super) model: ModelPart,
    /// What is looked at. Each comes out of a port of its own name, so that whoever needs the same
    /// tensors, features or a prefix, finds them made.
    pub(in super::super) tensors: Vec<String>,
    /// Rows and columns that maps are averaged to; `None` keeps whole tensors with their shape.
    pub(in super::super) spatial: Option<usize>,
    /// Multiply–accumulates for one item.
    pub(in super::super) macs: u64,
    /// Passes over changed views of some items instead of all items.
    pub(in super::super) views: Option<Views>,
}

/// Items in a batch.
const BATCH: usize = 32;

impl Job for Pass {
    fn kind(&self) -> &'static str {
        "extract"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let mut key = json!({
            "dataset": self.data.fingerprint()?,
            "model": self.model.key(),
            "input": self.model.base.input,
            "layers": self.tensors,
            "spatial": self.spatial,
        });
        if let Some(views) = &self.views {
            let (augment, seed) = (&views.augment, views.seed);
            key["views"] = json!({ "augment": augment, "seed": seed, "items": views.items });
        }
        Ok(key)
    }

    fn computes(&self) -> bool {
        true
    }

    fn cores(&self) -> Cores {
        Cores::All
    }

    fn expected(&self, speed: Speed) -> f64 {
        let items = self.rows();
        items as f64 * Speed::DECODE + speed.seconds(items, self.macs)
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let graph = self.model.load(context)?;
        let taps: Vec<Port> = self.tensors.iter().map(|name| Port::named(name)).collect();
        let graph = graph.part(&graph.inputs, &taps);
        let fixed = batch::fixed(&graph);
        let size = fixed.unwrap_or(BATCH);
        let model = proto::encode(&graph);
        let count = self.rows();
        let batches = count.div_ceil(size);
        // Each worker decodes a batch and runs it, so that all cores do whichever is due.
        let (sender, receiver) = sync_channel(context.cores * 2);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let workers = context.cores.clamp(1, batches.max(1));
        let worker = Worker { pass: self, model: &model, batch: size, fixed, next: &next, context };
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let sender = sender.clone();
                let worker = &worker;
                scope.spawn(move || worker.work(&sender));
            }
            drop(sender);
            self.collect(receiver, batches, context)
        })
    }
}

/// What a worker hands over: features of each layer for one batch, with the shape of a row.
type Batch = Result<Vec<(Vec<usize>, Vec<f32>)>, Failure>;

struct Worker<'a> {
    pass: &'a Pass,
    model: &'a [u8],
    batch: usize,
    fixed: Option<usize>,
    next: &'a std::sync::atomic::AtomicUsize,
    context: &'a Context<'a>,
}

impl Worker<'_> {
    fn work(&self, sender: &SyncSender<(usize, Batch)>) {
        use std::sync::atomic::Ordering;
        let mut session = match self.context.workshop.session(self.model, 1) {
            Ok(session) => session,
            Err(error) => {
                // Whoever listens has gone only if the pass has failed already.
                let _ = sender.send((0, Err(error.into())));
                return;
            }
        };
        let count = self.pass.rows();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let first = number * self.batch;
            if first >= count {
                return;
            }
            let items = first..(first + self.batch).min(count);
            let result = self.batch_of(&mut session, items);
            let failed = result.is_err();
            if sender.send((number, result)).is_err() || failed {
                return;
            }
        }
    }

    fn batch_of(
        &self,
        session: &mut crate::onnx::runtime::Session,
        items: std::ops::Range<usize>,
    ) -> Batch {
        self.context.go_on()?;
        let rule = &self.pass.model.base.input;
        let length = rule.length();
        let mut values = vec![0.0; self.batch * length];
        for (index, row) in items.clone().zip(values.chunks_exact_mut(length)) {
            self.pass.read(index, row)?;
        }
        // A model with a free batch gets just what there is.
        let rows = self.fixed.unwrap_or(items.len());
        values.truncate(rows * length);
        let dims: Vec<usize> = std::iter::once(rows).chain(rule.item()).collect();
        let outputs = session.run(&[&Tensor::f32(&dims, values)?])?;
        let rows = outputs.iter().map(|output| self.rows(output, items.len()));
        rows.collect()
    }

    /// The rows of the items, pooled over space if asked to.
    fn rows(&self, output: &Tensor, items: usize) -> Result<(Vec<usize>, Vec<f32>), Failure> {
        let dims = output.dims();
        let no_rows = || {
            Failure::with_help(
                format!("a layer gives shape {dims:?}, which has no row for each of {items} items"),
                "choose a layer whose first axis is the batch",
            )
        };
        let values = output.floats().ok_or_else(no_rows)?;
        if dims.len() < 2 || dims[0] < items {
            return Err(no_rows());
        }
        let length: usize = dims[1..].iter().product();
        let values = &values[..items * length];
        match (self.pass.spatial, &dims[1..]) {
            (Some(side), &[channels, height, width]) => {
                let side = (side.min(height), side.min(width));
                let pooled = values
                    .chunks_exact(length)
                    .flat_map(|map| pool(map, channels, (height, width), side))
                    .collect();
                Ok((vec![channels * side.0 * side.1], pooled))
            }
            (Some(_), _) => Ok((vec![length], values.to_vec())),
            (None, item) => Ok((item.to_vec(), values.to_vec())),
        }
    }
}

/// An item's pixels at the model's size.
pub(in super::super) fn fitted(
    data: &OpenDataset,
    index: usize,
    rule: &crate::data::InputRule,
) -> Result<crate::data::Pixels, Failure> {
    let pixels = data.dataset.pixels(index)?;
    let refused = |cause: String| {
        Failure::with_help(
            format!("fit `{}` to the model's input: {cause}", data.dataset.items()[index].id),
            "check `size` and `channels` of the model's input",
        )
    };
    rule.fitted(pixels).map_err(refused)
}

/// Averages of a map over a grid of about equal cells (adaptive average pooling).
fn pool(
    map: &[f32],
    channels: usize,
    (height, width): (usize, usize),
    (rows, columns): (usize, usize),
) -> Vec<f32> {
    let cell = |index: usize, extent: usize, count: usize| {
        index * extent / count..((index + 1) * extent).div_ceil(count)
    };
    let mut pooled = Vec::with_capacity(channels * rows * columns);
    for plane in map.chunks_exact(height * width).take(channels) {
        for row in 0..rows {
            for column in 0..columns {
                let (ys, xs) = (cell(row, height, rows), cell(column, width, columns));
                let count = (ys.len() * xs.len()) as f64;
                let line = |y: usize| &plane[y * width + xs.start..y * width + xs.end];
                let sum: f64 = ys.flat_map(line).map(|value| f64::from(*value)).sum();
                pooled.push((sum / count) as f32);
            }
        }
    }
    pooled
}

impl Pass {
    /// Writes batches in order as they come. Takes the receiver, so that workers stop sending once
    /// it has failed.
    fn collect(
        &self,
        receiver: Receiver<(usize, Batch)>,
        batches: usize,
        context: &Context<'_>,
    ) -> Result<Outputs, Failure> {
        let count = self.rows();
        let mut waiting = BTreeMap::new();
        let mut writers: Vec<ArrayWriter<'_>> = Vec::new();
        let mut due = 0;
        for (number, batch) in receiver {
            waiting.insert(number, batch?);
            while let Some(layers) = waiting.remove(&due) {
                if writers.is_empty() {
                    for (item, _) in &layers {
                        writers.push(ArrayWriter::new(context.store, Element::F32, count, item)?);
                    }
                }
                for (writer, (_, rows)) in writers.iter_mut().zip(&layers) {
                    writer.floats(rows)?;
                }
                due += 1;
                (context.progress)(due, batches, "");
            }
        }
        context.go_on()?;
        let mut outputs = Outputs::default();
        for (name, writer) in self.tensors.iter().zip(writers) {
            outputs = outputs.with(name, writer.finish()?);
        }
        Ok(outputs.fact("items", count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_averaged_over_about_equal_cells() {
        let map: Vec<f32> = (0..9).map(|value| value as f32).collect();
        assert_eq!(pool(&map, 1, (3, 3), (1, 1)), [4.0]);
        // Cells overlap where the extent is no multiple, as in adaptive pooling elsewhere.
        assert_eq!(pool(&map, 1, (3, 3), (2, 2)), [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(pool(&map, 1, (3, 3), (3, 3)), map);
    }
}
