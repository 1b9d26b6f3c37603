//! The models of a file: read, compared with what the file says of them, and looked at.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::base::language::FilePath;
use crate::base::{Digest, Located, Problem};
use crate::data::{InputRule, Layout};
use crate::onnx::external::OpenError;
use crate::onnx::graph::{Dim, FLOAT, Graph, Port};
use crate::onnx::precision::kind_name;
use crate::onnx::tensor::Shape;
use crate::onnx::{any_size, batch, external, layers, precision};
use crate::stages::{BaseModel, Batch, Name, Site, Source, carried_input};

use super::plan::Request;
use super::spec::ModelSpec;

/// Opens a model, or tells everything that is wrong with it.
pub(super) fn open_model(
    name: &Located<Name>,
    spec: &ModelSpec,
    request: &Request<'_>,
    site: &mut Site,
) -> Option<Arc<BaseModel>> {
    let path = spec.onnx.resolve(request.beside);
    let told =
        |message: String| Problem::at(spec.onnx.place, format!("model `{}`: {message}", name.0));
    let (digest, graph) = site.found.keep(read(&path, &told))?;
    let input = input_rule(spec, &graph, site, &told)?;
    if let Some(output) = &spec.output
        && !graph.outputs.iter().any(|port| port.name == output.0)
    {
        let known: Vec<&str> = graph.outputs.iter().map(|port| port.name.as_str()).collect();
        let message = format!("model `{}` has no output `{}`", name.0, output.0);
        site.problem(Problem::at(output.place, message).or_else_one_of(&output.0, known));
        return None;
    }
    let graph = match spec.fully_convolutional {
        true => any_size(&graph, &input, spec, request, site)?,
        false => graph,
    };
    let shape = shape_of(&graph, &input, spec, site, &told)?;
    let (graph, batch) = freed(graph, &shape, request);
    let items = match &batch {
        Batch::Fixed { items, .. } => *items,
        Batch::Free | Batch::Freed => 1,
    };
    let shape = [&[items], &shape[1..]].concat();
    let seen = request.look.observe(&graph, &[shape]);
    let seen = seen.map_err(|error| told(format!("{} cannot be run: {error}", path.display())));
    let seen = site.found.keep(seen)?;
    let aliases: BTreeMap<String, String> = spec
        .layers
        .0
        .iter()
        .map(|(alias, target)| (alias.value.clone(), target.scalar().unwrap_or_default()))
        .collect();
    let model = BaseModel {
        name: name.0.clone(),
        source: Source::File(digest),
        graph,
        input,
        aliases,
        output: spec.output.as_ref().map(|output| output.0.clone()),
        seen,
        batch,
        is_fully_convolutional: spec.fully_convolutional,
    };
    check_aliases(&model, spec, site);
    Some(Arc::new(model))
}

/// The model in single precision, and what it is known by.
fn read(path: &Path, told: &dyn Fn(String) -> Problem) -> Result<(Digest, Graph), Problem> {
    let failed = |error: OpenError| {
        let problem = told(format!("read {}: {error}", path.display()));
        match error {
            OpenError::Read(_) => problem.help(FilePath::HELP),
            OpenError::Parse(_) => problem,
        }
    };
    let mut opened = external::open(path).map_err(failed)?;
    precision::to_single(&mut opened.graph);
    Ok((opened.digest, opened.graph))
}

/// The model rewritten to take images of the size that the file of stages gives.
fn any_size(
    graph: &Graph,
    input: &InputRule,
    spec: &ModelSpec,
    request: &Request<'_>,
    site: &mut Site,
) -> Option<Graph> {
    let place = spec.input.as_ref().map_or(spec.onnx.place, |rule| rule.place);
    let refused = |message: String| {
        Problem::at(place, message).help("leave `fully_convolutional` out and give its own size")
    };
    let [_, height, width] = input.extents();
    let free = own_shape(graph).and_then(|shape| {
        let seen = request.look.observe(graph, &[shape])?;
        let free =
            any_size::taking(graph, &seen, &input.item()).map_err(|error| error.to_string())?;
        any_size::fits(&free, [height, width]).map_err(|error| error.to_string())?;
        Ok(free)
    });
    let told =
        |cause: String| refused(format!("the model takes no images of another size: {cause}"));
    site.found.keep(free.map_err(told))
}

/// The shape that the file fixes for its input; 1 for a free batch.
fn own_shape(graph: &Graph) -> Result<Shape, String> {
    let dims = graph.inputs.first().and_then(|port| port.dims.as_deref()).unwrap_or_default();
    let extent = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Fixed(extent) => Some(*extent),
        Dim::Free(_) => (axis == 0).then_some(1),
    };
    let shape: Option<Shape> = dims.iter().enumerate().map(extent).collect();
    let shape = shape.filter(|shape| shape.len() == 4);
    shape.ok_or_else(|| "its file does not say its own size".to_owned())
}

