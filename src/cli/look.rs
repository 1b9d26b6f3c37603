//! Looking at a model before anything trusts it. Some models make the embedded backend abort the
//! whole process, so there it looks in a child process; what was seen is kept in the store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::base::Digest;
use crate::onnx::batch::agree;
use crate::onnx::graph::Graph;
use crate::onnx::misread::misread;
use crate::onnx::observe::{Observation, observe};
use crate::onnx::proto;
use crate::onnx::runtime::{Backend, Runtime};
use crate::onnx::tensor::Shape;
use crate::stages::{Look, Looker};
use crate::store::{Key, Record, Store};

use super::Exit;

/// Looks at models with this runtime; remembers in the store, if there is one.
pub(super) fn look(runtime: &'static Runtime, store: Option<Arc<Store>>) -> Look {
    Arc::new(Eyes { runtime, store })
}

struct Eyes {
    runtime: &'static Runtime,
    store: Option<Arc<Store>>,
}

impl Looker for Eyes {
    fn observe(&self, graph: &Graph, shapes: &[Shape]) -> Result<Observation, String> {
        let model = proto::encode(graph);
        let fields = json!({
            "kind": "look",
            "version": 2,
            "model": Digest::of(&model),
            "shapes": shapes,
            "runtime": self.runtime.version(),
        });
        self.remembering(fields, || match self.runtime.backend {
            Backend::Library => {
                observe(self.runtime, graph, shapes).map_err(|error| error.to_string())
            }
            Backend::Embedded => {
                rightly_read(graph)?;
                in_child(&model, None, shapes).map_err(|error| format!("{error:#}"))
            }
        })
    }

    fn agree(&self, fixed: &Graph, freed: &Graph, shapes: &[Shape]) -> Result<(), String> {
        let [fixed_model, freed_model] = [fixed, freed].map(proto::encode);
        let fields = json!({
            "kind": "agree",
            "version": 1,
            "model": Digest::of(&fixed_model),
            "freed": Digest::of(&freed_model),
            "shape": if let [only] = shapes { json!(only) } else { json!(shapes) },
            "runtime": self.runtime.version(),
        });
        // What was seen not to agree is worth remembering, too.
        let agreed: Agreed = self.remembering(fields, || {
            let agreed = match self.runtime.backend {
                Backend::Library => agree(self.runtime, fixed, freed, shapes).map_err(Into::into),
                Backend::Embedded => in_child(&fixed_model, Some(&freed_model), shapes),
            };
            Ok(agreed.map_err(|error: anyhow::Error| format!("{error:#}")))
        })?;
        agreed
    }
}

/// What the embedded backend would compute wrongly, it does not compute.
fn rightly_read(graph: &Graph) -> Result<(), String> {
    let misread = misread(graph);
    let Some(node) = misread.first() else { return Ok(()) };
    let (name, op) = (&node.name, &node.op);
    Err(format!("the embedded backend computes node `{name}` ({op}) wrongly; {OTHER_RUNTIME}"))
}

/// The way out where the embedded backend does not serve.
const OTHER_RUNTIME: &str = "ONNX Runtime's own library may run it: get it with `tl-run runtime \
                             install`, or name one with --runtime PATH";

type Agreed = Result<(), String>;

impl Eyes {
    fn remembering<T: Serialize + DeserializeOwned>(
        &self,
        fields: serde_json::Value,
        see: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let key = Key::of(&fields);
        if let Some(seen) = self.store.as_deref().and_then(|store| remembered(store, key)) {
            return Ok(seen);
        }
        let seen = see()?;
        if let Some(store) = self.store.as_deref() {
            remember(store, key, fields, &seen);
        }
        Ok(seen)
    }
}

const SEEN: &str = "seen";

fn remembered<T: DeserializeOwned>(store: &Store, key: Key) -> Option<T> {
    let record = store.lookup(key, &mut |_| ())?;
    serde_json::from_value(record.facts.get(SEEN)?.clone()).ok()
}

/// What cannot be remembered is looked at again next time.
fn remember(store: &Store, key: Key, fields: serde_json::Value, seen: &impl Serialize) {
    let facts = [(SEEN.to_owned(), json!(seen))].into();
    let record = Record { fields, facts, ..Record::default() };
    let saved = store.lock(key, &AtomicBool::new(false)).and_then(|lock| lock.save(&record));
    if let Err(error) = saved {
        tracing::warn!("{error}");
    }
}

/// Runs this program on the model, or on it and its freed self, so that a crash is the child's
/// alone.
fn in_child<T: DeserializeOwned>(
    model: &[u8],
    freed: Option<&[u8]>,
    shapes: &[Shape],
) -> anyhow::Result<T> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let write = |name: &str, model: &[u8]| -> anyhow::Result<PathBuf> {
        let path = folder.path().join(name);
        crate::base::atomic::write(&path, model).context("write the model for a trial")?;
        Ok(path)
    };
    let mut child = program()?;
    child.arg("look-at-model").arg(write("model.onnx", model)?);
    child.arg(serde_json::to_string(shapes)?).args(["--runtime", "embedded"]);
    if let Some(freed) = freed {
        child.arg("--freed").arg(write("freed.onnx", freed)?);
    }
    answered(child)
}

/// This program, about to be started once more.
pub(super) fn program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("find this program")?))
}

/// What a child says on standard output, or why it ended otherwise.
pub(super) fn answered<T: DeserializeOwned>(mut child: Command) -> anyhow::Result<T> {
    let output = child.output().context("try the model in a process of its own")?;
    if output.status.success() {
        return serde_json::from_slice(&output.stdout).context("read what the trial saw");
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().find_map(|line| line.strip_prefix("error: "));
    let why = match told {
        Some(told) => told.to_owned(),
        None => format!("it makes the embedded backend crash ({})", output.status),
    };
    anyhow::bail!("{why}; {OTHER_RUNTIME}")
}

/// The child: looks at a model and prints what it saw; with a freed one, whether they agree.
pub(super) fn child(model: &Path, shapes: &str, freed: Option<&Path>) -> anyhow::Result<Exit> {
    let shapes: Vec<Shape> = serde_json::from_str(shapes)?;
    let read = |path: &Path| -> anyhow::Result<Graph> { Ok(proto::decode(&std::fs::read(path)?)?) };
    let graph = read(model)?;
    let runtime = crate::onnx::runtime::start(None)?;
    let seen = match freed {
        None => json!(observe(runtime, &graph, &shapes)?),
        Some(freed) => {
            agree(runtime, &graph, &read(freed)?, &shapes)?;
            json!(())
        }
    };
    crate::console::out(&seen.to_string());
    Ok(Exit::Good)
}
