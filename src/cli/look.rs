//! Looking at a model before anything trusts it. Some models make the embedded backend abort the
//! whole process, so there it looks in a child process; what was seen is kept in the store.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use serde_json::json;

use crate::base::Digest;
use crate::onnx::graph::Graph;
use crate::onnx::observe::{Observation, observe};
use crate::onnx::proto;
use crate::onnx::runtime::{Backend, Runtime};
use crate::onnx::tensor::Shape;
use crate::stages::Look;
use crate::store::{Key, Record, Store};

use super::Exit;

/// Looks at models with this runtime; remembers in the store, if there is one.
pub(super) fn look(runtime: &'static Runtime, store: Option<Arc<Store>>) -> Look {
    Arc::new(move |graph: &Graph, shapes: &[Shape]| {
        let model = proto::encode(graph);
        let fields = json!({
            "kind": "look",
            "version": 1,
            "model": Digest::of(&model),
            "shapes": shapes,
            "runtime": runtime.version,
        });
        let key = Key::of(&fields);
        if let Some(seen) = store.as_deref().and_then(|store| remembered(store, key)) {
            return Ok(seen);
        }
        let seen = match runtime.backend {
            Backend::Library => {
                observe(runtime, graph, shapes).map_err(|error| error.to_string())?
            }
            Backend::Embedded => in_child(&model, shapes).map_err(|error| format!("{error:#}"))?,
        };
        if let Some(store) = store.as_deref() {
            remember(store, key, fields, &seen);
        }
        Ok(seen)
    })
}

const SEEN: &str = "seen";

fn remembered(store: &Store, key: Key) -> Option<Observation> {
    let record = store.lookup(key, &mut |_| ())?;
    serde_json::from_value(record.facts.get(SEEN)?.clone()).ok()
}

/// What cannot be remembered is looked at again next time.
fn remember(store: &Store, key: Key, fields: serde_json::Value, seen: &Observation) {
    let facts = [(SEEN.to_owned(), json!(seen))].into();
    let record = Record { fields, facts, ..Record::default() };
    let saved = store.lock(key, &AtomicBool::new(false)).and_then(|lock| lock.save(&record));
    if let Err(error) = saved {
        tracing::warn!("{error}");
    }
}

/// Runs this program on the model, so that a crash is the child's alone.
fn in_child(model: &[u8], shapes: &[Shape]) -> anyhow::Result<Observation> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let path = folder.path().join("model.onnx");
    crate::base::atomic::write(&path, model).context("write the model for a trial")?;
    let program = std::env::current_exe().context("find this program")?;
    let output = Command::new(program)
        .arg("look-at-model")
        .arg(&path)
        .arg(serde_json::to_string(shapes)?)
        .args(["--runtime", "embedded"])
        .output()
        .context("try the model in a process of its own")?;
    if output.status.success() {
        return serde_json::from_slice(&output.stdout).context("read what the trial saw");
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().find_map(|line| line.strip_prefix("error: "));
    let why = match told {
        Some(told) => told.to_owned(),
        None => format!("it makes the embedded backend crash ({})", output.status),
    };
    anyhow::bail!("{why}; ONNX Runtime's own library may run it: name one with --runtime PATH")
}

/// The child: looks at a model and prints what it saw.
pub(super) fn child(model: &Path, shapes: &str) -> anyhow::Result<Exit> {
    let shapes: Vec<Shape> = serde_json::from_str(shapes)?;
    let bytes = std::fs::read(model)?;
    let graph = proto::decode(&bytes)?;
    let runtime = crate::onnx::runtime::start(None)?;
    let seen = observe(runtime, &graph, &shapes)?;
    crate::console::out(&serde_json::to_string(&seen)?);
    Ok(Exit::Good)
}
