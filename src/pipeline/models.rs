//! The models of a file: read, compared with what the file says of them, and looked at.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::base::language::{FilePath, unexpected};
use crate::base::{Digest, Located, Place, Problem, Value, Written};
use crate::data::{InputRule, Layout, ReadError, Reads, floats_of, pixels_of};
use crate::onnx::external::OpenError;
use crate::onnx::graph::{BOOL, Dim, Graph, INT32, INT64};
use crate::onnx::observe::Observation;
use crate::onnx::precision::kind_name;
use crate::onnx::tensor::{Data, Shape, Tensor};
use crate::onnx::{any_size, batch, external, layers, precision};
use crate::stages::{BaseModel, Batch, Example, Name, Site, Source, Tells, carried_input, is_fed};

use crate::store::RunModel;

use super::plan::Request;
use super::spec::{Document, ExampleSpec, ModelSpec};

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
    let (digest, mut graph) = site.found.keep(read(&path, &told))?;
    let constants = constants(&mut graph, spec, site)?;
    let input = reads(spec, &graph, site, &told)?;
    if let Some(output) = &spec.output
        && !graph.outputs.iter().any(|port| port.name == output.0)
    {
        let known: Vec<&str> = graph.outputs.iter().map(|port| port.name.as_str()).collect();
        let message = format!("model `{}` has no output `{}`", name.0, output.0);
        site.problem(Problem::at(output.place, message).or_else_one_of(&output.0, known));
        return None;
    }
    let (graph, batch, seen) = match &input {
        Reads::Image(rule) => looked_at(graph, rule, spec, request, site, &told)?,
        // Shapes are those of the data set that it is used with.
        Reads::AsItIs => (graph, Batch::Free, Observation::default()),
    };
    let aliases: BTreeMap<String, String> = spec
        .layers
        .0
        .iter()
        .map(|(alias, target)| (alias.value.clone(), target.scalar().unwrap_or_default()))
        .collect();
    let tells = Tells::carried(&graph);
    let example = match &spec.example {
        Some(example) => Some(site.found.keep(opened_example(example, &input, request.beside))?),
        None => None,
    };
    let model = BaseModel {
        name: name.0.clone(),
        source: Source::File(digest),
        graph,
        input,
        constants,
        aliases,
        output: spec.output.as_ref().map(|output| output.0.clone()),
        seen,
        example: example.map(Arc::new),
        tells,
        origin: None,
        batch,
        is_fully_convolutional: spec.fully_convolutional,
    };
    check_aliases(&model, spec, site);
    Some(Arc::new(model))
}

/// An example, whose image has the model's own size.
fn opened_example(spec: &ExampleSpec, input: &Reads, beside: &Path) -> Result<Example, Problem> {
    let [image, output] = [&spec.image, &spec.output].map(|path| path.resolve(beside));
    let unread =
        |place: Place, error: ReadError| Problem::at(place, error.to_string()).help(FilePath::HELP);
    let pixels = pixels_of(&image).map_err(|error| unread(spec.image.place, error))?;
    let numbers = floats_of(&output).map_err(|error| unread(spec.output.place, error))?;
    let Reads::Image(rule) = input else {
        let message = "an example is an image, and this model reads arrays";
        return Err(Problem::at(spec.image.place, message).help("leave `example` out"));
    };
    let (height, width) = (rule.size.height, rule.size.width);
    if (pixels.height, pixels.width) != (height, width) {
        let message = format!(
            "the example is {}×{} pixels, and the model reads {height}×{width}",
            pixels.height, pixels.width
        );
        let help = "save it at the model's size, as what its output was computed from";
        return Err(Problem::at(spec.image.place, message).help(help));
    }
    let pixels = rule.fitted(pixels).map_err(|why| {
        Problem::at(spec.image.place, format!("the example does not fit the model: {why}"))
    })?;
    let differ = numbers.iter().any(|number| number.total_cmp(&numbers[0]).is_ne());
    if !differ || numbers.iter().any(|number| !number.is_finite()) {
        let message = "an example's output is numbers that differ, none of them nan or infinite";
        return Err(Problem::at(spec.output.place, message));
    }
    let digest = |path: &Path, place: Place| {
        let read = |error: std::io::Error| {
            Problem::at(place, format!("read {}: {error}", path.display())).help(FilePath::HELP)
        };
        Digest::of_file(path).map_err(read)
    };
    let digests = [digest(&image, spec.image.place)?, digest(&output, spec.output.place)?];
    let image = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Example { image, pixels, output: numbers, digests })
}