/// The model with a free batch, if it is sure or was seen to compute the same with it.
fn freed(graph: Graph, shape: &Shape, request: &Request<'_>) -> (Graph, Batch) {
    let Some(trial) = batch::trial(&graph) else { return (graph, Batch::Free) };
    let mut because = String::new();
    for freed in trial.freed {
        match request.look.agree(&trial.fixed, &freed, shape) {
            Ok(()) => return (freed, Batch::Freed),
            Err(why) if because.is_empty() => because = why,
            Err(_) => {}
        }
    }
    (trial.fixed, Batch::Fixed { items: shape[0], because })
}

/// Every alias must name a layer.
fn check_aliases(model: &BaseModel, spec: &ModelSpec, site: &mut Site) {
    for (alias, target) in &spec.layers.0 {
        let word = target.scalar().unwrap_or_default();
        let problem = match model.resolve(alias) {
            Ok(_) => continue,
            Err(layers::NoLayer::Unknown) => {
                let known = layers::candidates(&model.graph);
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let message = format!("`{}` has no layer `{word}`", model.name);
                Problem::at(target.place, message).or_else_one_of(&word, known)
            }
            Err(layers::NoLayer::ManyExits(exits)) => {
                let message =
                    format!("the scope `{word}` of `{}` hands on several tensors", model.name);
                let help = format!("choose one: {}", exits.join(", "));
                Problem::at(target.place, message).help(help)
            }
        };
        site.problem(problem);
    }
}

/// The rule of the file, or the one that a model of ours carries.
fn input_rule(
    spec: &ModelSpec,
    graph: &Graph,
    site: &mut Site,
    told: &dyn Fn(String) -> Problem,
) -> Option<InputRule> {
    let Some(rule) = &spec.input else {
        let carried = carried_input(graph);
        if carried.is_none() {
            site.problem(
                told("how pixels become its input is not said".to_owned())
                    .help("write `input: { size: 224, channels: 3, scale: 255, mean: …, std: … }`"),
            );
        }
        return carried;
    };
    if let Some(contradiction) = rule.contradiction() {
        site.problem(Problem::at(rule.place, contradiction));
        return None;
    }
    Some(rule.value.clone())
}

/// The shape of the model's input for one item, or for the batch that its file fixes; compared
/// with what the file says.
fn shape_of(
    graph: &Graph,
    input: &InputRule,
    spec: &ModelSpec,
    site: &mut Site,
    told: &dyn Fn(String) -> Problem,
) -> Option<Shape> {
    let port = only_input(graph, site, told)?;
    let item = input.item();
    let place = spec.input.as_ref().map_or(spec.onnx.place, |rule| rule.place);
    let declared = port.dims.as_deref().unwrap_or_default();
    let batch = batch::fixed(graph).unwrap_or(1);
    if declared.is_empty() || fits(declared, &item) {
        return Some([&[batch], &item[..]].concat());
    }
    let axes = match input.layout {
        Layout::Nchw => "channels × height × width",
        Layout::Nhwc => "height × width × channels",
        Layout::Flat => "all values in one row",
    };
    let given: Vec<String> = item.iter().map(ToString::to_string).collect();
    let message = format!(
        "the model's input `{}` is {}, but `input` gives {} ({axes})",
        port.name,
        port.shown(),
        given.join(" × "),
    );
    let layouts = [(Layout::Nchw, "nchw"), (Layout::Nhwc, "nhwc"), (Layout::Flat, "flat")];
    let other = layouts.into_iter().find(|(layout, _)| {
        fits(declared, &InputRule { layout: layout.clone(), ..input.clone() }.item())
    });
    let help = match other {
        Some((_, word)) => format!("write `layout: {word}`, the order of axes that fits"),
        None => "change `size`, `channels` or `layout`".to_owned(),
    };
    site.problem(Problem::at(place, message).help(help));
    None
}

/// The one input, of floats.
fn only_input<'a>(
    graph: &'a Graph,
    site: &mut Site,
    told: &dyn Fn(String) -> Problem,
) -> Option<&'a Port> {
    let [port] = &graph.inputs[..] else {
        let names: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
        let message = format!("it has {} inputs ({})", names.len(), names.join(", "));
        site.problem(told(message).help("models with one input, an image, can be used"));
        return None;
    };
    if ![0, FLOAT].contains(&port.kind) {
        let kind = kind_name(port.kind);
        let message = format!("its input `{}` holds {kind}, not floats", port.name);
        site.problem(told(message).help("export the model so that it reads floats"));
        return None;
    }
    Some(port)
}

/// Whether declared axes, the batch first, have room for an item.
fn fits(declared: &[Dim], item: &[usize]) -> bool {
    declared.len() == item.len() + 1
        && declared[1..].iter().zip(item).all(|(dim, extent)| match dim {
            Dim::Fixed(fixed) => fixed == extent,
            Dim::Free(_) => true,
        })
}
