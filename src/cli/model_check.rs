//! `model check`: whether a model can be trained, what stands in the way, and, if asked for, whether
//! its gradients are those that finite differences measure.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::autodiff::{self, Compared, Dialect, Mode, NoComparison, Question, Refusal};
use crate::base::Seed;
use crate::console::{self, Found, ModelCheck, Obstacle};
use crate::onnx::batch::{self, fixed};
use crate::onnx::fold::fold;
use crate::onnx::freeze::{divide, groups};
use crate::onnx::graph::{Dim, Graph, Port};
use crate::onnx::inspect::{self, Seen};
use crate::onnx::observe::{Observation, observe};
use crate::onnx::parameters::parameters;
use crate::onnx::precision::to_single;
use crate::onnx::runtime::{Backend, Runtime};
use crate::onnx::tensor::{Shape, Tensor};
use crate::onnx::{external, proto, upgrade};
use crate::stages::Look;

use super::Exit;
use super::arguments::Common;
use super::check::start_runtime;
use super::look::{answered, look, program};

/// What is asked of a model.
pub(super) struct Request<'a> {
    pub(super) file: &'a Path,
    pub(super) gradcheck: bool,
    pub(super) running: bool,
    pub(super) items: usize,
    pub(super) size: Option<usize>,
    pub(super) shape: Option<&'a [usize]>,
}

/// Examines a model and tells.
pub(super) fn check(request: &Request<'_>, common: &Common) -> anyhow::Result<Exit> {
    let told = || format!("read {}", request.file.display());
    let mut graph = external::open(request.file).with_context(told)?.graph;
    to_single(&mut graph);
    let runtime = start_runtime(common)?;
    let eyes = look(runtime, None);
    let mut found = ModelCheck::of(request.file, &graph, runtime.version());
    match ready(graph, request, &eyes) {
        Ok(ready) => examine(&ready, request, runtime, common.cores(), &mut found)?,
        Err(reason) => found.obstacles.push(Obstacle::whole(reason)),
    }
    match common.json {
        true => console::out(&serde_json::to_string_pretty(&found)?),
        false => console::out(&console::model_check(&found, common.verbose > 0)),
    }
    Ok(if found.is_good() { Exit::Good } else { Exit::StageFailed })
}

/// A model as training would have it, and what was seen of it.
struct Ready {
    graph: Graph,
    shapes: Vec<Shape>,
    seen: Observation,
}

/// Frees the batch where that is possible, raises the model to our operator set, and runs it.
fn ready(graph: Graph, request: &Request<'_>, eyes: &Look) -> Result<Ready, String> {
    let graph = freed(graph, request, eyes)?;
    let shapes = shapes(&graph, request)?;
    let mut graph = upgrade::upgrade(graph).map_err(|error| error.to_string())?;
    let seen = eyes.observe(&graph, &shapes).map_err(|why| format!("it does not run: {why}"))?;
    let learned = parameters(&graph);
    fold(&mut graph, &seen, &learned.iter().map(|found| found.name.as_str()).collect());
    Ok(Ready { graph, shapes, seen })
}

fn freed(graph: Graph, request: &Request<'_>, eyes: &Look) -> Result<Graph, String> {
    if graph.inputs.len() != 1 || !graph.inputs[0].is_float() {
        return Ok(graph);
    }
    let Some(trial) = batch::trial(&graph) else { return Ok(graph) };
    let one = shapes(&trial.fixed, request)?;
    let agrees = |freed: &&Graph| eyes.agree(&trial.fixed, freed, &one).is_ok();
    Ok(trial.freed.iter().find(agrees).cloned().unwrap_or(trial.fixed))
}

/// Tokens in an item where the file leaves that free.
pub(super) const TOKENS: usize = 8;

