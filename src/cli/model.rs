//! `model`: what one's own model is, before a pipeline names it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;

use crate::base::{Target, counted};
use crate::console::{self, InspectedPort, Inspection};
use crate::data::Reads;
use crate::onnx::batch::Trial;
use crate::onnx::external::Opened;
use crate::onnx::footprint::Footprint;
use crate::onnx::graph::{Dim, Graph, Port};
use crate::onnx::inspect::{self, Seen};
use crate::onnx::precision::{kind_name, to_single, weight_kinds};
use crate::onnx::tensor::Shape;
use crate::onnx::{batch, external, freeze, layers, proto};
use crate::stages::{Look, carried_input, is_fed, metadata};

use super::Exit;
use super::arguments::Common;
use super::check::start_runtime;
use super::look::look;
use super::model_check::{Request, TOKENS, check};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Tells whether a model can be trained: what gradients meet at each operator, and what to do
    /// where they do not pass. Ends with 1 if they do not pass everywhere, or are wrong.
    Check {
        /// The ONNX file.
        file: PathBuf,
        /// Compares the gradient of every tensor that can learn with finite differences, on random
        /// input. Errors up to 1 % are agreement, which rounding to single precision leaves; up to 5 %
        /// where kinks of rectifiers and maxima make measurements differ as much from step to step.
        /// A wrong gradient is wrong by tens of per cent.
        #[arg(long)]
        gradcheck: bool,
        /// Lets normalisations use their running statistics instead of those of the batch.
        #[arg(long)]
        running_statistics: bool,
        /// Runs it with this many items, if the file leaves that free or it can be freed.
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = super::arguments::at_least_one)]
        items: usize,
        /// Height and width to run it with, where the file leaves them free; or tokens.
        #[arg(long, value_name = "N", conflicts_with = "shape", value_parser = super::arguments::at_least_one)]
        size: Option<usize>,
        /// The whole shape to run it with, the batch first.
        #[arg(long, value_name = "N,C,H,W", value_delimiter = ',', value_parser = super::arguments::at_least_one)]
        shape: Option<Vec<usize>>,
    },
    /// Tells what a pipeline has to know of a model: layers, head, shapes, cost.
    Inspect {
        /// The ONNX file.
        file: PathBuf,
        /// Height and width to run it with, where the file leaves them free; or tokens.
        #[arg(long, value_name = "N", conflicts_with = "shape", value_parser = super::arguments::at_least_one)]
        size: Option<usize>,
        /// The whole shape to run it with, the batch first.
        #[arg(long, value_name = "N,C,H,W", value_delimiter = ',', value_parser = super::arguments::at_least_one)]
        shape: Option<Vec<usize>>,
    },
}

/// Does what was asked for.
pub(super) fn model(command: &ModelCommand, common: &Common) -> anyhow::Result<Exit> {
    let (file, size, shape) = match command {
        ModelCommand::Inspect { file, size, shape } => (file, size, shape),
        ModelCommand::Check { file, gradcheck, running_statistics, items, size, shape } => {
            let request = Request {
                file,
                gradcheck: *gradcheck,
                running: *running_statistics,
                items: *items,
                size: *size,
                shape: shape.as_deref(),
            };
            return check(&request, common);
        }
    };
    let inspection = inspect(file, *size, shape.as_deref(), common)?;
    match common.json {
        true => console::out(&serde_json::to_string_pretty(&inspection)?),
        false => console::out(&console::inspection(&inspection)),
    }
    Ok(Exit::Good)
}

/// What a model that a run wrote tells of an item, in words.
fn tells(graph: &Graph) -> Option<String> {
    let text = |key: &str| graph.metadata.get(key).map(String::as_str);
    let names: Vec<String> = serde_json::from_str(text(metadata::CLASSES)?).ok()?;
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = match Target::of_word(text(metadata::TARGET)) {
        Target::Classes => format!("one of {} classes", names.len()),
        Target::Labels => counted(names.len(), "label"),
        Target::Values => counted(names.len(), "number"),
    };
    Some(format!("{what}: {shown}{more}"))
}

/// Names of outputs that are shown.
const MOST_NAMES: usize = 20;

