//! What a model is, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::base::counted;
use crate::base::language::{bytes, short};
use crate::onnx::footprint::Footprint;
use crate::onnx::inspect::{HeadFound, Layer};

/// An input or output, in words.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedPort {
    /// Its name.
    pub name: String,
    /// Element type.
    pub kind: String,
    /// Declared shape.
    pub shape: String,
}

/// What a model is.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// The opset of ONNX's own domain.
    pub opset: i64,
    /// The version of the file format.
    pub ir_version: i64,
    /// The program that wrote it; empty if the file does not say.
    pub producer: String,
    /// How many nodes there are, constants not counted.
    pub nodes: usize,
    /// What goes in.
    pub inputs: Vec<InspectedPort>,
    /// What comes out.
    pub outputs: Vec<InspectedPort>,
    /// What it tells of an item, with names, if a run wrote it: `3 labels: left, upper, rare`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tells: Option<String>,
    /// Element types of its weights, with how many values.
    pub weights: Vec<(String, usize)>,
    /// Whether it is turned into single precision when it is opened.
    pub raised: bool,
    /// What ran it.
    pub runtime: String,
    /// Why it was not run, so that shapes are missing.
    pub not_run: Option<String>,
    /// The batch that the file fixes.
    pub fixed_batch: Option<usize>,
    /// Whether that batch is freed, as the model was seen to compute the same with it.
    pub freed: bool,
    /// Why that batch cannot be freed.
    pub not_freed: Option<String>,
    /// Parameters that training can change.
    pub parameters: usize,
    /// Multiply–accumulates for one item.
    pub macs: Option<u64>,
    /// What it asks of a device; nothing if shapes were not seen.
    pub size: Option<Footprint>,
    /// Layers, or every node.
    pub layers: Vec<Layer>,
    /// Whether `layers` lists every node.
    pub every_node: bool,
    /// Names that can be used as `layers` and `freeze`.
    pub names: Vec<String>,
    /// Where a new head would be put on.
    pub heads: Vec<HeadFound>,
    /// Layer groups that `freeze: N` counts.
    pub groups: Option<usize>,
    /// How many `BatchNormalization` nodes keep statistics of their own.
    pub batch_normalizations: usize,
    /// YAML to paste into a pipeline; nothing if no pipeline can use the model.
    pub entry: Option<String>,
}

/// The inspection as lines of text, without a line break at its end.
pub fn inspection(found: &Inspection) -> String {
    let mut parts = vec![facts(found), table(found), remarks(found)];
    if let Some(entry) = &found.entry {
        parts.push(entry.clone());
    }
    parts.join("\n\n")
}

fn facts(found: &Inspection) -> String {
    let producer = match found.producer.is_empty() {
        true => String::new(),
        false => format!(" · written by {}", found.producer),
    };
    let mut text = format!(
        "{} · {} · opset {}{producer} · {}",
        found.file,
        size(found.bytes),
        found.opset,
        counted(found.nodes, "node")
    );
    let rows: Vec<Vec<String>> = [("input", &found.inputs), ("output", &found.outputs)]
        .into_iter()
        .flat_map(|(word, ports)| {
            ports.iter().map(move |port| {
                vec![word.to_owned(), port.name.clone(), port.shape.clone(), port.kind.clone()]
            })
        })
        .collect();
    let _ = write!(text, "\n{}", aligned(&rows, &[]));
    text
}

