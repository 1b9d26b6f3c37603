//! `check`: tells everything that is wrong with a pipeline, and does no work.

use std::path::Path;
use std::sync::Arc;

use crate::base::{Problems, counted};
use crate::console;
use crate::onnx::library;
use crate::onnx::runtime::{self, Backend, Runtime, RuntimeError};
use crate::pipeline::extension::Extensions;
use crate::pipeline::plan::{self, Plan, Request};
use crate::pipeline::spec::Source;
use crate::store::Store;
use crate::tables;
use crate::transferability::advisor::Outcome;

use super::Exit;
use super::arguments::Common;
use super::look::look;
use super::survey::{across, copies, survey};

/// The runtime that was named or found; `embedded` names the one compiled in.
pub(super) fn start_runtime(common: &Common) -> Result<&'static Runtime, RuntimeError> {
    match common.runtime.as_deref() {
        Some(word) if word == Path::new("embedded") => runtime::start(None),
        named => runtime::start(library::find(named).as_deref()),
    }
}

/// Reads a file and plans it, or tells everything that is wrong.
pub(super) fn read(
    file: &Path,
    common: &Common,
    runtime: &'static Runtime,
    store: Option<&Arc<Store>>,
) -> Result<(Source, Plan), Problems> {
    read_grown(file, common, runtime, store, (None, Extensions::default()))
}

/// The same for a study that has grown: to so many seeds, and by these learning rates. What is in the
/// store may let lists of learning rates grow further at once.
pub(super) fn read_grown(
    file: &Path,
    common: &Common,
    runtime: &'static Runtime,
    store: Option<&Arc<Store>>,
    (seeds, mut extensions): (Option<usize>, Extensions),
) -> Result<(Source, Plan), Problems> {
    loop {
        let grown = (seeds, extensions);
        let (source, plan) = read_once(file, common, runtime, store.map(Arc::clone), grown)?;
        match store.and_then(|store| plan.longer(store, runtime)) {
            Some(longer) => extensions = longer,
            None => return Ok((source, plan)),
        }
    }
}

fn read_once(
    file: &Path,
    common: &Common,
    runtime: &'static Runtime,
    store: Option<Arc<Store>>,
    (grown, extensions): (Option<usize>, Extensions),
) -> Result<(Source, Plan), Problems> {
    let source = Source::read(file)?;
    let request = Request {
        source: &source,
        beside: file.parent().unwrap_or(Path::new("")),
        sets: &common.sets,
        seeds: common.seeds,
        grown,
        extensions,
        limit: common.limit,
        only: &common.only,
        look: look(runtime, store.clone()),
        survey: survey(store.clone()),
        copies: copies(store.clone()),
        across: across(store.clone()),
        runtime,
        outcomes: store.map(|store| learnt(&store)).unwrap_or_default(),
    };
    let plan = plan::build(&request)?;
    Ok((source, plan))
}

/// What came of earlier advice. A record that cannot be read teaches nothing.
fn learnt(store: &Store) -> Vec<Outcome> {
    tables::outcomes(store).unwrap_or_else(|error| {
        console::err(&format!("warning: the record of earlier advice is not used: {error}"));
        vec![]
    })
}

/// Prints problems and how many there are.
pub(super) fn tell(problems: &Problems) {
    console::err(problems.to_string().trim_end());
    console::err(&format!("\n{}", counted(problems.count(), "problem")));
}

/// Tells whoever did not ask for the embedded backend how to get a faster one.
pub(super) fn runtime_note(runtime: &Runtime, common: &Common) -> Option<String> {
    let asked_for = common.runtime.is_some();
    (runtime.backend == Backend::Embedded && !asked_for).then(|| {
        "no ONNX Runtime library was found, so the embedded backend computes, 2 to 50 times \
         slower; `tl-run runtime install` fetches the fast one"
            .to_owned()
    })
}

/// Prints notes and warnings of a plan.
pub(super) fn remarks(plan: &Plan) {
    plan.notes.iter().for_each(|note| console::err(&format!("note: {note}")));
    let warning = |(of, text): &(String, String)| console::err(&format!("warning: {of}: {text}"));
    plan.warnings.iter().for_each(warning);
}

/// Checks a file.
pub(super) fn check(file: &Path, common: &Common) -> anyhow::Result<Exit> {
    let runtime = start_runtime(common)?;
    // Nothing is written, so there is no store, and every model is looked at anew.
    match read(file, common, runtime, None) {
        Ok((_, plan)) => {
            remarks(&plan);
            let (stages, nodes) = (plan.stages.len(), plan.nodes.len());
            let (seeds, nodes) = match &plan.growth {
                None => (counted(plan.seeds.len(), "seed"), nodes.to_string()),
                Some(growth) => {
                    let (first, most) = (plan.seeds.len(), growth.most());
                    (
                        format!("{first} to {most} seeds"),
                        format!("{nodes} to {}", growth.nodes(most)),
                    )
                }
            };
            console::out(&format!(
                "{}: nothing is wrong · {stages} stages, {seeds}, {nodes} nodes",
                file.display()
            ));
            for fact in &plan.facts {
                console::out(&format!("  {fact}"));
            }
            Ok(Exit::Good)
        }
        Err(problems) => {
            tell(&problems);
            Ok(Exit::Wrong)
        }
    }
}
