//! Gradients beside finite differences, tensor by tensor, for any model.
//!
//! The loss is L = Σ r·y over every value y of every output, with r drawn once; the sum is taken in
//! double precision, so that what is left is the rounding of the model itself. Along a direction u of
//! one tensor, (L(w + hu) − L(w − hu)) / 2h is compared with ⟨∂L/∂w, u⟩.
//!
//! No one step h suits every tensor: rounding weighs 1/h, curvature h², and kinks (of rectifiers and
//! of maxima) √h, as few of them are crossed on the way and each by chance. So several are tried, and
//! the best agreement counts; a wrong gradient agrees at none of them but by chance. Of the directions
//! drawn, each a vector of ±1, the one along which the computed derivative is largest is taken, as a
//! small difference of large numbers tells nothing. Where they disagree, further directions are added.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::base::{Seed, Stream};
use crate::onnx::example;
use crate::onnx::proto;
use crate::onnx::runtime::{Runtime, RuntimeError, Session, Tensor as Value};
use crate::onnx::tensor::{Shape, Tensor, elements};

use super::check::{GradientGraphs, Question, gradient_graphs};
use super::site::Refusal;

/// Relative errors up to this one are agreement. What rounding to single precision leaves lies far
/// below, what a wrong rule gives lies at tens of per cent.
pub const TOLERANCE: f64 = 0.01;

/// Where steps that follow each other measure what is far apart, as they do in deep networks full of
/// kinks, an error twice as large as that is agreement too, up to this one.
const TOLERANCE_AT_KINKS: f64 = 0.05;

/// Steps as a share of a tensor's size, from coarse to fine.
const STEPS: [f64; 7] = [3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5];

/// In which order the steps are tried: the most promising first.
const ORDER: [usize; 7] = [2, 3, 1, 4, 5, 0, 6];

/// Directions drawn for each look at a tensor.
const DIRECTIONS: usize = 8;

/// Looks at a tensor at most, each along another direction; they are summed. What kinks and rounding
/// leave is as often too much as too little, what a wrong rule gives is not.
const ROUNDS: f64 = 4.0;

/// A tensor counts as at least this large: a bias of zeros is moved too.
const SMALLEST: f64 = 0.05;

/// At this step differences of second order are rounding alone.
const TINY: f64 = 1e-5;

/// What came out for one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Computed and measured agree.
    Ok,
    /// They do not.
    Bad,
    /// Both are so small that rounding hides whether they agree.
    TooSmall,
}

/// The derivative along one direction of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The constant.
    pub tensor: String,
    /// Its shape.
    pub shape: Shape,
    /// The derivative that the gradient gives.
    pub computed: f64,
    /// The derivative that finite differences give.
    pub measured: f64,
    /// Their distance as a share of the larger; `None` if one is no number, or both are 0.
    pub error: Option<f64>,
    /// The largest error that is agreement here.
    pub allowed: f64,
    /// Whether that is agreement.
    pub verdict: Verdict,
}

/// Why gradients cannot be compared.
#[derive(Debug, Error)]
pub enum NoComparison {
    /// Nodes that cannot be differentiated.
    #[error("{} cannot be differentiated", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Compares the gradient of every varied constant with finite differences, at inputs drawn at random.
pub fn compare(
    runtime: &Runtime,
    question: &Question<'_>,
    seed: Seed,
    threads: usize,
) -> Result<Vec<Compared>, NoComparison> {
    let graphs = gradient_graphs(question).map_err(NoComparison::Refused)?;
    let mut bench = Bench::new(runtime, question, &graphs, seed, threads)?;
    let gradients = bench.gradients(runtime, &graphs, threads)?;
    let noise = bench.noise(question.varied.len())?;
    let each = gradients.iter().enumerate();
    Ok(each
        .map(|(which, gradient)| bench.compared(which, gradient, noise))
        .collect::<Result<_, _>>()?)
}

/// Runs a model's gradients once and forgets them: whether this backend can.
pub fn try_out(
    runtime: &Runtime,
    question: &Question<'_>,
    threads: usize,
) -> Result<(), NoComparison> {
    let graphs = gradient_graphs(question).map_err(NoComparison::Refused)?;
    let bench = Bench::new(runtime, question, &graphs, Seed(0), threads)?;
    bench.gradients(runtime, &graphs, threads)?;
    Ok(())
}

/// A model at one place: inputs, weights, and what the outputs are summed with.
struct Bench<'a> {
    forward: Session,
    fed: Vec<Value>,
    names: &'a [String],
    held: Vec<&'a Tensor>,
    weights: Vec<Value>,
    summed_with: Vec<Vec<f32>>,
    seed: Seed,
}

