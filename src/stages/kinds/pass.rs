//! One pass of a model over a data set, whose tensors are kept: features of layers, or the part of a
//! network that never changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Value as Json, json};

use crate::data::{InputRule, Reads};
use crate::onnx::graph::Port;
use crate::onnx::head::TokenPool;
use crate::onnx::runtime::Tensor;
use crate::onnx::{batch, proto};

use super::super::artifacts::{ArrayWriter, Element};
use super::super::data::OpenDataset;
use super::super::feeding::{DatasetRows, array_of, fed};
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::model::ModelPart;
use super::super::site::{Input, Runs, Site};
use super::super::training::pool_key;
use super::Views;

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
    /// How sequences of tokens become one row, for each tensor; `None` if they are kept.
    pub(in super::super) pools: Vec<Option<TokenPool>>,
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
        if self.pools.iter().any(Option::is_some) {
            let pools = self.pools.iter().map(|pool| pool.as_ref().map(pool_key));
            key["tokens"] = json!(pools.collect::<Vec<_>>());
        }
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
        let mut graph = graph.part(&graph.inputs, &taps);
        let fixed = batch::fixed(&graph);
        graph.drop_unread_inputs();
        let fed = match self.model.base.input {
            Reads::Image(_) => vec![],
            Reads::AsItIs => fed(&self.model.base.graph, &graph.inputs, &self.data)?,
        };
        let size = fixed.unwrap_or(BATCH);
        let model = proto::encode(&graph);
        let count = self.rows();
        let batches = count.div_ceil(size);
        // Each worker decodes a batch and runs it, so that all cores do whichever is due.
        let (sender, receiver) = sync_channel(context.cores * 2);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let workers = context.cores.clamp(1, batches.max(1));
        let (pass, model, next) = (self, &model[..], &next);
        let worker = Worker { pass, model, fed, batch: size, fixed, next, context };
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
    /// What goes into its inputs, if that are arrays.
    fed: Vec<DatasetRows>,
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
        // A model with a free batch gets just what there is.
        let rows = self.fixed.unwrap_or(items.len());
        let inputs = match &self.pass.model.base.input {
            Reads::Image(rule) => vec![self.pixels(rule, items.clone(), rows)?],
            Reads::AsItIs => {
                let items: Vec<usize> = items.clone().collect();
                let values = self.fed.iter().map(|input| input.batch(&items, rows));
                values.collect::<Result<_, _>>()?
            }
        };
        let outputs = session.run(&inputs.iter().collect::<Vec<_>>())?;
        let layers = outputs.iter().zip(&self.pass.pools);
        layers.map(|(output, pool)| self.rows(output, pool.as_ref(), items.clone())).collect()
    }

    fn pixels(
        &self,
        rule: &InputRule,
        items: std::ops::Range<usize>,
        rows: usize,
    ) -> Result<Tensor, Failure> {
        let length = rule.length();
        let mut values = vec![0.0; self.batch * length];
        for (index, row) in items.zip(values.chunks_exact_mut(length)) {
            self.pass.read(index, rule, row)?;
        }
        values.truncate(rows * length);
        let dims: Vec<usize> = std::iter::once(rows).chain(rule.item()).collect();
        Ok(Tensor::f32(&dims, values)?)
    }

    /// The rows of the items, pooled over space or over tokens if asked to.
    fn rows(
        &self,
        output: &Tensor,
        pool: Option<&TokenPool>,
        range: std::ops::Range<usize>,
    ) -> Result<(Vec<usize>, Vec<f32>), Failure> {
        let (dims, items) = (output.dims(), range.len());
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
        if let (Some(pool), &[tokens, features]) = (pool, &dims[1..]) {
            let sequences = values.chunks_exact(length).zip(range);
            let pooled = sequences.map(|(sequence, item)| {
                let weights = self.pass.weights(pool, item, tokens)?;
                Ok(weighted_mean(sequence, &weights, features))
            });
            return Ok((vec![features], pooled.collect::<Result<Vec<_>, Failure>>()?.concat()));
        }
        match (self.pass.spatial, &dims[1..]) {
            (Some(side), &[channels, height, width]) => {
                let side = (side.min(height), side.min(width));
                let pooled = values
                    .chunks_exact(length)
                    .flat_map(|map| averaged(map, channels, (height, width), side))
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
fn averaged(
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

/// A weighted mean over tokens, of each feature.
fn weighted_mean(sequence: &[f32], weights: &[f64], features: usize) -> Vec<f32> {
    let total: f64 = weights.iter().sum();
    let mut sums = vec![0.0; features];
    for (token, weight) in sequence.chunks_exact(features).zip(weights) {
        if *weight == 0.0 {
            continue;
        }
        for (sum, value) in sums.iter_mut().zip(token) {
            *sum += weight * f64::from(*value);
        }
    }
    sums.into_iter().map(|sum| (sum / total) as f32).collect()
}

impl Pass {
    /// How much each token of an item counts.
    fn weights(&self, pool: &TokenPool, item: usize, tokens: usize) -> Result<Vec<f64>, Failure> {
        match pool {
            TokenPool::First => Ok((0..tokens).map(|at| f64::from(u8::from(at == 0))).collect()),
            TokenPool::Mean(None) => Ok(vec![1.0; tokens]),
            TokenPool::Mean(Some(mask)) => {
                let array = array_of(&self.model.base, &self.data, mask);
                let array = array.ok_or_else(|| Failure::new(format!("read the mask `{mask}`")))?;
                Ok(array.row(self.data.dataset.items()[item].row).numbers())
            }
        }
    }

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
    fn tokens_that_are_not_marked_do_not_count() {
        let sequence = [1.0, 2.0, 3.0, 6.0, f32::NAN, 100.0];
        assert_eq!(weighted_mean(&sequence, &[1.0, 1.0, 0.0], 2), [2.0, 4.0]);
        assert_eq!(weighted_mean(&sequence, &[1.0, 0.0, 0.0], 2), [1.0, 2.0]);
    }

    #[test]
    fn maps_are_averaged_over_about_equal_cells() {
        let map: Vec<f32> = (0..9).map(|value| value as f32).collect();
        assert_eq!(averaged(&map, 1, (3, 3), (1, 1)), [4.0]);
        // Cells overlap where the extent is no multiple, as in adaptive pooling elsewhere.
        assert_eq!(averaged(&map, 1, (3, 3), (2, 2)), [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(averaged(&map, 1, (3, 3), (3, 3)), map);
    }
}