fn inspect(
    file: &Path,
    size: Option<usize>,
    shape: Option<&[usize]>,
    common: &Common,
) -> anyhow::Result<Inspection> {
    let told = || format!("read {}", file.display());
    let Opened { bytes, mut graph, .. } = external::open(file).with_context(told)?;
    let writer = proto::writer(&bytes).with_context(told)?;
    let weights = weight_kinds(&graph);
    let port = |port: &Port| InspectedPort {
        name: port.name.clone(),
        kind: kind_name(port.kind),
        shape: port.shown(),
    };
    let ports = |ports: &[Port]| ports.iter().map(port).collect::<Vec<_>>();
    let (inputs, outputs) = (ports(&graph.inputs), ports(&graph.outputs));
    let raised = to_single(&mut graph);
    let (eyes, runtime) = {
        let runtime = start_runtime(common)?;
        (look(runtime, None), runtime.version().to_owned())
    };
    let looked = run_shapes(&graph, size, shape)
        .and_then(|shapes| Ok((eyes.observe(&graph, &shapes)?, shapes)))
        .map_err(|why| why + assumed(&graph, size));
    let trial = batch::trial(&graph);
    let fixed = trial.as_ref().and_then(|trial| batch::fixed(&trial.fixed));
    let freed =
        looked.as_ref().ok().zip(trial).map(|((_, shapes), trial)| freed(&trial, shapes, &eyes));
    let items = |shapes: &[Shape]| shapes.first().and_then(|shape| shape.first()).copied();
    let seen = looked.as_ref().ok();
    let seen = seen.map(|(seen, fed)| Seen { shapes: seen, items: items(fed).unwrap_or(1) });
    let heads = inspect::heads(&graph, seen);
    let all = inspect::every_node(&graph, seen);
    let groups =
        heads.iter().find_map(|head| Some(freeze::groups(&graph, head.at.as_ref()?).len()));
    let entry = Entry { file, graph: &graph, size, shape, heads: &heads }.text();
    Ok(Inspection {
        file: file.display().to_string(),
        bytes: bytes.len(),
        opset: graph.opset,
        ir_version: writer.ir_version,
        producer: writer.producer,
        nodes: graph.nodes.len(),
        inputs,
        outputs,
        tells: tells(&graph),
        weights: weights.into_iter().map(|(kind, count)| (kind_name(kind), count)).collect(),
        raised,
        runtime,
        not_run: looked.as_ref().err().cloned(),
        fixed_batch: fixed,
        freed: freed.as_ref().is_some_and(Result::is_ok),
        not_freed: freed.and_then(Result::err),
        parameters: all.iter().map(|layer| layer.parameters).sum(),
        macs: all.iter().map(|layer| layer.macs).sum(),
        size: seen.map(|seen| Footprint::of(&graph, seen.shapes, seen.items)),
        layers: if common.verbose > 0 { all } else { inspect::layers(&graph, seen) },
        every_node: common.verbose > 0,
        names: layers::candidates(&graph),
        heads,
        groups,
        batch_normalizations: count(&graph, "BatchNormalization"),
        entry,
    })
}

fn count(graph: &Graph, op: &str) -> usize {
    graph.nodes.iter().filter(|node| node.op == op).count()
}

/// Whether a fixed batch can be freed, or why not.
fn freed(trial: &Trial, shapes: &[Shape], eyes: &Look) -> Result<(), String> {
    let mut tried = trial.freed.iter().map(|freed| eyes.agree(&trial.fixed, freed, shapes));
    let first = tried.next().unwrap_or_else(|| Err("it has no first axis".to_owned()));
    if first.is_ok() || tried.any(|agreed| agreed.is_ok()) { Ok(()) } else { first }
}

/// The shapes to run a model with, or why it is not run.
fn run_shapes(
    graph: &Graph,
    size: Option<usize>,
    shape: Option<&[usize]>,
) -> Result<Vec<Shape>, String> {
    if let Some(port) = graph.inputs.iter().find(|port| !is_fed(port.kind)) {
        let kind = kind_name(port.kind);
        let name = &port.name;
        return Err(format!(
            "its input `{name}` holds {kind}, and floats, int64, int32 and bool are fed"
        ));
    }
    match (shape, &graph.inputs[..]) {
        (Some(shape), [_]) => Ok(vec![shape.to_vec()]),
        (Some(_), ports) => Err(format!("it has {} inputs, and --shape is for one", ports.len())),
        (None, ports) => ports.iter().map(|port| port_shape(port, size)).collect(),
    }
}

/// What was taken for granted where a model of tokens was run.
fn assumed(graph: &Graph, size: Option<usize>) -> &'static str {
    let is_free = |port: &Port| {
        let mut further = port.dims.iter().flatten().skip(1);
        !port.is_float() && further.any(|dim| matches!(dim, Dim::Free(_)))
    };
    match size.is_none() && graph.inputs.iter().any(is_free) {
        true => "; it was tried with 8 tokens: say --size N for another number",
        false => "",
    }
}

/// The shape of one input: 1 for a free batch, some tokens where whole numbers are read.
fn port_shape(port: &Port, size: Option<usize>) -> Result<Shape, String> {
    let Some(dims) = port.dims.as_deref() else {
        return Err("the file does not say the shape of its input: say --shape N,C,H,W".to_owned());
    };
    let extent = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Fixed(extent) => Ok(*extent),
        Dim::Free(_) if axis == 0 => Ok(1),
        Dim::Free(_) if !port.is_float() => Ok(size.unwrap_or(TOKENS)),
        Dim::Free(_) => size.ok_or_else(|| {
            format!(
                "the file leaves the shape of its input free ({}): say --size N, or the whole \
                     of it with --shape N,C,H,W",
                port.shown()
            )
        }),
    };
    dims.iter().enumerate().map(extent).collect()
}

/// What a pipeline would say of a model.
struct Entry<'a> {
    file: &'a Path,
    graph: &'a Graph,
    size: Option<usize>,
    shape: Option<&'a [usize]>,
    heads: &'a [inspect::HeadFound],
}

