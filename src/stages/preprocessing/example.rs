//! Whether a model says of an image what it said where it was trained.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::data::InputRule;
use crate::onnx::graph::Graph;

use super::super::job::{Context, Cores, Failure, Job, Outputs};
use super::super::model::{Example, ModelPart};
use super::distance::{are_shares, shares};
use super::rules::{others, reordered, swapped};

/// Compares the output for an image with the one that is known, under the declared rule and, where
/// that is not it, under the usual others.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) model: ModelPart,
    pub(super) rule: InputRule,
    pub(super) example: Arc<Example>,
}

/// What counts as the same: the largest difference as a share of the range of what is known. Of 46
/// photographs and five real models, red and blue the other way round make at least 0.014.
const SAME: f64 = 0.01;

impl Shown {
    /// How far the output is from what is known under a rule, as a share of its range.
    fn distance(
        &self,
        graph: &Graph,
        rule: &InputRule,
        context: &Context<'_>,
    ) -> Result<f64, Failure> {
        context.go_on()?;
        let pixels = std::slice::from_ref(&self.example.pixels);
        let batches = super::outputs(graph, rule, pixels, context)?;
        let output = batches.first().and_then(|(_, outputs)| outputs.first());
        let values = output.and_then(|output| {
            let rows = output.dims().first().copied().unwrap_or(1).max(1);
            Some(&output.floats()?[..output.floats()?.len() / rows])
        });
        let known = &self.example.output;
        let Some(values) = values.filter(|values| values.len() == known.len()) else {
            let given = values.map_or(0, <[f32]>::len);
            return Err(Failure::with_help(
                format!(
                    "compare what the model says of `{}`, {given} numbers, with the {} it should say",
                    self.example.image,
                    known.len()
                ),
                "give the example what the model's `output` says, or choose another `output`",
            ));
        };
        let values = match are_shares(known) {
            true => shares(values),
            false => values.iter().map(|value| f64::from(*value)).collect(),
        };
        Ok(apart(known, &values))
    }

    /// The usual rule under which the output comes out, if there is one.
    fn better(&self, graph: &Graph, context: &Context<'_>) -> Result<Option<InputRule>, Failure> {
        let usual = others(&self.rule, std::slice::from_ref(&self.example.pixels));
        let all = std::iter::once(&self.rule).chain(&usual);
        let all = all.flat_map(|rule| [rule.clone(), swapped(rule), reordered(rule)]);
        let mut best: Option<(f64, InputRule)> = None;
        for rule in all.filter(|rule| *rule != self.rule) {
            let distance = self.distance(graph, &rule, context)?;
            if distance <= SAME && best.as_ref().is_none_or(|(least, _)| distance < *least) {
                best = Some((distance, rule));
            }
        }
        Ok(best.map(|(_, rule)| rule))
    }
}

/// The largest difference as a share of the range of what is known; infinite where a model says what
/// is no number.
fn apart(known: &[f64], values: &[f64]) -> f64 {
    if values.iter().any(|value| !value.is_finite()) {
        return f64::INFINITY;
    }
    let largest = |all: &mut dyn Iterator<Item = f64>| all.fold(f64::NEG_INFINITY, f64::max);
    let range = largest(&mut known.iter().copied()) + largest(&mut known.iter().map(|k| -k));
    largest(&mut known.iter().zip(values).map(|(known, value)| (known - value).abs())) / range
}

impl Job for Shown {
    fn kind(&self) -> &'static str {
        "example"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "model": self.model.key(),
            "input": self.rule,
            "output": self.model.base.output,
            "example": self.example.digests.each_ref().map(ToString::to_string),
        }))
    }

    fn computes(&self) -> bool {
        true
    }

    fn cores(&self) -> Cores {
        Cores::One
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let graph = self.model.load(context)?;
        let graph = super::scores(&graph, self.model.base.output.as_deref());
        let declared = self.distance(&graph, &self.rule, context)?;
        if declared <= SAME {
            return Ok(Outputs::default().fact("apart", declared));
        }
        let help = match self.better(&graph, context)? {
            Some(rule) => format!("it does with `input: {}`", rule.written()),
            None => "nor does it by any of the usual rules: check that the image and its output \
                     belong together, and are of this model"
                .to_owned(),
        };
        Err(Failure::with_help(
            format!(
                "come out with `input` as declared: what the model says of `{}` is up to {:.0} % of \
                 its range away from what it should say",
                self.example.image,
                100.0 * declared
            ),
            help,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_compared_by_their_range_and_nan_is_never_the_same() {
        assert_eq!(apart(&[1.0, 5.0], &[1.0, 4.0]).to_bits(), 0.25_f64.to_bits());
        assert!(apart(&[1.0, 5.0], &[f64::NAN, f64::NAN]) > SAME);
        assert!(apart(&[1.0, 5.0], &[1.0, f64::NAN]) > SAME);
    }
}
