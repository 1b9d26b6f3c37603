//! Models that read the arrays of a data set as they are: which array goes into which input, whether
//! it fits, and the values of a batch.

use std::sync::Arc;

use crate::base::{Place, Problem};
use crate::data::{NamedArray, NumberSlice, Numbers};
use crate::onnx::batch;
use crate::onnx::example::table_rows;
use crate::onnx::graph::{BOOL, Dim, Graph, INT32, INT64, Port};
use crate::onnx::precision::kind_name;
use crate::onnx::runtime::Tensor;
use crate::onnx::tensor::Shape;
use crate::train::{Rows, gather};

use super::data::OpenDataset;
use super::job::Failure;
use super::model::{BaseModel, Batch};
use super::site::Site;

/// Position of the array that is for an input: the one of that name, or the only array where the
/// model has one input.
fn position(graph: &Graph, data: &OpenDataset, input: &str) -> Option<usize> {
    let arrays = data.dataset.arrays();
    let named = arrays.iter().position(|array| array.input == input);
    named.or_else(|| (arrays.len() == 1 && graph.inputs.len() == 1).then_some(0))
}

/// The array that is for an input.
pub(super) fn array_of<'a>(
    base: &BaseModel,
    data: &'a OpenDataset,
    input: &str,
) -> Option<&'a NamedArray> {
    position(&base.graph, data, input).map(|index| &data.dataset.arrays()[index])
}

/// Whether a model reads sequences of so many tokens: whole numbers in rows of that length.
pub(super) fn reads_tokens(base: &BaseModel, tokens: usize) -> bool {
    let whole = base.graph.inputs.iter().filter(|port| !port.is_float());
    whole.into_iter().any(|port| {
        matches!(base.seen.shape(&base.graph, &port.name), Some([_, length]) if *length == tokens)
    })
}

/// Rows of a data set's array as one input of a model takes them.
#[derive(Clone, Debug)]
pub(super) struct DatasetRows {
    data: Arc<OpenDataset>,
    array: usize,
    /// The element type of the input.
    kind: i32,
    is_float: bool,
}

impl DatasetRows {
    /// For an input of a model that was fitted to the data set.
    pub(super) fn of(graph: &Graph, port: &Port, data: &Arc<OpenDataset>) -> Option<Self> {
        let array = position(graph, data, &port.name)?;
        let is_float = port.is_float();
        Some(Self { data: Arc::clone(data), array, kind: port.kind, is_float })
    }

    fn array(&self) -> &NamedArray {
        &self.data.dataset.arrays()[self.array]
    }

    /// Shape of one item.
    pub(super) fn item(&self) -> &[usize] {
        &self.array().item
    }

    fn row(&self, item: usize) -> NumberSlice<'_> {
        self.array().row(self.data.dataset.items()[item].row)
    }

    /// The values of a batch; missing rows repeat the last item.
    pub(super) fn batch(&self, items: &[usize], rows: usize) -> Result<Tensor, Failure> {
        let dims = [&[rows], self.item()].concat();
        Ok(gather(self, items, rows).tensor(&dims)?)
    }
}

impl Rows for DatasetRows {
    fn length(&self) -> usize {
        self.array().length()
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        match self.row(row) {
            NumberSlice::Floats(values) => into.copy_from_slice(values),
            NumberSlice::Whole(values) => {
                into.iter_mut().zip(values).for_each(|(to, from)| *to = *from as f32);
            }
        }
    }

    fn whole(&self) -> Option<i32> {
        (!self.is_float).then_some(self.kind)
    }

    fn copy_whole(&self, row: usize, into: &mut [i64]) {
        match self.row(row) {
            NumberSlice::Whole(values) => into.copy_from_slice(values),
            NumberSlice::Floats(values) => {
                into.iter_mut().zip(values).for_each(|(to, from)| *to = *from as i64);
            }
        }
    }
}

/// What is fed to the inputs of a model, or of a part of one, in their order.
pub(super) fn fed(
    graph: &Graph,
    ports: &[Port],
    data: &Arc<OpenDataset>,
) -> Result<Vec<DatasetRows>, Failure> {
    let rows = |port: &Port| {
        let missing = || Failure::new(format!("feed `{}`: it has no array", port.name));
        DatasetRows::of(graph, port, data).ok_or_else(missing)
    };
    ports.iter().map(rows).collect()
}

/// A model fitted to the arrays of a data set: looked at with items of their shapes, its batch freed
/// if that changes nothing. Whatever does not fit is told at `place`.
pub(super) fn fitted(
    base: &Arc<BaseModel>,
    data: &Arc<OpenDataset>,
    place: Place,
    site: &mut Site,
) -> Option<Arc<BaseModel>> {
    let known = (base.name.clone(), data.name.clone());
    if let Some(fitted) = site.fitted.get(&known) {
        return fitted.clone();
    }
    let fitted = tried(base, data, place, site);
    site.fitted.insert(known, fitted.clone());
    fitted
}

