//! The door to ONNX Runtime: which one serves, sessions, and values that travel through them.
//!
//! The binary needs no native library to start. A library that is named or found is used; where
//! there is none, the embedded pure-Rust backend serves. The choice is made once per process.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ndarray::ArrayViewD;
use ort::environment::Environment;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{CUDA, ExecutionProvider as _};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, SessionInputValue};
use ort::value::{DynValue, Tensor as OrtTensor};
use thiserror::Error;

use crate::base::language::choice;
use crate::kernels;

use super::graph::{BOOL, INT32, INT64};
use super::operators;
use super::tensor::{Kind, Shape};

/// What went wrong at the door.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// A library was asked for by name and cannot serve.
    #[error("load ONNX Runtime from {}: {cause}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A model was refused.
    #[error("{runtime} refuses the model: {cause}")]
    Model {
        /// Who refused.
        runtime: String,
        /// Why.
        cause: String,
    },
    /// A computation failed.
    #[error("{runtime} failed: {cause}")]
    Run {
        /// Who failed.
        runtime: String,
        /// Why.
        cause: String,
    },
}

/// Which implementation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// ONNX Runtime's own library.
    Library,
    /// tract, compiled in.
    Embedded,
}

choice! {
    /// What computes.
    pub enum Device {
        /// The processor.
        "cpu" => Cpu,
        /// An NVIDIA GPU, by an ONNX Runtime library that was built for CUDA.
        "cuda" => Cuda,
    }
}

/// The runtime of this process.
pub struct Runtime {
    /// Which implementation.
    pub backend: Backend,
    /// Where it came from, for people.
    pub origin: String,
    version: String,
    on_cuda: OnceLock<String>,
    environment: Environment,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Name and version of the backend that is compiled in.
pub const EMBEDDED_VERSION: &str = "tract 0.23 (ort-tract 0.5.0)";

/// Starts the runtime: the library at `path`, or the embedded backend. Later calls change nothing.
pub fn start(path: Option<&Path>) -> Result<&'static Runtime, RuntimeError> {
    // A process may start one environment; whoever comes at the same time waits for it.
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let started = match path {
        Some(path) => library(path)?,
        None => embedded()?,
    };
    Ok(RUNTIME.get_or_init(|| started))
}

/// The runtime of this process; found and started at the first use if nobody did so before.
pub fn runtime() -> Result<&'static Runtime, RuntimeError> {
    match RUNTIME.get() {
        Some(runtime) => Ok(runtime),
        None => start(super::library::find(None).as_deref()),
    }
}

fn library(path: &Path) -> Result<Runtime, RuntimeError> {
    let refused = |cause: String| RuntimeError::Library { path: path.to_owned(), cause };
    if !path.is_file() {
        return Err(refused("there is no such file".to_owned()));
    }
    let builder = ort::init_from(path).map_err(|error| refused(error.to_string()))?;
    let environment = builder.with_telemetry(false).build().map_err(|e| refused(e.to_string()))?;
    environment.set_log_level(ort::logging::LogLevel::Error);
    let runtime = Runtime {
        backend: Backend::Library,
        version: format!("onnxruntime {}", release(ort::info(), path)),
        on_cuda: OnceLock::new(),
        origin: path.display().to_string(),
        environment,
    };
    // The first session adds the domain of our operators to a list that all sessions of the process
    // share; two that come at the same time would both add it, and one of them would fail.
    let model = super::proto::encode(&super::library::smallest());
    runtime.build(&model, 1).map_err(|error| refused(first_line(&error.to_string())))?;
    Ok(runtime)
}

/// The version from the build's own words ("git-branch=rel-1.31.1"), or else from the file name
/// ("libonnxruntime.so.1.31.1"), or else the words themselves.
fn release(info: &str, path: &Path) -> String {
    let is_version =
        |text: &&str| text.contains('.') && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let branch =
        info.split("git-branch=rel-").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let suffix = name.split_once(".so.").map(|(_, version)| version);
    branch.filter(is_version).or(suffix.filter(is_version)).unwrap_or(info).to_owned()
}

fn embedded() -> Result<Runtime, RuntimeError> {
    ort::set_api(ort_tract::api());
    let refused = |error: ort::Error| RuntimeError::Model {
        runtime: EMBEDDED_VERSION.to_owned(),
        cause: error.to_string(),
    };
    Ok(Runtime {
        backend: Backend::Embedded,
        version: EMBEDDED_VERSION.to_owned(),
        on_cuda: OnceLock::new(),
        origin: "embedded".to_owned(),
        environment: ort::init().with_telemetry(false).build().map_err(refused)?,
    })
}

/// Set to `off`, it keeps kernels of our own out of training, for comparison.
const SWITCH: &str = "TL_RUN_KERNELS";

impl Runtime {
    /// Its name and version, and the device if it is not the processor; part of every key whose
    /// bytes depend on it.
    pub fn version(&self) -> &str {
        self.on_cuda.get().unwrap_or(&self.version)
    }

