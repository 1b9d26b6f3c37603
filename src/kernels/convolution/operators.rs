//! Dense convolutions as operators.

use super::super::{Attributes, Input, Kernel, Kind, Output, Threads};
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
            let shape = Shape {
                items: dy.dims[0],
                inputs: w.dims[1],
                outputs: w.dims[0],
                size: pair(&attributes.extents("input")),
                result: pair(&dy.dims[2..]),
                ..window(attributes)
            };
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
            let shape = Shape {
                items: x.dims[0],
                inputs: x.dims[1],
                outputs: dy.dims[1],
                size: pair(&x.dims[2..]),
                result: pair(&dy.dims[2..]),
                ..window(attributes)
            };
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

fn pair(values: &[usize]) -> [usize; 2] {
    [values[0], values[1]]
}

fn result(attributes: &Attributes, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String> {
    let [items, channels, _] = extents(&inputs[0])?;
    let [outputs, wanted, _] = extents(&inputs[1])?;
    if channels != wanted {
        return Err(format!("{channels} channels for weights of {wanted}"));
    }
    Ok(vec![[&[items, outputs], &attributes.extents("output")[..]].concat()])
}

/// What attributes say of a convolution; all else is 0.
fn window(attributes: &Attributes) -> Shape {
    let list = |name| pair(&attributes.extents(name));
    Shape {
        items: 0,
        inputs: 0,
        outputs: 0,
        size: [0; 2],
        kernel: list("kernel"),
        strides: list("strides"),
        dilations: list("dilations"),
        before: list("before"),
        result: [0; 2],
    }
}

fn convolve(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let (x, w) = (&inputs[0], &inputs[1]);
    let shape = Shape {
        items: x.dims[0],
        inputs: x.dims[1],
        outputs: w.dims[0],
        size: pair(&x.dims[2..]),
        result: pair(&attributes.extents("output")),
        ..window(attributes)
    };
    let bias = inputs.get(2).map(Input::floats);
    forward(&shape, x.floats(), w.floats(), bias, outputs[0].floats(), threads);
}
