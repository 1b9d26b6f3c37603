//! Step graphs ready to run, made once and shared: seeds and learning rates differ only in what
//! is fed to them.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::autodiff::{self, Dialect, Flat, Optimiser, Port, Refusal, Step};
use crate::base::Digest;
use crate::onnx::freeze::Divided;
use crate::onnx::observe::observe;
use crate::onnx::proto;
use crate::onnx::runtime::{Backend, Runtime, RuntimeError, Session};
use crate::onnx::tensor::Shape;

/// Batches from this size on have statistics worth normalising by.
const FOR_STATISTICS: usize = 16;

/// Whether normalisations use the batch's own statistics at this batch size.
pub fn batch_statistics_from(batch: usize) -> bool {
    batch >= FOR_STATISTICS
}

/// What a step graph is prepared from.
pub struct Preparation<'a> {
    /// The model, divided by what learns.
    pub divided: &'a Divided,
    /// Shapes of the inputs of the part that learns, without the batch axis.
    pub items: &'a [Shape],
    /// Items in a step.
    pub batch: usize,
    /// Factor on the learning rate of a parameter, by name.
    pub rate: &'a dyn Fn(&str) -> f32,
    /// How weights follow gradients.
    pub optimiser: &'a Optimiser,
    /// Largest norm of the gradient, if it is clipped.
    pub clip: Option<f32>,
}

/// Why a step graph cannot be prepared.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Nodes that cannot be differentiated.
    #[error("{} cannot be trained through", list(.0))]
    Refused(Vec<Refusal>),
}

/// Kernels of our own wherever they can run.
fn dialect(runtime: &Runtime) -> Dialect {
    match (runtime.backend, runtime.kernels()) {
        (Backend::Library, Some(_)) => Dialect::Kernels,
        (Backend::Library, None) => Dialect::Library,
        (Backend::Embedded, _) => Dialect::Embedded,
    }
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Graphs of a training step, as files.
#[derive(Debug)]
pub struct Prepared {
    pub(super) train: Vec<u8>,
    pub(super) score: Vec<u8>,
    pub(super) cuts: Vec<Port>,
    pub(super) batch: usize,
    pub(super) classes: usize,
    /// Layout of the weights that learn.
    pub weights: Flat,
    /// Layout of running statistics that move.
    pub statistics: Flat,
}

impl Preparation<'_> {
    fn build(&self, runtime: &Runtime) -> Result<Prepared, PrepareError> {
        let shapes: Vec<Shape> = self
            .items
            .iter()
            .map(|item| std::iter::once(self.batch).chain(item.iter().copied()).collect())
            .collect();
        let suffix = &self.divided.suffix;
        let seen = observe(runtime, suffix, &shapes)?;
        let step = Step {
            divided: self.divided,
            seen: &seen,
            batch: self.batch,
            rate: self.rate,
            optimiser: self.optimiser,
            clip: self.clip,
            batch_statistics: batch_statistics_from(self.batch),
            dialect: dialect(runtime),
        };
        let graphs = autodiff::build(&step).map_err(PrepareError::Refused)?;
        Ok(Prepared {
            train: proto::encode(&graphs.train),
            score: proto::encode(&graphs.score),
            cuts: graphs.cuts,
            batch: self.batch,
            classes: graphs.classes,
            weights: graphs.weights,
            statistics: graphs.statistics,
        })
    }
}

/// Where step graphs lie once they are made; locked while they are being made.
type Place = Arc<Mutex<Option<Arc<Prepared>>>>;

/// Sessions and step graphs of a run. Sessions are lent: as many as work at the same time exist,
/// and whoever comes next finds one ready.
pub struct Workshop {
    runtime: &'static Runtime,
    prepared: Mutex<BTreeMap<Digest, Place>>,
    idle: Mutex<Vec<(Digest, Session)>>,
}

/// Idle sessions kept; the longest idle goes first.
const MOST_IDLE: usize = 24;

impl Workshop {
    /// A workshop that computes with this runtime.
    pub fn new(runtime: &'static Runtime) -> Self {
        Self { runtime, prepared: Mutex::default(), idle: Mutex::default() }
    }

    /// The runtime.
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// The step graphs known under `key`, prepared now if nobody did so before.
    pub fn prepare(
        &self,
        key: Digest,
        preparation: &Preparation<'_>,
    ) -> Result<Arc<Prepared>, PrepareError> {
        let place = Arc::clone(locked(&self.prepared).entry(key).or_default());
        // Whoever wants the same graphs meanwhile waits here instead of making them again.
        let mut place = locked(&place);
        if let Some(ready) = &*place {
            return Ok(Arc::clone(ready));
        }
        let started = std::time::Instant::now();
        let made = Arc::new(preparation.build(self.runtime)?);
        tracing::debug!(
            weights = made.weights.len(),
            batch = made.batch,
            seconds = started.elapsed().as_secs_f64(),
            "derived a step graph"
        );
        *place = Some(Arc::clone(&made));
        Ok(made)
    }

    /// A session for a model, idle or new.
    pub fn session(&self, model: &[u8], threads: usize) -> Result<Loan<'_>, RuntimeError> {
        let mut hasher = crate::base::Hasher::default();
        hasher.update(&(threads as u64).to_le_bytes());
        hasher.update(model);
        let key = hasher.finish();
        let mut idle = locked(&self.idle);
        let known = idle.iter().position(|(digest, _)| *digest == key);
        let found = known.map(|index| idle.remove(index).1);
        drop(idle);
        let session = match found {
            Some(session) => session,
            None => self.runtime.load(model, threads)?,
        };
        Ok(Loan { workshop: self, key, session: Some(session) })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session on loan; it goes back when dropped.
pub struct Loan<'a> {
    workshop: &'a Workshop,
    key: Digest,
    session: Option<Session>,
}

impl Deref for Loan<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a loan has its session until it is dropped")
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a loan has its session until it is dropped")
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let mut idle = locked(&self.workshop.idle);
            idle.push((self.key, session));
            if idle.len() > MOST_IDLE {
                idle.remove(0);
            }
        }
    }
}