    /// What computes.
    pub fn device(&self) -> Device {
        if self.on_cuda.get().is_some() { Device::Cuda } else { Device::Cpu }
    }

    /// Lets sessions that are loaded from here on compute on a device, or tells why it cannot.
    pub fn compute_on(&self, device: &Device) -> Result<(), String> {
        if *device == Device::Cpu {
            return Ok(());
        }
        if self.backend == Backend::Embedded {
            return Err("the embedded backend computes on the processor alone".to_owned());
        }
        if !CUDA::is_available().unwrap_or(false) {
            return Err(format!("{} at {} was built without CUDA", self.version, self.origin));
        }
        let tried = ort::session::Session::builder(&self.environment)
            .and_then(|mut builder| cuda().register(&mut builder));
        tried.map_err(|error| first_line(&error.to_string()))?;
        self.on_cuda.get_or_init(|| format!("{} on cuda", self.version));
        Ok(())
    }

    /// Version of our own kernels if this runtime can run them and nobody switched them off. It
    /// belongs to the key of whatever is trained with them.
    pub fn kernels(&self) -> Option<u32> {
        let off = std::env::var_os(SWITCH).is_some_and(|value| value == "off");
        (self.backend == Backend::Library && self.device() == Device::Cpu && !off)
            .then_some(kernels::VERSION)
    }

    /// Loads a model. `threads` is for the library alone; the embedded backend uses one.
    pub fn load(&self, model: &[u8], threads: usize) -> Result<Session, RuntimeError> {
        let started = std::time::Instant::now();
        let loaded = self.build(model, threads).map_err(|error| RuntimeError::Model {
            runtime: self.version.clone(),
            cause: first_line(&error.to_string()),
        })?;
        let names = |ports: &[ort::value::Outlet]| {
            ports.iter().map(|port| port.name().to_owned()).collect::<Vec<_>>()
        };
        let (inputs, outputs) = (names(loaded.inputs()), names(loaded.outputs()));
        let seconds = started.elapsed().as_secs_f64();
        tracing::debug!(bytes = model.len(), threads, seconds, "opened a session");
        let keeps = self.backend == Backend::Library && self.device() == Device::Cpu;
        Ok(Session { loaded, inputs, outputs, runtime: self.version.clone(), keeps })
    }

    fn build(&self, model: &[u8], threads: usize) -> ort::Result<ort::session::Session> {
        let builder = ort::session::Session::builder(&self.environment)?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::Level3)?;
        let mut builder = match self.backend {
            Backend::Embedded => builder,
            // Spinning threads of several sessions would fight for the cores.
            Backend::Library => builder
                .with_operators(operators::domain()?)?
                .with_intra_threads(threads.max(1))?
                .with_inter_threads(1)?
                .with_intra_op_spinning(false)?
                // A pattern is one block for a whole run, taken beside all that the first run took.
                .with_memory_pattern(false)?,
        };
        if self.device() == Device::Cuda {
            builder = builder.with_deterministic_compute(true)?;
            cuda().register(&mut builder)?;
        }
        builder.commit_from_memory(model)
    }
}

/// The provider for NVIDIA GPUs, with the same algorithm and precision each time: a search for the
/// fastest convolution finds another one from run to run, and TF32 keeps ten bits of each factor.
fn cuda() -> CUDA {
    CUDA::default().with_conv_algorithm_search(ConvAlgorithmSearch::Default).with_tf32(false)
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtime({}, {})", self.version, self.origin)
    }
}

/// The runtimes answer in paragraphs; the first says what is wrong.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A loaded model.
pub struct Session {
    loaded: ort::session::Session,
    inputs: Vec<String>,
    outputs: Vec<String>,
    runtime: String,
    /// Whether it keeps the memory of a run for the next one.
    keeps: bool,
}

impl Session {
    /// Names of what goes in, in order.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// Names of what comes out, in order.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// Computes all outputs, in their order. `inputs` are in the order of [`Session::inputs`].
    pub fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, RuntimeError> {
        self.run_and(inputs, false)
    }

