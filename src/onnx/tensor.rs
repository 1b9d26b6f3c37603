//! Constant tensors of a model: weights, shapes, indices.

use serde::{Deserialize, Serialize};

/// A tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extent of each axis; empty for a scalar.
    pub dims: Vec<usize>,
    /// The values.
    pub data: Data,
}

/// Values by type. Weights are `F32`, shapes and axes `I64`; the rest is carried along unread.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Any other element type: ONNX's number for it and the little-endian bytes.
    Other {
        /// ONNX's number of the element type.
        kind: i32,
        /// Little-endian values.
        bytes: Vec<u8>,
    },
}

/// Extents of a tensor.
pub type Shape = Vec<usize>;

/// Number of elements of a shape.
pub fn elements(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// Element types that values at run time may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// 32-bit floats: what gradients flow through.
    F32,
    /// Anything else.
    Other,
}

impl Tensor {
    /// A tensor of floats.
    ///
    /// # Panics
    /// If the number of values is not that of the shape; a mistake of the caller.
    pub fn f32(dims: &[usize], values: Vec<f32>) -> Self {
        assert_eq!(elements(dims), values.len(), "shape {dims:?}");
        Self { dims: dims.to_vec(), data: Data::F32(values) }
    }

    /// A one-dimensional tensor of integers.
    pub fn i64(values: &[i64]) -> Self {
        Self { dims: vec![values.len()], data: Data::I64(values.to_vec()) }
    }

    /// A float without axes.
    pub fn scalar(value: f32) -> Self {
        Self { dims: vec![], data: Data::F32(vec![value]) }
    }

    /// The floats, if it holds floats.
    pub fn floats(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The integers, if it holds 64-bit integers.
    pub fn integers(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(values) => Some(values),
            _ => None,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        elements(&self.dims)
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The exact bytes, for proofs that nothing moved.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.data {
            Data::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Other { bytes, .. } => bytes.clone(),
        }
    }
}