/// What a run keeps of the models of its file.
pub(super) fn recorded(document: &Document, site: &Site) -> Vec<RunModel> {
    let of = |(name, spec): &(Located<Name>, ModelSpec)| {
        let model = site.models.get(&name.0)?.as_ref()?;
        let Source::File(digest) = &model.source else { return None };
        Some(RunModel {
            name: name.0.clone(),
            digest: digest.to_string(),
            licence: spec.licence.as_ref().map(|licence| licence.0.clone()),
            input: json!(model.input),
        })
    };
    document.models.entries.iter().filter_map(of).collect()
}

/// A model of images: rewritten if that is asked for, its batch freed if possible, and looked at.
fn looked_at(
    graph: Graph,
    input: &InputRule,
    spec: &ModelSpec,
    request: &Request<'_>,
    site: &mut Site,
    told: &dyn Fn(String) -> Problem,
) -> Option<(Graph, Batch, Observation)> {
    let graph = match spec.fully_convolutional {
        true => any_size(&graph, input, spec, request, site)?,
        false => graph,
    };
    let shape = shape_of(&graph, input, spec, site)?;
    let (graph, batch) = freed(graph, &shape, request);
    let items = match &batch {
        Batch::Fixed { items, .. } => *items,
        Batch::Free | Batch::Freed => 1,
    };
    let shape = [&[items], &shape[1..]].concat();
    let path = spec.onnx.resolve(request.beside);
    let seen = request.look.observe(&graph, &[shape]);
    let seen = seen.map_err(|error| told(format!("{} cannot be run: {error}", path.display())));
    Some((graph, batch, site.found.keep(seen)?))
}

/// Inputs that the file gives a number for become constants of the model.
fn constants(
    graph: &mut Graph,
    spec: &ModelSpec,
    site: &mut Site,
) -> Option<BTreeMap<String, f64>> {
    let mut values = BTreeMap::new();
    let mut complete = true;
    for (name, written) in &spec.constants.0 {
        match constant(graph, name, written) {
            Ok(value) => _ = values.insert(name.value.clone(), value),
            Err(problem) => {
                site.problem(problem);
                complete = false;
            }
        }
    }
    complete.then_some(values)
}

