//! Many tensors in one long vector. Weights and optimiser state travel as a few vectors, whatever
//! the number of layers: an update is a handful of operations, a checkpoint a few arrays.

use crate::onnx::graph::Graph;
use crate::onnx::tensor::{Data, elements};

use super::tape::{Tape, Var};

/// Where one tensor lies in the vector, and how it learns.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Name of the constant in the model.
    pub name: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// Factor on the learning rate.
    pub rate: f32,
    /// Whether weight decay applies; not to biases and normalisations.
    pub decays: bool,
    /// How strongly it is pulled to where it started.
    pub pull: f32,
    /// Which of the cohorts it belongs to, that begin to learn one after the other, from 0.
    pub cohort: usize,
}

impl Slot {
    /// Number of elements.
    pub fn len(&self) -> usize {
        elements(&self.dims)
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The layout of a vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flat {
    slots: Vec<Slot>,
}

impl Flat {
    /// One slot after the other.
    pub fn new(slots: Vec<Slot>) -> Self {
        Self { slots }
    }

    /// The slots, in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.slots.iter().map(Slot::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vector of a model's constants.
    pub fn gather(&self, graph: &Graph) -> Vec<f32> {
        let values = |slot: &Slot| graph.initializers.get(&slot.name).and_then(|t| t.floats());
        self.slots.iter().filter_map(values).flatten().copied().collect()
    }

    /// Puts a vector's values into a model's constants.
    pub fn scatter(&self, vector: &[f32], graph: &mut Graph) {
        let mut start = 0;
        for slot in &self.slots {
            let end = start + slot.len();
            if let Some(tensor) = graph.initializers.get_mut(&slot.name) {
                tensor.data = Data::F32(vector[start..end].to_vec());
            }
            start = end;
        }
    }

    /// The slots of cohorts before `learning`, in order.
    pub(super) fn cohorts(&self, learning: usize) -> Self {
        Self::new(self.slots.iter().filter(|slot| slot.cohort < learning).cloned().collect())
    }

    /// Number of elements of cohorts before `learning`.
    pub fn cohort_length(&self, learning: usize) -> usize {
        self.slots.iter().filter(|slot| slot.cohort < learning).map(Slot::len).sum()
    }

    /// How many cohorts there are.
    pub fn cohort_count(&self) -> usize {
        self.slots.iter().map(|slot| slot.cohort + 1).max().unwrap_or_default()
    }

    /// Stretches of slots of one cohort, in order.
    pub(super) fn stretches(&self) -> Vec<Self> {
        let same = |a: &Slot, b: &Slot| a.cohort == b.cohort;
        self.slots.chunk_by(same).map(|slots| Self::new(slots.to_vec())).collect()
    }

    /// One value for each element, the same within a slot; `None` if all slots have 1.
    pub(super) fn per_element(&self, value: impl Fn(&Slot) -> f32) -> Option<Vec<f32>> {
        if self.slots.iter().all(|slot| value(slot).to_bits() == 1.0_f32.to_bits()) {
            return None;
        }
        let repeated = |slot: &Slot| std::iter::repeat_n(value(slot), slot.len());
        Some(self.slots.iter().flat_map(repeated).collect())
    }

    /// Emits the tensors of a vector.
    pub(super) fn split(&self, vector: &Var, tape: &mut Tape) -> Vec<Var> {
        let lengths: Vec<usize> = self.slots.iter().map(Slot::len).collect();
        let pieces = pieces(vector, &lengths, tape);
        let shaped = self.slots.iter().zip(&pieces);
        shaped.map(|(slot, piece)| tape.reshape(piece, &slot.dims)).collect()
    }

    /// Emits the vector of tensors that are in the order of the slots.
    pub(super) fn join(&self, tensors: &[Var], tape: &mut Tape) -> Var {
        let flat: Vec<Var> = self
            .slots
            .iter()
            .zip(tensors)
            .map(|(slot, tensor)| tape.reshape(tensor, &[slot.len()]))
            .collect();
        tape.concat(&flat.iter().collect::<Vec<_>>(), 0)
    }
}

/// Emits pieces of these lengths, which make up the vector.
pub(super) fn pieces(vector: &Var, lengths: &[usize], tape: &mut Tape) -> Vec<Var> {
    debug_assert_eq!(vector.dims(), [lengths.iter().sum::<usize>()]);
    if let [_] = lengths {
        return vec![vector.clone()];
    }
    let sizes = tape.integers(&super::tape::signed(lengths));
    let dims: Vec<[usize; 1]> = lengths.iter().map(|&length| [length]).collect();
    let dims: Vec<&[usize]> = dims.iter().map(<[usize; 1]>::as_slice).collect();
    tape.many("Split", &[vector, &sizes], &[("axis", 0_i64.into())], &dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::tensor::Tensor;

    #[test]
    fn a_vector_goes_into_a_model_and_comes_out_again() {
        let slot = |name: &str, dims: &[usize]| Slot {
            name: name.to_owned(),
            dims: dims.to_vec(),
            rate: 1.0,
            decays: true,
            pull: 0.0,
            cohort: 0,
        };
        let flat = Flat::new(vec![slot("b", &[2]), slot("a", &[2, 2])]);
        let mut graph = Graph::default();
        for (name, dims) in [("a", vec![2, 2]), ("b", vec![2])] {
            let zeros = Tensor::f32(&dims, vec![0.0; elements(&dims)]);
            graph.initializers.insert(name.to_owned(), zeros);
        }
        let vector = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        flat.scatter(&vector, &mut graph);
        assert_eq!(graph.initializers["b"].floats().unwrap(), [1.0, 2.0]);
        assert_eq!(flat.gather(&graph), vector);
        assert_eq!(flat.per_element(|slot| slot.rate), None);
    }
}
