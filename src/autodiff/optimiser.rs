//! Optimisers as part of the graph: weights and state in, new weights and state out. Learning
//! rates are inputs, so schedules cost nothing.

use crate::base::language::{Above0, Share, choice, keys};
use crate::onnx::graph::Attribute;
use crate::onnx::tensor::Tensor;

use super::flat::{Flat, Slot};
use super::tape::{Dialect, Tape, Var};

choice! {
    /// How weights follow gradients.
    pub enum Optimiser {
        /// Adam with decoupled weight decay.
        "adamw" => AdamW(AdamW),
        /// Stochastic gradient descent with momentum.
        "sgd" => Sgd(Sgd),
    }
}

keys! {
    /// Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019).
    pub struct AdamW {
        /// Share of the old mean of gradients kept at each step.
        beta1: Share = share(0.9),
        /// Share of the old mean of squared gradients kept at each step.
        beta2: Share = share(0.999),
        /// Added to the root of the mean square.
        epsilon: Above0 = above0(1e-8),
        /// Share of a weight lost per step and unit of learning rate; not for biases and norms.
        weight_decay: Share = share(0.01),
    }
}

keys! {
    /// Stochastic gradient descent with momentum (Sutskever et al. 2013).
    pub struct Sgd {
        /// Share of the old velocity kept at each step.
        momentum: Share = share(0.9),
        /// Whether to look ahead along the velocity (Nesterov).
        nesterov: bool = false,
        /// Factor of the weights added to their gradient; not for biases and norms.
        weight_decay: Share = share(0.0),
    }
}

fn share(value: f64) -> Share {
    Share::new(value).expect("a default between 0 and 1")
}

fn above0(value: f64) -> Above0 {
    Above0::new(value).expect("a default above 0")
}

/// Inputs of an update.
pub(super) struct Update<'a> {
    pub(super) flat: &'a Flat,
    pub(super) weights: Var,
    pub(super) gradient: Var,
    /// One vector for each of [`Optimiser::state`].
    pub(super) state: Vec<Var>,
    /// The learning rate of this step, shape [1].
    pub(super) rate: Var,
    /// [`Optimiser::corrections`] of this step, shape [1] each.
    pub(super) corrections: Vec<Var>,
}

impl Optimiser {
    /// Names of the vectors that are kept from step to step; all begin as zeros.
    pub fn state(&self) -> &'static [&'static str] {
        match self {
            Self::AdamW(_) => &["mean", "square"],
            Self::Sgd(_) => &["velocity"],
        }
    }

    /// Numbers that a step needs besides the learning rate. `step` counts from 1.
    pub fn corrections(&self, step: usize) -> Vec<f32> {
        let unbiased = |beta: f64| (1.0 / (1.0 - beta.powf(step as f64))) as f32;
        match self {
            Self::AdamW(adam) => vec![unbiased(adam.beta1.get()), unbiased(adam.beta2.get())],
            Self::Sgd(_) => vec![],
        }
    }

    /// Emits new weights and new state.
    pub(super) fn emit(&self, update: &Update<'_>, tape: &mut Tape) -> (Var, Vec<Var>) {
        match self {
            Self::AdamW(adam) => adam.emit(update, tape),
            Self::Sgd(sgd) => sgd.emit(update, tape),
        }
    }
}

impl AdamW {
    /// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²,
    /// w ← w − η (λ w + m̂ / (√v̂ + ε)), with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ).
    fn emit(&self, update: &Update<'_>, tape: &mut Tape) -> (Var, Vec<Var>) {
        if tape.dialect() == Dialect::Kernels {
            let corrections = tape.concat(&update.corrections.iter().collect::<Vec<_>>(), 0);
            let numbers = [
                ("beta1", Attribute::Float(self.beta1.get() as f32)),
                ("beta2", Attribute::Float(self.beta2.get() as f32)),
                ("epsilon", Attribute::Float(self.epsilon.get() as f32)),
            ];
            let decay = self.weight_decay.get() as f32;
            return own_update("AdamWUpdate", update, Some(&corrections), &numbers, decay, tape);
        }
        let (beta1, beta2) = (self.beta1.get() as f32, self.beta2.get() as f32);
        let gradient = &update.gradient;
        let mean = blend(&update.state[0], beta1, gradient, tape);
        let squared = tape.mul(gradient, gradient);
        let square = blend(&update.state[1], beta2, &squared, tape);
        let unbiased_mean = tape.mul(&mean, &update.corrections[0]);
        let unbiased_square = tape.mul(&square, &update.corrections[1]);
        let root = tape.unary("Sqrt", &unbiased_square);
        let epsilon = tape.number(self.epsilon.get() as f32);
        let root = tape.add(&root, &epsilon);
        let mut direction = tape.div(&unbiased_mean, &root);
        let decay = self.weight_decay.get() as f32;
        if let Some(pull) = decayed(update, decay, tape) {
            direction = tape.add(&direction, &pull);
        }
        (moved(update, &direction, tape), vec![mean, square])
    }
}

