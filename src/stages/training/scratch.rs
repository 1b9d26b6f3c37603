//! Random weights for a residual model whose batch normalisations were folded away: drawn, then
//! scaled layer by layer on a batch of training items.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::Seed;
use crate::onnx::lsuv::{self, Layer};
use crate::onnx::proto;

use super::super::data::Sample;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::kinds::fitted;
use super::super::model::{BaseModel, ModelPart, Source};
use super::super::site::{Runs, Site};

/// Draws and scales.
pub(in super::super) struct Scratch {
    model: ModelPart,
    sample: Sample,
    /// The tensor that the head reads.
    head_at: String,
    /// Multiply–accumulates for one item.
    macs: u64,
}

/// Items that weights are scaled on, at most.
const ITEMS: usize = 32;

/// What this way to start is called in tables.
pub(in super::super) const LSUV: &str = "lsuv";

impl Scratch {
    /// The model as nodes make it, one for each seed.
    pub(in super::super) fn planned(
        base: &Arc<BaseModel>,
        kept: Option<&str>,
        head_at: &str,
        samples: &[(Seed, Sample)],
        macs: u64,
        site: &mut Site,
    ) -> Arc<BaseModel> {
        let count = samples.first().map_or(0, |(_, sample)| sample.train.len());
        let of = samples.first().map_or("", |(_, sample)| sample.data.name.as_str());
        let above = kept.map(|tensor| format!(" above {tensor}")).unwrap_or_default();
        let name = format!("{} (random{above}, scaled on {count} items of {of})", base.name);
        let mut nodes = Vec::new();
        for (position, (seed, sample)) in samples.iter().enumerate() {
            let kept = kept.map(str::to_owned);
            let model =
                ModelPart { base: Arc::clone(base), random: Some(*seed), kept, control: None };
            let inputs = model.input(position).into_iter().collect();
            let head_at = head_at.to_owned();
            let job = Self { model, sample: sample.clone(), head_at, macs };
            nodes.push(site.shared(&format!("weights of {name}"), Some(*seed), job, inputs));
        }
        Arc::new(BaseModel { name, source: Source::Made(Runs::Each(nodes)), ..(**base).clone() })
    }

    fn items(&self) -> &[usize] {
        &self.sample.train[..self.sample.train.len().min(ITEMS)]
    }

    /// Pixels of the items as the model wants them.
    fn batch(&self) -> Result<(Vec<usize>, Vec<f32>), Failure> {
        let Some(rule) = self.model.base.input.image() else {
            return Err(Failure::new("scale random weights: the model reads no images"));
        };
        let mut values = vec![0.0; self.items().len() * rule.length()];
        for (row, &item) in values.chunks_exact_mut(rule.length().max(1)).zip(self.items()) {
            let pixels = fitted(&self.sample.data, item, rule)?;
            rule.normalise(pixels.samples.as_slice(), row);
        }
        let dims = std::iter::once(self.items().len()).chain(rule.item()).collect();
        Ok((dims, values))
    }
}

impl Job for Scratch {
    fn kind(&self) -> &'static str {
        "scratch"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "model": self.model.key(),
            "input": self.model.base.input,
            "head_at": self.head_at,
            "sample": self.sample.key()?,
            "items": ITEMS,
        }))
    }

    fn computes(&self) -> bool {
        true
    }

    fn cores(&self) -> Cores {
        Cores::Share
    }

    fn expected(&self, speed: Speed) -> f64 {
        self.items().len() as f64 * Speed::DECODE + speed.seconds(2 * self.items().len(), self.macs)
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let (mut graph, drawn) = self.model.draw(context)?;
        let (dims, values) = self.batch()?;
        let names = drawn.drawn.into_iter().collect();
        let runtime = context.workshop.runtime();
        let before = lsuv::rescale(runtime, &mut graph, &names, &self.head_at, (&dims, &values))?;
        let spread = |layer: &Layer| json!({ "layer": layer.output, "variance": layer.variance });
        let model = context.store.put("model", &proto::encode(&graph))?;
        let outputs = Outputs::default()
            .with("model", model)
            .fact("scratch_init", LSUV)
            .fact("before_scaling", before.iter().map(spread).collect::<Vec<_>>())
            .fact("untouched", drawn.untouched);
        Ok(outputs)
    }
}