fn tried(
    base: &Arc<BaseModel>,
    data: &Arc<OpenDataset>,
    place: Place,
    site: &mut Site,
) -> Option<Arc<BaseModel>> {
    let problems = misfits(&format!("`{}`", base.name), &base.graph, data);
    if !problems.is_empty() {
        for (message, help) in problems {
            site.problem(Problem::at(place, message).help(help));
        }
        return None;
    }
    let graph = &base.graph;
    let arrays = data.dataset.arrays();
    for array in arrays.iter().filter(|array| !array.input.is_empty() && arrays.len() > 1) {
        if !graph.inputs.iter().any(|port| port.name == array.input) {
            let note = format!("{}: `{}` does not read `{}`", data.name, base.name, array.input);
            site.note(note);
        }
    }
    let items = batch::fixed(graph).unwrap_or(1);
    let shape = |port: &Port| -> Option<Shape> {
        Some([&[items], &array_of(base, data, &port.name)?.item[..]].concat())
    };
    let shapes: Vec<Shape> = graph.inputs.iter().map(shape).collect::<Option<_>>()?;
    let (graph, batch) = freed(base, &shapes, site);
    let items = match &batch {
        Batch::Fixed { items, .. } => *items,
        Batch::Free | Batch::Freed => 1,
    };
    let shapes: Vec<Shape> = shapes.iter().map(|shape| [&[items], &shape[1..]].concat()).collect();
    let seen = site.look.observe(&graph, &shapes).map_err(|error| {
        Problem::at(place, format!("`{}` cannot be run on `{}`: {error}", base.name, data.name))
    });
    let seen = site.found.keep(seen)?;
    Some(Arc::new(BaseModel { graph, seen, batch, ..(**base).clone() }))
}

/// The model with a free batch, if it has one or was seen to compute the same with it.
fn freed(base: &BaseModel, shapes: &[Shape], site: &Site) -> (Graph, Batch) {
    if base.batch != Batch::Free {
        return (base.graph.clone(), base.batch.clone());
    }
    let Some(trial) = batch::trial(&base.graph) else { return (base.graph.clone(), Batch::Free) };
    let mut because = String::new();
    for freed in trial.freed {
        match site.look.agree(&trial.fixed, &freed, shapes) {
            Ok(()) => return (freed, Batch::Freed),
            Err(why) if because.is_empty() => because = why,
            Err(_) => {}
        }
    }
    (trial.fixed, Batch::Fixed { items: shapes[0][0], because })
}

/// What does not fit between the inputs of a model and the arrays of a data set, with ways out.
pub(super) fn misfits(model: &str, graph: &Graph, data: &OpenDataset) -> Vec<(String, String)> {
    let arrays = data.dataset.arrays();
    if arrays.is_empty() {
        let message = format!("{model} reads arrays as they are, and `{}` has images", data.name);
        let help = match &graph.inputs[..] {
            [port] if port.is_float() => {
                "say how images become its input: `input: { size: …, channels: … }` of the model"
            }
            _ => "take a data set of arrays: `npz: { path: FILE, inputs: { INPUT: ARRAY } }`",
        };
        return vec![(message, help.to_owned())];
    }
    let mut told = Vec::new();
    for port in &graph.inputs {
        match position(graph, data, &port.name).map(|index| &arrays[index]) {
            Some(array) => told.extend(misfit((model, graph), data, port, array)),
            None => {
                let message = format!(
                    "{model} reads `{}`, and `{}` has no array for it",
                    port.name, data.name
                );
                let help = missing(port, arrays);
                told.push((message, help));
            }
        }
    }
    told
}

/// The way out where an input has no array.
fn missing(port: &Port, arrays: &[NamedArray]) -> String {
    let has_no_items =
        port.dims.as_deref().is_some_and(|dims| matches!(dims, [] | [Dim::Fixed(1)]));
    if has_no_items {
        return "it is the same for all items: give its value under `constants` of the model"
            .to_owned();
    }
    let known: Vec<String> = arrays
        .iter()
        .map(|array| match array.input.is_empty() {
            true => format!("`{}`, for a model with one input", array.source),
            false => format!("`{}`", array.input),
        })
        .collect();
    format!("name its array under `inputs` of the data set, where there are {}", known.join(", "))
}