fn table(found: &Inspection) -> String {
    let head = ["layer", "operators", "output", "parameters", "MACs"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for layer in &found.layers {
        let shape = |dims: &Vec<usize>| {
            dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
        };
        let output = match layer.hands_on.is_empty() {
            true => layer.output.as_ref().map(shape).unwrap_or_default(),
            false => counted(layer.hands_on.len(), "tensor"),
        };
        rows.push(vec![
            layer.name.clone(),
            layer.operators.clone(),
            output,
            nothing_for_zero(layer.parameters.to_string()),
            nothing_for_zero(layer.macs.map(short).unwrap_or_default()),
        ]);
    }
    let macs = found.macs.map(short).unwrap_or_default();
    let total = ["total".to_owned(), String::new(), String::new()];
    rows.push([&total[..], &[found.parameters.to_string(), macs]].concat());
    aligned(&rows, &[3, 4])
}

fn nothing_for_zero(number: String) -> String {
    if number == "0" { String::new() } else { number }
}

fn remarks(found: &Inspection) -> String {
    let mut lines = Vec::new();
    if let Some(tells) = &found.tells {
        lines.push(format!("tells: {tells}"));
    }
    if let Some(reason) = &found.not_run {
        lines.push(format!("shapes: none, as {reason}"));
    }
    lines.extend(found.heads.iter().flat_map(|head| head_lines(head, found.heads.len() > 1)));
    if let Some(groups) = found.groups {
        lines.push(format!(
            "freeze: {} from the input on, counted by `freeze: N`",
            counted(groups, "layer group")
        ));
    }
    lines.push(match found.batch_normalizations {
        0 => "BatchNormalization: none".to_owned(),
        count => format!("BatchNormalization: {count}, with statistics of their own"),
    });
    lines.push(format!("weights: {}", weights(found)));
    lines.extend(found.size.as_ref().map(device));
    lines.push(format!("batch: {}", batch(found)));
    let scopes: Vec<&Layer> =
        found.layers.iter().filter(|layer| !layer.hands_on.is_empty()).collect();
    lines.push(
        "names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)"
            .to_owned(),
    );
    for layer in scopes {
        let several = layer.hands_on.join("`, `");
        lines.push(format!("  of `{}` one tensor has to be chosen: `{several}`", layer.name));
    }
    lines.join("\n")
}

fn head_lines(head: &HeadFound, several: bool) -> Vec<String> {
    let of = if several { format!(" of `{}`", head.output) } else { String::new() };
    let (Some(at), None) = (&head.at, &head.none) else {
        let why = head.none.as_deref().unwrap_or("nothing is known of it");
        return vec![
            format!("head{of}: none is found, as {why}"),
            "  `head: { at: LAYER }` of `fine_tune` puts one on a layer of your choice".to_owned(),
        ];
    };
    let features = match (head.features, head.averaged) {
        (Some(count), true) => format!(", {} averaged over space", counted(count, "feature")),
        (Some(count), false) if head.over_tokens => {
            format!(
                ", {} averaged over tokens (`tokens: first` takes the first)",
                counted(count, "feature")
            )
        }
        (Some(count), false) => format!(", {}", counted(count, "feature")),
        (None, _) => String::new(),
    };
    let cut = match head.cut_off.is_empty() {
        true => "nothing would be cut off, as the output is features".to_owned(),
        false => format!("`{}` would be cut off", head.cut_off.join("`, `")),
    };
    let mut lines = vec![format!("head{of}: a new one reads `{at}`{features}; {cut}")];
    if head.maybe_features {
        lines.push(format!(
            "  if `{}` holds features rather than scores, write `head: {{ at: {} }}`",
            head.output, head.output
        ));
    }
    lines
}

fn weights(found: &Inspection) -> String {
    let kinds: Vec<String> = match &found.weights[..] {
        [] => return "none".to_owned(),
        [(only, _)] => vec![only.clone()],
        many => many.iter().map(|(kind, count)| format!("{count} {kind}")).collect(),
    };
    let raised = if found.raised { ", computed in float32" } else { "" };
    format!("{}{raised}", kinds.join(", "))
}

/// Flash and RAM as a small device counts them.
fn device(size: &Footprint) -> String {
    format!(
        "device: flash {}, RAM {}; with 8 bits flash {}, RAM {}",
        bytes(size.flash_f32),
        bytes(size.ram_f32),
        bytes(size.flash_int8),
        bytes(size.ram_int8)
    )
}

fn batch(found: &Inspection) -> String {
    let Some(items) = found.fixed_batch else { return "free".to_owned() };
    let fixed = format!("fixed to {items} in the file");
    match &found.not_freed {
        Some(because) => format!("{fixed}; cannot be freed: {because}"),
        None if found.freed => format!("{fixed}; freed, as it computes the same"),
        None => fixed,
    }
}

/// "1.9 MB", in powers of 1000.
fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Columns side by side; those in `right` end together.
pub(super) fn aligned(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let gap = " ".repeat(widths[column] - cell.chars().count());
            match right.contains(&column) {
                true => format!("{gap}{cell}"),
                false => format!("{cell}{gap}"),
            }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
