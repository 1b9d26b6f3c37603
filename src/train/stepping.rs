//! One step: what is fed to its graphs, in one piece or in several, and what comes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::onnx::runtime::{RuntimeError, Tensor};

use super::course::Course;
use super::examples::Examples;
use super::mixing::Fed;
use super::prepared::{Loan, Prepared, Workshop};
use super::trial::{Settings, Start};

/// Runs steps, with the graphs of the phase that each is in.
pub(super) struct Stepping<'a> {
    workshop: &'a Workshop,
    phases: &'a [Arc<Prepared>],
    settings: &'a Settings<'a>,
    /// Where weights are pulled to, if they are.
    anchor: Option<Tensor>,
    open: Option<Open<'a>>,
    /// Time in the runtime so far.
    pub(super) computing: Duration,
}

/// Sessions of a phase.
struct Open<'a> {
    phase: usize,
    train: Loan<'a>,
    update: Option<Loan<'a>>,
}

/// A step by number, the course it is part of, its learning rate.
pub(super) type At<'a> = (usize, &'a Course, f32);

impl<'a> Stepping<'a> {
    pub(super) fn new(
        workshop: &'a Workshop,
        phases: &'a [Arc<Prepared>],
        settings: &'a Settings<'a>,
        start: &Start,
    ) -> Result<Self, RuntimeError> {
        let pulled = phases.iter().any(|phase| phase.pulled);
        let anchor = match pulled {
            true => Some(vector(start.anchor.clone())?),
            false => None,
        };
        Ok(Self { workshop, phases, settings, anchor, open: None, computing: Duration::ZERO })
    }

    /// Does a step; `moving` is what it takes over and leaves. Tells the loss.
    pub(super) fn step(
        &mut self,
        examples: &Examples<'_>,
        items: &[usize],
        at: At<'_>,
        moving: &mut Vec<Tensor>,
    ) -> Result<f32, RuntimeError> {
        let (step, course, _) = at;
        let phase = course.phase(step).min(self.phases.len() - 1);
        let prepared = &*self.phases[phase];
        let settings = self.settings;
        let target = (settings.loss, prepared.classes);
        let of_step = (settings.seed, step);
        let fed = settings.mixing.feed(examples, items, target, of_step, settings.threads);
        let numbers = self.numbers(prepared, at)?;
        if self.open.as_ref().is_none_or(|open| open.phase != phase) {
            self.open = None;
            self.open = Some(self.sessions(phase)?);
        }
        let anchor = self.anchor.as_ref().filter(|_| prepared.pulled);
        match &mut self.open {
            Some(Open { train, update: None, .. }) => {
                let fed = whole(fed, prepared)?;
                let inputs: Vec<&Tensor> =
                    fed.iter().chain(&*moving).chain(anchor).chain(&numbers).collect();
                let started = Instant::now();
                let mut outputs = train.run(&inputs)?;
                self.computing += started.elapsed();
                let loss = number_of(&outputs.remove(0));
                *moving = outputs;
                Ok(loss)
            }
            Some(Open { train, update: Some(update), .. }) => {
                let state = settings.optimiser.state().len();
                let started = Instant::now();
                let (sum, loss) = summed(train, prepared, &fed, moving, state)?;
                let kept = &moving[..=state];
                let inputs: Vec<&Tensor> =
                    std::iter::once(&sum).chain(kept).chain(anchor).chain(&numbers).collect();
                let mut outputs = update.run(&inputs)?;
                self.computing += started.elapsed();
                outputs.extend(moving.drain(state + 1..));
                *moving = outputs;
                Ok(loss)
            }
            None => Ok(f32::NAN),
        }
    }