/// Makes a constant of an input without a batch axis.
fn constant(graph: &mut Graph, name: &Located<String>, written: &Written) -> Result<f64, Problem> {
    let Some(index) = graph.inputs.iter().position(|port| port.name == name.value) else {
        let known: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
        let problem = Problem::at(name.place, format!("the model has no input `{}`", name.value));
        return Err(problem.or_else_one_of(&name.value, known));
    };
    let value = match written.value {
        Value::Integer(whole) => whole as f64,
        Value::Float(value) => value,
        Value::Bool(value) => f64::from(u8::from(value)),
        _ => return Err(unexpected(written, "a number")),
    };
    let port = &graph.inputs[index];
    let dims: Option<Vec<usize>> = match port.dims.as_deref() {
        Some([]) => Some(vec![]),
        Some([Dim::Fixed(1)]) => Some(vec![1]),
        _ => None,
    };
    let Some(dims) = dims else {
        let message =
            format!("the input `{}` is {}, not a single number", name.value, port.shown());
        return Err(Problem::at(name.place, message)
            .help("give it as an array of the data set, with a row for each item"));
    };
    let data = match port.kind {
        _ if port.is_float() => Data::F32(vec![value as f32]),
        _ if value.fract() != 0.0 => {
            let message = format!("the input `{}` reads {}", name.value, kind_name(port.kind));
            return Err(Problem::at(written.place, message).help("write a whole number"));
        }
        INT64 => Data::I64(vec![value as i64]),
        INT32 => Data::Other { kind: INT32, bytes: (value as i32).to_le_bytes().to_vec() },
        BOOL => Data::Other { kind: BOOL, bytes: vec![u8::from(value != 0.0)] },
        other => {
            let message = format!("the input `{}` reads {}", name.value, kind_name(other));
            let help = "inputs of floats, int64, int32 and bool can be given";
            return Err(Problem::at(name.place, message).help(help));
        }
    };
    graph.inputs.remove(index);
    graph.initializers.insert(name.value.clone(), Tensor { dims, data });
    Ok(value)
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
        match request.look.agree(&trial.fixed, &freed, std::slice::from_ref(shape)) {
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

/// What the model reads: as the file says, or as a model of ours carries it; arrays wherever nothing
/// else is possible.
fn reads(
    spec: &ModelSpec,
    graph: &Graph,
    site: &mut Site,
    told: &dyn Fn(String) -> Problem,
) -> Option<Reads> {
    let said = spec.input.as_ref().map(|said| &said.value);
    let no_image = !matches!(&graph.inputs[..], [port] if port.is_float());
    match said.cloned().or_else(|| carried_input(graph)) {
        Some(Reads::Image(rule)) if !no_image => {
            if let Some(contradiction) = rule.contradiction() {
                let place = spec.input.as_ref().map_or(spec.onnx.place, |said| said.place);
                site.problem(Problem::at(place, contradiction));
                return None;
            }
            Some(Reads::Image(rule))
        }
        Some(Reads::Image(_)) => {
            only_input(graph, spec, site);
            None
        }
        None if !no_image => {
            let mut problem = told("how pixels become its input is not said".to_owned())
                .help("write `input: { size: 224, channels: 3, scale: 255, mean: …, std: … }`");
            if graph.inputs[0].dims.as_ref().is_some_and(|dims| [2, 3].contains(&dims.len())) {
                problem = problem.help("or `input: as_it_is` if it reads rows of numbers");
            }
            site.problem(problem);
            None
        }
        Some(Reads::AsItIs) | None => as_it_is(spec, graph, site, told),
    }
}

/// Whether a model can read arrays as they are.
fn as_it_is(
    spec: &ModelSpec,
    graph: &Graph,
    site: &mut Site,
    told: &dyn Fn(String) -> Problem,
) -> Option<Reads> {
    if spec.fully_convolutional {
        let message = "`fully_convolutional` is for models of images".to_owned();
        site.problem(Problem::at(spec.onnx.place, message).help("leave it out"));
        return None;
    }
    if graph.inputs.is_empty() {
        site.problem(told("it has no inputs".to_owned()));
        return None;
    }
    let mut complete = true;
    for port in graph.inputs.iter().filter(|port| !is_fed(port.kind)) {
        let kind = kind_name(port.kind);
        let message = format!("its input `{}` holds {kind}", port.name);
        let help = "inputs of floats, int64, int32 and bool can be fed";
        site.problem(told(message).help(help));
        complete = false;
    }
    complete.then_some(Reads::AsItIs)
}

/// The shape of the model's input for one item, or for the batch that its file fixes; compared
/// with what the file says.
fn shape_of(graph: &Graph, input: &InputRule, spec: &ModelSpec, site: &mut Site) -> Option<Shape> {
    let port = graph.inputs.first()?;
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

/// A rule for images is no use to a model that reads something else.
fn only_input(graph: &Graph, spec: &ModelSpec, site: &mut Site) {
    let reads: Vec<String> = graph
        .inputs
        .iter()
        .map(|port| format!("`{}` ({} of {})", port.name, kind_name(port.kind), port.shown()))
        .collect();
    let place = spec.input.as_ref().map_or(spec.onnx.place, |said| said.place);
    let message = format!("the model reads no image: its inputs are {}", reads.join(", "));
    let help = "leave `input` out, or write `input: as_it_is`: it reads arrays of a data set by these \
                names";
    site.problem(Problem::at(place, message).help(help));
}

/// Whether declared axes, the batch first, have room for an item.
fn fits(declared: &[Dim], item: &[usize]) -> bool {
    declared.len() == item.len() + 1
        && declared[1..].iter().zip(item).all(|(dim, extent)| match dim {
            Dim::Fixed(fixed) => fixed == extent,
            Dim::Free(_) => true,
        })
}
