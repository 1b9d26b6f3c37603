//! Linear maps along one axis, as a matrix that is known beforehand: interpolation, and padding
//! with values of the input.

use crate::onnx::tensor::{Tensor, elements};

use super::tape::{Tape, Var};

/// A map of `from` entries of an axis to `rows.len()`: for each new entry the old ones it is made
/// of, with their weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Along {
    /// Extent before.
    pub(crate) from: usize,
    /// For each entry afterwards, (entry before, weight).
    pub(crate) rows: Vec<Vec<(usize, f32)>>,
}

impl Along {
    fn is_identity(&self) -> bool {
        let same = |(index, row): (usize, &Vec<(usize, f32)>)| *row == [(index, 1.0)];
        self.rows.len() == self.from && self.rows.iter().enumerate().all(same)
    }

    /// How often each entry is repeated, if the map only repeats.
    fn repeats(&self) -> Option<usize> {
        let times = self.rows.len() / self.from.max(1);
        let repeated = |(index, row): (usize, &Vec<(usize, f32)>)| *row == [(index / times, 1.0)];
        let only = times * self.from == self.rows.len() && times > 0;
        (only && self.rows.iter().enumerate().all(repeated)).then_some(times)
    }

    /// The gradient before the map, given that after it: the transposed map along `axis`.
    pub(crate) fn transposed(&self, dy: &Var, axis: usize, tape: &mut Tape) -> Var {
        if self.is_identity() {
            return dy.clone();
        }
        let (before, after) = (&dy.dims()[..axis], &dy.dims()[axis + 1..]);
        let dims = [before, &[self.from], after].concat();
        let (outer, inner) = (elements(before), elements(after));
        if let Some(times) = self.repeats() {
            let split = tape.reshape(dy, &[outer, self.from, times, inner]);
            let sum = tape.reduce_sum(&split, &[2]);
            return tape.reshape(&sum, &dims);
        }
        let to = self.rows.len();
        let gradient = if inner == 1 {
            let rows = tape.reshape(dy, &[outer, to]);
            let matrix = tape.constant(self.matrix(false));
            tape.matmul(&rows, &matrix)
        } else {
            let planes = tape.reshape(dy, &[outer, to, inner]);
            let matrix = tape.constant(self.matrix(true));
            tape.matmul(&matrix, &planes)
        };
        tape.reshape(&gradient, &dims)
    }

    /// The matrix, new × old entries, or turned.
    fn matrix(&self, turned: bool) -> Tensor {
        let (to, from) = (self.rows.len(), self.from);
        let mut values = vec![0.0; to * from];
        for (new, row) in self.rows.iter().enumerate() {
            for &(old, weight) in row {
                values[if turned { old * to + new } else { new * from + old }] += weight;
            }
        }
        Tensor::f32(&if turned { [from, to] } else { [to, from] }, values)
    }
}