impl Entry<'_> {
    /// YAML to paste; nothing for a model that no pipeline can use.
    fn text(&self) -> Option<String> {
        let mut lines = vec!["models:".to_owned(), format!("  {}:", self.name())];
        lines.push(format!("    onnx: {}", self.file.display()));
        match (carried_input(self.graph), &self.graph.inputs[..]) {
            (Some(Reads::Image(_)), _) => {
                lines.push("    # its input rule lies in the file itself".to_owned());
            }
            (None, [port]) if port.is_float() && !is_row(port) => {
                lines.push(format!("    input: {{ {} }}", self.input(port)?));
                lines.push(
                    "    # scale, mean, std and order of channels are not in the file: look them up \
                     where it was trained"
                        .to_owned(),
                );
            }
            (_, ports) => {
                let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
                let names = names.join(", ");
                lines.push("    input: as_it_is".to_owned());
                lines.push(format!("    # it reads arrays of a data set by these names: {names}"));
            }
        }
        if self.heads.len() > 1 {
            let output = self.heads.iter().find(|head| head.none.is_none())?;
            lines.push(format!("    output: {}", output.output));
        }
        Some(lines.join("\n"))
    }

    /// The file's name as the language has names.
    fn name(&self) -> String {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let name: String = stem.chars().map(plain).collect();
        match name.starts_with(|first: char| first.is_ascii_lowercase()) {
            true => name,
            false => format!("model_{name}"),
        }
    }

    /// Size, channels and layout, from the declared shape; nothing if it is no image's.
    fn input(&self, port: &Port) -> Option<String> {
        let declared: Vec<Option<usize>> = match (self.shape, &port.dims) {
            (Some(shape), _) => shape.iter().map(|&extent| Some(extent)).collect(),
            (None, Some(dims)) => dims
                .iter()
                .map(|dim| match dim {
                    Dim::Fixed(extent) => Some(*extent),
                    Dim::Free(_) => None,
                })
                .collect(),
            (None, None) => vec![None; 4],
        };
        let few = |extent: Option<usize>| extent.is_some_and(|extent| [1, 3].contains(&extent));
        let (channels, height, width, layout) = match declared[..] {
            [_, a, b, c] if few(c) && !few(a) => (c, a, b, ", layout: nhwc"),
            [_, a, b, c] => (a, b, c, ""),
            [_, Some(length)] => {
                let side = |channels: usize| {
                    let side = (length / channels).isqrt();
                    (side * side * channels == length).then_some((channels, side))
                };
                let (channels, side) = side(1).or_else(|| side(3))?;
                (Some(channels), Some(side), Some(side), ", layout: flat")
            }
            _ => return None,
        };
        let of = |extent: Option<usize>| {
            extent.or(self.size).map_or("…".to_owned(), |n| n.to_string())
        };
        let size = match height == width {
            true => of(height),
            false => format!("[{}, {}]", of(height), of(width)),
        };
        Some(format!("size: {size}, channels: {}{layout}", of_channels(channels)))
    }
}

/// Whether an input is a row of numbers that is no square image, or a row of rows.
fn is_row(port: &Port) -> bool {
    match port.dims.as_deref() {
        Some([_, Dim::Fixed(length)]) => {
            let is_square =
                |channels: usize| (length / channels).isqrt().pow(2) * channels == *length;
            !is_square(1) && !is_square(3)
        }
        Some(dims) => dims.len() == 3,
        None => false,
    }
}

fn of_channels(channels: Option<usize>) -> String {
    channels.unwrap_or(3).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(dims: Vec<Dim>, size: Option<usize>) -> Option<String> {
        let port = Port { name: "x".into(), kind: 1, dims: Some(dims) };
        let graph = Graph { inputs: vec![port], ..Graph::default() };
        let entry = Entry {
            file: Path::new("7 Nets-v1.onnx"),
            graph: &graph,
            size,
            shape: None,
            heads: &[],
        };
        entry.text().map(|text| text.lines().nth(3).unwrap_or_default().trim().to_owned())
    }

    #[test]
    fn size_channels_and_layout_are_read_from_the_declared_shape() {
        let free = || Dim::Free(String::new());
        let fixed = Dim::Fixed;
        let cases = [
            (vec![free(), fixed(3), fixed(224), fixed(224)], "input: { size: 224, channels: 3 }"),
            (
                vec![fixed(1), fixed(28), fixed(30), fixed(1)],
                "input: { size: [28, 30], channels: 1, layout: nhwc }",
            ),
            (vec![fixed(1), fixed(784)], "input: { size: 28, channels: 1, layout: flat }"),
            (vec![free(), fixed(3), free(), free()], "input: { size: …, channels: 3 }"),
        ];
        for (dims, told) in cases {
            assert_eq!(entry(dims, None).unwrap(), told);
        }
        let free = vec![free(), fixed(3), free(), free()];
        assert_eq!(entry(free, Some(96)).unwrap(), "input: { size: 96, channels: 3 }");
        assert_eq!(entry(vec![fixed(1), fixed(5)], None).unwrap(), "input: as_it_is");
        assert_eq!(entry(vec![fixed(1), fixed(2), fixed(9)], None).unwrap(), "input: as_it_is");
    }
}
