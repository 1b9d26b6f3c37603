//! Inputs of cases in other ranges, and what the embedded backend makes of a case.

use super::Case;
use crate::onnx::tensor::{Data, Tensor};

/// ONNX's number for truth values.
const BOOL: i32 = 9;

impl Case {
    /// Written at this opset, for operators that came later than 18.
    pub(crate) fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    /// Not run on the embedded backend, where it would end the whole process.
    pub(crate) fn aborts_when_embedded(mut self, reason: &'static str) -> Self {
        self.aborts = true;
        self.library_only(reason)
    }

    /// The embedded backend's own operator gives other values than ONNX defines; the rule emits
    /// something else in its place.
    pub(crate) fn wrong_when_embedded(mut self, reason: &'static str) -> Self {
        self.wrong_when_embedded = Some(reason);
        self
    }

    /// An input with these values.
    pub(crate) fn exact(mut self, name: &str, dims: &[usize], values: &[f32]) -> Self {
        self.node.inputs.push(name.to_owned());
        self.varied.push((name.to_owned(), Tensor::f32(dims, values.to_vec())));
        self
    }

    /// An input with values between 0.15 and 1.3.
    pub(crate) fn positive(self, name: &str, dims: &[usize]) -> Self {
        self.varied(name, dims).mapped(f32::abs)
    }

    /// The values of the last input times a factor, plus a shift.
    pub(crate) fn moved(self, factor: f32, shift: f32) -> Self {
        self.mapped(|value| value * factor + shift)
    }

    /// Some values of the last input, by position, replaced by one number.
    pub(crate) fn with_values(self, positions: &[usize], number: f32) -> Self {
        let mut index = 0;
        self.mapped(|value| {
            index += 1;
            if positions.contains(&(index - 1)) { number } else { value }
        })
    }

    /// A constant whole number without axes.
    pub(crate) fn integer(self, name: &str, value: i64) -> Self {
        self.table(name, &[], &[value])
    }

    /// A constant mask of truth values.
    pub(crate) fn mask(self, name: &str, dims: &[usize], values: &[bool]) -> Self {
        let bytes = values.iter().map(|&value| u8::from(value)).collect();
        self.fixed(name, Tensor { dims: dims.to_vec(), data: Data::Other { kind: BOOL, bytes } })
    }

    fn mapped(mut self, change: impl FnMut(f32) -> f32) -> Self {
        if let Some((_, Tensor { data: Data::F32(values), .. })) = self.varied.last_mut() {
            let changed = std::mem::take(values).into_iter().map(change).collect();
            *values = changed;
        }
        self
    }
}