/// The shapes to run a model with, or why it is not run.
fn shapes(graph: &Graph, request: &Request<'_>) -> Result<Vec<Shape>, String> {
    if let (Some(shape), [_]) = (request.shape, &graph.inputs[..]) {
        let mut shape = shape.to_vec();
        if let Some(items) = fixed(graph) {
            shape[0] = items;
        }
        return Ok(vec![shape]);
    }
    graph.inputs.iter().map(|port| port_shape(port, request)).collect()
}

fn port_shape(port: &Port, request: &Request<'_>) -> Result<Shape, String> {
    let unknown = |what: &str| {
        format!(
            "the file leaves the shape of its input `{}` free ({}): say {what}",
            port.name,
            port.shown()
        )
    };
    let Some(dims) = &port.dims else { return Err(unknown("--shape N,C,H,W")) };
    let extent = |(axis, dim): (usize, &Dim)| match (dim, request.size) {
        (Dim::Fixed(extent), _) => Ok(*extent),
        (Dim::Free(_), _) if axis == 0 => Ok(request.items),
        (Dim::Free(_), Some(size)) => Ok(size),
        (Dim::Free(_), None) if !port.is_float() => Ok(TOKENS),
        (Dim::Free(_), None) => Err(unknown("--size N")),
    };
    dims.iter().enumerate().map(extent).collect()
}

/// What keeps a model from being trained; then, if nothing does, its gradients.
fn examine(
    ready: &Ready,
    request: &Request<'_>,
    runtime: &'static Runtime,
    threads: usize,
    found: &mut ModelCheck,
) -> anyhow::Result<()> {
    let divided = divide(&ready.graph, None);
    let suffix = &divided.suffix;
    let varied: Vec<String> = divided.trained.iter().map(|found| found.name.clone()).collect();
    let size = |name: &String| suffix.initializers.get(name).map_or(0, Tensor::len);
    found.tensors = varied.len();
    found.parameters = varied.iter().map(size).sum();
    found.items = ready.shapes.first().and_then(|shape| shape.first()).copied().unwrap_or(1);
    let wanted = varied.iter().cloned().collect();
    let states = autodiff::states(suffix, &ready.seen, &wanted);
    found.nodes_on_the_way(suffix, &states);
    let refused = autodiff::refusals(suffix, &ready.seen, &wanted);
    found.obstacles.extend(refused.iter().map(|refusal| obstacle(ready, refusal)));
    if varied.is_empty() {
        found.obstacles.push(Obstacle::whole("it has no parameters".to_owned()));
    }
    if !found.obstacles.is_empty() {
        found.way_out = way_out(ready, &refused);
        return Ok(());
    }
    let normalises = suffix.nodes.iter().any(|node| node.op == "BatchNormalization");
    let asked = Asked {
        shapes: ready.shapes.clone(),
        varied,
        batch_statistics: normalises && !request.running,
        compare: request.gradcheck,
        threads,
    };
    found.statistics = normalises.then_some(if request.running { "running" } else { "batch" });
    match ask(runtime, suffix, &asked)? {
        Answer::Good(compared) => {
            found.gradcheck = request.gradcheck.then(|| Found::of(compared, autodiff::TOLERANCE));
        }
        Answer::Refused(refused) => {
            found.obstacles.extend(refused.iter().map(|refusal| obstacle(ready, refusal)));
            found.way_out = way_out(ready, &refused);
        }
        Answer::Failed(why) => {
            let why = format!("{} does not run its gradients: {why}", runtime.version());
            found.obstacles.push(Obstacle::whole(why));
        }
    }
    Ok(())
}

fn obstacle(ready: &Ready, refusal: &Refusal) -> Obstacle {
    let node = ready.graph.nodes.iter().find(|node| node.name == refusal.node);
    let left = node.map(|node| divide(&ready.graph, Some(node.output())).trained.len());
    Obstacle {
        node: Some(refusal.node.clone()),
        op: Some(refusal.op.clone()),
        reason: refusal.reason.clone(),
        freeze: node.map(|node| node.output().to_owned()).filter(|_| left.unwrap_or(0) > 0),
        left: left.unwrap_or(0),
    }
}