impl<'a> Bench<'a> {
    fn new(
        runtime: &Runtime,
        question: &Question<'a>,
        graphs: &GradientGraphs,
        seed: Seed,
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let graph = question.graph;
        let shape = |name: &str| question.seen.shape(graph, name).unwrap_or_default().to_vec();
        let shapes: Vec<Shape> = graph.inputs.iter().map(|port| shape(&port.name)).collect();
        let names: &'a [String] = question.varied;
        let held: Vec<&Tensor> =
            names.iter().filter_map(|name| graph.initializers.get(name)).collect();
        let value = |tensor: &&Tensor| {
            Value::f32(&[tensor.len()], tensor.floats().unwrap_or_default().to_vec())
        };
        let draws = |(index, dims): (usize, &Shape)| {
            let mut stream = seed.stream("gradcheck output", &index.to_string());
            (0..elements(dims)).map(|_| stream.normal() as f32).collect()
        };
        Ok(Self {
            forward: runtime.load(&proto::encode(&graphs.forward), threads)?,
            fed: example::drawn(graph, &shapes, seed)?,
            names,
            weights: held.iter().map(value).collect::<Result<_, _>>()?,
            held,
            summed_with: graphs.outputs.iter().enumerate().map(draws).collect(),
            seed,
        })
    }

