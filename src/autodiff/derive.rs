//! Reverse-mode differentiation of a whole graph, one rule a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::graph::{Graph, Node};
use crate::onnx::observe::Observation;

use super::fusion;
use super::refusals::{carried, floats, stops, unknown};
use super::rules::{Rule, SEVERAL, rule};
use super::site::{Forward, Gradients, Mode, Refusal, Site};
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

    /// The gradients of its inputs; none at all if none of its outputs leads to the loss.
    fn backward(
        &self,
        known: &BTreeMap<String, Var>,
        tape: &mut Tape,
    ) -> Result<Gradients, Refusal> {
        let names = self.site.node.outputs.iter();
        let given: Vec<Option<Var>> = names.map(|name| known.get(name).cloned()).collect();
        if given.iter().all(Option::is_none) {
            return Ok(vec![]);
        }
        let further = given.iter().skip(1).position(Option::is_some);
        if let Some(further) = further.filter(|_| !SEVERAL.contains(&self.rule.op)) {
            let name = &self.site.node.outputs[further + 1];
            return Err(self.site.refuse(format!("no gradient is known for its output `{name}`")));
        }
        let site = Site { gradients: given, ..self.site.clone() };
        let dy = site.gradient(0, tape);
        (self.rule.backward)(&site, &self.forward, &dy, tape)
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
    forward_partly(graph, seen, given, &Learning::all(wanted), mode, tape)
}

/// Which parameters a graph is emitted for.
pub(super) struct Learning<'a> {
    /// Those whose values are no constants; what depends on them is written as rules write it.
    pub(super) varying: &'a BTreeSet<String>,
    /// Those whose gradients will be asked for, some or all of the former. Where nothing of them
    /// comes in, normalisations use running statistics, which stay.
    pub(super) wanted: &'a BTreeSet<String>,
}

impl<'a> Learning<'a> {
    /// All that varies learns.
    pub(super) fn all(wanted: &'a BTreeSet<String>) -> Self {
        Self { varying: wanted, wanted }
    }
}

/// Like [`forward`], for a graph of which only a part learns.
pub(super) fn forward_partly<'a>(
    graph: &'a Graph,
    seen: &'a Observation,
    given: BTreeMap<String, Var>,
    learning: &Learning<'_>,
    mode: Mode,
    tape: &mut Tape,
) -> Result<Passed<'a>, Vec<Refusal>> {
    let mut refused = unknown(graph, seen, learning.wanted);
    if !refused.is_empty() {
        return Err(refused);
    }
    let cuts = match tape.dialect() {
        Dialect::Kernels => fusion::cuts(graph),
        Dialect::Library | Dialect::Embedded => fusion::Cuts::default(),
    };
    let mut passed = Passed { vars: given, steps: Vec::new() };
    let mut reached =
        Reached { varying: learning.varying.clone(), carrying: learning.wanted.clone() };
    for node in &graph.nodes {
        let site = match site(graph, seen, &mut passed.vars, node, &reached, mode, tape) {
            Ok(site) => Site { cut: cuts.of(node), is_part: cuts.is_part(node), ..site },
            Err(refusal) => {
                refused.push(refusal);
                continue;
            }
        };
        let carried = carried(graph, seen, node);
        let carries = site.wanted.contains(&true);
        let known = rule(&node.domain, &node.op);
        let known = known.filter(|_| reached.varies(node) && !carried.is_empty());
        let result = match known {
            Some(rule) => (rule.forward)(&site, tape),
            None => Ok(site.copy(tape)),
        };
        match result {
            Err(refusal) => refused.push(refusal),
            Ok(forward) => {
                refused.extend(unmade(graph, &site, &forward));
                for (name, var) in node.outputs.iter().zip(&forward.outputs) {
                    passed.vars.insert(name.clone(), var.clone());
                }
                let Some(rule) = known else { continue };
                reached.varying.extend(carried.iter().map(|name| (*name).to_owned()));
                if carries {
                    reached.carrying.extend(carried.into_iter().map(str::to_owned));
                    passed.steps.push(Done { site, forward, rule });
                }
            }
        }
    }
    if refused.is_empty() { Ok(passed) } else { Err(refused) }
}

/// A rule need not emit further outputs of its operator; but then nobody may read them.
fn unmade(graph: &Graph, site: &Site<'_>, forward: &Forward) -> Option<Refusal> {
    let mut missing = site.node.outputs.iter().skip(forward.outputs.len());
    let read = |name: &&String| graph.nodes.iter().any(|node| node.inputs.contains(name));
    let name = missing.find(|name| !name.is_empty() && read(name))?;
    Some(site.refuse(format!("its output `{name}` is read, and is not made while training")))
}

/// Tensors that parameters have reached so far.
struct Reached {
    /// Depend on a parameter that is no constant.
    varying: BTreeSet<String>,
    /// Carry a gradient.
    carrying: BTreeSet<String>,
}

impl Reached {
    fn varies(&self, node: &Node) -> bool {
        !stops(node) && node.inputs.iter().any(|name| self.varying.contains(name))
    }
}

fn site<'a>(
    graph: &'a Graph,
    seen: &Observation,
    vars: &mut BTreeMap<String, Var>,
    node: &'a Node,
    reached: &Reached,
    mode: Mode,
    tape: &mut Tape,
) -> Result<Site<'a>, Refusal> {
    let unseen = |tensor: &str| Refusal {
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
        inputs.push(Some(var.ok_or_else(|| unseen(name))?));
    }
    let dims = |name: &String| match name.is_empty() {
        true => Some(vec![]),
        false => seen.shape(graph, name).map(<[usize]>::to_vec),
    };
    let wanted: Vec<bool> =
        node.inputs.iter().map(|name| !stops(node) && reached.carrying.contains(name)).collect();
    let varies = reached.varies(node);
    // What does not learn stays as it is, its statistics included.
    let mode = match mode {
        Mode::Train if !wanted.contains(&true) => Mode::Infer,
        mode => mode,
    };
    let output_dims = node.outputs.iter().map(|name| match dims(name) {
        Some(dims) => Ok(dims),
        // Where no rule writes, nobody asks for the shape.
        None if !varies => Ok(vec![]),
        None => Err(unseen(name)),
    });
    Ok(Site {
        node,
        inputs,
        output_dims: output_dims.collect::<Result<_, _>>()?,
        wanted,
        floats: floats(graph, seen, node),
        constants: node.inputs.iter().map(|name| graph.initializers.get(name)).collect(),
        mode,
        gradients: vec![],
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
        self.backward_from(BTreeMap::from([(output.to_owned(), gradient)]), tape)
    }

    /// The same for several tensors with given gradients.
    pub(super) fn backward_from(
        &self,
        given: BTreeMap<String, Var>,
        tape: &mut Tape,
    ) -> Result<BTreeMap<String, Var>, Vec<Refusal>> {
        let mut gradients = given;
        let mut refused = Vec::new();
        for done in self.steps.iter().rev() {
            match done.backward(&gradients, tape) {
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