/// How little can be frozen such that nothing refused is trained through, in groups.
fn way_out(ready: &Ready, refused: &[Refusal]) -> Option<String> {
    let seen = Some(Seen { shapes: &ready.seen, items: ready.shapes.first()?.first().copied()? });
    let heads = inspect::heads(&ready.graph, seen);
    let head = heads.iter().find_map(|head| head.at.clone())?;
    let is_refused = |index: &usize| {
        refused.iter().any(|refusal| refusal.node == ready.graph.nodes[*index].name)
    };
    let body = ready.graph.ancestors([head.as_str()]);
    let in_the_way = body.iter().copied().filter(|index| is_refused(index)).count();
    if in_the_way < refused.len() {
        // Some stand after the place where a new head is put on: it takes their place.
        return Some("`freeze: all`: a new head alone learns".to_owned());
    }
    let all = groups(&ready.graph, &head);
    let covers = |end: &str| {
        let below = ready.graph.ancestors([end]);
        below.iter().filter(|index| is_refused(index)).count() == in_the_way
    };
    let count = all.iter().position(|group| covers(&group.end))? + 1;
    Some(match count == all.len() {
        true => "`freeze: all`: a new head alone learns".to_owned(),
        false => {
            format!("`freeze: {count}` of {} layer groups: what comes after learns", all.len())
        }
    })
}

/// What is asked of a backend, perhaps in a process of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    shapes: Vec<Shape>,
    varied: Vec<String>,
    batch_statistics: bool,
    compare: bool,
    threads: usize,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Good(Vec<Compared>),
    Refused(Vec<Refusal>),
    Failed(String),
}

/// Some graphs make the embedded backend abort its process, so it works in one of its own.
fn ask(runtime: &Runtime, graph: &Graph, asked: &Asked) -> anyhow::Result<Answer> {
    if runtime.backend == Backend::Library {
        return Ok(answer(runtime, graph, asked));
    }
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let path = folder.path().join("model.onnx");
    crate::base::atomic::write(&path, &proto::encode(graph)).context("write the model")?;
    let mut child = program()?;
    child.arg("check-gradients").arg(path).arg(serde_json::to_string(asked)?);
    child.args(["--runtime", "embedded"]);
    Ok(answered(child).unwrap_or_else(|why| Answer::Failed(format!("{why:#}"))))
}

/// The child: answers on standard output.
pub(super) fn child(model: &Path, asked: &str) -> anyhow::Result<Exit> {
    let graph = proto::decode(&std::fs::read(model)?)?;
    let runtime = crate::onnx::runtime::start(None)?;
    let answer = answer(runtime, &graph, &serde_json::from_str(asked)?);
    console::out(&serde_json::to_string(&answer)?);
    Ok(Exit::Good)
}

fn answer(runtime: &Runtime, graph: &Graph, asked: &Asked) -> Answer {
    let seen = match observe(runtime, graph, &asked.shapes) {
        Ok(seen) => seen,
        Err(error) => return Answer::Failed(error.to_string()),
    };
    let question = Question {
        graph,
        seen: &seen,
        varied: &asked.varied,
        mode: if asked.batch_statistics { Mode::Train } else { Mode::Frozen },
        dialect: match runtime.backend {
            Backend::Library => Dialect::Library,
            Backend::Embedded => Dialect::Embedded,
        },
    };
    let compared = match asked.compare {
        true => autodiff::compare(runtime, &question, Seed(0), asked.threads),
        false => autodiff::try_out(runtime, &question, asked.threads).map(|()| vec![]),
    };
    match compared {
        Ok(compared) => Answer::Good(compared),
        Err(NoComparison::Refused(refused)) => Answer::Refused(refused),
        Err(NoComparison::Runtime(error)) => Answer::Failed(error.to_string()),
    }
}
