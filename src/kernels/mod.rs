//! Kernels of our own: parts of a training step that standard operators compute slowly, as pure
//! functions on slices. Knows neither models nor runtimes; a graph names a kernel by [`DOMAIN`] and
//! its name, and a runtime lends it threads.
//!
//! Every kernel divides its work in the same way whatever the number of threads, and adds partial
//! sums in a fixed order: results are the same bits on one thread and on many.

#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for wide registers")]
#![allow(clippy::needless_range_loop, reason = "lanes of several arrays go side by side")]

mod activation;
mod attributes;
mod batch_norm;
mod channel_sum;
pub mod convolution;
mod depthwise;
mod flat;
mod functions;
mod gelu;
pub(crate) mod lanes;
mod layer_norm;
mod leading_sum;
mod lowered;
mod max_pool;
mod optimiser;
mod parts;
mod product;
mod rows;
mod scratch;
mod softmax;
mod threads;
mod wide;
mod winograd;

pub use attributes::Attributes;
use attributes::pair;
pub use depthwise::MOST_TAPS;
pub use threads::{Serial, Threads};

/// Domain of the operators that are kernels.
pub const DOMAIN: &str = "tl-run.kernels";

/// Version of all kernels together. It belongs to the key of whatever was trained with them: raise
/// it when any kernel gives other bits.
pub const VERSION: u32 = 2;

/// What a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Floats.
    F32,
    /// Small numbers, such as the places of maxima within a window.
    U8,
}

/// Values that go in.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Small numbers.
    U8(&'a [u8]),
}

/// A tensor that goes in.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Its shape.
    pub dims: Vec<usize>,
    /// Its values, in row-major order.
    pub values: Values<'a>,
}

impl<'a> Input<'a> {
    /// Its floats; none if it holds something else.
    pub fn floats(&self) -> &'a [f32] {
        match self.values {
            Values::F32(values) => values,
            Values::U8(_) => &[],
        }
    }

    /// Its small numbers; none if it holds something else.
    pub fn bytes(&self) -> &'a [u8] {
        match self.values {
            Values::U8(values) => values,
            Values::F32(_) => &[],
        }
    }
}

/// Where a tensor that comes out is written; all of it.
#[derive(Debug)]
pub enum Output<'a> {
    /// Floats.
    F32(&'a mut [f32]),
    /// Small numbers.
    U8(&'a mut [u8]),
}

impl Output<'_> {
    /// Where floats are written; nowhere if it is for something else.
    pub fn floats(&mut self) -> &mut [f32] {
        match self {
            Output::F32(values) => values,
            Output::U8(_) => &mut [],
        }
    }

    /// Where small numbers are written; nowhere if it is for something else.
    pub fn bytes(&mut self) -> &mut [u8] {
        match self {
            Output::U8(values) => values,
            Output::F32(_) => &mut [],
        }
    }
}

/// Shapes of the outputs, given those of the inputs; or why these do not fit together.
pub type Shapes = fn(&Attributes, &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String>;

/// Computes the outputs. Inputs have shapes that [`Shapes`] accepted, outputs those it gave.
pub type Compute = fn(&Attributes, &[Input<'_>], &mut [Output<'_>], &dyn Threads);

/// One kernel, as an operator of a graph.
#[derive(Debug)]
pub struct Kernel {
    /// Name of the operator.
    pub name: &'static str,
    /// What goes in.
    pub inputs: &'static [Kind],
    /// Whether the last input may be repeated.
    pub repeats: bool,
    /// What comes out.
    pub outputs: &'static [Kind],
    /// Attributes that are lists of whole numbers; all must be there.
    pub lists: &'static [&'static str],
    /// Attributes that are numbers; all must be there.
    pub numbers: &'static [&'static str],
    /// Shapes of the outputs.
    pub shapes: Shapes,
    /// The computation.
    pub compute: Compute,
}

/// The kernels, by family.
const KERNELS: [&[Kernel]; 11] = [
    activation::KERNELS,
    batch_norm::KERNELS,
    channel_sum::KERNELS,
    convolution::KERNELS,
    depthwise::KERNELS,
    gelu::KERNELS,
    layer_norm::KERNELS,
    leading_sum::KERNELS,
    max_pool::KERNELS,
    optimiser::KERNELS,
    softmax::KERNELS,
];

/// Every kernel.
pub fn kernels() -> impl Iterator<Item = &'static Kernel> {
    KERNELS.into_iter().flatten()
}

/// Shapes of a kernel whose one output has the shape of its first input, which all others share.
fn same(_: &Attributes, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String> {
    match inputs.iter().all(|dims| *dims == inputs[0]) {
        true => Ok(vec![inputs[0].clone()]),
        false => Err("inputs differ in shape".to_owned()),
    }
}

#[cfg(test)]
mod testing;