impl Sgd {
    /// g ← g + λ w, v ← μ v + g, w ← w − η v; with Nesterov w ← w − η (g + μ v).
    fn emit(&self, update: &Update<'_>, tape: &mut Tape) -> (Var, Vec<Var>) {
        if tape.dialect() == Dialect::Kernels {
            let numbers = [
                ("momentum", Attribute::Float(self.momentum.get() as f32)),
                ("nesterov", Attribute::Float(f32::from(u8::from(self.nesterov)))),
            ];
            let decay = self.weight_decay.get() as f32;
            return own_update("SgdUpdate", update, None, &numbers, decay, tape);
        }
        let mut gradient = update.gradient.clone();
        let decay = self.weight_decay.get() as f32;
        if let Some(pull) = decayed(update, decay, tape) {
            gradient = tape.add(&gradient, &pull);
        }
        let momentum = self.momentum.get() as f32;
        let kept = tape.scale(&update.state[0], momentum);
        let velocity = tape.add(&kept, &gradient);
        let direction = if self.nesterov {
            let ahead = tape.scale(&velocity, momentum);
            tape.add(&gradient, &ahead)
        } else {
            velocity.clone()
        };
        (moved(update, &direction, tape), vec![velocity])
    }
}

/// The whole update in one kernel of our own.
fn own_update(
    name: &str,
    update: &Update<'_>,
    corrections: Option<&Var>,
    numbers: &[(&str, Attribute)],
    decay: f32,
    tape: &mut Tape,
) -> (Var, Vec<Var>) {
    let slots = update.flat.slots();
    let mut of_slots = |value: &dyn Fn(&Slot) -> f32| {
        let values: Vec<f32> = slots.iter().map(value).collect();
        tape.constant(Tensor::f32(&[values.len()], values))
    };
    let rates = of_slots(&|slot| slot.rate);
    let decays = of_slots(&|slot| if slot.decays { decay } else { 0.0 });
    let lengths: Vec<i64> = slots.iter().map(|slot| slot.len() as i64).collect();
    let mut attributes = numbers.to_vec();
    attributes.push(("lengths", Attribute::Ints(lengths)));
    let mut inputs = vec![&update.weights];
    inputs.extend(&update.state);
    inputs.extend([&update.gradient, &update.rate]);
    inputs.extend(corrections);
    inputs.extend([&rates, &decays]);
    let dims = vec![update.weights.dims(); 1 + update.state.len()];
    let mut made = tape.kernel(name, &inputs, &attributes, &dims);
    let state = made.split_off(1);
    (made.remove(0), state)
}

/// keep · old + (1 − keep) · new
fn blend(old: &Var, keep: f32, new: &Var, tape: &mut Tape) -> Var {
    let kept = tape.scale(old, keep);
    let added = tape.scale(new, 1.0 - keep);
    tape.add(&kept, &added)
}

/// λ w where weight decay applies; `None` if there is none.
fn decayed(update: &Update<'_>, decay: f32, tape: &mut Tape) -> Option<Var> {
    if decay <= 0.0 {
        return None;
    }
    let pull = tape.scale(&update.weights, decay);
    let applies = |slot: &Slot| if slot.decays { 1.0 } else { 0.0 };
    Some(match update.flat.per_element(applies) {
        Some(mask) => {
            let mask = tape.constant(Tensor::f32(&[mask.len()], mask));
            tape.mul(&pull, &mask)
        }
        None => pull,
    })
}

