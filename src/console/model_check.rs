//! Whether a model can be trained, as text and as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::autodiff::{Compared, State, Verdict};
use crate::base::counted;
use crate::onnx::graph::Graph;

use super::model::aligned;

/// Whether a model can be trained, and what was seen of its gradients.
#[derive(Clone, Debug, Serialize)]
pub struct ModelCheck {
    /// The file.
    pub file: String,
    /// Its opset.
    pub opset: i64,
    /// What ran it.
    pub runtime: String,
    /// Tensors that would learn if nothing were frozen.
    pub tensors: usize,
    /// Values in them.
    pub parameters: usize,
    /// What gradients meet at each node, in order.
    pub nodes: Vec<NodeState>,
    /// What is in the way of training all of it.
    pub obstacles: Vec<Obstacle>,
    /// How little can be frozen such that the rest can be trained.
    pub way_out: Option<String>,
    /// Items that it was run with.
    pub items: usize,
    /// Whether normalisations used statistics of the `batch` or `running` ones; nothing if there are
    /// none.
    pub statistics: Option<&'static str>,
    /// Gradients beside finite differences, if that was asked for.
    pub gradcheck: Option<Found>,
}

/// What gradients meet at a node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeState {
    /// The node.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// What they meet.
    pub state: State,
}

/// Something that is in the way of training a model.
#[derive(Clone, Debug, Serialize)]
pub struct Obstacle {
    /// The node; nothing if it is the model as a whole.
    pub node: Option<String>,
    /// Its operator.
    pub op: Option<String>,
    /// What is in the way.
    pub reason: String,
    /// What to freeze so that this node is none; nothing if that would leave nothing to learn.
    pub freeze: Option<String>,
    /// Tensors that would still learn then.
    pub left: usize,
}

impl Obstacle {
    /// One that is the model as a whole.
    pub fn whole(reason: String) -> Self {
        Self { node: None, op: None, reason, freeze: None, left: 0 }
    }
}

/// Gradients beside finite differences.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Relative errors up to this one are agreement.
    pub tolerance: f64,
    /// Tensor by tensor.
    pub tensors: Vec<Compared>,
}

impl Found {
    /// What was found at a tolerance.
    pub fn of(tensors: Vec<Compared>, tolerance: f64) -> Self {
        Self { tolerance, tensors }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.tensors.iter().filter(|tensor| tensor.verdict == verdict).count()
    }
}

impl ModelCheck {
    /// Of a model of which nothing is known yet.
    pub fn of(file: &Path, graph: &Graph, runtime: &str) -> Self {
        Self {
            file: file.display().to_string(),
            opset: graph.opset,
            runtime: runtime.to_owned(),
            tensors: 0,
            parameters: 0,
            nodes: vec![],
            obstacles: vec![],
            way_out: None,
            items: 0,
            statistics: None,
            gradcheck: None,
        }
    }

    /// Takes down what gradients meet at each node.
    pub fn nodes_on_the_way(&mut self, graph: &Graph, states: &[State]) {
        let state = |(node, state): (&crate::onnx::graph::Node, &State)| NodeState {
            node: node.name.clone(),
            op: node.op.clone(),
            state: *state,
        };
        self.nodes = graph.nodes.iter().zip(states).map(state).collect();
    }

    /// Whether all of it can be trained and no gradient was found wrong.
    pub fn is_good(&self) -> bool {
        let wrong = self.gradcheck.as_ref().map_or(0, |found| found.count(Verdict::Bad));
        self.obstacles.is_empty() && wrong == 0
    }
}

/// The check as lines of text, without a line break at its end; every node where that is asked for.
pub fn model_check(check: &ModelCheck, every_node: bool) -> String {
    let mut parts = vec![format!("{} · opset {} · on {}", check.file, check.opset, check.runtime)];
    parts.push(match check.obstacles.is_empty() {
        true => trainable(check),
        false => obstacles(check),
    });
    if every_node {
        parts.push(nodes(check));
    }
    if let Some(found) = &check.gradcheck {
        parts.push(gradients(check, found));
    }
    parts.join("\n\n")
}

fn trainable(check: &ModelCheck) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in check.nodes.iter().filter(|node| node.state == State::Passes) {
        *counts.entry(&node.op).or_default() += 1;
    }
    let operators: Vec<String> = counts.iter().map(|(op, count)| format!("{count} {op}")).collect();
    format!(
        "can be trained: {} with {}\ngradients pass {}",
        counted(check.tensors, "tensor"),
        counted(check.parameters, "parameter"),
        operators.join(", ")
    )
}

fn obstacles(check: &ModelCheck) -> String {
    let mut lines = vec!["cannot be trained as a whole".to_owned()];
    for obstacle in &check.obstacles {
        lines.push(match (&obstacle.node, &obstacle.op) {
            (Some(node), Some(op)) => format!("  `{node}` ({op}): {}", obstacle.reason),
            _ => format!("  {}", obstacle.reason),
        });
        if let Some(freeze) = &obstacle.freeze {
            let left = counted(obstacle.left, "tensor");
            lines.push(format!("    help: `freeze: {freeze}` leaves {left} to learn"));
        }
    }
    if let Some(way_out) = &check.way_out {
        lines.push(format!("  help: write {way_out}"));
    }
    lines.join("\n")
}

fn nodes(check: &ModelCheck) -> String {
    let row = |node: &NodeState| {
        let state = match node.state {
            State::Passes => "gradients pass",
            State::Stops => "gradients stop: whole numbers or truth values",
            State::Refused => "refused: no gradient is known",
            State::Before => "no parameter comes before it",
        };
        vec![node.node.clone(), node.op.clone(), state.to_owned()]
    };
    aligned(&check.nodes.iter().map(row).collect::<Vec<_>>(), &[])
}

fn gradients(check: &ModelCheck, found: &Found) -> String {
    let statistics = match check.statistics {
        Some(kind) => format!(", {kind} statistics"),
        None => String::new(),
    };
    let items = counted(check.items, "item");
    let mut rows =
        vec![["tensor", "shape", "computed", "measured", "error", ""].map(str::to_owned).to_vec()];
    rows.extend(found.tensors.iter().map(row));
    let (ok, bad) = (found.count(Verdict::Ok), found.count(Verdict::Bad));
    let small = match found.count(Verdict::TooSmall) {
        0 => String::new(),
        count => format!(", {count} too small to tell"),
    };
    format!(
        "gradients beside finite differences, {items}{statistics}\n{}\n{ok} ok, {bad} bad{small}; \
         an error up to {} % is agreement, up to 5 % where kinks make neighbouring steps differ so far",
        aligned(&rows, &[2, 3, 4]),
        found.tolerance * 100.0
    )
}

fn row(compared: &Compared) -> Vec<String> {
    let shape: Vec<String> = compared.shape.iter().map(ToString::to_string).collect();
    let verdict = match compared.verdict {
        Verdict::Ok => "ok",
        Verdict::Bad => "BAD",
        Verdict::TooSmall => "too small to tell",
    };
    vec![
        compared.tensor.clone(),
        shape.join(" × "),
        format!("{:.4e}", compared.computed),
        format!("{:.4e}", compared.measured),
        compared.error.map_or("–".to_owned(), |error| format!("{error:.0e}")),
        verdict.to_owned(),
    ]
}