    /// The same, and gives back the memory that it would keep for its next run: for a session that
    /// now rests while others work.
    pub fn run_last(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, RuntimeError> {
        self.run_and(inputs, self.keeps)
    }

    fn run_and(&mut self, inputs: &[&Tensor], shrink: bool) -> Result<Vec<Tensor>, RuntimeError> {
        let failed = |runtime: &str, cause: String| RuntimeError::Run {
            runtime: runtime.to_owned(),
            cause: first_line(&cause),
        };
        if inputs.len() != self.inputs.len() {
            let counts = format!("{} inputs for {}", inputs.len(), self.inputs.len());
            return Err(failed(&self.runtime, counts));
        }
        let named: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = self
            .inputs
            .iter()
            .zip(inputs)
            .map(|(name, value)| (Cow::from(name.as_str()), SessionInputValue::from(&value.0)))
            .collect();
        let options = shrink.then(shrinking).transpose();
        let options = options.map_err(|error| failed(&self.runtime, error.to_string()))?;
        let ran = match &options {
            None => self.loaded.run(named),
            Some(options) => self.loaded.run_with_options(named, options),
        };
        let mut values = ran.map_err(|error| failed(&self.runtime, error.to_string()))?;
        self.outputs
            .iter()
            .map(|name| {
                let missing = || failed(&self.runtime, format!("no output `{name}` came back"));
                values.remove(name).map(Tensor).ok_or_else(missing)
            })
            .collect()
    }
}

/// Settings of a run after which its memory goes back to the system.
fn shrinking() -> ort::Result<RunOptions> {
    let mut options = RunOptions::new()?;
    options.set("memory.enable_memory_arena_shrinkage", "cpu:0")?;
    Ok(options)
}

/// A value in the hands of the runtime. Outputs of one run can be inputs of the next without
/// being copied.
#[derive(Debug)]
pub struct Tensor(DynValue);

impl Tensor {
    /// Floats of a shape.
    pub fn f32(dims: &[usize], values: Vec<f32>) -> Result<Self, RuntimeError> {
        // Values belong to the runtime, which must have been chosen.
        runtime()?;
        let made = OrtTensor::from_array((dims.to_vec(), values)).map_err(|error| made(&error))?;
        Ok(Self(made.into_dyn()))
    }

    /// Whole numbers as values of an element type, by ONNX's number: integers of 64 or 32 bits, truth
    /// values; floats for any other.
    pub fn whole(dims: &[usize], kind: i32, values: Vec<i64>) -> Result<Self, RuntimeError> {
        runtime()?;
        let dims = dims.to_vec();
        let value = match kind {
            INT64 => OrtTensor::from_array((dims, values)).map(OrtTensor::into_dyn),
            INT32 => {
                let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
                OrtTensor::from_array((dims, values)).map(OrtTensor::into_dyn)
            }
            BOOL => {
                let values: Vec<bool> = values.into_iter().map(|value| value != 0).collect();
                OrtTensor::from_array((dims, values)).map(OrtTensor::into_dyn)
            }
            _ => return Self::f32(&dims, values.into_iter().map(|value| value as f32).collect()),
        };
        Ok(Self(value.map_err(|error| made(&error))?))
    }

    /// The floats, in row-major order, if it holds floats.
    pub fn floats(&self) -> Option<&[f32]> {
        self.0.try_extract_tensor::<f32>().ok().map(|(_, values)| values)
    }

    /// The floats with their shape, if it holds floats.
    pub fn view(&self) -> Option<ArrayViewD<'_, f32>> {
        self.0.try_extract_array::<f32>().ok()
    }

    /// Its shape.
    pub fn dims(&self) -> Shape {
        self.0.shape().iter().map(|&extent| extent.max(0) as usize).collect()
    }

    /// Whether it holds floats.
    pub fn kind(&self) -> Kind {
        if self.floats().is_some() { Kind::F32 } else { Kind::Other }
    }
}

fn made(error: &ort::Error) -> RuntimeError {
    RuntimeError::Run { runtime: "ort".to_owned(), cause: first_line(&error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Graph, Node, Port};
    use super::super::{proto, tensor};
    use super::*;

    #[test]
    fn a_model_runs_and_its_output_can_be_fed_back() {
        let graph = Graph {
            name: "double".into(),
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[2])],
            outputs: vec![Port::batch_of_floats("y", &[2])],
            nodes: vec![Node::new("double", "Mul", &["x", "two"], "y")],
            initializers: [("two".to_owned(), tensor::Tensor::f32(&[1], vec![2.0]))].into(),
            ..Graph::default()
        };
        let mut session = runtime().unwrap().load(&proto::encode(&graph), 1).unwrap();
        let x = Tensor::f32(&[3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let once = session.run(&[&x]).unwrap();
        let twice = session.run(&[&once[0]]).unwrap();
        assert_eq!(twice[0].dims(), [3, 2]);
        let last = session.run_last(&[&once[0]]).unwrap();
        assert_eq!(last[0].floats(), twice[0].floats());
        assert_eq!(twice[0].floats().unwrap(), [4.0, 8.0, 12.0, 16.0, 20.0, 24.0]);
    }

    #[test]
    fn what_is_no_model_is_refused_in_words() {
        let Err(error) = runtime().unwrap().load(b"not a model", 1) else { panic!() };
        assert!(error.to_string().contains("refuses the model"), "{error}");
    }

    #[test]
    fn the_release_is_read_from_the_build_or_the_file() {
        let info = "ORT Build Info: git-branch=rel-1.31.1, git-commit-id=abc, build type=Release";
        assert_eq!(release(info, Path::new("libonnxruntime.so")), "1.31.1");
        assert_eq!(release("?", Path::new("libonnxruntime.so.1.20.0")), "1.20.0");
    }
}