/// What does not fit between an input and its array.
fn misfit(
    (model, graph): (&str, &Graph),
    data: &OpenDataset,
    port: &Port,
    array: &NamedArray,
) -> Option<(String, String)> {
    let name = format!("input `{}` of {model}", port.name);
    if let Some(declared) = port.dims.as_deref().filter(|dims| !has_room(dims, &array.item)) {
        let given: Vec<String> = array.item.iter().map(ToString::to_string).collect();
        let message = format!(
            "the {name} is {}, but a row of `{}` in `{}` is {}",
            port.shown(),
            array.source,
            data.name,
            given.join(" × ")
        );
        let help = match declared.len() == array.item.len() + 1 {
            true => "save the array at that length: cut longer rows, fill up shorter ones",
            false => "the first axis is the items; the others are those of the array",
        };
        return Some((message, help.to_owned()));
    }
    if port.is_float() {
        return not_finite(data, array);
    }
    if matches!(array.numbers, Numbers::Floats(_)) && array.is_typed {
        let message = format!(
            "the {name} reads {}, but `{}` in `{}` holds floats",
            kind_name(port.kind),
            array.source,
            data.name
        );
        return Some((message, "save the array as integers".to_owned()));
    }
    out_of_range((model, graph), data, port, array)
}

/// Up to here (2²⁴), floats hold every whole number.
const EXACT: f32 = 16_777_216.0;

/// Whether declared axes, the batch first, have room for an item.
fn has_room(declared: &[Dim], item: &[usize]) -> bool {
    declared.is_empty()
        || declared.len() == item.len() + 1
            && declared[1..].iter().zip(item).all(|(dim, extent)| match dim {
                Dim::Fixed(fixed) => fixed == extent,
                Dim::Free(_) => true,
            })
}

fn not_finite(data: &OpenDataset, array: &NamedArray) -> Option<(String, String)> {
    for item in data.dataset.items() {
        let row = array.row(item.row);
        let odd = match row {
            NumberSlice::Floats(values) => values.iter().position(|value| !value.is_finite()),
            NumberSlice::Whole(values) => {
                values.iter().position(|value| value.unsigned_abs() > EXACT as u64)
            }
        };
        let Some(odd) = odd else { continue };
        let message = format!(
            "item `{}` of `{}` has the value {} in `{}`, at {odd}",
            item.id,
            data.name,
            row.shown(odd),
            array.source
        );
        let help = match row {
            NumberSlice::Floats(_) => {
                "values are finite numbers; mend them, or leave such items out by `on_bad: skip`"
            }
            NumberSlice::Whole(_) => "the input reads floats, which hold whole numbers up to 2²⁴",
        };
        return Some((message, help.to_owned()));
    }
    None
}

/// The first value that an input of whole numbers cannot take.
fn out_of_range(
    (model, graph): (&str, &Graph),
    data: &OpenDataset,
    port: &Port,
    array: &NamedArray,
) -> Option<(String, String)> {
    let rows = table_rows(graph, &port.name);
    let (least, most, why) = match (rows, port.kind) {
        (Some(rows), _) => (0, rows as i64 - 1, format!("its table has {rows} rows")),
        (None, INT32) => (i32::MIN.into(), i32::MAX.into(), "it reads int32".to_owned()),
        (None, BOOL) => (0, 1, "it reads truth values".to_owned()),
        (None, _) => (i64::MIN, i64::MAX, String::new()),
    };
    for item in data.dataset.items() {
        let row = array.row(item.row);
        let odd = match row {
            NumberSlice::Whole(values) => {
                values.iter().position(|value| !(least..=most).contains(value))
            }
            NumberSlice::Floats(values) => values.iter().position(|value| {
                value.fract() != 0.0
                    || value.abs() > EXACT
                    || !(least..=most).contains(&(*value as i64))
            }),
        };
        let Some(odd) = odd else { continue };
        let why = if why.is_empty() { "it reads whole numbers".to_owned() } else { why };
        let message = format!(
            "item `{}` of `{}` has the value {} in `{}`, at {odd}, and input `{}` of {model} takes {}: \
             {why}",
            item.id,
            data.name,
            row.shown(odd),
            array.source,
            port.name,
            takes(least, most)
        );
        let help = match rows {
            Some(_) => "take the tokens of the model's own vocabulary",
            None => "save the array with values that the input takes",
        };
        return Some((message, help.to_owned()));
    }
    None
}

fn takes(least: i64, most: i64) -> String {
    match (least, most) {
        (i64::MIN, i64::MAX) => "whole numbers".to_owned(),
        _ => format!("{least} to {most}"),
    }
}

/// Whether values of an element type can be fed.
pub fn is_fed(kind: i32) -> bool {
    [0, crate::onnx::graph::FLOAT, INT32, INT64, BOOL].contains(&kind)
}
