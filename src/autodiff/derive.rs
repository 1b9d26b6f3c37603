//! Reverse-mode differentiation of a whole graph, one rule a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::graph::{Graph, Node};
use crate::onnx::observe::Observation;

use super::fusion;
use super::rules::{Rule, rule};
use super::site::{Forward, Mode, Refusal, Site};
use super::tape::{Dialect, Tape, Var};

/// A graph emitted on a tape, with what backward needs.
pub(super) struct Passed<'a> {
    /// The tape's tensor for each of the model's.
    pub(super) vars: BTreeMap<String, Var>,
    steps: Vec<Done<'a>>,
}

/// One node that gradients pass through.
pub(super) struct Done<'a> {
    site: Site<'a>,
    pub(super) forward: Forward,
    rule: &'static Rule,
}

impl Done<'_> {
    pub(super) fn node(&self) -> &Node {
        self.site.node
    }
}

/// Emits `graph`. `given` are the tensors that are already there: inputs, and the parameters in
/// `wanted`, whose gradients will be asked for.
pub(super) fn forward<'a>(
    graph: &'a Graph,
    seen: &'a Observation,
    given: BTreeMap<String, Var>,
    wanted: &BTreeSet<String>,
    mode: Mode,
    tape: &mut Tape,
) -> Result<Passed<'a>, Vec<Refusal>> {
    let mut refused = refusals(graph, seen, wanted);
    if !refused.is_empty() {
        return Err(refused);
    }
    let cuts = match tape.dialect() {
        Dialect::Kernels => fusion::cuts(graph),
        Dialect::Library | Dialect::Embedded => fusion::Cuts::default(),
    };
    let mut passed = Passed { vars: given, steps: Vec::new() };
    let mut carrying = wanted.clone();
    for node in &graph.nodes {
        let site = match site(graph, seen, &mut passed.vars, node, &carrying, mode, tape) {
            Ok(site) => Site { cut: cuts.of(node), is_part: cuts.is_part(node), ..site },
            Err(refusal) => {
                refused.push(refusal);
                continue;
            }
        };
        let carries = site.wanted.iter().any(|wanted| *wanted);
        let known = rule(&node.domain, &node.op).filter(|_| carries);
        let result = match known {
            Some(rule) => (rule.forward)(&site, tape),
            None => Ok(site.copy(tape)),
        };
        match result {
            Err(refusal) => refused.push(refusal),
            Ok(forward) => {
                for (name, var) in node.outputs.iter().zip(&forward.outputs) {
                    passed.vars.insert(name.clone(), var.clone());
                }
                if let Some(rule) = known {
                    carrying.extend(node.writes().map(str::to_owned));
                    passed.steps.push(Done { site, forward, rule });
                }
            }
        }
    }
    if refused.is_empty() { Ok(passed) } else { Err(refused) }
}

/// Operators whose outputs are shapes and positions: no gradient passes. They are named since those
/// that upgrading a model has added were never seen.
const STOPS: [&str; 5] = ["Shape", "Size", "ArgMax", "ArgMin", "NonZero"];

/// Every node that stands between a wanted parameter and the output without a rule.
pub fn refusals(graph: &Graph, seen: &Observation, wanted: &BTreeSet<String>) -> Vec<Refusal> {
    let mut carrying: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let mut refused = Vec::new();
    for node in &graph.nodes {
        if !node.reads().any(|name| carrying.contains(name)) {
            continue;
        }
        if STOPS.contains(&node.op.as_str()) {
            continue;
        }
        // Integers and masks carry no gradient: the path stops there.
        carrying.extend(node.writes().filter(|name| seen.is_float(name)));
        if node.writes().any(|name| seen.is_float(name)) && rule(&node.domain, &node.op).is_none() {
            refused.push(Refusal {
                node: node.name.clone(),
                op: node.op.clone(),
                reason: "no gradient is known for this operator".to_owned(),
            });
        }
    }
    refused
}

