//! The second half of a step: from the gradient to new weights and new state.

use super::flat::{Flat, pieces};
use super::optimiser::{Optimiser, Update};
use super::tape::{Dialect, Tape, Var};

/// What an update is emitted from. Vectors of weights and state hold all slots, the gradient those
/// that learn.
pub(super) struct Updating<'a> {
    /// All that will ever learn.
    pub(super) flat: &'a Flat,
    /// Cohorts that learn now: those before this one.
    pub(super) learning: usize,
    pub(super) optimiser: &'a Optimiser,
    /// Largest norm of the whole gradient, if it is clipped.
    pub(super) clip: Option<f32>,
    pub(super) weights: Var,
    /// Where the weights are pulled to, if they are.
    pub(super) start: Option<Var>,
    pub(super) state: Vec<Var>,
    pub(super) rate: Var,
}

/// One stretch of slots that learn since the same step, or that do not learn yet.
struct Stretch {
    flat: Flat,
    learns: bool,
    weights: Var,
    start: Option<Var>,
    state: Vec<Var>,
    gradient: Option<Var>,
}

/// Names of the numbers that one cohort's corrections come in by; counted through all cohorts.
pub(super) fn correction(index: usize) -> String {
    format!("correction_{index}")
}

impl Updating<'_> {
    /// Emits new weights and new state. A stretch that does not learn yet is handed on as it is:
    /// no step, no momentum, no decay. `corrections` declares an input for each cohort that learns.
    pub(super) fn emit(&self, gradient: &Var, tape: &mut Tape) -> (Var, Vec<Var>) {
        let mut stretches = self.stretches(gradient, tape);
        Self::pull(&mut stretches, tape);
        self.clip(&mut stretches, tape);
        let per_cohort = self.optimiser.corrections(1).len();
        let cohorts = self.learning.min(self.flat.cohort_count());
        let corrections: Vec<Vec<Var>> = (0..cohorts)
            .map(|cohort| {
                let index = |number| cohort * per_cohort + number;
                let input = |number| tape.input(&correction(index(number)), &[1]);
                (0..per_cohort).map(input).collect()
            })
            .collect();
        let mut new = Vec::new();
        for stretch in stretches {
            new.push(self.moved(stretch, &corrections, tape));
        }
        let weights: Vec<&Var> = new.iter().map(|(weights, _)| weights).collect();
        let weights = tape.concat(&weights, 0);
        let state = (0..self.state.len()).map(|index| {
            let parts: Vec<&Var> = new.iter().map(|(_, state)| &state[index]).collect();
            tape.concat(&parts, 0)
        });
        let state = state.collect();
        (weights, state)
    }

    fn stretches(&self, gradient: &Var, tape: &mut Tape) -> Vec<Stretch> {
        let flats = self.flat.stretches();
        let lengths: Vec<usize> = flats.iter().map(Flat::len).collect();
        let mut cut = |vector: &Var| pieces(vector, &lengths, tape).into_iter();
        let mut weights = cut(&self.weights);
        let mut start = self.start.as_ref().map(&mut cut);
        let mut state: Vec<_> = self.state.iter().map(&mut cut).collect();
        let learns = |flat: &Flat| flat.slots().iter().all(|slot| slot.cohort < self.learning);
        let learning: Vec<usize> =
            flats.iter().filter(|flat| learns(flat)).map(Flat::len).collect();
        let mut gradient = pieces(gradient, &learning, tape).into_iter();
        flats
            .into_iter()
            .filter_map(|flat| {
                let learns = learns(&flat);
                Some(Stretch {
                    weights: weights.next()?,
                    start: start.as_mut().and_then(Iterator::next),
                    state: state.iter_mut().filter_map(Iterator::next).collect(),
                    gradient: if learns { gradient.next() } else { None },
                    learns,
                    flat,
                })
            })
            .collect()
    }

    /// g ← g + κ (w − w₀), κ the pull of each slot (Li et al. 2018).
    fn pull(stretches: &mut [Stretch], tape: &mut Tape) {
        for stretch in stretches.iter_mut().filter(|stretch| stretch.learns) {
            let (Some(start), Some(gradient)) = (&stretch.start, &stretch.gradient) else {
                continue;
            };
            let mut away = tape.sub(&stretch.weights, start);
            if let Some(pull) = stretch.flat.per_element(|slot| slot.pull) {
                let pull = tape.constant(crate::onnx::tensor::Tensor::f32(&[pull.len()], pull));
                away = tape.mul(&away, &pull);
            }
            stretch.gradient = Some(tape.add(gradient, &away));
        }
    }

    /// The whole gradient, shortened to norm `clip` if it is longer.
    fn clip(&self, stretches: &mut [Stretch], tape: &mut Tape) {
        let Some(most) = self.clip else { return };
        let gradients: Vec<Var> = stretches.iter().filter_map(|s| s.gradient.clone()).collect();
        let Some(factor) = shortening(&gradients, most, tape) else { return };
        for stretch in stretches {
            stretch.gradient =
                stretch.gradient.as_ref().map(|gradient| tape.mul(gradient, &factor));
        }
    }

    fn moved(
        &self,
        stretch: Stretch,
        corrections: &[Vec<Var>],
        tape: &mut Tape,
    ) -> (Var, Vec<Var>) {
        let Some(gradient) = stretch.gradient else { return (stretch.weights, stretch.state) };
        let cohort = stretch.flat.slots().first().map_or(0, |slot| slot.cohort);
        let update = Update {
            flat: &stretch.flat,
            weights: stretch.weights,
            gradient,
            state: stretch.state,
            rate: self.rate.clone(),
            corrections: corrections[cohort].clone(),
        };
        self.optimiser.emit(&update, tape)
    }
}

/// min(1, most / (‖g‖ + tiny)) over all pieces of a gradient.
fn shortening(gradients: &[Var], most: f32, tape: &mut Tape) -> Option<Var> {
    let mut total: Option<Var> = None;
    for gradient in gradients {
        let sum = square_sum(gradient, tape);
        total = Some(match total {
            Some(before) => tape.add(&before, &sum),
            None => sum,
        });
    }
    let norm = tape.unary("Sqrt", &total?);
    let tiny = tape.number(1e-6);
    let norm = tape.add(&norm, &tiny);
    let most = tape.number(most);
    let factor = tape.div(&most, &norm);
    let one = tape.number(1.0);
    let dims = factor.dims().to_vec();
    Some(tape.op("Min", &[&factor, &one], &[], &dims))
}

/// Σ g², shape [1].
fn square_sum(gradient: &Var, tape: &mut Tape) -> Var {
    if tape.dialect() == Dialect::Kernels {
        return tape.kernel("SquareSum", &[gradient], &[], &[&[1]]).remove(0);
    }
    let square = tape.mul(gradient, gradient);
    tape.reduce_sum(&square, &[0])
}