/// w − η r d, where r is the factor of each slot.
fn moved(update: &Update<'_>, direction: &Var, tape: &mut Tape) -> Var {
    let mut step = tape.mul(direction, &update.rate);
    if let Some(rates) = update.flat.per_element(|slot| slot.rate) {
        let rates = tape.constant(Tensor::f32(&[rates.len()], rates));
        step = tape.mul(&step, &rates);
    }
    tape.sub(&update.weights, &step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::defaults;
    use crate::onnx::proto;
    use crate::onnx::runtime::{Tensor as Value, runtime};

    /// Runs three steps with gradient 2w − 1 on three weights; the first two decay.
    fn three_steps(optimiser: &Optimiser, dialect: Dialect) -> Vec<f32> {
        let slot = |name: &str, dims: &[usize], decays| Slot {
            name: name.to_owned(),
            dims: dims.to_vec(),
            rate: if decays { 0.5 } else { 1.0 },
            decays,
        };
        let flat = Flat::new(vec![slot("w", &[2], true), slot("b", &[1], false)]);
        let mut tape = Tape::new(18, dialect);
        let weights = tape.input("weights", &[3]);
        let state: Vec<Var> = optimiser.state().iter().map(|name| tape.input(name, &[3])).collect();
        let rate = tape.input("rate", &[1]);
        let corrections: Vec<Var> = (0..optimiser.corrections(1).len())
            .map(|index| tape.input(&format!("correction{index}"), &[1]))
            .collect();
        let twice = tape.scale(&weights, 2.0);
        let one = tape.number(1.0);
        let gradient = tape.sub(&twice, &one);
        let update = Update { flat: &flat, weights, gradient, state, rate, corrections };
        let (new, kept) = optimiser.emit(&update, &mut tape);
        tape.output(&new, "new");
        kept.iter().enumerate().for_each(|(i, var)| tape.output(var, &format!("kept{i}")));
        let graph = tape.finish();
        let mut session = runtime().unwrap().load(&proto::encode(&graph), 1).unwrap();
        let vector = |values: &[f32]| Value::f32(&[values.len()], values.to_vec()).unwrap();
        let mut moving = vec![vector(&[1.0, -1.0, 0.25])];
        moving.extend(optimiser.state().iter().map(|_| vector(&[0.0; 3])));
        for step in 1..=3 {
            let rate = vector(&[0.1]);
            let fixed: Vec<Value> =
                optimiser.corrections(step).iter().map(|&c| vector(&[c])).collect();
            let inputs: Vec<&Value> =
                moving.iter().chain(std::iter::once(&rate)).chain(&fixed).collect();
            moving = session.run(&inputs).unwrap();
        }
        moving[0].floats().unwrap().to_vec()
    }

    /// Compares what each dialect that can run here makes of it.
    fn assert_follows(optimiser: &Optimiser, hand: [f64; 3]) {
        assert_near(&three_steps(optimiser, Dialect::Library), hand);
        if runtime().unwrap().kernels().is_some() {
            assert_near(&three_steps(optimiser, Dialect::Kernels), hand);
        }
    }

    fn assert_near(left: &[f32], right: [f64; 3]) {
        for (left, right) in left.iter().zip(right) {
            assert!((f64::from(*left) - right).abs() < 2e-6, "{left} {right}");
        }
    }

    /// The same three steps in f64, straight from the formulas.
    fn by_hand(step: impl Fn(usize, f64, f64, bool, &mut [f64; 2]) -> f64) -> [f64; 3] {
        let mut weights = [1.0, -1.0, 0.25];
        for (index, weight) in weights.iter_mut().enumerate() {
            let mut state = [0.0; 2];
            for time in 1..=3 {
                let gradient = 2.0 * *weight - 1.0;
                let decays = index < 2;
                let rate = 0.1 * if decays { 0.5 } else { 1.0 };
                *weight -= rate * step(time, *weight, gradient, decays, &mut state);
            }
        }
        weights
    }

    #[test]
    fn adamw_follows_its_formula() {
        let hand = by_hand(|time, w, g, decays, [m, v]| {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let time = time as f64;
            let direction = *m
                / (1.0 - 0.9_f64.powf(time))
                / ((*v / (1.0 - 0.999_f64.powf(time))).sqrt() + 1e-8);
            direction + if decays { 0.01 * w } else { 0.0 }
        });
        assert_follows(&Optimiser::AdamW(defaults()), hand);
    }

    #[test]
    fn momentum_and_nesterov_follow_their_formulas() {
        for nesterov in [false, true] {
            let sgd = Sgd { nesterov, weight_decay: share(0.1), ..defaults() };
            let hand = by_hand(|_, w, g, decays, [v, _]| {
                let g = g + if decays { 0.1 * w } else { 0.0 };
                *v = 0.9 * *v + g;
                if nesterov { g + 0.9 * *v } else { *v }
            });
            assert_follows(&Optimiser::Sgd(sgd), hand);
        }
    }
}