    fn sessions(&self, phase: usize) -> Result<Open<'a>, RuntimeError> {
        let (prepared, threads) = (&self.phases[phase], self.settings.threads);
        let update = match &prepared.update {
            Some(update) => Some(self.workshop.session(update, threads)?),
            None => None,
        };
        Ok(Open { phase, train: self.workshop.session(&prepared.train, threads)?, update })
    }

    /// The learning rate and the corrections of each cohort that learns.
    fn numbers(&self, prepared: &Prepared, at: At<'_>) -> Result<Vec<Tensor>, RuntimeError> {
        let (step, course, rate) = at;
        let corrections = (0..prepared.learning)
            .flat_map(|cohort| self.settings.optimiser.corrections(course.learnt(cohort, step)));
        let number = |value: f32| Tensor::f32(&[1], vec![value]);
        std::iter::once(rate).chain(corrections).map(number).collect()
    }
}

fn vector(values: Vec<f32>) -> Result<Tensor, RuntimeError> {
    Tensor::f32(&[values.len()], values)
}

fn number_of(tensor: &Tensor) -> f32 {
    tensor.floats().and_then(|values| values.first().copied()).unwrap_or(f32::NAN)
}

/// A batch in one piece.
fn whole(fed: Fed, prepared: &Prepared) -> Result<Vec<Tensor>, RuntimeError> {
    let (batch, classes) = (prepared.batch, prepared.classes);
    let mut tensors = Vec::new();
    for (values, port) in fed.sources.into_iter().zip(&prepared.cuts) {
        tensors.push(Tensor::f32(&port.dims, values)?);
    }
    tensors.push(Tensor::f32(&[batch, classes], fed.targets)?);
    tensors.push(Tensor::f32(&[fed.weights.len()], fed.weights)?);
    Ok(tensors)
}

/// The gradient of a batch that comes in pieces, and its loss. Statistics move with each piece.
fn summed(
    session: &mut Loan<'_>,
    prepared: &Prepared,
    fed: &Fed,
    moving: &mut [Tensor],
    state: usize,
) -> Result<(Tensor, f32), RuntimeError> {
    let length = prepared.weights.cohort_length(prepared.learning);
    let mut sum = vector(vec![0.0; length])?;
    let total: f64 = fed.weights.iter().map(|weight| f64::from(*weight)).sum();
    let mut loss = 0.0;
    for start in (0..fed.items).step_by(prepared.batch) {
        let piece = piece(fed, start, prepared, total)?;
        let statistics = moving.get(state + 1);
        let inputs: Vec<&Tensor> =
            piece.iter().chain([&moving[0], &sum]).chain(statistics).collect();
        let mut outputs = session.run(&inputs)?;
        loss += number_of(&outputs.remove(0));
        sum = outputs.remove(0);
        if let Some(statistics) = outputs.pop() {
            moving[state + 1] = statistics;
        }
    }
    Ok((sum, loss))
}

/// The items from `start` on, as many as fit; what is missing repeats the last one and counts
/// nothing.
fn piece(
    fed: &Fed,
    start: usize,
    prepared: &Prepared,
    total: f64,
) -> Result<Vec<Tensor>, RuntimeError> {
    let (batch, classes) = (prepared.batch, prepared.classes);
    let count = fed.items;
    let weighed = fed.weights.len() / count;
    let rows = |values: &[f32]| -> Vec<f32> {
        let width = values.len() / count;
        let row = |slot: usize| (start + slot).min(count - 1) * width;
        (0..batch).flat_map(|slot| values[row(slot)..row(slot) + width].iter().copied()).collect()
    };
    let share = |at: usize| match fed.weights.get(start * weighed + at) {
        Some(weight) => (f64::from(*weight) / total) as f32,
        None => 0.0,
    };
    let mut tensors = Vec::new();
    for (values, port) in fed.sources.iter().zip(&prepared.cuts) {
        tensors.push(Tensor::f32(&port.dims, rows(values))?);
    }
    tensors.push(Tensor::f32(&[batch, classes], rows(&fed.targets))?);
    let length = batch * weighed;
    tensors.push(Tensor::f32(&[length], (0..length).map(share).collect())?);
    Ok(tensors)
}
