//! Inputs of cases in other ranges, and cases of later opsets.

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
        self.fixed(name, Tensor { dims: vec![], data: Data::I64(vec![value]) })
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
