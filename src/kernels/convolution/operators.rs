//! Dense convolutions as operators.

use super::super::{Attributes, Input, Kernel, Kind, Output, Threads, pair};
use super::{Shape, forward, input_gradient, weight_gradient};

const TWO: &[Kind] = &[Kind::F32, Kind::F32];
const ONE: &[Kind] = &[Kind::F32];

pub(in super::super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "Convolution",
        inputs: TWO,
        repeats: false,
        outputs: ONE,
        lists: &["kernel", "strides", "dilations", "before", "output"],
        numbers: &[],
        shapes: result,
        compute: convolve,
    },
    Kernel {
        name: "ConvolutionWithBias",
        inputs: &[Kind::F32, Kind::F32, Kind::F32],
        repeats: false,
        outputs: ONE,
        lists: &["kernel", "strides", "dilations", "before", "output"],
        numbers: &[],
        shapes: result,
        compute: convolve,
    },
    Kernel {
        name: "ConvolutionInputGradient",
        inputs: TWO,
        repeats: false,
        outputs: ONE,
        lists: &["kernel", "strides", "dilations", "before", "input"],
        numbers: &[],
        shapes: |attributes, inputs| {
            let [items, _, _] = extents(&inputs[0])?;
            let [_, channels, _] = extents(&inputs[1])?;
            Ok(vec![[&[items, channels], &attributes.extents("input")[..]].concat()])
        },
        compute: |attributes, inputs, outputs, threads| {
            let (dy, w) = (&inputs[0], &inputs[1]);
            let planes = [attributes.pair("input"), pair(&dy.dims[2..])];
            let shape = shape(attributes, dy.dims[0], [w.dims[1], w.dims[0]], planes);
            input_gradient(&shape, dy.floats(), w.floats(), outputs[0].floats(), threads);
        },
    },
    Kernel {
        name: "ConvolutionWeightGradient",
        inputs: TWO,
        repeats: false,
        outputs: ONE,
        lists: &["kernel", "strides", "dilations", "before"],
        numbers: &[],
        shapes: |attributes, inputs| {
            let [_, outputs, _] = extents(&inputs[0])?;
            let [_, inputs, _] = extents(&inputs[1])?;
            Ok(vec![[&[outputs, inputs], &attributes.extents("kernel")[..]].concat()])
        },
        compute: |attributes, inputs, outputs, threads| {
            let (dy, x) = (&inputs[0], &inputs[1]);
            let planes = [pair(&x.dims[2..]), pair(&dy.dims[2..])];
            let shape = shape(attributes, x.dims[0], [x.dims[1], dy.dims[1]], planes);
            weight_gradient(&shape, x.floats(), dy.floats(), outputs[0].floats(), threads);
        },
    },
];

/// Extents of the first two axes, and of planes.
fn extents(dims: &[usize]) -> Result<[usize; 3], String> {
    match *dims {
        [first, second, high, wide] => Ok([first, second, high * wide]),
        _ => Err(format!("a convolution over planes has 4 axes, not {}", dims.len())),
    }
}

fn result(attributes: &Attributes, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String> {
    let [items, channels, _] = extents(&inputs[0])?;
    let [outputs, wanted, _] = extents(&inputs[1])?;
    if channels != wanted {
        return Err(format!("{channels} channels for weights of {wanted}"));
    }
    Ok(vec![[&[items, outputs], &attributes.extents("output")[..]].concat()])
}

/// The convolution of a node: its window is in the attributes. Channels and planes are those of the
/// input, then of the result.
fn shape(
    attributes: &Attributes,
    items: usize,
    [inputs, outputs]: [usize; 2],
    [size, result]: [[usize; 2]; 2],
) -> Shape {
    Shape {
        items,
        inputs,
        outputs,
        size,
        kernel: attributes.pair("kernel"),
        strides: attributes.pair("strides"),
        dilations: attributes.pair("dilations"),
        before: attributes.pair("before"),
        result,
    }
}

fn convolve(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let (x, w) = (&inputs[0], &inputs[1]);
    let planes = [pair(&x.dims[2..]), attributes.pair("output")];
    let shape = shape(attributes, x.dims[0], [x.dims[1], w.dims[0]], planes);
    let bias = inputs.get(2).map(Input::floats);
    forward(&shape, x.floats(), w.floats(), bias, outputs[0].floats(), threads);
}