fn site<'a>(
    graph: &'a Graph,
    seen: &Observation,
    vars: &mut BTreeMap<String, Var>,
    node: &'a Node,
    carrying: &BTreeSet<String>,
    mode: Mode,
    tape: &mut Tape,
) -> Result<Site<'a>, Refusal> {
    let unknown = |tensor: &str| Refusal {
        node: node.name.clone(),
        op: node.op.clone(),
        reason: format!("the shape of `{tensor}` was not seen"),
    };
    let mut inputs = Vec::new();
    for name in &node.inputs {
        if name.is_empty() {
            inputs.push(None);
            continue;
        }
        if let Some(constant) = graph.initializers.get(name)
            && !vars.contains_key(name)
        {
            tape.model_constant(name, constant);
            vars.insert(name.clone(), Var::new(name.clone(), &constant.dims));
        }
        let var = vars.get(name).cloned();
        let var = var.or_else(|| seen.shape(graph, name).map(|dims| Var::new(name.clone(), dims)));
        // Shapes and positions computed by the model may be unseen; no rule asks for their shape.
        let var = var.or_else(|| (!seen.is_float(name)).then(|| Var::new(name.clone(), &[])));
        inputs.push(Some(var.ok_or_else(|| unknown(name))?));
    }
    let dims = |name: &String| match name.is_empty() {
        true => Some(vec![]),
        false => seen.shape(graph, name).map(<[usize]>::to_vec),
    };
    let stops = STOPS.contains(&node.op.as_str());
    let wanted: Vec<bool> =
        node.inputs.iter().map(|name| !stops && carrying.contains(name)).collect();
    let carries = wanted.contains(&true);
    let output_dims = node.outputs.iter().map(|name| match dims(name) {
        Some(dims) => Ok(dims),
        // Where no gradient passes, nobody asks for the shape.
        None if !carries => Ok(vec![]),
        None => Err(unknown(name)),
    });
    Ok(Site {
        node,
        inputs,
        output_dims: output_dims.collect::<Result<_, _>>()?,
        wanted,
        constants: node.inputs.iter().map(|name| graph.initializers.get(name)).collect(),
        mode,
        cut: None,
        is_part: false,
    })
}

impl<'a> Passed<'a> {
    /// The nodes that gradients pass through, in order.
    pub(super) fn steps(&self) -> &[Done<'a>] {
        &self.steps
    }

    /// Emits the gradients of everything that leads to `output`, whose own gradient is given.
    /// A wanted parameter that does not lead there has none.
    pub(super) fn backward(
        &self,
        output: &str,
        gradient: Var,
        tape: &mut Tape,
    ) -> Result<BTreeMap<String, Var>, Vec<Refusal>> {
        let mut gradients = BTreeMap::from([(output.to_owned(), gradient)]);
        let mut refused = Vec::new();
        for done in self.steps.iter().rev() {
            let Some(dy) = gradients.get(done.site.node.output()).cloned() else { continue };
            match (done.rule.backward)(&done.site, &done.forward, &dy, tape) {
                Err(refusal) => refused.push(refusal),
                Ok(inputs) => add_up(&done.site, inputs, &mut gradients, tape),
            }
        }
        if refused.is_empty() { Ok(gradients) } else { Err(refused) }
    }
}

/// A tensor that several nodes read gets the sum of their gradients.
fn add_up(
    site: &Site<'_>,
    inputs: Vec<Option<Var>>,
    gradients: &mut BTreeMap<String, Var>,
    tape: &mut Tape,
) {
    for (position, gradient) in inputs.into_iter().enumerate() {
        let Some(gradient) = gradient.filter(|_| site.wants(position)) else { continue };
        let name = &site.node.inputs[position];
        let sum = match gradients.get(name) {
            Some(before) => tape.add(before, &gradient),
            None => gradient,
        };
        gradients.insert(name.clone(), sum);
    }
}