    /// The gradient of every varied constant.
    fn gradients(
        &self,
        runtime: &Runtime,
        graphs: &GradientGraphs,
        threads: usize,
    ) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let mut session = runtime.load(&proto::encode(&graphs.backward), threads)?;
        let given: Vec<Value> = graphs
            .outputs
            .iter()
            .zip(&self.summed_with)
            .map(|(dims, values)| Value::f32(dims, values.clone()))
            .collect::<Result<_, _>>()?;
        let inputs: Vec<&Value> = self.fed.iter().chain(&self.weights).chain(&given).collect();
        let found = session.run(&inputs)?;
        Ok(found.iter().map(|value| value.floats().unwrap_or_default().to_vec()).collect())
    }

    /// The loss, with one of the weights replaced.
    fn loss(&mut self, which: usize, weights: Vec<f32>) -> Result<f64, RuntimeError> {
        let moved = Value::f32(&[weights.len()], weights)?;
        let weight = |index: usize| if index == which { &moved } else { &self.weights[index] };
        let inputs: Vec<&Value> =
            self.fed.iter().chain((0..self.weights.len()).map(weight)).collect();
        let outputs = self.forward.run(&inputs)?;
        let of_output = |(output, factors): (&Value, &Vec<f32>)| -> f64 {
            let values = output.floats().unwrap_or_default().iter().zip(factors);
            values.map(|(y, r)| f64::from(*y) * f64::from(*r)).sum()
        };
        Ok(outputs.iter().zip(&self.summed_with).map(of_output).sum())
    }

    fn stream(&self, which: usize) -> Stream {
        self.seed.stream("gradcheck direction", &self.names[which])
    }

    /// A tensor's values, moved by a number of steps of its size along ±1.
    fn moved(&self, which: usize, signs: &[bool], step: f64) -> Vec<f32> {
        let values = self.held[which].floats().unwrap_or_default();
        let by = step * size(values);
        let signed = |sign: &bool| if *sign { by } else { -by };
        values.iter().zip(signs).map(|(w, sign)| (f64::from(*w) + signed(sign)) as f32).collect()
    }

    /// How far rounding alone moves a loss, seen in differences of second order at a tiny step.
    fn noise(&mut self, tensors: usize) -> Result<f64, RuntimeError> {
        let some: Vec<usize> = (0..tensors).step_by(tensors.div_ceil(4).max(1)).collect();
        let mut squares = 0.0;
        for &which in &some {
            let signs = drawn_signs(&mut self.stream(which), self.held[which].len());
            let mut at = |step: f64| self.loss(which, self.moved(which, &signs, step));
            let second = at(TINY)? - 2.0 * at(0.0)? + at(-TINY)?;
            squares += second * second / 6.0;
        }
        Ok((squares / some.len().max(1) as f64).sqrt())
    }

    fn compared(
        &mut self,
        which: usize,
        gradient: &[f32],
        noise: f64,
    ) -> Result<Compared, RuntimeError> {
        let mut stream = self.stream(which);
        let mut sums = [Difference::default(); STEPS.len()];
        let mut judgement = (Difference::default(), TOLERANCE, Verdict::Bad);
        let mut rounds = 0.0;
        while judgement.2 == Verdict::Bad && rounds < ROUNDS {
            rounds += 1.0;
            let signs = steepest(&mut stream, gradient);
            for place in ORDER {
                let difference = self.difference(which, gradient, &signs, STEPS[place])?;
                sums[place] = sums[place].plus(difference);
                if rounds < 2.0 && difference.error() < TOLERANCE / 10.0 {
                    break;
                }
            }
            let (best, allowed) = judged(&sums);
            judgement = (best, allowed, best.verdict(noise * f64::sqrt(rounds), allowed));
        }
        let (best, allowed, verdict) = judgement;
        let error = best.error();
        Ok(Compared {
            tensor: self.names[which].clone(),
            shape: self.held[which].dims.clone(),
            computed: best.computed / rounds,
            measured: best.measured / rounds,
            error: error.is_finite().then_some(error),
            allowed,
            verdict,
        })
    }

    /// Both derivatives for a step of one size. The weights are what rounding makes of them, so the
    /// direction is taken from them.
    fn difference(
        &mut self,
        which: usize,
        gradient: &[f32],
        signs: &[bool],
        step: f64,
    ) -> Result<Difference, RuntimeError> {
        let [ahead, behind] = [step, -step].map(|step| self.moved(which, signs, step));
        let pairs = gradient.iter().zip(ahead.iter().zip(&behind));
        let computed: f64 =
            pairs.map(|(g, (a, b))| f64::from(*g) * (f64::from(*a) - f64::from(*b))).sum();
        let measured = self.loss(which, ahead)? - self.loss(which, behind)?;
        let twice = 2.0 * step;
        Ok(Difference { computed: computed / twice, measured: measured / twice, step })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Difference {
    computed: f64,
    measured: f64,
    step: f64,
}

impl Difference {
    /// Sums over directions, for steps of the same size.
    fn plus(self, other: Self) -> Self {
        Self {
            computed: self.computed + other.computed,
            measured: self.measured + other.measured,
            step: other.step,
        }
    }

    /// The distance as a share of the larger; infinite if there is no telling.
    fn error(self) -> f64 {
        let larger = self.computed.abs().max(self.measured.abs());
        let error = (self.computed - self.measured).abs() / larger;
        if error.is_finite() { error } else { f64::INFINITY }
    }

    fn verdict(self, noise: f64, allowed: f64) -> Verdict {
        let apart = (self.computed - self.measured).abs();
        if self.error() <= allowed {
            Verdict::Ok
        // A difference of two losses has √2 times their noise; four times that is rare.
        } else if apart <= 4.0 * noise * std::f64::consts::SQRT_2 / (2.0 * self.step) {
            Verdict::TooSmall
        } else {
            Verdict::Bad
        }
    }
}

/// The step with the best agreement, and the largest error that is agreement there: the steps next to
/// it tell how well it is measured at all.
fn judged(found: &[Difference]) -> (Difference, f64) {
    // Steps that were not tried have no size.
    let steps: Vec<Difference> = found.iter().copied().filter(|tried| tried.step > 0.0).collect();
    let place = (0..steps.len()).min_by(|a, b| steps[*a].error().total_cmp(&steps[*b].error()));
    let Some(place) = place else { return (Difference::default(), TOLERANCE) };
    let best = steps[place];
    let apart = |other: &Difference| {
        let larger = best.measured.abs().max(other.measured.abs());
        (best.measured - other.measured).abs() / larger
    };
    let next_to = [place.checked_sub(1), Some(place + 1)].into_iter().flatten();
    let spread = next_to.filter_map(|next| steps.get(next)).map(apart).fold(0.0, f64::max);
    (best, (2.0 * spread).clamp(TOLERANCE, TOLERANCE_AT_KINKS))
}

/// Root mean square, but not less than [`SMALLEST`].
fn size(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
    (squares / values.len().max(1) as f64).sqrt().max(SMALLEST)
}

fn drawn_signs(stream: &mut Stream, length: usize) -> Vec<bool> {
    (0..length).map(|_| stream.below(2) == 1).collect()
}

/// Of several directions the one along which the gradient rises most.
fn steepest(stream: &mut Stream, gradient: &[f32]) -> Vec<bool> {
    let slope = |signs: &Vec<bool>| -> f64 {
        let signed = |(g, sign): (&f32, &bool)| f64::from(if *sign { *g } else { -*g });
        gradient.iter().zip(signs).map(signed).sum()
    };
    let mut best = drawn_signs(stream, gradient.len());
    for _ in 1..DIRECTIONS {
        let other = drawn_signs(stream, gradient.len());
        if slope(&other).abs() > slope(&best).abs() {
            best = other;
        }
    }
    match slope(&best) < 0.0 {
        true => best.into_iter().map(|sign| !sign).collect(),
        false => best,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(measured: &[f64]) -> Vec<Difference> {
        let each = measured.iter().zip(STEPS);
        each.map(|(&measured, step)| Difference { computed: 1.0, measured, step }).collect()
    }

    #[test]
    fn a_gradient_that_is_wrong_by_little_is_bad_where_steps_agree() {
        let (best, allowed) = judged(&steps(&[1.030, 1.031, 1.0305, 1.0302]));
        assert_eq!(best.verdict(1e-9, allowed), Verdict::Bad);
    }

    #[test]
    fn what_kinks_leave_is_agreement_and_what_is_far_off_is_not() {
        let (best, allowed) = judged(&steps(&[1.08, 0.95, 1.025, 1.06]));
        assert_eq!(best.verdict(1e-9, allowed), Verdict::Ok);
        let (best, allowed) = judged(&steps(&[1.6, 1.3, 1.5, 1.2]));
        assert_eq!(best.verdict(1e-9, allowed), Verdict::Bad);
    }

    #[test]
    fn what_rounding_hides_is_neither() {
        let tiny = Difference { computed: 1e-9, measured: 3e-7, step: 1e-2 };
        assert_eq!(tiny.verdict(1e-8, TOLERANCE), Verdict::TooSmall);
        assert_eq!(Difference { computed: 1.0, ..tiny }.verdict(1e-8, TOLERANCE), Verdict::Bad);
        assert_eq!(Difference::default().verdict(0.0, TOLERANCE), Verdict::Bad);
        let none = Difference { step: 1e-2, ..Difference::default() };
        assert_eq!(none.verdict(0.0, TOLERANCE), Verdict::TooSmall);
    }
}
