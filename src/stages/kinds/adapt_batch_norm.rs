//! `adapt_batch_norm`: a base model whose batch normalisations know the target's items.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::language::{Count, keys};
use crate::base::{Located, Problem};
use crate::data::Reads;
use crate::onnx::batch_statistics::{Moments, adapt, normalisations};
use crate::onnx::graph::Graph;
use crate::onnx::runtime::Tensor;
use crate::onnx::{batch, macs, proto, upgrade};
use crate::probe::threads::each_part;

use super::super::data::Sample;
use super::super::feeding::fed;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::model::{BaseModel, ModelPart, Source, metadata};
use super::super::names::{Name, Reference};
use super::super::probing::sample;
use super::super::site::{Offers, Site};
use super::Kind;
use super::pass::fitted;

keys! {
    /// A base model with mean and variance of every batch normalisation taken anew from the training
    /// items of a data set, without their labels (adaptive batch normalisation; Li et al. 2016). They
    /// are taken one layer after the other from the input on, over all items at once. The model can
    /// be the base of other stages, and lies in the run's folder.
    pub struct AdaptBatchNorm {
        /// The base model, or a stage that makes one.
        model: Located<Reference>,
        /// The data set.
        dataset: Located<Name>,
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
    }
}

impl Kind for AdaptBatchNorm {
    const WORD: &'static str = "adapt_batch_norm";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.model]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let base = site.model(&self.model);
        let data = site.dataset(&self.dataset);
        let (base, data) = (base?, data?);
        let base = site.reading(&base, &data, self.dataset.place)?;
        let graph = self.raised(&base, site)?;
        let size = self.train_size.as_ref();
        let differ = ModelPart::of(&base).made_by().is_some_and(super::super::site::Runs::differ)
            || data.is_drawn(size.map(|size| size.0));
        let cost = macs::forward_macs(&graph, &base.seen, base.items());
        let runs = site.for_seeds(differ, |site, position, seed| {
            let sample = sample(site, &data, size, seed)?;
            let model = ModelPart::of(&base);
            let inputs = model.input(position).into_iter().collect();
            Some(site.add("", seed, Adapted { model, sample, macs: cost }, inputs))
        })?;
        let origin = base.origin.clone().unwrap_or_else(|| base.name.clone());
        let model = BaseModel {
            name: site.stage.clone(),
            source: Source::Made(runs),
            graph,
            origin: Some(origin),
            ..(*base).clone()
        };
        Some(Offers { model: Some(Arc::new(model)), ..Offers::default() })
    }
}

impl AdaptBatchNorm {
    /// The model as it will be written, if it has anything to adapt.
    fn raised(&self, base: &BaseModel, site: &mut Site) -> Option<Graph> {
        let graph = match upgrade::upgrade(base.graph.clone()) {
            Ok(graph) => graph,
            Err(error) => {
                let message = format!("`{}` cannot be adapted: {error}", base.name);
                site.problem(Problem::at(self.model.place, message));
                return None;
            }
        };
        if !normalisations(&graph).is_empty() {
            return Some(graph);
        }
        let message = format!("`{}` has no batch normalisation that could be adapted", base.name);
        let help = "exporters fold them into convolutions: export the model as it is trained, or \
                    adapt features with `adapt` of a probe";
        site.problem(Problem::at(self.model.place, message).help(help));
        None
    }
}

/// Takes statistics from items.
struct Adapted {
    model: ModelPart,
    sample: Sample,
    macs: u64,
}

/// Items in a batch.
const BATCH: usize = 32;

impl Job for Adapted {
    fn kind(&self) -> &'static str {
        "adapt_batch_norm"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "model": self.model.key(),
            "input": self.model.base.input,
            "sample": self.sample.key()?,
        }))
    }

    fn computes(&self) -> bool {
        true
    }

    fn cores(&self) -> Cores {
        Cores::All
    }

    /// Half of the model for each of its normalisations.
    fn expected(&self, speed: Speed) -> f64 {
        let (items, layers) =
            (self.sample.train.len(), normalisations(&self.model.base.graph).len());
        let once = items as f64 * Speed::DECODE + speed.seconds(items, self.macs / 2);
        layers as f64 * once
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let mut graph = self.model.load(context)?;
        let all = normalisations(&graph).len();
        let mut done = 0;
        let count = adapt(&mut graph, |part| {
            (context.progress)(done, all, "");
            done += part.outputs.len();
            self.observe(part, context)
        })?;
        let input = json!(self.model.base.input).to_string();
        graph.metadata.insert(metadata::INPUT.to_owned(), input);
        let model = context.store.put("model", &proto::encode(&graph))?;
        Ok(Outputs::default()
            .with("model", model)
            .fact("adapted_normalisations", count)
            .fact("items", self.sample.train.len()))
    }
}

impl Adapted {
    /// The moments of each output of a part of the model. Batches are added in their order, whoever
    /// has computed them.
    fn observe(&self, part: &Graph, context: &Context<'_>) -> Result<Vec<Moments>, Failure> {
        let (model, fixed) = (proto::encode(part), batch::fixed(part));
        let size = fixed.unwrap_or(BATCH);
        let batches: Vec<&[usize]> = self.sample.train.chunks(size).collect();
        let share = batches.len().div_ceil(context.cores.max(1)).max(1);
        let shares = each_part(context.cores, batches.chunks(share), |_, batches| {
            let mut session = context.workshop.session(&model, 1)?;
            let mut found = Vec::with_capacity(batches.len());
            for items in batches {
                context.go_on()?;
                let inputs = self.inputs(part, items, fixed.unwrap_or(items.len()))?;
                let outputs = session.run(&inputs.iter().collect::<Vec<_>>())?;
                let moments = outputs.iter().map(|output| seen(output, items.len()));
                found.push(moments.collect::<Result<Vec<_>, _>>()?);
            }
            Ok::<_, Failure>(found)
        });
        let mut all = vec![Moments::default(); part.outputs.len()];
        for batch in shares.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            all.iter_mut().zip(&batch).for_each(|(all, moments)| all.add(moments));
        }
        Ok(all)
    }

    /// What a batch of items feeds to a part of the model; missing rows are zeros or repeat an item.
    fn inputs(&self, part: &Graph, items: &[usize], rows: usize) -> Result<Vec<Tensor>, Failure> {
        let base = &self.model.base;
        let Reads::Image(rule) = &base.input else {
            let sources = fed(&base.graph, &part.inputs, &self.sample.data)?;
            return sources.iter().map(|source| source.batch(items, rows)).collect();
        };
        let mut values = vec![0.0; rows * rule.length()];
        for (row, &item) in values.chunks_exact_mut(rule.length().max(1)).zip(items) {
            let pixels = fitted(&self.sample.data, item, rule)?;
            rule.normalise(pixels.samples.as_slice(), row);
        }
        let dims: Vec<usize> = std::iter::once(rows).chain(rule.item()).collect();
        Ok(vec![Tensor::f32(&dims, values)?])
    }
}

/// The moments of the first items of a tensor.
fn seen(output: &Tensor, items: usize) -> Result<Moments, Failure> {
    let mut dims = output.dims();
    let values = output.floats().unwrap_or_default();
    let length: usize = dims.iter().skip(1).product();
    let bad = dims.len() < 2 || dims[0] < items || values.len() < items * length;
    if bad || values[..items * length].iter().any(|value| !value.is_finite()) {
        return Err(Failure::with_help(
            format!("take statistics: a layer gives no numbers, or the shape {dims:?}"),
            "check the model's input rule",
        ));
    }
    dims[0] = items;
    Ok(Moments::of(&dims, &values[..items * length]))
}
